/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/raw.h"

#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/lib/check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    ANSWER_MS = 20000,
    PIECE = 1024 * 1024 /* of a bomb's zeros */
};

struct raw {
    int fd;
    uint32_t correlation;
    struct buf in; /* begins with the frame that is being read */
    size_t used;   /* bytes of `in` that the last answer lies in */
    struct arena arena;
    struct raw *next;
};

static struct raw *open_ones;

/* --- Connections -------------------------------------------------------------------------------------------------- */

struct raw *raw_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 10};
    struct raw *r = mem_new(struct raw);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(r->fd >= 0);
    r->next = open_ones;
    open_ones = r;
    arena_init(&r->arena, 0);
    must(setsockopt(r->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
    CHECK_EQ(connect(r->fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    return r;
}

struct raw *raw_client(int port)
{
    struct msg_hello_request m = {.client_id = "raw", .library = "test", .library_version = "1"};
    struct raw *r = raw_connect(port);
    struct raw_answer a;
    struct buf body = {0};

    m.controller_id = -1;
    wire_encode_hello_request(&m, &body);
    raw_call(r, API_HELLO, &body, &a);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, 0);
    return r;
}

struct raw *raw_close(struct raw *r)
{
    struct raw **at = &open_ones;

    if (r == NULL) {
        return NULL;
    }
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    (void)close(r->fd);
    buf_deinit(&r->in);
    arena_deinit(&r->arena);
    return mem_free(r);
}

void raw_close_all(void)
{
    while (open_ones != NULL) {
        (void)raw_close(open_ones);
    }
}

void raw_shrink_receive_buffer(struct raw *r, int bytes)
{
    must(setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
}

bool raw_has_come(const struct raw *r)
{
    uint8_t byte;

    return recv(r->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void raw_end_sending(struct raw *r)
{
    (void)shutdown(r->fd, SHUT_WR); /* the peer may have gone already */
}

/* --- Frames ------------------------------------------------------------------------------------------------------- */

bool raw_send(struct raw *r, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(r->fd, (const char *)bytes + at, size - at, MSG_NOSIGNAL);
        if (n < 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

void raw_frame(struct buf *out, uint32_t api, uint32_t correlation, struct bytes body)
{
    struct frame_header h = {.api = api, .correlation = correlation, .detail = ""};

    frame_begin(out, &h, body.size);
    buf_append(out, body.at, body.size);
}

uint32_t raw_ask(struct raw *r, uint32_t api, const struct buf *body)
{
    struct buf frame = {0};
    uint32_t correlation = ++r->correlation;

    raw_frame(&frame, api, correlation, (struct bytes){.at = body->data, .size = body->size});
    bool sent = raw_send(r, frame.data, frame.size);
    buf_deinit(&frame);
    CHECK(sent);
    return correlation;
}

static void forget_answer(struct raw *r)
{
    if (r->used > 0) {
        memmove(r->in.data, r->in.data + r->used, r->in.size - r->used);
        r->in.size -= r->used;
        r->used = 0;
    }
    arena_deinit(&r->arena);
    arena_init(&r->arena, 0);
}

static bool is_readable_until(const struct raw *r, int64_t deadline)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    int64_t left = deadline - check_now_ms();

    return poll(&p, 1, left > 0 ? (int)left : 0) > 0;
}

/* Until `size` bytes are in `in`. */
static enum raw_got gather(struct raw *r, size_t size, int64_t deadline)
{
    while (r->in.size < size) {
        if (!is_readable_until(r, deadline)) {
            return RAW_TIMEOUT;
        }
        buf_reserve(&r->in, size - r->in.size);
        ssize_t n = recv(r->fd, r->in.data + r->in.size, size - r->in.size, 0);
        if (n <= 0) {
            return RAW_CLOSED;
        }
        r->in.size += (size_t)n;
    }
    return RAW_FRAME;
}

enum raw_got raw_read(struct raw *r, int timeout_ms, struct raw_answer *ret)
{
    int64_t deadline = check_now_ms() + timeout_ms;

    forget_answer(r);
    enum raw_got got = gather(r, FRAME_LENGTH_SIZE, deadline);
    if (got != RAW_FRAME) {
        return got;
    }
    size_t size = FRAME_LENGTH_SIZE + load_be32(r->in.data);
    got = gather(r, size, deadline);
    if (got != RAW_FRAME) {
        return got;
    }
    r->used = size;
    CHECK_EQ(frame_split(r->in.data + FRAME_LENGTH_SIZE, size - FRAME_LENGTH_SIZE, ret->detail,
                     &ret->header, &ret->body),
            0);
    ret->arena = &r->arena;
    return RAW_FRAME;
}

void raw_call(struct raw *r, uint32_t api, const struct buf *body, struct raw_answer *ret)
{
    uint32_t correlation = raw_ask(r, api, body);

    CHECK_EQ(raw_read(r, ANSWER_MS, ret), RAW_FRAME);
    CHECK_EQ(ret->header.correlation, correlation);
    CHECK_EQ(ret->header.api, API_ANSWER);
}

bool raw_is_closed_within(struct raw *r, int timeout_ms)
{
    int64_t deadline = check_now_ms() + timeout_ms;
    char block[65536];

    while (is_readable_until(r, deadline)) {
        if (recv(r->fd, block, sizeof(block), 0) <= 0) {
            return true;
        }
    }
    return false;
}

/* --- Messages ----------------------------------------------------------------------------------------------------- */

static bool all_have_leaders(const struct msg_metadata_topic *t)
{
    for (size_t i = 0; i < t->n_partitions; i++) {
        if (t->partitions[i].leader < 0) {
            return false;
        }
    }
    return t->error == 0;
}

struct uuid raw_topic_id(struct raw *r, const char *topic, epoch32 *ret_epoch)
{
    struct msg_metadata_request m = {.topics = &topic, .n_topics = 1};
    int64_t deadline = check_now_ms() + ANSWER_MS;
    struct msg_metadata_response answer;
    struct raw_answer a;
    struct buf body = {0};

    wire_encode_metadata_request(&m, &body);
    do {
        CHECK(check_now_ms() < deadline);
        raw_call(r, API_METADATA, &body, &a);
        CHECK_EQ(a.header.error, 0);
        CHECK_EQ(wire_decode_metadata_response(a.body, a.arena, &answer), 0);
        CHECK_EQ(answer.n_topics, 1);
    } while (!all_have_leaders(&answer.topics[0]));
    buf_deinit(&body);
    if (ret_epoch != NULL) {
        *ret_epoch = answer.topics[0].partitions[0].leader_epoch;
    }
    return answer.topics[0].topic_id;
}

void raw_encode_produce(
        struct buf *out, int32_t acks, const struct msg_produce_partition *parts, size_t n)
{
    wire_produce_front(out, acks);
    for (size_t i = 0; i < n; i++) {
        const struct msg_produce_partition *p = &parts[i];
        wire_produce_partition_front(out, &p->topic_id, p->partition, p->records.size);
        buf_append(out, p->records.at, p->records.size);
    }
}

struct msg_produce_result raw_produce(struct raw *r,
        int32_t acks,
        const struct uuid *topic_id,
        int32_t partition,
        const struct buf *records)
{
    struct msg_produce_partition part = {.topic_id = *topic_id,
            .partition = partition,
            .records = {.at = records->data, .size = records->size}};
    struct msg_produce_response answer;
    struct raw_answer a;
    struct buf body = {0};

    raw_encode_produce(&body, acks, &part, 1);
    raw_call(r, API_PRODUCE, &body, &a);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_partitions, 1);
    CHECK(uuid_equal(&answer.partitions[0].topic_id, topic_id));
    CHECK_EQ(answer.partitions[0].partition, partition);
    return answer.partitions[0];
}

struct msg_fetch_partition raw_fetch_from(
        const struct uuid *topic_id, int32_t partition, offset64 offset)
{
    return (struct msg_fetch_partition){.topic_id = *topic_id,
            .partition = partition,
            .leader_epoch = EPOCH_NONE,
            .fetch_offset = offset,
            .last_fetched_epoch = EPOCH_NONE,
            .max_bytes = PIECE,
            .log_start = OFFSET_NONE,
            .flushed = OFFSET_NONE};
}

void raw_encode_fetch(struct buf *out,
        uint32_t max_wait_ms,
        uint32_t min_bytes,
        uint32_t max_bytes,
        const struct msg_fetch_partition *parts,
        size_t n)
{
    struct msg_fetch_partition *copy = mem_new_n(struct msg_fetch_partition, n + 1);
    struct msg_fetch_request m = {.max_wait_ms = max_wait_ms,
            .min_bytes = min_bytes,
            .max_bytes = max_bytes,
            .replica = BROKER_NONE,
            .broker_epoch = BROKER_EPOCH_NONE,
            .partitions = copy,
            .n_partitions = n};

    if (n > 0) {
        memcpy(copy, parts, n * sizeof(*parts));
    }
    wire_encode_fetch_request(&m, out);
    mem_free(copy);
}

void raw_decode_fetch(const struct raw_answer *a, struct msg_fetch_response *ret)
{
    CHECK_EQ(a->header.error, 0);
    CHECK_EQ(wire_decode_fetch_response(a->body, a->arena, ret), 0);
}

struct msg_list_offsets_result raw_list_offset(
        struct raw *r, const struct uuid *topic_id, int32_t partition, int64_t timestamp)
{
    struct msg_list_offsets_partition part = {.topic_id = *topic_id,
            .partition = partition,
            .leader_epoch = EPOCH_NONE,
            .timestamp = timestamp};
    struct msg_list_offsets_request m = {.partitions = &part, .n_partitions = 1};
    struct msg_list_offsets_response answer;
    struct raw_answer a;
    struct buf body = {0};

    wire_encode_list_offsets_request(&m, &body);
    raw_call(r, API_LIST_OFFSETS, &body, &a);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_list_offsets_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_partitions, 1);
    return answer.partitions[0];
}

offset64 raw_end_offset(struct raw *r, const struct uuid *topic_id, int32_t partition)
{
    struct msg_list_offsets_result result = raw_list_offset(r, topic_id, partition, LIST_LATEST);

    CHECK_EQ(result.error, 0);
    return result.offset;
}

/* --- Batches ------------------------------------------------------------------------------------------------------ */

static wall_ms now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void raw_batch(struct buf *out, int n, const void *value, size_t value_size)
{
    struct batch_build_options none = {
            .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};
    struct record rec = {.timestamp = now_ms(), .value = {.at = value, .size = value_size}};

    for (int i = 0; i < n; i++) {
        batch_builder_add(&bb, &rec, NULL);
    }
    batch_builder_finish(&bb, &none, CODEC_NONE,
            (struct bytes){.at = bb.records.data, .size = bb.records.size}, out);
    batch_builder_deinit(&bb);
}

void raw_round_trip(int port, const char *topic)
{
    static unsigned n;
    struct raw *r = raw_client(port);
    struct uuid id = raw_topic_id(r, topic, NULL);
    struct msg_fetch_response got;
    struct raw_answer a;
    struct buf batch = {0};
    struct buf body = {0};
    char text[32];

    int size = snprintf(text, sizeof(text), "round-%u", ++n);
    raw_batch(&batch, 1, text, (size_t)size);
    struct msg_produce_result wrote = raw_produce(r, -1, &id, 0, &batch);
    CHECK_EQ(wrote.error, 0);
    struct msg_fetch_partition part = raw_fetch_from(&id, 0, wrote.base_offset);
    raw_encode_fetch(&body, 1000, 1, PIECE, &part, 1);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &got);
    CHECK_EQ(got.n_partitions, 1);
    CHECK_EQ(got.partitions[0].error, 0);
    struct bytes records = got.partitions[0].records;
    CHECK(memmem(records.at, records.size, text, (size_t)size) != NULL);
    buf_deinit(&batch);
    buf_deinit(&body);
    (void)raw_close(r);
}

/* A stream of compressed bytes into `out`. */
struct press {
    enum batch_codec codec;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    struct buf *out;
};

static void press_start(struct press *p, enum batch_codec codec, struct buf *out)
{
    *p = (struct press){.codec = codec, .out = out};
    if (codec == CODEC_GZIP) {
        must(deflateInit2(&p->gzip, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    } else {
        must(codec == CODEC_ZSTD);
        p->zstd = ZSTD_createCCtx();
        must(p->zstd != NULL);
    }
}

static void press_zstd(struct press *p, const uint8_t *bytes, size_t size, bool is_last)
{
    uint8_t room[65536];
    ZSTD_inBuffer in = {.src = bytes, .size = size};
    size_t left;

    do {
        ZSTD_outBuffer out = {.dst = room, .size = sizeof(room)};
        left = ZSTD_compressStream2(p->zstd, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
        must(!ZSTD_isError(left));
        buf_append(p->out, room, out.pos);
    } while (in.pos < in.size || (is_last && left > 0));
}

static void press_gzip(struct press *p, uint8_t *bytes, size_t size, bool is_last)
{
    uint8_t room[65536];
    int r;

    p->gzip.next_in = bytes;
    p->gzip.avail_in = (uInt)size;
    do {
        p->gzip.next_out = room;
        p->gzip.avail_out = sizeof(room);
        r = deflate(&p->gzip, is_last ? Z_FINISH : Z_NO_FLUSH);
        must(r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR);
        buf_append(p->out, room, sizeof(room) - p->gzip.avail_out);
    } while (p->gzip.avail_in > 0 || (is_last && r != Z_STREAM_END));
}

static void press_add(struct press *p, uint8_t *bytes, size_t size, bool is_last)
{
    if (p->codec == CODEC_GZIP) {
        press_gzip(p, bytes, size, is_last);
    } else {
        press_zstd(p, bytes, size, is_last);
    }
}

static void press_end(struct press *p)
{
    if (p->codec == CODEC_GZIP) {
        (void)deflateEnd(&p->gzip); /* all of it was taken out */
    } else {
        (void)ZSTD_freeCCtx(p->zstd);
    }
}

void raw_bomb(struct buf *out, enum batch_codec codec, uint64_t value_size)
{
    struct batch_build_options none = {
            .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {.n_records = 1};
    struct buf head = {0};
    struct buf payload = {0};
    uint8_t *zeros = mem_alloc(PIECE);
    struct press p;

    /* attributes, timestamp delta, offset delta, no key, value, no headers */
    buf_varint(&head, (int64_t)(5 + varint_size((int64_t)value_size) + value_size));
    buf_append(&head, "\0\0\0\1", 4);
    buf_varint(&head, (int64_t)value_size);
    press_start(&p, codec, &payload);
    press_add(&p, head.data, head.size, false);
    for (uint64_t left = value_size; left > 0;) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        press_add(&p, zeros, n, false);
        left -= n;
    }
    press_add(&p, zeros, 1, true);
    press_end(&p);
    bb.base_timestamp = bb.max_timestamp = now_ms();
    batch_builder_finish(
            &bb, &none, codec, (struct bytes){.at = payload.data, .size = payload.size}, out);
    batch_builder_deinit(&bb);
    buf_deinit(&head);
    buf_deinit(&payload);
    mem_free(zeros);
}

void raw_batch_mend_crc(uint8_t *batch, size_t size)
{
    must(size >= BATCH_HEADER_SIZE);
    store_be32(batch + 17, crc32c(0, batch + 21, size - 21));
}

/* --- The broker's process ----------------------------------------------------------------------------------------- */

uint64_t process_resident(pid_t pid)
{
    char path[64];
    unsigned long long size = 0;
    unsigned long long pages = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    int n = fscanf(f, "%llu %llu", &size, &pages);
    (void)fclose(f);
    CHECK_EQ(n, 2);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_peak(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    while (kib == 0 && fgets(line, sizeof(line), f) != NULL) {
        (void)sscanf(line, "VmHWM: %llu", &kib);
    }
    (void)fclose(f);
    CHECK(kib > 0);
    return kib * 1024;
}

void process_forget_peak(pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    (void)fputs("5", f);
    CHECK_EQ(fclose(f), 0);
}

unsigned process_n_fds(pid_t pid)
{
    char path[64];
    unsigned n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    CHECK(d != NULL);
    while (readdir(d) != NULL) {
        n++;
    }
    (void)closedir(d);
    return n - 2; /* "." and ".." */
}
