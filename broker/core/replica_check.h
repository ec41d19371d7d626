/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"

/* Every invariant of a replica in one place; called after each step in debug builds and tests. */
bool replica_check(const struct replica *r);
/* What else holds after a step before which the high watermark was `was_hw`. */
bool replica_check_moved(const struct replica *r, offset64 was_hw);
