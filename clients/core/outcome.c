/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/outcome.h"

#include "common/domain/errcode.h"

bool try_may_have_written(const struct try_result *r)
{
    if (r->end == TRY_NEVER_SENT) {
        return false;
    }
    if (r->end == TRY_LOST) {
        return true;
    }
    switch (r->code) {
    case ERRCODE_UNKNOWN_SERVER_ERROR:
    case ERRCODE_REQUEST_TIMED_OUT:
    case ERRCODE_NETWORK_EXCEPTION:
    case ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ERRCODE_KAFKA_STORAGE_ERROR: /* the disk may have taken a part or all of it */ return true;
    default: return r->base_offset != OFFSET_NONE; /* appended, but the acknowledgement failed */
    }
}

bool try_is_retriable(const struct try_result *r)
{
    return r->end != TRY_ANSWERED || errcode_retriable(r->code);
}

bool code_wants_metadata(int code)
{
    switch (code) {
    case ERRCODE_UNKNOWN_TOPIC_OR_PARTITION:
    case ERRCODE_LEADER_NOT_AVAILABLE:
    case ERRCODE_NOT_LEADER_OR_FOLLOWER:
    case ERRCODE_REPLICA_NOT_AVAILABLE:
    case ERRCODE_NETWORK_EXCEPTION:
    case ERRCODE_KAFKA_STORAGE_ERROR:
    case ERRCODE_FENCED_LEADER_EPOCH:
    case ERRCODE_UNKNOWN_LEADER_EPOCH:
    case ERRCODE_UNKNOWN_TOPIC_ID: return true;
    default: return false;
    }
}
