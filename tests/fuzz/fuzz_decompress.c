/* SPDX-License-Identifier: Apache-2.0 */
#include "common/compress/compress.h"
#include "tests/fuzz/fuzz.h"

enum {
    LIMIT = 64 * 1024,
    SLACK = 64 * 1024
};

/* The first byte chooses: its value modulo 8 the codec (5 to 7 are none), bit 3 a round trip
 * instead of a decoding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = {0};
    struct buf back = {0};

    if (size == 0) {
        return 0;
    }
    enum batch_codec codec = (enum batch_codec)(data[0] % 8);
    struct bytes in = {.at = data + 1, .size = size - 1};
    if ((data[0] & 8) != 0 && codec <= CODEC_ZSTD) {
        must(compress_bytes(codec, data[0] >> 4, in, &out) == 0);
        must(decompress_bytes(
                     codec, (struct bytes){.at = out.data, .size = out.size}, in.size, &back) == 0);
        must(back.size == in.size);
        must(in.size == 0 || memcmp(back.data, in.at, in.size) == 0);
    } else {
        int r = decompress_bytes(codec, in, LIMIT, &out);
        must(r >= 0); /* memory is not exhausted by so little */
        must(out.size <= LIMIT);
        must(out.cap <= LIMIT + SLACK);
        must(r == 0 || out.size == 0);
    }
    buf_deinit(&out);
    buf_deinit(&back);
    return 0;
}
