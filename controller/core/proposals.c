/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "common/base/mutant.h"
#include "controller/core/ctl_state.h"

/* AlterPartition: a leader says who is in sync, the controller decides. */

/* One proposal under judgement. */
struct proposal {
    const struct ctl_alter_partition *asked;
    const struct partition_state *p; /* the present record */
    struct broker_set isr;
    const char *wrong; /* with `isr`, or NULL */
    const char *detail;
};

static int refuse(struct proposal *q, int error, const char *detail)
{
    q->detail = detail;
    return error;
}

/* --- The checks, in this order ---------------------------------------------------------------- */

static int check_epochs(struct ctl *c, struct proposal *q)
{
    const struct partition_state *p = q->p;
    const struct ctl_alter_partition *a = q->asked;

    if (a->leader_epoch > p->leader_epoch || a->partition_epoch > p->partition_epoch) {
        /* [CTL-40] (KAFKA-14154) Only a controller that was deposed is behind a leader. */
        COVER(CTL, 40);
        return refuse(q, ERRCODE_NOT_CONTROLLER,
                "the leader knows a newer record than this controller; another one is active");
    }
    if (a->leader_epoch < p->leader_epoch) { /* [CTL-41] */
        COVER(CTL, 41);
        return refuse(q, ERRCODE_FENCED_LEADER_EPOCH,
                ctl_format(c, "leader epoch %d has ended; it is %d now", a->leader_epoch,
                        p->leader_epoch));
    }
    if (p->leader != c->ev->alter.id) { /* [CTL-41] */
        return refuse(q, ERRCODE_STALE_BROKER_EPOCH, "another broker leads in this leader epoch");
    }
    return ERRCODE_NONE;
}

/* [CTL-43] The set that is named; what is wrong with it goes into `wrong`. */
static void read_members(struct ctl *c, struct proposal *q)
{
    const struct ctl_alter_partition *a = q->asked;

    for (size_t i = 0; i < a->n_isr && q->wrong == NULL; i++) {
        if (!broker_set_has(&q->p->replicas, a->isr[i].id) ||
                broker_set_has(&q->isr, a->isr[i].id)) {
            q->wrong = ctl_format(c, "broker %d is no replica, or named twice", a->isr[i].id);
        } else {
            (void)broker_set_add(&q->isr, a->isr[i].id);
        }
    }
    if (q->wrong == NULL && !broker_set_has(&q->isr, q->p->leader)) {
        q->wrong = "the leader is in sync with itself: name it";
    }
}

/* [CTL-42] (KAFKA-14144) Whether it asks, upon an older record, for what holds: then the answer to the request that
 * made it so was lost. Upon the present record it is carried out, whatever it asks for: the leader needs the new
 * partition epoch to know that an earlier proposal of its own cannot be carried out any more. */
static bool is_done(const struct proposal *q)
{
    return q->asked->partition_epoch < q->p->partition_epoch && q->wrong == NULL &&
           broker_set_equal(&q->isr, &q->p->isr) && !(q->asked->is_recovered && q->p->recovering) &&
           !(q->asked->is_durable && !q->p->is_durable);
}

static int check_version(struct ctl *c, struct proposal *q)
{
    if (MUTANT_IS(ANY_VERSION) || q->asked->partition_epoch == q->p->partition_epoch || is_done(q)) {
        return ERRCODE_NONE;
    }
    return refuse(q, ERRCODE_INVALID_UPDATE_VERSION,
            ctl_format(c, "the record's epoch is %d by now, not %d", q->p->partition_epoch,
                    q->asked->partition_epoch));
}

/* [CTL-45] NULL, or why that incarnation may not join. (KIP-841, KIP-903) */
static const char *unfit(
        struct ctl *c, const struct ctl_isr_member *m, const struct partition_state *p)
{
    const struct image_broker *b = image_broker(c->next, m->id);
    const struct ctl_failed *failed = ctl_find_failed(c, m->id, p);

    must(b != NULL);
    if (b->epoch != m->epoch) {
        return ctl_format(c, "broker %d has started anew since it fetched", m->id);
    }
    if (!image_broker_is_active(c->next, m->id)) {
        return ctl_format(c, "broker %d is %s", m->id,
                b->state == BROKER_SHUTTING ? "shutting down" : "fenced");
    }
    if (failed != NULL && p->partition_epoch < failed->known_since) {
        return ctl_format(c, "broker %d has given up its replica since it fetched", m->id);
    }
    return NULL;
}

static int check_joining(struct ctl *c, struct proposal *q)
{
    const struct ctl_alter_partition *a = q->asked;

    for (size_t i = 0; i < a->n_isr; i++) {
        const char *why =
                broker_set_has(&q->p->isr, a->isr[i].id) ? NULL : unfit(c, &a->isr[i], q->p);
        if (why != NULL) {
            COVER(CTL, 45);
            return refuse(q, ERRCODE_INELIGIBLE_REPLICA, why);
        }
    }
    return ERRCODE_NONE;
}

static int judge(struct ctl *c, struct proposal *q)
{
    const struct ctl_partition_ref *ref = &q->asked->ref;
    int error = ERRCODE_NONE;

    q->p = image_partition(c->next, &ref->topic_id, ref->partition);
    if (q->p == NULL) { /* [CTL-40] */
        return refuse(q, ERRCODE_UNKNOWN_TOPIC_ID, "there is no such partition");
    }
    read_members(c, q);
    error = check_epochs(c, q);
    error = error == ERRCODE_NONE ? check_version(c, q) : error;
    if (error != ERRCODE_NONE || is_done(q)) {
        return error;
    }
    if (q->wrong != NULL) { /* [CTL-43] */
        COVER(CTL, 43);
        return refuse(q, ERRCODE_INVALID_REQUEST, q->wrong);
    }
    if (q->p->recovering && q->isr.n > 1) { /* [CTL-44] */
        return refuse(q, ERRCODE_INVALID_REQUEST,
                "the leader of an unclean election is alone in sync until its log is open");
    }
    return check_joining(c, q);
}

/* --- The decision ----------------------------------------------------------------------------- */

static void accept(struct ctl *c, struct proposal *q)
{
    struct partition_want wish = {.isr = q->isr,
            .is_recovered = q->asked->is_recovered,
            .is_durable = q->asked->is_durable};
    char text[CTL_SET_TEXT_SIZE];

    for (int i = 0; i < q->isr.n; i++) {
        if (!broker_set_has(&q->p->isr, q->isr.at[i])) {
            COVER_IF(ctl_has_failed(c, q->isr.at[i], q->p), CTL, 47);
            ctl_forgive(c, q->isr.at[i], q->p); /* [CTL-47] */
        }
    }
    COVER_IF(q->p->recovering && wish.is_recovered, CTL, 44);
    struct partition_state next = ctl_changed(c, q->p, &wish);

    ctl_append_partition(c, q->p, &next,
            ctl_format(c, "proposed=[%s]%s%s", ctl_set_text(&q->isr, text, sizeof(text)),
                    wish.is_recovered ? " recovered" : "", wish.is_durable ? " durable" : ""));
}

/* [CTL-47] The leader asked without knowing that the replica had failed: a record, whose only news
 * is its epoch, lets it know. */
static void let_it_know(struct ctl *c, const struct proposal *q)
{
    struct partition_state next = *q->p;

    for (size_t i = 0; i < q->asked->n_isr; i++) {
        const struct ctl_failed *failed = ctl_find_failed(c, q->asked->isr[i].id, q->p);
        if (failed != NULL && q->p->partition_epoch < failed->known_since) {
            next.partition_epoch = failed->known_since;
        }
    }
    if (next.partition_epoch > q->p->partition_epoch) {
        ctl_append_partition(c, q->p, &next, "a replica had failed before it was proposed");
    }
}

static struct ctl_altered decide(struct ctl *c, const struct ctl_alter_partition *asked)
{
    struct proposal q = {.asked = asked, .detail = ""};
    struct ctl_altered result = {.ref = asked->ref};

    result.error = judge(c, &q);
    bool was_done = result.error == ERRCODE_NONE && is_done(&q);
    COVER_IF(was_done, CTL, 42);

    if (result.error == ERRCODE_NONE && !was_done) {
        accept(c, &q);
    } else if (result.error == ERRCODE_INELIGIBLE_REPLICA) {
        let_it_know(c, &q);
    }
    if (result.error == ERRCODE_NONE) {
        result.state = *q.p; /* as it is in `next` now */
    }
    result.detail = q.detail;
    return result;
}

void ctl_on_alter_partition(struct ctl *c)
{
    const struct image_broker *b = image_broker(c->next, c->ev->alter.id);
    size_t n = c->ev->alter.n;

    if (b == NULL || b->epoch != c->ev->alter.epoch) { /* [CTL-41] */
        (void)ctl_answer(
                c, ERRCODE_STALE_BROKER_EPOCH, "the registered incarnation is another one");
        return;
    }
    struct ctl_altered *altered =
            arena_alloc(c->fx->arena, (n + 1) * sizeof(*altered)); /* never of no size */

    must(altered != NULL);
    for (size_t i = 0; i < n; i++) {
        altered[i] = decide(c, &c->ev->alter.partitions[i]);
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->altered = altered;
        reply->n_altered = n;
    }
}
