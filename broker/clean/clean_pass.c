/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/clean_pass.h"

#include "broker/clean/batch_filter.h"
#include "broker/clean/batch_reader.h"
#include "broker/clean/clean_describe.h"
#include "broker/log/batch_head.h"
#include "broker/log/segment.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/compress/compress.h"

#include <errno.h>
#include <fcntl.h>

enum {
    WINDOW_SIZE = 64 * 1024,
    SMALL_BATCH = 4096 /* below it several headers come with one read */
};

struct pass {
    const struct clean_env *env;
    const struct clean_task *task;
    const struct file_io *io;
    struct clean_result *ret;
    struct cleaning_survey *survey;
    struct key_map map;
    uint64_t n_dirty_records;
    offset64 from, end; /* dirty; `end` moves down to where the map is full */
    struct batch_reader reader;
    struct batch_filter filter;
};

/* What a failed operation is to the caller. */
static int outcome(struct pass *p, int r, const char *why)
{
    must(r < 0);
    if (r == -ENOENT) { /* retention or a removed topic took the file */
        return CLEAN_E_CHANGED;
    }
    if (r == -ENOSPC || r == -EDQUOT || log_dir_is_scarce(r)) {
        return CLEAN_E_FULL;
    }
    log_dir_fail(p->env->dir, r, why);
    return err_forward(r);
}

static int damaged(struct pass *p, const char *why, offset64 at)
{
    /* [LOG-56] Its end was cut off meanwhile. */
    if (!p->env->is_as_listed(p->env->ctx, &p->task->list)) {
        return CLEAN_E_CHANGED;
    }
    p->ret->why = why;
    p->ret->at = at;
    return CLEAN_E_DAMAGED;
}

static bool pace_read(struct pass *p, int64_t bytes)
{
    p->ret->bytes_read += bytes;
    return bytes == 0 || p->env->pace(p->env->ctx, bytes);
}

/* --- The survey --------------------------------------------------------------------------------------------------- */

/* A header's batch as the rules see it; a control batch is read whole. > 0: BATCH_HEAD_E_BAD. */
static int describe(struct file_window *w, const struct batch_head *h, struct cleaning_batch *ret)
{
    const uint8_t *bytes = NULL;
    struct batch b;

    *ret = (struct cleaning_batch){.base = h->base,
            .last = h->last,
            .producer_id = h->producer_id,
            .is_transactional = (h->attributes & BATCH_TRANSACTIONAL) != 0,
            .max_timestamp = h->max_timestamp,
            .horizon = -1};
    if ((h->attributes & BATCH_CONTROL) == 0) {
        return 0;
    }
    ret->marker = CLEANING_OTHER_MARKER;
    if (h->size > (int64_t)w->cap) {
        return 0;
    }
    int r = file_window_get(w, h->at, (size_t)h->size, &bytes);
    if (r < 0) {
        return err_forward(r);
    }
    if (bytes == NULL || batch_parse(bytes, (size_t)h->size, &b) != 0) {
        return BATCH_HEAD_E_BAD;
    }
    *ret = clean_describe(&b);
    return 0;
}

static void see_head(struct pass *p, const struct batch_head *h, const struct cleaning_batch *b)
{
    cleaning_survey_see(p->survey, b);
    if (h->last < p->from) {
        p->ret->epoch = h->leader_epoch;
    } else {
        p->n_dirty_records += h->n_records > 0 ? (uint64_t)h->n_records : 0;
    }
}

/* > 0: CLEAN_E_*, or BATCH_HEAD_E_BAD folded into DAMAGED. */
static int survey_batches(struct pass *p, struct file_window *w, const struct sealed_segment *s)
{
    struct cleaning_batch b;
    struct batch_head h;
    offset64 next = s->base;

    for (int64_t at = 0; at < s->size; at += h.size) {
        int64_t window_at = w->at;
        int r = batch_head_read(w, at, &h);
        if (r == 0 && (h.base < next || h.last >= s->end)) {
            r = BATCH_HEAD_E_BAD;
        }
        if (r == 0) {
            r = describe(w, &h, &b);
        }
        if (r != 0) {
            return r < 0 ? outcome(p, r, "a segment could not be read")
                         : damaged(p, "the batch headers do not chain", next);
        }
        if (w->at != window_at && !pace_read(p, (int64_t)w->n)) {
            return CLEAN_E_STOPPED;
        }
        see_head(p, &h, &b);
        w->cap = h.size < SMALL_BATCH ? WINDOW_SIZE : SMALL_BATCH;
        next = h.last + 1;
    }
    return next == s->end ? 0 : damaged(p, "the segment ends too early", next);
}

static int survey_segment(struct pass *p, const struct sealed_segment *s, uint8_t *bytes)
{
    char *path = segment_path(p->task->list.folder, s->base, ".log");
    int fd = p->io->open(p->io->ctx, path, O_RDONLY);
    struct file_window w;

    mem_free(path);
    if (fd < 0) {
        return outcome(p, fd, "a segment could not be opened");
    }
    file_window_init(&w, p->io, fd, s->size, bytes, SMALL_BATCH);
    w.at = -1;
    int r = survey_batches(p, &w, s);
    (void)p->io->close(p->io->ctx, fd); /* read only */
    return r < 0 ? err_forward(r) : r;
}

static int survey(struct pass *p)
{
    const struct clean_task *task = p->task;
    uint8_t *bytes = mem_alloc(WINDOW_SIZE);
    int r = 0;

    for (size_t i = 0; i < task->range.n_segments && r == 0; i++) {
        r = survey_segment(p, &task->list.items[i], bytes);
    }
    mem_free(bytes);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    /* [LOG-58] The log was cut and went on otherwise since: what was clean is not any more. */
    if (p->from > task->list.items[0].base && task->epoch != EPOCH_NONE &&
            p->ret->epoch != task->epoch) {
        p->from = task->list.items[0].base;
        p->n_dirty_records = (uint64_t)(p->end - p->from);
        p->ret->epoch = EPOCH_NONE;
    }
    offset64 open = cleaning_survey_first_open(p->survey);
    if (open != OFFSET_NONE && open < p->end) { /* [LOG-40] */
        p->end = open;
    }
    return 0;
}

/* --- The map ------------------------------------------------------------------------------------------------------ */

static int make_map(struct pass *p)
{
    uint64_t n_max = (uint64_t)p->env->map_size / KEY_SLOT_SIZE;
    uint64_t wanted = p->n_dirty_records + p->n_dirty_records / 2 + 16; /* two thirds full at most */
    int r = key_map_init(
            &p->map, (size_t)(wanted < n_max ? wanted : n_max), p->env->map_load_ppm);

    return r < 0 ? CLEAN_E_FULL : 0;
}

/* > 0: CLEAN_E_*. */
static int read_next(struct pass *p, const struct sealed_segment *s, offset64 next, struct batch *ret)
{
    int64_t before = p->reader.n_read;
    int r = batch_reader_next(&p->reader, ret);

    if (r < 0) {
        return outcome(p, r, "a segment could not be read");
    }
    if (!pace_read(p, p->reader.n_read - before)) {
        return CLEAN_E_STOPPED;
    }
    if (r != 0 || ret->base_offset < next || ret->last_offset_delta < 0 ||
            batch_last_offset(ret) >= s->end || ret->n_records < 0) {
        return damaged(p, "a batch fails its checks", next);
    }
    return 0;
}

/* > 0: CLEAN_E_*. */
static int map_records(struct pass *p, const struct batch *b)
{
    struct record_iter it;
    struct bytes plain;
    struct record rec;
    int r = b->n_records > 0
                    ? batch_plain_records(b, BATCH_FILTER_PLAIN_MAX, &p->filter.plain, &plain)
                    : 0;

    if (r < 0) {
        return CLEAN_E_FULL;
    }
    if (r > 0) {
        return damaged(p, "a batch cannot be unpacked", b->base_offset);
    }
    if (b->n_records == 0) {
        return 0;
    }
    record_iter_init(&it, b, plain.at, plain.size);
    while ((r = record_iter_next(&it, &rec)) == 0) {
        if (rec.key.at != NULL && rec.offset >= p->from) {
            struct key_hash hash = p->env->hash(p->env->ctx, rec.key);
            key_map_put(&p->map, &hash, rec.offset);
        }
    }
    return r == RECORD_END ? 0 : damaged(p, "the records of a batch are malformed", b->base_offset);
}

/* `*ret_full`: the map has no room for this batch; p->end is where it begins. > 0: CLEAN_E_*. */
static int map_segment(struct pass *p,
        const struct sealed_segment *s,
        struct cleaning_walk *walk,
        bool *ret_full)
{
    offset64 next = s->base;
    struct batch b;

    while (p->reader.at < s->size && next < p->end) {
        struct cleaning_judgement j;
        int r = read_next(p, s, next, &b);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        next = batch_last_offset(&b) + 1;
        struct cleaning_batch head = clean_describe(&b);
        cleaning_judge(walk, &head, false, p->env->now, &j);
        if (head.last < p->from || head.base >= p->end) {
            continue;
        }
        if (head.marker == CLEANING_NO_MARKER && !j.is_aborted) {
            if ((size_t)b.n_records > key_map_room(&p->map)) { /* [LOG-59] */
                p->end = b.base_offset;
                *ret_full = true;
                return 0;
            }
            r = map_records(p, &b);
            if (r != 0) {
                return r;
            }
        }
        p->ret->epoch = b.leader_epoch;
    }
    return 0;
}

static int open_segment(struct pass *p, const struct sealed_segment *s)
{
    char *path = segment_path(p->task->list.folder, s->base, ".log");
    int r = batch_reader_open(&p->reader, p->io, path, s->size);

    mem_free(path);
    return r < 0 ? outcome(p, r, "a segment could not be opened") : 0;
}

static int build_map(struct pass *p)
{
    const struct clean_task *task = p->task;
    struct cleaning_walk *walk = cleaning_walk_new(p->survey);
    bool is_full = false;
    int r = make_map(p);

    for (size_t i = 0; i < task->range.n_segments && r == 0 && !is_full; i++) {
        const struct sealed_segment *s = &task->list.items[i];
        if (s->end <= p->from || s->base >= p->end) {
            continue;
        }
        r = open_segment(p, s);
        if (r == 0) {
            r = map_segment(p, s, walk, &is_full);
        }
    }
    (void)cleaning_walk_free(walk);
    if (r == 0 && is_full && p->end <= p->from) {
        p->ret->why = "one batch has more keys than log.cleaner.dedupe.buffer.size holds";
        p->ret->at = p->end;
        return CLEAN_E_TOO_SMALL;
    }
    p->ret->n_keys = p->map.n;
    return r < 0 ? err_forward(r) : r;
}

/* --- Rewriting ---------------------------------------------------------------------------------------------------- */

static offset64 newest(void *ctx, struct bytes key)
{
    struct pass *p = ctx;
    struct key_hash hash = p->env->hash(p->env->ctx, key);

    return key_map_get(&p->map, &hash);
}

/* One group on its way to become one segment. */
struct group {
    const struct sealed_segment *old;
    size_t n;
    struct segment_writer writer;
    bool is_changed;
    bool is_taken; /* the written files are the swap's */
};

static int write_batch(
        struct pass *p, struct group *g, const struct batch *b, const struct filtered *f)
{
    int64_t before = g->writer.written;
    struct batch made = *b;

    must(f->result == FILTER_SAME || batch_parse(f->bytes.at, f->bytes.size, &made) == 0);
    int r = segment_writer_add(&g->writer, &made);

    if (r < 0) {
        return outcome(p, r, "a cleaned segment could not be written");
    }
    int64_t written = g->writer.written - before;
    p->ret->bytes_written += written;
    return written == 0 || p->env->pace(p->env->ctx, written) ? 0 : CLEAN_E_STOPPED;
}

/* > 0: CLEAN_E_*. */
static int rewrite_batch(struct pass *p,
        struct group *g,
        struct cleaning_walk *walk,
        const struct batch *b,
        bool is_last)
{
    struct filter_rules rules = {.head = clean_describe(b),
            .end = p->end,
            .now = p->env->now,
            .new_horizon = cleaning_new_horizon(&p->task->policy, p->env->now),
            .newest = newest,
            .ctx = p};
    struct filtered f;

    cleaning_judge(walk, &rules.head, is_last, p->env->now, &rules.judgement);
    int r = batch_filter_run(&p->filter, b, &rules, &f);
    if (r != 0) {
        return r < 0 ? CLEAN_E_FULL
                     : damaged(p, "the records of a batch are malformed", b->base_offset);
    }
    p->ret->n_records += (uint64_t)b->n_records;
    p->ret->n_kept += (uint64_t)f.n_records;
    g->is_changed = g->is_changed || f.result != FILTER_SAME;
    if (f.result == FILTER_GONE) {
        return 0;
    }
    r = write_batch(p, g, b, &f);
    return r < 0 ? err_forward(r) : r;
}

/* > 0: CLEAN_E_*. */
static int rewrite_segment(
        struct pass *p, struct group *g, struct cleaning_walk *walk, const struct sealed_segment *s)
{
    offset64 next = s->base;
    struct batch b;
    int r = open_segment(p, s);

    while (r == 0 && p->reader.at < s->size) {
        r = read_next(p, s, next, &b);
        if (r == 0) {
            bool is_last = s == &g->old[g->n - 1] && p->reader.at == s->size;
            next = batch_last_offset(&b) + 1;
            r = rewrite_batch(p, g, walk, &b, is_last);
        }
    }
    if (r == 0 && next != s->end) {
        return damaged(p, "the segment ends too early", next);
    }
    return r < 0 ? err_forward(r) : r;
}

static int outcome_of_log(int r)
{
    switch (r) {
    case 0: return 0;
    case PLOG_E_CHANGED: return CLEAN_E_CHANGED;
    default: return r < 0 ? err_forward(r) : CLEAN_E_FULL;
    }
}

/* The log is claimed. > 0: CLEAN_E_*. */
static int swap_claimed(struct pass *p, struct group *g)
{
    struct plog_swap *s = NULL;
    int r = plog_swap_prepare(p->env->dir, &p->task->list, g->old, g->n, &g->writer, &s);

    if (r != 0) {
        return outcome_of_log(r);
    }
    r = p->env->commit(p->env->ctx, s);
    int ended = plog_swap_end(s);
    p->ret->n_swaps += r == 0 ? 1 : 0;
    return r == 0 && ended < 0 ? err_forward(ended) : outcome_of_log(r);
}

/* The group's segments make way for the written one. > 0: CLEAN_E_*. */
static int swap(struct pass *p, struct group *g)
{
    int r = segment_writer_finish(&g->writer);

    if (r < 0) {
        return outcome(p, r, "a cleaned segment could not be written");
    }
    if (g->writer.end != g->old[g->n - 1].end) {
        return damaged(p, "the segments do not end with a batch", g->writer.end);
    }
    r = p->env->claim(p->env->ctx, &p->task->list);
    if (r != 0) {
        return outcome_of_log(r);
    }
    g->is_taken = true;
    r = swap_claimed(p, g);
    p->env->release(p->env->ctx);
    return r < 0 ? err_forward(r) : r;
}

/* > 0: CLEAN_E_*. */
static int rewrite_group(struct pass *p, struct group *g, struct cleaning_walk *walk)
{
    int r = segment_writer_open(&g->writer, p->io, p->task->list.folder, g->old[0].base,
            p->task->list.index_interval);

    if (r < 0) {
        return outcome(p, r, "a cleaned segment could not be made");
    }
    for (size_t i = 0; i < g->n && r == 0; i++) {
        r = rewrite_segment(p, g, walk, &g->old[i]);
        p->ret->size_before += g->old[i].size;
    }
    p->ret->size_after += g->writer.size;
    if (r == 0 && (g->is_changed || g->n > 1)) {
        int64_t rest = g->writer.size - g->writer.written;
        r = swap(p, g);
        p->ret->bytes_written += rest;
    }
    segment_writer_deinit(&g->writer, g->is_taken);
    return r < 0 ? err_forward(r) : r;
}

static struct cleaning_segment cleaning_segment_of(const struct sealed_segment *s)
{
    return (struct cleaning_segment){.base = s->base,
            .end = s->end,
            .size = s->size,
            .index_size = (int64_t)s->n_index * 8,
            .is_synced = s->is_synced};
}

static int rewrite(struct pass *p)
{
    const struct sealed_segment *all = p->task->list.items;
    size_t n = 0;
    int r = 0;

    while (n < p->task->range.n_segments && all[n].base < p->end) {
        n++;
    }
    struct cleaning_segment *segments = mem_new_n(struct cleaning_segment, n + 1);
    for (size_t i = 0; i < n; i++) {
        segments[i] = cleaning_segment_of(&all[i]);
    }
    struct cleaning_walk *walk = cleaning_walk_new(p->survey);
    for (size_t i = 0; i < n && r == 0;) {
        struct group g = {
                .old = &all[i], .n = cleaning_group(&p->task->policy, &segments[i], n - i)};
        r = rewrite_group(p, &g, walk);
        i += g.n;
    }
    (void)cleaning_walk_free(walk);
    mem_free(segments);
    return r < 0 ? err_forward(r) : r;
}

int clean_run(const struct clean_env *env, const struct clean_task *task, struct clean_result *ret)
{
    struct pass p = {.env = env,
            .task = task,
            .io = log_dir_io(env->dir),
            .ret = ret,
            .from = task->range.from,
            .end = task->range.end};

    must(task->range.n_segments > 0 && task->range.n_segments <= task->list.n);
    p.reader.fd = -1;
    *ret = (struct clean_result){
            .first_dirty = p.from, .epoch = EPOCH_NONE, .at = OFFSET_NONE, .why = ""};
    p.survey = cleaning_survey_new(env->now, env->producer_expiry_ms);
    int r = survey(&p);
    if (r == 0 && p.end > p.from) {
        r = build_map(&p);
        if (r == 0) {
            r = rewrite(&p);
        }
        if (r == 0) {
            ret->first_dirty = p.end;
        }
    }
    key_map_deinit(&p.map);
    batch_reader_deinit(&p.reader);
    batch_filter_deinit(&p.filter);
    p.survey = cleaning_survey_free(p.survey);
    return r < 0 ? err_forward(r) : r;
}

/* --- Times -------------------------------------------------------------------------------------------------------- */

int clean_look_at_times(const struct clean_env *env,
        const struct sealed_list *list,
        const struct sealed_segment *s,
        bool only_first,
        wall_ms *ret_first,
        wall_ms *ret_max)
{
    struct clean_result ignored = {0};
    struct pass p = {.env = env, .io = log_dir_io(env->dir), .ret = &ignored};
    char *path = segment_path(list->folder, s->base, ".log");
    int fd = p.io->open(p.io->ctx, path, O_RDONLY);
    wall_ms first = -1, max = INT64_MIN;
    struct file_window w;
    struct batch_head h;
    int r = 0;

    mem_free(path);
    if (fd < 0) {
        return outcome(&p, fd, "a segment could not be opened");
    }
    uint8_t *bytes = mem_alloc(SMALL_BATCH);
    file_window_init(&w, p.io, fd, s->size, bytes, SMALL_BATCH);
    for (int64_t at = 0; at < s->size && r == 0 && (at == 0 || !only_first); at += h.size) {
        r = batch_head_read(&w, at, &h);
        if (r == 0) {
            first = at == 0 ? h.max_timestamp : first;
            max = batch_head_time(&h) > max ? batch_head_time(&h) : max;
        }
    }
    (void)p.io->close(p.io->ctx, fd); /* read only */
    mem_free(bytes);
    if (r != 0) {
        return r < 0 ? outcome(&p, r, "a segment could not be read") : CLEAN_E_DAMAGED;
    }
    *ret_first = first;
    *ret_max = max;
    return 0;
}
