/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct {
    uint64_t seed;
    unsigned n_checks;
    unsigned n_run;
    char failure[1024];
    jmp_buf leave;
    void (*body)(void);
    void (*on_failure)(void);
} state = {.seed = 20260101};

uint64_t check_seed(void)
{
    return state.seed;
}

void check_count(void)
{
    state.n_checks++;
}

void check_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    int at = snprintf(state.failure, sizeof(state.failure), "%s:%d: ", file, line);

    va_start(args, format);
    (void)vsnprintf(state.failure + at, sizeof(state.failure) - (size_t)at, format, args);
    va_end(args);
    if (state.on_failure != NULL) {
        state.on_failure();
    }
    longjmp(state.leave, 1);
}

void check_on_failure(void (*say)(void))
{
    state.on_failure = say;
}

int64_t check_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void check_pause_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* CUnit calls this for each case; the body stands in `state.body`. */
static void run_body(void)
{
    state.n_checks = 0;
    state.failure[0] = '\0';
    if (setjmp(state.leave) == 0) {
        state.body();
        if (state.n_checks == 0) {
            (void)snprintf(state.failure, sizeof(state.failure), "the case checked nothing");
        }
    }
    (void)CU_assertImplementation(
            state.failure[0] == '\0' ? CU_TRUE : CU_FALSE, 0, state.failure, "", "", CU_FALSE);
}

static void before_case(const CU_pTest test, const CU_pSuite suite)
{
    (void)suite;
    (void)test;
}

static void after_case(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
    (void)suite;
    state.n_run++;
    printf("%s %u - %s\n", failure == NULL ? "ok" : "not ok", state.n_run, test->pName);
    if (failure != NULL) {
        printf("# %s (seed %llu)\n", state.failure, (unsigned long long)state.seed);
    }
    (void)fflush(stdout);
}

static int run_selected(
        CU_pSuite suite, const struct check_case *cases, unsigned n_cases, const char *only)
{
    unsigned n_failed = 0;

    for (unsigned i = 0; i < n_cases; i++) {
        if (only != NULL && strstr(cases[i].name, only) == NULL) {
            continue;
        }
        CU_pTest test = CU_add_test(suite, cases[i].name, run_body);
        if (test == NULL) {
            printf("Bail out! CUnit refused %s (a name used twice?)\n", cases[i].name);
            return 1;
        }
        state.body = cases[i].run;
        (void)CU_run_test(suite, test);
        n_failed += CU_get_number_of_tests_failed() > 0 ? 1 : 0;
    }
    printf("1..%u\n", state.n_run);
    return n_failed > 0 ? 1 : 0;
}

int check_main(const char *suite_name,
        const struct check_case *cases,
        unsigned n_cases,
        int argc,
        char **argv)
{
    const char *only = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (unsigned c = 0; c < n_cases; c++) {
                printf("%s\n", cases[c].name);
            }
            return 0;
        }
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            state.seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            fprintf(stderr, "usage: %s [--seed N] [--only SUBSTRING] [--list]\n", argv[0]);
            return 2;
        }
    }
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 2;
    }
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    CU_set_test_start_handler(before_case);
    CU_set_test_complete_handler(after_case);
    CU_set_error_action(CUEA_IGNORE);
    printf("# suite %s, seed %llu\n", suite_name, (unsigned long long)state.seed);
    int failed = run_selected(suite, cases, n_cases, only);
    CU_cleanup_registry();
    return failed;
}
