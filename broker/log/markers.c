/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/kv_file.h"
#include "broker/log/log_dir_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* How the previous run ended, and what this one leaves for the next:
 *
 *   begin_run:  pending.kind (when HOST) → run.marker → clean.marker removed; each synced before
 *               the next, so that a death between any two is read as the same kind or a worse one
 *   mark_clean: clean.marker
 *
 * clean.marker is believed whatever the boot or the disk: everything was synced. Whether it is *the
 * newest* state of this broker only the controller can tell, by comparing its broker epoch (a
 * restored old image has an old one). run.marker is believed only in the same boot, file system and
 * folder. pending.kind is believed by its mere being there: damaged or not, somebody meant HOST. */

static int read_marker(struct log_dir *d, const char *name, struct kv_file *ret)
{
    char *path = log_dir_file(d, name);
    int r = kv_file_read(d->io, path, ret);

    if (r == KV_FILE_E_DAMAGED) {
        log_warn("log_dir", "marker_ignored", KV_STR("file", path), KV_STR("why", "damaged"));
    }
    mem_free(path);
    return r;
}

/* The newest thing that can be said without a marker: the worst. */
static void found_nothing(struct log_dir *d)
{
    d->kind = CRASH_HOST;
    d->prev_epoch = BROKER_EPOCH_NONE;
}

static int read_clean(struct log_dir *d)
{
    struct kv_file f = {0};
    int64_t epoch = BROKER_EPOCH_NONE;
    int r = read_marker(d, "clean.marker", &f);

    if (r != 0) {
        return r;
    }
    if (kv_file_get_i64(&f, "broker_epoch", &epoch)) {
        d->kind = CRASH_CLEAN;
        d->prev_epoch = epoch;
        r = 0;
    } else {
        r = KV_FILE_E_DAMAGED;
    }
    kv_file_deinit(&f);
    return r;
}

static bool identity_matches(const struct kv_file *f, const struct file_identity *now)
{
    const char *boot_id = kv_file_get(f, "boot_id");
    uint64_t device = 0, fs_id = 0, inode = 0;

    return boot_id != NULL && now->boot_id[0] != '\0' && strcmp(boot_id, now->boot_id) == 0 &&
           kv_file_get_u64(f, "device", &device) && device == now->device &&
           kv_file_get_u64(f, "fs_id", &fs_id) && fs_id == now->fs_id &&
           kv_file_get_u64(f, "inode", &inode) && inode == now->inode;
}

static int read_run(struct log_dir *d)
{
    struct kv_file f = {0};
    int r = read_marker(d, "run.marker", &f);

    if (r != 0) {
        return r;
    }
    (void)kv_file_get_i64(&f, "broker_epoch", &d->prev_epoch); /* absent: stays none */
    if (identity_matches(&f, &d->identity)) {
        d->kind = CRASH_PROC;
    }
    kv_file_deinit(&f);
    return 0;
}

int markers_read(struct log_dir *d, bool is_fresh)
{
    char *pending = log_dir_file(d, "pending.kind");
    int64_t pending_size = d->io->size_of(d->io->ctx, pending);

    mem_free(pending);
    if (pending_size < 0 && pending_size != -ENOENT) {
        return err_forward((int)pending_size);
    }
    found_nothing(d);
    int r = read_clean(d);
    if (r > 0) {
        r = read_run(d);
    }
    if (r < 0) {
        return err_forward(r);
    }
    if (is_fresh || pending_size >= 0) {
        d->kind = CRASH_HOST;
    }
    d->is_pending = d->kind == CRASH_HOST;
    d->run_epoch = d->prev_epoch;
    return 0;
}

static int write_marker(struct log_dir *d, const char *name, const char *lines)
{
    char *path = log_dir_file(d, name);
    int r = kv_file_write(d->io, path, lines);

    for (size_t want = strlen(lines); log_dir_use_reserve(d, r, &want);) {
        r = kv_file_write(d->io, path, lines);
    }
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

static int remove_marker(struct log_dir *d, const char *name)
{
    char *path = log_dir_file(d, name);
    int r = durable_unlink(d->io, path);

    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

static int write_run(struct log_dir *d)
{
    char *lines = mem_format("boot_id=%s\ndevice=%" PRIu64 "\nfs_id=%" PRIu64 "\ninode=%" PRIu64
                             "\nbroker_epoch=%" PRId64 "\n",
            d->identity.boot_id, d->identity.device, d->identity.fs_id, d->identity.inode,
            d->run_epoch);
    int r = write_marker(d, "run.marker", lines);

    mem_free(lines);
    return r < 0 ? err_forward(r) : 0;
}

static int begin_run(struct log_dir *d)
{
    int r = 0;

    if (d->is_pending) {
        r = write_marker(d, "pending.kind", "kind=host\n");
    }
    if (r >= 0) {
        r = write_run(d);
    }
    if (r >= 0) {
        r = remove_marker(d, "clean.marker");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* A marker that cannot be written is a disk that cannot be trusted. */
static int or_fail(struct log_dir *d, int r, const char *why)
{
    if (r < 0) {
        if (!log_dir_is_scarce(r)) {
            log_dir_fail(d, r, why);
        }
        return err_forward(r);
    }
    return 0;
}

int log_dir_begin_run(struct log_dir *d, int64_t broker_epoch)
{
    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    (void)pthread_mutex_lock(&d->marker_lock);
    if (broker_epoch != BROKER_EPOCH_NONE) {
        d->run_epoch = broker_epoch;
    }
    int r = begin_run(d);
    (void)pthread_mutex_unlock(&d->marker_lock);
    return or_fail(d, r, "the markers of this run could not be written");
}

int log_dir_settled(struct log_dir *d)
{
    int r = 0;

    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    (void)pthread_mutex_lock(&d->marker_lock);
    if (d->is_pending) {
        r = remove_marker(d, "pending.kind");
        d->is_pending = r < 0;
    }
    (void)pthread_mutex_unlock(&d->marker_lock);
    return or_fail(d, r, "pending.kind could not be removed");
}

int log_dir_mark_clean(struct log_dir *d, int64_t broker_epoch, uint64_t meta_index)
{
    if (log_dir_failed(d)) {
        return err_origin(-EIO);
    }
    /* Who stops before it was registered is still the one before. */
    char *lines = mem_format("broker_epoch=%" PRId64 "\nboot_id=%s\nmeta_index=%" PRIu64 "\n",
            broker_epoch != BROKER_EPOCH_NONE ? broker_epoch : d->run_epoch, d->identity.boot_id,
            meta_index);
    (void)pthread_mutex_lock(&d->marker_lock);
    int r = write_marker(d, "clean.marker", lines);
    (void)pthread_mutex_unlock(&d->marker_lock);
    mem_free(lines);
    return or_fail(d, r, "clean.marker could not be written");
}

bool log_dir_is_scarce(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

void log_dir_fail(struct log_dir *d, int error, const char *why)
{
    (void)pthread_mutex_lock(&d->failure_lock);
    bool is_first = !atomic_load(&d->is_failed);
    if (is_first) {
        char *text = mem_format("%s: %s: %s", d->path, why, strerror(error < 0 ? -error : error));
        (void)strncpy(d->failure, text, sizeof(d->failure) - 1);
        mem_free(text);
        atomic_store(&d->is_failed, true);
    }
    (void)pthread_mutex_unlock(&d->failure_lock);
    if (!is_first) {
        return;
    }
    log_error("log_dir", "directory_failed", KV_STR("dir", d->path), KV_STR("why", why),
            KV_ERR(error < 0 ? error : -error));
    /* The next run must not take this one's unsynced data for safe. The disk may refuse even this;
     * then what is missing is found by the recovery, or by the CRC check of whoever reads. */
    (void)pthread_mutex_lock(&d->marker_lock);
    d->is_pending = true;
    int r = write_marker(d, "pending.kind", "kind=host\n");
    (void)pthread_mutex_unlock(&d->marker_lock);
    if (r < 0) {
        log_warn("log_dir", "failure_not_recorded", KV_STR("dir", d->path), KV_ERR(r));
    }
}

bool log_dir_failed(const struct log_dir *d)
{
    return atomic_load(&d->is_failed);
}

const char *log_dir_failure(const struct log_dir *d)
{
    /* Written once, before the flag. */
    return log_dir_failed(d) ? d->failure : "";
}
