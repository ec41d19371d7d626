/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/walk.h"

static bool count_items(const struct walk *w, struct bytes body, size_t *ret_n)
{
    struct reader r;
    struct scan_field f;
    size_t n = 0;

    reader_init(&r, body.at, body.size);
    while (scan_next(&r, &f)) {
        if (f.number == w->list_number) {
            if (f.type != WT_BYTES) {
                return false;
            }
            n++;
        }
    }
    *ret_n = n;
    return !r.failed;
}

int walk_list(
        const struct walk *w, struct bytes body, struct arena *a, void **ret_items, size_t *ret_n)
{
    struct reader r;
    struct scan_field f;
    size_t n = 0;
    size_t size = 0;
    uint8_t *items = NULL;
    int error = WIRE_E_FORM;

    if (!count_items(w, body, &n)) {
        return WIRE_E_FORM;
    }
    if (n > 0) {
        items = __builtin_mul_overflow(n, w->item_size, &size) ? NULL : arena_alloc(a, size);
        if (items == NULL) {
            return WIRE_E_MEMORY;
        }
    }
    reader_init(&r, body.at, body.size);
    for (size_t i = 0; scan_next(&r, &f);) {
        if (f.number == w->list_number) {
            if (!w->take(f.bytes, a, items + i * w->item_size, &error)) {
                return error;
            }
            i++;
        } else if (w->other != NULL && !w->other(&f, w->ctx)) {
            return WIRE_E_FORM;
        }
    }
    *ret_items = items;
    *ret_n = n;
    return 0;
}

bool walk_uuid(const struct scan_field *f, struct uuid *ret)
{
    if (f->type != WT_BYTES || (f->bytes.size != 0 && f->bytes.size != sizeof(ret->bytes))) {
        return false;
    }
    *ret = (struct uuid){0};
    if (f->bytes.size > 0) {
        memcpy(ret->bytes, f->bytes.at, sizeof(ret->bytes));
    }
    return true;
}

bool walk_count(const struct scan_field *f, int32_t *ret)
{
    if (f->type != WT_VARINT || (uint32_t)f->value > INT32_MAX) {
        return false;
    }
    *ret = (int32_t)(uint32_t)f->value;
    return true;
}

bool walk_sint32(const struct scan_field *f, int32_t *ret)
{
    *ret = scan_sint32(f->value);
    return f->type == WT_VARINT;
}

bool walk_sint64(const struct scan_field *f, int64_t *ret)
{
    *ret = scan_sint64(f->value);
    return f->type == WT_VARINT;
}

bool walk_bytes(const struct scan_field *f, struct bytes *ret)
{
    *ret = f->bytes;
    return f->type == WT_BYTES;
}
