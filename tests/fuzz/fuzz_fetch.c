/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const struct msg_fetch_response *m, struct buf *b)
{
    for (size_t i = 0; i < m->n_partitions; i++) {
        wire_fetch_result_front(b, &m->partitions[i]);
        buf_append(b, m->partitions[i].records.at, m->partitions[i].records.size);
    }
}

/* An answer that decodes is written again and decodes into the same; its payload is never outside
 * the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct msg_fetch_response m;
    struct buf b = {0};
    struct buf again = {0};

    arena_init(&a, wire_arena_ceiling(size));
    int r = wire_decode_fetch_response((struct bytes){data, size}, &a, &m);
    must(r == 0 || r == WIRE_E_FORM || r == WIRE_E_MEMORY);
    if (r == 0) {
        for (size_t i = 0; i < m.n_partitions; i++) {
            const struct bytes *records = &m.partitions[i].records;
            must(records->size == 0 ||
                    (records->at >= data && records->at + records->size <= data + size));
            must(m.partitions[i].detail != NULL);
        }
        write_again(&m, &b);
        a.ceiling = 0;
        must(wire_decode_fetch_response((struct bytes){b.data, b.size}, &a, &m) == 0);
        write_again(&m, &again);
        must(again.size == b.size);
        must(b.size == 0 || memcmp(again.data, b.data, b.size) == 0);
    }
    arena_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&again);
    return 0;
}
