/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "broker/log/plog_replay.h"
#include "broker/log/plog_scrub.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"

/* What the broker does beside requests: begun and ended under the partition's lock, run without it. So anything may come
 * between: world_meanwhile(). */

bool do_flush(struct world *w)
{
    struct plog_flush *f = w->is_flushing ? NULL : plog_flush_begin(w->l);

    if (f == NULL) {
        return true;
    }
    w->is_flushing = true;
    tell(w, "flush begins");
    uint64_t n_truncations = w->stats->n_truncations;
    world_meanwhile(w);
    int r = plog_flush_run(f);
    world_meanwhile(w);
    offset64 before = plog_recovery_point(w->l);
    plog_flush_end(w->l, f);
    w->is_flushing = false;
    w->synced = plog_recovery_point(w->l);
    tell(w, "flush ends: recovery point %lld", (long long)w->synced);
    CHECK(w->synced <= w->end);
    CHECK(w->synced == before ||
            (w->synced > before && n_truncations == w->stats->n_truncations)); /* [LOG-67] */
    return done(w, r);
}

bool flush_all(struct world *w)
{
    struct plog_flush *f;

    while ((f = plog_flush_begin(w->l)) != NULL) {
        int r = plog_flush_run(f);
        plog_flush_end(w->l, f);
        if (!done(w, r)) {
            return false;
        }
    }
    w->synced = plog_recovery_point(w->l);
    CHECK(w->synced == plog_end(w->l) || plog_n_segments(w->l) == 0); /* a place to begin alone */
    return true;
}

bool do_seal(struct world *w)
{
    struct plog_seal *x = w->is_sealing ? NULL : plog_seal_begin(w->l);

    if (x == NULL) {
        return true;
    }
    w->is_sealing = true;
    tell(w, "seal begins");
    world_meanwhile(w);
    int r = plog_seal_run(x);
    plog_seal_end(w->l, x);
    w->is_sealing = false;
    return done(w, r);
}

bool do_reap(struct world *w)
{
    struct plog_reap *reap = plog_reap_begin(w->l, w->now, (wtime)below(w, 4));

    if (reap == NULL) {
        return true;
    }
    tell(w, "reap");
    world_meanwhile(w);
    int r = plog_reap_run(reap);
    plog_reap_end(w->l, reap);
    return done(w, r);
}

bool do_snapshot(struct world *w)
{
    struct buf bytes = {0};
    offset64 at = w->producers.end;

    if (w->producers.known.n == 0 ||
            !plog_snapshot_begin(w->l)) { /* [PID-35] and perhaps no folder */
        return true;
    }
    w->is_saving = true;
    tell(w, "snapshot of producers at %lld", (long long)at);
    producers_encode(&w->producers, &bytes);
    world_meanwhile(w);
    int r = plog_snapshot_write(w->l, at, bytes.data, bytes.size);
    buf_deinit(&bytes);
    world_meanwhile(w);
    if (r == 0) {
        r = plog_snapshot_written(w->l, at, 2);
    }
    plog_snapshot_end(w->l);
    w->is_saving = false;
    return done(w, r);
}

bool do_scrub(struct world *w)
{
    struct plog_scrub *s = NULL;
    int64_t n_bytes = 0;
    bool is_done = false, is_index_new = false;

    if (w->is_scrubbing) {
        return true;
    }
    int r = plog_scrub_begin(w->l, (offset64)below(w, (uint64_t)w->end + 1), &s);
    if (r == PLOG_E_NOT_FOUND) {
        return true;
    }
    if (!done(w, r)) {
        return false;
    }
    w->is_scrubbing = true;
    tell(w, "scrub");
    while (r == 0 && !is_done) {
        r = plog_scrub_step(s, 1 + (int64_t)below(w, 2000), &n_bytes, &is_done);
        world_meanwhile(w);
    }
    r = plog_scrub_end(w->l, s, r, &is_index_new);
    w->is_scrubbing = false;
    return done(w, r);
}

/* --- Compaction ---------------------------------------------------------------------------------------------------- */

static void beside_compaction(struct test_cleaner *c)
{
    struct world *w = c->ctx;

    if (!w->is_full && below(w, 4) == 0) {
        world_meanwhile(w);
    }
}

/* A part of the log is another one from now on. */
static void after_commit(struct test_cleaner *c, int r)
{
    struct world *w = c->ctx;

    tell(w, "compacted segments committed: %d", r);
    w->stats->n_swaps += r == 0;
    if (r == 0) {
        model_compare(w, false);
    }
    beside_compaction(c);
}

bool do_compact(struct world *w)
{
    bool is_full = below(w, 8) == 0;
    struct test_cleaner *c = &w->cleaner;

    if (!w->config.is_compacting || w->is_compacting) {
        return true;
    }
    c->l = w->l;
    c->ctx = w;
    c->meanwhile = beside_compaction;
    c->after_commit = after_commit;
    c->now += (wall_ms)below(w, 1500);
    c->policy.segment_bytes = (int64_t)below(w, 6000);
    c->map_size = below(w, 4) == 0 ? 24 * 9 : 1 << 16; /* a small one is full early */
    c->n_until_stop = below(w, 6) == 0 ? 1 + (int)below(w, 12) : 0;
    tell(w, "compact from %lld%s", (long long)c->first_dirty, is_full ? ", little room" : "");
    if (is_full) {
        mem_disk_set_room(w->disk, (int64_t)below(w, 4000));
    }
    w->is_compacting = true;
    w->is_full = is_full;
    w->cleaned_to = w->end;
    int r = test_cleaner_run(c, w->dir);
    mem_disk_set_room(w->disk, -1);
    w->is_full = false;
    tell(w, "compaction: %d, clean below %lld", r, (long long)c->first_dirty);
    if (mem_disk_is_dead(w->disk)) {
        return false;
    }
    w->is_compacting = false;
    CHECK(r == 0 || r == CLEAN_E_STOPPED || r == CLEAN_E_CHANGED || r == CLEAN_E_FULL);
    model_compare(w, true);
    if (r == 0) {
        model_check_nothing_rises(w);
    }
    return true;
}
