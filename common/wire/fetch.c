/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/must.h"
#include "common/wire/walk.h"

/* The field numbers in data.proto. */
enum {
    RESPONSE_PARTITIONS = 1
};

enum {
    TOPIC_ID = 1,
    PARTITION = 2,
    ERROR = 3,
    DETAIL = 4,
    HIGH_WATERMARK = 5,
    LAST_STABLE = 6,
    LOG_START = 7,
    LEADER_EPOCH = 8,
    DIVERGING_EPOCH = 9,
    DIVERGING_END = 10,
    RECORDS = 15,
};

static bool take_number(const struct scan_field *f, struct msg_fetch_result *p)
{
    switch (f->number) {
    case PARTITION: return walk_count(f, &p->partition);
    case ERROR: return walk_sint32(f, &p->error);
    case HIGH_WATERMARK: return walk_sint64(f, &p->high_watermark);
    case LAST_STABLE: return walk_sint64(f, &p->last_stable);
    case LOG_START: return walk_sint64(f, &p->log_start);
    case LEADER_EPOCH: return walk_sint32(f, &p->leader_epoch);
    case DIVERGING_EPOCH: return walk_sint32(f, &p->diverging_epoch);
    case DIVERGING_END: return walk_sint64(f, &p->diverging_end);
    default: return true; /* A newer peer's field. */
    }
}

/* The detail is copied once, after the walk: repeated in the message, it would cost memory each
 * time. */
static bool take_detail(struct bytes text, struct arena *a, const char **ret, int *ret_error)
{
    if (text.size == 0) {
        *ret = "";
        return true;
    }
    if (memchr(text.at, 0, text.size) != NULL) {
        return false;
    }
    *ret = arena_strndup(a, (const char *)text.at, text.size);
    if (*ret == NULL) {
        *ret_error = WIRE_E_MEMORY;
    }
    return *ret != NULL;
}

static bool take_result(struct bytes message, struct arena *a, void *item, int *ret_error)
{
    struct msg_fetch_result *p = item;
    struct reader r;
    struct scan_field f;
    struct bytes detail = {0};
    bool fits = true;

    reader_init(&r, message.at, message.size);
    while (fits && scan_next(&r, &f)) {
        switch (f.number) {
        case TOPIC_ID: fits = walk_uuid(&f, &p->topic_id); break;
        case DETAIL: fits = walk_bytes(&f, &detail); break;
        case RECORDS: fits = walk_bytes(&f, &p->records); break;
        default: fits = take_number(&f, p); break;
        }
    }
    return fits && !r.failed && take_detail(detail, a, &p->detail, ret_error);
}

int wire_decode_fetch_response(struct bytes body, struct arena *a, struct msg_fetch_response *ret)
{
    void *items = NULL;
    size_t n = 0;
    struct walk w = {
            .list_number = RESPONSE_PARTITIONS,
            .item_size = sizeof(struct msg_fetch_result),
            .take = take_result,
    };

    int r = walk_list(&w, body, a, &items, &n);
    if (r != 0) {
        return r;
    }
    *ret = (struct msg_fetch_response){.partitions = items, .n_partitions = n};
    return 0;
}

void wire_fetch_result_front(struct buf *out, const struct msg_fetch_result *r)
{
    size_t id_size = uuid_is_zero(&r->topic_id) ? 0 : sizeof(r->topic_id.bytes);
    size_t detail_size = r->detail != NULL ? strlen(r->detail) : 0;

    must(r->partition >= 0);
    size_t size = size_bytes(TOPIC_ID, id_size) + size_uint(PARTITION, (uint32_t)r->partition) +
                  size_sint(ERROR, r->error) + size_bytes(DETAIL, detail_size) +
                  size_sint(HIGH_WATERMARK, r->high_watermark) +
                  size_sint(LAST_STABLE, r->last_stable) + size_sint(LOG_START, r->log_start) +
                  size_sint(LEADER_EPOCH, r->leader_epoch) +
                  size_sint(DIVERGING_EPOCH, r->diverging_epoch) +
                  size_sint(DIVERGING_END, r->diverging_end) + size_bytes(RECORDS, r->records.size);
    buf_uvarint(out, scan_tag(RESPONSE_PARTITIONS, WT_BYTES));
    buf_uvarint(out, size);
    put_bytes(out, TOPIC_ID, r->topic_id.bytes, id_size);
    put_uint(out, PARTITION, (uint32_t)r->partition);
    put_sint(out, ERROR, r->error);
    put_bytes(out, DETAIL, r->detail, detail_size);
    put_sint(out, HIGH_WATERMARK, r->high_watermark);
    put_sint(out, LAST_STABLE, r->last_stable);
    put_sint(out, LOG_START, r->log_start);
    put_sint(out, LEADER_EPOCH, r->leader_epoch);
    put_sint(out, DIVERGING_EPOCH, r->diverging_epoch);
    put_sint(out, DIVERGING_END, r->diverging_end);
    put_bytes_front(out, RECORDS, r->records.size);
}
