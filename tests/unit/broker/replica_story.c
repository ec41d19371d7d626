/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_story.h"

#include "broker/core/replica_check.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"

static void on_line(void *ctx, const char *text)
{
    struct fixture *f = ctx;

    buf_append_format(&f->story, "%s\n", text);
}

struct fixture *fixture_new(offset64 log_end, offset64 high_watermark)
{
    struct fixture *f = mem_new(struct fixture);

    f->trace = (struct trace){.line = on_line, .ctx = f};
    replica_init(&f->r, 1, "orders-0", log_end, log_end, high_watermark, &f->trace);
    return f;
}

void fixture_free(struct fixture *f)
{
    replica_deinit(&f->r);
    replica_fx_deinit(&f->fx);
    buf_deinit(&f->story);
    (void)mem_free(f);
}

static void tell_proposal(struct fixture *f, const struct replica_proposal *q)
{
    buf_append_format(&f->story, "propose {");
    for (uint8_t i = 0; i < q->n; i++) {
        buf_append_format(&f->story, "%s%d@%lld", i == 0 ? "" : " ", q->isr[i].id,
                (long long)q->isr[i].epoch);
    }
    buf_append_format(&f->story, "}%s%s on %d/%d\n", q->recovered ? " recovered" : "",
            q->durable ? " durable" : "", q->leader_epoch, q->partition_epoch);
}

static void tell(struct fixture *f, const struct replica_fx_item *it)
{
    unsigned long long request = it->ask.request;

    switch (it->kind) {
    case REPLICA_FX_APPEND:
        buf_append_format(&f->story, "append %llu under epoch %d\n", request, it->leader_epoch);
        break;
    case REPLICA_FX_REPLY:
        buf_append_format(&f->story, "reply %llu %s base %lld%s\n", request,
                errcode_name(it->error), (long long)it->base, it->is_on_disk ? " on disk" : "");
        break;
    case REPLICA_FX_FLUSH: buf_append_str(&f->story, "flush\n"); break;
    case REPLICA_FX_DIVERGES:
        buf_append_format(&f->story, "diverges %llu epoch %d ended at %lld\n", request,
                it->leader_epoch, (long long)it->base);
        break;
    case REPLICA_FX_READ:
        buf_append_format(&f->story, "read %llu [%lld, %lld)\n", request, (long long)it->base,
                (long long)it->limit);
        break;
    case REPLICA_FX_OFFSETS:
        buf_append_format(&f->story, "offsets %llu to %lld\n", request, (long long)it->limit);
        break;
    case REPLICA_FX_WAKE: buf_append_format(&f->story, "wake %llu\n", request); break;
    case REPLICA_FX_SAVE_HW:
        buf_append_format(&f->story, "high watermark %lld\n", (long long)it->limit);
        break;
    case REPLICA_FX_BECAME: break; /* the trace tells it */
    case REPLICA_FX_PROPOSE: tell_proposal(f, &it->proposal); break;
    case REPLICA_FX_REPORT: buf_append_str(&f->story, "report\n"); break;
    case REPLICA_FX_COPY:
        buf_append_format(&f->story, "copy from %lld\n", (long long)it->base);
        break;
    case REPLICA_FX_TRUNCATE:
        buf_append_format(&f->story, "truncate to %lld\n", (long long)it->base);
        break;
    case REPLICA_FX_RESTART:
        buf_append_format(&f->story, "restart at %lld%s\n", (long long)it->base,
                it->keep ? ", keep the old log" : "");
        break;
    case REPLICA_FX_START: buf_append_format(&f->story, "start %lld\n", (long long)it->base); break;
    case REPLICA_FX_PROGRESS: buf_append_str(&f->story, "progress\n"); break;
    case REPLICA_FX_FETCH_LATER:
        buf_append_format(&f->story, "fetch later: %s\n", errcode_name(it->error));
        break;
    }
}

void step(struct fixture *f, const struct replica_event *ev)
{
    struct replica_event timed = *ev;

    timed.now = f->now;
    replica_step(&f->r, &timed, &f->fx);
    CHECK(replica_check(&f->r));
    FX_FOREACH (it, &f->fx) {
        tell(f, it);
    }
}

const char *story(struct fixture *f)
{
    return buf_str(&f->story);
}

void forget_story(struct fixture *f)
{
    buf_clear(&f->story);
}

struct partition_state record(broker_id leader, epoch32 leader_epoch, epoch32 partition_epoch)
{
    return (struct partition_state){.replicas = {.n = 1, .at = {1}},
            .isr = {.n = 1, .at = {1}},
            .leader = leader,
            .leader_epoch = leader_epoch,
            .partition_epoch = partition_epoch,
            .min_isr = 1,
            .unclean_epoch = EPOCH_NONE};
}

void become_as(struct fixture *f, const struct partition_state *p, bool may_lead, bool fsync)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_BECOME,
                    .become = {.record = p, .may_lead = may_lead, .fsync_acks = fsync}});
}

void become(struct fixture *f, struct partition_state p)
{
    become_as(f, &p, true, false);
}

struct replica_ask ask(uint64_t request)
{
    return (struct replica_ask){.loop = 0, .part = 0, .request = request};
}

void produce(struct fixture *f, uint64_t request, int32_t acks)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_PRODUCE,
                    .ask = ask(request),
                    .produce = {.acks = acks,
                            .has_lease = !f->is_isolated,
                            .sessions = f->sessions,
                            .n_sessions = f->n_sessions}});
}

void appended(struct fixture *f, uint64_t request, int32_t acks, int n)
{
    offset64 base = f->r.log_end;

    step(f, &(struct replica_event){.kind = REPLICA_EV_APPENDED,
                    .ask = ask(request),
                    .appended = {.acks = acks,
                            .leader_epoch = f->r.record.leader_epoch,
                            .base = base,
                            .log_end = base + n}});
}

void repeated(struct fixture *f, uint64_t request, int32_t acks, offset64 base, offset64 last)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_REPEATED,
                    .ask = ask(request),
                    .repeated = {.acks = acks, .base = base, .last = last}});
}

void flushed(struct fixture *f, offset64 offset)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_FLUSHED, .flushed = offset});
}

void fetch(struct fixture *f, uint64_t request, epoch32 epoch, offset64 offset)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_FETCH,
                    .ask = ask(request),
                    .fetch = {.replica = BROKER_NONE,
                            .leader_epoch = epoch,
                            .offset = offset,
                            .last_epoch = EPOCH_NONE}});
}

void wait_for(struct fixture *f, uint64_t request, epoch32 epoch, offset64 seen)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_WAIT,
                    .ask = ask(request),
                    .wait = {.leader_epoch = epoch, .seen = seen}});
}
