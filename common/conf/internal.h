/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/conf/conf.h"

/* What the files of common/conf share. Thread: any. */

/* Text that grows by whole lines into the caller's buffer; what does not fit is counted and told
 * by lines_end(). */
struct lines {
    char *text;
    size_t size, at;
    unsigned n, n_dropped;
};

void lines_init(struct lines *l, char *text, size_t size);
void lines_add(struct lines *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lines_end(struct lines *l);

/* What a row takes: "a duration in ms (or with ms, s, m, h, d) from 1000 to 300000, for example
 * 6000". */
enum {
    CONF_DESCRIPTION_SIZE = 512
};

/* A RATIO's millionths as people write them: "0.5". */
enum {
    CONF_RATIO_SIZE = 32
};

const char *conf_ratio_text(int64_t millionths, char text[CONF_RATIO_SIZE]);
const char *conf_describe(const struct conf_key *key, char text[CONF_DESCRIPTION_SIZE]);

/* `text` for a message: cut, control characters as '?'. */
enum {
    CONF_PRINTABLE_SIZE = 80
};

const char *conf_printable(const char *text, char ret[CONF_PRINTABLE_SIZE]);

/* Why `name`, which the table does not have, is refused there. */
void conf_explain_unknown(const struct conf_key *keys,
        size_t n_keys,
        const char *name,
        char *error,
        size_t error_size);

/* --help on stdout. */
void conf_print_help(const struct conf *c, const char *program, const char *about);
const struct conf_key *conf_keys(const struct conf *c, size_t *ret_n);
