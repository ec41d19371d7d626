/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/inspect.h"

#include "broker/log/log_dir_impl.h"
#include "broker/log/segment.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    WINDOW_SIZE = 256 * 1024,
    ENTRIES_SIZE_MAX = INT32_MAX
};

/* --- Batches ---------------------------------------------------------------------------------- */

struct batch_reader {
    const struct file_io *io;
    int fd;
    struct file_window window;
    uint8_t *bytes; /* of the present batch */
    size_t cap;
};

/* The whole batch in memory. > 0: TOO_LARGE. */
static int load(struct batch_reader *in, const struct batch_head *h)
{
    size_t size = (size_t)h->size;

    if (size > in->cap) {
        uint8_t *larger = mem_try_resize(in->bytes, size, 1);
        if (larger == NULL) {
            return INSPECT_E_TOO_LARGE;
        }
        in->bytes = larger;
        in->cap = size;
    }
    int64_t n = in->io->pread(in->io->ctx, in->fd, in->bytes, size, h->at);
    if (n < 0) {
        return err_forward((int)n);
    }
    return (size_t)n == size ? 0 : err_origin(-EIO); /* it was that long a moment ago */
}

static int walk(struct batch_reader *in,
        bool (*each)(void *ctx, const struct inspected_batch *b),
        void *ctx,
        struct inspected_file *ret)
{
    while (ret->good_end < ret->size) {
        struct inspected_batch b = {0};
        int r = batch_head_read(&in->window, ret->good_end, &b.head);
        if (r != 0) {
            return r < 0 ? err_forward(r) : 0;
        }
        r = load(in, &b.head);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        if (batch_parse(in->bytes, (size_t)b.head.size, &b.batch) != 0) {
            return 0; /* written anew between the two looks */
        }
        b.crc_is_right = batch_crc_is_right(&b.batch);
        ret->good_end += b.head.size;
        if (!each(ctx, &b)) {
            return 0;
        }
    }
    return 0;
}

int inspect_batches(const struct file_io *io,
        const char *path,
        bool (*each)(void *ctx, const struct inspected_batch *b),
        void *ctx,
        struct inspected_file *ret)
{
    struct batch_reader in = {.io = io, .fd = io->open(io->ctx, path, O_RDONLY)};

    if (in.fd < 0) {
        return err_forward(in.fd);
    }
    *ret = (struct inspected_file){.size = io->size(io->ctx, in.fd)};
    int r = ret->size < 0 ? (int)ret->size : 0;
    if (r == 0) {
        uint8_t *window = mem_alloc(WINDOW_SIZE);
        file_window_init(&in.window, io, in.fd, ret->size, window, WINDOW_SIZE);
        r = walk(&in, each, ctx, ret);
        mem_free(window);
        mem_free(in.bytes);
    }
    (void)io->close(io->ctx, in.fd); /* nothing was written through it */
    return r < 0 ? err_forward(r) : r;
}

/* --- Indexes ---------------------------------------------------------------------------------- */

int inspect_entries(const struct file_io *io,
        const char *path,
        size_t entry_size,
        uint8_t **ret,
        size_t *ret_n,
        size_t *ret_rest)
{
    size_t size = 0;
    int r = file_read_all(io, path, ENTRIES_SIZE_MAX, ret, &size);

    if (r < 0) {
        return err_forward(r);
    }
    *ret_n = size / entry_size;
    *ret_rest = size % entry_size;
    return 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

bool inspect_base_of(const char *path, offset64 *ret)
{
    return segment_name_parse(name_in(path), NULL, ret);
}

enum inspect_kind inspect_kind_of(const char *path)
{
    static const struct {
        const char *suffix;
        enum inspect_kind kind;
    } kinds[] = {{".log", INSPECT_LOG}, {".index", INSPECT_INDEX}, {".timeindex", INSPECT_TIME_INDEX}};
    const char *dot = strchr(name_in(path), '.');

    for (size_t i = 0; dot != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t size = strlen(kinds[i].suffix);
        if (strncmp(dot, kinds[i].suffix, size) == 0 && (dot[size] == '\0' || dot[size] == '.')) {
            return kinds[i].kind;
        }
    }
    return INSPECT_OTHER;
}

/* --- Checkpoints ------------------------------------------------------------------------------ */

int inspect_checkpoints(
        const struct file_io *io, const char *path, struct checkpoint_entry **ret, size_t *ret_n)
{
    struct log_dir d = {.io = io, .path = mem_strdup(path), .lock_fd = -1};
    int r = checkpoints_read(&d);

    mem_free(d.path);
    if (r < 0) {
        mem_free(d.checkpoints);
        return err_forward(r);
    }
    *ret = d.checkpoints;
    *ret_n = d.n_checkpoints;
    return 0;
}
