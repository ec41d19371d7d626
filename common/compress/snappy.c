/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "common/compress/sink.h"

#include <snappy-c.h>

/* The framing of Java's SnappyOutputStream, which Kafka clients write:
 *
 *   magic 82 "SNAPPY" 00 · version be32 = 1 · least compatible version be32 = 1 ·
 *   { size be32 · raw snappy block }
 *
 * The first four bytes of the magic are negative as a size, so that a second stream may follow
 * the first. */
static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

enum {
    FRAME_HEADER_SIZE = 16,
    FRAME_VERSION = 1,
    BLOCK_SIZE = 32 * 1024,
    /* Snappy's densest element makes 64 bytes of 3; a block that promises more than this is not
     * believed. */
    RATIO_MAX = 22,
};

int snappy_frame_compress(struct bytes in, struct buf *out)
{
    size_t n_blocks = (in.size + BLOCK_SIZE - 1) / BLOCK_SIZE;
    int r = out_reserve(
            out, FRAME_HEADER_SIZE + n_blocks * (4 + snappy_max_compressed_length(BLOCK_SIZE)));

    if (r < 0) {
        return err_forward(r);
    }
    uint8_t *at = out->data + out->size;
    memcpy(at, magic, sizeof(magic));
    store_be32(at + 8, FRAME_VERSION);
    store_be32(at + 12, FRAME_VERSION);
    at += FRAME_HEADER_SIZE;
    for (size_t done = 0; done < in.size;) {
        size_t take = in.size - done < BLOCK_SIZE ? in.size - done : BLOCK_SIZE;
        size_t wrote = snappy_max_compressed_length(BLOCK_SIZE);
        snappy_status status =
                snappy_compress((const char *)in.at + done, take, (char *)at + 4, &wrote);
        must(status == SNAPPY_OK); /* the room is what snappy asked for */
        store_be32(at, (uint32_t)wrote);
        at += 4 + wrote;
        done += take;
    }
    out->size = (size_t)(at - out->data);
    return 0;
}

static int decompress_block(struct bytes in, struct sink *s)
{
    size_t plain = 0;
    const char *at = (const char *)in.at;

    if (snappy_uncompressed_length(at, in.size, &plain) != SNAPPY_OK ||
            plain / RATIO_MAX > in.size) {
        return COMPRESS_E_CORRUPT;
    }
    if (plain > sink_left(s)) {
        return COMPRESS_E_LIMIT;
    }
    int r = sink_reserve(s, plain);
    if (r < 0) {
        return err_forward(r);
    }
    size_t wrote = plain;
    if (snappy_uncompress(at, in.size, (char *)s->out->data + s->out->size, &wrote) != SNAPPY_OK) {
        return COMPRESS_E_CORRUPT;
    }
    if (wrote > 0) {
        sink_wrote(s, wrote);
    }
    return 0;
}

static bool starts_frame(const uint8_t *at, size_t size)
{
    return size >= sizeof(magic) && memcmp(at, magic, sizeof(magic)) == 0;
}

int snappy_frame_decompress(struct bytes in, struct sink *s)
{
    struct reader r;

    if (!starts_frame(in.at, in.size)) {
        return decompress_block(in, s);
    }
    reader_init(&r, in.at, in.size);
    while (reader_left(&r) > 0) {
        if (starts_frame(r.at, reader_left(&r))) {
            (void)reader_take(&r, sizeof(magic) + 4); /* the version says nothing to a reader */
            if (reader_be32(&r) > FRAME_VERSION || r.failed) {
                return COMPRESS_E_CORRUPT;
            }
            continue;
        }
        struct bytes block = {.size = reader_be32(&r)};
        block.at = reader_take(&r, block.size);
        if (r.failed) {
            return COMPRESS_E_CORRUPT;
        }
        int result = decompress_block(block, s);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}
