/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/topic_settings.h"

#include <string.h>

#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/domain/image.h"

/* The text in force for topic key `i`; `image` NULL = the default. */
static const char *text_of(const struct image *image, const struct image_topic *topic, size_t i)
{
    const struct conf_key *key = &conf_topic_keys[i];
    const char *text = NULL;

    if (image != NULL) {
        /* The cluster table ends with the topic keys, in the same order, under their cluster names. */
        const struct conf_key *cluster =
                &conf_cluster_keys[conf_n_cluster_keys - conf_n_topic_keys + i];

        text = image_topic_config(topic, key->name);
        if (text == NULL) {
            text = image_cluster_config(image, cluster->name);
        }
    }
    return text != NULL ? text : key->fallback;
}

static size_t row_of(const char *name)
{
    for (size_t i = 0; i < conf_n_topic_keys; i++) {
        if (strcmp(conf_topic_keys[i].name, name) == 0) {
            return i;
        }
    }
    must_not_reach("a topic key that is not in the table");
}

static int64_t number_of(
        const struct image *image, const struct image_topic *topic, const char *name)
{
    size_t i = row_of(name);
    int64_t value = 0;
    char error[256];

    if (conf_check_value(
                &conf_topic_keys[i], text_of(image, topic, i), &value, error, sizeof(error)) != 0) {
        must(conf_check_value(&conf_topic_keys[i], conf_topic_keys[i].fallback, &value, error,
                     sizeof(error)) == 0);
    }
    return value;
}

struct topic_settings topic_settings_of(const struct image *image, const struct image_topic *topic)
{
    return (struct topic_settings){
            .segment_bytes = number_of(image, topic, "segment.bytes"),
            .index_interval_bytes = number_of(image, topic, "index.interval.bytes"),
            .max_message_bytes = number_of(image, topic, "max.message.bytes"),
            .is_append_time = strcmp(text_of(image, topic, row_of("message.timestamp.type")),
                                      "LogAppendTime") == 0,
    };
}

struct topic_settings topic_settings_default(void)
{
    return topic_settings_of(NULL, NULL);
}
