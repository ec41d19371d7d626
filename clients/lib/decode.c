/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/consumer.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/compress/compress.h"
#include "common/domain/record_batch.h"

#include <stdio.h>
#include <string.h>

/* Stored batches as the application sees them. */

struct weir_batch {
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    struct frame_ref *frame; /* what uncompressed messages point into */
    struct buf plain;        /* what compressed ones point into */
    struct weir_message *messages;
    struct bytes *headers; /* by message, encoded; NULL = no message has any */
    size_t n;
    offset64 begin, end, high_watermark;
    epoch32 leader_epoch; /* EPOCH_NONE with an error */
    struct weir_error error;
    char *header_name; /* handed out last */
};

/* --- Frames ----------------------------------------------------------------------------------- */

struct frame_ref *frame_ref_new(uint8_t *frame)
{
    struct frame_ref *f = mem_new(struct frame_ref);

    atomic_init(&f->n, 1);
    f->frame = frame;
    return f;
}

struct frame_ref *frame_ref_get(struct frame_ref *f)
{
    (void)atomic_fetch_add(&f->n, 1);
    return f;
}

void frame_ref_put(struct frame_ref *f)
{
    if (f != NULL && atomic_fetch_sub(&f->n, 1) == 1) {
        mem_free(f->frame);
        mem_free(f);
    }
}

/* --- Measuring -------------------------------------------------------------------------------- */

static bool has_sane_offsets(const struct batch *b)
{
    return b->base_offset >= 0 && b->last_offset_delta >= 0 &&
           b->base_offset <= INT64_MAX - INT32_MAX - 1;
}

size_t batches_measure(struct bytes records,
        offset64 from,
        size_t *ret_skip,
        offset64 *ret_next,
        struct fetch_epochs *ret_epochs)
{
    size_t at = 0;
    struct batch b;

    ret_epochs->n = 0;
    *ret_skip = 0;
    *ret_next = from;
    while (at < records.size) {
        int r = batch_parse(records.at + at, records.size - at, &b);
        if (r != 0 || !has_sane_offsets(&b)) {
            break;
        }
        offset64 last = batch_last_offset(&b);
        if (last < from && *ret_next == from && at == *ret_skip) {
            *ret_skip += b.size; /* older than what was asked for */
        } else if (last < *ret_next || (*ret_next > from && b.base_offset < *ret_next)) {
            break; /* offsets that go back */
        } else {
            fetch_epochs_note(
                    ret_epochs, b.leader_epoch, b.base_offset > from ? b.base_offset : from);
            *ret_next = last + 1;
        }
        at += b.size;
    }
    return at - *ret_skip;
}

/* --- Decoding --------------------------------------------------------------------------------- */

static struct weir_batch *batch_new(const struct stored *s)
{
    struct weir_batch *out = mem_new(struct weir_batch);

    (void)snprintf(out->topic, sizeof(out->topic), "%s", s->topic->name);
    out->partition = s->partition;
    out->high_watermark = s->high_watermark;
    out->begin = s->from;
    out->end = OFFSET_NONE;
    out->leader_epoch = EPOCH_NONE;
    return out;
}

struct weir_batch *batch_of_error(
        const struct stored *s, const struct weir_error *error, offset64 end)
{
    struct weir_batch *out = batch_new(s);

    out->error = *error;
    out->end = end;
    return out;
}

static bool allocate(struct weir_batch *out, size_t n)
{
    out->messages = mem_try_resize(NULL, n, sizeof(*out->messages));
    return out->messages != NULL;
}

static bool add_headers(struct weir_batch *out, size_t n_max, const struct record *r)
{
    if (out->headers == NULL) {
        out->headers = mem_try_alloc(n_max * sizeof(*out->headers));
        if (out->headers == NULL) {
            return false;
        }
    }
    out->headers[out->n] = r->headers;
    return true;
}

static struct weir_bytes bytes_of(struct bytes b)
{
    return (struct weir_bytes){.at = b.at, .size = b.size};
}

/* 0, WEIR_E_CORRUPT or WEIR_E_MEMORY, with `*ret_text` saying why. */
static int read_records(struct weir_batch *out,
        const struct batch *b,
        struct bytes plain,
        offset64 from,
        const char **ret_text)
{
    struct record_iter it;
    struct record record;
    size_t n_max = (size_t)b->n_records;
    int r = 0;

    if (n_max > plain.size / RECORD_SIZE_MIN) {
        *ret_text = batch_error_text(BATCH_E_COUNT);
        return WEIR_E_CORRUPT;
    }
    if (n_max == 0) {
        return 0;
    }
    if (!allocate(out, n_max)) {
        return WEIR_E_MEMORY;
    }
    record_iter_init(&it, b, plain.at, plain.size);
    while ((r = record_iter_next(&it, &record)) == 0) {
        if (record.offset < from) {
            continue;
        }
        if ((record.n_headers > 0 || out->headers != NULL) && !add_headers(out, n_max, &record)) {
            return WEIR_E_MEMORY;
        }
        out->messages[out->n++] = (struct weir_message){
                .offset = record.offset,
                .timestamp = record.timestamp,
                .key = bytes_of(record.key),
                .value = bytes_of(record.value),
                .n_headers = (size_t)record.n_headers,
        };
    }
    if (r != RECORD_END) {
        *ret_text = batch_error_text(r);
        return WEIR_E_CORRUPT;
    }
    return 0;
}

static int decode(struct weir_batch *out,
        const struct batch *b,
        offset64 from,
        size_t decompress_max,
        const char **ret_text)
{
    struct bytes plain;

    if (!batch_crc_is_right(b)) {
        *ret_text = batch_error_text(BATCH_E_CRC);
        return WEIR_E_CORRUPT;
    }
    if (b->n_records < 0 || codec_name(b->attributes & BATCH_CODEC_MASK) == NULL) {
        *ret_text = batch_error_text(b->n_records < 0 ? BATCH_E_COUNT : BATCH_E_CODEC);
        return WEIR_E_CORRUPT;
    }
    if ((b->attributes & BATCH_CONTROL) != 0) {
        return 0; /* marks of transactions are not messages */
    }
    int r = batch_plain_records(b, decompress_max, &out->plain, &plain);
    if (r != 0) {
        *ret_text =
                r == COMPRESS_E_CORRUPT ? "the compressed records cannot be decompressed" : NULL;
        return r == COMPRESS_E_CORRUPT ? WEIR_E_CORRUPT
               : r == COMPRESS_E_LIMIT ? WEIR_E_LIMIT
                                       : WEIR_E_MEMORY;
    }
    return read_records(out, b, plain, from, ret_text);
}

static void drop_messages(struct weir_batch *b)
{
    b->messages = mem_free(b->messages);
    b->headers = mem_free(b->headers);
    b->n = 0;
    buf_deinit(&b->plain);
    frame_ref_put(b->frame);
    b->frame = NULL;
}

struct weir_batch *batch_decode(
        const struct stored *s, struct frame_ref *frame, size_t decompress_max)
{
    struct weir_batch *out = batch_new(s);
    const char *text = NULL;
    struct batch b;

    must(batch_parse(s->at, s->size, &b) == 0); /* batches_measure() has seen it */
    out->begin = b.base_offset > s->from ? b.base_offset : s->from;
    out->end = batch_last_offset(&b) + 1;
    int code = decode(out, &b, s->from, decompress_max, &text);
    if (code != 0) {
        drop_messages(out);
        (void)error_set(&out->error, code, "%s", text != NULL ? text : weir_code_text(code));
        return out;
    }
    if (out->n == 0) {
        weir_batch_free(out);
        return NULL;
    }
    out->leader_epoch = b.leader_epoch;
    if (batch_codec(&b) == CODEC_NONE) {
        out->frame = frame_ref_get(frame);
    }
    return out;
}

/* --- What the application sees ---------------------------------------------------------------- */

void weir_batch_free(struct weir_batch *b)
{
    if (b == NULL) {
        return;
    }
    drop_messages(b);
    mem_free(b->header_name);
    mem_free(b);
}

const char *weir_batch_topic(const struct weir_batch *b)
{
    return b->topic;
}

int32_t weir_batch_partition(const struct weir_batch *b)
{
    return b->partition;
}

size_t weir_batch_n(const struct weir_batch *b)
{
    return b->n;
}

const struct weir_message *weir_batch_messages(const struct weir_batch *b)
{
    return b->messages;
}

int64_t weir_batch_high_watermark(const struct weir_batch *b)
{
    return b->high_watermark;
}

const struct weir_error *weir_batch_error(const struct weir_batch *b)
{
    return &b->error;
}

int64_t weir_batch_begin(const struct weir_batch *b)
{
    return b->begin;
}

int64_t weir_batch_end(const struct weir_batch *b)
{
    return b->end;
}

int32_t weir_batch_leader_epoch(const struct weir_batch *b)
{
    return b->leader_epoch;
}

static struct weir_batch *writable(const struct weir_batch *b)
{
    union {
        const struct weir_batch *in;
        struct weir_batch *out;
    } u = {.in = b};

    return u.out;
}

bool weir_batch_header(const struct weir_batch *b, size_t i, size_t h, struct weir_header *ret)
{
    if (i >= b->n || h >= b->messages[i].n_headers || b->headers == NULL) {
        return false;
    }
    struct record record = {
            .n_headers = (int32_t)b->messages[i].n_headers, .headers = b->headers[i]};
    struct record_header *all = mem_try_resize(NULL, h + 1, sizeof(*all));
    bool is_there = all != NULL && record_headers(&record, all, (int)(h + 1)) == (int)(h + 1);
    if (is_there) {
        struct weir_batch *w = writable(b);
        mem_free(w->header_name);
        w->header_name = mem_strndup((const char *)all[h].name.at, all[h].name.size);
        *ret = (struct weir_header){.name = w->header_name, .value = bytes_of(all[h].value)};
    }
    mem_free(all);
    return is_there;
}
