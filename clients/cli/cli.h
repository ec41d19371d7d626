/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The frame of the `weir` command: a table of commands, one way to read options, one way to fail.
 *
 * Data goes to stdout, everything else to stderr. An error is one sentence and then what to type next. Thread: main. */

enum cli_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_CONFLICT = 4,
    EXIT_NOT_ALLOWED = 5,
    EXIT_UNREACHABLE = 6,
    EXIT_PARTLY = 7,
    EXIT_UNHEALTHY = 10,
    EXIT_INTERRUPTED = 130,
};

enum cli_format {
    FORMAT_TABLE,
    FORMAT_WIDE,
    FORMAT_JSON,
    FORMAT_JSONL,
    FORMAT_NAME
};

/* What every command knows: global options, from flag, then environment, then default. */
struct cli {
    const char *program;
    const struct cli_command *command;
    const char *brokers;    /* "host:port,…" */
    const char *controller; /* base URLs, comma separated; NULL = ask the brokers */
    enum cli_format format;
    bool format_given;
    int64_t timeout_ms;
    bool yes, dry_run, verbose;
    const char *reason;
};

struct cli_command {
    const char *noun; /* "topic" */
    const char *verb; /* "create", "config set"; NULL when the noun alone is the command */
    const char *summary;
    const char *usage;    /* after the name: "T [-p N] [-r N]" */
    const char *details;  /* paragraphs; "" = none */
    const char *examples; /* runnable, a line each */
    int (*run)(struct cli *cli, int argc, char **argv);
};

/* All commands, each in its own file; the order is that of `weir help`. */
extern const struct cli_command cli_status, cli_cluster_config_list, cli_cluster_config_get,
        cli_cluster_config_set, cli_cluster_config_unset, cli_broker_list, cli_broker_config_list,
        cli_broker_config_set, cli_broker_config_unset, cli_topic_create, cli_topic_list,
        cli_topic_describe, cli_topic_set, cli_topic_unset, cli_topic_trim, cli_topic_delete, cli_explain,
        cli_produce, cli_consume, cli_dev_up, cli_dev_status, cli_dev_down, cli_dev_start, cli_dev_stop,
        cli_dev_kill, cli_dev_torture, cli_version;
extern const struct cli_command cli_controller_list, cli_controller_transfer;
extern const struct cli_command cli_meta_export, cli_meta_rebuild;
extern const struct cli_command cli_broker_describe, cli_topic_undelete, cli_trash_list, cli_trash_purge;
extern const struct cli_command cli_partition_list, cli_partition_elect, cli_broker_stop_check,
        cli_topic_add_partitions;
extern const struct cli_command cli_partition_move, cli_balance_status, cli_balance_cancel,
        cli_balance_plan, cli_balance_apply, cli_broker_decommission, cli_topic_replicate;
extern const struct cli_command cli_broker_cordon, cli_broker_drain, cli_broker_undrain,
        cli_broker_forget, cli_ops_list, cli_ops_watch, cli_ops_cancel;
extern const struct cli_command cli_log_dump, cli_log_verify;
extern const struct cli_command *const cli_commands[];
extern const size_t cli_n_commands;

/* --- Options ------------------------------------------------------------------------------------------------------ */

enum cli_opt_kind {
    OPT_FLAG,
    OPT_STR,
    OPT_I64,
    OPT_MANY
};

struct cli_strings {
    const char **items;
    size_t n;
};

struct cli_opt {
    char letter;      /* 0 = none */
    const char *name; /* long */
    enum cli_opt_kind kind;
    void *into;      /* bool *, const char **, int64_t *, struct cli_strings * */
    const char *arg; /* name of the argument in the help; NULL for flags */
    const char *text;
    int64_t min, max; /* OPT_I64; both 0 = any */
};

/* Reads argv[1…] by `opts` and the global options; positional arguments are moved to `ret_args` (at most `max_args`
 * and at least `min_args`). Returns -1 to go on, else the exit code: --help was printed, or the usage was wrong and
 * said so. */
int cli_parse(struct cli *cli,
        const struct cli_opt *opts,
        size_t n_opts,
        int argc,
        char **argv,
        const char **ret_args,
        int min_args,
        int max_args);
/* How many positional arguments cli_parse found. */
int cli_n_args(void);
void cli_strings_deinit(struct cli_strings *s);

/* "error: <sentence>\n<hint>\n" on stderr; returns `code`. hint "" = none. */
int cli_fail(enum cli_exit code, const char *hint, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* "warning: …" / plain notes on stderr. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whether a person watches stderr (progress bars, colours). */
bool cli_stderr_is_tty(void);
/* Asks for `name` to be typed; true when it was, or with -y. Without a terminal and without -y: false, said so. */
bool cli_confirm(const struct cli *cli, const char *what, const char *name);
/* The same, where `whole` will do as well. */
bool cli_confirm_either(
        const struct cli *cli, const char *what, const char *name, const char *whole);
/* Set by SIGINT and SIGTERM once cli_catch_interrupt() was called. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);

/* --- Tables ------------------------------------------------------------------------------------------------------- */

/* A plain table for people: columns are as wide as their widest cell. */
struct cli_table;
struct cli_table *cli_table_new(const char *const *heads, size_t n_columns);
void cli_table_add(struct cli_table *t, const char *const *cells);
void cli_table_print_free(struct cli_table *t);

/* Sizes and times for people: "1.5 GiB", "3 m 20 s". Returns `text`. */
char *cli_size_text(uint64_t bytes, char *text, size_t size);
char *cli_duration_text(int64_t ms, char *text, size_t size);
/* "10MiB", "10M", "1048576"; "15m", "1d", "500ms". false when it is not one. */
bool cli_parse_size(const char *text, int64_t *ret);
bool cli_parse_duration_ms(const char *text, int64_t *ret);
/* "orders/3": the topic's name (mem_free) and the number; NULL when it is none. */
char *cli_parse_partition(const char *text, int64_t *ret_number);
/* "-1h", "now", "2026-11-20", "2026-11-20T10:00:00Z", unix s or ms. */
bool cli_parse_time(const char *text, int64_t *ret);

/* --- The controller's HTTP endpoint ------------------------------------------------------------------------------- */

struct http_answer {
    long status; /* 0 = not reached */
    struct buf body;
    char error[512]; /* when status is 0 */
};

void http_answer_deinit(struct http_answer *a);
/* One request to any of the controllers (in turn until one answers; redirects to the active one are followed). `path`
 * starts with "/v1/…"; `body` NULL = none. */
void cli_http(const struct cli *cli,
        const char *method,
        const char *path,
        const char *body,
        struct http_answer *ret);
/* The controllers' URLs as the brokers name them, comma separated (mem_free), or NULL with `ret->error` set. */
char *cli_controllers_of_brokers(const struct cli *cli, struct http_answer *ret);
/* One request to one URL, for readiness checks; never follows. */
void cli_http_url(const char *method,
        const char *url,
        const char *body,
        int64_t timeout_ms,
        struct http_answer *ret);
/* Says what a failed answer means (problem+json's detail and hint) and returns the exit code for it. */
int cli_http_fail(const struct http_answer *a);
