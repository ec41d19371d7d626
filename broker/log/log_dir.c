/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir.h"

#include "broker/log/kv_file.h"
#include "broker/log/log_dir_impl.h"
#include "broker/log/partition_identity.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/obs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *log_dir_file(const struct log_dir *d, const char *name)
{
    return mem_format("%s/%s", d->path, name);
}

/* The sentence for the person, and the outcome. */
struct refusal {
    char *text;
    size_t size;
};

__attribute__((format(printf, 3, 4))) static int refuse(
        struct refusal *f, int outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(f->text, f->size, format, args);
    va_end(args);
    return outcome;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static bool is_access_problem(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM || r == -EROFS ||
           r == -ELOOP || r == -ENAMETOOLONG || r == -EISDIR;
}

static int lock(struct log_dir *d, struct refusal *f)
{
    /* Synced also when it is there: who made it may have died before that. A parent that this user may not read was
     * made by another. */
    int r = durable_mkdir(d->io, d->path);

    r = r == -EACCES && d->io->size_of(d->io->ctx, d->path) >= 0 ? 0 : r;
    char *path = log_dir_file(d, ".lock");
    if (r >= 0) {
        r = d->io->open(d->io->ctx, path, O_RDWR | O_CREAT);
    }
    mem_free(path);
    if (is_access_problem(r)) {
        return refuse(
                f, LOG_DIR_E_ACCESS, "log directory %s cannot be used: %s", d->path, strerror(-r));
    }
    if (r < 0) {
        return err_forward(r);
    }
    d->lock_fd = r;
    r = d->io->lock(d->io->ctx, d->lock_fd);
    if (r == -EWOULDBLOCK) {
        return refuse(f, LOG_DIR_E_LOCKED,
                "log directory %s is in use by another running broker (it holds %s/.lock)", d->path,
                d->path);
    }
    return r < 0 ? err_forward(r) : 0;
}

struct name_list {
    ARRAY(char *) names;
};

static void collect_folder(void *arg, const char *name, bool is_dir)
{
    struct name_list *list = arg;

    if (is_dir && name[0] != '.') {
        *array_push(&list->names) = mem_strdup(name);
    }
}

static void name_list_deinit(struct name_list *list)
{
    ARRAY_FOREACH (name, &list->names) {
        mem_free(*name);
    }
    array_deinit(&list->names);
}

static int find_log(struct log_dir *d, const char *name)
{
    struct partition_identity p = {0};
    char *path = log_dir_file(d, name);
    int r = partition_identity_read(d->io, path, &p);

    if (r > 0) {
        log_warn("log_dir", "folder_left_alone", KV_STR("folder", path),
                KV_STR("why", r == PARTITION_IDENTITY_E_ABSENT ? "no partition.metadata"
                                                               : "partition.metadata is damaged"));
    }
    mem_free(path);
    if (r == 0) {
        *array_push(&d->logs) = (struct found_log){
                .name = mem_strdup(name), .topic_id = p.topic_id, .partition = p.partition};
    }
    return r < 0 ? err_forward(r) : 0;
}

static int find_logs(struct log_dir *d)
{
    struct name_list list = {0};
    int r = d->io->list(d->io->ctx, d->path, collect_folder, &list);

    for (size_t i = 0; i < list.names.n && r >= 0; i++) {
        r = find_log(d, list.names.items[i]);
    }
    name_list_deinit(&list);
    return r < 0 ? err_forward(r) : 0;
}

/* A directory without identity gets one, in memory until log_dir_adopt. */
static int be_fresh(struct log_dir *d, struct refusal *f)
{
    uint64_t seed = 0;
    struct prng prng;

    if (d->logs.n > 0) {
        return refuse(f, LOG_DIR_E_FOREIGN,
                "log directory %s holds partitions (%s, …) but no meta.properties that says whose "
                "they are",
                d->path, d->logs.items[0].name);
    }
    int r = d->io->random(d->io->ctx, &seed, sizeof(seed));
    if (r < 0) {
        return err_forward(r);
    }
    prng_init(&prng, seed);
    d->id = uuid_from_prng(&prng);
    return 0;
}

/* meta.properties. The broker must not guess whose directory this is: an unreadable one is refused,
 * not ignored. */
static int read_identity(struct log_dir *d, struct refusal *f, bool *ret_is_fresh)
{
    struct kv_file kv = {0};
    int64_t broker = -1;
    char *path = log_dir_file(d, "meta.properties");
    int r = kv_file_read(d->io, path, &kv);

    mem_free(path);
    if (r < 0) {
        return err_forward(r);
    }
    *ret_is_fresh = r == KV_FILE_E_ABSENT;
    if (r == KV_FILE_E_ABSENT) {
        return be_fresh(d, f);
    }
    bool is_whole = r == 0 && kv_file_get_i64(&kv, "broker.id", &broker) &&
                    kv_file_get_uuid(&kv, "cluster.id", &d->cluster_id) &&
                    kv_file_get_uuid(&kv, "directory.id", &d->id);
    if (r == 0) {
        kv_file_deinit(&kv);
    }
    if (!is_whole) {
        return refuse(f, LOG_DIR_E_FOREIGN,
                "%s/meta.properties is damaged or of a newer version (known: 1); it says whose "
                "data this is, so the broker does not go on without it",
                d->path);
    }
    if (broker != d->broker) {
        return refuse(f, LOG_DIR_E_FOREIGN,
                "log directory %s belongs to broker %lld, not to broker %d", d->path,
                (long long)broker, d->broker);
    }
    return 0;
}

static int open_locked(struct log_dir *d, struct refusal *f)
{
    bool is_fresh = false;
    int r = lock(d, f);

    if (r == 0) {
        r = d->io->identity(d->io->ctx, d->path, &d->identity);
    }
    if (r == 0) {
        r = find_logs(d);
    }
    if (r == 0) {
        r = read_identity(d, f, &is_fresh);
    }
    if (r == 0) {
        r = markers_read(d, is_fresh);
    }
    if (r == 0) {
        r = catalog_read(d);
    }
    if (r == 0) {
        r = checkpoints_read(d);
    }
    if (r == 0) {
        d->is_forgotten = mem_new_n(atomic_bool, d->n_checkpoints + 1);
        r = log_trash_read(d);
    }
    return r;
}

int log_dir_open(const struct file_io *io,
        const char *path,
        broker_id broker,
        struct log_dir **ret,
        char *error,
        size_t error_size)
{
    struct log_dir *d = mem_new(struct log_dir);
    struct refusal f = {.text = error, .size = error_size};
    size_t path_size = strlen(path);

    while (path_size > 1 && path[path_size - 1] == '/') {
        path_size--;
    }
    d->io = io;
    d->path = mem_strndup(path, path_size);
    d->lock_fd = -1;
    d->broker = broker;
    atomic_init(&d->is_trash_unsynced, true); /* an earlier run may have died before it */
    must(pthread_mutex_init(&d->marker_lock, NULL) == 0);
    must(pthread_mutex_init(&d->failure_lock, NULL) == 0);
    must(pthread_mutex_init(&d->reserve_lock, NULL) == 0);
    atomic_init(&d->room, INT64_MAX);
    int r = open_locked(d, &f);
    if (is_access_problem(r)) { /* readable by the lock's owner only, or gone meanwhile */
        r = refuse(&f, LOG_DIR_E_ACCESS, "log directory %s cannot be read: %s", path, strerror(-r));
    }
    if (r != 0) {
        (void)log_dir_close(d);
        return r < 0 ? err_forward(r) : r;
    }
    *ret = d;
    return 0;
}

struct log_dir *log_dir_close(struct log_dir *d)
{
    if (d == NULL) {
        return NULL;
    }
    if (d->lock_fd >= 0) {
        (void)d->io->close(d->io->ctx, d->lock_fd); /* nothing was written through it */
    }
    ARRAY_FOREACH (log, &d->logs) {
        mem_free(log->name);
    }
    array_deinit(&d->logs);
    log_trash_close(d);
    mem_free(d->catalog);
    mem_free(d->checkpoints);
    mem_free(d->is_forgotten);
    (void)pthread_mutex_destroy(&d->marker_lock);
    (void)pthread_mutex_destroy(&d->failure_lock);
    (void)pthread_mutex_destroy(&d->reserve_lock);
    mem_free(d->path);
    return mem_free(d);
}

int log_dir_adopt(struct log_dir *d, const struct uuid *cluster_id)
{
    char cluster[UUID_TEXT_SIZE], id[UUID_TEXT_SIZE];

    must(!uuid_is_zero(cluster_id));
    if (!uuid_is_zero(&d->cluster_id)) {
        return uuid_equal(&d->cluster_id, cluster_id) ? 0 : LOG_DIR_E_FOREIGN;
    }
    char *path = log_dir_file(d, "meta.properties");
    char *lines = mem_format("cluster.id=%s\nbroker.id=%d\ndirectory.id=%s\n",
            uuid_format(cluster_id, cluster), d->broker, uuid_format(&d->id, id));
    int r = kv_file_write(d->io, path, lines);
    mem_free(lines);
    mem_free(path);
    if (r < 0) {
        if (!log_dir_is_scarce(r)) {
            log_dir_fail(d, r, "meta.properties could not be written");
        }
        return err_forward(r);
    }
    d->cluster_id = *cluster_id;
    return 0;
}

/* --- Queries ---------------------------------------------------------------------------------- */

const char *log_dir_path(const struct log_dir *d)
{
    return d->path;
}

const struct uuid *log_dir_id(const struct log_dir *d)
{
    return &d->id;
}

const struct uuid *log_dir_cluster_id(const struct log_dir *d)
{
    return &d->cluster_id;
}

enum crash_kind log_dir_crash_kind(const struct log_dir *d)
{
    return d->kind;
}

int64_t log_dir_prev_epoch(const struct log_dir *d)
{
    return d->prev_epoch;
}

const struct file_io *log_dir_io(const struct log_dir *d)
{
    return d->io;
}

void log_dir_set_stalled(struct log_dir *d, uint32_t ms)
{
    atomic_store(&d->stalled_ms, ms);
}

uint32_t log_dir_stalled_ms(const struct log_dir *d)
{
    return atomic_load(&d->stalled_ms);
}

/* --- Opening logs ----------------------------------------------------------------------------- */

int64_t log_dir_scanned_bytes(const struct log_dir *d)
{
    return atomic_load(&d->scanned);
}

void log_dir_note_scanned(struct log_dir *d, int64_t bytes)
{
    (void)atomic_fetch_add(&d->scanned, bytes);
}

void log_dir_interrupt(struct log_dir *d)
{
    atomic_store(&d->is_interrupted, true);
}

bool log_dir_is_interrupted(const struct log_dir *d)
{
    return atomic_load(&d->is_interrupted);
}

const struct found_log *log_dir_logs(const struct log_dir *d, size_t *ret_n)
{
    *ret_n = d->logs.n;
    return d->logs.items;
}
