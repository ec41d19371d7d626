/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/producers.h"
#include "broker/core/replica.h"
#include "broker/log/plog.h"
#include "common/base/arena.h"
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/prng.h"
#include "common/domain/image.h"
#include "common/wire/messages.h"
#include "controller/core/ctl.h"
#include "tests/lib/mem_disk.h"

/* A whole cluster in one process, under a seed: docs/dev/simulator.md.
 *
 *   sim_run.c     the event heap, the story, faults' clock, the end       sim_zk.c      ZooKeeper
 *   sim_net.c     messages: late, lost, doubled, overtaken                sim_ctl.c     a controller around ctl_step()
 *   sim_broker.c  a broker: registration, image, disk                     sim_part.c    a partition around replica_step()
 *   sim_follow.c  fetches of followers, both ends                         sim_client.c  producers and readers
 *   sim_log.c     its log, and the work on it                             sim_admin.c   what people ask for
 *   sim_fault.c   what breaks, and how it is mended                       sim_check.c   what must hold
 *   sim_cover.c   which rules were needed
 *
 * Time stands still within an event. Every choice comes from one generator, so a seed repeats bit for bit. */

enum {
    SIM_BROKERS_MAX = 5,
    SIM_CTLS_MAX = 3,
    SIM_PARTS_MAX = 3,
    SIM_CLIENTS = 2,
    SIM_NODE_CTL = SIM_BROKERS_MAX, /* brokers are the nodes from 0 on */
    SIM_NODE_CLIENT = SIM_NODE_CTL + SIM_CTLS_MAX,
    SIM_NODE_ZK = SIM_NODE_CLIENT + SIM_CLIENTS,
    SIM_NODES,
    SIM_WAITING = 8,
    SIM_STORY_LINES = 64,
    SIM_EPOCHS = 32, /* incarnations of one process that are remembered */
};

#define SIM_SESSION        WTIME_S(2)
#define SIM_BROKER_TIMEOUT WTIME_MS(1500)
#define SIM_LAG_MAX        WTIME_S(1)
#define SIM_LEASE          WTIME_S(2)
#define SIM_TOPIC          "t"

struct sim;

/* --- Messages -------------------------------------------------------------------------------- */

enum sim_msg_kind {
    /* To ZooKeeper, and its answers. */
    SIM_ZK_PING,
    SIM_ZK_PONG,
    SIM_ZK_EXPIRED,
    SIM_ZK_REGISTER,
    SIM_ZK_REGISTERED,
    SIM_ZK_CLAIM,
    SIM_ZK_CLAIMED,
    SIM_ZK_COMMIT,
    SIM_ZK_COMMITTED,
    SIM_ZK_LOOK,
    SIM_ZK_SEEN,
    /* Between a controller and a broker, on their connection but for the proposals. */
    SIM_PUSH,
    SIM_ACK,
    SIM_PROPOSE,
    SIM_PROPOSED,
    SIM_REPORT,
    SIM_SHUTDOWN,
    SIM_SHUTDOWN_DONE,
    SIM_ASK_ENDS,
    SIM_ENDS,
    /* Between brokers; of clients. */
    SIM_FETCH,
    SIM_FETCHED,
    SIM_PRODUCE,
    SIM_PRODUCED,
    SIM_READ,
    SIM_READ_DONE,
    SIM_MSG_KINDS
};

/* A broker's ephemeral node. */
struct sim_node {
    int64_t epoch; /* czxid; BROKER_EPOCH_NONE = it is not there */
    uint64_t session;
    enum crash_kind kind;
    int64_t prev_epoch; /* which incarnation it says was before */
    struct uuid dir;
};

struct sim_msg {
    enum sim_msg_kind kind;
    int from, to;
    uint64_t from_life, to_life; /* of the processes; to_life 0 = whoever is there */
    uint64_t conn;               /* of a controller's connection; 0 = a message of its own */
    uint64_t token;              /* comes back with the answer */
    struct uuid topic_id; /* of `part` */
    int part;
    int error;
    struct buf data;

    union {
        struct {
            uint64_t session;
            enum crash_kind crash_kind;
            int64_t prev_epoch;
            struct uuid dir;
            bool is_forced;
            bool is_won, is_done;
            uint64_t nonce, ctl_epoch, fence, n; /* n: of a batch */
            int64_t epoch;
            uint64_t change;
            bool has_controller;
            struct sim_node brokers[SIM_BROKERS_MAX];
        } zk;

        struct {
            uint64_t ctl_epoch, from, n; /* batches (from, n] */
        } push;

        struct {
            uint64_t ctl_epoch, applied;
            int64_t epoch; /* of the incarnation that is ready; BROKER_EPOCH_NONE = not yet */
            bool is_diskless;
            uint8_t n_failed;
            uint8_t failed[SIM_PARTS_MAX];
        } ack;

        struct {
            int64_t broker_epoch;
            epoch32 last_epoch;
            offset64 end;
        } ends;

        struct {
            int64_t broker_epoch;
            struct replica_proposal proposal;
            struct partition_state record; /* of the answer */
            uint32_t remaining;
        } propose;

        struct {
            int64_t broker_epoch;
            epoch32 leader_epoch, last_epoch;
            offset64 offset, flushed;
            bool is_look;
            bool is_latest; /* a reader: where does it end? */
            offset64 hw, log_start, diverging_end; /* of the answer */
            epoch32 diverging_epoch;
        } fetch;

        struct {
            int32_t acks;
            offset64 base;
            epoch32 leader_epoch; /* of who answers */
        } produce;
    };
};

/* --- Events ---------------------------------------------------------------------------------- */

typedef void sim_event_fn(struct sim *s, int node, uint64_t arg);

struct sim_event {
    wtime at;
    uint64_t seq;
    int node;      /* whose it is; -1 = nobody's */
    uint64_t life; /* of its process; 0 = also when there is none */
    sim_event_fn *run;
    uint64_t arg;
    struct sim_msg *msg; /* delivered, or NULL */
};

/* --- ZooKeeper ------------------------------------------------------------------------------- */

struct sim_batch {
    uint64_t nonce, ctl_epoch;
    struct msg_record_list records;
    struct arena arena;
};

struct sim_session {
    uint64_t id;
    wtime heard;
    bool is_open;
};

struct sim_zk {
    struct sim_session sessions[SIM_NODES];
    struct sim_node brokers[SIM_BROKERS_MAX];
    uint64_t change;                        /* of `brokers` */
    uint64_t controller;                    /* session that holds /weir/controller; 0 = nobody */
    uint64_t ctl_epoch, epoch_nonce, fence; /* /weir/epoch */
    int64_t zxid;
    ARRAY(struct sim_batch *) log; /* batch n is item n - 1 */
};

/* --- Controllers ----------------------------------------------------------------------------- */

/* Records that wait for their commit, and answers that wait for records. */
struct sim_record {
    uint64_t seq;
    struct buf bytes;
};

/* How far a broker's log reaches, as it was asked. */
struct sim_ask {
    uint64_t token;
    wtime at;
    broker_id id;
    int64_t epoch;
    struct ctl_partition_ref ref;
};

struct sim_reply {
    uint64_t after_seq;
    struct sim_msg *msg;
};

struct sim_link {
    uint64_t conn;
    bool is_broken;
    uint64_t cursor; /* what the broker has said that it applied; UINT64_MAX = nothing yet */
    wtime heard, sent;
    int64_t ready_told; /* of this connection */
    bool is_silent_told;
};

struct sim_ctl {
    int id, node;
    bool is_up;
    uint64_t life;
    uint64_t session;
    wtime zk_heard, look_at, claim_at;
    uint64_t nonce; /* of the claim under way; 0 = none */
    bool is_seen_controller;
    struct ctl *core;
    struct ctl_fx fx;
    struct trace trace;
    struct sim *sim;
    struct image *image; /* what is committed, as far as this process knows */
    uint64_t applied;
    bool is_active;
    uint64_t ctl_epoch, fence;
    ARRAY(struct sim_record) records;
    ARRAY(struct sim_reply) replies;
    ARRAY(struct sim_ask) asks;
    struct sim_msg *ask; /* whose event is being judged */
    bool is_committing;
    uint64_t commit_n, commit_nonce, commit_seq;
    struct buf commit;
    wtime commit_sent;
    uint64_t seen_change;
    struct sim_node seen[SIM_BROKERS_MAX];
    struct sim_link links[SIM_BROKERS_MAX];
    wtime admin_at;
};

/* --- Brokers --------------------------------------------------------------------------------- */

/* One offset of a log: the batch that it is of. */
struct sim_rec {
    epoch32 epoch;
    uint32_t crc;
};

struct sim_waiting {
    bool is_set;
    uint64_t token;
    epoch32 leader_epoch, partition_epoch;
    wtime sent;
};

/* A request that waits in the partition for its answer. */
struct sim_parked {
    uint64_t request;
    wtime until;
    bool is_produce;
    epoch32 leader_epoch;
    struct sim_msg *msg;
};

struct sim_part {
    struct sim_broker *b;
    int idx;
    char name[16];
    struct uuid topic_id; /* of the log that is here, or was last */
    struct plog *log; /* NULL: not opened, or failed */
    bool is_live;     /* `core` is */
    struct replica core;
    struct replica_fx fx;
    struct producers producers;
    struct checkpoint_entry saved; /* what the last checkpoint said */
    bool has_saved;
    ARRAY(struct sim_rec) recs; /* of the log, offset by offset; below `begin` they are none */
    offset64 begin;             /* where the log's first batch begins */
    offset64 synced;            /* so much of it has been on the disk since it was cut last */
    offset64 verified;          /* so much of it is known to be what was committed */
    offset64 noted_hw;
    uint64_t fetch_token;
    wtime fetch_sent, fetch_after;
    bool is_flushing, is_working, keeps;
    uint64_t work_id;
    enum replica_fx_kind work;
    offset64 work_base;
    struct sim_waiting waiting[SIM_WAITING];
    ARRAY(struct sim_parked) parked;
};

struct sim_broker {
    struct sim *sim;
    broker_id id;
    bool is_up, is_stopping;
    uint64_t life;
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
    struct trace trace;
    enum crash_kind kind; /* to register with */
    uint64_t session;
    wtime zk_heard, register_sent;
    int64_t epochs[SIM_EPOCHS];
    unsigned n_epochs;
    bool is_registered; /* in the present session */
    int64_t settled;    /* incarnation that was unfenced last */
    struct image *image;
    uint64_t applied;
    uint64_t ctl_epoch; /* greatest ever seen by this process */
    int ctl_node;       /* who has it; -1 = nobody */
    uint64_t conn;
    wtime ctl_heard, ack_sent, shutdown_sent;
    bool is_waiting; /* for a log that comes back from the trash */
    bool is_in_event;
    ARRAY(struct sim_msg *) outbox; /* leaves when the event is over and the process still lives */
    struct sim_part parts[SIM_PARTS_MAX];
};

/* --- Clients --------------------------------------------------------------------------------- */

struct sim_client_part {
    bool is_busy;
    int64_t producer_id;
    int32_t sequence;
    struct buf batch;
    uint32_t crc;
    uint64_t token;
    wtime sent, next_at;
    offset64 read;
    uint64_t read_token;
    wtime read_sent;
};

struct sim_client {
    int node;
    struct sim_client_part parts[SIM_PARTS_MAX];
};

struct sim_acked {
    offset64 base;
    uint32_t crc;
};

/* --- What is known of a partition from above ------------------------------------------------- */

struct sim_truth {
    bool is_there;
    bool was_durable[SIM_BROKERS_MAX]; /* at some time since that broker registered */
    bool is_open;   /* an unclean election has chosen who says what is committed, and that one does not lead yet */
    offset64 start; /* the greatest log start that a leader has set, of the present history; and of all there were */
    offset64 start_ever;
    offset64 removed[SIM_BROKERS_MAX]; /* so much each broker has, when it led, given up or not */
    ARRAY(struct sim_rec) committed;
    ARRAY(epoch32) committed_in; /* leader epoch in which it was */
    ARRAY(broker_id) leaders;    /* by leader epoch; BROKER_NONE = nobody yet */
    ARRAY(struct sim_acked) acked;
    struct partition_state record;
};

/* The topic that was deleted last, as long as it can come back. */
struct sim_trash {
    bool is_there;
    struct uuid topic_id;
    struct sim_truth truth[SIM_PARTS_MAX];
};

/* What is delicate, and may be disturbed soon after it has begun. */
enum sim_delicate {
    SIM_LEADERSHIP,
    SIM_PROPOSAL,
    SIM_WORK,      /* on a log: a cut, or a beginning anew */
    SIM_EMPTY_LOG, /* that no checkpoint speaks of yet */
    SIM_DELICATES
};

struct sim_rates {
    unsigned loss, dup, slow; /* of messages: one in so many; 0 = never */
    unsigned rot;             /* of answers with records: one in so many has a wrong byte */
    unsigned weights[32];     /* of faults; enum in sim_fault.c */
    unsigned burst;           /* one fault in so many is followed by others at once */
    unsigned aimed;           /* one in so many hits whom it hurts most */
    unsigned slow_kinds[SIM_MSG_KINDS]; /* one in so many of that kind is slow, too */
    unsigned retain;          /* a leader gives up its begin at one tick in so many */
    unsigned provoke;         /* what is delicate is disturbed one time in so many, */
    unsigned favourites[SIM_DELICATES]; /* mostly in this way */
    int records_max;          /* of a batch */
    wtime produce_pause;
    bool is_careful;          /* data is lost only where enough others have it */
    int late_broker;          /* hears of everything late; -1 = nobody does */
    wtime pause_max;          /* between faults */
    wtime slow_max;           /* of a slow message */
    wtime work_max;           /* of a cut */
    wtime sync_max;           /* of a flush */
};

struct sim_counts {
    uint64_t events, messages, commits, elections, elr_elections, crashes, host_crashes, expiries,
            cuts, copies, joins, leaves, restarts, ctl_terms, acked, read, faults, cut_links,
            min_isr_changes, durability_changes, disk_failures, damages, shutdowns, freezes, offline,
            torn, retained, removed, unclean_elections, moves, moves_ended, growths, deletions,
            restores, comebacks, swaps, rotten, suspicions;
};

enum sim_unclean {
    SIM_UNCLEAN_NEVER,
    SIM_UNCLEAN_OPERATOR, /* never by itself, but somebody names a replica */
    SIM_UNCLEAN_BALANCED,
};

/* Rules whose branch was taken: by how many seeds. */
struct sim_cover {
    const char *name; /* "REP-29" */
    const char *text;
    unsigned n_seeds;
};

struct sim_options {
    uint64_t seed;
    uint64_t n_steps; /* events with faults; 0 = the usual */
    bool is_told;     /* the story goes to stdout */
};

struct sim {
    struct sim_options options;
    struct prng rng;
    wtime now;
    uint64_t n_seq, next_life, next_id;
    ARRAY(struct sim_event) heap;
    char story[SIM_STORY_LINES][240];
    uint64_t n_lines, digest;
    struct sim_counts counts;
    struct sim_rates rates;
    bool is_healing;
    int n_brokers, n_ctls, min_isr;
    bool has_singles; /* partitions may have one replica only */
    bool is_careless; /* the second client waits for one replica, or none */
    int n_parts; /* that there may be; how many there are is what is committed */
    int n_wanted;
    enum sim_unclean unclean;
    int64_t segment_bytes;
    bool is_fsync; /* to begin with */
    bool is_cut[SIM_NODES][SIM_NODES];
    unsigned n_cuts[SIM_NODES][SIM_NODES];
    wtime stream_at[SIM_NODES][SIM_NODES]; /* when the last message of that connection arrives */
    wtime frozen_until[SIM_NODES];
    struct sim_zk zk;
    struct image *image;                 /* all that is committed */
    bool is_unadmitted[SIM_BROKERS_MAX]; /* registered, and not unfenced since */
    bool had_other_disk[SIM_BROKERS_MAX];
    bool has_topic;
    struct uuid topic_id;
    struct sim_truth truth[SIM_PARTS_MAX];
    struct sim_trash trash;
    struct sim_broker brokers[SIM_BROKERS_MAX];
    struct sim_ctl ctls[SIM_CTLS_MAX];
    struct sim_client clients[SIM_CLIENTS];
};

/* --- sim_run.c --- */
/* Runs a seed to its end. What must not be ends the process: it prints seed, invariant and the end of the story. */
void sim_run(struct sim *s, const struct sim_options *options);
void sim_deinit(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_one_in(struct sim *s, unsigned n); /* 0 = never */
void sim_at(struct sim *s, wtime after, int node, uint64_t life, sim_event_fn *run, uint64_t arg);
void sim_push_event(struct sim *s, const struct sim_event *ev);
void sim_tell(struct sim *s, const char *who, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
_Noreturn void sim_violation(struct sim *s, const char *invariant, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The name of a node: "b1", "ctl2", "zk". */
const char *sim_node_name(int node);
uint64_t sim_life(const struct sim *s, int node); /* 0 = it is down */

/* --- sim_cover.c --- */
/* The rules that have a mark (tests/sim/cover.def); sim_run() counts. */
struct sim_cover *sim_cover(size_t *ret_n);
void sim_cover_begin(void);
void sim_cover_end(void);

/* --- sim_net.c --- */
struct sim_msg *sim_msg_new(enum sim_msg_kind kind, int from, int to);
void sim_msg_free(struct sim_msg *m);
struct sim_msg *sim_msg_answer(const struct sim_msg *to, enum sim_msg_kind kind);
/* Takes the message. */
void sim_send(struct sim *s, struct sim_msg *m);

/* --- sim_zk.c --- */
void sim_zk_deliver(struct sim *s, struct sim_msg *m);
void sim_zk_expire(struct sim *s, int node);
void sim_zk_tick(struct sim *s, int node, uint64_t arg);
void sim_zk_deinit(struct sim *s);
/* Applies the log's batches (*applied, n] to the image. */
void sim_zk_apply(struct sim *s, struct image *image, uint64_t *applied, uint64_t n);

/* --- sim_ctl.c --- */
void sim_ctl_start(struct sim *s, struct sim_ctl *c);
void sim_ctl_crash(struct sim *s, struct sim_ctl *c);
void sim_ctl_deliver(struct sim *s, struct sim_msg *m);
struct sim_ctl *sim_ctl_active(struct sim *s);       /* of the greatest epoch, or NULL */
void sim_ctl_duel(struct sim *s, struct sim_ctl *c); /* claims though somebody is active */
void sim_ctl_suspect(struct sim *s, struct sim_ctl *c, int id); /* wrongly: its port seems to refuse */
/* Steps the core with it, as if somebody had asked over HTTP. */
void sim_ctl_ask(struct sim *s, struct sim_ctl *c, struct ctl_event *ev);
/* The broker's port refuses connections. */
void sim_ctl_refused(struct sim *s, int node, uint64_t arg);

/* --- sim_broker.c --- */
void sim_broker_start(struct sim *s, struct sim_broker *b);
void sim_broker_crash(struct sim *s, struct sim_broker *b, bool is_host);
void sim_broker_deliver(struct sim *s, struct sim_msg *m);
void sim_broker_event_begin(struct sim_broker *b);
void sim_broker_event_end(struct sim_broker *b);      /* sends, or finds that the disk killed it */
int64_t sim_broker_epoch(const struct sim_broker *b); /* as whom it speaks */
bool sim_broker_save(struct sim_broker *b); /* checkpoints; false: not on the disk */
void sim_broker_tell_parts(struct sim_broker *b);

/* --- sim_part.c --- */
void sim_part_open(struct sim_part *p);
void sim_part_close(struct sim_part *p);
void sim_part_become(struct sim_part *p, const struct partition_state *record, bool may_lead);
void sim_part_step(struct sim_part *p, struct replica_event *ev, struct replica_fx_item *ret_own);
void sim_part_fail(struct sim_part *p); /* its log refused to go on */
void sim_part_produce(struct sim_part *p, struct sim_msg *m);
void sim_part_tell_end(struct sim_part *p, const struct sim_msg *m);
void sim_part_refuse(struct sim_broker *b, const struct sim_msg *m); /* no such partition is here */
void sim_part_proposed(struct sim_part *p, const struct sim_msg *m);
void sim_part_tick(struct sim_part *p);
void sim_part_discard(struct sim_part *p); /* it is no replica here any more, or deleted */
void sim_part_answer_error(struct sim_part *p, const struct sim_msg *m, int error);

/* --- sim_log.c --- */
bool sim_log_open(struct sim_part *p); /* false: it is damaged or gone */
void sim_log_close(struct sim_part *p);
void sim_log_discard(struct sim_part *p, struct plog *log); /* takes it; NULL: it is not open */
bool sim_log_restore(struct sim_part *p); /* out of the trash, if it is there; false: not now */
void sim_log_reload(struct sim_part *p); /* `recs` from the log */
void sim_log_note(struct sim_part *p, const struct batch *b, offset64 base);
void sim_log_want_flush(struct sim_part *p);
void sim_log_begin_work(struct sim_part *p, const struct replica_fx_item *it);
void sim_log_set_start(struct sim_part *p, offset64 start);
void sim_log_retain(struct sim_part *p); /* unless it leads nothing, or there is nothing to give up */
void sim_log_remove(struct sim_part *p);

/* --- sim_admin.c --- */
void sim_admin_init(struct sim *s);
void sim_admin_tick(struct sim *s, struct sim_ctl *c); /* makes the topic, and makes it grow */
void sim_admin_set_min_isr(struct sim *s, struct sim_ctl *c);
void sim_admin_set_durability(struct sim *s, struct sim_ctl *c);
void sim_admin_elect(struct sim *s, struct sim_ctl *c); /* leaderships go to the preferred replicas */
void sim_admin_elect_unclean(struct sim *s, struct sim_ctl *c);
void sim_admin_move(struct sim *s, struct sim_ctl *c);
void sim_admin_drain(struct sim *s, struct sim_ctl *c, int id);
void sim_admin_revert(struct sim *s, struct sim_ctl *c);
/* Another one leads, `wanted` if it is in the ISR, and nobody leaves that. */
void sim_admin_swap(struct sim *s, struct sim_ctl *c, int part, broker_id wanted);
void sim_admin_delete(struct sim *s, struct sim_ctl *c);

/* --- sim_follow.c --- */
void sim_follow_ask(struct sim_part *p);
void sim_follow_serve(struct sim_part *p, struct sim_msg *m);
void sim_follow_read(struct sim_part *p, struct sim_msg *m);
void sim_follow_take(struct sim_part *p, struct sim_msg *m);
void sim_follow_look(
        struct sim_part *p, struct sim_msg *m); /* a parked fetch looks again; takes it */

/* --- sim_client.c --- */
void sim_client_start(struct sim *s, struct sim_client *c);
void sim_client_deliver(struct sim *s, struct sim_msg *m);
void sim_client_deinit(struct sim_client *c);
/* [part] was cut at `end` by an unclean election, or begins anew as another topic's. */
void sim_client_reset(struct sim *s, int part, offset64 end);

/* --- sim_fault.c --- */
void sim_fault_init(struct sim *s);
void sim_fault_tick(struct sim *s, int node, uint64_t arg);
void sim_fault_heal(struct sim *s);
/* Something delicate has begun. It may be disturbed soon. */
void sim_fault_provoke(struct sim_part *p, enum sim_delicate what);
/* A leader has said that all of its partition is on the disks: the power may go soon. */
void sim_fault_test_durable(struct sim *s);
bool sim_fault_may_lose(
        struct sim *s, const struct sim_broker *b); /* what it has not synced, or all */

/* The same of its power: what is durable does not go with it. */
bool sim_fault_may_cut_power(struct sim *s, const struct sim_broker *b);

/* --- sim_check.c --- */
void sim_check_event(struct sim *s);
void sim_check_logs(struct sim *s);
void sim_check_record(struct sim *s, const struct meta_record *r); /* was committed, and applied */
void sim_check_forget(struct sim_truth *t);
void sim_check_forget_trash(struct sim *s);
void sim_check_start(struct sim_part *p, offset64 start); /* a leader gives up what lies below */
void sim_check_leads(struct sim_part *p);
bool sim_check_is_present(const struct sim_part *p); /* it is of the topic that there is */
void sim_check_hw(struct sim_part *p); /* notes what a leader has committed */
bool sim_check_is_well(struct sim *s); /* everything that S20 wants */
void sim_check_end(struct sim *s);
