/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* NULL when `name` is a legal topic name (Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], not "." or
 * ".."), else the sentence that says why not. Thread: any. */
const char *topic_name_refusal(const char *name);
/* Whether the name is of the cluster's own topics, which nobody else may make: it begins with "__". */
bool topic_name_is_internal(const char *name);

/* The decision journal: every batch of the metadata log, one after the other. */
#define TOPIC_DECISIONS "__weir_decisions"
