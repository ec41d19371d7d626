/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/wire/messages.h"
#include "common/wire/snapshot.h"
#include "common/zk/zk_paths.h"
#include "controller/shell/batch_cut.h"
#include "controller/shell/link_gains.h"
#include "controller/shell/meta_log.h"

#include <sys/queue.h>

/* Inside of the metadata log: meta_log.c reads and follows, meta_commit.c appends, meta_snap.c writes snapshots and
 * trims. Nobody else includes this. */

enum {
    META_IN_FLIGHT_MAX = 8,
    META_IN_FLIGHT_BYTES = 2 * 1024 * 1024,
    META_TRIM_KEEP = 16, /* [ZK-31] the chain check of an append needs the entry before it */
    META_RING_BYTES = 32 * 1024 * 1024,
};

enum meta_log_state {
    META_CLOSED,
    META_READING,
    META_TAILING,
    META_ACTIVE,
    META_BROKEN
};

/* One batch on its way into ZooKeeper. */
struct commit {
    STAILQ_ENTRY(commit) entry;
    uint64_t index, last_seq, crc;
    struct uuid nonce;
    struct buf bytes;

    enum {
        COMMIT_SENT,
        COMMIT_DONE,
        COMMIT_UNKNOWN
    } state;

    wtime sent;
};

struct meta_log {
    struct loop *loop;
    struct zk *zk;
    struct meta_log_options options;
    enum meta_log_state state;
    bool is_taking;
    uint64_t round; /* answers to what was asked in a former round are not ours */

    struct image *image; /* committed */
    struct image *work;  /* being read: `image`, or a fresh one that replaces it */
    bool is_read;
    unsigned n_rereads;
    struct timer again;
    char why[256];
    bool is_troubled; /* `why` says what is wrong with the log */

    /* /weir/meta/head as last read or written. */
    struct {
        bool exists;
        struct msg_snap_head value; /* .dir is `dir` */
        char dir[64];
        int32_t version;
    } head;

    bool head_watch_is_set;

    uint64_t chunk_crc, chunk_bytes; /* of the snapshot being read */
    uint64_t read_to;                /* last entry that the listing showed */
    unsigned n_tail;                 /* exists calls under way; only the last one counts */
    bool tail_is_getting;

    struct batch_ring *ring;
    struct link_gains gains; /* of the last batch */

    /* Appending. */
    uint64_t ctl_epoch;
    int32_t fence;
    uint64_t chain_index, chain_crc; /* of the last batch made, committed or not */
    struct batch_cut pending;
    STAILQ_HEAD(commit_list, commit) commits;
    size_t n_commits, commit_bytes;
    struct timer resolve_again, apply_again;
    bool is_resolving, resolve_is_under_way;
    uint64_t bytes_since_head;

    struct snap_job *snap; /* a snapshot being written, or a clean-up; NULL = none */
    wtime snap_not_before;
};

struct meta_ask {
    struct meta_log *l;
    uint64_t round;
    uint64_t i;
};

struct meta_ask *meta_ask_new(struct meta_log *l, uint64_t i);
/* Frees the ask; true when its round is still on. */
bool meta_ask_end(struct meta_ask *a, struct meta_log **ret, uint64_t *ret_i);

/* Checks one batch against the chain and applies it to `image`; NULL, or why it cannot be trusted (l->why). */
const char *meta_apply_batch(struct meta_log *l, struct image *image, struct bytes value);
/* [ZK-32] What is stored cannot be trusted, or the image holds half a batch: read again later, not active until then. */
void meta_log_broken(struct meta_log *l, const char *why);

/* meta_commit.c */
void meta_commit_init(struct meta_log *l);
void meta_commit_deinit(struct meta_log *l);
void meta_commit_start(struct meta_log *l);
void meta_commit_drop(struct meta_log *l);
void meta_commit_on_connection(struct meta_log *l);

/* meta_snap.c: writes a snapshot when one is due; cleans up after former controllers. */
void meta_snap_maybe(struct meta_log *l);
void meta_snap_clean(struct meta_log *l);
void meta_snap_cancel(struct meta_log *l);
