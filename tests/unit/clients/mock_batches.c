/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/clients/mock_batches.h"

#include "common/compress/compress.h"
#include "common/domain/errcode.h"

int mock_producers_check(struct mock_producers *p, const struct batch *b, offset64 *ret_base)
{
    const struct mock_producer *known = NULL;

    ARRAY_FOREACH (s, &p->of) {
        known = s->id == b->producer_id ? s : known;
    }
    if (b->producer_id < 0 || known == NULL) {
        return 0;
    }
    for (int i = 0; i < known->n && known->epoch == b->producer_epoch; i++) {
        if (known->batches[i].first == b->base_sequence &&
                known->batches[i].last == b->base_sequence + b->n_records - 1) {
            *ret_base = known->batches[i].base;
            return 0;
        }
    }
    if (b->producer_epoch != known->epoch) {
        return b->producer_epoch < known->epoch ? ERRCODE_INVALID_PRODUCER_EPOCH
               : b->base_sequence != 0          ? ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER
                                                : 0;
    }
    return b->base_sequence == known->batches[known->n - 1].last + 1
                   ? 0
                   : ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

void mock_producers_note(struct mock_producers *p, const struct batch *b, offset64 base)
{
    struct mock_producer *s = NULL;

    if (b->producer_id < 0) {
        return;
    }
    ARRAY_FOREACH (known, &p->of) {
        s = known->id == b->producer_id ? known : s;
    }
    if (s == NULL) {
        s = array_push(&p->of);
        s->id = b->producer_id;
    }
    if (s->epoch != b->producer_epoch) {
        s->n = 0;
    }
    s->epoch = b->producer_epoch;
    if (s->n == MOCK_REMEMBERED) {
        memmove(&s->batches[0], &s->batches[1], (MOCK_REMEMBERED - 1) * sizeof(s->batches[0]));
        s->n--;
    }
    s->batches[s->n].first = b->base_sequence;
    s->batches[s->n].last = b->base_sequence + b->n_records - 1;
    s->batches[s->n].base = base;
    s->n++;
}

/* Calls `each` until it is told to stop. */
static void walk(
        const struct buf *batch, bool (*each)(void *ctx, const struct record *r), void *ctx)
{
    struct buf scratch = {0};
    struct bytes plain;
    struct record_iter it;
    struct record record;
    struct batch b;

    must(batch_parse(batch->data, batch->size, &b) == 0);
    must(batch_plain_records(&b, 1 << 30, &scratch, &plain) == 0);
    record_iter_init(&it, &b, plain.at, plain.size);
    while (record_iter_next(&it, &record) == 0 && each(ctx, &record)) {
    }
    buf_deinit(&scratch);
}

static bool add_value(void *ctx, const struct record *r)
{
    buf_append(ctx, r->value.size > 0 ? r->value.at : (const uint8_t *)"", r->value.size);
    buf_u8(ctx, '\n');
    return true;
}

void mock_batch_values(const struct buf *batch, struct buf *out)
{
    walk(batch, add_value, out);
}

struct search {
    int64_t time;
    offset64 found;
    wall_ms timestamp;
};

static bool look(void *ctx, const struct record *r)
{
    struct search *s = ctx;

    if (r->timestamp < s->time) {
        return true;
    }
    s->found = r->offset;
    s->timestamp = r->timestamp;
    return false;
}

offset64 mock_batch_find_time(const struct buf *batch, int64_t time, wall_ms *ret_timestamp)
{
    struct search s = {.time = time, .found = -1};

    walk(batch, look, &s);
    if (s.found >= 0) {
        *ret_timestamp = s.timestamp;
    }
    return s.found;
}
