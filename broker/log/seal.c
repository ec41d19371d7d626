/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/seal.h"

#include "broker/log/kv_file.h"
#include "common/base/crc.h"
#include "common/base/mem.h"

#include <inttypes.h>

enum {
    FRONT_SIZE = 21 /* bytes of a batch in front of what its checksum covers */
};

static bool get_u32(const struct kv_file *f, const char *key, uint32_t *ret)
{
    uint64_t value = 0;

    if (!kv_file_get_u64(f, key, &value) || value > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool get_i32(const struct kv_file *f, const char *key, int32_t min, int32_t *ret)
{
    int64_t value = 0;

    if (!kv_file_get_i64(f, key, &value) || value < min || value > INT32_MAX) {
        return false;
    }
    *ret = (int32_t)value;
    return true;
}

static bool parse(const struct kv_file *f, struct seal *s)
{
    uint32_t is_compacted = 0;

    bool is_whole = kv_file_get_uuid(f, "topic_id", &s->topic_id) &&
                    get_i32(f, "partition", 0, &s->partition) &&
                    kv_file_get_uuid(f, "directory_id", &s->dir_id) &&
                    kv_file_get_i64(f, "base", &s->base) && kv_file_get_i64(f, "end", &s->end) &&
                    kv_file_get_i64(f, "size", &s->size) && kv_file_get_u64(f, "heads", &s->heads) &&
                    get_i32(f, "last_epoch", EPOCH_NONE, &s->last_epoch) &&
                    kv_file_get_i64(f, "max_timestamp", &s->max_timestamp) &&
                    get_u32(f, "index_n", &s->index_n) && get_u32(f, "index_crc", &s->index_crc) &&
                    get_u32(f, "time_n", &s->time_n) && get_u32(f, "time_crc", &s->time_crc) &&
                    get_u32(f, "compacted", &is_compacted);
    s->is_compacted = is_compacted != 0;
    return is_whole && s->base >= 0 && s->end >= s->base && s->size >= 0;
}

int seal_read(const struct file_io *io, const char *path, struct seal *ret)
{
    struct kv_file f = {0};
    struct seal s = {0};
    int r = kv_file_read(io, path, &f);

    if (r != 0) {
        return r < 0 ? err_forward(r) : r == KV_FILE_E_ABSENT ? SEAL_E_ABSENT : SEAL_E_DAMAGED;
    }
    bool is_whole = parse(&f, &s);
    kv_file_deinit(&f);
    if (!is_whole) {
        return SEAL_E_DAMAGED;
    }
    *ret = s;
    return 0;
}

int seal_write(const struct file_io *io, const char *path, const struct seal *s)
{
    char topic[UUID_TEXT_SIZE], dir[UUID_TEXT_SIZE];
    char *lines = mem_format("topic_id=%s\npartition=%" PRId32 "\ndirectory_id=%s\nbase=%" PRId64
                             "\nend=%" PRId64 "\nsize=%" PRId64 "\nheads=%" PRIu64
                             "\nlast_epoch=%" PRId32 "\nmax_timestamp=%" PRId64 "\nindex_n=%" PRIu32
                             "\nindex_crc=%" PRIu32 "\ntime_n=%" PRIu32 "\ntime_crc=%" PRIu32
                             "\ncompacted=%d\n",
            uuid_format(&s->topic_id, topic), s->partition, uuid_format(&s->dir_id, dir), s->base,
            s->end, s->size, s->heads, s->last_epoch, s->max_timestamp, s->index_n, s->index_crc,
            s->time_n, s->time_crc, s->is_compacted ? 1 : 0);
    int r = kv_file_write(io, path, lines);

    mem_free(lines);
    return r < 0 ? err_forward(r) : 0;
}

uint64_t batch_head_digest(uint64_t digest, const struct batch_head *h)
{
    uint8_t front[FRONT_SIZE];

    store_be64(front, (uint64_t)h->base);
    store_be32(front + 8, (uint32_t)(h->size - BATCH_LENGTH_END));
    store_be32(front + 12, (uint32_t)h->leader_epoch);
    front[16] = BATCH_MAGIC;
    store_be32(front + 17, h->crc);
    return crc64(digest, front, sizeof(front));
}
