/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/topic_settings.h"

#include "common/domain/image.h"
#include "tests/lib/check.h"

enum {
    WEEK_MS = 604800000
};

/* Of a topic with those two configurations. */
static int64_t segment_ms_of(const char *policy, const char *lag)
{
    struct meta_config_pair pairs[2] = {{"cleanup.policy", policy}, {"max.compaction.lag.ms", lag}};
    struct image *image = image_new();
    struct meta_record r = {.seq = 1, .kind = META_CREATE_TOPIC};

    r.why.actor = r.why.reason = r.why.inputs = "";
    r.create_topic.id = (struct uuid){{1}};
    r.create_topic.name = "t";
    r.create_topic.n_partitions = 1;
    r.create_topic.replication_factor = 1;
    r.create_topic.configs = pairs;
    r.create_topic.n_configs = 2;
    CHECK_EQ(image_apply(image, 1, &r), 0);
    struct topic_settings s =
            topic_settings_of(image, image_topic_by_id(image, &r.create_topic.id));
    (void)image_free(image);
    return s.log.segment_ms;
}

static void a_compacted_log_rolls_by_the_smaller_of_age_and_lag(void) /* [LOG-43] */
{
    CHECK_EQ(segment_ms_of("compact", "60000"), 60000);
    CHECK_EQ(segment_ms_of("compact,delete", "60000"), 60000);
    CHECK_EQ(segment_ms_of("compact", "9223372036854775807"), WEEK_MS);
    CHECK_EQ(segment_ms_of("compact", "604800001"), WEEK_MS);
    CHECK_EQ(segment_ms_of("delete", "60000"), WEEK_MS);
    CHECK_EQ(topic_settings_default().log.segment_ms, WEEK_MS);
}

static const struct check_case cases[] = {
        CASE(a_compacted_log_rolls_by_the_smaller_of_age_and_lag),
};

CHECK_MAIN("topic_settings", cases)
