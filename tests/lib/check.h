/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The test harness: CUnit behind a table of cases. One executable per module, TAP on stdout, fatal checks only.
 *
 *   static void batch_with_wrong_crc_is_refused(void) { ... CHECK_EQ(r, BATCH_E_CRC); }
 *   static const struct check_case cases[] = {CASE(batch_with_wrong_crc_is_refused)};
 *   CHECK_MAIN("record_batch", cases)
 *
 * A case that makes no check fails. `--seed N` sets check_seed() (default: fixed, printed), `--only SUBSTRING`
 * runs the cases whose name contains it, `--list` names them. */
struct check_case {
    const char *name;
    void (*run)(void);
};

#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }

int check_main(
        const char *suite, const struct check_case *cases, unsigned n_cases, int argc, char **argv);
uint64_t check_seed(void);

#define CHECK_MAIN(suite, cases)                                                                   \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return check_main(suite, cases, sizeof(cases) / sizeof((cases)[0]), argc, argv);           \
    }

/* Fails the case and leaves it at once. */
_Noreturn void check_fail(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void check_count(void);
/* Called when a check fails, before the case is left: a test says what led there. NULL = nothing is said. */
void check_on_failure(void (*say)(void));

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        check_count();                                                                             \
        if (!(x)) {                                                                                \
            check_fail(__FILE__, __LINE__, "%s", #x);                                              \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long check_a_ = (long long)(a);                                                       \
        long long check_b_ = (long long)(b);                                                       \
        check_count();                                                                             \
        if (check_a_ != check_b_) {                                                                \
            check_fail(                                                                            \
                    __FILE__, __LINE__, "%s == %s: %lld, not %lld", #a, #b, check_a_, check_b_);   \
        }                                                                                          \
    } while (0)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *check_a_ = (a);                                                                \
        const char *check_b_ = (b);                                                                \
        check_count();                                                                             \
        if (check_a_ == NULL || check_b_ == NULL || strcmp(check_a_, check_b_) != 0) {             \
            check_fail(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", #a,                           \
                    check_a_ != NULL ? check_a_ : "(null)",                                        \
                    check_b_ != NULL ? check_b_ : "(null)");                                       \
        }                                                                                          \
    } while (0)

#define CHECK_MEM(a, b, n) CHECK(memcmp((a), (b), (n)) == 0)

/* Waits (polling every 10 ms) until `condition` holds; fails the case after `timeout_ms`. For cluster tests. */
#define CHECK_WITHIN(timeout_ms, condition)                                                        \
    do {                                                                                           \
        int64_t check_deadline_ = check_now_ms() + (timeout_ms);                                   \
        check_count();                                                                             \
        while (!(condition)) {                                                                     \
            if (check_now_ms() > check_deadline_) {                                                \
                check_fail(__FILE__, __LINE__, "not within %d ms: %s", (int)(timeout_ms),          \
                        #condition);                                                               \
            }                                                                                      \
            check_pause_ms(10);                                                                    \
        }                                                                                          \
    } while (0)

int64_t check_now_ms(void);
void check_pause_ms(int ms);
