/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/key_map.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"

/* Random puts and gets against an array that knows everything. */
static void newest_offset_of_each_key_is_kept(void)
{
    enum {
        N_KEYS = 900
    };

    struct prng prng;
    struct key_map m = {0};
    struct key_hash keys[N_KEYS];
    offset64 newest[N_KEYS];

    prng_init(&prng, check_seed());
    for (size_t i = 0; i < N_KEYS; i++) {
        keys[i] = (struct key_hash){.a = prng_u64(&prng), .b = prng_u64(&prng)};
        keys[i].a = i % 3 == 0 ? UINT64_MAX - i % 7 : keys[i].a; /* neighbours, which wrap around */
        newest[i] = OFFSET_NONE;
    }
    CHECK_EQ(key_map_init(&m, 1000, 900000), 0);
    CHECK_EQ(key_map_room(&m), 900);
    for (offset64 offset = 0; offset < 20000; offset++) {
        size_t i = (size_t)prng_below(&prng, N_KEYS);
        CHECK_EQ(key_map_get(&m, &keys[i]), newest[i]);
        key_map_put(&m, &keys[i], offset);
        newest[i] = offset;
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        CHECK_EQ(key_map_get(&m, &keys[i]), newest[i]);
    }
    CHECK_EQ(key_map_room(&m) + m.n, 900);
    key_map_deinit(&m);
}

static void an_older_offset_does_not_take_its_place(void)
{
    struct key_map m = {0};
    struct key_hash k = {.a = 1, .b = 2}, other = {.a = 1, .b = 3};

    CHECK_EQ(key_map_init(&m, 2, 500000), 0);
    key_map_put(&m, &k, 7);
    key_map_put(&m, &k, 5);
    CHECK_EQ(key_map_get(&m, &k), 7);
    CHECK_EQ(key_map_get(&m, &other), OFFSET_NONE);
    key_map_deinit(&m);
}

static void full_map_still_ends_a_search(void) /* [LOG-59] */
{
    struct key_map m = {0};
    struct key_hash k = {.a = UINT64_MAX, .b = 1}, absent = {.a = UINT64_MAX, .b = 9};

    CHECK_EQ(key_map_init(&m, 4, 1000000), 0);
    CHECK_EQ(key_map_room(&m), 3);
    for (uint64_t i = 0; i < 3; i++) {
        k.b = i;
        key_map_put(&m, &k, (offset64)i);
    }
    CHECK_EQ(key_map_room(&m), 0);
    CHECK_EQ(key_map_get(&m, &absent), OFFSET_NONE);
    key_map_put(&m, &k, 10); /* of a key that is there always */
    CHECK_EQ(key_map_get(&m, &k), 10);
    key_map_deinit(&m);
}

static const struct check_case cases[] = {
        CASE(newest_offset_of_each_key_is_kept),
        CASE(an_older_offset_does_not_take_its_place),
        CASE(full_map_still_ends_a_search),
};
CHECK_MAIN("key_map", cases)
