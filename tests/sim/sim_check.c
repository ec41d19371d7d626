/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_replay.h"
#include "broker/shell/producer_state.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/sim/sim.h"

/* What must hold. Numbers are those of docs/design/10-replication.md: S1 to S3 are kept by sim_zk.c, S5 by the controller
 * core's own check, S10, S13 and S14 by the replica core's; the others are looked at here, from above. */

/* --- The committed records ------------------------------------------------------------------------------------------- */

static const char *name_of(const struct sim_part *p)
{
    return sim_node_name(p->b->id);
}

bool sim_check_is_present(const struct sim_part *p)
{
    const struct sim *s = p->b->sim;

    return p->is_live && s->truth[p->idx].is_there && uuid_equal(&p->topic_id, &s->topic_id);
}

/* Of the topic that is there or of the one in the trash, of which a leader may not know yet that it is deleted; NULL: neither. */
static struct sim_truth *truth_of(const struct sim_part *p)
{
    struct sim *s = p->b->sim;

    if (sim_check_is_present(p)) {
        return &s->truth[p->idx];
    }
    return p->is_live && s->trash.is_there && uuid_equal(&p->topic_id, &s->trash.topic_id)
                   ? &s->trash.truth[p->idx]
                   : NULL;
}

/* Leads in an epoch from before the last unclean election: what it commits was given up, and nobody else keeps it. */
static bool is_given_up(const struct sim_part *p, const struct sim_truth *t)
{
    return t->is_open || p->core.record.leader_epoch < t->record.unclean_epoch;
}

/* What the winner of an unclean election has removed is not known. */
static bool is_same(const struct sim_rec *held, const struct sim_rec *committed)
{
    return committed->epoch == EPOCH_NONE ||
           (held->crc == committed->crc && held->epoch == committed->epoch);
}

/* How much of the log is what was committed; from where it was known to be. */
static void verify(struct sim_part *p, const struct sim_truth *t)
{
    if (p->verified > (offset64)p->recs.n) {
        p->verified = (offset64)p->recs.n;
    }
    while ((size_t)p->verified < p->recs.n && (size_t)p->verified < t->committed.n &&
            is_same(&p->recs.items[p->verified], &t->committed.items[p->verified])) {
        p->verified++;
    }
}

static bool is_of(const struct sim_broker *b, int64_t epoch)
{
    for (unsigned i = 0; i < b->n_epochs; i++) {
        if (b->epochs[i] == epoch) {
            return true;
        }
    }
    return false;
}

/* The incarnation of that broker which the leader counts is the process that runs now. */
static bool is_counted(const struct sim_part *leader, const struct sim_broker *b)
{
    const struct replica *r = &leader->core;

    for (uint8_t i = 0; i < r->n_peers; i++) {
        if (r->peers[i].id == b->id) {
            return is_of(b, r->peers[i].epoch);
        }
    }
    return false;
}

/* S10: everybody in the committed ISR has confirmed it; on the disk, where that is asked for, or the
 * record says so. */
static void check_confirmed(struct sim *s, const struct sim_part *leader)
{
    const struct broker_set *isr = &leader->core.record.isr;
    bool is_synced = leader->core.fsync_acks || leader->core.record.is_durable ||
                     (leader->core.pending.is_set && leader->core.pending.is_durable);

    for (uint8_t i = 0; i < isr->n && is_synced; i++) {
        const struct sim_broker *b = &s->brokers[isr->at[i]];
        const struct sim_part *p = &b->parts[leader->idx];

        if (b->is_up && is_counted(leader, b) && uuid_equal(&p->topic_id, &leader->topic_id) &&
                p->core.record.leader_epoch <= leader->core.record.leader_epoch && p->log != NULL &&
                p->core.role != REPLICA_FAILED && !log_dir_failed(b->dir) &&
                p->core.work == REPLICA_WORK_NONE && p->synced < leader->core.high_watermark &&
                plog_start(p->log) < leader->core.high_watermark && /* else it need not have any */
                plog_synced_end(p->log) < leader->core.high_watermark) {
            sim_violation(s, "S10", "%s: what %s commits is not on the disk of b%d", leader->name,
                    name_of(leader), b->id);
        }
    }
}

/* S8, S10: what a leader's high watermark has passed is committed, and nothing else ever is at that offset. */
void sim_check_hw(struct sim_part *p)
{
    struct sim_truth *t = truth_of(p);
    struct sim *s = p->b->sim;
    offset64 hw = p->core.high_watermark;

    if (hw <= p->noted_hw || t == NULL) {
        p->noted_hw = hw;
        return;
    }
    if (p->core.role == REPLICA_LEADER && !is_given_up(p, t)) {
        offset64 from = p->noted_hw < p->begin ? p->begin : p->noted_hw;

        if ((size_t)from > t->committed.n) { /* its own high watermark was behind what an election left */
            from = (offset64)t->committed.n;
        }
        for (offset64 o = from; o < hw; o++) {
            struct sim_rec r = p->recs.items[o];

            if ((size_t)o < t->committed.n) {
                if (!is_same(&r, &t->committed.items[o])) {
                    sim_violation(s, "S8", "%s: %s commits another record at %lld", p->name,
                            name_of(p), (long long)o);
                }
                continue;
            }
            must((size_t)o == t->committed.n);
            *array_push(&t->committed) = r;
            *array_push(&t->committed_in) = p->core.record.leader_epoch;
            s->counts.commits++;
        }
        check_confirmed(s, p);
    }
    p->noted_hw = hw;
}

/* A leader gives up what lies below. */
void sim_check_start(struct sim_part *p, offset64 start)
{
    struct sim_truth *t = truth_of(p);

    if (t == NULL) {
        return;
    }
    t->removed[p->b->id] = start > t->removed[p->b->id] ? start : t->removed[p->b->id];
    if (!is_given_up(p, t) && start > t->start) {
        t->start = start;
        t->start_ever = start > t->start_ever ? start : t->start_ever;
    }
}

/* Where the log of a member may begin: after an unclean election also where it had removed its begin itself, when it led and
 * was given up. */
static offset64 start_max(const struct sim_truth *t, broker_id id)
{
    bool may_be_its_own = t->record.unclean_epoch != EPOCH_NONE && t->removed[id] > t->start;

    return may_be_its_own ? t->removed[id] : t->start;
}

/* [REP-9] From here on what the winner of an unclean election has is what was committed; all else is lost, and was said to be. */
static void cut_truth(struct sim_part *p, struct sim_truth *t)
{
    struct sim *s = p->b->sim;
    size_t n;

    p->verified = p->begin;
    verify(p, t);
    n = (size_t)p->verified < t->committed.n ? (size_t)p->verified : t->committed.n;
    sim_tell(s, name_of(p), "%s: %zu committed records are lost from %zu on", p->name,
            t->committed.n - n, n);
    while (t->committed.n > n) {
        t->committed.n--;
        t->committed_in.n--;
    }
    for (size_t i = 0; i < n; i++) {
        /* Below its begin its history is the winner's, too, which is removed; above, what an earlier winner had removed. */
        if ((offset64)i < p->begin) {
            t->committed.items[i].epoch = EPOCH_NONE;
        } else {
            t->committed.items[i] = p->recs.items[i];
        }
    }
    /* What any leader gave up of what the winner has, or had. */
    t->start = t->start_ever < (offset64)p->recs.n ? t->start_ever : (offset64)p->recs.n;
    t->start = t->start > plog_start(p->log) ? t->start : plog_start(p->log);
    for (size_t i = 0; i < t->acked.n;) {
        const struct sim_acked *a = &t->acked.items[i];

        /* What was unknown, and shows now, may be of another history. */
        if (a->base >= (offset64)n || t->committed.items[a->base].crc != a->crc) {
            array_remove(&t->acked, i);
        } else {
            i++;
        }
    }
    for (int i = 0; i < s->n_brokers; i++) {
        struct sim_part *x = &s->brokers[i].parts[p->idx];
        x->verified = x->verified < (offset64)n ? x->verified : (offset64)n;
        x->verified = x->verified > x->begin ? x->verified : x->begin;
    }
    sim_client_reset(s, p->idx, (offset64)n);
    t->is_open = false;
}

/* [REP-9] After an unclean election a leader may know more as committed than its predecessors counted: its high watermark is of
 * a time before, and what an election had given up is there again. It is read, so it must stay; that all who are in sync have
 * it, is what S6 looks at. */
static void count_inherited(struct sim_part *p, struct sim_truth *t)
{
    offset64 hw = p->noted_hw;

    if (hw > (offset64)p->recs.n) { /* of before a cut, or a beginning anew, that has ended just now */
        hw = (offset64)p->recs.n;
    }
    while (t->record.unclean_epoch != EPOCH_NONE && (offset64)t->committed.n < hw) {
        *array_push(&t->committed) = p->recs.items[t->committed.n];
        *array_push(&t->committed_in) = p->core.record.leader_epoch;
    }
}

/* S7: a leader that begins has everything that was committed in earlier epochs. */
void sim_check_leads(struct sim_part *p)
{
    struct sim_truth *t = truth_of(p);

    if (t == NULL || p->core.record.leader_epoch < t->record.unclean_epoch) {
        return;
    }
    if (t->is_open) {
        cut_truth(p, t);
    }
    verify(p, t);
    if ((size_t)p->verified < t->committed.n &&
            t->committed_in.items[p->verified] <= p->core.record.leader_epoch) {
        sim_violation(p->b->sim, "S7", "%s: %s leads in epoch %d without the committed record %lld",
                p->name, name_of(p), p->core.record.leader_epoch, (long long)p->verified);
    }
    count_inherited(p, t);
}

/* [REP-5] It may have lost records, stays in the ISR, and will be elected uncleanly. */
static bool is_lossy_single(const struct partition_state *p)
{
    return p->replicas.n == 1 && p->recovering;
}

/* S6: who is in ISR or ELR, and is still the process that was registered, has everything that is committed. A failed one serves
 * nobody, and says so before it can be elected. */
static void check_member(struct sim *s, struct sim_part *p)
{
    const struct sim_truth *t = &s->truth[p->idx];
    const struct image_broker *b = image_broker(s->image, p->b->id);

    if (t->is_open || is_lossy_single(&t->record)) {
        return;
    }
    if (!broker_set_has(&t->record.isr, p->b->id) && !broker_set_has(&t->record.elr, p->b->id)) {
        return;
    }
    if (b == NULL || !is_of(p->b, b->epoch) || b->purge_pending || p->core.role == REPLICA_FAILED ||
            log_dir_failed(p->b->dir) || mem_disk_is_dead(p->b->disk)) {
        return;
    }
    if (p->log != NULL && plog_start(p->log) > start_max(t, p->b->id)) {
        sim_violation(s, "S6", "%s: %s is in ISR or ELR and begins at %lld", p->name, name_of(p),
                (long long)plog_start(p->log));
    }
    if ((size_t)p->verified < t->committed.n) {
        sim_violation(s, "S6", "%s: %s is in ISR or ELR without the committed record %lld", p->name,
                name_of(p), (long long)p->verified);
    }
}

/* S11. */
static void check_core(struct sim *s, struct sim_part *p)
{
    const struct sim_truth *t = &s->truth[p->idx];
    const struct replica *r = &p->core;

    if (r->role == REPLICA_FAILED || p->log == NULL || r->work != REPLICA_WORK_NONE) {
        return;
    }
    if (r->high_watermark < 0 || r->high_watermark > r->log_end) {
        sim_violation(
                s, "S11", "%s of %s: the high watermark lies beyond the log", p->name, name_of(p));
    }
    if (r->log_end != (offset64)p->recs.n && !log_dir_failed(p->b->dir)) {
        sim_violation(s, "S11", "%s of %s: the core does not know where the log ends", p->name,
                name_of(p));
    }
    if (plog_start(p->log) > t->start && t->record.unclean_epoch == EPOCH_NONE) {
        sim_violation(s, "S11", "%s of %s begins at %lld, and nobody gave up what lies below",
                p->name, name_of(p), (long long)plog_start(p->log));
    }
    if (p->verified < r->high_watermark && t->record.unclean_epoch == EPOCH_NONE) {
        sim_violation(s, "S11",
                "%s of %s: the high watermark %lld covers what was never committed at %lld",
                p->name, name_of(p), (long long)r->high_watermark, (long long)p->verified);
    }
}

void sim_check_event(struct sim *s)
{
    for (int i = 0; i < s->n_brokers; i++) {
        struct sim_broker *b = &s->brokers[i];

        for (int k = 0; k < s->n_parts && b->is_up; k++) {
            struct sim_part *p = &b->parts[k];

            if (sim_check_is_present(p)) {
                verify(p, &s->truth[k]);
                check_core(s, p);
                check_member(s, p);
            }
        }
    }
}

/* --- Records of the metadata log ------------------------------------------------------------------------------------- */

/* S5: who joins is registered, purged and not fenced. */
static void check_joining(
        struct sim *s, const struct partition_state *was, const struct partition_state *next)
{
    for (uint8_t i = 0; i < next->isr.n; i++) {
        broker_id id = next->isr.at[i];

        if (!broker_set_has(&was->isr, id) && !image_broker_is_active(s->image, id) &&
                next->replicas.n > 1) { /* the only one is in sync by name only [REP-5] */
            sim_violation(s, "S5", "%s-%d: broker %d joins the ISR, and is not active", SIM_TOPIC,
                    next->partition, id);
        }
    }
}

static void check_partition(struct sim *s, const struct partition_state *next)
{
    struct sim_truth *t = &s->truth[next->partition];
    const struct partition_state *was = &t->record;

    if (!partition_state_is_valid(next)) {
        sim_violation(s, "S4", "%s-%d: the record contradicts itself", SIM_TOPIC, next->partition);
    }
    if (t->is_there && (next->leader_epoch < was->leader_epoch ||
                                next->partition_epoch <= was->partition_epoch)) {
        sim_violation(s, "S4", "%s-%d: epochs go back", SIM_TOPIC, next->partition);
    }
    check_joining(s, was, next);
    while (t->leaders.n <= (size_t)next->leader_epoch) {
        *array_push(&t->leaders) = BROKER_NONE;
    }
    broker_id *leader = &t->leaders.items[next->leader_epoch];
    if (next->leader != BROKER_NONE && *leader != BROKER_NONE && *leader != next->leader) {
        sim_violation(s, "S4", "%s-%d: two leaders in leader epoch %d", SIM_TOPIC, next->partition,
                next->leader_epoch);
    }
    if (next->leader != BROKER_NONE) {
        *leader = next->leader;
    }
    if (next->unclean_epoch != was->unclean_epoch) {
        s->counts.unclean_elections++;
        t->is_open = true;
    }
    if (t->is_there && next->is_durable && !was->is_durable) {
        sim_fault_test_durable(s);
    }
    s->counts.moves_ended += t->is_there && partition_is_moving(was) && !partition_is_moving(next);
    s->counts.joins += next->isr.n > was->isr.n;
    s->counts.leaves += next->isr.n < was->isr.n;
    s->counts.elr_elections +=
            next->leader != BROKER_NONE && broker_set_has(&was->elr, next->leader);
    t->record = *next;
    t->is_there = true;
    for (int id = 0; id < s->n_brokers && next->is_durable; id++) {
        t->was_durable[id] = true;
    }
}

void sim_check_forget(struct sim_truth *t)
{
    array_deinit(&t->committed);
    array_deinit(&t->committed_in);
    array_deinit(&t->leaders);
    array_deinit(&t->acked);
    *t = (struct sim_truth){.record = {.leader = BROKER_NONE,
                                    .leader_epoch = EPOCH_NONE,
                                    .partition_epoch = EPOCH_NONE,
                                    .unclean_epoch = EPOCH_NONE}};
}

void sim_check_forget_trash(struct sim *s)
{
    for (int k = 0; k < SIM_PARTS_MAX; k++) {
        sim_check_forget(&s->trash.truth[k]);
    }
    s->trash.is_there = false;
}

/* The topic is deleted, and can come back as it was. */
static void remove_topic(struct sim *s)
{
    sim_check_forget_trash(s);
    for (int k = 0; k < SIM_PARTS_MAX; k++) {
        s->trash.truth[k] = s->truth[k];
        s->truth[k] = (struct sim_truth){0};
        sim_check_forget(&s->truth[k]);
        sim_client_reset(s, k, 0);
    }
    s->trash.topic_id = s->topic_id;
    s->trash.is_there = true;
    s->has_topic = false;
}

/* [TRS-2] */
static void restore_topic(struct sim *s, const struct uuid *id)
{
    const struct image_topic *t = image_topic_by_id(s->image, id);

    must(s->trash.is_there && uuid_equal(id, &s->trash.topic_id) && !s->has_topic && t != NULL);
    s->counts.restores++;
    for (int k = 0; k < SIM_PARTS_MAX; k++) {
        s->truth[k] = s->trash.truth[k];
        s->trash.truth[k] = (struct sim_truth){0};
        if (s->truth[k].is_there) {
            s->truth[k].record = t->partitions[k];
        }
        sim_client_reset(s, k, 0);
    }
    s->topic_id = *id;
    s->has_topic = true;
    sim_check_forget_trash(s);
}

/* S15: who lost its host is in nobody's ISR or ELR when it is unfenced, but for what is durable. */
static void check_unfenced(struct sim *s, broker_id id)
{
    const struct image_broker *b = image_broker(s->image, id);

    for (int i = 0; i < s->n_parts; i++) {
        const struct partition_state *p = &s->truth[i].record;

        bool has_lost = b->crash_kind == CRASH_DISK ||
                        (b->crash_kind == CRASH_HOST && !s->truth[i].was_durable[id]);

        if (b->purge_pending ||
                (has_lost && s->is_unadmitted[id] && !is_lossy_single(p) &&
                        (broker_set_has(&p->isr, id) || broker_set_has(&p->elr, id)))) {
            sim_violation(s, "S15",
                    "broker %d lost its host and is unfenced within ISR or ELR of %s-%d", id,
                    SIM_TOPIC, i);
        }
    }
    s->is_unadmitted[id] = false;
}

static void note_registered(struct sim *s, const struct meta_register_broker *r)
{
    if (r->crash_kind == CRASH_DISK && !s->had_other_disk[r->id]) {
        sim_violation(s, "S15", "broker %d is taken for one with another disk", r->id);
    }
    s->is_unadmitted[r->id] = true;
    for (int k = 0; k < s->n_parts; k++) {
        s->truth[k].was_durable[r->id] = s->truth[k].record.is_durable;
        s->trash.truth[k].was_durable[r->id] = s->trash.truth[k].record.is_durable;
    }
}

void sim_check_record(struct sim *s, const struct meta_record *r)
{
    if (r->kind == META_CREATE_TOPIC) {
        s->topic_id = r->create_topic.id;
        s->has_topic = true;
    } else if (r->kind == META_REMOVE_TOPIC) {
        remove_topic(s);
    } else if (r->kind == META_RESTORE_TOPIC) {
        restore_topic(s, &r->restore_topic.id);
    } else if (r->kind == META_PURGE_TOPIC) {
        if (s->trash.is_there && uuid_equal(&r->purge_topic.id, &s->trash.topic_id)) {
            sim_check_forget_trash(s);
        }
    } else if (r->kind == META_PARTITION_STATE) {
        if (uuid_equal(&r->partition.topic_id, &s->topic_id) && s->has_topic) {
            check_partition(s, &r->partition);
        } /* else it is in the trash */
    } else if (r->kind == META_REGISTER_BROKER) {
        note_registered(s, &r->register_broker);
    } else if (r->kind == META_UNFENCE_BROKER) {
        check_unfenced(s, r->broker.id);
    }
}

/* --- Logs against each other ----------------------------------------------------------------------------------------- */

static void compare(struct sim *s, const struct sim_part *a, const struct sim_part *b)
{
    size_t n = a->recs.n < b->recs.n ? a->recs.n : b->recs.n;

    size_t begin = (size_t)(a->begin > b->begin ? a->begin : b->begin);

    while (n > begin && a->recs.items[n - 1].epoch != b->recs.items[n - 1].epoch) {
        n--;
    }
    while (n > begin) {
        n--;
        if (a->recs.items[n].epoch != b->recs.items[n].epoch ||
                a->recs.items[n].crc != b->recs.items[n].crc) {
            sim_violation(s, "S9", "%s: the logs of b%d and b%d agree above %zu and differ there",
                    a->name, a->b->id, b->b->id, n);
        }
    }
}

/* Of a log whose begin is removed: what is left says the same, and what else is known is of what is removed. */
static bool is_told_by_rest(
        const struct producers *known, const struct producers *rest, offset64 begin)
{
    for (size_t i = 0; i < rest->known.n; i++) {
        const struct producer *a = rest->known.items[i], *b = producers_find(known, a->id);

        if (b == NULL || b->epoch != a->epoch || b->last_offset != a->last_offset || b->n < a->n ||
                memcmp(&a->batches[a->n - 1].first, &b->batches[b->n - 1].first,
                        2 * sizeof(int32_t)) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < known->known.n; i++) {
        const struct producer *b = known->known.items[i];

        if (producers_find(rest, b->id) == NULL && b->last_offset >= begin) {
            return false;
        }
    }
    return true;
}

/* S19: what is known of producers is what the log gives. */
static void check_producers(struct sim *s, struct sim_part *p)
{
    struct producers fold = {0};
    struct producer_state_source source;
    struct buf a = {0}, b = {0};

    if (log_dir_failed(p->b->dir) || p->core.work != REPLICA_WORK_NONE ||
            producer_state_restore(&fold, p->log, 0, 0, &source) != 0) {
        producers_deinit(&fold);
        return;
    }
    producers_encode(&fold, &a);
    producers_encode(&p->producers, &b);
    bool is_same = plog_first_offset(p->log) > 0
                           ? is_told_by_rest(&p->producers, &fold, plog_first_offset(p->log))
                           : a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
    if (!is_same) {
        sim_violation(s, "S19", "%s of %s: what is known of producers is not what the log says",
                p->name, name_of(p));
    }
    buf_deinit(&a);
    buf_deinit(&b);
    producers_deinit(&fold);
}

void sim_check_logs(struct sim *s)
{
    for (int k = 0; k < s->n_parts; k++) {
        for (int i = 0; i < s->n_brokers; i++) {
            struct sim_part *p = &s->brokers[i].parts[k];

            if (!s->brokers[i].is_up || p->log == NULL || !sim_check_is_present(p) || mem_disk_is_dead(p->b->disk)) {
                continue;
            }
            if (s->counts.events % 1024 == 0) {
                check_producers(s, p);
            }
            for (int j = 0; j < i; j++) {
                const struct sim_part *x = &s->brokers[j].parts[k];
                if (s->brokers[j].is_up && x->log != NULL && sim_check_is_present(x)) {
                    compare(s, p, x);
                }
            }
        }
    }
}

/* --- The end --------------------------------------------------------------------------------------------------------- */

/* Nobody is left who could vouch for what was committed, and nobody may be chosen: where it is chosen by itself, one of the last
 * known has lost its log for good; an operator finds no replica that has one. */
static bool is_lost(struct sim *s, int k)
{
    const struct partition_state *p = &s->truth[k].record;
    const struct broker_set *asked = s->unclean == SIM_UNCLEAN_BALANCED ? &p->lk : &p->replicas;
    int n_failed = 0;

    if (p->replicas.n == 1 && p->leader == BROKER_NONE) {
        return s->brokers[p->replicas.at[0]].parts[k].core.role == REPLICA_FAILED;
    }
    if (p->leader != BROKER_NONE || p->isr.n > 0 || p->elr.n > 0) {
        return false;
    }
    for (uint8_t i = 0; i < asked->n; i++) {
        n_failed += s->brokers[asked->at[i]].parts[k].core.role == REPLICA_FAILED;
    }
    switch (s->unclean) {
    case SIM_UNCLEAN_NEVER: return true;
    case SIM_UNCLEAN_OPERATOR: return n_failed == asked->n;
    case SIM_UNCLEAN_BALANCED: return n_failed > 0 || asked->n == 0;
    }
    return true;
}

static bool is_whole(struct sim *s, int k)
{
    const struct partition_state *p = &s->truth[k].record;

    if (p->leader == BROKER_NONE || !broker_set_equal(&p->isr, &p->replicas) ||
            partition_is_moving(p)) {
        return false;
    }
    for (uint8_t i = 0; i < p->replicas.n; i++) {
        const struct sim_part *r = &s->brokers[p->replicas.at[i]].parts[k];
        if (!sim_check_is_present(r) || r->log == NULL || r->recs.n < s->truth[k].committed.n) {
            return false;
        }
    }
    return true;
}

bool sim_check_is_well(struct sim *s)
{
    if (!s->has_topic || !image_check_settled(s->image)) { /* S5; a decision may be under way */
        return false;
    }
    for (int k = 0; k < s->n_parts; k++) {
        if (s->truth[k].is_there && !is_lost(s, k) && !is_whole(s, k)) {
            return false;
        }
    }
    return s->truth[0].is_there;
}

static void check_bytes(struct sim *s, int k)
{
    const struct sim_truth *t = &s->truth[k];

    for (uint8_t i = 0; i < t->record.replicas.n; i++) {
        struct sim_part *p = &s->brokers[t->record.replicas.at[i]].parts[k];

        sim_log_reload(p); /* from the bytes */
        verify(p, t);
        if ((size_t)p->verified != t->committed.n) {
            sim_violation(s, "C15", "%s of %s differs from what was committed at %lld", p->name,
                    name_of(p), (long long)p->verified);
        }
    }
}

/* Nothing that was acknowledged is lost, nothing is there twice. */
void sim_check_end(struct sim *s)
{
    for (int k = 0; k < s->n_parts; k++) {
        const struct sim_truth *t = &s->truth[k];

        if (!t->is_there || is_lost(s, k)) {
            s->counts.offline += t->is_there;
            continue;
        }
        check_bytes(s, k);
        for (size_t i = 0; i < t->committed.n; i++) {
            for (size_t j = i + 1; j < t->committed.n && j < i + 200; j++) {
                bool is_same_batch = t->committed.items[j - 1].crc == t->committed.items[i].crc;
                /* Whose batches are removed is not known any more [PID-11]. */
                if (!is_same_batch && (offset64)i >= t->start && t->committed.items[j].crc == t->committed.items[i].crc) {
                    sim_violation(
                            s, "C4", "%s-%d holds one batch at %zu and at %zu", SIM_TOPIC, k, i, j);
                }
            }
        }
    }
    for (int k = 0; k < s->n_parts; k++) {
        const struct sim_truth *t = &s->truth[k];

        for (size_t i = 0; i < t->acked.n && !t->is_open; i++) {
            const struct sim_acked *a = &t->acked.items[i];

            if ((size_t)a->base >= t->committed.n || t->committed.items[a->base].crc != a->crc) {
                sim_violation(s, "C1", "what was acknowledged at %lld of %s-%d is gone",
                        (long long)a->base, SIM_TOPIC, k);
            }
        }
    }
}
