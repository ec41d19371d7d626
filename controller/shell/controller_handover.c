/* SPDX-License-Identifier: Apache-2.0 */
#include "common/obs/log.h"
#include "controller/core/succession.h"
#include "controller/shell/controller_internal.h"
#include "controller/shell/survey.h"

#include <stdio.h>

/* [ZK-24] Handing over, from the active controller's side:
 *
 *  asking ─► finishing ─► named ─► lost ─► told
 *    │          │           │ no successor in time: the name is taken back
 *    └──────────┴───────────┴─► told why not
 *
 * What is being committed is finished before a successor is named, and events for the core wait from then on, so that a
 * transfer in good order costs nobody an answer of unknown outcome. The node of the active controller never goes away:
 * the successor replaces it in the multi that raises the epoch. */
enum handover_state {
    HANDOVER_ASKING,    /* whether the standbys are ready, and whom they reach */
    HANDOVER_FINISHING, /* commits that are under way */
    HANDOVER_NAMED,     /* the successor stands in /weir/controller */
    HANDOVER_LOST,      /* somebody took over; who, is being read */
    HANDOVER_TELLING,
};

#define FINISH_MAX WTIME_S(2)
#define NAMED_MAX  WTIME_S(3)
#define LOST_MAX   WTIME_S(3)
#define REACH_MAX  WTIME_MS(500)

struct handover {
    LIST_ENTRY(handover) entry;
    struct controller *c;
    enum handover_state state;
    struct timer timer;
    uint64_t epoch; /* of the term that ends */
    int32_t asked_to;
    struct controller_transfer result;
    char detail[320];
    controller_transfer_fn *fn; /* NULL = for the silence of brokers: nobody waits */
    void *ctx;

    struct survey *survey;
    struct survey_answer *answers;
    size_t n_answers;
    struct reach *own; /* for silence only: whom we reach ourselves */
    bool is_surveyed;
    size_t n_own_reached;
};

/* --- The end ----------------------------------------------------------------------------------- */

static void tell(struct handover *h)
{
    controller_transfer_fn *fn = h->fn;

    LIST_REMOVE(h, entry);
    survey_cancel(h->survey);
    reach_cancel(h->own);
    timer_deinit(&h->timer);
    h->result.detail = h->detail;
    if (fn != NULL) {
        fn(h->ctx, &h->result);
    }
    mem_free(h->answers);
    mem_free(h);
}

/* In a turn of its own. */
static void end(struct handover *h, enum controller_transfer_end end, const char *detail)
{
    struct controller *c = h->c;

    h->state = HANDOVER_TELLING;
    h->result.end = end;
    (void)snprintf(h->detail, sizeof(h->detail), "%s", detail);
    if (c->handover == h) {
        c->handover = NULL;
        if (c->is_holding) {
            controller_release(c);
        }
        log_info("handover", end == TRANSFER_DONE ? "handed_over" : "not_handed_over",
                KV_I64("to", h->result.to), KV_U64("ctl_epoch", h->result.epoch),
                KV_STR("detail", detail));
    }
    timer_set(&h->timer, 0);
}

/* --- Finishing and naming ---------------------------------------------------------------------- */

static void name(struct handover *h)
{
    h->state = HANDOVER_NAMED;
    timer_set(&h->timer, wtime_add(clock_now(), NAMED_MAX));
    claim_name_successor(h->c->claim, &h->result.to);
}

static void finish(struct handover *h, int32_t to)
{
    struct controller *c = h->c;

    h->state = HANDOVER_FINISHING;
    h->result.to = to;
    c->is_holding = true;
    log_warn("handover", "handing_over", KV_I64("to", to), KV_U64("ctl_epoch", h->epoch));
    timer_set(&h->timer, wtime_add(clock_now(), FINISH_MAX));
    controller_handover_on_committed(c);
}

static void on_timer(void *ctx)
{
    struct handover *h = ctx;
    char text[256];

    switch (h->state) {
    case HANDOVER_ASKING: must_not_reach("a survey that has no end");
    case HANDOVER_FINISHING:
        end(h, TRANSFER_TIMED_OUT,
                "what is being written did not end within 2 s: ZooKeeper is slow or away");
        return;
    case HANDOVER_NAMED:
        claim_name_successor(h->c->claim, NULL);
        (void)snprintf(text, sizeof(text),
                "controller %d did not take over within 3 s, so controller %d stays active; the "
                "log of controller %d says why",
                (int)h->result.to, (int)h->result.from, (int)h->result.to);
        end(h, TRANSFER_TIMED_OUT, text);
        return;
    case HANDOVER_LOST:
        end(h, TRANSFER_TIMED_OUT,
                "this controller is not active any more, and which one is, is not known");
        return;
    case HANDOVER_TELLING: tell(h); return;
    }
}

/* --- Asking ------------------------------------------------------------------------------------ */

static void log_answers(const struct handover *h)
{
    for (size_t i = 0; i < h->n_answers; i++) {
        const struct survey_answer *a = &h->answers[i];
        log_info("handover", "standby_asked", KV_I64("standby", a->standby.id),
                KV_STR("ready", a->standby.is_ready ? "yes" : "no"),
                KV_U64("reached", a->standby.n_reached), KV_STR("detail", a->detail));
    }
}

static void refuse_not_ready(struct handover *h)
{
    char text[320];
    const struct survey_answer *first = &h->answers[0];

    (void)snprintf(text, sizeof(text), "%scontroller %d is not ready: %s",
            h->n_answers > 1 ? "no standby is ready; " : "", (int)first->standby.id,
            first->detail);
    end(h, TRANSFER_NOT_READY, text);
}

static void decide(struct handover *h)
{
    bool is_for_silence = h->fn == NULL;
    struct succession_standby *standbys = NULL;
    int32_t to = SUCCESSION_NONE;

    if (!h->is_surveyed || h->own != NULL) {
        return;
    }
    log_answers(h);
    standbys = mem_new_n(struct succession_standby, h->n_answers + 1);
    for (size_t i = 0; i < h->n_answers; i++) {
        standbys[i] = h->answers[i].standby;
    }
    /* [ZK-26] Only to one that reaches more: two that reach the same do not take turns. */
    to = succession_choose(standbys, h->n_answers, is_for_silence ? h->n_own_reached + 1 : 0);
    mem_free(standbys);
    if (to != SUCCESSION_NONE) {
        finish(h, to);
    } else if (is_for_silence) {
        end(h, TRANSFER_NOT_READY, "no standby that is ready reaches more brokers than this one");
    } else {
        refuse_not_ready(h);
    }
}

static void on_survey(void *ctx, const struct survey_answer *answers, size_t n)
{
    struct handover *h = ctx;

    h->survey = NULL;
    h->is_surveyed = true;
    h->answers = mem_new_n(struct survey_answer, n + 1);
    h->n_answers = n;
    for (size_t i = 0; i < n; i++) {
        h->answers[i] = answers[i];
    }
    decide(h);
}

static void on_own_reach(void *ctx, const struct reach_result *result)
{
    struct handover *h = ctx;

    h->own = NULL;
    h->n_own_reached = result->reached.n;
    log_info("handover", "own_reach", KV_U64("reached", result->reached.n),
            KV_U64("not_reached", result->missed.n));
    decide(h);
}

/* The standbys, or only the one that is asked for. Returns how many. */
static size_t list_standbys(const struct controller *c, int32_t only, struct survey_target *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < c->candidates.n; i++) {
        const struct msg_candidate *m = &c->candidates.items[i].value;
        bool is_meant = only == SUCCESSION_NONE || m->controller_id == only;
        if (is_meant && m->controller_id != c->options.id &&
                (n == 0 || ret[n - 1].id != m->controller_id)) {
            ret[n++] = (struct survey_target){.id = m->controller_id, .url = m->http};
        }
    }
    return n;
}

static struct handover *handover_new(struct controller *c, int32_t to)
{
    struct handover *h = mem_new(struct handover);

    h->c = c;
    h->asked_to = to;
    h->epoch = c->log_epoch;
    h->result = (struct controller_transfer){.from = c->options.id, .to = to};
    timer_init(&h->timer, c->loop, on_timer, h);
    LIST_INSERT_HEAD(&c->handovers, h, entry);
    return h;
}

/* Asks, or ends with the reason why not. */
static void ask(struct handover *h)
{
    struct controller *c = h->c;
    struct survey_target *targets = mem_new_n(struct survey_target, c->candidates.n + 1);
    size_t n = list_standbys(c, h->asked_to, targets);

    if (!controller_is_active(c)) {
        end(h, TRANSFER_NOT_ACTIVE, "this controller is not active");
    } else if (h->asked_to == c->options.id) {
        end(h, TRANSFER_ALREADY, "");
    } else if (c->handover != NULL) {
        end(h, TRANSFER_BUSY, "");
    } else if (n == 0) {
        end(h, h->asked_to == SUCCESSION_NONE ? TRANSFER_NO_STANDBY : TRANSFER_UNKNOWN, "");
    } else {
        c->handover = h;
        h->survey = survey_start(c->loop, c->resolver, targets, n, on_survey, h);
    }
    mem_free(targets);
}

void controller_transfer(struct controller *c,
        int32_t to,
        const char *actor,
        const char *reason,
        controller_transfer_fn *fn,
        void *ctx)
{
    struct handover *h = handover_new(c, to);

    h->fn = fn;
    h->ctx = ctx;
    log_info("handover", "transfer_asked", KV_I64("to", to), KV_STR("actor", actor),
            KV_STR("reason", reason));
    ask(h);
}

static bool has_standby(const struct controller *c)
{
    for (size_t i = 0; i < c->candidates.n; i++) {
        if (c->candidates.items[i].value.controller_id != c->options.id) {
            return true;
        }
    }
    return false;
}

void controller_consider_handover(struct controller *c, size_t n_silent, size_t n_brokers)
{
    wtime now = clock_now();
    struct handover *h = NULL;

    if (c->handover != NULL || now < c->next_survey || !has_standby(c)) {
        return;
    }
    c->next_survey = wtime_add(now, 3 * c->options.broker_timeout); /* [ZK-26] not in a hurry */
    h = handover_new(c, SUCCESSION_NONE);
    log_warn("handover", "standbys_asked", KV_U64("silent", n_silent), KV_U64("brokers", n_brokers),
            KV_STR("reason", "most brokers are silent: a standby may reach more of them"));
    ask(h);
    if (c->handover == h) {
        h->own = reach_start(c->loop, c->resolver, meta_log_image(c->log), c->listener, REACH_MAX,
                on_own_reach, h);
    }
}

/* --- What the other parts tell ----------------------------------------------------------------- */

void controller_handover_begin_term(struct controller *c)
{
    /* [ZK-26] Who has just taken over gives its own connections time first. */
    c->next_survey = wtime_add(clock_now(), 3 * c->options.broker_timeout);
}

void controller_handover_on_committed(struct controller *c)
{
    struct handover *h = c->handover;

    if (h != NULL && h->state == HANDOVER_FINISHING && c->committed_seq >= c->appended_seq) {
        name(h);
    }
}

void controller_handover_on_lost(struct controller *c)
{
    struct handover *h = c->handover;

    if (h == NULL) {
        return;
    }
    if (h->state == HANDOVER_NAMED) {
        h->state = HANDOVER_LOST;
        timer_set(&h->timer, wtime_add(clock_now(), LOST_MAX));
        controller_release(c);
    } else if (h->state != HANDOVER_LOST) {
        end(h, TRANSFER_NOT_ACTIVE, "this controller ceased to be active");
    }
}

void controller_handover_on_other(struct controller *c, const struct msg_active *active)
{
    struct handover *h = c->handover;

    if (h == NULL || h->state != HANDOVER_LOST || active->ctl_epoch <= h->epoch) {
        return;
    }
    h->result.epoch = active->ctl_epoch;
    if (active->controller_id == h->result.to) {
        end(h, TRANSFER_DONE, "");
    } else {
        h->result.to = active->controller_id;
        end(h, TRANSFER_OTHER, "another standby was faster");
    }
}

/* --- Whom we reach ----------------------------------------------------------------------------- */

static void reach_told(struct reach_request *r, const struct reach_result *result)
{
    struct controller *c = r->c;
    struct controller_reach told = {.reached = result->reached.items,
            .n_reached = result->reached.n,
            .missed = result->missed.items,
            .n_missed = result->missed.n,
            .detail = ""};

    if (controller_is_active(c)) {
        told.detail = "it is the active controller";
    } else if (!claim_is_candidate(c->claim)) {
        told.detail =
                "it is not connected to ZooKeeper, or its copy of the metadata log is not whole";
    }
    told.is_ready = told.detail[0] == '\0';
    LIST_REMOVE(r, entry);
    r->fn(r->ctx, &told);
    mem_free(r);
}

static void on_reach(void *ctx, const struct reach_result *result)
{
    struct reach_request *r = ctx;

    r->reach = NULL;
    reach_told(r, result);
}

void controller_reach(struct controller *c, controller_reach_fn *fn, void *ctx)
{
    struct reach_request *r = mem_new(struct reach_request);

    r->c = c;
    r->fn = fn;
    r->ctx = ctx;
    LIST_INSERT_HEAD(&c->reaches, r, entry);
    r->reach = reach_start(
            c->loop, c->resolver, meta_log_image(c->log), c->listener, REACH_MAX, on_reach, r);
}

void controller_handover_deinit(struct controller *c)
{
    const struct reach_result none = {0};

    while (!LIST_EMPTY(&c->reaches)) {
        struct reach_request *r = LIST_FIRST(&c->reaches);
        r->reach = reach_cancel(r->reach);
        reach_told(r, &none);
    }
    while (!LIST_EMPTY(&c->handovers)) {
        struct handover *h = LIST_FIRST(&c->handovers);
        if (h->state != HANDOVER_TELLING) {
            h->result.end = TRANSFER_NOT_ACTIVE;
            (void)snprintf(h->detail, sizeof(h->detail), "the process is stopping");
        }
        tell(h);
    }
    c->handover = NULL;
}
