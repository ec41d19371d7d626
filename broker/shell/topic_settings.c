/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/topic_settings.h"

#include <string.h>

#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/domain/image.h"
#include "common/domain/name_rules.h"
#include "common/domain/record_batch.h"

/* The value in force of a topic key: the topic's, else the cluster's, else the default [CFG-7];
 * what this version cannot read counts as not given [CFG-11]. `ret_i64` (may be NULL) gets an I64's
 * number. `image` NULL = the default. */
static const char *in_force(const struct image *image,
        const struct image_topic *topic,
        const char *name,
        int64_t *ret_i64)
{
    const struct conf_key *key = conf_find_key(conf_topic_keys, conf_n_topic_keys, name);
    const char *texts[2] = {NULL, NULL};
    char error[256];

    must(key != NULL);
    if (image != NULL) {
        texts[0] = image_topic_config(topic, key->name);
        texts[1] = image_cluster_config(image, conf_cluster_key_of(key)->name);
    }
    for (size_t i = 0; i < 2; i++) {
        if (texts[i] != NULL &&
                conf_check_value(key, texts[i], ret_i64, error, sizeof(error)) == 0) {
            return texts[i];
        }
    }
    must(conf_check_value(key, key->fallback, ret_i64, error, sizeof(error)) == 0);
    return key->fallback;
}

static int64_t number_of(
        const struct image *image, const struct image_topic *topic, const char *name)
{
    int64_t value = 0;

    (void)in_force(image, topic, name, &value); /* only the number is wanted */
    return value;
}

/* [LOG-107] compress_bytes() has 0 for a codec's default, which for lz4 is its fast compressor: Kafka's 9. */
static int level_of(const struct image *image, const struct image_topic *topic, int codec)
{
    enum {
        LZ4_FAST = 9
    };

    int64_t level = 0;

    switch (codec) {
    case CODEC_GZIP:
        level = number_of(image, topic, "compression.gzip.level");
        return level > 0 ? (int)level : 0;
    case CODEC_LZ4:
        level = number_of(image, topic, "compression.lz4.level");
        return level != LZ4_FAST ? (int)level : 0;
    case CODEC_ZSTD: return (int)number_of(image, topic, "compression.zstd.level");
    default: return 0;
    }
}

/* [LOG-101] What the cluster writes down for itself may be old, and its daemons' clocks differ. */
static int64_t time_limit(
        const struct image *image, const struct image_topic *topic, const char *name)
{
    bool is_internal = topic != NULL && topic_name_is_internal(topic->name);

    return is_internal ? INT64_MAX : number_of(image, topic, name);
}

static struct append_rules append_rules_of(
        const struct image *image, const struct image_topic *topic)
{
    const char *type = in_force(image, topic, "compression.type", NULL);
    int codec = strcmp(type, "uncompressed") == 0 ? CODEC_NONE : codec_by_name(type);

    return (struct append_rules){
            .max_message_bytes = number_of(image, topic, "max.message.bytes"),
            .before_max_ms = time_limit(image, topic, "message.timestamp.before.max.ms"),
            .after_max_ms = time_limit(image, topic, "message.timestamp.after.max.ms"),
            .is_append_time = strcmp(in_force(image, topic, "message.timestamp.type", NULL),
                                      "LogAppendTime") == 0,
            .is_compacted = conf_list_has(in_force(image, topic, "cleanup.policy", NULL), "compact"),
            .codec = codec >= 0 ? codec : APPEND_KEEP_CODEC,
            .level = level_of(image, topic, codec),
    };
}

static struct cleaning_policy cleaning_policy_of(
        const struct image *image, const struct image_topic *topic)
{
    return (struct cleaning_policy){
            .segment_bytes = number_of(image, topic, "segment.bytes"),
            .delete_retention_ms = number_of(image, topic, "delete.retention.ms"),
            .min_lag_ms = number_of(image, topic, "min.compaction.lag.ms"),
            .max_lag_ms = number_of(image, topic, "max.compaction.lag.ms"),
            .dirty_ratio_ppm = (uint32_t)number_of(image, topic, "min.cleanable.dirty.ratio"),
    };
}

/* [LOG-43] The active segment is never compacted: where nothing may wait longer than max.compaction.lag.ms for that, it
 * ends by then. */
static int64_t segment_ms_of(const struct image *image, const struct image_topic *topic)
{
    int64_t ms = number_of(image, topic, "segment.ms");
    int64_t lag = number_of(image, topic, "max.compaction.lag.ms");
    bool is_compacted = conf_list_has(in_force(image, topic, "cleanup.policy", NULL), "compact");

    return is_compacted && lag < ms ? lag : ms;
}

struct topic_settings topic_settings_of(const struct image *image, const struct image_topic *topic)
{
    return (struct topic_settings){
            .log = {.segment_bytes = number_of(image, topic, "segment.bytes"),
                    .index_interval_bytes = number_of(image, topic, "index.interval.bytes"),
                    .index_bytes = number_of(image, topic, "segment.index.bytes"),
                    .segment_ms = segment_ms_of(image, topic),
                    .segment_jitter_ms = number_of(image, topic, "segment.jitter.ms")},
            .retention = {.may_delete = conf_list_has(
                                  in_force(image, topic, "cleanup.policy", NULL), "delete"),
                    .ms = number_of(image, topic, "retention.ms"),
                    .bytes = number_of(image, topic, "retention.bytes")},
            .file_delete_delay_ms = number_of(image, topic, "file.delete.delay.ms"),
            .append = append_rules_of(image, topic),
            .is_fsync = strcmp(in_force(image, topic, "weir.ack.durability", NULL), "fsync") == 0,
            .flush_messages = number_of(image, topic, "flush.messages"),
            .flush_ms = number_of(image, topic, "flush.ms"),
            .cleaning = cleaning_policy_of(image, topic),
    };
}

struct topic_settings topic_settings_default(void)
{
    return topic_settings_of(NULL, NULL);
}
