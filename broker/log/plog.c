/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "broker/log/log_trash.h"
#include "broker/log/partition_identity.h"
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

/* --- Shared within the log -------------------------------------------------------------------- */

char *plog_path(const struct plog *l)
{
    return mem_format("%s/%s", log_dir_path(l->dir), l->folder);
}

struct segment *plog_active(struct plog *l)
{
    return l->segments.n > 0 ? &l->segments.items[l->segments.n - 1] : NULL;
}

size_t plog_segment_index(const struct plog *l, offset64 offset)
{
    size_t low = 0, high = l->segments.n;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (l->segments.items[mid].base <= offset) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

int plog_outcome(struct plog *l, int r, const char *why)
{
    must(r < 0);
    if (r == -ECANCELED && log_dir_is_interrupted(l->dir)) {
        return err_forward(r);
    }
    if (r == -ENOSPC || r == -EDQUOT) {
        return PLOG_E_FULL;
    }
    if (log_dir_is_scarce(r)) {
        return PLOG_E_BUSY;
    }
    char *text = mem_format("%s: %s", l->folder, why);
    log_dir_fail(l->dir, r, text);
    mem_free(text);
    return err_forward(r);
}

struct segment *plog_push_segment(struct plog *l, offset64 base)
{
    char *path = plog_path(l);
    struct segment *s = array_push(&l->segments);

    segment_init(s, l->files, path, base);
    s->id = ++l->last_segment_id;
    mem_free(path);
    return s;
}

void plog_forget_positions(struct plog *l)
{
    l->tail_offset = OFFSET_NONE;
    for (size_t i = 0; i < PLOG_HINTS; i++) {
        l->hints[i].offset = OFFSET_NONE;
    }
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static int damaged(const struct plog *l, const char *why)
{
    log_error("plog", "log_damaged", KV_STR("dir", log_dir_path(l->dir)),
            KV_STR("folder", l->folder), KV_STR("why", why));
    return PLOG_E_DAMAGED;
}

static int foreign(const struct plog *l)
{
    log_error("plog", "folder_of_another_topic", KV_STR("dir", log_dir_path(l->dir)),
            KV_STR("folder", l->folder));
    return PLOG_E_FOREIGN;
}

/* Whose folder is it, if there is one? Sets the stage. */
static int look_at_folder(struct plog *l)
{
    struct partition_identity p = {0};
    char *path = plog_path(l);
    int64_t size = l->io->size_of(l->io->ctx, path);
    int r = size < 0 ? (int)size : partition_identity_read(l->io, path, &p);

    mem_free(path);
    if (r == -ENOENT) {
        l->stage = PLOG_ABSENT;
        return 0;
    }
    if (r < 0) {
        return plog_outcome(l, r, "its folder cannot be read");
    }
    if (r == PARTITION_IDENTITY_E_DAMAGED) {
        return damaged(l, "partition.metadata is damaged");
    }
    if (r == PARTITION_IDENTITY_E_ABSENT) {
        /* A death between making the folder and naming its owner leaves it empty. */
        bool has_data = false;
        l->stage = PLOG_FOLDER;
        r = plog_folder_has_data(l, &has_data);
        return r != 0 ? r : has_data ? damaged(l, "records without partition.metadata") : 0;
    }
    if (!uuid_equal(&p.topic_id, &l->topic_id) || p.partition != l->partition) {
        return foreign(l);
    }
    l->stage = PLOG_READY;
    return 0;
}

static int open_log(struct plog *l, struct plog_open_stats *stats)
{
    struct checkpoint_entry checkpoint = {0};

    (void)log_dir_checkpoint(l->dir, &l->topic_id, l->partition, &checkpoint); /* else all 0 */
    int r = look_at_folder(l);
    if (r != 0) {
        return r;
    }
    stats->existed = l->stage != PLOG_ABSENT;
    if (l->stage == PLOG_READY) {
        return plog_recover(l, &checkpoint, stats);
    }
    if (checkpoint_names_records(&checkpoint)) {
        stats->lost = true;
        log_warn("plog", "log_lost", KV_STR("dir", log_dir_path(l->dir)),
                KV_STR("folder", l->folder), KV_I64("recovery_point", checkpoint.recovery_point),
                KV_I64("high_watermark", checkpoint.high_watermark));
        return 0;
    }
    l->start = l->end = l->saved_start = checkpoint.log_start; /* [LOG-77] */
    return 0;
}

/* Of which nothing was looked at yet. */
static struct plog *make(struct log_dir *dir,
        struct file_cache *files,
        const char *topic,
        const struct uuid *topic_id,
        int32_t partition,
        const struct plog_config *config)
{
    struct plog *l = mem_new(struct plog);

    l->dir = dir;
    l->files = files;
    l->io = log_dir_io(dir);
    l->topic = mem_strdup(topic);
    l->folder = mem_format("%s-%d", topic, partition);
    l->topic_id = *topic_id;
    l->partition = partition;
    l->config = *config;
    l->last_epoch = EPOCH_NONE;
    plog_forget_positions(l);
    return l;
}

struct plog *plog_new_at(struct log_dir *dir,
        struct file_cache *files,
        const char *topic,
        const struct uuid *topic_id,
        int32_t partition,
        const struct plog_config *config,
        offset64 start)
{
    struct plog *l = make(dir, files, topic, topic_id, partition, config);

    l->start = l->end = start; /* [LOG-77] */
    return l;
}

int plog_open(struct log_dir *dir,
        struct file_cache *files,
        const char *topic,
        const struct uuid *topic_id,
        int32_t partition,
        const struct plog_config *config,
        struct plog **ret,
        struct plog_open_stats *ret_stats)
{
    struct plog_open_stats stats = {0};
    struct plog *l = NULL;

    if (log_dir_failed(dir)) {
        return err_origin(-EIO);
    }
    l = make(dir, files, topic, topic_id, partition, config);
    int r = open_log(l, &stats);
    if (r != 0) {
        (void)plog_close(l);
        return r < 0 ? err_forward(r) : r;
    }
    *ret = l;
    if (ret_stats != NULL) {
        *ret_stats = stats;
    }
    return 0;
}

struct plog *plog_close(struct plog *l)
{
    if (l == NULL) {
        return NULL;
    }
    ARRAY_FOREACH (s, &l->segments) {
        segment_deinit(s);
    }
    array_deinit(&l->segments);
    plog_forget_retired(l);
    array_deinit(&l->snapshots);
    epoch_cache_deinit(&l->epochs);
    mem_free(l->topic);
    mem_free(l->folder);
    return mem_free(l);
}

void plog_set_config(struct plog *l, const struct plog_config *config)
{
    l->config = *config;
}

/* --- Queries ---------------------------------------------------------------------------------- */

offset64 plog_start(const struct plog *l)
{
    return l->start;
}

offset64 plog_end(const struct plog *l)
{
    return l->end;
}

offset64 plog_end_after_cut(const struct plog *l)
{
    return l->is_truncating ? l->truncate_to : l->end;
}

offset64 plog_recovery_point(const struct plog *l)
{
    return l->recovery_point;
}

offset64 plog_synced_end(const struct plog *l)
{
    return l->segments.n == 0 ? l->end : l->recovery_point;
}

int64_t plog_bytes(const struct plog *l)
{
    return l->bytes;
}

epoch32 plog_last_epoch(const struct plog *l)
{
    return l->last_epoch;
}

const char *plog_folder(const struct plog *l)
{
    return l->folder;
}

struct log_dir *plog_dir(const struct plog *l)
{
    return l->dir;
}

int64_t plog_unsynced_bytes(const struct plog *l)
{
    return l->unsynced;
}

/* --- Appending -------------------------------------------------------------------------------- */

/* Makes the folder and says whose it is, both synced before the first batch. A full disk may stop
 * this half way; the next attempt goes on from there. */
static int make_folder(struct plog *l)
{
    struct partition_identity p = {.topic_id = l->topic_id, .partition = l->partition};
    char *path = plog_path(l);
    int r = 0;

    if (l->stage == PLOG_ABSENT) {
        /* One that appeared since plog_open looked is not ours: that is an error. */
        r = l->io->mkdir(l->io->ctx, path);
        l->stage = r >= 0 ? PLOG_FOLDER : PLOG_ABSENT;
    }
    if (r >= 0) {
        r = durable_mkdir(l->io, path);
    }
    if (r >= 0) {
        r = partition_identity_write(l->io, path, l->topic, &p);
    }
    if (r >= 0) {
        l->stage = PLOG_READY;
    }
    mem_free(path);
    return r < 0 ? plog_outcome(l, r, "its folder could not be made") : 0;
}

/* The write did not take all of the batch. What it took is cut off again; if that fails too, the
 * file has bytes that nobody can vouch for, and the directory is done with. */
static int undo_write(struct plog *l, struct segment *s, int fd, int64_t written)
{
    if (written < 0 && written != -ENOSPC && written != -EDQUOT) {
        return plog_outcome(l, (int)written, "a batch could not be written");
    }
    int r = l->io->truncate(l->io->ctx, fd, s->size);
    if (r < 0) {
        log_dir_fail(l->dir, r, "a half-written batch could not be cut off");
        return err_forward(r);
    }
    s->n_cuts++;
    s->reserved = 0;
    return PLOG_E_FULL;
}

static int write_batch(struct plog *l, struct segment *s, uint8_t *bytes, size_t size)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    plog_reserve_ahead(l, s, fd, size);
    int64_t n = l->io->pwritev(l->io->ctx, fd, &iov, 1, s->size);
    if (n != (int64_t)size) {
        r = undo_write(l, s, fd, n);
    }
    cached_file_release(s->log);
    return r;
}

/* A log begins with its first segment: were its name lost with the power and a later one's not, the log would seem to
 * begin there. So that one name is synced before its first batch; of the others recovery sees the gap. */
static int sync_first_name(struct plog *l)
{
    char *path = plog_path(l);
    int r = l->io->sync_dir(l->io->ctx, path);

    mem_free(path);
    if (r < 0) {
        return plog_outcome(l, r, "the folder of a new log could not be synced");
    }
    l->n_folder_synced = l->n_folder_changes;
    return 0;
}

static int make_ready(struct plog *l, const struct batch *b)
{
    int r = l->stage == PLOG_READY ? 0 : make_folder(l);
    bool needs_roll = false;

    if (r == 0) {
        r = plog_needs_roll(l, b, &needs_roll);
    }
    if (r == 0 && needs_roll) {
        r = plog_roll(l);
    }
    if (r == 0) {
        r = plog_epochs_persist(l);
    }
    if (r == 0 && l->segments.n == 1 && l->segments.items[0].size == 0 &&
            l->n_folder_synced != l->n_folder_changes) {
        r = sync_first_name(l);
    }
    return r;
}

int plog_append(struct plog *l,
        uint8_t *bytes,
        const struct batch *b,
        epoch32 leader_epoch,
        offset64 *ret_base)
{
    must(leader_epoch >= l->last_epoch);
    must(!l->is_truncating);
    must(b->size >= BATCH_HEADER_SIZE && b->last_offset_delta >= 0);
    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    if (epoch_cache_assign(&l->epochs, leader_epoch, l->end, true)) {
        l->is_epoch_begun = true;
    }
    int r = make_ready(l, b);
    if (r == PLOG_E_BUSY && file_cache_make_room(l->files)) {
        r = make_ready(l, b); /* goes on where it stopped */
    }
    if (r != 0) {
        return r;
    }
    struct segment *s = plog_active(l);
    must(s != NULL); /* a ready log has an active segment */
    struct batch_head h = {.at = s->size,
            .size = (int64_t)b->size,
            .base = l->end,
            .last = l->end + b->last_offset_delta,
            .leader_epoch = leader_epoch,
            .crc = b->crc,
            .max_timestamp = b->max_timestamp,
            .n_records = b->n_records};
    batch_stamp(bytes, l->end, leader_epoch);
    r = write_batch(l, s, bytes, b->size);
    if (r != 0) {
        return r;
    }
    checked_ranges_add(&s->checked, h.at, h.at + h.size); /* [LOG-80] */
    r = segment_note_batch(l->io, s, &h, l->config.index_interval_bytes);
    l->tail_offset = h.base;
    l->tail_at = h.at;
    l->end = s->end;
    l->last_epoch = leader_epoch;
    l->bytes += h.size;
    l->unsynced += h.size;
    if (r < 0) {
        r = plog_outcome(l, r, "an index entry could not be written");
        /* Without a descriptor for it the index stays sparser; the batch is in. */
        if (r < 0) {
            return err_forward(r);
        }
    }
    *ret_base = h.base;
    return 0;
}

/* [LOG-77] The log begins with that batch, before where it said that it would. */
int plog_append_first(struct plog *l, uint8_t *bytes, const struct batch *b, epoch32 leader_epoch)
{
    offset64 begin = l->end, base = OFFSET_NONE;

    must(b->base_offset < begin && batch_last_offset(b) >= l->start);
    if (l->segments.n > 0) { /* Its name says where the log is, and is on the disk perhaps. */
        return PLOG_E_OUT_OF_RANGE;
    }
    l->end = b->base_offset;
    int r = plog_append(l, bytes, b, leader_epoch, &base);
    if (l->end > b->base_offset) {
        return r < 0 ? err_forward(r) : r;
    }
    /* Nothing was appended. What another leader sends may begin elsewhere. */
    if (l->segments.n > 0 && plog_retire_segment(l, 0, 0) != 0) {
        return PLOG_E_OUT_OF_RANGE;
    }
    l->end = begin;
    l->is_epoch_file_behind |= epoch_cache_cut_tail(&l->epochs, 0);
    l->is_epoch_begun = false;
    return r < 0 ? err_forward(r) : r;
}

int plog_delete(struct plog *l)
{
    struct log_dir *dir = l->dir;
    char *folder = mem_strdup(l->folder);
    struct uuid topic_id = l->topic_id;
    int32_t partition = l->partition;
    int r = 0;

    /* [TRS-9] Where it ends is known by a checkpoint, and that stays only with a folder. */
    if (l->stage != PLOG_READY && plog_start(l) > 0) {
        r = make_folder(l);
    }
    bool is_there = l->stage != PLOG_ABSENT;

    (void)plog_close(l);
    if (r >= 0 && is_there) {
        r = log_trash_move(dir, folder, &topic_id, partition);
    }
    mem_free(folder);
    return r < 0 ? err_forward(r) : 0;
}
