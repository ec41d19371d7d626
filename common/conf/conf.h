/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Configuration tables: one row a key, from which parser, --help, docs and the API are made.
 *
 * Types: STRING, LIST (comma separated, of `choices` when there are any), I64 (min…max), BOOL (true|false), ENUM (choices
 * separated by '|'), RATIO (a decimal from min to max, both in millionths, with at most six
 * places). Durations in ms and sizes in bytes take plain numbers and the suffixes ms s
 * m h d / KiB MiB GiB where `unit` says so. */
enum conf_type {
    CONF_STRING,
    CONF_LIST,
    CONF_I64,
    CONF_BOOL,
    CONF_ENUM,
    CONF_RATIO
};

enum conf_unit {
    CONF_UNIT_NONE,
    CONF_UNIT_MS,
    CONF_UNIT_BYTES
};

/* Where a key lives. A CLUSTER key in a daemon's file is refused with the sentence that says
 * where it belongs. */
enum conf_scope {
    CONF_DAEMON,
    CONF_CLUSTER,
    CONF_TOPIC
};

struct conf_key {
    const char *name; /* "zookeeper.connect" */
    enum conf_type type;
    enum conf_unit unit;
    enum conf_scope scope;
    const char *fallback; /* default as text; NULL = mandatory */
    int64_t min, max;     /* I64, in the unit; RATIO, in millionths */
    const char *choices;  /* ENUM; LIST: what its items may be, each once and at least one; or NULL */
    const char *text;     /* one sentence */
    bool is_dynamic;      /* may be changed while the daemon runs, through the controller */
};

/* The tables (controller_keys.def, broker_keys.def, topic_keys.def). Cluster keys are
 * num.partitions, default.replication.factor, the dynamic keys of brokers, and last the topic keys
 * under their cluster names, in the topic table's order. */
extern const struct conf_key conf_controller_keys[];
extern const size_t conf_n_controller_keys;
extern const struct conf_key conf_broker_keys[];
extern const size_t conf_n_broker_keys;
extern const struct conf_key conf_topic_keys[];
extern const size_t conf_n_topic_keys;
extern const struct conf_key conf_cluster_keys[];
extern const size_t conf_n_cluster_keys;

/* A set of values under one table. Owner: whoever made it; immutable after start, then readable
 * by any thread. */
struct conf;

struct conf *conf_new(const struct conf_key *keys, size_t n_keys);
struct conf *conf_free(struct conf *c);

/* `key = value` lines; '#' starts a comment line; blank lines are skipped. On a refusal: > 0 and
 * `error` holds "FILE:LINE: what is wrong; did you mean …". Everything wrong in the file is
 * reported, a line each. */
enum {
    CONF_E_REFUSED = 1
};

MUST_CHECK int conf_load_file(struct conf *c, const char *path, char *error, size_t error_size);
/* From memory (tests, fuzz): `origin` stands for the file name. */
MUST_CHECK int conf_load_text(struct conf *c,
        const char *origin,
        const char *text,
        size_t size,
        char *error,
        size_t error_size);
/* "key=value" from the command line. */
MUST_CHECK int conf_set(struct conf *c, const char *assignment, char *error, size_t error_size);
/* Whether every mandatory key has a value. */
MUST_CHECK int conf_finish(struct conf *c, char *error, size_t error_size);

/* Getters assert that the key is in the table and of that type. */
const char *conf_str(const struct conf *c, const char *key);
int64_t conf_i64(const struct conf *c, const char *key);
bool conf_bool(const struct conf *c, const char *key);
int64_t conf_ratio(const struct conf *c, const char *key); /* in millionths */
bool conf_is_set(const struct conf *c, const char *key); /* given, not the default */

/* Checks one value against one row (topic configs over HTTP). 0, or CONF_E_REFUSED and the
 * sentence. `ret_i64` may be NULL; it gets the number of an I64, the millionths of a RATIO, 0/1 of
 * a BOOL. */
MUST_CHECK int conf_check_value(const struct conf_key *key,
        const char *value,
        int64_t *ret_i64,
        char *error,
        size_t error_size);
/* Whether `item` is one of a comma separated list's. */
bool conf_list_has(const char *list, const char *item);
const struct conf_key *conf_find_key(
        const struct conf_key *keys, size_t n_keys, const char *name); /* or NULL */
/* Levenshtein's distance, for "did you mean"; `b` is a known word of at most 96 bytes. */
size_t conf_edit_distance(const char *a, const char *b);
/* The known key that is nearest to `name`, or NULL when nothing is near. */
const char *conf_nearest(const struct conf_key *keys, size_t n_keys, const char *name);

/* What can be configured while the cluster runs. */
enum conf_target {
    CONF_OF_CLUSTER,
    CONF_OF_TOPIC,
    CONF_OF_BROKER
};

/* The row of `name` if it may be changed there, else NULL. [CFG-1] */
const struct conf_key *conf_find_dynamic(enum conf_target target, const char *name);
/* Why conf_find_dynamic() knows none, and where the key belongs or what is near: a sentence that
 * begins with what was asked for. Returns `error`. */
const char *conf_explain_target(
        enum conf_target target, const char *name, char *error, size_t error_size);
/* "cluster", "topic" or "broker". */
const char *conf_target_word(enum conf_target target);
/* The cluster's key for the default of topic key `topic_key`, a row of conf_topic_keys. */
const struct conf_key *conf_cluster_key_of(const struct conf_key *topic_key);

/* The common command line of daemons: --config FILE (also --config=FILE), --set key=value…,
 * --help, --help-markdown, --version. Files first, then --set, whatever their order; then
 * conf_finish(). Returns 0 to go on, 1 to exit 0 (help or version were printed), 2 to exit 2
 * (the reason is on stderr). */
int conf_main(struct conf *c, const char *program, const char *about, int argc, char **argv);
/* The reference as Markdown on stdout (docs/ops/configuration.md is made from it):
 * `--help-markdown`. */
void conf_print_markdown(const struct conf_key *keys, size_t n_keys);

/* One item of `listeners` or `advertised.listeners`. */
struct conf_listener {
    char name[32];  /* what stands before "://" */
    char host[256]; /* name or address; "[v6]" loses its brackets */
    uint16_t port;  /* 1 … 65535 */
};

/* "weir://host:port,…": names are unique, at most `max` of them; an empty text gives none.
 * CONF_E_REFUSED and the sentence otherwise, then neither output is touched. */
MUST_CHECK int conf_parse_listeners(const char *text,
        struct conf_listener *ret,
        size_t max,
        size_t *ret_n,
        char *error,
        size_t error_size);
/* "host:port" or "[v6]:port"; port 0 is allowed and means any free one where it is listened on.
 * CONF_E_REFUSED. */
MUST_CHECK int conf_parse_address(
        const char *text, char *ret_host, size_t host_size, uint16_t *ret_port);
/* Whether a host of an address names every address of its machine: "", "0.0.0.0", "::". */
bool conf_host_is_wildcard(const char *host);
/* Whether it reaches only the machine that says it: 127.0.0.0/8, ::1, localhost. */
bool conf_host_is_loopback(const char *host);
