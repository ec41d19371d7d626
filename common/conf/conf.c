/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/conf.h"

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_SIZE_MAX = 1 << 20,
    MESSAGE_SIZE = 1024
};

struct conf_value {
    char *text; /* NULL = neither given nor defaulted */
    int64_t i64;
    bool is_set;
    unsigned line; /* of the text now being loaded; 0 = not in it */
};

struct conf {
    const struct conf_key *keys;
    size_t n_keys;
    struct conf_value *values; /* one a key */
};

struct conf *conf_new(const struct conf_key *keys, size_t n_keys)
{
    struct conf *c = mem_new(struct conf);
    char error[MESSAGE_SIZE];

    c->keys = keys;
    c->n_keys = n_keys;
    c->values = mem_new_n(struct conf_value, n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].fallback != NULL) {
            int r = conf_check_value(
                    &keys[i], keys[i].fallback, &c->values[i].i64, error, sizeof(error));
            must(r == 0);
            c->values[i].text = mem_strdup(keys[i].fallback);
        }
    }
    return c;
}

struct conf *conf_free(struct conf *c)
{
    if (c != NULL) {
        for (size_t i = 0; i < c->n_keys; i++) {
            mem_free(c->values[i].text);
        }
        mem_free(c->values);
    }
    return mem_free(c);
}

const struct conf_key *conf_keys(const struct conf *c, size_t *ret_n)
{
    *ret_n = c->n_keys;
    return c->keys;
}

/* --- Lines of refusals ------------------------------------------------------------------------ */

enum {
    LINES_RESERVE = 32
}; /* for "and N more" */

void lines_init(struct lines *l, char *text, size_t size)
{
    must(size > 0);
    *l = (struct lines){.text = text, .size = size};
    text[0] = '\0';
}

void lines_add(struct lines *l, const char *format, ...)
{
    char line[2 * MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t size = strlen(line);
    size_t room = l->size - l->at;
    if (l->n > 0 && room < size + 2 + LINES_RESERVE) {
        l->n_dropped++;
        return;
    }
    (void)snprintf(l->text + l->at, room, "%s%s", l->n > 0 ? "\n" : "", line);
    l->at += strlen(l->text + l->at);
    l->n++;
}

void lines_end(struct lines *l)
{
    if (l->n_dropped > 0) {
        (void)snprintf(l->text + l->at, l->size - l->at, "\nand %u more", l->n_dropped);
    }
}

/* --- Loading ---------------------------------------------------------------------------------- */

/* `name` = `value`, both NUL-terminated; `line` 0 = from the command line. */
static int assign(struct conf *c,
        const char *name,
        const char *value,
        unsigned line,
        char *error,
        size_t error_size)
{
    const struct conf_key *key = conf_find_key(c->keys, c->n_keys, name);
    int64_t i64 = 0;

    if (key == NULL) {
        conf_explain_unknown(c->keys, c->n_keys, name, error, error_size);
        return CONF_E_REFUSED;
    }
    struct conf_value *v = &c->values[key - c->keys];
    if (line > 0 && v->line > 0) {
        (void)snprintf(error, error_size, "%s is given again; it stands in line %u", name, v->line);
        return CONF_E_REFUSED;
    }
    int r = conf_check_value(key, value, &i64, error, error_size);
    if (r != 0) {
        return r;
    }
    mem_free(v->text);
    v->text = mem_strdup(value);
    v->i64 = i64;
    v->is_set = true;
    v->line = line;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* A copy of the bytes without blanks at both ends. */
static char *trimmed(const char *at, size_t size)
{
    while (size > 0 && is_blank(at[0])) {
        at++;
        size--;
    }
    while (size > 0 && is_blank(at[size - 1])) {
        size--;
    }
    return mem_strndup(at, size);
}

DEFINE_CLEANUP(char *, mem_free)

static int load_line(struct conf *c,
        unsigned number,
        const char *at,
        size_t size,
        char *error,
        size_t error_size)
{
    const char *equals = memchr(at, '=', size);

    if (memchr(at, '\0', size) != NULL) {
        (void)snprintf(error, error_size, "the line holds a NUL byte: this is not a text file");
        return CONF_E_REFUSED;
    }
    CLEANUP(mem_free_p) char *whole = trimmed(at, size);
    if (whole[0] == '\0' || whole[0] == '#') {
        return 0;
    }
    if (equals == NULL) {
        char shown[CONF_PRINTABLE_SIZE];
        (void)snprintf(error, error_size, "\"%s\" has no '='; write key = value",
                conf_printable(whole, shown));
        return CONF_E_REFUSED;
    }
    size_t name_size = (size_t)(equals - at);
    CLEANUP(mem_free_p) char *name = trimmed(at, name_size);
    CLEANUP(mem_free_p) char *value = trimmed(equals + 1, size - name_size - 1);
    return assign(c, name, value, number, error, error_size);
}

int conf_load_text(struct conf *c,
        const char *origin,
        const char *text,
        size_t size,
        char *error,
        size_t error_size)
{
    struct lines lines;
    char message[MESSAGE_SIZE];
    unsigned number = 0;

    lines_init(&lines, error, error_size);
    for (size_t i = 0; i < c->n_keys; i++) {
        c->values[i].line = 0;
    }
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        size_t line_size = newline != NULL ? (size_t)(newline - text) - at : size - at;
        number++;
        if (load_line(c, number, text + at, line_size, message, sizeof(message)) != 0) {
            lines_add(&lines, "%s:%u: %s", origin, number, message);
        }
        at += line_size + 1;
    }
    lines_end(&lines);
    return lines.n > 0 ? CONF_E_REFUSED : 0;
}

/* Reads all of the file. 0, or an errno (positive: it ends in a sentence). */
static int read_file(const char *path, struct buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int e = 0;

    if (fd < 0) {
        return errno;
    }
    while (e == 0) {
        uint8_t chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0) {
            break;
        }
        if (n < 0) {
            e = errno == EINTR ? 0 : errno;
            continue;
        }
        buf_append(ret, chunk, (size_t)n);
        e = ret->failed ? EFBIG : 0;
    }
    (void)close(fd); /* nothing was written */
    return e;
}

int conf_load_file(struct conf *c, const char *path, char *error, size_t error_size)
{
    CLEANUP(buf_deinit) struct buf text = {.limit = FILE_SIZE_MAX};
    int e = read_file(path, &text);

    if (e != 0) {
        (void)snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(e));
        return CONF_E_REFUSED;
    }
    return conf_load_text(c, path, (const char *)text.data, text.size, error, error_size);
}

int conf_set(struct conf *c, const char *assignment, char *error, size_t error_size)
{
    const char *equals = strchr(assignment, '=');
    char message[MESSAGE_SIZE];
    char shown[CONF_PRINTABLE_SIZE];

    if (equals == NULL) {
        (void)snprintf(
                error, error_size, "--set %s: write key=value", conf_printable(assignment, shown));
        return CONF_E_REFUSED;
    }
    CLEANUP(mem_free_p) char *name = trimmed(assignment, (size_t)(equals - assignment));
    CLEANUP(mem_free_p) char *value = trimmed(equals + 1, strlen(equals + 1));
    int r = assign(c, name, value, 0, message, sizeof(message));
    if (r != 0) {
        (void)snprintf(
                error, error_size, "--set %s: %s", conf_printable(assignment, shown), message);
    }
    return r;
}

int conf_finish(struct conf *c, char *error, size_t error_size)
{
    struct lines lines;

    lines_init(&lines, error, error_size);
    for (size_t i = 0; i < c->n_keys; i++) {
        const struct conf_key *key = &c->keys[i];
        if (c->values[i].text == NULL) {
            lines_add(&lines,
                    "%s is missing: give it in the configuration file or with --set %s=... (%s)",
                    key->name, key->name, key->text);
        }
    }
    lines_end(&lines);
    return lines.n > 0 ? CONF_E_REFUSED : 0;
}

/* --- Getters ---------------------------------------------------------------------------------- */

static const struct conf_value *value_of(
        const struct conf *c, const char *name, const struct conf_key **ret_key)
{
    const struct conf_key *key = conf_find_key(c->keys, c->n_keys, name);

    must(key != NULL);
    *ret_key = key;
    return &c->values[key - c->keys];
}

const char *conf_str(const struct conf *c, const char *key)
{
    const struct conf_key *row = NULL;
    const struct conf_value *v = value_of(c, key, &row);

    must(row->type == CONF_STRING || row->type == CONF_LIST || row->type == CONF_ENUM ||
            row->type == CONF_RATIO);
    must(v->text != NULL);
    return v->text;
}

int64_t conf_i64(const struct conf *c, const char *key)
{
    const struct conf_key *row = NULL;
    const struct conf_value *v = value_of(c, key, &row);

    must(row->type == CONF_I64);
    must(v->text != NULL);
    return v->i64;
}

int64_t conf_ratio(const struct conf *c, const char *key)
{
    const struct conf_key *row = NULL;
    const struct conf_value *v = value_of(c, key, &row);

    must(row->type == CONF_RATIO);
    must(v->text != NULL);
    return v->i64;
}

bool conf_bool(const struct conf *c, const char *key)
{
    const struct conf_key *row = NULL;
    const struct conf_value *v = value_of(c, key, &row);

    must(row->type == CONF_BOOL);
    must(v->text != NULL);
    return v->i64 != 0;
}

bool conf_is_set(const struct conf *c, const char *key)
{
    const struct conf_key *row = NULL;

    return value_of(c, key, &row)->is_set;
}
