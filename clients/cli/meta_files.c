/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta.h"

#include "common/base/array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void meta_file_deinit(struct meta_file *f)
{
    (void)image_free(f->image);
    arena_deinit(&f->arena);
    mem_free(f->bytes);
    mem_free(f->path);
}

void meta_file_take(struct meta_file *f, const char *path, uint8_t *bytes, size_t size)
{
    *f = (struct meta_file){.path = mem_strdup(path), .bytes = bytes, .size = size};
    arena_init(&f->arena, META_IMAGE_CHUNKS_MAX * 2 * sizeof(struct bytes));
    int r = wire_decode_meta_image(
            (struct bytes){.at = bytes, .size = size}, &f->arena, &f->head);
    r = r == 0 ? wire_load_meta_image(&f->head, &f->image) : r;
    f->is_usable = r == 0;
    if (r == 0) {
        f->own_epoch = image_ctl_epoch(f->image);
        f->image = image_free(f->image);
    } else {
        (void)snprintf(f->why, sizeof(f->why), "%s", wire_meta_image_text(r));
    }
}

void meta_file_load(struct meta_file *f)
{
    must(f->is_usable);
    must(f->image == NULL);
    must(wire_load_meta_image(&f->head, &f->image) == 0);
}

/* The whole of an open file; errno, or 0. */
static int read_all(int fd, uint8_t **ret, size_t *ret_size)
{
    struct stat st;
    size_t size = 0;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return EINVAL;
    }
    if (st.st_size > META_IMAGE_MAX) {
        return EFBIG;
    }
    uint8_t *bytes = mem_try_alloc((size_t)st.st_size + 1);
    if (bytes == NULL) {
        return ENOMEM;
    }
    while (size < (size_t)st.st_size && n > 0) {
        n = read(fd, bytes + size, (size_t)st.st_size - size);
        size += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        int error = errno;
        mem_free(bytes);
        return error;
    }
    *ret = bytes;
    *ret_size = size;
    return 0;
}

static struct meta_file *push(struct meta_files *files)
{
    files->items = mem_resize(files->items, files->n + 1, sizeof(*files->items));
    files->items[files->n] = (struct meta_file){0};
    return &files->items[files->n++];
}

/* One file; false when it is not there. One that cannot be read is damaged, as far as we are
 * concerned. */
static bool read_one(struct meta_files *files, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (error == ENOENT || error == ENOTDIR) {
        return false;
    }
    error = error == 0 ? read_all(fd, &bytes, &size) : error;
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    if (error == 0) {
        meta_file_take(push(files), path, bytes, size);
    } else {
        struct meta_file *f = push(files);
        f->path = mem_strdup(path);
        (void)snprintf(f->why, sizeof(f->why), "it cannot be read: %s", strerror(error));
    }
    return true;
}

int meta_files_read(struct meta_files *files, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return cli_fail(EXIT_NOT_FOUND,
                "Give a broker's log directory, its meta.image, or a file of `weir meta export "
                "-F`.",
                "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        (void)read_one(files, path);
        return -1;
    }
    char *newest = mem_format("%s/%s", path, META_IMAGE_NAME);
    char *former = mem_format("%s/%s", path, META_IMAGE_FORMER_NAME);
    bool found = read_one(files, newest);
    found = read_one(files, former) || found;
    if (!found) {
        cli_note("note: %s has no %s (of several log directories of a broker one has it)", path,
                META_IMAGE_NAME);
    }
    mem_free(newest);
    mem_free(former);
    return -1;
}

void meta_files_deinit(struct meta_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        meta_file_deinit(&files->items[i]);
    }
    files->items = mem_free(files->items);
    files->n = 0;
}
