/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/file_cache.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/obj.h"
#include "common/obs/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

enum {
    CACHED_FILE_MAGIC = 0x6669636c
};

/* The state of a file, all under the cache's lock:
 *
 *   closed (fd -1) ──hold──▶ held (n_holds > 0) ──release──▶ idle (in the LRU ring) ──hold──▶ held
 *      ▲                                                        │
 *      └──────────────────── evicted ◀──────────────────────────┘
 *
 * Some holds are keeps (n_keeps of n_holds). forget: closed and idle files go at once, a held one
 * when its last holder releases it. */
struct cached_file {
    uint32_t magic;
    int fd; /* -1 = closed */
    unsigned n_holds;
    unsigned n_keeps; /* so many of the holds may last */
    bool is_forgotten;
    struct cached_file *older, *newer; /* in the ring while idle */
    struct file_cache *cache;
    char *path;
};

struct file_cache {
    const struct file_io *io;
    size_t max;
    pthread_mutex_t lock;
    struct cached_file ring; /* its `newer` is the oldest idle file, its `older` the newest */
    size_t n_open;
    size_t n_kept; /* files with n_keeps > 0 */
    size_t n_files;
};

/* Descriptors taken from files under the lock, to be closed after it. */
struct victims {
    int fds[16];
    unsigned n;
};

struct file_cache *file_cache_new(const struct file_io *io, size_t max)
{
    struct file_cache *c = mem_new(struct file_cache);

    c->io = io;
    c->max = max > 0 ? max : 1;
    c->ring.newer = c->ring.older = &c->ring;
    must(pthread_mutex_init(&c->lock, NULL) == 0);
    return c;
}

struct file_cache *file_cache_free(struct file_cache *c)
{
    if (c == NULL) {
        return NULL;
    }
    must(c->n_files == 0);
    must(c->n_open == 0);
    must(c->n_kept == 0);
    (void)pthread_mutex_destroy(&c->lock);
    return mem_free(c);
}

static void ring_remove(struct cached_file *f)
{
    f->older->newer = f->newer;
    f->newer->older = f->older;
    f->older = f->newer = NULL;
}

static void ring_add_newest(struct file_cache *c, struct cached_file *f)
{
    f->older = c->ring.older;
    f->newer = &c->ring;
    c->ring.older->newer = f;
    c->ring.older = f;
}

static void count_open(struct file_cache *c, int change)
{
    c->n_open = (size_t)((int64_t)c->n_open + change);
    metric_set(METRIC_BROKER_OPEN_SEGMENT_FILES, (int64_t)c->n_open);
}

/* Takes idle files' descriptors until at most `keep` are open, or as many as `v` has room for. */
static void evict(struct file_cache *c, size_t keep, struct victims *v)
{
    while (c->n_open > keep && c->ring.newer != &c->ring && v->n < 16) {
        struct cached_file *f = c->ring.newer;
        must(f->n_holds == 0);
        ring_remove(f);
        v->fds[v->n++] = f->fd;
        f->fd = -1;
        count_open(c, -1);
    }
}

/* A failed close of a file says nothing that its datasync does not say. */
static void close_victims(struct file_cache *c, const struct victims *v)
{
    for (unsigned i = 0; i < v->n; i++) {
        (void)c->io->close(c->io->ctx, v->fds[i]);
    }
}

struct cached_file *cached_file_new(struct file_cache *c, const char *path)
{
    struct cached_file *f = mem_new(struct cached_file);

    OBJ_INIT(f, CACHED_FILE_MAGIC);
    f->fd = -1;
    f->cache = c;
    f->path = mem_strdup(path);
    (void)pthread_mutex_lock(&c->lock);
    c->n_files++;
    (void)pthread_mutex_unlock(&c->lock);
    return f;
}

/* Unlinks an unheld, forgotten file from the cache under the lock; returns its descriptor or -1. */
static int detach(struct file_cache *c, struct cached_file *f)
{
    int fd = f->fd;

    must(f->n_holds == 0);
    if (fd >= 0) {
        if (f->newer != NULL) {
            ring_remove(f);
        }
        count_open(c, -1);
    }
    c->n_files--;
    return fd;
}

static void destroy(struct file_cache *c, struct cached_file *f, int fd)
{
    if (fd >= 0) {
        (void)c->io->close(c->io->ctx, fd); /* as in close_victims */
    }
    OBJ_CLEAR(f);
    mem_free(f->path);
    mem_free(f);
}

void cached_file_forget(struct cached_file *f)
{
    if (f == NULL) {
        return;
    }
    struct file_cache *c = f->cache;
    (void)pthread_mutex_lock(&c->lock);
    must(!f->is_forgotten);
    f->is_forgotten = true;
    bool is_last = f->n_holds == 0;
    int fd = is_last ? detach(c, f) : -1;
    (void)pthread_mutex_unlock(&c->lock);
    if (is_last) {
        destroy(c, f, fd);
    }
}

bool file_cache_make_room(struct file_cache *c)
{
    struct victims v = {.n = 0};

    (void)pthread_mutex_lock(&c->lock);
    evict(c, 0, &v);
    (void)pthread_mutex_unlock(&c->lock);
    close_victims(c, &v);
    return v.n > 0;
}

/* Out of descriptors: some of ours are only kept in case. */
static int open_or_make_room(struct file_cache *c, const char *path)
{
    int fd = c->io->open(c->io->ctx, path, O_RDWR);

    while ((fd == -EMFILE || fd == -ENFILE) && file_cache_make_room(c)) {
        fd = c->io->open(c->io->ctx, path, O_RDWR);
    }
    return fd;
}

/* Takes a hold on an open file; false when it is closed. */
static bool hold_open(struct cached_file *f, int *ret_fd)
{
    if (f->fd < 0) {
        return false;
    }
    if (f->n_holds++ == 0) {
        ring_remove(f);
    }
    *ret_fd = f->fd;
    return true;
}

int cached_file_hold(struct cached_file *f, int *ret_fd)
{
    struct file_cache *c = f->cache;
    struct victims v = {.n = 0};

    (void)pthread_mutex_lock(&c->lock);
    must(!f->is_forgotten || f->n_holds > 0);
    bool done = hold_open(f, ret_fd);
    (void)pthread_mutex_unlock(&c->lock);
    if (done) {
        return 0;
    }
    int fd = open_or_make_room(c, f->path);
    if (fd < 0) {
        return err_forward(fd);
    }
    (void)pthread_mutex_lock(&c->lock);
    if (hold_open(f, ret_fd)) { /* another thread was quicker */
        v.fds[v.n++] = fd;
    } else {
        f->fd = fd;
        f->n_holds = 1;
        count_open(c, 1);
        *ret_fd = fd;
    }
    evict(c, c->max, &v);
    (void)pthread_mutex_unlock(&c->lock);
    close_victims(c, &v);
    return 0;
}

void cached_file_hold_again(struct cached_file *f)
{
    (void)pthread_mutex_lock(&f->cache->lock);
    must(f->n_holds > 0);
    f->n_holds++;
    (void)pthread_mutex_unlock(&f->cache->lock);
}

void cached_file_release(void *file)
{
    struct cached_file *f = OBJ_CAST(struct cached_file, file, CACHED_FILE_MAGIC);
    struct file_cache *c = f->cache;
    struct victims v = {.n = 0};
    bool is_last = false;
    int fd = -1;

    (void)pthread_mutex_lock(&c->lock);
    must(f->n_holds > 0);
    if (--f->n_holds == 0) {
        if (f->is_forgotten) {
            is_last = true;
            fd = detach(c, f);
        } else {
            ring_add_newest(c, f);
            evict(c, c->max, &v);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    close_victims(c, &v);
    if (is_last) {
        destroy(c, f, fd);
    }
}

bool cached_file_keep(struct cached_file *f)
{
    struct file_cache *c = f->cache;

    (void)pthread_mutex_lock(&c->lock);
    must(f->n_holds > f->n_keeps);
    bool is_allowed = f->n_keeps > 0 || c->n_kept < c->max - c->max / 4;
    if (is_allowed && f->n_keeps++ == 0) {
        c->n_kept++;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return is_allowed;
}

void cached_file_drop(void *file)
{
    struct cached_file *f = OBJ_CAST(struct cached_file, file, CACHED_FILE_MAGIC);
    struct file_cache *c = f->cache;

    (void)pthread_mutex_lock(&c->lock);
    must(f->n_keeps > 0);
    if (--f->n_keeps == 0) {
        c->n_kept--;
    }
    (void)pthread_mutex_unlock(&c->lock);
    cached_file_release(f);
}

const char *cached_file_path(const struct cached_file *f)
{
    return f->path;
}

size_t file_cache_n_open(struct file_cache *c)
{
    (void)pthread_mutex_lock(&c->lock);
    size_t n = c->n_open;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}
