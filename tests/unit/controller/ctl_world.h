/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "controller/core/ctl.h"

/* A controller core with everything around it that a test needs: the story it tells, the log it
 * writes, and the image that the world sees. After each event it checks the core, the image, and
 * that the records applied to an image of their own give the core's image. */
struct world {
    struct ctl *ctl;
    struct ctl_fx fx;
    struct trace trace;
    struct buf story;  /* the trace, a line an item, since the last world_story() */
    struct image *log; /* what the records add up to */
    uint64_t last_seq;
    uint64_t ctl_epoch;
    size_t n_appended; /* records of the last event */
    wtime now;         /* of the events; */
    wall_ms wall;      /* 1000 at the begin */
    /* Of the next event only so many records reach the log: its controller dies. -1 = all. */
    int64_t keep_n;
    /* The answer to the last event; `detail` and `placement` live until the next. */
    bool has_reply;
    struct ctl_reply reply;
    /* Questions of the last event that asked any, until they are answered. */
    struct world_ask {
        broker_id id;
        int64_t epoch;
        size_t n;
        struct ctl_partition_ref refs[32];
    } asks[8];
    size_t n_asks;
    size_t n_size_asks; /* ASK_SIZES in all */
};

/* The trash of a test is a small one. */
enum {
    WORLD_TRASH_TOPICS = 8,
    WORLD_TRASH_PARTITIONS = 30,
    WORLD_OPERATIONS = 20
};

void world_init(struct world *w, int32_t replication_factor_max, uint64_t seed);
/* A controller that looks at the balance. */
void world_init_with_balance(struct world *w, int32_t replication_factor_max);
/* A controller that makes the topic of the decision journal. */
void world_init_with_journal(struct world *w, int32_t replication_factor_max);
void world_deinit(struct world *w);
/* Feeds the event (now, wall and request are filled in) and checks everything. */
void world_step(struct world *w, struct ctl_event ev);

/* The broker answers its question for the first partition, or for all with an error. */
void world_tell(struct world *w, broker_id id, epoch32 last_epoch, offset64 end);
void world_tell_error(struct world *w, broker_id id, int error);
const struct world_ask *world_ask_of(const struct world *w, broker_id id);

/* The events, in short. */
void world_elect(struct world *w); /* with the image that the log gives */
void world_listed(struct world *w);
void world_seen(struct world *w, broker_id id, int64_t epoch, enum crash_kind kind);
/* The registration names another incarnation than the last one as the one before it. */
void world_seen_after(
        struct world *w, broker_id id, int64_t epoch, enum crash_kind kind, int64_t prev_epoch);
/* The same with its only directory; NULL = none is named. */
void world_seen_with(struct world *w,
        broker_id id,
        int64_t epoch,
        enum crash_kind kind,
        int64_t prev_epoch,
        const struct uuid *dir);
void world_broker(struct world *w, enum ctl_event_kind kind, broker_id id, int64_t epoch);
void world_ready(struct world *w, broker_id id, int64_t epoch);
/* The topic's partition `p` has failed. */
void world_ready_but(
        struct world *w, broker_id id, int64_t epoch, const char *topic, int32_t partition);
/* It gives up its replica of the topic's partition while it runs. */
void world_failed(struct world *w, broker_id id, int64_t epoch, const char *topic, int32_t partition);
/* A proposal for the topic's partition, upon the present record or one so many epochs away. */
struct world_proposal {
    broker_id from;
    int64_t from_epoch;
    epoch32 leader_epoch_off, partition_epoch_off;
    struct ctl_isr_member isr[REPLICAS_MAX];
    size_t n;
    bool is_recovered, is_durable;
};
#define WORLD_PROPOSAL(id, epoch, ...)                                                             \
    (&(struct world_proposal){.from = (id), .from_epoch = (epoch), __VA_ARGS__})
/* ERRCODE_* of the only result, or of the whole request. */
int world_propose(
        struct world *w, const char *topic, int32_t partition, const struct world_proposal *p);
/* To these replicas, or with n = 0 back; the answer's only result. */
const struct ctl_reassigned *world_reassign(
        struct world *w, const char *topic, int32_t partition, struct broker_set target);
#define SET(...)                                                                                   \
    ((struct broker_set){sizeof((broker_id[]){__VA_ARGS__}) / sizeof(broker_id), {__VA_ARGS__}})
void world_create(
        struct world *w, const char *name, int32_t n_partitions, int32_t replication_factor);
void world_delete(struct world *w, const char *name);
/* Of the topic that was removed last. */
void world_restore(struct world *w, const char *as);
void world_purge(struct world *w);
/* Elected, listed, and brokers 1 to n with epochs 101… active. */
void world_start(struct world *w, broker_id n_brokers);

const struct partition_state *world_partition(
        const struct world *w, const char *topic, int32_t partition);
/* What was told since the last call; lives until the next event. */
const char *world_story(struct world *w);
