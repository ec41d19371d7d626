/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/wire/messages.h"
#include "tests/fuzz/fuzz.h"

/* The first byte chooses the message, by its place in this list; what follows is the body. Names
 * are only added at the end, so that the corpus keeps its meaning. */
#define EACH(DO)                                                                                   \
    DO(hello_request)                                                                              \
    DO(hello_response)                                                                             \
    DO(metadata_request)                                                                           \
    DO(metadata_response)                                                                          \
    DO(produce_response)                                                                           \
    DO(fetch_request)                                                                              \
    DO(list_offsets_request)                                                                       \
    DO(list_offsets_response)                                                                      \
    DO(push_request)                                                                               \
    DO(push_response)                                                                              \
    DO(beat_request)                                                                               \
    DO(beat_response)                                                                              \
    DO(broker_ready_request)                                                                       \
    DO(controlled_shutdown_request)                                                                \
    DO(controlled_shutdown_response)                                                               \
    DO(cluster_id)                                                                                 \
    DO(epoch)                                                                                      \
    DO(active)                                                                                     \
    DO(candidate)                                                                                  \
    DO(broker_reg)                                                                                 \
    DO(batch)                                                                                      \
    DO(snap_head)                                                                                  \
    DO(record_list)                                                                                \
    DO(describe_configs_request)                                                                   \
    DO(describe_configs_response)                                                                  \
    DO(hello_auth)                                                                                 \
    DO(init_producer_id_request)                                                                   \
    DO(init_producer_id_response)                                                                  \
    DO(allocate_producer_ids_request)                                                              \
    DO(allocate_producer_ids_response)                                                             \
    DO(delete_records_request)                                                                     \
    DO(delete_records_response)                                                                \
    DO(offset_for_leader_epoch_request)                                                        \
    DO(offset_for_leader_epoch_response)                                                           \
    DO(describe_logs_request)                                                                      \
    DO(describe_logs_response)                                                                     \
    DO(alter_partition_request)                                                                    \
    DO(alter_partition_response)                                                                   \
    DO(replica_failed_request)                                                                     \
    DO(describe_ends_request)                                                                      \
    DO(describe_ends_response)

/* Records of an unknown kind are read, but never written. */
static bool has_unknown_kind(const struct msg_record_list *m)
{
    for (size_t i = 0; i < m->n_records; i++) {
        if ((int)m->records[i].kind == 0) {
            return true;
        }
    }
    return false;
}

#define CAN_ENCODE(m)                                                                              \
    _Generic((m), struct msg_record_list * : !has_unknown_kind((const void *)(m)), default : true)

/* Decodes and encodes the result. */
#define DEFINE(X)                                                                                  \
    static int again_##X(struct bytes body, struct arena *a, struct buf *out)                      \
    {                                                                                              \
        struct msg_##X m;                                                                          \
        int r = wire_decode_##X(body, a, &m);                                                      \
        if (r == 0 && CAN_ENCODE(&m)) {                                                            \
            wire_encode_##X(&m, out);                                                              \
        }                                                                                          \
        return r;                                                                                  \
    }
#define ROW(X) again_##X,

EACH(DEFINE)
static int (*const kinds[])(struct bytes, struct arena *, struct buf *) = {EACH(ROW)};

/* A body that decodes is encoded again, and from then on encoding and decoding change nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf b = {0};
    struct buf again = {0};

    if (size == 0) {
        return 0;
    }
    int (*kind)(struct bytes, struct arena *, struct buf *) = kinds[data[0] % COUNT_OF(kinds)];
    arena_init(&a, wire_arena_ceiling(size - 1));
    int r = kind((struct bytes){data + 1, size - 1}, &a, &b);
    must(r == 0 || r == WIRE_E_FORM || r == WIRE_E_MEMORY || r == WIRE_E_LIMIT);
    arena_deinit(&a);
    if (r == 0 && b.size > 0) {
        arena_init(&a, 0);
        r = kind((struct bytes){b.data, b.size}, &a, &again);
        /* Without the unknown fields the body is shorter, and so is what it may cost. */
        must(r == 0 || r == WIRE_E_MEMORY);
        must(r != 0 || again.size == b.size);
        must(r != 0 || memcmp(again.data, b.data, b.size) == 0);
        arena_deinit(&a);
    }
    buf_deinit(&b);
    buf_deinit(&again);
    return 0;
}
