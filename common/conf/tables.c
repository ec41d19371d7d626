/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/must.h"
#include "common/conf/conf.h"

#define ROW(row_name, row_type, row_unit, row_scope, row_fallback, row_min, row_max, row_choices,  \
        row_text, row_is_dynamic)                                                                  \
    {                                                                                              \
        .name = (row_name), .type = CONF_##row_type, .unit = CONF_UNIT_##row_unit,                 \
        .scope = (row_scope), .fallback = (row_fallback), .min = (row_min), .max = (row_max),      \
        .choices = (row_choices), .text = (row_text), .is_dynamic = (row_is_dynamic)               \
    }

/* KEY is read once, at start; DYNAMIC_KEY may be changed while the daemon runs [CFG-1]. */
#define KEY(name, type, unit, fallback, min, max, choices, text)                                   \
    ROW(name, type, unit, CONF_DAEMON, fallback, min, max, choices, text, false),
#define DYNAMIC_KEY(name, type, unit, fallback, min, max, choices, text)                           \
    ROW(name, type, unit, CONF_DAEMON, fallback, min, max, choices, text, true),

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
    ROW(name, type, unit, CONF_TOPIC, fallback, min, max, choices, text, true),

const struct conf_key conf_topic_keys[] = {
#include "common/conf/topic_keys.def"
};
const size_t conf_n_topic_keys = COUNT_OF(conf_topic_keys);

/* Kafka names the default of a topic key `k` "log.k", with these exceptions. What only Weir has keeps its name. */
#define IS_KEY(name, other) (__builtin_strcmp((name), (other)) == 0)
#define IS_OF_CLEANER(topic_name)                                                                  \
    (IS_KEY(topic_name, "delete.retention.ms") || IS_KEY(topic_name, "min.compaction.lag.ms") ||    \
            IS_KEY(topic_name, "max.compaction.lag.ms"))
#define CLUSTER_NAME(topic_name)                                                                   \
    (IS_KEY(topic_name, "max.message.bytes")                             ? "message.max.bytes"     \
            : IS_KEY(topic_name, "min.insync.replicas") ? "min.insync.replicas"                    \
            : IS_KEY(topic_name, "flush.messages") ? "log.flush.interval.messages"                 \
            : IS_KEY(topic_name, "flush.ms")       ? "log.flush.interval.ms"                       \
            : IS_KEY(topic_name, "file.delete.delay.ms") ? "log.segment.delete.delay.ms"           \
            : IS_KEY(topic_name, "segment.ms")          ? "log.roll.ms"                            \
            : IS_KEY(topic_name, "segment.jitter.ms")   ? "log.roll.jitter.ms"                     \
            : IS_KEY(topic_name, "segment.index.bytes") ? "log.index.size.max.bytes"               \
            : IS_KEY(topic_name, "min.cleanable.dirty.ratio") ? "log.cleaner.min.cleanable.ratio"  \
            : IS_OF_CLEANER(topic_name) ? "log.cleaner." topic_name                                \
            : __builtin_strncmp((topic_name), "compression.", 12) == 0 ||                          \
                            __builtin_strncmp((topic_name), "weir.", 5) == 0                       \
                    ? (topic_name)                                                                 \
                    : "log." topic_name)

/* Of a broker's table the cluster takes what may be changed live. */
#undef KEY
#undef DYNAMIC_KEY
#define KEY(name, type, unit, fallback, min, max, choices, text)
#define DYNAMIC_KEY(name, type, unit, fallback, min, max, choices, text)                           \
    ROW(name, type, unit, CONF_CLUSTER, fallback, min, max, choices,                               \
            text " For brokers without a value of their own.", true),

const struct conf_key conf_cluster_keys[] = {
        ROW("num.partitions",
                I64,
                NONE,
                CONF_CLUSTER,
                "1",
                1,
                100000,
                NULL,
                "Partitions of a topic that is created without a number.",
                true),
        ROW("default.replication.factor",
                I64,
                NONE,
                CONF_CLUSTER,
                "-1",
                -1,
                8,
                NULL,
                "Replicas of a topic that is created without a number; -1 = as many as brokers are "
                "up, at most 3.",
                true),
        ROW("auto.leader.rebalance.enable",
                BOOL,
                NONE,
                CONF_CLUSTER,
                "true",
                0,
                0,
                NULL,
                "Whether leaderships go back to the first replicas after 30 s without change.",
                true),
        ROW("weir.auto.balance",
                ENUM,
                NONE,
                CONF_CLUSTER,
                "plan",
                0,
                0,
                "off|plan|apply",
                "Whether the controller plans moves that make replicas, leaders and bytes of brokers "
                "even, and whether it begins them by itself.",
                true),
        ROW("weir.auto.balance.quiet.ms",
                I64,
                MS,
                CONF_CLUSTER,
                "60000",
                100,
                86400000,
                NULL,
                "How long no broker may have come or gone before such moves are planned.",
                true),
        ROW("weir.delete.grace.ms",
                I64,
                MS,
                CONF_CLUSTER,
                "86400000",
                0,
                31536000000,
                NULL,
                "How long a deleted topic can be restored; 0 = it is purged at once.",
                true),
#include "common/conf/broker_keys.def"

#undef KEY
#define KEY(name, type, unit, fallback, min, max, choices, text)                                   \
    ROW(CLUSTER_NAME(name), type, unit, CONF_CLUSTER, fallback, min, max, choices, text, true),
#include "common/conf/topic_keys.def"
};
const size_t conf_n_cluster_keys = COUNT_OF(conf_cluster_keys);

const struct conf_key *conf_cluster_key_of(const struct conf_key *topic_key)
{
    size_t i = (size_t)(topic_key - conf_topic_keys);

    must(i < conf_n_topic_keys);
    return &conf_cluster_keys[conf_n_cluster_keys - conf_n_topic_keys + i];
}
