/* SPDX-License-Identifier: Apache-2.0 */
/* Real controllers on a real ZooKeeper; the broker is played by this program. Numbers in brackets are rules of
 * docs/design/20-zookeeper.md. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "common/domain/image.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"
#include "common/zk/zk.h"
#include "common/zk/zk_paths.h"
#include "tests/lib/check.h"
#include "tests/lib/loop_until.h"
#include "tests/lib/meta_walk.h"
#include "tests/lib/run.h"
#include "tests/lib/zkserver.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SESSION_MS = 2000,
    TAKEOVER_MS = 15000
};

/* One case's world: a chroot of its own on the shared server, and a session of this program. */
static struct {
    struct zkserver *server;
    char name[32];
    char *connect;
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    pid_t pids[3]; /* controllers 1 and 2 */
    uint16_t ports[3];
    int session_ms; /* of the controllers */
} t;

/* --- This program's session -------------------------------------------------------------------- */

struct outcome {
    bool is_done;
    enum zk_rc rc;
    int64_t czxid;
    struct buf data;
    ARRAY(char *) names;
};

static bool is_done(void *ctx)
{
    return ((struct outcome *)ctx)->is_done;
}

static void on_done(void *ctx, enum zk_rc rc)
{
    struct outcome *o = ctx;

    o->rc = rc;
    o->is_done = true;
}

static void on_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct outcome *o = ctx;

    buf_append(&o->data, data.at, data.size);
    o->czxid = stat->czxid;
    on_done(o, rc);
}

static void on_stat(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    on_done(ctx, rc);
}

static void on_names(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct outcome *o = ctx;

    for (size_t i = 0; i < n; i++) {
        *array_push(&o->names) = mem_strdup(names[i]);
    }
    on_done(o, rc);
}

static void outcome_deinit(struct outcome *o)
{
    ARRAY_FOREACH (name, &o->names) {
        mem_free(*name);
    }
    array_deinit(&o->names);
    buf_deinit(&o->data);
    *o = (struct outcome){0};
}

static enum zk_rc get(const char *path, struct outcome *o)
{
    outcome_deinit(o);
    zk_get(t.zk, path, NULL, on_get, o);
    CHECK(loop_until(t.loop, 10000, is_done, o));
    return o->rc;
}

static enum zk_rc list(const char *path, struct outcome *o)
{
    outcome_deinit(o);
    zk_children(t.zk, path, NULL, on_names, o);
    CHECK(loop_until(t.loop, 10000, is_done, o));
    return o->rc;
}

static void on_session(void *ctx)
{
}

static bool is_connected(void *ctx)
{
    return zk_is_connected(t.zk);
}

/* --- Controllers ------------------------------------------------------------------------------- */

static void start_controller(int id)
{
    char program[512], log[512], conf[512];
    const char *argv[] = {program, "--config", conf, NULL};

    CHECK_EQ(t.pids[id], 0);
    snprintf(program, sizeof(program), "%s/controller/weir-controller", test_build_root());
    snprintf(conf, sizeof(conf), "%s/controller-%d.conf", test_folder(), id);
    snprintf(log, sizeof(log), "%s/%s-controller-%d.log", test_folder(), t.name, id);
    FILE *f = fopen(conf, "we");
    CHECK(f != NULL);
    CHECK(fprintf(f,
                  "controller.id = %d\nhttp.listen = 127.0.0.1:%u\nzookeeper.connect = %s\n"
                  "zookeeper.session.timeout.ms = %d\nweir.meta.snapshot.entries = 16\n",
                  id, (unsigned)t.ports[id], t.connect, t.session_ms) > 0);
    CHECK_EQ(fclose(f), 0);
    t.pids[id] = run_background(argv, NULL, log);
}

static void kill_controller(int id)
{
    (void)run_wait(t.pids[id], SIGKILL, 5000);
    t.pids[id] = 0;
}

static bool log_has(int id, const char *text)
{
    char path[512], line[4096];
    bool found = false;
    FILE *f = NULL;

    snprintf(path, sizeof(path), "%s/%s-controller-%d.log", test_folder(), t.name, id);
    f = fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        found = strstr(line, text) != NULL;
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

/* Id and epoch of the active controller; 0 = none. */
static int active(uint64_t *ret_epoch)
{
    struct outcome o = {0};
    struct arena a;
    struct msg_active m = {0};
    int id = 0;

    arena_init(&a, 0);
    if (get(ZK_PATH_CONTROLLER, &o) == ZK_OK) {
        CHECK_EQ(wire_decode_active((struct bytes){o.data.data, o.data.size}, &a, &m), 0);
        id = m.controller_id;
        *ret_epoch = m.ctl_epoch;
    }
    arena_deinit(&a);
    outcome_deinit(&o);
    return id;
}

/* Waits for an active controller whose epoch is at least `epoch`. */
static int await_active(uint64_t epoch, uint64_t *ret_epoch)
{
    int64_t deadline = check_now_ms() + TAKEOVER_MS;
    int id = 0;

    do {
        loop_for(t.loop, 20);
        id = active(ret_epoch);
    } while ((id == 0 || *ret_epoch < epoch) && check_now_ms() < deadline);
    CHECK(id != 0);
    CHECK(*ret_epoch >= epoch);
    return id;
}

static void begin(const char *name)
{
    char error[256];
    struct zk_options options = {.session_timeout_ms = 20000, .on_session = on_session};

    if (t.server == NULL) {
        t.server = zkserver_new(1, 0);
    }
    for (int id = 1; id <= 2; id++) {
        if (t.pids[id] != 0) { /* left by a case that failed */
            kill_controller(id);
        }
        t.ports[id] = zkserver_free_port();
    }
    t.session_ms = SESSION_MS;
    snprintf(t.name, sizeof(t.name), "%s", name);
    t.connect = mem_format("%s/test/%s", zkserver_connect(t.server), name);
    t.loop = loop_new("test");
    t.resolver = resolver_new();
    options.connect = t.connect;
    CHECK_EQ(zk_new(t.loop, t.resolver, &options, &t.zk, error, sizeof(error)), 0);
    CHECK(loop_until(t.loop, 10000, is_connected, NULL));
}

static void end(void)
{
    for (int id = 1; id <= 2; id++) {
        if (t.pids[id] != 0) {
            CHECK_EQ(run_wait(t.pids[id], SIGTERM, 10000), 0);
            t.pids[id] = 0;
        }
        CHECK(!log_has(id, "Sanitizer"));
    }
    zk_free(t.zk);
    resolver_free(t.resolver);
    loop_free(t.loop);
    t.connect = mem_free(t.connect);
}

/* --- [ZK-30] The log ----------------------------------------------------------------------------------- */

static void await_log(uint64_t index)
{
    struct outcome o = {0};
    char path[64];
    int64_t deadline = check_now_ms() + TAKEOVER_MS;

    snprintf(path, sizeof(path), "%s/%016" PRIx64, ZK_PATH_META_LOG, index);
    while (get(path, &o) != ZK_OK) {
        CHECK(check_now_ms() < deadline);
        loop_for(t.loop, 20);
    }
    outcome_deinit(&o);
}

/* --- A broker that keeps the image and nothing else -------------------------------------------- */

static struct {
    struct listener *listener;
    struct rpc_conn *conn;
    int64_t epoch; /* as registered; -1 = not */
    struct uuid cluster_id;
    struct image *image;
    uint64_t ctl_epoch; /* of the last Hello */
    unsigned n_hellos, n_snapshots, n_beats;
    bool is_broken;
    bool holds_back; /* does not say that it is ready */
    unsigned n_needs; /* so many pushes more are answered with NEED */
    uint32_t level, hello_level; /* feature levels of its registration and of its Hello */
} b;

static void answer(struct rpc_conn *c, struct rpc_request *r, struct rpc_out *out)
{
    rpc_answer(c, &r->header, ERRCODE_NONE, "", out);
}

static void on_hello(struct rpc_conn *c, struct rpc_request *r)
{
    struct arena a;
    struct msg_hello_request m = {0};
    struct rpc_out *out = rpc_out_new();
    struct image_position at = image_position(b.image);
    struct msg_hello_response response = {.broker = 7,
            .broker_epoch = b.epoch,
            .version = "test",
            .feature_level = b.hello_level,
            .max_request_bytes = 1024 * 1024,
            .applied_index = at.index,
            .applied_crc64 = at.crc};

    arena_init(&a, 0);
    if (wire_decode_hello_request(r->body, &a, &m) == 0 && m.role == ROLE_CLIENT) {
        arena_deinit(&a);
        answer(c, r, out); /* The journal's, which is no use here: this broker holds no data. */
        return;
    }
    b.is_broken |= m.role != ROLE_CONTROLLER || m.ctl_epoch < b.ctl_epoch;
    b.ctl_epoch = m.ctl_epoch;
    b.cluster_id = response.cluster_id = m.cluster_id;
    b.n_hellos++;
    b.conn = c;
    arena_deinit(&a);
    wire_encode_hello_response(&response, rpc_out_buf(out));
    answer(c, r, out);
}

static void on_ready_answer(void *ctx, struct rpc_reply *reply)
{
}

static void say_ready(struct rpc_conn *c)
{
    const struct image_broker *me = image_broker(b.image, 7);
    struct msg_broker_ready_request m = {.broker_epoch = b.epoch};
    struct rpc_out *out = NULL;

    if (me == NULL || me->epoch != b.epoch || me->state != BROKER_FENCED || b.holds_back) {
        return;
    }
    m.applied_index = image_position(b.image).index;
    out = rpc_out_new();
    wire_encode_broker_ready_request(&m, rpc_out_buf(out));
    rpc_call(c, API_BROKER_READY, 5000, out, on_ready_answer, NULL);
}

static void apply_records(struct arena *a, struct bytes payload, uint64_t index)
{
    struct msg_record_list list = {0};

    b.is_broken |= wire_decode_record_list(payload, a, &list) != 0;
    for (size_t i = 0; i < list.n_records; i++) {
        b.is_broken |= image_apply(b.image, index, &list.records[i]) != 0;
    }
}

static void on_push(struct rpc_conn *c, struct rpc_request *r)
{
    struct arena a;
    struct msg_push_request m = {0};
    struct msg_push_response response = {0};
    struct image_position at = image_position(b.image);
    struct rpc_out *out = rpc_out_new();

    arena_init(&a, 0);
    b.is_broken |= wire_decode_push_request(r->body, &a, &m) != 0 || m.ctl_epoch != b.ctl_epoch;
    if (b.n_needs > 0) {
        b.n_needs--;
        response.need = true;
        m = (struct msg_push_request){0};
    }
    if (m.has_snapshot) {
        if (m.snapshot.chunk == 0) {
            image_free(b.image);
            b.image = image_new();
            b.n_snapshots++;
        }
        apply_records(&a, m.snapshot.records, m.snapshot.index);
        if (m.snapshot.chunk + 1 == m.snapshot.chunks) {
            image_set_position(b.image, (struct image_position){m.snapshot.index,
                                                m.snapshot.log_crc64, m.snapshot.last_seq});
        }
    }
    b.is_broken |= m.n_batches > 0 && m.prev_crc64 != at.crc;
    for (size_t i = 0; i < m.n_batches; i++) {
        struct msg_batch batch = {0};
        b.is_broken |= wire_decode_batch(m.batches[i].batch, &a, &batch) != 0 ||
                       batch.index != at.index + 1 || batch.prev_crc64 != at.crc ||
                       batch.crc64 != msg_batch_crc(&batch);
        apply_records(&a, batch.payload, batch.index);
        at.index = batch.index;
        at.crc = batch.crc64;
        image_set_position(b.image, at);
    }
    arena_deinit(&a);
    response.applied_index = image_position(b.image).index;
    response.applied_crc64 = image_position(b.image).crc;
    wire_encode_push_response(&response, rpc_out_buf(out));
    answer(c, r, out);
    say_ready(c);
}

static void on_beat(struct rpc_conn *c, struct rpc_request *r)
{
    struct msg_beat_response m = {
            .broker_epoch = b.epoch, .applied_index = image_position(b.image).index};
    struct rpc_out *out = rpc_out_new();

    b.n_beats++;
    wire_encode_beat_response(&m, rpc_out_buf(out));
    answer(c, r, out);
}

static void on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    switch (r->header.api) {
    case API_HELLO: on_hello(c, r); break;
    case API_PUSH: on_push(c, r); break;
    case API_BEAT: on_beat(c, r); break;
    default: b.is_broken = true; break;
    }
    rpc_request_free(r);
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    if (b.conn == c) {
        b.conn = NULL;
    }
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    static const struct rpc_callbacks callbacks = {
            .on_request = on_request, .on_closed = on_closed};
    const struct rpc_limits limits = {
            .frame_max = 2 * 1024 * 1024, .handshake_timeout = WTIME_NEVER};

    (void)rpc_conn_accept(t.loop, fd, &limits, &callbacks, NULL);
}

/* (Re-)creates the node /weir/brokers/7; each time a new incarnation. */
static void register_broker(const struct uuid *cluster_id)
{
    struct outcome o = {0};
    const struct endpoint endpoint = {
            .name = "weir", .host = "127.0.0.1", .port = listener_port(b.listener)};
    struct endpoint endpoints[1] = {endpoint};
    struct msg_broker_reg m = {.cluster_id = *cluster_id,
            .broker = 7,
            .endpoints = endpoints,
            .n_endpoints = 1,
            .rack = "",
            .crash_kind = CRASH_CLEAN,
            .prev_epoch = -1,
            .boot_id = "",
            .version = "test",
            .feature_level = b.level};
    struct buf value = {0};

    wire_encode_broker_reg(&m, &value);
    zk_delete(t.zk, ZK_PATH_BROKERS "/7", -1, on_done, &o);
    CHECK(loop_until(t.loop, 5000, is_done, &o));
    outcome_deinit(&o);
    b.epoch = -1;
    zk_create(t.zk, ZK_PATH_BROKERS "/7", (struct bytes){value.data, value.size}, ZK_EPHEMERAL,
            on_done, &o);
    CHECK(loop_until(t.loop, 5000, is_done, &o));
    CHECK_EQ(o.rc, ZK_OK);
    CHECK_EQ(get(ZK_PATH_BROKERS "/7", &o), ZK_OK);
    b.epoch = o.czxid;
    buf_deinit(&value);
    outcome_deinit(&o);
}

static void broker_begin(void)
{
    b.listener = NULL;
    b.image = image_new();
    b.ctl_epoch = 0;
    b.n_hellos = b.n_snapshots = b.n_beats = 0;
    b.is_broken = b.holds_back = false;
    b.n_needs = 0;
    b.level = b.hello_level = META_FEATURE_LEVEL;
    CHECK_EQ(listener_new(t.loop, "127.0.0.1", 0, on_accept, NULL, &b.listener), 0);
}

static void broker_end(void)
{
    if (b.conn != NULL) {
        rpc_conn_close(b.conn);
        b.conn = NULL;
    }
    b.listener = listener_free(b.listener);
    b.image = image_free(b.image);
}

static bool is_unfenced(void *ctx)
{
    const struct image_broker *me = image_broker(b.image, 7);

    return me != NULL && me->epoch == b.epoch && me->state == BROKER_ACTIVE;
}

static bool knows_new_controller(void *ctx)
{
    const uint64_t *epoch = ctx;

    return image_ctl_epoch(b.image) >= *epoch;
}

/* --- Cases ------------------------------------------------------------------------------------- */

/* [ZK-1] [ZK-20] [ZK-33] On a ZooKeeper that holds nothing, not even the chroot. */
static void one_is_elected_and_sigkill_hands_over(void)
{
    struct outcome o = {0};
    struct meta_walk facts;
    uint64_t epoch = 0;
    int first = 0, second = 0;

    begin("takeover");
    start_controller(1);
    start_controller(2);
    first = await_active(1, &epoch);
    await_log(1);
    for (int i = 0; i < 100 && (list(ZK_PATH_CONTROLLERS, &o) != ZK_OK || o.names.n < 2); i++) {
        loop_for(t.loop, 20);
    }
    CHECK_EQ(o.names.n, 2);
    CHECK_EQ(get(ZK_PATH_ID, &o), ZK_OK);
    kill_controller(first);
    second = await_active(epoch + 1, &epoch);
    CHECK(second != first);
    await_log(2);
    start_controller(first);
    kill_controller(second);
    CHECK_EQ(await_active(epoch + 1, &epoch), first);
    await_log(3);
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.first, 1);
    CHECK_EQ(facts.last, 3);
    CHECK_EQ(facts.n_writers, 3);
    CHECK_EQ(facts.last_epoch, epoch);
    outcome_deinit(&o);
    end();
}

/* SIGTERM gives the leadership back: the standby does not wait for the session to expire. */
static void sigterm_hands_over_at_once(void)
{
    uint64_t epoch = 0;
    int first = 0;
    int64_t start = 0;

    begin("handover");
    start_controller(1);
    first = await_active(1, &epoch);
    start_controller(3 - first);
    CHECK_WITHIN(10000, log_has(3 - first, "standing_by"));
    CHECK_WITHIN(10000, log_has(3 - first, "log_read"));
    start = check_now_ms();
    CHECK_EQ(run_wait(t.pids[first], SIGTERM, 5000), 0);
    t.pids[first] = 0;
    CHECK_EQ(await_active(epoch + 1, &epoch), 3 - first);
    CHECK(check_now_ms() - start < SESSION_MS);
    end();
}

/* [ZK-41] */
static void a_broker_is_told_everything_across_controllers(void)
{
    const struct uuid none = {{0}};
    struct meta_walk facts;
    uint64_t epoch = 0;
    int first = 0, beats = 0;

    begin("broker");
    broker_begin();
    start_controller(1);
    start_controller(2);
    first = await_active(1, &epoch);
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK_EQ(b.n_snapshots, 0); /* the ring had the whole history */
    beats = (int)b.n_beats;
    loop_for(t.loop, 1000);
    CHECK((int)b.n_beats >= beats + 2);
    kill_controller(first);
    (void)await_active(epoch + 1, &epoch);
    CHECK(loop_until(t.loop, TAKEOVER_MS, knows_new_controller, &epoch));
    CHECK_EQ(b.ctl_epoch, epoch);
    CHECK_EQ(b.n_snapshots, 0); /* the new one went on where the old one stopped */
    CHECK(is_unfenced(NULL));
    register_broker(&b.cluster_id); /* a new incarnation is purged, ready, unfenced again */
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK(!b.is_broken);
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.last, image_position(b.image).index);
    broker_end();
    end();
}

/* [ZK-42] Nobody listens at the broker's port, though its node stands: fenced in a moment. */
static void a_broker_whose_port_refuses_is_fenced(void)
{
    const struct uuid none = {{0}};
    uint64_t epoch = 0;

    begin("refused");
    broker_begin();
    start_controller(1);
    (void)await_active(1, &epoch);
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    b.listener = listener_free(b.listener);
    rpc_conn_close(b.conn);
    b.conn = NULL;
    loop_for(t.loop, 1000);
    CHECK(log_has(1, "broker_refuses"));
    CHECK(log_has(1, "refused -> fenced"));
    broker_end();
    end();
}

/* [ZK-40] */
static void another_clusters_broker_is_refused(void)
{
    const struct uuid other = {{1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}};
    uint64_t epoch = 0;

    begin("foreign");
    broker_begin();
    start_controller(1);
    (void)await_active(1, &epoch);
    register_broker(&other);
    loop_for(t.loop, 500);
    CHECK_WITHIN(5000, log_has(1, "registration_refused"));
    CHECK_EQ(b.n_hellos, 0);
    broker_end();
    end();
}

/* [ZK-43] */
static void a_broker_that_knows_more_than_the_log_is_told_nothing(void)
{
    const struct uuid none = {{0}};
    uint64_t epoch = 0;

    begin("regressed");
    broker_begin();
    image_set_position(b.image, (struct image_position){1000, 77, 5000});
    start_controller(1);
    (void)await_active(1, &epoch);
    register_broker(&none);
    loop_for(t.loop, 500);
    CHECK_WITHIN(5000, log_has(1, "metadata_regressed"));
    CHECK(b.n_hellos > 0);
    CHECK_EQ(b.n_snapshots, 0);
    CHECK_EQ(image_position(b.image).index, 1000);
    broker_end();
    end();
}

/* [ZK-31] Snapshots, trimming, and a start from both. */
static void snapshots_are_written_and_the_log_is_trimmed(void)
{
    const struct uuid none = {{0}};
    struct outcome o = {0};
    struct meta_walk facts, later;
    uint64_t epoch = 0;

    begin("snapshot");
    broker_begin();
    start_controller(1);
    (void)await_active(1, &epoch);
    for (int i = 0; i < 24; i++) {
        register_broker(&none);
        CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    }
    loop_for(t.loop, 500); /* the clean-up behind the last snapshot */
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.first, 1); /* [DEC-6] The journal cannot be written, so what it lacks is spared. */
    CHECK(facts.head > 16 && facts.last - facts.head < 16);
    CHECK_EQ(list(ZK_PATH_META_SNAP, &o), ZK_OK);
    CHECK_EQ(o.names.n, 1);
    kill_controller(1);
    start_controller(2);
    (void)await_active(epoch + 1, &epoch);
    CHECK(loop_until(t.loop, TAKEOVER_MS, knows_new_controller, &epoch));
    CHECK(is_unfenced(NULL));
    meta_walk(t.connect, &later, NULL, NULL);
    CHECK_EQ(later.last, facts.last + 1);
    image_free(b.image); /* a broker that forgot everything */
    b.image = image_new();
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK(b.n_snapshots > 0);
    CHECK(image_check(b.image));
    CHECK(!b.is_broken);
    outcome_deinit(&o);
    broker_end();
    end();
}

/* [ZK-32] */
static void a_damaged_log_is_refused_loudly(void)
{
    struct outcome o = {0};
    uint64_t epoch = 0;

    begin("damage");
    start_controller(1);
    (void)await_active(1, &epoch);
    await_log(1);
    CHECK_EQ(run_wait(t.pids[1], SIGTERM, 5000), 0);
    t.pids[1] = 0;
    CHECK_EQ(get(ZK_PATH_META_LOG "/0000000000000001", &o), ZK_OK);
    o.data.data[o.data.size / 2] ^= 0x10;
    o.is_done = false;
    zk_set(t.zk, ZK_PATH_META_LOG "/0000000000000001", (struct bytes){o.data.data, o.data.size}, -1,
            on_stat, &o);
    CHECK(loop_until(t.loop, 5000, is_done, &o));
    CHECK_EQ(o.rc, ZK_OK);
    start_controller(2);
    CHECK_WITHIN(10000, log_has(2, "log_broken"));
    loop_for(t.loop, 500);
    CHECK_EQ(active(&epoch), 0);
    outcome_deinit(&o);
    end();
}

static void a_gap_in_the_log_is_refused(void)
{
    struct outcome o = {0};
    uint64_t epoch = 0;

    begin("gap");
    for (uint64_t i = 1; i <= 3; i++) {
        start_controller(1);
        (void)await_active(i, &epoch);
        await_log(i);
        CHECK_EQ(run_wait(t.pids[1], SIGTERM, 5000), 0);
        t.pids[1] = 0;
    }
    zk_delete(t.zk, ZK_PATH_META_LOG "/0000000000000002", -1, on_done, &o);
    CHECK(loop_until(t.loop, 5000, is_done, &o));
    CHECK_EQ(o.rc, ZK_OK);
    start_controller(1);
    CHECK_WITHIN(10000, log_has(1, "log_broken"));
    CHECK(log_has(1, "gap"));
    CHECK_EQ(active(&epoch), 0);
    outcome_deinit(&o);
    end();
}

/* [ZK-21] A controller that ZooKeeper does not answer stops acting; when it is back, one acts again. */
static void silence_of_zookeeper_deposes(void)
{
    struct meta_walk facts;
    uint64_t epoch = 0;
    int id = 0;

    begin("silence");
    start_controller(1);
    start_controller(2);
    id = await_active(1, &epoch);
    await_log(1);
    zkserver_pause(t.server, 0);
    CHECK_WITHIN(SESSION_MS + 1000, log_has(id, "leadership_lost"));
    zkserver_resume(t.server, 0);
    (void)await_active(epoch + 1, &epoch);
    await_log(2);
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.n_writers, facts.last);
    end();
}

static void zookeeper_killed_and_back_keeps_the_log(void)
{
    struct meta_walk facts;
    uint64_t epoch = 0;

    begin("restart");
    start_controller(1);
    (void)await_active(1, &epoch);
    await_log(1);
    zkserver_kill(t.server, 0);
    CHECK_WITHIN(10000, log_has(1, "leadership_lost"));
    zkserver_start(t.server, 0);
    zkserver_wait(t.server);
    CHECK(loop_until(t.loop, 20000, is_connected, NULL));
    (void)await_active(epoch + 1, &epoch);
    await_log(2);
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.first, 1);
    CHECK_EQ(facts.last, 2);
    end();
}

static bool is_registered(void *ctx)
{
    const struct image_broker *me = image_broker(b.image, 7);

    return me != NULL && me->epoch == b.epoch && !me->purge_pending;
}

/* [ZK-6] The answer to a batch is lost with its server: it is in the log once, and nobody was deposed. */
static void a_commit_without_an_answer_is_resolved(void)
{
    const struct uuid none = {{0}};
    struct meta_walk facts;
    uint64_t epoch = 0;

    begin("unknown");
    broker_begin();
    t.session_ms = 30000;
    start_controller(1);
    (void)await_active(1, &epoch);
    for (int i = 0; i < 4; i++) {
        b.holds_back = true;
        register_broker(&none);
        CHECK(loop_until(t.loop, TAKEOVER_MS, is_registered, NULL));
        b.holds_back = false;
        if (i < 3) { /* the batch waits in the stopped server's socket */
            zkserver_pause(t.server, 0);
            say_ready(b.conn);
            loop_for(t.loop, 50 + 50 * i);
        } else { /* the server may have answered or not */
            say_ready(b.conn);
            loop_for(t.loop, 2);
        }
        zkserver_kill(t.server, 0);
        loop_for(t.loop, 200);
        zkserver_start(t.server, 0);
        CHECK(loop_until(t.loop, 30000, is_unfenced, NULL));
        CHECK(loop_until(t.loop, 30000, is_connected, NULL));
    }
    CHECK(!log_has(1, "leadership_lost"));
    CHECK(!b.is_broken);
    meta_walk(t.connect, &facts, NULL, NULL);
    CHECK_EQ(facts.n_writers, 1);
    CHECK_EQ(facts.last, image_position(b.image).index);
    broker_end();
    end();
}

/* [ZK-41] A broker that cannot use a push gets the same again, and then a snapshot. */
static void a_broker_that_needs_more_gets_a_snapshot(void)
{
    const struct uuid none = {{0}};
    uint64_t epoch = 0;

    begin("need");
    broker_begin();
    start_controller(1);
    (void)await_active(1, &epoch);
    b.n_needs = 1;
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK_EQ(b.n_snapshots, 0);
    b.n_needs = 2;
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK_EQ(b.n_snapshots, 1);
    b.n_needs = 5; /* too often: it is dialled again */
    register_broker(&none);
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    CHECK(log_has(1, "it cannot use what is pushed to it"));
    CHECK(!b.is_broken);
    broker_end();
    end();
}

/* [ZK-45] */
static void a_broker_below_the_level_in_force_is_refused(void)
{
    const struct uuid none = {{0}};
    uint64_t epoch = 0;

    begin("below");
    broker_begin();
    start_controller(1);
    (void)await_active(1, &epoch);
    await_log(1);
    b.level = 0;
    register_broker(&none);
    loop_for(t.loop, 500);
    CHECK_WITHIN(5000, log_has(1, "registration_refused"));
    CHECK(log_has(1, "knows feature levels up to 0, and level 1 is in force"));
    CHECK_EQ(b.n_hellos, 0);
    b.level = 1;
    b.hello_level = 0;
    register_broker(&none);
    loop_for(t.loop, 2500);
    CHECK(log_has(1, "it does not know the feature level that is in force"));
    CHECK(!is_unfenced(NULL));
    b.hello_level = 1;
    CHECK(loop_until(t.loop, TAKEOVER_MS, is_unfenced, NULL));
    broker_end();
    end();
}

static const struct check_case cases[] = {
        CASE(a_broker_that_needs_more_gets_a_snapshot),
        CASE(a_broker_below_the_level_in_force_is_refused),
        CASE(one_is_elected_and_sigkill_hands_over),
        CASE(sigterm_hands_over_at_once),
        CASE(a_broker_is_told_everything_across_controllers),
        CASE(a_broker_whose_port_refuses_is_fenced),
        CASE(another_clusters_broker_is_refused),
        CASE(a_broker_that_knows_more_than_the_log_is_told_nothing),
        CASE(snapshots_are_written_and_the_log_is_trimmed),
        CASE(a_damaged_log_is_refused_loudly),
        CASE(a_gap_in_the_log_is_refused),
        CASE(silence_of_zookeeper_deposes),
        CASE(zookeeper_killed_and_back_keeps_the_log),
        CASE(a_commit_without_an_answer_is_resolved),
};
CHECK_MAIN("controller", cases)
