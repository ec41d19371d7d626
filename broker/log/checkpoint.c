/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir_impl.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* recovery.ckpt: topic id, partition, recovery point, log start. hw.ckpt: topic id, partition, high watermark,
 * log start. Two files, because a lost high watermark only delays readers, while a wrong recovery
 * point decides what may be cut. The log start stands in both, because nothing else remembers a
 * deletion: the greater one counts, for it only moves forward, so that losing either file brings no
 * record back. producers.ckpt: topic id, partition, the offset below which there are no producers to
 * know, for those partitions alone; lost, it costs a walk through the log. */

enum {
    RECOVERY_ENTRY_SIZE = 16 + 4 + 8 + 8,
    HW_ENTRY_SIZE = 16 + 4 + 8 + 8,
    PRODUCERS_ENTRY_SIZE = 16 + 4 + 8
};

enum checkpoint_kind {
    OF_RECOVERY,
    OF_HW,
    OF_PRODUCERS
};

static const char recovery_magic[8] = {'w', 'e', 'i', 'r', 'r', 'e', 'c', 'v'};
static const char hw_magic[8] = {'w', 'e', 'i', 'r', 'h', 'w', 'c', 'k'};
static const char producers_magic[8] = {'w', 'e', 'i', 'r', 'n', 'o', 'p', 'r'};

static offset64 greater(offset64 a, offset64 b)
{
    return a > b ? a : b;
}

static offset64 second_of(const uint8_t *entry)
{
    return greater((offset64)load_be64(entry + 28), 0);
}

/* Appends an entry for each one of the file; positions that cannot be are taken as 0. */
static void take_entries(const struct entry_file *f,
        size_t entry_size,
        struct checkpoint_entry *into,
        enum checkpoint_kind kind)
{
    for (size_t i = 0; i < f->n; i++) {
        const uint8_t *p = f->entries + i * entry_size;
        offset64 first = (offset64)load_be64(p + 20);
        memcpy(into[i].topic_id.bytes, p, 16);
        into[i].partition = (int32_t)load_be32(p + 16);
        first = greater(first, 0);
        switch (kind) {
        case OF_RECOVERY:
            into[i].recovery_point = first;
            into[i].log_start = second_of(p);
            break;
        case OF_PRODUCERS: into[i].no_producers = first; break;
        case OF_HW:
            into[i].high_watermark = first;
            into[i].log_start = second_of(p);
            break;
        }
    }
}

/* Joins neighbours of one partition: at most one came from each file. */
static size_t merge(struct checkpoint_entry *e, size_t n)
{
    size_t kept = 0;

    qsort(e, n, sizeof(*e), log_dir_compare_entries);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && log_dir_compare_entries(&e[kept - 1], &e[i]) == 0) {
            e[kept - 1].recovery_point += e[i].recovery_point; /* one of them is 0 */
            e[kept - 1].high_watermark += e[i].high_watermark;
            e[kept - 1].log_start = greater(e[kept - 1].log_start, e[i].log_start);
            e[kept - 1].no_producers += e[i].no_producers;
        } else {
            e[kept++] = e[i];
        }
    }
    return kept;
}

/* [LOG-20] What was deleted was committed. */
static void commit_up_to_start(struct log_dir *d)
{
    for (size_t i = 0; i < d->n_checkpoints; i++) {
        struct checkpoint_entry *e = &d->checkpoints[i];
        e->high_watermark = greater(e->high_watermark, e->log_start);
    }
}

/* [PID-35] Above the recovery point the log may end up other than it was when that was written. */
static void believe_up_to_recovery(struct log_dir *d)
{
    for (size_t i = 0; i < d->n_checkpoints; i++) {
        struct checkpoint_entry *e = &d->checkpoints[i];
        e->no_producers = e->no_producers <= e->recovery_point ? e->no_producers : 0;
    }
}

int checkpoints_read(struct log_dir *d)
{
    struct entry_file recovery = {0}, hw = {0}, producers = {0};
    int r = entry_file_read(d, "recovery.ckpt", recovery_magic, RECOVERY_ENTRY_SIZE, &recovery);

    if (r >= 0) {
        r = entry_file_read(d, "hw.ckpt", hw_magic, HW_ENTRY_SIZE, &hw);
    }
    if (r >= 0) {
        r = entry_file_read(d, "producers.ckpt", producers_magic, PRODUCERS_ENTRY_SIZE, &producers);
    }
    size_t n = r < 0 ? 0 : recovery.n + hw.n + producers.n;
    if (n > 0) {
        d->checkpoints = mem_new_n(struct checkpoint_entry, n);
        take_entries(&recovery, RECOVERY_ENTRY_SIZE, d->checkpoints, OF_RECOVERY);
        take_entries(&hw, HW_ENTRY_SIZE, d->checkpoints + recovery.n, OF_HW);
        take_entries(
                &producers, PRODUCERS_ENTRY_SIZE, d->checkpoints + recovery.n + hw.n, OF_PRODUCERS);
        d->n_checkpoints = merge(d->checkpoints, n);
        commit_up_to_start(d);
        believe_up_to_recovery(d);
    }
    mem_free(recovery.bytes);
    mem_free(hw.bytes);
    mem_free(producers.bytes);
    return r < 0 ? err_forward(r) : 0;
}

static void put_entry(struct buf *out, const struct checkpoint_entry *e, offset64 first)
{
    buf_append(out, e->topic_id.bytes, 16);
    buf_be32(out, (uint32_t)e->partition);
    buf_be64(out, (uint64_t)first);
}

int log_dir_write_checkpoints(struct log_dir *d, const struct checkpoint_entry *entries, size_t n)
{
    struct buf recovery = {0}, hw = {0}, producers = {0};

    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    for (size_t i = 0; i < n; i++) {
        put_entry(&recovery, &entries[i], entries[i].recovery_point);
        buf_be64(&recovery, (uint64_t)entries[i].log_start);
        put_entry(&hw, &entries[i], entries[i].high_watermark);
        buf_be64(&hw, (uint64_t)entries[i].log_start);
        if (entries[i].no_producers > 0) {
            put_entry(&producers, &entries[i], entries[i].no_producers);
        }
    }
    int r = entry_file_write(d, "recovery.ckpt", recovery_magic, 0, n, &recovery);
    if (r >= 0) {
        r = entry_file_write(d, "hw.ckpt", hw_magic, 0, n, &hw);
    }
    if (r >= 0) { /* After the recovery points, up to which it is believed. */
        r = entry_file_write(d, "producers.ckpt", producers_magic, 0,
                producers.size / PRODUCERS_ENTRY_SIZE, &producers);
    }
    buf_deinit(&recovery);
    buf_deinit(&hw);
    buf_deinit(&producers);
    if (r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r)) {
        log_dir_fail(d, r, "checkpoints could not be written");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* Of the last run. */
static const struct checkpoint_entry *find(
        const struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    const struct checkpoint_entry key = {.topic_id = *topic_id, .partition = partition};

    return d->n_checkpoints == 0 ? NULL
                                 : bsearch(&key, d->checkpoints, d->n_checkpoints, sizeof(key),
                                           log_dir_compare_entries);
}

bool log_dir_checkpoint(const struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        struct checkpoint_entry *ret)
{
    if (log_trash_checkpoint(d, topic_id, partition, ret)) {
        return true;
    }
    const struct checkpoint_entry *found = find(d, topic_id, partition);

    if (found == NULL ||
            (d->is_forgotten != NULL && atomic_load(&d->is_forgotten[found - d->checkpoints]))) {
        return false;
    }
    *ret = *found;
    return true;
}

void checkpoints_forget(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    const struct checkpoint_entry *found = find(d, topic_id, partition);

    if (found != NULL) {
        atomic_store(&d->is_forgotten[found - d->checkpoints], true);
    }
}
