/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/snapshot_pool.h"

#include "common/base/mem.h"
#include "common/base/must.h"

struct snapshot_share {
    struct snapshot snapshot;
    unsigned n_users;
};

static bool goes_on(
        const struct snapshot *s, const struct image *image, const struct batch_ring *ring)
{
    struct image_position at = image_position(image);

    return (s->at.index == at.index && s->at.crc == at.crc) ||
           batch_ring_follows(ring, s->at.index, s->at.crc);
}

const struct snapshot *snapshot_pool_take(
        struct snapshot_pool *p, const struct image *image, const struct batch_ring *ring)
{
    struct snapshot_share **room = NULL, *newest = NULL;

    for (size_t i = 0; i < SNAPSHOT_POOL_MAX; i++) {
        struct snapshot_share *s = p->items[i];
        if (s == NULL) {
            room = &p->items[i];
        } else if (goes_on(&s->snapshot, image, ring) &&
                   (newest == NULL || s->snapshot.at.index > newest->snapshot.at.index)) {
            newest = s;
        }
    }
    if (newest == NULL && room != NULL) {
        newest = *room = mem_new(struct snapshot_share);
        snapshot_build(image, &newest->snapshot);
    }
    if (newest == NULL) {
        return NULL;
    }
    newest->n_users++;
    return &newest->snapshot;
}

void snapshot_pool_give(struct snapshot_pool *p, const struct snapshot *given)
{
    for (size_t i = 0; i < SNAPSHOT_POOL_MAX; i++) {
        struct snapshot_share *s = p->items[i];
        if (s != NULL && &s->snapshot == given) {
            must(s->n_users > 0);
            if (--s->n_users == 0) {
                snapshot_deinit(&s->snapshot);
                p->items[i] = mem_free(s);
            }
            return;
        }
    }
    must_not_reach("a snapshot of this pool");
}

size_t snapshot_pool_n(const struct snapshot_pool *p)
{
    size_t n = 0;

    for (size_t i = 0; i < SNAPSHOT_POOL_MAX; i++) {
        n += p->items[i] != NULL;
    }
    return n;
}
