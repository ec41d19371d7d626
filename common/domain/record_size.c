/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/meta_record.h"

#include <string.h>

/* Tags and lengths of protobuf are varints: a field has at most 5 + 10 bytes beside its text. */
enum {
    FIELD_MAX = 15,
    NUMBER_MAX = 5 + 10,
    UUID_FIELD = 2 + 16,
    RECORD_FIXED = 5 * NUMBER_MAX, /* of the record and of its kind; seq, time, cause */
    SET_MAX = FIELD_MAX + REPLICAS_MAX * 5,
};

static size_t text(const char *s)
{
    return FIELD_MAX + (s != NULL ? strlen(s) : 0);
}

size_t record_configs_max(const struct meta_config_pair *pairs, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        size += FIELD_MAX + text(pairs[i].key) + text(pairs[i].value) + 2;
    }
    return size;
}

static size_t registration_size(const struct meta_register_broker *r)
{
    size_t size = 4 * NUMBER_MAX + text(r->rack) + text(r->version);

    for (size_t i = 0; i < r->n_endpoints; i++) {
        size += FIELD_MAX + text(r->endpoints[i].name) + text(r->endpoints[i].host) + NUMBER_MAX;
    }
    return size + r->n_dirs * UUID_FIELD;
}

static size_t kind_size(const struct meta_record *r)
{
    switch (r->kind) {
    case META_NEW_CONTROLLER:
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return 2 * NUMBER_MAX;
    case META_REGISTER_BROKER: return registration_size(&r->register_broker);
    case META_CREATE_TOPIC:
        return UUID_FIELD + text(r->create_topic.name) + 4 * NUMBER_MAX +
               record_configs_max(r->create_topic.configs, r->create_topic.n_configs);
    case META_REMOVE_TOPIC: return UUID_FIELD;
    case META_PARTITION_STATE: return UUID_FIELD + 6 * SET_MAX + 10 * NUMBER_MAX;
    case META_CONFIG_SET:
        return UUID_FIELD + 2 * NUMBER_MAX +
               record_configs_max(r->config_set.configs, r->config_set.n_configs);
    case META_PRODUCER_ID_BLOCK: return 4 * NUMBER_MAX;
    case META_FEATURE_SET: return text(r->feature.name) + NUMBER_MAX;
    case META_PURGE_TOPIC: return UUID_FIELD + NUMBER_MAX;
    case META_RESTORE_TOPIC: return UUID_FIELD + text(r->restore_topic.name);
    case META_BROKER_INTENT: return 2 * NUMBER_MAX;
    case META_BROKER_FORGOTTEN: return NUMBER_MAX;
    case META_OPERATION:
        return 6 * NUMBER_MAX + SET_MAX + text(r->operation.detail) + text(r->operation.actor) +
               text(r->operation.reason);
    }
    return 0; /* of no kind: written by nobody */
}

size_t record_stored_max(const struct meta_record *r)
{
    return RECORD_FIXED + text(r->why.actor) + text(r->why.reason) + text(r->why.inputs) +
           kind_size(r);
}
