/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct zk;

/* This broker's ephemeral node, its only act in ZooKeeper. Thread: control.
 *
 *                    ┌───── NO_NODE: wait, say so ─────┐
 *   NO SESSION ──► CREATING ──OK──► READING ──mine──► REGISTERED
 *        ▲            │ EXISTS          ▲                 │
 *        │            └──► READING ─────┤ my session's: mine
 *        │                              ├ mine, but its epoch was an earlier incarnation's → REPLACING → READING
 *        │                              ├ one of my folders': a dead predecessor → REPLACING → READING
 *        │                              └ anything else: another machine has my id → the process ends
 *        └──────────────────────────── session lost ──────┘
 *
 * A folder's lock proves that whoever registered with its id is dead. A new session is a new incarnation; a process
 * that lives on has lost nothing, so it registers as CLEAN. Until a controller has seen the new one it goes on as what it
 * was: neither a lost session nor a new node stops anybody, the controller's decisions do ([BRK-11], [REP-20]). */
struct registration;

enum {
    REGISTRATION_KEPT = 16
};

struct registration_options {
    struct msg_broker_reg
            reg; /* pointers live as long as the registration; nonce is made anew each time */
    void (*fill_nonce)(void *ctx, struct uuid *ret);
    /* Whether an earlier incarnation had that epoch, as far as anything here remembers. */
    bool (*is_former_epoch)(void *ctx, int64_t epoch);
    /* Registered: a new incarnation. */
    void (*on_changed)(void *ctx, int64_t epoch);
    /* Another machine uses this id; the sentence is for the person who started this broker. */
    void (*on_foreign)(void *ctx, const char *sentence);
    void *ctx;
};

struct registration *registration_new(
        struct loop *loop, const struct registration_options *options);
struct registration *registration_free(
        struct registration *r); /* takes NULL; before the zk handle goes */
/* A session stands (the first or a new one): registers on it. */
void registration_begin(struct registration *r, struct zk *zk);
/* The session is gone. */
void registration_lost(struct registration *r);
/* The controller has admitted the present incarnation: what came before it is dealt with. */
void registration_settled(struct registration *r);
/* The folders' cluster became known: later incarnations name it. */
void registration_set_cluster(struct registration *r, const struct uuid *cluster_id);
/* The latest incarnation of this process, also while its session is lost; -1 = none yet. */
int64_t registration_epoch(const struct registration *r);
bool registration_stands(const struct registration *r); /* its node is there, as far as is known */
/* Whether `epoch` is or was an incarnation of this process (of the last REGISTRATION_KEPT). */
bool registration_was(const struct registration *r, int64_t epoch);
/* What it waits for, for people; "" = registered. */
const char *registration_trouble(const struct registration *r);
