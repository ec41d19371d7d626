/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/crc.h"

#include <isa-l/crc.h>
#include <isa-l/crc64.h>
#include <limits.h>

/* ISA-L takes an int length and leaves the inversions of CRC-32C to its caller; it only reads the buffer. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    union {
        const void *in;
        unsigned char *out;
    } p = {.in = bytes};

    crc = ~crc;
    while (size > 0) {
        int n = size > INT_MAX ? INT_MAX : (int)size;
        crc = crc32_iscsi(p.out, n, crc);
        p.out += n;
        size -= (size_t)n;
    }
    return ~crc;
}

uint64_t crc64(uint64_t crc, const void *bytes, size_t size)
{
    return size > 0 ? crc64_ecma_refl(crc, bytes, size) : crc;
}
