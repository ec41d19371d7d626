/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/epoch_cache.h"

#include "tests/lib/check.h"

static struct epoch_cache cache_of(const char *text)
{
    struct epoch_cache c = {0};

    CHECK_EQ(epoch_cache_parse(&c, text, strlen(text)), 0);
    return c;
}

static void check_text(const struct epoch_cache *c, const char *want)
{
    struct buf out = {0};

    epoch_cache_format(c, &out);
    CHECK_STR(buf_str(&out), want);
    buf_deinit(&out);
}

static void an_epoch_ends_where_the_next_one_begins(void) /* [LOG-61] */
{
    static const struct {
        epoch32 asked, epoch;
        offset64 end;
    } rows[] = {{-1, -1, -1}, {0, 0, 10}, {2, 2, 100}, {3, 3, 140}, {5, 3, 140}, {7, 7, 200}, {9, 7, 200}};
    struct epoch_cache c = cache_of("0\n3\n2 10\n3 100\n7 140\n");
    epoch32 epoch;
    offset64 end;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        epoch_cache_end(&c, rows[i].asked, 200, &epoch, &end);
        CHECK_EQ(epoch, rows[i].epoch);
        CHECK_EQ(end, rows[i].end);
    }
    CHECK_EQ(epoch_cache_at(&c, 9), EPOCH_NONE);
    CHECK_EQ(epoch_cache_at(&c, 99), 2);
    CHECK_EQ(epoch_cache_at(&c, 100), 3);
    epoch_cache_deinit(&c);
    epoch_cache_end(&c, 4, 0, &epoch, &end);
    CHECK_EQ(epoch, EPOCH_NONE);
    CHECK_EQ(end, OFFSET_NONE);
}

static void an_epoch_without_records_leaves_no_entry(void)
{
    struct epoch_cache c = {0};

    CHECK(epoch_cache_assign(&c, 1, 0, true));
    CHECK(!epoch_cache_assign(&c, 1, 5, true)); /* it goes on */
    CHECK(epoch_cache_assign(&c, 2, 8, true));
    CHECK(epoch_cache_assign(&c, 4, 8, true));
    check_text(&c, "0\n2\n1 0\n4 8\n");
    CHECK(epoch_cache_assign(&c, 3, 8, true)); /* what came after was never there */
    check_text(&c, "0\n2\n1 0\n3 8\n");
    epoch_cache_deinit(&c);
}

/* Who led in epoch 4 and wrote nothing follows again, and is given more of epoch 3. */
static void older_epoch_goes_on_behind_one_without_records(void)
{
    struct epoch_cache c = cache_of("0\n2\n1 0\n3 57\n");

    CHECK(epoch_cache_assign(&c, 4, 95, true));
    CHECK(epoch_cache_assign(&c, 3, 95, true));
    check_text(&c, "0\n2\n1 0\n3 57\n"); /* it does not begin again at 95: epoch 1 ended at 57 */
    epoch_cache_deinit(&c);
}

static void both_ends_can_be_cut(void)
{
    struct epoch_cache c = cache_of("0\n4\n1 0\n2 10\n3 20\n4 30\n");

    CHECK(!epoch_cache_cut_tail(&c, 31));
    CHECK(epoch_cache_cut_tail(&c, 30));
    check_text(&c, "0\n3\n1 0\n2 10\n3 20\n");
    CHECK(!epoch_cache_cut_head(&c, 9));
    CHECK(epoch_cache_cut_head(&c, 15));
    check_text(&c, "0\n2\n2 10\n3 20\n");
    CHECK(epoch_cache_cut_tail(&c, 0));
    check_text(&c, "0\n0\n");
    CHECK(!epoch_cache_cut_head(&c, 15));
    epoch_cache_deinit(&c);
}

static void what_is_not_a_whole_file_is_refused(void)
{
    static const char *const texts[] = {"", "0", "0\n", "0\n1", "1\n0\n", "0\n1\n", "0\n1\n1 5", "0\n0\n1 5\n",
            "0\n2\n1 5\n", "0\n1\n1 5\n2 6\n", "0\n2\n1 5\n1 6\n", "0\n2\n1 5\n2 5\n", "0\n2\n2 5\n1 6\n",
            "0\n1\n-1 5\n", "0\n1\n1 -5\n", "0\n1\n1  5\n", "0\n1\n1 5 \n", "0\n1\n2147483648 5\n",
            "0\n1\n1 9223372036854775807\n", "0\n1\n1 99999999999999999999\n", "0\n1000001\n", "0 \n0\n"};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct epoch_cache c = {0};

        CHECK_EQ(epoch_cache_parse(&c, texts[i], strlen(texts[i])), EPOCH_CACHE_E_DAMAGED);
        CHECK_EQ(c.entries.n, 0);
        epoch_cache_deinit(&c);
    }
}

static const struct check_case cases[] = {
        CASE(an_epoch_ends_where_the_next_one_begins),
        CASE(an_epoch_without_records_leaves_no_entry),
        CASE(older_epoch_goes_on_behind_one_without_records),
        CASE(both_ends_can_be_cut),
        CASE(what_is_not_a_whole_file_is_refused),
};
CHECK_MAIN("epoch_cache", cases)
