/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/domain/record_batch.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <stdbool.h>
#include <sys/types.h>

/* A client without manners, for tests: it sends any bytes to a broker's port over a blocking socket and reads what
 * comes back frame by frame. All failures of the test's own side fail the case. Thread: one. */
struct raw;

/* Connects to 127.0.0.1:port and says nothing. Closed with raw_close(), or by raw_close_all() when a case left early. */
struct raw *raw_connect(int port);
/* The same, and the Hello of a client is answered without an error. */
struct raw *raw_client(int port);
struct raw *raw_close(struct raw *r); /* takes NULL */
void raw_close_all(void);
/* Its receive buffer: with a small one, a reader that takes nothing blocks the sender soon. */
void raw_shrink_receive_buffer(struct raw *r, int bytes);
/* Whether bytes of an answer have come that raw_read() would take: then the peer has begun to answer. */
bool raw_has_come(const struct raw *r);
/* No more bytes from this side; answers still come. */
void raw_end_sending(struct raw *r);

/* Sends; false when the peer closed the connection, or takes nothing for 10 s. */
bool raw_send(struct raw *r, const void *bytes, size_t size);
/* Appends a whole frame. */
void raw_frame(struct buf *out, uint32_t api, uint32_t correlation, struct bytes body);
/* Sends the body as a request; returns its correlation. */
uint32_t raw_ask(struct raw *r, uint32_t api, const struct buf *body);

enum raw_got {
    RAW_FRAME,
    RAW_CLOSED, /* end of stream or reset */
    RAW_TIMEOUT
};

/* Good until the next read. */
struct raw_answer {
    struct frame_header header; /* .detail points into this struct's text */
    char detail[FRAME_DETAIL_MAX + 1];
    struct bytes body;
    struct arena *arena; /* for decoding the body; emptied by the next read */
};

enum raw_got raw_read(struct raw *r, int timeout_ms, struct raw_answer *ret);
/* Asks and reads the answer, which must be the next frame, within 20 s. */
void raw_call(struct raw *r, uint32_t api, const struct buf *body, struct raw_answer *ret);
/* Reads and forgets until the peer's end; false when it is still open after the time. */
bool raw_is_closed_within(struct raw *r, int timeout_ms);

/* --- Messages; each takes an answer without a header error -------------------------------------------------------- */

/* Of a topic that the broker knows; waits for its partitions to have leaders. `ret_epoch` (may be NULL) gets the
 * leader epoch of partition 0. */
struct uuid raw_topic_id(struct raw *r, const char *topic, epoch32 *ret_epoch);
void raw_encode_produce(
        struct buf *out, int32_t acks, const struct msg_produce_partition *parts, size_t n);
/* One partition; the result is good until the next read. */
struct msg_produce_result raw_produce(struct raw *r,
        int32_t acks,
        const struct uuid *topic_id,
        int32_t partition,
        const struct buf *records);
/* A consumer's fetch of one partition without a wish about its epoch. */
struct msg_fetch_partition raw_fetch_from(
        const struct uuid *topic_id, int32_t partition, offset64 offset);
void raw_encode_fetch(struct buf *out,
        uint32_t max_wait_ms,
        uint32_t min_bytes,
        uint32_t max_bytes,
        const struct msg_fetch_partition *parts,
        size_t n);
void raw_decode_fetch(const struct raw_answer *a, struct msg_fetch_response *ret);
/* `timestamp` as in ListOffsets; the whole result, which may have an error. */
struct msg_list_offsets_result raw_list_offset(
        struct raw *r, const struct uuid *topic_id, int32_t partition, int64_t timestamp);
offset64 raw_end_offset(struct raw *r, const struct uuid *topic_id, int32_t partition);
/* A new client's record goes into partition 0 of an existing topic and comes out again, within 20 s a step. */
void raw_round_trip(int port, const char *topic);

/* --- Batches ------------------------------------------------------------------------------------------------------ */

/* Appends a right, uncompressed batch of n records without keys, each with this value. */
void raw_batch(struct buf *out, int n, const void *value, size_t value_size);
/* Appends a right batch of one record whose value is `value_size` zeros, made in a stream; codec gzip or zstd. */
void raw_bomb(struct buf *out, enum batch_codec codec, uint64_t value_size);
/* Computes the checksum of the batch anew after its bytes were changed. */
void raw_batch_mend_crc(uint8_t *batch, size_t size);

/* --- The broker's process ----------------------------------------------------------------------------------------- */

uint64_t process_resident(pid_t pid); /* bytes now */
/* The most since process_forget_peak(). */
uint64_t process_peak(pid_t pid);
void process_forget_peak(pid_t pid);
unsigned process_n_fds(pid_t pid);
