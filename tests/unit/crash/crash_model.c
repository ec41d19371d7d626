/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "broker/log/plog_replay.h"
#include "common/base/mem.h"
#include "common/compress/compress.h"
#include "tests/lib/check.h"

#include <stdio.h>

/* --- The lists ----------------------------------------------------------------------------------------------------- */

void model_append(struct world *w,
        const struct model_batch *b,
        const struct model_record *records,
        wall_ms max_timestamp,
        struct buf *bytes)
{
    int32_t n = (int32_t)(b->last - b->base) + 1;

    CHECK_EQ(b->base, (offset64)w->records.n);
    *array_push(&w->written) = *b;
    for (int32_t i = 0; i < n; i++) {
        *array_push(&w->records) = records[i];
    }
    *array_push(&w->there) = (struct there_batch){.base = b->base,
            .last = b->last,
            .epoch = b->epoch,
            .n_records = n,
            .max_timestamp = max_timestamp,
            .size = bytes->size,
            .bytes = mem_steal(&bytes->data)};
}

void model_cut(struct world *w, offset64 end)
{
    while (w->there.n > 0 && w->there.items[w->there.n - 1].base >= end) {
        mem_free(w->there.items[w->there.n - 1].bytes);
        array_remove(&w->there, w->there.n - 1);
    }
    while (w->written.n > 0 && w->written.items[w->written.n - 1].base >= end) {
        array_remove(&w->written, w->written.n - 1);
    }
    if ((offset64)w->records.n > end) {
        w->records.n = (size_t)end;
    }
    w->cleaned_to = w->cleaned_to < end ? w->cleaned_to : end;
    w->end = end;
}

void model_begin_anew(struct world *w, offset64 base)
{
    while (w->there.n > 0) {
        mem_free(w->there.items[w->there.n - 1].bytes);
        array_remove(&w->there, w->there.n - 1);
    }
    model_cut(w, base);
    while ((offset64)w->records.n < base) {
        *array_push(&w->records) = (struct model_record){.key = -1, .is_gone = true};
    }
    w->begun = EPOCH_NONE;
}

void model_forget_below(struct world *w, offset64 start)
{
    while (w->there.n > 0 && w->there.items[0].last < start) {
        mem_free(w->there.items[0].bytes);
        array_remove(&w->there, (size_t)0);
    }
}

void model_deinit(struct world *w)
{
    model_cut(w, 0);
    array_deinit(&w->there);
    array_deinit(&w->written);
    array_deinit(&w->records);
}

size_t model_find(const struct world *w, offset64 offset)
{
    size_t from = 0, to = w->there.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (w->there.items[mid].last < offset) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static const struct model_batch *find_written(const struct world *w, offset64 base)
{
    size_t from = 0, to = w->written.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (w->written.items[mid].base < base) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from < w->written.n && w->written.items[from].base == base ? &w->written.items[from]
                                                                      : NULL;
}

/* --- The comparison ------------------------------------------------------------------------------------------------ */

static void see_record(struct world *w, const struct record *r)
{
    char key[8];

    CHECK(r->offset < (offset64)w->records.n);
    struct model_record *m = &w->records.items[r->offset];
    CHECK(m->seen != w->scan);
    m->seen = w->scan;
    CHECK_EQ(r->timestamp, m->timestamp);
    CHECK_EQ(r->key.at == NULL, m->key < 0);
    if (m->key >= 0) {
        (void)snprintf(key, sizeof(key), "k%d", m->key);
        CHECK_EQ(r->key.size, strlen(key));
        CHECK_MEM(r->key.at, key, r->key.size);
    }
    CHECK_EQ(r->value.at == NULL, m->is_tombstone);
    CHECK_EQ(r->value.size, m->is_tombstone ? 0 : m->value_size);
    for (size_t i = 0; i < r->value.size; i++) {
        CHECK_EQ(r->value.at[i], m->fill);
    }
}

static wall_ms see_records(struct world *w, const struct batch *b)
{
    struct buf scratch = {0};
    struct record_iter it;
    struct bytes plain = {0};
    struct record r;
    wall_ms max = -1;
    int e;

    if (b->n_records == 0) {
        return -1;
    }
    CHECK_EQ(batch_plain_records(b, 1 << 20, &scratch, &plain), 0);
    record_iter_init(&it, b, plain.at, plain.size);
    while ((e = record_iter_next(&it, &r)) == 0) {
        see_record(w, &r);
        max = r.timestamp > max ? r.timestamp : max;
    }
    CHECK_EQ(e, RECORD_END);
    buf_deinit(&scratch);
    return max;
}

/* [LOG-53] A batch that compaction may have written: what stays is what was written. */
static void judge_rewritten(struct world *w, const struct batch *b)
{
    const struct model_batch *m = find_written(w, b->base_offset);

    CHECK(batch_crc_is_right(b));
    CHECK(m != NULL);
    CHECK_EQ(batch_last_offset(b), m->last);
    CHECK_EQ(b->leader_epoch, m->epoch);
    CHECK_EQ(b->producer_id, m->producer.id);
    CHECK_EQ(b->producer_epoch, m->producer.epoch);
    CHECK_EQ(b->base_sequence, m->producer.base_sequence);
    if (b->n_records > 0) {
        CHECK_EQ(batch_codec(b), m->codec);
    }
    wall_ms max = see_records(w, b);
    CHECK(b->n_records == 0 || b->max_timestamp == max);
}

static void see_all_of(struct world *w, offset64 base, offset64 last)
{
    for (offset64 o = base; o <= last; o++) {
        w->records.items[o].seen = w->records.items[o].is_gone ? w->records.items[o].seen : w->scan;
    }
}

struct comparison {
    struct world *w;
    bool is_exact;
    size_t i; /* of the known batches the next one */
    ARRAY(struct there_batch) found;
};

/* The known batches from the first at or above the start on, and what stands there, in step. */
static void compare_batch(struct comparison *c, const struct batch *b)
{
    struct world *w = c->w;
    offset64 last = batch_last_offset(b);
    struct there_batch *known = NULL;
    uint8_t *bytes = NULL;

    while (c->i < w->there.n && w->there.items[c->i].base < b->base_offset &&
            (!c->is_exact || w->there.items[c->i].last < w->stale_to)) {
        c->i++;
    }
    if (c->i < w->there.n && w->there.items[c->i].base == b->base_offset) {
        known = &w->there.items[c->i++];
    }
    if (known != NULL && known->last == last && known->size == b->size &&
            memcmp(known->bytes, b->bytes, b->size) == 0) {
        see_all_of(w, known->base, last);
        bytes = mem_steal(&known->bytes);
    } else {
        CHECK(!c->is_exact || (known != NULL && known->last < w->stale_to));
        judge_rewritten(w, b);
        bytes = mem_alloc(b->size);
        memcpy(bytes, b->bytes, b->size);
    }
    *array_push(&c->found) = (struct there_batch){.base = b->base_offset,
            .last = last,
            .epoch = b->leader_epoch,
            .n_records = b->n_records,
            .max_timestamp = b->max_timestamp,
            .size = b->size,
            .bytes = bytes};
}

static void walk(struct comparison *c)
{
    struct world *w = c->w;
    const struct file_io *io = mem_disk_io(w->disk);

    for (offset64 at = w->start; at < w->end;) {
        struct plog_slice s = {.fd = -1};
        struct batch b;
        CHECK_EQ(plog_read(w->l, at, w->end, 1 << 20, true, &s), 0);
        CHECK(s.file != NULL);
        uint8_t *bytes = mem_alloc(s.size);
        CHECK_EQ(io->pread(io->ctx, s.fd, bytes, s.size, s.at), (int64_t)s.size);
        cached_file_release(s.file);
        for (size_t pos = 0; pos < s.size; pos += b.size) {
            CHECK_EQ(batch_parse(bytes + pos, s.size - pos, &b), 0);
            CHECK(batch_last_offset(&b) >= at);
            CHECK(b.base_offset >= at || at == w->start);
            compare_batch(c, &b);
            at = batch_last_offset(&b) + 1;
        }
        mem_free(bytes);
    }
}

/* [LOG-45] [LOG-46] Each record that is missing was replaced by a newer one of its key, had none, or was a tombstone that
 * had its time. */
static void explain_missing(struct world *w, bool is_exact)
{
    bool has_newer[CRASH_KEYS] = {false}; /* below cleaned_to */
    wall_ms retention = w->cleaner.policy.delete_retention_ms;

    for (offset64 i = w->end - 1; i >= w->start; i--) {
        struct model_record *m = &w->records.items[i];
        if (m->seen != w->scan && !m->is_gone) {
            CHECK(!is_exact || i < w->stale_to);
            CHECK(i < w->cleaned_to);
            CHECK(m->key < 0 || has_newer[m->key] ||
                    (m->is_tombstone && w->cleaner.now >= m->written_at + retention));
        }
        m->is_gone = m->seen != w->scan;
        if (m->key >= 0) {
            has_newer[m->key] = has_newer[m->key] || i < w->cleaned_to;
        }
    }
}

void model_compare(struct world *w, bool is_exact)
{
    size_t n_below = model_find(w, w->start);
    struct comparison c = {.w = w, .is_exact = is_exact, .i = n_below};

    w->scan++;
    walk(&c);
    while (c.is_exact && c.i < w->there.n && w->there.items[c.i].last < w->stale_to) {
        c.i++;
    }
    CHECK(!is_exact || c.i == w->there.n);
    explain_missing(w, is_exact);
    for (size_t i = n_below; i < w->there.n; i++) {
        mem_free(w->there.items[i].bytes);
    }
    w->there.n = n_below;
    /* Below the start nobody can look. */
    w->stale_to = is_exact && w->stale_to < w->start ? w->stale_to : w->start;
    ARRAY_FOREACH (b, &c.found) {
        *array_push(&w->there) = *b;
    }
    array_deinit(&c.found);
}

void model_check_nothing_rises(const struct world *w)
{
    bool is_last_there[CRASH_KEYS] = {false}, is_settled[CRASH_KEYS] = {false};

    for (offset64 i = w->end - 1; i >= w->start; i--) {
        const struct model_record *m = &w->records.items[i];
        if (m->key < 0) {
            continue;
        }
        if (!is_settled[m->key]) {
            is_settled[m->key] = true;
            is_last_there[m->key] = !m->is_gone;
        }
        CHECK(m->is_gone || is_last_there[m->key]);
    }
}

/* --- Producers ----------------------------------------------------------------------------------------------------- */

const struct model_batch *model_last_of(const struct world *w, int64_t producer)
{
    for (size_t i = w->written.n; i > 0; i--) {
        if (w->written.items[i - 1].producer.id == producer) {
            return &w->written.items[i - 1];
        }
    }
    return NULL;
}

static bool is_there(const struct world *w, const struct model_batch *b)
{
    size_t i = model_find(w, b->last);

    return i < w->there.n && w->there.items[i].base == b->base;
}

static int32_t last_sequence(const struct producers_batch *p)
{
    return (int32_t)(((uint32_t)p->base_sequence + (uint32_t)p->last_delta) &
                     PRODUCERS_SEQUENCE_MAX);
}

/* Each remembered batch was written under the producer's epoch; of the last five those are remembered, at least, that never
 * were compacted. */
static void judge_remembered(const struct world *w, const struct producer *k)
{
    int left = k->n;
    int n_seen = 0;
    bool is_epoch_over = false;

    for (size_t i = w->written.n;
            i > 0 && !is_epoch_over && (left > 0 || n_seen < PRODUCERS_BATCHES); i--) {
        const struct model_batch *m = &w->written.items[i - 1];
        if (m->producer.id != k->id) {
            continue;
        }
        is_epoch_over = m->producer.epoch != k->epoch;
        n_seen++;
        const struct producer_batch *b = left > 0 ? &k->batches[left - 1] : NULL;
        if (!is_epoch_over && b != NULL && b->base == m->base) {
            CHECK_EQ(b->first, m->producer.base_sequence);
            CHECK_EQ(b->last, last_sequence(&m->producer));
            left--;
        } else if (!is_epoch_over && n_seen <= PRODUCERS_BATCHES) {
            CHECK(m->base < w->cleaned_to || m->base < plog_first_offset(w->l));
        }
    }
    CHECK_EQ(left, 0);
}

void model_judge_producers(const struct world *w)
{
    CHECK_EQ(w->producers.end, plog_end(w->l));
    CHECK(producers_are_sound(&w->producers));
    for (int64_t id = 0; id < CRASH_PRODUCERS; id++) {
        const struct model_batch *last = model_last_of(w, id);
        const struct producer *k = producers_find(&w->producers, id);

        if (last == NULL) {
            CHECK(k == NULL);
            continue;
        }
        if (k == NULL) { /* [PID-20] */
            CHECK(!is_there(w, last) || last->base < plog_first_offset(w->l));
            continue;
        }
        /* A truncation may take the batch that was another one's reason to go. */
        if (last->base < w->cleaned_to && !is_there(w, last)) {
            continue;
        }
        CHECK_EQ(k->epoch, last->producer.epoch);
        CHECK(k->n > 0);
        CHECK_EQ(k->batches[k->n - 1].base, last->base);
        CHECK_EQ(k->last_offset, last->last);
        judge_remembered(w, k);
    }
}
