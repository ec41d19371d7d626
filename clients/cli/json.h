/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"
#include "common/conf/conf.h"

#include <jansson.h>

/* What the admin commands do with an answer: print the API's object unchanged, or a table made from it. */

/* GET `path`, all pages if the answer is a list. NULL: the failure was said, *ret_exit is set. */
json_t *cli_get(const struct cli *cli, const char *path, int *ret_exit);
/* GET `path` and the answer whole. NULL as above. */
json_t *cli_get_one(const struct cli *cli, const char *path, int *ret_exit);
/* Changes configuration by a JSON merge patch (config.c) and says what came of it. `name` = the
 * topic or broker. Returns the exit code. */
int cli_patch_configs(
        struct cli *cli, enum conf_target target, const char *name, const json_t *patch);
/* The answer's JSON, or NULL when it is none. */
json_t *cli_answer_json(const struct http_answer *a);
/* Prints `object` as -O asks (json, jsonl: one line an item, name: the member `name_key` of each item); false when the
 * format is a table. A list is given as its items array. */
bool cli_print_json(const struct cli *cli, const json_t *object, const char *name_key);

/* Sends it and prints what came of it as -O asks, a table with `print`; `body` NULL = none. *ret_operation (may be NULL)
 * = what goes on; 0 = nothing. Returns the exit code, EXIT_PARTLY when the answer counts failures. */
int cli_send(struct cli *cli,
        const char *method,
        const char *path,
        const json_t *body,
        const char *name_key,
        void (*print)(const struct cli *cli, const json_t *answer),
        int64_t *ret_operation);
/* The answer to what moves partitions (move.c). */
void cli_print_moves(const struct cli *cli, const json_t *answer);
/* The member `partitions` of an answer: where each new partition was placed. */
void cli_print_placement(const json_t *answer);

/* --wait and --no-wait of a command that begins an operation. */
struct cli_wait {
    bool wait, no_wait;
};
#define CLI_WAIT_OPTS(w)                                                                           \
    {0, "wait", OPT_FLAG, &(w).wait, NULL, "until it has ended; this is the default", 0, 0},       \
    {                                                                                              \
        0, "no-wait", OPT_FLAG, &(w).no_wait, NULL, "return as soon as it is under way", 0, 0      \
    }
/* Waits for the end of `operation`, unless there is none or --no-wait was given, and shows on stderr how far it has
 * come. `r` is the exit code so far. */
int cli_wait_for(struct cli *cli, const struct cli_wait *w, int64_t operation, int r);

/* Members, with a fallback when absent, null or of another type. */
const char *jstr(const json_t *o, const char *key, const char *fallback);
int64_t jint(const json_t *o, const char *key, int64_t fallback);
/* An array of numbers as "1,2,3". mem_free. */
char *jids(const json_t *array);
/* A text for a path segment or query value, percent-encoded. mem_free. */
char *url_escape(const char *text);
