/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct broker;

/* Sees whether the disks answer ([BRK-40] to [BRK-43]): a thread for each log directory writes and syncs a small file
 * every second, a timer of the control loop judges what the threads report and marks the directory. */
struct canaries;

/* Thread: control, all. `b` has its folders, its pool and its control loop. */
struct canaries *canaries_new(struct broker *b);
/* Ends the threads. One that hangs in the kernel is left to the end of the process; it touches nothing of the broker.
 * Before the pool is freed. NULL is fine. */
struct canaries *canaries_free(struct canaries *c);
/* How long the last canary of folder `dir` took, in ms. */
uint32_t canaries_last_ms(const struct canaries *c, size_t dir);
