/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

/* The log's epochs and their file, leader-epoch-checkpoint.
 *
 *   entries   (2, 0) (3, 100) │ (7, 140)              │ = recovery point
 *             from the file     from batches, always
 *
 * The file says nothing about itself that could be checked, so it is a hint. What it says at or above the recovery point
 * is not used at all; what it says below must agree with each batch header that recovery comes by, and each entry is
 * looked at in the log before it is first told to somebody. On any doubt all of it is made anew from the batches, which
 * reads one header a segment and walks those in which the epoch changes. */

static char *file_path(const struct plog *l)
{
    return mem_format("%s/%s/leader-epoch-checkpoint", log_dir_path(l->dir), l->folder);
}

int plog_epochs_read(struct plog *l, struct epoch_cache *ret, bool *ret_is_there)
{
    char *path = file_path(l);
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = file_read_all(l->io, path, EPOCH_CACHE_TEXT_MAX, &bytes, &size);

    mem_free(path);
    *ret_is_there = false;
    if (r == -ENOENT || r == -EFBIG) {
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    *ret_is_there = epoch_cache_parse(ret, (const char *)bytes, size) == 0;
    mem_free(bytes);
    return 0;
}

int plog_epochs_persist(struct plog *l)
{
    struct buf text = {0};
    int r;

    if (!l->is_epoch_begun && !l->is_epoch_file_behind) {
        return 0;
    }
    if (l->segments.n > 0) {
        (void)epoch_cache_cut_head(&l->epochs, l->segments.items[0].base);
    }
    epoch_cache_format(&l->epochs, &text);
    char *path = file_path(l);
    r = durable_replace(l->io, path, text.data, text.size);
    mem_free(path);
    buf_deinit(&text);
    if (r < 0) {
        return plog_outcome(l, r, "leader-epoch-checkpoint could not be written");
    }
    l->n_folder_changes++; /* the name: synced before the recovery point moves */
    l->is_epoch_begun = l->is_epoch_file_behind = false;
    return 0;
}

void plog_begin_epoch(struct plog *l, epoch32 epoch)
{
    if (epoch > epoch_cache_latest(&l->epochs)) {
        l->is_epoch_begun = epoch_cache_assign(&l->epochs, epoch, l->end, true);
    }
}

epoch32 plog_epoch_at(const struct plog *l, offset64 offset)
{
    return offset >= l->start && offset < l->end ? epoch_cache_at(&l->epochs, offset) : EPOCH_NONE;
}

/* --- From the batches ---------------------------------------------------------------------------------------------- */

static int damaged(const struct segment *s, int64_t at)
{
    log_error("plog", "log_damaged", KV_STR("file", cached_file_path(s->log)), KV_I64("at", at),
            KV_STR("why", "no batch, or one of an older leader epoch than what is before it"));
    return PLOG_E_DAMAGED;
}

/* Walks a segment's headers and takes down where epochs begin. Where compaction took the first batches of an epoch it may
 * have begun anywhere behind what is left of the former one: the earliest place is the safe one, for whoever is told too
 * late an end keeps records that are not here ([LOG-61]). > 0: PLOG_E_DAMAGED. */
static int walk(struct plog *l, struct segment *s, struct file_window *w, struct epoch_cache *into)
{
    offset64 next = s->base;
    struct batch_head h;

    for (int64_t at = 0; at < s->size; at += h.size) {
        int r = batch_head_read(w, at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r > 0 || h.leader_epoch < epoch_cache_latest(into)) {
            return damaged(s, at);
        }
        (void)epoch_cache_assign(into, h.leader_epoch, next, true);
        next = h.last + 1;
    }
    return 0;
}

/* The epoch of a segment's first batch. > 0: BATCH_HEAD_E_BAD. */
static int first_epoch(struct plog *l, const struct segment *s, epoch32 *ret)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct file_window w;
    struct batch_head h;
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return err_forward(r);
    }
    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    r = batch_head_read(&w, 0, &h);
    cached_file_release(s->log);
    if (r == 0) {
        *ret = h.leader_epoch;
    }
    return r < 0 ? err_forward(r) : r;
}

static int take_segment(
        struct plog *l, struct segment *s, epoch32 first, struct epoch_cache *into)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    int fd = -1;

    (void)epoch_cache_assign(into, first, s->base, true);
    if (first == s->last_epoch) {
        return 0;
    }
    int r = cached_file_hold(s->log, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    r = walk(l, s, &w, into);
    cached_file_release(s->log);
    return r < 0 ? err_forward(r) : r;
}

/* Epochs never fall in a log, so a segment that ends under the epoch that it begins with has no other one. > 0:
 * PLOG_E_DAMAGED. */
static int collect_epochs(struct plog *l, struct epoch_cache *into)
{
    int r = 0;

    for (size_t i = 0; i < l->segments.n && r == 0; i++) {
        struct segment *s = &l->segments.items[i];
        epoch32 first = EPOCH_NONE;
        if (s->size == 0) {
            continue;
        }
        r = first_epoch(l, s, &first);
        if (r > 0 || (r == 0 && (first < epoch_cache_latest(into) || first < 0))) {
            return damaged(s, 0);
        }
        if (r == 0) {
            r = take_segment(l, s, first, into);
        }
    }
    return r < 0 ? err_forward(r) : r;
}

int plog_epochs_rebuild(struct plog *l)
{
    struct epoch_cache anew = {0};
    epoch32 begun = epoch_cache_latest(&l->epochs);
    int r = collect_epochs(l, &anew);

    if (r != 0) {
        epoch_cache_deinit(&anew);
        return r < 0 ? plog_outcome(l, r, "leader epochs could not be read from its batches") : r;
    }
    if (l->is_epoch_begun && begun > epoch_cache_latest(&anew)) {
        (void)epoch_cache_assign(&anew, begun, l->end, true);
    }
    epoch_cache_deinit(&l->epochs);
    l->epochs = anew;
    l->is_epoch_file_behind = true;
    return 0;
}

/* --- Believing ----------------------------------------------------------------------------------------------------- */

/* As plog_find_batch(), in one segment. */
static int find_in(struct plog *l, struct segment *s, offset64 offset, struct batch_head *ret)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return err_forward(r);
    }
    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    r = segment_locate(l->io, s, &w, offset, ret);
    cached_file_release(s->log);
    return r < 0 ? err_forward(r) : r;
}

int plog_find_batch(struct plog *l, offset64 offset, struct batch_head *ret)
{
    int r = SEGMENT_E_NONE;

    for (size_t i = plog_segment_index(l, offset); i < l->segments.n && r == SEGMENT_E_NONE; i++) {
        struct segment *s = &l->segments.items[i];
        offset64 from = offset > s->base ? offset : s->base;
        r = from < s->end ? find_in(l, s, from, ret) : SEGMENT_E_NONE;
    }
    return r < 0 ? err_forward(r) : r;
}

/* Whether the log's batches say the same as entry `i`: one of its epoch begins there and what stands before is older. In
 * a compacted log the first batches of an epoch, or all, may be gone. */
static int compare_entry(struct plog *l, const struct epoch_entry *e, bool *ret_is_true)
{
    offset64 start = l->segments.items[0].base;
    struct batch_head h = {0};

    *ret_is_true = false;
    int r = plog_find_batch(l, e->start > start ? e->start : start, &h);
    if (r == 0) {
        *ret_is_true = h.base <= e->start || e->start <= start
                               ? h.leader_epoch == e->epoch
                               : h.leader_epoch >= e->epoch;
        *ret_is_true = *ret_is_true && (h.base >= e->start || e->start <= start);
    }
    if (r == 0 && *ret_is_true && e->start > start) {
        r = plog_find_batch(l, e->start - 1, &h);
        *ret_is_true = r == 0 && (h.leader_epoch < e->epoch || h.base >= e->start);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-63] Makes entry `i` sure. *ret_is_wrong: it is not true, so none of the unsure ones is worth anything. */
static int make_sure(struct plog *l, int64_t i, bool *ret_is_wrong)
{
    if (i < 0 || (size_t)i >= l->epochs.entries.n || l->epochs.entries.items[i].is_sure) {
        return 0;
    }
    struct epoch_entry *e = &l->epochs.entries.items[i];
    bool is_true = false;
    int r = compare_entry(l, e, &is_true);
    if (r < 0) {
        return plog_outcome(l, r, "a leader epoch could not be looked at in its batches");
    }
    e->is_sure = is_true;
    *ret_is_wrong = *ret_is_wrong || !is_true;
    return 0;
}

int plog_epoch_end(struct plog *l, epoch32 asked, epoch32 *ret_epoch, offset64 *ret_end)
{
    int64_t i = epoch_cache_find(&l->epochs, asked);
    bool is_wrong = false;
    int r = make_sure(l, i, &is_wrong);

    if (r == 0) {
        r = make_sure(l, i + 1, &is_wrong);
    }
    if (r == 0 && is_wrong) {
        log_warn("plog", "epochs_made_anew", KV_STR("folder", l->folder),
                KV_STR("why", "leader-epoch-checkpoint does not agree with the batches"));
        r = plog_epochs_rebuild(l);
    }
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    epoch_cache_end(&l->epochs, asked, l->end, ret_epoch, ret_end); /* [LOG-61] */
    return 0;
}

/* --- Recovery ------------------------------------------------------------------------------------------------------ */

static bool has_entry(const struct epoch_cache *c, const struct epoch_entry *e)
{
    int64_t i = epoch_cache_find(c, e->epoch);

    return i >= 0 && c->entries.items[i].epoch == e->epoch && c->entries.items[i].start == e->start;
}

int plog_epochs_recover_begin(struct plog *l, struct epoch_recovery *c, offset64 recovery_point)
{
    c->recovery_point = c->next = recovery_point;
    int r = plog_epochs_read(l, &c->file, &c->is_there);
    if (r < 0) {
        return err_forward(r);
    }
    /* [LOG-62] Above the recovery point the file may tell of batches that a crash or a truncation took. */
    ARRAY_FOREACH (e, &c->file.entries) {
        if (e->start < recovery_point) {
            *array_push(&l->epochs.entries) = *e;
        }
    }
    return 0;
}

/* [LOG-62] What lay below `base` was removed; of what the recovery point does not cover there nobody knows whose it was. Then
 * nothing is known of it: an end that is told too early would cut what others rightly have. */
void plog_epochs_recover_from(struct plog *l, struct epoch_recovery *c, offset64 base)
{
    if (base > c->recovery_point) {
        array_clear(&l->epochs.entries);
        c->next = base;
    }
}

void plog_epochs_recover_batch(
        struct plog *l, struct epoch_recovery *c, const struct batch_head *h)
{
    if (h->base >= c->recovery_point) { /* of a compacted segment, too: as walk() */
        offset64 start = c->next > c->recovery_point ? c->next : c->recovery_point;
        start = start < h->base ? start : h->base;
        (void)epoch_cache_assign(&l->epochs, h->leader_epoch, start, true);
    } else if (epoch_cache_at(&l->epochs, h->base) != h->leader_epoch) {
        c->is_doubtful = true; /* [LOG-62] */
    }
    c->next = h->last + 1;
}

void plog_epochs_recover_sealed(
        struct plog *l, struct epoch_recovery *c, const struct segment *s)
{
    epoch32 known = epoch_cache_at(&l->epochs, s->end - 1);

    /* The last batches of a compacted one, of newer epochs, may be gone. */
    if (s->size > 0 && (s->is_compacted ? known < s->last_epoch : known != s->last_epoch)) {
        c->is_doubtful = true; /* [LOG-62] */
    }
    c->next = s->end;
}

int plog_epochs_recover_end(struct plog *l, struct epoch_recovery *c)
{
    int r = 0;

    if (c->is_doubtful) {
        if (c->is_there) { /* else it is the first start with a version that keeps it, or it was removed */
            log_warn("plog", "epochs_made_anew", KV_STR("folder", l->folder),
                    KV_STR("why", "leader-epoch-checkpoint does not agree with the batches"));
        }
        r = plog_epochs_rebuild(l);
    } else if (l->segments.n > 0) {
        (void)epoch_cache_cut_head(&l->epochs, l->segments.items[0].base);
    }
    ARRAY_FOREACH (e, &l->epochs.entries) {
        l->is_epoch_file_behind = l->is_epoch_file_behind || !has_entry(&c->file, e);
    }
    return r < 0 ? err_forward(r) : r;
}
