/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

struct broker;

/* What this broker runs with, key by key: its own value in the metadata, else the cluster's for all
 * brokers, else the file's, else the default [CFG-10]. Only the dynamic keys of the broker's table
 * have more than the last two.
 *
 *   image changes ──► refresh: values in force, and what differs is applied   (control loop)
 *
 * The file's values (`broker.conf`) never change and may be read on any thread; what is in force
 * now is the control loop's alone, which accepts connections and sets the timers. What other
 * threads need is given to them under their own lock or atomic (connection limits, log level).
 * Thread: control. */
struct broker_configs;

/* The file's values are in force; nothing is applied yet. */
struct broker_configs *broker_configs_new(struct broker *b);
struct broker_configs *broker_configs_free(struct broker_configs *c);

/* The image went on: applies what is new for this broker. A value that this version cannot read
 * counts as not given [CFG-11]. */
void broker_configs_refresh(struct broker_configs *c);
/* Tells once of every value in these records that this version cannot read [CFG-11]. */
void broker_configs_look_at(const struct broker_configs *c, const struct msg_record_list *records);

/* The number in force of a dynamic key; of a RATIO its millionths. */
int64_t broker_configs_i64(const struct broker_configs *c, const char *key);

/* Every key of the table; mem_free() `configs`, whose texts live until the next refresh. */
struct msg_describe_configs_response broker_configs_describe(const struct broker_configs *c);
