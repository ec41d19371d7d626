/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash_impl.h"

#include "broker/log/partition_identity.h"
#include "common/obs/log.h"

#include <errno.h>

/* Logs that began anew, put aside. */

/* Whose folder it is; one that does not say so is of its name. > 0: TAKEN. */
static int may_put_aside(
        struct log_dir *d, const char *path, const struct uuid *topic_id, int32_t partition)
{
    struct partition_identity p = {0};
    int r = partition_identity_read(d->io, path, &p);

    if (r == 0 && (!uuid_equal(&p.topic_id, topic_id) || p.partition != partition)) {
        return LOG_TRASH_E_TAKEN; /* [BRK-10] */
    }
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

static int put_aside(struct log_dir *d, const char *from, const char *to, bool keep)
{
    int r = log_trash_folder_make_trash(d);

    if (r >= 0) {
        r = log_trash_folder_make_way(d, to);
    }
    if (r >= 0) {
        r = durable_rename(d->io, from, to);
    }
    if (r == -ENOENT) {
        return 0;
    }
    if (r >= 0 && keep) {
        log_warn("log_trash", "log_put_aside", KV_STR("from", from), KV_STR("to", to),
                KV_STR("then", "its replica is filled anew from the leader; this stays until the "
                               "topic is purged"));
    } else if (r >= 0) {
        (void)!log_trash_folder_remove(d, to); /* else the next sweep does it */
    }
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_put_aside(struct log_dir *d,
        const char *folder,
        const struct uuid *topic_id,
        int32_t partition,
        bool keep)
{
    char *from = log_dir_file(d, folder);
    char *to = log_trash_folder_path(
            d, topic_id, partition, keep ? LOG_TRASH_DAMAGED_SUFFIX : LOG_TRASH_DROPPED_SUFFIX);
    int r = log_dir_failed(d) ? err_origin(-EIO) : may_put_aside(d, from, topic_id, partition);

    if (r == 0) {
        r = put_aside(d, from, to, keep);
    }
    mem_free(to);
    mem_free(from);
    if (r < 0 && !log_dir_is_scarce(r) && r != -ENOSPC && r != -EDQUOT) {
        log_dir_fail(d, r, "a log that begins anew could not be moved to .trash");
    }
    return r < 0 ? err_forward(r) : r;
}
