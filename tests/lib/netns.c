/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/netns.h"

#include "tests/lib/check.h"
#include "tests/lib/run.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

bool netns_enter(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
           system("command -v nsenter >/dev/null && command -v nft >/dev/null && "
                  "ip link set lo up") == 0;
}

pid_t netns_hold(void)
{
    int ready[2];
    char byte = 0;

    CHECK_EQ(pipe(ready), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) != 0 || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

void netns_run(const char *format, ...)
{
    struct run_result r = {0};
    char command[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%s: %d: %s%s", command, r.code, buf_str(&r.out),
                buf_str(&r.err));
    }
    run_result_deinit(&r);
}
