/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "broker/core/retention.h"
#include "broker/log/log_trash.h"
#include "broker/shell/producer_state.h"
#include "common/base/mem.h"
#include "common/compress/compress.h"
#include "tests/lib/check.h"

#include <errno.h>
#include <stdio.h>

/* --- Appending ----------------------------------------------------------------------------------------------------- */

wall_ms some_time(struct world *w)
{
    if (below(w, 30) == 0) {
        return -1;
    }
    return w->config.is_in_order ? w->end + (wall_ms)below(w, 8) : (wall_ms)below(w, 1000);
}

/* What a producer that keeps its rules sends next, n records long. */
static struct producers_batch next_of_producer(struct world *w, int32_t n)
{
    struct producers_batch b = {.id = -1, .epoch = -1, .base_sequence = -1, .last_delta = n - 1};

    if (below(w, 5) < 2) {
        return b;
    }
    b.id = (int64_t)below(w, CRASH_PRODUCERS);
    const struct producer *k = producers_find(&w->producers, b.id);
    if (below(w, 30) == 0) {
        w->producer_epochs[b.id]++;
    }
    b.epoch = w->producer_epochs[b.id];
    if (k == NULL) { /* [PID-11] Any sequence is taken. */
        b.base_sequence = below(w, 4) == 0 ? PRODUCERS_SEQUENCE_MAX - (int32_t)below(w, 8) : 0;
    } else if (b.epoch > k->epoch) {
        b.base_sequence = 0;
    } else {
        b.base_sequence =
                (int32_t)(((uint32_t)k->batches[k->n - 1].last + 1) & PRODUCERS_SEQUENCE_MAX);
    }
    return b;
}

static struct model_record some_record(struct world *w, uint64_t value_max)
{
    bool is_keyed = below(w, 12) > 0;

    return (struct model_record){.key = is_keyed ? (int16_t)below(w, CRASH_KEYS) : -1,
            .is_tombstone = is_keyed && below(w, 5) == 0,
            .fill = (char)('a' + below(w, 26)),
            .value_size = (uint8_t)below(w, value_max),
            .timestamp = some_time(w),
            .written_at = w->cleaner.now};
}

static void encode(const struct model_batch *m,
        const struct model_record *records,
        struct buf *out,
        wall_ms *ret_max)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = m->producer.id,
            .producer_epoch = m->producer.epoch,
            .base_sequence = m->producer.base_sequence};
    struct buf packed = {0};
    char value[UINT8_MAX + 1];
    char key[8];
    struct record_header header = {
            .name = {(const uint8_t *)"h", 1}, .value = {(const uint8_t *)"x", 1}};

    for (int32_t i = 0; i <= m->producer.last_delta; i++) {
        const struct model_record *r = &records[i];
        (void)snprintf(key, sizeof(key), "k%d", r->key);
        memset(value, r->fill, sizeof(value));
        struct record rec = {.timestamp = r->timestamp,
                .n_headers = 1,
                .key = {.at = r->key < 0 ? NULL : (uint8_t *)key,
                        .size = r->key < 0 ? 0 : strlen(key)},
                .value = {.at = r->is_tombstone ? NULL : (uint8_t *)value,
                        .size = r->is_tombstone ? 0 : r->value_size}};
        batch_builder_add(&bb, &rec, &header);
    }
    *ret_max = bb.max_timestamp;
    if (m->codec != CODEC_NONE) {
        CHECK_EQ(compress_bytes(
                         m->codec, 0, (struct bytes){bb.records.data, bb.records.size}, &packed),
                0);
    }
    batch_builder_finish(&bb, &opt, m->codec, (struct bytes){packed.data, packed.size}, out);
    buf_deinit(&packed);
    batch_builder_deinit(&bb);
}

/* False: the disk was too full for it, and nothing was changed. */
static bool note_append(struct world *w,
        int r,
        struct model_batch *m,
        const struct model_record *records,
        wall_ms max,
        struct buf *bytes)
{
    if (r == PLOG_E_FULL) {
        CHECK_EQ(plog_end(w->l), w->end);
        return false;
    }
    /* Its bytes were stamped before they were written, also when the write was the last thing that happened. */
    batch_stamp(bytes->data, w->end, w->epoch);
    model_append(w, m, records, max, bytes);
    if (r == 0) {
        w->end = m->last + 1;
        producers_note(&w->producers, &m->producer, CRASH_BROKER_NOW);
    }
    return true;
}

bool do_append(struct world *w)
{
    int32_t n = 1 + (int32_t)below(w, CRASH_RECORDS_MAX);
    uint64_t value_max =
            w->config.has_values_big && below(w, 10) == 0 ? UINT8_MAX : CRASH_VALUE_MAX;
    struct model_record records[CRASH_RECORDS_MAX];
    struct model_batch m = {.base = w->end,
            .last = w->end + n - 1,
            .codec = below(w, 6) == 0 ? (enum batch_codec)below(w, 5) : CODEC_NONE,
            .producer = next_of_producer(w, n)};
    struct buf bytes = {0};
    struct batch b;
    offset64 base = OFFSET_NONE;
    wall_ms max = -1;

    w->cleaner.now += (wall_ms)below(w, 60);
    for (int32_t i = 0; i < n; i++) {
        records[i] = some_record(w, value_max);
    }
    CHECK_EQ(producers_check(&w->producers, &m.producer).kind, PRODUCERS_APPEND);
    w->epoch += below(w, 12) == 0;
    m.epoch = w->begun = w->epoch;
    m.producer.base = w->end;
    encode(&m, records, &bytes, &max);
    m.producer.timestamp = max;
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    /* Where the end of a batch is zeros, one that was refused for want of room for them can be whole after a power failure:
     * who was told that it was not stored may find it there. Nothing is wrong with that, and it is not followed here. */
    bool is_full = below(w, 16) == 0 && bytes.data[bytes.size - 1] != 0;
    if (is_full) {
        mem_disk_set_room(w->disk, (int64_t)below(w, 2 * bytes.size));
    }
    tell(w, "append %d at %lld, epoch %d%s", n, (long long)w->end, w->epoch,
            is_full ? ", little room" : "");
    int r = plog_append(w->l, bytes.data, &b, w->epoch, &base);
    mem_disk_set_room(w->disk, -1);
    CHECK(r != PLOG_E_FULL || is_full);
    bool is_noted = note_append(w, r, &m, records, max, &bytes);
    buf_deinit(&bytes);
    if (is_noted && !done(w, r)) {
        w->is_last_under_way = true;
        return false;
    }
    CHECK(!is_noted || base == m.base);
    return true;
}

bool do_roll(struct world *w)
{
    bool rolled = false;

    tell(w, "roll");
    return done(w, below(w, 2) == 0 ? plog_roll_active(w->l)
                                    : plog_roll_if_old(w->l, some_time(w) + 500, &rolled));
}

/* --- Checkpoints --------------------------------------------------------------------------------------------------- */

bool do_checkpoint(struct world *w)
{
    struct checkpoint_entry e = {.topic_id = crash_topic,
            .recovery_point = plog_recovery_point(w->l),
            .high_watermark = plog_recovery_point(w->l),
            .log_start = plog_start(w->l)};

    if (w->producers.known.n == 0 &&
            e.recovery_point <= w->producers.end) { /* as partition_producers.c */
        w->none_below = e.recovery_point;
    }
    w->none_below = w->none_below < e.recovery_point ? w->none_below : e.recovery_point;
    e.no_producers = w->none_below;
    tell(w, "checkpoint: recovery point %lld, start %lld", (long long)e.recovery_point,
            (long long)e.log_start);
    w->saving_start = e.log_start;
    if (!done(w, log_dir_write_checkpoints(w->dir, &e, 1))) {
        return false;
    }
    w->saving_start = w->restart_base = OFFSET_NONE;
    w->saved_start = e.log_start;
    plog_start_saved(w->l, e.log_start);
    model_forget_below(w, e.log_start);
    return true;
}

bool do_save_point(struct world *w)
{
    struct clean_point p = {.topic_id = crash_topic,
            .first_dirty = w->cleaner.first_dirty,
            .epoch = w->cleaner.epoch};

    tell(w, "cleaner.ckpt: %lld", (long long)p.first_dirty);
    w->saving_point = p;
    w->is_saving_point = true;
    if (!done(w, log_dir_write_clean_points(w->dir, &p, 1))) {
        return false;
    }
    w->saved_point = p;
    w->is_saving_point = false;
    return true;
}

bool do_settle(struct world *w)
{
    w->is_host_pending = false; /* or not, when this life ends in it: a worse kind is never wrong */
    return done(w, log_dir_settled(w->dir));
}

/* --- The begin of the log ------------------------------------------------------------------------------------------ */

bool do_set_start(struct world *w)
{
    offset64 span = w->end - w->start;
    offset64 to = w->start + (offset64)below(w, (uint64_t)span + 1) / (below(w, 3) == 0 ? 1 : 3);

    tell(w, "log start %lld", (long long)to);
    plog_set_start(w->l, to);
    w->start = to;
    CHECK_EQ(plog_start(w->l), to);
    return true;
}

bool do_remove(struct world *w)
{
    struct plog_removed removed;

    tell(w, "remove below %lld", (long long)plog_saved_start(w->l));
    if (!done(w, plog_remove_below_start(w->l, w->now++, &removed))) {
        return false;
    }
    w->stats->n_removed += removed.n_segments;
    CHECK(!plog_has_removable(w->l) || removed.wants_flush);
    return !removed.wants_flush || do_flush(w);
}

/* The times of segment `i`, as the shell looks them up: outside the lock. */
static bool look_up(struct world *w, size_t i, struct retention_segment *s)
{
    struct plog_look *k = NULL;

    if (!done(w, plog_look_begin(w->l, i, &k))) {
        return false;
    }
    if (below(w, 2) == 0) {
        (void)do_append(w);
    }
    int r = plog_look_run(k, &s->max_timestamp, &s->modified);
    plog_look_end(w->l, k);
    s->has_max_timestamp = s->has_modified = r == 0;
    return done(w, r);
}

static bool plan_retention(struct world *w,
        const struct retention_policy *policy,
        struct retention_segment *s,
        size_t n)
{
    struct retention_log log = {
            .segments = s, .n = n, .start = w->start, .high_watermark = plog_recovery_point(w->l)};
    struct retention_plan plan;

    for (;;) {
        plan = retention_plan(&log, policy, w->end);
        if (plan.look_up == RETENTION_NONE) {
            break;
        }
        if (!look_up(w, plan.look_up, &s[plan.look_up])) {
            return false;
        }
    }
    CHECK(plan.n_remove < n);
    if (plan.start > w->start) {
        CHECK(plan.start <= w->end);
        plog_set_start(w->l, plan.start);
        w->start = plan.start;
    }
    return !plan.must_roll || done(w, plog_roll_active(w->l));
}

/* By size and by age, the latter with times that the records have. */
bool do_retain(struct world *w)
{
    struct retention_policy policy = {.may_delete = true,
            .ms = below(w, 2) == 0 ? -1 : 200 + (int64_t)below(w, 2000),
            .bytes = below(w, 2) == 0 ? -1 : (int64_t)below(w, 8000)};
    size_t n = plog_n_segments(w->l);
    struct retention_segment *segments = mem_new_n(struct retention_segment, n + 1);

    tell(w, "retain %lld ms, %lld bytes", (long long)policy.ms, (long long)policy.bytes);
    for (size_t i = 0; i < n; i++) {
        struct plog_segment s;
        plog_segment_at(w->l, i, &s);
        segments[i] = (struct retention_segment){.base = s.base,
                .end = s.end,
                .size = s.size,
                .has_max_timestamp = s.has_max_timestamp,
                .max_timestamp = s.max_timestamp};
    }
    bool goes_on = n == 0 || plan_retention(w, &policy, segments, n);
    mem_free(segments);
    return goes_on && do_checkpoint(w) && do_remove(w);
}

/* --- The end of the log -------------------------------------------------------------------------------------------- */

/* [LOG-66] Whether a cut there would go into what compaction has rewritten. */
static bool is_in_compacted(const struct world *w, offset64 offset)
{
    struct sealed_list list;
    bool is_in = false;

    plog_sealed_list(w->l, &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct sealed_segment *s = &list.items[i];
        is_in = is_in || (s->is_compacted && s->base < offset && offset < s->end);
    }
    sealed_list_deinit(&list);
    return is_in;
}

/* As partition_cut.c: what leaves the log alone may come between. */
static bool cut_in_steps(struct world *w)
{
    struct plog_cut_sync *sync = NULL;
    bool rolled = true;
    int r = plog_truncate_step(w->l, &sync);

    w->depth += 2; /* nothing that appends */
    while (r == 0 && sync != NULL) {
        CHECK_EQ(plog_roll_active(w->l), mem_disk_is_dead(w->disk) ? -EIO : PLOG_E_BUSY);
        CHECK_EQ(plog_roll_if_old(w->l, INT64_MAX, &rolled), 0);
        CHECK(!rolled && plog_flush_begin(w->l) == NULL && plog_seal_begin(w->l) == NULL);
        (void)(below(w, 3) == 0 && do_reap(w));
        r = plog_cut_sync_run(sync);
        (void)(below(w, 3) == 0 && do_remove(w));
        r = plog_cut_sync_end(w->l, sync, r);
        r = r == 0 ? plog_truncate_step(w->l, &sync) : r;
    }
    w->depth -= 2;
    return done(w, r);
}

static bool cut_at(struct world *w, offset64 end)
{
    CHECK(plog_recovery_point(w->l) <= end);
    w->is_truncating = true;
    w->truncate_to = end;
    w->start = w->start < end ? w->start : end; /* it may have lain within the batch that goes */
    CHECK_EQ(plog_start(w->l), w->start);
    w->none_below = w->none_below < end ? w->none_below : end;
    if (!do_checkpoint(w)) {
        return false;
    }
    w->synced = w->synced < end ? w->synced : end;
    struct producer_state_source source;
    int r = producer_state_truncate(
            &w->producers, w->l, end, w->none_below, CRASH_BROKER_NOW, &source);
    if (!done(w, r) || !cut_in_steps(w)) {
        return false;
    }
    w->is_truncating = false;
    w->stats->n_truncations++;
    CHECK_EQ(plog_end(w->l), end);
    /* What was clean and is there no more shows by its epoch: another leader's batches have another one. */
    w->epoch += end < w->cleaner.first_dirty || below(w, 2) == 0;
    model_cut(w, end);
    CHECK(w->there.n == 0 || w->there.items[w->there.n - 1].last + 1 == end);
    w->begun = EPOCH_NONE;
    model_judge_producers(w);
    return true;
}

bool do_truncate(struct world *w)
{
    offset64 span = w->end - w->start;
    offset64 offset = w->start + (offset64)below(w, (uint64_t)span + 1);
    offset64 end = OFFSET_NONE;

    if (below(w, 3) > 0) { /* near the end, so that logs also grow */
        offset = w->end - (offset64)below(w, (uint64_t)(span < 12 ? span : 12) + 1);
    }
    tell(w, "truncate to %lld of %lld..%lld", (long long)offset, (long long)w->start,
            (long long)w->end);
    int r = plog_truncate_begin(w->l, offset, &end);
    if (r == PLOG_E_BUSY && (w->is_sealing || w->is_saving || w->is_compacting)) {
        return true;
    }
    if (r == PLOG_E_OUT_OF_RANGE && is_in_compacted(w, offset)) {
        return true;
    }
    if (!done(w, r)) {
        return false;
    }
    CHECK(end <= offset);
    if (below(w, 20) == 0) {
        plog_truncate_cancel(w->l);
        CHECK_EQ(plog_start(w->l), w->start);
        w->synced = w->synced < end ? w->synced : end;
        return true;
    }
    return cut_at(w, end);
}

/* --- Another log --------------------------------------------------------------------------------------------------- */

/* As partition_restart.c: an empty log at `base`. */
static void begin_anew(struct world *w, offset64 base)
{
    w->l = plog_new_at(w->dir, w->files, "orders", &crash_topic, 0, &w->config.log, base);
    producers_deinit(&w->producers);
    w->producers.end = base;
    w->restart_base = base;
    w->restart_from = w->start;
    w->synced = w->start; /* until the folder is on the disk too */
    w->start = base;
    w->none_below = 0;
    w->cleaner.first_dirty = 0;
    w->cleaner.epoch = EPOCH_NONE;
    model_begin_anew(w, base);
    model_judge_producers(w);
    w->stats->n_restarts++;
}

/* [LOG-76] Its leader's log begins elsewhere, or it was damaged. Who uses it has ended. */
bool do_restart(struct world *w)
{
    offset64 base = below(w, 2) == 0
                            ? w->end + (offset64)below(w, 30)
                            : w->start + (offset64)below(w, (uint64_t)(w->end - w->start) + 1);
    struct checkpoint_entry none = {
            .topic_id = crash_topic, .high_watermark = w->start, .log_start = w->start};
    bool keeps = below(w, 2) == 0;

    if (w->depth > 0 || w->is_compacting) {
        return true;
    }
    tell(w, "begin anew at %lld, %s the log from %lld to %lld", (long long)base,
            keeps ? "keep" : "drop", (long long)w->start, (long long)w->end);
    w->is_restarting = true;
    w->epoch++; /* the leader's, and another one than that of what goes */
    w->saving_start = w->start;
    if (!done(w, log_dir_write_checkpoints(w->dir, &none, 1))) {
        return false;
    }
    w->saved_start = w->start;
    w->saving_start = OFFSET_NONE;
    w->l = plog_close(w->l);
    int r = log_trash_put_aside(w->dir, "orders-0", &crash_topic, 0, keeps, CRASH_BROKER_NOW);
    if (!done(w, r)) {
        return false;
    }
    begin_anew(w, base);
    w->is_restarting = false;
    return below(w, 2) == 0 || do_checkpoint(w); /* it may come later, too */
}
