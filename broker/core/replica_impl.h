/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"

/* What replica.c and replica_leader.c share. */

struct replica_fx_item *replica_fx_push(struct replica_fx *fx, enum replica_fx_kind kind);
void replica_fx_reply(
        struct replica_fx *fx, const struct replica_ask *ask, int error, const char *detail);

/* Whether `ask` may talk to this replica as the leader under that epoch; refuses with a REPLY otherwise. */
bool replica_admit(struct replica *r,
        const struct replica_ask *ask,
        epoch32 leader_epoch,
        struct replica_fx *fx);
/* Keeps a copy of `w`, whose `ask` does not wait here already. */
void replica_park(struct replica *r, const struct replica_interest *w);
void replica_unpark(struct replica *r, struct replica_interest *w);
/* Whether what it waits for has come. */
bool replica_interest_is_over(const struct replica *r, const struct replica_interest *w);
/* Ends every interest: produces with `error`, fetches with WAKE. */
void replica_release_all(struct replica *r, int error, const char *detail, struct replica_fx *fx);

void replica_begin_leading(struct replica *r, struct replica_fx *fx);
/* Moves the high watermark as far as the rules allow, and ends the interests that it passes. */
void replica_advance(struct replica *r, struct replica_fx *fx);
void replica_on_produce(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_appended(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_repeated(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_flushed(struct replica *r, offset64 flushed, struct replica_fx *fx);
void replica_on_fetch(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_wait(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
void replica_on_list(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
