/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/compress/compress.h"
#include "tests/lib/check.h"

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    SLACK = 64 * KIB, /* what a result may take beyond the limit */
};

static const enum batch_codec codecs[] = {
        CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

static struct bytes view(const struct buf *b)
{
    return (struct bytes){.at = b->data, .size = b->size};
}

/* Text-like bytes: words repeat, as in logs. */
static struct buf some_text(struct prng *p, size_t size)
{
    struct buf b = {0};

    while (b.size < size) {
        buf_append_format(&b, "ts=%llu event=%s\n", (unsigned long long)prng_below(p, 100000),
                "partition_opened");
    }
    b.size = size;
    return b;
}

static struct buf zeros(size_t size)
{
    struct buf b = {0};

    memset(buf_grow(&b, size), 0, size);
    return b;
}

static void bytes_of_each_size_round_trip(void)
{
    static const size_t sizes[] = {1, 10, 4095, 4096, 32 * KIB, 32 * KIB + 1, 200000, MIB};
    struct prng p;

    prng_init(&p, check_seed());
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            struct buf in = some_text(&p, sizes[i]);
            struct buf packed = {0};
            struct buf out = {0};
            buf_append_str(&out, "before");
            CHECK_EQ(compress_bytes(codecs[c], 0, view(&in), &packed), 0);
            CHECK_EQ(decompress_bytes(codecs[c], view(&packed), sizes[i], &out), 0);
            CHECK_EQ(out.size, 6 + sizes[i]);
            CHECK_MEM(out.data, "before", 6);
            CHECK_MEM(out.data + 6, in.data, in.size);
            buf_deinit(&in);
            buf_deinit(&packed);
            buf_deinit(&out);
        }
    }
}

static void nothing_round_trips(void)
{
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(codecs[c], 0, (struct bytes){.at = (const uint8_t *)""}, &packed),
                0);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), 0, &out), 0);
        CHECK_EQ(out.size, 0);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
}

static void incompressible_bytes_round_trip(void)
{
    struct prng p;
    struct buf in = {0};

    prng_init(&p, check_seed());
    for (int i = 0; i < 300 * KIB / 8; i++) {
        buf_be64(&in, prng_u64(&p));
    }
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(codecs[c], 1, view(&in), &packed), 0);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), MIB, &out), 0);
        CHECK_EQ(out.size, in.size);
        CHECK_MEM(out.data, in.data, in.size);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&in);
}

static void level_makes_it_smaller(void)
{
    static const enum batch_codec with_level[] = {CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD};
    struct prng p;

    prng_init(&p, check_seed());
    struct buf in = some_text(&p, 100 * KIB);
    for (size_t c = 0; c < COUNT_OF(with_level); c++) {
        struct buf fast = {0};
        struct buf small = {0};
        CHECK_EQ(compress_bytes(with_level[c], 1, view(&in), &fast), 0);
        CHECK_EQ(compress_bytes(with_level[c], 9, view(&in), &small), 0);
        CHECK(small.size < fast.size);
        buf_deinit(&fast);
        buf_deinit(&small);
    }
    buf_deinit(&in);
}

static void result_at_the_limit_passes_and_one_byte_more_does_not(void)
{
    struct prng p;

    prng_init(&p, check_seed());
    struct buf in = some_text(&p, 100001);
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(codecs[c], 0, view(&in), &packed), 0);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), 100000, &out), COMPRESS_E_LIMIT);
        CHECK_EQ(out.size, 0);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), 0, &out), COMPRESS_E_LIMIT);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), 100001, &out), 0);
        out.limit = out.size + 100000;
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), SIZE_MAX, &out), COMPRESS_E_LIMIT);
        CHECK_EQ(out.size, 100001);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&in);
}

static void bomb_stops_at_the_limit(void)
{
    struct buf in = zeros((size_t)64 * MIB);

    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(codecs[c], 0, view(&in), &packed), 0);
        CHECK_EQ(decompress_bytes(codecs[c], view(&packed), MIB, &out), COMPRESS_E_LIMIT);
        CHECK(out.cap <= MIB + SLACK);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&in);
}

/* A zstd frame of run-length blocks of 128 KiB zeros under a window of 2^`log`, without a
 * content size. */
static struct buf zstd_run(int log, int n_blocks)
{
    struct buf b = {0};

    buf_le32(&b, 0xfd2fb528u);
    buf_u8(&b, 0);
    buf_u8(&b, (uint8_t)((log - 10) << 3));
    for (int i = 0; i < n_blocks; i++) {
        uint32_t header = (128u * KIB) << 3 | 1u << 1 | (i == n_blocks - 1 ? 1u : 0u);
        buf_u8(&b, (uint8_t)header);
        buf_u8(&b, (uint8_t)(header >> 8));
        buf_u8(&b, (uint8_t)(header >> 16));
        buf_u8(&b, 0);
    }
    return b;
}

static void zstd_window_of_a_frame_does_not_decide_memory(void)
{
    static const int logs[] = {17, 20, 21, 23, 27, 30};

    for (size_t i = 0; i < COUNT_OF(logs); i++) {
        struct buf bomb = zstd_run(logs[i], 4096); /* 16 KiB that stand for 512 MiB */
        struct buf fits = zstd_run(logs[i], 8);
        struct buf out = {0};
        CHECK_EQ(decompress_bytes(CODEC_ZSTD, view(&bomb), MIB, &out), COMPRESS_E_LIMIT);
        CHECK(out.cap <= MIB + SLACK);
        CHECK_EQ(decompress_bytes(CODEC_ZSTD, view(&fits), MIB, &out), 0);
        CHECK_EQ(out.size, MIB);
        buf_deinit(&bomb);
        buf_deinit(&fits);
        buf_deinit(&out);
    }
}

static void streams_that_follow_one_another_are_read_as_one(void)
{
    static const enum batch_codec framed[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

    for (size_t c = 0; c < COUNT_OF(framed); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(framed[c], 0, (struct bytes){(const uint8_t *)"one ", 4}, &packed),
                0);
        CHECK_EQ(compress_bytes(framed[c], 0, (struct bytes){(const uint8_t *)"two", 3}, &packed),
                0);
        CHECK_EQ(decompress_bytes(framed[c], view(&packed), 7, &out), 0);
        CHECK_STR(buf_str(&out), "one two");
        CHECK_EQ(decompress_bytes(framed[c], view(&packed), 6, &out), COMPRESS_E_LIMIT);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
}

static void snappy_is_framed_as_java_does(void)
{
    /* snappy("abc"): length 3, a literal of 3 */
    static const uint8_t raw[] = {3, 2 << 2, 'a', 'b', 'c'};
    static const uint8_t framed[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
            0, 0, 0, 5, 3, 2 << 2, 'a', 'b', 'c'};
    struct buf packed = {0};
    struct buf out = {0};

    CHECK_EQ(
            compress_bytes(CODEC_SNAPPY, 0, (struct bytes){(const uint8_t *)"abc", 3}, &packed), 0);
    CHECK_EQ(packed.size, sizeof(framed));
    CHECK_MEM(packed.data, framed, sizeof(framed));
    CHECK_EQ(decompress_bytes(CODEC_SNAPPY, (struct bytes){raw, sizeof(raw)}, 3, &out), 0);
    CHECK_STR(buf_str(&out), "abc");
    buf_deinit(&packed);
    buf_deinit(&out);
}

static void lz4_has_independent_blocks_and_no_content_checksum(void)
{
    struct prng p;
    struct buf packed = {0};

    prng_init(&p, check_seed());
    struct buf in = some_text(&p, 200000);
    CHECK_EQ(compress_bytes(CODEC_LZ4, 0, view(&in), &packed), 0);
    CHECK_EQ(load_le32(packed.data), 0x184d2204);
    CHECK_EQ(
            packed.data[4], 0x60); /* version 01, independent, neither checksums nor content size */
    CHECK_EQ(packed.data[5], 0x40); /* blocks of 64 KiB */
    buf_deinit(&in);
    buf_deinit(&packed);
}

static void damaged_bytes_are_refused(void)
{
    static const enum batch_codec framed[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    struct buf in = zeros(100);

    for (size_t c = 0; c < COUNT_OF(framed); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(framed[c], 0, view(&in), &packed), 0);
        CHECK_EQ(decompress_bytes(framed[c], (struct bytes){packed.data, 0}, 100, &out),
                COMPRESS_E_CORRUPT);
        for (size_t size = 1; size < packed.size; size++) {
            uint8_t *cut = mem_dup(packed.data, size);
            int r = decompress_bytes(framed[c], (struct bytes){cut, size}, 100, &out);
            /* A xerial stream may end after its header. */
            CHECK(r == COMPRESS_E_CORRUPT || (framed[c] == CODEC_SNAPPY && size == 16));
            mem_free(cut);
        }
        buf_append_str(&packed, "garbage");
        CHECK_EQ(decompress_bytes(framed[c], view(&packed), 1000, &out), COMPRESS_E_CORRUPT);
        CHECK_EQ(out.size, 0);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&in);
}

static void random_damage_never_leads_outside(void)
{
    struct prng p;

    prng_init(&p, check_seed());
    struct buf in = some_text(&p, 3000);
    for (size_t c = 1; c < COUNT_OF(codecs); c++) {
        struct buf packed = {0};
        struct buf out = {0};
        CHECK_EQ(compress_bytes(codecs[c], 0, view(&in), &packed), 0);
        for (int i = 0; i < 2000; i++) {
            uint8_t *copy = mem_dup(packed.data, packed.size);
            for (uint64_t n = 1 + prng_below(&p, 3); n > 0; n--) {
                copy[prng_below(&p, packed.size)] = (uint8_t)prng_u64(&p);
            }
            int r = decompress_bytes(codecs[c], (struct bytes){copy, packed.size}, 4000, &out);
            CHECK(r == 0 || r == COMPRESS_E_CORRUPT || r == COMPRESS_E_LIMIT);
            CHECK(out.size <= 4000 && out.cap <= 4000 + SLACK);
            buf_clear(&out);
            mem_free(copy);
        }
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&in);
}

static void number_that_is_no_codec_is_corrupt(void)
{
    struct buf out = {0};

    CHECK_EQ(decompress_bytes(
                     (enum batch_codec)5, (struct bytes){(const uint8_t *)"x", 1}, 10, &out),
            COMPRESS_E_CORRUPT);
}

static void records_of_a_compressed_batch_are_read(void)
{
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct batch_builder bb = {0};
        struct buf packed = {0};
        struct buf out = {0};
        struct buf scratch = {0};
        struct bytes plain = {0};
        struct batch b;
        struct record_iter it;
        struct record record = {.value = {(const uint8_t *)"value", 5}};
        for (int i = 0; i < 100; i++) {
            batch_builder_add(&bb, &record, NULL);
        }
        CHECK_EQ(compress_bytes(codecs[c], 0, view(&bb.records), &packed), 0);
        batch_builder_finish(&bb, &(struct batch_build_options){.producer_id = -1}, codecs[c],
                view(&packed), &out);
        CHECK_EQ(batch_validate_produced(out.data, out.size, &b), 0);
        CHECK_EQ(batch_codec(&b), codecs[c]);
        CHECK_EQ(batch_plain_records(&b, 100, &scratch, &plain), COMPRESS_E_LIMIT);
        CHECK(plain.at == NULL);
        CHECK_EQ(batch_plain_records(&b, 10000, &scratch, &plain), 0);
        record_iter_init(&it, &b, plain.at, plain.size);
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(record_iter_next(&it, &record), 0);
        }
        CHECK_MEM(record.value.at, "value", 5);
        CHECK_EQ(record_iter_next(&it, &record), RECORD_END);
        batch_builder_deinit(&bb);
        buf_deinit(&packed);
        buf_deinit(&out);
        buf_deinit(&scratch);
    }
}

static const struct check_case cases[] = {
        CASE(bytes_of_each_size_round_trip),
        CASE(nothing_round_trips),
        CASE(incompressible_bytes_round_trip),
        CASE(level_makes_it_smaller),
        CASE(result_at_the_limit_passes_and_one_byte_more_does_not),
        CASE(bomb_stops_at_the_limit),
        CASE(zstd_window_of_a_frame_does_not_decide_memory),
        CASE(streams_that_follow_one_another_are_read_as_one),
        CASE(snappy_is_framed_as_java_does),
        CASE(lz4_has_independent_blocks_and_no_content_checksum),
        CASE(damaged_bytes_are_refused),
        CASE(random_damage_never_leads_outside),
        CASE(number_that_is_no_codec_is_corrupt),
        CASE(records_of_a_compressed_batch_are_read),
};

CHECK_MAIN("compress", cases)
