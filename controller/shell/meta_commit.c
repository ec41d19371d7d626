/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/meta_log_internal.h"

#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

/* Appending to the log. [ZK-30] Batch N goes in with one multi:
 *
 *   check /weir/epoch at the fence's version · check that N-1 exists · create N
 *
 * so an older controller's append fails, and no order of arrival can leave a gap. Up to 8 are under way; what comes
 * meanwhile is gathered into the next one.
 *
 *  SENT ──ok──► DONE ──all before it done──► applied, told
 *   │  ▲
 *   │  └── not there: sent again, and all behind it
 *   └─ outcome unknown ─► UNKNOWN ── sync, get, nonce ──► DONE, or another's: stand down */

#define RESOLVE_AGAIN WTIME_MS(200)

struct commit_ask {
    struct meta_log *l;
    uint64_t round;
    struct commit *commit;
};

static void resolve(struct meta_log *l);
static bool has_state(const struct meta_log *l, int state);

static void failed(struct meta_log *l, const char *why)
{
    meta_commit_drop(l);
    l->options.on_append_failed(l->options.ctx, why);
}

static struct commit_ask *ask_new(struct meta_log *l, struct commit *commit)
{
    struct commit_ask *a = mem_new(struct commit_ask);

    *a = (struct commit_ask){.l = l, .round = l->round, .commit = commit};
    return a;
}

static void commit_free(struct commit *commit)
{
    buf_deinit(&commit->bytes);
    mem_free(commit);
}

/* --- Sending ----------------------------------------------------------------------------------- */

static void on_sent(void *ctx, enum zk_rc rc, int failed_op);

static void send_batch(struct meta_log *l, struct commit *commit)
{
    char *path = meta_log_path(commit->index), *before = meta_log_path(commit->index - 1);
    struct zk_op ops[3] = {{.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = l->fence}};
    int n = 1;

    if (commit->index > 1) { /* the first has none before it */
        ops[n++] = (struct zk_op){.kind = ZK_OP_CHECK, .path = before, .version = -1};
    }
    ops[n++] = (struct zk_op){.kind = ZK_OP_CREATE,
            .path = path,
            .data = {.at = commit->bytes.data, .size = commit->bytes.size}};
    commit->state = COMMIT_SENT;
    commit->sent = clock_now();
    zk_multi(l->zk, ops, n, on_sent, ask_new(l, commit));
    mem_free(path);
    mem_free(before);
}

/* Makes the next batch out of what is pending: as many records as fit, at least one. [ZK-34] */
static struct commit *make_batch(struct meta_log *l)
{
    struct commit *commit = mem_new(struct commit);
    struct batch_piece piece = {0};
    bool has_some = batch_cut_take(&l->pending, &piece);
    struct msg_batch b = {.ctl_epoch = l->ctl_epoch,
            .index = l->chain_index + 1,
            .first_seq = piece.first_seq,
            .prev_crc64 = l->chain_crc,
            .payload = piece.payload};

    must(has_some);
    must(getrandom(&b.nonce, sizeof(b.nonce), 0) == (ssize_t)sizeof(b.nonce));
    b.crc64 = msg_batch_crc(&b);
    commit->index = b.index;
    commit->last_seq = piece.last_seq;
    commit->crc = b.crc64;
    commit->nonce = b.nonce;
    wire_encode_batch(&b, &commit->bytes);
    must(commit->bytes.size <= piece.payload.size + BATCH_CUT_AROUND);
    l->chain_index = commit->index;
    l->chain_crc = commit->crc;
    return commit;
}

/* [ZK-35] Whether one more batch may be under way: 8 and 2 MiB at most. */
static bool may_send(const struct meta_log *l)
{
    size_t size = batch_cut_next_size(&l->pending);

    return size > 0 && l->n_commits < META_IN_FLIGHT_MAX &&
           l->commit_bytes + size + BATCH_CUT_AROUND <= META_IN_FLIGHT_BYTES;
}

static void flush(struct meta_log *l)
{
    while (l->state == META_ACTIVE && !l->is_resolving && may_send(l)) {
        struct commit *commit = make_batch(l);
        STAILQ_INSERT_TAIL(&l->commits, commit, entry);
        l->n_commits++;
        l->commit_bytes += commit->bytes.size;
        send_batch(l, commit);
    }
}

/* --- Done -------------------------------------------------------------------------------------- */

/* Applies what is done, in order: one batch a turn, because a large one takes milliseconds and up to eight are answered
 * together. False: we stood down meanwhile, everything was dropped. [ZK-35] */
static bool settle(struct meta_log *l)
{
    uint64_t round = l->round;
    struct commit *commit = STAILQ_FIRST(&l->commits);

    if (commit != NULL && commit->state == COMMIT_DONE && l->apply_again.deadline == WTIME_NEVER) {
        uint64_t index = commit->index, last_seq = commit->last_seq;
        const char *why = meta_apply_batch(
                l, l->image, (struct bytes){.at = commit->bytes.data, .size = commit->bytes.size});
        if (why != NULL) {
            /* [ZK-36] We wrote what we do not take ourselves, and the image holds half of it: nobody goes on from it. */
            log_error("meta_log", "own_batch_refused", KV_STR("reason", why));
            meta_commit_drop(l);
            meta_log_broken(l, why);
            return false;
        }
        metric_add(METRIC_CONTROLLER_COMMITS, 1);
        metric_observe_us(METRIC_CONTROLLER_COMMIT_US, clock_now() - commit->sent);
        metric_set(METRIC_CONTROLLER_COMMITTED_INDEX, (int64_t)index);
        metric_set(METRIC_CONTROLLER_EPOCH, (int64_t)image_ctl_epoch(l->image));
        l->bytes_since_head += commit->bytes.size;
        STAILQ_REMOVE_HEAD(&l->commits, entry);
        l->n_commits--;
        l->commit_bytes -= commit->bytes.size;
        commit_free(commit);
        commit = STAILQ_FIRST(&l->commits);
        if (commit != NULL && commit->state == COMMIT_DONE) {
            timer_set(&l->apply_again, 0);
        }
        l->options.on_applied(l->options.ctx, index, last_seq, true);
        if (l->round != round) {
            return false;
        }
    }
    return true;
}

static bool has_state(const struct meta_log *l, int state)
{
    const struct commit *it = NULL;

    STAILQ_FOREACH(it, &l->commits, entry)
    {
        if ((int)it->state == state) {
            return true;
        }
    }
    return false;
}

/* After each answer. */
static void go_on(struct meta_log *l)
{
    if (!settle(l)) {
        return;
    }
    if (l->is_resolving && !has_state(l, COMMIT_SENT)) {
        resolve(l);
    }
    flush(l);
    meta_snap_maybe(l);
}

static void on_apply_again(void *ctx)
{
    struct meta_log *l = ctx;

    if (l->state == META_ACTIVE) {
        go_on(l);
    }
}

static void on_sent(void *ctx, enum zk_rc rc, int failed_op)
{
    struct commit_ask *ask = ctx;
    struct meta_log *l = ask->l;
    struct commit *commit = ask->commit;
    bool is_ours = ask->round == l->round;

    mem_free(ask);
    if (!is_ours) {
        return;
    }
    switch (rc) {
    case ZK_OK: commit->state = COMMIT_DONE; break;
    case ZK_UNKNOWN:     /* [ZK-6] */
    case ZK_NODE_EXISTS: /* ours, when an earlier sending got through; the nonce tells */
        commit->state = COMMIT_UNKNOWN;
        l->is_resolving = true;
        break;
    case ZK_NO_NODE:
        if (l->is_resolving) { /* the one before it did not get through */
            commit->state = COMMIT_UNKNOWN;
            break;
        }
        failed(l, "the batch before the one being written is not in the log");
        return;
    case ZK_BAD_VERSION:
        failed(l, "another controller was elected: the version of /weir/epoch has moved on");
        return;
    case ZK_NOT_EMPTY:
    case ZK_NO_AUTH:
    case ZK_REFUSED: failed(l, "ZooKeeper refused a batch of the metadata log"); return;
    }
    go_on(l);
}

/* --- Unknown ----------------------------------------------------------------------------------- */

static void send_all_again(struct meta_log *l)
{
    struct commit *it = NULL;

    l->is_resolving = false;
    STAILQ_FOREACH(it, &l->commits, entry)
    {
        must(it->state == COMMIT_UNKNOWN);
        send_batch(l, it);
    }
}

static void on_resolved(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct commit_ask *ask = ctx;
    struct meta_log *l = ask->l;
    struct commit *commit = ask->commit;
    bool is_ours = ask->round == l->round;
    struct arena a;
    struct msg_batch b = {0};
    bool is_mine = false;

    mem_free(ask);
    if (!is_ours) {
        return;
    }
    l->resolve_is_under_way = false;
    must(commit->state == COMMIT_UNKNOWN);
    if (rc == ZK_UNKNOWN) { /* a new connection asks again, or the timer where it was not the connection */
        timer_set(&l->resolve_again, wtime_add(clock_now(), RESOLVE_AGAIN));
        return;
    }
    if (rc == ZK_NO_NODE && has_state(l, COMMIT_DONE)) {
        /* [ZK-37] One behind it was answered, so it was there: another controller has trimmed it since. */
        failed(l, "another controller was elected and trimmed the batch that we were writing");
        return;
    }
    if (rc == ZK_NO_NODE) { /* It did not get through, and so none behind it did. */
        send_all_again(l);
        return;
    }
    arena_init(&a, wire_arena_ceiling(data.size));
    is_mine = rc == ZK_OK && wire_decode_batch(data, &a, &b) == 0 &&
              uuid_equal(&b.nonce, &commit->nonce);
    arena_deinit(&a);
    if (!is_mine) {
        failed(l, "another controller wrote the batch that we were writing");
        return;
    }
    commit->state = COMMIT_DONE;
    go_on(l);
}

static void on_synced(void *ctx, enum zk_rc rc)
{
    /* The get behind it sees what the quorum had. */
}

/* The outcome of the oldest batch is unknown: reads whether it is there, and whose it is. */
static void resolve(struct meta_log *l)
{
    struct commit *commit = STAILQ_FIRST(&l->commits);
    char *path = NULL;

    if (commit == NULL) {
        l->is_resolving = false;
        return;
    }
    if (commit->state == COMMIT_DONE) { /* known, and applied in the next turn */
        return;
    }
    must(commit->state == COMMIT_UNKNOWN);
    if (l->resolve_is_under_way) { /* at most one: its answer may send everything again */
        return;
    }
    l->resolve_is_under_way = true;
    path = meta_log_path(commit->index);
    zk_sync(l->zk, path, on_synced, NULL);
    zk_get(l->zk, path, NULL, on_resolved, ask_new(l, commit));
    mem_free(path);
}

static void on_resolve_again(void *ctx)
{
    meta_commit_on_connection(ctx);
}

void meta_commit_on_connection(struct meta_log *l)
{
    if (l->is_resolving && !has_state(l, COMMIT_SENT)) {
        resolve(l);
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

void meta_commit_init(struct meta_log *l)
{
    STAILQ_INIT(&l->commits);
    timer_init(&l->resolve_again, l->loop, on_resolve_again, l);
    timer_init(&l->apply_again, l->loop, on_apply_again, l);
}

void meta_commit_deinit(struct meta_log *l)
{
    meta_commit_drop(l);
    batch_cut_deinit(&l->pending);
    timer_deinit(&l->resolve_again);
    timer_deinit(&l->apply_again);
}

void meta_commit_start(struct meta_log *l)
{
    struct image_position at = image_position(l->image);

    must(STAILQ_EMPTY(&l->commits));
    l->chain_index = at.index;
    l->chain_crc = at.crc;
    l->is_resolving = false;
    l->resolve_is_under_way = false;
    l->bytes_since_head = 0;
    l->snap_not_before = 0;
}

void meta_commit_drop(struct meta_log *l)
{
    struct commit *commit = NULL;

    l->round++;
    while ((commit = STAILQ_FIRST(&l->commits)) != NULL) {
        STAILQ_REMOVE_HEAD(&l->commits, entry);
        commit_free(commit);
    }
    l->n_commits = l->commit_bytes = 0;
    batch_cut_clear(&l->pending);
    timer_cancel(&l->resolve_again);
    timer_cancel(&l->apply_again);
    l->is_resolving = false;
    l->resolve_is_under_way = false;
}

void meta_log_append(struct meta_log *l, const struct meta_record *records, size_t n)
{
    must(l->state == META_ACTIVE);
    for (size_t i = 0; i < n; i++) {
        batch_cut_add(&l->pending, &records[i]);
    }
    flush(l);
}
