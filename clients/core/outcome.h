/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/domain/ids.h"

#include <stdbool.h>

/* What is known about a batch after a try to have it written. Pure. Thread: any. */

/* How a try ended. */
enum try_end {
    TRY_ANSWERED = 0, /* a broker answered with a code */
    TRY_LOST, /* bytes left, no answer came: connection broken, time over, answer unreadable */
    TRY_NEVER_SENT, /* not a byte left this process */
};

struct try_result {
    enum try_end end;
    int code;             /* TRY_ANSWERED: ERRCODE_*; else what to tell the user */
    offset64 base_offset; /* TRY_ANSWERED: as the broker says; OFFSET_NONE when refused */
};

/* Whether the batch may stand in a log although this try did not succeed. Certain it is not only
 * when nothing was sent, or when the broker refused with a code that it gives before appending. */
bool try_may_have_written(const struct try_result *r);
/* Whether another try may succeed. */
bool try_is_retriable(const struct try_result *r);
/* Whether the answer says that what we know about leaders or topic ids is old. */
bool code_wants_metadata(int code);

enum outcome {
    OUTCOME_PERSISTED = 1,
    OUTCOME_NOT_PERSISTED = 2,
    OUTCOME_UNKNOWN = 3,
};
