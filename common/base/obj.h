/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/must.h"

#include <stdint.h>

/* Magic numbers for objects that travel through `void *` (after varnish). The magic is the first member:
 * `uint32_t magic;`. Set it with OBJ_INIT, read it back with OBJ_CAST, clear it with OBJ_CLEAR before freeing. */
#define OBJ_INIT(p, m) ((p)->magic = (m))
#define OBJ_CLEAR(p)   ((p)->magic = 0)
#define OBJ_CAST(T, p, m)                                                                          \
    ({                                                                                             \
        T *obj_cast_ = (p);                                                                        \
        must(obj_cast_ != NULL);                                                                   \
        must(obj_cast_->magic == (m));                                                             \
        obj_cast_;                                                                                 \
    })
