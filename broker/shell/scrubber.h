/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

struct broker;

/* Scrubbers: a thread of each log directory that reads all sealed segments again and again, at a
 * bounded rate, and checks them, so that damage is found while another replica is still good and
 * not when somebody reads. What it finds fails the replica, as when a reader meets it. [LOG-90]
 * [LOG-91] */
struct scrubbers;

/* Thread: control. */
struct scrubbers *scrubbers_new(struct broker *b);
/* weir.scrub.bytes.per.second of each directory; 0 = they rest. Thread: control. */
void scrubbers_set_rate(struct scrubbers *s, int64_t bytes_per_second);
/* Ends the threads, which read at most one more piece. Takes NULL. Thread: main. */
struct scrubbers *scrubbers_free(struct scrubbers *s);
