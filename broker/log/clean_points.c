/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir_impl.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"

#include <errno.h>
#include <string.h>

/* cleaner.ckpt: how far each log has been compacted. */

enum {
    POINT_ENTRY_SIZE = 16 + 4 + 8 + 4
};

static const char magic[8] = {'w', 'e', 'i', 'r', 'c', 'l', 'n', 'r'};

int log_dir_read_clean_points(const struct log_dir *d, struct clean_point **ret, size_t *ret_n)
{
    struct entry_file f = {0};
    int r = entry_file_read(d, "cleaner.ckpt", magic, POINT_ENTRY_SIZE, &f);

    if (r < 0) {
        return err_forward(r);
    }
    struct clean_point *points = mem_new_n(struct clean_point, f.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++) {
        const uint8_t *p = f.entries + i * POINT_ENTRY_SIZE;
        struct clean_point *point = &points[n];
        memcpy(point->topic_id.bytes, p, 16);
        point->partition = (int32_t)load_be32(p + 16);
        point->first_dirty = (offset64)load_be64(p + 20);
        point->epoch = (epoch32)load_be32(p + 28);
        n += point->first_dirty >= 0 ? 1 : 0;
    }
    mem_free(f.bytes);
    *ret = points;
    *ret_n = n;
    return 0;
}

int log_dir_write_clean_points(struct log_dir *d, const struct clean_point *points, size_t n)
{
    struct buf body = {0};

    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    for (size_t i = 0; i < n; i++) {
        buf_append(&body, points[i].topic_id.bytes, 16);
        buf_be32(&body, (uint32_t)points[i].partition);
        buf_be64(&body, (uint64_t)points[i].first_dirty);
        buf_be32(&body, (uint32_t)points[i].epoch);
    }
    int r = entry_file_write(d, "cleaner.ckpt", magic, 0, n, &body);
    buf_deinit(&body);
    if (r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r)) {
        log_dir_fail(d, r, "cleaner.ckpt could not be written");
    }
    return r < 0 ? err_forward(r) : 0;
}
