/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "controller/shell/controller_internal.h"

/* How large logs are: brokers are asked while partitions move, so that the progress can be told, and of everything
 * that they lead when something is planned. */

#define SIZES_LOOK  WTIME_MS(500) /* at the image: does anything move? */
#define SIZES_EVERY WTIME_S(2)    /* of what moves */

enum {
    SIZES_ASKED_MAX = 4000 /* partitions of one question: its answer stays far below 1 MiB */
};

/* --- Of what moves ---------------------------------------------------------------------------- */

struct size_ask {
    struct controller *c;
    broker_id id;
    uint64_t term; /* an answer of an older one is nobody's */
};

static void round_end(struct controller *c)
{
    if (--c->n_size_asks == 0) {
        move_sizes_round(c->sizes, loop_now(c->loop));
    }
}

static void on_sizes(void *ctx, const struct msg_describe_ends_response *m)
{
    struct size_ask *ask = ctx;
    struct controller *c = ask->c;

    if (ask->term == c->log_epoch) {
        if (m != NULL) {
            move_sizes_told(c->sizes, ask->id, m);
        }
        round_end(c);
    }
    mem_free(ask);
}

static void ask_broker(struct controller *c, const struct image_broker *b)
{
    size_t n = 0;
    struct msg_partition_ref *refs = move_sizes_ask(c->sizes, b->id, &n);

    for (size_t from = 0; from < n; from += SIZES_ASKED_MAX) {
        const struct msg_describe_ends_request m = {.partitions = refs + from,
                .n_partitions = n - from < SIZES_ASKED_MAX ? n - from : SIZES_ASKED_MAX};
        struct size_ask *ask = mem_new(struct size_ask);

        *ask = (struct size_ask){.c = c, .id = b->id, .term = c->log_epoch};
        if (broker_links_describe_ends(c->links, b->id, b->epoch, &m, on_sizes, ask)) {
            c->n_size_asks++;
        } else {
            mem_free(ask);
        }
    }
    mem_free(refs);
}

static void ask_all(struct controller *c)
{
    const struct image *image = meta_log_image(c->log);

    c->sizes_asked_at = loop_now(c->loop);
    c->n_size_asks = 1; /* this function */
    for (size_t i = 0; i < image_n_brokers(image); i++) {
        ask_broker(c, image_broker_at(image, i));
    }
    round_end(c);
}

static void on_look(void *ctx)
{
    struct controller *c = ctx;
    const struct image *image = meta_log_image(c->log);
    wtime now = loop_now(c->loop);
    bool is_new = false;

    timer_set(&c->sizes_look, wtime_add(now, SIZES_LOOK));
    if (image_position(image).index != c->sizes_index) {
        c->sizes_index = image_position(image).index;
        is_new = move_sizes_refresh(c->sizes, image);
    }
    if (move_sizes_n(c->sizes) == 0 || c->n_size_asks > 0) {
        return;
    }
    if (is_new || wtime_due(wtime_add(c->sizes_asked_at, SIZES_EVERY), now)) {
        ask_all(c);
    }
}

/* --- Of everything ---------------------------------------------------------------------------- */

struct size_survey {
    struct controller *c;
    size_t n_open; /* questions without answer */
    ARRAY(struct ctl_size) sizes;
    controller_survey_fn *fn;
    void *ctx;
};

static void survey_end(struct size_survey *s)
{
    struct ctl_event ev = {.kind = CTL_EV_SIZES};

    if (--s->n_open > 0) {
        return;
    }
    ev.sizes.items = s->sizes.items;
    ev.sizes.n = s->sizes.n;
    controller_push_event(s->c, &ev);
    if (s->fn != NULL) {
        s->fn(s->ctx);
    }
    array_deinit(&s->sizes);
    mem_free(s);
}

static void on_surveyed(void *ctx, const struct msg_describe_ends_response *m)
{
    struct size_survey *s = ctx;

    for (size_t i = 0; m != NULL && i < m->n_partitions; i++) {
        const struct msg_log_end *end = &m->partitions[i];
        if (end->error == ERRCODE_NONE && end->bytes <= INT64_MAX) {
            *array_push(&s->sizes) = (struct ctl_size){
                    .ref = {.topic_id = end->topic_id, .partition = end->partition},
                    .bytes = (int64_t)end->bytes};
        }
    }
    survey_end(s);
}

static void survey_some(
        struct size_survey *s, const struct image_broker *b, struct msg_partition_ref *refs, size_t n)
{
    const struct msg_describe_ends_request m = {.partitions = refs, .n_partitions = n};

    s->n_open++;
    if (n == 0 || !broker_links_describe_ends(s->c->links, b->id, b->epoch, &m, on_surveyed, s)) {
        s->n_open--;
    }
}

static void survey_broker(struct size_survey *s, const struct image_broker *b)
{
    const struct image *image = meta_log_image(s->c->log);
    struct msg_partition_ref *refs = mem_new_n(struct msg_partition_ref, SIZES_ASKED_MAX);
    size_t n = 0;

    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            if (t->partitions[k].leader == b->id) {
                refs[n++] = (struct msg_partition_ref){.topic_id = t->id, .partition = k};
            }
            if (n == SIZES_ASKED_MAX) {
                survey_some(s, b, refs, n);
                n = 0;
            }
        }
    }
    survey_some(s, b, refs, n);
    mem_free(refs);
}

void controller_survey_sizes(struct controller *c, controller_survey_fn *fn, void *ctx)
{
    const struct image *image = meta_log_image(c->log);
    struct size_survey *s = mem_new(struct size_survey);

    *s = (struct size_survey){.c = c, .n_open = 1, .fn = fn, .ctx = ctx};
    for (size_t i = 0; i < image_n_brokers(image); i++) {
        survey_broker(s, image_broker_at(image, i));
    }
    survey_end(s);
}

/* --- Life ------------------------------------------------------------------------------------- */

const struct ctl_balance *controller_balance(const struct controller *c)
{
    return ctl_balance(c->core);
}

const struct move_sizes *controller_move_sizes(const struct controller *c)
{
    return c->sizes;
}

void controller_sizes_begin_term(struct controller *c)
{
    c->sizes_index = 0;
    c->n_size_asks = 0;
    timer_set(&c->sizes_look, wtime_add(loop_now(c->loop), SIZES_LOOK));
}

void controller_sizes_end_term(struct controller *c)
{
    timer_cancel(&c->sizes_look);
    move_sizes_clear(c->sizes);
}

void controller_sizes_init(struct controller *c)
{
    c->sizes = move_sizes_new();
    timer_init(&c->sizes_look, c->loop, on_look, c);
}

void controller_sizes_deinit(struct controller *c)
{
    timer_deinit(&c->sizes_look);
    c->sizes = move_sizes_free(c->sizes);
}
