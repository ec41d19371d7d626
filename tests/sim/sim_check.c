/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_check.h"
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

/* How much of the log is what was committed; from where it was known to be. */
static void verify(struct sim_part *p)
{
    const struct sim_truth *t = &p->b->sim->truth[p->idx];

    if (p->verified > (offset64)p->recs.n) {
        p->verified = (offset64)p->recs.n;
    }
    while ((size_t)p->verified < p->recs.n && (size_t)p->verified < t->committed.n &&
            p->recs.items[p->verified].crc == t->committed.items[p->verified].crc &&
            p->recs.items[p->verified].epoch == t->committed.items[p->verified].epoch) {
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

/* S10: everybody in the committed ISR has confirmed it; on the disk, where that is asked for. */
static void check_confirmed(struct sim *s, const struct sim_part *leader)
{
    const struct broker_set *isr = &leader->core.record.isr;

    for (uint8_t i = 0; i < isr->n && s->is_fsync; i++) {
        const struct sim_broker *b = &s->brokers[isr->at[i]];
        const struct sim_part *p = &b->parts[leader->idx];

        if (b->is_up && is_counted(leader, b) &&
                p->core.record.leader_epoch <= leader->core.record.leader_epoch && p->log != NULL &&
                p->core.role != REPLICA_FAILED && !log_dir_failed(b->dir) &&
                plog_recovery_point(p->log) < leader->core.high_watermark) {
            sim_violation(s, "S10", "%s: what %s commits is not on the disk of b%d", leader->name,
                    name_of(leader), b->id);
        }
    }
}

/* S8, S10: what a leader's high watermark has passed is committed, and nothing else ever is at that offset. */
void sim_check_hw(struct sim_part *p)
{
    struct sim_truth *t = &p->b->sim->truth[p->idx];
    struct sim *s = p->b->sim;
    offset64 hw = p->core.high_watermark;

    if (hw <= p->noted_hw) {
        p->noted_hw = hw;
        return;
    }
    if (p->core.role == REPLICA_LEADER) {
        for (offset64 o = p->noted_hw; o < hw; o++) {
            struct sim_rec r = p->recs.items[o];

            if ((size_t)o < t->committed.n) {
                if (t->committed.items[o].crc != r.crc || t->committed.items[o].epoch != r.epoch) {
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

/* S7: a leader that begins has everything that was committed in earlier epochs. */
void sim_check_leads(struct sim_part *p)
{
    const struct sim_truth *t = &p->b->sim->truth[p->idx];

    verify(p);
    if ((size_t)p->verified < t->committed.n &&
            t->committed_in.items[p->verified] <= p->core.record.leader_epoch) {
        sim_violation(p->b->sim, "S7", "%s: %s leads in epoch %d without the committed record %lld",
                p->name, name_of(p), p->core.record.leader_epoch, (long long)p->verified);
    }
}

/* S6: who is in ISR or ELR, and is still the process that was registered, has everything that is committed. A failed one serves
 * nobody, and says so before it can be elected. */
static void check_member(struct sim *s, struct sim_part *p)
{
    const struct sim_truth *t = &s->truth[p->idx];
    const struct image_broker *b = image_broker(s->image, p->b->id);

    if (!broker_set_has(&t->record.isr, p->b->id) && !broker_set_has(&t->record.elr, p->b->id)) {
        return;
    }
    if (b == NULL || !is_of(p->b, b->epoch) || b->purge_pending || p->core.role == REPLICA_FAILED ||
            log_dir_failed(p->b->dir) || mem_disk_is_dead(p->b->disk)) {
        return;
    }
    if ((size_t)p->verified < t->committed.n) {
        sim_violation(s, "S6", "%s: %s is in ISR or ELR without the committed record %lld", p->name,
                name_of(p), (long long)p->verified);
    }
}

/* S11. */
static void check_core(struct sim *s, struct sim_part *p)
{
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
    if (p->verified < r->high_watermark) {
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

            if (p->is_live) {
                verify(p);
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

        if (!broker_set_has(&was->isr, id) && !image_broker_is_active(s->image, id)) {
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
    if (s->has_topic && (next->leader_epoch < was->leader_epoch ||
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
    s->counts.joins += next->isr.n > was->isr.n;
    s->counts.leaves += next->isr.n < was->isr.n;
    s->counts.elr_elections +=
            next->leader != BROKER_NONE && broker_set_has(&was->elr, next->leader);
    t->record = *next;
}

/* S15: who lost its host is in nobody's ISR or ELR when it is unfenced. */
static void check_unfenced(struct sim *s, broker_id id)
{
    const struct image_broker *b = image_broker(s->image, id);

    for (int i = 0; i < s->n_parts && s->has_topic; i++) {
        const struct partition_state *p = &s->truth[i].record;

        if (b->purge_pending ||
                (b->crash_kind == CRASH_HOST && s->is_unadmitted[id] &&
                        (broker_set_has(&p->isr, id) || broker_set_has(&p->elr, id)))) {
            sim_violation(s, "S15",
                    "broker %d lost its host and is unfenced within ISR or ELR of %s-%d", id,
                    SIM_TOPIC, i);
        }
    }
    s->is_unadmitted[id] = false;
}

void sim_check_record(struct sim *s, const struct meta_record *r)
{
    if (r->kind == META_CREATE_TOPIC) {
        s->topic_id = r->create_topic.id;
    } else if (r->kind == META_PARTITION_STATE) {
        check_partition(s, &r->partition);
        s->has_topic = s->has_topic || r->partition.partition == s->n_parts - 1;
    } else if (r->kind == META_REGISTER_BROKER) {
        s->is_unadmitted[r->register_broker.id] = true;
    } else if (r->kind == META_UNFENCE_BROKER) {
        check_unfenced(s, r->broker.id);
    }
}

/* --- Logs against each other ----------------------------------------------------------------------------------------- */

static void compare(struct sim *s, const struct sim_part *a, const struct sim_part *b)
{
    size_t n = a->recs.n < b->recs.n ? a->recs.n : b->recs.n;

    while (n > 0 && a->recs.items[n - 1].epoch != b->recs.items[n - 1].epoch) {
        n--;
    }
    while (n > 0) {
        n--;
        if (a->recs.items[n].epoch != b->recs.items[n].epoch ||
                a->recs.items[n].crc != b->recs.items[n].crc) {
            sim_violation(s, "S9", "%s: the logs of b%d and b%d agree above %zu and differ there",
                    a->name, a->b->id, b->b->id, n);
        }
    }
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
    if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0) {
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

            if (!s->brokers[i].is_up || p->log == NULL || mem_disk_is_dead(p->b->disk)) {
                continue;
            }
            if (s->counts.events % 1024 == 0) {
                check_producers(s, p);
            }
            for (int j = 0; j < i; j++) {
                if (s->brokers[j].is_up && s->brokers[j].parts[k].log != NULL) {
                    compare(s, p, &s->brokers[j].parts[k]);
                }
            }
        }
    }
}

/* --- The end --------------------------------------------------------------------------------------------------------- */

/* Nobody is left who could vouch for what was committed; an operator would have to say. */
static bool is_lost(const struct partition_state *p)
{
    return p->leader == BROKER_NONE && p->isr.n == 0 && p->elr.n == 0;
}

bool sim_check_is_well(struct sim *s)
{
    if (!image_check_settled(s->image)) { /* S5; a decision may be under way */
        return false;
    }
    for (int k = 0; k < s->n_parts; k++) {
        const struct partition_state *p = &s->truth[k].record;

        if (!s->has_topic) {
            return false;
        }
        if (is_lost(p)) {
            continue;
        }
        if (p->leader == BROKER_NONE || !broker_set_equal(&p->isr, &p->replicas)) {
            return false;
        }
        for (uint8_t i = 0; i < p->replicas.n; i++) {
            const struct sim_part *r = &s->brokers[p->replicas.at[i]].parts[k];
            if (!r->is_live || r->log == NULL || r->recs.n < s->truth[k].committed.n) {
                return false;
            }
        }
    }
    return true;
}

static void check_bytes(struct sim *s, int k)
{
    const struct sim_truth *t = &s->truth[k];

    for (uint8_t i = 0; i < t->record.replicas.n; i++) {
        struct sim_part *p = &s->brokers[t->record.replicas.at[i]].parts[k];

        sim_part_reload(p); /* from the bytes */
        verify(p);
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

        if (is_lost(&t->record)) {
            s->counts.offline++;
            continue;
        }
        check_bytes(s, k);
        for (size_t i = 0; i < t->committed.n; i++) {
            for (size_t j = i + 1; j < t->committed.n && j < i + 200; j++) {
                bool is_same_batch = t->committed.items[j - 1].crc == t->committed.items[i].crc;
                if (!is_same_batch && t->committed.items[j].crc == t->committed.items[i].crc) {
                    sim_violation(
                            s, "C4", "%s-%d holds one batch at %zu and at %zu", SIM_TOPIC, k, i, j);
                }
            }
        }
    }
    ARRAY_FOREACH (a, &s->acked) {
        const struct sim_truth *t = &s->truth[a->part];
        if ((size_t)a->base >= t->committed.n || t->committed.items[a->base].crc != a->crc) {
            sim_violation(s, "C1", "what was acknowledged at %lld is gone", (long long)a->base);
        }
    }
}
