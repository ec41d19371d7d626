/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/data_loop.h"

#include <stdio.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/conn_log.h"
#include "broker/shell/feed.h"
#include "broker/shell/fetcher.h"
#include "broker/shell/produce_line.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/obj.h"
#include "common/obs/metrics.h"

enum {
    STOP_FLUSH_MS = 1000
};

/* --- Wake-ups ---------------------------------------------------------------------------------------------------- */

static void deliver(struct data_loop *dl, const struct partition_wake *w)
{
    struct parked *k = NULL;

    HASH_FIND(hh, dl->parked, &w->ask.request, sizeof(w->ask.request), k);
    if (k == NULL) {
        feed_wake(dl, w); /* or it was answered meanwhile */
        return;
    }
    if (k->pending.kind == PENDING_PRODUCE) {
        produce_on_wake(k, w);
    } else {
        fetch_on_wake(k, w);
    }
}

static void on_mailbox(struct loop_task *t)
{
    struct data_loop *dl = container_of(t, struct data_loop, mailbox_task);

    (void)pthread_mutex_lock(&dl->mailbox_lock);
    array_clear(&dl->taken);
    array_reserve(&dl->taken, dl->mailbox.n);
    if (dl->mailbox.n > 0) {
        memcpy(dl->taken.items, dl->mailbox.items, dl->mailbox.n * sizeof(*dl->mailbox.items));
    }
    dl->taken.n = dl->mailbox.n;
    array_clear(&dl->mailbox);
    dl->is_posted = false;
    (void)pthread_mutex_unlock(&dl->mailbox_lock);
    for (size_t i = 0; i < dl->taken.n; i++) {
        struct partition_wake w = dl->taken.items[i];

        deliver(dl, &w);
    }
}

void data_loops_wake(struct data_loops *d, const struct partition_wake *wakes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct data_loop *dl = &d->items[wakes[i].ask.loop];
        bool must_post;

        must(wakes[i].ask.loop < d->n);
        (void)pthread_mutex_lock(&dl->mailbox_lock);
        *array_push(&dl->mailbox) = wakes[i];
        must_post = !dl->is_posted;
        dl->is_posted = true;
        (void)pthread_mutex_unlock(&dl->mailbox_lock);
        if (must_post) {
            loop_post(dl->loop, &dl->mailbox_task);
        }
    }
}

/* --- Parked requests --------------------------------------------------------------------------------------------- */

static void on_deadline(void *ctx)
{
    struct parked *k = ctx;

    if (k->pending.kind == PENDING_PRODUCE) {
        produce_on_deadline(k);
    } else {
        fetch_on_deadline(k);
    }
}

struct parked *parked_new(
        struct client_conn *conn, const struct rpc_request *r, struct arena *arena, size_t n)
{
    struct parked *k = mem_new(struct parked);

    k->request = ++conn->dl->next_request;
    k->conn = conn;
    k->header = r->header;
    k->header.detail = "";
    k->received = r->received;
    k->arena = *arena;
    *arena = (struct arena){0};
    k->parts = mem_new_n(struct pending_part, n + 1);
    k->partitions = mem_new_n(struct partition *, n + 1);
    timer_init(&k->timer, conn->dl->loop, on_deadline, k);
    HASH_ADD(hh, conn->dl->parked, request, sizeof(k->request), k);
    LIST_INSERT_HEAD(&conn->parked, k, entry);
    return k;
}

/* [BRK-30] What a parked request holds: itself, its timer, its arena, and an interest at each partition. */
static size_t parked_size(const struct parked *k)
{
    enum {
        ALLOCATIONS = 512, /* the timer's event and what the allocator adds */
        ARENA_LEAST = 4096
    };

    size_t arena = k->arena.used > ARENA_LEAST ? k->arena.used : ARENA_LEAST;

    return sizeof(*k) + ALLOCATIONS + arena +
           k->pending.n_parts *
                   (sizeof(*k->parts) + sizeof(*k->partitions) + sizeof(struct replica_interest));
}

static void on_excess(struct loop_task *t)
{
    struct data_loop *dl = container_of(t, struct data_loop, excess_task);
    struct parked *k;

    dl->is_excess_posted = false;
    while ((k = TAILQ_FIRST(&dl->excess)) != NULL) {
        TAILQ_REMOVE(&dl->excess, k, excess_entry);
        k->is_excess = false;
        on_deadline(k);
    }
}

/* [BRK-30] One too many. By a task and not by its timer, which may be some milliseconds late: many more would come. */
static void do_not_wait(struct parked *k)
{
    struct data_loop *dl = k->conn->dl;

    k->pending.deadline = loop_now(dl->loop);
    k->is_excess = true;
    TAILQ_INSERT_TAIL(&dl->excess, k, excess_entry);
    if (!dl->is_excess_posted) {
        dl->is_excess_posted = true;
        loop_post(dl->loop, &dl->excess_task);
    }
}

void parked_wait(struct parked *k)
{
    k->has_waited = true;
    if (k->pending.kind == PENDING_FETCH && k->conn->n_polls >= CLIENT_POLLS_MAX) {
        do_not_wait(k);
    }
    timer_set(&k->timer, pending_deadline(&k->pending));
    rpc_weigh_request(k->conn->c, &k->header, parked_size(k));
    if (k->pending.kind == PENDING_FETCH) {
        k->conn->n_polls++;
        metric_add(METRIC_BROKER_FETCH_PARKED, 1);
    }
}

void parked_free(struct parked *k)
{
    struct data_loop *dl = k->conn->dl;

    if (k->has_waited && k->pending.kind == PENDING_FETCH) {
        k->conn->n_polls--;
        metric_add(METRIC_BROKER_FETCH_PARKED, UINT64_MAX); /* one less: a gauge's addition wraps */
    }

    for (size_t i = 0; i < k->pending.n_parts; i++) {
        if (k->partitions[i] == NULL) {
            continue;
        }
        if (k->has_waited) {
            struct replica_ask ask = {
                    .loop = dl->index, .request = k->request, .part = (uint32_t)i};

            partition_forget(k->partitions[i], &ask);
        }
        partition_unref(k->partitions[i]);
    }
    if (k->is_excess) {
        TAILQ_REMOVE(&dl->excess, k, excess_entry);
    }
    timer_deinit(&k->timer);
    HASH_DEL(dl->parked, k);
    LIST_REMOVE(k, entry);
    arena_deinit(&k->arena);
    (void)mem_free(k->parts);
    (void)mem_free(k->partitions);
    (void)mem_free(k->cold);
    (void)mem_free(k);
}

/* --- Connections ------------------------------------------------------------------------------------------------- */

static void conn_free(struct client_conn *conn)
{
    struct parked *k;

    while ((k = LIST_FIRST(&conn->parked)) != NULL) {
        parked_free(k);
    }
    metadata_forget(conn);
    produce_line_leave(conn);
    conn->feed = feed_free(conn->feed);
    HASH_DEL(conn->dl->conns, conn);
    if (conn->is_counted) {
        conn_limits_leave(&conn->dl->broker->conn_limits, &conn->slot);
    }
    OBJ_CLEAR(conn);
    (void)mem_free(conn);
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct client_conn *conn = OBJ_CAST(struct client_conn, owner, CLIENT_CONN_MAGIC);
    struct data_loop *dl = conn->dl;

    conn_log_closed("client", rpc_conn_peer(c), reason);
    conn_free(conn);
    if (dl->is_ending && dl->conns == NULL) {
        loop_stop(dl->loop);
    }
}

void answer_error(struct client_conn *conn, struct rpc_request *r, int error, const char *detail)
{
    rpc_answer(conn->c, &r->header, error, detail, NULL);
    (void)rpc_request_free(r);
}

static void on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    struct client_conn *conn = OBJ_CAST(struct client_conn, owner, CLIENT_CONN_MAGIC);

    switch (r->header.api) {
    case API_PRODUCE: handle_produce(conn, r); break;
    case API_FETCH:
        if (conn->replica != BROKER_NONE) {
            feed_request(conn, r);
        } else {
            handle_fetch(conn, r);
        }
        break;
    case API_LIST_OFFSETS: handle_list_offsets(conn, r); break;
    case API_DELETE_RECORDS: handle_delete_records(conn, r); break;
    case API_OFFSET_FOR_LEADER_EPOCH: handle_offset_for_leader_epoch(conn, r); break;
    case API_METADATA: handle_metadata(conn, r); break;
    case API_INIT_PRODUCER_ID: handle_init_producer(conn, r); break;
    case API_HELLO: answer_error(conn, r, ERRCODE_INVALID_REQUEST, "Hello was said already"); break;
    case API_PUSH:
    case API_BEAT:
    case API_BROKER_READY:
    case API_CONTROLLED_SHUTDOWN:
    case API_DESCRIBE_CONFIGS:
    case API_ALLOCATE_PRODUCER_IDS:
        answer_error(conn, r, ERRCODE_INVALID_REQUEST,
                "that request belongs to the connection of a controller");
        break;
    default:
        answer_error(
                conn, r, ERRCODE_UNSUPPORTED_VERSION, "this broker does not know that request");
        break;
    }
}

static const struct rpc_callbacks client_callbacks = {
        .on_request = on_request, .on_closed = on_closed};

static void on_arrived(void *owner, struct rpc_conn *c)
{
    struct client_conn *conn = OBJ_CAST(struct client_conn, owner, CLIENT_CONN_MAGIC);
    struct data_loop *dl = conn->dl;

    HASH_ADD(hh, dl->conns, id, sizeof(conn->id), conn);
    if (dl->is_ending) {
        rpc_conn_close(c);
        conn_free(conn);
    }
}

void data_loops_adopt(struct data_loops *d,
        struct rpc_conn *c,
        const struct conn_slot *slot,
        const char *listener,
        const struct msg_hello_request *hello)
{
    struct client_conn *conn = mem_new(struct client_conn);
    bool is_replica = hello->role == ROLE_REPLICA;

    OBJ_INIT(conn, CLIENT_CONN_MAGIC);
    conn->id = rpc_conn_id(c);
    conn->dl = &d->items[d->next];
    d->next = (d->next + 1) % d->n;
    conn->c = c;
    conn->is_counted = slot != NULL;
    if (slot != NULL) {
        conn->slot = *slot;
    }
    conn->replica = is_replica ? hello->replica : BROKER_NONE;
    conn->replica_epoch = is_replica ? hello->replica_epoch : BROKER_EPOCH_NONE;
    (void)snprintf(conn->listener, sizeof(conn->listener), "%s", listener);
    (void)snprintf(conn->client_id, sizeof(conn->client_id), "%s", hello->client_id);
    LIST_INIT(&conn->parked);
    STAILQ_INIT(&conn->questions);
    rpc_conn_move(c, conn->dl->loop, &client_callbacks, conn, on_arrived);
}

/* --- Answers that come from other threads ------------------------------------------------------------------------ */

static void on_late_answer(struct loop_task *t)
{
    struct late_answer *a = container_of(t, struct late_answer, task);
    struct client_conn *conn = NULL;

    HASH_FIND(hh, a->dl->conns, &a->conn_id, sizeof(a->conn_id), conn);
    if (conn != NULL) {
        rpc_answer(conn->c, &a->header, a->error, a->detail != NULL ? a->detail : "",
                mem_steal(&a->out));
    } else {
        (void)rpc_out_free(a->out);
    }
    (void)mem_free(a->detail);
    (void)mem_free(a);
}

void late_answer_post(struct late_answer *a)
{
    a->task.run = on_late_answer;
    loop_post(a->dl->loop, &a->task);
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

void data_loops_init(struct data_loops *d, struct broker *broker, uint32_t n)
{
    must(n > 0);
    *d = (struct data_loops){.items = mem_new_n(struct data_loop, n), .n = n};
    for (uint32_t i = 0; i < n; i++) {
        struct data_loop *dl = &d->items[i];
        char name[16];

        (void)snprintf(name, sizeof(name), "data-%u", i);
        dl->broker = broker;
        dl->index = i;
        dl->loop = loop_new(name);
        dl->mailbox_task.run = on_mailbox;
        TAILQ_INIT(&dl->excess);
        dl->excess_task.run = on_excess;
        TAILQ_INIT(&dl->asking);
        timer_init(&dl->ask_timer, dl->loop, metadata_ask_next, dl);
        (void)pthread_mutex_init(&dl->mailbox_lock, NULL);
    }
}

void data_loops_start(struct data_loops *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        loop_start(d->items[i].loop);
    }
}

uint32_t data_loops_for(const struct data_loops *d, const struct partition_key *key)
{
    uint32_t h = load_le32(key->topic_id.bytes) + (uint32_t)key->number;

    return h % d->n;
}

/* The end of one loop: answers what waits, sends what is queued, and stops. */
struct ending {
    struct loop_task task;
    struct data_loop *dl;
    struct timer timer;
};

static void on_ending_over(void *ctx)
{
    struct data_loop *dl = ctx;
    struct client_conn *conn, *next;

    HASH_ITER(hh, dl->conns, conn, next)
    {
        rpc_conn_close(conn->c);
        conn_free(conn);
    }
    loop_stop(dl->loop);
}

static void on_ending(struct loop_task *t)
{
    struct ending *e = container_of(t, struct ending, task);
    struct data_loop *dl = e->dl;
    struct client_conn *conn, *next;
    struct parked *k, *next_k;

    dl->is_ending = true;
    HASH_ITER(hh, dl->parked, k, next_k)
    {
        k->pending.deadline = 0; /* answered with what there is */
        on_deadline(k);
    }
    fetchers_end_loop(dl->broker->fetchers, dl);
    HASH_ITER(hh, dl->conns, conn, next)
    {
        if (conn->feed != NULL) {
            feed_end(conn->feed);
        }
        rpc_conn_close_after_flush(conn->c);
    }
    if (dl->conns == NULL) {
        loop_stop(dl->loop);
        return;
    }
    timer_init(&e->timer, dl->loop, on_ending_over, dl);
    timer_set(&e->timer, wtime_add(loop_now(dl->loop), WTIME_MS(STOP_FLUSH_MS)));
}

void data_loops_stop(struct data_loops *d)
{
    struct ending *endings = mem_new_n(struct ending, d->n);

    for (uint32_t i = 0; i < d->n; i++) {
        endings[i].dl = &d->items[i];
        endings[i].task.run = on_ending;
        loop_post(d->items[i].loop, &endings[i].task);
    }
    for (uint32_t i = 0; i < d->n; i++) {
        loop_join(d->items[i].loop);
        timer_deinit(&endings[i].timer);
    }
    (void)mem_free(endings);
}

void data_loops_deinit(struct data_loops *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        struct data_loop *dl = &d->items[i];

        timer_deinit(&dl->ask_timer);
        dl->loop = loop_free(dl->loop);
        must(dl->conns == NULL);
        array_deinit(&dl->mailbox);
        array_deinit(&dl->taken);
        (void)pthread_mutex_destroy(&dl->mailbox_lock);
    }
    d->items = mem_free(d->items);
}
