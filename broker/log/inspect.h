/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/batch_head.h"
#include "broker/log/log_dir.h"
#include "broker/log/offset_index.h"

/* Looks at files of a log without a log around them: nothing is opened for writing, locked or repaired. For people
 * (`weir log dump`) and for checking (verify.h). Beside a running broker the end of the newest segment may be in
 * motion. Thread: any. */

struct inspected_batch {
    struct batch_head head;
    struct batch batch; /* of the whole batch in memory, borrowed until the next one */
    bool crc_is_right;
};

struct inspected_file {
    int64_t size;     /* of the file */
    int64_t good_end; /* up to here it is whole batches: their own checksums may be wrong all the same */
};

enum {
    INSPECT_E_TOO_LARGE = 1 /* a batch that does not fit in memory */
};

/* Calls `each` for one batch after the other, until it answers false, the file ends, or what stands there can be no
 * batch. Negative: the file cannot be read. */
MUST_CHECK int inspect_batches(const struct file_io *io,
        const char *path,
        bool (*each)(void *ctx, const struct inspected_batch *b),
        void *ctx,
        struct inspected_file *ret);

/* A file of entries of a fixed size, whole; `*ret` = its bytes (mem_free), `*ret_n` = whole entries, `*ret_rest` = bytes
 * behind them. Negative: it cannot be read, -EFBIG above 2^31 bytes. */
MUST_CHECK int inspect_entries(const struct file_io *io,
        const char *path,
        size_t entry_size,
        uint8_t **ret,
        size_t *ret_n,
        size_t *ret_rest);

/* What a file in a partition's folder is, by its name; a suffix behind it (.deleted, .cleaned, .swap) does not count. */
enum inspect_kind {
    INSPECT_OTHER,
    INSPECT_LOG,
    INSPECT_INDEX,
    INSPECT_TIME_INDEX
};

enum inspect_kind inspect_kind_of(const char *path);
/* The base offset in the name; false when there is none. */
bool inspect_base_of(const char *path, offset64 *ret);

/* The checkpoints of a log directory that is neither locked nor opened: a broker may be using it. Sorted; none when there
 * are none, or they are damaged. mem_free. Negative: they cannot be read. */
MUST_CHECK int inspect_checkpoints(
        const struct file_io *io, const char *path, struct checkpoint_entry **ret, size_t *ret_n);
