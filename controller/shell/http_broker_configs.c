/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

/* GET /v1/brokers/{id}/configs. [CFG-9] What its file says only the broker knows, so it is
 * asked. */

struct question {
    struct http_later *later; /* NULL = nobody waits any more */
    struct controller *controller;
    broker_id id;
};

static void answer(struct question *q,
        const struct http_view *v,
        const struct msg_describe_configs_response *m,
        const char *problem)
{
    struct http_answer a = {0};

    http_answer_configs(&a, v, http_broker_config_items(v->image, q->id, m, NULL), problem);
    http_answer_metadata(&a, v);
    http_later_answer(q->later, &a);
    mem_free(q);
}

static void on_configs(void *ctx, const struct msg_describe_configs_response *m)
{
    struct question *q = ctx;
    char *problem = m == NULL ? mem_format("broker %d did not tell its configuration", (int)q->id)
                              : mem_strdup("");

    if (q->later != NULL) {
        struct http_view v = {.image = controller_image(q->controller),
                .is_active = controller_is_active(q->controller)};
        answer(q, &v, m, problem);
    } else {
        mem_free(q);
    }
    mem_free(problem);
}

static void on_cancel(void *ctx)
{
    struct question *q = ctx;

    q->later = NULL;
}

void http_get_broker_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct http_answer a = {0};
    const struct image_broker *b = http_known_broker(v, c, arg, &a);

    if (b == NULL) {
        http_answer_metadata(&a, v);
        http_later_answer(later, &a);
        return;
    }
    struct question *q = mem_new(struct question);
    q->later = later;
    q->controller = http_later_controller(later);
    q->id = b->id;
    if (controller_describe_configs(q->controller, q->id, on_configs, q)) {
        http_later_on_cancel(later, on_cancel, q);
        return;
    }
    const struct http_link *link = http_view_link(v, q->id);
    char *problem = mem_format("broker %d is not connected, so its file is not known here%s%s",
            (int)q->id, link != NULL && link->trouble[0] != '\0' ? ": " : "",
            link != NULL ? link->trouble : "");
    answer(q, v, NULL, problem);
    mem_free(problem);
}
