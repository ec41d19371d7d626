/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/net/rpc.h"

#include <stddef.h>
#include <sys/queue.h>

struct broker;
struct data_loop;

/* Producer ids for clients: blocks from the controller, handed out one by one ([PID-4]).
 *
 *   data loop: InitProducerId ──► control loop: an id of the block ──► data loop: answer
 *                                      │ less than a block in reserve
 *                                      └──► AllocateProducerIds ──► controller
 *
 * Where there is none the question waits for the next block, at most until its deadline. Thread:
 * control. */
struct producer_ids;

/* Somebody who wants one. From a connection's loop → control. */
struct id_question {
    struct loop_task task;
    STAILQ_ENTRY(id_question) entry;
    struct broker *broker;
    struct data_loop *dl;
    uint64_t conn_id;
    struct frame_header header;
    wtime deadline;
};

struct producer_ids *producer_ids_new(struct broker *b);
/* After the link to the controller has ended. Takes NULL. */
struct producer_ids *producer_ids_free(struct producer_ids *ids);
/* This broker serves: what is lacking of its reserve is asked for. */
void producer_ids_prepare(struct producer_ids *ids);
/* Answers and frees it, now or later. */
void producer_ids_take(struct producer_ids *ids, struct id_question *q);
