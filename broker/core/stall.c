/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/stall.h"

void stall_init(struct stall *s, wtime limit)
{
    *s = (struct stall){.limit = limit};
}

/* [BRK-41] Only longer than the limit is a stall: slow is not. */
static void too_long(struct stall *s, wtime began)
{
    if (!s->is_stalled) {
        s->is_stalled = true;
        s->since = began;
    }
    s->n_good = 0;
}

void stall_on_waiting(struct stall *s, wtime began, wtime now)
{
    if (now - began > s->limit) {
        too_long(s, began);
    }
}

void stall_on_done(struct stall *s, wtime began, wtime took)
{
    if (took > s->limit) {
        too_long(s, began);
    } else if (s->is_stalled && ++s->n_good >= STALL_GOOD_CANARIES) { /* [BRK-42] */
        s->is_stalled = false;
    }
}

uint32_t stall_ms(const struct stall *s, wtime now)
{
    int64_t ms = s->is_stalled ? (now - s->since) / 1000 : 0;

    if (!s->is_stalled) {
        return 0;
    }
    return ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}
