/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/partition_identity.h"

#include "broker/log/kv_file.h"
#include "common/base/mem.h"

int partition_identity_read(
        const struct file_io *io, const char *folder_path, struct partition_identity *ret)
{
    char *path = mem_format("%s/partition.metadata", folder_path);
    struct kv_file f = {0};
    int r = kv_file_read(io, path, &f);

    mem_free(path);
    if (r < 0) {
        return err_forward(r);
    }
    if (r > 0) {
        return r == KV_FILE_E_ABSENT ? PARTITION_IDENTITY_E_ABSENT : PARTITION_IDENTITY_E_DAMAGED;
    }
    struct partition_identity p = {0};
    int64_t partition = -1;
    bool is_whole = kv_file_get_uuid(&f, "topic_id", &p.topic_id) &&
                    kv_file_get_i64(&f, "partition", &partition) && partition >= 0 &&
                    partition <= INT32_MAX;
    kv_file_deinit(&f);
    if (!is_whole) {
        return PARTITION_IDENTITY_E_DAMAGED;
    }
    p.partition = (int32_t)partition;
    *ret = p;
    return 0;
}

int partition_identity_write(const struct file_io *io,
        const char *folder_path,
        const char *topic,
        const struct partition_identity *p)
{
    char id[UUID_TEXT_SIZE];
    char *path = mem_format("%s/partition.metadata", folder_path);
    char *lines = mem_format("topic=%s\ntopic_id=%s\npartition=%d\n", topic,
            uuid_format(&p->topic_id, id), p->partition);
    int r = kv_file_write(io, path, lines);

    mem_free(lines);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}
