/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/producer_state.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    N_BATCHES = 40,
    NOW = 5000
};

/* A log of batches of two records by producer 5, in small segments, and its state. */
struct known {
    struct fixture f;
    struct plog *l;
    struct producers state;
};

static void append(struct known *k, int32_t i)
{
    struct batch_build_options o = {.producer_id = 5, .base_sequence = i * 2};
    struct batch_builder bb = {0};
    struct record r = {.timestamp = 1000, .value = {(const uint8_t *)"0123456789", 10}};
    struct buf bytes = {0};
    struct batch b;

    batch_builder_add(&bb, &r, NULL);
    batch_builder_add(&bb, &r, NULL);
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &bytes);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    struct producers_batch noted = producer_batch_of_request(&b);
    CHECK_EQ(plog_append(k->l, bytes.data, &b, 0, &noted.base), 0);
    producers_note(&k->state, &noted, NOW);
    batch_builder_deinit(&bb);
    buf_deinit(&bytes);
}

/* A snapshot of the state as it is now. */
static void save(struct known *k)
{
    struct buf bytes = {0};

    producers_encode(&k->state, &bytes);
    CHECK_EQ(plog_snapshot_write(k->l, k->state.end, bytes.data, bytes.size), 0);
    CHECK_EQ(plog_snapshot_written(k->l, k->state.end, 2), 0);
    buf_deinit(&bytes);
}

/* Snapshots before batches 20 and 30. */
static void begin(struct known *k)
{
    *k = (struct known){0};
    fixture_open(&k->f);
    k->f.config = (struct plog_config){.segment_bytes = 700, .index_interval_bytes = 200};
    k->l = fixture_plog(&k->f, "orders", NULL);
    for (int32_t i = 0; i < N_BATCHES; i++) {
        if (i == 20 || i == 30) {
            save(k);
        }
        append(k, i);
    }
}

static void finish(struct known *k)
{
    producers_deinit(&k->state);
    (void)plog_close(k->l);
    fixture_close(&k->f);
}

static char *snapshot_file(struct known *k, offset64 offset)
{
    char name[40];

    (void)snprintf(name, sizeof(name), "%020" PRId64 ".snapshot", offset);
    return fixture_file(&k->f, "orders-0", name);
}

/* The state after a start, which must be the present one; where it came from. */
static struct producer_state_source restore(struct known *k, offset64 no_producers)
{
    struct producer_state_source source = {.snapshot = -7};
    struct producers p = {0};
    struct buf x = {0}, y = {0};

    CHECK_EQ(producer_state_restore(&p, k->l, no_producers, NOW, &source), 0);
    producers_encode(&p, &x);
    producers_encode(&k->state, &y);
    CHECK_EQ(x.size, y.size);
    CHECK_MEM(x.data, y.data, x.size);
    buf_deinit(&x);
    buf_deinit(&y);
    producers_deinit(&p);
    return source;
}

static void state_begins_with_the_newest_snapshot(void) /* [PID-30] */
{
    struct known k;

    begin(&k);
    int64_t size = plog_bytes(k.l) / N_BATCHES;
    struct producer_state_source from = restore(&k, 0);
    CHECK_EQ(from.snapshot, 60);
    CHECK_EQ(from.replayed, 10 * size);
    save(&k); /* of the end: nothing is read behind it */
    from = restore(&k, 0);
    CHECK_EQ(from.snapshot, 80);
    CHECK_EQ(from.replayed, 0);
    finish(&k);
}

static void damaged_snapshot_is_passed_over(void) /* [PID-31] */
{
    struct known k;

    begin(&k);
    char *newest = snapshot_file(&k, 60), *before = snapshot_file(&k, 40);
    flip_byte(newest, 30);
    CHECK_EQ(restore(&k, 0).snapshot, 40);
    CHECK(access(newest, F_OK) != 0); /* of no use to anybody */
    cut_file(before, 0);
    struct producer_state_source from = restore(&k, 0);
    CHECK_EQ(from.snapshot, OFFSET_NONE);
    CHECK_EQ(from.replayed, plog_bytes(k.l));
    mem_free(newest);
    mem_free(before);
    finish(&k);
}

static void snapshot_under_another_name_is_passed_over(void) /* [PID-31] */
{
    struct known k;

    begin(&k);
    char *newest = snapshot_file(&k, 60), *before = snapshot_file(&k, 40);
    CHECK_EQ(unlink(newest), 0);
    CHECK_EQ(link(before, newest), 0);
    CHECK_EQ(restore(&k, 0).snapshot, 40);
    CHECK(access(newest, F_OK) != 0);
    mem_free(newest);
    mem_free(before);
    finish(&k);
}

static void nothing_is_read_below_where_nobody_was_known(void) /* [PID-35] */
{
    struct known k;

    begin(&k);
    CHECK_EQ(restore(&k, 40).snapshot, 60);
    CHECK_EQ(restore(&k, 1 << 20).snapshot, 60); /* beyond the end: of another log */
    producers_deinit(&k.state);                  /* as if it were so */
    k.state.end = plog_end(k.l);
    struct producer_state_source from = restore(&k, 80);
    CHECK_EQ(from.snapshot, OFFSET_NONE);
    CHECK_EQ(from.replayed, 0);
    finish(&k);
}

/* The first segments are deleted up to the first that begins above `offset`. */
/* What a walk over the log up to batch `n` gives. */
static void check_state_of(const struct known *k, int32_t n)
{
    const struct producer *one = producers_find(&k->state, 5);

    CHECK_EQ(k->state.end, n * 2);
    CHECK_EQ(plog_end(k->l), n * 2);
    CHECK(one != NULL);
    CHECK_EQ(one->n, n < PRODUCERS_BATCHES ? n : PRODUCERS_BATCHES);
    CHECK_EQ(one->batches[one->n - 1].base, n * 2 - 2);
    CHECK_EQ(one->batches[0].base, (n - one->n) * 2);
}

/* The state, then the log. */
static int cut(struct known *k, offset64 end, struct producer_state_source *source)
{
    int r = producer_state_truncate(&k->state, k->l, end, 0, NOW, source);

    return r == 0 ? plog_truncate_run(k->l) : r;
}

static void cut_log_has_the_state_of_its_new_end(void) /* [PID-18] */
{
    static const int32_t ends[] = {37, 30, 25, 19, 3};
    struct producer_state_source source;
    offset64 end = OFFSET_NONE;
    struct known k;

    begin(&k);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        source = (struct producer_state_source){.snapshot = -2};
        CHECK_EQ(plog_truncate_begin(k.l, ends[i] * 2, &end), 0);
        if (i == 1) { /* not now: the state is that of the new end, the log is cut when it is called again */
            faults.open_any_error = -EMFILE;
            CHECK_EQ(cut(&k, end, &source), PLOG_E_BUSY);
            fault_reset();
        }
        CHECK_EQ(cut(&k, end, &source), 0);
        check_state_of(&k, ends[i]);
        CHECK_EQ(source.snapshot, ends[i] >= 30 ? 60 : ends[i] >= 20 ? 40 : OFFSET_NONE);
    }
    append(&k, 3);
    check_state_of(&k, 4);
    /* Nobody's batches went: nothing is read. */
    source.snapshot = -2;
    CHECK_EQ(plog_truncate_begin(k.l, 8, &end), 0);
    CHECK_EQ(cut(&k, end, &source), 0);
    CHECK_EQ(source.snapshot, -2);
    check_state_of(&k, 4);
    finish(&k);
}

static void delete_below(struct known *k, offset64 offset)
{
    (void)plog_close(k->l);
    for (offset64 base = 0; base <= offset; base++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "%020" PRId64 ".log", base);
        char *file = fixture_file(&k->f, "orders-0", name);
        (void)unlink(file);
        mem_free(file);
    }
    fixture_restart(&k->f, true);
    k->l = fixture_plog(&k->f, "orders", NULL);
    CHECK(plog_first_offset(k->l) > offset);
}

static void snapshot_with_a_hole_behind_it_is_not_used(void) /* [PID-20] */
{
    struct producer_state_source source;
    struct producers p = {0};
    struct known k;

    begin(&k);
    CHECK_EQ(plog_snapshot_drop(k.l, 60), 0);
    delete_below(&k, 20);
    CHECK_EQ(restore(&k, 0).snapshot,
            40); /* what it speaks of is not all there any more, and known */
    delete_below(&k, 55);
    CHECK_EQ(producer_state_restore(&p, k.l, 0, NOW, &source), 0);
    CHECK_EQ(source.snapshot, OFFSET_NONE);
    /* With the old snapshot this would be a gap. */
    struct producers_batch next = {.id = 5, .base_sequence = 80};
    CHECK_EQ(producers_check(&p, &next).kind, PRODUCERS_APPEND);
    producers_deinit(&p);
    finish(&k);
}

static const struct check_case cases[] = {
        CASE(state_begins_with_the_newest_snapshot),
        CASE(damaged_snapshot_is_passed_over),
        CASE(snapshot_under_another_name_is_passed_over),
        CASE(nothing_is_read_below_where_nobody_was_known),
        CASE(cut_log_has_the_state_of_its_new_end),
        CASE(snapshot_with_a_hole_behind_it_is_not_used),
};
CHECK_MAIN("producer_state", cases)
