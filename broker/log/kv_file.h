/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/base/bytes.h"
#include "common/base/uuid.h"

/* The small text files of a log directory: `key=value` lines, the first is `version=1`, the last is
 * `crc=` and eight hexadecimal digits of CRC-32C over all lines before it. A person can read them
 * and no half-written or edited one is believed. Owner: one thread. */
struct kv_file {
    char *text; /* lines and keys ended by NUL */
    size_t size;
};

enum {
    KV_FILE_E_ABSENT = 1,
    KV_FILE_E_DAMAGED = 2, /* checksum, form or version */
    KV_FILE_SIZE_MAX = 16 * 1024,
};

/* Reads a whole file. > 0: ABSENT, DAMAGED. kv_file_deinit after 0. */
MUST_CHECK int kv_file_read(const struct file_io *io, const char *path, struct kv_file *ret);
void kv_file_deinit(struct kv_file *f);
/* The value of `key`, or NULL. */
const char *kv_file_get(const struct kv_file *f, const char *key);
/* Whether there is such a value of that kind; `ret` untouched otherwise. */
bool kv_file_get_i64(const struct kv_file *f, const char *key, int64_t *ret);
bool kv_file_get_u64(const struct kv_file *f, const char *key, uint64_t *ret);
bool kv_file_get_uuid(const struct kv_file *f, const char *key, struct uuid *ret);

/* Writes durably: `version=1`, then `lines` (each with its newline), then the checksum. */
MUST_CHECK int kv_file_write(const struct file_io *io, const char *path, const char *lines);
