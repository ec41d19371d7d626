/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"

/* What the files of the replica core share; nobody else includes it. */

/* --- replica.c --- */

struct replica_fx_item *replica_fx_push(struct replica_fx *fx, enum replica_fx_kind kind);
void replica_fx_reply(
        struct replica_fx *fx, const struct replica_ask *ask, int error, const char *detail);
/* Keeps a copy of `w`, whose `ask` does not wait here already. */
void replica_park(struct replica *r, const struct replica_interest *w);
void replica_unpark(struct replica *r, struct replica_interest *w);
/* Ends every interest: produces with `error`, fetches with WAKE. */
void replica_release_all(struct replica *r, int error, const char *detail, struct replica_fx *fx);
/* Applies a record that is newer than the one held; false: it is not. The role follows with replica_settle(). */
bool replica_install(struct replica *r, const struct partition_state *p);
/* Takes the role that the record gives, unless work on the log is under way. */
void replica_settle(struct replica *r, struct replica_fx *fx);
/* The log cannot go on; `why` is a static sentence. */
void replica_fail(struct replica *r, const char *why, struct replica_fx *fx);
void replica_set_hw(struct replica *r, offset64 hw, struct replica_fx *fx);
bool replica_is_in_isr_or_elr(const struct replica *r);
/* Asks to be taken out of ISR and ELR, unless that was just asked. */
void replica_report(struct replica *r, const char *why, struct replica_fx *fx);

/* --- replica_leader.c --- */

/* Whether `ask` may talk to this replica as the leader under that epoch; refuses with a REPLY otherwise. */
bool replica_admit(struct replica *r,
        const struct replica_ask *ask,
        epoch32 leader_epoch,
        struct replica_fx *fx);
/* Whether what it waits for has come. */
bool replica_interest_is_over(const struct replica *r, const struct replica_interest *w);
void replica_begin_leading(struct replica *r, struct replica_fx *fx);
/* Moves the high watermark as far as the rules allow, and ends the interests that it passes. */
void replica_advance(struct replica *r, struct replica_fx *fx);
void replica_on_produce(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
/* Before the log's end moves. */
void replica_note_level(struct replica *r);
void replica_on_appended(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_repeated(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_flushed(struct replica *r, offset64 flushed, struct replica_fx *fx);
void replica_on_fetch(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_wait(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_list(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);

/* --- replica_isr.c --- */

/* Makes `peers` those of the record: who stays keeps what is known. */
void replica_peers_match(struct replica *r);
/* Takes over what the image says; true when something changed. */
bool replica_peers_see(struct replica *r, const struct replica_peer_view *views, uint8_t n);
/* A new leadership knows nothing of anybody's log. */
void replica_peers_begin(struct replica *r);
struct replica_peer *replica_peer_of(struct replica *r, broker_id id); /* NULL = no replica */
/* A fetch of `p` for `offset` was believed. */
void replica_peer_fetched(
        struct replica *r, struct replica_peer *p, offset64 offset, offset64 flushed);
/* [REP-57] Whether only what is on the disk counts for the high watermark. */
bool replica_counts_synced(const struct replica *r);
/* How far `id` has everything, for the high watermark; OFFSET_NONE = not known. */
offset64 replica_ack_of(const struct replica *r, broker_id id);
/* Takes note of when the sessions that hold this partition were heard. */
void replica_hear_sessions(struct replica *r, const struct replica_session *sessions, size_t n);
/* Another member of the ISR has fetched within the lease, or a session that holds this partition for it was heard. */
bool replica_is_followed(const struct replica *r);
/* Asks for another ISR when there should be one and nothing is under way. */
void replica_consider_isr(struct replica *r, struct replica_fx *fx);
void replica_on_proposed(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_isr_tick(struct replica *r, struct replica_fx *fx);
wtime replica_isr_deadline(const struct replica *r);

/* --- replica_follower.c --- */

void replica_on_fetched(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_copied(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_cut(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
/* A failed replica: reports, or starts anew, as the record allows. */
void replica_mend(struct replica *r, struct replica_fx *fx);
wtime replica_mend_deadline(const struct replica *r);
