/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/seal.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

/* [LOG-9] Seals are written for segments that are no longer appended to, once their bytes and names are synced. What a
 * seal says was gathered while the segment was appended to; a segment of an earlier run is walked once. */

enum {
    SEALS_A_TURN = 16,
    WALK_WINDOW_SIZE = 64 * 1024,
    INDEX_SIZE_MAX = 1024 * 1024 * 1024
};

struct seal_item {
    uint64_t id;
    struct cached_file *log;
    struct sparse_index index, times; /* as they were at begin */
    struct seal seal;
    bool has_digest; /* heads, largest timestamp, last epoch */
    bool is_done;
};

struct plog_seal {
    struct log_dir *dir;
    const struct file_io *io;
    char *folder;
    ARRAY(struct seal_item) items;
};

static bool is_sealable(const struct plog *l, const struct segment *s)
{
    return !s->is_sealed && s->end <= l->recovery_point && s->synced == s->size &&
           s->n_cuts == s->n_cuts_synced;
}

/* Negative: the files cannot be held now. */
static int add_item(struct plog *l, struct plog_seal *x, struct segment *s)
{
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return err_forward(r);
    }
    r = cached_file_hold(s->index.file, &fd);
    if (r >= 0 && s->times.n > 0) {
        r = cached_file_hold(s->times.file, &fd);
        if (r < 0) {
            cached_file_release(s->index.file);
        }
    }
    if (r < 0) {
        cached_file_release(s->log);
        return err_forward(r);
    }
    *array_push(&x->items) = (struct seal_item){.id = s->id,
            .log = s->log,
            .index = s->index,
            .times = s->times,
            .has_digest = s->has_heads && s->has_max_timestamp,
            .seal = {.topic_id = l->topic_id,
                    .partition = l->partition,
                    .dir_id = *log_dir_id(l->dir),
                    .base = s->base,
                    .end = s->end,
                    .size = s->size,
                    .heads = s->heads,
                    .last_epoch = s->last_epoch,
                    .max_timestamp = s->max_timestamp,
                    .is_compacted = s->is_compacted}};
    return 0;
}

bool plog_lacks_seals(const struct plog *l)
{
    return l->lacks_seals;
}

struct plog_seal *plog_seal_begin(struct plog *l)
{
    struct plog_seal *x = NULL;
    bool is_all = true;

    must(!l->is_sealing);
    for (size_t i = 0; l->lacks_seals && !l->is_truncating && i + 1 < l->segments.n; i++) {
        struct segment *s = &l->segments.items[i];
        if (s->is_sealed) {
            continue;
        }
        is_all = false;
        if (!is_sealable(l, s) || (x != NULL && x->items.n == SEALS_A_TURN)) {
            continue;
        }
        if (x == NULL) {
            x = mem_new(struct plog_seal);
            x->dir = l->dir;
            x->io = l->io;
            x->folder = plog_path(l);
        }
        if (add_item(l, x, s) < 0) {
            break; /* for want of descriptors: the next turn has it */
        }
    }
    l->lacks_seals = l->lacks_seals && (!is_all || l->is_truncating);
    l->is_sealing = x != NULL;
    if (x != NULL && x->items.n == 0) {
        plog_seal_end(l, x);
        return NULL;
    }
    return x;
}

/* > 0: SEGMENT_E_BAD. */
static int walk(const struct plog_seal *x, int fd, struct seal *s, uint8_t *window)
{
    struct file_window w;
    struct batch_head h;

    s->heads = 0;
    s->max_timestamp = INT64_MIN;
    s->last_epoch = EPOCH_NONE;
    file_window_init(&w, x->io, fd, s->size, window, WALK_WINDOW_SIZE);
    for (int64_t at = 0; at < s->size; at += h.size) {
        int r = batch_head_read(&w, at, &h);
        if (r != 0) {
            return r < 0 ? err_forward(r) : SEGMENT_E_BAD;
        }
        s->heads = batch_head_digest(s->heads, &h);
        wall_ms t = batch_head_time(&h);
        s->max_timestamp = t > s->max_timestamp ? t : s->max_timestamp;
        s->last_epoch = h.leader_epoch;
    }
    return 0;
}

/* What a seal says is on the disk. The file is held: holding it again opens nothing. */
static int digest(
        const struct plog_seal *x, const struct sparse_index *index, uint32_t *ret_n, uint32_t *ret_crc)
{
    size_t entry_size = sparse_index_entry_size(index);
    size_t size = (size_t)index->n * entry_size;
    int fd = -1;

    *ret_n = *ret_crc = 0;
    if (size == 0) {
        return 0;
    }
    uint8_t *entries = mem_try_alloc(size);
    if (entries == NULL) {
        return err_origin(-ENOMEM);
    }
    int r = cached_file_hold(index->file, &fd);
    if (r >= 0) {
        r = x->io->datasync(x->io->ctx, fd);
        int64_t n = r < 0 ? r : x->io->pread(x->io->ctx, fd, entries, size, 0);
        r = n < 0 ? (int)n : 0;
        *ret_n = n < 0 ? 0 : (uint32_t)((size_t)n / entry_size);
        *ret_crc = crc32c(0, entries, *ret_n * entry_size);
        cached_file_release(index->file);
    }
    mem_free(entries);
    return r < 0 ? err_forward(r) : 0;
}

/* > 0: SEGMENT_E_BAD. */
static int seal_one(const struct plog_seal *x, struct seal_item *item, uint8_t *window)
{
    struct seal *s = &item->seal;
    int fd = -1;
    int r = cached_file_hold(item->log, &fd);

    if (r >= 0) {
        r = item->has_digest ? 0 : walk(x, fd, s, window);
        cached_file_release(item->log);
    }
    if (r == 0) {
        r = digest(x, &item->index, &s->index_n, &s->index_crc);
    }
    if (r == 0) {
        r = digest(x, &item->times, &s->time_n, &s->time_crc);
    }
    if (r == 0) {
        char *path = segment_path(x->folder, s->base, ".seal");
        r = seal_write(x->io, path, s);
        mem_free(path);
    }
    return r < 0 ? err_forward(r) : r;
}

int plog_seal_run(struct plog_seal *x)
{
    uint8_t *window = mem_alloc(WALK_WINDOW_SIZE);
    int r = log_dir_failed(x->dir) ? err_origin(-EIO) : 0;

    for (size_t i = 0; i < x->items.n && r == 0; i++) {
        r = seal_one(x, &x->items.items[i], window);
        x->items.items[i].is_done = r == 0;
        if (r > 0) {
            log_error("plog", "log_damaged", KV_STR("file", cached_file_path(x->items.items[i].log)),
                    KV_STR("why", "the batch headers do not chain"));
            r = PLOG_E_DAMAGED;
        }
    }
    mem_free(window);
    if (r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r)) {
        log_dir_fail(x->dir, r, "a segment could not be sealed");
    }
    return r < 0 ? err_forward(r) : r;
}

void plog_seal_end(struct plog *l, struct plog_seal *x)
{
    ARRAY_FOREACH (item, &x->items) {
        for (size_t i = 0; i < l->segments.n; i++) {
            struct segment *s = &l->segments.items[i];
            if (s->id == item->id && item->is_done && s->size == item->seal.size) {
                s->is_sealed = true;
                s->max_timestamp = item->seal.max_timestamp;
                s->has_max_timestamp = true;
            }
        }
        cached_file_release(item->log);
        cached_file_release(item->index.file);
        if (item->times.n > 0) {
            cached_file_release(item->times.file);
        }
    }
    l->is_sealing = false;
    array_deinit(&x->items);
    mem_free(x->folder);
    mem_free(x);
}
