/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir_impl.h"
#include "common/base/bytes.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <string.h>

enum {
    ENTRY_FILE_HEAD = 8 + 4 + 4 + 8,
    ENTRY_FILE_VERSION = 1,
    ENTRY_FILE_SIZE_MAX = 512 * 1024 * 1024,
    CATALOG_ENTRY_SIZE = 16 + 4,
};

static const char catalog_magic[8] = {'w', 'e', 'i', 'r', 'c', 'a', 't', 'l'};

int partition_key_compare(
        const struct uuid *a_topic, int32_t a, const struct uuid *b_topic, int32_t b)
{
    int c = uuid_compare(a_topic, b_topic);

    return c != 0 ? c : (a > b) - (a < b);
}

_Static_assert(offsetof(struct checkpoint_entry, topic_id) == offsetof(struct catalog_entry, topic_id) &&
                offsetof(struct checkpoint_entry, partition) == offsetof(struct catalog_entry, partition),
        "entries begin with their partition");

int log_dir_compare_entries(const void *a, const void *b)
{
    struct catalog_entry x, y; /* the part that all kinds begin with */

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return partition_key_compare(&x.topic_id, x.partition, &y.topic_id, y.partition);
}

/* --- Binary files of entries ------------------------------------------------------------------ */

static bool entry_file_parse(
        uint8_t *bytes, size_t size, const char magic[8], size_t entry_size, struct entry_file *ret)
{
    if (size < ENTRY_FILE_HEAD + 4 || memcmp(bytes, magic, 8) != 0 ||
            load_be32(bytes + 8) != ENTRY_FILE_VERSION ||
            load_be32(bytes + size - 4) != crc32c(0, bytes, size - 4)) {
        return false;
    }
    size_t n = load_be32(bytes + 12);
    if ((size - ENTRY_FILE_HEAD - 4) % entry_size != 0 ||
            (size - ENTRY_FILE_HEAD - 4) / entry_size != n) {
        return false;
    }
    *ret = (struct entry_file){.bytes = bytes,
            .entries = bytes + ENTRY_FILE_HEAD,
            .n = n,
            .word = load_be64(bytes + 16)};
    return true;
}

int entry_file_read(const struct log_dir *d,
        const char *name,
        const char magic[8],
        size_t entry_size,
        struct entry_file *ret)
{
    char *path = log_dir_file(d, name);
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = file_read_all(d->io, path, ENTRY_FILE_SIZE_MAX, &bytes, &size);

    if (r == 0 && !entry_file_parse(bytes, size, magic, entry_size, ret)) {
        mem_free(bytes);
        r = 1;
    }
    if (r == 1 || r == -EFBIG) {
        log_warn("log_dir", "file_ignored", KV_STR("file", path), KV_STR("why", "damaged"));
        r = 1;
    }
    mem_free(path);
    if (r == -ENOENT) {
        return 1;
    }
    return r < 0 ? err_forward(r) : r;
}

int entry_file_write(struct log_dir *d,
        const char *name,
        const char magic[8],
        uint64_t word,
        size_t n,
        const struct buf *body)
{
    char *path = log_dir_file(d, name);
    struct buf out = {0};

    must(n <= UINT32_MAX);
    buf_reserve(&out, ENTRY_FILE_HEAD + body->size + 4);
    buf_append(&out, magic, 8);
    buf_be32(&out, ENTRY_FILE_VERSION);
    buf_be32(&out, (uint32_t)n);
    buf_be64(&out, word);
    if (body->size > 0) {
        buf_append(&out, body->data, body->size);
    }
    buf_be32(&out, crc32c(0, out.data, out.size));
    int r = durable_write(d->io, path, out.data, out.size);
    for (size_t want = out.size; log_dir_use_reserve(d, r, &want);) {
        r = durable_write(d->io, path, out.data, out.size);
    }
    buf_deinit(&out);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

/* --- The catalog ------------------------------------------------------------------------------ */

int catalog_read(struct log_dir *d)
{
    struct entry_file f = {0};
    int r = entry_file_read(d, "partitions.catalog", catalog_magic, CATALOG_ENTRY_SIZE, &f);

    if (r > 0) {
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    d->catalog = mem_new_n(struct catalog_entry, f.n);
    d->n_catalog = f.n;
    d->catalog_index = f.word;
    for (size_t i = 0; i < f.n; i++) {
        const uint8_t *p = f.entries + i * CATALOG_ENTRY_SIZE;
        memcpy(d->catalog[i].topic_id.bytes, p, 16);
        d->catalog[i].partition = (int32_t)load_be32(p + 16);
    }
    mem_free(f.bytes);
    return 0;
}

int log_dir_write_catalog(
        struct log_dir *d, uint64_t index, const struct catalog_entry *entries, size_t n)
{
    struct buf body = {0};

    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    for (size_t i = 0; i < n; i++) {
        must_imply(i > 0, partition_key_compare(&entries[i - 1].topic_id, entries[i - 1].partition,
                                  &entries[i].topic_id, entries[i].partition) < 0);
        buf_append(&body, entries[i].topic_id.bytes, 16);
        buf_be32(&body, (uint32_t)entries[i].partition);
    }
    int r = entry_file_write(d, "partitions.catalog", catalog_magic, index, n, &body);
    buf_deinit(&body);
    if (r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r)) {
        log_dir_fail(d, r, "partitions.catalog could not be written");
    }
    return r < 0 ? err_forward(r) : 0;
}

uint64_t log_dir_catalog_index(const struct log_dir *d)
{
    return d->catalog_index;
}

bool log_dir_catalog_has(const struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    size_t low = 0, high = d->n_catalog;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct catalog_entry *e = &d->catalog[mid];
        int c = partition_key_compare(topic_id, partition, &e->topic_id, e->partition);
        if (c == 0) {
            return true;
        }
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return false;
}
