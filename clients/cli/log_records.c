/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/log_dump.h"

#include "clients/cli/print.h"
#include "common/base/array.h"
#include "common/compress/compress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    PLAIN_MAX = 1024 * 1024 * 1024,
    SHOWN_MAX = 120, /* bytes of a key or value on a line for people */
    CONTROL_KEY_SIZE = 4,
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
};

const char *dump_records(const struct batch *b,
        struct buf *scratch,
        void (*each)(void *ctx, const struct batch *b, const struct record *r),
        void *ctx)
{
    struct record_iter it;
    struct record record;
    struct bytes plain;
    int r = batch_plain_records(b, PLAIN_MAX, scratch, &plain);

    if (r != 0) {
        return r == COMPRESS_E_CORRUPT ? "the compressed records are damaged"
               : r == COMPRESS_E_LIMIT ? "the records are larger than 1 GiB when decompressed"
                                       : "there is no memory to decompress the records";
    }
    record_iter_init(&it, b, plain.at, plain.size);
    while ((r = record_iter_next(&it, &record)) == 0) {
        each(ctx, b, &record);
    }
    return r == RECORD_END ? NULL : batch_error_text(r);
}

const char *dump_control_text(const struct record *r, char *text, size_t size)
{
    if (r->key.at == NULL || r->key.size < CONTROL_KEY_SIZE) {
        return "control, without a type";
    }
    const uint8_t *at = r->key.at;
    int type = at[2] << 8 | at[3]; /* behind a version of two bytes */
    if (type == CONTROL_ABORT || type == CONTROL_COMMIT) {
        return type == CONTROL_COMMIT ? "commit" : "abort";
    }
    (void)snprintf(text, size, "control %d", type);
    return text;
}

const char *dump_time_text(wall_ms t, char *text, size_t size)
{
    time_t s = (time_t)(t / 1000);
    char date[32];
    struct tm tm;

    if (t < 0 || gmtime_r(&s, &tm) == NULL ||
            strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        return "-";
    }
    (void)snprintf(text, size, "%s.%03dZ", date, (int)(t % 1000));
    return text;
}

static struct weir_bytes bytes_of(struct bytes b)
{
    return (struct weir_bytes){.at = b.at, .size = b.size};
}

/* Of at least one header's room: a record without any has no array to fill. */
static struct record_header *headers_of(const struct record *r, int *ret_n)
{
    struct record_header *headers = mem_new_n(struct record_header, (size_t)r->n_headers + 1);

    *ret_n = record_headers(r, headers, r->n_headers);
    return headers;
}

json_t *dump_record_json(const struct batch *b, const struct record *r)
{
    json_t *o = json_pack("{s:I, s:I}", "offset", (json_int_t)r->offset, "timestamp",
            (json_int_t)r->timestamp);
    json_t *list = json_array();
    char text[32];
    int n = 0;
    struct record_header *headers = headers_of(r, &n);

    must(o != NULL && list != NULL);
    print_set_bytes(o, "key", "key_base64", bytes_of(r->key));
    print_set_bytes(o, "value", "value_base64", bytes_of(r->value));
    for (int i = 0; i < n; i++) {
        json_t *header = json_object();
        print_set_bytes(header, "name", "name_base64", bytes_of(headers[i].name));
        print_set_bytes(header, "value", "value_base64", bytes_of(headers[i].value));
        json_array_append_new(list, header);
    }
    mem_free(headers);
    json_object_set_new(o, "headers", list);
    if ((b->attributes & BATCH_CONTROL) != 0) {
        json_object_set_new(o, "control", json_string(dump_control_text(r, text, sizeof(text))));
    }
    return o;
}

/* Printable ASCII as it is, the rest as \xHH, so that no record can draw on the terminal. */
static void put_bytes(const char *name, struct bytes b)
{
    const uint8_t *at = b.at;

    if (at == NULL) {
        printf("  %s null", name);
        return;
    }
    printf("  %s \"", name);
    for (size_t i = 0; i < b.size && i < SHOWN_MAX; i++) {
        if (at[i] >= ' ' && at[i] <= '~' && at[i] != '"' && at[i] != '\\') {
            putchar(at[i]);
        } else {
            printf("\\x%02x", at[i]);
        }
    }
    printf(b.size > SHOWN_MAX ? "\"… (%zu bytes)" : "\"", b.size);
}

void dump_record_print(const struct batch *b, const struct record *r)
{
    char time[48], control[32];
    int n = 0;

    printf("    %" PRId64 "  %s", r->offset, dump_time_text(r->timestamp, time, sizeof(time)));
    if ((b->attributes & BATCH_CONTROL) != 0) {
        printf("  %s\n", dump_control_text(r, control, sizeof(control)));
        return;
    }
    put_bytes("key", r->key);
    put_bytes("value", r->value);
    struct record_header *headers = headers_of(r, &n);
    for (int i = 0; i < n; i++) {
        put_bytes("header", headers[i].name);
        put_bytes("=", headers[i].value);
    }
    mem_free(headers);
    putchar('\n');
}
