/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

/* Segments as somebody sees them who judges what may go. The largest timestamp of a segment that was not written in this
 * run is not known; finding it walks all its batch headers, which is nothing to do under the partition's lock. */

size_t plog_n_segments(const struct plog *l)
{
    return l->segments.n;
}

void plog_segment_at(const struct plog *l, size_t i, struct plog_segment *ret)
{
    must(i < l->segments.n);
    const struct segment *s = &l->segments.items[i];

    *ret = (struct plog_segment){.id = s->id,
            .base = s->base,
            .end = s->end,
            .size = s->size,
            .has_max_timestamp = s->has_max_timestamp,
            .max_timestamp = s->max_timestamp};
}

struct plog_look {
    struct log_dir *dir;
    const struct file_io *io;
    struct cached_file *file;
    int fd;
    uint64_t id;
    int64_t size; /* when it began */
    wall_ms max_timestamp;
    bool is_done;
};

int plog_look_begin(struct plog *l, size_t i, struct plog_look **ret)
{
    must(i < l->segments.n);
    struct segment *s = &l->segments.items[i];
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    struct plog_look *k = mem_new(struct plog_look);
    *k = (struct plog_look){.dir = l->dir,
            .io = l->io,
            .file = s->log,
            .fd = fd,
            .id = s->id,
            .size = s->size,
            .max_timestamp = s->has_max_timestamp ? s->max_timestamp : INT64_MIN,
            .is_done = s->has_max_timestamp};
    *ret = k;
    return 0;
}

static int walk(struct plog_look *k)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head h;

    file_window_init(&w, k->io, k->fd, k->size, bytes, sizeof(bytes));
    for (int64_t at = 0; at < k->size; at += h.size) {
        int r = batch_head_read(&w, at, &h);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        wall_ms t = batch_head_time(&h);
        k->max_timestamp = t > k->max_timestamp ? t : k->max_timestamp;
    }
    k->is_done = true;
    return 0;
}

int plog_look_run(struct plog_look *k, wall_ms *ret_max_timestamp, wall_ms *ret_modified)
{
    int64_t modified = k->io->modified(k->io->ctx, k->fd);
    int r = modified < 0 ? (int)modified : k->is_done ? 0 : walk(k);

    if (r < 0) {
        if (!log_dir_is_scarce(r)) {
            log_dir_fail(k->dir, r, "a segment could not be read");
        }
        return err_forward(r);
    }
    if (r > 0) {
        log_error("plog", "log_damaged", KV_STR("file", cached_file_path(k->file)),
                KV_STR("why", "the batch headers do not chain"));
        return PLOG_E_DAMAGED;
    }
    *ret_max_timestamp = k->max_timestamp;
    *ret_modified = modified;
    return 0;
}

void plog_look_end(struct plog *l, struct plog_look *k)
{
    ARRAY_FOREACH (s, &l->segments) {
        if (s->id == k->id && s->size == k->size && k->is_done) {
            s->max_timestamp = k->max_timestamp;
            s->has_max_timestamp = true;
        }
    }
    cached_file_release(k->file);
    mem_free(k);
}
