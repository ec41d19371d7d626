/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/mem_disk.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/prng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
    SECTOR = 512,
    FIRST_FD = 1000 /* so that a real descriptor is never mistaken for one of ours */
};

struct contents {
    uint8_t *bytes;
    int64_t size;
};

struct entry {
    char *name;
    struct node *node;
};

struct entries {
    ARRAY(struct entry) items; /* sorted by name */
};

/* What happened to a file or a folder since its last sync. */
struct change {
    enum {
        CHANGE_WRITE,
        CHANGE_CUT,
        CHANGE_ADD,
        CHANGE_REMOVE
    } kind;

    int64_t at;           /* WRITE; new size of CUT */
    struct contents data; /* WRITE */
    char *name;           /* ADD, REMOVE */
    struct node *node;    /* ADD */
    uint64_t group;       /* changes of one rename go together; 0 = alone */
};

struct node {
    bool is_dir;
    uint64_t inode;
    struct contents now, synced;    /* of a file */
    int64_t modified;
    int64_t reserved;               /* so far it has room of its own, at least up to its size */
    struct entries names, durable;  /* of a folder */
    ARRAY(struct change) unsynced;
    int lock_fd; /* -1 = not locked */
};

struct mem_disk {
    struct file_io io;
    struct prng prng;
    ARRAY(struct node *) nodes; /* all that ever were: the disk is small */
    struct node *root;
    ARRAY(struct node *) fds; /* by fd - FIRST_FD; NULL = closed */
    uint64_t n_changes, die_at, fail_at, last_group, n_boots;
    int fail_error;
    bool is_dead;
    int64_t room; /* negative = no limit */
};

/* --- Contents ------------------------------------------------------------------------------------ */

static void contents_resize(struct contents *c, int64_t size)
{
    c->bytes = mem_resize(c->bytes, (size_t)size + 1, 1);
    if (size > c->size) {
        memset(c->bytes + c->size, 0, (size_t)(size - c->size));
    }
    c->size = size;
}

static void contents_write(struct contents *c, const uint8_t *bytes, int64_t size, int64_t at)
{
    if (at + size > c->size) {
        contents_resize(c, at + size);
    }
    if (size > 0) {
        memcpy(c->bytes + at, bytes, (size_t)size);
    }
}

static void contents_copy(struct contents *to, const struct contents *from)
{
    contents_resize(to, from->size);
    if (from->size > 0) {
        memcpy(to->bytes, from->bytes, (size_t)from->size);
    }
}

/* --- Names --------------------------------------------------------------------------------------- */

static size_t entries_lower_bound(const struct entries *e, const char *name)
{
    size_t i = 0;

    while (i < e->items.n && strcmp(e->items.items[i].name, name) < 0) {
        i++;
    }
    return i;
}

static struct node *entries_find(const struct entries *e, const char *name)
{
    size_t i = entries_lower_bound(e, name);

    return i < e->items.n && strcmp(e->items.items[i].name, name) == 0 ? e->items.items[i].node
                                                                       : NULL;
}

static void entries_remove(struct entries *e, const char *name)
{
    size_t i = entries_lower_bound(e, name);

    if (i < e->items.n && strcmp(e->items.items[i].name, name) == 0) {
        mem_free(e->items.items[i].name);
        array_remove(&e->items, i);
    }
}

static void entries_set(struct entries *e, const char *name, struct node *node)
{
    entries_remove(e, name);
    *array_insert(&e->items, entries_lower_bound(e, name)) =
            (struct entry){.name = mem_strdup(name), .node = node};
}

static void entries_clear(struct entries *e)
{
    ARRAY_FOREACH (it, &e->items) {
        mem_free(it->name);
    }
    array_clear(&e->items);
}

static void entries_copy(struct entries *to, struct entries *from)
{
    entries_clear(to);
    ARRAY_FOREACH (it, &from->items) {
        *array_push(&to->items) =
                (struct entry){.name = mem_strdup(it->name), .node = it->node};
    }
}

/* --- Nodes --------------------------------------------------------------------------------------- */

static struct node *node_new(struct mem_disk *d, bool is_dir)
{
    struct node *n = mem_new(struct node);

    n->is_dir = is_dir;
    n->inode = d->nodes.n + 2;
    n->lock_fd = -1;
    *array_push(&d->nodes) = n;
    return n;
}

static void change_deinit(struct change *c)
{
    mem_free(c->data.bytes);
    mem_free(c->name);
}

static void node_forget_changes(struct node *n)
{
    ARRAY_FOREACH (c, &n->unsynced) {
        change_deinit(c);
    }
    array_clear(&n->unsynced);
}

static void node_synced(struct node *n)
{
    node_forget_changes(n);
    if (n->is_dir) {
        entries_copy(&n->durable, &n->names);
    } else {
        contents_copy(&n->synced, &n->now);
    }
}

/* The folder that `path` lies in, and its last part; NULL: no such folder. */
static struct node *parent_of(struct mem_disk *d, const char *path, const char **ret_name)
{
    struct node *at = d->root;

    must(path[0] == '/');
    path++;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char *part = mem_strndup(path, (size_t)(slash - path));
        at = entries_find(&at->names, part);
        mem_free(part);
        if (at == NULL || !at->is_dir) {
            return NULL;
        }
    }
    *ret_name = path;
    return at;
}

static struct node *find(struct mem_disk *d, const char *path)
{
    const char *name = NULL;
    struct node *parent = strcmp(path, "/") == 0 ? NULL : parent_of(d, path, &name);

    return parent != NULL ? entries_find(&parent->names, name) : strcmp(path, "/") == 0 ? d->root
                                                                                       : NULL;
}

static struct node *node_of(struct mem_disk *d, int fd)
{
    must(fd >= FIRST_FD && (size_t)(fd - FIRST_FD) < d->fds.n);
    must(d->fds.items[fd - FIRST_FD] != NULL);
    return d->fds.items[fd - FIRST_FD];
}

static void note_name(struct node *folder, bool is_added, const char *name, struct node *node, uint64_t group)
{
    *array_push(&folder->unsynced) = (struct change){.kind = is_added ? CHANGE_ADD : CHANGE_REMOVE,
            .name = mem_strdup(name),
            .node = node,
            .group = group};
    if (is_added) {
        entries_set(&folder->names, name, node);
    } else {
        entries_remove(&folder->names, name);
    }
}

/* --- Faults -------------------------------------------------------------------------------------- */

/* Before each changing operation: 0 = do it; negative = answer this. *ret_is_last: it is the one in which the users
 * die, so that a random part of it may happen. */
static int admit(struct mem_disk *d, bool *ret_is_last)
{
    *ret_is_last = false;
    if (d->is_dead) {
        return -EIO;
    }
    d->n_changes++;
    if (d->n_changes == d->fail_at) {
        return d->fail_error;
    }
    if (d->n_changes == d->die_at) {
        d->is_dead = true;
        *ret_is_last = true;
    }
    return 0;
}

/* The same for operations that happen whole or not at all. */
static int admit_whole(struct mem_disk *d, bool *ret_happens)
{
    bool is_last = false;
    int r = admit(d, &is_last);

    *ret_happens = r == 0 && (!is_last || prng_below(&d->prng, 2) == 0);
    return r < 0 ? r : is_last ? -EIO : 0;
}

/* --- The table ----------------------------------------------------------------------------------- */

static int disk_open(void *ctx, const char *path, int flags)
{
    struct mem_disk *d = ctx;
    const char *name = NULL;
    struct node *parent = d->is_dead ? NULL : parent_of(d, path, &name);
    struct node *n = parent != NULL ? entries_find(&parent->names, name) : NULL;
    size_t i = 0;

    if (d->is_dead) {
        return -EIO;
    }
    if (n == NULL && (parent == NULL || (flags & O_CREAT) == 0)) {
        return -ENOENT;
    }
    if (n != NULL && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
        return -EEXIST;
    }
    if (n == NULL) {
        bool happens = false;
        int r = admit_whole(d, &happens);
        if (happens) {
            n = node_new(d, false);
            note_name(parent, true, name, n, 0);
        }
        if (r < 0) {
            return r;
        }
    }
    while (i < d->fds.n && d->fds.items[i] != NULL) {
        i++;
    }
    if (i == d->fds.n) {
        (void)array_push(&d->fds);
    }
    d->fds.items[i] = n;
    return FIRST_FD + (int)i;
}

static int disk_close(void *ctx, int fd)
{
    struct mem_disk *d = ctx;
    struct node *n = node_of(d, fd);

    if (n->lock_fd == fd) {
        n->lock_fd = -1;
    }
    d->fds.items[fd - FIRST_FD] = NULL;
    return d->is_dead ? -EIO : 0;
}

static int64_t disk_pread(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    struct mem_disk *d = ctx;
    const struct node *n = node_of(d, fd);
    int64_t left = n->now.size - at;

    if (d->is_dead) {
        return -EIO;
    }
    left = left < 0 ? 0 : left < (int64_t)size ? left : (int64_t)size;
    if (left > 0) {
        memcpy(bytes, n->now.bytes + at, (size_t)left);
    }
    return left;
}

static bool disk_is_hot(void *ctx, int fd, int64_t at, int64_t size)
{
    return true;
}

static void disk_advise(void *ctx, int fd, int64_t at, int64_t size, enum file_advice advice)
{
}

static int64_t reserved_end(const struct node *n)
{
    return n->reserved > n->now.size ? n->reserved : n->now.size;
}

static int64_t write_one(struct mem_disk *d, struct node *n, const uint8_t *bytes, int64_t size, int64_t at)
{
    int64_t growth = at + size - reserved_end(n); /* negative: an overwrite needs no room */

    if (d->room >= 0 && growth > d->room) {
        size -= growth - d->room;
        growth = d->room;
    }
    if (size <= 0) {
        return 0;
    }
    d->room -= d->room >= 0 && growth > 0 ? growth : 0;
    contents_write(&n->now, bytes, size, at);
    n->modified = (int64_t)d->n_changes;
    struct change *c = array_push(&n->unsynced);
    c->kind = CHANGE_WRITE;
    c->at = at;
    contents_write(&c->data, bytes, size, 0);
    return size;
}

static int64_t disk_pwritev(void *ctx, int fd, const struct iovec *iov, int n, int64_t at)
{
    struct mem_disk *d = ctx;
    struct node *node = node_of(d, fd);
    int64_t done = 0;
    bool is_last = false;
    int r = admit(d, &is_last);

    if (r < 0) {
        return r;
    }
    for (int i = 0; i < n; i++) {
        int64_t size = (int64_t)iov[i].iov_len;
        size = is_last ? (int64_t)prng_below(&d->prng, (uint64_t)size + 1) : size;
        int64_t wrote = write_one(d, node, iov[i].iov_base, size, at + done);
        done += wrote;
        if (wrote < (int64_t)iov[i].iov_len) {
            break;
        }
    }
    return is_last ? -EIO : done == 0 && n > 0 && iov[0].iov_len > 0 ? -ENOSPC : done;
}

static int64_t disk_size(void *ctx, int fd)
{
    struct mem_disk *d = ctx;

    return d->is_dead ? -EIO : node_of(d, fd)->now.size;
}

/* Its clock counts changes. */
static int64_t disk_modified(void *ctx, int fd)
{
    struct mem_disk *d = ctx;

    return d->is_dead ? -EIO : node_of(d, fd)->modified;
}

static int64_t disk_size_of(void *ctx, const char *path)
{
    struct mem_disk *d = ctx;
    const struct node *n = d->is_dead ? NULL : find(d, path);

    return d->is_dead ? -EIO : n == NULL ? -ENOENT : n->now.size;
}

static int disk_truncate(void *ctx, int fd, int64_t size)
{
    struct mem_disk *d = ctx;
    struct node *n = node_of(d, fd);
    bool happens = false;
    int r = admit_whole(d, &happens);

    if (happens && size <= n->now.size) {
        d->room += d->room >= 0 ? reserved_end(n) - size : 0;
        n->reserved = 0;
    }
    if (happens && size != n->now.size) {
        contents_resize(&n->now, size);
        *array_push(&n->unsynced) = (struct change){.kind = CHANGE_CUT, .at = size};
    }
    return r;
}

/* Nothing of the contents changes: a power cut has nothing to undo but the room. */
static int disk_reserve(void *ctx, int fd, int64_t at, int64_t size)
{
    struct mem_disk *d = ctx;
    struct node *n = node_of(d, fd);
    bool happens = false;
    int r = admit_whole(d, &happens);
    int64_t more = at + size - reserved_end(n);

    if (r == 0 && d->room >= 0 && more > d->room) {
        return -ENOSPC;
    }
    if (happens && more > 0) {
        d->room -= d->room >= 0 && more <= d->room ? more : 0;
        n->reserved = at + size;
    }
    return r;
}

static int disk_datasync(void *ctx, int fd)
{
    struct mem_disk *d = ctx;
    struct node *n = node_of(d, fd);
    bool happens = false;
    int r = admit_whole(d, &happens);

    if (happens) {
        node_synced(n);
    }
    return r;
}

/* The other half of a rename whose one folder is synced now. */
static void apply_group(struct node *folder, uint64_t group)
{
    for (size_t i = folder->unsynced.n; i-- > 0;) {
        struct change *c = &folder->unsynced.items[i];
        if (c->group != group) {
            continue;
        }
        if (c->kind == CHANGE_ADD) {
            entries_set(&folder->durable, c->name, c->node);
        } else {
            entries_remove(&folder->durable, c->name);
        }
        change_deinit(c);
        array_remove(&folder->unsynced, i);
    }
}

static int disk_sync_dir(void *ctx, const char *path)
{
    struct mem_disk *d = ctx;
    struct node *n = d->is_dead ? NULL : find(d, path);
    bool happens = false;

    if (d->is_dead) {
        return -EIO;
    }
    if (n == NULL || !n->is_dir) {
        return -ENOENT;
    }
    int r = admit_whole(d, &happens);
    if (!happens) {
        return r;
    }
    ARRAY_FOREACH (c, &n->unsynced) {
        for (size_t i = 0; c->group != 0 && i < d->nodes.n; i++) {
            if (d->nodes.items[i] != n && d->nodes.items[i]->is_dir) {
                apply_group(d->nodes.items[i], c->group);
            }
        }
    }
    node_synced(n);
    return r;
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    struct mem_disk *d = ctx;
    const char *old_name = NULL, *new_name = NULL;
    struct node *old_parent = d->is_dead ? NULL : parent_of(d, from, &old_name);
    struct node *new_parent = d->is_dead ? NULL : parent_of(d, to, &new_name);
    bool happens = false;

    if (d->is_dead) {
        return -EIO;
    }
    struct node *n = old_parent != NULL ? entries_find(&old_parent->names, old_name) : NULL;
    if (n == NULL || new_parent == NULL) {
        return -ENOENT;
    }
    struct node *there = entries_find(&new_parent->names, new_name);
    if (there != NULL && there->is_dir && there->names.items.n > 0) {
        return -ENOTEMPTY;
    }
    int r = admit_whole(d, &happens);
    if (happens) {
        uint64_t group = ++d->last_group;
        note_name(new_parent, true, new_name, n, group);
        note_name(old_parent, false, old_name, NULL, group);
    }
    return r;
}

static int remove_name(struct mem_disk *d, const char *path, bool is_dir)
{
    const char *name = NULL;
    struct node *parent = d->is_dead ? NULL : parent_of(d, path, &name);
    bool happens = false;

    if (d->is_dead) {
        return -EIO;
    }
    struct node *n = parent != NULL ? entries_find(&parent->names, name) : NULL;
    if (n == NULL) {
        return -ENOENT;
    }
    if (n->is_dir != is_dir) {
        return is_dir ? -ENOTDIR : -EISDIR;
    }
    if (is_dir && n->names.items.n > 0) {
        return -ENOTEMPTY;
    }
    int r = admit_whole(d, &happens);
    if (happens) {
        note_name(parent, false, name, NULL, 0);
    }
    return r;
}

static int disk_unlink(void *ctx, const char *path)
{
    return remove_name(ctx, path, false);
}

static int disk_rmdir(void *ctx, const char *path)
{
    return remove_name(ctx, path, true);
}

static int disk_mkdir(void *ctx, const char *path)
{
    struct mem_disk *d = ctx;
    const char *name = NULL;
    struct node *parent = d->is_dead ? NULL : parent_of(d, path, &name);
    bool happens = false;

    if (d->is_dead) {
        return -EIO;
    }
    if (parent == NULL) {
        return -ENOENT;
    }
    if (entries_find(&parent->names, name) != NULL) {
        return -EEXIST;
    }
    int r = admit_whole(d, &happens);
    if (happens) {
        note_name(parent, true, name, node_new(d, true), 0);
    }
    return r;
}

static int disk_list(void *ctx,
        const char *path,
        void (*each)(void *arg, const char *name, bool is_dir),
        void *arg)
{
    struct mem_disk *d = ctx;
    struct node *n = d->is_dead ? NULL : find(d, path);

    if (d->is_dead) {
        return -EIO;
    }
    if (n == NULL || !n->is_dir) {
        return -ENOENT;
    }
    ARRAY_FOREACH (it, &n->names.items) {
        each(arg, it->name, it->node->is_dir);
    }
    return 0;
}

static int disk_space(void *ctx, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    const struct mem_disk *d = ctx;

    *ret_total = INT64_MAX;
    *ret_free = d->room >= 0 ? (uint64_t)d->room : INT64_MAX;
    return d->is_dead ? -EIO : 0;
}

static int disk_lock(void *ctx, int fd)
{
    struct mem_disk *d = ctx;
    struct node *n = node_of(d, fd);

    if (d->is_dead) {
        return -EIO;
    }
    if (n->lock_fd >= 0 && n->lock_fd != fd) {
        return -EWOULDBLOCK;
    }
    n->lock_fd = fd;
    return 0;
}

static int disk_identity(void *ctx, const char *path, struct file_identity *ret)
{
    struct mem_disk *d = ctx;
    const struct node *n = d->is_dead ? NULL : find(d, path);

    if (n == NULL) {
        return d->is_dead ? -EIO : -ENOENT;
    }
    *ret = (struct file_identity){.device = 1, .fs_id = 2, .inode = n->inode};
    (void)snprintf(ret->boot_id, sizeof(ret->boot_id), "boot-%llu", (unsigned long long)d->n_boots);
    return 0;
}

static int disk_random(void *ctx, void *bytes, size_t size)
{
    struct mem_disk *d = ctx;
    uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)prng_u64(&d->prng);
    }
    return 0;
}

static const struct file_io table = {.open = disk_open,
        .close = disk_close,
        .pread = disk_pread,
        .pread_hot = disk_pread,
        .is_hot = disk_is_hot,
        .advise = disk_advise,
        .pwritev = disk_pwritev,
        .size = disk_size,
        .size_of = disk_size_of,
        .modified = disk_modified,
        .truncate = disk_truncate,
        .reserve = disk_reserve,
        .datasync = disk_datasync,
        .sync_dir = disk_sync_dir,
        .rename = disk_rename,
        .unlink = disk_unlink,
        .mkdir = disk_mkdir,
        .rmdir = disk_rmdir,
        .list = disk_list,
        .space = disk_space,
        .lock = disk_lock,
        .identity = disk_identity,
        .random = disk_random};

/* --- Death --------------------------------------------------------------------------------------- */

void mem_disk_end_process(struct mem_disk *d)
{
    ARRAY_FOREACH (n, &d->nodes) {
        (*n)->lock_fd = -1;
    }
    array_clear(&d->fds);
    d->is_dead = false;
    d->die_at = d->fail_at = 0;
}

/* Of the file's unsynced changes each survives or not, a write sector by sector. */
static void settle_file(struct mem_disk *d, struct node *n)
{
    uint64_t keep_of_16 = prng_below(&d->prng, 17); /* from all lost to all kept */

    ARRAY_FOREACH (c, &n->unsynced) {
        if (c->kind == CHANGE_CUT) {
            if (prng_below(&d->prng, 16) < keep_of_16) {
                contents_resize(&n->synced, c->at);
            }
            continue;
        }
        bool has_length = prng_below(&d->prng, 16) < keep_of_16;
        if (has_length && c->at + c->data.size > n->synced.size) {
            contents_resize(&n->synced, c->at + c->data.size);
        }
        for (int64_t at = 0; at < c->data.size;) {
            int64_t part = SECTOR - (c->at + at) % SECTOR;
            part = part < c->data.size - at ? part : c->data.size - at;
            if (prng_below(&d->prng, 16) < keep_of_16) {
                contents_write(&n->synced, c->data.bytes + at, part, c->at + at);
            }
            at += part;
        }
    }
    contents_copy(&n->now, &n->synced);
}

/* A rename's two halves have one fate: it hangs on the group alone. */
static bool name_survives(struct mem_disk *d, const struct change *c, uint64_t salt)
{
    if (c->group == 0) {
        return prng_below(&d->prng, 2) == 0;
    }
    struct prng p;
    prng_init(&p, salt ^ c->group);
    return prng_below(&p, 2) == 0;
}

static void settle_folder(struct mem_disk *d, struct node *n, uint64_t salt)
{
    ARRAY_FOREACH (c, &n->unsynced) {
        if (!name_survives(d, c, salt)) {
            continue;
        }
        if (c->kind == CHANGE_ADD) {
            entries_set(&n->durable, c->name, c->node);
        } else {
            entries_remove(&n->durable, c->name);
        }
    }
    entries_copy(&n->names, &n->durable);
}

void mem_disk_cut_power(struct mem_disk *d)
{
    uint64_t salt = prng_u64(&d->prng);

    ARRAY_FOREACH (it, &d->nodes) {
        if ((*it)->is_dir) {
            settle_folder(d, *it, salt);
        } else {
            settle_file(d, *it);
        }
        node_forget_changes(*it);
    }
    d->n_boots++;
    mem_disk_end_process(d);
}

void mem_disk_die_at(struct mem_disk *d, uint64_t n)
{
    d->die_at = n > 0 ? d->n_changes + n : 0;
}

bool mem_disk_is_dead(const struct mem_disk *d)
{
    return d->is_dead;
}

uint64_t mem_disk_n_changes(const struct mem_disk *d)
{
    return d->n_changes;
}

void mem_disk_fail_at(struct mem_disk *d, uint64_t n, int error)
{
    d->fail_at = n > 0 ? d->n_changes + n : 0;
    d->fail_error = error;
}

void mem_disk_set_room(struct mem_disk *d, int64_t bytes)
{
    d->room = bytes;
}

/* --- Life ---------------------------------------------------------------------------------------- */

struct mem_disk *mem_disk_new(uint64_t seed)
{
    struct mem_disk *d = mem_new(struct mem_disk);

    prng_init(&d->prng, seed);
    d->io = table;
    d->io.ctx = d;
    d->room = -1;
    d->root = node_new(d, true);
    return d;
}

static void node_free(struct node *n)
{
    node_forget_changes(n);
    array_deinit(&n->unsynced);
    entries_clear(&n->names);
    entries_clear(&n->durable);
    array_deinit(&n->names.items);
    array_deinit(&n->durable.items);
    mem_free(n->now.bytes);
    mem_free(n->synced.bytes);
    mem_free(n);
}

struct mem_disk *mem_disk_free(struct mem_disk *d)
{
    if (d == NULL) {
        return NULL;
    }
    ARRAY_FOREACH (fd, &d->fds) {
        must(*fd == NULL);
    }
    ARRAY_FOREACH (n, &d->nodes) {
        node_free(*n);
    }
    array_deinit(&d->nodes);
    array_deinit(&d->fds);
    return mem_free(d);
}

const struct file_io *mem_disk_io(struct mem_disk *d)
{
    return &d->io;
}
