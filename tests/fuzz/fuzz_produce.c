/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const struct msg_produce_request *m, struct buf *b)
{
    wire_produce_front(b, m->acks);
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_produce_partition *p = &m->partitions[i];
        wire_produce_partition_front(b, &p->topic_id, p->partition, p->records.size);
        buf_append(b, p->records.at, p->records.size);
    }
}

/* A request that decodes is written again and decodes into the same; its payload is never outside
 * the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct msg_produce_request m;
    struct buf b = {0};
    struct buf again = {0};

    arena_init(&a, wire_arena_ceiling(size));
    int r = wire_decode_produce_request((struct bytes){data, size}, &a, &m);
    must(r == 0 || r == WIRE_E_FORM || r == WIRE_E_MEMORY);
    if (r == 0) {
        for (size_t i = 0; i < m.n_partitions; i++) {
            const struct bytes *records = &m.partitions[i].records;
            must(records->size == 0 ||
                    (records->at >= data && records->at + records->size <= data + size));
            must(m.partitions[i].partition >= 0);
        }
        write_again(&m, &b);
        a.ceiling = 0;
        must(wire_decode_produce_request((struct bytes){b.data, b.size}, &a, &m) == 0);
        write_again(&m, &again);
        must(again.size == b.size);
        must(b.size == 0 || memcmp(again.data, b.data, b.size) == 0);
    }
    arena_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&again);
    return 0;
}
