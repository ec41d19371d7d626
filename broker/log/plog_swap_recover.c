/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/plog_swap.h"
#include "broker/log/seal.h"
#include "broker/log/swap_manifest.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* What a death in the middle of a replacement leaves, by what stands of the new segment's records (N) and the first old
 * one's (O1); [LOG-57]:
 *
 *   manifest   N           O1       then
 *   no         any         any      N was never going to be used: removed
 *   yes        .cleaned    .log     not begun: undone
 *   yes        .swap       .log     not begun; or renamed and its first rename lost with the power: undone, and older ones
 *                                   that had moved get their names back
 *   yes        .swap       moved    begun: finished
 *   yes        final       moved    finished but for the old ones that still have their names
 *   yes        nowhere     any      damage: the replica is failed
 *
 * A manifest is there only when N is whole and on the disk. */

struct leftovers {
    ARRAY(char *) names;
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name), suffix_size = strlen(suffix);

    return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static void collect(void *arg, const char *name, bool is_dir)
{
    struct leftovers *list = arg;

    if (!is_dir && (ends_with(name, ".cleaned") || ends_with(name, ".swap") ||
                           ends_with(name, ".deleted"))) {
        *array_push(&list->names) = mem_strdup(name);
    }
}

/* [LOG-57] No manifest speaks of them any more. That it is gone must be on the disk before they are: an earlier start may
 * have died between its unlink and the sync, and a manifest that came back without them would be damage. */
static int remove_leftovers(struct plog *l, const char *folder)
{
    struct leftovers list = {0};
    int r = l->io->list(l->io->ctx, folder, collect, &list);

    if (r >= 0 && list.names.n > 0) {
        r = l->io->sync_dir(l->io->ctx, folder);
    }
    ARRAY_FOREACH (name, &list.names) {
        char *path = mem_format("%s/%s", folder, *name);
        r = r >= 0 ? l->io->unlink(l->io->ctx, path) : r;
        mem_free(path);
        mem_free(*name);
    }
    array_deinit(&list.names);
    return r < 0 ? err_forward(r) : 0;
}

static int damaged(struct plog *l, const char *why)
{
    log_error("plog", "log_damaged", KV_STR("dir", log_dir_path(l->dir)),
            KV_STR("folder", l->folder), KV_STR("why", why));
    return PLOG_E_DAMAGED;
}

static int forget(struct plog *l, const char *folder, offset64 base, const char *suffix)
{
    char *path = segment_path(folder, base, suffix);
    int r = l->io->unlink(l->io->ctx, path);

    mem_free(path);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

/* What a seal says of the batches in `fd`. False: they are not whole; recovery will say so. */
static int digest(struct plog *l, int fd, struct seal *s, bool *ret_is_whole)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head h;
    int r = 0;

    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    s->end = s->base;
    for (int64_t at = 0; at < s->size && r == 0; at += h.size) {
        r = batch_head_read(&w, at, &h);
        if (r == 0) {
            s->heads = batch_head_digest(s->heads, &h);
            wall_ms t = batch_head_time(&h);
            s->max_timestamp = t > s->max_timestamp ? t : s->max_timestamp;
            s->last_epoch = h.leader_epoch;
            s->end = h.last + 1; /* [LOG-50] */
        }
    }
    *ret_is_whole = r == 0;
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-51] Of a compacted segment that stays: it says so again. */
static int seal_anew(struct plog *l, const char *folder, const struct swap_file *f)
{
    struct seal s = {.topic_id = l->topic_id,
            .partition = l->partition,
            .dir_id = *log_dir_id(l->dir),
            .base = f->base,
            .size = f->size,
            .last_epoch = EPOCH_NONE,
            .max_timestamp = INT64_MIN,
            .index_crc = crc32c(0, "", 0),
            .time_crc = crc32c(0, "", 0),
            .is_compacted = true};
    char *path = segment_path(folder, f->base, ".log");
    int fd = l->io->open(l->io->ctx, path, O_RDONLY);
    bool is_whole = false;

    mem_free(path);
    if (fd < 0) {
        return fd == -ENOENT ? 0 : err_forward(fd);
    }
    int r = digest(l, fd, &s, &is_whole);
    (void)l->io->close(l->io->ctx, fd); /* read only */
    if (r < 0 || !is_whole) {
        return r < 0 ? err_forward(r) : 0;
    }
    path = segment_path(folder, f->base, ".seal");
    r = seal_write(l->io, path, &s);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

/* A renamed index or seal may be the other segment's: both are made anew from the batches, the seal here when it has to
 * say something that they do not. */
static int make_beside_anew(struct plog *l, const char *folder, const struct swap_file *f)
{
    int r = forget(l, folder, f->base, ".index");

    if (r >= 0) {
        r = forget(l, folder, f->base, ".timeindex");
    }
    if (r >= 0) {
        r = f->is_compacted ? seal_anew(l, folder, f) : forget(l, folder, f->base, ".seal");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* An old segment under the name that it had moved to comes back, unless something else has its name by now. */
static int bring_back(struct plog *l, const char *folder, const struct swap_file *f)
{
    bool is_moved = false, is_there = false;
    int r = swap_is_there(l->io, folder, f, ".log.deleted", &is_moved);

    if (r >= 0) {
        r = swap_is_there(l->io, folder, f, ".log", &is_there);
    }
    if (r < 0 || !is_moved || is_there) {
        return r < 0 ? err_forward(r) : 0;
    }
    r = swap_move(l->io, folder, f->base, ".log", ".deleted", "");
    return r < 0 ? err_forward(r) : 0;
}

static int undo(struct plog *l, const char *folder, const struct swap_manifest *m)
{
    int r = 0;

    log_info("plog", "compaction_undone", KV_STR("folder", l->folder), KV_I64("base", m->made.base));
    for (size_t i = 0; i < m->n_old && r >= 0; i++) {
        r = bring_back(l, folder, &m->old[i]);
        r = r >= 0 ? make_beside_anew(l, folder, &m->old[i]) : r;
    }
    if (r >= 0) { /* before the manifest, which is the only thing that knows of them */
        r = l->io->sync_dir(l->io->ctx, folder);
    }
    if (r >= 0) {
        r = swap_undo(l->io, folder, m);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* The new one has its place, or gets it; old ones that still have their names lose them. */
static int finish(struct plog *l, const char *folder, const struct swap_manifest *m)
{
    int r = swap_finish_made(l->io, folder, m->made.base);

    log_info("plog", "compaction_finished", KV_STR("folder", l->folder), KV_I64("base", m->made.base));
    if (r >= 0) { /* before the first old one is unlinked */
        r = l->io->sync_dir(l->io->ctx, folder);
    }
    for (size_t i = 1; i < m->n_old && r >= 0; i++) {
        bool is_there = false;
        r = swap_is_there(l->io, folder, &m->old[i], ".log", &is_there);
        if (r >= 0 && is_there) {
            r = swap_retire(l->io, folder, m->old[i].base);
        }
    }
    if (r >= 0) {
        r = swap_complete(l->io, folder, m);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* Perhaps cut since, so its size does not count. */
static bool has_final(struct plog *l, const char *folder, const struct swap_manifest *m)
{
    char *path = segment_path(folder, m->made.base, ".log");
    bool is_there = l->io->size_of(l->io->ctx, path) >= 0;

    mem_free(path);
    return is_there;
}

/* > 0: DAMAGED. */
static int settle(struct plog *l, const char *folder, const struct swap_manifest *m)
{
    bool is_cleaned = false, is_swap = false, is_first = false;
    int r = swap_is_there(l->io, folder, &m->made, ".log.cleaned", &is_cleaned);

    if (r >= 0) {
        r = swap_is_there(l->io, folder, &m->made, ".log.swap", &is_swap);
    }
    if (r >= 0) {
        r = swap_is_there(l->io, folder, &m->old[0], ".log", &is_first);
    }
    if (r < 0) {
        return err_forward(r);
    }
    if (!is_cleaned && !is_swap && (is_first || !has_final(l, folder, m))) {
        return damaged(l, "the segment that cleaning.manifest names is not there");
    }
    r = is_cleaned || (is_swap && is_first) ? undo(l, folder, m) : finish(l, folder, m);
    return r < 0 ? err_forward(r) : 0;
}

int plog_swap_recover(struct plog *l)
{
    struct swap_manifest m = {0};
    char *folder = plog_path(l);
    int r = swap_manifest_read(l->io, folder, &m);

    if (r == SWAP_E_DAMAGED) {
        r = damaged(l, "cleaning.manifest is damaged: which segments count cannot be told");
    } else if (r == 0 || r == SWAP_E_ABSENT) {
        r = r == 0 ? settle(l, folder, &m) : 0;
        if (r == 0) {
            r = remove_leftovers(l, folder);
        }
    }
    swap_manifest_deinit(&m);
    mem_free(folder);
    return r < 0 ? err_forward(r) : r;
}
