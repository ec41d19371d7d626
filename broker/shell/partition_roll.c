/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "common/obs/log.h"

void partition_roll(struct partition *p, wall_ms now)
{
    bool rolled = false;
    struct hold h;

    hold_begin(&h, p);
    if (partition_use_begin(&h) != NULL) {
        int r = plog_roll_if_old(p->log, now, &rolled);
        if (r < 0) {
            partition_fail_locked(&h);
        } else if (r > 0) { /* Without space or descriptors the next turn has it. */
            log_debug("partition", "roll_postponed", KV_STR("partition", p->name));
        }
        if (rolled) {
            atomic_store(&p->is_unsynced, true); /* The new name is to be synced. */
        }
        partition_use_end(&h);
    }
    hold_end(&h);
}
