/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/mem.h"
#include "common/base/must.h"

/* Hash maps are uthash with our memory. Its keys are compared by bytes: key structs have no padding.
 * Pure cores never walk a map (HASH_ITER): where an order matters they keep a sorted array beside it. */
#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) ((void)(size), (void)mem_free(p))
#define uthash_fatal(msg)    must_not_reach(msg)
#define HASH_NONFATAL_OOM    0

#include <uthash.h>
