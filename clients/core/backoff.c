/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/backoff.h"

#include "common/base/must.h"
#include "common/base/prng.h"

wtime backoff_after(wtime first, wtime max, uint32_t n_failures, struct prng *prng)
{
    must(first >= 0);
    must(max >= 0);
    if (n_failures == 0) {
        return 0;
    }
    wtime wait = first;
    for (uint32_t i = 1; i < n_failures && wait < max; i++) {
        wait *= 2;
    }
    wait = wait < max ? wait : max;
    wtime fifth = wait / 5;
    return wait - fifth + (wtime)prng_below(prng, (uint64_t)fifth * 2 + 1);
}
