/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <weir/weir.h>

/* Producing.
 *
 * A record goes into a batch of its partition in buffer.memory and leaves with it; then it gets
 * exactly one delivery report. What the settings of the client mean here:
 *
 *   linger.ms 0 (default)
 *       a batch leaves at once when nothing of its partition is in flight, and gathers while
 *       something is. Above 0 it waits that long even then. A full batch (batch.size) does not wait
 *       for linger.ms.
 *   order
 *       records of one partition are written in the order of weir_produce(), through all retries.
 *       Partitions and brokers do not wait for each other; a broker has up to
 *       max.in.flight.requests.per.connection requests in flight.
 *   enable.idempotence
 *       true (default): batches are numbered; brokers write each once, whatever is repeated, and
 *       refuse what is out of order. Up to five batches of a partition are in flight, full ones and,
 *       when nothing is, one that is not. Needs acks=all and retries above 0: asking for it against
 *       them is refused, and where it is just the default they turn it off, with a log line. false:
 *       a batch that may be retried (retries > 0, acks not 0) is the only one of its partition in
 *       flight, and a lost answer may have it written twice.
 *   acks
 *       all (default): in every in-sync replica; 1: in the leader; 0: written to the socket, nothing
 *       more is known, and nothing is retried.
 *   delivery.timeout.ms
 *       retriable failures are retried until then, counted from weir_produce(). A request under way
 *       at that moment is waited for, at most request.timeout.ms longer.
 *   partitioner
 *       murmur2 (default): by the key's murmur2, as Kafka's Java clients; without a key one
 *       partition a batch, in random turn ("sticky"). crc32: by the key's CRC-32, as librdkafka.
 *       sticky, round_robin: without looking at keys.
 */

#ifdef __cplusplus
extern "C" {
#endif

struct weir_header {
    const char *name;        /* UTF-8 text; duplicates are allowed and the order is kept */
    struct weir_bytes value; /* may be null */
};

enum {
    WEIR_PARTITION_ANY = -1, /* the partitioner chooses */
};

struct weir_record {
    int32_t partition;       /* or WEIR_PARTITION_ANY */
    int64_t timestamp;       /* ms since 1970; -1 = now */
    struct weir_bytes key;   /* may be null */
    struct weir_bytes value; /* may be null: a tombstone */
    const struct weir_header *headers;
    size_t n_headers;
    /* NULL: the value is copied before weir_produce() returns. Otherwise the value must stay
     * unchanged until this was called, which happens once, as a callback, after the record's report
     * (also when it failed; not when weir_produce() itself failed). Key and headers are always
     * copied. */
    void (*release)(void *ctx, struct weir_bytes value);
    void *release_ctx;
    void *opaque; /* comes back in the report */
};

/* WEIR_RECORD_INIT: no key, no value, any partition, now. */
#ifdef __cplusplus
#define WEIR_RECORD_INIT                                                                           \
    {                                                                                              \
        WEIR_PARTITION_ANY, -1, {NULL, 0}, {NULL, 0}, NULL, 0, NULL, NULL, NULL                    \
    }
#else
#define WEIR_RECORD_INIT                                                                           \
    {                                                                                              \
        .partition = WEIR_PARTITION_ANY, .timestamp = -1                                           \
    }
#endif

enum weir_outcome {
    WEIR_PERSISTED = 1, /* written as `acks` asks; with acks=0 all that is known is that it left */
    WEIR_NOT_PERSISTED = 2, /* certainly not written */
    WEIR_UNKNOWN = 3,       /* sent, and no answer says whether it was written */
};

struct weir_report {
    const char *topic;
    int32_t partition; /* -1 = the record never got one */
    int64_t offset;    /* -1 unless persisted and acks is not 0 */
    int64_t timestamp; /* as written: the broker's when the topic stamps records itself */
    enum weir_outcome outcome;
    bool is_on_disk;  /* after fsync on the in-sync replicas (weir.ack.durability=fsync) */
    int code;         /* 0 with WEIR_PERSISTED */
    bool retriable;   /* producing it again may succeed */
    bool fatal;       /* the client is of no further use */
    const char *name; /* of the code */
    const char *text; /* a sentence; "" when persisted */
    void *opaque;
};

/* Who gets the reports; once, before the first record. Without it records are delivered without a
 * word. `report` is borrowed. The callback may use weir_produce(), but not block.
 * Thread: owner. Inside a callback: no. */
WEIR_API void weir_set_delivery(struct weir_client *client,
        void (*delivered)(void *ctx, const struct weir_report *report),
        void *ctx);

/* A topic to produce to: saves the look-up by name. Belongs to the client and lives as long; the
 * same name gives the same handle. Asks nobody: whether the topic exists is found out later. NULL:
 * the name is not legal. Thread: any. Inside a callback: yes. */
struct weir_topic;
WEIR_API struct weir_topic *weir_topic_get(
        struct weir_client *client, const char *name, struct weir_error *error);
/* Thread: any. Inside a callback: yes. */
WEIR_API const char *weir_topic_name(const struct weir_topic *topic);
/* How many partitions, as far as this client knows; -1 = not known yet. Thread: any. Inside a
 * callback: yes. */
WEIR_API int32_t weir_topic_n_partitions(const struct weir_topic *topic);

/* Queues a record. Never waits. 0: it will be reported. Otherwise it is not, and nothing was kept:
 *   WEIR_AGAIN              buffer.memory is full: run weir_poll() or weir_wait_room(), then try
 *   again MESSAGE_TOO_LARGE (10)  larger than max.request.size
 *   UNKNOWN_TOPIC_OR_PARTITION (3)  the topic has no such partition
 *   a code with error->fatal        the cluster gives this client no producer id
 *   WEIR_E_ARGUMENT, WEIR_E_CLOSED
 * A topic that is not known yet is looked up meanwhile; records wait for that inside buffer.memory,
 * and fail after topic.metadata.propagation.max.ms of answers that it does not exist.
 * Thread: any; the order of one partition is that of the calls. Inside a callback: yes. */
WEIR_API int weir_produce(struct weir_client *client,
        struct weir_topic *topic,
        const struct weir_record *record,
        struct weir_error *error);

/* The same, waiting for the outcome. Returns report->code, or what weir_produce() refused with; for
 * room in a full buffer it waits up to delivery.timeout.ms, then returns WEIR_AGAIN (inside a
 * callback at once). Runs no callbacks but the record's release. `*ret` may be NULL; its strings
 * live as long as the client. Thread: any. Inside a callback: only without weir.callbacks=thread.
 * */
WEIR_API int weir_produce_sync(struct weir_client *client,
        struct weir_topic *topic,
        const struct weir_record *record,
        struct weir_report *ret,
        struct weir_error *error);

/* Waits until buffer.memory has room for a record of `size` bytes (key, value and headers), running
 * callbacks as weir_poll() does. WEIR_E_TIMED_OUT. Thread: any. Inside a callback: no. */
WEIR_API int weir_wait_room(struct weir_client *client, size_t size, int timeout_ms);

/* Sends what is gathered without waiting for linger.ms and waits until no record is without its
 * report, running callbacks as weir_poll() does. WEIR_E_TIMED_OUT: some are left. Thread: any.
 * Inside a callback: no. */
WEIR_API int weir_flush(struct weir_client *client, int timeout_ms);

/* Records that were accepted and not yet reported, and the bytes of buffer.memory that they hold
 * (may be NULL). Thread: any. Inside a callback: yes. */
WEIR_API size_t weir_outstanding(const struct weir_client *client, size_t *ret_bytes);

#ifdef __cplusplus
}
#endif
