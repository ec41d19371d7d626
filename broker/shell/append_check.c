/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/append_check.h"

#include "broker/shell/errcode_map.h"
#include "common/base/must.h"
#include "common/compress/compress.h"
#include "common/domain/errcode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    /* [LOG-105] The largest batch that is unpacked, here as where one is read to be searched. */
    PLAIN_MAX = 128 * 1024 * 1024,
    TEXT_SIZE = 256
};

/* A sentence with numbers when there is memory for it, else the code's own. */
__attribute__((format(printf, 4, 5))) static void refuse(
        struct append_check *c, struct arena *arena, int error, const char *format, ...)
{
    char *text = arena_alloc(arena, TEXT_SIZE);
    va_list args;

    c->error = error;
    c->detail = errcode_text(error);
    if (text != NULL) {
        va_start(args, format);
        (void)vsnprintf(text, TEXT_SIZE, format, args);
        va_end(args);
        c->detail = text;
    }
}

static void refuse_time(struct append_check *c, const struct append_fault *f, struct arena *arena)
{
    char which[48] = "the largest timestamp of the batch";

    if (f->record >= 0) {
        (void)snprintf(which, sizeof(which), "the timestamp of record %" PRId32, f->record);
    }
    refuse(c, arena, ERRCODE_INVALID_TIMESTAMP,
            "%s, %" PRId64 ", is %" PRIu64 " ms %s the broker's clock; "
            "message.timestamp.%s.max.ms of the topic allows %" PRId64,
            which, f->timestamp, f->off_ms, f->is_ahead ? "ahead of" : "behind",
            f->is_ahead ? "after" : "before",
            f->is_ahead ? c->rules.after_max_ms : c->rules.before_max_ms);
}

/* APPEND_E_* → wire code and sentence. */
static void refuse_by_rule(
        struct append_check *c, int e, const struct append_fault *f, struct arena *arena)
{
    switch (e) {
    case APPEND_E_SIZE:
        refuse(c, arena, ERRCODE_MESSAGE_TOO_LARGE,
                "the batch has %zu bytes; max.message.bytes of the topic is %" PRId64,
                c->batch.size, c->rules.max_message_bytes);
        return;
    case APPEND_E_STAMPED:
        refuse(c, arena, ERRCODE_INVALID_TIMESTAMP,
                "the batch claims to have the broker's time (LogAppendTime), which only a broker "
                "gives");
        return;
    case APPEND_E_TIME: refuse_time(c, f, arena); return;
    case APPEND_E_NO_KEY:
        refuse(c, arena, ERRCODE_INVALID_RECORD,
                "record %" PRId32 " has no key; the topic is compacted, and compaction goes by key",
                f->record);
        return;
    case APPEND_E_RECORD:
        refuse(c, arena, ERRCODE_INVALID_RECORD,
                "record %" PRId32 " of the batch is malformed, or the records are not as many as "
                "the header says",
                f->record);
        return;
    default: must_not_reach("an outcome that append_rules.h does not name");
    }
}

void append_check_begin(struct append_check *c,
        const struct append_rules *rules,
        wall_ms now,
        struct bytes bytes,
        struct arena *arena)
{
    struct append_fault fault;
    int r;

    *c = (struct append_check){.rules = *rules, .now = now, .detail = ""};
    r = batch_validate_produced(bytes.at, bytes.size, &c->batch);
    if (r != 0) {
        struct refusal no = errcode_of_batch(r > 0 ? r : BATCH_E_FORM);

        c->error = no.error;
        c->detail = no.detail;
        return;
    }
    r = append_judge_header(rules, &c->batch, now, &fault);
    if (r != 0) {
        refuse_by_rule(c, r, &fault, arena);
        return;
    }
    c->look = append_look(rules, &c->batch);
}

bool append_check_is_long(const struct append_check *c)
{
    return c->error == ERRCODE_NONE &&
           (c->look == APPEND_LOOK_RECODE ||
                   (c->look == APPEND_LOOK_RECORDS && batch_codec(&c->batch) != CODEC_NONE));
}

/* [LOG-105] The checksum was right: what cannot be unpacked was sent so. */
static void refuse_packed(struct append_check *c, int r, struct arena *arena)
{
    if (r < 0) {
        refuse(c, arena, ERRCODE_REPLICA_NOT_AVAILABLE,
                "the broker has no memory to unpack the batch; try again");
    } else if (r == COMPRESS_E_LIMIT) {
        refuse(c, arena, ERRCODE_MESSAGE_TOO_LARGE, "the batch unpacks to more than %d bytes",
                PLAIN_MAX);
    } else {
        refuse(c, arena, ERRCODE_INVALID_RECORD, "the batch is no sound %s",
                codec_name((int)batch_codec(&c->batch)));
    }
}

/* [LOG-106] The same records under the topic's codec. */
static void recode(
        struct append_check *c, struct bytes plain, wall_ms max_timestamp, struct arena *arena)
{
    enum batch_codec codec = (enum batch_codec)c->rules.codec;
    struct buf *out = &c->recoded;
    int r;

    out->limit = (size_t)c->rules.max_message_bytes; /* [LOG-104] */
    if (buf_grow(out, BATCH_HEADER_SIZE) == NULL) {
        refuse_by_rule(c, APPEND_E_SIZE, NULL, arena);
        return;
    }
    r = compress_bytes(codec, c->rules.level, plain, out);
    if (r < 0) {
        refuse(c, arena, ERRCODE_REPLICA_NOT_AVAILABLE,
                "the broker has no memory to compress the batch; try again");
        return;
    }
    if (r > 0) {
        refuse(c, arena, ERRCODE_MESSAGE_TOO_LARGE,
                "the batch, stored as compression.type of the topic asks (%s), is larger than its "
                "max.message.bytes, %" PRId64,
                codec == CODEC_NONE ? "uncompressed" : codec_name((int)codec),
                c->rules.max_message_bytes);
        return;
    }
    batch_recode_header(&c->batch, codec, max_timestamp, out->data, out->size);
    must(batch_parse(out->data, out->size, &c->batch) == 0);
}

void append_check_end(struct append_check *c, struct arena *arena)
{
    struct buf scratch = {0};
    struct append_fault fault;
    struct bytes plain;
    wall_ms max_timestamp = -1;
    int r;

    if (c->error != ERRCODE_NONE || c->look == APPEND_LOOK_HEADER) {
        return;
    }
    r = batch_plain_records(&c->batch, PLAIN_MAX, &scratch, &plain);
    if (r != 0) {
        refuse_packed(c, r, arena);
    } else {
        r = append_judge_records(&c->rules, &c->batch, c->now, plain, &max_timestamp, &fault);
        if (r != 0) {
            refuse_by_rule(c, r, &fault, arena);
        } else if (c->look == APPEND_LOOK_RECODE) {
            recode(c, plain, max_timestamp, arena);
        }
    }
    buf_deinit(&scratch);
}

void append_check_deinit(struct append_check *c)
{
    buf_deinit(&c->recoded);
}
