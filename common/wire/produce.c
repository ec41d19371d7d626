/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/must.h"
#include "common/wire/walk.h"

/* The field numbers in data.proto. */
enum {
    REQUEST_ACKS = 1,
    REQUEST_PARTITIONS = 2
};

enum {
    TOPIC_ID = 1,
    PARTITION = 2,
    RECORDS = 15
};

static bool take_partition(struct bytes message, struct arena *a, void *item, int *ret_error)
{
    struct msg_produce_partition *p = item;
    struct reader r;
    struct scan_field f;
    bool fits = true;

    (void)a;
    (void)ret_error; /* preset to WIRE_E_FORM, the only way to fail */
    reader_init(&r, message.at, message.size);
    while (fits && scan_next(&r, &f)) {
        switch (f.number) {
        case TOPIC_ID: fits = walk_uuid(&f, &p->topic_id); break;
        case PARTITION: fits = walk_count(&f, &p->partition); break;
        case RECORDS: fits = walk_bytes(&f, &p->records); break;
        default: break; /* A newer peer's field. */
        }
    }
    return fits && !r.failed;
}

static bool take_request_field(const struct scan_field *f, void *ctx)
{
    return f->number != REQUEST_ACKS || walk_sint32(f, ctx);
}

int wire_decode_produce_request(struct bytes body, struct arena *a, struct msg_produce_request *ret)
{
    int32_t acks = 0;
    void *items = NULL;
    size_t n = 0;
    struct walk w = {
            .list_number = REQUEST_PARTITIONS,
            .item_size = sizeof(struct msg_produce_partition),
            .take = take_partition,
            .other = take_request_field,
            .ctx = &acks,
    };

    int r = walk_list(&w, body, a, &items, &n);
    if (r != 0) {
        return r;
    }
    *ret = (struct msg_produce_request){.acks = acks, .partitions = items, .n_partitions = n};
    return 0;
}

void wire_produce_front(struct buf *out, int32_t acks)
{
    put_sint(out, REQUEST_ACKS, acks);
}

void wire_produce_partition_front(
        struct buf *out, const struct uuid *topic_id, int32_t partition, size_t records_size)
{
    size_t id_size = uuid_is_zero(topic_id) ? 0 : sizeof(topic_id->bytes);

    must(partition >= 0);
    buf_uvarint(out, scan_tag(REQUEST_PARTITIONS, WT_BYTES));
    buf_uvarint(out, size_bytes(TOPIC_ID, id_size) + size_uint(PARTITION, (uint32_t)partition) +
                             size_bytes(RECORDS, records_size));
    put_bytes(out, TOPIC_ID, topic_id->bytes, id_size);
    put_uint(out, PARTITION, (uint32_t)partition);
    put_bytes_front(out, RECORDS, records_size);
}
