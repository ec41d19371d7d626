/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <stdbool.h>
#include <sys/types.h>

/* Programs run by tests: arguments in, exit code and output out. */

struct run_result {
    int code; /* exit code, or 128 + signal; -1 = did not end in time (then it was killed) */
    struct buf out, err; /* NUL-terminated */
};

void run_result_deinit(struct run_result *r);

/* Runs argv[0] (looked up in PATH) to its end. `input` is its stdin (NULL = /dev/null), or, when `input_path` is given,
 * that file. `output_path` (may be NULL) gets stdout instead of r->out. */
struct run_options {
    const char *input;
    size_t input_size; /* 0 = strlen(input) */
    const char *input_path, *output_path;
    int timeout_ms; /* 0 = 60 s */
};

void run_program(
        const char *const *argv, const struct run_options *options, struct run_result *ret);
/* A line of the shell that has to succeed. */
void run_shell_ok(const char *command);
/* Whether it wrote that, to stdout or stderr. */
bool run_says(const struct run_result *r, const char *text);
/* Starts a program that goes on in the background, with output to `log_path`; it dies with this process. */
pid_t run_background(const char *const *argv, const char *input_path, const char *log_path);
/* Ends it (signal 0 = just wait) and returns its code as above. */
int run_wait(pid_t pid, int signal_number, int timeout_ms);

/* Whether the process runs; what is left of a dead one whose parent has not looked yet does not count. */
bool process_is_alive(pid_t pid);

/* A folder that is removed with all in it at exit, unless WEIR_TEST_KEEP is set. The same one for the whole program. */
const char *test_folder(void);
/* The build folder's root: meson gives it as WEIR_BUILD, else it is found from this program's path. */
const char *test_build_root(void);
