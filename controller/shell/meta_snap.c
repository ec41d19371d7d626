/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/meta_log_internal.h"

#include "common/obs/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Snapshots of the log in ZooKeeper, and trimming.
 *
 *   make the folder → write the chunks, 4 at a time → [check epoch, set head] → delete what is no longer needed
 *
 * The step that counts is the third. A job that breaks off earlier leaves a folder that head does not name: the next
 * clean-up, also another controller's, removes it. [ZK-31] */

enum {
    CHUNKS_IN_FLIGHT = 4,
    DELETES_PER_MULTI = 200
};

#define SNAP_RETRY       WTIME_S(10)
#define SNAP_BYTES_LEAST (4U * 1024 * 1024)

struct snap_job {
    struct meta_log *l; /* NULL = cancelled: only the answers under way are awaited */
    unsigned n_asked;   /* answers under way */
    struct snapshot snapshot;
    size_t next_chunk, n_written;
    char dir[64];
    ARRAY(char *) doomed; /* paths to delete, children in front of their folders */
    size_t n_listings;    /* folders whose children are being listed */
};

struct snap_ask {
    struct snap_job *job;
    char *path; /* of a listing */
};

static void job_free(struct snap_job *job)
{
    snapshot_deinit(&job->snapshot);
    ARRAY_FOREACH (path, &job->doomed) {
        mem_free(*path);
    }
    array_deinit(&job->doomed);
    mem_free(job);
}

static struct snap_job *job_new(struct meta_log *l)
{
    struct snap_job *job = mem_new(struct snap_job);

    job->l = l;
    l->snap = job;
    return job;
}

/* One answer came; NULL when the job was cancelled (and is freed with its last answer). */
static struct meta_log *answered(struct snap_job *job)
{
    job->n_asked--;
    if (job->l == NULL) {
        if (job->n_asked == 0) {
            job_free(job);
        }
        return NULL;
    }
    return job->l;
}

static void cancel(struct snap_job *job)
{
    job->l->snap = NULL;
    job->l = NULL;
    if (job->n_asked == 0) {
        job_free(job);
    }
}

void meta_snap_cancel(struct meta_log *l)
{
    if (l->snap != NULL) {
        cancel(l->snap);
    }
}

static void give_up(struct snap_job *job, const char *step, enum zk_rc rc)
{
    log_warn("meta_log", "snapshot_put_off", KV_STR("step", step), KV_STR("detail", zk_rc_text(rc)),
            KV_STR("action", "tried again in 10 s"));
    job->l->snap_not_before = wtime_add(clock_now(), SNAP_RETRY);
    cancel(job);
}

/* --- Deleting ---------------------------------------------------------------------------------- */

static void delete_some(struct snap_job *job);

static void on_deleted(void *ctx, enum zk_rc rc, int failed)
{
    struct snap_job *job = ctx;

    if (answered(job) == NULL) {
        return;
    }
    if (rc != ZK_OK) {
        give_up(job, "delete", rc);
        return;
    }
    delete_some(job);
}

static void delete_some(struct snap_job *job)
{
    struct meta_log *l = job->l;
    struct zk_op ops[DELETES_PER_MULTI + 1] = {
            {.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = l->fence}};
    size_t n = job->doomed.n < DELETES_PER_MULTI ? job->doomed.n : DELETES_PER_MULTI;

    if (n == 0) {
        cancel(job); /* done */
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ops[i + 1] =
                (struct zk_op){.kind = ZK_OP_DELETE, .path = job->doomed.items[i], .version = -1};
    }
    job->n_asked++;
    zk_multi(l->zk, ops, (int)n + 1, on_deleted, job);
    for (size_t i = 0; i < n; i++) {
        mem_free(job->doomed.items[i]);
    }
    memmove(job->doomed.items, job->doomed.items + n,
            (job->doomed.n - n) * sizeof(*job->doomed.items));
    job->doomed.n -= n;
}

static void doom(struct snap_job *job, char *path)
{
    *array_push(&job->doomed) = path;
}

static void on_chunks(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct snap_ask *ask = ctx;
    struct snap_job *job = ask->job;
    char *folder = ask->path;

    mem_free(ask);
    if (answered(job) == NULL) {
        mem_free(folder);
        return;
    }
    if (rc != ZK_OK) {
        mem_free(folder);
        give_up(job, "list a folder", rc);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        doom(job, mem_format("%s/%s", folder, names[i]));
    }
    doom(job, folder);
    if (--job->n_listings == 0) {
        delete_some(job);
    }
}

static void on_folders(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct snap_job *job = ctx;
    struct meta_log *l = answered(job);

    if (l == NULL) {
        return;
    }
    if (rc != ZK_OK) {
        give_up(job, "list the snapshots", rc);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct snap_ask *ask = NULL;
        if (l->head.exists && strcmp(names[i], l->head.dir) == 0) {
            continue;
        }
        ask = mem_new(struct snap_ask);
        ask->job = job;
        ask->path = mem_format("%s/%s", ZK_PATH_META_SNAP, names[i]);
        job->n_asked++;
        job->n_listings++;
        zk_children(l->zk, ask->path, NULL, on_chunks, ask);
    }
    if (job->n_listings == 0) {
        delete_some(job);
    }
}

/* [DEC-6] The journal lags behind: what it lacks is left to it, within bounds. It is not waited for: the next clean-up
 * takes what this one leaves. */
static bool is_spared(const struct meta_log *l, uint64_t index)
{
    uint64_t from = l->options.needs_from != NULL ? l->options.needs_from(l->options.ctx) : 0;

    return from > 0 && index >= from && index + META_LOG_SPARED > l->head.value.index;
}

static void on_entries(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct snap_job *job = ctx;
    struct meta_log *l = answered(job);

    if (l == NULL) {
        return;
    }
    if (rc != ZK_OK) {
        give_up(job, "list the log", rc);
        return;
    }
    for (size_t i = 0; i < n && l->head.exists; i++) {
        uint64_t index = strtoull(names[i], NULL, 16);
        if (index + META_TRIM_KEEP <= l->head.value.index && !is_spared(l, index)) {
            doom(job, mem_format("%s/%s", ZK_PATH_META_LOG, names[i]));
        }
    }
    job->n_asked++;
    zk_children(l->zk, ZK_PATH_META_SNAP, NULL, on_folders, job);
}

static void clean_begin(struct snap_job *job)
{
    job->n_asked++;
    zk_children(job->l->zk, ZK_PATH_META_LOG, NULL, on_entries, job);
}

void meta_snap_clean(struct meta_log *l)
{
    if (l->snap == NULL) {
        clean_begin(job_new(l));
    }
}

/* --- Writing ----------------------------------------------------------------------------------- */

static void on_head_set(void *ctx, enum zk_rc rc, int failed)
{
    struct snap_job *job = ctx;
    struct meta_log *l = answered(job);

    if (l == NULL) {
        return;
    }
    if (rc == ZK_UNKNOWN) {
        /* Whether head moved decides what may be deleted: nothing is, until a controller has read it again. */
        l->snap_not_before = WTIME_NEVER;
        cancel(job);
        l->options.on_append_failed(
                l->options.ctx, "whether the new snapshot was taken over is not known");
        return;
    }
    if (rc != ZK_OK) {
        cancel(job);
        l->options.on_append_failed(l->options.ctx,
                "another controller was elected, or changed the head of the snapshot");
        return;
    }
    l->head.version = l->head.exists ? l->head.version + 1 : 0;
    l->head.exists = true;
    snprintf(l->head.dir, sizeof(l->head.dir), "%s", job->dir);
    l->head.value = (struct msg_snap_head){.index = job->snapshot.at.index,
            .dir = l->head.dir,
            .chunks = (uint32_t)job->snapshot.chunks.n,
            .bytes = job->snapshot.bytes,
            .crc64 = job->snapshot.crc,
            .log_crc64 = job->snapshot.at.crc,
            .last_seq = job->snapshot.at.last_seq};
    l->bytes_since_head = 0;
    log_info("meta_log", "snapshot_written", KV_U64("index", job->snapshot.at.index),
            KV_U64("bytes", job->snapshot.bytes), KV_U64("chunks", job->snapshot.chunks.n));
    clean_begin(job);
}

static void set_head(struct snap_job *job)
{
    struct meta_log *l = job->l;
    struct msg_snap_head head = {.index = job->snapshot.at.index,
            .dir = job->dir,
            .chunks = (uint32_t)job->snapshot.chunks.n,
            .bytes = job->snapshot.bytes,
            .crc64 = job->snapshot.crc,
            .log_crc64 = job->snapshot.at.crc,
            .last_seq = job->snapshot.at.last_seq};
    struct buf value = {0};
    struct zk_op ops[2] = {{.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = l->fence}};

    wire_encode_snap_head(&head, &value);
    ops[1] = (struct zk_op){.kind = l->head.exists ? ZK_OP_SET : ZK_OP_CREATE,
            .path = ZK_PATH_META_HEAD,
            .data = {.at = value.data, .size = value.size},
            .version = l->head.version};
    job->n_asked++;
    zk_multi(l->zk, ops, 2, on_head_set, job);
    buf_deinit(&value);
}

static void write_chunks(struct snap_job *job);

static void on_written(void *ctx, enum zk_rc rc)
{
    struct snap_job *job = ctx;

    if (answered(job) == NULL) {
        return;
    }
    if (rc != ZK_OK) {
        give_up(job, "write a chunk", rc);
        return;
    }
    if (job->n_written++ == job->snapshot.chunks.n) { /* the folder counts too */
        set_head(job);
    } else {
        write_chunks(job);
    }
}

static void write_chunks(struct snap_job *job)
{
    while (job->n_asked < CHUNKS_IN_FLIGHT && job->next_chunk < job->snapshot.chunks.n) {
        const struct buf *chunk = &job->snapshot.chunks.items[job->next_chunk];
        char *path =
                mem_format("%s/%s/%04x", ZK_PATH_META_SNAP, job->dir, (unsigned)job->next_chunk);
        job->next_chunk++;
        job->n_asked++;
        zk_create(job->l->zk, path, (struct bytes){.at = chunk->data, .size = chunk->size},
                ZK_PERSISTENT, on_written, job);
        mem_free(path);
    }
}

static void write_begin(struct meta_log *l)
{
    struct snap_job *job = job_new(l);
    uint32_t nonce = 0;
    char *path = NULL;

    must(getrandom(&nonce, sizeof(nonce), 0) == (ssize_t)sizeof(nonce));
    snapshot_build(l->image, &job->snapshot);
    snprintf(
            job->dir, sizeof(job->dir), "%016" PRIx64 ".%08" PRIx32, job->snapshot.at.index, nonce);
    path = mem_format("%s/%s", ZK_PATH_META_SNAP, job->dir);
    job->n_asked++;
    zk_create(l->zk, path, (struct bytes){0}, ZK_PERSISTENT, on_written, job);
    mem_free(path);
    write_chunks(job);
}

void meta_snap_maybe(struct meta_log *l)
{
    uint64_t index = image_position(l->image).index;
    uint64_t since = index - (l->head.exists ? l->head.value.index : 0);
    uint64_t least = l->head.exists && l->head.value.bytes / 2 > SNAP_BYTES_LEAST
                             ? l->head.value.bytes / 2
                             : SNAP_BYTES_LEAST;

    if (l->state != META_ACTIVE || l->snap != NULL || clock_now() < l->snap_not_before) {
        return;
    }
    if (since >= (uint64_t)l->options.snapshot_entries || l->bytes_since_head >= least) {
        write_begin(l);
    }
}
