/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/backoff.h"
#include "clients/lib/link.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <stdio.h>

/* InitProducerId: any broker gives an id that nobody else has [CLI-9]. */

struct question {
    struct weir_client *client;
    struct link *link;
};

/* Under the lock. */
static bool wants_id(const struct weir_client *c)
{
    return c->acc.settings.is_idempotent && c->fatal_code == 0 &&
           (c->acc.wants_id || (c->acc.id.producer_id == SEQ_ID_NONE && c->n_outstanding > 0));
}

static void got_id(struct weir_client *c, const struct seq_id *id)
{
    c->id_quest.n_failures = 0;
    pthread_mutex_lock(&c->lock);
    acc_set_id(&c->acc, id);
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
}

/* Asked again after a while; records wait meanwhile, as long as delivery.timeout.ms. */
static void ask_later(struct weir_client *c)
{
    struct id_quest *q = &c->id_quest;

    q->n_failures++;
    q->not_before = wtime_add(
            loop_now(c->loop), backoff_after(c->settings.retry_backoff,
                                       c->settings.retry_backoff_max, q->n_failures, &q->prng));
    client_kick_unlocked(c);
}

/* The brokers are older than idempotence: who did not ask for it by name goes on without. */
static void go_without(struct weir_client *c)
{
    client_log(c, WEIR_LOG_WARN,
            "the brokers do not know InitProducerId: enable.idempotence is off, and a retry may "
            "write a batch twice");
    pthread_mutex_lock(&c->lock);
    acc_forgo_ids(&c->acc, 1);
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
}

static void give_up(struct weir_client *c, int code, const char *detail)
{
    client_log(c, WEIR_LOG_ERROR,
            "no producer id is given (%s): %s; nothing can be produced with "
            "enable.idempotence=true",
            errcode_name(code), detail[0] != '\0' ? detail : errcode_text(code));
    pthread_mutex_lock(&c->lock);
    c->fatal_code = code;
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
}

static bool read_id(struct bytes body, struct seq_id *ret)
{
    struct msg_init_producer_id_response m;
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(body.size));
    bool is_good = wire_decode_init_producer_id_response(body, &arena, &m) == 0 &&
                   m.producer_id >= 0 && m.producer_epoch >= 0 && m.producer_epoch <= SEQ_EPOCH_MAX;
    if (is_good) {
        *ret = (struct seq_id){.producer_id = m.producer_id, .epoch = (int16_t)m.producer_epoch};
    }
    arena_deinit(&arena);
    return is_good;
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct question *q = ctx;
    struct weir_client *c = q->client;
    struct link *l = q->link;
    struct seq_id id;

    mem_free(q);
    c->id_quest.is_asked = false;
    link_answered(l, reply);
    if (reply->error == ERRCODE_NONE && read_id(reply->body, &id)) {
        got_id(c, &id);
    } else if (reply->frame != NULL && reply->error == ERRCODE_UNSUPPORTED_VERSION &&
               !c->settings.insists_on_idempotence && c->acc.id.producer_id == SEQ_ID_NONE) {
        go_without(c);
    } else if (reply->frame != NULL && reply->error != ERRCODE_NONE &&
               !code_retriable(reply->error)) {
        give_up(c, reply->error, reply->detail);
    } else {
        ask_later(c);
    }
}

void produce_id_work(struct weir_client *c, wtime now)
{
    pthread_mutex_lock(&c->lock);
    bool is_wanted = wants_id(c);
    pthread_mutex_unlock(&c->lock);
    if (!is_wanted || c->id_quest.is_asked || now < c->id_quest.not_before) {
        return;
    }
    struct link *l = link_get_any(c, now);
    if (l == NULL) {
        return;
    }
    struct msg_init_producer_id_request m = {
            .transactional_id = "", .producer_id = SEQ_ID_NONE, .producer_epoch = -1};
    struct rpc_out *out = rpc_out_new();
    struct question *q = mem_new(struct question);
    *q = (struct question){.client = c, .link = l};
    c->id_quest.is_asked = true;
    wire_encode_init_producer_id_request(&m, rpc_out_buf(out));
    link_call(l, API_INIT_PRODUCER_ID, c->settings.request_timeout_ms, out, on_answer, q);
}

wtime produce_id_deadline(const struct weir_client *c, wtime now)
{
    const struct id_quest *q = &c->id_quest;

    return wants_id(c) && !q->is_asked && q->not_before > now ? q->not_before : WTIME_NEVER;
}
