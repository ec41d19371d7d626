/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/history_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_SIZE = 1024 * 1024,
    LINE_SIZE_MAX = 256 * 1024 * 1024
};

/* --- Reading ---------------------------------------------------------------------------------- */

struct file_read {
    struct history *history;
    FILE *file;
    const char *path;
    char *bytes;
    size_t size, room;
    uint64_t n_lines;
    char *error;
    size_t error_size;
};

static int add_lines(struct file_read *r)
{
    const char *at = r->bytes;
    const char *end = r->bytes + r->size;
    char why[256];

    for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at))) != NULL;
            at = newline + 1) {
        r->n_lines++;
        if (history_add_line(r->history, at, (size_t)(newline - at), why, sizeof(why)) != 0) {
            (void)snprintf(r->error, r->error_size, "%s:%" PRIu64 ": %s", r->path, r->n_lines, why);
            return HISTORY_E_REFUSED;
        }
    }
    r->size = (size_t)(end - at);
    memmove(r->bytes, at, r->size);
    return 0;
}

/* Room for more behind what is there of a line. */
static int make_room(struct file_read *r)
{
    if (r->room - r->size >= READ_SIZE) {
        return 0;
    }
    if (r->room >= LINE_SIZE_MAX) {
        (void)snprintf(r->error, r->error_size, "%s:%" PRIu64 ": the line is too long", r->path,
                r->n_lines + 1);
        return HISTORY_E_REFUSED;
    }
    r->room = r->room * 2 + 2 * READ_SIZE;
    r->bytes = mem_resize(r->bytes, r->room, 1);
    return 0;
}

static int read_all(struct file_read *r)
{
    for (;;) {
        int e = make_room(r);
        if (e != 0) {
            return e;
        }
        size_t n = fread(r->bytes + r->size, 1, READ_SIZE, r->file);
        if (n == 0 && ferror(r->file) != 0) {
            (void)snprintf(r->error, r->error_size, "%s: %s", r->path, strerror(errno));
            return err_origin(-EIO);
        }
        if (n == 0) {
            return 0;
        }
        r->size += n;
        e = add_lines(r);
        if (e != 0) {
            return e;
        }
    }
}

int history_read_file(struct history *h, const char *path, char *error, size_t error_size)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct file_read r = {.history = h,
            .file = is_stdin ? stdin : fopen(path, "re"),
            .path = path,
            .error = error,
            .error_size = error_size};

    if (r.file == NULL) {
        int e = errno;
        (void)snprintf(error, error_size, "%s: %s", path, strerror(e));
        return err_origin(-e);
    }
    history_begin_file(h, path);
    int result = read_all(&r);
    mem_free(r.bytes);
    if (!is_stdin) {
        (void)fclose(r.file); /* it was read only */
    }
    return result;
}

/* --- Writing ---------------------------------------------------------------------------------- */

void history_writer_deinit(struct history_writer *w)
{
    buf_deinit(&w->line);
}

void history_line(
        struct history_writer *w, int64_t process, int64_t t, const char *type, const char *f)
{
    buf_clear(&w->line);
    buf_append_format(&w->line,
            "{\"i\":%" PRIu64 ",\"process\":%" PRId64 ",\"t\":%" PRId64
            ",\"type\":\"%s\",\"f\":\"%s\",\"value\":",
            w->next_i++, process, t, type, f);
}

void history_line_end(struct history_writer *w)
{
    char why[256];

    buf_append_str(&w->line, "}\n");
    if (w->history != NULL && history_add_line(w->history, (const char *)w->line.data,
                                      w->line.size - 1, why, sizeof(why)) != 0) {
        fprintf(stderr, "history: %s: %.*s", why, (int)w->line.size, (const char *)w->line.data);
        must_not_reach("a history refuses the line that its own writer made");
    }
    if (w->file != NULL && w->error == 0 &&
            fwrite(w->line.data, 1, w->line.size, w->file) != w->line.size) {
        w->error = errno;
    }
}

static void append_send(struct history_writer *w, const struct history_send *send)
{
    buf_append_format(
            &w->line, "[\"%s\",%" PRId32 ",\"%s\"", send->topic, send->partition, send->value);
}

void history_write_invoke(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        uint64_t hash)
{
    history_line(w, process, t, "invoke", "send");
    append_send(w, send);
    buf_append_format(&w->line, ",\"%016" PRIx64 "\"]", hash);
    history_line_end(w);
}

void history_write_acked(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        int64_t offset)
{
    history_line(w, process, t, "ok", "send");
    append_send(w, send);
    if (offset >= 0) {
        buf_append_format(&w->line, ",%" PRId64 "]", offset);
    } else {
        buf_append_str(&w->line, ",null]");
    }
    history_line_end(w);
}

void history_write_not_acked(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        bool is_certain)
{
    history_line(w, process, t, is_certain ? "fail" : "info", "send");
    append_send(w, send);
    buf_append_str(&w->line, "]");
    history_line_end(w);
}

void history_write_producer(struct history_writer *w,
        int64_t process,
        int64_t t,
        const char *acks,
        bool is_idempotent,
        size_t n_replicas)
{
    history_line(w, process, t, "ok", "producer");
    buf_append_format(&w->line, "{\"acks\":\"%s\",\"idempotent\":%s,\"replicas\":%zu}", acks,
            is_idempotent ? "true" : "false", n_replicas);
    history_line_end(w);
}

void history_write_bare(
        struct history_writer *w, int64_t process, int64_t t, const char *type, const char *f)
{
    history_line(w, process, t, type, f);
    buf_append_str(&w->line, "null");
    history_line_end(w);
}

void history_item(struct history_writer *w, const char *topic, int32_t partition)
{
    bool is_first = w->line.data[w->line.size - 1] == '[';

    buf_append_format(&w->line, "%s[\"%s\",%" PRId32, is_first ? "" : ",", topic, partition);
}

void history_record(struct history_writer *w, int64_t offset, const char *value, uint64_t hash)
{
    bool is_first = w->line.data[w->line.size - 1] == '[';

    buf_append_format(&w->line, "%s[%" PRId64 ",", is_first ? "" : ",", offset);
    if (value != NULL) {
        buf_append_format(&w->line, "\"%s\"", value);
    } else {
        buf_append_str(&w->line, "null");
    }
    buf_append_format(&w->line, ",\"%016" PRIx64 "\"]", hash);
}
