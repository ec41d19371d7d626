/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/batch_ring.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"

struct batch_ring {
    ARRAY(struct ring_batch) items; /* from `first` on */
    size_t first;
    size_t bytes, bytes_max;
};

struct batch_ring *batch_ring_new(size_t bytes_max)
{
    struct batch_ring *r = mem_new(struct batch_ring);

    r->bytes_max = bytes_max;
    return r;
}

static void drop_oldest(struct batch_ring *r)
{
    struct ring_batch *b = &r->items.items[r->first];

    union {
        const uint8_t *in;
        uint8_t *out;
    } own = {.in = b->bytes.at};

    r->bytes -= b->bytes.size;
    mem_free(own.out);
    r->first++;
}

void batch_ring_clear(struct batch_ring *r)
{
    while (r->first < r->items.n) {
        drop_oldest(r);
    }
    array_clear(&r->items);
    r->first = 0;
}

struct batch_ring *batch_ring_free(struct batch_ring *r)
{
    if (r == NULL) {
        return NULL;
    }
    batch_ring_clear(r);
    array_deinit(&r->items);
    return mem_free(r);
}

void batch_ring_push(struct batch_ring *r, const struct ring_batch *b)
{
    struct ring_batch *to = NULL;

    must_imply(r->first < r->items.n, b->index == r->items.items[r->items.n - 1].index + 1);
    if (r->first > 64 && r->first > r->items.n / 2) { /* the dead half at the front */
        memmove(r->items.items, r->items.items + r->first,
                (r->items.n - r->first) * sizeof(*r->items.items));
        r->items.n -= r->first;
        r->first = 0;
    }
    to = array_push(&r->items);
    *to = *b;
    to->bytes.at = mem_dup(b->bytes.at, b->bytes.size);
    r->bytes += b->bytes.size;
    while (r->bytes > r->bytes_max && r->first + 1 < r->items.n) {
        drop_oldest(r);
    }
}

const struct ring_batch *batch_ring_get(const struct batch_ring *r, uint64_t index)
{
    uint64_t oldest = 0;

    if (r->first == r->items.n) {
        return NULL;
    }
    oldest = r->items.items[r->first].index;
    if (index < oldest || index - oldest >= r->items.n - r->first) {
        return NULL;
    }
    return &r->items.items[r->first + (size_t)(index - oldest)];
}

bool batch_ring_follows(const struct batch_ring *r, uint64_t index, uint64_t crc)
{
    const struct ring_batch *next = batch_ring_get(r, index + 1);
    const struct ring_batch *own = batch_ring_get(r, index);

    return next != NULL ? next->prev_crc == crc : own != NULL && own->crc == crc;
}

bool batch_ring_contradicts(const struct batch_ring *r, uint64_t index, uint64_t crc)
{
    const struct ring_batch *next = batch_ring_get(r, index + 1);
    const struct ring_batch *own = batch_ring_get(r, index);

    return (next != NULL && next->prev_crc != crc) || (own != NULL && own->crc != crc);
}
