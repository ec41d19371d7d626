/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/retainer.h"

#include "broker/shell/broker.h"
#include "common/base/mem.h"
#include "common/net/loop.h"

bool retainer_judge(struct broker *b)
{
    wall_ms now = clock_wall();
    bool is_moved = false;
    size_t n = 0;
    struct partition **all = partitions_all(&b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        if (!log_dir_failed(all[i]->dir)) {
            partition_retain(all[i], now);
            is_moved = is_moved || atomic_load(&all[i]->is_start_unsaved);
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    return is_moved;
}

bool retainer_remove(struct broker *b, wtime now)
{
    bool is_left = false;
    size_t n = 0;
    struct partition **all = partitions_all(&b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        if (atomic_load(&all[i]->has_removals) && !log_dir_failed(all[i]->dir)) {
            partition_remove(all[i], now, log_dir_is_full(all[i]->dir));
            is_left = is_left || atomic_load(&all[i]->has_removals);
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    return is_left;
}
