/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/ctl_state.h"

/* Producer ids are counted up and given to brokers in blocks. The record is committed before the
 * answer leaves
 * (`after_seq`), so whatever happens to this controller or to the answer, nobody gets any of them
 * again. */

enum {
    PRODUCER_IDS_BLOCK = 1000,
    PRODUCER_IDS_SKIP = 1000 * 1000 * 1000 /* a million blocks */
};

static void append_block(struct ctl *c,
        broker_id id,
        int64_t epoch,
        int64_t first,
        int32_t count,
        const char *inputs)
{
    struct meta_record r = ctl_record(c, META_PRODUCER_ID_BLOCK, inputs);

    r.producer_ids.broker = id;
    r.producer_ids.broker_epoch = epoch;
    r.producer_ids.first = first;
    r.producer_ids.count = count;
    ctl_append(c, &r);
}

void ctl_on_producer_ids(struct ctl *c)
{
    broker_id id = c->ev->broker.id;
    const struct image_broker *b = image_broker(c->next, id);
    int64_t first = image_next_producer_id(c->next);

    /* [PID-2] An incarnation that was replaced may be cut off, and not know it yet. */
    if (b == NULL || b->epoch != c->ev->broker.epoch) {
        (void)ctl_answer(
                c, ERRCODE_STALE_BROKER_EPOCH, "the registered incarnation is another one");
        return;
    }
    if (b->state == BROKER_FENCED) { /* [PID-2] */
        (void)ctl_answer(c, ERRCODE_BROKER_NOT_AVAILABLE,
                "this broker is fenced: it has clients to give ids to when it serves again");
        return;
    }
    must(first <= INT64_MAX - PRODUCER_IDS_BLOCK);
    append_block(c, id, b->epoch, first, PRODUCER_IDS_BLOCK, ""); /* [PID-1] */
    trace_emit(c->trace, "ctl  producer ids %lld to %lld for broker %d", (long long)first,
            (long long)(first + PRODUCER_IDS_BLOCK - 1), id);
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->ids_first = first;
        reply->ids_count = PRODUCER_IDS_BLOCK;
    }
}

void ctl_skip_producer_ids(struct ctl *c)
{
    append_block(c, BROKER_NONE, BROKER_EPOCH_NONE, image_next_producer_id(c->next),
            PRODUCER_IDS_SKIP, "rebuilt");
    trace_emit(c->trace, "ctl  producer ids below %lld are passed over",
            (long long)image_next_producer_id(c->next));
}
