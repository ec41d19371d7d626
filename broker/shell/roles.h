/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

struct broker;
struct image_topic;

/* What the image says about this broker, brought to its partitions: orders into their inboxes. Thread: control. */

/* Before a REMOVE_TOPIC is applied: its partitions here go to the trash. */
void roles_remove_topic(struct broker *b, const struct image_topic *topic);
/* After a batch was applied: what its records touched. */
void roles_after_records(struct broker *b, const struct msg_record_list *records);
/* Everything: after a snapshot, and when this broker's own standing changed. */
void roles_all(struct broker *b);
/* Partitions of which the image has a replica here and whose log cannot serve; mem_free() the list. */
struct msg_partition_ref *roles_failed(struct broker *b, size_t *ret_n);
