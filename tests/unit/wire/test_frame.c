/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/frame.h"

#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/wire/messages.h"
#include "tests/lib/check.h"

#include "proto/header.pb-c.h"

#include <stdlib.h>

static int split(const struct buf *b, char *detail, struct frame_header *h, struct bytes *body)
{
    return frame_split(b->data + FRAME_LENGTH_SIZE, b->size - FRAME_LENGTH_SIZE, detail, h, body);
}

/* These bytes are the wire: if this case fails, old and new programs no longer understand each
 * other. */
static void a_frame_has_these_bytes(void)
{
    static const uint8_t golden[] = {
            0, 0, 0, 21,            /* length of what follows */
            15,                     /* length of Header */
            0x08, 3,                /* api = Produce */
            0x10, 0x96, 0x01,       /* correlation = 150 */
            0x18, 13,               /* error = -7 */
            0x22, 2, 'n', 'o',      /* detail */
            0x28, 5,                /* throttle_ms */
            0x30, 9,                /* timeout_ms */
            'h', 'e', 'l', 'l', 'o' /* body */
    };
    struct buf b = {0};
    struct frame_header h = {.api = API_PRODUCE,
            .correlation = 150,
            .error = -7,
            .detail = "no",
            .throttle_ms = 5,
            .timeout_ms = 9};

    frame_begin(&b, &h, 5);
    buf_append(&b, "hello", 5);
    CHECK_EQ(b.size, sizeof(golden));
    CHECK_MEM(b.data, golden, sizeof(golden));
    buf_deinit(&b);
}

static void an_answer_without_error_is_three_bytes_and_its_body(void)
{
    struct buf b = {0};

    frame_begin(&b, &(struct frame_header){.correlation = 1, .detail = ""}, 0);
    CHECK_EQ(b.size, FRAME_LENGTH_SIZE + 3);
    buf_deinit(&b);
}

static void header_and_body_come_back(void)
{
    char detail[FRAME_DETAIL_MAX + 1];
    struct buf b = {0};
    struct frame_header h;
    struct bytes body;

    frame_begin(&b,
            &(struct frame_header){.api = 77,
                    .correlation = UINT32_MAX,
                    .error = -1,
                    .detail = "x",
                    .throttle_ms = UINT32_MAX,
                    .timeout_ms = 1},
            3);
    buf_append(&b, "abc", 3);
    CHECK_EQ(load_be32(b.data), b.size - FRAME_LENGTH_SIZE);
    CHECK_EQ(split(&b, detail, &h, &body), 0);
    CHECK_EQ(h.api, 77);
    CHECK_EQ(h.correlation, UINT32_MAX);
    CHECK_EQ(h.error, -1);
    CHECK_STR(h.detail, "x");
    CHECK_EQ(h.throttle_ms, UINT32_MAX);
    CHECK_EQ(h.timeout_ms, 1);
    CHECK_EQ(body.size, 3);
    CHECK(body.at == b.data + b.size - 3);
    buf_deinit(&b);
}

static void an_empty_header_is_all_zeros(void)
{
    char detail[FRAME_DETAIL_MAX + 1];
    static const uint8_t bytes[] = {0, 'x'};
    struct frame_header h;
    struct bytes body;

    CHECK_EQ(frame_split(bytes, sizeof(bytes), detail, &h, &body), 0);
    CHECK_EQ(h.api | h.correlation | h.throttle_ms | h.timeout_ms, 0);
    CHECK_EQ(h.error, 0);
    CHECK_STR(h.detail, "");
    CHECK_EQ(body.size, 1);
}

/* Bytes in a block of exactly their size, so that a read past the end is seen. */
static int split_exact(const uint8_t *bytes, size_t size)
{
    char detail[FRAME_DETAIL_MAX + 1];
    struct frame_header h;
    struct bytes body;
    uint8_t *exact = malloc(size > 0 ? size : 1);

    CHECK(exact != NULL);
    memcpy(exact, bytes, size);
    int r = frame_split(exact, size, detail, &h, &body);
    free(exact);
    return r;
}

static void a_header_cut_anywhere_is_refused(void)
{
    struct buf b = {0};

    frame_begin(&b, &(struct frame_header){.api = 3, .correlation = 70000, .detail = "detail"}, 0);
    for (size_t n = 0; n < b.size - FRAME_LENGTH_SIZE; n++) {
        CHECK_EQ(split_exact(b.data + FRAME_LENGTH_SIZE, n), FRAME_E_LENGTH);
    }
    /* The header's own length says less than its fields need. */
    for (uint8_t n = 1; n < b.data[FRAME_LENGTH_SIZE]; n++) {
        struct buf cut = {0};
        buf_u8(&cut, n);
        buf_append(&cut, b.data + FRAME_LENGTH_SIZE + 1, n);
        int r = split_exact(cut.data, cut.size);
        CHECK(r == FRAME_E_HEADER || r == 0);
        buf_deinit(&cut);
    }
    buf_deinit(&b);
}

static void what_is_no_header_is_refused(void)
{
    static const struct {
        const char *why;
        uint8_t bytes[12];
        size_t size;
        int expected;
    } cases[] = {
            {"nothing", {0}, 0, FRAME_E_LENGTH},
            {"header longer than the frame", {2, 0x08}, 2, FRAME_E_LENGTH},
            {"length that never ends",
                    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 11,
                    FRAME_E_LENGTH},
            {"tag 0", {2, 0x00, 1}, 3, FRAME_E_HEADER},
            {"group", {1, 0x0b}, 2, FRAME_E_HEADER},
            {"wire type 6", {1, 0x0e}, 2, FRAME_E_HEADER},
            {"api as text", {3, 0x0a, 1, 'x'}, 4, FRAME_E_HEADER},
            {"detail as number", {2, 0x20, 1}, 3, FRAME_E_HEADER},
            {"detail with NUL", {3, 0x22, 1, 0}, 4, FRAME_E_HEADER},
            {"detail longer than the header", {3, 0x22, 9, 'x'}, 4, FRAME_E_HEADER},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int r = split_exact(cases[i].bytes, cases[i].size);
        if (r != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "%s: %d", cases[i].why, r);
        }
        check_count();
    }
}

static void fields_of_a_newer_version_are_skipped(void)
{
    static const uint8_t bytes[] = {
            18, 0x38, 1, 0x42, 2, 'h', 'i', 0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 5, 0x00};
    char detail[FRAME_DETAIL_MAX + 1];
    struct frame_header h;
    struct bytes body;

    CHECK_EQ(frame_split(bytes, 18, detail, &h, &body), FRAME_E_LENGTH);
    static const uint8_t whole[] = {
            17, 0x38, 1, 0x42, 2, 'h', 'i', 0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 5};
    CHECK_EQ(frame_split(whole, sizeof(whole), detail, &h, &body), 0);
    CHECK_EQ(h.correlation, 5);
    CHECK_EQ(body.size, 0);
}

static void a_long_detail_is_cut_between_characters(void)
{
    char text[FRAME_DETAIL_MAX + 100];
    char detail[FRAME_DETAIL_MAX + 1];
    struct buf b = {0};
    struct frame_header h;
    struct bytes body;

    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    memcpy(text + FRAME_DETAIL_MAX - 1, "\xc3\xa4", 2); /* one character over the edge */
    frame_begin(&b, &(struct frame_header){.detail = text}, 0);
    CHECK_EQ(split(&b, detail, &h, &body), 0);
    CHECK_EQ(strlen(h.detail), FRAME_DETAIL_MAX - 1);
    buf_deinit(&b);
}

static void a_header_above_its_limit_is_refused(void)
{
    struct buf b = {0};

    buf_uvarint(&b, FRAME_HEADER_MAX + 1);
    for (size_t i = 0; i <= FRAME_HEADER_MAX; i += 2) {
        buf_be16(&b, 0x3801);
    }
    CHECK_EQ(split_exact(b.data, b.size), FRAME_E_HEADER);
    buf_clear(&b);
    buf_uvarint(&b, FRAME_HEADER_MAX);
    for (size_t i = 0; i < FRAME_HEADER_MAX; i += 2) {
        buf_be16(&b, 0x3801);
    }
    CHECK_EQ(split_exact(b.data, b.size), 0);
    buf_deinit(&b);
}

static void headers_equal_those_of_protobuf(void)
{
    struct prng p;

    prng_init(&p, check_seed());
    for (int i = 0; i < 2000; i++) {
        char text[8] = "abcdefg";
        text[prng_below(&p, 8)] = '\0';
        struct frame_header h = {
                .api = (uint32_t)(prng_u64(&p) >> (33 + prng_below(&p, 31))), /* an enum */
                .correlation = (uint32_t)(prng_u64(&p) >> prng_below(&p, 64)),
                .error = (int32_t)((uint32_t)prng_u64(&p) >> prng_below(&p, 32)),
                .detail = text,
                .throttle_ms = (uint32_t)(prng_u64(&p) >> prng_below(&p, 64)),
                .timeout_ms = (uint32_t)(prng_u64(&p) >> prng_below(&p, 64)),
        };
        struct buf b = {0};
        frame_begin(&b, &h, 0);
        struct reader r;
        reader_init(&r, b.data + FRAME_LENGTH_SIZE, b.size - FRAME_LENGTH_SIZE);
        size_t size = reader_uvarint(&r);
        CHECK_EQ(size, reader_left(&r));
        Weir__V1__Header *pb = weir__v1__header__unpack(NULL, size, r.at);
        CHECK(pb != NULL);
        CHECK_EQ((uint32_t)pb->api, h.api);
        CHECK_EQ(pb->correlation, h.correlation);
        CHECK_EQ(pb->error, h.error);
        CHECK_STR(pb->detail, h.detail);
        CHECK_EQ(pb->throttle_ms, h.throttle_ms);
        CHECK_EQ(pb->timeout_ms, h.timeout_ms);
        CHECK_EQ(weir__v1__header__get_packed_size(pb), size);
        weir__v1__header__free_unpacked(pb, NULL);
        buf_deinit(&b);
    }
}

static const struct check_case cases[] = {
        CASE(a_frame_has_these_bytes),
        CASE(an_answer_without_error_is_three_bytes_and_its_body),
        CASE(header_and_body_come_back),
        CASE(an_empty_header_is_all_zeros),
        CASE(a_header_cut_anywhere_is_refused),
        CASE(what_is_no_header_is_refused),
        CASE(fields_of_a_newer_version_are_skipped),
        CASE(a_long_detail_is_cut_between_characters),
        CASE(a_header_above_its_limit_is_refused),
        CASE(headers_equal_those_of_protobuf),
};

CHECK_MAIN("frame", cases)
