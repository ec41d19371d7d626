/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What the kernel says about this process; -1 when it does not. Thread: any. */
int64_t process_resident_bytes(void);
/* Without the one that counting takes. */
int64_t process_open_files(void);
/* Seconds since 1970. */
int64_t process_start_time_s(void);
/* Tells systemd, when it started us: "READY=1", "STOPPING=1" (sd_notify(3): a datagram to $NOTIFY_SOCKET). Thread: main. */
void process_notify(const char *state);
