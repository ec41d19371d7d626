/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/client.h"
#include "clients/lib/link.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"

#include <string.h>

#include <weir/producer.h>

/* Topics and the questions about them. */

enum {
    TOPICS_PER_QUESTION = 1000,
    QUESTION_TIMEOUT_MS = 10000,
};

struct weir_topic *topic_find(struct weir_client *c, const char *name)
{
    struct weir_topic *t = NULL;

    HASH_FIND_STR(c->topics, name, t);
    if (t != NULL) {
        return t;
    }
    t = mem_new(struct weir_topic);
    t->client = c;
    t->name = mem_strdup(name);
    STAILQ_INIT(&t->staged);
    partitioner_init(
            &t->partitioner, (enum partitioner_kind)c->settings.partitioner, client_seed(c));
    HASH_ADD_KEYPTR(hh, c->topics, t->name, strlen(t->name), t);
    *array_push(&c->topic_list) = t;
    mv_refresh_want(&c->refresh);
    client_kick(c);
    return t;
}

void topic_free(struct weir_topic *t)
{
    for (int32_t i = 0; i < t->n_partitions; i++) {
        mem_free(t->partitions[i]);
    }
    mem_free(t->partitions);
    mv_topic_deinit(&t->view);
    mem_free(t->name);
    mem_free(t);
}

struct weir_topic *weir_topic_get(struct weir_client *c, const char *name, struct weir_error *error)
{
    const char *refusal = topic_name_refusal(name);

    if (refusal != NULL) {
        (void)error_set(error, WEIR_E_ARGUMENT, "%s", refusal);
        return NULL;
    }
    pthread_mutex_lock(&c->lock);
    struct weir_topic *t = topic_find(c, name);
    pthread_mutex_unlock(&c->lock);
    return t;
}

const char *weir_topic_name(const struct weir_topic *t)
{
    return t->name;
}

int32_t weir_topic_n_partitions(const struct weir_topic *t)
{
    pthread_mutex_lock(&t->client->lock);
    int32_t n = t->view.n_partitions > 0 ? t->view.n_partitions : -1;
    pthread_mutex_unlock(&t->client->lock);
    return n;
}

bool topic_is_hopeless(const struct weir_topic *t, wtime now)
{
    return t->view.state == MV_TOPIC_REFUSED &&
           now >= wtime_add(t->view.refused_since, t->client->settings.topic_propagation);
}

broker_id topic_leader(const struct weir_topic *t, int32_t partition)
{
    return partition >= 0 && partition < t->view.n_partitions ? t->view.partitions[partition].leader
                                                              : BROKER_NONE;
}

epoch32 topic_leader_epoch(const struct weir_topic *t, int32_t partition)
{
    return partition >= 0 && partition < t->view.n_partitions
                   ? t->view.partitions[partition].leader_epoch
                   : EPOCH_NONE;
}

static void grow_partitions(struct weir_topic *t)
{
    int32_t n = t->view.n_partitions;

    if (n <= t->n_partitions) {
        return;
    }
    t->partitions = mem_resize(t->partitions, (size_t)n, sizeof(struct prod_partition *));
    for (; t->n_partitions < n; t->n_partitions++) {
        struct prod_partition *p = mem_new(struct prod_partition);
        acc_partition_init(&p->acc);
        p->topic = t;
        p->number = t->n_partitions;
        t->partitions[t->n_partitions] = p;
    }
}

void topic_changed(struct weir_topic *t, wtime now)
{
    grow_partitions(t);
    for (int32_t i = 0; i < t->n_partitions; i++) {
        (void)acc_set_leader(&t->client->acc, &t->partitions[i]->acc, topic_leader(t, i));
    }
    fetcher_topic_changed(t, now);
}

/* --- Questions -------------------------------------------------------------------------------- */

struct question {
    struct weir_client *client;
    struct link *link;
};

/* A leader that is not among the brokers cannot be reached: as good as none. */
static bool is_known_broker(const struct msg_metadata_response *m, broker_id id)
{
    for (size_t i = 0; i < m->n_brokers; i++) {
        if (m->brokers[i].id == id) {
            return true;
        }
    }
    return false;
}

static void apply_topic(struct weir_client *c,
        const struct msg_metadata_response *m,
        const struct msg_metadata_topic *answer,
        wtime now)
{
    struct weir_topic *t = NULL;

    HASH_FIND_STR(c->topics, answer->name, t);
    if (t == NULL || answer->n_partitions > PARTITIONS_PER_TOPIC_MAX) {
        return;
    }
    struct mv_partition *leaders = mem_new_n(struct mv_partition, answer->n_partitions + 1);
    for (size_t i = 0; i < answer->n_partitions; i++) {
        const struct msg_metadata_partition *p = &answer->partitions[i];
        leaders[i] = (struct mv_partition){
                .leader = is_known_broker(m, p->leader) ? p->leader : BROKER_NONE,
                .leader_epoch = p->leader_epoch,
        };
    }
    struct mv_answer_topic a = {.error = answer->error,
            .id = answer->topic_id,
            .leaders = leaders,
            .n = (int32_t)answer->n_partitions};
    (void)mv_topic_apply(&t->view, &a, now);
    topic_changed(t, now);
    mem_free(leaders);
}

/* Whether something waits for more than the view has. Under the lock. */
static bool is_complete(const struct weir_client *c)
{
    for (size_t i = 0; i < c->topic_list.n; i++) {
        const struct weir_topic *t = c->topic_list.items[i];
        if (!STAILQ_EMPTY(&t->staged) && t->view.state != MV_TOPIC_KNOWN) {
            return false;
        }
    }
    return !acc_lacks_leader(&c->acc) && !fetcher_lacks_leader(c) && !query_lacks_leader(c);
}

static void apply(struct weir_client *c, struct link *l, const struct rpc_reply *reply)
{
    struct arena arena;
    struct msg_metadata_response m;
    wtime now = loop_now(c->loop);

    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    bool is_read = wire_decode_metadata_response(reply->body, &arena, &m) == 0;
    if (is_read) {
        links_update(c, &m);
    }
    pthread_mutex_lock(&c->lock);
    if (is_read) {
        for (size_t i = 0; i < m.n_topics; i++) {
            apply_topic(c, &m, &m.topics[i], now);
        }
        mv_refresh_answered(&c->refresh, is_complete(c) && c->topic_cursor == 0, now);
    } else {
        mv_refresh_failed(&c->refresh, now);
    }
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
    arena_deinit(&arena);
    if (!is_read) {
        link_broken(l, "the answer to Metadata cannot be read");
    }
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct question *q = ctx;
    struct weir_client *c = q->client;
    struct link *l = q->link;

    mem_free(q);
    link_answered(l, reply);
    if (reply->error == ERRCODE_NONE) {
        apply(c, l, reply);
        return;
    }
    if (reply->frame != NULL) {
        client_log(c, WEIR_LOG_WARN, "%s:%u refused Metadata: %s %s", l->host, l->port,
                errcode_name(reply->error), reply->detail);
    }
    pthread_mutex_lock(&c->lock);
    mv_refresh_failed(&c->refresh, loop_now(c->loop));
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
}

void metadata_work(struct weir_client *c, wtime now)
{
    pthread_mutex_lock(&c->lock);
    if (acc_lacks_leader(&c->acc) || fetcher_lacks_leader(c) || query_lacks_leader(c) ||
            links_lack_broker(c)) {
        mv_refresh_want(&c->refresh);
    }
    bool is_due = c->topic_list.n > 0 && mv_refresh_is_due(&c->refresh, now);
    pthread_mutex_unlock(&c->lock);
    struct link *l = is_due ? link_get_any(c, now) : NULL;
    if (l == NULL) {
        return;
    }
    struct rpc_out *out = rpc_out_new();
    struct question *q = mem_new(struct question);
    *q = (struct question){.client = c, .link = l};
    pthread_mutex_lock(&c->lock);
    size_t n = c->topic_list.n - c->topic_cursor;
    n = n < TOPICS_PER_QUESTION ? n : TOPICS_PER_QUESTION;
    const char **names = mem_new_n(const char *, n);
    for (size_t i = 0; i < n; i++) {
        names[i] = c->topic_list.items[c->topic_cursor + i]->name;
    }
    c->topic_cursor = c->topic_cursor + n < c->topic_list.n ? c->topic_cursor + n : 0;
    mv_refresh_begin(&c->refresh);
    struct msg_metadata_request m = {.topics = names, .n_topics = n};
    wire_encode_metadata_request(&m, rpc_out_buf(out));
    pthread_mutex_unlock(&c->lock);
    mem_free(names);
    uint32_t timeout = c->settings.request_timeout_ms;
    link_call(l, API_METADATA, timeout < QUESTION_TIMEOUT_MS ? timeout : QUESTION_TIMEOUT_MS, out,
            on_answer, q);
}
