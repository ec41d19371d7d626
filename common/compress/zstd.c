/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "common/compress/sink.h"

#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

/* Streaming keeps a window of its own, whose size the frame names. One that is larger than what
 * may come out is refused there, and the frame is decoded at once into room for `limit` bytes,
 * where the output is the window. So a frame header never decides how much memory is taken. 8
 * MiB is what RFC 8878 asks of every decoder. */
enum {
    WINDOW_LOG_MIN = 10,
    WINDOW_LOG_MAX = 23
};

static int window_log(size_t limit)
{
    int log = WINDOW_LOG_MIN;

    while (log < WINDOW_LOG_MAX && limit >> log > 1) {
        log++;
    }
    return log;
}

int zstd_frame_compress(int level, struct bytes in, struct buf *out)
{
    size_t bound = ZSTD_compressBound(in.size);
    int r = out_reserve(out, bound);

    if (r < 0) {
        return err_forward(r);
    }
    /* Level 0 is zstd's default; one beyond its range is clamped. */
    size_t wrote = ZSTD_compress(out->data + out->size, bound, in.at, in.size, level);
    if (ZSTD_isError(wrote)) { /* the room is what zstd asked for: only memory is left */
        return err_origin(-ENOMEM);
    }
    out->size += wrote;
    return 0;
}

enum {
    ZSTD_WINDOW_TOO_LARGE = 100
};

static int zstd_result(size_t code)
{
    ZSTD_ErrorCode e = ZSTD_getErrorCode(code);

    if (e == ZSTD_error_memory_allocation) {
        return err_origin(-ENOMEM);
    }
    return e == ZSTD_error_frameParameter_windowTooLarge ? ZSTD_WINDOW_TOO_LARGE
                                                         : COMPRESS_E_CORRUPT;
}

static int decompress_stream(ZSTD_DCtx *context, struct bytes in, struct sink *s)
{
    ZSTD_inBuffer input = {.src = in.at, .size = in.size};

    for (;;) {
        size_t room = 0;
        uint8_t *at = sink_room(s, (in.size - input.pos) * 2, &room);
        if (at == NULL) {
            return err_origin(-ENOMEM);
        }
        ZSTD_outBuffer output = {.dst = at, .size = room};
        size_t had = input.pos;
        size_t hint = ZSTD_decompressStream(context, &output, &input);
        if (ZSTD_isError(hint)) {
            return zstd_result(hint);
        }
        sink_wrote(s, output.pos);
        if (s->passed) {
            return COMPRESS_E_LIMIT;
        }
        if (hint == 0 && input.pos == in.size) {
            return 0; /* a frame ended where the input ends; before that, the next frame begins */
        }
        if (input.pos == had && output.pos == 0) {
            return COMPRESS_E_CORRUPT; /* the input ends inside a frame */
        }
    }
}

static int decompress_at_once(ZSTD_DCtx *context, struct bytes in, struct sink *s)
{
    struct buf *out = s->out;

    out->size = s->begin;
    int r = out_reserve(out, s->limit > 0 ? s->limit : 1);
    if (r < 0) {
        return err_forward(r);
    }
    size_t wrote = ZSTD_decompressDCtx(context, out->data + out->size, s->limit, in.at, in.size);
    if (ZSTD_isError(wrote)) {
        return ZSTD_getErrorCode(wrote) == ZSTD_error_dstSize_tooSmall ? COMPRESS_E_LIMIT
                                                                       : COMPRESS_E_CORRUPT;
    }
    out->size += wrote;
    return 0;
}

int zstd_frame_decompress(struct bytes in, struct sink *s)
{
    if (in.size == 0) {
        return COMPRESS_E_CORRUPT;
    }
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) {
        return err_origin(-ENOMEM);
    }
    size_t set = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log(s->limit));
    must(!ZSTD_isError(set));
    int r = decompress_stream(context, in, s);
    if (r == ZSTD_WINDOW_TOO_LARGE) {
        r = decompress_at_once(context, in, s);
    }
    (void)ZSTD_freeDCtx(context); /* only frees */
    return r;
}
