/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What weir_unsynced.so (tests/lib/unsynced.c) writes down and tests/lib/power.c takes back.
 * Beside a watched folder F there is F.unsynced with
 *
 *   journal   records, in the order of the operations; each stands there before its operation is
 *             done, but for what an operation makes, whose number is not known before
 *   <inode>   another name of every file that was changed or removed, so that its inode is not
 *             used again; a removed folder itself
 *   cuts      how often the power went; the file system's id depends on it
 *
 * A record is the structure and `n` bytes. The last one may be incomplete: its operation was not
 * begun. */

enum unsynced_kind {
    UNSYNCED_CHANGE = 1, /* of `file`: those of its `size` bytes, at `at`, that were changed */
    UNSYNCED_ADD,        /* a name (the bytes) in `folder`, of `file` */
    UNSYNCED_REMOVE,     /* the same */
    UNSYNCED_RENAME,     /* bytes: old name, NUL, new name; `replaced` had the new one, 0 = nobody */
    UNSYNCED_SYNC        /* of the file or folder `file`: what stands before the journal's position `at` */
};

struct unsynced_record {
    uint32_t kind, n;
    uint64_t file, folder, from_folder, replaced;
    int64_t at, size;
    int64_t length; /* of a write; -1 = a cut */
};
