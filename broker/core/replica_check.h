/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"

/* Every invariant of a replica in one place; called after each step in debug builds and tests. */
bool replica_check(const struct replica *r);
