/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/base/uuid.h"

/* partition.metadata: whose log a partition's folder holds. It is written before the first batch,
 * and nothing in the folder is touched before it was read: a recreated topic of the same name has
 * another id. Thread: any. */
struct partition_identity {
    struct uuid topic_id;
    int32_t partition;
};

enum {
    PARTITION_IDENTITY_E_ABSENT = 1,
    PARTITION_IDENTITY_E_DAMAGED = 2
};

MUST_CHECK int partition_identity_read(
        const struct file_io *io, const char *folder_path, struct partition_identity *ret);
MUST_CHECK int partition_identity_write(const struct file_io *io,
        const char *folder_path,
        const char *topic,
        const struct partition_identity *p);
