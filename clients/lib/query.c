/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/link.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"

#include <stdio.h>
#include <string.h>

/* Questions that an application thread waits for: weir_metadata_get(), weir_offsets_get().
 *
 * A query lies on the stack of the call; the internal thread ends it, at its deadline at the
 * latest. A request that is still out then loses its query. */

enum {
    ITEMS_PER_REQUEST = 1000,
    TRY_TIMEOUT_MS = 5000, /* one broker; then another is asked */
};

struct item {
    struct weir_topic *topic;
    bool is_asked, is_done;
    wtime not_before;
};

struct query {
    TAILQ_ENTRY(query) entry;
    struct asks *asks; /* requests that are out */
    wtime deadline;
    wtime wake; /* when the internal thread should look again */
    bool is_done;
    struct weir_error error; /* code 0 = good */
    /* Metadata. */
    const char *const *names;
    size_t n_names;
    bool is_asked;
    struct weir_metadata *metadata;
    /* Offsets; `queries` is NULL for metadata. */
    struct weir_offset_query *queries;
    struct item *items;
    size_t n;
};

TAILQ_HEAD(asks, ask);

struct ask {
    TAILQ_ENTRY(ask) entry;
    struct weir_client *client;
    struct link *link;
    struct query *query; /* NULL: ended meanwhile */
    size_t n;
    size_t items[]; /* indices */
};

/* --- The end of a query ----------------------------------------------------------------------- */

/* Under the lock. */
static void end_query(struct weir_client *c, struct query *q)
{
    struct ask *a = NULL;

    TAILQ_FOREACH(a, q->asks, entry)
    {
        a->query = NULL;
    }
    TAILQ_REMOVE(&c->queries, q, entry);
    q->is_done = true;
    pthread_cond_broadcast(&c->changed);
}

/* Hands the query to the internal thread and waits. */
static void run_query(struct weir_client *c, struct query *q, int timeout_ms)
{
    struct asks asks;

    TAILQ_INIT(&asks);
    q->asks = &asks;
    q->deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&c->lock);
    if (c->is_closing) {
        (void)error_set(&q->error, WEIR_E_CLOSED, NULL);
        q->is_done = true;
    } else {
        for (size_t i = 0; i < q->n; i++) {
            q->items[i].topic = topic_find(c, q->queries[i].topic);
        }
        TAILQ_INSERT_TAIL(&c->queries, q, entry);
        client_kick(c);
    }
    while (!q->is_done) {
        (void)client_wait(c, WTIME_NEVER);
    }
    pthread_mutex_unlock(&c->lock);
}

static struct ask *ask_new(struct weir_client *c, struct link *l, struct query *q, size_t n)
{
    struct ask *a = mem_alloc(sizeof(*a) + n * sizeof(size_t));

    a->client = c;
    a->link = l;
    a->query = q;
    TAILQ_INSERT_TAIL(q->asks, a, entry);
    return a;
}

/* Takes the query out of an ask that was answered; NULL = it ended before. Under the lock. */
static struct query *query_of(struct ask *a)
{
    struct query *q = a->query;

    if (q != NULL) {
        TAILQ_REMOVE(q->asks, a, entry);
    }
    return q;
}

static uint32_t try_timeout(const struct weir_client *c, const struct query *q, wtime now)
{
    wtime left = q->deadline == WTIME_NEVER ? WTIME_MS(TRY_TIMEOUT_MS) : q->deadline - now;

    left = wtime_min(left, WTIME_MS(TRY_TIMEOUT_MS));
    left = wtime_min(left, WTIME_MS(c->settings.request_timeout_ms));
    return left > WTIME_MS(1) ? (uint32_t)(left / 1000) : 1;
}

/* --- Metadata --------------------------------------------------------------------------------- */

struct held_metadata {
    struct weir_metadata metadata;
    struct arena arena;
};

void weir_metadata_free(struct weir_metadata *m)
{
    if (m != NULL) {
        struct held_metadata *held = container_of(m, struct held_metadata, metadata);
        arena_deinit(&held->arena);
        mem_free(held);
    }
}

static bool convert_topic(
        struct arena *arena, const struct msg_metadata_topic *in, struct weir_topic_metadata *out)
{
    struct weir_partition *partitions =
            arena_alloc(arena, (in->n_partitions + 1) * sizeof(*partitions));

    if (partitions == NULL) {
        return false;
    }
    for (size_t i = 0; i < in->n_partitions; i++) {
        const struct msg_metadata_partition *p = &in->partitions[i];
        partitions[i] = (struct weir_partition){.leader = p->leader,
                .leader_epoch = p->leader_epoch,
                .replicas = p->replicas.at,
                .isr = p->isr.at,
                .n_replicas = p->replicas.n,
                .n_isr = p->isr.n};
    }
    out->name = in->name;
    if (in->error != ERRCODE_NONE) {
        (void)error_set(&out->error, in->error, NULL);
    }
    memcpy(out->id, in->topic_id.bytes, sizeof(out->id));
    out->internal = in->internal;
    out->partitions = partitions;
    out->n_partitions = in->n_partitions;
    return true;
}

static bool convert(struct held_metadata *held, const struct msg_metadata_response *in)
{
    struct weir_metadata *out = &held->metadata;
    struct weir_broker *brokers = arena_alloc(&held->arena, (in->n_brokers + 1) * sizeof(*brokers));
    struct weir_topic_metadata *topics =
            arena_alloc(&held->arena, (in->n_topics + 1) * sizeof(*topics));

    if (brokers == NULL || topics == NULL) {
        return false;
    }
    for (size_t i = 0; i < in->n_brokers; i++) {
        const struct msg_metadata_broker *b = &in->brokers[i];
        brokers[i] = (struct weir_broker){
                .id = b->id, .host = b->host, .port = b->port, .rack = b->rack};
    }
    for (size_t i = 0; i < in->n_topics; i++) {
        if (!convert_topic(&held->arena, &in->topics[i], &topics[i])) {
            return false;
        }
    }
    memcpy(out->cluster_id, in->cluster_id.bytes, sizeof(out->cluster_id));
    out->index = in->metadata_index;
    out->controllers = in->controllers;
    out->n_controllers = in->n_controllers;
    out->brokers = brokers;
    out->n_brokers = in->n_brokers;
    out->topics = topics;
    out->n_topics = in->n_topics;
    return true;
}

static struct weir_metadata *read_metadata(struct bytes body)
{
    struct held_metadata *held = mem_new(struct held_metadata);
    struct msg_metadata_response m;

    /* Twice: what is decoded, and what is made of it. */
    arena_init(&held->arena, 2 * wire_arena_ceiling(body.size));
    if (wire_decode_metadata_response(body, &held->arena, &m) != 0 || !convert(held, &m)) {
        weir_metadata_free(&held->metadata);
        return NULL;
    }
    return &held->metadata;
}

static void on_metadata(void *ctx, struct rpc_reply *reply)
{
    struct ask *a = ctx;
    struct weir_client *c = a->client;
    struct link *l = a->link;

    link_answered(l, reply);
    struct weir_metadata *m = reply->error == ERRCODE_NONE ? read_metadata(reply->body) : NULL;
    pthread_mutex_lock(&c->lock);
    struct query *q = query_of(a);
    if (q != NULL) {
        q->is_asked = false;
        q->wake = wtime_add(loop_now(c->loop), c->settings.retry_backoff);
        if (m != NULL) {
            q->metadata = mem_steal(&m);
            q->error = (struct weir_error){0};
            end_query(c, q);
        } else if (reply->frame != NULL) {
            (void)error_set(&q->error, reply->error != ERRCODE_NONE ? reply->error : WEIR_E_CORRUPT,
                    "%s:%u refused Metadata: %s %s", l->host, l->port, errcode_name(reply->error),
                    reply->detail);
        }
    }
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
    weir_metadata_free(m);
    mem_free(a);
}

static void work_metadata(struct weir_client *c, struct query *q, wtime now)
{
    struct link *l = NULL;

    if (q->is_asked || now < q->wake || (l = link_get_any(c, now)) == NULL) {
        return;
    }
    struct rpc_out *out = rpc_out_new();
    const char **names = mem_new_n(const char *, q->n_names + 1);
    for (size_t i = 0; i < q->n_names; i++) {
        names[i] = q->names[i];
    }
    struct msg_metadata_request m = {.topics = names, .n_topics = q->n_names};
    wire_encode_metadata_request(&m, rpc_out_buf(out));
    mem_free(names);
    q->is_asked = true;
    link_call(l, API_METADATA, try_timeout(c, q, now), out, on_metadata, ask_new(c, l, q, 0));
}

int weir_metadata_get(struct weir_client *c,
        const char *const *topics,
        size_t n_topics,
        int timeout_ms,
        struct weir_metadata **ret,
        struct weir_error *error)
{
    struct query q = {.names = topics, .n_names = n_topics};

    if (client_on_internal_thread(c)) {
        return error_set(error, WEIR_E_IN_CALLBACK, NULL);
    }
    if (n_topics > ITEMS_PER_REQUEST) {
        return error_set(error, WEIR_E_ARGUMENT, "at most %d topics at a time", ITEMS_PER_REQUEST);
    }
    run_query(c, &q, timeout_ms);
    if (q.error.code != 0) {
        return error_set(error, q.error.code, "%s", q.error.text);
    }
    *ret = q.metadata;
    return WEIR_OK;
}

/* --- Offsets ---------------------------------------------------------------------------------- */

static void item_done(struct query *q, size_t i, int code, const char *detail)
{
    q->items[i].is_done = true;
    if (code != 0) {
        (void)error_set(&q->queries[i].error, code, "%s",
                detail != NULL && detail[0] != '\0' ? detail : weir_code_text(code));
    } else {
        q->queries[i].error = (struct weir_error){0};
    }
}

static bool is_finished(const struct query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        if (!q->items[i].is_done) {
            return false;
        }
    }
    return true;
}

/* Takes one partition's answer. Under the lock. */
static void take_result(struct weir_client *c,
        struct query *q,
        size_t i,
        const struct msg_list_offsets_result *r,
        int code)
{
    struct item *item = &q->items[i];

    item->is_asked = false;
    if (r != NULL) {
        code = r->error;
    }
    if (r != NULL && code == ERRCODE_NONE) {
        q->queries[i].offset = r->offset;
        q->queries[i].timestamp = r->timestamp;
        item_done(q, i, 0, NULL);
        return;
    }
    if (!code_retriable(code)) {
        item_done(q, i, code, r != NULL ? r->detail : NULL);
        return;
    }
    (void)error_set(&q->queries[i].error, code, NULL);
    item->not_before = wtime_add(loop_now(c->loop), c->settings.retry_backoff);
    mv_refresh_want(&c->refresh);
}

static void on_offsets(void *ctx, struct rpc_reply *reply)
{
    struct ask *a = ctx;
    struct weir_client *c = a->client;
    struct arena arena;
    struct msg_list_offsets_response m = {0};
    int code = reply->error;

    link_answered(a->link, reply);
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (code == ERRCODE_NONE && wire_decode_list_offsets_response(reply->body, &arena, &m) != 0) {
        code = WEIR_E_CORRUPT;
    }
    pthread_mutex_lock(&c->lock);
    struct query *q = query_of(a);
    for (size_t i = 0; q != NULL && i < a->n; i++) {
        const struct msg_list_offsets_result *r = i < m.n_partitions ? &m.partitions[i] : NULL;
        bool is_right = r != NULL && r->partition == q->queries[a->items[i]].partition;
        take_result(c, q, a->items[i], is_right ? r : NULL,
                code != ERRCODE_NONE ? code : WEIR_E_CORRUPT);
    }
    if (q != NULL && is_finished(q)) {
        end_query(c, q);
    }
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
    arena_deinit(&arena);
    mem_free(a);
}

/* Ends items that cannot be answered; returns the leader of one that can be asked now. Under the
 * lock. */
static broker_id examine(struct weir_client *c, struct query *q, size_t i, wtime now)
{
    struct item *item = &q->items[i];
    const struct weir_topic *t = item->topic;

    if (item->is_done || item->is_asked) {
        return BROKER_NONE;
    }
    if (topic_is_hopeless(t, now)) {
        item_done(q, i, t->view.error, NULL);
        return BROKER_NONE;
    }
    if (t->view.state == MV_TOPIC_KNOWN && q->queries[i].partition >= t->view.n_partitions) {
        item_done(q, i, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION, "the topic has no such partition");
        return BROKER_NONE;
    }
    if (now < item->not_before) {
        q->wake = wtime_min(q->wake, item->not_before);
        return BROKER_NONE;
    }
    return topic_leader(t, q->queries[i].partition);
}

static bool is_in_ask(const struct query *q, const struct ask *a, size_t i)
{
    for (size_t k = a->n; k > 0; k--) {
        size_t other = a->items[k - 1];
        if (q->items[other].topic == q->items[i].topic &&
                q->queries[other].partition == q->queries[i].partition) {
            return true;
        }
    }
    return false;
}

/* One request to `leader` with all items from `first` on that it can answer, each partition once.
 * Under the lock. */
static struct ask *gather(
        struct weir_client *c, struct link *l, struct query *q, size_t first, wtime now)
{
    size_t room = q->n - first < ITEMS_PER_REQUEST ? q->n - first : ITEMS_PER_REQUEST;
    struct ask *a = ask_new(c, l, q, room);

    for (size_t i = first; i < q->n && a->n < room; i++) {
        if (examine(c, q, i, now) == l->id && !is_in_ask(q, a, i)) {
            q->items[i].is_asked = true;
            a->items[a->n++] = i;
        }
    }
    return a;
}

static struct rpc_out *encode_ask(const struct query *q, const struct ask *a)
{
    struct rpc_out *out = rpc_out_new();
    struct msg_list_offsets_partition *p = mem_new_n(struct msg_list_offsets_partition, a->n);

    for (size_t k = 0; k < a->n; k++) {
        const struct weir_offset_query *in = &q->queries[a->items[k]];
        const struct weir_topic *t = q->items[a->items[k]].topic;
        p[k] = (struct msg_list_offsets_partition){.topic_id = t->view.id,
                .partition = in->partition,
                .leader_epoch = topic_leader_epoch(t, in->partition), /* [FET-30] */
                .timestamp = in->at};
    }
    struct msg_list_offsets_request m = {.partitions = p, .n_partitions = a->n};
    wire_encode_list_offsets_request(&m, rpc_out_buf(out));
    mem_free(p);
    return out;
}

static void work_offsets(struct weir_client *c, struct query *q, wtime now)
{
    q->wake = WTIME_NEVER;
    for (size_t i = 0; i < q->n; i++) {
        broker_id leader = examine(c, q, i, now);
        struct link *l = leader != BROKER_NONE ? link_get(c, leader, now) : NULL;
        if (l != NULL) {
            struct ask *a = gather(c, l, q, i, now);
            link_call(l, API_LIST_OFFSETS, try_timeout(c, q, now), encode_ask(q, a), on_offsets, a);
        }
    }
    if (is_finished(q)) {
        end_query(c, q);
    }
}

static int check_queries(const struct weir_offset_query *q, size_t n, struct weir_error *error)
{
    for (size_t i = 0; i < n; i++) {
        const char *refusal = topic_name_refusal(q[i].topic);
        if (refusal != NULL) {
            return error_set(error, WEIR_E_ARGUMENT, "%s", refusal);
        }
        if (q[i].partition < 0 || q[i].at < WEIR_OFFSET_START) {
            return error_set(error, WEIR_E_ARGUMENT, "partition %d at %lld is not legal",
                    q[i].partition, (long long)q[i].at);
        }
    }
    return WEIR_OK;
}

int weir_offsets_get(struct weir_client *c,
        struct weir_offset_query *queries,
        size_t n_queries,
        int timeout_ms,
        struct weir_error *error)
{
    struct query q = {.queries = queries, .n = n_queries};

    if (client_on_internal_thread(c)) {
        return error_set(error, WEIR_E_IN_CALLBACK, NULL);
    }
    int r = check_queries(queries, n_queries, error);
    if (r != WEIR_OK || n_queries == 0) {
        return r;
    }
    q.items = mem_new_n(struct item, n_queries);
    for (size_t i = 0; i < n_queries; i++) {
        queries[i].error = (struct weir_error){0};
        queries[i].offset = queries[i].timestamp = -1;
    }
    run_query(c, &q, timeout_ms);
    for (size_t i = 0; i < n_queries; i++) {
        if (!q.items[i].is_done && queries[i].error.code == 0) {
            queries[i].error = q.error;
        }
        if (queries[i].error.code != 0 && r == WEIR_OK) {
            r = error_set(error, queries[i].error.code, "%s-%d: %s", queries[i].topic,
                    queries[i].partition, queries[i].error.text);
        }
    }
    mem_free(q.items);
    return r;
}

/* --- Both ------------------------------------------------------------------------------------- */

static void time_out(struct weir_client *c, struct query *q)
{
    char reasons[WEIR_TEXT_SIZE - 64];
    struct link *l = NULL;
    bool is_up = false;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        is_up = is_up || l->state == LINK_UP;
    }
    if (!is_up) {
        links_explain(c, reasons, sizeof(reasons));
        (void)error_set(&q->error, WEIR_E_TRANSPORT, "no broker could be reached (%s)", reasons);
    } else if (q->error.code == 0) {
        (void)error_set(&q->error, WEIR_E_TIMED_OUT, "no answer in the time given");
    }
    for (size_t i = 0; i < q->n; i++) { /* what is known of the topic says more than the time */
        const struct weir_topic *t = q->items[i].topic;
        if (!q->items[i].is_done && q->queries[i].error.code == 0 &&
                t->view.state == MV_TOPIC_REFUSED) {
            (void)error_set(&q->queries[i].error, t->view.error, NULL);
        }
    }
    end_query(c, q);
}

void query_work(struct weir_client *c, wtime now)
{
    struct query *q = NULL;
    struct query *next = NULL;

    /* Calls only queue here, so the lock may be held. */
    pthread_mutex_lock(&c->lock);
    for (q = TAILQ_FIRST(&c->queries); q != NULL; q = next) {
        next = TAILQ_NEXT(q, entry);
        if (wtime_due(q->deadline, now)) {
            time_out(c, q);
        } else if (q->queries == NULL) {
            work_metadata(c, q, now);
        } else {
            work_offsets(c, q, now);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void query_stop(struct weir_client *c)
{
    struct query *q = NULL;

    pthread_mutex_lock(&c->lock);
    while ((q = TAILQ_FIRST(&c->queries)) != NULL) {
        (void)error_set(&q->error, WEIR_E_CLOSED, NULL);
        end_query(c, q);
    }
    pthread_mutex_unlock(&c->lock);
}

bool query_needs(const struct weir_client *c, broker_id id)
{
    const struct query *q = NULL;

    TAILQ_FOREACH(q, &c->queries, entry)
    {
        for (size_t i = 0; i < q->n; i++) {
            if (!q->items[i].is_done &&
                    topic_leader(q->items[i].topic, q->queries[i].partition) == id) {
                return true;
            }
        }
    }
    return false;
}

bool query_lacks_leader(const struct weir_client *c)
{
    return query_needs(c, BROKER_NONE);
}

wtime query_deadline(const struct weir_client *c, wtime now)
{
    const struct query *q = NULL;
    wtime deadline = WTIME_NEVER;

    TAILQ_FOREACH(q, &c->queries, entry)
    {
        deadline = wtime_min(deadline, q->deadline);
        if (!q->is_asked && q->wake > now) { /* otherwise it waits for a link */
            deadline = wtime_min(deadline, q->wake);
        }
    }
    return deadline;
}
