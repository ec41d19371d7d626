/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/dev_nemesis.h"

#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DOWN_MS_MIN = 100,
    GONE_MS = 10000,
    STOPPED_MS = 60000,
    READY_MS = 60000,
    LOOK_MS = 50
};

static const char *const fault_names[NEMESIS_N_FAULTS] = {[NEMESIS_KILL] = "kill",
        [NEMESIS_RESTART] = "restart",
        [NEMESIS_FREEZE] = "freeze",
        [NEMESIS_ELECT] = "elect",
        [NEMESIS_MOVE] = "move"};

const char *nemesis_fault_name(enum nemesis_fault fault)
{
    return fault_names[fault];
}

bool nemesis_read_faults(const char *text, bool faults[NEMESIS_N_FAULTS])
{
    for (const char *at = text; *at != '\0';) {
        size_t size = strcspn(at, ",");
        bool is_known = false;
        for (int f = 0; f < NEMESIS_N_FAULTS; f++) {
            if (strlen(fault_names[f]) == size && strncmp(fault_names[f], at, size) == 0) {
                faults[f] = is_known = true;
            }
        }
        if (!is_known) {
            return false;
        }
        at += size + (at[size] == ',' ? 1 : 0);
    }
    return text[0] != '\0';
}

/* --- In the process --------------------------------------------------------------------------- */

struct work {
    const struct dev_cluster *d;
    const struct nemesis_plan *plan;
    struct prng prng;
    int control, events;
    enum nemesis_fault fault; /* the present one */
    int *victims;             /* indexes of nodes */
    size_t n_victims;
};

static void tell(const struct work *w, enum nemesis_what what, int node)
{
    struct nemesis_event e = {.what = what, .fault = w->fault, .node = node};

    if (write(w->events, &e, sizeof(e)) != (ssize_t)sizeof(e)) {
        return; /* nobody listens any more: it heals and ends */
    }
}

/* Until the time is over or the other side has closed its end: then false. */
static bool rest(const struct work *w, int64_t ms)
{
    struct pollfd p = {.fd = w->control, .events = POLLIN};

    return poll(&p, 1, ms < INT32_MAX ? (int)ms : INT32_MAX) == 0;
}

static void wait_ready(const struct work *w, int i)
{
    const struct dev_node *node = &w->d->nodes[i];
    wtime until = clock_now() + WTIME_MS(READY_MS);

    while (!dev_is_ready(node)) {
        if (dev_pid(node) == 0 || clock_now() > until) {
            dev_show_log_tail(node, 5);
            tell(w, NEMESIS_FAILED, i);
            return;
        }
        (void)usleep(LOOK_MS * 1000);
    }
    tell(w, NEMESIS_READY, i);
}

static void bring_back(const struct work *w, int i)
{
    const struct dev_node *node = &w->d->nodes[i];
    wtime until = clock_now() + WTIME_MS(READY_MS);

    /* Its port may be in the hands of a connection that has not ended yet. */
    for (int port = node->port; dev_port_is_taken(port) && clock_now() < until;) {
        (void)usleep(LOOK_MS * 1000);
    }
    if (dev_start(node) >= 0) {
        tell(w, NEMESIS_FAILED, i);
        return;
    }
    tell(w, NEMESIS_STARTED, i);
    wait_ready(w, i);
}

/* Between half and one and a half of `ms`. */
static int64_t about(struct work *w, int64_t ms)
{
    return ms / 2 + (int64_t)prng_below(&w->prng, (uint64_t)ms + 1);
}

/* How long a node is gone: not at all times the same, and short against the time between faults. */
static int64_t absence(struct work *w)
{
    return DOWN_MS_MIN + (int64_t)prng_below(&w->prng, (uint64_t)w->plan->every_ms);
}

static void kill_one(struct work *w, int i)
{
    const struct dev_node *node = &w->d->nodes[i];
    int64_t down = absence(w);

    if (!dev_signal(node, SIGKILL)) {
        return; /* somebody else stopped it: it is started at the end */
    }
    (void)dev_wait_gone(node, GONE_MS);
    tell(w, NEMESIS_STRUCK, i);
    (void)rest(w, down);
    bring_back(w, i);
}

static void restart_one(struct work *w, int i)
{
    const struct dev_node *node = &w->d->nodes[i];

    if (!dev_signal(node, SIGTERM)) {
        return;
    }
    tell(w, NEMESIS_STRUCK, i);
    if (!dev_wait_gone(node, STOPPED_MS)) {
        dev_show_log_tail(node, 5);
        tell(w, NEMESIS_FAILED, i);
        return;
    }
    bring_back(w, i);
}

static void freeze_one(struct work *w, int i)
{
    const struct dev_node *node = &w->d->nodes[i];
    int64_t down = absence(w);

    if (!dev_signal(node, SIGSTOP)) {
        return;
    }
    tell(w, NEMESIS_STRUCK, i);
    (void)rest(w, down);
    (void)dev_signal(node, SIGCONT);
    wait_ready(w, i);
}

/* Asks the controllers; who refuses, because of what happens at the time, is not asked again. */
static void ask(const struct work *w, const char *path, const char *body)
{
    struct http_answer a = {0};

    cli_http(w->plan->cli, "POST", path, body, &a);
    if (a.status / 100 == 2) {
        tell(w, NEMESIS_STRUCK, -1);
    }
    http_answer_deinit(&a);
}

/* To as many brokers as it has, chosen anew. */
static void move_one(struct work *w)
{
    struct buf body = {0};
    int ids[64];
    size_t n = 0;

    for (size_t i = 0; i < w->d->n_nodes && n < COUNT_OF(ids); i++) {
        if (w->d->nodes[i].kind == DEV_BROKER) {
            ids[n++] = w->d->nodes[i].id;
        }
    }
    buf_append_format(&body, "{\"plan\":[{\"topic\":\"%s\",\"partition\":%d,\"replicas\":[",
            w->plan->topic, (int)prng_below(&w->prng, (uint64_t)w->plan->n_partitions));
    for (size_t i = 0; i < w->plan->n_replicas && i < n; i++) {
        size_t at = i + (size_t)prng_below(&w->prng, n - i);
        int id = ids[at];
        ids[at] = ids[i];
        buf_append_format(&body, "%s%d", i > 0 ? "," : "", id);
    }
    buf_append_str(&body, "]}]}");
    ask(w, "/v1/reassignments", buf_str(&body));
    buf_deinit(&body);
}

static bool is_of_node(enum nemesis_fault fault)
{
    return fault == NEMESIS_KILL || fault == NEMESIS_RESTART || fault == NEMESIS_FREEZE;
}

static void strike(struct work *w)
{
    int i = w->n_victims > 0 ? w->victims[prng_below(&w->prng, w->n_victims)] : -1;

    switch (w->fault) {
    case NEMESIS_KILL: kill_one(w, i); return;
    case NEMESIS_RESTART: restart_one(w, i); return;
    case NEMESIS_FREEZE: freeze_one(w, i); return;
    case NEMESIS_ELECT: ask(w, "/v1/partitions:elect", "{\"kind\":\"preferred\"}"); return;
    case NEMESIS_MOVE: move_one(w); return;
    case NEMESIS_N_FAULTS: break;
    }
    must_not_reach("fault");
}

static void torment(struct work *w)
{
    enum nemesis_fault faults[NEMESIS_N_FAULTS];
    size_t n = 0;

    for (int f = 0; f < NEMESIS_N_FAULTS; f++) {
        if (w->plan->faults[f] && (w->n_victims > 0 || !is_of_node((enum nemesis_fault)f))) {
            faults[n++] = (enum nemesis_fault)f;
        }
    }
    while (n > 0 && rest(w, about(w, w->plan->every_ms))) {
        w->fault = faults[prng_below(&w->prng, n)];
        strike(w);
    }
}

_Noreturn static void work(struct work *w)
{
    (void)signal(SIGINT, SIG_IGN); /* for the other one; it closes its end in time */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    torment(w);
    while (rest(w, INT32_MAX)) {
    }
    for (size_t v = 0; v < w->n_victims; v++) {
        if (dev_pid(&w->d->nodes[w->victims[v]]) == 0) {
            bring_back(w, w->victims[v]);
        }
    }
    (void)fflush(stderr);
    _exit(0);
}

/* --- Beside it -------------------------------------------------------------------------------- */

static void choose_victims(struct work *w, const struct nemesis_plan *plan)
{
    w->victims = mem_new_n(int, w->d->n_nodes + 1);
    for (size_t i = 0; i < w->d->n_nodes; i++) {
        if (plan->kinds[w->d->nodes[i].kind]) {
            w->victims[w->n_victims++] = (int)i;
        }
    }
}

int nemesis_start(struct nemesis *n, const struct dev_cluster *d, const struct nemesis_plan *plan)
{
    struct work w = {.d = d, .plan = plan};
    int control[2], events[2];

    *n = (struct nemesis){.control = -1, .events = -1};
    if (pipe2(control, O_CLOEXEC) != 0) {
        return cli_fail(EXIT_FAILED, "", "cannot make a pipe: %s", strerror(errno));
    }
    if (pipe2(events, O_CLOEXEC) != 0) {
        int e = errno;
        (void)close(control[0]);
        (void)close(control[1]);
        return cli_fail(EXIT_FAILED, "", "cannot make a pipe: %s", strerror(e));
    }
    prng_init(&w.prng, plan->seed);
    choose_victims(&w, plan);
    (void)fflush(NULL);
    n->pid = fork();
    if (n->pid == 0) {
        (void)close(control[1]);
        (void)close(events[0]);
        w.control = control[0];
        w.events = events[1];
        work(&w);
    }
    mem_free(w.victims);
    (void)close(control[0]);
    (void)close(events[1]);
    n->control = control[1];
    n->events = events[0];
    (void)fcntl(n->events, F_SETFL, O_NONBLOCK);
    if (n->pid < 0) {
        n->pid = 0;
        return cli_fail(EXIT_FAILED, "", "cannot make a process: %s", strerror(errno));
    }
    return -1;
}

bool nemesis_next(struct nemesis *n, struct nemesis_event *ret)
{
    return n->events >= 0 && read(n->events, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

void nemesis_heal(struct nemesis *n)
{
    if (n->control >= 0) {
        (void)close(n->control);
        n->control = -1;
    }
}

bool nemesis_has_ended(struct nemesis *n)
{
    if (n->pid != 0 && waitpid(n->pid, NULL, WNOHANG) == n->pid) {
        n->pid = 0;
    }
    return n->pid == 0;
}

void nemesis_deinit(struct nemesis *n)
{
    nemesis_heal(n);
    if (n->pid != 0) {
        (void)waitpid(n->pid, NULL, 0);
        n->pid = 0;
    }
    if (n->events >= 0) {
        (void)close(n->events);
        n->events = -1;
    }
}
