/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica.h"

#include "broker/core/replica_check.h"
#include "broker/core/replica_impl.h"
#include "common/base/mem.h"
#include "common/base/must.h"

const char *replica_role_text(enum replica_role role)
{
    switch (role) {
    case REPLICA_NONE: return "none";
    case REPLICA_LEADER: return "leader";
    case REPLICA_FOLLOWER: return "follower";
    case REPLICA_FAILED: return "failed";
    }
    must_not_reach("an unknown role");
}

void replica_init(struct replica *r,
        broker_id self,
        const char *name,
        offset64 log_end,
        offset64 high_watermark,
        const struct trace *trace)
{
    must(log_end >= 0);
    *r = (struct replica){
            .self = self,
            .name = name,
            .trace = trace,
            .role = REPLICA_NONE,
            .log_end = log_end,
            .flushed = log_end, /* recovery has synced or verified all of it */
            .high_watermark = high_watermark < 0 ? 0 : high_watermark,
            .epoch_start = log_end,
            .record = {.partition_epoch = EPOCH_NONE, .leader_epoch = EPOCH_NONE},
    };
    if (r->high_watermark > log_end) {
        r->high_watermark = log_end;
    }
    TAILQ_INIT(&r->interests);
}

void replica_deinit(struct replica *r)
{
    while (!TAILQ_EMPTY(&r->interests)) {
        replica_unpark(r, TAILQ_FIRST(&r->interests));
    }
}

void replica_fx_deinit(struct replica_fx *fx)
{
    fx->items = mem_free(fx->items);
    fx->n = fx->cap = 0;
}

struct replica_fx_item *replica_fx_push(struct replica_fx *fx, enum replica_fx_kind kind)
{
    if (fx->n == fx->cap) {
        size_t cap = fx->cap < 8 ? 8 : fx->cap * 2;

        fx->items = mem_resize(fx->items, cap, sizeof(*fx->items));
        fx->cap = cap;
    }
    fx->items[fx->n] = (struct replica_fx_item){
            .kind = kind, .detail = "", .base = OFFSET_NONE, .leader_epoch = EPOCH_NONE};
    return &fx->items[fx->n++];
}

void replica_fx_reply(
        struct replica_fx *fx, const struct replica_ask *ask, int error, const char *detail)
{
    struct replica_fx_item *it = replica_fx_push(fx, REPLICA_FX_REPLY);

    it->ask = *ask;
    it->error = error;
    it->detail = detail;
}

void replica_park(struct replica *r, const struct replica_interest *w)
{
    struct replica_interest *kept = mem_new(struct replica_interest);

    *kept = *w;
    r->n_disk_waits += w->needs_disk;
    TAILQ_INSERT_TAIL(&r->interests, kept, entry);
    HASH_ADD(hh, r->interests_by_ask, ask, sizeof(kept->ask), kept);
}

void replica_unpark(struct replica *r, struct replica_interest *w)
{
    TAILQ_REMOVE(&r->interests, w, entry);
    HASH_DEL(r->interests_by_ask, w);
    r->n_disk_waits -= w->needs_disk;
    (void)mem_free(w);
}

void replica_release_all(struct replica *r, int error, const char *detail, struct replica_fx *fx)
{
    struct replica_interest *w;

    while ((w = TAILQ_FIRST(&r->interests)) != NULL) {
        if (w->is_produce) {
            replica_fx_reply(fx, &w->ask, error, detail);
        } else {
            replica_fx_push(fx, REPLICA_FX_WAKE)->ask = w->ask;
        }
        replica_unpark(r, w);
    }
}

static void set_role(
        struct replica *r, enum replica_role role, bool is_refused, struct replica_fx *fx)
{
    enum replica_role was = r->role;
    struct replica_fx_item *it;

    if (role != REPLICA_LEADER && was == REPLICA_LEADER) {
        /* [REP-21] What was appended may still count: the outcome is unknown, never "not written". */
        if (role == REPLICA_FAILED) {
            replica_release_all(r, ERRCODE_KAFKA_STORAGE_ERROR,
                    "the disk failed before the batch was committed; whether it counts is unknown",
                    fx);
        } else {
            replica_release_all(r, ERRCODE_REQUEST_TIMED_OUT,
                    "leadership was lost before the batch was committed; whether it counts is "
                    "unknown",
                    fx);
        }
    }
    if (role == was && role != REPLICA_LEADER && !is_refused) {
        return;
    }
    r->role = role;
    it = replica_fx_push(fx, REPLICA_FX_BECAME);
    it->role = role;
    it->was = was;
    it->is_refused = is_refused;
    it->leader_epoch = r->record.leader_epoch;
    trace_emit(r->trace, "%s %s -> %s, leader epoch %d, log end %lld", r->name,
            replica_role_text(was), replica_role_text(role), r->record.leader_epoch,
            (long long)r->log_end);
}

/* What the record makes of this replica. */
static enum replica_role role_by_record(const struct replica *r, bool *ret_is_refused)
{
    *ret_is_refused = false;
    if (!broker_set_has(&r->record.replicas, r->self)) {
        return REPLICA_NONE;
    }
    if (r->record.replicas.n > 1) { /* [REP-26] Replication is served by a later version. */
        *ret_is_refused = true;
        return REPLICA_NONE;
    }
    if (r->record.leader != r->self) {
        return REPLICA_FOLLOWER;
    }
    return r->may_lead ? REPLICA_LEADER : REPLICA_NONE; /* [REP-20] */
}

static void on_become(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    const struct partition_state *p = ev->become.record;
    epoch32 old_epoch = r->record.leader_epoch;
    enum replica_role role;
    bool is_new, is_refused;

    is_new = !r->has_record || p->partition_epoch > r->record.partition_epoch; /* [REP-19] */
    if (is_new) {
        r->record = *p;
        r->has_record = true;
    }
    r->may_lead = ev->become.may_lead;
    r->fsync_acks = ev->become.fsync_acks;
    if (r->role == REPLICA_FAILED) {
        return;
    }
    role = role_by_record(r, &is_refused);
    if (role != r->role || (role == REPLICA_LEADER && r->record.leader_epoch != old_epoch) ||
            (is_refused && is_new)) {
        if (role == REPLICA_LEADER && r->role == REPLICA_LEADER) {
            /* A new epoch of my own: parked readers look again under it. */
            replica_release_all(r, ERRCODE_REQUEST_TIMED_OUT,
                    "the leader epoch changed before the batch was committed; whether it counts is "
                    "unknown",
                    fx);
        }
        set_role(r, role, is_refused, fx);
        if (role == REPLICA_LEADER) {
            replica_begin_leading(r, fx);
        }
    } else if (role == REPLICA_LEADER) {
        replica_advance(r, fx); /* the committed ISR may have changed */
    }
}

static void on_forget(struct replica *r, const struct replica_ask *ask)
{
    struct replica_interest *w = NULL;

    HASH_FIND(hh, r->interests_by_ask, ask, sizeof(*ask), w);
    if (w != NULL) {
        replica_unpark(r, w);
    }
}

void replica_step(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    offset64 was_hw = r->high_watermark;

    must(!r->is_stepping);
    r->is_stepping = true;
    fx->n = 0;
    switch (ev->kind) {
    case REPLICA_EV_BECOME: on_become(r, ev, fx); break;
    case REPLICA_EV_PRODUCE: replica_on_produce(r, ev, fx); break;
    case REPLICA_EV_APPENDED: replica_on_appended(r, ev, fx); break;
    case REPLICA_EV_REPEATED: replica_on_repeated(r, ev, fx); break;
    case REPLICA_EV_FLUSHED: replica_on_flushed(r, ev->flushed, fx); break;
    case REPLICA_EV_FETCH: replica_on_fetch(r, ev, fx); break;
    case REPLICA_EV_WAIT: replica_on_wait(r, ev, fx); break;
    case REPLICA_EV_LIST: replica_on_list(r, ev, fx); break;
    case REPLICA_EV_FORGET: on_forget(r, &ev->ask); break;
    case REPLICA_EV_LOG_FAILED: set_role(r, REPLICA_FAILED, false, fx); break;
    case REPLICA_EV_STOP:
        if (r->role != REPLICA_FAILED) {
            set_role(r, REPLICA_NONE, false, fx);
        }
        break;
    }
    must(r->high_watermark >= was_hw); /* [REP-23] Forward only. */
    check_slow(replica_check(r));
    r->is_stepping = false;
}
