/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "controller/shell/bootstrap.h"
#include "controller/shell/broker_links.h"
#include "controller/shell/broker_watch.h"
#include "controller/shell/child_watch.h"
#include "controller/shell/claim.h"
#include "controller/shell/controller.h"
#include "controller/shell/event_queue.h"
#include "controller/shell/journal.h"
#include "controller/shell/meta_log.h"
#include "controller/shell/move_sizes.h"
#include "controller/shell/peer_watch.h"
#include "controller/shell/reach.h"

/* The controller taken apart: controller.c (life, and what its parts tell it), controller_requests.c (events, effects,
 * answers), controller_sizes.c (how large logs are), controller_view.c (what the admin endpoint sees). Nobody else
 * includes this. */

/* Somebody who waits for a reply of the core. */
struct waiting_reply {
    STAILQ_ENTRY(waiting_reply) entry;
    uint64_t request;
    controller_reply_fn *fn;
    void *ctx;
    bool is_held; /* the core replied; its records are not committed yet */
    struct ctl_reply reply;
    struct arena arena;
};

/* Somebody who waits until brokers have applied an index. */
struct waiting_acks {
    STAILQ_ENTRY(waiting_acks) entry;
    uint64_t index;
    ARRAY(broker_id) brokers;
    wtime deadline;
    controller_acks_fn *fn;
    void *ctx;
};

/* Somebody who wants to know whom we reach. */
struct reach_request {
    LIST_ENTRY(reach_request) entry;
    struct controller *c;
    struct reach *reach;
    controller_reach_fn *fn;
    void *ctx;
};

struct candidate {
    struct msg_candidate value;
    struct arena arena;
};

struct controller {
    struct loop *loop;
    struct controller_options options;
    char *http, *listener; /* what the options borrow */
    char boot_id[64];

    struct zk *zk;
    struct bootstrap *bootstrap;
    struct claim *claim;
    struct meta_log *log;
    struct broker_watch *brokers;
    struct broker_links *links;
    struct journal *journal;
    struct child_watch *candidate_watch;
    ARRAY(struct candidate) candidates;

    struct uuid cluster_id;
    bool is_bootstrapped; /* in this session */
    bool was_read;
    bool is_stopping;
    struct timer bootstrap_again;

    struct ctl *core;
    struct ctl_fx fx;
    struct event_queue events;
    struct timer kick, tick, acks, gauges;
    /* The epoch in which the log takes appends (0 = none), and the one in which the core decides. They differ between an
     * event and its turn in the queue; records pass only when they agree. */
    uint64_t log_epoch, core_epoch;
    uint64_t committed_seq;
    uint64_t appended_seq; /* of this term */
    uint64_t last_request;
    STAILQ_HEAD(waiting_replies, waiting_reply) replies;
    STAILQ_HEAD(waiting_ack_list, waiting_acks) ack_waiters;
    uint64_t gauges_index; /* the image that the gauges were made of */

    struct resolver *resolver; /* borrowed */
    struct peer_watch *peer;   /* standby: the active one's process */
    struct handover *handover; /* under way; NULL = none */
    LIST_HEAD(handovers, handover) handovers; /* that one, and those that are to be told their end */
    bool is_holding;           /* [ZK-24] events wait until the successor is there or does not come */
    wtime next_survey;         /* when the standbys may be asked again because of silence */
    LIST_HEAD(reach_requests, reach_request) reaches;

    struct move_sizes *sizes;
    struct timer sizes_look;
    uint64_t sizes_index; /* the image of the last look */
    wtime sizes_asked_at;
    size_t n_size_asks; /* without answer */
};

/* controller_requests.c */
void controller_requests_init(struct controller *c);
void controller_requests_deinit(struct controller *c);
/* Queues the event for the core. */
void controller_push_event(struct controller *c, struct ctl_event *ev);
/* Records up to `last_seq` are committed, the last of them in batch `index`. */
void controller_on_committed(struct controller *c, uint64_t index, uint64_t last_seq);
/* We are not active any more: what was to be committed is not known to be. */
void controller_fail_held(struct controller *c);
void controller_on_acked(struct controller *c);
/* Goes on with the events that were held. */
void controller_release(struct controller *c);

/* controller_replicas.c: callbacks of the links; `ctx` is the controller. */
void controller_on_alter_partition(void *ctx,
        broker_id id,
        const struct msg_alter_partition_request *m,
        struct link_request *request);
void controller_on_replica_failed(void *ctx,
        broker_id id,
        const struct msg_replica_failed_request *m,
        struct link_request *request);

/* The core asks a broker how far its logs reach; what comes of it goes back as an event. */
void controller_ask_ends(struct controller *c, const struct ctl_fx_item *fx);

/* controller_sizes.c */
void controller_sizes_init(struct controller *c);
void controller_sizes_deinit(struct controller *c);
void controller_sizes_begin_term(struct controller *c);
void controller_sizes_end_term(struct controller *c);

/* controller_handover.c */
/* [ZK-26] More than half of the brokers are silent: asks the standbys, not more often than every three broker timeouts. */
void controller_consider_handover(struct controller *c, size_t n_silent, size_t n_brokers);
/* A term of ours begins, or ends; a commit was done; another controller is active. */
void controller_handover_begin_term(struct controller *c);
void controller_handover_on_lost(struct controller *c);
void controller_handover_on_committed(struct controller *c);
void controller_handover_on_other(struct controller *c, const struct msg_active *active);
void controller_handover_deinit(struct controller *c);
void controller_update_gauges(struct controller *c);
