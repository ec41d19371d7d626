/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/producer_ids.h"

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"

enum {
    WAITING_MAX = 10000,
    RETRY_MS = 100,
    RETRY_IDLE_MS = 5000 /* while nobody waits */
};

struct block {
    int64_t next, left;
};

struct producer_ids {
    struct broker *b;
    struct block now, after; /* `after` follows when `now` is used up */
    int64_t size;            /* of the last block that was given */
    bool is_asked;           /* AllocateProducerIds is under way */
    bool is_refused;         /* the last one was, and that was logged */
    const char *reason;      /* why there is none; static */
    STAILQ_HEAD(, id_question) waiting;
    size_t n_waiting;
    struct timer retry, deadline;
};

static void ask_controller(struct producer_ids *ids);

/* --- Answers ---------------------------------------------------------------------------------- */

static struct late_answer *answer_to(struct id_question *q)
{
    struct late_answer *a = mem_new(struct late_answer);

    a->dl = q->dl;
    a->conn_id = q->conn_id;
    a->header = q->header;
    (void)mem_free(q);
    return a;
}

static void refuse(struct producer_ids *ids, struct id_question *q)
{
    struct late_answer *a = answer_to(q);

    a->error = ERRCODE_COORDINATOR_NOT_AVAILABLE;
    a->detail = mem_strdup(ids->reason);
    late_answer_post(a);
}

static void give(struct producer_ids *ids, struct id_question *q)
{
    const struct msg_init_producer_id_response m = {.producer_id = ids->now.next};
    struct late_answer *a = answer_to(q);

    must(ids->now.left > 0);
    ids->now.next++;
    ids->now.left--;
    if (ids->now.left == 0) {
        ids->now = ids->after;
        ids->after = (struct block){0};
    }
    a->out = rpc_out_new();
    wire_encode_init_producer_id_response(&m, rpc_out_buf(a->out)); /* [PID-5] of epoch 0 */
    late_answer_post(a);
}

static struct id_question *take_waiting(struct producer_ids *ids)
{
    struct id_question *q = STAILQ_FIRST(&ids->waiting);

    STAILQ_REMOVE_HEAD(&ids->waiting, entry);
    ids->n_waiting--;
    return q;
}

static void serve_waiting(struct producer_ids *ids)
{
    while (ids->n_waiting > 0 && ids->now.left > 0) {
        give(ids, take_waiting(ids));
    }
}

/* Each has a deadline of its own, so the order says nothing. */
static void on_deadline(void *ctx)
{
    struct producer_ids *ids = ctx;
    wtime now = loop_now(ids->b->control), next = WTIME_NEVER;

    for (size_t n = ids->n_waiting; n > 0; n--) {
        struct id_question *q = take_waiting(ids);
        if (wtime_due(q->deadline, now)) {
            refuse(ids, q);
        } else {
            next = wtime_min(next, q->deadline);
            STAILQ_INSERT_TAIL(&ids->waiting, q, entry);
            ids->n_waiting++;
        }
    }
    timer_set(&ids->deadline, next);
}

/* --- Blocks ----------------------------------------------------------------------------------- */

static void ask_later(struct producer_ids *ids)
{
    wtime delay = ids->n_waiting > 0 ? WTIME_MS(RETRY_MS) : WTIME_MS(RETRY_IDLE_MS);

    timer_set(&ids->retry, wtime_add(loop_now(ids->b->control), delay));
}

static void note_refusal(struct producer_ids *ids, const struct rpc_reply *reply)
{
    ids->reason = "no producer ids are left here, and the controller gave none; try again";
    if (!ids->is_refused) {
        log_warn("producer_ids", "block_refused", KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
    ids->is_refused = true;
    ask_later(ids);
}

static void take_block(struct producer_ids *ids, const struct msg_allocate_producer_ids_response *m)
{
    struct block block = {.next = m->first, .left = m->count};

    log_info("producer_ids", "block_given", KV_I64("first", m->first), KV_I64("count", m->count));
    ids->is_refused = false;
    ids->size = m->count;
    if (ids->now.left == 0) {
        ids->now = block;
    } else {
        ids->after = block;
    }
    serve_waiting(ids);
}

static void on_block(void *ctx, struct rpc_reply *reply)
{
    struct msg_allocate_producer_ids_response m = {0};
    struct producer_ids *ids = ctx;
    struct arena arena;
    bool is_good = false;

    ids->is_asked = false;
    if (ids->b->is_over) { /* the data loops are gone */
        return;
    }
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (reply->error == ERRCODE_NONE) {
        is_good = wire_decode_allocate_producer_ids_response(reply->body, &arena, &m) == 0 &&
                  m.first >= 0 && m.count > 0 && m.first <= INT64_MAX - m.count;
    }
    arena_deinit(&arena);
    if (is_good) {
        take_block(ids, &m);
        ask_controller(ids);
    } else {
        note_refusal(ids, reply);
    }
}

/* [PID-4] A whole block in reserve: with it producers begin while nothing can be decided. */
static bool is_low(const struct producer_ids *ids)
{
    int64_t left = ids->now.left + ids->after.left;

    return left == 0 || left < ids->size;
}

static void ask_controller(struct producer_ids *ids)
{
    if (ids->is_asked || !is_low(ids)) {
        return;
    }
    ids->is_asked = ctl_link_ask_producer_ids(ids->b->ctl, on_block, ids);
    if (!ids->is_asked) {
        ids->reason = "no producer ids are left here, and no controller is connected to give more; "
                      "try again";
        ask_later(ids);
    }
}

static void on_retry(void *ctx)
{
    struct producer_ids *ids = ctx;

    timer_cancel(&ids->retry);
    ask_controller(ids);
}

void producer_ids_take(struct producer_ids *ids, struct id_question *q)
{
    if (ids->now.left > 0) {
        give(ids, q);
    } else if (ids->n_waiting >= WAITING_MAX) {
        refuse(ids, q);
    } else {
        STAILQ_INSERT_TAIL(&ids->waiting, q, entry);
        ids->n_waiting++;
        timer_set(&ids->deadline, wtime_min(ids->deadline.deadline, q->deadline));
        if (ids->retry.deadline != WTIME_NEVER) { /* it may be the long time of nobody waiting */
            wtime soon = wtime_add(loop_now(ids->b->control), WTIME_MS(RETRY_MS));
            timer_set(&ids->retry, wtime_min(ids->retry.deadline, soon));
        }
    }
    producer_ids_prepare(ids);
}

void producer_ids_prepare(struct producer_ids *ids)
{
    if (ids->retry.deadline == WTIME_NEVER) {
        ask_controller(ids);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

struct producer_ids *producer_ids_new(struct broker *b)
{
    struct producer_ids *ids = mem_new(struct producer_ids);

    ids->b = b;
    ids->reason = "no producer ids are left here; try again";
    STAILQ_INIT(&ids->waiting);
    timer_init(&ids->retry, b->control, on_retry, ids);
    timer_init(&ids->deadline, b->control, on_deadline, ids);
    return ids;
}

struct producer_ids *producer_ids_free(struct producer_ids *ids)
{
    if (ids == NULL) {
        return NULL;
    }
    while (ids->n_waiting > 0) { /* their connections are gone */
        (void)mem_free(take_waiting(ids));
    }
    timer_deinit(&ids->retry);
    timer_deinit(&ids->deadline);
    return mem_free(ids);
}
