/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cover.h"
#include "common/base/mutant.h"
#include "controller/core/ctl_state.h"

/* Replicas that their brokers gave up: a damaged log, a directory that is gone. */

int ctl_compare_refs(const struct ctl_partition_ref *a, const struct ctl_partition_ref *b)
{
    int topics = uuid_compare(&a->topic_id, &b->topic_id);

    return topics != 0 ? topics : (a->partition > b->partition) - (a->partition < b->partition);
}

/* --- Who has failed --------------------------------------------------------------------------- */

static size_t lower_bound(const struct ctl_seen *s, const struct ctl_partition_ref *ref)
{
    size_t from = 0, to = s->failed.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (ctl_compare_refs(&s->failed.items[mid].ref, ref) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static struct ctl_failed *find(const struct ctl_seen *s, const struct ctl_partition_ref *ref)
{
    size_t i = lower_bound(s, ref);

    return i < s->failed.n && ctl_compare_refs(&s->failed.items[i].ref, ref) == 0
                   ? &s->failed.items[i]
                   : NULL;
}

const struct ctl_failed *ctl_find_failed(
        const struct ctl *c, broker_id id, const struct partition_state *p)
{
    const struct ctl_partition_ref ref = {.topic_id = p->topic_id, .partition = p->partition};
    const struct ctl_seen *s = ctl_find_seen(c, id);

    return s != NULL ? find(s, &ref) : NULL;
}

bool ctl_has_failed(const struct ctl *c, broker_id id, const struct partition_state *p)
{
    return ctl_find_failed(c, id, p) != NULL;
}

void ctl_forgive(struct ctl *c, broker_id id, const struct partition_state *p)
{
    const struct ctl_partition_ref ref = {.topic_id = p->topic_id, .partition = p->partition};
    struct ctl_seen *s = ctl_find_seen(c, id);
    struct ctl_failed *failed = s != NULL ? find(s, &ref) : NULL;

    if (failed != NULL) {
        array_remove(&s->failed, (size_t)(failed - s->failed.items));
    }
}

/* The mark has to be there before its partition is settled: else the replica would be elected. */
static struct ctl_failed *mark(struct ctl_seen *s, const struct ctl_partition_ref *ref)
{
    struct ctl_failed *failed = find(s, ref);

    if (failed == NULL) {
        failed = array_insert(&s->failed, lower_bound(s, ref));
        *failed = (struct ctl_failed){.ref = *ref};
    }
    return failed;
}

void ctl_forget_failures(struct ctl *c, const struct uuid *topic_id)
{
    ARRAY_FOREACH (s, &c->seen) {
        for (size_t i = s->failed.n; i > 0; i--) {
            if (uuid_equal(&s->failed.items[i - 1].ref.topic_id, topic_id)) {
                array_remove(&s->failed, i - 1);
            }
        }
    }
}

/* --- What becomes of the partitions ----------------------------------------------------------- */

/* [CTL-6] It leaves ISR and ELR; a single replica stays, offline. True when nobody leads now. */
static bool settle(struct ctl *c,
        broker_id id,
        struct ctl_failed *failed,
        const struct ctl_partition_ref *ref,
        const char *what)
{
    const struct partition_state *p = image_partition(c->next, &ref->topic_id, ref->partition);

    if (p == NULL || !broker_set_has(&p->replicas, id)) {
        return false; /* It is elsewhere by now. */
    }
    COVER(CTL, 6);
    epoch32 was = p->partition_epoch;
    struct partition_state next = ctl_settled(c, p, id);
    bool is_news = c->ev->kind == CTL_EV_REPLICA_FAILED || partition_differs(p, &next);

    /* [REP-34] What the leader has counted of it, and is still on its way, ends with the leader epoch. */
    if (is_news && p->replicas.n > 1 && next.leader_epoch == p->leader_epoch &&
            !MUTANT_IS(FAILED_IN_EPOCH)) {
        next.leader_epoch++;
    }
    if (partition_differs(p, &next)) {
        ctl_append_partition(c, p, &next, what);
    }
    if (failed != NULL) { /* [CTL-47] Who has seen this change knows of it. */
        failed->known_since = p->partition_epoch > was ? p->partition_epoch : was + 1;
    }
    return p->leader == BROKER_NONE;
}

/* [CTL-46] Its topic was deleted meanwhile: it is not in sync when that comes back, and is opened anew then. */
static bool is_deleted(
        struct ctl *c, broker_id id, const struct ctl_partition_ref *ref, const char *what)
{
    if (image_partition(c->next, &ref->topic_id, ref->partition) != NULL) {
        return false;
    }
    ctl_doubt_trashed(c, ref, id, what);
    return true;
}

static void tell_offline(struct ctl *c, broker_id id, unsigned n_offline)
{
    if (n_offline > 0) {
        trace_emit(c->trace, "ctl  broker %d failed replicas of %u partitions that stay offline",
                id, n_offline);
    }
}

void ctl_keep_failed(struct ctl *c, struct ctl_seen *s)
{
    enum meta_cause cause = c->why.cause;
    const char *what = ctl_format(c, "failed=%d", s->id);
    unsigned n_offline = 0;

    array_clear(&s->failed);
    for (size_t i = 0; i < c->ev->ready.n_failed; i++) {
        if (!is_deleted(c, s->id, &c->ev->ready.failed[i], what)) {
            (void)mark(s, &c->ev->ready.failed[i]);
        }
    }
    c->why.cause = CAUSE_REPLICA_FAILED;
    ARRAY_FOREACH (failed, &s->failed) {
        n_offline += settle(c, s->id, failed, &failed->ref, what);
    }
    c->why.cause = cause;
    tell_offline(c, s->id, n_offline);
}

void ctl_on_replica_failed(struct ctl *c)
{
    broker_id id = c->ev->failed.id;
    const struct image_broker *b = image_broker(c->next, id);
    struct ctl_seen *s = ctl_find_seen(c, id);
    unsigned n_offline = 0;

    if (b == NULL || b->epoch != c->ev->failed.epoch) { /* [CTL-4] */
        (void)ctl_answer(
                c, ERRCODE_STALE_BROKER_EPOCH, "the registered incarnation is another one");
        return;
    }
    for (size_t i = 0; i < c->ev->failed.n; i++) { /* [CTL-46] */
        const struct ctl_failed_replica *r = &c->ev->failed.replicas[i];
        const char *what = ctl_format(c, "failed=%d", id);
        COVER(CTL, 46);
        c->why.reason = ctl_strdup(c, r->reason);
        if (!is_deleted(c, id, &r->ref, what)) {
            n_offline += settle(c, id, s != NULL ? mark(s, &r->ref) : NULL, &r->ref, what);
        }
    }
    tell_offline(c, id, n_offline);
    (void)ctl_answer(c, ERRCODE_NONE, "");
}
