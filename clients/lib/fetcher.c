/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/consumer.h"
#include "clients/lib/link.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

/* The internal thread's side of consuming: fetches and look-ups of positions. */

enum {
    PARTS_PER_REQUEST = 1000,
    /* One long poll, and a second request for partitions that are not in it: those that were sought
     * or handed out while it waits. */
    FETCHES_PER_BROKER = 2,
};

/* One partition in a request. */
struct asked {
    struct weir_topic *topic;
    struct uuid topic_id;
    int32_t partition;
    uint64_t version;
    epoch32 leader_epoch;
    epoch32 last_epoch; /* fetches: */
    offset64 from;
};

struct fetch_ask {
    TAILQ_ENTRY(fetch_ask) entry;
    struct weir_client *client;
    struct link *link;
    struct weir_consumer *consumer; /* NULL: freed meanwhile */
    broker_id broker;
    bool is_fetch;
    size_t n;
    struct asked asked[];
};

static struct cpart *cpart_of(struct fetch_part *p)
{
    return container_of(p, struct cpart, core);
}

void fetcher_forget(struct weir_consumer *k)
{
    struct fetch_ask *a = NULL;

    TAILQ_FOREACH(a, &k->asks, entry)
    {
        a->consumer = NULL;
    }
}

/* The partition that was asked for, if it was not moved since. Under the lock. */
static struct cpart *part_of(const struct fetch_ask *a, const struct asked *q)
{
    struct cpart *p = consumer_part(a->consumer, q->topic, q->partition);

    return p != NULL && p->core.version == q->version && p->core.n_asked > 0 ? p : NULL;
}

/* Under the lock. */
static void ask_ended(struct fetch_ask *a)
{
    if (a->consumer != NULL) {
        TAILQ_REMOVE(&a->consumer->asks, a, entry);
    }
}

static void failed(struct fetch_ask *a, const struct asked *q, int code, const char *detail)
{
    struct weir_client *c = a->client;
    struct cpart *p = part_of(a, q);

    if (p == NULL) {
        return;
    }
    /* What is not an answer of a broker, but a request that got none, is tried again like a broken
     * connection. */
    int as = code == WEIR_E_CORRUPT ? ERRCODE_NETWORK_EXCEPTION : code;
    if (as == ERRCODE_OFFSET_OUT_OF_RANGE && fetch_plan_agreed(&p->core)) {
        consumer_parted(a->consumer, p); /* the cut lies below what the log still has */
        if (p->core.is_resting) {
            return;
        }
    }
    switch (fetch_plan_failed(&a->consumer->plan, &p->core, as, loop_now(c->loop))) {
    case FETCH_RETRY: mv_refresh_want(&c->refresh); break;
    case FETCH_MOVED: break; /* what came before is still handed out */
    case FETCH_REST: consumer_fail(a->consumer, p, code, detail, OFFSET_NONE); break;
    }
}

static void all_failed(struct fetch_ask *a, int code)
{
    struct weir_client *c = a->client;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; a->consumer != NULL && i < a->n; i++) {
        failed(a, &a->asked[i], code, NULL);
    }
    pthread_mutex_unlock(&c->lock);
}

/* --- Fetches ---------------------------------------------------------------------------------- */

/* What an answer holds of one partition, measured before the lock is taken. */
struct measured {
    const struct msg_fetch_result *result; /* NULL: not in the answer */
    const uint8_t *at;
    size_t size;
    offset64 next;
    struct fetch_epochs epochs;
};

static struct measured measure(
        const struct msg_fetch_response *m, const struct asked *q, size_t hint)
{
    struct measured out = {0};

    for (size_t i = 0; i < m->n_partitions && out.result == NULL; i++) {
        const struct msg_fetch_result *r = &m->partitions[(hint + i) % m->n_partitions];
        if (r->partition == q->partition && uuid_equal(&r->topic_id, &q->topic_id)) {
            out.result = r;
        }
    }
    if (out.result != NULL && out.result->error == ERRCODE_NONE) {
        size_t skip = 0;
        out.size = batches_measure(out.result->records, q->from, &skip, &out.next, &out.epochs);
        out.at = out.size > 0 ? out.result->records.at + skip : NULL;
    }
    return out;
}

/* Under the lock. */
static void take_divergence(struct fetch_ask *a,
        const struct asked *q,
        struct cpart *p,
        const struct msg_fetch_result *r)
{
    if (fetch_plan_diverged(&p->core, r->diverging_epoch, r->diverging_end, p->position)) {
        consumer_drop_records(a->consumer, p);
    } else {
        failed(a, q, WEIR_E_CORRUPT, NULL);
    }
}

/* Under the lock. */
static void take_fetched(struct fetch_ask *a,
        const struct asked *q,
        const struct measured *m,
        struct frame_ref *frame)
{
    struct cpart *p = part_of(a, q);
    const struct msg_fetch_result *r = m->result;

    if (p == NULL) {
        return;
    }
    if (r == NULL ||
            r->error != ERRCODE_NONE) { /* incremental answers leave out what has no news */
        if (r != NULL) {
            failed(a, q, r->error, r->detail);
        } else {
            fetch_plan_fetched(&a->consumer->plan, &p->core, 0, 0, NULL, p->core.high_watermark);
        }
        return;
    }
    if (r->diverging_epoch != EPOCH_NONE) {
        take_divergence(a, q, p, r);
        return;
    }
    if (fetch_plan_agreed(&p->core)) {
        consumer_parted(a->consumer, p);
        if (p->core.is_resting) {
            return;
        }
    }
    if (m->size == 0 && r->records.size > 0) {
        fetch_plan_fetched(&a->consumer->plan, &p->core, 0, 0, NULL, r->high_watermark);
        consumer_fail(
                a->consumer, p, WEIR_E_CORRUPT, "the broker sent no readable batch", OFFSET_NONE);
        return;
    }
    fetch_plan_fetched(
            &a->consumer->plan, &p->core, m->size, m->next, &m->epochs, r->high_watermark);
    if (m->size == 0) {
        return;
    }
    struct fetched *f = mem_new(struct fetched);
    *f = (struct fetched){.part = p,
            .frame = frame_ref_get(frame),
            .at = m->at,
            .left = m->size,
            .from = q->from,
            .high_watermark = r->high_watermark,
            .end = OFFSET_NONE};
    consumer_enqueue(a->consumer, f);
}

static void take_answer(struct fetch_ask *a, struct rpc_reply *reply)
{
    struct weir_client *c = a->client;
    struct msg_fetch_response m;
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (wire_decode_fetch_response(reply->body, &arena, &m) != 0) {
        arena_deinit(&arena);
        all_failed(a, WEIR_E_CORRUPT);
        link_broken(a->link, "the answer to Fetch cannot be read");
        return;
    }
    struct measured *all = mem_new_n(struct measured, a->n);
    for (size_t i = 0; i < a->n; i++) {
        all[i] = measure(&m, &a->asked[i], i);
    }
    struct frame_ref *frame = frame_ref_new(rpc_reply_take(reply));
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; a->consumer != NULL && i < a->n; i++) {
        take_fetched(a, &a->asked[i], &all[i], frame);
    }
    pthread_mutex_unlock(&c->lock);
    frame_ref_put(frame);
    mem_free(all);
    arena_deinit(&arena);
}

/* --- Look-ups --------------------------------------------------------------------------------- */

/* Under the lock. */
static void take_found(
        struct fetch_ask *a, const struct asked *q, const struct msg_list_offsets_result *r)
{
    struct cpart *p = part_of(a, q);

    if (p == NULL) {
        return;
    }
    if (r == NULL || r->partition != q->partition) {
        failed(a, q, WEIR_E_CORRUPT, NULL);
    } else if (r->error != ERRCODE_NONE) {
        failed(a, q, r->error, r->detail);
    } else if (r->offset >= 0) {
        fetch_plan_found(&p->core, r->offset);
        if (p->core.queued == 0) { /* else what came before a reset is handed out first */
            p->position = r->offset;
        }
    } else if (p->core.seek == FETCH_SEEK_TIME) { /* no record is that new: the end */
        p->core.n_asked = 0;
        p->core.seek = FETCH_SEEK_END;
    } else {
        failed(a, q, WEIR_E_CORRUPT, NULL);
    }
}

static void take_positions(struct fetch_ask *a, const struct rpc_reply *reply)
{
    struct weir_client *c = a->client;
    struct msg_list_offsets_response m = {0};
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    bool is_read = wire_decode_list_offsets_response(reply->body, &arena, &m) == 0;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; a->consumer != NULL && i < a->n; i++) {
        take_found(a, &a->asked[i], is_read && i < m.n_partitions ? &m.partitions[i] : NULL);
    }
    pthread_mutex_unlock(&c->lock);
    arena_deinit(&arena);
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct fetch_ask *a = ctx;
    struct weir_client *c = a->client;

    link_answered(a->link, reply);
    if (reply->error != ERRCODE_NONE) {
        all_failed(a, reply->error);
    } else if (a->is_fetch) {
        take_answer(a, reply);
    } else {
        take_positions(a, reply);
    }
    pthread_mutex_lock(&c->lock);
    ask_ended(a);
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
    mem_free(a);
}

/* --- Requests --------------------------------------------------------------------------------- */

/* Under the lock. */
static struct fetch_ask *ask_new(
        struct weir_consumer *k, struct link *l, bool is_fetch, struct fetch_part **parts, size_t n)
{
    struct fetch_ask *a = mem_alloc(sizeof(*a) + n * sizeof(struct asked));

    a->client = k->client;
    a->link = l;
    a->consumer = k;
    a->broker = l->id;
    a->is_fetch = is_fetch;
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        const struct cpart *p = cpart_of(parts[i]);
        a->asked[i] = (struct asked){.topic = p->topic,
                .topic_id = p->topic->view.id,
                .partition = p->partition,
                .version = p->core.version,
                .leader_epoch = p->core.leader_epoch,
                .last_epoch = fetch_plan_last_epoch(&p->core),
                .from = p->core.offset};
    }
    TAILQ_INSERT_TAIL(&k->asks, a, entry);
    return a;
}

static void send_fetch(struct weir_consumer *k,
        struct link *l,
        struct fetch_part **parts,
        size_t n,
        size_t max_bytes)
{
    const struct settings *s = &k->client->settings;
    struct fetch_ask *a = ask_new(k, l, true, parts, n);
    struct rpc_out *out = rpc_out_new();
    struct msg_fetch_partition *p = mem_new_n(struct msg_fetch_partition, n);

    for (size_t i = 0; i < n; i++) {
        p[i] = (struct msg_fetch_partition){.topic_id = a->asked[i].topic_id,
                .partition = a->asked[i].partition,
                .leader_epoch = a->asked[i].leader_epoch, /* [FET-30] */
                .fetch_offset = a->asked[i].from,
                .last_fetched_epoch = a->asked[i].last_epoch,
                .max_bytes = s->partition_fetch_bytes,
                .log_start = OFFSET_NONE,
                .flushed = OFFSET_NONE};
    }
    struct msg_fetch_request m = {.max_wait_ms = s->fetch_max_wait_ms,
            .min_bytes = s->fetch_min_bytes,
            .max_bytes = (uint32_t)max_bytes,
            .replica = BROKER_NONE,
            .broker_epoch = BROKER_EPOCH_NONE,
            .partitions = p,
            .n_partitions = n};
    wire_encode_fetch_request(&m, rpc_out_buf(out));
    mem_free(p);
    uint64_t timeout = (uint64_t)s->fetch_max_wait_ms + s->request_timeout_ms;
    link_call(l, API_FETCH, timeout < INT32_MAX ? (uint32_t)timeout : INT32_MAX, out, on_answer, a);
}

static void send_lookup(
        struct weir_consumer *k, struct link *l, struct fetch_part **parts, size_t n)
{
    struct fetch_ask *a = ask_new(k, l, false, parts, n);
    struct rpc_out *out = rpc_out_new();
    struct msg_list_offsets_partition *p = mem_new_n(struct msg_list_offsets_partition, n);

    for (size_t i = 0; i < n; i++) {
        int64_t at = parts[i]->seek_time;
        switch (parts[i]->seek) {
        case FETCH_SEEK_START: at = LIST_EARLIEST; break;
        case FETCH_SEEK_END: at = LIST_LATEST; break;
        case FETCH_SEEK_TIME:
        case FETCH_SEEK_NONE: break;
        }
        p[i] = (struct msg_list_offsets_partition){.topic_id = a->asked[i].topic_id,
                .partition = a->asked[i].partition,
                .leader_epoch = a->asked[i].leader_epoch,
                .timestamp = at};
    }
    struct msg_list_offsets_request m = {.partitions = p, .n_partitions = n};
    wire_encode_list_offsets_request(&m, rpc_out_buf(out));
    mem_free(p);
    link_call(l, API_LIST_OFFSETS, k->client->settings.request_timeout_ms, out, on_answer, a);
}

static unsigned n_fetches_out(const struct weir_consumer *k, broker_id broker)
{
    const struct fetch_ask *a = NULL;
    unsigned n = 0;

    TAILQ_FOREACH(a, &k->asks, entry)
    {
        n += a->is_fetch && a->broker == broker;
    }
    return n;
}

static void work_on(struct weir_consumer *k, struct link *l, wtime now)
{
    struct fetch_part *parts[PARTS_PER_REQUEST];
    size_t max_bytes = 0;
    size_t n = fetch_plan_lookups(&k->plan, l->id, now, parts, PARTS_PER_REQUEST);

    if (n > 0) {
        send_lookup(k, l, parts, n);
    }
    if (n_fetches_out(k, l->id) >= FETCHES_PER_BROKER) {
        return;
    }
    n = fetch_plan_fetches(&k->plan, l->id, now, parts, PARTS_PER_REQUEST, &max_bytes);
    if (n > 0) {
        send_fetch(k, l, parts, n, max_bytes);
    }
}

/* Partitions that will not come into being. Under the lock. */
static void check_missing(struct weir_consumer *k, wtime now)
{
    struct fetch_part *core = NULL;

    TAILQ_FOREACH(core, &k->plan.parts, entry)
    {
        struct cpart *p = cpart_of(core);
        if (core->is_resting) {
            continue;
        }
        if (topic_is_hopeless(p->topic, now)) {
            consumer_fail(k, p, p->topic->view.error, NULL, OFFSET_NONE);
        } else if (p->missing_since > 0 &&
                   now >= wtime_add(p->missing_since, k->client->settings.topic_propagation)) {
            consumer_fail(k, p, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                    "the topic has no such partition", OFFSET_NONE);
        }
    }
}

void fetcher_work(struct weir_client *c, wtime now)
{
    struct weir_consumer *k = NULL;
    struct link *l = NULL;

    /* Calls only queue here, so the lock may be held. */
    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        check_missing(k, now);
        TAILQ_FOREACH(l, &c->links, entry)
        {
            if (l->id != BROKER_NONE && l->state == LINK_UP && now >= l->throttled_until) {
                work_on(k, l, now);
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void fetcher_topic_changed(struct weir_topic *t, wtime now)
{
    struct weir_consumer *k = NULL;
    struct fetch_part *core = NULL;

    TAILQ_FOREACH(k, &t->client->consumers, entry)
    {
        TAILQ_FOREACH(core, &k->plan.parts, entry)
        {
            struct cpart *p = cpart_of(core);
            if (p->topic != t) {
                continue;
            }
            core->leader = topic_leader(t, p->partition);
            core->leader_epoch = topic_leader_epoch(t, p->partition);
            bool is_missing =
                    t->view.state == MV_TOPIC_KNOWN && p->partition >= t->view.n_partitions;
            if (!is_missing) {
                p->missing_since = 0;
            } else if (p->missing_since == 0) {
                p->missing_since = now;
            }
        }
    }
}

bool fetcher_needs(const struct weir_client *c, broker_id id)
{
    const struct weir_consumer *k = NULL;
    const struct fetch_part *p = NULL;

    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        TAILQ_FOREACH(p, &k->plan.parts, entry)
        {
            if (p->leader == id && !p->is_resting &&
                    (!p->is_paused || p->seek != FETCH_SEEK_NONE)) {
                return true;
            }
        }
    }
    return false;
}

bool fetcher_lacks_leader(const struct weir_client *c)
{
    const struct weir_consumer *k = NULL;

    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        if (fetch_plan_lacks_leader(&k->plan)) {
            return true;
        }
    }
    return false;
}

wtime fetcher_deadline(const struct weir_client *c, wtime now)
{
    const struct weir_consumer *k = NULL;
    wtime deadline = WTIME_NEVER;

    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        deadline = wtime_min(deadline, fetch_plan_deadline(&k->plan, now));
    }
    return deadline;
}
