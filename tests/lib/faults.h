/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests/lib/fault.c does to programs of this test. Thread: one. */

enum {
    FAULTS_ENV_MAX = 3
};

/* From now on there is a file of faults, without a fault yet. */
void begin_faults(void);
/* Every program that this one starts from now on has the shim. */
void faults_for_all(void);
/* What the shim is to do from now on. */
void set_faults(const char *lines);
/* How often the `line`th of them, which has a WHEN, has fitted. */
int faults_met(int line);
/* Appends "env" and settings to argv[n], so that what follows runs with the shim; returns the new n. Nothing before
 * begin_faults(). They are good until the next call. */
int faults_preload(const char *argv[], int n);
