/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/key_map.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>

int key_map_init(struct key_map *m, size_t n_slots, uint32_t load_ppm)
{
    must(load_ppm > 0 && load_ppm <= 1000000);
    n_slots = n_slots < 2 ? 2 : n_slots;
    if (n_slots > SIZE_MAX / KEY_SLOT_SIZE / 2) {
        return err_origin(-ENOMEM);
    }
    struct key_slot *slots = mem_try_alloc(n_slots * KEY_SLOT_SIZE);
    if (slots == NULL) {
        return err_origin(-ENOMEM);
    }
    size_t n_max = n_slots / 1000000 * load_ppm + n_slots % 1000000 * load_ppm / 1000000;
    /* One slot stays free, so that a search for what is not there ends. */
    n_max = n_max < 1 ? 1 : n_max > n_slots - 1 ? n_slots - 1 : n_max;
    *m = (struct key_map){.slots = slots, .n_slots = n_slots, .n_max = n_max};
    return 0;
}

void key_map_deinit(struct key_map *m)
{
    m->slots = mem_free(m->slots);
    m->n_slots = m->n = m->n_max = 0;
}

size_t key_map_room(const struct key_map *m)
{
    return m->n_max - m->n;
}

/* The key's slot, or the free one where it would be. */
static struct key_slot *find(const struct key_map *m, const struct key_hash *hash)
{
    size_t i = (size_t)(((unsigned __int128)hash->a * m->n_slots) >> 64);

    while (m->slots[i].offset != 0 &&
            (m->slots[i].hash.a != hash->a || m->slots[i].hash.b != hash->b)) {
        i = i + 1 == m->n_slots ? 0 : i + 1;
    }
    return &m->slots[i];
}

void key_map_put(struct key_map *m, const struct key_hash *hash, offset64 offset)
{
    struct key_slot *slot = find(m, hash);

    must(offset >= 0 && offset < INT64_MAX);
    if (slot->offset == 0) {
        must(m->n < m->n_max);
        slot->hash = *hash;
        m->n++;
    }
    if (slot->offset < offset + 1) {
        slot->offset = offset + 1;
    }
}

offset64 key_map_get(const struct key_map *m, const struct key_hash *hash)
{
    const struct key_slot *slot = find(m, hash);

    return slot->offset != 0 ? slot->offset - 1 : OFFSET_NONE;
}
