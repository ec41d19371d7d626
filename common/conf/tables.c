/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/conf/conf.h"

#define ROW(row_name, row_type, row_unit, row_scope, row_fallback, row_min, row_max, row_choices,  \
        row_text)                                                                                  \
    {                                                                                              \
        .name = (row_name), .type = CONF_##row_type, .unit = CONF_UNIT_##row_unit,                 \
        .scope = (row_scope), .fallback = (row_fallback), .min = (row_min), .max = (row_max),      \
        .choices = (row_choices), .text = (row_text)                                               \
    }

#define KEY(name, type, unit, fallback, min, max, choices, text)                                   \
    ROW(name, type, unit, CONF_DAEMON, fallback, min, max, choices, text),

const struct conf_key conf_controller_keys[] = {
#include "common/conf/controller_keys.def"
};
const size_t conf_n_controller_keys = COUNT_OF(conf_controller_keys);

const struct conf_key conf_broker_keys[] = {
#include "common/conf/broker_keys.def"
};
const size_t conf_n_broker_keys = COUNT_OF(conf_broker_keys);

#undef KEY
#define KEY(name, type, unit, fallback, min, max, choices, text)                                   \
    ROW(name, type, unit, CONF_TOPIC, fallback, min, max, choices, text),

const struct conf_key conf_topic_keys[] = {
#include "common/conf/topic_keys.def"
};
const size_t conf_n_topic_keys = COUNT_OF(conf_topic_keys);

/* Kafka names the default of a topic key `k` "log.k", with this one exception. */
#define CLUSTER_NAME(topic_name)                                                                   \
    (__builtin_strcmp((topic_name), "max.message.bytes") == 0 ? "message.max.bytes"                \
                                                              : "log." topic_name)

#undef KEY
#define KEY(name, type, unit, fallback, min, max, choices, text)                                   \
    ROW(CLUSTER_NAME(name), type, unit, CONF_CLUSTER, fallback, min, max, choices, text),

const struct conf_key conf_cluster_keys[] = {
        ROW("num.partitions",
                I64,
                NONE,
                CONF_CLUSTER,
                "1",
                1,
                100000,
                NULL,
                "Partitions of a topic that is created without a number."),
        ROW("default.replication.factor",
                I64,
                NONE,
                CONF_CLUSTER,
                "1",
                1,
                8,
                NULL,
                "Replicas of a topic that is created without a number."),
#include "common/conf/topic_keys.def"
};
const size_t conf_n_cluster_keys = COUNT_OF(conf_cluster_keys);
