/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/verify.h"

#include "broker/log/inspect.h"
#include "broker/log/kv_file.h"
#include "broker/log/log_dir_impl.h"
#include "broker/log/partition_identity.h"
#include "broker/log/seal.h"
#include "broker/log/segment.h"
#include "common/base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SENTENCE_SIZE = 512
};

struct segment_name {
    offset64 base;
    char *name;
};

/* One partition's folder. */
struct look {
    struct verify *v;
    const char *folder;
    offset64 recovery_point; /* 0 = nothing is known to be synced */
    offset64 log_start;      /* in the checkpoint */
    struct partition_identity id;
    ARRAY(struct segment_name) segments;
    offset64 end; /* of what was walked */
    epoch32 epoch;
};

/* One segment of it, while its batches go by. */
struct segment_look {
    struct look *l;
    const char *path, *index_path;
    offset64 base, next;
    bool is_last;
    bool has_seal; /* and it can be read */
    struct seal seal;
    uint64_t heads;
    wall_ms max_timestamp;
    uint8_t *entries; /* of its offset index */
    size_t n_entries, i_entry;
    int64_t doubt_at; /* of a batch with a wrong checksum that nothing good followed yet; -1 = none */
    offset64 doubt_offset;
    int64_t told; /* bytes reported to `moved` */
};

__attribute__((format(printf, 6, 7))) static void find(struct verify *v,
        enum verify_severity severity,
        const char *file,
        int64_t at,
        offset64 offset,
        const char *format,
        ...)
{
    char what[SENTENCE_SIZE];
    struct verify_finding f = {
            .severity = severity, .file = file, .at = at, .offset = offset, .what = what};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    v->n_damages += severity == VERIFY_DAMAGE ? 1 : 0;
    v->n_notes += severity == VERIFY_NOTE ? 1 : 0;
    v->found(v->ctx, &f);
}

static char *path_in(const char *folder, const char *name)
{
    return mem_format("%s/%s", folder, name);
}

/* --- A segment's batches ---------------------------------------------------------------------- */

/* Entries that should have come by now, and the one for this batch. */
static void check_index(struct segment_look *s, const struct batch_head *h)
{
    for (; s->i_entry < s->n_entries; s->i_entry++) {
        const uint8_t *p = s->entries + s->i_entry * INDEX_ENTRY_SIZE;
        offset64 offset = s->base + load_be32(p);
        int64_t at = load_be32(p + 4);
        if (at > h->at) {
            return;
        }
        if (at < h->at || offset != h->base) {
            find(s->l->v, VERIFY_NOTE, s->index_path, (int64_t)(s->i_entry * INDEX_ENTRY_SIZE), offset,
                    "the entry leads to position %" PRId64 ", where no batch begins with its offset; "
                    "an index is only a help and is made anew",
                    at);
        }
    }
}

static void check_offsets(struct segment_look *s, const struct batch_head *h)
{
    struct verify *v = s->l->v;

    if (h->base < s->next) {
        find(v, VERIFY_DAMAGE, s->path, h->at, h->base,
                "a batch begins at offset %" PRId64 " where %" PRId64 " was to come", h->base, s->next);
    } else if (h->base > s->next && !(s->has_seal && s->seal.is_compacted)) {
        find(v, VERIFY_DAMAGE, s->path, h->at, s->next,
                "offsets %" PRId64 " to %" PRId64 " are missing", s->next, h->base - 1);
    }
    if (h->leader_epoch < s->l->epoch) {
        find(v, VERIFY_DAMAGE, s->path, h->at, h->base,
                "leader epoch %" PRId32 " follows %" PRId32 ": epochs never fall", h->leader_epoch,
                s->l->epoch);
    }
}

static bool on_batch(void *ctx, const struct inspected_batch *b)
{
    struct segment_look *s = ctx;
    struct verify *v = s->l->v;
    const struct batch_head *h = &b->head;

    check_offsets(s, h);
    check_index(s, h);
    if (s->doubt_at >= 0 && b->crc_is_right) {
        find(v, VERIFY_DAMAGE, s->path, s->doubt_at, s->doubt_offset,
                "the batch's checksum is wrong, and good batches follow it");
        s->doubt_at = -1;
    }
    if (!b->crc_is_right && s->doubt_at < 0) {
        s->doubt_at = h->at;
        s->doubt_offset = h->base;
    } else if (!b->crc_is_right) {
        find(v, VERIFY_DAMAGE, s->path, h->at, h->base, "the batch's checksum is wrong");
    }
    s->heads = batch_head_digest(s->heads, h);
    s->next = h->last + 1 > s->next ? h->last + 1 : s->next;
    s->l->epoch = h->leader_epoch > s->l->epoch ? h->leader_epoch : s->l->epoch;
    wall_ms t = batch_head_time(h);
    s->max_timestamp = t > s->max_timestamp ? t : s->max_timestamp;
    v->n_batches++;
    v->n_records += b->batch.n_records > 0 ? (uint64_t)b->batch.n_records : 0;
    if (v->moved != NULL) {
        v->moved(v->ctx, h->size);
        s->told += h->size;
    }
    return true;
}

/* What stands behind the last whole batch, or a last batch that is not whole inside. */
static void check_end(struct segment_look *s, const struct inspected_file *f, offset64 next_base)
{
    struct verify *v = s->l->v;
    bool may_be_cut = s->is_last && s->l->recovery_point <= s->next;

    if (s->doubt_at >= 0) {
        bool is_torn = s->is_last && s->l->recovery_point <= s->doubt_offset;
        find(v, is_torn ? VERIFY_NOTE : VERIFY_DAMAGE, s->path, s->doubt_at, s->doubt_offset,
                "the batch's checksum is wrong%s",
                is_torn ? "; it is the last one and was not synced yet: a start cuts it off" : "");
    }
    if (f->good_end == f->size) {
        return;
    }
    if (may_be_cut || (!s->is_last && s->next == next_base)) {
        find(v, VERIFY_NOTE, s->path, f->good_end, s->next,
                "%" PRId64 " bytes behind the last whole batch: a start cuts them off",
                f->size - f->good_end);
    } else {
        find(v, VERIFY_DAMAGE, s->path, f->good_end, s->next,
                "no batch can be read from here on (%" PRId64 " bytes)", f->size - f->good_end);
    }
}

/* [LOG-10] */
static void check_seal(struct segment_look *s, const struct inspected_file *f, offset64 next_base)
{
    const struct seal *seal = &s->seal;
    struct verify *v = s->l->v;

    if (s->is_last || !s->has_seal) {
        return; /* one beside the last segment is what a cut left, and is removed */
    }
    if (seal->base != s->base || !uuid_equal(&seal->topic_id, &s->l->id.topic_id) ||
            seal->partition != s->l->id.partition) {
        find(v, VERIFY_DAMAGE, s->path, -1, s->base, "its seal is of another log or segment");
    } else if (seal->end != next_base) {
        find(v, VERIFY_DAMAGE, s->path, -1, s->base,
                "its seal says that the next segment begins at %" PRId64, seal->end);
    } else if (seal->size > f->size) {
        find(v, VERIFY_DAMAGE, s->path, f->size, s->next,
                "it is shorter than its seal says (%" PRId64 " bytes)", seal->size);
    } else if (f->good_end == f->size && seal->size == f->size && seal->heads != s->heads) {
        find(v, VERIFY_DAMAGE, s->path, -1, s->base, "its batches are not those that were sealed");
    }
    if (seal->is_compacted && s->next < next_base) {
        s->next = next_base;
    }
}

static void load_seal(struct segment_look *s)
{
    char *path = segment_path(s->l->folder, s->base, ".seal");
    int r = seal_read(s->l->v->io, path, &s->seal);

    s->has_seal = r == 0;
    if (r < 0 || r == SEAL_E_DAMAGED) {
        find(s->l->v, VERIFY_NOTE, path, -1, OFFSET_NONE, "it cannot be read and is made anew");
    }
    mem_free(path);
}

/* --- A segment's other files ------------------------------------------------------------------ */

static void load_index(struct segment_look *s)
{
    size_t rest = 0;
    int r = inspect_entries(
            s->l->v->io, s->index_path, INDEX_ENTRY_SIZE, &s->entries, &s->n_entries, &rest);

    if (r < 0) {
        find(s->l->v, VERIFY_NOTE, s->index_path, -1, OFFSET_NONE, "it cannot be read (%s) and is made anew",
                strerror(-r));
    } else if (rest > 0) {
        find(s->l->v, VERIFY_NOTE, s->index_path, (int64_t)(s->n_entries * INDEX_ENTRY_SIZE), OFFSET_NONE,
                "half an entry stands at its end; an index is only a help and is made anew");
    }
}

static void finish_index(struct segment_look *s, int64_t good_end)
{
    if (s->i_entry < s->n_entries) {
        find(s->l->v, VERIFY_NOTE, s->index_path, (int64_t)(s->i_entry * INDEX_ENTRY_SIZE), OFFSET_NONE,
                "%zu entries lead beyond the segment's %" PRId64
                " bytes; an index is only a help and is made anew",
                s->n_entries - s->i_entry, good_end);
    }
    mem_free(s->entries);
}

static void check_time_index(struct segment_look *s, const char *path)
{
    struct verify *v = s->l->v;
    uint8_t *entries = NULL;
    size_t n = 0, rest = 0;
    wall_ms before = INT64_MIN;
    int r = inspect_entries(v->io, path, TIME_ENTRY_SIZE, &entries, &n, &rest);

    if (r == -ENOENT) {
        return; /* it is made when it is needed */
    }
    if (r < 0 || rest > 0) {
        find(v, VERIFY_NOTE, path, -1, OFFSET_NONE, "it %s and is made anew",
                r < 0 ? "cannot be read" : "ends with half an entry");
    }
    for (size_t i = 0; i < n && r >= 0; i++) {
        wall_ms t = (wall_ms)load_be64(entries + i * TIME_ENTRY_SIZE);
        offset64 offset = s->base + load_be32(entries + i * TIME_ENTRY_SIZE + 8);
        if (t < before || t > s->max_timestamp || offset >= s->next) {
            find(v, VERIFY_NOTE, path, (int64_t)(i * TIME_ENTRY_SIZE), offset,
                    "the entry does not fit the segment's batches; an index is only a help and is made anew");
            break;
        }
        before = t;
    }
    mem_free(entries);
}

static int check_segment(struct look *l, size_t i)
{
    const struct segment_name *name = &l->segments.items[i];
    bool is_last = i + 1 == l->segments.n;
    struct inspected_file file = {0};
    char *path = path_in(l->folder, name->name);
    char *index_path = segment_path(l->folder, name->base, ".index");
    char *time_path = segment_path(l->folder, name->base, ".timeindex");
    struct segment_look s = {.l = l,
            .path = path,
            .index_path = index_path,
            .base = name->base,
            .next = name->base,
            .is_last = is_last,
            .max_timestamp = INT64_MIN,
            .doubt_at = -1};

    load_index(&s);
    load_seal(&s);
    int r = inspect_batches(l->v->io, path, on_batch, &s, &file);
    if (r == INSPECT_E_TOO_LARGE) {
        find(l->v, VERIFY_DAMAGE, path, file.good_end, s.next, "a batch does not fit in memory");
        r = 0;
    }
    if (r >= 0) {
        check_seal(&s, &file, is_last ? OFFSET_NONE : name[1].base);
        check_end(&s, &file, is_last ? OFFSET_NONE : name[1].base);
        check_time_index(&s, time_path);
        l->v->bytes += file.size;
        l->v->n_segments++;
    }
    finish_index(&s, file.good_end);
    l->end = s.next;
    if (l->v->moved != NULL && file.size > s.told) {
        l->v->moved(l->v->ctx, file.size - s.told);
    }
    mem_free(time_path);
    mem_free(index_path);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

/* --- A partition ------------------------------------------------------------------------------ */

static void collect_segment(void *arg, const char *name, bool is_dir)
{
    struct look *l = arg;
    offset64 base = 0;

    if (!is_dir && strcmp(name + strcspn(name, "."), ".log") == 0 && inspect_base_of(name, &base)) {
        *array_push(&l->segments) = (struct segment_name){.base = base, .name = mem_strdup(name)};
    }
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment_name *x = a, *y = b;

    return (x->base > y->base) - (x->base < y->base);
}

/* [LOG-21] How many of the first segments lie wholly below the log start: a removal that a power failure undid. */
static size_t pass_removed(struct look *l)
{
    size_t n = 0;

    while (n + 1 < l->segments.n && l->segments.items[n + 1].base <= l->log_start) {
        char *path = path_in(l->folder, l->segments.items[n].name);
        find(l->v, VERIFY_NOTE, path, -1, l->segments.items[n].base,
                "it lies below the log start, offset %" PRId64 ": a start removes it", l->log_start);
        mem_free(path);
        n++;
    }
    return n;
}

static int check_segments(struct look *l)
{
    size_t first = pass_removed(l);
    int r = 0;

    for (size_t i = first; i < l->segments.n && r >= 0; i++) {
        const struct segment_name *s = &l->segments.items[i];
        if (i > first && s->base != l->end) {
            char *path = path_in(l->folder, s->name);
            find(l->v, VERIFY_DAMAGE, path, -1, l->end,
                    "it begins at offset %" PRId64 ", and the segment before it ends at %" PRId64, s->base,
                    l->end);
            mem_free(path);
        }
        r = check_segment(l, i);
    }
    if (r >= 0 && l->end < l->recovery_point) {
        find(l->v, VERIFY_DAMAGE, l->folder, -1, l->end,
                "records up to offset %" PRId64 " were synced, and the log ends at %" PRId64,
                l->recovery_point, l->end);
    }
    return r < 0 ? err_forward(r) : 0;
}

static int check_partition(struct verify *v, const struct log_dir *dir, const char *folder)
{
    struct look l = {.v = v, .folder = folder, .epoch = EPOCH_NONE};
    struct checkpoint_entry checkpoint = {0};
    int r = partition_identity_read(v->io, folder, &l.id);

    if (r < 0) {
        return err_forward(r);
    }
    if (r > 0) {
        char *path = path_in(folder, "partition.metadata");
        find(v, VERIFY_DAMAGE, path, -1, OFFSET_NONE,
                "it is %s: nobody can tell whose records these are",
                r == PARTITION_IDENTITY_E_ABSENT ? "missing" : "damaged");
        mem_free(path);
    } else if (log_dir_checkpoint(dir, &l.id.topic_id, l.id.partition, &checkpoint)) {
        l.recovery_point = checkpoint.recovery_point;
        l.log_start = checkpoint.log_start;
    }
    r = v->io->list(v->io->ctx, folder, collect_segment, &l);
    if (r >= 0) {
        if (l.segments.n > 0) {
            qsort(l.segments.items, l.segments.n, sizeof(*l.segments.items), compare_segments);
        }
        r = check_segments(&l);
    }
    ARRAY_FOREACH (s, &l.segments) {
        mem_free(s->name);
    }
    array_deinit(&l.segments);
    v->n_partitions++;
    return r < 0 ? err_forward(r) : 0;
}

/* --- What was given --------------------------------------------------------------------------- */

/* The checkpoints of a directory that is neither locked nor opened: a broker may be using it. */
static int read_checkpoints(const struct file_io *io, const char *path, struct log_dir *ret)
{
    *ret = (struct log_dir){.io = io, .path = mem_strdup(path), .lock_fd = -1};
    int r = checkpoints_read(ret);

    return r < 0 ? err_forward(r) : 0;
}

struct folder_list {
    ARRAY(char *) names;
};

static void collect_folder(void *arg, const char *name, bool is_dir)
{
    struct folder_list *list = arg;

    if (is_dir && name[0] != '.') {
        *array_push(&list->names) = mem_strdup(name);
    }
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

static bool is_there(const struct file_io *io, const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    bool is = io->size_of(io->ctx, path) >= 0;

    mem_free(path);
    return is;
}

static int check_dir(struct verify *v, const struct log_dir *dir, const char *path)
{
    struct folder_list list = {0};
    struct kv_file kv = {0};
    char *meta = path_in(path, "meta.properties");
    int r = kv_file_read(v->io, meta, &kv);

    if (r == 0) {
        kv_file_deinit(&kv);
    } else if (r > 0) {
        find(v, VERIFY_DAMAGE, meta, -1, OFFSET_NONE, "it is damaged: a broker does not start with it");
        r = 0;
    }
    mem_free(meta);
    if (r >= 0) {
        r = v->io->list(v->io->ctx, path, collect_folder, &list);
    }
    if (list.names.n > 0) {
        qsort(list.names.items, list.names.n, sizeof(*list.names.items), compare_names);
    }
    for (size_t i = 0; i < list.names.n && r >= 0; i++) {
        char *folder = path_in(path, list.names.items[i]);
        r = check_partition(v, dir, folder);
        mem_free(folder);
    }
    ARRAY_FOREACH (name, &list.names) {
        mem_free(*name);
    }
    array_deinit(&list.names);
    return r < 0 ? err_forward(r) : 0;
}

/* Whether the folder has a segment, or says which partition's it is. */
static int is_partition(struct verify *v, const char *path, bool *ret)
{
    struct look l = {.v = v, .folder = path};
    int r = v->io->list(v->io->ctx, path, collect_segment, &l);

    *ret = l.segments.n > 0 || is_there(v->io, path, "partition.metadata");
    ARRAY_FOREACH (s, &l.segments) {
        mem_free(s->name);
    }
    array_deinit(&l.segments);
    return r < 0 ? err_forward(r) : 0;
}

int verify_path(struct verify *v, const char *path)
{
    struct log_dir dir = {0};
    bool is_log = false;
    bool is_dir = is_there(v->io, path, "meta.properties");
    const char *slash = strrchr(path, '/');
    char *parent = is_dir         ? mem_strdup(path)
                   : slash > path ? mem_strndup(path, (size_t)(slash - path))
                                  : mem_strdup(slash != NULL ? "/" : ".");
    int r = is_partition(v, path, &is_log);

    if (r >= 0 && !is_log && !is_dir) {
        r = VERIFY_E_NOT_A_LOG;
    }
    if (r == 0) {
        r = read_checkpoints(v->io, parent, &dir);
        if (r >= 0) {
            r = is_log ? check_partition(v, &dir, path) : check_dir(v, &dir, path);
        }
        mem_free(dir.path);
        mem_free(dir.checkpoints);
    }
    mem_free(parent);
    return r < 0 ? err_forward(r) : r;
}
