/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Where the only partition of a topic is, as the first controller of tests/lib/cluster.h says. */

/* "leader", "leader_epoch" …; 0 = nobody says. */
int placed_number(const char *topic, const char *key);
/* Somebody leads, and `n` replicas are in sync. */
bool placed_in_sync(const char *topic, size_t n);
