/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cluster/broker_world.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "common/zk/zk.h"
#include "tests/lib/faults.h"
#include "tests/lib/run.h"
#include "tests/lib/zkserver.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct zkserver *zookeeper;
static int n_case;
static int stall_ms = 60000;

void world_stalls_after(int ms)
{
    stall_ms = ms;
}

/* --- Turning the loop --------------------------------------------------------------------------------------------- */

struct waiting {
    struct world *w;
    bool *flag;
    struct timer poll;
    wtime deadline;
};

static void on_poll(void *ctx)
{
    struct waiting *x = ctx;

    if (*x->flag || loop_now(x->w->loop) >= x->deadline) {
        loop_stop(x->w->loop);
    } else {
        timer_set(&x->poll, wtime_add(loop_now(x->w->loop), WTIME_MS(5)));
    }
}

bool run_until(struct world *w, bool *flag, int ms)
{
    struct waiting x = {.w = w, .flag = flag, .deadline = wtime_add(clock_now(), WTIME_MS(ms))};

    timer_init(&x.poll, w->loop, on_poll, &x);
    timer_set(&x.poll, clock_now());
    loop_run(w->loop);
    timer_deinit(&x.poll);
    return *flag;
}

void pause_loop(struct world *w, int ms)
{
    bool never = false;

    (void)run_until(w, &never, ms);
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

static void on_reply(void *ctx, struct rpc_reply *r)
{
    struct reply *ret = ctx;

    ret->is_there = true;
    ret->error = r->error;
    (void)snprintf(ret->detail, sizeof(ret->detail), "%s", r->detail);
    ret->body = r->body;
    ret->frame = rpc_reply_take(r);
}

void reply_free(struct reply *r)
{
    arena_deinit(&r->arena);
    r->frame = mem_free(r->frame);
}

void ask(struct world *w, struct rpc_conn *c, uint32_t api, struct rpc_out *out, struct reply *ret)
{
    *ret = (struct reply){.error = -99};
    arena_init(&ret->arena, 0);
    rpc_call(c, api, ANSWER_MS, out, on_reply, ret);
}

void call(struct world *w, struct rpc_conn *c, uint32_t api, struct rpc_out *out, struct reply *ret)
{
    ask(w, c, api, out, ret);
    CHECK(run_until(w, &ret->is_there, ANSWER_MS + 1000));
}

static void on_connected(void *owner, struct rpc_conn *c)
{
    struct world *w = owner;

    w->is_flag = true;
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct world *w = owner;

    if (c == w->client) {
        w->client = NULL;
        w->client_closed = true;
    } else if (c == w->controller) {
        w->controller = NULL;
    }
    w->is_flag = true;
}

static void on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    struct world *w = owner;
    struct arena arena;

    arena_init(&arena, 0);
    if (r->header.api == API_BROKER_READY) {
        struct msg_broker_ready_request m;

        CHECK_EQ(wire_decode_broker_ready_request(r->body, &arena, &m), 0);
        CHECK_EQ(m.broker_epoch, w->broker_epoch);
        w->n_ready++;
        w->n_failed = m.n_failed;
        rpc_answer(c, &r->header, ERRCODE_NONE, "", NULL);
    } else if (r->header.api == API_CONTROLLED_SHUTDOWN) {
        struct msg_controlled_shutdown_response m = {.done = true, .index = w->batches.n};
        struct rpc_out *out = rpc_out_new();

        wire_encode_controlled_shutdown_response(&m, rpc_out_buf(out));
        rpc_answer(c, &r->header, ERRCODE_NONE, "", out);
    } else {
        rpc_answer(c, &r->header, ERRCODE_UNSUPPORTED_VERSION, "", NULL);
    }
    arena_deinit(&arena);
    (void)rpc_request_free(r);
}

static const struct rpc_callbacks callbacks = {
        .on_connected = on_connected, .on_closed = on_closed, .on_request = on_request};

/* A connection; waits until the broker listens. */
struct rpc_conn *dial(struct world *w)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
            .sin_port = htons(w->port),
            .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct rpc_limits limits = {.frame_max = 64 * 1024 * 1024, .handshake_timeout = WTIME_NEVER};
    int64_t give_up = check_now_ms() + ANSWER_MS;

    for (;;) {
        struct sockaddr_storage addr = {0};
        struct rpc_conn *c;

        memcpy(&addr, &in, sizeof(in));
        w->is_flag = w->client_closed = false;
        w->client = w->client != NULL ? w->client : NULL;
        c = rpc_conn_connect(w->loop, &addr, sizeof(in), WTIME_S(5), &limits, &callbacks, w);
        w->client = c;
        CHECK(run_until(w, &w->is_flag, ANSWER_MS));
        if (!w->client_closed) {
            return c;
        }
        CHECK(check_now_ms() < give_up);
        pause_loop(w, 20);
    }
}

void hello_with(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        struct uuid cluster,
        uint64_t ctl_epoch,
        struct bytes auth,
        struct reply *ret)
{
    struct msg_hello_request m = {.client_id = "test",
            .role = role,
            .cluster_id = cluster,
            .library = "test",
            .library_version = "1",
            .feature_level = 1,
            .ctl_epoch = role == ROLE_CONTROLLER ? ctl_epoch : 0,
            .controller_id = role == ROLE_CONTROLLER ? 1 : -1,
            .replica = role == ROLE_REPLICA ? WORLD_REPLICA : BROKER_NONE,
            .replica_epoch = role == ROLE_REPLICA ? WORLD_REPLICA_EPOCH : BROKER_EPOCH_NONE,
            .auth = auth};
    struct rpc_out *out = rpc_out_new();

    wire_encode_hello_request(&m, rpc_out_buf(out));
    call(w, c, API_HELLO, out, ret);
}

static void hello_proven(
        struct world *w, struct rpc_conn *c, struct uuid cluster, struct reply *ret)
{
    struct auth_claim claim = {
            .cluster_id = cluster, .asker_role = ROLE_CONTROLLER, .asker_id = 1};
    struct msg_hello_auth own = {.nonce = {claim.asker_nonce, AUTH_NONCE_SIZE}}, theirs;
    struct msg_hello_response m;
    uint8_t proof[AUTH_PROOF_SIZE];
    struct buf auth = {0};

    auth_nonce(claim.asker_nonce);
    wire_encode_hello_auth(&own, &auth);
    hello_with(w, c, ROLE_CONTROLLER, cluster, w->ctl_epoch,
            (struct bytes){.at = auth.data, .size = auth.size}, ret);
    CHECK_EQ(ret->error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_hello_response(ret->body, &ret->arena, &m), 0);
    CHECK_EQ(wire_decode_hello_auth(m.auth, &ret->arena, &theirs), 0);
    CHECK_EQ(theirs.nonce.size, AUTH_NONCE_SIZE);
    memcpy(claim.answerer_nonce, theirs.nonce.at, AUTH_NONCE_SIZE);
    claim.asker_epoch = w->ctl_epoch;
    claim.answerer_id = m.broker;
    claim.answerer_epoch = (uint64_t)m.broker_epoch;
    CHECK(auth_is_proof(w->secret, AUTH_ANSWERER, &claim, theirs.proof));
    reply_free(ret);
    auth_prove(w->secret, AUTH_ASKER, &claim, proof);
    own.proof = (struct bytes){.at = proof, .size = sizeof(proof)};
    buf_clear(&auth);
    wire_encode_hello_auth(&own, &auth);
    hello_with(w, c, ROLE_CONTROLLER, cluster, w->ctl_epoch,
            (struct bytes){.at = auth.data, .size = auth.size}, ret);
    buf_deinit(&auth);
}

void hello_as(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        struct uuid cluster,
        struct reply *ret)
{
    if (role == ROLE_CONTROLLER && w->secret != NULL) {
        hello_proven(w, c, cluster, ret);
    } else {
        hello_with(w, c, role, cluster, w->ctl_epoch, (struct bytes){0}, ret);
    }
}

void connect_client(struct world *w)
{
    struct reply r;

    if (w->client != NULL) {
        rpc_conn_close(w->client);
        w->client = NULL;
    }
    w->client = dial(w);
    hello_as(w, w->client, ROLE_CLIENT, (struct uuid){{0}}, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    reply_free(&r);
}

/* --- The controller ----------------------------------------------------------------------------------------------- */

void commit(struct world *w, struct meta_record *records, size_t n)
{
    struct msg_batch b = {.ctl_epoch = w->ctl_epoch,
            .index = w->batches.n + 1,
            .first_seq = w->seq + 1,
            .prev_crc64 = w->crc,
            .nonce = {{1}}};
    struct buf payload = {0};

    for (size_t i = 0; i < n; i++) {
        records[i].seq = ++w->seq;
        records[i].why.actor = records[i].why.reason = records[i].why.inputs = "";
        records[i].why.cause = CAUSE_ADMIN;
        CHECK_EQ(image_apply(w->image, b.index, &records[i]), 0);
        wire_append_record(&records[i], &payload);
    }
    b.payload = (struct bytes){.at = payload.data, .size = payload.size};
    b.crc64 = msg_batch_crc(&b);
    wire_encode_batch(&b, array_push(&w->batches));
    w->crc = b.crc64;
    image_set_position(w->image,
            (struct image_position){.index = b.index, .crc = b.crc64, .last_seq = w->seq});
    buf_deinit(&payload);
}

void push_answered(struct world *w, struct reply *r, bool need)
{
    struct msg_push_response m;

    CHECK_EQ(r->error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_push_response(r->body, &r->arena, &m), 0);
    CHECK_EQ(m.need, need);
    w->applied = m.applied_index;
    reply_free(r);
}

/* Everything that the broker does not have. */
void push(struct world *w)
{
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch};
    struct msg_pushed_batch batches[64];
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    m.batches = batches;
    for (uint64_t i = w->applied; i < w->batches.n; i++) {
        batches[m.n_batches++] = (struct msg_pushed_batch){.index = i + 1,
                .batch = {.at = w->batches.items[i].data, .size = w->batches.items[i].size}};
    }
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    push_answered(w, &r, false);
    CHECK_EQ(w->applied, w->batches.n);
}

static void on_snapshot_record(void *ctx, const struct meta_record *record)
{
    wire_append_record(record, ctx);
}

void push_snapshot(struct world *w)
{
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch, .has_snapshot = true};
    struct rpc_out *out = rpc_out_new();
    struct buf records = {0};
    struct reply r;

    image_snapshot(w->image, on_snapshot_record, &records);
    m.snapshot.index = w->batches.n;
    m.snapshot.log_crc64 = w->crc;
    m.snapshot.last_seq = w->seq;
    m.snapshot.chunks = 1;
    m.snapshot.records = (struct bytes){.at = records.data, .size = records.size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    buf_deinit(&records);
    call(w, w->controller, API_PUSH, out, &r);
    push_answered(w, &r, false);
}

void beat(struct world *w, uint64_t committed)
{
    static const char *urls[] = {"http://127.0.0.1:9180"};
    struct msg_beat_request m = {.ctl_epoch = w->ctl_epoch,
            .committed_index = committed,
            .lease_ms = 5000,
            .controllers = urls,
            .n_controllers = 1};
    struct msg_beat_response got;
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_beat_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_BEAT, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_beat_response(r.body, &r.arena, &got), 0);
    CHECK_EQ(got.broker_epoch, w->broker_epoch);
    CHECK_EQ(got.n_dirs, 1);
    CHECK(!got.dirs[0].failed);
    reply_free(&r);
}

/* Greets as controller until the broker knows its incarnation. */
void connect_controller(struct world *w)
{
    int64_t give_up = check_now_ms() + ANSWER_MS;

    for (;;) {
        struct msg_hello_response m;
        struct rpc_conn *c = dial(w);
        struct reply r;

        w->client = NULL;
        w->controller = c;
        hello_as(w, c, ROLE_CONTROLLER, w->cluster_id, &r);
        CHECK_EQ(r.error, ERRCODE_NONE);
        CHECK_EQ(wire_decode_hello_response(r.body, &r.arena, &m), 0);
        CHECK_EQ(m.broker, BROKER_ID);
        w->broker_epoch = m.broker_epoch;
        w->applied = m.applied_index;
        reply_free(&r);
        if (w->broker_epoch >= 0) {
            return;
        }
        CHECK(check_now_ms() < give_up);
        if (w->controller != NULL) {
            rpc_conn_close(w->controller);
            w->controller = NULL;
        }
        pause_loop(w, 20);
    }
}

struct meta_record about_broker(struct world *w, enum meta_kind kind)
{
    return (struct meta_record){
            .kind = kind, .broker = {.id = BROKER_ID, .epoch = w->broker_epoch}};
}

/* Registered, ready, unfenced. */
void admit_broker(struct world *w)
{
    static struct endpoint endpoint = {.name = "weir", .host = "127.0.0.1"};
    struct uuid dir = {{9}};
    struct meta_record r = {.kind = META_REGISTER_BROKER};
    bool ready = false;

    endpoint.port = w->port;
    r.register_broker = (struct meta_register_broker){.id = BROKER_ID,
            .epoch = w->broker_epoch,
            .crash_kind = CRASH_HOST,
            .rack = "",
            .version = "0",
            .endpoints = &endpoint,
            .n_endpoints = 1,
            .dirs = &dir,
            .n_dirs = 1};
    commit(w, &r, 1);
    w->n_ready = 0;
    if (w->applied + 1 == w->batches.n) {
        push(w);
    } else {
        push_snapshot(w);
    }
    for (int i = 0; i < 400 && !ready; i++) {
        pause_loop(w, 10);
        ready = w->n_ready > 0;
    }
    CHECK(ready);
    r = about_broker(w, META_BROKER_PURGED);
    commit(w, &r, 1);
    r = about_broker(w, META_UNFENCE_BROKER);
    commit(w, &r, 1);
    push(w);
    beat(w, w->batches.n);
}

struct uuid topic_id(uint8_t n)
{
    return (struct uuid){{0xaa, n}};
}

struct meta_record partition_record(uint8_t topic, int32_t number, epoch32 epoch)
{
    struct meta_record r = {.kind = META_PARTITION_STATE};

    r.partition = (struct partition_state){.topic_id = topic_id(topic),
            .partition = number,
            .replicas = {.n = 1, .at = {BROKER_ID}},
            .isr = {.n = 1, .at = {BROKER_ID}},
            .leader = BROKER_ID,
            .leader_epoch = epoch,
            .partition_epoch = epoch,
            .min_isr = 1,
            .unclean_epoch = EPOCH_NONE};
    return r;
}

void create_topic(struct world *w,
        uint8_t n,
        const char *name,
        int32_t n_partitions,
        const char *key,
        const char *value)
{
    /* Records of these tests are of the year 1970. */
    struct meta_config_pair pairs[] = {{.key = "retention.ms", .value = "-1"}, {key, value}};
    struct meta_record r[3] = {{.kind = META_CREATE_TOPIC}};

    r[0].create_topic.id = topic_id(n);
    r[0].create_topic.name = name;
    r[0].create_topic.n_partitions = n_partitions;
    r[0].create_topic.replication_factor = 1;
    r[0].create_topic.configs = pairs;
    r[0].create_topic.n_configs = key != NULL ? 2 : 1;
    for (int32_t i = 0; i < n_partitions; i++) {
        r[1 + i] = partition_record(n, i, 0);
    }
    commit(w, r, 1 + (size_t)n_partitions);
    push(w);
}

/* --- The broker process ------------------------------------------------------------------------------------------- */

static void on_zk(void *ctx, enum zk_rc rc)
{
    struct world *w = ctx;

    CHECK_EQ(rc, ZK_OK);
    w->is_flag = true;
}

static void on_session(void *ctx)
{
    struct world *w = ctx;

    w->is_flag = true;
}

static void on_nothing(void *ctx)
{
}

static void on_connection(void *ctx, bool connected)
{
}

void start_broker_as(struct world *w, int id, const char *log, const char *more)
{
    char program[512], set[9][512];
    const char *argv[28];
    int n = 0;

    (void)snprintf(program, sizeof(program), "%s/broker/weir-broker", test_build_root());
    (void)snprintf(set[0], sizeof(set[0]), "broker.id=%d", id);
    (void)snprintf(set[1], sizeof(set[1]), "log.dirs=%s", w->dir);
    (void)snprintf(set[2], sizeof(set[2]), "listeners=weir://127.0.0.1:%u", w->port);
    (void)snprintf(set[3], sizeof(set[3]), "http.listen=127.0.0.1:%u", w->http_port);
    (void)snprintf(set[4], sizeof(set[4]), "zookeeper.connect=%s", w->connect);
    (void)snprintf(set[5], sizeof(set[5]), "zookeeper.session.timeout.ms=4000");
    (void)snprintf(set[6], sizeof(set[6]), "weir.flush.interval.ms=50");
    /* What a case sees of its files is what it reads; `more` may say otherwise. */
    (void)snprintf(set[7], sizeof(set[7]), "weir.scrub.bytes.per.second=0");
    (void)snprintf(set[8], sizeof(set[8]), "weir.disk.stall.ms=%d", stall_ms);
    n = faults_preload(argv, n);
    argv[n++] = program;
    for (size_t i = 0; i < COUNT_OF(set); i++) {
        argv[n++] = "--set";
        argv[n++] = set[i];
    }
    if (more != NULL) {
        argv[n++] = "--set";
        argv[n++] = more;
    }
    argv[n] = NULL;
    w->pid = run_background(argv, NULL, log);
}

void start_broker(struct world *w)
{
    start_broker_as(w, BROKER_ID, w->log, w->more != NULL ? w->more : "weir.lease.ms=500");
}

void create_parents(struct world *w)
{
    w->is_flag = false;
    zk_create_parents(w->zk, "/weir/brokers/x", on_zk, w);
    CHECK(run_until(w, &w->is_flag, ANSWER_MS));
}

struct world *world_new(bool has_parents)
{
    struct world *w = mem_new(struct world);
    struct zk_options o = {.session_timeout_ms = 6000,
            .on_session = on_session,
            .on_connection = on_connection,
            .on_session_lost = on_nothing,
            .ctx = w};
    char error[256];

    if (zookeeper == NULL) {
        zookeeper = zkserver_new(1, 0);
    }
    n_case++;
    w->loop = loop_new("test");
    w->resolver = resolver_new();
    w->image = image_new();
    w->cluster_id = (struct uuid){{1, 2, 3}};
    w->ctl_epoch = 1;
    w->port = zkserver_free_port();
    w->http_port = zkserver_free_port();
    (void)snprintf(
            w->connect, sizeof(w->connect), "%s/case%d", zkserver_connect(zookeeper), n_case);
    (void)snprintf(w->dir, sizeof(w->dir), "%s/case%d", test_folder(), n_case);
    (void)snprintf(w->log, sizeof(w->log), "%s/case%d.log", test_folder(), n_case);
    o.connect = w->connect;
    CHECK_EQ(zk_new(w->loop, w->resolver, &o, &w->zk, error, sizeof(error)), 0);
    CHECK(run_until(w, &w->is_flag, ANSWER_MS));
    if (has_parents) {
        create_parents(w);
    }
    return w;
}

int stop_broker(struct world *w, int signal_number)
{
    int64_t give_up = check_now_ms() + ANSWER_MS;
    int code;

    CHECK_EQ(kill(w->pid, signal_number), 0);
    while (process_is_alive(w->pid) && check_now_ms() < give_up) {
        pause_loop(w, 10); /* the fake controller must answer, however long that takes */
    }
    code = run_wait(w->pid, 0, ANSWER_MS);
    w->pid = 0;
    while ((w->client != NULL || w->controller != NULL) && check_now_ms() < give_up) {
        pause_loop(w, 1); /* their ends are noticed, and they are freed */
    }
    return code;
}

void world_free(struct world *w)
{
    if (w->client != NULL) {
        rpc_conn_close(w->client);
        w->client = NULL;
    }
    if (w->pid != 0) {
        CHECK_EQ(stop_broker(w, SIGTERM), 0);
    }
    if (w->controller != NULL) {
        rpc_conn_close(w->controller);
    }
    w->zk = zk_free(w->zk);
    w->resolver = resolver_free(w->resolver);
    w->loop = loop_free(w->loop);
    for (size_t i = 0; i < w->batches.n; i++) {
        buf_deinit(&w->batches.items[i]);
    }
    array_deinit(&w->batches);
    w->image = image_free(w->image);
    (void)mem_free(w);
}

/* A serving broker with topic 1 "orders", and a client. */
void world_serve(struct world *w)
{
    struct meta_record first = {.kind = META_NEW_CONTROLLER};

    first.new_controller.ctl_epoch = 1;
    first.new_controller.controller_id = 1;
    commit(w, &first, 1);
    start_broker(w);
    connect_controller(w);
    push(w);
    admit_broker(w);
    create_topic(w, 1, "orders", 1, NULL, NULL);
    connect_client(w);
}

struct world *world_serving(void)
{
    struct world *w = world_new(true);

    world_serve(w);
    return w;
}

bool file_has(const char *path, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *f = fopen(path, "r");

    CHECK(f != NULL);
    while (!found && fgets(line, sizeof(line), f) != NULL) {
        found = strstr(line, text) != NULL;
    }
    (void)fclose(f);
    return found;
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

void build_batch(struct buf *ret, const char *value, int n, wall_ms time)
{
    struct batch_build_options o = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};

    for (int i = 0; i < n; i++) {
        struct record r = {.timestamp = time + i,
                .value = {.at = (const uint8_t *)value, .size = strlen(value)}};

        batch_builder_add(&bb, &r, NULL);
    }
    batch_builder_finish(&bb, &o, CODEC_NONE,
            (struct bytes){.at = bb.records.data, .size = bb.records.size}, ret);
    batch_builder_deinit(&bb);
}

struct rpc_out *produce_out(uint8_t topic, int32_t acks, const struct buf *batch)
{
    struct rpc_out *out = rpc_out_new();
    struct uuid id = topic_id(topic);

    wire_produce_front(rpc_out_buf(out), acks);
    wire_produce_partition_front(rpc_out_buf(out), &id, 0, batch->size);
    buf_append(rpc_out_buf(out), batch->data, batch->size);
    return out;
}

struct msg_produce_result produce_bytes(
        struct world *w, uint8_t topic, int32_t acks, const struct buf *batch)
{
    struct msg_produce_response m = {0};
    struct msg_produce_result ret = {.error = -99};
    struct reply r;

    call(w, w->client, API_PRODUCE, produce_out(topic, acks, batch), &r);
    if (r.error != ERRCODE_NONE) {
        ret.error = r.error;
    } else {
        CHECK_EQ(wire_decode_produce_response(r.body, &r.arena, &m), 0);
        CHECK_EQ(m.n_partitions, 1);
        ret = m.partitions[0];
        CHECK(ret.error == ERRCODE_NONE || ret.detail[0] != '\0');
        ret.detail = NULL;
    }
    reply_free(&r);
    return ret;
}

struct msg_produce_result produce(
        struct world *w, int32_t acks, const char *value, int n, wall_ms time)
{
    struct msg_produce_result ret;
    struct buf batch = {0};

    build_batch(&batch, value, n, time);
    ret = produce_bytes(w, 1, acks, &batch);
    buf_deinit(&batch);
    return ret;
}

struct rpc_out *fetch_out(
        uint8_t topic, offset64 offset, uint32_t wait, uint32_t min, epoch32 epoch)
{
    struct msg_fetch_partition p = {.topic_id = topic_id(topic),
            .leader_epoch = epoch,
            .fetch_offset = offset,
            .last_fetched_epoch = EPOCH_NONE,
            .max_bytes = 1024 * 1024,
            .log_start = -1,
            .flushed = -1};
    struct msg_fetch_request m = {.max_wait_ms = wait,
            .min_bytes = min,
            .max_bytes = 8 * 1024 * 1024,
            .replica = BROKER_NONE,
            .broker_epoch = -1,
            .partitions = &p,
            .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();

    wire_encode_fetch_request(&m, rpc_out_buf(out));
    return out;
}

struct msg_fetch_result fetched(struct reply *r)
{
    struct msg_fetch_response m = {0};

    CHECK_EQ(r->error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_fetch_response(r->body, &r->arena, &m), 0);
    CHECK_EQ(m.n_partitions, 1);
    return m.partitions[0];
}

/* Counts the records from `offset` on, all of whose values are `value`. */
/* The records of one answer; *ret_end: up to where there are any. */
static int consume_some(struct world *w, offset64 offset, const char *value, offset64 *ret_end)
{
    struct msg_fetch_result f;
    struct bytes left;
    struct reply r;
    int n = 0;

    call(w, w->client, API_FETCH, fetch_out(1, offset, 0, 1, EPOCH_NONE), &r);
    f = fetched(&r);
    CHECK_EQ(f.error, ERRCODE_NONE);
    *ret_end = f.high_watermark;
    left = f.records;
    while (left.size > 0) {
        struct record_iter it;
        struct record rec;
        struct batch b;

        CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
        CHECK(batch_crc_is_right(&b));
        record_iter_init(&it, &b, b.bytes + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE);
        while (record_iter_next(&it, &rec) == 0) {
            CHECK_EQ(rec.offset, offset + n);
            CHECK_EQ(rec.value.size, strlen(value));
            CHECK_MEM(rec.value.at, value, rec.value.size);
            n++;
        }
        left.at += b.size;
        left.size -= b.size;
    }
    reply_free(&r);
    return n;
}

/* An answer need not hold all that is there: what is not in memory comes with the next one. */
int consume(struct world *w, offset64 offset, const char *value)
{
    int64_t give_up = check_now_ms() + ANSWER_MS;
    offset64 end = 0;
    int n = 0;

    do {
        CHECK(check_now_ms() < give_up);
        n += consume_some(w, offset + n, value, &end);
    } while (offset + n < end);
    return n;
}

struct msg_list_offsets_result list_topic(struct world *w, uint8_t topic, int64_t timestamp)
{
    struct msg_list_offsets_partition p = {
            .topic_id = topic_id(topic), .leader_epoch = EPOCH_NONE, .timestamp = timestamp};
    struct msg_list_offsets_request m = {.partitions = &p, .n_partitions = 1};
    struct msg_list_offsets_response got = {0};
    struct msg_list_offsets_result ret;
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_list_offsets_request(&m, rpc_out_buf(out));
    call(w, w->client, API_LIST_OFFSETS, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_list_offsets_response(r.body, &r.arena, &got), 0);
    CHECK_EQ(got.n_partitions, 1);
    ret = got.partitions[0];
    ret.detail = NULL;
    reply_free(&r);
    return ret;
}

struct msg_list_offsets_result list(struct world *w, int64_t timestamp)
{
    return list_topic(w, 1, timestamp);
}

struct msg_offset_for_leader_epoch_result epoch_end(
        struct world *w, uint8_t topic, epoch32 current, epoch32 asked)
{
    struct msg_offset_for_leader_epoch_partition p = {.topic_id = topic_id(topic),
            .current_leader_epoch = current,
            .leader_epoch = asked};
    struct msg_offset_for_leader_epoch_request m = {.partitions = &p, .n_partitions = 1};
    struct msg_offset_for_leader_epoch_response got = {0};
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_offset_for_leader_epoch_request(&m, rpc_out_buf(out));
    call(w, w->client, API_OFFSET_FOR_LEADER_EPOCH, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_offset_for_leader_epoch_response(r.body, &r.arena, &got), 0);
    CHECK_EQ(got.n_partitions, 1);
    struct msg_offset_for_leader_epoch_result ret = got.partitions[0];
    CHECK((ret.error == ERRCODE_NONE) == (ret.detail[0] == '\0'));
    ret.detail = NULL;
    reply_free(&r);
    return ret;
}

void send_raw(struct world *w, const void *bytes, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
            .sin_port = htons(w->port),
            .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)(const void *)&in, sizeof(in)), 0);
    CHECK_EQ(write(fd, bytes, size), (ssize_t)size);
    pause_loop(w, 100);
    (void)close(fd);
}

void stop_zookeeper(void)
{
    zookeeper = zkserver_free(zookeeper);
    CHECK(zookeeper == NULL);
}
