/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/kv_file.h"
#include "broker/log/swap_manifest.h"
#include "common/base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/mem_disk.h"

#include <fcntl.h>
#include <string.h>

/* cleaning.manifest: what is believed names segments in order, and is written as it was read. */

static void must_be_same(const struct swap_file *a, const struct swap_file *b)
{
    must(a->base == b->base && a->size == b->size);
    must(a->tail == b->tail && a->is_compacted == b->is_compacted);
}

static void judge(const struct file_io *io, const struct swap_manifest *m)
{
    struct swap_manifest again = {0};

    must(m->n_old > 0 && m->n_old <= SWAP_OLD_MAX);
    must(m->made.base == m->old[0].base);
    must(swap_manifest_write(io, "", m) == 0);
    must(swap_manifest_read(io, "", &again) == 0);
    must(again.n_old == m->n_old);
    must_be_same(&again.made, &m->made);
    for (size_t i = 0; i < m->n_old; i++) {
        must(m->old[i].base >= 0 && m->old[i].size >= 0);
        must(i == 0 || m->old[i - 1].base < m->old[i].base);
        must_be_same(&again.old[i], &m->old[i]);
    }
    swap_manifest_deinit(&again);
}

static void read_manifest(const struct file_io *io)
{
    struct swap_manifest m = {0};

    if (swap_manifest_read(io, "", &m) == 0) {
        judge(io, &m);
    } else {
        must(m.old == NULL && m.n_old == 0);
    }
    swap_manifest_deinit(&m);
}

/* The bytes as the file, and, because few have a right checksum, as lines of one that has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem_disk *disk = mem_disk_new(1);
    const struct file_io *io = mem_disk_io(disk);
    char *lines = mem_strndup((const char *)data, size);
    int fd = io->open(io->ctx, "/cleaning.manifest", O_RDWR | O_CREAT);

    must(fd >= 0);
    must(file_write_all(io, fd, data, size, 0) == 0);
    must(io->close(io->ctx, fd) == 0);
    read_manifest(io);
    must(kv_file_write(io, "/cleaning.manifest", lines) == 0);
    read_manifest(io);
    mem_free(lines);
    mem_disk_free(disk);
    return 0;
}
