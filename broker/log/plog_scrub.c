/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_scrub.h"

#include "broker/log/kv_file.h"
#include "broker/log/plog_check.h"
#include "broker/log/plog_impl.h"
#include "broker/log/seal.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

enum {
    SCRUB_WINDOW_SIZE = 256 * 1024,
    SCRUB_PAGE = 4096,
    INDEX_BYTES_MAX = 16 * 1024 * 1024, /* of an index that is looked at */
};

/* One of the two indexes, and the entries that appending would have made. */
struct index_file {
    int fd;
    uint8_t *entries; /* the file */
    uint32_t n, n_matched;
    bool is_wrong;
    ARRAY(struct sparse_entry) made;
};

struct plog_scrub {
    uint64_t segment_id;
    uint32_t n_cuts;
    const struct file_io *io; /* the directory's */
    struct file_io careful;   /* reads, and leaves the page cache as it was */
    int fd;
    struct segment segment; /* as it was; its files are not used */
    int64_t index_interval;
    struct file_window window;
    uint8_t *bytes;
    int64_t at;
    offset64 next;
    const char *why; /* it is damaged: at `at` */
    uint64_t heads;  /* of what was read, as seals have it */

    struct index_file offsets, times;
    int64_t index_due;
    wall_ms max_timestamp;
    offset64 max_timestamp_offset; /* the last one of the first batch with it */
};

/* [LOG-92] What was not in memory before is not to push out what is. */
static int64_t careful_pread(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    struct plog_scrub *s = ctx;
    bool was_hot = s->io->is_hot(s->io->ctx, fd, at, (int64_t)size);
    int64_t n = s->io->pread(s->io->ctx, fd, bytes, size, at);

    if (!was_hot && n > 0) {
        int64_t begin = at / SCRUB_PAGE * SCRUB_PAGE;
        int64_t end = (at + n + SCRUB_PAGE - 1) / SCRUB_PAGE * SCRUB_PAGE;
        s->io->advise(s->io->ctx, fd, begin, end - begin, FILE_NOT_AGAIN);
    }
    return n;
}

struct plog_scrub *plog_scrub_free(struct plog_scrub *s)
{
    if (s == NULL) {
        return NULL;
    }
    int fds[] = {s->fd, s->offsets.fd, s->times.fd};

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (fds[i] >= 0) {
            (void)s->io->close(s->io->ctx, fds[i]); /* nothing was written through it */
        }
    }
    array_deinit(&s->offsets.made);
    array_deinit(&s->times.made);
    (void)mem_free(s->offsets.entries);
    (void)mem_free(s->times.entries);
    (void)mem_free(s->bytes);
    return mem_free(s);
}

/* An index as its file is, once. */
static int read_index(struct plog_scrub *s, const struct sparse_index *x, struct index_file *f)
{
    uint32_t entry_size = sparse_index_entry_size(x);

    if (f->entries != NULL || f->fd < 0) {
        return 0;
    }
    int64_t size = s->io->size(s->io->ctx, f->fd);
    if (size < 0) {
        return err_forward((int)size);
    }
    f->is_wrong = size != (int64_t)x->n * entry_size;
    size = f->is_wrong || size > INDEX_BYTES_MAX ? 0 : size; /* made anew, or left alone */
    f->entries = mem_alloc((size_t)size + 1);
    int64_t n = s->io->pread(s->io->ctx, f->fd, f->entries, (size_t)size, 0);
    if (n < 0) {
        return err_forward((int)n);
    }
    f->n = (uint32_t)(n / entry_size);
    return 0;
}

/* One that is not there is made anew. */
static int open_index(struct plog_scrub *s, const struct sparse_index *x, struct index_file *f)
{
    if (x->is_broken) { /* a full disk: it is made anew at the next start */
        return 0;
    }
    f->fd = s->io->open(s->io->ctx, cached_file_path(x->file), O_RDONLY);
    f->is_wrong = f->fd == -ENOENT;
    return f->fd < 0 && !f->is_wrong ? err_forward(f->fd) : 0;
}

static int open_files(struct plog_scrub *s)
{
    s->fd = s->io->open(s->io->ctx, cached_file_path(s->segment.log), O_RDONLY);
    if (s->fd < 0) {
        return err_forward(s->fd);
    }
    int r = open_index(s, &s->segment.index, &s->offsets);
    if (r >= 0) {
        r = open_index(s, &s->segment.times, &s->times);
    }
    return r < 0 ? err_forward(r) : 0;
}

static const struct segment *find_sealed(const struct plog *l, offset64 from)
{
    for (size_t i = 0; i + 1 < l->segments.n; i++) {
        const struct segment *s = &l->segments.items[i];
        if (s->base >= from && s->size > 0) {
            return s->end <= l->recovery_point ? s : NULL;
        }
    }
    return NULL;
}

int plog_scrub_begin(struct plog *l, offset64 from, struct plog_scrub **ret)
{
    const struct segment *from_segment = find_sealed(l, from);

    if (from_segment == NULL) {
        return PLOG_E_NOT_FOUND;
    }
    struct plog_scrub *s = mem_new(struct plog_scrub);
    s->segment_id = from_segment->id;
    s->n_cuts = from_segment->n_cuts;
    s->io = l->io;
    s->careful.ctx = s;
    s->careful.pread = careful_pread;
    s->segment = *from_segment;
    s->segment.checked = (struct checked_ranges){0};
    s->index_interval = l->config.index_interval_bytes;
    s->next = from_segment->base;
    s->fd = s->offsets.fd = s->times.fd = -1;
    s->max_timestamp = -1;
    s->max_timestamp_offset = OFFSET_NONE;
    int r = open_files(s);
    if (r < 0) {
        (void)plog_scrub_free(s);
        return plog_outcome(l, r, "a segment could not be opened");
    }
    l->io->advise(l->io->ctx, s->fd, 0, s->segment.size, FILE_SCATTERED);
    s->bytes = mem_alloc(SCRUB_WINDOW_SIZE);
    file_window_init(&s->window, &s->careful, s->fd, s->segment.size, s->bytes, SCRUB_WINDOW_SIZE);
    *ret = s;
    return 0;
}

/* [LOG-93] Every entry must be that of a batch; there may be fewer than append would make. */
static void match_offset(struct plog_scrub *s, const struct batch_head *h, struct sparse_entry made)
{
    struct index_file *f = &s->offsets;

    if (f->n_matched < f->n) {
        const uint8_t *p = f->entries + (size_t)f->n_matched * INDEX_ENTRY_SIZE;
        if (load_be32(p + 4) == made.value && h->at > 0) {
            f->is_wrong = f->is_wrong || load_be32(p) != made.key;
            f->n_matched++;
        }
    }
}

/* [LOG-93] The same of times: an entry is that of the first batch that is younger than all before. */
static void match_time(struct plog_scrub *s, const struct batch_head *h)
{
    struct index_file *f = &s->times;
    wall_ms t = batch_head_time(h);

    if (f->n_matched < f->n) {
        const uint8_t *p = f->entries + (size_t)f->n_matched * TIME_ENTRY_SIZE;
        if (load_be32(p + 8) == (uint32_t)(h->last - s->segment.base)) {
            f->is_wrong = f->is_wrong || (wall_ms)load_be64(p) != t || t <= s->max_timestamp;
            f->n_matched++;
        }
    }
    if (t > s->max_timestamp) {
        s->max_timestamp = t;
        s->max_timestamp_offset = h->last;
    }
}

/* The largest timestamp so far, unless it stands there. */
static void make_time(struct plog_scrub *s)
{
    size_t n = s->times.made.n;

    if (s->max_timestamp >= 0 &&
            (n == 0 || s->times.made.items[n - 1].key < s->max_timestamp)) {
        *array_push(&s->times.made) = (struct sparse_entry){
                .key = s->max_timestamp, .value = s->max_timestamp_offset - s->segment.base};
    }
}

static void note_batch(void *ctx, const struct batch_head *h)
{
    struct plog_scrub *s = ctx;
    struct sparse_entry made = {.key = h->base - s->segment.base, .value = h->at};
    bool is_due = s->index_due > s->index_interval && h->at > 0 && h->at <= UINT32_MAX;

    s->heads = batch_head_digest(s->heads, h);
    match_offset(s, h, made);
    match_time(s, h);
    s->index_due = (is_due ? 0 : s->index_due) + h->size;
    if (is_due) {
        make_time(s); /* [LOG-7] */
        *array_push(&s->offsets.made) = made;
    }
}

/* The last entry of the time index is the segment's largest timestamp: what lies behind it would not be found. */
static void judge_end_of_times(struct plog_scrub *s)
{
    struct index_file *f = &s->times;
    wall_ms last = -1;

    if (f->n > 0) {
        last = (wall_ms)load_be64(f->entries + (size_t)(f->n - 1) * TIME_ENTRY_SIZE);
    }
    make_time(s);
    f->is_wrong = f->is_wrong || (f->fd >= 0 && last != s->max_timestamp);
}

int plog_scrub_step(struct plog_scrub *s, int64_t max_bytes, int64_t *ret_bytes, bool *ret_done)
{
    int64_t begin = s->at;
    const char *why = NULL;
    int r = read_index(s, &s->segment.index, &s->offsets);

    if (r >= 0) {
        r = read_index(s, &s->segment.times, &s->times);
    }
    if (r >= 0) {
        r = segment_check_batches(
                &s->segment, &s->window, max_bytes, &s->at, &s->next, note_batch, s, &why);
    }
    if (r < 0) {
        return err_forward(r);
    }
    s->why = r > 0 ? why : NULL;
    *ret_bytes = s->at - begin;
    *ret_done = r > 0 || s->at >= s->segment.size;
    if (r == 0 && *ret_done) {
        judge_end_of_times(s);
    }
    if (r == 0 && *ret_done && s->segment.has_heads && s->heads != s->segment.heads) {
        s->why =
                "its batches are not those that were appended or sealed"; /* no checksum of their own tells */
    }
    return 0;
}

offset64 plog_scrub_next(const struct plog_scrub *s)
{
    return s->segment.end;
}

static bool is_right(const struct index_file *f)
{
    return !f->is_wrong && f->n_matched == f->n;
}

/* Writes over an index what it should be. */
static int make_index_anew(struct plog *l, struct sparse_index *x, const struct index_file *f)
{
    struct buf bytes = {0};

    for (size_t i = 0; i < f->made.n; i++) {
        const struct sparse_entry *e = &f->made.items[i];
        if (x->key_size == 8) {
            buf_be64(&bytes, (uint64_t)e->key);
        } else {
            buf_be32(&bytes, (uint32_t)e->key);
        }
        buf_be32(&bytes, (uint32_t)e->value);
    }
    int r = sparse_index_replace(
            l->io, x, f->made.n > 0 ? bytes.data : (const uint8_t *)"", (uint32_t)f->made.n);
    buf_deinit(&bytes);
    log_warn("plog", "index_rebuilt", KV_STR("file", cached_file_path(x->file)),
            KV_U64("entries", f->made.n),
            KV_STR("why", "an entry led to no batch, or entries were missing"));
    return r < 0 ? plog_outcome(l, r, "an index could not be written") : 0;
}

/* [LOG-7] Both when one is wrong: what one says is of no use without the other. */
static int mend_indexes(
        struct plog *l, struct segment *segment, struct plog_scrub *s, bool *ret_is_new)
{
    bool is_broken = segment->index.is_broken || segment->times.is_broken;

    if (s->at != segment->size || is_broken || (is_right(&s->offsets) && is_right(&s->times))) {
        return 0;
    }
    *ret_is_new = true;
    segment->is_sealed = false; /* it has another seal then, or it would be walked at each start */
    l->lacks_seals = true;
    int r = make_index_anew(l, &segment->times, &s->times);
    if (r == 0) {
        r = make_index_anew(l, &segment->index, &s->offsets);
    }
    return r < 0 ? err_forward(r) : r;
}

int plog_scrub_end(struct plog *l, struct plog_scrub *s, int r, bool *ret_is_index_new)
{
    struct segment *segment = plog_same_segment(l, s->segment_id, s->n_cuts);
    int outcome = 0;

    *ret_is_index_new = false;
    if (log_dir_is_scarce(r)) {
        outcome = PLOG_E_BUSY;
    } else if (segment == NULL || segment->size != s->segment.size) {
        outcome = 0; /* [LOG-86] */
    } else if (r < 0) {
        outcome = plog_outcome(l, r, "a segment could not be read");
    } else if (s->why != NULL) {
        outcome = plog_found_damage(l, segment, s->at, s->next, s->why);
    } else {
        checked_ranges_add(&segment->checked, 0, s->at);
        outcome = mend_indexes(l, segment, s, ret_is_index_new);
    }
    (void)plog_scrub_free(s);
    return outcome;
}

/* --- Where it goes on ------------------------------------------------------------------------- */

static char *cursor_path(const struct log_dir *d)
{
    return mem_format("%s/scrub.cursor", log_dir_path(d));
}

int scrub_cursor_read(const struct log_dir *d, struct scrub_cursor *ret)
{
    struct scrub_cursor c = {0};
    struct kv_file f = {0};
    int64_t partition = 0;
    char *path = cursor_path(d);
    int r = kv_file_read(log_dir_io(d), path, &f);

    mem_free(path);
    *ret = (struct scrub_cursor){0};
    if (r != 0) {
        return r < 0 ? err_forward(r) : 0;
    }
    if (kv_file_get_uuid(&f, "topic_id", &c.topic_id) &&
            kv_file_get_i64(&f, "partition", &partition) && partition >= 0 &&
            partition <= INT32_MAX && kv_file_get_i64(&f, "offset", &c.offset) && c.offset >= 0) {
        c.partition = (int32_t)partition;
        *ret = c;
    }
    kv_file_deinit(&f);
    return 0;
}

int scrub_cursor_write(const struct log_dir *d, const struct scrub_cursor *c)
{
    char id[UUID_TEXT_SIZE];
    char *path = cursor_path(d);
    char *lines = mem_format("topic_id=%s\npartition=%d\noffset=%" PRId64 "\n",
            uuid_format(&c->topic_id, id), c->partition, c->offset);
    int r = kv_file_write(log_dir_io(d), path, lines);

    mem_free(lines);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}
