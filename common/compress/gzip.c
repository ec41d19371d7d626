/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "common/compress/sink.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

enum {
    GZIP_WINDOW_BITS = 15 + 16, /* the largest window; 16 asks for gzip's header and trailer */
    GZIP_MEM_LEVEL = 8,
};

/* zlib declares its input without const unless asked; it does not write to it. */
static Bytef *input_of(struct bytes in)
{
    union {
        const uint8_t *in;
        Bytef *z;
    } p = {.in = in.at};

    return p.z;
}

int gzip_compress(int level, struct bytes in, struct buf *out)
{
    z_stream z = {0};
    int z_level = level > 0 && level <= Z_BEST_COMPRESSION ? level : Z_DEFAULT_COMPRESSION;

    int status = deflateInit2(
            &z, z_level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY);
    if (status != Z_OK) {
        return err_origin(-ENOMEM);
    }
    size_t bound = deflateBound(&z, (uLong)in.size);
    int r = bound > UINT_MAX ? err_origin(-ENOMEM) : out_reserve(out, bound);
    if (r == 0) {
        z.next_in = input_of(in);
        z.avail_in = (uInt)in.size;
        z.next_out = out->data + out->size;
        z.avail_out = (uInt)bound;
        status = deflate(&z, Z_FINISH);
        must(status == Z_STREAM_END); /* deflateBound() says that it fits */
        out->size += bound - z.avail_out;
    }
    (void)deflateEnd(&z); /* only frees */
    return r;
}

/* One turn of inflate. MEMBER_GOES_ON, MEMBER_ENDED, or a result. */
enum {
    MEMBER_GOES_ON = 0,
    MEMBER_ENDED = 100
};

static int inflate_some(z_stream *z, struct sink *s)
{
    size_t room = 0;
    uint8_t *at = sink_room(s, (size_t)z->avail_in * 2, &room);

    if (at == NULL) {
        return err_origin(-ENOMEM);
    }
    uInt give = room > INT_MAX ? INT_MAX : (uInt)room;
    uInt had = z->avail_in;
    z->next_out = at;
    z->avail_out = give;
    int status = inflate(z, Z_NO_FLUSH);
    uInt wrote = give - z->avail_out;
    sink_wrote(s, wrote);
    if (s->passed) {
        return COMPRESS_E_LIMIT;
    }
    if (status == Z_STREAM_END) {
        return MEMBER_ENDED;
    }
    if (status == Z_MEM_ERROR) {
        return err_origin(-ENOMEM);
    }
    if (status != Z_OK || (wrote == 0 && had == z->avail_in)) {
        return COMPRESS_E_CORRUPT; /* also: the input ends inside a member */
    }
    return MEMBER_GOES_ON;
}

int gzip_decompress(struct bytes in, struct sink *s)
{
    z_stream z = {.next_in = input_of(in), .avail_in = (uInt)in.size};

    if (in.size == 0) {
        return COMPRESS_E_CORRUPT;
    }
    if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK) {
        return err_origin(-ENOMEM);
    }
    int r = MEMBER_GOES_ON;
    while (r == MEMBER_GOES_ON) {
        r = inflate_some(&z, s);
        if (r == MEMBER_ENDED && z.avail_in > 0) { /* RFC 1952: members may follow one another */
            r = inflateReset(&z) == Z_OK ? MEMBER_GOES_ON : COMPRESS_E_CORRUPT;
        }
    }
    (void)inflateEnd(&z); /* only frees */
    return r == MEMBER_ENDED ? 0 : r;
}
