/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libweir: the client library of Weir. This header has the client handle, its configuration, errors
 * and metadata; weir/producer.h and weir/consumer.h have the rest.
 *
 * A client owns one internal thread, which does all network work (and, while names are looked up,
 * one helper thread for getaddrinfo). Callbacks run inside weir_poll(), or on the internal thread
 * when the property weir.callbacks=thread asks for it. Each function says:
 *   Thread: any           it may be called from any thread, from several at once
 *   Thread: owner         one thread at a time for the same object
 *   Inside a callback     whether it may be called from a callback of the same client; where it may
 *                         not it does nothing and says so in its result.
 * Strings are NUL-terminated; `struct weir_bytes` need not be. Times are milliseconds; a timeout of
 * -1 waits without limit, 0 does not wait. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/* --- Results ---------------------------------------------------------------------------------- */

/* Every function that can fail returns a code: 0, one of these, or the error number of a broker
 * (positive, Kafka's numbers; -1 is its UNKNOWN_SERVER_ERROR). */
enum weir_code {
    WEIR_OK = 0,
    WEIR_AGAIN = -100,          /* nothing was done: no room now, try again later */
    WEIR_E_ARGUMENT = -101,     /* an argument is not legal */
    WEIR_E_CONFIG = -102,       /* a property is not known or its value is not legal */
    WEIR_E_TIMED_OUT = -103,    /* the time given to the call is over */
    WEIR_E_TRANSPORT = -104,    /* no broker could be reached */
    WEIR_E_CLOSED = -105,       /* the client is being closed */
    WEIR_E_IN_CALLBACK = -106,  /* not allowed inside a callback */
    WEIR_E_CORRUPT = -107,      /* a broker sent what cannot be read: a checksum, a form, a count */
    WEIR_E_LIMIT = -108,        /* a batch decompresses to more than weir.decompress.max.bytes */
    WEIR_E_NOT_ASSIGNED = -109, /* the partition is not assigned to this consumer */
    WEIR_E_MEMORY = -110,       /* memory is exhausted */
    WEIR_E_TRUNCATED = -111,    /* records that were read are not in the log any more */
};

enum {
    WEIR_TEXT_SIZE = 384
};

/* What went wrong, for a program (code, retriable, fatal) and for a person (name, text). */
struct weir_error {
    int code;                  /* 0 = nothing went wrong */
    bool retriable;            /* the same call may succeed later */
    bool fatal;                /* the client is of no further use */
    const char *name;          /* "NOT_LEADER_OR_FOLLOWER", "WEIR_E_CONFIG"; static */
    char text[WEIR_TEXT_SIZE]; /* a sentence */
};

/* Every `struct weir_error *error` argument may be NULL; it is filled only when the call fails.
 *
 * "NOT_LEADER_OR_FOLLOWER" of a code. Thread: any. Inside a callback: yes. */
WEIR_API const char *weir_code_name(int code);
/* The general sentence of a code. Thread: any. Inside a callback: yes. */
WEIR_API const char *weir_code_text(int code);
/* "0.1.0". Thread: any. Inside a callback: yes. */
WEIR_API const char *weir_version(void);

/* Borrowed bytes; at == NULL is null, which is not the same as empty. */
struct weir_bytes {
    const void *at;
    size_t size;
};

/* --- Configuration ---------------------------------------------------------------------------- */

/* Properties with the names that Kafka's clients use, and weir.* for what only Weir has;
 * docs/user/libweir.md lists them. Thread: owner. */
struct weir_conf;

/* Thread: any. Inside a callback: yes. */
WEIR_API struct weir_conf *weir_conf_new(void);
/* Takes NULL. Thread: owner. Inside a callback: yes. */
WEIR_API void weir_conf_free(struct weir_conf *conf);
/* WEIR_E_CONFIG: the key is not known (the text names the nearest one) or the value is not legal
 * (the text says what is); nothing changed. Thread: owner. Inside a callback: yes. */
WEIR_API int weir_conf_set(
        struct weir_conf *conf, const char *key, const char *value, struct weir_error *error);
/* "key=value"; spaces around the parts are ignored. Thread: owner. Inside a callback: yes. */
WEIR_API int weir_conf_set_pair(struct weir_conf *conf, const char *pair, struct weir_error *error);
/* The value as text, the default when it was not set; NULL = no such key. Good until the next set
 * of that key. Thread: owner. Inside a callback: yes. */
WEIR_API const char *weir_conf_get(const struct weir_conf *conf, const char *key);

struct weir_conf_key {
    const char *name, *default_value;
    const char *legal; /* "none|gzip|snappy|lz4|zstd", "0 … 2147483647", "text" */
    const char *text;  /* a sentence */
};

/* The i-th known property, from 0; false = no more. Thread: any. Inside a callback: yes. */
WEIR_API bool weir_conf_key_at(size_t i, struct weir_conf_key *ret);

enum weir_log_level {
    WEIR_LOG_DEBUG = 0,
    WEIR_LOG_INFO = 1,
    WEIR_LOG_WARN = 2,
    WEIR_LOG_ERROR = 3
};

/* What the library has to tell that no call returns: connections that come and go, refreshes.
 * `line` is one sentence without a newline, borrowed. Runs on the internal thread at once (or inside
 * weir_client_new()), in either mode of weir.callbacks; it must not block nor call the library. Without it the library is
 * silent: it never writes to stderr. Thread: owner. Inside a callback: yes. */
WEIR_API void weir_conf_set_log(struct weir_conf *conf,
        void (*log)(void *ctx, enum weir_log_level level, const char *line),
        void *ctx);

/* --- Client ----------------------------------------------------------------------------------- */

struct weir_client;

/* Copies what it needs of `conf` and starts the internal thread; connections are made when something
 * needs them. WEIR_E_CONFIG: bootstrap.servers is missing or not a list of host:port, or
 * properties contradict each other.
 * Thread: any. Inside a callback: yes. */
WEIR_API int weir_client_new(
        const struct weir_conf *conf, struct weir_client **ret, struct weir_error *error);

/* Closes: refuses new records, waits up to timeout_ms until those that are there are delivered,
 * ends the others (each is reported exactly once), runs the callbacks that are left in the calling
 * thread, stops the internal thread, frees. All consumers of the client must have been freed; no
 * other call may be under way. Takes NULL. Returns how many records were not reported as persisted
 * during this call. Thread: owner. Inside a callback: no (it returns -1 and does nothing). */
WEIR_API int64_t weir_client_close(struct weir_client *client, int timeout_ms);

/* Runs the callbacks that are due: delivery reports, releases of borrowed payloads, messages of
 * consumers with a callback. Waits up to timeout_ms for the first. Returns how many ran. With
 * weir.callbacks=thread it always returns 0 at once. Thread: any, but callbacks of one call run one
 * after another, those of two calls at the same time. Inside a callback: no (returns 0). */
WEIR_API int weir_poll(struct weir_client *client, int timeout_ms);

/* A descriptor that is readable while weir_poll() has something to run, for foreign loops. Owned by
 * the client: never read or close it. -1 with weir.callbacks=thread. Thread: any. Inside a
 * callback: yes. */
WEIR_API int weir_fd(const struct weir_client *client);

/* --- Metadata --------------------------------------------------------------------------------- */

struct weir_broker {
    int32_t id;
    const char *host; /* name or address; IPv6 without brackets */
    uint16_t port;
    const char *rack; /* "" = none */
};

struct weir_partition {
    int32_t leader; /* broker id; -1 = none now */
    int32_t leader_epoch;
    const int32_t *replicas, *isr;
    size_t n_replicas, n_isr;
};

struct weir_topic_metadata {
    const char *name;
    struct weir_error error; /* of this topic alone, e.g. UNKNOWN_TOPIC_OR_PARTITION */
    uint8_t id[16];
    bool internal;
    const struct weir_partition *partitions; /* by number */
    size_t n_partitions;
};

/* An answer of one broker; plain memory, freed whole. */
struct weir_metadata {
    uint8_t cluster_id[16];
    uint64_t index;                 /* of the metadata log: which decisions the answer knows */
    const char *const *controllers; /* base URLs of the admin endpoints, the active one first */
    size_t n_controllers;
    const struct weir_broker *brokers;
    size_t n_brokers;
    const struct weir_topic_metadata *topics; /* in the order asked */
    size_t n_topics;
};

/* Asks a broker now, trying others until timeout_ms is over. No topics: brokers and controllers
 * only. 0 even when a topic has an error: look at topics[i].error. WEIR_E_TIMED_OUT,
 * WEIR_E_TRANSPORT (the text names each address and why). Thread: any. Inside a callback: only
 * without weir.callbacks=thread. */
WEIR_API int weir_metadata_get(struct weir_client *client,
        const char *const *topics,
        size_t n_topics,
        int timeout_ms,
        struct weir_metadata **ret,
        struct weir_error *error);
/* Takes NULL. Thread: owner. Inside a callback: yes. */
WEIR_API void weir_metadata_free(struct weir_metadata *metadata);

/* --- Offsets ---------------------------------------------------------------------------------- */

enum {
    WEIR_OFFSET_END = -1,   /* the high watermark: where the next record will be readable */
    WEIR_OFFSET_START = -2, /* the oldest record kept */
};

struct weir_offset_query {
    /* In. */
    const char *topic;
    int32_t partition;
    int64_t at; /* WEIR_OFFSET_START, _END, or a time in ms: the first record at or after it */
    /* Out. */
    struct weir_error error; /* of this partition alone */
    int64_t offset;          /* -1 = no record is that new */
    int64_t timestamp;       /* of that record; -1 with START and END */
};

/* Answers all queries; leaders that moved and brokers that do not answer are tried again until
 * timeout_ms is over. 0 when every query has its answer; else the first partition's code, and each
 * has its own in `error`. Thread: any. Inside a callback: only without weir.callbacks=thread. */
WEIR_API int weir_offsets_get(struct weir_client *client,
        struct weir_offset_query *queries,
        size_t n_queries,
        int timeout_ms,
        struct weir_error *error);

#ifdef __cplusplus
}
#endif
