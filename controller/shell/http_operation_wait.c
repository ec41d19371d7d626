/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/loop.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

/* GET /v1/operations/{id}?wait_ms=: answered when the operation has ended, or the wait. An operation's end is a record
 * of the metadata, which a standby sees as well; it is looked at every so often, because few wait. */

#define LOOK_AGAIN WTIME_MS(100)

struct waiting {
    struct http_later *later;
    struct timer timer;
    char *arg;
    wtime until;
};

static void end(struct waiting *x)
{
    timer_deinit(&x->timer);
    mem_free(x->arg);
    mem_free(x);
}

static void on_cancel(void *ctx)
{
    end(ctx);
}

static bool has_ended(const struct image *image, const char *arg)
{
    int64_t id = -1;
    const struct image_operation *o =
            http_parse_i64(arg, 1, INT64_MAX, &id) ? image_operation(image, (uint64_t)id) : NULL;

    return o == NULL || o->is.state != OPERATION_RUNNING;
}

static void answer(struct http_later *later, const struct http_view *v, const char *arg)
{
    struct http_answer a = {0};

    http_answer_operation(v, http_later_call(later), arg, &a);
    http_answer_metadata(&a, v);
    http_later_answer(later, &a);
}

static void on_time(void *ctx)
{
    struct waiting *x = ctx;
    struct loop *loop = http_later_loop(x->later);
    const struct image *image = controller_image(http_later_controller(x->later));

    if (!has_ended(image, x->arg) && loop_now(loop) < x->until) {
        timer_set(&x->timer, wtime_add(loop_now(loop), LOOK_AGAIN));
        return;
    }
    struct http_view v = http_later_view(x->later);

    answer(x->later, &v, x->arg);
    end(x);
}

void http_get_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct http_answer a = {0};
    int64_t wait_ms = 0;

    if (!http_operation_wait(c, &a, &wait_ms)) {
        http_answer_metadata(&a, v);
        http_later_answer(later, &a);
        return;
    }
    if (wait_ms == 0 || has_ended(v->image, arg)) {
        answer(later, v, arg);
        return;
    }
    struct waiting *x = mem_new(struct waiting);
    struct loop *loop = http_later_loop(later);

    x->later = later;
    x->arg = mem_strdup(arg);
    x->until = wtime_add(loop_now(loop), WTIME_MS(wait_ms));
    timer_init(&x->timer, loop, on_time, x);
    timer_set(&x->timer, wtime_add(loop_now(loop), LOOK_AGAIN));
    http_later_on_cancel(later, on_cancel, x);
}
