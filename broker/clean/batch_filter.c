/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/batch_filter.h"

#include "common/base/must.h"
#include "common/compress/compress.h"

#include <errno.h>

/* What was found of a batch's records. */
struct sorted {
    int32_t n_kept;
    wall_ms max_timestamp; /* of what is kept */
    bool has_horizon;      /* one is to be set */
};

static bool keeps(const struct filter_rules *rules, const struct record *r)
{
    if (rules->head.marker != CLEANING_NO_MARKER) {
        return true;
    }
    if (r->key.at == NULL) { /* [LOG-45] From before the topic was compacted: it has no newest record to be. */
        return r->offset >= rules->end;
    }
    offset64 newest = r->offset < rules->end ? rules->newest(rules->ctx, r->key) : OFFSET_NONE;
    return cleaning_keeps_record(
            &rules->head, r->offset, r->value.at != NULL, newest, rules->end, rules->now);
}

/* [LOG-46] A tombstone that stays, or a marker that may go later, starts the clock. */
static bool wants_horizon(const struct filter_rules *rules, const struct record *r)
{
    if (rules->head.horizon >= 0) {
        return false;
    }
    if (rules->head.marker != CLEANING_NO_MARKER) {
        return rules->judgement.wants_horizon;
    }
    return r->value.at == NULL && r->offset < rules->end;
}

/* Copies what is kept to f->kept. > 0: BAD. */
static int sort(struct batch_filter *f,
        const struct batch *b,
        const struct filter_rules *rules,
        struct bytes plain,
        struct sorted *ret)
{
    struct sorted s = {.max_timestamp = -1};
    struct record_iter it;
    struct record r;
    int e;

    record_iter_init(&it, b, plain.at, plain.size);
    while ((e = record_iter_next(&it, &r)) == 0) {
        if (!keeps(rules, &r)) {
            continue;
        }
        s.max_timestamp = s.n_kept == 0 || r.timestamp > s.max_timestamp ? r.timestamp : s.max_timestamp;
        s.has_horizon = s.has_horizon || wants_horizon(rules, &r);
        s.n_kept++;
        buf_append(&f->kept, r.raw.at, r.raw.size);
    }
    if (e != RECORD_END) {
        return BATCH_FILTER_E_BAD;
    }
    *ret = s;
    return 0;
}

/* Timestamps stand relative to the base, which is the horizon from now on: the records are written anew. */
static int rebase(struct batch_filter *f, const struct batch *b, wall_ms horizon, int32_t n_kept)
{
    struct batch kept = *b;
    struct buf in = f->kept;
    struct record_iter it;
    struct record r;
    int e;

    kept.n_records = n_kept;
    f->kept = (struct buf){0};
    record_iter_init(&it, &kept, in.data, in.size);
    while ((e = record_iter_next(&it, &r)) == 0) {
        struct reader raw;
        reader_init(&raw, r.raw.at, r.raw.size);
        (void)reader_varint(&raw); /* length */
        uint8_t attributes = reader_u8(&raw);
        int64_t old_delta = reader_varint(&raw);
        int64_t delta = (int64_t)((uint64_t)b->base_timestamp + (uint64_t)old_delta - (uint64_t)horizon);
        size_t rest = reader_left(&raw);
        buf_varint(&f->kept, (int64_t)(1 + varint_size(delta) + rest));
        buf_u8(&f->kept, attributes);
        buf_varint(&f->kept, delta);
        buf_append(&f->kept, raw.at, rest);
    }
    buf_deinit(&in);
    return e == RECORD_END ? 0 : BATCH_FILTER_E_BAD;
}

/* Another batch around f->kept. Negative: -ENOMEM. > 0: BAD. */
static int build(
        struct batch_filter *f, const struct batch *b, const struct batch_change *change)
{
    struct bytes kept = {.at = f->kept.data, .size = f->kept.size};

    buf_clear(&f->out);
    uint8_t *head = buf_grow(&f->out, BATCH_HEADER_SIZE);
    must(head != NULL);
    if (change->n_records > 0 && batch_codec(b) == CODEC_NONE) {
        buf_append(&f->out, kept.at, kept.size);
    } else if (change->n_records > 0) { /* [LOG-53] */
        int r = compress_bytes(batch_codec(b), 0, kept, &f->out);
        if (r != 0) {
            return r < 0 ? err_forward(r) : BATCH_FILTER_E_BAD;
        }
    }
    if (f->out.size > INT32_MAX) {
        return BATCH_FILTER_E_BAD;
    }
    batch_rewrite(b, change, f->out.data, f->out.size);
    return 0;
}

static void give_same(const struct batch *b, struct filtered *ret)
{
    *ret = (struct filtered){.result = FILTER_SAME,
            .bytes = {.at = b->bytes, .size = b->size},
            .n_records = b->n_records,
            .max_timestamp = b->max_timestamp};
}

static int give_other(struct batch_filter *f,
        const struct batch *b,
        const struct batch_change *change,
        struct filtered *ret)
{
    int r = build(f, b, change);

    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    *ret = (struct filtered){.result = FILTER_OTHER,
            .bytes = {.at = f->out.data, .size = f->out.size},
            .n_records = change->n_records,
            .max_timestamp = change->max_timestamp};
    return 0;
}

/* > 0: BAD. */
static int sort_batch(struct batch_filter *f,
        const struct batch *b,
        const struct filter_rules *rules,
        struct sorted *ret)
{
    struct bytes plain;

    *ret = (struct sorted){0};
    buf_clear(&f->kept);
    if (rules->judgement.drops_records || b->n_records == 0) {
        return 0;
    }
    int r = batch_plain_records(b, BATCH_FILTER_PLAIN_MAX, &f->plain, &plain);
    if (r != 0) {
        return r < 0 ? err_forward(r) : BATCH_FILTER_E_BAD;
    }
    r = sort(f, b, rules, plain, ret);
    return r < 0 ? err_forward(r) : r;
}

int batch_filter_run(struct batch_filter *f,
        const struct batch *b,
        const struct filter_rules *rules,
        struct filtered *ret)
{
    struct sorted s;
    int r = sort_batch(f, b, rules, &s);

    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    if (s.n_kept == 0 && !rules->judgement.keeps_empty) {
        *ret = (struct filtered){.result = FILTER_GONE};
        return 0;
    }
    if (s.n_kept == b->n_records && !s.has_horizon) {
        give_same(b, ret);
        return 0;
    }
    struct batch_change change = {.n_records = s.n_kept,
            .max_timestamp = s.n_kept > 0 && (b->attributes & BATCH_LOG_APPEND_TIME) == 0
                                     ? s.max_timestamp
                                     : b->max_timestamp,
            .has_horizon = s.has_horizon,
            .horizon = rules->new_horizon};
    if (s.has_horizon) {
        r = rebase(f, b, rules->new_horizon, s.n_kept);
        if (r != 0) {
            return r;
        }
    }
    r = give_other(f, b, &change, ret);
    return r < 0 ? err_forward(r) : r;
}

void batch_filter_deinit(struct batch_filter *f)
{
    buf_deinit(&f->plain);
    buf_deinit(&f->kept);
    buf_deinit(&f->out);
}
