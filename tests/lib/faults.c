/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/faults.h"

#include "tests/lib/check.h"
#include "tests/lib/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char faults[512]; /* "" = no shim */

void begin_faults(void)
{
    (void)snprintf(faults, sizeof(faults), "%s/faults", test_folder());
    set_faults("");
}

/* By a rename: a moment without any fault would let go what hangs. */
void set_faults(const char *lines)
{
    char met[520], next[520];
    FILE *f = NULL;

    (void)snprintf(met, sizeof(met), "%s.met", faults);
    (void)snprintf(next, sizeof(next), "%s.next", faults);
    (void)unlink(met); /* there may be none */
    f = fopen(next, "we");
    CHECK(f != NULL);
    CHECK(fputs(lines, f) >= 0);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(rename(next, faults), 0);
}

int faults_met(int line)
{
    char met[520], text[16] = "";
    FILE *f = NULL;

    (void)snprintf(met, sizeof(met), "%s.met", faults);
    f = fopen(met, "re");
    if (f == NULL) {
        return 0;
    }
    (void)fseek(f, line * 8L, SEEK_SET);
    text[fread(text, 1, 8, f)] = '\0'; /* nothing = it has not fitted */
    (void)fclose(f);
    return (int)strtol(text, NULL, 10);
}

void faults_for_all(void)
{
    const char *was = getenv("ASAN_OPTIONS");
    char shim[1024], options[1024];

    begin_faults();
    (void)snprintf(shim, sizeof(shim), "%s/tests/lib/weir_fault.so", test_build_root());
    (void)snprintf(options, sizeof(options), "%s:verify_asan_link_order=0", was != NULL ? was : "");
    CHECK_EQ(access(shim, R_OK), 0);
    CHECK_EQ(setenv("LD_PRELOAD", shim, 1), 0);
    CHECK_EQ(setenv("WEIR_FAULTS", faults, 1), 0);
    CHECK_EQ(setenv("ASAN_OPTIONS", options, 1), 0);
}

/* The sanitizer's runtime wants to be first in the process; the shim replaces nothing of it but what it forwards to. */
int faults_preload(const char *argv[], int n)
{
    static char env[FAULTS_ENV_MAX][1024];
    const char *options = getenv("ASAN_OPTIONS");

    if (faults[0] == '\0') {
        return n;
    }
    (void)snprintf(
            env[0], sizeof(env[0]), "LD_PRELOAD=%s/tests/lib/weir_fault.so", test_build_root());
    (void)snprintf(env[1], sizeof(env[1]), "WEIR_FAULTS=%s", faults);
    (void)snprintf(env[2], sizeof(env[2]), "ASAN_OPTIONS=%s:verify_asan_link_order=0",
            options != NULL ? options : "");
    argv[n++] = "env";
    for (int i = 0; i < FAULTS_ENV_MAX; i++) {
        argv[n++] = env[i];
    }
    return n;
}
