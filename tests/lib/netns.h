/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Network namespaces of a test program: without names, and gone with its processes. Thread: one. */

/* Moves this program into one of its own, with a loopback that is up. False: it may not, or a tool
 * (ip, nsenter, nft) is missing. */
bool netns_enter(void);
/* A process in another one, which lives as long as this program. */
pid_t netns_hold(void);
/* Runs a shell command; fails the case when that fails. */
void netns_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
