/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/cleaning.h"
#include "common/domain/record_batch.h"

/* A stored batch as the rules see it; of a control batch the record is looked at. Thread: any. */
struct cleaning_batch clean_describe(const struct batch *b);
