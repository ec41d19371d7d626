/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/record_batch.h"
#include "tests/fuzz/fuzz.h"

enum {
    HEADERS_SHOWN = 8
};

/* What comes out of the iterator goes into a builder unless it has many headers, and comes out
 * again. */
static void walk(const struct batch *b, const uint8_t *records, size_t size)
{
    struct record_iter it;
    struct record record;
    struct record_header headers[HEADERS_SHOWN];
    struct batch_builder again = {0};
    offset64 last = OFFSET_NONE;
    int32_t n = 0;
    int r = 0;

    record_iter_init(&it, b, records, size);
    while ((r = record_iter_next(&it, &record)) == 0) {
        must(b->base_offset < 0 || record.offset > last);
        must(record.key.size + record.value.size <= size);
        must(record_headers(&record, headers, HEADERS_SHOWN) >= 0);
        last = record.offset;
        if (record.n_headers <= HEADERS_SHOWN) {
            batch_builder_add(&again, &record, headers);
            n++;
        }
    }
    must(r == RECORD_END || r == BATCH_E_FORM || r == BATCH_E_COUNT);

    struct batch rebuilt = {
            .n_records = n, .last_offset_delta = n - 1, .base_timestamp = again.base_timestamp};
    record_iter_init(&it, &rebuilt, again.records.data, again.records.size);
    for (int32_t i = 0; i < n; i++) {
        must(record_iter_next(&it, &record) == 0);
    }
    must(record_iter_next(&it, &record) == RECORD_END);
    batch_builder_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch b;
    const struct batch any = {.n_records = 5, .last_offset_delta = 100};

    walk(&any, data, size);
    int r = batch_parse(data, size, &b);
    if (r != 0) {
        must(r == BATCH_E_SHORT || r == BATCH_E_LENGTH || r == BATCH_E_MAGIC);
        must(batch_validate_produced(data, size, &b) == r);
        return 0;
    }
    must(b.size >= BATCH_HEADER_SIZE);
    must(b.size <= size);
    must(b.size == batch_size_peek(data));
    walk(&b, data + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE);
    (void)batch_last_offset(&b);
    if (batch_validate_produced(data, size, &b) == 0) {
        must(b.size == size);
        must(batch_crc_is_right(&b));
        must(b.last_offset_delta == b.n_records - 1);
        must(codec_name((int)batch_codec(&b)) != NULL);
    }
    return 0;
}
