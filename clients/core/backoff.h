/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdint.h>

struct prng;

/* How long to wait before the next try: `first` doubled with each failure up to `max`, then
 * scattered by a fifth in either direction so that clients do not come back together. `n_failures`
 * 0 = no wait. Pure. Thread: any. */
wtime backoff_after(wtime first, wtime max, uint32_t n_failures, struct prng *prng);
