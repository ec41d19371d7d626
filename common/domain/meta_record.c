/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/meta_record.h"

broker_id record_broker(const struct meta_record *r)
{
    switch (r->kind) {
    case META_REGISTER_BROKER: return r->register_broker.id;
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return r->broker.id;
    case META_BROKER_INTENT: return r->intent.id;
    case META_BROKER_FORGOTTEN: return r->forgotten.id;
    case META_NEW_CONTROLLER:
    case META_CREATE_TOPIC:
    case META_REMOVE_TOPIC:
    case META_PARTITION_STATE:
    case META_CONFIG_SET:
    case META_PRODUCER_ID_BLOCK:
    case META_FEATURE_SET:
    case META_PURGE_TOPIC:
    case META_RESTORE_TOPIC:
    case META_OPERATION: break;
    }
    return BROKER_NONE;
}
