/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/partition.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"

struct data_loop;

/* Reading partitions for a fetch: each is looked at once, within the limits of an answer, and the look becomes the answer or
 * is given back.
 *
 * Data goes out in one of two ways. A short range is copied into the answer: that costs less than a sendfile, and no
 * descriptor is bound to it. A long one is sent from its file, which then stays open until the asker has taken it, so
 * those are counted, here and over the process (cached_file_keep). Past a limit a partition gives nothing in this answer;
 * the next one has it. An answer never stays without data for that reason: what comes first is copied then.
 *
 * A range that is not known to be right, or not in memory, is cold: it gives nothing now, and a cold read is asked for; when
 * it is over, the partition wakes `request`. Thread: data. */

/* Of one partition of a fetch, from look to look. */
enum fetch_cold {
    FETCH_COLD_NONE = 0,
    FETCH_COLD_ASKED,
    FETCH_COLD_READ,   /* it was made: what is not in memory is waited for */
    FETCH_COLD_REFUSED /* it could not be made */
};

/* A fetch, as its owner keeps it. */
struct fetch_source {
    struct data_loop *dl;
    uint64_t request; /* whom partitions wake */
    broker_id replica;
    int64_t broker_epoch;
    uint64_t session; /* of a replica */
    uint32_t max_bytes;
    size_t n; /* partitions; of each: */
    const struct msg_fetch_partition *asked;
    struct partition **partitions; /* looked up where NULL; references, the owner's */
    uint8_t *cold;                 /* enum fetch_cold */
    const uint32_t *slots;         /* its number in a wake-up; NULL = its place here */
    const bool *was_counted;       /* a replica's position was counted before; NULL = none was */
};

/* What one partition gives. Exactly one of: nothing, a copied range, a kept file. */
struct fetch_given {
    struct partition_fetched f; /* .slice: the kept file, or empty */
    size_t readable;            /* bytes that are there, whether they are given now or not */
    size_t copied_at, copied;   /* in `bytes` of the look */
};

struct fetch_look {
    struct fetch_given *items; /* n */
    size_t n;
    struct buf bytes; /* copied ranges */
    size_t n_kept;
    int64_t fill_left; /* [THR-4] for replicas that reassignments fill */
    int64_t filled;    /* of it, given */
    bool has_data, has_cold;
};

/* Bytes that an answer may have when `asked` are wanted. */
size_t fetch_bytes_max(size_t asked);
/* Looks at all of them, in order. [BRK-25] The first partition with data gives a whole batch, however large. */
void fetch_look_all(const struct fetch_source *s, struct fetch_look *l);
/* Gives back what was not sent. */
void fetch_look_deinit(struct fetch_look *l);
/* Looks at one again, for what it could give: nothing is held. Asks for a cold read where one is needed. */
void fetch_look_again(const struct fetch_source *s, size_t i, struct partition_fetched *ret, size_t *ret_bytes);
/* Appends what partition `i` gives to an answer; a kept file goes along. Returns the bytes of records. */
size_t fetch_give(const struct fetch_source *s, size_t i, struct fetch_look *l, struct rpc_out *out);
