/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/batch_cut.h"

#include "common/base/must.h"
#include "common/wire/messages.h"

enum {
    KEEP_SIZE = 1024 * 1024
};

void batch_cut_deinit(struct batch_cut *c)
{
    buf_deinit(&c->bytes);
    array_deinit(&c->marks);
    *c = (struct batch_cut){0};
}

void batch_cut_clear(struct batch_cut *c)
{
    if (c->bytes.size > KEEP_SIZE) { /* A large decision does not hold its memory for ever. */
        batch_cut_deinit(c);
        return;
    }
    buf_clear(&c->bytes);
    array_clear(&c->marks);
    c->taken = c->n_taken = 0;
}

/* Moves what waits to the front, when that is the smaller part: under a steady load nothing is
 * ever empty. */
static void compact(struct batch_cut *c)
{
    if (c->taken < KEEP_SIZE || c->taken < c->bytes.size / 2) {
        return;
    }
    memmove(c->bytes.data, c->bytes.data + c->taken, c->bytes.size - c->taken);
    c->bytes.size -= c->taken;
    memmove(c->marks.items, c->marks.items + c->n_taken,
            (c->marks.n - c->n_taken) * sizeof(*c->marks.items));
    c->marks.n -= c->n_taken;
    ARRAY_FOREACH (mark, &c->marks) {
        mark->end -= c->taken;
    }
    c->taken = c->n_taken = 0;
}

void batch_cut_add(struct batch_cut *c, const struct meta_record *record)
{
    size_t before = 0;
    struct batch_cut_mark *mark = NULL;

    compact(c);
    before = c->bytes.size;
    must_imply(c->marks.n > 0, record->seq > c->marks.items[c->marks.n - 1].seq);
    wire_append_record(record, &c->bytes);
    must(c->bytes.size - before <= META_RECORD_MAX);
    mark = array_push(&c->marks);
    *mark = (struct batch_cut_mark){.end = c->bytes.size, .seq = record->seq};
}

/* Index behind the last record of the next batch. */
static size_t next_end(const struct batch_cut *c)
{
    size_t n = c->n_taken;

    while (n < c->marks.n && c->marks.items[n].end - c->taken <= BATCH_CUT_SIZE) {
        n++;
    }
    return n;
}

size_t batch_cut_next_size(const struct batch_cut *c)
{
    size_t n = next_end(c);

    return n == c->n_taken ? 0 : c->marks.items[n - 1].end - c->taken;
}

bool batch_cut_take(struct batch_cut *c, struct batch_piece *ret)
{
    size_t n = 0;

    if (c->n_taken == c->marks.n) { /* All was taken: its room is used again. */
        batch_cut_clear(c);
        return false;
    }
    n = next_end(c);
    must(n > c->n_taken);
    ret->n_records = n - c->n_taken;
    ret->first_seq = c->marks.items[c->n_taken].seq;
    ret->last_seq = c->marks.items[n - 1].seq;
    ret->payload = (struct bytes){
            .at = c->bytes.data + c->taken, .size = c->marks.items[n - 1].end - c->taken};
    c->taken = c->marks.items[n - 1].end;
    c->n_taken = n;
    return true;
}
