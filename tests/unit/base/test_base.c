/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/prng.h"
#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "tests/lib/check.h"

#include <errno.h>

static void varint_round_trips_at_each_size(void)
{
    static const int64_t values[] = {
            0, -1, 1, 63, 64, -64, -65, 8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct buf b = {0};
        struct reader r;
        buf_varint(&b, values[i]);
        CHECK_EQ(b.size, varint_size(values[i]));
        reader_init(&r, b.data, b.size);
        CHECK_EQ(reader_varint(&r), values[i]);
        CHECK(!r.failed);
        CHECK_EQ(reader_left(&r), 0);
        buf_deinit(&b);
    }
}

static void uvarint_beyond_64_bits_is_refused(void)
{
    static const uint8_t too_long[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct reader r;

    reader_init(&r, too_long, sizeof(too_long));
    (void)reader_uvarint(&r);
    CHECK(r.failed);
}

static void reading_past_the_end_fails_once_and_for_all(void)
{
    struct reader r;

    reader_init(&r, "abc", 3);
    CHECK_EQ(reader_be16(&r), 0x6162);
    CHECK_EQ(reader_be32(&r), 0);
    CHECK(r.failed);
    CHECK_EQ(reader_u8(&r), 0);
    CHECK_EQ(reader_left(&r), 0);
}

static void buf_with_a_limit_refuses_what_passes_it(void)
{
    struct buf b = {.limit = 4};

    buf_be32(&b, 1);
    CHECK(!b.failed);
    buf_u8(&b, 1);
    CHECK(b.failed);
    CHECK_EQ(b.size, 4);
    buf_deinit(&b);
}

static void formatted_text_grows_the_buffer(void)
{
    struct buf b = {0};

    for (int i = 0; i < 100; i++) {
        buf_append_format(&b, "%d,", i % 10);
    }
    CHECK_EQ(b.size, 200);
    CHECK_EQ(strlen(buf_str(&b)), 200);
    buf_deinit(&b);
}

static void arena_stops_at_its_ceiling(void)
{
    struct arena a;

    arena_init(&a, 100);
    CHECK(arena_alloc(&a, 90) != NULL);
    CHECK(arena_alloc(&a, 1) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    arena_deinit(&a);
}

static void arena_memory_is_zeroed_and_aligned(void)
{
    struct arena a;

    arena_init(&a, 0);
    for (size_t size = 1; size < 9000; size = size * 3 + 1) {
        uint8_t *p = arena_alloc(&a, size);
        CHECK_EQ((uintptr_t)p % 16, 0);
        CHECK_EQ(p[0] | p[size - 1], 0);
        memset(p, 0xff, size);
    }
    arena_deinit(&a);
}

static void checksums_match_their_published_check_values(void)
{
    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283u);
    CHECK_EQ(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    CHECK(crc64(0, "123456789", 9) == 0x995dc9bbdf1939faULL);
    CHECK(crc64(crc64(0, "1234", 4), "56789", 5) == 0x995dc9bbdf1939faULL);
}

static void uuid_text_round_trips(void)
{
    struct prng p;
    char text[UUID_TEXT_SIZE];
    struct uuid back;

    prng_init(&p, check_seed());
    struct uuid u = uuid_from_prng(&p);
    CHECK(uuid_parse(uuid_format(&u, text), &back));
    CHECK(uuid_equal(&u, &back));
    CHECK_EQ(text[14], '4');
    CHECK(!uuid_parse("00000000-0000-0000-0000-00000000000g", &back));
    CHECK(!uuid_parse("", &back));
}

static void prng_repeats_from_its_seed(void)
{
    struct prng a;
    struct prng b;

    prng_init(&a, 7);
    prng_init(&b, 7);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = prng_below(&a, 10);
        CHECK_EQ(x, prng_below(&b, 10));
        CHECK(x < 10);
    }
}

static void array_keeps_order_on_insert_and_remove(void)
{
    ARRAY(int) a = {0};

    for (int i = 0; i < 10; i++) {
        *array_push(&a) = i;
    }
    *array_insert(&a, 0) = -1;
    array_remove(&a, 5);
    CHECK_EQ(a.n, 10);
    CHECK_EQ(a.items[0], -1);
    CHECK_EQ(a.items[4], 3);
    CHECK_EQ(a.items[5], 5);
    int sum = 0;
    ARRAY_FOREACH (it, &a) {
        sum += *it;
    }
    CHECK_EQ(sum, 45 - 1 - 4);
    array_deinit(&a);
}

struct entry {
    int key;
    int value;
    UT_hash_handle hh;
};

static void map_finds_what_was_added(void)
{
    struct entry entries[100] = {0};
    struct entry *map = NULL;
    struct entry *found = NULL;

    for (int i = 0; i < 100; i++) {
        entries[i].key = i;
        entries[i].value = i * i;
        HASH_ADD_INT(map, key, &entries[i]);
    }
    int key = 42;
    HASH_FIND_INT(map, &key, found);
    CHECK(found != NULL);
    CHECK_EQ(found->value, 42 * 42);
    HASH_CLEAR(hh, map);
}

static void time_that_is_not_set_stays_not_set(void)
{
    CHECK_EQ(wtime_add(WTIME_NEVER, WTIME_S(1)), WTIME_NEVER);
    CHECK_EQ(wtime_add(WTIME_NEVER - 1, WTIME_S(1)), WTIME_NEVER);
    CHECK_EQ(wtime_add(5, -10), 0);
    CHECK(!wtime_due(WTIME_NEVER, WTIME_NEVER));
    CHECK(wtime_due(5, 5));
}

static int fails_deep(void)
{
    return err_origin(-EIO);
}

static void error_trail_names_each_frame(void)
{
    char text[256];
    int r = fails_deep();

    r = err_forward(r);
    CHECK_EQ(r, -EIO);
    CHECK(strstr(err_trail(text, sizeof(text)), "fails_deep <- ") != NULL);
    CHECK(strstr(text, "Input/output error") != NULL);
}

static const struct check_case cases[] = {
        CASE(varint_round_trips_at_each_size),
        CASE(uvarint_beyond_64_bits_is_refused),
        CASE(reading_past_the_end_fails_once_and_for_all),
        CASE(buf_with_a_limit_refuses_what_passes_it),
        CASE(formatted_text_grows_the_buffer),
        CASE(arena_stops_at_its_ceiling),
        CASE(arena_memory_is_zeroed_and_aligned),
        CASE(checksums_match_their_published_check_values),
        CASE(uuid_text_round_trips),
        CASE(prng_repeats_from_its_seed),
        CASE(array_keeps_order_on_insert_and_remove),
        CASE(map_finds_what_was_added),
        CASE(time_that_is_not_set_stays_not_set),
        CASE(error_trail_names_each_frame),
};

CHECK_MAIN("base", cases)
