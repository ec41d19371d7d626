/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/name_rules.h"

#include <string.h>

/* Metadata. The image belongs to the control loop, which makes the answer; the connection's loop sends it. */

enum {
    METADATA_TOPICS_MAX = 1000
};

struct question {
    struct loop_task task;
    struct broker *broker;
    struct rpc_request *request;
    struct late_answer *answer;
    char listener[32];
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

static void fill_topic(const struct image_topic *t, struct arena *a, struct msg_metadata_topic *ret)
{
    size_t n = (size_t)t->n_partitions;

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
    m->topics = arena_alloc(a, (q->n_topics + q->n_topic_ids + 1) * sizeof(*m->topics));
    must(m->topics != NULL);
    for (size_t i = 0; i < q->n_topics; i++) {
        const struct image_topic *t = image_topic_by_name(image, q->topics[i]);
        struct msg_metadata_topic *ret = &m->topics[m->n_topics++];

        if (t != NULL) {
            fill_topic(t, a, ret);
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
            fill_topic(t, a, ret);
        } else {
            *ret = (struct msg_metadata_topic){
                    .name = "", .topic_id = q->topic_ids[i], .error = ERRCODE_UNKNOWN_TOPIC_ID};
        }
    }
}

static void refuse(struct late_answer *a, int error, const char *detail)
{
    a->error = error;
    a->detail = mem_strdup(detail);
}

static void answer_question(struct question *q, struct arena *arena)
{
    struct broker *b = q->broker;
    struct msg_metadata_response m = {.cluster_id = b->cluster_id};
    struct msg_metadata_request ask;
    int e = wire_decode_metadata_request(q->request->body, arena, &ask);

    if (e != 0) {
        refuse(q->answer, errcode_of_wire(e).error, errcode_of_wire(e).detail);
        return;
    }
    if (ask.n_topics + ask.n_topic_ids > METADATA_TOPICS_MAX) {
        refuse(q->answer, ERRCODE_INVALID_REQUEST, "at most 1,000 topics a request");
        return;
    }
    m.metadata_index = image_position(b->image).index;
    if (m.metadata_index ==
            0) { /* [BRK-12] Silence is better than "no such topic" from one who knows nothing. */
        refuse(q->answer, ERRCODE_LEADER_NOT_AVAILABLE,
                "no controller has given this broker the cluster's metadata yet");
        return;
    }
    m.controllers = ctl_link_controllers(b->ctl, &m.n_controllers);
    arena->ceiling = 0;
    fill_brokers(b->image, q->listener, arena, &m);
    fill_topics(b->image, &ask, arena, &m);
    q->answer->out = rpc_out_new();
    wire_encode_metadata_response(&m, rpc_out_buf(q->answer->out));
}

static void on_control(struct loop_task *t)
{
    struct question *q = container_of(t, struct question, task);
    struct arena arena;

    if (q->broker->is_over) { /* the data loops are gone */
        (void)mem_free(q->answer);
    } else {
        arena_init(&arena, wire_arena_ceiling(q->request->body.size));
        answer_question(q, &arena);
        arena_deinit(&arena);
        late_answer_post(q->answer);
    }
    (void)rpc_request_free(q->request);
    (void)mem_free(q);
}

void handle_metadata(struct client_conn *conn, struct rpc_request *r)
{
    struct question *q = mem_new(struct question);

    q->task.run = on_control;
    q->broker = conn->dl->broker;
    q->request = r;
    q->answer = mem_new(struct late_answer);
    q->answer->dl = conn->dl;
    q->answer->conn_id = conn->id;
    q->answer->header = r->header;
    q->answer->header.detail = "";
    memcpy(q->listener, conn->listener, sizeof(q->listener));
    loop_post(q->broker->control, &q->task);
}
