/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/reach.h"

#include "common/base/mem.h"
#include "common/net/dial.h"

struct target {
    struct reach *set;
    broker_id id;
    struct lookup *lookup;
    struct dial *dial;
    bool is_reached, is_done;
};

struct reach {
    struct loop *loop;
    struct timer limit;
    wtime deadline;
    struct target *targets;
    size_t n, n_done;
    void (*fn)(void *ctx, const struct reach_result *result);
    void *ctx;
};

static void on_limit(void *ctx)
{
    struct reach *r = ctx;
    void (*fn)(void *ctx, const struct reach_result *result) = r->fn;
    void *owner = r->ctx;
    struct reach_result result = {0};

    for (size_t i = 0; i < r->n; i++) {
        if (r->targets[i].is_reached) {
            *array_push(&result.reached) = r->targets[i].id;
        } else {
            *array_push(&result.missed) = r->targets[i].id;
        }
    }
    (void)reach_cancel(r);
    fn(owner, &result);
    array_deinit(&result.reached);
    array_deinit(&result.missed);
}

static void done(struct target *t, bool is_reached)
{
    t->is_reached = is_reached;
    t->is_done = true;
    if (++t->set->n_done == t->set->n) {
        timer_set(&t->set->limit, 0); /* in a turn of its own */
    }
}

static void on_connected(void *ctx)
{
    struct target *t = ctx;

    t->dial = dial_free(t->dial);
    done(t, true);
}

static void on_end(void *ctx, enum dial_end end)
{
    struct target *t = ctx;

    (void)end;
    t->dial = dial_free(t->dial);
    done(t, false);
}

static void on_found(void *ctx, const struct resolved *found)
{
    static const struct dial_callbacks callbacks = {
            .on_connected = on_connected, .on_end = on_end};
    struct target *t = ctx;

    t->lookup = NULL;
    if (found->n == 0) {
        done(t, false);
        return;
    }
    t->dial = dial_new(t->set->loop, &found->addr[0], found->addr_len[0],
            t->set->deadline - clock_now(), &callbacks, t);
}

struct reach *reach_start(struct loop *loop,
        struct resolver *resolver,
        const struct image *image,
        const char *listener,
        wtime timeout,
        void (*fn)(void *ctx, const struct reach_result *result),
        void *ctx)
{
    struct reach *r = mem_new(struct reach);

    r->loop = loop;
    r->fn = fn;
    r->ctx = ctx;
    r->n = image_n_brokers(image);
    r->targets = mem_new_n(struct target, r->n + 1);
    r->deadline = wtime_add(clock_now(), timeout);
    timer_init(&r->limit, loop, on_limit, r);
    timer_set(&r->limit, r->n > 0 ? r->deadline : 0);
    for (size_t i = 0; i < r->n; i++) {
        const struct image_broker *b = image_broker_at(image, i);
        const struct endpoint *e = image_broker_endpoint(b, listener);
        struct target *t = &r->targets[i];
        *t = (struct target){.set = r, .id = b->id};
        if (e != NULL) {
            t->lookup = resolver_start(resolver, loop, e->host, e->port, on_found, t);
        } else {
            done(t, false);
        }
    }
    return r;
}

struct reach *reach_cancel(struct reach *r)
{
    if (r == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->targets[i].lookup != NULL) {
            lookup_cancel(r->targets[i].lookup);
        }
        dial_free(r->targets[i].dial);
    }
    timer_deinit(&r->limit);
    mem_free(r->targets);
    return mem_free(r);
}
