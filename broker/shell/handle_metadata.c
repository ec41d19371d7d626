/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/name_rules.h"

#include <stdlib.h>
#include <string.h>

/* Metadata. The image belongs to the control loop, which makes the answer; the connection's loop decodes and checks the
 * question, and sends the answer.
 *
 *   connection's questions ──► loop's turn: one at a time ──► control loop: fills, encodes ──► loop: sends, next turn
 *
 * [BRK-31] The control loop has at most one question of each data loop, the connections of a loop take turns, and one
 * that does not take its answers waits: whatever is asked, beats and ZooKeeper go on. */

enum {
    METADATA_TOPICS_MAX = 1000,
    METADATA_PARTITIONS_MAX = 100000, /* an answer; one topic is answered however large */
    ANSWERS_AHEAD_MAX = 1 << 20, /* unsent bytes, above which a connection's next question waits */
    ASK_AGAIN_MS = 20
};

struct question {
    struct loop_task task;
    STAILQ_ENTRY(question) entry;
    struct broker *broker;
    struct data_loop *dl;
    uint64_t conn_id;
    struct rpc_request *request;
    char listener[32];
    struct arena arena;
    struct msg_metadata_request ask; /* decoded when it is its turn; in the arena and the request */
    int error;
    const char *detail; /* static */
    struct rpc_out *out;
};

static void fill_brokers(const struct image *image,
        const char *listener,
        struct arena *a,
        struct msg_metadata_response *m)
{
    size_t n = image_n_brokers(image);

    m->brokers = arena_alloc(a, (n + 1) * sizeof(*m->brokers));
    must(m->brokers != NULL); /* no ceiling: the image is ours */
    for (size_t i = 0; i < n; i++) {
        const struct image_broker *b = image_broker_at(image, i);
        const struct endpoint *e = image_broker_endpoint(b, listener);

        if (b->state != BROKER_FENCED && e != NULL) {
            m->brokers[m->n_brokers++] = (struct msg_metadata_broker){
                    .id = b->id, .host = e->host, .port = e->port, .rack = b->rack};
        }
    }
}

/* `left` = how many partitions the answer may still get. */
static void fill_topic(
        const struct image_topic *t, struct arena *a, size_t *left, struct msg_metadata_topic *ret)
{
    size_t n = (size_t)t->n_partitions;

    if (n > *left && *left < METADATA_PARTITIONS_MAX) { /* [BRK-31] */
        *ret = (struct msg_metadata_topic){
                .name = t->name, .topic_id = t->id, .error = ERRCODE_POLICY_VIOLATION};
        return;
    }
    *left -= n < *left ? n : *left;
    *ret = (struct msg_metadata_topic){
            .name = t->name, .topic_id = t->id, .internal = t->internal, .n_partitions = n};
    ret->partitions = arena_alloc(a, (n + 1) * sizeof(*ret->partitions));
    must(ret->partitions != NULL);
    for (size_t i = 0; i < n; i++) {
        const struct partition_state *p = &t->partitions[i];

        ret->partitions[i] = (struct msg_metadata_partition){.leader = p->leader,
                .leader_epoch = p->leader_epoch,
                .replicas = p->replicas,
                .isr = p->isr};
    }
}

static void fill_topics(const struct image *image,
        const struct msg_metadata_request *q,
        struct arena *a,
        struct msg_metadata_response *m)
{
    size_t left = METADATA_PARTITIONS_MAX;

    m->topics = arena_alloc(a, (q->n_topics + q->n_topic_ids + 1) * sizeof(*m->topics));
    must(m->topics != NULL);
    for (size_t i = 0; i < q->n_topics; i++) {
        const struct image_topic *t = image_topic_by_name(image, q->topics[i]);
        struct msg_metadata_topic *ret = &m->topics[m->n_topics++];

        if (t != NULL) {
            fill_topic(t, a, &left, ret);
        } else {
            *ret = (struct msg_metadata_topic){.name = q->topics[i],
                    .error = topic_name_refusal(q->topics[i]) != NULL
                                     ? ERRCODE_INVALID_TOPIC_EXCEPTION
                                     : ERRCODE_UNKNOWN_TOPIC_OR_PARTITION};
        }
    }
    for (size_t i = 0; i < q->n_topic_ids; i++) {
        const struct image_topic *t = image_topic_by_id(image, &q->topic_ids[i]);
        struct msg_metadata_topic *ret = &m->topics[m->n_topics++];

        if (t != NULL) {
            fill_topic(t, a, &left, ret);
        } else {
            *ret = (struct msg_metadata_topic){
                    .name = "", .topic_id = q->topic_ids[i], .error = ERRCODE_UNKNOWN_TOPIC_ID};
        }
    }
}

static void question_free(struct question *q)
{
    arena_deinit(&q->arena);
    (void)rpc_out_free(q->out);
    (void)rpc_request_free(q->request);
    (void)mem_free(q);
}

static void refuse(struct question *q, int error, const char *detail)
{
    q->error = error;
    q->detail = detail;
}

/* --- On the control loop ----------------------------------------------------------------------------------------- */

static void answer_question(struct question *q)
{
    struct broker *b = q->broker;
    struct msg_metadata_response m = {.cluster_id = b->cluster_id};

    m.metadata_index = image_position(b->image).index;
    if (m.metadata_index ==
            0) { /* [BRK-12] Silence is better than "no such topic" from one who knows nothing. */
        refuse(q, ERRCODE_LEADER_NOT_AVAILABLE,
                "no controller has given this broker the cluster's metadata yet");
        return;
    }
    m.controllers = ctl_link_controllers(b->ctl, &m.n_controllers);
    q->arena.ceiling = 0;
    fill_brokers(b->image, q->listener, &q->arena, &m);
    fill_topics(b->image, &q->ask, &q->arena, &m);
    q->out = rpc_out_new();
    wire_encode_metadata_response(&m, rpc_out_buf(q->out));
}

static void on_answered(struct loop_task *t);

static void on_control(struct loop_task *t)
{
    struct question *q = container_of(t, struct question, task);

    if (q->broker->is_over) { /* the data loops are gone */
        question_free(q);
        return;
    }
    answer_question(q);
    q->task.run = on_answered;
    loop_post(q->dl->loop, &q->task);
}

/* --- On the connection's loop ------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

/* At most METADATA_TOPICS_MAX in all. Sorts copies: the answer keeps the order of the question. */
static bool names_a_topic_twice(const struct msg_metadata_request *m)
{
    const char *names[METADATA_TOPICS_MAX];
    struct uuid ids[METADATA_TOPICS_MAX];

    for (size_t i = 0; i < m->n_topics; i++) {
        names[i] = m->topics[i];
    }
    for (size_t i = 0; i < m->n_topic_ids; i++) {
        ids[i] = m->topic_ids[i];
    }
    qsort(names, m->n_topics, sizeof(*names), compare_names);
    qsort(ids, m->n_topic_ids, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < m->n_topics; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 1; i < m->n_topic_ids; i++) {
        if (uuid_equal(&ids[i - 1], &ids[i])) {
            return true;
        }
    }
    return false;
}

/* Decodes and checks it; what is refused goes back without having seen the control loop, in its turn too. */
static void ask(struct question *q)
{
    int e;

    arena_init(&q->arena, wire_arena_ceiling(q->request->body.size));
    e = wire_decode_metadata_request(q->request->body, &q->arena, &q->ask);
    if (e != 0) {
        refuse(q, errcode_of_wire(e).error, errcode_of_wire(e).detail);
    } else if (q->ask.n_topics + q->ask.n_topic_ids > METADATA_TOPICS_MAX) {
        refuse(q, ERRCODE_INVALID_REQUEST, "at most 1,000 topics a request");
    } else if (names_a_topic_twice(&q->ask)) { /* [BRK-31] */
        refuse(q, ERRCODE_INVALID_REQUEST, "a topic is named twice in one request");
    }
    q->dl->is_asked = true;
    if (q->error != ERRCODE_NONE) {
        q->task.run = on_answered;
        loop_post(q->dl->loop, &q->task);
    } else {
        q->task.run = on_control;
        loop_post(q->broker->control, &q->task);
    }
}

void metadata_ask_next(void *ctx)
{
    struct data_loop *dl = ctx;
    struct client_conn *conn;
    struct question *q;

    if (dl->is_asked) {
        return;
    }
    TAILQ_FOREACH(conn, &dl->asking, asking_entry)
    {
        if (rpc_conn_unsent(conn->c) <= ANSWERS_AHEAD_MAX) {
            break;
        }
    }
    if (conn == NULL) {
        if (!TAILQ_EMPTY(&dl->asking)) {
            timer_set(&dl->ask_timer, wtime_add(loop_now(dl->loop), WTIME_MS(ASK_AGAIN_MS)));
        }
        return;
    }
    q = STAILQ_FIRST(&conn->questions);
    STAILQ_REMOVE_HEAD(&conn->questions, entry);
    TAILQ_REMOVE(&dl->asking, conn, asking_entry);
    if (!STAILQ_EMPTY(&conn->questions)) {
        TAILQ_INSERT_TAIL(&dl->asking, conn, asking_entry);
    }
    ask(q);
}

static void on_answered(struct loop_task *t)
{
    struct question *q = container_of(t, struct question, task);
    struct data_loop *dl = q->dl;
    struct client_conn *conn = NULL;

    HASH_FIND(hh, dl->conns, &q->conn_id, sizeof(q->conn_id), conn);
    if (conn != NULL) {
        rpc_answer(conn->c, &q->request->header, q->error, q->detail, mem_steal(&q->out));
    }
    question_free(q);
    dl->is_asked = false;
    metadata_ask_next(dl);
}

void metadata_forget(struct client_conn *conn)
{
    struct question *q;

    if (!STAILQ_EMPTY(&conn->questions)) {
        TAILQ_REMOVE(&conn->dl->asking, conn, asking_entry);
    }
    while ((q = STAILQ_FIRST(&conn->questions)) != NULL) {
        STAILQ_REMOVE_HEAD(&conn->questions, entry);
        question_free(q);
    }
}

void handle_metadata(struct client_conn *conn, struct rpc_request *r)
{
    struct question *q = mem_new(struct question);

    q->broker = conn->dl->broker;
    q->dl = conn->dl;
    q->conn_id = conn->id;
    q->request = r;
    q->detail = "";
    memcpy(q->listener, conn->listener, sizeof(q->listener));
    rpc_weigh_request(conn->c, &r->header, sizeof(*q) + sizeof(*r)); /* [BRK-30] */
    if (STAILQ_EMPTY(&conn->questions)) {
        TAILQ_INSERT_TAIL(&conn->dl->asking, conn, asking_entry);
    }
    STAILQ_INSERT_TAIL(&conn->questions, q, entry);
    metadata_ask_next(conn->dl);
}
