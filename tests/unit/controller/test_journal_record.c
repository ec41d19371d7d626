/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/shell/journal_record.h"
#include "tests/lib/check.h"

struct seen {
    size_t n;
    struct journal_record at[8];
    offset64 offsets[8];
};

static void take(void *ctx, offset64 offset, const struct journal_record *r)
{
    struct seen *s = ctx;

    s->offsets[s->n] = offset;
    s->at[s->n++] = *r;
}

static void build(struct batch_builder *bb, struct buf *out)
{
    const struct batch_build_options options = {
            .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};

    batch_builder_finish(
            bb, &options, CODEC_NONE, (struct bytes){bb->records.data, bb->records.size}, out);
    batch_builder_deinit(bb);
}

static void decisions_and_gaps_come_back_as_they_were_written(void) /* [DEC-7] */
{
    struct batch_builder bb = {0};
    struct buf out = {0};
    struct seen seen = {0};

    journal_record_add_gap(&bb, 3, 9, "trimmed", 1000);
    journal_record_add(&bb, 10, (struct bytes){(const uint8_t *)"batch", 5}, 1001);
    build(&bb, &out);
    CHECK_EQ(journal_records_walk((struct bytes){out.data, out.size}, take, &seen), 2);
    CHECK_EQ(seen.n, 2);
    CHECK(seen.at[0].is_gap);
    CHECK_EQ(seen.at[0].from, 3);
    CHECK_EQ(seen.at[0].to, 9);
    CHECK_EQ(seen.at[0].value.size, 7);
    CHECK(!seen.at[1].is_gap);
    CHECK_EQ(seen.at[1].from, 10);
    CHECK_EQ(seen.at[1].to, 10);
    CHECK_EQ(seen.offsets[1], 1);
    CHECK_MEM(seen.at[1].value.at, "batch", 5);
    buf_deinit(&out);
}

static void what_others_wrote_is_passed_over(void)
{
    static const uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, 5}, zero[8] = {0};
    const struct record_header other = {.name = {(const uint8_t *)"x", 1}, .value = {key, 8}};
    const struct record foreign[] = {
            {.key = {key, 7}, .value = {key, 8}},
            {.key = {key, 8}},
            {.value = {key, 8}},
            {.key = {zero, 8}, .value = {key, 8}},
            {.key = {key, 8}, .value = {key, 8}, .n_headers = 1},
    };
    struct batch_builder bb = {0};
    struct buf out = {0};
    struct seen seen = {0};

    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        batch_builder_add(&bb, &foreign[i], &other);
    }
    build(&bb, &out);
    CHECK_EQ(journal_records_walk((struct bytes){out.data, out.size}, take, &seen),
            (long long)COUNT_OF(foreign));
    CHECK_EQ(seen.n, 0);
    buf_deinit(&out);
}

static void a_batch_that_is_cut_or_damaged_gives_nothing(void)
{
    struct batch_builder bb = {0};
    struct buf out = {0};
    struct seen seen = {0};

    journal_record_add(&bb, 10, (struct bytes){(const uint8_t *)"batch", 5}, 1001);
    build(&bb, &out);
    CHECK_EQ(journal_records_walk((struct bytes){out.data, out.size - 1}, take, &seen), -1);
    out.data[out.size - 2] ^= 1;
    CHECK_EQ(journal_records_walk((struct bytes){out.data, out.size}, take, &seen), 1);
    CHECK_EQ(seen.n, 0);
    buf_deinit(&out);
}

static const struct check_case cases[] = {
        CASE(decisions_and_gaps_come_back_as_they_were_written),
        CASE(what_others_wrote_is_passed_over),
        CASE(a_batch_that_is_cut_or_damaged_gives_nothing),
};
CHECK_MAIN("journal_record", cases)
