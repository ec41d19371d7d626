/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/producer_state.h"

#include "common/base/mem.h"
#include "common/obs/log.h"

struct producers_batch producer_batch_of(const struct batch_head *h)
{
    return (struct producers_batch){.id = h->producer_id,
            .epoch = h->producer_epoch,
            .base_sequence = h->base_sequence,
            .last_delta = (int32_t)(h->last - h->base),
            .is_transactional = (h->attributes & BATCH_TRANSACTIONAL) != 0,
            .is_control = (h->attributes & BATCH_CONTROL) != 0,
            .base = h->base,
            .timestamp = h->max_timestamp};
}

struct producers_batch producer_batch_of_request(const struct batch *b)
{
    return (struct producers_batch){.id = b->producer_id,
            .epoch = b->producer_epoch,
            .base_sequence = b->base_sequence,
            .last_delta = b->last_offset_delta,
            .is_transactional = (b->attributes & BATCH_TRANSACTIONAL) != 0,
            .is_control = (b->attributes & BATCH_CONTROL) != 0,
            .base = OFFSET_NONE,
            .timestamp = b->max_timestamp};
}

static const char *decode_refusal(int r)
{
    switch (r) {
    case PRODUCERS_E_VERSION: return "a newer version wrote it";
    case 0: return "its content is of another offset than its name";
    default: return "its checksum or its form is wrong";
    }
}

/* [PID-31] The newest snapshot at or below `at_most` that can be believed; `ret` stays empty when
 * there is none. A damaged one goes. */
static int take_snapshot(struct producers *ret,
        struct plog *log,
        offset64 at_most,
        offset64 least,
        offset64 *ret_offset)
{
    for (;;) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        offset64 offset = OFFSET_NONE;
        int r = plog_snapshot_newest(log, at_most, &offset, &bytes, &size);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r == PLOG_E_NOT_FOUND ? 0 : r;
        }
        /* [PID-20] Of batches that were deleted between it and the first one nothing is known. */
        if (offset <= least || offset < plog_first_offset(log)) {
            mem_free(bytes);
            return 0;
        }
        int why = producers_decode((struct bytes){bytes, size}, ret);
        mem_free(bytes);
        if (why == 0 && ret->end == offset) {
            *ret_offset = offset;
            return 0;
        }
        log_warn("partition", "producer_snapshot_ignored", KV_STR("folder", plog_folder(log)),
                KV_I64("offset", offset), KV_STR("reason", decode_refusal(why)));
        producers_deinit(ret);
        r = why == PRODUCERS_E_VERSION ? 0 : plog_snapshot_drop(log, offset);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        at_most = offset - 1;
    }
}

struct replaying {
    struct producers *p;
    offset64 end; /* batches from there on have no part in it */
    wall_ms now;
    int64_t bytes;
};

static void note(void *ctx, const struct batch_head *h)
{
    struct replaying *r = ctx;
    struct producers_batch b = producer_batch_of(h);

    if (h->base >= r->end) {
        return;
    }
    producers_note(r->p, &b, r->now);
    r->bytes += h->size;
}

/* The state at `end`. */
static int restore(struct producers *ret,
        struct plog *log,
        offset64 end,
        offset64 no_producers,
        wall_ms now,
        struct producer_state_source *ret_source)
{
    struct replaying replaying = {.p = ret, .end = end, .now = now};
    offset64 least = no_producers <= end ? no_producers : 0; /* [PID-35] */
    offset64 snapshot = OFFSET_NONE;
    int r = take_snapshot(ret, log, end, least, &snapshot);

    if (r == 0 && snapshot == OFFSET_NONE) {
        ret->end = least;
    }
    if (r == 0) { /* [PID-30] */
        r = plog_replay(log, ret->end, note, &replaying);
    }
    if (r != 0) {
        producers_deinit(ret);
        return r < 0 ? err_forward(r) : r;
    }
    ret->end = end;
    *ret_source = (struct producer_state_source){snapshot, replaying.bytes};
    return 0;
}

int producer_state_restore(struct producers *ret,
        struct plog *log,
        offset64 no_producers,
        wall_ms now,
        struct producer_state_source *ret_source)
{
    int r = restore(ret, log, plog_end(log), no_producers, now, ret_source);

    return r < 0 ? err_forward(r) : r;
}

int producer_state_truncate(struct producers *state,
        struct plog *log,
        offset64 end,
        offset64 no_producers,
        wall_ms now,
        struct producer_state_source *ret_source)
{
    int r = 0;

    if (!producers_truncate(state, end) || state->end != end) {
        producers_deinit(state);
        r = restore(state, log, end, no_producers, now, ret_source);
    }
    return r < 0 ? err_forward(r) : r;
}
