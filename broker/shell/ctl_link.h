/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/wire/messages.h"

#include <stdbool.h>
#include <stddef.h>

struct broker;
struct rpc_conn;
struct rpc_reply;

/* The connection that the active controller dials: decisions down, proposals up.
 *
 * Only the controller of the greatest epoch ever seen is listened to. A push is applied strictly in order and only when
 * its chain checksum continues ours; anything else is answered "need", and the controller starts again from what we
 * have. Thread: control. */
struct ctl_link;

struct ctl_link *ctl_link_new(struct broker *b);
struct ctl_link *ctl_link_free(struct ctl_link *l); /* takes NULL */

/* ERRCODE_NONE, or with what this controller's Hello is refused and the sentence why:
 * NOT_CONTROLLER when a later one was here. */
int ctl_link_judge(
        const struct ctl_link *l, const struct msg_hello_request *m, char *text, size_t size);
/* Its connection, from now on ours; replaces an earlier one. */
void ctl_link_adopt(struct ctl_link *l, struct rpc_conn *c, const struct msg_hello_request *m);

/* This broker was registered anew: its former incarnation leads nothing any more. */
void ctl_link_registration_changed(struct ctl_link *l);

/* Asks the controller to move leaderships away, until it says done; false when no controller is connected. `fn` runs
 * once with whether it ended well. */
bool ctl_link_shutdown(struct ctl_link *l, void (*fn)(void *ctx, bool done), void *ctx);

/* Asks the controller for a block of producer ids; `fn` runs once, not inside. False: no controller
 * is connected. */
bool ctl_link_ask_producer_ids(
        struct ctl_link *l, void (*fn)(void *ctx, struct rpc_reply *reply), void *ctx);

/* Base URLs of the admin endpoints, the active one first; good until the next Beat. */
const char **ctl_link_controllers(const struct ctl_link *l, size_t *ret_n);
bool ctl_link_is_connected(const struct ctl_link *l);
/* Its connection, or NULL. */
struct rpc_conn *ctl_link_conn(const struct ctl_link *l);
/* No word of a controller within the lease it gave ([BRK-11]: serving goes on). */
bool ctl_link_is_isolated(const struct ctl_link *l);
/* Why this broker keeps away from all roles ("" = it does not): metadata that went back, or that it cannot read. */
const char *ctl_link_trouble(const struct ctl_link *l);
