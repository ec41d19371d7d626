/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/sparse_index.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <string.h>

/* Looking up the last entry that is not above two numbers, in indexes of every size and shape, against walking them. */

enum {
    ENTRIES_MAX = 20000,
    LOOK_UPS = 300
};

enum shape {
    EVEN,
    STEPS,     /* one large leap in the middle */
    SQUARES,   /* ever sparser */
    AT_RANDOM, /* mostly dense, now and then a leap */
    SHAPES
};

static int64_t step_of(enum shape shape, uint32_t i, uint32_t n, struct prng *random)
{
    switch (shape) {
    case EVEN: return 40;
    case STEPS: return i == n / 2 ? 100000000 : 3;
    case SQUARES: return 2 * (int64_t)i + 1;
    case AT_RANDOM:
    case SHAPES: break;
    }
    return prng_below(random, 1000) == 0 ? 1000000 : 1 + (int64_t)prng_below(random, 5);
}

struct made {
    struct sparse_index x;
    struct sparse_entry *entries;
};

static void make(struct made *m,
        struct file_cache *files,
        const char *path,
        uint32_t key_size,
        enum shape shape,
        uint32_t n,
        struct prng *random)
{
    struct sparse_entry e = {0};
    struct buf bytes = {0};

    *m = (struct made){.x = {.file = cached_file_new(files, path), .key_size = key_size},
            .entries = mem_new_n(struct sparse_entry, n + 1)};
    for (uint32_t i = 0; i < n; i++) {
        uint8_t one[12];
        e.key += step_of(shape, i, n, random);
        e.value += step_of(shape == EVEN ? EVEN : AT_RANDOM, i, n, random);
        m->entries[i] = e;
        if (key_size == 8) {
            store_be64(one, (uint64_t)e.key);
        } else {
            store_be32(one, (uint32_t)e.key);
        }
        store_be32(one + key_size, (uint32_t)e.value);
        buf_append(&bytes, one, key_size + 4);
    }
    write_file(path, bytes.data, bytes.size);
    m->x.n = n;
    buf_deinit(&bytes);
}

static void look_up(const struct made *m, int64_t key, int64_t value)
{
    struct sparse_entry e = {.key = -7};
    uint32_t n = 0, expected = 0;

    while (expected < m->x.n && m->entries[expected].key <= key &&
            m->entries[expected].value <= value) {
        expected++;
    }
    CHECK_EQ(sparse_index_floor(&fault_io, &m->x, key, value, &e, &n), 0);
    CHECK_EQ(n, expected);
    CHECK_EQ(e.key, expected > 0 ? m->entries[expected - 1].key : -7);
}

static void look_everywhere(const struct made *m, struct prng *random)
{
    uint32_t n = m->x.n;
    struct sparse_entry last = n > 0 ? m->entries[n - 1] : (struct sparse_entry){.key = 9};

    look_up(m, 0, INT64_MAX);
    look_up(m, -1, INT64_MAX);
    look_up(m, INT64_MAX, INT64_MAX);
    look_up(m, INT64_MAX, 0);
    for (int i = 0; i < LOOK_UPS; i++) {
        struct sparse_entry e = n > 0 ? m->entries[prng_below(random, n)] : last;
        look_up(m, e.key - 1 + (int64_t)prng_below(random, 3), INT64_MAX);
        look_up(m, (int64_t)prng_below(random, (uint64_t)last.key + 2), INT64_MAX);
        look_up(m, e.key, (int64_t)prng_below(random, (uint64_t)last.value + 2));
        look_up(m, INT64_MAX, e.value);
    }
}

static void every_shape_and_size_gives_what_a_walk_gives(void)
{
    static const uint32_t sizes[] = {0, 1, 2, 511, 512, 513, 514, 1024, 1025, 5000, ENTRIES_MAX};
    struct file_cache *files = file_cache_new(&fault_io, 8);
    struct prng random;

    prng_init(&random, check_seed());
    for (int shape = 0; shape < SHAPES; shape++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char *path = fixture_path("index");
            struct made m;
            make(&m, files, path, i % 2 == 0 ? 4 : 8, (enum shape)shape, sizes[i], &random);
            look_everywhere(&m, &random);
            cached_file_forget(m.x.file);
            (void)mem_free(m.entries);
            (void)mem_free(path);
        }
    }
    files = file_cache_free(files);
}

static void an_even_index_takes_few_reads(void)
{
    struct file_cache *files = file_cache_new(&fault_io, 8);
    char *path = fixture_path("index");
    struct prng random;
    struct made m;

    prng_init(&random, check_seed());
    make(&m, files, path, 4, EVEN, ENTRIES_MAX, &random);
    fault_reset();
    for (int i = 0; i < LOOK_UPS; i++) {
        look_up(&m, (int64_t)prng_below(&random, (uint64_t)ENTRIES_MAX * 40), INT64_MAX);
    }
    CHECK(faults.n_pread <= 2 * LOOK_UPS);
    cached_file_forget(m.x.file);
    (void)mem_free(m.entries);
    (void)mem_free(path);
    files = file_cache_free(files);
}

static const struct check_case cases[] = {
        CASE(every_shape_and_size_gives_what_a_walk_gives),
        CASE(an_even_index_takes_few_reads),
};

CHECK_MAIN("sparse_index", cases)
