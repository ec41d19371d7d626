/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/batch_run.h"

#include "common/base/array.h"
#include "common/domain/record_batch.h"
#include "tests/lib/check.h"

/* A batch of `n` records from `base` on, of that epoch, behind what is there. */
static void add(struct buf *out, offset64 base, int n, epoch32 epoch)
{
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};
    size_t at = out->size;

    for (int i = 0; i < n; i++) {
        struct record r = {.timestamp = 1000, .value = {.at = (const uint8_t *)"v", .size = 1}};
        batch_builder_add(&bb, &r, NULL);
    }
    batch_builder_finish(&bb, &opt, CODEC_NONE, (struct bytes){NULL, 0}, out);
    batch_builder_deinit(&bb);
    batch_stamp(out->data + at, base, epoch);
}

static struct batch_run run_of(const struct buf *b, offset64 end, bool is_empty)
{
    return batch_run_of((struct bytes){b->data, b->size}, end, is_empty);
}

static void what_follows_is_one_run_with_its_gaps(void) /* [FET-10] */
{
    struct buf b = {0};

    add(&b, 10, 2, 3);
    add(&b, 15, 1, 3);
    add(&b, 16, 4, 5);
    size_t whole = b.size;
    buf_append(&b, b.data, 20); /* a part of another one */
    struct batch_run run = run_of(&b, 10, false);
    CHECK(run.is_sound);
    CHECK_EQ(run.size, whole);
    CHECK_EQ(run.first_base, 10);
    CHECK_EQ(run.next, 20);
    CHECK_EQ(run.first_epoch, 3);
    CHECK_EQ(run.last_epoch, 5);
    CHECK(run_of(&b, 7, false).is_sound); /* compaction took what is between */
    buf_deinit(&b);
}

static void what_does_not_follow_is_not_sound(void) /* [FET-10] */
{
    static const struct {
        offset64 base;
        epoch32 epoch;
    } second[] = {{11, 3}, {9, 3}, {12, 2}};
    struct buf b = {0};

    for (size_t i = 0; i < COUNT_OF(second); i++) {
        buf_clear(&b);
        add(&b, 10, 2, 3);
        add(&b, second[i].base, 2, second[i].epoch);
        CHECK(!run_of(&b, 10, false).is_sound);
    }
    buf_clear(&b);
    add(&b, 10, 2, 3);
    CHECK(!run_of(&b, 11, false).is_sound); /* from below the log's end */
    CHECK(run_of(&b, 11, true).is_sound);   /* but for an empty log */
    CHECK(!run_of(&b, 12, true).is_sound);
    b.data[b.size - 1] ^= 1;
    CHECK(!run_of(&b, 10, false).is_sound);
    buf_clear(&b);
    CHECK(run_of(&b, 10, false).is_sound); /* nothing is nothing wrong */
    buf_append_str(&b, "not a whole batch");
    CHECK(!run_of(&b, 10, false).is_sound);
    buf_deinit(&b);
}

static const struct check_case cases[] = {
        CASE(what_follows_is_one_run_with_its_gaps),
        CASE(what_does_not_follow_is_not_sound),
};

CHECK_MAIN("batch_run", cases)
