/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/journal_record.h"

#include <string.h>

static const char gap_header[] = "gap";

static int read_gap(const struct record *r, struct journal_record *ret)
{
    struct record_header h;

    if (r->n_headers != 1 || record_headers(r, &h, 1) != 1 || h.name.size != strlen(gap_header) ||
            memcmp(h.name.at, gap_header, h.name.size) != 0 || h.value.at == NULL ||
            h.value.size != 8 || r->value.size > JOURNAL_WHY_MAX) {
        return JOURNAL_E_FORM;
    }
    uint64_t to = load_be64(h.value.at);

    if (to < load_be64(r->key.at) || to == UINT64_MAX) {
        return JOURNAL_E_FORM;
    }
    *ret = (struct journal_record){
            .is_gap = true, .from = load_be64(r->key.at), .to = to, .value = r->value};
    return 0;
}

int journal_record_read(const struct record *r, struct journal_record *ret)
{
    if (r->key.at == NULL || r->key.size != 8 || r->value.at == NULL) {
        return JOURNAL_E_FORM;
    }
    uint64_t index = load_be64(r->key.at);

    if (index == 0 || index == UINT64_MAX) {
        return JOURNAL_E_FORM;
    }
    if (r->n_headers != 0) {
        return read_gap(r, ret);
    }
    *ret = (struct journal_record){.from = index, .to = index, .value = r->value};
    return 0;
}

void journal_record_add(struct batch_builder *bb, uint64_t index, struct bytes batch, wall_ms at)
{
    uint8_t key[8];
    const struct record r = {.timestamp = at, .key = {key, sizeof(key)}, .value = batch};

    store_be64(key, index);
    batch_builder_add(bb, &r, NULL);
}

void journal_record_add_gap(
        struct batch_builder *bb, uint64_t from, uint64_t to, const char *why, wall_ms at)
{
    uint8_t key[8], last[8];
    const struct record r = {.timestamp = at,
            .key = {key, sizeof(key)},
            .value = {(const uint8_t *)why, strlen(why)},
            .n_headers = 1};
    const struct record_header h = {.name = {(const uint8_t *)gap_header, strlen(gap_header)},
            .value = {last, sizeof(last)}};

    store_be64(key, from);
    store_be64(last, to);
    batch_builder_add(bb, &r, &h);
}

offset64 journal_records_walk(struct bytes records,
        void (*fn)(void *ctx, offset64 offset, const struct journal_record *r),
        void *ctx)
{
    offset64 next = OFFSET_NONE;
    struct batch b;

    while (records.size > 0 && batch_parse(records.at, records.size, &b) == 0) {
        struct record_iter it;
        struct record r;
        struct journal_record j;
        bool is_readable = batch_crc_is_right(&b) && batch_codec(&b) == CODEC_NONE;
        record_iter_init(&it, &b, b.bytes + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE);
        while (is_readable && record_iter_next(&it, &r) == 0) {
            if (journal_record_read(&r, &j) == 0) {
                fn(ctx, r.offset, &j);
            }
        }
        next = batch_last_offset(&b) + 1;
        records = (struct bytes){records.at + b.size, records.size - b.size};
    }
    return next;
}
