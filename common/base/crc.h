/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Checksums by ISA-L, which picks the instructions at run time. Thread: any. */

/* CRC-32C (Castagnoli) as in record batches; `crc` = 0 starts, a former result continues. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);
/* CRC-64 ECMA-182 reflected (as xz); `crc` = 0 starts, a former result continues. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t size);
