/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/domain/image.h"
#include "common/zk/zk.h"
#include "controller/shell/batch_ring.h"

/* The metadata log in ZooKeeper: reading, tailing, appending, snapshots.
 *
 *  closed ──open──► reading ──end reached──► tailing ──take_over──► reading ──end reached──► active
 *                     ▲  ▲                     │  ▲                                            │
 *                     │  └── head moved past ──┘  └───────────────── stand_down ───────────────┘
 *                     └── every 10 s ── broken (a gap, a bad checksum, an unknown record)
 *
 * The image here is the committed one: it changes with a batch that ZooKeeper has, and with nothing else; the batches
 * that this controller appends are decoded and applied from the very bytes that were stored. [ZK-30] Thread: control. */
struct meta_log;

enum {
    META_LOG_SPARED = 4096
};

struct meta_log_options {
    int64_t snapshot_entries; /* batches after which a snapshot is written */
    /* The end of the log was reached; from now on it is followed (standby). Also after a re-read. */
    void (*on_read)(void *ctx);
    /* After take_over: the whole log is applied, and nobody else can append any more. */
    void (*on_taken)(void *ctx);
    /* The committed image went one batch on. `mine`: appended by us, records up to `last_seq` are committed. */
    void (*on_applied)(void *ctx, uint64_t index, uint64_t last_seq, bool mine);
    /* An append failed or was fenced: stand down. May be called inside meta_log_append(). */
    void (*on_append_failed)(void *ctx, const char *why);
    /* What is stored cannot be trusted; this controller must not be active. It is read again every 10 s. */
    void (*on_broken)(void *ctx, const char *why);
    /* The oldest entry that somebody would still read; 0 = none. Trimming spares it and what follows, as far as that is
     * within META_LOG_SPARED of the end. NULL = nobody. */
    uint64_t (*needs_from)(void *ctx);
    void *ctx;
};

struct meta_log *meta_log_new(
        struct loop *loop, struct zk *zk, const struct meta_log_options *options);
struct meta_log *meta_log_free(struct meta_log *l); /* after zk_free() */

/* A new session: reads everything anew, the image stays until that is done. */
void meta_log_open(struct meta_log *l);
/* The session is gone: what was being appended is dropped. */
void meta_log_close(struct meta_log *l);
void meta_log_on_connection(struct meta_log *l, bool connected);

/* The claim was won. on_taken follows, or on_broken. */
void meta_log_take_over(struct meta_log *l, uint64_t ctl_epoch, int32_t fence_version);
/* Commits records in this order (group commit: batched, several batches in flight). Only between on_taken and
 * meta_log_stand_down(). The records are copied. */
void meta_log_append(struct meta_log *l, const struct meta_record *records, size_t n);
/* Back to following; what was being appended is dropped, though it may turn out to be committed. */
void meta_log_stand_down(struct meta_log *l);

char *meta_log_path(uint64_t index); /* of an entry in ZooKeeper; to be freed */
const struct image *meta_log_image(const struct meta_log *l);
bool meta_log_is_read(const struct meta_log *l); /* at least once to the end */
/* Why what is stored cannot be trusted or understood; "" = nothing is wrong. Stays while it is read again. */
const char *meta_log_trouble(const struct meta_log *l);
bool meta_log_is_active(const struct meta_log *l);
/* Whether that broker gained leaderships by the last batch that was applied. */
bool meta_log_is_gained(const struct meta_log *l, broker_id id);
const struct batch_ring *meta_log_ring(const struct meta_log *l);
