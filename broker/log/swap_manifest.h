/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/domain/ids.h"

/* cleaning.manifest and the files it speaks of: which segments are replaced by which new one. Inside broker/log only.
 * Results: 0, or a negative errno as the operations give it; nothing is latched here. */
enum {
    SWAP_OLD_MAX = 200, /* they must fit in a kv_file */
    SWAP_N_MADE = 4,
    SWAP_E_ABSENT = 1,
    SWAP_E_DAMAGED = 2
};

/* ".index", ".timeindex", ".seal" and ".log": the order in which the new files get their names, so that the one with the
 * records is last. */
extern const char *const swap_made[SWAP_N_MADE];

struct swap_file {
    offset64 base;
    int64_t size;
    bool is_compacted; /* of an old one: its gaps are none without a seal that says so */
    uint32_t tail;  /* CRC-32C of its last bytes: tells it from another file of that name and size */
    bool is_stuck; /* an old one that kept its name, for want of space; not in the file */
};

struct swap_manifest {
    struct swap_file made;
    struct swap_file *old;
    size_t n_old;
};

void swap_manifest_deinit(struct swap_manifest *m);
/* Fills in f->tail. -ESTALE: its size is another than f->size. */
MUST_CHECK int swap_manifest_note(
        const struct file_io *io, const char *folder, struct swap_file *f, const char *suffix);
MUST_CHECK int swap_manifest_write(
        const struct file_io *io, const char *folder, const struct swap_manifest *m);
/* > 0: ABSENT, DAMAGED. */
MUST_CHECK int swap_manifest_read(
        const struct file_io *io, const char *folder, struct swap_manifest *ret);
/* Whether there is such a file with that size and tail. */
MUST_CHECK int swap_is_there(const struct file_io *io,
        const char *folder,
        const struct swap_file *f,
        const char *suffix,
        bool *ret);

/* Renames `<base><what><from>` to `<base><what><to>`. */
MUST_CHECK int swap_move(const struct file_io *io,
        const char *folder,
        offset64 base,
        const char *what,
        const char *from,
        const char *to);
/* All files of an old segment → .deleted; one that is missing is out of the way already. */
MUST_CHECK int swap_retire(const struct file_io *io, const char *folder, offset64 base);
/* The new segment's files .swap → final names. */
MUST_CHECK int swap_finish_made(const struct file_io *io, const char *folder, offset64 base);
/* After a commit: the folder synced, then stuck ones unlinked; the manifest removed, synced; then what was retired. */
MUST_CHECK int swap_complete(
        const struct file_io *io, const char *folder, const struct swap_manifest *m);
/* Before a commit: the manifest removed, synced; then the new files. */
MUST_CHECK int swap_undo(
        const struct file_io *io, const char *folder, const struct swap_manifest *m);
