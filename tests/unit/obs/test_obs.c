/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "tests/lib/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static char last_line[16384];
static unsigned n_lines;

static void keep_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)snprintf(last_line, sizeof(last_line), "%s", text);
    n_lines++;
}

static void listen(enum log_level level)
{
    n_lines = 0;
    last_line[0] = '\0';
    log_set_level(level);
    log_set_sink(keep_line, NULL);
}

static void stop_listening(void)
{
    log_set_sink(NULL, NULL);
    log_set_level(LOG_INFO);
    log_set_daemon(NULL);
}

/* What stands behind the time stamp. */
static const char *behind_time(void)
{
    return last_line + strlen("ts=2026-11-20T10:00:00.123Z ");
}

static void line_is_logfmt_with_utc_milliseconds(void)
{
    listen(LOG_INFO);
    log_info("claim", "election_won", KV_U64("ctl_epoch", 4), KV_STR("controller", "c-1"),
            KV_I64("d", -1));
    stop_listening();
    CHECK_STR(behind_time(),
            "level=info module=claim event=election_won ctl_epoch=4 controller=c-1 d=-1");
    CHECK_MEM(last_line, "ts=20", 5);
    CHECK_MEM(last_line + 13, "T", 1);
    CHECK_MEM(last_line + 22, ".", 1);
    CHECK_MEM(last_line + 26, "Z ", 2);
}

static void values_are_quoted_where_needed(void)
{
    static const struct {
        const char *value;
        const char *text;
    } cases[] = {
            {"plain", "plain"},
            {"a/b:c,d", "a/b:c,d"},
            {"\xc3\xa4", "\xc3\xa4"},
            {"", "\"\""},
            {NULL, "null"},
            {"two words", "\"two words\""},
            {"a=b", "\"a=b\""},
            {"say \"no\"", "\"say \\\"no\\\"\""},
            {"back\\slash", "\"back\\\\slash\""},
            {"a\nlevel=error", "\"a\\nlevel=error\""},
            {"\x1b[31m", "\"\\u001b[31m\""},
    };

    char want[128];

    listen(LOG_INFO);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        log_info("m", "e", KV_STR("k", cases[i].value));
        (void)snprintf(want, sizeof(want), "level=info module=m event=e k=%s", cases[i].text);
        CHECK_STR(behind_time(), want);
    }
    log_info("m", "e", KV_HEX("zxid", 0x100000002));
    CHECK_STR(behind_time(), "level=info module=m event=e zxid=0x100000002");
    stop_listening();
}

static void endless_value_is_cut(void)
{
    static char value[100000];

    memset(value, 'x', sizeof(value) - 1);
    listen(LOG_INFO);
    log_info("m", "e", KV_STR("k", value));
    stop_listening();
    CHECK(strlen(last_line) < 5000);
    CHECK_STR(last_line + strlen(last_line) - 4, "...\"");
}

static void lines_below_the_level_are_dropped(void)
{
    enum log_level level = LOG_ERROR;

    CHECK(log_level_parse("warn", &level));
    CHECK_EQ(level, LOG_WARN);
    CHECK(!log_level_parse("loud", &level));
    CHECK_EQ(level, LOG_WARN);
    listen(level);
    log_debug("m", "e");
    log_info("m", "e");
    CHECK_EQ(n_lines, 0);
    log_warn("m", "e");
    log_error("m", "e");
    CHECK_EQ(n_lines, 2);
    stop_listening();
}

static void each_line_carries_the_daemon(void)
{
    listen(LOG_INFO);
    log_set_daemon("broker-1");
    log_info("m", "e");
    CHECK_STR(behind_time(), "level=info daemon=broker-1 module=m event=e");
    stop_listening();
}

static void error_lines_are_counted(void)
{
    int64_t before = metric_get(METRIC_LOG_LINES_ERROR);

    listen(LOG_INFO);
    log_error("m", "e");
    log_warn("m", "e");
    stop_listening();
    CHECK_EQ(metric_get(METRIC_LOG_LINES_ERROR), before + 1);
}

static void error_text_is_the_trail_of_that_number(void)
{
    int r = err_origin(-EIO);

    CHECK(strstr(log_err_text(r), "error_text_is_the_trail_of_that_number") != NULL);
    CHECK_STR(log_err_text(-ENOSPC), "-28 (No space left on device)");
    CHECK_STR(log_err_text(3), "3");
}

static void *log_and_count(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 1000; i++) {
        log_info("m", "e", KV_I64("i", i));
        metric_add(METRIC_BROKER_BYTES_IN, 3);
        metric_observe_us(METRIC_BROKER_PRODUCE_US, i);
    }
    return NULL;
}

static void threads_lose_neither_lines_nor_counts(void)
{
    pthread_t threads[4];
    int64_t bytes = metric_get(METRIC_BROKER_BYTES_IN);
    int64_t observed = metric_get(METRIC_BROKER_PRODUCE_US);

    listen(LOG_INFO);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, log_and_count, NULL), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    stop_listening();
    CHECK_EQ(n_lines, 4000);
    CHECK_EQ(metric_get(METRIC_BROKER_BYTES_IN) - bytes, 12000);
    CHECK_EQ(metric_get(METRIC_BROKER_PRODUCE_US) - observed, 4000);
}

static void metrics_are_written_as_openmetrics(void)
{
    struct buf out = {0};

    metric_set(METRIC_CONTROLLER_EPOCH, 7);
    metrics_write(&out, "controller_");
    const char *text = buf_str(&out);
    CHECK(strstr(text, "# TYPE weir_controller_epoch gauge\n") != NULL);
    CHECK(strstr(text, "\nweir_controller_epoch 7\n") != NULL);
    CHECK(strstr(text, "# TYPE weir_controller_commits counter\n") != NULL);
    CHECK(strstr(text, "\nweir_controller_commits_total 0\n") != NULL);
    CHECK(strstr(text, "weir_zookeeper_connected") != NULL);
    CHECK(strstr(text, "weir_log_error_lines_total") != NULL);
    CHECK(strstr(text, "weir_broker_") == NULL);
    CHECK(strstr(text, "# EOF") == NULL);
    buf_deinit(&out);
}

static void histogram_buckets_grow_to_the_count(void)
{
    struct buf out = {0};

    metric_observe_us(METRIC_CONTROLLER_COMMIT_US, 64);
    metric_observe_us(METRIC_CONTROLLER_COMMIT_US, 65);
    metric_observe_us(METRIC_CONTROLLER_COMMIT_US, -5);
    metric_observe_us(METRIC_CONTROLLER_COMMIT_US, INT64_C(1000000000));
    metrics_write(&out, "controller");
    const char *text = buf_str(&out);
    CHECK(strstr(text, "# TYPE weir_controller_commit_microseconds histogram\n") != NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_bucket{le=\"64.0\"} 2\n") != NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_bucket{le=\"128.0\"} 3\n") != NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_bucket{le=\"67108864.0\"} 3\n") !=
            NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_bucket{le=\"+Inf\"} 4\n") != NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_count 4\n") != NULL);
    CHECK(strstr(text, "weir_controller_commit_microseconds_sum 1000000129\n") != NULL);
    buf_deinit(&out);
}

static int64_t number_behind(const char *text, const char *name)
{
    char line[128];
    long long number = -1;

    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    return at != NULL && sscanf(at + strlen(line), "%lld", &number) == 1 ? number : -1;
}

static void process_metrics_are_of_this_process(void)
{
    struct buf out = {0};
    int64_t now = (int64_t)time(NULL);

    metrics_write(&out, "broker");
    const char *text = buf_str(&out);
    CHECK(number_behind(text, "weir_process_resident_bytes") > 100000);
    CHECK(number_behind(text, "weir_process_open_files") >= 3);
    int64_t start = number_behind(text, "weir_process_start_time_seconds");
    CHECK(start <= now + 1 && start > now - 3600);
    buf_deinit(&out);
}

static void labelled_samples_are_written_by_their_owner(void)
{
    struct buf out = {0};

    metrics_write_family(&out, "weir_topic_bytes_total", "counter", "Bytes.");
    metrics_write_sample(&out, "weir_topic_bytes_total", "topic=\"a\",partition=\"0\"", 5);
    CHECK_STR(buf_str(&out), "# TYPE weir_topic_bytes counter\n# HELP weir_topic_bytes Bytes.\n"
                             "weir_topic_bytes_total{topic=\"a\",partition=\"0\"} 5\n");
    buf_deinit(&out);
}

static const struct check_case cases[] = {
        CASE(line_is_logfmt_with_utc_milliseconds),
        CASE(values_are_quoted_where_needed),
        CASE(endless_value_is_cut),
        CASE(lines_below_the_level_are_dropped),
        CASE(each_line_carries_the_daemon),
        CASE(error_lines_are_counted),
        CASE(error_text_is_the_trail_of_that_number),
        CASE(threads_lose_neither_lines_nor_counts),
        CASE(metrics_are_written_as_openmetrics),
        CASE(histogram_buckets_grow_to_the_count),
        CASE(process_metrics_are_of_this_process),
        CASE(labelled_samples_are_written_by_their_owner),
};

CHECK_MAIN("obs", cases)
