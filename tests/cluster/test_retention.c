/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a partition's log, with real processes: docs/design/42-retention.md. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MIB = 1024 * 1024,
    VALUE_SIZE = 100 * 1024, /* ten batches and a bit are a segment */
    SOON_MS = 20000,
};

static struct raw *client;
static struct uuid topic;

static void begin(void)
{
    raw_close_all();
    if (!cluster_is_up()) {
        cluster_up_small();
        (void)WEIR_OK("cluster", "config", "set", "log.retention.check.interval.ms=200");
    }
    client = raw_client(broker_port(1));
}

static wall_ms now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A batch of one record of VALUE_SIZE bytes with that time. */
static offset64 append_at(wall_ms time)
{
    static uint8_t value[VALUE_SIZE];
    struct batch_builder builder = {.n_records = 0};
    struct batch_build_options options = {
            .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct buf batch = {0};
    struct record record = {
            .timestamp = time, .value = {.at = value, .size = sizeof(value)}, .n_headers = 0};

    batch_builder_add(&builder, &record, NULL);
    batch_builder_finish(&builder, &options, CODEC_NONE,
            (struct bytes){builder.records.data, builder.records.size}, &batch);
    batch_builder_deinit(&builder);
    struct msg_produce_result r = raw_produce(client, -1, &topic, 0, &batch);
    CHECK_EQ(r.error, ERRCODE_NONE);
    buf_deinit(&batch);
    return r.base_offset;
}

static void append_n(int n, wall_ms time)
{
    for (int i = 0; i < n; i++) {
        (void)append_at(time);
    }
}

static offset64 earliest(void)
{
    return raw_list_offset(client, &topic, 0, LIST_EARLIEST).offset;
}

static int count_files(const char *name, const char *suffix)
{
    char *folder = mem_format("data/%s-0", name);
    char *path = node_path("broker-1", folder);
    DIR *dir = opendir(path);
    int n = 0;

    CHECK(dir != NULL);
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        size_t size = strlen(e->d_name), suffix_size = strlen(suffix);
        n += size > suffix_size && strcmp(e->d_name + size - suffix_size, suffix) == 0;
    }
    (void)closedir(dir);
    mem_free(path);
    mem_free(folder);
    return n;
}

/* Every offset from the earliest to the end is there. Returns how many. */
static int count_readable(void)
{
    offset64 at = earliest(), end = raw_end_offset(client, &topic, 0);
    int n = 0;

    while (at < end) {
        struct msg_fetch_partition part = raw_fetch_from(&topic, 0, at);
        struct msg_fetch_response answer;
        struct raw_answer a;
        struct buf body = {0};

        raw_encode_fetch(&body, 1000, 1, 4 * MIB, &part, 1);
        raw_call(client, API_FETCH, &body, &a);
        buf_deinit(&body);
        raw_decode_fetch(&a, &answer);
        if (answer.partitions[0].error == ERRCODE_OFFSET_OUT_OF_RANGE) { /* it went on meanwhile */
            at = earliest();
            n = 0;
            continue;
        }
        CHECK_EQ(answer.partitions[0].error, ERRCODE_NONE);
        CHECK(answer.partitions[0].records.size > 0);
        for (struct bytes left = answer.partitions[0].records; left.size > 0;) {
            struct batch b;
            CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
            CHECK(batch_crc_is_right(&b));
            CHECK_EQ(b.base_offset, at);
            at = batch_last_offset(&b) + 1;
            n++;
            left.at += b.size;
            left.size -= b.size;
        }
    }
    return n;
}

static struct msg_delete_records_result delete_before(offset64 before)
{
    static char detail[256];
    struct msg_delete_records_partition part = {.topic_id = topic, .before = before};
    struct msg_delete_records_request m = {.partitions = &part, .n_partitions = 1};
    struct msg_delete_records_response answer;
    struct msg_delete_records_result result;
    struct raw_answer a;
    struct buf body = {0};

    wire_encode_delete_records_request(&m, &body);
    raw_call(client, API_DELETE_RECORDS, &body, &a);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_delete_records_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_partitions, 1);
    result = answer.partitions[0];
    (void)snprintf(detail, sizeof(detail), "%s", result.detail);
    result.detail = detail;
    return result;
}

static void oldest_segments_go_beyond_the_size(void) /* [LOG-27] */
{
    begin();
    (void)WEIR_OK("topic", "create", "sized", "-c", "segment.bytes=1MiB", "-c",
            "retention.bytes=2MiB", "-c", "file.delete.delay.ms=0");
    topic = raw_topic_id(client, "sized", NULL);
    append_n(80, now_ms()); /* 8 MB */
    CHECK_WITHIN(SOON_MS, count_files("sized", ".log") <= 3);
    CHECK(earliest() > 40);
    CHECK_WITHIN(SOON_MS, count_files("sized", ".deleted") == 0);
    CHECK(count_readable() >= 20);
    CHECK_EQ(count_readable(), 80 - earliest());
}

static void segments_go_by_age_the_active_one_too(void) /* [LOG-25] [LOG-26] */
{
    begin();
    (void)WEIR_OK(
            "topic", "create", "aged", "-c", "segment.bytes=1MiB", "-c", "file.delete.delay.ms=0");
    topic = raw_topic_id(client, "aged", NULL);
    append_n(15, now_ms() - 7200 * 1000); /* old, but the second segment goes on: */
    append_n(3, now_ms());
    (void)WEIR_OK("topic", "set", "aged", "retention.ms=1h");
    CHECK_WITHIN(SOON_MS, count_files("aged", ".log") == 1);
    CHECK_EQ(earliest(), 10);
    append_n(1, now_ms() + 1800 * 1000);                      /* of the future: counts as now */
    (void)WEIR_OK("topic", "set", "aged", "retention.ms=1s"); /* looked at at once */
    CHECK_WITHIN(SOON_MS, earliest() == 19);
    CHECK_WITHIN(SOON_MS, count_files("aged", ".log") == 1);
    CHECK_EQ(append_at(now_ms()), 19);
    (void)WEIR_OK("topic", "set", "aged", "retention.ms=-1");
    CHECK_EQ(count_readable(), 1);
}

static void trimmed_records_are_gone_for_good(void) /* [LOG-20] [LOG-31] [LOG-32] */
{
    begin();
    (void)WEIR_OK("topic", "create", "trimmed", "-c", "segment.bytes=1MiB");
    topic = raw_topic_id(client, "trimmed", NULL);
    append_n(35, now_ms());
    CHECK_EQ(delete_before(36).error, ERRCODE_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(delete_before(-2).error, ERRCODE_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(earliest(), 0);
    struct msg_delete_records_result r = delete_before(25);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(r.log_start, 25);
    node_kill("broker-1"); /* at once */
    node_start("broker-1");
    node_wait_ready("broker-1");
    client = raw_client(broker_port(1));
    topic = raw_topic_id(client, "trimmed", NULL);
    CHECK_EQ(earliest(), 25);
    CHECK_EQ(count_readable(), 10);
    CHECK_EQ(count_files("trimmed", ".log"), 2);
    r = delete_before(3); /* nothing to do */
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(r.log_start, 25);
    CHECK_EQ(delete_before(-1).log_start, 35);
    CHECK_EQ(earliest(), 35);
    CHECK_WITHIN(SOON_MS, count_files("trimmed", ".log") == 1);
    CHECK(count_files("trimmed", ".log.deleted") > 0); /* for a minute */
    CHECK_EQ(append_at(now_ms()), 35);
}

/* [LOG-23] A fetch of 20 MiB of which the reader has taken next to nothing when the segment goes. */
static void slow_reader_gets_the_range_of_a_removed_segment(void)
{
    struct msg_fetch_response answer;
    struct raw_answer a;
    struct buf body = {0};

    begin();
    (void)WEIR_OK(
            "topic", "create", "slow", "-c", "segment.bytes=20MiB", "-c", "file.delete.delay.ms=0");
    topic = raw_topic_id(client, "slow", NULL);
    append_n(220, now_ms());
    struct raw *reader = raw_client(broker_port(1));
    raw_shrink_receive_buffer(reader, 128 * 1024);
    struct msg_fetch_partition part = raw_fetch_from(&topic, 0, 0);
    part.max_bytes = 40 * MIB;
    raw_encode_fetch(&body, 1000, 1, 40 * MIB, &part, 1);
    (void)raw_ask(reader, API_FETCH, &body);
    buf_deinit(&body);
    CHECK_WITHIN(SOON_MS, raw_has_come(reader)); /* another loop has the deletion */
    CHECK_EQ(delete_before(-1).error, ERRCODE_NONE);
    CHECK_WITHIN(SOON_MS, count_files("slow", ".log") == 1 && count_files("slow", ".deleted") == 0);
    CHECK_EQ(raw_read(reader, SOON_MS, &a), RAW_FRAME);
    raw_decode_fetch(&a, &answer);
    CHECK_EQ(answer.partitions[0].error, ERRCODE_NONE);
    CHECK(answer.partitions[0].records.size > 19 * MIB);
    offset64 at = 0;
    for (struct bytes left = answer.partitions[0].records; left.size > 0;) {
        struct batch b;
        CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
        CHECK(batch_crc_is_right(&b));
        CHECK_EQ(b.base_offset, at++);
        left.at += b.size;
        left.size -= b.size;
    }
}

static void sigkill_during_retention_loses_nothing_that_should_stay(void) /* [LOG-21] [LOG-22] */
{
    offset64 end = 0, start = 0;

    begin();
    (void)WEIR_OK("topic", "create", "killed", "-c", "segment.bytes=1MiB", "-c",
            "retention.bytes=2MiB", "-c", "file.delete.delay.ms=0");
    for (int round = 0; round < 6; round++) {
        topic = raw_topic_id(client, "killed", NULL);
        CHECK(raw_end_offset(client, &topic, 0) >= end);
        CHECK(earliest() >= start);
        start = earliest();
        end = raw_end_offset(client, &topic, 0);
        CHECK_EQ(count_readable(), end - earliest());
        append_n(40, now_ms());
        end += 40;
        if (round % 2 == 0) { /* in the middle of it */
            CHECK_WITHIN(SOON_MS, earliest() > start);
        }
        node_kill("broker-1");
        node_start("broker-1");
        node_wait_ready("broker-1");
        client = raw_client(broker_port(1));
    }
    topic = raw_topic_id(client, "killed", NULL);
    CHECK_EQ(raw_end_offset(client, &topic, 0), end);
    CHECK_WITHIN(SOON_MS, count_files("killed", ".log") <= 4);
    CHECK(count_readable() >= 20);
}

static void policy_that_is_not_built_is_refused(void)
{
    struct run_result r = {0};

    begin();
    WEIR(&r, "topic", "create", "odd", "-c", "cleanup.policy=shrink");
    CHECK(r.code != 0);
    CHECK(strstr(buf_str(&r.err), "has an item that is not a choice") != NULL);
    run_result_deinit(&r);
}

/* What people type and programs send. */
static void trim_shows_its_plan_and_asks(void) /* [LOG-33] */
{
    struct run_result r = {0};
    struct buf body = {0};

    begin();
    (void)WEIR_OK("topic", "create", "typed", "-p", "2", "-c", "segment.bytes=1MiB");
    topic = raw_topic_id(client, "typed", NULL);
    append_n(12, now_ms() - 7200 * 1000);
    append_n(8, now_ms());
    const char *plan = WEIR_OK("topic", "trim", "typed", "--before", "@-1h", "--dry-run");
    CHECK(strstr(plan, "0          0      12") != NULL);
    CHECK_EQ(earliest(), 0);
    WEIR(&r, "topic", "trim", "typed", "--before", "@-1h");
    CHECK_EQ(r.code, 2); /* nobody can be asked */
    run_result_deinit(&r);
    CHECK_EQ(earliest(), 0);
    (void)WEIR_OK("topic", "trim", "typed", "--before", "@-1h", "-y", "--reason", "a test");
    CHECK_EQ(earliest(), 12);
    CHECK(node_log_has("controller-1", "event=records_deleted topic=typed"));
    WEIR(&r, "topic", "trim", "typed", "--before", "15", "-y", "-O", "json");
    CHECK_EQ(r.code, 7); /* partition 1 has no offset 15 */
    CHECK(strstr(buf_str(&r.out), "OFFSET_OUT_OF_RANGE") != NULL);
    run_result_deinit(&r);
    CHECK_EQ(earliest(), 15);
    (void)WEIR_OK("topic", "trim", "typed", "-p", "0", "--before", "end", "-y");
    CHECK_EQ(earliest(), 20);
    WEIR(&r, "topic", "trim", "typed", "--before", "sometimes", "-y");
    CHECK_EQ(r.code, 2);
    run_result_deinit(&r);
    CHECK_EQ(http_request(controller_port(1), "POST", "/v1/topics/typed:trim",
                     "{\"partitions\": [{\"partition\": 0, \"before_offset\": -1}]}", false, &body),
            422); /* not confirmed */
    body.size = 0;
    CHECK_EQ(http_request(controller_port(1), "POST", "/v1/topics/typed:trim?confirm=typed",
                     "{\"partitions\": [{\"partition\": 2, \"before_offset\": -1}]}", false, &body),
            400);
    body.size = 0;
    CHECK_EQ(http_request(controller_port(1), "POST", "/v1/topics/absent:trim?confirm=absent",
                     "{\"partitions\": [{\"partition\": 0, \"before_offset\": -1}]}", false, &body),
            404);
    buf_deinit(&body);
}

static void the_broker_ends_clean(void)
{
    begin();
    cluster_down();
}

static const struct check_case cases[] = {CASE(oldest_segments_go_beyond_the_size),
        CASE(segments_go_by_age_the_active_one_too), CASE(trimmed_records_are_gone_for_good),
        CASE(slow_reader_gets_the_range_of_a_removed_segment),
        CASE(sigkill_during_retention_loses_nothing_that_should_stay),
        CASE(policy_that_is_not_built_is_refused), CASE(trim_shows_its_plan_and_asks),
        CASE(the_broker_ends_clean)};

CHECK_MAIN("retention_cluster", cases)
