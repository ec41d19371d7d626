/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/cli.h"

#include "common/base/array.h"
#include "common/net/loop.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct cli_table {
    size_t n_columns, n_rows;
    char **cells; /* the heads first */
};

static void add_row(struct cli_table *t, const char *const *cells)
{
    t->cells = mem_resize(t->cells, (t->n_rows + 1) * t->n_columns, sizeof(*t->cells));
    for (size_t i = 0; i < t->n_columns; i++) {
        t->cells[t->n_rows * t->n_columns + i] = mem_strdup(cells[i] != NULL ? cells[i] : "-");
    }
    t->n_rows++;
}

struct cli_table *cli_table_new(const char *const *heads, size_t n_columns)
{
    struct cli_table *t = mem_new(struct cli_table);

    t->n_columns = n_columns;
    add_row(t, heads);
    return t;
}

void cli_table_add(struct cli_table *t, const char *const *cells)
{
    add_row(t, cells);
}

void cli_table_print_free(struct cli_table *t)
{
    size_t *widths = mem_new_n(size_t, t->n_columns);

    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
        size_t width = strlen(t->cells[i]);
        if (width > widths[i % t->n_columns]) {
            widths[i % t->n_columns] = width;
        }
    }
    for (size_t row = 0; row < t->n_rows; row++) {
        for (size_t i = 0; i < t->n_columns; i++) {
            const char *cell = t->cells[row * t->n_columns + i];
            if (i + 1 == t->n_columns) {
                printf("%s\n", cell);
            } else {
                printf("%-*s  ", (int)widths[i], cell);
            }
        }
    }
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
        mem_free(t->cells[i]);
    }
    mem_free(t->cells);
    mem_free(widths);
    mem_free(t);
}

char *cli_size_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    uint64_t tenths = bytes * 10;

    if (bytes < 1024 || bytes > UINT64_MAX / 10) {
        (void)snprintf(text, size, "%" PRIu64 " B", bytes);
        return text;
    }
    while (tenths >= 10240 && unit + 1 < COUNT_OF(units)) {
        tenths = (tenths + 512) / 1024;
        unit++;
    }
    (void)snprintf(text, size, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[unit]);
    return text;
}

char *cli_duration_text(int64_t ms, char *text, size_t size)
{
    if (ms < 1000) {
        (void)snprintf(text, size, "%" PRId64 " ms", ms);
    } else if (ms < 60000) {
        (void)snprintf(text, size, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    } else if (ms < 3600000) {
        (void)snprintf(text, size, "%" PRId64 " m %" PRId64 " s", ms / 60000, ms / 1000 % 60);
    } else if (ms < 86400000) {
        (void)snprintf(text, size, "%" PRId64 " h %" PRId64 " m", ms / 3600000, ms / 60000 % 60);
    } else {
        (void)snprintf(text, size, "%" PRId64 " d %" PRId64 " h", ms / 86400000, ms / 3600000 % 24);
    }
    return text;
}

struct suffix {
    const char *text;
    int64_t factor;
};

static bool parse_scaled(const char *text, const struct suffix *suffixes, size_t n, int64_t *ret)
{
    char *end = NULL;
    int64_t value = 0;

    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    value = strtoll(text, &end, 10);
    for (size_t i = 0; errno == 0 && i < n; i++) {
        int64_t scaled = 0;
        if (strcasecmp(end, suffixes[i].text) == 0 &&
                !__builtin_mul_overflow(value, suffixes[i].factor, &scaled)) {
            *ret = scaled;
            return true;
        }
    }
    return false;
}

bool cli_parse_size(const char *text, int64_t *ret)
{
    static const struct suffix sizes[] = {{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024},
            {"GiB", 1024 * 1024 * 1024}, {"TiB", 1024LL * 1024 * 1024 * 1024}, {"K", 1024},
            {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}};
    return parse_scaled(text, sizes, COUNT_OF(sizes), ret);
}

bool cli_parse_duration_ms(const char *text, int64_t *ret)
{
    static const struct suffix times[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
            {"d", 86400000}, {"w", 604800000}};
    return parse_scaled(text, times, COUNT_OF(times), ret);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

bool cli_parse_time(const char *text, int64_t *ret)
{
    struct tm tm = {0};
    int64_t ms = 0;
    char *end = NULL;

    if (text[0] == '-' && cli_parse_duration_ms(text + 1, &ms)) {
        *ret = clock_wall() - ms;
        return true;
    }
    if (strcmp(text, "now") == 0) {
        *ret = clock_wall();
        return true;
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && number >= 0) {
        *ret = number < 100000000000 ? number * 1000 : number; /* seconds or milliseconds */
        return true;
    }
    static const char *const formats[] = {
            "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        const char *rest = strptime(text, formats[i], &tm);
        if (rest != NULL && *rest == '\0') {
            *ret = (int64_t)timegm(&tm) * 1000;
            return true;
        }
        tm = (struct tm){0};
    }
    return false;
}

char *cli_parse_partition(const char *text, int64_t *ret_number)
{
    const char *slash = strrchr(text, '/');
    char *end = NULL;

    if (slash == NULL || slash == text || slash[1] < '0' || slash[1] > '9') {
        return NULL;
    }
    *ret_number = strtol(slash + 1, &end, 10);
    return *end == '\0' ? mem_strndup(text, (size_t)(slash - text)) : NULL;
}
