/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/print.h"

#include "common/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool print_format_is_legal(const char *format)
{
    for (; *format != '\0'; format++) {
        if (*format == '%' || *format == '\\') {
            const char *known = *format == '%' ? "vkoptTh%" : "nt0\\r";
            format++;
            if (*format == '\0' || strchr(known, *format) == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool put(const void *bytes, size_t size)
{
    return size == 0 || fwrite(bytes, 1, size, stdout) == size;
}

static bool put_headers(const struct weir_batch *b, size_t i)
{
    struct weir_header h;
    bool ok = true;

    for (size_t n = 0; ok && weir_batch_header(b, i, n, &h); n++) {
        ok = (n == 0 || put(",", 1)) && put(h.name, strlen(h.name)) && put("=", 1) &&
             put(h.value.at, h.value.size);
    }
    return ok;
}

static bool put_directive(char directive, const struct weir_batch *b, size_t i)
{
    const struct weir_message *m = &weir_batch_messages(b)[i];

    switch (directive) {
    case 'v': return put(m->value.at, m->value.size);
    case 'k': return put(m->key.at, m->key.size);
    case 'o': return printf("%" PRId64, m->offset) >= 0;
    case 'p': return printf("%d", weir_batch_partition(b)) >= 0;
    case 't': return fputs(weir_batch_topic(b), stdout) >= 0;
    case 'T': return printf("%" PRId64, m->timestamp) >= 0;
    case 'h': return put_headers(b, i);
    default: return put(&directive, 1);
    }
}

static bool put_escape(char escape)
{
    static const char names[] = "nt0\\r";
    static const char values[] = {'\n', '\t', '\0', '\\', '\r'};
    const char *at = strchr(names, escape);

    must(at != NULL);
    return put(&values[at - names], 1);
}

static bool print_formatted(const char *format, const struct weir_batch *b, size_t i)
{
    bool ok = true;

    for (; ok && *format != '\0'; format++) {
        if (*format == '%') {
            ok = put_directive(*++format, b, i);
        } else if (*format == '\\') {
            ok = put_escape(*++format);
        } else {
            ok = put(format, 1);
        }
    }
    return ok;
}

/* Base64 (RFC 4648) for bytes that JSON text cannot hold. */
static json_t *base64(struct weir_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = bytes.at;
    struct buf out = {0};

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t n = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t word = (uint32_t)at[i] << 16 | (n > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                        (n > 2 ? at[i + 2] : 0u);
        char quad[4] = {digits[word >> 18], digits[word >> 12 & 63],
                n > 1 ? digits[word >> 6 & 63] : '=', n > 2 ? digits[word & 63] : '='};
        buf_append(&out, quad, 4);
    }
    json_t *text = json_stringn((const char *)out.data, out.size);
    buf_deinit(&out);
    return text;
}

void print_set_bytes(
        json_t *o, const char *name, const char *name_base64, struct weir_bytes bytes)
{
    json_t *text = bytes.at != NULL ? json_stringn(bytes.size > 0 ? bytes.at : "", bytes.size)
                                    : json_null();

    if (text != NULL) {
        json_object_set_new(o, name, text);
    } else {
        json_object_set_new(o, name_base64, base64(bytes));
    }
}

static bool print_json(const struct weir_batch *b, size_t i)
{
    const struct weir_message *m = &weir_batch_messages(b)[i];
    struct weir_header h;
    json_t *headers = json_array();
    json_t *o = json_pack("{s:s, s:i, s:I, s:I}", "topic", weir_batch_topic(b), "partition",
            weir_batch_partition(b), "offset", (json_int_t)m->offset, "timestamp",
            (json_int_t)m->timestamp);

    must(o != NULL);
    print_set_bytes(o, "key", "key_base64", m->key);
    print_set_bytes(o, "value", "value_base64", m->value);
    for (size_t n = 0; weir_batch_header(b, i, n, &h); n++) {
        json_t *header = json_object();
        print_set_bytes(header, "name", "name_base64",
                (struct weir_bytes){.at = h.name, .size = strlen(h.name)});
        print_set_bytes(header, "value", "value_base64", h.value);
        json_array_append_new(headers, header);
    }
    json_object_set_new(o, "headers", headers);
    char *line = json_dumps(o, JSON_COMPACT);
    must(line != NULL);
    bool ok = puts(line) >= 0;
    free(line);
    json_decref(o);
    return ok;
}

bool print_message(enum cli_format output, const char *format, const struct weir_batch *b, size_t i)
{
    const struct weir_message *m = &weir_batch_messages(b)[i];

    if (output == FORMAT_JSON || output == FORMAT_JSONL) {
        return print_json(b, i);
    }
    if (format != NULL) {
        return print_formatted(format, b, i);
    }
    return put(m->value.at, m->value.size) && put("\n", 1);
}
