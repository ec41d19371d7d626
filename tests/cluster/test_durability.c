/* SPDX-License-Identifier: Apache-2.0 */
/* What an acknowledgement means on the disk, with a broker whose syncs hang or fail (tests/lib/fault.c), and where leader
 * epochs end. Topic 1 "orders" is replicated, 2 "durable" and 3 "other" have weir.ack.durability=fsync. */
#include "tests/cluster/broker_world.h"

#include "common/domain/errcode.h"
#include "tests/lib/faults.h"
#include "tests/lib/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world *world_durable(void)
{
    begin_faults();
    struct world *w = world_serving();
    create_topic(w, 2, "durable", 1, "weir.ack.durability", "fsync");
    create_topic(w, 3, "other", 1, "weir.ack.durability", "fsync");
    return w;
}

static struct rpc_out *batch_for(uint8_t topic, int32_t acks, int n)
{
    struct buf batch = {0};

    build_batch(&batch, "x", n, 1000);
    struct rpc_out *out = produce_out(topic, acks, &batch);
    buf_deinit(&batch);
    return out;
}

static struct msg_produce_result take_produced(struct reply *r)
{
    struct msg_produce_response m = {0};
    struct msg_produce_result ret;

    CHECK_EQ(r->error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_produce_response(r->body, &r->arena, &m), 0);
    CHECK_EQ(m.n_partitions, 1);
    ret = m.partitions[0];
    ret.detail = NULL;
    reply_free(r);
    return ret;
}

static struct msg_produce_result produce_to(struct world *w, uint8_t topic, int32_t acks, int n)
{
    struct reply r;

    call(w, w->client, API_PRODUCE, batch_for(topic, acks, n), &r);
    return take_produced(&r);
}

static void an_answer_says_what_it_means(void) /* [LOG-70] */
{
    struct world *w = world_durable();

    for (int32_t acks = -1; acks <= 1; acks += 2) {
        struct msg_produce_result replicated = produce_to(w, 1, acks, 1);
        struct msg_produce_result fsync = produce_to(w, 2, acks, 1);

        CHECK_EQ(replicated.error, ERRCODE_NONE);
        CHECK_EQ(replicated.durability, DURABILITY_REPLICATED);
        CHECK_EQ(fsync.error, ERRCODE_NONE);
        CHECK_EQ(fsync.durability, DURABILITY_FSYNC);
    }
    world_free(w);
}

/* While one log's sync hangs, what waits for it waits; others of the same disk go on. What came meanwhile is
 * acknowledged by one more sync. */
static void a_hanging_sync_holds_its_own_acknowledgements_only(void) /* [LOG-70] [LOG-71] */
{
    enum {
        N = 20
    };
    struct world *w = world_durable();
    struct reply waiting[N];

    CHECK_EQ(produce_to(w, 2, -1, 1).error, ERRCODE_NONE);
    set_faults("sync hang 0 /durable-0/\n");
    for (int i = 0; i < N; i++) {
        ask(w, w->client, API_PRODUCE, batch_for(2, i % 2 == 0 ? -1 : 1, 2), &waiting[i]);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(produce_to(w, 1, -1, 1).error, ERRCODE_NONE);
        CHECK_EQ(produce_to(w, 3, 1, 1).durability, DURABILITY_FSYNC);
    }
    for (int i = 0; i < N; i++) {
        CHECK(!waiting[i].is_there);
    }
    set_faults("");
    for (int i = 0; i < N; i++) {
        CHECK(run_until(w, &waiting[i].is_there, ANSWER_MS));
        struct msg_produce_result got = take_produced(&waiting[i]);
        CHECK_EQ(got.error, ERRCODE_NONE);
        CHECK_EQ(got.base_offset, 1 + 2 * i);
        CHECK_EQ(got.durability, DURABILITY_FSYNC);
    }
    world_free(w);
}

/* Nobody reads what is not on the disk: it is not committed. */
static void what_is_not_on_the_disk_is_not_read(void) /* [LOG-70] */
{
    struct world *w = world_durable();
    struct reply waiting, r;

    set_faults("sync hang 0 00.log\n"); /* the folder is made, its data is not synced */
    ask(w, w->client, API_PRODUCE, batch_for(2, 1, 3), &waiting);
    CHECK_EQ(produce_to(w, 1, -1, 1).error, ERRCODE_NONE);
    call(w, w->client, API_FETCH, fetch_out(2, 0, 0, 1, EPOCH_NONE), &r);
    CHECK_EQ(fetched(&r).high_watermark, 0);
    reply_free(&r);
    CHECK(!waiting.is_there);
    set_faults("");
    CHECK(run_until(w, &waiting.is_there, ANSWER_MS));
    CHECK_EQ(take_produced(&waiting).error, ERRCODE_NONE);
    world_free(w);
}

/* EIO once: nobody who waited is acknowledged, and nobody after, although the next sync would say yes. */
static void nothing_is_acknowledged_after_a_failed_sync(void) /* [LOG-72] */
{
    enum {
        N = 6
    };
    struct world *w = world_durable();
    struct reply waiting[N];

    CHECK_EQ(produce_to(w, 2, -1, 1).error, ERRCODE_NONE);
    CHECK_EQ(produce_to(w, 3, -1, 1).error, ERRCODE_NONE);
    set_faults("sync hang 0 /durable-0/\n");
    for (int i = 0; i < N; i++) {
        ask(w, w->client, API_PRODUCE, batch_for(2, i % 2 == 0 ? -1 : 1, 1), &waiting[i]);
    }
    CHECK_EQ(produce_to(w, 3, -1, 1).error, ERRCODE_NONE);
    set_faults("sync fail 5 /other-0/\nsync hang 0 /durable-0/\n"); /* EIO of another log of that disk */
    CHECK_EQ(produce_to(w, 3, -1, 1).error, ERRCODE_KAFKA_STORAGE_ERROR);
    set_faults("");
    for (int i = 0; i < N; i++) {
        CHECK(run_until(w, &waiting[i].is_there, ANSWER_MS));
    }
    for (int i = 1; i < N; i++) { /* the first was under way when the disk failed */
        CHECK_EQ(take_produced(&waiting[i]).error, ERRCODE_KAFKA_STORAGE_ERROR);
    }
    reply_free(&waiting[0]);
    CHECK_EQ(produce_to(w, 2, 1, 1).error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(produce_to(w, 3, -1, 1).error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(produce_to(w, 1, -1, 1).error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(stop_broker(w, SIGTERM), 1); /* not left clean */
    world_free(w);
}

static void flush_messages_acknowledges_after_the_sync(void) /* [LOG-73] */
{
    struct world *w = world_durable();
    struct reply third;

    create_topic(w, 4, "counted", 1, "flush.messages", "3");
    CHECK_EQ(produce_to(w, 4, -1, 3).durability, DURABILITY_FSYNC);
    set_faults("sync hang 0 /counted-0/\n");
    CHECK_EQ(produce_to(w, 4, -1, 1).durability, DURABILITY_REPLICATED);
    CHECK_EQ(produce_to(w, 4, 1, 1).error, ERRCODE_NONE);
    ask(w, w->client, API_PRODUCE, batch_for(4, -1, 1), &third);
    CHECK_EQ(produce_to(w, 1, -1, 1).error, ERRCODE_NONE);
    CHECK(!third.is_there);
    set_faults("");
    CHECK(run_until(w, &third.is_there, ANSWER_MS));
    CHECK_EQ(take_produced(&third).durability, DURABILITY_FSYNC);
    world_free(w);
}

/* The regular round is an hour away: that it was synced shows by the failure of the sync. */
static void flush_ms_syncs_without_anybody_waiting(void) /* [LOG-74] */
{
    struct world *w;
    int64_t give_up = check_now_ms() + ANSWER_MS;

    begin_faults();
    w = world_new(true);
    w->more = "weir.flush.interval.ms=3600000";
    world_serve(w);
    create_topic(w, 4, "timed", 1, "flush.ms", "100");
    CHECK_EQ(produce_to(w, 4, -1, 1).error, ERRCODE_NONE);
    CHECK_EQ(produce_to(w, 1, -1, 1).error, ERRCODE_NONE);
    set_faults("sync fail 5 /timed-0/\n");
    do {
        CHECK(check_now_ms() < give_up);
        pause_loop(w, 20);
    } while (produce_to(w, 4, -1, 1).error == ERRCODE_NONE);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=sync_failed")); /* after the directory failed */
    CHECK_EQ(stop_broker(w, SIGTERM), 1); /* not left clean */
    world_free(w);
}

static void fsynced_records_survive_sigkill(void)
{
    struct world *w = world_durable();
    struct reply waiting[50];
    struct reply r;

    set_faults("sync delay 5 /durable-0/\n");
    for (int i = 0; i < 50; i++) {
        ask(w, w->client, API_PRODUCE, batch_for(2, -1, 1), &waiting[i]);
    }
    CHECK(run_until(w, &waiting[20].is_there, ANSWER_MS));
    (void)stop_broker(w, SIGKILL);
    w->client = w->controller = NULL;
    set_faults("");
    int n = 0;
    while (n < 50 && waiting[n].is_there && waiting[n].error == ERRCODE_NONE) {
        CHECK_EQ(take_produced(&waiting[n]).base_offset, n);
        n++;
    }
    CHECK(n > 20);
    for (int i = n; i < 50; i++) {
        reply_free(&waiting[i]);
    }
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
    call(w, w->client, API_FETCH, fetch_out(2, 0, 0, 1, EPOCH_NONE), &r);
    CHECK(fetched(&r).high_watermark >= n);
    reply_free(&r);
    CHECK_EQ(produce_to(w, 2, 1, 1).durability, DURABILITY_FSYNC);
    world_free(w);
}

/* --- Leader epochs ------------------------------------------------------------------------------------------------ */

static void check_epoch(struct world *w, epoch32 asked, epoch32 epoch, offset64 end)
{
    struct msg_offset_for_leader_epoch_result got = epoch_end(w, 1, EPOCH_NONE, asked);

    CHECK_EQ(got.error, ERRCODE_NONE);
    CHECK_EQ(got.leader_epoch, epoch);
    CHECK_EQ(got.end_offset, end);
}

static void lead_under(struct world *w, epoch32 epoch)
{
    struct meta_record r = partition_record(1, 0, epoch);
    int64_t give_up = check_now_ms() + ANSWER_MS;

    commit(w, &r, 1);
    push(w);
    while (epoch_end(w, 1, epoch, 0).error != ERRCODE_NONE) { /* its loop has the order soon */
        CHECK(check_now_ms() < give_up);
        pause_loop(w, 10);
    }
}

static void it_is_told_where_an_epoch_ends(void) /* [LOG-60] [LOG-61] [REP-24] */
{
    struct world *w = world_serving();

    CHECK_EQ(produce(w, -1, "x", 3, 1000).error, ERRCODE_NONE);
    check_epoch(w, 0, 0, 3);
    lead_under(w, 4);
    check_epoch(w, 0, 0, 3);
    check_epoch(w, 3, 0, 3);
    check_epoch(w, 4, 4, 3); /* nothing was appended under it yet */
    CHECK_EQ(produce(w, -1, "x", 2, 1000).error, ERRCODE_NONE);
    check_epoch(w, 4, 4, 5);
    check_epoch(w, -1, -1, -1);
    CHECK_EQ(epoch_end(w, 1, 3, 0).error, ERRCODE_FENCED_LEADER_EPOCH);
    CHECK_EQ(epoch_end(w, 1, 5, 0).error, ERRCODE_UNKNOWN_LEADER_EPOCH);
    CHECK_EQ(epoch_end(w, 9, -1, 0).error, ERRCODE_UNKNOWN_TOPIC_ID);
    (void)stop_broker(w, SIGKILL);
    w->client = w->controller = NULL;
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
    check_epoch(w, 3, 0, 3);
    check_epoch(w, 4, 4, 5);
    world_free(w);
}

static struct msg_fetch_result fetch_after(struct world *w, epoch32 last, offset64 offset)
{
    struct msg_fetch_partition p = {.topic_id = topic_id(1),
            .leader_epoch = EPOCH_NONE,
            .fetch_offset = offset,
            .last_fetched_epoch = last,
            .max_bytes = 1024 * 1024,
            .log_start = -1,
            .flushed = -1};
    struct msg_fetch_request m = {.max_wait_ms = ANSWER_MS * 2, /* it does not wait */
            .min_bytes = 1,
            .max_bytes = 1024 * 1024,
            .replica = BROKER_NONE,
            .broker_epoch = -1,
            .partitions = &p,
            .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_fetch_request(&m, rpc_out_buf(out));
    call(w, w->client, API_FETCH, out, &r);
    struct msg_fetch_result ret = fetched(&r);
    reply_free(&r);
    return ret;
}

static void a_reader_of_another_history_is_told_at_once(void) /* [LOG-75] [BRK-22] */
{
    struct world *w = world_serving();
    struct msg_fetch_result got;

    CHECK_EQ(produce(w, -1, "x", 3, 1000).error, ERRCODE_NONE);
    lead_under(w, 4);
    CHECK_EQ(produce(w, -1, "x", 2, 1000).error, ERRCODE_NONE);
    got = fetch_after(w, 0, 3);
    CHECK_EQ(got.error, ERRCODE_NONE);
    CHECK_EQ(got.diverging_epoch, EPOCH_NONE);
    CHECK(got.records.size > 0);
    got = fetch_after(w, 0, 5); /* epoch 0 had three records */
    CHECK_EQ(got.error, ERRCODE_NONE);
    CHECK_EQ(got.diverging_epoch, 0);
    CHECK_EQ(got.diverging_end, 3);
    CHECK_EQ(got.records.size, 0);
    got = fetch_after(w, 2, 3);
    CHECK_EQ(got.diverging_epoch, 0);
    CHECK_EQ(got.diverging_end, 3);
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(an_answer_says_what_it_means),
        CASE(a_hanging_sync_holds_its_own_acknowledgements_only),
        CASE(what_is_not_on_the_disk_is_not_read),
        CASE(nothing_is_acknowledged_after_a_failed_sync),
        CASE(flush_messages_acknowledges_after_the_sync),
        CASE(flush_ms_syncs_without_anybody_waiting),
        CASE(fsynced_records_survive_sigkill),
        CASE(it_is_told_where_an_epoch_ends),
        CASE(a_reader_of_another_history_is_told_at_once),
        CASE(stop_zookeeper),
};
CHECK_MAIN("durability", cases)
