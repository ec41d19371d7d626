/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper_impl.h"

#include "common/base/mem.h"
#include "common/obs/metrics.h"

/* What is done to one partition after the other. Each says in a flag of its own, read without
 * its lock, that something is due there; so a round over partitions where nothing is costs next
 * to nothing. */

enum {
    EXPIRE_S = 60,
    SHORT_FLUSH_LEAST_MS = 5,
    SHORT_FLUSH_MAX_MS = 3600000 /* the longest weir.flush.interval.ms */
};

/* One round over all partitions. */
struct round {
    struct keeper *k;
    wtime now;
    wall_ms wall;
    bool is_more; /* some partition has left something to be done */
};

/* True: is_more. */
static bool each_partition(struct keeper *k, void (*one)(struct round *r, struct partition *p))
{
    struct round r = {.k = k, .now = clock_now(), .wall = clock_wall()};
    size_t n;
    struct partition **all = partitions_all(&k->b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        one(&r, all[i]);
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    return r.is_more;
}

/* --- Syncs ------------------------------------------------------------------------ */

static void flush_one(struct round *r, struct partition *p)
{
    (void)r;
    if (atomic_load(&p->is_unsynced)) {
        partition_flush(p);
    }
    if (log_dir_failed(p->dir) && !atomic_load(&p->is_failed)) {
        partition_fail(p);
    }
}

static int64_t short_period_ms(const struct keeper *k)
{
    int64_t period = atomic_load(&k->flush_ms_least) / 2;

    return period > SHORT_FLUSH_LEAST_MS ? period : SHORT_FLUSH_LEAST_MS;
}

/* [LOG-74] A flush.ms above the regular interval needs nothing of its own. */
bool keeper_has_short_flush(const struct keeper *k, int64_t *ret_period_ms)
{
    *ret_period_ms = short_period_ms(k);
    return atomic_load(&k->flush_ms_least) < SHORT_FLUSH_MAX_MS;
}

/* [LOG-74] Between two regular rounds: those that would be late at the next look. */
static void flush_if_due(struct round *r, struct partition *p)
{
    int64_t flush_ms = atomic_load(&p->flush_ms);

    if (flush_ms < SHORT_FLUSH_MAX_MS && atomic_load(&p->is_unsynced) &&
            clock_now() - atomic_load(&p->unsynced_since) >
                    WTIME_MS(flush_ms - short_period_ms(r->k))) {
        flush_one(r, p);
    }
}

static void note_flush_ms(struct round *r, struct partition *p)
{
    int64_t flush_ms = atomic_load(&p->flush_ms);

    if (flush_ms < atomic_load(&r->k->flush_ms_least)) {
        atomic_store(&r->k->flush_ms_least, flush_ms);
    }
}

void keeper_do_flush(void *ctx)
{
    struct keeper *k = ctx;

    if (atomic_exchange(&k->is_round_whole, false)) {
        (void)each_partition(k, flush_one);
        atomic_store(
                &k->flush_ms_least, INT64_MAX); /* a topic may have gone, or have another one */
        (void)each_partition(k, note_flush_ms);
    } else {
        (void)each_partition(k, flush_if_due);
    }
    metric_set(METRIC_BROKER_OPEN_SEGMENT_FILES, (int64_t)file_cache_n_open(k->b->files));
}

/* --- Segments ------------------------------------------------------------------------ */

static void seal_one(struct round *r, struct partition *p)
{
    (void)r;
    if (atomic_load(&p->is_unsealed)) {
        partition_seal(p);
    }
}

void keeper_do_seal(void *ctx)
{
    (void)each_partition(ctx, seal_one);
}

static void roll_one(struct round *r, struct partition *p)
{
    if (!log_dir_failed(p->dir)) {
        partition_roll(p, r->wall);
    }
}

void keeper_do_roll(void *ctx)
{
    (void)each_partition(ctx, roll_one);
}

static void retain_one(struct round *r, struct partition *p)
{
    if (!log_dir_failed(p->dir)) {
        partition_retain(p, r->wall);
        r->is_more = r->is_more || atomic_load(&p->is_start_unsaved);
    }
}

/* Moves log starts past what leaves by age or size; the segments themselves go once the starts
 * are on the disk. */
void keeper_do_retain(void *ctx)
{
    struct keeper *k = ctx;

    if (each_partition(k, retain_one)) {
        keeper_ask(k, KEEPER_CHECKPOINT);
    }
}

static void remove_one(struct round *r, struct partition *p)
{
    if (atomic_load(&p->has_removals) && !log_dir_failed(p->dir)) {
        partition_remove(p, r->now, log_dir_is_full(p->dir));
        r->is_more = r->is_more || atomic_load(&p->has_removals);
    }
}

void keeper_do_remove(void *ctx)
{
    struct keeper *k = ctx;

    atomic_store(&k->has_removals, each_partition(k, remove_one));
}

/* --- Producers ------------------------------------------------------------------------ */

static void save_producers(struct round *r, struct partition *p)
{
    (void)r;
    if (atomic_load(&p->producers.is_snapshot_due)) {
        partition_producers_save(p, false);
    }
}

static void save_producers_at_stop(struct round *r, struct partition *p)
{
    (void)r;
    partition_producers_save(p, true);
}

static void expire_producers(struct round *r, struct partition *p)
{
    (void)r;
    partition_producers_expire(p);
}

/* Every so often, and for a short expiry more often: none is overdue by more than a quarter. */
static wtime expiry_interval(const struct keeper *k)
{
    int64_t quarter_ms = k->b->env.producer_expiration_ms / 4;

    return quarter_ms < EXPIRE_S * 1000 ? WTIME_MS(quarter_ms) : WTIME_S(EXPIRE_S);
}

void keeper_do_producers(void *ctx)
{
    struct keeper *k = ctx;

    (void)each_partition(k, save_producers);
    if (wtime_due(k->next_expiry, clock_now())) {
        (void)each_partition(k, expire_producers);
        k->next_expiry = wtime_add(clock_now(), expiry_interval(k));
    }
}

void keeper_save_producers_at_stop(struct keeper *k)
{
    (void)each_partition(k, save_producers_at_stop);
}
