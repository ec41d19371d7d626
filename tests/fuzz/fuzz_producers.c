/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot of a partition's producers, as it stands on a disk. */
#include "broker/core/producers.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "tests/fuzz/fuzz.h"

/* What is believed is sound, and is written as it was read. */
static void decode(struct bytes b)
{
    struct producers p = {0};
    struct buf again = {0};

    if (producers_decode(b, &p) == 0) {
        must(producers_are_sound(&p));
        producers_encode(&p, &again);
        must(again.size == b.size && memcmp(again.data, b.at, b.size) == 0);
    } else {
        must(p.known.n == 0);
    }
    producers_deinit(&p);
    buf_deinit(&again);
}

/* The bytes as a file, and, because few have a right checksum, with one that was put right. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode((struct bytes){data, size});
    if (size >= 4) {
        uint8_t *sealed = mem_dup(data, size);
        store_be32(sealed + size - 4, crc32c(0, sealed, size - 4));
        decode((struct bytes){sealed, size});
        mem_free(sealed);
    }
    return 0;
}
