/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_cache.h"

/* What the indexes of a segment have in common: a file of entries of two numbers, a key in `key_size` bytes and a value in
 * four, big-endian, both strictly rising from entry to entry.
 *
 * It is a cache and never believed blindly: whoever uses it checks what it is led to. Entries are read through the file
 * when needed; nothing but their count is in memory. Used under the log's lock. */
struct sparse_index {
    struct cached_file *file;
    uint32_t key_size; /* 4: from 1 on, as the value is; 8: from 0 on, as the value is */
    uint32_t n;
    bool is_broken; /* an entry could not be written (disk full): no more before a recovery */
};

struct sparse_entry {
    int64_t key;
    int64_t value;
};

/* Of one entry. */
uint32_t sparse_index_entry_size(const struct sparse_index *x);

/* The last entry whose key and value are at most these. *ret_n (may be NULL) = how many entries there are up to and
 * including it; 0 = there is none, and `ret` is untouched. */
MUST_CHECK int sparse_index_floor(const struct file_io *io,
        const struct sparse_index *x,
        int64_t key_max,
        int64_t value_max,
        struct sparse_entry *ret,
        uint32_t *ret_n);
/* Adds an entry; a full disk only makes the index sparser. Negative: the disk is broken. */
MUST_CHECK int sparse_index_add(
        const struct file_io *io, struct sparse_index *x, struct sparse_entry e);
/* Puts `n` entries, as they stand in the file, in the place of those there. A reader meanwhile may see
 * some of both. A full disk leaves the index without entries. */
MUST_CHECK int sparse_index_replace(
        const struct file_io *io, struct sparse_index *x, const uint8_t *bytes, uint32_t n);
/* Keeps the first `n` entries. */
MUST_CHECK int sparse_index_cut(const struct file_io *io, struct sparse_index *x, uint32_t n);
/* Opens what is there: creates the file when it is missing and takes the count of entries from its
 * size. *ret_sound = whether the size fits, values are below `value_limit` and (all entries looked at
 * when `is_thorough`, else the last) entries rise. Not sound: the caller cuts to 0 and adds anew.
 * */
MUST_CHECK int sparse_index_open(const struct file_io *io,
        struct sparse_index *x,
        int64_t value_limit,
        bool is_thorough,
        bool *ret_sound);
