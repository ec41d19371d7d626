/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/domain/image.h"
#include "common/wire/messages.h"

/* How many bytes of each partition that is on its way to other brokers have arrived there, as brokers say of their logs.
 * Values only; controller_sizes.c asks, while something moves.
 *
 *   image ─ refresh ─▶ what moves ─ ask ─▶ leader and adding brokers ─ told ─▶ sizes ─ round ─▶ rates
 *
 * Of what has ended the sum is kept, for each operation that the image knows. Nothing is decided by these numbers.
 * Thread: control. */
struct move_sizes;

struct move_sizes *move_sizes_new(void);
/* Takes NULL. */
struct move_sizes *move_sizes_free(struct move_sizes *m);
/* Forgets all: somebody else decides now. */
void move_sizes_clear(struct move_sizes *m);
/* The image went on. True: something moves of which nobody was asked yet. */
bool move_sizes_refresh(struct move_sizes *m, const struct image *image);
/* How many partitions move. */
size_t move_sizes_n(const struct move_sizes *m);
/* What that broker is to be asked for; mem_free. */
struct msg_partition_ref *move_sizes_ask(
        const struct move_sizes *m, broker_id id, size_t *ret_n);
/* Its answer, or a part of it. */
void move_sizes_told(
        struct move_sizes *m, broker_id id, const struct msg_describe_ends_response *r);
/* All have answered, or do not. */
void move_sizes_round(struct move_sizes *m, wtime now);

/* *ret_done: what the brokers have that are to be added; *ret_total: what they will have, when all hold what the leader
 * holds now. False: the partition does not move, or its leader or one of those brokers has not said how much it has. */
bool move_sizes_get(const struct move_sizes *m,
        const struct uuid *topic_id,
        int32_t partition,
        int64_t *ret_done,
        int64_t *ret_total);
/* Bytes a second that have arrived of late; -1 = not known. */
int64_t move_sizes_rate(
        const struct move_sizes *m, const struct uuid *topic_id, int32_t partition);
/* Until the rest has arrived at that rate; -1 = not known, or nothing arrives. */
int64_t move_sizes_eta_ms(
        const struct move_sizes *m, const struct uuid *topic_id, int32_t partition);

/* -1 = not known. */
struct move_bytes {
    int64_t done, total, eta_ms;
};

/* [THR-8] All that an operation moves, as far as brokers have told of it: what is under way, as they
 * told last, whoever leads by now, and the whole of what is over. */
struct move_bytes move_sizes_of_operation(const struct move_sizes *m, uint64_t operation);
