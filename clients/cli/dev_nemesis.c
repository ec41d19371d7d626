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
    READY_MS = 60000,
    LOOK_MS = 50
};

/* --- In the process --------------------------------------------------------------------------- */

struct work {
    const struct dev_cluster *d;
    struct prng prng;
    int control, events;
    int64_t every_ms;
    int *victims; /* indexes of nodes */
    size_t n_victims;
};

static void tell(const struct work *w, enum nemesis_what what, int node)
{
    struct nemesis_event e = {.what = what, .node = node};

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

/* Between half and one and a half of `ms`. */
static int64_t about(struct work *w, int64_t ms)
{
    return ms / 2 + (int64_t)prng_below(&w->prng, (uint64_t)ms + 1);
}

static void torment(struct work *w)
{
    while (w->n_victims > 0 && rest(w, about(w, w->every_ms))) {
        int i = w->victims[prng_below(&w->prng, w->n_victims)];
        const struct dev_node *node = &w->d->nodes[i];
        int64_t down = DOWN_MS_MIN + (int64_t)prng_below(&w->prng, (uint64_t)w->every_ms);
        if (!dev_signal(node, SIGKILL)) {
            continue; /* somebody else stopped it: it is started at the end */
        }
        (void)dev_wait_gone(node, GONE_MS);
        tell(w, NEMESIS_KILLED, i);
        (void)rest(w, down);
        bring_back(w, i);
    }
}

_Noreturn static void work(struct work *w)
{
    (void)signal(SIGINT, SIG_IGN); /* for the other one; it closes its end in time */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    torment(w);
    while (w->n_victims > 0 && rest(w, INT32_MAX)) {
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
    struct work w = {.d = d, .every_ms = plan->every_ms};
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
