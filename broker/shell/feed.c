/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/feed.h"

#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/fetch_read.h"
#include "broker/shell/throttles.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

enum {
    LOOKED_AT_MAX = 1000, /* partitions of one look: a loop has other work, too */
};

/* What the session's items carry. */
struct fed {
    struct partition *partition; /* NULL = not here */
    uint8_t cold;
    bool is_held; /* [THR-4] nothing is given to it before there is room */
};

struct feed {
    struct client_conn *conn;
    uint64_t request; /* whom partitions wake; one for the whole session */
    UT_hash_handle hh;
    struct fetch_feed session;
    bool is_waiting; /* a request is unanswered */
    struct frame_header header;
    uint64_t session_id;
    uint32_t max_bytes;
    struct timer timer;
    size_t n_held;
    struct timer room_timer; /* there is room for those */
};

/* --- Partitions of the session ---------------------------------------------------------------------------------------- */

static struct replica_ask ask_of(const struct feed *f, const struct fetch_feed_item *item)
{
    return (struct replica_ask){
            .loop = f->conn->dl->index, .request = f->request, .part = item->slot};
}

/* Its interest at the partition goes. */
static void withdraw(struct feed *f, struct fetch_feed_item *item)
{
    struct fed *fed = item->ctx;
    struct replica_ask ask = ask_of(f, item);

    if (item->is_waiting) {
        partition_forget(fed->partition, &ask);
        item->is_waiting = false;
    }
}

/* It is not held back any more, or not yet again. */
static void let_go(struct feed *f, struct fed *fed)
{
    f->n_held -= fed->is_held;
    fed->is_held = false;
}

static void forget(struct feed *f, struct fetch_feed_item *item)
{
    struct fed *fed = item->ctx;

    withdraw(f, item);
    let_go(f, fed);
    partition_unref(fed->partition);
    (void)mem_free(fed);
    fetch_feed_remove(&f->session, item);
}

static void forget_all(struct feed *f)
{
    while (f->session.items != NULL) {
        forget(f, f->session.items);
    }
}

static void name(struct feed *f, const struct msg_fetch_partition *m)
{
    struct partition_key key = {.topic_id = m->topic_id, .number = m->partition};
    struct fetch_asked asked = {.leader_epoch = m->leader_epoch,
            .last_epoch = m->last_fetched_epoch,
            .offset = m->fetch_offset,
            .log_start = m->log_start,
            .flushed = m->flushed,
            .max_bytes = m->max_bytes};
    struct fetch_feed_item *item = fetch_feed_name(&f->session, &key, &asked);
    struct fed *fed = item->ctx;

    if (fed == NULL) {
        item->ctx = fed = mem_new(struct fed);
    }
    withdraw(f, item); /* it waited for more than the former position */
    fed->cold = FETCH_COLD_NONE;
    let_go(f, fed);
}

/* --- Answers ---------------------------------------------------------------------------------------------------------- */

/* The dirty ones as a fetch, and what of it goes into the answer. */
struct gathered {
    size_t n;
    struct fetch_feed_item **items;
    struct msg_fetch_partition *asked;
    struct partition **partitions;
    uint8_t *cold;
    uint32_t *slots;
    bool *was_counted;
    struct fetch_look look;
};

static struct fetch_source source_of(struct feed *f, struct gathered *g)
{
    return (struct fetch_source){.dl = f->conn->dl,
            .request = f->request,
            .replica = f->conn->replica,
            .broker_epoch = f->conn->replica_epoch,
            .session = f->session_id,
            .max_bytes = f->max_bytes,
            .n = g->n,
            .asked = g->asked,
            .partitions = g->partitions,
            .cold = g->cold,
            .slots = g->slots,
            .was_counted = g->was_counted};
}

static void gather(struct feed *f, struct gathered *g)
{
    struct fetch_feed_item *item;
    size_t n = 0;

    TAILQ_FOREACH (item, &f->session.dirty, entry) {
        n += n < LOOKED_AT_MAX;
    }
    *g = (struct gathered){.n = n,
            .items = mem_new_n(struct fetch_feed_item *, n + 1),
            .asked = mem_new_n(struct msg_fetch_partition, n + 1),
            .partitions = mem_new_n(struct partition *, n + 1),
            .cold = mem_new_n(uint8_t, n + 1),
            .slots = mem_new_n(uint32_t, n + 1),
            .was_counted = mem_new_n(bool, n + 1)};
    item = TAILQ_FIRST(&f->session.dirty);
    for (size_t i = 0; i < n; i++, item = TAILQ_NEXT(item, entry)) {
        const struct fed *fed = item->ctx;

        g->items[i] = item;
        g->asked[i] = (struct msg_fetch_partition){.topic_id = item->key.topic_id,
                .partition = item->key.number,
                .leader_epoch = item->asked.leader_epoch,
                .fetch_offset = item->asked.offset,
                .last_fetched_epoch = item->asked.last_epoch,
                .max_bytes = item->asked.max_bytes,
                .log_start = item->asked.log_start,
                .flushed = item->asked.flushed};
        g->partitions[i] = fed->partition;
        g->cold[i] = fed->cold;
        g->slots[i] = item->slot;
        g->was_counted[i] = !item->is_new;
    }
}

static void gathered_deinit(struct gathered *g)
{
    fetch_look_deinit(&g->look);
    (void)mem_free(g->items);
    (void)mem_free(g->asked);
    (void)mem_free(g->partitions);
    (void)mem_free(g->cold);
    (void)mem_free(g->slots);
    (void)mem_free(g->was_counted);
}

/* Whether partition `i` has something to say for which nobody would wait in vain. */
static bool has_word(const struct gathered *g, size_t i)
{
    const struct fetch_given *v = &g->look.items[i];

    return v->f.error != ERRCODE_NONE || v->f.diverging_epoch != EPOCH_NONE ||
           v->copied + v->f.slice.size > 0;
}

/* Something is there, and the answer was full before its turn came. */
static bool has_more(const struct gathered *g, size_t i)
{
    return g->asked[i].fetch_offset < g->look.items[i].f.limit;
}

/* [THR-4] Nobody waits for it: neither this answer nor who else is in the session. */
static void hold(struct feed *f, struct fed *fed)
{
    struct data_loop *dl = f->conn->dl;

    if (f->n_held == 0) {
        timer_set(&f->room_timer, throttles_hold(dl->broker->throttles, THROTTLES_OUT,
                                          loop_now(dl->loop)));
    }
    f->n_held += !fed->is_held;
    fed->is_held = true;
}

/* After a look: who has nothing to say is left an interest, who had no room in the answer keeps its place. */
static size_t settle(struct feed *f, struct gathered *g)
{
    size_t n_words = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct fetch_feed_item *item = g->items[i];
        struct fetch_given *v = &g->look.items[i];
        struct fed *fed = item->ctx;

        fed->partition = g->partitions[i];
        fed->cold = g->cold[i];
        item->is_new = false;
        if (has_word(g, i)) {
            n_words++;
            fetch_feed_clean(&f->session, item);
        } else if (v->f.is_cold) { /* the cold read wakes */
            fetch_feed_clean(&f->session, item);
        } else if (v->f.is_held) {
            fetch_feed_clean(&f->session, item);
            hold(f, fed);
        } else if (v->readable == 0 && !has_more(g, i)) {
            struct replica_ask ask = ask_of(f, item);

            fetch_feed_clean(&f->session, item);
            if (!item->is_waiting) {
                item->is_waiting = true;
                partition_wait(fed->partition, &ask, v->f.leader_epoch, v->f.limit, true);
            }
        } /* else [FET-5] */
    }
    return n_words;
}

/* [FET-1] What the follower does not know of partitions that have no records for it. */
static void give_news(struct feed *f, struct rpc_out *out)
{
    for (size_t i = 0; i < f->session.slots.n; i++) {
        struct fetch_feed_item *item = f->session.slots.items[i];
        const struct fed *fed = item != NULL ? item->ctx : NULL;

        if (fed == NULL || fed->partition == NULL || !item->is_waiting) {
            continue; /* what is dirty is about to be looked at */
        }
        offset64 hw = atomic_load(&fed->partition->high_watermark);
        offset64 start = atomic_load(&fed->partition->log_start);
        if (!fetch_feed_has_news(item, hw, start)) {
            continue;
        }
        wire_fetch_result_front(rpc_out_buf(out),
                &(struct msg_fetch_result){.topic_id = item->key.topic_id,
                        .partition = item->key.number,
                        .detail = "",
                        .high_watermark = hw,
                        .last_stable = hw,
                        .log_start = start,
                        .leader_epoch = item->asked.leader_epoch,
                        .diverging_epoch = EPOCH_NONE,
                        .diverging_end = OFFSET_NONE});
        fetch_feed_told(item, hw, start);
    }
}

static void answer(struct feed *f, struct gathered *g)
{
    const struct fetch_source s = source_of(f, g);
    struct rpc_out *out = rpc_out_new();
    uint64_t bytes = 0;

    for (size_t i = 0; i < g->n; i++) {
        const struct partition_fetched *got = &g->look.items[i].f;

        if (has_word(g, i)) {
            if (got->error == ERRCODE_NONE) {
                fetch_feed_told(g->items[i], got->high_watermark, got->log_start);
            }
            bytes += fetch_give(&s, i, &g->look, out);
        }
    }
    give_news(f, out);
    f->is_waiting = false;
    timer_cancel(&f->timer);
    metric_add(METRIC_BROKER_REPLICA_FETCHES, 1);
    metric_add(METRIC_BROKER_REPLICATION_BYTES_OUT, bytes);
    if (g->look.filled > 0) {
        throttles_took(f->conn->dl->broker->throttles, THROTTLES_OUT, g->look.filled,
                loop_now(f->conn->dl->loop));
    }
    rpc_answer(f->conn->c, &f->header, ERRCODE_NONE, "", out);
}

/* Looks at what is dirty; answers when somebody has something to say, or `must`. */
static void look(struct feed *f, bool must)
{
    while (f->is_waiting) {
        struct gathered g;

        gather(f, &g);
        const struct fetch_source s = source_of(f, &g);
        fetch_look_all(&s, &g.look);
        size_t n_words = settle(f, &g);
        bool is_through = g.n < LOOKED_AT_MAX;
        if (n_words > 0 || (must && is_through)) {
            answer(f, &g);
        }
        gathered_deinit(&g);
        if (is_through) {
            return;
        }
    }
}

static void on_room(void *ctx)
{
    struct feed *f = ctx;

    for (size_t i = 0; i < f->session.slots.n && f->n_held > 0; i++) {
        struct fetch_feed_item *item = f->session.slots.items[i];
        struct fed *fed = item != NULL ? item->ctx : NULL;

        if (fed != NULL && fed->is_held) {
            let_go(f, fed);
            fetch_feed_dirty(&f->session, item);
        }
    }
    look(f, false);
}

void feed_hurry(struct data_loop *dl)
{
    struct feed *next = NULL;

    for (struct feed *f = dl->feeds; f != NULL; f = next) {
        next = f->hh.next;
        timer_cancel(&f->room_timer);
        on_room(f);
    }
}

static void on_deadline(void *ctx)
{
    look(ctx, true);
}

/* --- Requests --------------------------------------------------------------------------------------------------------- */

static struct feed *feed_of(struct client_conn *conn)
{
    struct data_loop *dl = conn->dl;

    if (conn->feed == NULL) {
        struct feed *f = mem_new(struct feed);

        f->conn = conn;
        f->request = ++dl->next_request;
        fetch_feed_init(&f->session);
        timer_init(&f->timer, dl->loop, on_deadline, f);
        timer_init(&f->room_timer, dl->loop, on_room, f);
        HASH_ADD(hh, dl->feeds, request, sizeof(f->request), f);
        conn->feed = f;
    }
    return conn->feed;
}

struct feed *feed_free(struct feed *f)
{
    if (f == NULL) {
        return NULL;
    }
    forget_all(f);
    fetch_feed_deinit(&f->session);
    timer_deinit(&f->timer);
    timer_deinit(&f->room_timer);
    pulses_stop(&f->conn->dl->broker->pulses, f->conn->dl->index, f->request);
    HASH_DEL(f->conn->dl->feeds, f);
    return mem_free(f);
}

/* NULL, or what is wrong with it. */
static const char *refusal(const struct client_conn *conn, const struct msg_fetch_request *m)
{
    if (m->replica != conn->replica || m->broker_epoch != conn->replica_epoch) {
        return "the request is of another replica or incarnation than its connection's Hello";
    }
    return NULL;
}

static void take(struct feed *f, const struct msg_fetch_request *m, bool is_first)
{
    if (is_first) {
        forget_all(f);
    }
    for (size_t i = 0; i < m->n_forgotten; i++) {
        struct partition_key key = {
                .topic_id = m->forgotten[i].topic_id, .number = m->forgotten[i].partition};
        struct fetch_feed_item *item = fetch_feed_find(&f->session, &key);

        if (item != NULL) {
            forget(f, item);
        }
    }
    for (size_t i = 0; i < m->n_partitions; i++) {
        name(f, &m->partitions[i]);
    }
}

static void begin(struct client_conn *conn, struct rpc_request *r, const struct msg_fetch_request *m)
{
    const char *wrong = refusal(conn, m);
    struct feed *f;
    bool is_first;

    if (wrong != NULL) {
        answer_error(conn, r, ERRCODE_INVALID_REQUEST, wrong);
        return;
    }
    f = feed_of(conn);
    if (f->is_waiting) { /* [FET-3] */
        look(f, true);
    }
    if (!fetch_feed_begin(&f->session, m->session_epoch, &is_first)) { /* [FET-2] */
        answer_error(conn, r, ERRCODE_INVALID_FETCH_SESSION_EPOCH,
                "another request of this session was expected; begin a new one with epoch 1");
        return;
    }
    f->session_id = m->session_id;
    take(f, m, is_first);
    struct replica_session pulse = {.loop = conn->dl->index,
            .request = f->request,
            .replica = conn->replica,
            .broker_epoch = conn->replica_epoch,
            .heard_at = r->received};
    pulses_beat(&conn->dl->broker->pulses, &pulse);
    f->is_waiting = true;
    f->header = r->header;
    f->header.detail = "";
    f->max_bytes = m->max_bytes;
    timer_set(&f->timer, wtime_add(r->received, WTIME_MS((wtime)m->max_wait_ms)));
    (void)rpc_request_free(r);
    look(f, m->max_wait_ms == 0);
}

void feed_request(struct client_conn *conn, struct rpc_request *r)
{
    struct msg_fetch_request m;
    struct arena arena;
    int e;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_fetch_request(r->body, &arena, &m);
    if (e != 0) {
        answer_error(conn, r, errcode_of_wire(e).error, errcode_of_wire(e).detail);
    } else {
        begin(conn, r, &m);
    }
    arena_deinit(&arena);
}

void feed_wake(struct data_loop *dl, const struct partition_wake *w)
{
    struct fetch_feed_item *item;
    struct feed *f = NULL;
    struct fed *fed;

    HASH_FIND(hh, dl->feeds, &w->ask.request, sizeof(w->ask.request), f);
    item = f != NULL ? fetch_feed_at(&f->session, w->ask.part) : NULL;
    fed = item != NULL ? item->ctx : NULL;
    if (fed == NULL) {
        return; /* forgotten meanwhile */
    }
    if (w->is_warm) {
        fed->cold = w->error == ERRCODE_NONE ? FETCH_COLD_READ : FETCH_COLD_REFUSED;
    } else {
        item->is_waiting = false;
    }
    fetch_feed_dirty(&f->session, item);
    look(f, false);
}

void feed_end(struct feed *f)
{
    look(f, true);
}
