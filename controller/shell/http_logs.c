/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

/* What log directories hold, of topics and of the trash: only their brokers know, so they are asked, each time. Who does
 * not tell leaves nulls. */

struct question {
    struct http_later *later; /* NULL = nobody waits any more */
    struct controller *controller;
    char *arg;     /* NULL = the whole trash */
    size_t n_open; /* who has not answered */
    struct http_told_list told;
    struct ask {
        struct question *q;
        size_t i; /* in `told` */
    } *asks;
};

static void question_free(struct question *q)
{
    for (size_t i = 0; i < q->told.n; i++) {
        array_deinit(&q->told.items[i].trash);
    }
    mem_free(q->told.items);
    mem_free(q->asks);
    mem_free(q->arg);
    mem_free(q);
}

static struct http_view view_of(struct controller *c)
{
    return (struct http_view){
            .image = controller_image(c), .is_active = controller_is_active(c)};
}

static void on_cancel(void *ctx)
{
    struct question *q = ctx;

    q->later = NULL;
}

static struct question *question_new(struct http_later *later, const char *arg)
{
    struct question *q = mem_new(struct question);

    q->later = later;
    q->controller = http_later_controller(later);
    q->arg = arg != NULL ? mem_strdup(arg) : NULL;
    http_later_on_cancel(later, on_cancel, q);
    return q;
}

/* --- One broker ------------------------------------------------------------------------------- */

static void on_broker_told(void *ctx, const struct msg_describe_logs_response *m)
{
    struct question *q = ctx;
    struct http_answer a = {0};

    if (q->later != NULL) {
        struct http_view v = http_later_view(q->later);
        http_answer_broker(&v, http_later_call(q->later), q->arg, m, &a);
        http_answer_metadata(&a, &v);
        http_later_answer(q->later, &a);
    }
    question_free(q);
}

void http_get_broker_logs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct http_answer a = {0};
    int64_t id = -1;
    bool is_live = http_parse_i64(arg, 0, INT32_MAX, &id) &&
                   http_view_live_link(v, (broker_id)id) != NULL;
    struct question *q = is_live ? question_new(later, arg) : NULL;

    if (is_live && controller_describe_logs(
                           q->controller, (broker_id)id, true, on_broker_told, q)) {
        return;
    }
    if (q != NULL) {
        http_later_on_cancel(later, NULL, NULL);
        question_free(q);
    }
    http_answer_broker(v, c, arg, NULL, &a);
    http_answer_metadata(&a, v);
    http_later_answer(later, &a);
}

/* --- The trash -------------------------------------------------------------------------------- */

static void finish(struct question *q)
{
    struct http_answer a = {0};

    if (q->later != NULL) {
        struct http_view v = view_of(q->controller);
        const struct http_call *c = http_later_call(q->later);
        if (q->arg == NULL) {
            http_answer_trash(&v, c, &q->told, &a);
        } else {
            http_answer_trashed(&v, c, q->arg, &q->told, &a);
        }
        http_answer_metadata(&a, &v);
        http_later_answer(q->later, &a);
    }
    question_free(q);
}

static void on_trash_told(void *ctx, const struct msg_describe_logs_response *m)
{
    struct ask *ask = ctx;
    struct question *q = ask->q;
    struct http_told *told = &q->told.items[ask->i];

    told->is_told = m != NULL;
    for (size_t d = 0; m != NULL && d < m->n_dirs; d++) {
        for (size_t i = 0; i < m->dirs[d].n_trash; i++) {
            *array_push(&told->trash) = m->dirs[d].trash[i];
        }
    }
    if (--q->n_open == 0) {
        finish(q);
    }
}

static void ask_all(const struct http_view *v, struct question *q)
{
    size_t n = image_n_brokers(v->image);

    q->told.items = mem_new_n(struct http_told, n);
    q->asks = mem_new_n(struct ask, n);
    q->n_open = 1; /* this function */
    for (size_t i = 0; i < n; i++) {
        broker_id id = image_broker_at(v->image, i)->id;
        q->asks[i] = (struct ask){.q = q, .i = i};
        q->told.items[q->told.n++].broker = id;
        if (controller_describe_logs(q->controller, id, false, on_trash_told, &q->asks[i])) {
            q->n_open++;
        }
    }
    if (--q->n_open == 0) {
        finish(q);
    }
}

void http_get_trash(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    (void)c;
    (void)arg;
    ask_all(v, question_new(later, NULL));
}

void http_get_trashed(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct http_answer a = {0};

    if (http_known_trash(v, c, arg, &a) == NULL) {
        http_answer_metadata(&a, v);
        http_later_answer(later, &a);
        return;
    }
    ask_all(v, question_new(later, arg));
}
