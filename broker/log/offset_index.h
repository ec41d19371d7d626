/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/sparse_index.h"

/* The sparse offset index of a segment: entries of (offset - base, position), each for the base offset of a batch. The
 * first batch has none: an index without entries means "begin at 0". */
struct index_entry {
    uint32_t delta; /* offset - segment base */
    uint32_t at;    /* position in the segment */
};

enum {
    INDEX_ENTRY_SIZE = 8
};

/* The last entry whose delta and position are at most these; {0, 0} when there is none. *ret_n (may be NULL) = how many
 * entries there are up to and including it. */
static inline MUST_CHECK int offset_index_floor(const struct file_io *io,
        const struct sparse_index *x,
        uint32_t delta_max,
        uint32_t at_max,
        struct index_entry *ret,
        uint32_t *ret_n)
{
    struct sparse_entry e = {0};
    int r = sparse_index_floor(io, x, delta_max, at_max, &e, ret_n);

    if (r >= 0) {
        *ret = (struct index_entry){.delta = (uint32_t)e.key, .at = (uint32_t)e.value};
    }
    return r;
}

static inline MUST_CHECK int offset_index_add(
        const struct file_io *io, struct sparse_index *x, struct index_entry e)
{
    return sparse_index_add(io, x, (struct sparse_entry){.key = e.delta, .value = e.at});
}

static inline MUST_CHECK int offset_index_cut(
        const struct file_io *io, struct sparse_index *x, uint32_t n)
{
    return sparse_index_cut(io, x, n);
}

static inline MUST_CHECK int offset_index_replace(
        const struct file_io *io, struct sparse_index *x, const uint8_t *bytes, uint32_t n)
{
    return sparse_index_replace(io, x, bytes, n);
}

/* As sparse_index_open(); positions must lie in the segment. */
static inline MUST_CHECK int offset_index_open(const struct file_io *io,
        struct sparse_index *x,
        int64_t segment_size,
        bool is_thorough,
        bool *ret_sound)
{
    return sparse_index_open(io, x, segment_size, is_thorough, ret_sound);
}
