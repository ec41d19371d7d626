/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"
#include "broker/log/time_index.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The time index, and finding batches by time through it. */

enum {
    BATCHES = 2000,
    RECORDS = 3,
    FIRST_TIME = 10000
};

#define TIMES "00000000000000000000.timeindex"

/* BATCHES batches in one segment; of batch i: FIRST_TIME + 10 i, but every seventh is old. */
static wall_ms time_of(int i)
{
    return i % 7 == 3 ? 5 : FIRST_TIME + 10 * (wall_ms)i;
}

static struct plog *make(struct fixture *f)
{
    fixture_open(f);
    f->config.segment_bytes = 1 << 30;
    f->config.index_interval_bytes = 4096;
    struct plog *l = fixture_plog(f, "orders", NULL);
    for (int i = 0; i < BATCHES; i++) {
        CHECK_EQ(fixture_append(l, RECORDS, 100, time_of(i)), 0);
    }
    return l;
}

static void restart(struct fixture *f, struct plog **l)
{
    fixture_flush(*l);
    fixture_checkpoint(f, *l, &f->topic_id);
    (void)plog_close(*l);
    fixture_restart(f, true);
    *l = fixture_plog(f, "orders", NULL);
}

/* The batch that a look-up gives, -1 = none. */
static int found(struct plog *l, wall_ms t, offset64 limit)
{
    struct plog_slice s;
    uint8_t bytes[8];
    int r = t >= 0 ? plog_find_time(l, t, limit, &s) : plog_find_max_time(l, limit, &s);

    if (r == PLOG_E_NOT_FOUND) {
        return -1;
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(pread(s.fd, bytes, sizeof(bytes), s.at), 8);
    cached_file_release(s.file);
    return (int)(load_be64(bytes) / RECORDS);
}

static void check_lookups(struct plog *l)
{
    for (int i = 0; i < BATCHES; i += 13) {
        int want = i % 7 == 3 ? i + 1 : i; /* the old ones are nobody's answer */
        CHECK_EQ(found(l, FIRST_TIME + 10 * (wall_ms)i, BATCHES * RECORDS), want);
        CHECK_EQ(found(l, FIRST_TIME + 10 * (wall_ms)i, (want + 1) * RECORDS), want);
        CHECK_EQ(found(l, FIRST_TIME + 10 * (wall_ms)i, (want + 1) * RECORDS - 1), -1);
        CHECK_EQ(found(l, -1, (want + 1) * RECORDS), want);
    }
    CHECK_EQ(found(l, 0, BATCHES * RECORDS), 0);
    CHECK_EQ(found(l, FIRST_TIME + 10 * BATCHES, BATCHES * RECORDS), -1);
}

static void entries_of(struct fixture *f, struct buf *ret)
{
    char *path = fixture_file(f, "orders-0", TIMES);
    int64_t size = file_size_of(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(size >= 0 && fd >= 0);
    uint8_t *to = mem_alloc((size_t)size + 1);
    CHECK_EQ(pread(fd, to, (size_t)size, 0), size);
    buf_append(ret, to, (size_t)size);
    mem_free(to);
    (void)close(fd);
    mem_free(path);
}

/* [LOG-8] */
static void look_up_reads_an_index_and_some_headers(void)
{
    struct fixture f;
    struct plog *l = make(&f);

    for (int i = 1; i < BATCHES; i += 97) {
        faults.n_pread = 0;
        (void)found(l, FIRST_TIME + 10 * (wall_ms)i, BATCHES * RECORDS);
        CHECK(faults.n_pread <= 12);
        faults.n_pread = 0;
        (void)found(l, -1, i * RECORDS);
        CHECK(faults.n_pread <= 16);
    }
    check_lookups(l);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-7] Kafka's form: both columns rise, each entry is the last offset of a batch of that time, and the last entry is
 * the largest time of the segment. */
static void entries_are_kafkas_and_the_last_is_the_largest(void)
{
    struct fixture f;
    struct plog *l = make(&f);
    struct buf b = {0};
    wall_ms before = -1;

    CHECK_EQ(plog_roll_active(l), 0);
    entries_of(&f, &b);
    CHECK_EQ(b.size % TIME_ENTRY_SIZE, 0);
    CHECK(b.size / TIME_ENTRY_SIZE > 50);
    for (size_t at = 0; at < b.size; at += TIME_ENTRY_SIZE) {
        wall_ms t = (wall_ms)load_be64(b.data + at);
        uint32_t delta = load_be32(b.data + at + 8);
        CHECK(t > before);
        before = t;
        CHECK_EQ(delta % RECORDS, RECORDS - 1);
        CHECK_EQ(time_of((int)delta / RECORDS), t);
    }
    CHECK_EQ(before, time_of(BATCHES - 1));
    buf_deinit(&b);
    (void)plog_close(l);
    fixture_close(&f);
}

static void largest_time_is_known_after_a_restart_without_a_walk(void)
{
    struct fixture f;
    struct plog *l = make(&f);

    restart(&f, &l);
    faults.n_pread = 0;
    CHECK_EQ(found(l, -1, BATCHES * RECORDS), BATCHES - 1);
    CHECK(faults.n_pread <= 8);
    check_lookups(l);
    CHECK_EQ(fixture_append(l, RECORDS, 100, 3), 0); /* goes on with what was there */
    CHECK_EQ(found(l, -1, (BATCHES + 1) * RECORDS), BATCHES - 1);
    (void)plog_close(l);
    fixture_close(&f);
}

static void damaged_time_index_is_made_anew(void)
{
    struct buf good = {0}, now = {0};

    for (int kind = 0; kind < 6; kind++) {
        struct fixture f;
        struct plog *l = make(&f);
        char *path = fixture_file(&f, "orders-0", TIMES);
        fixture_flush(l);
        fixture_checkpoint(&f, l, &f.topic_id);
        (void)plog_close(l);
        int64_t size = file_size_of(path);
        buf_clear(&good);
        entries_of(&f, &good);
        switch (kind) {
        case 0: CHECK_EQ(unlink(path), 0); break;
        case 1: cut_file(path, size - 5); break;
        case 2: cut_file(path, 0); break;
        case 3: flip_byte(path, size - TIME_ENTRY_SIZE + 6); break; /* the last one's time */
        case 4: flip_byte(path, size - 2); break;                   /* its offset */
        default: flip_byte(path, 20 * TIME_ENTRY_SIZE); break;      /* does not rise any more */
        }
        fixture_restart(&f, kind % 2 == 0);
        l = fixture_plog(&f, "orders", NULL);
        check_lookups(l);
        CHECK_EQ(found(l, -1, BATCHES * RECORDS), BATCHES - 1);
        buf_clear(&now);
        entries_of(&f, &now);
        CHECK_EQ(now.size, kind == 2 ? now.size : good.size);
        (void)plog_close(l);
        mem_free(path);
        fixture_close(&f);
    }
    buf_deinit(&good);
    buf_deinit(&now);
}

static void wrong_entry_is_not_believed(void)
{
    struct fixture f;
    struct plog *l = make(&f);
    char *path = fixture_file(&f, "orders-0", TIMES);
    struct buf b = {0};

    entries_of(&f, &b);
    for (size_t at = 0; at < b.size; at += TIME_ENTRY_SIZE) {
        flip_byte(path, (int64_t)at + (at % 24 == 0 ? 7 : 11));
    }
    check_lookups(l);
    buf_deinit(&b);
    mem_free(path);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-7] */
static void offset_index_never_goes_on_without_the_time_index(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = 1 << 30;
    f.config.index_interval_bytes = 100;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, RECORDS, 100, 1), 0);
    faults.fail_pwritev_at = faults.n_pwritev + 2; /* the batch, then the time entry */
    faults.pwritev_error = -ENOSPC;
    CHECK_EQ(fixture_append(l, RECORDS, 100, 50), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, RECORDS, 100, 2), 0);
    }
    char *index = fixture_file(&f, "orders-0", "00000000000000000000.index");
    CHECK_EQ(file_size_of(index), 0);
    CHECK_EQ(found(l, -1, 22 * RECORDS), 1);
    CHECK_EQ(found(l, 50, 22 * RECORDS), 1);
    restart(&f, &l);
    CHECK_EQ(found(l, -1, 22 * RECORDS), 1);
    CHECK(file_size_of(index) > 0);
    mem_free(index);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-9] The seal vouches for the time index too. */
static void sealed_segment_is_asked_by_time_after_a_restart(void)
{
    for (int damage = 0; damage < 2; damage++) {
        struct fixture f;
        struct plog_open_stats stats;
        struct plog *l = make(&f);
        CHECK_EQ(plog_roll_active(l), 0);
        fixture_flush(l);
        struct plog_seal *x = plog_seal_begin(l);
        CHECK(x != NULL);
        CHECK_EQ(plog_seal_run(x), 0);
        plog_seal_end(l, x);
        fixture_checkpoint(&f, l, &f.topic_id);
        (void)plog_close(l);
        char *path = fixture_file(&f, "orders-0", TIMES);
        int64_t size = file_size_of(path);
        if (damage > 0) {
            cut_file(path, size / 2 / TIME_ENTRY_SIZE * TIME_ENTRY_SIZE);
        }
        fixture_restart(&f, true);
        faults.n_pread = 0;
        l = fixture_plog(&f, "orders", &stats);
        CHECK(damage > 0 || faults.n_pread < 12); /* nothing but the seal and small files */
        CHECK_EQ(file_size_of(path), size);
        check_lookups(l);
        mem_free(path);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static const struct check_case cases[] = {
        CASE(look_up_reads_an_index_and_some_headers),
        CASE(entries_are_kafkas_and_the_last_is_the_largest),
        CASE(largest_time_is_known_after_a_restart_without_a_walk),
        CASE(damaged_time_index_is_made_anew),
        CASE(wrong_entry_is_not_believed),
        CASE(offset_index_never_goes_on_without_the_time_index),
        CASE(sealed_segment_is_asked_by_time_after_a_restart),
};

CHECK_MAIN("plog_time", cases)
