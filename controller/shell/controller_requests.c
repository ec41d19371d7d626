/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller_internal.h"

#include "common/obs/log.h"

static const char unknown_text[] =
        "the active controller changed while this was being written; look whether it took effect";

/* --- Answers ----------------------------------------------------------------------------------- */

static void reply_end(struct controller *c,
        struct waiting_reply *w,
        const struct ctl_reply *reply,
        uint64_t index)
{
    STAILQ_REMOVE(&c->replies, w, waiting_reply, entry);
    w->fn(w->ctx, reply, index);
    arena_deinit(&w->arena);
    mem_free(w);
}

static struct waiting_reply *find_reply(struct controller *c, uint64_t request)
{
    struct waiting_reply *w = NULL;

    STAILQ_FOREACH(w, &c->replies, entry)
    {
        if (w->request == request) {
            return w;
        }
    }
    return NULL;
}

static void fail_reply(struct controller *c, struct waiting_reply *w)
{
    const struct ctl_reply reply = {
            .request = w->request, .error = ERRCODE_REQUEST_TIMED_OUT, .detail = unknown_text};

    reply_end(c, w, &reply, image_position(meta_log_image(c->log)).index);
}

void controller_fail_held(struct controller *c)
{
    struct waiting_reply *w = STAILQ_FIRST(&c->replies), *next = NULL;

    for (; w != NULL; w = next) {
        next = STAILQ_NEXT(w, entry);
        if (w->is_held) {
            fail_reply(c, w);
        }
    }
}

/* An answer leaves only when the records it rests on are committed. */
static void execute_reply(struct controller *c, const struct ctl_reply *reply, bool was_dropped)
{
    struct waiting_reply *w = find_reply(c, reply->request);

    if (w == NULL) {
        return;
    }
    if (reply->after_seq == 0 || (reply->after_seq <= c->committed_seq && !was_dropped)) {
        reply_end(c, w, reply, image_position(meta_log_image(c->log)).index);
    } else if (was_dropped) {
        const struct ctl_reply refusal = {.request = w->request,
                .error = ERRCODE_NOT_CONTROLLER,
                .detail = "this controller is not active any more; ask the active one"};
        reply_end(c, w, &refusal, 0);
    } else {
        w->is_held = true;
        w->reply = ctl_reply_copy(reply, &w->arena);
    }
}

void controller_on_committed(struct controller *c, uint64_t index, uint64_t last_seq)
{
    struct ctl_event ev = {.kind = CTL_EV_COMMITTED, .committed_seq = last_seq};
    struct waiting_reply *w = STAILQ_FIRST(&c->replies), *next = NULL;

    c->committed_seq = last_seq;
    controller_push_event(c, &ev);
    for (; w != NULL; w = next) {
        next = STAILQ_NEXT(w, entry);
        if (w->is_held && w->reply.after_seq <= last_seq) {
            reply_end(c, w, &w->reply, index);
        }
    }
    controller_handover_on_committed(c);
}

#define FX_FOREACH(it, fx)                                                                         \
    for (struct ctl_fx_item *it = (fx)->items; it < (fx)->items + (fx)->n; it++)

/* --- Events and effects ------------------------------------------------------------------------ */

static void execute(struct controller *c)
{
    bool may_append = c->log_epoch != 0 && c->log_epoch == c->core_epoch;

    FX_FOREACH (fx, &c->fx) {
        switch (fx->kind) {
        case CTL_FX_APPEND:
            if (may_append) {
                c->appended_seq = fx->append.records[fx->append.n - 1].seq;
                meta_log_append(c->log, fx->append.records, fx->append.n);
            }
            break;
        case CTL_FX_ASK_ENDS:
            if (may_append) {
                controller_ask_ends(c, fx);
            }
            break;
        case CTL_FX_ASK_SIZES:
            if (may_append) {
                controller_survey_sizes(c, NULL, NULL);
            }
            break;
        case CTL_FX_REPLY: execute_reply(c, &fx->reply, !may_append); break;
        }
    }
}

static void step(struct controller *c, struct ctl_event *ev)
{
    ev->now = loop_now(c->loop);
    ev->wall = clock_wall();
    if (ev->kind == CTL_EV_ELECTED) {
        if (ev->elected.ctl_epoch != c->log_epoch) {
            return; /* lost again before its turn; its DEPOSED is behind it */
        }
        ev->elected.image = meta_log_image(c->log);
        ev->elected.last_seq = image_position(ev->elected.image).last_seq;
        c->core_epoch = ev->elected.ctl_epoch;
        c->committed_seq = c->appended_seq = ev->elected.last_seq;
    }
    ctl_step(c->core, ev, &c->fx);
    execute(c);
    if (ev->kind == CTL_EV_DEPOSED) {
        c->core_epoch = 0;
    }
}

static void drain(void *ctx)
{
    struct controller *c = ctx;
    struct queued_event *e = NULL;

    claim_check(c->claim); /* [ZK-25] What was queued before a stop of the process is decided by nobody. */
    while (!c->is_holding && (e = event_queue_pop(&c->events)) != NULL) {
        step(c, &e->ev);
        queued_event_free(e);
    }
    timer_set(&c->tick, ctl_deadline(c->core));
}

static void on_tick(void *ctx)
{
    struct ctl_event ev = {.kind = CTL_EV_TICK};

    controller_push_event(ctx, &ev);
}

void controller_release(struct controller *c)
{
    c->is_holding = false;
    timer_set(&c->kick, 0);
}

void controller_push_event(struct controller *c, struct ctl_event *ev)
{
    event_queue_push(&c->events, ev);
    timer_set(&c->kick, 0);
}

void controller_submit(
        struct controller *c, const struct ctl_event *ev, controller_reply_fn *fn, void *ctx)
{
    struct waiting_reply *w = mem_new(struct waiting_reply);
    struct ctl_event own = *ev;

    w->request = own.request = ++c->last_request;
    w->fn = fn;
    w->ctx = ctx;
    arena_init(&w->arena, 0);
    STAILQ_INSERT_TAIL(&c->replies, w, entry);
    controller_push_event(c, &own);
}

/* --- Acks -------------------------------------------------------------------------------------- */

static void acks_end(struct controller *c, struct waiting_acks *w, bool all)
{
    STAILQ_REMOVE(&c->ack_waiters, w, waiting_acks, entry);
    w->fn(w->ctx, all);
    array_deinit(&w->brokers);
    mem_free(w);
}

static bool all_applied(const struct controller *c, const struct waiting_acks *w)
{
    for (size_t i = 0; i < w->brokers.n; i++) {
        if (!broker_links_has_applied(c->links, w->brokers.items[i], w->index)) {
            return false;
        }
    }
    return true;
}

static void look_at_acks(void *ctx)
{
    struct controller *c = ctx;
    wtime now = clock_now(), deadline = WTIME_NEVER;
    struct waiting_acks *w = STAILQ_FIRST(&c->ack_waiters), *next = NULL;

    for (; w != NULL; w = next) {
        next = STAILQ_NEXT(w, entry);
        if (all_applied(c, w)) {
            acks_end(c, w, true);
        } else if (wtime_due(w->deadline, now)) {
            acks_end(c, w, false);
        } else {
            deadline = wtime_min(deadline, w->deadline);
        }
    }
    timer_set(&c->acks, deadline);
}

void controller_on_acked(struct controller *c)
{
    if (!STAILQ_EMPTY(&c->ack_waiters)) {
        timer_set(&c->acks, 0);
    }
}

void controller_wait_acks(struct controller *c,
        uint64_t index,
        const broker_id *brokers,
        size_t n_brokers,
        wtime timeout,
        controller_acks_fn *fn,
        void *ctx)
{
    struct waiting_acks *w = mem_new(struct waiting_acks);

    w->index = index;
    w->deadline = wtime_add(clock_now(), timeout);
    w->fn = fn;
    w->ctx = ctx;
    for (size_t i = 0; i < n_brokers; i++) {
        *array_push(&w->brokers) = brokers[i];
    }
    STAILQ_INSERT_TAIL(&c->ack_waiters, w, entry);
    timer_set(&c->acks, 0);
}

/* --- Life -------------------------------------------------------------------------------------- */

void controller_requests_init(struct controller *c)
{
    STAILQ_INIT(&c->replies);
    STAILQ_INIT(&c->ack_waiters);
    event_queue_init(&c->events);
    timer_init(&c->kick, c->loop, drain, c);
    timer_init(&c->tick, c->loop, on_tick, c);
    timer_init(&c->acks, c->loop, look_at_acks, c);
}

void controller_requests_deinit(struct controller *c)
{
    while (!STAILQ_EMPTY(&c->replies)) {
        fail_reply(c, STAILQ_FIRST(&c->replies));
    }
    while (!STAILQ_EMPTY(&c->ack_waiters)) {
        acks_end(c, STAILQ_FIRST(&c->ack_waiters), false);
    }
    event_queue_deinit(&c->events);
    timer_deinit(&c->kick);
    timer_deinit(&c->tick);
    timer_deinit(&c->acks);
}
