/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <weir/producer.h>
#include <weir/weir.h>

/* Consuming partitions that the application names itself. (Groups, which share partitions among
 * members, are not part of this version.)
 *
 * A consumer fetches ahead, as far as weir.fetch.queue.bytes allows, and hands out what came one
 * stored batch of records at a time. Records are those below the high watermark
 * (isolation.level=read_uncommitted). Failures that pass by themselves (leaders that move,
 * connections that break) are not reported; they are visible as silence and in the log callback.
 * Others come as a batch with an error, once; the partition then rests until weir_consumer_seek().
 * */

#ifdef __cplusplus
extern "C" {
#endif

struct weir_consumer;

/* Several consumers of one client share its connections. Thread: any. Inside a callback: yes. */
WEIR_API int weir_consumer_new(
        struct weir_client *client, struct weir_consumer **ret, struct weir_error *error);
/* Batches that were handed out stay valid. Takes NULL. Thread: owner; no other call may be under
 * way. Inside a callback: no (does nothing). */
WEIR_API void weir_consumer_free(struct weir_consumer *consumer);

/* Where to start: an offset, or one of these. */
enum {
    WEIR_SEEK_END = WEIR_OFFSET_END,
    WEIR_SEEK_START = WEIR_OFFSET_START,
};

/* Adds a partition, beginning at `at`: an offset, WEIR_SEEK_START or WEIR_SEEK_END. A partition
 * that is assigned already is sought. WEIR_E_ARGUMENT. Thread: any. Inside a callback: yes. */
WEIR_API int weir_consumer_assign(struct weir_consumer *consumer,
        const char *topic,
        int32_t partition,
        int64_t at,
        struct weir_error *error);
/* Nothing of the partition is handed out any more. WEIR_E_NOT_ASSIGNED. Thread: any. Inside a
 * callback: yes. */
WEIR_API int weir_consumer_unassign(
        struct weir_consumer *consumer, const char *topic, int32_t partition);
/* What was fetched from elsewhere is dropped; the next batch of the partition begins at `at`.
 * WEIR_E_NOT_ASSIGNED. Thread: any. Inside a callback: yes. */
WEIR_API int weir_consumer_seek(
        struct weir_consumer *consumer, const char *topic, int32_t partition, int64_t at);
/* The same to an offset behind a record of which the application kept the leader epoch
 * (weir_batch_leader_epoch(); -1 = not known): where an unclean election has taken that record away
 * meanwhile, WEIR_E_TRUNCATED comes first. WEIR_E_NOT_ASSIGNED. Thread: any. Inside a callback:
 * yes. */
WEIR_API int weir_consumer_seek_epoch(struct weir_consumer *consumer,
        const char *topic,
        int32_t partition,
        int64_t at,
        int32_t leader_epoch);
/* To the first record at or after that time (ms since 1970), or the end when there is none.
 * WEIR_E_NOT_ASSIGNED. Thread: any. Inside a callback: yes. */
WEIR_API int weir_consumer_seek_time(
        struct weir_consumer *consumer, const char *topic, int32_t partition, int64_t timestamp);
/* A paused partition is neither fetched nor handed out; what was fetched is kept.
 * WEIR_E_NOT_ASSIGNED. Thread: any. Inside a callback: yes. */
WEIR_API int weir_consumer_pause(
        struct weir_consumer *consumer, const char *topic, int32_t partition);
WEIR_API int weir_consumer_resume(
        struct weir_consumer *consumer, const char *topic, int32_t partition);

/* The offset of the record that comes next; -1 = not assigned, or still being looked up.
 * Thread: any. Inside a callback: yes. */
WEIR_API int64_t weir_consumer_position(
        const struct weir_consumer *consumer, const char *topic, int32_t partition);
/* The end as the last answer knew it; -1 = not known yet. Thread: any. Inside a callback: yes. */
WEIR_API int64_t weir_consumer_high_watermark(
        const struct weir_consumer *consumer, const char *topic, int32_t partition);
/* Whether every partition that is assigned and not paused was found to have nothing more, and all
 * of it was handed out. For people ("at the end, waiting"); programs that stop at an end ask
 * weir_offsets_get() first. Thread: any. Inside a callback: yes. */
WEIR_API bool weir_consumer_is_at_end(const struct weir_consumer *consumer);

/* --- What comes ------------------------------------------------------------------------------- */

struct weir_message {
    int64_t offset;
    int64_t timestamp;       /* ms since 1970 */
    struct weir_bytes key;   /* may be null */
    struct weir_bytes value; /* may be null */
    size_t n_headers;
};

/* The records of one stored batch, or one error, of one partition. Owns its memory until
 * weir_batch_free(), also after the consumer and the client are gone. Thread: owner. */
struct weir_batch;

/* The next batch, waiting up to timeout_ms; NULL = nothing came. Partitions take turns. Not for
 * consumers with a callback (NULL). Thread: any. Inside a callback: yes, with timeout 0. */
WEIR_API struct weir_batch *weir_consumer_poll(struct weir_consumer *consumer, int timeout_ms);
/* From now on batches go to `came` inside weir_poll() (or on the internal thread with
 * weir.callbacks=thread), which owns them. Before the first partition is assigned. Thread: owner.
 * Inside a callback: no (does nothing). */
WEIR_API void weir_consumer_set_callback(struct weir_consumer *consumer,
        void (*came)(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch),
        void *ctx);
/* Takes NULL. Thread: owner. Inside a callback: yes. */
WEIR_API void weir_batch_free(struct weir_batch *batch);

/* All below — Thread: owner of the batch. Inside a callback: yes. */
WEIR_API const char *weir_batch_topic(const struct weir_batch *batch);
WEIR_API int32_t weir_batch_partition(const struct weir_batch *batch);
/* How many messages; 0 with an error. */
WEIR_API size_t weir_batch_n(const struct weir_batch *batch);
/* They lie in one array: &weir_batch_messages(b)[i], i < weir_batch_n(b). */
WEIR_API const struct weir_message *weir_batch_messages(const struct weir_batch *batch);
/* The h-th header of the i-th message; false = it has no such. The name is good until the next call
 * for this batch. */
WEIR_API bool weir_batch_header(
        const struct weir_batch *batch, size_t i, size_t h, struct weir_header *ret);
/* The end of the partition when this was fetched. */
WEIR_API int64_t weir_batch_high_watermark(const struct weir_batch *batch);
/* code 0 = messages. Otherwise the partition rests: OFFSET_OUT_OF_RANGE (1) with
 * auto.offset.reset=none, WEIR_E_CORRUPT, WEIR_E_LIMIT, or a broker's refusal.
 *
 * WEIR_E_TRUNCATED: records that were handed out are lost. The log was cut, as after an unclean
 * election, and others may stand at their offsets: from weir_batch_end() up to weir_batch_begin().
 * With auto.offset.reset=none the partition rests; else it does not: what stands there now comes
 * next, from weir_batch_end() on. */
WEIR_API const struct weir_error *weir_batch_error(const struct weir_batch *batch);
/* With an error: the offset where it was met, and where to seek to go on, which is behind what cannot
 * be read (or where the log was cut); -1 = not known. Otherwise the first and one past the last offset of the stored
 * batch. */
WEIR_API int64_t weir_batch_begin(const struct weir_batch *batch);
WEIR_API int64_t weir_batch_end(const struct weir_batch *batch);
/* Of the leader that wrote it; -1 with an error. Kept with weir_batch_end(), it is for
 * weir_consumer_seek_epoch(). */
WEIR_API int32_t weir_batch_leader_epoch(const struct weir_batch *batch);

#ifdef __cplusplus
}
#endif
