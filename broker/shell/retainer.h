/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdbool.h>

struct broker;

/* Rounds over all partitions about what leaves their logs; the keeper sees to when, and that one runs at a time. */

/* Judges age and size. True: a log start moved, and a checkpoint must follow. Thread: pool. */
bool retainer_judge(struct broker *b);
/* Removes and unlinks what may go. True: something is left for a later round. Thread: pool. */
bool retainer_remove(struct broker *b, wtime now);
