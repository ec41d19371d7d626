/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Locals with several exits release themselves: `CLEANUP(buf_deinit) struct buf b = {0};`
 * Never for locks, nor for releases that can fail (fsync, close after write). */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines `fn_p(T **)` that calls `fn(*p)`: `DEFINE_CLEANUP(struct plog *, plog_free)` → `CLEANUP(plog_free_p)`. */
#define DEFINE_CLEANUP(T, fn)                                                                      \
    static inline void fn##_p(T *p)                                                                \
    {                                                                                              \
        fn(*p);                                                                                    \
    }
