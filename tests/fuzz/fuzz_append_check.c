/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/append_check.h"
#include "common/domain/errcode.h"
#include "tests/fuzz/fuzz.h"

enum {
    NOW = 1700000000
};

/* The first byte chooses the topic's rules, the rest is a batch, whose length and checksum are made right so that what is
 * behind them is reached. */
static void check(uint8_t choice, uint8_t *batch, size_t size)
{
    struct append_rules rules = {.max_message_bytes = 64 * 1024,
            .before_max_ms = (choice & 8) != 0 ? 1000 : INT64_MAX,
            .after_max_ms = (choice & 16) != 0 ? 1000 : INT64_MAX,
            .is_append_time = (choice & 32) != 0,
            .is_compacted = (choice & 64) != 0,
            .codec = choice % 8 <= CODEC_ZSTD ? choice % 8 : APPEND_KEEP_CODEC};
    struct append_check c;
    struct arena arena;
    struct batch b;

    arena_init(&arena, 64 * 1024);
    if (size >= BATCH_HEADER_SIZE) {
        store_be32(batch + 8, (uint32_t)(size - BATCH_LENGTH_END));
        if (batch_parse(batch, size, &b) == 0) {
            batch_recode_header(&b, batch_codec(&b), b.max_timestamp, batch, size);
        }
    }
    append_check_begin(&c, &rules, NOW, (struct bytes){.at = batch, .size = size}, &arena);
    append_check_end(&c, &arena);
    must(c.error == ERRCODE_NONE || c.detail[0] != '\0');
    if (c.error == ERRCODE_NONE) {
        must(batch_validate_produced(c.batch.bytes, c.batch.size, &b) == 0);
        must(c.batch.size <= 64 * 1024);
        must(rules.codec == APPEND_KEEP_CODEC || (int)batch_codec(&b) == rules.codec);
    }
    append_check_deinit(&c);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf batch = {0};

    if (size == 0) {
        return 0;
    }
    buf_append(&batch, data + 1, size - 1);
    check(data[0], batch.data, batch.size);
    buf_deinit(&batch);
    return 0;
}
