/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/link.h"
#include "clients/lib/producer.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <string.h>

/* The internal thread's side of producing. */

enum {
    BATCHES_PER_REQUEST = 256
};

/* One produce request that is out. */
struct shipment {
    struct weir_client *client;
    struct link *link;
    size_t n;
    struct pbatch *batches[];
};

static struct pbatch *pbatch_of(struct acc_batch *b)
{
    return container_of(b, struct pbatch, acc);
}

/* --- Ends ------------------------------------------------------------------------------------- */

/* The outcome holds; the report waits until no connection borrows the bytes any more. */
static void settle(struct weir_client *c, struct pbatch *b)
{
    b->is_settled = true;
    if (b->n_lent == 0) {
        report_batch(c, b);
    }
}

static void settle_failed(struct weir_client *c, struct pbatch *b, int code)
{
    b->outcome = acc_outcome(&b->acc);
    b->code = b->acc.last_code != 0 ? b->acc.last_code : code;
    settle(c, b);
}

/* What is queued goes on under another epoch. */
static void note_break(struct weir_client *c, const struct pbatch *b, bool is_break)
{
    if (is_break) {
        client_log(c, WEIR_LOG_WARN,
                "%s-%d: a batch under a number of this producer was not acknowledged (%s): a new "
                "epoch begins when what was sent with it is settled",
                b->topic->name, b->partition,
                b->acc.last_code != 0 ? weir_code_name(b->acc.last_code) : "no answer in time");
    }
}

/* Every end of a piece that was lent to a connection: sent, or given up. */
static void on_returned(void *ctx)
{
    struct pbatch *b = ctx;
    struct weir_client *c = b->topic->client;

    must(b->n_lent > 0);
    if (--b->n_lent > 0) {
        return;
    }
    if (b->is_settled) {
        report_batch(c, b);
    } else if (c->settings.acks == 0) {
        TAILQ_INSERT_TAIL(
                &c->left, b, entry); /* whether it was sent or given up shows a moment later */
        client_kick_unlocked(c);
    }
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void finish(struct weir_client *c,
        struct pbatch *b,
        const struct try_result *try,
        const struct msg_produce_result *result)
{
    pthread_mutex_lock(&c->lock);
    uint64_t n_breaks = c->acc.n_breaks;
    enum acc_verdict verdict = acc_finish(&c->acc, &b->acc, try, loop_now(c->loop));
    bool is_break = c->acc.n_breaks != n_breaks;
    if (try->code != ERRCODE_NONE && (try->end != TRY_ANSWERED || code_wants_metadata(try->code))) {
        mv_refresh_want(&c->refresh);
    }
    pthread_mutex_unlock(&c->lock);
    note_break(c, b, is_break);
    b->detail = mem_free(b->detail);
    switch (verdict) {
    case ACC_DELIVERED:
        b->outcome = OUTCOME_PERSISTED;
        b->base_offset = try->base_offset;
        b->append_time = result != NULL ? result->log_append_time : -1;
        b->is_on_disk = result != NULL && result->durability == DURABILITY_FSYNC;
        settle(c, b);
        break;
    case ACC_FAILED:
    case ACC_RETRY:
        if (result != NULL && result->detail[0] != '\0') {
            b->detail = mem_strdup(result->detail);
        }
        if (verdict == ACC_FAILED) {
            settle_failed(c, b, try->code);
        }
        break;
    }
}

static const struct msg_produce_result *result_of(
        const struct msg_produce_response *m, const struct pbatch *b, size_t hint)
{
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_produce_result *r = &m->partitions[(hint + i) % m->n_partitions];
        if (r->partition == b->partition && uuid_equal(&r->topic_id, &b->sent_to)) {
            return r;
        }
    }
    return NULL;
}

static void finish_answered(struct shipment *s, const struct msg_produce_response *m)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct msg_produce_result *r = result_of(m, s->batches[i], i);
        struct try_result try = {
                .end = TRY_LOST, .code = WEIR_E_CORRUPT, .base_offset = OFFSET_NONE};
        if (r != NULL) {
            try = (struct try_result){
                    .end = TRY_ANSWERED, .code = r->error, .base_offset = r->base_offset};
        }
        finish(s->client, s->batches[i], &try, r);
    }
}

static void finish_all(struct shipment *s, const struct try_result *try)
{
    for (size_t i = 0; i < s->n; i++) {
        finish(s->client, s->batches[i], try, NULL);
    }
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct shipment *s = ctx;
    struct weir_client *c = s->client;
    struct link *l = s->link;
    struct arena arena;
    struct msg_produce_response m;
    struct try_result try = {.end = TRY_ANSWERED, .code = reply->error, .base_offset = OFFSET_NONE};
    bool is_unreadable = false;

    must(l->n_produce > 0);
    l->n_produce--;
    link_answered(l, reply);
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (reply->error != ERRCODE_NONE) {
        if (reply->frame == NULL) {
            try.end = reply->sent ? TRY_LOST : TRY_NEVER_SENT;
        }
        finish_all(s, &try);
    } else if (wire_decode_produce_response(reply->body, &arena, &m) == 0) {
        finish_answered(s, &m);
    } else {
        is_unreadable = true;
        try = (struct try_result){
                .end = TRY_LOST, .code = WEIR_E_CORRUPT, .base_offset = OFFSET_NONE};
        finish_all(s, &try);
    }
    arena_deinit(&arena);
    mem_free(s);
    client_kick_unlocked(c);
    if (is_unreadable) {
        link_broken(l, "the answer to Produce cannot be read");
    }
}

/* acks=0: those whose connection still lives were sent. */
static void settle_left(struct weir_client *c)
{
    struct pbatch *b = NULL;

    while ((b = TAILQ_FIRST(&c->left)) != NULL) {
        struct link *l = NULL;
        bool is_alive = false;
        TAILQ_REMOVE(&c->left, b, entry);
        TAILQ_FOREACH(l, &c->links, entry)
        {
            if (l->conn != NULL && rpc_conn_id(l->conn) == b->conn_id) {
                is_alive = true;
                must(l->n_produce > 0);
                l->n_produce--;
            }
        }
        struct try_result try = {.end = is_alive ? TRY_ANSWERED : TRY_LOST,
                .code = is_alive ? ERRCODE_NONE : ERRCODE_NETWORK_EXCEPTION,
                .base_offset = OFFSET_NONE};
        finish(c, b, &try, NULL);
    }
}

/* --- Requests --------------------------------------------------------------------------------- */

/* request.timeout.ms, or what is left of delivery.timeout.ms. */
static uint32_t timeout_of(const struct shipment *s, wtime now)
{
    wtime left = WTIME_MS(1);

    for (size_t i = 0; i < s->n; i++) {
        wtime batch_left = s->batches[i]->acc.deadline - now;
        left = batch_left > left ? batch_left : left;
    }
    wtime timeout = wtime_min(left, WTIME_MS(s->client->settings.request_timeout_ms));
    return (uint32_t)((timeout + 999) / 1000);
}

/* Encodes what was not before; batches that cannot be are settled. Returns how many remain. */
static size_t encode(struct weir_client *c, struct pbatch **batches, size_t n)
{
    size_t n_left = 0;

    for (size_t i = 0; i < n; i++) {
        struct pbatch *b = batches[i];
        if (!b->is_finished && pbatch_finish(b, c->settings.codec) != WEIR_OK) {
            struct try_result try = {
                    .end = TRY_ANSWERED, .code = WEIR_E_MEMORY, .base_offset = OFFSET_NONE};
            finish(c, b, &try, NULL);
            continue;
        }
        batches[n_left++] = b;
    }
    return n_left;
}

static void ship(
        struct weir_client *c, struct link *l, struct pbatch **batches, size_t n, wtime now)
{
    struct shipment *s = mem_alloc(sizeof(*s) + n * sizeof(struct pbatch *));
    struct rpc_out *out = rpc_out_new();

    s->client = c;
    s->link = l;
    s->n = n;
    memcpy(s->batches, batches, n * sizeof(struct pbatch *));
    wire_produce_front(rpc_out_buf(out), c->settings.acks);
    for (size_t i = 0; i < n; i++) {
        struct pbatch *b = batches[i];
        b->conn_id = rpc_conn_id(l->conn);
        wire_produce_partition_front(
                rpc_out_buf(out), &b->sent_to, b->partition, pbatch_wire_size(b));
        pbatch_lend(b, out, on_returned);
    }
    if (c->settings.acks == 0) {
        l->n_produce += (uint32_t)n; /* counts batches: their ends come one by one */
        link_call(l, API_PRODUCE, 0, out, NULL, NULL);
        mem_free(s);
        return;
    }
    l->n_produce++;
    link_call(l, API_PRODUCE, timeout_of(s, now), out, on_answer, s);
}

static void send_to(struct weir_client *c, struct link *l, wtime now)
{
    struct acc_batch *taken[BATCHES_PER_REQUEST];
    struct pbatch *batches[BATCHES_PER_REQUEST];

    while (l->n_produce < c->settings.max_in_flight && l->state == LINK_UP &&
            now >= l->throttled_until) {
        pthread_mutex_lock(&c->lock);
        (void)acc_sift(&c->acc, now);
        size_t n = acc_take(&c->acc, l->id, taken, BATCHES_PER_REQUEST);
        for (size_t i = 0; i < n; i++) {
            batches[i] = pbatch_of(taken[i]);
            batches[i]->sent_to = batches[i]->topic->view.id;
        }
        pthread_mutex_unlock(&c->lock);
        if (n == 0) {
            return;
        }
        n = encode(c, batches, n);
        if (n > 0) {
            ship(c, l, batches, n, now);
        }
    }
}

static void expire(struct weir_client *c, wtime now)
{
    struct acc_batch *b = NULL;

    for (;;) {
        pthread_mutex_lock(&c->lock);
        uint64_t n_breaks = c->acc.n_breaks;
        b = acc_expire(&c->acc, now);
        bool is_break = c->acc.n_breaks != n_breaks;
        pthread_mutex_unlock(&c->lock);
        if (b == NULL) {
            return;
        }
        note_break(c, pbatch_of(b), is_break);
        settle_failed(c, pbatch_of(b), WEIR_E_TIMED_OUT);
    }
}

static void report_all(struct weir_client *c, struct pbatches *done)
{
    struct pbatch *b = NULL;

    while ((b = TAILQ_FIRST(done)) != NULL) {
        TAILQ_REMOVE(done, b, entry);
        report_batch(c, b);
    }
}

/* Ends all that is not in flight. */
static void drop_all(struct weir_client *c, int code, bool is_fatal)
{
    struct acc_batch *b = NULL;

    do {
        pthread_mutex_lock(&c->lock);
        b = acc_drop_any(&c->acc);
        pthread_mutex_unlock(&c->lock);
        if (b != NULL) {
            pbatch_of(b)->is_fatal = is_fatal;
            settle_failed(c, pbatch_of(b), code);
        }
    } while (b != NULL);
}

void sender_work(struct weir_client *c, wtime now)
{
    struct pbatches done;
    struct link *l = NULL;

    TAILQ_INIT(&done);
    settle_left(c);
    pthread_mutex_lock(&c->lock);
    int fatal = c->fatal_code;
    for (size_t i = 0; i < c->topic_list.n; i++) {
        if (fatal != 0) {
            staged_fail(c->topic_list.items[i], fatal, &done);
        } else {
            staged_work(c->topic_list.items[i], now, &done);
        }
    }
    (void)acc_sift(&c->acc, now);
    pthread_mutex_unlock(&c->lock);
    report_all(c, &done);
    if (fatal != 0) {
        drop_all(c, fatal, true);
    }
    expire(c, now);
    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->id != BROKER_NONE && !l->is_removed) {
            send_to(c, l, now);
        }
    }
}

void sender_stop(struct weir_client *c)
{
    struct pbatches done;

    TAILQ_INIT(&done);
    settle_left(c);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->topic_list.n; i++) {
        staged_fail(c->topic_list.items[i], WEIR_E_CLOSED, &done);
    }
    pthread_mutex_unlock(&c->lock);
    report_all(c, &done);
    drop_all(c, WEIR_E_CLOSED, false);
}

/* --- Staged records --------------------------------------------------------------------------- */

static void fail_one(struct weir_topic *t, struct staged *s, int code, struct pbatches *done)
{
    struct pbatch *b = TAILQ_LAST(done, pbatches);

    if (b == NULL || b->topic != t || b->code != code) {
        b = pbatch_new(t->client);
        b->topic = t;
        b->partition = -1;
        b->outcome = OUTCOME_NOT_PERSISTED;
        b->code = code;
        b->is_fatal = code == t->client->fatal_code;
        TAILQ_INSERT_TAIL(done, b, entry);
    }
    b->charged += s->charged;
    pbatch_add_note(b, &s->record, s->timestamp, s->wait);
    mem_free(s);
}

void staged_fail(struct weir_topic *t, int code, struct pbatches *done)
{
    struct staged *s = NULL;

    while ((s = STAILQ_FIRST(&t->staged)) != NULL) {
        STAILQ_REMOVE_HEAD(&t->staged, entry);
        fail_one(t, s, code, done);
    }
}

/* A topic that is known: each record goes its way, in order. */
static void unstage(struct weir_topic *t, struct pbatches *done)
{
    struct staged *s = NULL;

    while ((s = STAILQ_FIRST(&t->staged)) != NULL) {
        STAILQ_REMOVE_HEAD(&t->staged, entry);
        int32_t partition = produce_choose(t, &s->record);
        if (partition < 0) {
            fail_one(t, s, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION, done);
            continue;
        }
        produce_to(t, partition, &s->record, s->timestamp, s->wait, s->charged);
        mem_free(s);
    }
}

void staged_work(struct weir_topic *t, wtime now, struct pbatches *done)
{
    struct staged *s = NULL;

    if (t->n_partitions > 0) {
        unstage(t, done);
        return;
    }
    if (topic_is_hopeless(t, now)) {
        staged_fail(t, t->view.error, done);
        return;
    }
    while ((s = STAILQ_FIRST(&t->staged)) != NULL && wtime_due(s->deadline, now)) {
        STAILQ_REMOVE_HEAD(&t->staged, entry);
        fail_one(t, s, t->view.state == MV_TOPIC_REFUSED ? t->view.error : WEIR_E_TIMED_OUT, done);
    }
}

wtime staged_deadline(const struct weir_client *c)
{
    wtime deadline = WTIME_NEVER;

    for (size_t i = 0; i < c->topic_list.n; i++) {
        const struct weir_topic *t = c->topic_list.items[i];
        if (STAILQ_EMPTY(&t->staged)) {
            continue;
        }
        deadline = wtime_min(deadline, STAILQ_FIRST(&t->staged)->deadline);
        if (t->view.state == MV_TOPIC_REFUSED) {
            deadline = wtime_min(
                    deadline, wtime_add(t->view.refused_since, c->settings.topic_propagation));
        }
    }
    return deadline;
}
