/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"
#include "common/zk/zk.h"

/* Who is the active controller: candidates, election, fence.
 *
 *            eligible, no active one           multi done
 *  watching ─────────────────────────► trying ───────────► won
 *     ▲  ▲   or: evidence, or its        │  ▲                │
 *     │  │   successor; its turn came    │  │                │
 *     │  └──── lost: watch the winner ──┘  └─ unknown: read │
 *     └── session lost, silence of ZooKeeper, claim_resign() ┘
 *
 * To win is to raise the version of /weir/epoch in the multi that creates /weir/controller; the ephemeral tells others
 * where to look, and safety rests on the version alone. [ZK-20] Thread: control. */
struct claim;

struct claim_options {
    int32_t controller_id;
    const char *http; /* base URL of the admin endpoint; borrowed for the claim's life */
    /* We won: every write carries a check of /weir/epoch at `fence_version`. */
    void (*on_won)(void *ctx, uint64_t ctl_epoch, int32_t fence_version);
    /* We were active or on the way to it, and are not any more. `why` is a sentence. */
    void (*on_lost)(void *ctx, const char *why);
    /* Another one is active; each time it was looked at. */
    void (*on_other)(void *ctx, const struct msg_active *active);
    void *ctx;
};

struct claim *claim_new(struct loop *loop, struct zk *zk, const struct claim_options *options);
struct claim *claim_free(struct claim *c); /* after zk_free() */

/* A new session stands and the folders exist. */
void claim_on_session(struct claim *c);
void claim_on_session_lost(struct claim *c);
void claim_on_connection(struct claim *c, bool connected);
/* Only an eligible controller tries: one whose copy of the metadata log is whole. */
void claim_set_eligible(struct claim *c, bool eligible);
/* [ZK-22] The controller that is active under this epoch is dead (or, after that was said, not dead after all). It is
 * followed once `turn` has come, which lets candidates with the precedence try first. */
void claim_set_evidence(struct claim *c, uint64_t ctl_epoch, bool is_dead, wtime turn);
/* [ZK-24] Names the controller that shall take over from us at once, or takes the name back (NULL). Nothing happens to
 * the claim: it is lost when the successor wins. Only while it is won. */
void claim_name_successor(struct claim *c, const int32_t *id);
/* [ZK-21] Deposes us now if ZooKeeper was silent for too long; what a timer does every 100 ms otherwise. For the head of
 * a turn that does something with what it finds: after a stop of the process that may come before the timer. */
void claim_check(struct claim *c);
/* Gives the leadership back: deletes the ephemeral (under the fence) and waits up to a second before it tries again. */
void claim_resign(struct claim *c, const char *why);
/* Resigns for good (the process is about to stop); `done` runs once, when the ephemeral is gone or nobody can tell. */
void claim_retire(struct claim *c, void (*done)(void *ctx), void *ctx);

bool claim_is_won(const struct claim *c);
/* Registered, and would try if there were nobody active. */
bool claim_is_candidate(const struct claim *c);
/* [ZK-25] Won, and ZooKeeper confirmed it within two thirds of the session timeout. Once this was false, the claim will
 * be lost; nobody is told in here, so that it may be asked in any callback. */
bool claim_may_act(struct claim *c);
uint64_t claim_epoch(const struct claim *c); /* of our own claim; 0 = not won */
/* The active controller as /weir/controller names it (also ourselves); NULL = none known. */
const struct msg_active *claim_active(const struct claim *c);
