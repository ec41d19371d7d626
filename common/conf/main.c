/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/must.h"
#include "common/conf/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ERROR_SIZE = 16384,
    GO_ON = 0,
    EXIT_DONE = 1,
    EXIT_USAGE = 2
};

/* --- Help ------------------------------------------------------------------------------------- */

static const char *type_word(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_STRING: return "text";
    case CONF_LIST: return "list";
    case CONF_BOOL: return "true|false";
    case CONF_ENUM: return key->choices;
    case CONF_RATIO: return "decimal";
    case CONF_I64: break;
    }
    switch (key->unit) {
    case CONF_UNIT_NONE: return "number";
    case CONF_UNIT_MS: return "ms";
    case CONF_UNIT_BYTES: return "bytes";
    }
    must_not_reach("a type that is none");
}

/* "1000 … 300000" or nothing. */
static const char *range_of(const struct conf_key *key, char text[64])
{
    text[0] = '\0';
    if (key->type == CONF_I64) {
        (void)snprintf(text, 64, "%" PRId64 " to %" PRId64, key->min, key->max);
    } else if (key->type == CONF_RATIO) {
        char least[CONF_RATIO_SIZE], most[CONF_RATIO_SIZE];
        (void)snprintf(text, 64, "%.20s to %.20s", conf_ratio_text(key->min, least),
                conf_ratio_text(key->max, most));
    } else if (key->type == CONF_LIST && key->choices != NULL) {
        (void)snprintf(text, 64, "%.60s", key->choices);
    }
    return text;
}

/* For a daemon's keys; all others are dynamic by their nature. */
static const char *dynamic_mark(const struct conf_key *key)
{
    return key->scope == CONF_DAEMON && key->is_dynamic ? "; dynamic" : "";
}

void conf_print_help(const struct conf *c, const char *program, const char *about)
{
    size_t n = 0;
    const struct conf_key *keys = conf_keys(c, &n);
    char range[64];

    printf("%s: %s\n\n"
           "usage: %s [--config FILE] [--set KEY=VALUE]...\n\n"
           "  --config FILE      read `key = value` lines; '#' begins a comment line\n"
           "  --set KEY=VALUE    on top of the file; may be repeated\n"
           "  --help             this text\n"
           "  --help-markdown    the keys as a Markdown table\n"
           "  --version          name and version\n\n"
           "Durations take ms, s, m, h, d behind the number, sizes KiB, MiB, GiB. A dynamic key "
           "may also be changed\nwhile the program runs: weir broker config set, weir cluster "
           "config set.\n\n"
           "keys:\n",
            program, about, program);
    for (size_t i = 0; i < n; i++) {
        const struct conf_key *key = &keys[i];
        (void)range_of(key, range);
        printf("  %s\n      %s\n      %s%s%s; %s%s%s\n", key->name, key->text, type_word(key),
                range[0] != '\0' ? ", " : "", range,
                key->fallback == NULL      ? "mandatory"
                : key->fallback[0] == '\0' ? "default: empty"
                                           : "default: ",
                key->fallback != NULL ? key->fallback : "", dynamic_mark(key));
    }
}

/* A table cell: '|' would end it. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

void conf_print_markdown(const struct conf_key *keys, size_t n_keys)
{
    char range[64];

    printf("| key | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n_keys; i++) {
        const struct conf_key *key = &keys[i];
        bool has_default = key->fallback != NULL && key->fallback[0] != '\0';
        printf("| `%s` | ", key->name);
        print_cell(type_word(key));
        printf(" | %s%s%s | ", has_default ? "`" : "",
                has_default             ? key->fallback
                : key->fallback == NULL ? "**mandatory**"
                                        : "empty",
                has_default ? "`" : "");
        print_cell(range_of(key, range));
        printf(" | ");
        print_cell(key->text);
        printf("%s |\n", dynamic_mark(key)[0] != '\0' ? " *Dynamic.*" : "");
    }
}

/* --- The command line ------------------------------------------------------------------------- */

static int refuse(const char *program, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", program, why);
    return EXIT_USAGE;
}

/* The value of option `name` at argv[*i], which may be `name=value` or the next argument. NULL
 * when argv[*i] is another option; "" with *i == argc when the value is missing. */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
    size_t size = strlen(name);

    if (strncmp(argv[*i], name, size) != 0 || (argv[*i][size] != '\0' && argv[*i][size] != '=')) {
        return NULL;
    }
    if (argv[*i][size] == '=') {
        return argv[*i] + size + 1;
    }
    ++*i;
    return *i < argc ? argv[*i] : "";
}

/* What prints and ends: help and version. */
static int print_and_end(struct conf *c, const char *program, const char *about, const char *arg)
{
    size_t n = 0;
    const struct conf_key *keys = conf_keys(c, &n);

    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        conf_print_help(c, program, about);
        return EXIT_DONE;
    }
    if (strcmp(arg, "--help-markdown") == 0) {
        conf_print_markdown(keys, n);
        return EXIT_DONE;
    }
    if (strcmp(arg, "--version") == 0) {
        printf("%s %s\n", program, WEIR_VERSION);
        return EXIT_DONE;
    }
    return GO_ON;
}

enum pass {
    PASS_FILES,
    PASS_SETS
};

static int walk_arguments(
        struct conf *c, const char *program, int argc, char **argv, enum pass pass)
{
    char error[ERROR_SIZE];
    int r = 0;

    for (int i = 1; i < argc && r == 0; i++) {
        const char *arg = argv[i];
        const char *file = option_value("--config", argc, argv, &i);
        const char *set = file == NULL ? option_value("--set", argc, argv, &i) : NULL;
        if (i >= argc) {
            (void)snprintf(error, sizeof(error), "%s needs a value; see %s --help", arg, program);
            return refuse(program, error);
        }
        if (file == NULL && set == NULL) {
            char shown[CONF_PRINTABLE_SIZE];
            (void)snprintf(error, sizeof(error), "unknown argument \"%s\"; see %s --help",
                    conf_printable(arg, shown), program);
            return refuse(program, error);
        }
        if (file != NULL && pass == PASS_FILES) {
            r = conf_load_file(c, file, error, sizeof(error));
        } else if (set != NULL && pass == PASS_SETS) {
            r = conf_set(c, set, error, sizeof(error));
        }
    }
    return r != 0 ? refuse(program, error) : GO_ON;
}

int conf_main(struct conf *c, const char *program, const char *about, int argc, char **argv)
{
    char error[ERROR_SIZE];
    int r = GO_ON;

    for (int i = 1; i < argc && r == GO_ON; i++) {
        r = print_and_end(c, program, about, argv[i]);
    }
    if (r == GO_ON) {
        r = walk_arguments(c, program, argc, argv, PASS_FILES);
    }
    if (r == GO_ON) {
        r = walk_arguments(c, program, argc, argv, PASS_SETS);
    }
    if (r == GO_ON && conf_finish(c, error, sizeof(error)) != 0) {
        r = refuse(program, error);
    }
    return r;
}
