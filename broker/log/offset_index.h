/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_cache.h"

/* The sparse offset index of a segment: entries of (offset - base, position), both be32 and both
 * strictly rising, each for the base offset of a batch. The first batch has none: an index without
 * entries means "begin at 0".
 *
 * It is a cache and never believed blindly: a reader checks the batch it is led to, and falls back
 * to walking from 0. Entries are read through the file when needed; nothing but their count is in
 * memory. Used under the log's lock. */
struct offset_index {
    struct cached_file *file;
    uint32_t n;
    bool is_broken; /* an entry could not be written (disk full): no more before a recovery */
};

struct index_entry {
    uint32_t delta; /* offset - segment base */
    uint32_t at;    /* position in the segment */
};

enum {
    INDEX_ENTRY_SIZE = 8
};

/* The last entry whose delta and position are at most these; {0, 0} when there is none. *ret_i (may
 * be NULL) = how many entries there are up to and including it. */
MUST_CHECK int offset_index_floor(const struct file_io *io,
        const struct offset_index *x,
        uint32_t delta_max,
        uint32_t at_max,
        struct index_entry *ret,
        uint32_t *ret_n);
/* Adds an entry; a full disk only makes the index sparser. Negative: the disk is broken. */
MUST_CHECK int offset_index_add(
        const struct file_io *io, struct offset_index *x, struct index_entry e);
/* Puts `n` entries, as they stand in the file, in the place of those there. A reader meanwhile may see
 * some of both. A full disk leaves the index without entries. */
MUST_CHECK int offset_index_replace(
        const struct file_io *io, struct offset_index *x, const uint8_t *bytes, uint32_t n);
/* Keeps the first `n` entries. */
MUST_CHECK int offset_index_cut(const struct file_io *io, struct offset_index *x, uint32_t n);
/* Opens what is there: creates the file when it is missing and takes the count of entries from its
 * size. *ret_sound = whether the size fits, positions lie in the segment and (all entries looked at
 * when `is_thorough`, else the last) entries rise. Not sound: the caller cuts to 0 and adds anew.
 * */
MUST_CHECK int offset_index_open(const struct file_io *io,
        struct offset_index *x,
        int64_t segment_size,
        bool is_thorough,
        bool *ret_sound);
