/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "common/compress/sink.h"

#include <errno.h>
#include <lz4frame.h>

/* Independent blocks of 64 KiB without checksums of the content, as Kafka's clients write them. */
int lz4_frame_compress(int level, struct bytes in, struct buf *out)
{
    const LZ4F_preferences_t preferences = {
            .frameInfo =
                    {
                            .blockSizeID = LZ4F_max64KB,
                            .blockMode = LZ4F_blockIndependent,
                            .contentChecksumFlag = LZ4F_noContentChecksum,
                            .frameType = LZ4F_frame,
                    },
            .compressionLevel = level,
    };
    size_t bound = LZ4F_compressFrameBound(in.size, &preferences);
    int r = out_reserve(out, bound);

    if (r < 0) {
        return err_forward(r);
    }
    size_t wrote = LZ4F_compressFrame(out->data + out->size, bound, in.at, in.size, &preferences);
    if (LZ4F_isError(wrote)) { /* the room is what lz4 asked for: only memory is left */
        return err_origin(-ENOMEM);
    }
    out->size += wrote;
    return 0;
}

static int decompress_frames(LZ4F_dctx *context, struct bytes in, struct sink *s)
{
    size_t done = 0;

    for (;;) {
        size_t room = 0;
        uint8_t *at = sink_room(s, (in.size - done) * 2, &room);
        if (at == NULL) {
            return err_origin(-ENOMEM);
        }
        size_t read = in.size - done;
        size_t hint = LZ4F_decompress(context, at, &room, in.at + done, &read, NULL);
        if (LZ4F_isError(hint)) {
            return COMPRESS_E_CORRUPT;
        }
        sink_wrote(s, room);
        if (s->passed) {
            return COMPRESS_E_LIMIT;
        }
        done += read;
        if (hint == 0 && done == in.size) {
            return 0; /* a frame ended where the input ends; before that, the next frame begins */
        }
        if (read == 0 && room == 0) {
            return COMPRESS_E_CORRUPT; /* the input ends inside a frame */
        }
    }
}

int lz4_frame_decompress(struct bytes in, struct sink *s)
{
    LZ4F_dctx *context = NULL;

    if (in.size == 0) {
        return COMPRESS_E_CORRUPT;
    }
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
        return err_origin(-ENOMEM);
    }
    int r = decompress_frames(context, in, s);
    (void)LZ4F_freeDecompressionContext(context); /* the state it returns says what `r` says */
    return r;
}
