/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/link_gains.h"

void link_gains_clear(struct link_gains *g)
{
    array_clear(&g->brokers);
}

void link_gains_deinit(struct link_gains *g)
{
    array_deinit(&g->brokers);
}

bool link_gains_has(const struct link_gains *g, broker_id id)
{
    for (size_t i = g->brokers.n; i-- > 0;) {
        if (g->brokers.items[i] == id) {
            return true;
        }
    }
    return false;
}

void link_gains_note(
        struct link_gains *g, const struct image *image, const struct meta_record *record)
{
    const struct partition_state *next = &record->partition, *old = NULL;

    if (record->kind != META_PARTITION_STATE || next->leader == BROKER_NONE) {
        return;
    }
    old = image_partition(image, &next->topic_id, next->partition);
    if ((old == NULL || old->leader != next->leader) && !link_gains_has(g, next->leader)) {
        *array_push(&g->brokers) = next->leader;
    }
}
