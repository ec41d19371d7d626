/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper_image.h"

#include "broker/shell/broker.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/wire/meta_image.h"
#include "common/wire/snapshot.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* At most once a second, and so seldom that copying the image takes no more than a hundredth of
 * the control loop. */
#define WRITE_EVERY WTIME_S(1)

enum {
    COPY_SHARE = 100
};

/* What stands in one folder; index 0 = nothing that can be read. */
struct standing {
    uint64_t index, crc;
    uint64_t former_index; /* of META_IMAGE_FORMER_NAME */
};

struct keeper_image {
    struct broker *b;
    struct timer due;
    wtime not_before;
    bool is_dirty; /* something happened since the last copy */
    uint64_t ctl_epoch;
    struct buf batch; /* the batch that stands at batch_index */
    uint64_t batch_index;
    int64_t *known_epochs; /* of this broker, by the files at start; two a folder */
    size_t n_known;

    atomic_bool is_writing; /* from submission to the end of the job */
    struct io_job job;
    /* Of the job; the control loop leaves it alone while is_writing. */
    struct image *frozen;
    struct msg_meta_image like;
    struct buf frozen_batch;
    struct standing *standing; /* a folder each */
};

static char *path_in(const struct log_dir *dir, const char *name)
{
    return mem_format("%s/%s", log_dir_path(dir), name);
}

/* --- At the start ----------------------------------------------------------------------------- */

/* Index and checksum of a file that an earlier run left; index 0 when there is none, or none
 * that can be believed. */
static struct standing read_standing(
        struct keeper_image *k, const struct log_dir *dir, const char *name)
{
    const struct file_io *io = log_dir_io(dir);
    char *path = path_in(dir, name);
    struct standing ret = {0};
    struct msg_meta_image m;
    struct arena arena;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = file_read_all(io, path, META_IMAGE_MAX, &bytes, &size);

    arena_init(&arena, META_IMAGE_CHUNKS_MAX * 2 * sizeof(struct bytes));
    if (r == 0) {
        r = wire_decode_meta_image((struct bytes){.at = bytes, .size = size}, &arena, &m);
        if (r == 0) {
            ret = (struct standing){.index = m.index, .crc = m.log_crc64};
            k->ctl_epoch = m.ctl_epoch > k->ctl_epoch ? m.ctl_epoch : k->ctl_epoch;
            k->known_epochs[k->n_known++] = wire_meta_image_broker_epoch(&m, k->b->id);
        } else {
            log_warn("keeper", "image_ignored", KV_STR("path", path),
                    KV_STR("reason", wire_meta_image_text(r)),
                    KV_STR("then", "it is replaced once there is metadata"));
        }
    } else if (r != -ENOENT) {
        log_warn("keeper", "image_ignored", KV_STR("path", path), KV_ERR(r));
    }
    arena_deinit(&arena);
    (void)mem_free(bytes);
    (void)mem_free(path);
    return ret;
}

/* --- Writing; Thread: pool (and main at the end) ---------------------------------------------- */

/* [RBD-3] Who had forgotten what it knew and was then told less does not overwrite the only
 * trace of it. */
static void keep_former(struct keeper_image *k, const struct log_dir *dir, struct standing *s)
{
    struct image_position at = image_position(k->frozen);
    bool is_newer = s->index > at.index || (s->index == at.index && s->crc != at.crc);

    if (is_newer && s->index > s->former_index) {
        char *from = path_in(dir, META_IMAGE_NAME), *to = path_in(dir, META_IMAGE_FORMER_NAME);
        int r = durable_rename(log_dir_io(dir), from, to);
        log_warn("keeper", "image_kept", KV_STR("path", to), KV_U64("index", s->index),
                KV_U64("applied_index", at.index), KV_STR("error", r < 0 ? strerror(-r) : ""),
                KV_STR("reason", "an earlier run had applied more metadata, or other: was "
                                 "ZooKeeper put back to an older state?"));
        if (r == 0) {
            s->former_index = s->index;
        }
        (void)mem_free(from);
        (void)mem_free(to);
    }
    *s = (struct standing){.index = at.index, .crc = at.crc, .former_index = s->former_index};
}

/* [LOG-123] With `may_use_reserve` also on a disk without a free block. */
static bool write_in(struct keeper_image *k, size_t d, const struct buf *file, bool may_use_reserve)
{
    struct log_dir *dir = k->b->dirs.items[d];
    char *path = path_in(dir, META_IMAGE_NAME);
    int r;

    keep_former(k, dir, &k->standing[d]);
    r = durable_write(log_dir_io(dir), path, file->data, file->size);
    if (may_use_reserve && log_dir_use_reserve_for(dir, r, file->size)) {
        r = durable_write(log_dir_io(dir), path, file->data, file->size);
    }
    if (r < 0 && (r == -ENOSPC || r == -EDQUOT) == may_use_reserve) { /* said once */
        log_warn("keeper", "image_not_written", KV_STR("path", path), KV_ERR(r),
                KV_STR("then", "nothing depends on it; it is tried again with the next change"));
    }
    (void)mem_free(path);
    return r == 0;
}

/* The first folder that takes it. */
static bool write_anywhere(struct keeper_image *k, const struct buf *file, bool may_use_reserve)
{
    bool is_written = false;

    for (size_t d = 0; d < k->b->dirs.n && !is_written; d++) {
        is_written = !log_dir_failed(k->b->dirs.items[d]) && write_in(k, d, file, may_use_reserve);
    }
    return is_written;
}

/* [RBD-1] */
static void write_frozen(struct keeper_image *k)
{
    struct snapshot s;
    struct buf file = {0};

    snapshot_build(k->frozen, &s);
    wire_encode_meta_image_of(&s, &k->like, &file);
    snapshot_deinit(&s);
    if (!write_anywhere(k, &file, false)) {
        (void)write_anywhere(k, &file, true);
    }
    buf_deinit(&file);
    k->frozen = image_free(k->frozen);
}

static void run_job(struct io_job *job)
{
    struct keeper_image *k = container_of(job, struct keeper_image, job);

    write_frozen(k);
    atomic_store(&k->is_writing, false);
}

/* --- Control ---------------------------------------------------------------------------------- */

/* Takes what is to be written; false when there is nothing that is worth it: an empty image
 * would overwrite a good one. */
static bool freeze(struct keeper_image *k)
{
    struct image_position at = image_position(k->b->image);
    uint64_t own_epoch = image_ctl_epoch(k->b->image);

    if (!k->is_dirty || at.index == 0 || uuid_is_zero(&k->b->cluster_id)) {
        return false;
    }
    k->is_dirty = false;
    k->frozen = image_copy(k->b->image);
    buf_clear(&k->frozen_batch);
    if (k->batch_index == at.index) {
        buf_append(&k->frozen_batch, k->batch.data, k->batch.size);
    }
    k->like = (struct msg_meta_image){.cluster_id = k->b->cluster_id,
            .ctl_epoch = own_epoch > k->ctl_epoch ? own_epoch : k->ctl_epoch,
            .last_batch = {.at = k->frozen_batch.data, .size = k->frozen_batch.size},
            .written = clock_wall(),
            .broker = k->b->id};
    return true;
}

static void on_due(void *ctx)
{
    struct keeper_image *k = ctx;
    wtime began = loop_now(k->b->control);
    wtime pause = WRITE_EVERY;

    timer_cancel(&k->due);
    if (!atomic_load(&k->is_writing) && freeze(k)) {
        wtime cost = loop_now(k->b->control) - began;
        pause = cost * COPY_SHARE > pause ? cost * COPY_SHARE : pause;
        atomic_store(&k->is_writing, true);
        io_pool_submit(k->b->pool, &k->job);
    }
    k->not_before = wtime_add(began, pause);
    if (k->is_dirty && image_position(k->b->image).index > 0) { /* it was still being written */
        timer_set(&k->due, k->not_before);
    }
}

static void changed(struct keeper_image *k)
{
    k->is_dirty = true;
    if (k->due.deadline == WTIME_NEVER && !k->b->is_over) {
        wtime now = loop_now(k->b->control);
        timer_set(&k->due, now > k->not_before ? now : k->not_before);
    }
}

void keeper_image_applied(struct keeper_image *k, uint64_t index, struct bytes batch)
{
    buf_clear(&k->batch);
    if (batch.size > 0 && batch.size <= META_IMAGE_BATCH_MAX) {
        buf_append(&k->batch, batch.at, batch.size);
    }
    k->batch_index = index;
    changed(k);
}

void keeper_image_heard(struct keeper_image *k, uint64_t ctl_epoch)
{
    if (ctl_epoch > k->ctl_epoch) {
        k->ctl_epoch = ctl_epoch;
        changed(k);
    }
}

bool keeper_image_knows_epoch(const struct keeper_image *k, int64_t epoch)
{
    for (size_t i = 0; i < k->n_known; i++) {
        if (k->known_epochs[i] == epoch) {
            return true;
        }
    }
    return false;
}

struct keeper_image *keeper_image_new(struct broker *b)
{
    struct keeper_image *k = mem_new(struct keeper_image);

    k->b = b;
    k->job.run = run_job;
    k->standing = mem_new_n(struct standing, b->dirs.n);
    k->known_epochs = mem_new_n(int64_t, 2 * b->dirs.n);
    for (size_t d = 0; d < b->dirs.n; d++) {
        k->standing[d] = read_standing(k, b->dirs.items[d], META_IMAGE_NAME);
        k->standing[d].former_index =
                read_standing(k, b->dirs.items[d], META_IMAGE_FORMER_NAME).index;
    }
    timer_init(&k->due, b->control, on_due, k);
    return k;
}

void keeper_image_finish(struct keeper_image *k)
{
    must(!atomic_load(&k->is_writing));
    if (freeze(k)) {
        write_frozen(k);
    }
}

struct keeper_image *keeper_image_free(struct keeper_image *k)
{
    if (k == NULL) {
        return NULL;
    }
    timer_deinit(&k->due);
    k->frozen = image_free(k->frozen);
    buf_deinit(&k->batch);
    buf_deinit(&k->frozen_batch);
    (void)mem_free(k->standing);
    (void)mem_free(k->known_epochs);
    return mem_free(k);
}
