/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/claim.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/zk/zk_paths.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* How often the silence of ZooKeeper is measured, and how long we stand back after having resigned. */
#define CLAIM_CHECK   WTIME_MS(100)
#define CLAIM_BACKOFF WTIME_MS(1000)

enum claim_state {
    CLAIM_IDLE,     /* no session */
    CLAIM_LOOKING,  /* reading who is active */
    CLAIM_WATCHING, /* somebody is, or we may not try */
    CLAIM_TRYING,   /* the multi is under way */
    CLAIM_JUDGING,  /* its outcome is unknown: sync and read */
    CLAIM_WON,
    CLAIM_RETIRED,
};

struct claim {
    struct loop *loop;
    struct zk *zk;
    struct claim_options options;
    enum claim_state state;
    bool eligible;
    uint64_t round; /* answers that belong to a former state are not ours */

    struct uuid nonce;
    uint64_t epoch, tried_epoch; /* won; being tried */
    bool is_taking_over;         /* what is tried follows one whose node stands */
    int32_t fence;
    bool watch_is_set;

    /* /weir/epoch as read in LOOKING. */
    bool seen_is_valid;
    uint64_t seen_epoch, told_epoch;
    int32_t seen_version;

    char *active_http;
    struct msg_active active;
    bool is_active_known;

    uint64_t dead_epoch; /* the term whose controller is dead by evidence; 0 = none */
    wtime turn;          /* when ours to follow it has come */
    bool is_overdue; /* may not act any more, though nobody was told yet */
    bool has_successor, is_successor_unwritten; /* while won: `active` names it */

    struct timer check, retry, register_again;
    bool candidate_told;
    wtime not_before;
    void (*retired)(void *ctx);
    void *retired_ctx;
};

struct claim_ask {
    struct claim *c;
    uint64_t round;
};

static void look(struct claim *c);
static void watch(struct claim *c);

static struct claim_ask *ask_new(struct claim *c)
{
    struct claim_ask *a = mem_new(struct claim_ask);

    a->c = c;
    a->round = c->round;
    return a;
}

/* Whether the answer is still wanted; frees the ask. */
static bool ask_end(struct claim_ask *a, struct claim **ret)
{
    bool is_ours = a->round == a->c->round;

    *ret = a->c;
    mem_free(a);
    return is_ours;
}

static void go(struct claim *c, enum claim_state state)
{
    c->state = state;
    c->round++;
}

static void look_later(struct claim *c, wtime delay)
{
    timer_set(&c->retry, wtime_add(clock_now(), delay));
}

static void forget_active(struct claim *c)
{
    c->active_http = mem_free(c->active_http);
    c->active = (struct msg_active){0};
    c->is_active_known = false;
}

static void remember_active(struct claim *c, struct bytes data)
{
    struct arena a;
    struct msg_active active = {0};

    forget_active(c);
    arena_init(&a, wire_arena_ceiling(data.size));
    if (wire_decode_active(data, &a, &active) == 0) {
        c->active_http = mem_strdup(active.http);
        c->active = active;
        c->active.http = c->active_http;
        c->is_active_known = true;
    } else {
        log_error("claim", "value_unreadable", KV_STR("path", ZK_PATH_CONTROLLER));
    }
    arena_deinit(&a);
}

/* --- Winning and losing ------------------------------------------------------------------------ */

static void won(struct claim *c, int32_t fence)
{
    go(c, CLAIM_WON);
    c->has_successor = c->is_successor_unwritten = c->is_overdue = false;
    c->epoch = c->tried_epoch;
    c->fence = fence;
    watch(c);
    log_info("claim", "election_won", KV_U64("ctl_epoch", c->epoch), KV_I64("fence", fence));
    c->options.on_won(c->options.ctx, c->epoch, fence);
}

/* Leaves WON; the caller chooses the next state. */
static void lost(struct claim *c, const char *why)
{
    if (c->state != CLAIM_WON) {
        return;
    }
    log_warn("claim", "leadership_lost", KV_STR("reason", why), KV_U64("ctl_epoch", c->epoch));
    go(c, CLAIM_WATCHING);
    c->epoch = 0;
    c->options.on_lost(c->options.ctx, why);
}

bool claim_may_act(struct claim *c)
{
    wtime patience = WTIME_MS(zk_session_timeout_ms(c->zk)) * 2 / 3;

    if (clock_now() - zk_last_heard(c->zk) > patience) { /* [ZK-25] */
        c->is_overdue = true;
    }
    return c->state == CLAIM_WON && !c->is_overdue;
}

/* [ZK-21] No word from ZooKeeper for two thirds of the session timeout, by our own clock: another may soon be active. */
void claim_check(struct claim *c)
{
    if (c->state == CLAIM_WON && !claim_may_act(c)) {
        lost(c, "ZooKeeper was silent for two thirds of the session timeout");
        look_later(c, 0);
    }
}

static void on_check(void *ctx)
{
    struct claim *c = ctx;

    timer_set(&c->check, wtime_add(clock_now(), CLAIM_CHECK));
    claim_check(c);
}

/* --- Trying ------------------------------------------------------------------------------------ */

struct judgement {
    struct claim *c;
    uint64_t round;
    bool epoch_is_mine;
    int32_t epoch_version;
};

static void on_judged_controller(
        void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct judgement *j = ctx;
    struct claim *c = j->c;
    bool is_ours = j->round == c->round;
    bool owner_is_me = rc == ZK_OK && stat->ephemeral_owner == zk_session_id(c->zk);
    bool epoch_is_mine = j->epoch_is_mine;
    int32_t version = j->epoch_version;

    mem_free(j);
    if (!is_ours) {
        return;
    }
    if (rc == ZK_UNKNOWN) { /* on_connection() asks again */
        return;
    }
    if (owner_is_me && epoch_is_mine) { /* [ZK-20] It had happened. */
        remember_active(c, data);
        won(c, version);
        return;
    }
    look(c);
}

static void on_judged_epoch(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct judgement *j = ctx;
    struct arena a;
    struct msg_epoch epoch = {0};

    arena_init(&a, wire_arena_ceiling(data.size));
    if (rc == ZK_OK && wire_decode_epoch(data, &a, &epoch) == 0) {
        j->epoch_is_mine = epoch.ctl_epoch == j->c->tried_epoch &&
                           epoch.controller_id == j->c->options.controller_id &&
                           uuid_equal(&epoch.nonce, &j->c->nonce);
        j->epoch_version = stat->version;
    }
    arena_deinit(&a);
}

static void on_judged_sync(void *ctx, enum zk_rc rc)
{
    /* [ZK-8] The reads behind it on this connection see what the quorum had. */
}

static void judge(struct claim *c)
{
    struct judgement *j = mem_new(struct judgement);

    go(c, CLAIM_JUDGING);
    j->c = c;
    j->round = c->round;
    zk_sync(c->zk, ZK_PATH_EPOCH, on_judged_sync, NULL);
    zk_get(c->zk, ZK_PATH_EPOCH, NULL, on_judged_epoch, j);
    zk_get(c->zk, ZK_PATH_CONTROLLER, NULL, on_judged_controller, j);
}

static void on_tried(void *ctx, enum zk_rc rc, int failed)
{
    struct claim *c = NULL;

    if (!ask_end(ctx, &c)) {
        return;
    }
    if (rc == ZK_NO_NODE && c->is_taking_over && failed == 0) {
        look(c); /* the dead one's node went with its session meanwhile */
        return;
    }
    switch (rc) {
    case ZK_OK: won(c, c->fence + 1); break; /* a set adds exactly one */
    case ZK_UNKNOWN: judge(c); break;
    case ZK_NODE_EXISTS:
    case ZK_BAD_VERSION: look(c); break; /* another was faster */
    case ZK_NO_NODE:
    case ZK_NOT_EMPTY:
    case ZK_NO_AUTH:
    case ZK_REFUSED:
        log_error("claim", "election_refused", KV_STR("detail", zk_rc_text(rc)));
        go(c, CLAIM_WATCHING);
        look_later(c, CLAIM_BACKOFF);
        break;
    }
}

/* What we are as the active controller of the next term. */
static void become_active(struct claim *c, uint64_t epoch)
{
    must(getrandom(&c->nonce, sizeof(c->nonce), 0) == (ssize_t)sizeof(c->nonce));
    c->tried_epoch = epoch + 1;
    forget_active(c);
    c->active_http = mem_strdup(c->options.http);
    c->active = (struct msg_active){.ctl_epoch = c->tried_epoch,
            .controller_id = c->options.controller_id,
            .nonce = c->nonce,
            .http = c->active_http,
            .since = clock_wall()};
    c->is_active_known = true;
}

/* [ZK-23] A take-over deletes the node of the one that is followed in front of the two operations of an election. A
 * fresh ephemeral always has version 0, so that version proves little: the guard is the set of the epoch. */
static void try(struct claim *c, const int32_t *version_of_dead)
{
    struct msg_epoch next = {.controller_id = c->options.controller_id};
    struct buf epoch_value = {0}, active_value = {0};
    struct zk_op ops[3] = {{0}};
    int n = 0;

    become_active(c, c->seen_epoch);
    next.ctl_epoch = c->tried_epoch;
    next.nonce = c->nonce;
    c->fence = c->seen_version;
    c->is_taking_over = version_of_dead != NULL;
    wire_encode_epoch(&next, &epoch_value);
    wire_encode_active(&c->active, &active_value);
    if (version_of_dead != NULL) {
        ops[n++] = (struct zk_op){.kind = ZK_OP_DELETE,
                .path = ZK_PATH_CONTROLLER,
                .version = *version_of_dead};
    }
    ops[n++] = (struct zk_op){.kind = ZK_OP_CREATE,
            .path = ZK_PATH_CONTROLLER,
            .data = {.at = active_value.data, .size = active_value.size},
            .flags = ZK_EPHEMERAL};
    ops[n++] = (struct zk_op){.kind = ZK_OP_SET,
            .path = ZK_PATH_EPOCH,
            .data = {.at = epoch_value.data, .size = epoch_value.size},
            .version = c->seen_version};
    go(c, CLAIM_TRYING);
    zk_multi(c->zk, ops, n, on_tried, ask_new(c));
    buf_deinit(&epoch_value);
    buf_deinit(&active_value);
}

/* --- Looking ----------------------------------------------------------------------------------- */

/* Read in front of /weir/controller: whoever was elected since then has raised the version. */
static void on_epoch(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct claim *c = NULL;
    struct arena a;
    struct msg_epoch epoch = {0};
    bool is_ours = ask_end(ctx, &c);

    if (!is_ours) {
        return;
    }
    c->seen_is_valid = false;
    arena_init(&a, wire_arena_ceiling(data.size));
    if (rc == ZK_OK && wire_decode_epoch(data, &a, &epoch) == 0) {
        c->seen_is_valid = true;
        c->seen_epoch = epoch.ctl_epoch;
        c->seen_version = stat->version;
    } else if (rc != ZK_UNKNOWN) {
        log_error("claim", "value_unreadable", KV_STR("path", ZK_PATH_EPOCH),
                KV_STR("detail", zk_rc_text(rc)));
    }
    arena_deinit(&a);
}

static void on_own_deleted(void *ctx, enum zk_rc rc, int failed)
{
    struct claim *c = NULL;

    if (ask_end(ctx, &c) && rc != ZK_UNKNOWN) {
        look(c);
    }
}

/* Left over from a claim of this session that we gave up. */
static void delete_own(struct claim *c)
{
    const struct zk_op ops[2] = {
            {.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = c->seen_version},
            {.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLER, .version = -1},
    };

    zk_multi(c->zk, ops, 2, on_own_deleted, ask_new(c));
}

/* Looks again when it is ours to follow; a little later when that was tried just now. */
static void look_at_turn(struct claim *c)
{
    wtime now = clock_now();
    wtime at = wtime_max(c->turn, c->not_before);

    timer_set(&c->retry, at > now ? at : wtime_add(now, CLAIM_CHECK));
}

static void stand_by(struct claim *c)
{
    bool is_news = c->active.ctl_epoch != c->told_epoch;

    go(c, CLAIM_WATCHING);
    if (c->dead_epoch == c->active.ctl_epoch && c->eligible) {
        look_at_turn(c);
    }
    if (is_news) {
        c->told_epoch = c->active.ctl_epoch;
        log_info("claim", "standing_by", KV_I64("active", c->active.controller_id),
                KV_U64("ctl_epoch", c->active.ctl_epoch));
    }
    c->options.on_other(c->options.ctx, &c->active);
}

/* Whether the one that is active is to be followed now, although its node stands. */
static bool may_take_over(const struct claim *c)
{
    wtime now = clock_now();
    /* [ZK-24] */
    bool is_named = c->active.has_successor && c->active.successor == c->options.controller_id;
    /* [ZK-23] */
    bool is_dead = c->dead_epoch == c->active.ctl_epoch && now >= c->turn;

    return (is_named || is_dead) && c->eligible && c->seen_is_valid && now >= c->not_before &&
           c->is_active_known && c->seen_epoch == c->active.ctl_epoch;
}

static void take_over(struct claim *c, int32_t version)
{
    log_warn("claim", "taking_over", KV_I64("active", c->active.controller_id),
            KV_U64("ctl_epoch", c->active.ctl_epoch),
            KV_STR("reason", c->active.has_successor ? "it named this controller its successor"
                                                     : "its process is dead"));
    try(c, &version);
}

static void on_controller(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct claim *c = NULL;

    if (!ask_end(ctx, &c) || rc == ZK_UNKNOWN) {
        return;
    }
    if (rc == ZK_OK && stat->ephemeral_owner != zk_session_id(c->zk)) { /* [ZK-13] */
        remember_active(c, data);
        if (may_take_over(c)) {
            take_over(c, stat->version);
        } else {
            stand_by(c);
        }
        return;
    }
    forget_active(c);
    if (!c->seen_is_valid) {
        go(c, CLAIM_WATCHING);
        look_later(c, CLAIM_BACKOFF);
    } else if (rc == ZK_OK) {
        delete_own(c);
    } else if (rc != ZK_NO_NODE || !c->eligible) {
        go(c, CLAIM_WATCHING);
    } else if (clock_now() < c->not_before) {
        go(c, CLAIM_WATCHING);
        timer_set(&c->retry, c->not_before);
    } else {
        try(c, NULL);
    }
}

static void on_own_seen(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct claim *c = NULL;

    if (!ask_end(ctx, &c) || rc == ZK_UNKNOWN) {
        return;
    }
    if (rc != ZK_OK || stat->ephemeral_owner != zk_session_id(c->zk)) {
        lost(c, c->has_successor
                        ? "it was handed over to the successor that this controller named"
                        : "another took the node of the active controller, or a person deleted it");
        look_later(c, 0);
    }
}

static void on_watch(void *ctx)
{
    struct claim *c = ctx;

    c->watch_is_set = false;
    if (c->state == CLAIM_WATCHING || c->state == CLAIM_LOOKING) {
        look(c);
    } else if (c->state == CLAIM_WON) {
        watch(c);
        zk_get(c->zk, ZK_PATH_CONTROLLER, NULL, on_own_seen, ask_new(c));
    }
}

static void on_watch_set(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    struct claim *c = ctx;

    if (rc != ZK_OK && rc != ZK_NO_NODE) {
        c->watch_is_set = false;
    }
}

static void watch(struct claim *c)
{
    if (!c->watch_is_set) {
        c->watch_is_set = true;
        zk_exists(c->zk, ZK_PATH_CONTROLLER, on_watch, on_watch_set, c);
    }
}

static void look(struct claim *c)
{
    if (c->state == CLAIM_IDLE || c->state == CLAIM_RETIRED || c->state == CLAIM_WON) {
        return;
    }
    go(c, CLAIM_LOOKING);
    watch(c);
    zk_get(c->zk, ZK_PATH_EPOCH, NULL, on_epoch, ask_new(c));
    zk_get(c->zk, ZK_PATH_CONTROLLER, NULL, on_controller, ask_new(c));
}

static void on_retry(void *ctx)
{
    struct claim *c = ctx;

    if (c->state == CLAIM_WATCHING || c->state == CLAIM_LOOKING) {
        look(c);
    }
}

/* --- Followed by whom -------------------------------------------------------------------------- */

void claim_set_evidence(struct claim *c, uint64_t ctl_epoch, bool is_dead, wtime turn)
{
    if (!is_dead) {
        c->dead_epoch = c->dead_epoch == ctl_epoch ? 0 : c->dead_epoch;
        return;
    }
    c->dead_epoch = ctl_epoch;
    c->turn = turn;
    if (c->state == CLAIM_WATCHING) {
        timer_set(&c->retry, wtime_max(turn, c->not_before));
    }
}

static void on_successor_written(void *ctx, enum zk_rc rc, int failed)
{
    struct claim *c = NULL;

    if (ask_end(ctx, &c) && rc == ZK_UNKNOWN) {
        c->is_successor_unwritten = true; /* on_connection() writes again */
    }
}

/* Under the fence: in a term that is over it changes nobody's node. */
static void write_successor(struct claim *c)
{
    struct buf value = {0};
    struct zk_op ops[2] = {
            {.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = c->fence},
            {.kind = ZK_OP_SET, .path = ZK_PATH_CONTROLLER, .version = -1},
    };

    c->is_successor_unwritten = false;
    wire_encode_active(&c->active, &value);
    ops[1].data = (struct bytes){.at = value.data, .size = value.size};
    zk_multi(c->zk, ops, 2, on_successor_written, ask_new(c));
    buf_deinit(&value);
}

void claim_name_successor(struct claim *c, const int32_t *id)
{
    if (c->state != CLAIM_WON || (id == NULL && !c->has_successor)) {
        return;
    }
    c->has_successor = c->active.has_successor = id != NULL;
    c->active.successor = id != NULL ? *id : 0;
    write_successor(c);
}

/* --- Candidates -------------------------------------------------------------------------------- */

static void on_candidate_seen(
        void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct claim *c = ctx;

    if (rc == ZK_UNKNOWN || (rc == ZK_OK && stat->ephemeral_owner == zk_session_id(c->zk))) {
        return; /* ours, or on_connection() looks again */
    }
    if (!c->candidate_told) {
        c->candidate_told = true;
        log_warn("claim", "candidate_exists", KV_I64("controller", c->options.controller_id),
                KV_STR("detail", "a former run of this controller is still registered, or "
                                 "another controller has the same controller.id"));
    }
    timer_set(&c->register_again, wtime_add(clock_now(), CLAIM_BACKOFF));
}

static void on_candidate(void *ctx, enum zk_rc rc)
{
    struct claim *c = ctx;

    if (rc == ZK_NODE_EXISTS) {
        char *path = mem_format("%s/%d", ZK_PATH_CONTROLLERS, (int)c->options.controller_id);
        zk_get(c->zk, path, NULL, on_candidate_seen, c);
        mem_free(path);
    } else if (rc == ZK_OK) {
        c->candidate_told = false;
    }
}

static void register_candidate(struct claim *c)
{
    struct msg_candidate m = {.controller_id = c->options.controller_id,
            .http = c->options.http,
            .version = WEIR_VERSION,
            .feature_level = META_FEATURE_LEVEL};
    struct buf value = {0};
    char *path = mem_format("%s/%d", ZK_PATH_CONTROLLERS, (int)c->options.controller_id);

    wire_encode_candidate(&m, &value);
    zk_create(c->zk, path, (struct bytes){.at = value.data, .size = value.size}, ZK_EPHEMERAL,
            on_candidate, c);
    mem_free(path);
    buf_deinit(&value);
}

static void on_register_again(void *ctx)
{
    struct claim *c = ctx;

    if (c->state != CLAIM_IDLE && c->state != CLAIM_RETIRED) {
        register_candidate(c);
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

struct claim *claim_new(struct loop *loop, struct zk *zk, const struct claim_options *options)
{
    struct claim *c = mem_new(struct claim);

    c->loop = loop;
    c->zk = zk;
    c->options = *options;
    timer_init(&c->check, loop, on_check, c);
    timer_init(&c->retry, loop, on_retry, c);
    timer_init(&c->register_again, loop, on_register_again, c);
    timer_set(&c->check, wtime_add(clock_now(), CLAIM_CHECK));
    return c;
}

struct claim *claim_free(struct claim *c)
{
    if (c == NULL) {
        return NULL;
    }
    timer_deinit(&c->check);
    timer_deinit(&c->retry);
    timer_deinit(&c->register_again);
    forget_active(c);
    return mem_free(c);
}

void claim_on_session(struct claim *c)
{
    if (c->state == CLAIM_RETIRED) {
        return;
    }
    c->watch_is_set = false;
    go(c, CLAIM_WATCHING);
    register_candidate(c);
    look(c);
}

void claim_on_session_lost(struct claim *c)
{
    lost(c, "the ZooKeeper session ended");
    forget_active(c);
    c->dead_epoch = 0; /* the watch that found it ends, and could not withdraw it any more */
    if (c->state != CLAIM_RETIRED) {
        go(c, CLAIM_IDLE);
    }
}

void claim_on_connection(struct claim *c, bool connected)
{
    if (!connected) {
        return;
    }
    on_register_again(c);
    if (c->state == CLAIM_JUDGING) {
        judge(c);
    } else if (c->state == CLAIM_WON && c->is_successor_unwritten) {
        write_successor(c);
    } else if (c->state == CLAIM_LOOKING || c->state == CLAIM_WATCHING) {
        look(c);
    }
}

void claim_set_eligible(struct claim *c, bool eligible)
{
    bool is_news = c->eligible != eligible;

    c->eligible = eligible;
    if (is_news && eligible && c->state == CLAIM_WATCHING) {
        look(c);
    }
}

/* Who resigns stands back for a random while, so that another controller, if there is one, takes over. */
static wtime stand_back(void)
{
    uint32_t random = 0;

    must(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random));
    return CLAIM_BACKOFF / 2 + (wtime)(random % (uint32_t)(CLAIM_BACKOFF / 2));
}

static void on_given_back(void *ctx, enum zk_rc rc, int failed)
{
    struct claim *c = ctx;

    if (c->retired != NULL) {
        void (*done)(void *) = c->retired;
        c->retired = NULL;
        done(c->retired_ctx);
    } else {
        look_later(c, 0);
    }
}

static void give_back(struct claim *c, int32_t fence)
{
    const struct zk_op ops[2] = {
            {.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = fence},
            {.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLER, .version = -1},
    };

    zk_multi(c->zk, ops, 2, on_given_back, c);
}

void claim_resign(struct claim *c, const char *why)
{
    int32_t fence = c->fence;

    if (c->state != CLAIM_WON) {
        return;
    }
    c->not_before = wtime_add(clock_now(), stand_back());
    lost(c, why);
    forget_active(c);
    give_back(c, fence);
}

void claim_retire(struct claim *c, void (*done)(void *ctx), void *ctx)
{
    bool was_won = c->state == CLAIM_WON;
    int32_t fence = c->fence;

    if (was_won) {
        lost(c, "the process is stopping");
    }
    go(c, CLAIM_RETIRED);
    c->retired_ctx = ctx;
    if (was_won && zk_is_connected(c->zk)) {
        c->retired = done;
        give_back(c, fence);
    } else {
        done(ctx);
    }
}

bool claim_is_won(const struct claim *c)
{
    return c->state == CLAIM_WON;
}

bool claim_is_candidate(const struct claim *c)
{
    return c->eligible && zk_is_connected(c->zk) &&
           (c->state == CLAIM_WATCHING || c->state == CLAIM_LOOKING);
}

uint64_t claim_epoch(const struct claim *c)
{
    return c->epoch;
}

const struct msg_active *claim_active(const struct claim *c)
{
    return c->is_active_known ? &c->active : NULL;
}
