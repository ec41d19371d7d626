/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/domain/ids.h"
#include "common/wire/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cluster of up to MOCK_BROKERS_MAX brokers on real sockets and in memory, on one loop thread. It
 * answers Hello, Metadata, Produce, Fetch (with long polls), ListOffsets and InitProducerId, keeps
 * Kafka's rules of sequences, and misbehaves as it is told. Thread: any, each call takes its lock. */
struct mock;

enum {
    MOCK_BROKERS_MAX = 4
};

/* `host` is what the brokers listen on and what Metadata says: "127.0.0.1" or "::1". Brokers are
 * numbered from 0. */
struct mock *mock_new(const char *host, int n_brokers);
struct mock *mock_free(struct mock *m);
const char *mock_bootstrap(struct mock *m); /* of all brokers */
uint16_t mock_port(struct mock *m, int broker);

/* Partition p is led by broker p % n_brokers. */
void mock_add_topic(struct mock *m, const char *name, int32_t n_partitions);
void mock_move_leader(struct mock *m, const char *topic, int32_t partition, int broker);
/* An unclean election: the same broker leads under a new epoch, without the batches that end behind
 * `end`. */
void mock_cut(struct mock *m, const char *topic, int32_t partition, offset64 end);
/* Metadata goes on to tell the leader epoch of now. */
void mock_freeze_epochs(struct mock *m, bool is_frozen);
/* Listens no more and breaks its connections; listens again on the same port. */
void mock_stop(struct mock *m, int broker);
void mock_start(struct mock *m, int broker);
/* Its connections stand, and it answers nothing any more. */
void mock_mute(struct mock *m, int broker);

enum mock_act {
    MOCK_ERROR = 1,    /* nothing is done; each partition answers `value` */
    MOCK_ERROR_AFTER,  /* produce: appended, and answered with `value` and the base offset */
    MOCK_CLOSE_BEFORE, /* nothing is done, the connection is closed */
    MOCK_CLOSE_AFTER,  /* done, then closed without an answer */
    MOCK_SILENT,       /* nothing is done, nothing is answered */
    MOCK_HOLD,         /* done and answered at mock_release() */
    MOCK_GARBAGE,      /* answered with bytes that are no message */
};

/* The next `times` requests of `api` are met with `act`; acts of one api queue up. */
void mock_script(struct mock *m, enum wire_api api, enum mock_act act, int value, int times);
void mock_release(struct mock *m);
/* What was scripted and not used is forgotten. */
void mock_unscript(struct mock *m);
/* Requests of `api` that came; produce requests that are being held. */
unsigned mock_n_requests(struct mock *m, enum wire_api api);
unsigned mock_n_held(struct mock *m);

/* Appends a batch as it is, stamped with its offset. */
void mock_append(
        struct mock *m, const char *topic, int32_t partition, const void *batch, size_t size);
/* The partition's log begins and ends where? */
void mock_set_start(struct mock *m, const char *topic, int32_t partition, offset64 start);
offset64 mock_end(struct mock *m, const char *topic, int32_t partition);
/* Values of all records in order, each followed by a newline; good until the next call. */
const char *mock_values(struct mock *m, const char *topic, int32_t partition);
/* Batches in the log. */
unsigned mock_n_batches(struct mock *m, const char *topic, int32_t partition);

/* Producer id, epoch and base sequence of the i-th batch in the log. */
struct mock_number {
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
};

struct mock_number mock_batch_number(
        struct mock *m, const char *topic, int32_t partition, unsigned i);
/* InitProducerId is not known to these brokers. */
void mock_forget_idempotence(struct mock *m);
/* Appends no bytes from now on, only counts records: for measurements. */
void mock_forget(struct mock *m);
