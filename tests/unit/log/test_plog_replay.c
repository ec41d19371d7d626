/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_replay.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    N_BATCHES = 60
};

/* Batch i has 1 + i % 3 records and producer id i, in segments of a few batches. */
static struct plog *filled(struct fixture *f, offset64 *bases)
{
    struct batch_builder bb = {0};
    struct buf bytes = {0};
    struct batch b;

    fixture_open(f);
    f->config = (struct plog_config){.segment_bytes = 700, .index_interval_bytes = 200};
    struct plog *l = fixture_plog(f, "orders", NULL);
    for (int i = 0; i < N_BATCHES; i++) {
        struct batch_build_options o = {
                .producer_id = i, .producer_epoch = (int16_t)(i % 7), .base_sequence = i * 10};
        struct record r = {.timestamp = 1000 + i, .value = {(const uint8_t *)"0123456789", 10}};
        buf_clear(&bytes);
        for (int n = 0; n <= i % 3; n++) {
            batch_builder_add(&bb, &r, NULL);
        }
        batch_builder_finish(
                &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &bytes);
        batch_builder_reset(&bb);
        CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
        CHECK_EQ(plog_append(l, bytes.data, &b, 0, &bases[i]), 0);
    }
    batch_builder_deinit(&bb);
    buf_deinit(&bytes);
    CHECK(plog_n_segments_made(l) > 5);
    return l;
}

struct seen {
    ARRAY(struct batch_head) heads;
};

static void take(void *ctx, const struct batch_head *h)
{
    struct seen *s = ctx;

    *array_push(&s->heads) = *h;
}

/* What comes from `from` on is exactly the batches that begin there. */
static void check_from(struct plog *l, const offset64 *bases, offset64 from)
{
    struct seen s = {0};
    size_t i = 0;

    CHECK_EQ(plog_replay(l, from, take, &s), 0);
    while (i < N_BATCHES && bases[i] < from) {
        i++;
    }
    CHECK_EQ(s.heads.n, N_BATCHES - i);
    for (size_t n = 0; n < s.heads.n; n++, i++) {
        const struct batch_head *h = &s.heads.items[n];
        CHECK_EQ(h->base, bases[i]);
        CHECK_EQ(h->last, bases[i] + (offset64)i % 3);
        CHECK_EQ(h->producer_id, i);
        CHECK_EQ(h->producer_epoch, i % 7);
        CHECK_EQ(h->base_sequence, i * 10);
        CHECK_EQ(h->n_records, 1 + i % 3);
        CHECK_EQ(h->attributes, 0);
        CHECK_EQ(h->max_timestamp, 1000 + i);
    }
    array_deinit(&s.heads);
}

static void check_from_all(struct plog *l, const offset64 *bases)
{
    for (offset64 from = 0; from <= plog_end(l) + 1; from++) {
        check_from(l, bases, from);
    }
}

static void replay_gives_every_batch_from_any_offset(void)
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);

    CHECK_EQ(plog_first_offset(l), 0);
    check_from_all(l, bases);
    fixture_flush(l);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    fixture_restart(&f, true);
    l = fixture_plog(&f, "orders", NULL);
    check_from_all(l, bases);
    (void)plog_close(l);
    fixture_close(&f);
}

static void replay_of_an_empty_log_gives_nothing(void)
{
    struct seen s = {0};
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_replay(l, 0, take, &s), 0);
    CHECK_EQ(s.heads.n, 0);
    (void)plog_close(l);
    fixture_close(&f);
}

static void replay_believes_no_index(void)
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);

    for (int64_t at = 0; at < 16; at++) {
        char *index = fixture_file(&f, "orders-0", "00000000000000000000.index");
        flip_byte(index, at);
        check_from_all(l, bases);
        flip_byte(index, at);
        mem_free(index);
    }
    (void)plog_close(l);
    fixture_close(&f);
}

static void replay_of_headers_that_do_not_chain_is_damage(void)
{
    offset64 bases[N_BATCHES];
    struct seen s = {0};
    struct fixture f;
    struct plog *l = filled(&f, bases);
    char *log = fixture_file(&f, "orders-0", "00000000000000000000.log");

    flip_byte(log, 16); /* magic */
    CHECK_EQ(plog_replay(l, 0, take, &s), PLOG_E_DAMAGED);
    CHECK_EQ(s.heads.n, 0);
    flip_byte(log, 16);
    flip_byte(log, 4); /* base offset */
    CHECK_EQ(plog_replay(l, 0, take, &s), PLOG_E_DAMAGED);
    flip_byte(log, 4);
    array_clear(&s.heads);
    CHECK_EQ(plog_replay(l, 0, take, &s), 0);
    array_deinit(&s.heads);
    mem_free(log);
    (void)plog_close(l);
    fixture_close(&f);
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void save(struct plog *l, offset64 offset)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "state at %" PRId64, offset);

    CHECK_EQ(plog_snapshot_write(l, offset, text, (size_t)n), 0);
    CHECK_EQ(plog_snapshot_written(l, offset, 2), 0);
}

/* -1 = there is none. */
static offset64 newest(struct plog *l, offset64 at_most)
{
    char text[32];
    offset64 offset = OFFSET_NONE;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = plog_snapshot_newest(l, at_most, &offset, &bytes, &size);

    if (r == PLOG_E_NOT_FOUND) {
        return -1;
    }
    CHECK_EQ(r, 0);
    int n = snprintf(text, sizeof(text), "state at %" PRId64, offset);
    CHECK_EQ(size, n);
    CHECK_MEM(bytes, text, size);
    mem_free(bytes);
    return offset;
}

static void newest_two_snapshots_stay(void) /* [PID-34] */
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);

    CHECK_EQ(newest(l, plog_end(l)), -1);
    save(l, 10);
    save(l, 20);
    save(l, 30);
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(newest(l, plog_end(l)), 30);
        CHECK_EQ(newest(l, 29), 20);
        CHECK_EQ(newest(l, 19), -1);
        (void)plog_close(l);
        fixture_restart(&f, true);
        l = fixture_plog(&f, "orders", NULL);
    }
    CHECK_EQ(plog_snapshot_drop(l, 30), 0);
    CHECK_EQ(newest(l, plog_end(l)), 20);
    CHECK_EQ(plog_snapshot_drop(l, 30), 0); /* also when it is gone */
    char *file = fixture_file(&f, "orders-0", "00000000000000000020.snapshot");
    CHECK_EQ(unlink(file), 0); /* somebody took it away */
    CHECK_EQ(newest(l, plog_end(l)), -1);
    mem_free(file);
    (void)plog_close(l);
    fixture_close(&f);
}

static void snapshot_above_the_end_that_recovery_finds_is_removed(void) /* [PID-33] */
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);
    offset64 end = plog_end(l);

    save(l, bases[N_BATCHES - 1]);
    save(l, end);
    (void)plog_close(l);
    char *log = NULL;
    for (offset64 base = end; log == NULL; base--) { /* the last segment loses its last byte */
        char name[40];
        (void)snprintf(name, sizeof(name), "%020" PRId64 ".log", base);
        char *path = fixture_file(&f, "orders-0", name);
        if (access(path, F_OK) == 0) {
            log = mem_steal(&path);
        }
        mem_free(path);
    }
    cut_file(log, file_size_of(log) - 1);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), bases[N_BATCHES - 1]);
    CHECK_EQ(newest(l, INT64_MAX), bases[N_BATCHES - 1]);
    char *gone = mem_format("%s", log);
    (void)snprintf(gone + strlen(gone) - 24, 25, "%020" PRId64 ".log", end);
    CHECK(access(gone, F_OK) != 0);
    CHECK_EQ(plog_snapshot_remove_above(l, 5), 0);
    CHECK_EQ(newest(l, INT64_MAX), -1);
    mem_free(gone);
    mem_free(log);
    (void)plog_close(l);
    fixture_close(&f);
}

static void log_is_not_cut_while_a_snapshot_is_written(void) /* [PID-36] */
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);
    offset64 end = OFFSET_NONE;

    CHECK(plog_snapshot_begin(l));
    CHECK(!plog_snapshot_begin(l));
    CHECK_EQ(plog_truncate_begin(l, bases[5], &end), PLOG_E_BUSY);
    save(l, plog_end(l));
    plog_snapshot_end(l);
    CHECK_EQ(plog_truncate_begin(l, bases[5], &end), 0);
    CHECK(!plog_snapshot_begin(l));
    CHECK_EQ(plog_truncate_run(l), 0);
    CHECK_EQ(newest(l, INT64_MAX), -1);
    CHECK(plog_snapshot_begin(l));
    plog_snapshot_end(l);
    (void)plog_close(l);
    fixture_close(&f);
}

static void full_disk_leaves_the_former_snapshot(void)
{
    offset64 bases[N_BATCHES];
    struct fixture f;
    struct plog *l = filled(&f, bases);

    save(l, 10);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_short = 3;
    CHECK_EQ(plog_snapshot_write(l, 20, "state at 20", 11), PLOG_E_FULL);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(newest(l, INT64_MAX), 10);
    fault_reset();
    faults.datasync_error = -EIO;
    CHECK_EQ(plog_snapshot_write(l, 20, "state at 20", 11), -EIO);
    CHECK(log_dir_failed(f.dir)); /* as any I/O error */
    fault_reset();
    (void)plog_close(l);
    fixture_close(&f);
}

static const struct check_case cases[] = {
        CASE(replay_gives_every_batch_from_any_offset),
        CASE(replay_of_an_empty_log_gives_nothing),
        CASE(replay_believes_no_index),
        CASE(replay_of_headers_that_do_not_chain_is_damage),
        CASE(newest_two_snapshots_stay),
        CASE(snapshot_above_the_end_that_recovery_finds_is_removed),
        CASE(log_is_not_cut_while_a_snapshot_is_written),
        CASE(full_disk_leaves_the_former_snapshot),
};
CHECK_MAIN("plog_replay", cases)
