/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/errcode_map.h"

#include <errno.h>

#include "broker/log/plog.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/domain/record_batch.h"
#include "common/wire/messages.h"

struct refusal errcode_of_batch(int batch_e)
{
    struct refusal r = {.error = ERRCODE_CORRUPT_MESSAGE, .detail = batch_error_text(batch_e)};

    must(batch_e > 0);
    if (batch_e == BATCH_E_CODEC) {
        r.error = ERRCODE_UNSUPPORTED_COMPRESSION_TYPE;
    } else if (batch_e == BATCH_E_COUNT || batch_e == BATCH_E_FORM) {
        r.error = ERRCODE_INVALID_RECORD;
    }
    return r;
}

struct refusal errcode_of_plog(int r)
{
    switch (r) {
    case PLOG_E_FULL:
        return (struct refusal){
                ERRCODE_KAFKA_STORAGE_ERROR, "the broker's disk is full; nothing was written"};
    case PLOG_E_OUT_OF_RANGE: return (struct refusal){ERRCODE_OFFSET_OUT_OF_RANGE, ""};
    case PLOG_E_DAMAGED:
        return (struct refusal){ERRCODE_KAFKA_STORAGE_ERROR,
                "the log is damaged below its recovery point; it is left as it is"};
    case PLOG_E_BUSY: /* Nothing is wrong with the disk, and nothing was changed: the same request may come again. */
        return (struct refusal){
                ERRCODE_REPLICA_NOT_AVAILABLE, "too many files are open in the broker; try again"};
    default:
        return (struct refusal){
                ERRCODE_KAFKA_STORAGE_ERROR, "the broker's disk failed; its log says how"};
    }
}

struct refusal errcode_of_wire(int wire_e)
{
    switch (wire_e) {
    case WIRE_E_MEMORY:
        return (struct refusal){
                ERRCODE_INVALID_REQUEST, "the body needs more memory than a body of its size may"};
    case WIRE_E_LIMIT: return (struct refusal){ERRCODE_INVALID_REQUEST, "the body is above 1 MiB"};
    default:
        return (struct refusal){
                ERRCODE_INVALID_REQUEST, "the body is not the message that its header names"};
    }
}

struct refusal errcode_of_stored_batch(int r)
{
    if (r < 0) {
        return (struct refusal){ERRCODE_KAFKA_STORAGE_ERROR, "a stored batch could not be read"};
    }
    return (struct refusal){ERRCODE_CORRUPT_MESSAGE,
            "a stored batch could not be decompressed within the limit, "
            "or its records are malformed"};
}
