/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The heap of events, the story, and a run from begin to end. */

enum {
    STEPS = 20000, /* events with faults */
    CHECK_EVERY = 64,
};

#define HEALED_WITHIN WTIME_S(60)

static struct sim *running; /* for must_fail() */

uint64_t sim_below(struct sim *s, uint64_t n)
{
    return prng_below(&s->rng, n);
}

bool sim_one_in(struct sim *s, unsigned n)
{
    return n > 0 && prng_below(&s->rng, n) == 0;
}

/* --- The story ------------------------------------------------------------------------------------------------------- */

const char *sim_node_name(int node)
{
    static const char *const names[SIM_NODES] = {
            "b0", "b1", "b2", "b3", "b4", "ctl0", "ctl1", "ctl2", "client0", "client1", "zk"};

    return names[node];
}

void sim_tell(struct sim *s, const char *who, const char *format, ...)
{
    char *line = s->story[s->n_lines++ % SIM_STORY_LINES];
    int n = snprintf(line, sizeof(s->story[0]), "[%8.3f] %-5s ", (double)s->now / 1e6, who);
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(line + n, sizeof(s->story[0]) - (size_t)n, format, ap);
    va_end(ap);
    for (const char *c = line; *c != '\0'; c++) {
        s->digest = (s->digest ^ (uint8_t)*c) * 0x100000001b3;
    }
    if (s->options.is_told) {
        (void)printf("%s\n", line);
    }
}

static _Noreturn void end_with_story(struct sim *s)
{
    uint64_t from = s->n_lines > 40 ? s->n_lines - 40 : 0;

    for (uint64_t i = from; i < s->n_lines && !s->options.is_told; i++) {
        (void)printf("  %s\n", s->story[i % SIM_STORY_LINES]);
    }
    (void)printf("again: weir_sim --seed %llu --steps %llu --story\n",
            (unsigned long long)s->options.seed, (unsigned long long)s->options.n_steps);
    (void)fflush(stdout);
    _Exit(1); /* what is held is part of the failure, and no leak */
}

void sim_violation(struct sim *s, const char *invariant, const char *format, ...)
{
    va_list ap;

    (void)printf("seed %llu, event %llu, at %.3f s: %s: ", (unsigned long long)s->options.seed,
            (unsigned long long)s->counts.events, (double)s->now / 1e6, invariant);
    va_start(ap, format);
    (void)vprintf(format, ap);
    va_end(ap);
    (void)printf("\n");
    end_with_story(s);
}

/* In place of the one of common/base: an assertion of a core is a finding like others. */
void must_fail(const char *file, int line, const char *func, const char *what)
{
    if (running != NULL) {
        sim_violation(running, "must", "%s:%d %s: %s", file, line, func, what);
    }
    (void)fprintf(stderr, "%s:%d %s: %s\n", file, line, func, what);
    abort();
}

/* --- The heap -------------------------------------------------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void put(struct sim *s, const struct sim_event *ev)
{
    size_t i = s->heap.n;

    (void)array_push(&s->heap);
    while (i > 0 && is_before(ev, &s->heap.items[(i - 1) / 2])) {
        s->heap.items[i] = s->heap.items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap.items[i] = *ev;
}

void sim_push_event(struct sim *s, const struct sim_event *ev)
{
    struct sim_event e = *ev;

    e.seq = ++s->n_seq;
    put(s, &e);
}

void sim_at(struct sim *s, wtime after, int node, uint64_t life, sim_event_fn *run, uint64_t arg)
{
    sim_push_event(
            s, &(struct sim_event){
                       .at = s->now + after, .node = node, .life = life, .run = run, .arg = arg});
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event first = s->heap.items[0], last = s->heap.items[--s->heap.n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < s->heap.n && is_before(&s->heap.items[child + 1], &s->heap.items[child])) {
            child++;
        }
        if (child >= s->heap.n || !is_before(&s->heap.items[child], &last)) {
            break;
        }
        s->heap.items[i] = s->heap.items[child];
        i = child;
    }
    s->heap.items[i] = last;
    return first;
}

uint64_t sim_life(const struct sim *s, int node)
{
    if (node < SIM_NODE_CTL) {
        return s->brokers[node].is_up ? s->brokers[node].life : 0;
    }
    if (node < SIM_NODE_CLIENT) {
        const struct sim_ctl *c = &s->ctls[node - SIM_NODE_CTL];
        return c->is_up ? c->life : 0;
    }
    return UINT64_MAX;
}

static void deliver(struct sim *s, struct sim_msg *m)
{
    uint64_t life = sim_life(s, m->to);

    if (life == 0 || (m->to_life != 0 && m->to_life != life)) {
        return; /* nobody is there, or no longer who it is for */
    }
    if (m->to == SIM_NODE_ZK) {
        sim_zk_deliver(s, m);
    } else if (m->to >= SIM_NODE_CLIENT) {
        sim_client_deliver(s, m);
    } else if (m->to >= SIM_NODE_CTL) {
        sim_ctl_deliver(s, m);
    } else {
        sim_broker_event_begin(&s->brokers[m->to]);
        sim_broker_deliver(s, m);
        sim_broker_event_end(&s->brokers[m->to]);
    }
}

static void step(struct sim *s)
{
    struct sim_event ev = pop(s);

    s->now = wtime_max(s->now, ev.at);
    if (ev.node >= 0 && s->frozen_until[ev.node] > s->now) {
        ev.at = s->frozen_until[ev.node];
        put(s, &ev);
        return;
    }
    s->counts.events++;
    if (ev.msg != NULL) {
        deliver(s, ev.msg);
        sim_msg_free(ev.msg);
    } else if (ev.life == 0 || sim_life(s, ev.node) == ev.life) {
        ev.run(s, ev.node, ev.arg);
    }
    sim_check_event(s);
    if (s->counts.events % CHECK_EVERY == 0) {
        sim_check_logs(s);
    }
}

/* --- A run ----------------------------------------------------------------------------------------------------------- */

/* What libraries log is not the story. */
static void drop_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static void init(struct sim *s, const struct sim_options *options)
{
    *s = (struct sim){.options = *options, .now = WTIME_S(1), .digest = 0xcbf29ce484222325};
    s->options.n_steps = options->n_steps > 0 ? options->n_steps : STEPS;
    prng_init(&s->rng, options->seed);
    running = s;
    log_set_level(LOG_ERROR);
    log_set_sink(drop_line, NULL);
    s->image = image_new();
    s->n_brokers = 3 + (int)sim_below(s, 3);
    s->n_ctls = 2 + (int)sim_below(s, 2);
    s->n_parts = 1 + (int)sim_below(s, SIM_PARTS_MAX);
    s->min_isr = sim_one_in(s, 6) ? 1 : 2;
    s->is_fsync = sim_one_in(s, 3);
    s->has_singles = options->seed % 8 == 5;
    s->is_careless = options->seed % 2 == 0;
    s->segment_bytes = sim_one_in(s, 2) ? 4096 : 600;
    sim_admin_init(s);
    sim_fault_init(s);
    for (int k = 0; k < SIM_PARTS_MAX; k++) {
        sim_check_forget(&s->truth[k]);
    }
    for (int i = 0; i < SIM_BROKERS_MAX; i++) {
        s->zk.brokers[i].epoch = BROKER_EPOCH_NONE;
    }
    sim_tell(s, "sim",
            "seed %llu: %d brokers, %d controllers, %d partitions, min.insync.replicas %d%s",
            (unsigned long long)options->seed, s->n_brokers, s->n_ctls, s->n_parts, s->min_isr,
            s->is_fsync ? ", acknowledged when synced" : "");
}

static void start_all(struct sim *s)
{
    for (int i = 0; i < s->n_brokers; i++) {
        s->brokers[i].id = i;
        s->brokers[i].disk = mem_disk_new(prng_u64(&s->rng));
        sim_broker_start(s, &s->brokers[i]);
    }
    for (int i = 0; i < s->n_ctls; i++) {
        s->ctls[i].id = i;
        s->ctls[i].node = SIM_NODE_CTL + i;
        sim_ctl_start(s, &s->ctls[i]);
    }
    for (int i = 0; i < SIM_CLIENTS; i++) {
        s->clients[i].node = SIM_NODE_CLIENT + i;
        sim_client_start(s, &s->clients[i]);
    }
    sim_at(s, WTIME_MS(100), SIM_NODE_ZK, 0, sim_zk_tick, 0);
    sim_at(s, WTIME_MS(500), -1, 0, sim_fault_tick, 0);
}

static bool has_grown(const struct sim *s, const size_t *from)
{
    for (int k = 0; k < s->n_parts; k++) {
        if (s->truth[k].is_there && s->truth[k].record.leader != BROKER_NONE &&
                s->truth[k].committed.n <= from[k]) {
            return false;
        }
    }
    return true;
}

static void run_until_well(struct sim *s, const size_t *from, const char *what)
{
    wtime until = s->now + HEALED_WITHIN;

    do {
        if (s->now > until) {
            for (int k = 0; k < s->n_parts; k++) {
                const struct partition_state *p = &s->truth[k].record;
                sim_tell(s, "sim", "%s-%d: leader %d, %d in ISR, %d in ELR, committed %zu",
                        SIM_TOPIC, k, p->leader, p->isr.n, p->elr.n, s->truth[k].committed.n);
            }
            sim_violation(s, "S20", "60 s after the last fault: %s", what);
        }
        for (int i = 0; i < 32; i++) {
            step(s);
        }
    } while (!sim_check_is_well(s) || !has_grown(s, from));
}

void sim_run(struct sim *s, const struct sim_options *options)
{
    static const size_t from_none[SIM_PARTS_MAX];
    size_t from[SIM_PARTS_MAX];

    sim_cover_begin();
    init(s, options);
    start_all(s);
    while (s->counts.events < s->options.n_steps) {
        step(s);
    }
    sim_fault_heal(s);
    run_until_well(s, from_none, "not every partition is led with all its replicas in sync");
    for (int k = 0; k < s->n_parts; k++) {
        from[k] = s->truth[k].committed.n;
    }
    run_until_well(s, from, "not every partition accepts what is sent with acks=all");
    sim_check_logs(s);
    sim_check_end(s);
    sim_cover_end();
    sim_tell(s, "sim", "%llu events, %llu records committed, %llu batches acknowledged",
            (unsigned long long)s->counts.events, (unsigned long long)s->counts.commits,
            (unsigned long long)s->counts.acked);
}

void sim_deinit(struct sim *s)
{
    for (int i = 0; i < s->n_brokers; i++) {
        struct sim_broker *b = &s->brokers[i];

        if (b->is_up) {
            sim_broker_crash(s, b, false);
        }
        array_deinit(&b->outbox);
        b->disk = mem_disk_free(b->disk);
    }
    for (int i = 0; i < s->n_ctls; i++) {
        sim_ctl_crash(s, &s->ctls[i]);
    }
    for (int i = 0; i < SIM_CLIENTS; i++) {
        sim_client_deinit(&s->clients[i]);
    }
    for (size_t i = 0; i < s->heap.n; i++) {
        sim_msg_free(s->heap.items[i].msg);
    }
    array_deinit(&s->heap);
    for (int k = 0; k < SIM_PARTS_MAX; k++) {
        sim_check_forget(&s->truth[k]);
    }
    sim_check_forget_trash(s);
    sim_zk_deinit(s);
    s->image = image_free(s->image);
    running = NULL;
}
