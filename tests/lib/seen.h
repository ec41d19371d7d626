/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

/* What the controllers of the cluster of tests/lib/cluster.h say: whichever of the first two
 * answers. Thread: one. */

/* From now on those under these URLs are asked. */
void seen_from(const char *first, const char *second);
/* The answer to a GET, NULL = none. json_decref. */
struct json_t *seen_get(const char *path);
/* Controller 1's answer, which has to be a success with JSON; `body` NULL = none. json_decref. */
struct json_t *seen_call(const char *method, const char *path, const char *body);
/* Whether each partition has a leader and that many members in its ISR. */
bool seen_all_have(const char *topic, size_t n_isr);
/* Whether no partition of the topic has a leader. */
bool seen_nobody_leads(const char *topic);
/* Of partition 0; 0 or less = nobody, or nobody says. */
int seen_leader(const char *topic);
size_t seen_n_isr(const char *topic);
int64_t seen_leader_epoch(const char *topic);
int64_t seen_broker_epoch(int id);
/* Whether /v1/brokers has `"key": "value"` for it. */
bool seen_broker_says(int id, const char *key, const char *value);
int seen_active_controller(void); /* 0 = nobody says */
/* Waits until partition 0 takes one more record, of a sender whom no judge knows. */
void seen_probe(const char *topic);
