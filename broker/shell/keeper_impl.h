/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/broker.h"
#include "broker/shell/chore.h"
#include "broker/shell/keeper.h"

/* What the parts of the keeper share; nobody else includes it.
 *
 *   keeper.c          life, timers, space and trash
 *   keeper_upkeep.c   what is done to one partition after the other: syncs, seals, producers, rolls, retention
 *   keeper_tables.c   what each folder says of its partitions: checkpoints and catalog
 *   keeper_jobs.c     what is asked of one folder or partition: markers, moves into the trash, a sync at once */

struct log_dir;

enum keeper_chore {
    KEEPER_FLUSH,
    KEEPER_CHECKPOINT,
    KEEPER_CATALOG,
    KEEPER_PURGE,
    KEEPER_ROLL,
    KEEPER_SEAL,
    KEEPER_SPACE,
    KEEPER_PRODUCERS,
    KEEPER_RETAIN,
    KEEPER_REMOVE,
    KEEPER_N_CHORES
};

/* What the pool last measured of one folder. */
struct dir_state {
    atomic_uint_least64_t total, free, reserve, log_bytes;
};

struct keeper {
    struct broker *b;
    struct chore chores[KEEPER_N_CHORES];
    struct timer flush_timer, short_flush_timer, checkpoint_timer, space_timer, retain_timer;
    atomic_bool has_removals; /* segments or their files wait for the next turn */
    pthread_mutex_t waiting_lock;
    STAILQ_HEAD(, io_job) waiting; /* under waiting_lock: for the next checkpoint */
    atomic_int_least64_t reserve_wanted; /* weir.disk.reserve.bytes */
    /* By folder. Apart from the pool, so that who waits for an fsync never waits for a purge or
     * for another disk. */
    struct io_pool **syncers;
    atomic_bool is_round_whole;          /* the next KEEPER_FLUSH is the regular one: all partitions */
    atomic_int_least64_t flush_ms_least; /* over all partitions, as of the last round */
    struct dir_state *dirs;
    atomic_size_t n_trashing; /* jobs on the pool that move a log into the trash */
    pthread_mutex_t later_lock;
    STAILQ_HEAD(, io_job) later; /* under later_lock: dir_jobs that wait for a descriptor */
    atomic_uint_least64_t catalog_index;
    atomic_bool is_adopted;
    wtime next_expiry; /* the chore's */
};

/* Thread: any. */
void keeper_ask(struct keeper *k, enum keeper_chore chore);
/* What a chore tried in that folder did not work out. Thread: pool. */
void keeper_chore_failed(struct keeper *k,
        enum keeper_chore chore,
        const char *event,
        const struct log_dir *dir,
        int r);

/* The chores' work; `ctx` is the keeper. Thread: pool, and main at the end. */
void keeper_do_flush(void *ctx);
void keeper_do_seal(void *ctx);
void keeper_do_producers(void *ctx);
void keeper_do_roll(void *ctx);
void keeper_do_retain(void *ctx);
void keeper_do_remove(void *ctx);
void keeper_do_checkpoint(void *ctx);
void keeper_do_catalog(void *ctx);

/* [PID-32] Of every partition, at an orderly stop. Thread: main. */
void keeper_save_producers_at_stop(struct keeper *k);
/* The time until the next look at partitions of a short flush.ms; false: none has one. Thread:
 * any. */
bool keeper_has_short_flush(const struct keeper *k, int64_t *ret_period_ms);
/* One job that waits for a descriptor has its next turn. Thread: control. */
void keeper_retry_job(struct keeper *k);
void keeper_drop_jobs(struct keeper *k); /* those that wait, at the end. Thread: main. */
