/* SPDX-License-Identifier: Apache-2.0 */
#include "common/compress/compress.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/compress/sink.h"

#include <errno.h>

enum {
    SINK_FIRST_SIZE = 4096
};

int out_reserve(struct buf *out, size_t more)
{
    size_t want = 0;

    if (__builtin_add_overflow(out->size, more, &want)) {
        return err_origin(-ENOMEM);
    }
    if (want <= out->cap) {
        return 0;
    }
    uint8_t *grown = mem_try_resize(out->data, want, 1);
    if (grown == NULL) {
        return err_origin(-ENOMEM);
    }
    out->data = grown;
    out->cap = want;
    return 0;
}

void sink_init(struct sink *s, struct buf *out, size_t limit)
{
    s->out = out;
    s->begin = out->size;
    s->limit = limit;
    s->passed = false;
}

size_t sink_left(const struct sink *s)
{
    return s->limit - (s->out->size - s->begin);
}

int sink_reserve(struct sink *s, size_t n)
{
    struct buf *out = s->out;
    size_t left = sink_left(s);
    size_t grow = out->size - s->begin; /* as much again as was written so far */

    must(n <= left);
    if (out->data != NULL && out->cap - out->size >= n) {
        return 0;
    }
    grow = grow < n ? n : grow;
    grow = grow < SINK_FIRST_SIZE ? SINK_FIRST_SIZE : grow;
    /* One byte at least, so that there is an address even where nothing may come. */
    int r = out_reserve(out, grow < left ? grow : left > 0 ? left : 1);
    return r < 0 ? err_forward(r) : 0;
}

uint8_t *sink_room(struct sink *s, size_t want, size_t *ret_size)
{
    struct buf *out = s->out;
    size_t left = sink_left(s);

    if (left == 0) {
        *ret_size = sizeof(s->spill);
        return s->spill;
    }
    if (out->cap == out->size && sink_reserve(s, want == 0 ? 1 : want < left ? want : left) < 0) {
        return NULL;
    }
    size_t room = out->cap - out->size;
    *ret_size = room < left ? room : left;
    return out->data + out->size;
}

void sink_wrote(struct sink *s, size_t n)
{
    if (sink_left(s) == 0) {
        s->passed = s->passed || n > 0;
        return;
    }
    must(n <= sink_left(s));
    s->out->size += n;
}

static int copy_bytes(struct bytes in, struct buf *out)
{
    int r = out_reserve(out, in.size);

    if (r < 0) {
        return err_forward(r);
    }
    if (in.size > 0) {
        memcpy(out->data + out->size, in.at, in.size);
        out->size += in.size;
    }
    return 0;
}

static int encode(enum batch_codec codec, int level, struct bytes in, struct buf *out)
{
    switch (codec) {
    case CODEC_NONE: return copy_bytes(in, out);
    case CODEC_GZIP: return gzip_compress(level, in, out);
    case CODEC_SNAPPY: return snappy_frame_compress(in, out);
    case CODEC_LZ4: return lz4_frame_compress(level, in, out);
    case CODEC_ZSTD: return zstd_frame_compress(level, in, out);
    }
    must_not_reach("a codec that is none");
}

int compress_bytes(enum batch_codec codec, int level, struct bytes in, struct buf *out)
{
    size_t begin = out->size;

    if (in.size > INT32_MAX) {
        return COMPRESS_E_LIMIT;
    }
    int r = encode(codec, level, in, out);
    if (r == 0 && out->limit > 0 && out->size > out->limit) {
        r = COMPRESS_E_LIMIT;
    }
    if (r != 0) {
        out->size = begin;
    }
    return r;
}

static int decode(enum batch_codec codec, struct bytes in, struct sink *s)
{
    switch (codec) {
    case CODEC_NONE: return in.size > s->limit ? COMPRESS_E_LIMIT : copy_bytes(in, s->out);
    case CODEC_GZIP: return gzip_decompress(in, s);
    case CODEC_SNAPPY: return snappy_frame_decompress(in, s);
    case CODEC_LZ4: return lz4_frame_decompress(in, s);
    case CODEC_ZSTD: return zstd_frame_decompress(in, s);
    }
    return COMPRESS_E_CORRUPT; /* the number came from a batch header */
}

int decompress_bytes(enum batch_codec codec, struct bytes in, size_t limit, struct buf *out)
{
    struct sink s;
    size_t begin = out->size;

    if (in.size > INT32_MAX) {
        return COMPRESS_E_LIMIT;
    }
    if (out->limit > 0) {
        size_t left = out->limit > begin ? out->limit - begin : 0;
        limit = left < limit ? left : limit;
    }
    sink_init(&s, out, limit);
    int r = decode(codec, in, &s);
    if (r != 0) {
        out->size = begin;
    }
    return r;
}

int batch_plain_records(const struct batch *b, size_t limit, struct buf *scratch, struct bytes *ret)
{
    struct bytes in = {.at = b->bytes + BATCH_HEADER_SIZE, .size = b->size - BATCH_HEADER_SIZE};

    buf_clear(scratch);
    if (batch_codec(b) == CODEC_NONE) {
        if (in.size > limit) {
            return COMPRESS_E_LIMIT;
        }
        *ret = in;
        return 0;
    }
    int r = decompress_bytes(batch_codec(b), in, limit, scratch);
    if (r == 0) {
        *ret = (struct bytes){.at = scratch->data, .size = scratch->size};
    }
    return r;
}
