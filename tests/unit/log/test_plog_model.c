/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Random operations on a log, compared with what a plain list of batches says. The seed is
 * check_seed(). */

struct model_batch {
    offset64 base, last;
    wall_ms timestamp;
    size_t size;
    uint8_t *bytes;
};

struct model {
    struct fixture f;
    struct prng prng;
    struct plog *l;
    ARRAY(struct model_batch) batches;
    offset64 end;
    epoch32 epoch;
};

static uint64_t below(struct model *m, uint64_t n)
{
    return prng_below(&m->prng, n);
}

static void do_append(struct model *m)
{
    struct buf bytes = {0};
    struct batch b;
    offset64 base = -1;
    wall_ms t = (wall_ms)below(m, 1000);

    fixture_batch(
            &bytes, 1 + (int)below(m, 4), below(m, 20) == 0 ? below(m, 3000) : below(m, 200), t);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    m->epoch += below(m, 10) == 0 ? 1 : 0;
    bool is_full = below(m, 10) == 0;
    fault_reset();
    if (is_full) {
        faults.fail_pwritev_at = 1;
        faults.pwritev_error = below(m, 2) == 0 ? -ENOSPC : 0;
        faults.pwritev_short = (int64_t)below(m, 8);
    }
    int r = plog_append(m->l, bytes.data, &b, m->epoch, &base);
    fault_reset();
    if (r == 0) {
        CHECK_EQ(base, m->end);
        *array_push(&m->batches) = (struct model_batch){.base = base,
                .last = base + b.last_offset_delta,
                .timestamp = t,
                .size = bytes.size,
                .bytes = mem_steal(&bytes.data)};
        m->end += b.last_offset_delta + 1;
    } else {
        CHECK(is_full && r == PLOG_E_FULL);
    }
    CHECK_EQ(plog_end(m->l), m->end);
    buf_deinit(&bytes);
}

/* The index of the batch that holds `offset`. */
static size_t model_find(const struct model *m, offset64 offset)
{
    size_t i = 0;

    while (m->batches.items[i].last < offset) {
        i++;
    }
    return i;
}

static void check_slice(struct model *m,
        const struct plog_slice *s,
        offset64 offset,
        offset64 limit,
        size_t max,
        bool whole)
{
    size_t i = model_find(m, offset);
    size_t at = 0;
    bool may_go_on = true;

    if (s->file == NULL) {
        CHECK(m->batches.items[i].last >= limit || (m->batches.items[i].size > max && !whole));
        return;
    }
    uint8_t *bytes = mem_alloc(s->size);
    CHECK_EQ(pread(s->fd, bytes, s->size, s->at), (ssize_t)s->size);
    for (size_t first = i; at < s->size; i++) {
        const struct model_batch *b = &m->batches.items[i];
        CHECK(at + b->size <= s->size);
        CHECK_MEM(bytes + at, b->bytes, b->size);
        CHECK(b->last < limit);
        at += b->size;
        CHECK(at <= max || (whole && i == first));
    }
    /* It ends only for a reason: the limit, the size, or the segment. */
    if (i < m->batches.n && !s->older_segment) {
        may_go_on = m->batches.items[i].last < limit && at + m->batches.items[i].size <= max;
        CHECK(!may_go_on);
    }
    mem_free(bytes);
}

static void do_read(struct model *m)
{
    offset64 offset = (offset64)below(m, (uint64_t)m->end + 2);
    offset64 limit = below(m, 2) == 0 ? m->end : (offset64)below(m, (uint64_t)m->end + 2);
    size_t max = below(m, 2) == 0 ? 1 << 20 : below(m, 2000);
    bool whole = below(m, 2) == 0;
    struct plog_slice s = {.fd = -1};

    int r = plog_read(m->l, offset, limit, max, whole, &s);
    if (offset > m->end) {
        CHECK_EQ(r, PLOG_E_OUT_OF_RANGE);
        return;
    }
    CHECK_EQ(r, 0);
    if (offset >= limit || offset == m->end) {
        CHECK(s.file == NULL);
        return;
    }
    check_slice(m, &s, offset, limit, max, whole);
    if (s.file != NULL) {
        cached_file_release(s.file);
    }
}

static void do_find_time(struct model *m)
{
    wall_ms t = (wall_ms)below(m, 1010);
    offset64 limit = (offset64)below(m, (uint64_t)m->end + 1);
    offset64 want = OFFSET_NONE;
    struct plog_slice s = {.fd = -1};
    uint8_t base[8];

    for (size_t i = 0; i < m->batches.n && want == OFFSET_NONE; i++) {
        const struct model_batch *b = &m->batches.items[i];
        want = b->timestamp >= t && b->last < limit ? b->base : OFFSET_NONE;
    }
    int r = plog_find_time(m->l, t, limit, &s);
    CHECK_EQ(r, want == OFFSET_NONE ? PLOG_E_NOT_FOUND : 0);
    if (r == 0) {
        CHECK_EQ(pread(s.fd, base, sizeof(base), s.at), (ssize_t)sizeof(base));
        CHECK_EQ(load_be64(base), want);
        cached_file_release(s.file);
    }
}

/* Tears the last segment at or above the recovery point; returns the offset where the log must end.
 * */
static offset64 tear(
        struct model *m, offset64 recovery_point, int64_t last_segment_size, char *path)
{
    size_t i = m->batches.n;
    int64_t at = last_segment_size;

    /* At most three batches back, within the segment, not below the recovery point. */
    for (uint64_t n = 1 + below(m, 3); n > 0 && i > 0; n--) {
        const struct model_batch *b = &m->batches.items[i - 1];
        if (b->base < recovery_point || (int64_t)b->size > at) {
            break;
        }
        at -= (int64_t)b->size;
        i--;
    }
    if (i == m->batches.n) {
        return m->end;
    }
    int64_t torn = at + (int64_t)below(m, m->batches.items[i].size);
    cut_file(path, torn);
    if (below(m, 2) == 0) {
        cut_file(path, torn + (int64_t)below(m, 500)); /* zeros behind it */
        if (file_size_of(path) > at + 17) {
            flip_byte(
                    path, at + 17); /* its end may have been zeros: then it would be right again */
        }
    }
    return m->batches.items[i].base;
}

static void drop_batches_from(struct model *m, offset64 end)
{
    while (m->batches.n > 0 && m->batches.items[m->batches.n - 1].base >= end) {
        mem_free(m->batches.items[m->batches.n - 1].bytes);
        array_remove(&m->batches, m->batches.n - 1);
    }
    m->end = end;
}

static char *last_segment_path(struct model *m)
{
    char *best = NULL;

    for (size_t i = m->batches.n; i > 0 && best == NULL; i--) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%020" PRId64 ".log", m->batches.items[i - 1].base);
        char *path = fixture_file(&m->f, "orders-0", name);
        best = file_size_of(path) > 0 ? mem_steal(&path) : NULL;
        mem_free(path);
    }
    return best;
}

static void do_reopen(struct model *m, bool is_clean, bool is_torn)
{
    bool is_host = !is_clean && below(m, 2) == 0;

    if (is_clean) {
        fixture_flush(m->l);
        fixture_checkpoint(&m->f, m->l, &m->f.topic_id);
    } else if (below(m, 3) == 0) {
        fixture_checkpoint(&m->f, m->l, &m->f.topic_id);
    }
    (void)plog_close(m->l);
    if (is_host) {
        log_dir_fail(m->f.dir, -EIO, "the test says so"); /* the next start is HOST */
        m->f.dir = log_dir_close(m->f.dir);
        m->f.dir = fixture_open_dir(m->f.path);
    } else {
        fixture_restart(&m->f, is_clean);
    }
    struct checkpoint_entry e = {0};
    (void)log_dir_checkpoint(m->f.dir, &m->f.topic_id, 0, &e);
    char *path = is_torn && m->end > 0 ? last_segment_path(m) : NULL;
    offset64 end = path != NULL ? tear(m, e.recovery_point, file_size_of(path), path) : m->end;
    mem_free(path);
    struct plog_open_stats stats;
    m->l = fixture_plog(&m->f, "orders", &stats);
    CHECK_EQ(plog_end(m->l), end);
    CHECK_EQ(plog_recovery_point(m->l), e.recovery_point);
    CHECK_EQ(log_dir_crash_kind(m->f.dir), is_clean  ? CRASH_CLEAN
                                           : is_host ? CRASH_HOST
                                                     : CRASH_PROC);
    CHECK_EQ(log_dir_begin_run(m->f.dir, 100), 0);
    drop_batches_from(m, end);
    CHECK(plog_last_epoch(m->l) <= m->epoch);
}

static void step(struct model *m)
{
    uint64_t what = below(m, 100);

    if (what < 45) {
        do_append(m);
    } else if (what < 85) {
        do_read(m);
    } else if (what < 92) {
        do_find_time(m);
    } else if (what < 95) {
        fixture_flush(m->l);
    } else if (what < 96) {
        do_reopen(m, true, false);
    } else if (what < 98) {
        do_reopen(m, false, false);
    } else {
        do_reopen(m, false, true);
    }
}

static void random_operations_agree_with_a_list(void)
{
    for (uint64_t round = 0; round < 8; round++) {
        struct model m = {0};
        fixture_open(&m.f);
        m.f.config.segment_bytes = 500 + (int64_t)round * 1500;
        m.f.config.index_interval_bytes = 64 << round;
        prng_init(&m.prng, check_seed() + round);
        m.l = fixture_plog(&m.f, "orders", NULL);
        for (int i = 0; i < 1000; i++) {
            step(&m);
        }
        (void)plog_close(m.l);
        drop_batches_from(&m, 0);
        array_deinit(&m.batches);
        fixture_close(&m.f);
    }
}

static const struct check_case cases[] = {CASE(random_operations_agree_with_a_list)};

CHECK_MAIN("plog_model", cases)
