/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/zk/zk.h"
#include "tests/cluster/broker_world.h"
#include "tests/lib/cluster.h"
#include "tests/lib/run.h"
#include "tests/lib/zkserver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void what_is_produced_is_fetched(void)
{
    struct world *w = world_serving();
    struct msg_produce_result r = produce(w, -1, "hello", 3, 1000);

    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(r.base_offset, 0);
    CHECK_EQ(r.log_append_time, -1);
    r = produce(w, 1, "hello", 2, 2000);
    CHECK_EQ(r.base_offset, 3);
    CHECK_EQ(consume(w, 0, "hello"), 5);
    CHECK_EQ(consume(w, 3, "hello"), 2);
    CHECK_EQ(consume(w, 5, "hello"), 0);
    world_free(w);
}

static void a_long_poll_is_answered_by_the_next_produce(void)
{
    struct world *w = world_serving();
    struct msg_fetch_result f;
    struct reply parked;
    int64_t began;

    ask(w, w->client, API_FETCH, fetch_out(1, 0, 15000, 1, 0), &parked);
    pause_loop(w, 200);
    CHECK(!parked.is_there);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE); /* on the same connection */
    CHECK(run_until(w, &parked.is_there, 3000));
    f = fetched(&parked);
    CHECK_EQ(f.error, ERRCODE_NONE);
    CHECK_EQ(f.high_watermark, 1);
    CHECK(f.records.size > 0);
    reply_free(&parked);

    began = check_now_ms();
    call(w, w->client, API_FETCH, fetch_out(1, 1, 300, 1, 0), &parked);
    CHECK(check_now_ms() - began >= 299);
    CHECK_EQ(fetched(&parked).records.size, 0);
    reply_free(&parked);
    world_free(w);
}

static void acknowledged_records_survive_sigkill(void) /* [BRK-3] */
{
    struct world *w = world_serving();

    for (int i = 0; i < 20; i++) {
        CHECK_EQ(produce(w, -1, "kept", 5, 1000).error, ERRCODE_NONE);
    }
    (void)stop_broker(w, SIGKILL);
    w->client = w->controller = NULL;
    start_broker(w);
    connect_controller(w);
    CHECK_EQ(w->applied, 0);
    admit_broker(w); /* by a snapshot */
    connect_client(w);
    CHECK_EQ(consume(w, 0, "kept"), 100);
    CHECK_EQ(produce(w, -1, "kept", 1, 1000).base_offset, 100);
    CHECK_EQ(list(w, LIST_LATEST).offset, 101);
    world_free(w);
}

static void an_orderly_stop_leaves_a_clean_marker_and_everything_in_place(void) /* [BRK-15] */
{
    struct world *w = world_serving();
    struct stat st;
    char path[512];

    CHECK_EQ(produce(w, -1, "kept", 7, 1000).error, ERRCODE_NONE);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    (void)snprintf(path, sizeof(path), "%s/clean.marker", w->dir);
    CHECK_EQ(stat(path, &st), 0);
    CHECK(file_has(w->log, "event=shutdown_granted"));
    w->client = w->controller = NULL;
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    CHECK(file_has(w->log, "event=registered"));
    connect_client(w);
    CHECK_EQ(consume(w, 0, "kept"), 7);
    CHECK(stat(path, &st) != 0);
    world_free(w);
}

static void systemd_is_told_when_it_started_and_when_it_stops(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 10};
    char text[32] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/notify", test_folder());
    CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    struct world *w = world_serving();
    CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
    CHECK_EQ(recv(fd, text, sizeof(text) - 1, 0), 7);
    CHECK_STR(text, "READY=1");
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK_EQ(recv(fd, text, sizeof(text) - 1, 0), 10);
    CHECK_STR(text, "STOPPING=1");
    (void)close(fd);
    world_free(w);
}

static void offsets_are_found_by_time(void)
{
    struct world *w = world_serving();

    (void)produce(w, -1, "a", 3, 1000); /* 1000 … 1002 */
    (void)produce(w, -1, "b", 3, 2000); /* 2000 … 2002 */
    CHECK_EQ(list(w, LIST_EARLIEST).offset, 0);
    CHECK_EQ(list(w, LIST_LATEST).offset, 6);
    CHECK_EQ(list(w, 0).offset, 0);
    CHECK_EQ(list(w, 1001).offset, 1);
    CHECK_EQ(list(w, 1001).timestamp, 1001);
    CHECK_EQ(list(w, 1003).offset, 3);
    CHECK_EQ(list(w, 2003).offset, OFFSET_NONE);
    CHECK_EQ(list(w, LIST_MAX_TIMESTAMP).offset, 5);
    CHECK_EQ(list(w, -4).error, ERRCODE_INVALID_REQUEST);
    world_free(w);
}

static void bad_batches_are_refused_with_their_code(void)
{
    struct world *w = world_serving();
    struct buf batch = {0};

    create_topic(w, 2, "small", 1, "max.message.bytes", "1024");
    build_batch(&batch, "value", 1, 0);
    batch.data[batch.size - 1] ^= 1;
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_CORRUPT_MESSAGE);
    batch.data[batch.size - 1] ^= 1;
    CHECK_EQ(produce_bytes(w, 1, 2, &batch).error, ERRCODE_INVALID_REQUIRED_ACKS);
    CHECK_EQ(produce_bytes(w, 3, -1, &batch).error, ERRCODE_UNKNOWN_TOPIC_ID);
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
    buf_clear(&batch);
    build_batch(&batch, "value", 200, 0);
    CHECK_EQ(produce_bytes(w, 2, -1, &batch).error, ERRCODE_MESSAGE_TOO_LARGE);
    buf_deinit(&batch);
    world_free(w);
}

static void log_append_time_is_the_brokers_clock(void)
{
    struct world *w = world_serving();
    struct msg_produce_result r;
    struct buf batch = {0};

    create_topic(w, 2, "stamped", 1, "message.timestamp.type", "LogAppendTime");
    build_batch(&batch, "value", 1, 5);
    r = produce_bytes(w, 2, -1, &batch);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK(r.log_append_time > 1000000000000);
    buf_deinit(&batch);
    world_free(w);
}

static void fetch_errors_are_answered_at_once(void)
{
    static const struct {
        uint8_t topic;
        offset64 offset;
        epoch32 epoch;
        int error;
    } rows[] = {
            {1, 1, 0, ERRCODE_OFFSET_OUT_OF_RANGE},
            {1, 0, 5, ERRCODE_UNKNOWN_LEADER_EPOCH},
            {9, 0, 0, ERRCODE_UNKNOWN_TOPIC_ID},
    };
    struct world *w = world_serving();

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply r;

        call(w, w->client, API_FETCH,
                fetch_out(rows[i].topic, rows[i].offset, 15000, 1, rows[i].epoch), &r);
        CHECK_EQ(fetched(&r).error, rows[i].error);
        reply_free(&r);
    }
    world_free(w);
}

static void acks_zero_has_no_answer_and_an_error_closes(void)
{
    struct world *w = world_serving();
    struct buf batch = {0};

    build_batch(&batch, "quiet", 1, 0);
    rpc_call(w->client, API_PRODUCE, 0, produce_out(1, 0, &batch), NULL, NULL);
    CHECK_EQ(produce(w, -1, "quiet", 1, 0).base_offset, 1);
    CHECK_EQ(consume(w, 0, "quiet"), 2);
    w->client_closed = false;
    rpc_call(w->client, API_PRODUCE, 0, produce_out(9, 0, &batch), NULL, NULL);
    CHECK(run_until(w, &w->client_closed, 3000));
    buf_deinit(&batch);
    world_free(w);
}

static void unknown_and_misplaced_requests_are_refused(void) /* [BRK-8] */
{
    struct world *w = world_serving();
    struct uuid other = {{9, 9}};
    struct reply r;

    call(w, w->client, 77, NULL, &r);
    CHECK_EQ(r.error, ERRCODE_UNSUPPORTED_VERSION);
    reply_free(&r);
    call(w, w->client, API_PUSH, NULL, &r);
    CHECK_EQ(r.error, ERRCODE_INVALID_REQUEST);
    reply_free(&r);
    hello_as(w, w->client, ROLE_CLIENT, (struct uuid){{0}}, &r);
    CHECK_EQ(r.error, ERRCODE_INVALID_REQUEST);
    reply_free(&r);
    rpc_conn_close(w->client);
    w->client = dial(w);
    hello_as(w, w->client, ROLE_CLIENT, other, &r);
    CHECK_EQ(r.error, ERRCODE_INCONSISTENT_CLUSTER_ID);
    reply_free(&r);
    CHECK(run_until(w, &w->client_closed, 3000));
    world_free(w);
}

static void a_deposed_controller_is_refused(void) /* [BRK-7] */
{
    struct world *w = world_serving();
    struct reply r;

    rpc_conn_close(w->client);
    w->client = dial(w);
    w->ctl_epoch = 0; /* below the one that was here */
    hello_as(w, w->client, ROLE_CONTROLLER, w->cluster_id, &r);
    CHECK_EQ(r.error, ERRCODE_NOT_CONTROLLER);
    reply_free(&r);
    w->ctl_epoch = 1;
    beat(w, w->batches.n); /* the one in office goes on */
    world_free(w);
}

static void metadata_names_brokers_topics_and_controllers(void)
{
    const char *names[] = {"orders", "absent", "bad name"};
    struct msg_metadata_request m = {.topics = names, .n_topics = 3};
    struct world *w = world_serving();
    struct msg_metadata_response got;
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_metadata_request(&m, rpc_out_buf(out));
    call(w, w->client, API_METADATA, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_metadata_response(r.body, &r.arena, &got), 0);
    CHECK(uuid_equal(&got.cluster_id, &w->cluster_id));
    CHECK_EQ(got.n_controllers, 1);
    CHECK_STR(got.controllers[0], "http://127.0.0.1:9180");
    CHECK_EQ(got.n_brokers, 1);
    CHECK_EQ(got.brokers[0].id, BROKER_ID);
    CHECK_EQ(got.brokers[0].port, w->port);
    CHECK_EQ(got.n_topics, 3);
    CHECK_EQ(got.topics[0].n_partitions, 1);
    CHECK_EQ(got.topics[0].partitions[0].leader, BROKER_ID);
    CHECK_EQ(got.topics[1].error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(got.topics[2].error, ERRCODE_INVALID_TOPIC_EXCEPTION);
    reply_free(&r);
    world_free(w);
}

static bool folder_exists(const struct world *w, const char *name)
{
    struct stat st;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    return stat(path, &st) == 0;
}

/* KIP-570, KAFKA-9539: the removal that comes once more does not meet the log of the new one. */
static void a_removed_topics_log_goes_away_and_its_name_is_free(void)
{
    struct world *w = world_serving();
    struct meta_record r = {.kind = META_REMOVE_TOPIC};
    struct buf batch = {0};

    build_batch(&batch, "again", 1, 0);
    CHECK(!folder_exists(w, "orders-0")); /* lazily made */
    CHECK_EQ(produce(w, -1, "gone", 3, 0).error, ERRCODE_NONE);
    CHECK(folder_exists(w, "orders-0"));
    r.remove_topic.id = topic_id(1);
    uint64_t before = w->applied;
    commit(w, &r, 1);
    push(w);
    CHECK_EQ(produce(w, -1, "gone", 1, 0).error, ERRCODE_UNKNOWN_TOPIC_ID);
    CHECK_WITHIN(5000, !folder_exists(w, "orders-0"));
    create_topic(w, 2, "orders", 1, NULL, NULL);
    CHECK_EQ(produce_bytes(w, 2, -1, &batch).base_offset, 0);
    w->applied = before;
    push(w);
    CHECK(folder_exists(w, "orders-0"));
    CHECK_EQ(list_topic(w, 2, -1).offset, 1);
    buf_deinit(&batch);
    world_free(w);
}

static void a_fenced_broker_does_not_serve(void) /* [BRK-9] */
{
    struct world *w = world_serving();
    struct meta_record r = about_broker(w, META_FENCE_BROKER);

    commit(w, &r, 1);
    push(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    r = about_broker(w, META_UNFENCE_BROKER);
    commit(w, &r, 1);
    push(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    world_free(w);
}

static void metadata_that_went_back_fences_the_broker_and_deletes_nothing(void) /* [BRK-13] */
{
    struct world *w = world_serving();

    CHECK_EQ(produce(w, -1, "kept", 1, 0).error, ERRCODE_NONE);
    beat(w, 1);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    CHECK(folder_exists(w, "orders-0"));
    CHECK(file_has(w->log, "event=metadata_refused"));
    world_free(w);
}

/* A second process; returns its exit code. */
static int run_second(struct world *w, int id, const char *log)
{
    struct world other = *w;

    start_broker_as(&other, id, log, NULL);
    return run_wait(other.pid, 0, ANSWER_MS);
}

static void a_second_broker_is_refused_with_the_reason(void) /* [BRK-1] [BRK-4] */
{
    struct world *w = world_serving();
    char log[300], dir[256];
    uint16_t port = w->port;

    (void)snprintf(log, sizeof(log), "%s.second", w->log);
    CHECK_EQ(run_second(w, BROKER_ID, log), 1); /* the folder is locked */
    CHECK(file_has(log, "event=start_refused"));

    memcpy(dir, w->dir, sizeof(dir));
    (void)snprintf(w->dir, sizeof(w->dir), "%s/second", test_folder());
    CHECK_EQ(run_second(w, BROKER_ID, log), 1); /* the port is taken */
    CHECK(file_has(log, "the port is in use"));

    w->port = zkserver_free_port();
    w->http_port = zkserver_free_port();
    CHECK_EQ(run_second(w, BROKER_ID, log), 1); /* another machine, as it were, with the same id */
    CHECK(file_has(log, "broker.id 7 is in use"));
    memcpy(w->dir, dir, sizeof(dir));
    w->port = port;
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    w->client = w->controller = NULL;
    CHECK_EQ(run_second(w, 8, log), 1); /* that folder is broker 7's */
    CHECK(file_has(log, "belongs to broker 7"));
    world_free(w);
}

static void a_fetch_gives_at_least_one_whole_batch(void) /* [BRK-25] */
{
    struct world *w = world_serving();
    struct msg_fetch_partition p = {.topic_id = topic_id(1),
            .leader_epoch = EPOCH_NONE,
            .last_fetched_epoch = EPOCH_NONE,
            .max_bytes = 1,
            .log_start = -1,
            .flushed = -1};
    struct msg_fetch_request m = {.min_bytes = 1,
            .max_bytes = 1,
            .replica = BROKER_NONE,
            .broker_epoch = -1,
            .partitions = &p,
            .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();
    struct msg_fetch_result f;
    struct batch b;
    struct reply r;

    (void)produce(w, -1, "first", 3, 0);
    (void)produce(w, -1, "second", 3, 0);
    wire_encode_fetch_request(&m, rpc_out_buf(out));
    call(w, w->client, API_FETCH, out, &r);
    f = fetched(&r);
    CHECK_EQ(batch_parse(f.records.at, f.records.size, &b), 0);
    CHECK_EQ(b.size, f.records.size); /* one, whole */
    CHECK_EQ(b.n_records, 3);
    reply_free(&r);
    world_free(w);
}

static void a_broker_waits_for_the_parents_of_its_node(void) /* [BRK-5] */
{
    struct world *w = world_new(false);

    start_broker(w);
    CHECK_WITHIN(10000, file_has(w->log, "waiting for a controller to set the cluster up"));
    create_parents(w);
    connect_controller(w); /* until it is registered [BRK-2] */
    CHECK(w->broker_epoch >= 0);
    world_free(w);
}

static void metadata_is_not_answered_before_there_is_any(void) /* [BRK-12] */
{
    struct world *w = world_new(true);
    struct reply r;

    start_broker(w);
    connect_client(w);
    call(w, w->client, API_METADATA, NULL, &r);
    CHECK_EQ(r.error, ERRCODE_LEADER_NOT_AVAILABLE);
    reply_free(&r);
    world_free(w);
}

/* A push of one batch that `w` itself does not take into its image; its answer. */
static void push_record(struct world *w, struct meta_record *record, struct reply *ret)
{
    struct msg_pushed_batch pushed = {.index = w->applied + 1};
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch,
            .prev_crc64 = w->crc,
            .batches = &pushed,
            .n_batches = 1};
    struct msg_batch batch = {.ctl_epoch = w->ctl_epoch,
            .index = w->applied + 1,
            .first_seq = w->seq + 1,
            .prev_crc64 = w->crc};
    struct rpc_out *out = rpc_out_new();
    struct buf payload = {0}, bytes = {0};

    record->seq = batch.first_seq;
    record->why = (struct meta_why){.cause = CAUSE_ADMIN, .actor = "", .reason = "", .inputs = ""};
    wire_append_record(record, &payload);
    batch.payload = (struct bytes){.at = payload.data, .size = payload.size};
    batch.crc64 = msg_batch_crc(&batch);
    wire_encode_batch(&batch, &bytes);
    pushed.batch = (struct bytes){.at = bytes.data, .size = bytes.size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    buf_deinit(&payload);
    buf_deinit(&bytes);
    call(w, w->controller, API_PUSH, out, ret);
}

/* [ZK-44] It stops applying and leading, says both levels, and what it has stays. */
static void a_newer_feature_level_fences_the_broker_and_deletes_nothing(void)
{
    struct world *w = world_serving();
    struct meta_record level = {.kind = META_FEATURE_SET}, gone = {.kind = META_REMOVE_TOPIC};
    uint64_t applied = w->applied;
    struct buf body = {0};
    struct reply r;

    CHECK_EQ(produce(w, -1, "kept", 1, 0).error, ERRCODE_NONE);
    level.feature.name = "metadata.version";
    level.feature.level = META_FEATURE_LEVEL + 1;
    push_record(w, &level, &r);
    CHECK_EQ(r.error, ERRCODE_UNKNOWN_SERVER_ERROR);
    CHECK(strstr(r.detail, "feature level 2 is in force") != NULL);
    CHECK(strstr(r.detail, "knows levels up to 1") != NULL);
    reply_free(&r);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    gone.remove_topic.id = topic_id(1);
    push_record(w, &gone, &r);
    CHECK(r.error != ERRCODE_NONE);
    reply_free(&r);
    CHECK_EQ(w->applied, applied);
    CHECK(folder_exists(w, "orders-0"));
    CHECK(file_has(w->log, "event=metadata_refused"));
    CHECK_EQ(http_request(w->http_port, "GET", "/readyz", NULL, false, &body), 503);
    CHECK(strstr(buf_str(&body), "feature level 2 is in force") != NULL);
    buf_deinit(&body);
    world_free(w);
}

/* [ZK-45] A controller that is older than the level in force is not believed. */
static void a_controller_below_the_level_in_force_is_refused(void)
{
    struct world *w = world_serving();
    struct meta_record level = {.kind = META_FEATURE_SET};
    struct msg_hello_request m = {.client_id = "test",
            .role = ROLE_CONTROLLER,
            .cluster_id = w->cluster_id,
            .library = "test",
            .library_version = "0.0.9",
            .feature_level = 0,
            .ctl_epoch = w->ctl_epoch,
            .controller_id = 2};
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    level.feature.name = "metadata.version";
    level.feature.level = META_FEATURE_LEVEL;
    commit(w, &level, 1);
    push(w);
    rpc_conn_close(w->client);
    w->client = dial(w);
    wire_encode_hello_request(&m, rpc_out_buf(out));
    call(w, w->client, API_HELLO, out, &r);
    CHECK_EQ(r.error, ERRCODE_UNSUPPORTED_VERSION);
    CHECK(strstr(r.detail, "0.0.9 knows feature levels up to 0, and level 1 is in force") != NULL);
    reply_free(&r);
    world_free(w);
}

/* [BRK-6] What was applied is acknowledged again and changes nothing; what comes too early is asked for.
 * KAFKA-7235, KAFKA-9839: no request of a controller stands alone. */
static void duplicates_are_acknowledged_and_gaps_are_asked_for(void)
{
    struct world *w = world_serving();
    struct msg_pushed_batch pushed[2] = {{0}};
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch, .batches = pushed};
    struct rpc_out *out = rpc_out_new();
    uint64_t applied = w->applied;
    struct reply r;

    for (size_t i = 0; i < 2; i++) { /* the first two once more */
        pushed[i] = (struct msg_pushed_batch){.index = i + 1,
                .batch = {.at = w->batches.items[i].data, .size = w->batches.items[i].size}};
    }
    m.n_batches = 2;
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    push_answered(w, &r, false);
    CHECK_EQ(w->applied, applied);
    pushed[0].index = applied + 2;
    m.n_batches = 1;
    out = rpc_out_new();
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    push_answered(w, &r, true);
    CHECK_EQ(w->applied, applied);
    CHECK_EQ(produce(w, -1, "on", 1, 0).error, ERRCODE_NONE);
    world_free(w);
}

static void a_batch_that_does_not_continue_the_chain_is_not_applied(void) /* [BRK-6] */
{
    struct world *w = world_serving();
    struct msg_pushed_batch pushed = {.index = w->applied + 1};
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch, .batches = &pushed, .n_batches = 1};
    struct msg_batch batch = {.ctl_epoch = w->ctl_epoch,
            .index = w->applied + 1,
            .first_seq = w->seq + 1,
            .prev_crc64 = w->crc + 1};
    uint64_t applied = w->applied;
    struct rpc_out *out = rpc_out_new();
    struct buf bytes = {0};
    struct reply r;

    batch.crc64 = msg_batch_crc(&batch);
    wire_encode_batch(&batch, &bytes);
    pushed.batch = (struct bytes){.at = bytes.data, .size = bytes.size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    buf_deinit(&bytes);
    call(w, w->controller, API_PUSH, out, &r);
    push_answered(w, &r, true);
    CHECK_EQ(w->applied, applied);
    world_free(w);
}

static void forget_metadata(struct world *w)
{
    (void)image_free(w->image);
    w->image = image_new();
    ARRAY_FOREACH (b, &w->batches) {
        buf_deinit(b);
    }
    array_clear(&w->batches);
    w->crc = w->seq = w->applied = 0;
}

static void a_log_that_no_image_names_is_left_alone(void) /* [BRK-10] KAFKA-16157 */
{
    struct world *w = world_serving();

    CHECK_EQ(produce(w, -1, "kept", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    w->client = w->controller = NULL;
    forget_metadata(w); /* ZooKeeper was wiped, or put back to before the topic was made */
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    CHECK(folder_exists(w, "orders-0"));
    world_free(w);
}

static void a_broker_that_hears_no_controller_goes_on_serving(void) /* [BRK-11] */
{
    struct world *w = world_serving();

    rpc_conn_close(w->controller);
    w->controller = NULL;
    CHECK_WITHIN(10000, file_has(w->log, "event=isolated"));
    CHECK_EQ(produce(w, -1, "on", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(produce(w, 1, "on", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(consume(w, 0, "on"), 2);
    world_free(w);
}

static void an_address_that_nobody_can_reach_is_refused(void) /* [BRK-14] */
{
    struct world *w = world_new(true);
    char log[300], more[64];

    (void)snprintf(log, sizeof(log), "%s.wild", w->log);
    (void)snprintf(more, sizeof(more), "listeners=weir://0.0.0.0:%u", w->port);
    start_broker_as(w, BROKER_ID, log, more);
    CHECK_EQ(run_wait(w->pid, 0, 10000), 1);
    CHECK(file_has(log, "advertised.listeners"));
    w->pid = 0;
    world_free(w);
}

static void a_frame_that_is_not_ours_closes_with_the_reason_in_the_log(void)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct world *w = world_serving();

    send_raw(w, http, sizeof(http) - 1);
    CHECK_WITHIN(5000, file_has(w->log, "event=connection_broken"));
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE); /* nobody else notices */
    world_free(w);
}

static void connections_over_the_limit_are_refused_and_a_controller_is_not(void)
{
    struct world *w = world_new(true);
    struct rpc_conn *first;
    struct reply r;

    start_broker_as(w, BROKER_ID, w->log, "max.connections=1");
    connect_client(w);
    first = w->client;
    w->client = NULL;
    w->client = dial(w);
    hello_as(w, w->client, ROLE_CLIENT, (struct uuid){{0}}, &r);
    CHECK_EQ(r.error, ERRCODE_POLICY_VIOLATION);
    reply_free(&r);
    CHECK(file_has(w->log, "max.connections is reached"));
    CHECK(run_until(w, &w->client_closed, 3000));
    connect_controller(w);
    rpc_conn_close(first);
    world_free(w);
}

/* The record names two replicas, and nobody copies: what asks for both is not acknowledged. */
static void a_batch_that_nobody_copies_is_not_acknowledged(void) /* [REP-23] */
{
    struct world *w = world_serving();
    struct meta_record r[2] = {{.kind = META_REGISTER_BROKER}, partition_record(1, 0, 1)};
    struct endpoint other = {.name = "weir", .host = "127.0.0.1", .port = 1};

    r[0].register_broker = (struct meta_register_broker){.id = BROKER_ID + 1,
            .epoch = 1,
            .crash_kind = CRASH_HOST,
            .rack = "",
            .version = "0",
            .endpoints = &other,
            .n_endpoints = 1};
    r[1].partition.replicas = (struct broker_set){.n = 2, .at = {BROKER_ID, BROKER_ID + 1}};
    r[1].partition.isr = r[1].partition.replicas;
    r[1].partition.min_isr = 2;
    r[1].partition.leader_epoch = 0;
    commit(w, r, 2);
    push(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_REQUEST_TIMED_OUT);
    /* [REP-29] Nobody was heard for the lease of 500 ms: somebody else may lead. */
    CHECK_WITHIN(5000, produce(w, 1, "x", 1, 0).error == ERRCODE_NOT_LEADER_OR_FOLLOWER);
    beat(w, w->batches.n);
    CHECK_EQ(produce(w, 1, "x", 1, 0).error, ERRCODE_NONE);
    world_free(w);
}

struct node {
    bool is_known;
    int64_t epoch; /* -1 = none */
    enum crash_kind kind;
};

static void on_node(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct node *n = ctx;
    struct msg_broker_reg reg;
    struct arena arena;

    n->is_known = true;
    n->epoch = -1;
    if (rc == ZK_OK) {
        arena_init(&arena, wire_arena_ceiling(data.size));
        n->epoch = stat->czxid;
        n->kind = wire_decode_broker_reg(data, &arena, &reg) == 0 ? reg.crash_kind : 0;
        arena_deinit(&arena);
    }
}

static struct node registered(struct world *w)
{
    struct node n = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), "/weir/brokers/%d", BROKER_ID);
    zk_get(w->zk, path, NULL, on_node, &n);
    CHECK(run_until(w, &n.is_known, ANSWER_MS));
    return n;
}

/* Stops the broker until its session is over, lets it go on, and waits for its next node. */
static struct node lose_the_session(struct world *w)
{
    struct node old = {.epoch = -1}, next;

    CHECK_WITHIN(ANSWER_MS, (old = registered(w)).epoch >= 0);
    CHECK_EQ(kill(w->pid, SIGSTOP), 0);
    CHECK_WITHIN(ANSWER_MS, registered(w).epoch < 0);
    CHECK_EQ(kill(w->pid, SIGCONT), 0);
    CHECK_WITHIN(ANSWER_MS, (next = registered(w)).epoch > old.epoch);
    return next;
}

static void how_the_last_run_ended_is_told_until_it_is_admitted(void) /* [BRK-16] */
{
    struct world *w = world_new(true);

    start_broker_as(w, BROKER_ID, w->log, "zookeeper.session.timeout.ms=1000");
    CHECK_EQ(lose_the_session(w).kind, CRASH_HOST); /* a new folder */
    connect_controller(w);
    admit_broker(w);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=unfenced"));
    CHECK_EQ(lose_the_session(w).kind, CRASH_CLEAN);
    world_free(w);
}

static void a_new_node_stops_nobody_before_the_image_has_it(void) /* [REP-20] [BRK-16] */
{
    struct world *w = world_new(true);
    int64_t old;

    start_broker_as(w, BROKER_ID, w->log, "zookeeper.session.timeout.ms=1000");
    connect_controller(w);
    admit_broker(w);
    create_topic(w, 1, "orders", 1, NULL, NULL);
    old = w->broker_epoch;
    (void)lose_the_session(w);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "reason=\"this broker's registration changed\""));
    connect_client(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    connect_controller(w);
    CHECK(w->broker_epoch > old);
    connect_client(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    admit_broker(w);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(consume(w, 0, "x"), 3);
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(what_is_produced_is_fetched),
        CASE(a_long_poll_is_answered_by_the_next_produce),
        CASE(acknowledged_records_survive_sigkill),
        CASE(an_orderly_stop_leaves_a_clean_marker_and_everything_in_place),
        CASE(systemd_is_told_when_it_started_and_when_it_stops),
        CASE(offsets_are_found_by_time),
        CASE(bad_batches_are_refused_with_their_code),
        CASE(log_append_time_is_the_brokers_clock),
        CASE(fetch_errors_are_answered_at_once),
        CASE(acks_zero_has_no_answer_and_an_error_closes),
        CASE(unknown_and_misplaced_requests_are_refused),
        CASE(a_deposed_controller_is_refused),
        CASE(a_newer_feature_level_fences_the_broker_and_deletes_nothing),
        CASE(a_controller_below_the_level_in_force_is_refused),
        CASE(duplicates_are_acknowledged_and_gaps_are_asked_for),
        CASE(metadata_names_brokers_topics_and_controllers),
        CASE(a_removed_topics_log_goes_away_and_its_name_is_free),
        CASE(a_fenced_broker_does_not_serve),
        CASE(metadata_that_went_back_fences_the_broker_and_deletes_nothing),
        CASE(a_second_broker_is_refused_with_the_reason),
        CASE(a_fetch_gives_at_least_one_whole_batch),
        CASE(a_broker_waits_for_the_parents_of_its_node),
        CASE(metadata_is_not_answered_before_there_is_any),
        CASE(a_batch_that_does_not_continue_the_chain_is_not_applied),
        CASE(a_log_that_no_image_names_is_left_alone),
        CASE(a_broker_that_hears_no_controller_goes_on_serving),
        CASE(an_address_that_nobody_can_reach_is_refused),
        CASE(a_frame_that_is_not_ours_closes_with_the_reason_in_the_log),
        CASE(connections_over_the_limit_are_refused_and_a_controller_is_not),
        CASE(a_batch_that_nobody_copies_is_not_acknowledged),
        CASE(how_the_last_run_ended_is_told_until_it_is_admitted),
        CASE(a_new_node_stops_nobody_before_the_image_has_it),
        CASE(stop_zookeeper),
};
CHECK_MAIN("broker", cases)
