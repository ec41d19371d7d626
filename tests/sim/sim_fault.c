/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <errno.h>

/* What breaks. Each seed has its own taste: some faults often, some never. To add one: a name, its weight, a case in
 * act(), and its end in sim_fault_heal() when it lasts. */

enum fault {
    KILL,
    POWER,
    DIE_IN_OPERATION, /* of the disk */
    KILL_CONTROLLER,
    DUEL,
    CUT_ONE_WAY,
    CUT_BOTH_WAYS,
    CUT_OFF, /* one node from all others */
    EXPIRE,
    FREEZE,
    FULL_DISK,
    BAD_DISK,
    STOP,
    MIN_ISR,
    DURABILITY,
    KILL_ALL,
    DAMAGE, /* of one log; it is filled anew */
    ELECT,
    SUSPECT, /* the controller takes somebody for dead who is not */
    RETAIN,  /* a leader gives up the begin of its log */
    MOVE,    /* of replicas */
    SWAP,    /* of a leader and a follower */
    REVERT,
    DRAIN,
    DELETE,
    N_FAULTS
};

_Static_assert(N_FAULTS <= 32, "as many weights");

static const unsigned usual[N_FAULTS] = {
        [KILL] = 8,
        [POWER] = 6,
        [DIE_IN_OPERATION] = 6,
        [KILL_CONTROLLER] = 4,
        [DUEL] = 2,
        [CUT_ONE_WAY] = 6,
        [CUT_BOTH_WAYS] = 4,
        [CUT_OFF] = 4,
        [EXPIRE] = 3,
        [FREEZE] = 4,
        [FULL_DISK] = 2,
        [BAD_DISK] = 1,
        [STOP] = 3,
        [MIN_ISR] = 2,
        [DURABILITY] = 4,
        [KILL_ALL] = 1,
        [DAMAGE] = 3,
        [ELECT] = 5,
        [SUSPECT] = 4,
        [RETAIN] = 5,
        [MOVE] = 3,
        [SWAP] = 4,
        [REVERT] = 1,
        [DRAIN] = 2,
        [DELETE] = 1,
};

enum disturbance {
    KILL_LEADER,
    KILL_SAME, /* where it has begun */
    KILL_FOLLOWER,
    FREEZE_LEADER,
    FREEZE_FOLLOWER,
    GIVE_UP_BEGIN,
    CUT_FOLLOWER,
    SUSPECT_FOLLOWER,
    CUT_AND_SUSPECT,
    SWAP_LEADER,
    N_DISTURBANCES
};

/* --- Tastes ---------------------------------------------------------------------------------------------------------- */

/* Logs begin anew all the time, just when somebody is about to join the ISR. */
static void let_begins_move(struct sim *s)
{
    s->segment_bytes = 600;
    s->rates.retain = 20 + (unsigned)sim_below(s, 60);
    s->rates.produce_pause = WTIME_MS(500);
    s->rates.work_max = WTIME_MS(600);
    s->rates.weights[DAMAGE] += 2 * usual[DAMAGE];
    s->rates.slow_kinds[SIM_PROPOSE] = 3;
    s->rates.provoke = 1;
    s->rates.favourites[SIM_PROPOSAL] = GIVE_UP_BEGIN;
    s->rates.favourites[SIM_EMPTY_LOG] = KILL_SAME;
    s->rates.favourites[SIM_WORK] = GIVE_UP_BEGIN;
}

/* Work on logs takes long, and leaders change meanwhile. */
static void let_work_last(struct sim *s)
{
    s->rates.work_max = WTIME_MS(2500);
    s->rates.weights[SWAP] += 4 * usual[SWAP];
    s->rates.weights[ELECT] += 4 * usual[ELECT];
    s->rates.provoke = 1;
    s->rates.favourites[SIM_WORK] = sim_one_in(s, 2) ? SWAP_LEADER : KILL_LEADER;
}

/* Nobody is careful: unclean elections go back and forth between histories that have given up their begins. */
static void let_histories_part(struct sim *s)
{
    s->unclean = sim_one_in(s, 4) ? SIM_UNCLEAN_BALANCED : SIM_UNCLEAN_OPERATOR;
    s->min_isr = 1;
    s->rates.is_careful = false;
    s->rates.retain = 8 + (unsigned)sim_below(s, 12);
    s->rates.weights[POWER] += 4 * usual[POWER];
}

/* Proposals come late, the second copy before the first, and who is to join is cut off and taken for dead meanwhile. */
static void let_proposals_tarry(struct sim *s)
{
    s->rates.slow_kinds[SIM_PROPOSE] = 2;
    s->rates.slow_max = WTIME_S(2);
    s->rates.produce_pause = WTIME_MS(60);
    s->rates.weights[CUT_BOTH_WAYS] += 2 * usual[CUT_BOTH_WAYS];
    s->rates.provoke = 1;
    s->rates.favourites[SIM_PROPOSAL] = CUT_AND_SUSPECT;
}

/* Answers come late, while leaders change and logs are cut and grow again. */
static void let_answers_tarry(struct sim *s)
{
    s->rates.slow_kinds[SIM_FETCHED] = 3;
    s->rates.slow_max = WTIME_S(2);
    s->rates.produce_pause = WTIME_MS(60);
    s->rates.weights[SWAP] += 6 * usual[SWAP];
    s->rates.weights[CUT_OFF] += 2 * usual[CUT_OFF];
    s->rates.weights[SUSPECT] += 3 * usual[SUSPECT];
    s->rates.provoke = 2;
    s->rates.favourites[SIM_LEADERSHIP] = SWAP_LEADER;
    s->rates.favourites[SIM_WORK] = SWAP_LEADER;
}

/* In a few seeds several dials are turned together: some things come only of them all. */
static void choose_theme(struct sim *s)
{
    switch (sim_below(s, 10)) {
    case 0:
    case 1: let_begins_move(s); break;
    case 2: let_work_last(s); break;
    case 3:
    case 4: let_histories_part(s); break;
    case 5:
    case 6:
    case 7: let_proposals_tarry(s); break;
    case 8: let_answers_tarry(s); break;
    default: break;
    }
}

/* Each dial by itself; then the theme, if there is one. */
void sim_fault_init(struct sim *s)
{
    static const unsigned often[] = {0, 1, 1, 2, 4};
    static const wtime works[] = {WTIME_MS(20), WTIME_MS(20), WTIME_MS(600), WTIME_MS(2500)};
    static const unsigned losses[] = {0, 0, 200, 50, 20};
    static const enum sim_msg_kind slow_kinds[] = {
            SIM_PROPOSE, SIM_PROPOSED, SIM_REPORT, SIM_FETCH, SIM_FETCHED};

    for (int i = 0; i < N_FAULTS; i++) {
        s->rates.weights[i] = usual[i] * often[sim_below(s, COUNT_OF(often))];
    }
    if (!sim_one_in(s, 3)) { /* Most topics are to be one or the other for ever. */
        s->rates.weights[DURABILITY] = 0;
    }
    s->rates.weights[KILL]++; /* the sum is not 0 */
    s->rates.loss = losses[sim_below(s, COUNT_OF(losses))];
    s->rates.dup = losses[sim_below(s, COUNT_OF(losses))];
    s->rates.slow = losses[sim_below(s, COUNT_OF(losses))];
    s->rates.rot = losses[sim_below(s, COUNT_OF(losses))];
    s->rates.is_careful = !sim_one_in(s, s->unclean == SIM_UNCLEAN_NEVER ? 6 : 2);
    s->rates.late_broker = sim_one_in(s, 2) ? (int)sim_below(s, (uint64_t)s->n_brokers) : -1;
    s->rates.slow_max = sim_one_in(s, 3) ? WTIME_S(4) : WTIME_MS(800);
    s->rates.work_max = works[sim_below(s, COUNT_OF(works))];
    s->rates.sync_max = sim_one_in(s, 3) ? WTIME_MS(400) : WTIME_MS(10);
    s->rates.pause_max = WTIME_MS(100 + (int64_t)sim_below(s, 2000));
    s->rates.burst = losses[sim_below(s, 3)] > 0 ? 0 : 2 + (unsigned)sim_below(s, 6);
    s->rates.aimed = 1 + (unsigned)sim_below(s, 6);
    s->rates.provoke = sim_one_in(s, 3) ? 0 : 1 + (unsigned)sim_below(s, 5);
    for (int i = 0; i < SIM_DELICATES; i++) {
        s->rates.favourites[i] = (unsigned)sim_below(s, N_DISTURBANCES);
    }
    for (size_t i = 0; i < COUNT_OF(slow_kinds); i++) {
        if (sim_one_in(s, 3)) {
            s->rates.slow_kinds[slow_kinds[i]] = 2 + (unsigned)sim_below(s, 8);
        }
    }
    s->rates.records_max = sim_one_in(s, 3) ? 1 : 3;
    s->rates.produce_pause = sim_one_in(s, 3) ? WTIME_MS(500) : WTIME_MS(60);
    choose_theme(s);
}

/* --- How it ends by itself ------------------------------------------------------------------------------------------- */

static void restart(struct sim *s, int node, uint64_t id)
{
    if (!s->brokers[id].is_up) {
        mem_disk_set_room(s->brokers[id].disk, -1);
        s->frozen_until[id] = 0;
        sim_broker_start(s, &s->brokers[id]);
    }
}

static void restart_controller(struct sim *s, int node, uint64_t id)
{
    if (!s->ctls[id].is_up) {
        sim_ctl_start(s, &s->ctls[id]);
    }
}

static void uncut(struct sim *s, int node, uint64_t pair)
{
    uint64_t from = pair / SIM_NODES, to = pair % SIM_NODES;

    if (s->n_cuts[from][to] > 0) {
        s->n_cuts[from][to]--;
        s->is_cut[from][to] = s->n_cuts[from][to] > 0;
    }
}

static void give_room(struct sim *s, int node, uint64_t id)
{
    mem_disk_set_room(s->brokers[id].disk, -1);
}

static wtime a_while(struct sim *s)
{
    return WTIME_MS(sim_one_in(s, 3) ? 500 + (int64_t)sim_below(s, 5000)
                                     : 50 + (int64_t)sim_below(s, 1000));
}

/* --- What happens ---------------------------------------------------------------------------------------------------- */

static void cut(struct sim *s, int from, int to, wtime how_long)
{
    if (from == to) {
        return;
    }
    s->counts.cut_links++;
    s->n_cuts[from][to]++;
    s->is_cut[from][to] = true;
    sim_at(s, how_long, -1, 0, uncut, (uint64_t)(from * SIM_NODES + to));
}

static void cut_off(struct sim *s, int node, wtime how_long)
{
    bool from_zk = sim_one_in(s, 2), from_clients = sim_one_in(s, 2);

    sim_tell(s, "net", "%s is cut off%s%s", sim_node_name(node),
            from_zk ? "" : ", but for ZooKeeper", from_clients ? "" : ", but for clients");
    how_long += from_clients ? 0 : SIM_LEASE; /* so that a lease may end meanwhile */
    for (int i = 0; i < SIM_NODES; i++) {
        bool is_client = i >= SIM_NODE_CLIENT && i < SIM_NODE_ZK;

        if ((i != SIM_NODE_ZK || from_zk) && (!is_client || from_clients)) {
            cut(s, node, i, how_long);
            cut(s, i, node, how_long);
        }
    }
}

bool sim_fault_may_lose(struct sim *s, const struct sim_broker *b)
{
    if (!s->rates.is_careful) {
        return true;
    }
    for (int k = 0; k < s->n_parts; k++) {
        const struct partition_state *p = &s->truth[k].record;
        int n_others = 0;

        if (!s->truth[k].is_there) {
            continue;
        }

        for (uint8_t i = 0; i < p->isr.n; i++) {
            const struct sim_broker *o = &s->brokers[p->isr.at[i]];
            n_others += o != b && o->is_up && !log_dir_failed(o->dir);
        }
        if (n_others == 0 && broker_set_has(&p->replicas, b->id)) {
            return false;
        }
    }
    return true;
}

/* [REP-57] All that it holds is. */
static bool is_durable_on(const struct sim *s, const struct sim_broker *b)
{
    for (int k = 0; k < s->n_parts; k++) {
        const struct partition_state *p = &s->truth[k].record;

        if (s->truth[k].is_there && !p->is_durable && broker_set_has(&p->replicas, b->id)) {
            return false;
        }
    }
    return true;
}

bool sim_fault_may_cut_power(struct sim *s, const struct sim_broker *b)
{
    return sim_fault_may_lose(s, b) || is_durable_on(s, b);
}

static void crash(struct sim *s, struct sim_broker *b, bool is_host)
{
    if (b->is_up) {
        sim_broker_crash(s, b, is_host);
    }
    sim_at(s, a_while(s), -1, 0, restart, (uint64_t)b->id);
}

static void crash_all(struct sim *s, bool is_power)
{
    bool may_lose[SIM_BROKERS_MAX];

    for (int i = 0; i < s->n_brokers; i++) {
        may_lose[i] = is_power && is_durable_on(s, &s->brokers[i]);
    }
    for (int i = 0; i < s->n_brokers; i++) {
        crash(s, &s->brokers[i], may_lose[i]);
    }
}

/* Somebody has seen that its disk is broken. */
static void replace_disk(struct sim *s, int node, uint64_t id)
{
    if (s->brokers[id].is_up && log_dir_failed(s->brokers[id].dir)) {
        crash(s, &s->brokers[id], false);
    }
}

static int any_node(struct sim *s)
{
    switch (sim_below(s, 6)) {
    case 0: return SIM_NODE_ZK;
    case 1: return SIM_NODE_CTL + (int)sim_below(s, (uint64_t)s->n_ctls);
    default: return (int)sim_below(s, (uint64_t)s->n_brokers);
    }
}

static void disturb_disk(struct sim *s, struct sim_broker *b, enum fault what)
{
    if (!b->is_up || (what == BAD_DISK && !sim_fault_may_lose(s, b))) {
        return;
    }
    sim_tell(s, sim_node_name(b->id), "%s",
            what == FULL_DISK  ? "has a full disk"
            : what == BAD_DISK ? "will meet an I/O error"
                               : "will die within an operation");
    if (what == FULL_DISK) {
        mem_disk_set_room(b->disk, (int64_t)sim_below(s, 4000));
        sim_at(s, a_while(s), -1, 0, give_room, (uint64_t)b->id);
    } else if (what == BAD_DISK) {
        s->counts.disk_failures++;
        mem_disk_fail_at(b->disk, 1 + sim_below(s, 20), -EIO);
        sim_at(s, WTIME_S(1) + a_while(s), -1, 0, replace_disk, (uint64_t)b->id);
    } else {
        mem_disk_die_at(b->disk, 1 + sim_below(s, 30));
        sim_at(s, WTIME_S(1) + a_while(s), -1, 0, restart, (uint64_t)b->id);
    }
}

static void stop(struct sim *s, struct sim_broker *b)
{
    if (b->is_up && b->n_epochs > 0 && !b->is_stopping) {
        sim_tell(s, sim_node_name(b->id), "is asked to stop");
        b->is_stopping = true;
    }
    sim_at(s, WTIME_S(1) + a_while(s), -1, 0, restart, (uint64_t)b->id);
}

static void damage(struct sim *s, struct sim_broker *b)
{
    struct sim_part *p = &b->parts[sim_below(s, (uint64_t)s->n_parts)];

    if (b->is_up && p->is_live && p->core.role != REPLICA_FAILED && sim_fault_may_lose(s, b)) {
        s->counts.damages++;
        sim_broker_event_begin(b);
        sim_part_fail(p);
        sim_broker_event_end(b);
    }
}

static void freeze(struct sim *s, int node, wtime how_long)
{
    s->counts.freezes++;
    s->frozen_until[node] = s->now + how_long;
    sim_tell(s, sim_node_name(node), "stands still for %lld ms", (long long)(how_long / 1000));
}

/* Somebody; mostly one who leads, in seeds that aim well. */
static struct sim_broker *any_broker(struct sim *s)
{
    broker_id leader = s->truth[sim_below(s, (uint64_t)s->n_parts)].record.leader;

    return leader != BROKER_NONE && sim_one_in(s, s->rates.aimed)
                   ? &s->brokers[leader]
                   : &s->brokers[sim_below(s, (uint64_t)s->n_brokers)];
}

static void retain(struct sim *s, struct sim_broker *b, uint64_t part)
{
    if (b->is_up) {
        sim_broker_event_begin(b);
        sim_log_retain(&b->parts[part]);
        sim_broker_event_end(b);
    }
}

/* What people ask the controller for. */
static void ask(struct sim *s, struct sim_ctl *c, enum fault what, int broker)
{
    switch ((int)what) {
    case MIN_ISR: sim_admin_set_min_isr(s, c); break;
    case DURABILITY: sim_admin_set_durability(s, c); break;
    case ELECT: sim_admin_elect(s, c); break;
    case SUSPECT: sim_ctl_suspect(s, c, broker); break;
    case MOVE: sim_admin_move(s, c); break;
    case SWAP: sim_admin_swap(s, c, (int)sim_below(s, (uint64_t)s->n_parts), BROKER_NONE); break;
    case REVERT: sim_admin_revert(s, c); break;
    case DRAIN: sim_admin_drain(s, c, broker); break;
    case DELETE: sim_admin_delete(s, c); break;
    default: must_not_reach("nobody asks for that");
    }
}

static void act(struct sim *s, enum fault what)
{
    struct sim_broker *b = any_broker(s);
    uint64_t ctl = sim_below(s, (uint64_t)s->n_ctls);
    int from = any_node(s), to = (from + 1 + (int)sim_below(s, SIM_NODES - 1)) % SIM_NODES;
    wtime how_long = a_while(s);

    switch (what) {
    case KILL: crash(s, b, false); break;
    case POWER: crash(s, b, sim_fault_may_cut_power(s, b)); break;
    case KILL_CONTROLLER:
        sim_ctl_crash(s, &s->ctls[ctl]);
        sim_at(s, how_long, -1, 0, restart_controller, ctl);
        break;
    case DUEL: sim_ctl_duel(s, &s->ctls[ctl]); break;
    case CUT_ONE_WAY:
        sim_tell(s, "net", "cut from %s to %s", sim_node_name(from), sim_node_name(to));
        cut(s, from, to, how_long);
        break;
    case CUT_BOTH_WAYS:
        sim_tell(s, "net", "cut between %s and %s", sim_node_name(from), sim_node_name(to));
        cut(s, from, to, how_long);
        cut(s, to, from, how_long);
        break;
    case CUT_OFF: cut_off(s, from == SIM_NODE_ZK ? (int)b->id : from, how_long); break;
    case EXPIRE: sim_zk_expire(s, from); break;
    case FREEZE: freeze(s, from == SIM_NODE_ZK ? (int)b->id : from, how_long); break;
    case FULL_DISK:
    case BAD_DISK:
    case DIE_IN_OPERATION: disturb_disk(s, b, what); break;
    case STOP: stop(s, b); break;
    case KILL_ALL: crash_all(s, sim_one_in(s, 2)); break;
    case DAMAGE: damage(s, b); break;
    case RETAIN: retain(s, b, sim_below(s, (uint64_t)s->n_parts)); break;
    case MIN_ISR:
    case DURABILITY:
    case ELECT:
    case SUSPECT:
    case MOVE:
    case SWAP:
    case REVERT:
    case DRAIN:
    case DELETE:
        if (sim_ctl_active(s) != NULL) {
            ask(s, sim_ctl_active(s), what, b->id);
        }
        break;
    case N_FAULTS: break;
    }
    s->counts.faults++;
}

/* --- What is delicate ------------------------------------------------------------------------------------------------ */

/* A replica; mostly one that is not in sync, when there is one. */
static broker_id some_follower(struct sim *s, const struct partition_state *p)
{
    broker_id id = p->replicas.at[sim_below(s, p->replicas.n)];

    for (uint8_t i = 0; i < p->replicas.n && sim_one_in(s, 2); i++) {
        if (!broker_set_has(&p->isr, p->replicas.at[i])) {
            return p->replicas.at[i];
        }
    }
    return id;
}

static void suspect_later(struct sim *s, int node, uint64_t id)
{
    if (!s->is_healing && sim_ctl_active(s) != NULL) {
        sim_ctl_suspect(s, sim_ctl_active(s), (int)id);
    }
}

static void disturb(struct sim *s, int node, uint64_t arg)
{
    uint64_t part = arg % SIM_PARTS_MAX, same = arg / SIM_PARTS_MAX % SIM_BROKERS_MAX;
    unsigned favourite = s->rates.favourites[arg / SIM_PARTS_MAX / SIM_BROKERS_MAX];
    const struct partition_state *p = &s->truth[part].record;
    struct sim_ctl *c = sim_ctl_active(s);
    wtime how_long = a_while(s);

    if (s->is_healing || p->leader == BROKER_NONE || !s->truth[part].is_there) {
        return;
    }
    broker_id leader = p->leader, follower = some_follower(s, p);
    unsigned what = sim_one_in(s, 2) ? favourite : (unsigned)sim_below(s, N_DISTURBANCES);
    switch ((enum disturbance)what) {
    case KILL_LEADER: crash(s, &s->brokers[leader], false); break;
    case KILL_SAME: crash(s, &s->brokers[same], false); break;
    case KILL_FOLLOWER:
        crash(s, &s->brokers[follower], sim_fault_may_cut_power(s, &s->brokers[follower]));
        break;
    case FREEZE_LEADER: freeze(s, leader, how_long); break;
    case FREEZE_FOLLOWER: freeze(s, follower, how_long); break;
    case GIVE_UP_BEGIN: retain(s, &s->brokers[leader], part); break;
    case CUT_AND_SUSPECT:
        sim_at(s, (wtime)sim_below(s, (uint64_t)WTIME_MS(700)), -1, 0, suspect_later,
                (uint64_t)follower);
        cut(s, leader, follower, how_long);
        cut(s, follower, leader, how_long);
        if (c != NULL && sim_one_in(s, 2)) { /* it cannot say that it lives */
            cut(s, c->node, follower, how_long);
            cut(s, follower, c->node, how_long);
        }
        break;
    case CUT_FOLLOWER:
        cut(s, leader, follower, how_long);
        cut(s, follower, leader, how_long);
        break;
    case SUSPECT_FOLLOWER: suspect_later(s, -1, (uint64_t)follower); break;
    case SWAP_LEADER:
        if (c != NULL) {
            sim_admin_swap(s, c, (int)part, sim_one_in(s, 2) ? (broker_id)same : BROKER_NONE);
        }
        break;
    case N_DISTURBANCES: break;
    }
    s->counts.faults++;
}

void sim_fault_provoke(struct sim_part *p, enum sim_delicate what)
{
    struct sim *s = p->b->sim;

    if (!s->is_healing && sim_one_in(s, s->rates.provoke)) {
        sim_at(s, (wtime)sim_below(s, (uint64_t)WTIME_MS(sim_one_in(s, 2) ? 30 : 400)), -1, 0,
                disturb,
                (uint64_t)(((int)what * SIM_BROKERS_MAX + p->b->id) * SIM_PARTS_MAX + p->idx));
    }
}

static void power_goes(struct sim *s, int node, uint64_t arg)
{
    if (!s->is_healing) {
        s->counts.faults++;
        crash_all(s, true);
    }
}

void sim_fault_test_durable(struct sim *s)
{
    if (!s->is_healing && sim_one_in(s, 2)) {
        sim_at(s, (wtime)sim_below(s, (uint64_t)WTIME_MS(40)), -1, 0, power_goes, 0);
    }
}

void sim_fault_tick(struct sim *s, int node, uint64_t arg)
{
    uint64_t sum = 0, at;
    int what = 0;

    if (s->is_healing) {
        return;
    }
    for (int i = 0; i < N_FAULTS; i++) {
        sum += s->rates.weights[i];
    }
    at = sim_below(s, sum);
    while (at >= s->rates.weights[what]) {
        at -= s->rates.weights[what++];
    }
    if (s->has_topic) {
        act(s, (enum fault)what);
    }
    wtime pause = sim_one_in(s, s->rates.burst)
                          ? WTIME_MS(2 + (int64_t)sim_below(s, 60))
                          : WTIME_MS(50) + (wtime)sim_below(s, (uint64_t)s->rates.pause_max);
    sim_at(s, pause, -1, 0, sim_fault_tick, arg);
}

void sim_fault_heal(struct sim *s)
{
    sim_tell(s, "sim", "all faults end");
    s->is_healing = true;
    memset(s->is_cut, 0, sizeof(s->is_cut));
    memset(s->n_cuts, 0, sizeof(s->n_cuts));
    memset(s->frozen_until, 0, sizeof(s->frozen_until));
    for (int i = 0; i < s->n_brokers; i++) {
        struct sim_broker *b = &s->brokers[i];

        mem_disk_set_room(b->disk, -1);
        mem_disk_die_at(b->disk, 0);
        mem_disk_fail_at(b->disk, 0, 0);
        if (b->is_up && (b->is_stopping || log_dir_failed(b->dir))) {
            sim_broker_crash(s, b, false);
        }
        restart(s, -1, (uint64_t)i);
    }
    for (int i = 0; i < s->n_ctls; i++) {
        restart_controller(s, -1, (uint64_t)i);
    }
}
