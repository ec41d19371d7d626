/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* Random brokers, crashes, topics and changes of the controller. After every event world_step()
 * checks the core (with S5), the image (with S4) and that the log gives the core's image;
 * image_apply() refuses epochs that go back. Controllers also die between any two records of a
 * decision. */

enum {
    N_BROKERS = 5,
    N_TOPICS = 3,
    N_LEDGERS = 256
};

/* What the logs of one partition hold: how many of the records that were committed. */
struct ledger {
    struct uuid topic;
    int32_t partition;
    unsigned n_committed;
    unsigned held[N_BROKERS];
    epoch32 unclean_epoch;
};

struct cluster {
    struct world w;
    struct prng r;
    int64_t epoch[N_BROKERS]; /* of the ephemeral; -1 = none */
    enum crash_kind kind[N_BROKERS]; /* of that incarnation; HOST until it was unfenced */
    int64_t last_czxid;
    struct ledger ledgers[N_LEDGERS];
    size_t n_ledgers;
    bool is_cut; /* the controller dies with the next event */
    unsigned n_begun, n_moved, n_taken_back, n_guarded, n_operations;
    unsigned n_led, n_leaderless, n_unclean, n_cut, n_restored, n_accepted, n_refused, n_failed,
            n_recovered;
};

static const char *const topics[N_TOPICS] = {"a", "b", "c"};

static bool chance(struct cluster *c, unsigned one_in)
{
    return prng_below(&c->r, one_in) == 0;
}

/* --- What logs hold --------------------------------------------------------------------------- */

static struct ledger *ledger_of(struct cluster *c, const struct partition_state *p)
{
    for (size_t i = 0; i < c->n_ledgers; i++) {
        struct ledger *l = &c->ledgers[i];
        if (uuid_equal(&l->topic, &p->topic_id) && l->partition == p->partition) {
            return l;
        }
    }
    CHECK(c->n_ledgers < N_LEDGERS);
    struct ledger *l = &c->ledgers[c->n_ledgers++];
    *l = (struct ledger){.topic = p->topic_id,
            .partition = p->partition,
            .unclean_epoch = EPOCH_NONE};
    return l;
}

static bool is_current(const struct cluster *c, broker_id i)
{
    return c->epoch[i] >= 0 && image_broker(c->w.log, i)->epoch == c->epoch[i];
}

/* Its log has nothing that anybody can rely on. */
static void lose(struct cluster *c, broker_id i, const struct partition_state *of)
{
    for (size_t k = 0; k < c->n_ledgers; k++) {
        struct ledger *l = &c->ledgers[k];
        if (of == NULL || (uuid_equal(&l->topic, &of->topic_id) && l->partition == of->partition)) {
            l->held[i] = 0;
        }
    }
}

/* It said that its log is lost, and that is recorded, unless it was an older incarnation that said so. */
static void lose_failed(struct cluster *c, broker_id i, const struct partition_state *p)
{
    if ((!broker_set_has(&p->isr, i) && !broker_set_has(&p->elr, i)) || p->recovering) {
        lose(c, i, p);
    }
}

/* Whom a leader proposes has all that the leader has. */
static void catch_up(struct cluster *c,
        const struct partition_state *p,
        broker_id leader,
        const struct world_proposal *asked)
{
    struct ledger *l = ledger_of(c, p);

    for (size_t i = 0; i < asked->n; i++) {
        l->held[asked->isr[i].id] = l->held[leader];
    }
}

/* Who is no replica any more has no log. */
static void follow_replicas(struct ledger *l, const struct partition_state *p)
{
    for (broker_id i = 0; i < N_BROKERS; i++) {
        if (!broker_set_has(&p->replicas, i)) {
            l->held[i] = 0;
        }
    }
}

/* S6: who is in ISR or ELR holds all that was committed; what an unclean election lost is not asked for. */
static void audit(struct cluster *c, const struct partition_state *p)
{
    struct ledger *l = ledger_of(c, p);
    bool may_commit = p->leader != BROKER_NONE && p->isr.n >= p->min_isr && !p->recovering;

    if (p->unclean_epoch != l->unclean_epoch) {
        l->unclean_epoch = p->unclean_epoch;
        l->n_committed = p->leader != BROKER_NONE ? l->held[p->leader] : 0;
        for (broker_id i = 0; i < N_BROKERS; i++) {
            l->held[i] = l->held[i] < l->n_committed ? l->held[i] : l->n_committed;
        }
    }
    follow_replicas(l, p);
    for (int i = 0; i < p->replicas.n; i++) {
        broker_id id = p->replicas.at[i];
        bool is_member = broker_set_has(&p->isr, id) || broker_set_has(&p->elr, id);
        if (is_member && is_current(c, id) && p->replicas.n > 1 && !p->recovering) {
            CHECK_EQ(l->held[id], l->n_committed);
            c->n_guarded++;
        }
        may_commit = may_commit && (!broker_set_has(&p->isr, id) || is_current(c, id));
    }
    for (int i = 0; i < p->isr.n && may_commit; i++) {
        l->held[p->isr.at[i]] = l->n_committed + 1;
    }
    l->n_committed += may_commit;
}

static void audit_all(struct cluster *c)
{
    for (size_t i = 0; i < image_n_topics(c->w.log); i++) {
        const struct image_topic *t = image_topic_at(c->w.log, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            audit(c, &t->partitions[p]);
        }
    }
    for (broker_id i = 0; i < N_BROKERS; i++) {
        if (image_broker(c->w.log, i) != NULL && is_current(c, i) &&
                image_broker_is_active(c->w.log, i)) {
            c->kind[i] = CRASH_CLEAN;
        }
    }
}

/* --- Events ----------------------------------------------------------------------------------- */

static void start_anew(struct cluster *c, broker_id i)
{
    enum crash_kind kind = (enum crash_kind)(1 + prng_below(&c->r, 3));

    c->epoch[i] = ++c->last_czxid;
    if (kind == CRASH_HOST) {
        lose(c, i, NULL);
    }
    c->kind[i] = kind > c->kind[i] ? kind : c->kind[i];
}

static void see(struct cluster *c, broker_id i)
{
    world_seen(&c->w, i, c->epoch[i], c->kind[i]);
}

static void vanish(struct cluster *c, broker_id i)
{
    int64_t epoch = c->epoch[i];

    c->epoch[i] = -1;
    if (epoch >= 0) {
        world_broker(&c->w, CTL_EV_BROKER_GONE, i, chance(c, 3) ? BROKER_EPOCH_NONE : epoch);
    }
}

static void be_ready(struct cluster *c, broker_id i)
{
    const struct image_topic *t =
            image_topic_by_name(c->w.log, topics[prng_below(&c->r, N_TOPICS)]);

    if (c->epoch[i] < 0) {
        return;
    }
    if (t != NULL && t->n_partitions > 0 && chance(c, 3)) {
        int32_t n = (int32_t)prng_below(&c->r, (uint64_t)t->n_partitions);
        world_ready_but(&c->w, i, c->epoch[i], t->name, n);
        lose_failed(c, i, &t->partitions[n]);
    } else {
        world_ready(&c->w, i, c->epoch[i]);
    }
}

static const struct partition_state *any_partition(struct cluster *c)
{
    const struct image_topic *t =
            image_topic_by_name(c->w.log, topics[prng_below(&c->r, N_TOPICS)]);

    return t != NULL && t->n_partitions > 0
                   ? &t->partitions[prng_below(&c->r, (uint64_t)t->n_partitions)]
                   : NULL;
}

static const char *name_of(const struct cluster *c, const struct partition_state *p)
{
    return image_topic_by_id(c->w.log, &p->topic_id)->name;
}

/* Of a leader mostly, with members that fetched as who they are mostly. */
static void propose(struct cluster *c)
{
    const struct partition_state *p = any_partition(c);

    for (int i = 0; i < 8 && (p == NULL || p->leader == BROKER_NONE); i++) {
        p = any_partition(c);
    }
    if (p == NULL || p->leader == BROKER_NONE) {
        return;
    }
    broker_id from = chance(c, 20) ? (broker_id)prng_below(&c->r, N_BROKERS) : p->leader;
    const struct image_broker *b = image_broker(c->w.log, from);
    struct world_proposal asked = {.from = from,
            .from_epoch = b != NULL ? b->epoch : 1,
            .partition_epoch_off = chance(c, 6) ? -1 : 0,
            .is_recovered = chance(c, 2)};

    for (int i = 0; i < p->replicas.n; i++) {
        if (p->replicas.at[i] == p->leader || chance(c, 2)) {
            const struct image_broker *m = image_broker(c->w.log, p->replicas.at[i]);
            asked.isr[asked.n++] = (struct ctl_isr_member){m->id, m->epoch - chance(c, 10)};
        }
    }
    broker_id leader = p->leader;
    bool was_moving = partition_is_moving(p);

    if (world_propose(&c->w, name_of(c, p), p->partition, &asked) == ERRCODE_NONE) {
        catch_up(c, p, leader, &asked);
        if (was_moving && !partition_is_moving(p)) { /* [CTL-56] Nobody waits for anybody now. */
            CHECK(p->leader != BROKER_NONE && p->isr.n >= p->min_isr);
        }
        c->n_accepted++;
    } else {
        c->n_refused++;
    }
}

static void fail_replica(struct cluster *c)
{
    const struct partition_state *p = any_partition(c);

    if (p == NULL) {
        return;
    }
    broker_id id = p->replicas.at[prng_below(&c->r, p->replicas.n)];
    struct uuid topic = p->topic_id;

    world_failed(&c->w, id, image_broker(c->w.log, id)->epoch, name_of(c, p), p->partition);
    lose_failed(c, id, image_partition(c->w.log, &topic, p->partition));
    c->n_failed++;
    p = image_partition(ctl_next_image(c->w.ctl), &topic, p->partition);
    CHECK(p->leader != id);
    CHECK(p->replicas.n == 1 || !broker_set_has(&p->isr, id));
    CHECK(!broker_set_has(&p->elr, id));
}

/* How far a log reaches is told, or not, by one who was asked; perhaps much later. */
static void tell_end(struct cluster *c)
{
    if (c->w.n_asks == 0) {
        return;
    }
    broker_id i = c->w.asks[prng_below(&c->r, c->w.n_asks)].id;

    if (chance(c, 5)) {
        world_tell_error(&c->w, i, ERRCODE_KAFKA_STORAGE_ERROR);
    } else {
        world_tell(&c->w, i, (epoch32)prng_below(&c->r, 4), (offset64)prng_below(&c->r, 9));
    }
    c->n_recovered += c->w.n_appended > 0;
}

/* To other brokers, or back. */
static void reassign(struct cluster *c)
{
    const struct partition_state *p = any_partition(c);
    struct broker_set target = {0};

    for (int i = 0; i < 8 && (p == NULL || p->leader == BROKER_NONE); i++) {
        p = any_partition(c);
    }
    if (p == NULL) {
        return;
    }
    bool was_moving = partition_is_moving(p), was_led = p->leader != BROKER_NONE;
    bool is_back = was_moving && chance(c, 2);
    for (uint64_t n = 1 + prng_below(&c->r, 3); n > 0 && !is_back; n--) {
        broker_id id = (broker_id)prng_below(&c->r, N_BROKERS);
        if (image_broker(c->w.log, id) != NULL) {
            (void)broker_set_add(&target, id);
        }
    }
    const struct ctl_reassigned *r = world_reassign(&c->w, name_of(c, p), p->partition, target);

    CHECK(!was_led || p->leader != BROKER_NONE); /* [CTL-57] Nobody who has it is sent away. */
    c->n_taken_back += was_moving && target.n == 0 && r->error == ERRCODE_NONE;
    c->n_begun += !was_moving && target.n > 0 && r->error == ERRCODE_NONE;
}

/* Whatever the core wants to be woken for at once. */
static void tick(struct cluster *c)
{
    for (int i = c->is_cut ? 9 : 0;
            i < 10 && ctl_is_active(c->w.ctl) && ctl_deadline(c->w.ctl) <= c->w.now; i++) {
        world_step(&c->w, (struct ctl_event){.kind = CTL_EV_TICK});
    }
    CHECK(ctl_deadline(c->w.ctl) > c->w.now || c->is_cut);
}

static void intend(struct cluster *c, broker_id i, enum broker_intent intent)
{
    struct ctl_event ev = {.kind = CTL_EV_BROKER_INTENT};

    ev.intent.id = i;
    ev.intent.intent = intent;
    world_step(&c->w, ev);
}

/* Operators drain and decommission, think better of it, and cancel. */
static void operate(struct cluster *c)
{
    broker_id i = (broker_id)prng_below(&c->r, N_BROKERS);
    size_t n = image_n_operations(c->w.log);
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};

    if (chance(c, 3)) {
        ev.reassign.goal = CTL_GOAL_EMPTY;
        ev.reassign.brokers = SET(i);
        world_step(&c->w, ev);
    } else if (chance(c, 3) && n > 0) {
        ev.kind = CTL_EV_CANCEL_OPERATION;
        ev.cancel.id = image_operation_at(c->w.log, prng_below(&c->r, n))->is.id;
        world_step(&c->w, ev);
    } else {
        intend(c, i, (enum broker_intent)prng_below(&c->r, BROKER_DECOMMISSIONING));
    }
    if (!c->is_cut) {
        tick(c);
    }
    n = image_n_operations(c->w.log);
    c->n_operations += (unsigned)n;
}

static void change_controller(struct cluster *c)
{
    c->w.keep_n = -1;
    world_elect(&c->w);
    for (broker_id i = 0; i < N_BROKERS; i++) {
        if (chance(c, 6)) {
            c->epoch[i] = -1;
            if (chance(c, 2)) {
                start_anew(c, i);
            }
        }
        if (c->epoch[i] >= 0) {
            see(c, i);
        }
    }
    world_listed(&c->w);
}

static void act(struct cluster *c)
{
    broker_id i = (broker_id)prng_below(&c->r, N_BROKERS);
    const char *topic = topics[prng_below(&c->r, N_TOPICS)];

    switch (prng_below(&c->r, 27)) {
    case 0:
    case 1:
        start_anew(c, i);
        see(c, i);
        break;
    case 2:
    case 3:
    case 4:
    case 5: be_ready(c, i); break;
    case 6: vanish(c, i); break;
    case 7: world_broker(&c->w, CTL_EV_BROKER_REFUSED, i, c->epoch[i]); break;
    case 8:
        world_broker(&c->w, chance(c, 4) ? CTL_EV_BROKER_DIRS_FAILED : CTL_EV_BROKER_SILENT, i,
                c->epoch[i]);
        break;
    case 9: world_broker(&c->w, CTL_EV_BROKER_SHUTDOWN, i, c->epoch[i]); break;
    case 10:
        world_create(
                &c->w, topic, 1 + (int32_t)prng_below(&c->r, 3), 1 + (int32_t)prng_below(&c->r, 3));
        break;
    case 11: world_broker(&c->w, CTL_EV_PRODUCER_IDS, i, c->epoch[i]); break;
    case 12:
    case 13:
    case 14:
    case 15: propose(c); break;
    case 16: fail_replica(c); break;
    case 17:
    case 18: tell_end(c); break;
    case 19:
    case 20:
    case 21:
    case 22: reassign(c); break;
    case 23:
    case 24: operate(c); break;
    case 25: tick(c); break;
    default:
        if (chance(c, 3)) {
            world_delete(&c->w, topic);
        } else if (chance(c, 2)) {
            world_restore(&c->w, chance(c, 2) ? topic : "");
            c->n_restored += c->w.reply.error == ERRCODE_NONE;
        } else if (chance(c, 4)) {
            world_purge(&c->w);
        } else {
            change_controller(c);
        }
    }
}

static void count(struct cluster *c)
{
    audit_all(c);
    for (size_t i = 0; i < image_n_topics(c->w.log); i++) {
        const struct image_topic *t = image_topic_at(c->w.log, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            c->n_led += t->partitions[p].leader != BROKER_NONE;
            c->n_leaderless += t->partitions[p].leader == BROKER_NONE;
            c->n_unclean += t->partitions[p].unclean_epoch != EPOCH_NONE;
        }
    }
}

/* [CTL-56] When everybody has caught up, what is under way has ended. */
static void end_move(struct cluster *c, const char *topic, const struct partition_state *p)
{
    struct world_proposal asked = {.from = p->leader, .is_recovered = true};

    if (p->leader == BROKER_NONE) {
        return;
    }
    asked.from_epoch = c->epoch[p->leader];
    broker_id leader = p->leader;

    for (int turn = 0; turn < 2; turn++) { /* First the log of who won an unclean election is opened. */
        asked.n = 0;
        asked.isr[asked.n++] = (struct ctl_isr_member){p->leader, c->epoch[p->leader]};
        for (int i = 0; i < p->replicas.n && turn == 1; i++) {
            broker_id id = p->replicas.at[i];
            if (id != p->leader) {
                asked.isr[asked.n++] = (struct ctl_isr_member){id, c->epoch[id]};
            }
        }
        c->n_moved += turn == 1 && partition_is_moving(p);
        CHECK_EQ(world_propose(&c->w, topic, p->partition, &asked), ERRCODE_NONE);
        catch_up(c, p, leader, &asked);
    }
    CHECK(!partition_is_moving(p));
}

/* When all faults end, every partition that anybody can vouch for is led. */
static void heal(struct cluster *c)
{
    change_controller(c);
    for (broker_id i = 0; i < N_BROKERS; i++) {
        c->epoch[i] = ++c->last_czxid;
        world_seen(&c->w, i, c->epoch[i], CRASH_PROC);
    }
    for (broker_id i = 0; i < N_BROKERS; i++) {
        world_ready(&c->w, i, c->epoch[i]);
    }
    for (broker_id i = 0; i < N_BROKERS; i++) {
        intend(c, i, BROKER_WANTED);
    }
    audit_all(c);
    for (size_t i = 0; i < image_n_topics(c->w.log); i++) {
        const struct image_topic *t = image_topic_at(c->w.log, i);
        CHECK_EQ(t->n_partitions, t->n_declared);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            const struct partition_state *s = &t->partitions[p];
            CHECK(s->leader != BROKER_NONE || s->isr.n + s->elr.n == 0);
            CHECK(s->leader != BROKER_NONE || s->replicas.n > 1); /* [REP-5] */
            end_move(c, t->name, s);
        }
    }
    size_t n_running = 0;
    for (size_t i = 0; i < image_n_operations(c->w.log); i++) {
        const struct image_operation *o = image_operation_at(c->w.log, i);
        n_running += o->is.state == OPERATION_RUNNING && o->n_left == 0; /* [CTL-76] */
    }
    CHECK_EQ(n_running, 0);
}

static void walk(struct cluster *c, unsigned n_steps, bool may_cut)
{
    world_init(&c->w, 3, prng_u64(&c->r));
    c->last_czxid = 0;
    c->n_ledgers = 0;
    for (broker_id i = 0; i < N_BROKERS; i++) {
        c->epoch[i] = -1;
        c->kind[i] = CRASH_CLEAN;
    }
    change_controller(c);
    for (unsigned step = 0; step < n_steps; step++) {
        c->is_cut = may_cut && chance(c, 8);
        if (c->is_cut) {
            c->w.keep_n = (int64_t)prng_below(&c->r, 5);
        }
        act(c);
        if (c->is_cut) {
            c->is_cut = false;
            change_controller(c);
            c->n_cut++;
        }
        count(c);
    }
    heal(c);
    world_deinit(&c->w);
}

static void any_history_keeps_the_invariants(void) /* [REP-2], [REP-3], [REP-6] */
{
    static struct cluster c;

    prng_init(&c.r, check_seed());
    for (int i = 0; i < 300; i++) {
        walk(&c, 220, false);
    }
    CHECK(c.n_led > 1000);
    CHECK(c.n_leaderless > 500);
    CHECK(c.n_unclean > 100);
    CHECK(c.n_restored > 10);
    CHECK(c.n_accepted > 300);
    CHECK(c.n_refused > 50);
    CHECK(c.n_failed > 100);
    CHECK(c.n_recovered > 5);
    CHECK(c.n_begun > 150);
    CHECK(c.n_moved > 10);
    CHECK(c.n_taken_back > 50);
    CHECK(c.n_operations > 100);
    CHECK(c.n_guarded > 3000);
}

static void controller_may_die_between_any_two_records(void) /* [CTL-2] */
{
    static struct cluster c;

    prng_init(&c.r, check_seed() + 1);
    for (int i = 0; i < 100; i++) {
        walk(&c, 220, true);
    }
    CHECK(c.n_cut > 500);
    CHECK(c.n_led > 1000);
}

/* Same events, same effects: ids come from the seed, order from sorted lists. */
static void same_seed_writes_the_same_log(void)
{
    char *stories[2];

    for (int i = 0; i < 2; i++) {
        static struct cluster c;
        prng_init(&c.r, check_seed() + 2);
        world_init(&c.w, 3, 7);
        c.last_czxid = 0;
        for (broker_id b = 0; b < N_BROKERS; b++) {
            c.epoch[b] = -1;
            c.kind[b] = CRASH_CLEAN;
        }
        c.n_ledgers = 0;
        change_controller(&c);
        for (unsigned step = 0; step < 200; step++) {
            act(&c);
        }
        stories[i] = mem_strdup(world_story(&c.w));
        world_deinit(&c.w);
    }
    CHECK_STR(stories[1], stories[0]);
    CHECK(strlen(stories[0]) > 1000);
    mem_free(stories[0]);
    mem_free(stories[1]);
}

static const struct check_case cases[] = {
        CASE(any_history_keeps_the_invariants),
        CASE(controller_may_die_between_any_two_records),
        CASE(same_seed_writes_the_same_log),
};
CHECK_MAIN("ctl_walk", cases)
