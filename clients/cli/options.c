/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/cli.h"

#include "common/base/array.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_OPTS = 48,
    LONG_ONLY = 256
};

static int n_args;

int cli_n_args(void)
{
    return n_args;
}

struct global_values {
    const char *format;
    const char *timeout;
    bool help;
};

static size_t global_options(struct cli *cli, struct global_values *g, struct cli_opt *ret)
{
    const struct cli_opt opts[] = {
            {'b', "brokers", OPT_STR, &cli->brokers, "HOST:PORT,…",
                    "brokers to ask first (WEIR_BROKERS)", 0, 0},
            {0, "controller", OPT_STR, &cli->controller, "URL,…",
                    "controllers' HTTP endpoints (WEIR_CONTROLLER)", 0, 0},
            {'O', "output", OPT_STR, &g->format, "FORMAT", "table, wide, json, jsonl or name", 0,
                    0},
            {0, "timeout", OPT_STR, &g->timeout, "DURATION", "how long to try (30s)", 0, 0},
            {'y', "yes", OPT_FLAG, &cli->yes, NULL, "do not ask before destructive steps", 0, 0},
            {0, "dry-run", OPT_FLAG, &cli->dry_run, NULL, "show what would be done and do nothing",
                    0, 0},
            {0, "reason", OPT_STR, &cli->reason, "TEXT", "kept with the decision", 0, 0},
            {'v', "verbose", OPT_FLAG, &cli->verbose, NULL, "say more on stderr", 0, 0},
            {'h', "help", OPT_FLAG, &g->help, NULL, "this text", 0, 0},
    };

    memcpy(ret, opts, sizeof(opts));
    return COUNT_OF(opts);
}

static void print_options(const struct cli_opt *opts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char left[64];
        char letter[8] = "    ";
        if (opts[i].letter != 0) {
            (void)snprintf(letter, sizeof(letter), "-%c, ", opts[i].letter);
        }
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, opts[i].name,
                opts[i].arg != NULL ? " " : "", opts[i].arg != NULL ? opts[i].arg : "");
        printf("  %-28s %s\n", left, opts[i].text);
    }
}

static void print_help(const struct cli *cli,
        const struct cli_opt *opts,
        size_t n,
        const struct cli_opt *global,
        size_t n_global)
{
    const struct cli_command *c = cli->command;

    printf("weir %s%s%s: %s\n\n", c->noun, c->verb != NULL ? " " : "",
            c->verb != NULL ? c->verb : "", c->summary);
    printf("usage: weir %s%s%s %s\n", c->noun, c->verb != NULL ? " " : "",
            c->verb != NULL ? c->verb : "", c->usage);
    if (c->details[0] != '\0') {
        printf("\n%s", c->details);
    }
    if (n > 0) {
        printf("\noptions:\n");
        print_options(opts, n);
    }
    printf("\nglobal options:\n");
    print_options(global, n_global);
    printf("\nexamples:\n%s", c->examples);
}

static int usage_error(const struct cli *cli, const char *what)
{
    const struct cli_command *c = cli->command;
    char hint[160];

    (void)snprintf(hint, sizeof(hint),
            "usage: weir %s%s%s %s\n`weir help %s%s%s` shows options and examples.", c->noun,
            c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "", c->usage, c->noun,
            c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "");
    return cli_fail(EXIT_USAGE, hint, "%s", what);
}

static int take_value(struct cli *cli, const struct cli_opt *o, const char *value)
{
    char what[256];

    switch (o->kind) {
    case OPT_FLAG: *(bool *)o->into = true; return -1;
    case OPT_STR: *(const char **)o->into = value; return -1;
    case OPT_MANY: {
        struct cli_strings *s = o->into;
        s->items = mem_resize(s->items, s->n + 1, sizeof(*s->items));
        s->items[s->n++] = value;
        return -1;
    }
    case OPT_I64: break;
    }
    char *end = NULL;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    bool bounded = o->min != 0 || o->max != 0;
    if (errno != 0 || end == value || *end != '\0' || (bounded && (n < o->min || n > o->max))) {
        if (bounded) {
            (void)snprintf(what, sizeof(what),
                    "--%s takes a number from %" PRId64 " to %" PRId64 ", not `%s`", o->name,
                    o->min, o->max, value);
        } else {
            (void)snprintf(what, sizeof(what), "--%s takes a number, not `%s`", o->name, value);
        }
        return usage_error(cli, what);
    }
    *(int64_t *)o->into = n;
    return -1;
}

static int take_globals(struct cli *cli, const struct global_values *g)
{
    static const char *const formats[] = {"table", "wide", "json", "jsonl", "name"};

    if (cli->brokers == NULL) {
        cli->brokers = getenv("WEIR_BROKERS");
    }
    if (cli->brokers == NULL || cli->brokers[0] == '\0') {
        cli->brokers = "127.0.0.1:9190";
    }
    if (cli->controller == NULL) {
        cli->controller = getenv("WEIR_CONTROLLER");
    }
    if (cli->controller != NULL && cli->controller[0] == '\0') {
        cli->controller = NULL;
    }
    if (g->timeout != NULL && !cli_parse_duration_ms(g->timeout, &cli->timeout_ms)) {
        return usage_error(cli, "--timeout takes a duration such as 30s or 500ms");
    }
    if (strpbrk(cli->reason, "\r\n") != NULL) {
        return usage_error(cli, "--reason takes one line");
    }
    for (size_t i = 0; g->format != NULL && i <= COUNT_OF(formats); i++) {
        if (i == COUNT_OF(formats)) {
            return usage_error(cli, "--output takes table, wide, json, jsonl or name");
        }
        if (strcmp(g->format, formats[i]) == 0) {
            cli->format = (enum cli_format)i;
            cli->format_given = true;
            break;
        }
    }
    return -1;
}

/* The getopt tables for `n` options; long-only ones get codes above LONG_ONLY. */
static void make_getopt_tables(
        const struct cli_opt *opts, size_t n, char *shorts, struct option *longs)
{
    *shorts++ = ':';
    for (size_t i = 0; i < n; i++) {
        bool has_arg = opts[i].kind != OPT_FLAG;
        longs[i] = (struct option){.name = opts[i].name,
                .has_arg = has_arg ? required_argument : no_argument,
                .val = LONG_ONLY + (int)i};
        if (opts[i].letter != 0) {
            *shorts++ = opts[i].letter;
            if (has_arg) {
                *shorts++ = ':';
            }
        }
    }
    *shorts = '\0';
    longs[n] = (struct option){0};
}

static size_t option_index(const struct cli_opt *opts, size_t n, int code)
{
    for (size_t i = 0; i < n; i++) {
        if (code == LONG_ONLY + (int)i || (opts[i].letter != 0 && code == opts[i].letter)) {
            return i;
        }
    }
    return n;
}

int cli_parse(struct cli *cli,
        const struct cli_opt *opts,
        size_t n_opts,
        int argc,
        char **argv,
        const char **ret_args,
        int min_args,
        int max_args)
{
    struct cli_opt all[MAX_OPTS];
    struct option longs[MAX_OPTS + 1];
    char shorts[MAX_OPTS * 2 + 2];
    struct global_values g = {0};
    char what[256];
    int code;

    if (n_opts > 0) {
        memcpy(all, opts, n_opts * sizeof(*opts));
    }
    size_t n = n_opts + global_options(cli, &g, all + n_opts);
    must(n <= MAX_OPTS);
    make_getopt_tables(all, n, shorts, longs);
    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code == ':' || code == '?') {
            const char *culprit = argv[optind - 1];
            (void)snprintf(what, sizeof(what),
                    code == ':' ? "`%s` needs an argument" : "there is no option `%s` here",
                    culprit);
            return usage_error(cli, what);
        }
        size_t i = option_index(all, n, code);
        must(i < n);
        int stop = take_value(cli, &all[i], optarg);
        if (stop >= 0) {
            return stop;
        }
    }
    if (g.help) {
        print_help(cli, opts, n_opts, all + n_opts, n - n_opts);
        return EXIT_DONE;
    }
    n_args = argc - optind;
    if (n_args < min_args || n_args > max_args) {
        return usage_error(
                cli, n_args < min_args ? "an argument is missing" : "there are too many arguments");
    }
    for (int i = 0; i < n_args; i++) {
        ret_args[i] = argv[optind + i];
    }
    return take_globals(cli, &g);
}

void cli_strings_deinit(struct cli_strings *s)
{
    s->items = mem_free(s->items);
    s->n = 0;
}

int cli_fail(enum cli_exit code, const char *hint, const char *format, ...)
{
    va_list args;

    (void)fflush(stdout);
    fprintf(stderr, "error: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    if (hint[0] != '\0') {
        fprintf(stderr, "%s\n", hint);
    }
    return (int)code;
}

void cli_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
}

bool cli_stderr_is_tty(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) == 1 && (term == NULL || strcmp(term, "dumb") != 0);
}

bool cli_confirm(const struct cli *cli, const char *what, const char *name)
{
    return cli_confirm_either(cli, what, name, name);
}

bool cli_confirm_either(
        const struct cli *cli, const char *what, const char *name, const char *whole)
{
    char typed[300];

    if (cli->yes) {
        return true;
    }
    if (isatty(STDIN_FILENO) != 1) {
        (void)cli_fail(EXIT_USAGE, "Add -y to do it without being asked.",
                "%s needs to be confirmed", what);
        return false;
    }
    fprintf(stderr, "%s\nType `%s` to go on: ", what, name);
    if (fgets(typed, sizeof(typed), stdin) == NULL) {
        return false;
    }
    typed[strcspn(typed, "\n")] = '\0';
    if (strcmp(typed, name) != 0 && strcmp(typed, whole) != 0) {
        (void)cli_fail(EXIT_USAGE, "", "that was not `%s`: nothing was done", name);
        return false;
    }
    return true;
}
