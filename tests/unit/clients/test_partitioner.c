/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/backoff.h"
#include "clients/core/partitioner.h"
#include "common/base/array.h"
#include "tests/lib/check.h"

static struct bytes text(const char *s)
{
    return (struct bytes){.at = (const uint8_t *)s, .size = strlen(s)};
}

static void murmur2_gives_what_kafka_gives(void)
{
    static const struct {
        const char *key;
        int32_t hash;
    } vectors[] = {
            {"21", -973932308},
            {"foobar", -790332482},
            {"a-little-bit-long-string", -985981536},
            {"a-little-bit-longer-string", -1486304829},
            {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
            {"abc", 479470107},
    };

    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        CHECK_EQ(murmur2(text(vectors[i].key)), vectors[i].hash);
    }
}

static void crc32_gives_the_check_value(void)
{
    CHECK_EQ(crc32_ieee(text("123456789")), 0xcbf43926);
    CHECK_EQ(crc32_ieee(text("")), 0);
}

struct world {
    int32_t open; /* the partition with an open batch; -1 = none */
    int n_asked;
};

static bool keeps(void *ctx, int32_t partition)
{
    struct world *w = ctx;

    w->n_asked++;
    return partition == w->open;
}

static void a_key_always_goes_to_its_partition(void)
{
    struct world w = {.open = -1};
    struct partitioner p;

    partitioner_init(&p, PARTITIONER_MURMUR2, 1);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(
                partitioner_choose(&p, text("foobar"), 7, keeps, &w), (-790332482 & INT32_MAX) % 7);
    }
    partitioner_init(&p, PARTITIONER_CRC32, 1);
    CHECK_EQ(partitioner_choose(&p, text("123456789"), 7, keeps, &w), (int32_t)(0xcbf43926 % 7));
    CHECK_EQ(w.n_asked, 0);
}

static void an_empty_key_is_a_key(void)
{
    struct world w = {.open = -1};
    struct partitioner p;

    partitioner_init(&p, PARTITIONER_MURMUR2, 1);
    int32_t first = partitioner_choose(&p, text(""), 5, keeps, &w);
    CHECK_EQ(first, (murmur2(text("")) & INT32_MAX) % 5);
}

static void sticky_stays_while_its_batch_gathers(void)
{
    struct world w = {.open = -1};
    struct partitioner p;

    partitioner_init(&p, PARTITIONER_STICKY, 3);
    w.open = partitioner_choose(&p, text("k"), 6, keeps, &w);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(partitioner_choose(&p, text("other"), 6, keeps, &w), w.open);
    }
    int32_t before = w.open;
    w.open = -1;
    CHECK(partitioner_choose(&p, text("k"), 6, keeps, &w) != before);
}

static void sticky_reaches_every_partition(void)
{
    struct world w = {.open = -1};
    struct partitioner p;
    bool seen[4] = {false};

    partitioner_init(&p, PARTITIONER_MURMUR2, 5);
    for (int i = 0; i < 200; i++) {
        seen[partitioner_choose(&p, (struct bytes){0}, 4, keeps, &w)] = true;
    }
    CHECK(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void round_robin_takes_them_in_turn(void)
{
    struct world w = {.open = -1};
    struct partitioner p;

    partitioner_init(&p, PARTITIONER_ROUND_ROBIN, 1);
    for (int32_t i = 0; i < 9; i++) {
        CHECK_EQ(partitioner_choose(&p, text("k"), 3, keeps, &w), i % 3);
    }
}

static void a_topic_that_shrank_is_survived(void)
{
    struct world w = {.open = -1};
    struct partitioner p;

    partitioner_init(&p, PARTITIONER_STICKY, 1);
    for (int i = 0; i < 20; i++) {
        (void)partitioner_choose(&p, (struct bytes){0}, 100, keeps, &w);
    }
    CHECK_EQ(partitioner_choose(&p, (struct bytes){0}, 1, keeps, &w), 0);
}

static void backoff_doubles_up_to_its_maximum(void)
{
    struct prng prng;

    prng_init(&prng, 1);
    CHECK_EQ(backoff_after(100, 1000, 0, &prng), 0);
    for (uint32_t n = 1; n < 70; n++) {
        wtime middle = n < 5 ? 100 << (n - 1) : 1000;
        wtime wait = backoff_after(100, 1000, n, &prng);
        CHECK(wait >= middle - middle / 5);
        CHECK(wait <= middle + middle / 5);
    }
}

static const struct check_case cases[] = {
        CASE(murmur2_gives_what_kafka_gives),
        CASE(crc32_gives_the_check_value),
        CASE(a_key_always_goes_to_its_partition),
        CASE(an_empty_key_is_a_key),
        CASE(sticky_stays_while_its_batch_gathers),
        CASE(sticky_reaches_every_partition),
        CASE(round_robin_takes_them_in_turn),
        CASE(a_topic_that_shrank_is_survived),
        CASE(backoff_doubles_up_to_its_maximum),
};

CHECK_MAIN("partitioner", cases)
