/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/sparse_index.h"

#include "common/base/bytes.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>

enum {
    ENTRIES_A_READ = 512,
    ENTRY_SIZE_MAX = 12
};

uint32_t sparse_index_entry_size(const struct sparse_index *x)
{
    return x->key_size + 4;
}

static struct sparse_entry entry_at(const struct sparse_index *x, const uint8_t *bytes, uint32_t i)
{
    const uint8_t *p = bytes + (size_t)i * sparse_index_entry_size(x);

    return (struct sparse_entry){
            .key = x->key_size == 8 ? (int64_t)load_be64(p) : (int64_t)load_be32(p),
            .value = load_be32(p + x->key_size)};
}

/* Reads entries [first, first + n) into `bytes`; fewer in the file than counted is an error of the
 * disk's. */
static int read_entries(const struct file_io *io,
        const struct sparse_index *x,
        int fd,
        uint32_t first,
        uint32_t n,
        uint8_t *bytes)
{
    size_t size = (size_t)n * sparse_index_entry_size(x);
    int64_t got = io->pread(io->ctx, fd, bytes, size, (int64_t)first * sparse_index_entry_size(x));

    if (got < 0) {
        return err_forward((int)got);
    }
    return (size_t)got == size ? 0 : err_origin(-EIO);
}

static bool is_within(struct sparse_entry e, int64_t key_max, int64_t value_max)
{
    return e.key <= key_max && e.value <= value_max;
}

/* Both columns rise, so "within" is true for a first part of the entries: how many of `n` in memory. */
static uint32_t count_within(
        const struct sparse_index *x, const uint8_t *bytes, uint32_t n, struct sparse_entry max)
{
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (is_within(entry_at(x, bytes, mid), max.key, max.value)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Of all entries `low` are known to be within, the last of which is `below`, and those from `high` on are not, the first
 * of which is `above`. */
struct bracket {
    uint32_t low, high;
    struct sparse_entry below, above;
};

/* How many of `n` a number would have passed that rises evenly from `from` to `to`. */
static uint32_t share_of(uint32_t n, int64_t at, int64_t from, int64_t to)
{
    if (at <= from) {
        return 0;
    }
    if (at >= to) {
        return n;
    }
    return (uint32_t)((unsigned __int128)(uint64_t)(at - from) * n / (uint64_t)(to - from));
}

/* Where a window should begin: around the place where an even index would have the entry, or in the middle. */
static uint32_t guess(const struct bracket *b, struct sparse_entry max, bool is_even)
{
    uint32_t n = b->high - b->low;
    uint32_t by_key = share_of(n, max.key, b->below.key, b->above.key);
    uint32_t by_value = share_of(n, max.value, b->below.value, b->above.value);
    uint32_t at = !is_even ? n / 2 : by_key < by_value ? by_key : by_value;

    at = at < ENTRIES_A_READ / 2 ? 0 : at - ENTRIES_A_READ / 2;
    return b->low + (at < n - ENTRIES_A_READ ? at : n - ENTRIES_A_READ);
}

/* One window of entries is read and says more. */
static int narrow(const struct file_io *io,
        const struct sparse_index *x,
        int fd,
        struct sparse_entry max,
        uint32_t first,
        uint32_t n,
        struct bracket *b)
{
    uint8_t bytes[ENTRIES_A_READ * ENTRY_SIZE_MAX];
    int r = read_entries(io, x, fd, first, n, bytes);

    if (r < 0) {
        return err_forward(r);
    }
    uint32_t n_within = count_within(x, bytes, n, max);
    if (n_within > 0) {
        b->low = first + n_within;
        b->below = entry_at(x, bytes, n_within - 1);
    }
    if (n_within < n) {
        b->high = first + n_within;
        b->above = entry_at(x, bytes, n_within);
    }
    return 0;
}

/* Offsets and positions rise nearly evenly, so that a guess finds most entries in three reads: the last entry, which bounds
 * the guess, and a window or two. Every other guess halves what is left, which bounds the reads of an uneven index. */
static int search(const struct file_io *io,
        const struct sparse_index *x,
        int fd,
        struct sparse_entry max,
        struct sparse_entry *ret,
        uint32_t *ret_n)
{
    struct bracket b = {.high = x->n};
    bool is_even = true;
    int r = x->n > ENTRIES_A_READ ? narrow(io, x, fd, max, x->n - 1, 1, &b) : 0;

    for (; r == 0 && b.high - b.low > ENTRIES_A_READ; is_even = !is_even) {
        r = narrow(io, x, fd, max, guess(&b, max, is_even), ENTRIES_A_READ, &b);
    }
    if (r == 0 && b.high > b.low) {
        r = narrow(io, x, fd, max, b.low, b.high - b.low, &b);
    }
    if (r < 0) {
        return err_forward(r);
    }
    if (b.low > 0) {
        *ret = b.below;
    }
    *ret_n = b.low;
    return 0;
}

int sparse_index_floor(const struct file_io *io,
        const struct sparse_index *x,
        int64_t key_max,
        int64_t value_max,
        struct sparse_entry *ret,
        uint32_t *ret_n)
{
    uint32_t n = 0;
    int fd = -1;

    if (x->n > 0) {
        int r = cached_file_hold(x->file, &fd);
        if (r < 0) {
            return err_forward(r);
        }
        r = search(io, x, fd, (struct sparse_entry){.key = key_max, .value = value_max}, ret, &n);
        cached_file_release(x->file);
        if (r < 0) {
            return err_forward(r);
        }
    }
    if (ret_n != NULL) {
        *ret_n = n;
    }
    return 0;
}

int sparse_index_add(const struct file_io *io, struct sparse_index *x, struct sparse_entry e)
{
    uint8_t bytes[ENTRY_SIZE_MAX];
    size_t size = sparse_index_entry_size(x);
    int fd = -1;

    if (x->is_broken) {
        return 0;
    }
    if (x->key_size == 8) {
        store_be64(bytes, (uint64_t)e.key);
    } else {
        store_be32(bytes, (uint32_t)e.key);
    }
    store_be32(bytes + x->key_size, (uint32_t)e.value);
    int r = cached_file_hold(x->file, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    r = file_write_all(io, fd, bytes, size, (int64_t)x->n * (int64_t)size);
    cached_file_release(x->file);
    if (r == -ENOSPC || r == -EDQUOT) {
        /* Half an entry may stand there. It is not counted, and recovery sees the odd size. */
        x->is_broken = true;
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    x->n++;
    return 0;
}

static int create_missing(const struct file_io *io, struct sparse_index *x)
{
    int fd = io->open(io->ctx, cached_file_path(x->file), O_RDWR | O_CREAT);

    if (fd >= 0) {
        (void)io->close(io->ctx, fd); /* nothing was written through it */
    }
    if (fd == -ENOSPC || fd == -EDQUOT) {
        x->is_broken = true; /* a full disk must not keep a broker from starting */
        return 0;
    }
    return fd < 0 ? err_forward(fd) : 0;
}

int sparse_index_replace(
        const struct file_io *io, struct sparse_index *x, const uint8_t *bytes, uint32_t n)
{
    size_t size = (size_t)n * sparse_index_entry_size(x);
    int fd = -1;
    int r = cached_file_hold(x->file, &fd);

    if (r == -ENOENT) {
        r = create_missing(io, x);
        r = r >= 0 ? cached_file_hold(x->file, &fd) : r;
    }
    if (r < 0) {
        return err_forward(r);
    }
    r = file_write_all(io, fd, bytes, size, 0);
    if (r >= 0) {
        r = io->truncate(io->ctx, fd, (int64_t)size);
    }
    cached_file_release(x->file);
    if (r == -ENOSPC || r == -EDQUOT) {
        x->is_broken = true;
        x->n = 0;
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    x->n = n;
    return 0;
}

int sparse_index_cut(const struct file_io *io, struct sparse_index *x, uint32_t n)
{
    int fd = -1;

    if (x->file == NULL || x->is_broken) {
        x->n = n < x->n ? n : x->n;
        return 0;
    }
    int r = cached_file_hold(x->file, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    r = io->truncate(io->ctx, fd, (int64_t)n * sparse_index_entry_size(x));
    cached_file_release(x->file);
    if (r < 0) {
        return err_forward(r);
    }
    x->n = n;
    return 0;
}

/* Whether entries rise and values stay below `value_limit`; looks at those from `first` on. */
static int check_entries(const struct file_io *io,
        const struct sparse_index *x,
        int fd,
        uint32_t first,
        uint32_t n,
        int64_t value_limit,
        bool *ret_sound)
{
    uint8_t bytes[ENTRIES_A_READ * ENTRY_SIZE_MAX];
    int64_t none = x->key_size == 8 ? -1 : 0;
    struct sparse_entry before = {.key = none, .value = none};

    for (uint32_t i = first; i < n; i += ENTRIES_A_READ) {
        uint32_t part = n - i < ENTRIES_A_READ ? n - i : ENTRIES_A_READ;
        int r = read_entries(io, x, fd, i, part, bytes);
        if (r < 0) {
            return err_forward(r);
        }
        for (uint32_t k = 0; k < part; k++) {
            struct sparse_entry e = entry_at(x, bytes, k);
            if (e.key <= before.key || e.value <= before.value || e.value >= value_limit) {
                *ret_sound = false;
                return 0;
            }
            before = e;
        }
    }
    *ret_sound = true;
    return 0;
}

int sparse_index_open(const struct file_io *io,
        struct sparse_index *x,
        int64_t value_limit,
        bool is_thorough,
        bool *ret_sound)
{
    int64_t entry_size = sparse_index_entry_size(x);
    int fd = -1;
    bool sound = false;
    int r = cached_file_hold(x->file, &fd);

    x->n = 0;
    x->is_broken = false;
    if (r == -ENOENT) {
        r = create_missing(io, x);
        *ret_sound = false;
        return r < 0 ? err_forward(r) : 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    int64_t size = io->size(io->ctx, fd);
    r = size < 0 ? (int)size : 0;
    if (size >= 0 && size % entry_size == 0 && size / entry_size <= UINT32_MAX) {
        uint32_t n = (uint32_t)(size / entry_size);
        r = check_entries(io, x, fd, is_thorough || n == 0 ? 0 : n - 1, n, value_limit, &sound);
        x->n = r >= 0 && sound ? n : 0;
    }
    cached_file_release(x->file);
    if (r < 0) {
        return err_forward(r);
    }
    *ret_sound = sound;
    return 0;
}
