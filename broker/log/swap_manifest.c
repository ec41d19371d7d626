/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/swap_manifest.h"

#include "broker/log/kv_file.h"
#include "common/base/bytes.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAIL_SIZE = 64
};

const char *const swap_made[SWAP_N_MADE] = {".index", ".timeindex", ".seal", ".log"};

/* All that may stand beside a segment. */
static const char *const suffixes[] = {".log", ".index", ".timeindex", ".seal"};
enum {
    N_SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0])
};

static char *path_of(const char *folder, offset64 base, const char *what, const char *suffix)
{
    return mem_format("%s/%020" PRId64 "%s%s", folder, base, what, suffix);
}

static char *manifest_path(const char *folder)
{
    return mem_format("%s/cleaning.manifest", folder);
}

void swap_manifest_deinit(struct swap_manifest *m)
{
    m->old = mem_free(m->old);
    m->n_old = 0;
}

/* --- Files as they are -------------------------------------------------------------------------------------------- */

/* Size and tail of a file. */
static int look(const struct file_io *io, const char *path, int64_t *ret_size, uint32_t *ret_tail)
{
    uint8_t bytes[TAIL_SIZE];
    int fd = io->open(io->ctx, path, O_RDONLY);

    if (fd < 0) {
        return err_forward(fd);
    }
    int64_t size = io->size(io->ctx, fd);
    int64_t want = size < TAIL_SIZE ? size : TAIL_SIZE;
    int64_t n = size > 0 ? io->pread(io->ctx, fd, bytes, (size_t)want, size - want) : size;
    (void)io->close(io->ctx, fd); /* read only */
    if (n < 0) {
        return err_forward((int)n);
    }
    *ret_size = size;
    *ret_tail = crc32c(0, bytes, (size_t)n);
    return 0;
}

int swap_manifest_note(
        const struct file_io *io, const char *folder, struct swap_file *f, const char *suffix)
{
    char *path = path_of(folder, f->base, suffix, "");
    int64_t size = 0;
    int r = look(io, path, &size, &f->tail);

    mem_free(path);
    if (r < 0) {
        return err_forward(r);
    }
    return size == f->size ? 0 : err_origin(-ESTALE);
}

int swap_is_there(const struct file_io *io,
        const char *folder,
        const struct swap_file *f,
        const char *suffix,
        bool *ret)
{
    char *path = path_of(folder, f->base, suffix, "");
    int64_t size = 0;
    uint32_t tail = 0;
    int r = look(io, path, &size, &tail);

    mem_free(path);
    if (r < 0 && r != -ENOENT) {
        return err_forward(r);
    }
    *ret = r == 0 && size == f->size && tail == f->tail;
    return 0;
}

/* --- The manifest ------------------------------------------------------------------------------------------------- */

static void add_file(struct buf *out, const char *key, const struct swap_file *f)
{
    buf_append_format(out, "%s=%" PRId64 " %" PRId64 " %" PRIu32 " %d\n", key, f->base, f->size,
            f->tail, f->is_compacted ? 1 : 0);
}

int swap_manifest_write(
        const struct file_io *io, const char *folder, const struct swap_manifest *m)
{
    char *path = manifest_path(folder);
    struct buf lines = {0};
    char key[32];

    add_file(&lines, "new", &m->made);
    buf_append_format(&lines, "replaces=%zu\n", m->n_old);
    for (size_t i = 0; i < m->n_old; i++) {
        (void)snprintf(key, sizeof(key), "old.%zu", i);
        add_file(&lines, key, &m->old[i]);
    }
    int r = kv_file_write(io, path, buf_str(&lines));
    buf_deinit(&lines);
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

static bool parse_file(const struct kv_file *f, const char *key, struct swap_file *ret)
{
    const char *text = kv_file_get(f, key);
    long long numbers[4];
    char *end;

    for (int i = 0; i < 4; i++) {
        if (text == NULL || *text < '0' || *text > '9') {
            return false;
        }
        errno = 0;
        numbers[i] = strtoll(text, &end, 10);
        if (errno != 0 || *end != (i < 3 ? ' ' : '\0')) {
            return false;
        }
        text = end + (i < 3 ? 1 : 0);
    }
    *ret = (struct swap_file){.base = numbers[0],
            .size = numbers[1],
            .tail = (uint32_t)numbers[2],
            .is_compacted = numbers[3] == 1};
    return numbers[2] <= UINT32_MAX && numbers[3] <= 1;
}

static bool parse(const struct kv_file *f, struct swap_manifest *ret)
{
    uint64_t n = 0;
    char key[32];

    if (!parse_file(f, "new", &ret->made) || !kv_file_get_u64(f, "replaces", &n) || n == 0 ||
            n > SWAP_OLD_MAX) {
        return false;
    }
    ret->old = mem_new_n(struct swap_file, n);
    ret->n_old = n;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "old.%zu", i);
        if (!parse_file(f, key, &ret->old[i]) ||
                (i > 0 && ret->old[i].base <= ret->old[i - 1].base)) {
            return false;
        }
    }
    return ret->made.base == ret->old[0].base;
}

int swap_manifest_read(const struct file_io *io, const char *folder, struct swap_manifest *ret)
{
    char *path = manifest_path(folder);
    struct swap_manifest m = {0};
    struct kv_file f = {0};
    int r = kv_file_read(io, path, &f);

    mem_free(path);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r == KV_FILE_E_ABSENT ? SWAP_E_ABSENT : SWAP_E_DAMAGED;
    }
    bool is_sound = parse(&f, &m);
    kv_file_deinit(&f);
    if (!is_sound) {
        swap_manifest_deinit(&m);
        return SWAP_E_DAMAGED;
    }
    *ret = m;
    return 0;
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

int swap_move(const struct file_io *io,
        const char *folder,
        offset64 base,
        const char *what,
        const char *from,
        const char *to)
{
    char *old = path_of(folder, base, what, from);
    char *new = path_of(folder, base, what, to);
    int r = io->rename(io->ctx, old, new);

    mem_free(old);
    mem_free(new);
    return r < 0 ? err_forward(r) : 0;
}

static int unlink_file(
        const struct file_io *io, const char *folder, offset64 base, const char *what, const char *suffix)
{
    char *path = path_of(folder, base, what, suffix);
    int r = io->unlink(io->ctx, path);

    mem_free(path);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

int swap_retire(const struct file_io *io, const char *folder, offset64 base)
{
    int r = 0;

    for (size_t i = 0; i < N_SUFFIXES && r >= 0; i++) {
        r = swap_move(io, folder, base, suffixes[i], "", ".deleted");
        if (i > 0 && (r == -ENOSPC || r == -EDQUOT)) { /* nothing in those is needed */
            r = unlink_file(io, folder, base, suffixes[i], "");
        }
        r = r == -ENOENT ? 0 : r;
    }
    return r < 0 ? err_forward(r) : 0;
}

int swap_finish_made(const struct file_io *io, const char *folder, offset64 base)
{
    int r = 0;

    for (size_t i = 0; i < SWAP_N_MADE && r >= 0; i++) {
        r = swap_move(io, folder, base, swap_made[i], ".swap", "");
        /* Of a start that goes on where another stopped. */
        r = r == -ENOENT ? 0 : r;
    }
    return r < 0 ? err_forward(r) : 0;
}

/* --- Ends --------------------------------------------------------------------------------------------------------- */

static int unlink_all(const struct file_io *io, const char *folder, offset64 base, const char *suffix)
{
    int r = 0;

    for (size_t k = 0; k < N_SUFFIXES && r >= 0; k++) {
        r = unlink_file(io, folder, base, suffixes[k], suffix);
    }
    return r < 0 ? err_forward(r) : 0;
}

static int remove_manifest(const struct file_io *io, const char *folder)
{
    char *path = manifest_path(folder);
    int r = durable_unlink(io, path);

    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

int swap_complete(const struct file_io *io, const char *folder, const struct swap_manifest *m)
{
    int r = io->sync_dir(io->ctx, folder);

    for (size_t i = 0; i < m->n_old && r >= 0; i++) {
        r = m->old[i].is_stuck ? unlink_all(io, folder, m->old[i].base, "") : 0;
    }
    if (r >= 0) {
        r = remove_manifest(io, folder);
    }
    for (size_t i = 0; i < m->n_old && r >= 0; i++) {
        r = unlink_all(io, folder, m->old[i].base, ".deleted");
    }
    return r < 0 ? err_forward(r) : 0;
}

int swap_undo(const struct file_io *io, const char *folder, const struct swap_manifest *m)
{
    int r = remove_manifest(io, folder);

    for (size_t i = 0; i < SWAP_N_MADE && r >= 0; i++) {
        r = unlink_file(io, folder, m->made.base, swap_made[i], ".swap");
        if (r >= 0) {
            r = unlink_file(io, folder, m->made.base, swap_made[i], ".cleaned");
        }
    }
    return r < 0 ? err_forward(r) : 0;
}
