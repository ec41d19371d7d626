/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/fetcher.h"

#include "broker/core/fetch_session.h"
#include "broker/core/throttle.h"
#include "broker/shell/broker.h"
#include "broker/shell/feed.h"
#include "broker/shell/peers.h"
#include "broker/shell/throttles.h"
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/net/hello_asker.h"
#include "common/net/resolve.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <stdio.h>
#include <string.h>

enum {
    CONNECT_MAX_MS = 3000,
    HELLO_MS = 5000,
    ROOM_PAUSE_MS = 20, /* after a request had room for others only */
    ANSWER_SLACK_MS = 10000,   /* beyond the wait that was asked for: then the connection is given up */
    PAUSE_MAX_MS = 1000,       /* between attempts to connect; doubles up to this */
    FRAME_SLACK = 1024 * 1024, /* of an answer, beyond its records */
    NAMED_KEPT = 2,            /* requests that may be unanswered */
};

/* Where an item stood when it was named: an answer is about the newest naming that its request, or an earlier one, made. */
struct named {
    uint32_t epoch; /* of the request; 0 = none */
    epoch32 leader_epoch;
    epoch32 last_epoch;
    offset64 offset;
};

struct followed {
    struct partition *partition;
    struct named named[NAMED_KEPT]; /* the newest first */
};

enum fetcher_state {
    FETCHER_DOWN,
    FETCHER_CONNECTING, /* or looked up, or greeted */
    FETCHER_UP,
};

struct fetcher {
    struct fetchers *set;
    struct data_loop *dl;
    LIST_ENTRY(fetcher) entry;
    broker_id leader;
    uint32_t index;
    enum fetcher_state state;
    struct fetch_pull session;
    struct lookup *lookup;
    struct rpc_conn *conn;
    struct hello_asker asker;
    struct msg_hello_request hello; /* as it was said */
    char client_id[32];
    int64_t our_epoch;
    uint64_t session_id; /* [REP-60] of `conn` */
    struct timer timer; /* DOWN: connect again; UP: somebody's pause is over */
    int64_t pause_ms;
    bool is_told; /* that it is down was logged */
};

LIST_HEAD(fetcher_list, fetcher);

struct fetchers {
    struct broker *b;
    uint32_t n_fetchers;
    struct fetcher_list *by_loop; /* data.n lists, each its loop's */
    atomic_int_least64_t our_epoch;
    atomic_uint_least64_t last_session;
    struct uuid cluster_id; /* under epoch's publication: set before it */
};

/* A request that is under way. */
struct asking {
    struct fetcher *f;
    uint32_t epoch;
};

static void connect_later(struct fetcher *f);
static void send_requests(struct fetcher *f);

/* --- Sessions --------------------------------------------------------------------------------------------------------- */

static void item_free(struct fetcher *f, struct fetch_pull_item *item)
{
    struct followed *x = item->ctx;

    fetch_pull_remove(&f->session, item);
    partition_unref(x->partition);
    (void)mem_free(x);
}

static void name_of(struct fetcher *f,
        struct fetch_pull_item *item,
        uint32_t epoch,
        const struct partition_position *at,
        uint32_t max_bytes,
        struct msg_fetch_partition *ret)
{
    struct followed *x = item->ctx;

    memmove(&x->named[1], &x->named[0], sizeof(x->named[0]));
    x->named[0] = (struct named){
            .epoch = epoch,
            .leader_epoch = at->leader_epoch,
            .last_epoch = at->last_epoch,
            .offset = at->end};
    *ret = (struct msg_fetch_partition){.topic_id = item->key.topic_id,
            .partition = item->key.number,
            .leader_epoch = at->leader_epoch,
            .fetch_offset = at->end,
            .last_fetched_epoch = at->last_epoch,
            .max_bytes = max_bytes,
            .log_start = at->log_start,
            .flushed = at->flushed};
}

/* [THR-3] So much of it may come; 0 = nothing, it is asked for later. Of `*left` what it may take goes off. */
static uint32_t room_of(struct fetcher *f, struct fetch_pull_item *item, int64_t *left)
{
    const struct followed *x = item->ctx;
    int64_t max = conf_i64(f->set->b->conf, "replica.fetch.max.bytes");

    if (!atomic_load(&x->partition->is_filling) || *left == THROTTLE_ALL) {
        return (uint32_t)max;
    }
    max = max < *left ? max : *left;
    *left -= max;
    if (max == 0) {
        fetch_pull_later(&f->session, item,
                wtime_add(loop_now(f->dl->loop), WTIME_MS(ROOM_PAUSE_MS)));
    }
    return (uint32_t)max;
}

/* [THR-3] While there is no room nothing is asked for what a reassignment fills. The others are as ever. */
static void hold_back(struct fetcher *f, wtime now)
{
    struct fetch_pull_item *item, *next;
    wtime when = WTIME_NEVER;

    fetch_pull_wake(&f->session, now);
    for (item = TAILQ_FIRST(&f->session.due); item != NULL; item = next) {
        const struct followed *x = item->ctx;

        next = TAILQ_NEXT(item, entry);
        if (!atomic_load(&x->partition->is_filling)) {
            continue;
        }
        if (when == WTIME_NEVER) {
            if (throttles_room(f->set->b->throttles, THROTTLES_IN, now) > 0) {
                return;
            }
            when = throttles_hold(f->set->b->throttles, THROTTLES_IN, now);
        }
        fetch_pull_later(&f->session, item, when);
    }
}

static void on_answer(void *ctx, struct rpc_reply *reply);

static void send_request(struct fetcher *f, const struct fetch_pull_request *q)
{
    const struct conf *conf = f->set->b->conf;
    uint32_t wait_ms = (uint32_t)conf_i64(conf, "replica.fetch.wait.max.ms");
    struct msg_fetch_request m = {.max_wait_ms = wait_ms,
            .min_bytes = 1,
            .max_bytes = (uint32_t)conf_i64(conf, "replica.fetch.response.max.bytes"),
            .replica = f->set->b->id,
            .broker_epoch = f->our_epoch,
            .session_epoch = q->epoch,
            .session_id = f->session_id,
            .partitions = mem_new_n(struct msg_fetch_partition, q->n_named + 1),
            .forgotten = mem_new_n(struct msg_partition_ref, q->n_forgotten + 1),
            .n_forgotten = q->n_forgotten};
    struct asking *a = mem_new(struct asking);
    struct rpc_out *out = rpc_out_new();
    int64_t left =
            throttles_room(f->set->b->throttles, THROTTLES_IN, loop_now(f->dl->loop));

    for (size_t i = 0; i < q->n_named; i++) {
        struct followed *x = q->named[i]->ctx;
        uint32_t max_bytes = room_of(f, q->named[i], &left);
        struct partition_position at;

        if (max_bytes == 0) {
            continue;
        }
        partition_position(x->partition, &at);
        if (at.leader == f->leader) { /* else another look at it is on its way */
            name_of(f, q->named[i], q->epoch, &at, max_bytes, &m.partitions[m.n_partitions++]);
        }
    }
    for (size_t i = 0; i < q->n_forgotten; i++) {
        m.forgotten[i] = (struct msg_partition_ref){
                .topic_id = q->forgotten[i].topic_id, .partition = q->forgotten[i].number};
    }
    wire_encode_fetch_request(&m, rpc_out_buf(out));
    (void)mem_free(m.partitions);
    (void)mem_free(m.forgotten);
    *a = (struct asking){.f = f, .epoch = q->epoch};
    rpc_call(f->conn, API_FETCH, wait_ms + ANSWER_SLACK_MS, out, on_answer, a);
}

static void send_requests(struct fetcher *f)
{
    struct fetch_pull_request q;
    wtime now = loop_now(f->dl->loop);

    hold_back(f, now);
    while (f->state == FETCHER_UP && fetch_pull_next(&f->session, now, &q)) {
        send_request(f, &q);
    }
    if (f->state == FETCHER_UP) {
        timer_set(&f->timer, fetch_pull_deadline(&f->session));
    }
}

/* --- The connection --------------------------------------------------------------------------------------------------- */

static void hang_up(struct fetcher *f)
{
    struct rpc_conn *conn = mem_steal(&f->conn);

    if (f->lookup != NULL) {
        lookup_cancel(f->lookup);
        f->lookup = NULL;
    }
    f->state = FETCHER_DOWN;
    if (conn != NULL) {
        rpc_conn_close(conn); /* calls under way end in here */
    }
    fetch_pull_restart(&f->session);
    for (struct fetch_pull_item *item = f->session.items; item != NULL; item = item->hh.next) {
        struct followed *x = item->ctx;

        memset(x->named, 0, sizeof(x->named));
    }
}

static void fail(struct fetcher *f, const char *why)
{
    if (!f->is_told) {
        log_warn("fetcher", "leader_away", KV_I64("leader", f->leader), KV_STR("reason", why));
        f->is_told = true;
    }
    hang_up(f);
    connect_later(f);
}

static void on_up(struct fetcher *f)
{
    log_info("fetcher", "connected", KV_I64("leader", f->leader), KV_I64("fetcher", f->index));
    f->state = FETCHER_UP;
    f->session_id = atomic_fetch_add(&f->set->last_session, 1) + 1;
    f->is_told = false;
    f->pause_ms = 0;
    send_requests(f);
}

static void say_hello(struct fetcher *f, struct bytes auth);

static void on_hello(void *ctx, struct rpc_reply *reply)
{
    CLEANUP(buf_deinit) struct buf auth = {0};
    const struct auth_secret *secret = NULL;
    struct msg_hello_response m = {0};
    struct fetcher *f = ctx;
    const char *why = NULL;
    struct arena arena;

    if (f->conn == NULL || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return; /* closed: on_closed() goes on from there */
    }
    if (reply->error != ERRCODE_NONE) {
        fail(f, reply->detail[0] != '\0' ? reply->detail : errcode_text(reply->error));
        return;
    }
    secret = f->set->b->secret;
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (wire_decode_hello_response(reply->body, &arena, &m) != 0) {
        why = "its answer to Hello does not decode";
    } else if (m.broker != f->leader || !uuid_equal(&m.cluster_id, &f->hello.cluster_id)) {
        why = "another broker, or one of another cluster, answers at its address";
    } else if (secret != NULL && !f->asker.is_answered) {
        why = hello_asker_answer(&f->asker, secret, &f->hello, &m, &auth);
    }
    arena_deinit(&arena);
    if (why != NULL) {
        fail(f, why);
    } else if (auth.size > 0) {
        say_hello(f, (struct bytes){.at = auth.data, .size = auth.size});
    } else {
        on_up(f);
    }
}

static void say_hello(struct fetcher *f, struct bytes auth)
{
    struct rpc_out *out = rpc_out_new();
    struct msg_hello_request m = f->hello;

    m.auth = auth;
    wire_encode_hello_request(&m, rpc_out_buf(out));
    rpc_call(f->conn, API_HELLO, HELLO_MS, out, on_hello, f);
}

static void on_connected(void *owner, struct rpc_conn *c)
{
    CLEANUP(buf_deinit) struct buf auth = {0};
    struct fetcher *f = owner;

    f->hello = (struct msg_hello_request){.client_id = f->client_id,
            .role = ROLE_REPLICA,
            .cluster_id = f->set->cluster_id,
            .library = "weir-broker",
            .library_version = WEIR_VERSION,
            .feature_level = META_FEATURE_LEVEL,
            .controller_id = -1,
            .replica = f->set->b->id,
            .replica_epoch = f->our_epoch};
    f->asker = (struct hello_asker){0};
    if (f->set->b->secret != NULL) {
        hello_asker_begin(&f->asker, &auth);
    }
    say_hello(f, (struct bytes){.at = auth.data, .size = auth.size});
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct fetcher *f = owner;

    f->conn = NULL;
    fail(f, reason);
}

static const struct rpc_callbacks callbacks = {
        .on_connected = on_connected, .on_closed = on_closed};

static void on_found(void *ctx, const struct resolved *result)
{
    struct fetcher *f = ctx;
    const struct rpc_limits limits = {
            .frame_max = (uint32_t)conf_i64(f->set->b->conf, "replica.fetch.response.max.bytes") +
                         (uint32_t)conf_i64(f->set->b->conf, "socket.request.max.bytes") +
                         FRAME_SLACK,
            .handshake_timeout = WTIME_NEVER};

    f->lookup = NULL;
    if (result->n == 0) {
        fail(f, "its name is not found");
        return;
    }
    f->conn = rpc_conn_connect(f->dl->loop, &result->addr[0], result->addr_len[0],
            WTIME_MS(CONNECT_MAX_MS), &limits, &callbacks, f);
}

static void connect_now(struct fetcher *f)
{
    struct peer_address at;

    must(f->state == FETCHER_DOWN);
    timer_cancel(&f->timer);
    f->our_epoch = atomic_load(&f->set->our_epoch);
    if (f->our_epoch == BROKER_EPOCH_NONE || !peers_address(f->set->b->peers, f->leader, &at)) {
        connect_later(f);
        return;
    }
    f->state = FETCHER_CONNECTING;
    f->lookup = resolver_start(f->set->b->resolver, f->dl->loop, at.host, at.port, on_found, f);
}

static void on_timer(void *ctx)
{
    struct fetcher *f = ctx;

    if (f->state == FETCHER_DOWN) {
        connect_now(f);
    } else {
        send_requests(f);
    }
}

static void connect_later(struct fetcher *f)
{
    int64_t least = conf_i64(f->set->b->conf, "replica.fetch.backoff.ms");

    f->pause_ms = f->pause_ms == 0 ? least : f->pause_ms * 2;
    f->pause_ms = f->pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : f->pause_ms;
    timer_set(&f->timer, wtime_add(loop_now(f->dl->loop), WTIME_MS(f->pause_ms)));
}

/* --- Answers ---------------------------------------------------------------------------------------------------------- */

/* What the item was named with, as far as the request of that epoch could know. NULL = it was not. */
static const struct named *named_by(const struct followed *x, uint32_t epoch)
{
    for (size_t i = 0; i < NAMED_KEPT; i++) {
        if (x->named[i].epoch != 0 && (int32_t)(epoch - x->named[i].epoch) >= 0) {
            return &x->named[i];
        }
    }
    return NULL;
}

static void take_result(struct fetcher *f, uint32_t epoch, const struct msg_fetch_result *m, uint8_t *records)
{
    struct partition_key key = {.topic_id = m->topic_id, .number = m->partition};
    struct fetch_pull_item *item = fetch_pull_find(&f->session, &key);
    struct followed *x = item != NULL ? item->ctx : NULL;
    const struct named *named = x != NULL ? named_by(x, epoch) : NULL;
    struct partition_followed did;

    if (named == NULL) {
        return; /* followed no more, or anew */
    }
    if (m->records.size > 0 && atomic_load(&x->partition->is_filling)) { /* [THR-1] */
        throttles_took(f->set->b->throttles, THROTTLES_IN, (int64_t)m->records.size,
                loop_now(f->dl->loop));
    }
    partition_follow(x->partition,
            &(struct partition_follow_ask){.leader_epoch = named->leader_epoch,
                    .last_epoch = named->last_epoch,
                    .offset = named->offset,
                    .answer = m,
                    .records = records},
            &did);
    switch (did.next) {
    case FOLLOW_NOTHING: break;
    case FOLLOW_AGAIN: fetch_pull_due(&f->session, item); break;
    case FOLLOW_LATER:
        fetch_pull_later(&f->session, item,
                wtime_add(loop_now(f->dl->loop),
                        WTIME_MS(conf_i64(f->set->b->conf, "replica.fetch.backoff.ms"))));
        break;
    case FOLLOW_NO_MORE: item_free(f, item); break;
    }
}

static void take_answer(struct fetcher *f, uint32_t epoch, struct rpc_reply *reply)
{
    struct msg_fetch_response m;
    uint8_t *frame = rpc_reply_take(reply);
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (wire_decode_fetch_response(reply->body, &arena, &m) != 0) {
        fail(f, "an answer of it does not decode");
        m.n_partitions = 0;
    }
    for (size_t i = 0; i < m.n_partitions; i++) {
        struct bytes records = m.partitions[i].records;

        take_result(f, epoch, &m.partitions[i],
                records.size > 0 ? frame + (records.at - frame) : NULL);
    }
    arena_deinit(&arena);
    (void)mem_free(frame);
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct asking *a = ctx;
    struct fetcher *f = a->f;
    uint32_t epoch = a->epoch;

    (void)mem_free(a);
    if (f->state != FETCHER_UP || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return;
    }
    fetch_pull_answered(&f->session);
    if (reply->error != ERRCODE_NONE) { /* [FET-2] */
        fail(f, reply->detail[0] != '\0' ? reply->detail : errcode_text(reply->error));
        return;
    }
    take_answer(f, epoch, reply);
    send_requests(f);
}

/* --- Who follows whom ------------------------------------------------------------------------------------------------- */

static uint32_t loop_of(const struct fetchers *set, broker_id leader, uint32_t index)
{
    return ((uint32_t)leader + index) % set->b->data.n;
}

static uint32_t index_of(const struct fetchers *set, const struct partition_key *key)
{
    uint32_t h = load_le32(key->topic_id.bytes) + (uint32_t)key->number;

    return h % set->n_fetchers;
}

static struct fetcher *fetcher_new(
        struct fetchers *set, struct data_loop *dl, broker_id leader, uint32_t index)
{
    struct fetcher *f = mem_new(struct fetcher);

    f->set = set;
    f->dl = dl;
    f->leader = leader;
    f->index = index;
    (void)snprintf(f->client_id, sizeof(f->client_id), "broker-%d", set->b->id);
    fetch_pull_init(&f->session);
    timer_init(&f->timer, dl->loop, on_timer, f);
    LIST_INSERT_HEAD(&set->by_loop[dl->index], f, entry);
    return f;
}

static void fetcher_free(struct fetcher *f)
{
    hang_up(f);
    while (f->session.items != NULL) {
        item_free(f, f->session.items);
    }
    fetch_pull_deinit(&f->session);
    timer_deinit(&f->timer);
    LIST_REMOVE(f, entry);
    (void)mem_free(f);
}

/* Makes this loop's sessions right about the partition. */
static void look_at(struct fetchers *set, struct data_loop *dl, struct partition *p)
{
    uint32_t index = index_of(set, &p->key);
    struct fetcher *f, *next, *mine = NULL;
    struct fetch_pull_item *item;
    struct partition_position at;

    partition_position(p, &at);
    for (f = LIST_FIRST(&set->by_loop[dl->index]); f != NULL; f = next) {
        next = LIST_NEXT(f, entry);
        if (f->index == index && f->leader == at.leader) {
            mine = f;
        } else if (f->index == index && (item = fetch_pull_find(&f->session, &p->key)) != NULL) {
            item_free(f, item);
            send_requests(f);
        }
    }
    if (at.leader == BROKER_NONE || loop_of(set, at.leader, index) != dl->index) {
        return;
    }
    if (mine == NULL) {
        mine = fetcher_new(set, dl, at.leader, index);
        connect_now(mine);
    }
    item = fetch_pull_find(&mine->session, &p->key);
    if (item == NULL) {
        struct followed *x = mem_new(struct followed);

        x->partition = partition_ref(p);
        (void)fetch_pull_add(&mine->session, &p->key, x);
    } else {
        fetch_pull_due(&mine->session, item);
    }
    send_requests(mine);
}

struct look_task {
    struct loop_task task;
    struct fetchers *set;
    struct data_loop *dl;
    struct partition *p;
};

static void on_look(struct loop_task *t)
{
    struct look_task *k = container_of(t, struct look_task, task);

    if (!k->dl->is_ending) {
        look_at(k->set, k->dl, k->p);
    }
    partition_unref(k->p);
    (void)mem_free(k);
}

static void post_look(struct fetchers *set, struct partition *p, broker_id leader)
{
    struct data_loop *dl =
            &set->b->data.items[loop_of(set, leader, index_of(set, &p->key))];
    struct look_task *k = mem_new(struct look_task);

    *k = (struct look_task){.task.run = on_look, .set = set, .dl = dl, .p = partition_ref(p)};
    loop_post(dl->loop, &k->task);
}

void fetchers_look(struct fetchers *set, struct partition *p, broker_id was, broker_id now)
{
    if (was != BROKER_NONE) {
        post_look(set, p, was);
    }
    if (now != BROKER_NONE && now != was) {
        post_look(set, p, now);
    }
}

/* --- Life ------------------------------------------------------------------------------------------------------------- */

struct restart_task {
    struct loop_task task;
    struct fetchers *set;
    struct data_loop *dl;
};

static void on_restart(struct loop_task *t)
{
    struct restart_task *k = container_of(t, struct restart_task, task);
    struct peer_address at;
    struct fetcher *f;

    LIST_FOREACH (f, &k->set->by_loop[k->dl->index], entry) {
        bool is_other = f->our_epoch != atomic_load(&k->set->our_epoch);

        if (f->state == FETCHER_DOWN && peers_address(k->set->b->peers, f->leader, &at)) {
            connect_now(f); /* it may be back */
        } else if (f->state != FETCHER_DOWN && is_other) {
            hang_up(f);
            connect_now(f);
        }
    }
    (void)mem_free(k);
}

void fetchers_restart(struct fetchers *set)
{
    set->cluster_id = set->b->cluster_id;
    atomic_store(&set->our_epoch, broker_epoch(set->b));
    for (uint32_t i = 0; i < set->b->data.n; i++) {
        struct restart_task *k = mem_new(struct restart_task);

        *k = (struct restart_task){
                .task.run = on_restart, .set = set, .dl = &set->b->data.items[i]};
        loop_post(k->dl->loop, &k->task);
    }
}

static void on_hurry(struct loop_task *t)
{
    struct restart_task *k = container_of(t, struct restart_task, task);
    struct fetcher *f;

    LIST_FOREACH (f, &k->set->by_loop[k->dl->index], entry) {
        fetch_pull_hurry(&f->session);
        send_requests(f);
    }
    if (!k->dl->is_ending) {
        feed_hurry(k->dl);
    }
    (void)mem_free(k);
}

void fetchers_hurry(struct fetchers *set)
{
    for (uint32_t i = 0; i < set->b->data.n; i++) {
        struct restart_task *k = mem_new(struct restart_task);

        *k = (struct restart_task){
                .task.run = on_hurry, .set = set, .dl = &set->b->data.items[i]};
        loop_post(k->dl->loop, &k->task);
    }
}

struct fetchers *fetchers_new(struct broker *b)
{
    struct fetchers *set = mem_new(struct fetchers);

    set->b = b;
    set->n_fetchers = (uint32_t)conf_i64(b->conf, "num.replica.fetchers");
    set->by_loop = mem_new_n(struct fetcher_list, b->data.n);
    atomic_init(&set->our_epoch, BROKER_EPOCH_NONE);
    for (uint32_t i = 0; i < b->data.n; i++) {
        LIST_INIT(&set->by_loop[i]);
    }
    return set;
}

void fetchers_end_loop(struct fetchers *set, struct data_loop *dl)
{
    struct fetcher *f;

    while ((f = LIST_FIRST(&set->by_loop[dl->index])) != NULL) {
        fetcher_free(f);
    }
}

struct fetchers *fetchers_free(struct fetchers *set)
{
    if (set == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < set->b->data.n; i++) {
        must(LIST_EMPTY(&set->by_loop[i]));
    }
    mem_free(set->by_loop);
    return mem_free(set);
}
