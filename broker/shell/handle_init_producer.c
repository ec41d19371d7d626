/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/producer_ids.h"
#include "common/base/mem.h"

enum {
    INIT_TIMEOUT_MS = 30000
};

static void on_control(struct loop_task *t)
{
    struct id_question *q = container_of(t, struct id_question, task);

    if (q->broker->is_over) { /* the data loops are gone */
        (void)mem_free(q);
        return;
    }
    producer_ids_take(q->broker->producer_ids, q);
}

static void ask(struct client_conn *conn, const struct rpc_request *r)
{
    uint32_t timeout = r->header.timeout_ms > 0 ? r->header.timeout_ms : INIT_TIMEOUT_MS;
    struct id_question *q = mem_new(struct id_question);

    q->task.run = on_control;
    q->broker = conn->dl->broker;
    q->dl = conn->dl;
    q->conn_id = conn->id;
    q->header = r->header;
    q->header.detail = "";
    q->deadline = wtime_add(r->received, WTIME_MS((wtime)timeout));
    rpc_weigh_request(conn->c, &r->header, sizeof(*q) + sizeof(struct late_answer)); /* [BRK-30] */
    loop_post(q->broker->control, &q->task);
}

/* [PID-5] NULL, or why it is refused. */
static const char *refusal(const struct msg_init_producer_id_request *m)
{
    if (m->transactional_id[0] != '\0') {
        return "transactions are not offered by this version: ask without a transactional id";
    }
    if (m->producer_id != -1 || m->producer_epoch != -1) {
        return "a producer id is given and not chosen: ask with producer id -1 and epoch -1";
    }
    return NULL;
}

void handle_init_producer(struct client_conn *conn, struct rpc_request *r)
{
    struct msg_init_producer_id_request m;
    struct arena arena;
    const char *why = NULL;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    int e = wire_decode_init_producer_id_request(r->body, &arena, &m);

    if (e == 0) {
        why = refusal(&m);
    }
    arena_deinit(&arena);
    if (e != 0) {
        answer_error(conn, r, errcode_of_wire(e).error, errcode_of_wire(e).detail);
    } else if (why != NULL) {
        answer_error(conn, r, ERRCODE_INVALID_REQUEST, why);
    } else {
        ask(conn, r);
        (void)rpc_request_free(r);
    }
}
