/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Assertions that stay on in release builds.
 *
 * They state what the program itself guarantees. Input from a network, a disk, ZooKeeper or a configuration is
 * validated and answered, never asserted. One condition each. */

/* Prints where and what on stderr and aborts. Thread: any. */
_Noreturn void must_fail(const char *file, int line, const char *func, const char *what);

#define must(x) ((x) ? (void)0 : must_fail(__FILE__, __LINE__, __func__, #x))
#define must_imply(a, b)                                                                           \
    ((!(a) || (b)) ? (void)0 : must_fail(__FILE__, __LINE__, __func__, #a " => " #b))
#define must_not_reach(why) must_fail(__FILE__, __LINE__, __func__, "reached: " why)

/* For checks that cost more than the work they guard: on in debug builds and in tests. */
#ifdef WEIR_CHECK_SLOW
#define check_slow(x) must(x)
#else
#define check_slow(x) ((void)sizeof((x) ? 1 : 0))
#endif
