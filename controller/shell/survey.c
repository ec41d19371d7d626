/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/survey.h"

#include "common/base/mem.h"
#include "common/net/http_client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define SURVEY_MAX WTIME_S(2)

enum {
    SURVEY_BODY_MAX = 64 << 10
};

struct asked {
    struct survey *set;
    struct http_get *get;
    size_t i;
};

struct survey {
    struct timer done; /* a turn of its own for `fn` */
    struct asked *asked;
    struct survey_answer *answers;
    size_t n, n_answered;
    void (*fn)(void *ctx, const struct survey_answer *answers, size_t n);
    void *ctx;
};

static void not_ready(struct survey_answer *a, const char *why)
{
    a->standby.is_ready = false;
    (void)snprintf(a->detail, sizeof(a->detail), "%s", why);
}

static void read_object(const json_t *json, struct survey_answer *ret)
{
    const json_t *ready = json_object_get(json, "ready");
    const json_t *reached = json_object_get(json, "reached");
    const char *detail = json_string_value(json_object_get(json, "detail"));

    if (!json_is_boolean(ready) || !json_is_array(reached)) {
        not_ready(ret, "its answer to /v1/brokers:reach is not what was expected");
    } else if (!json_is_true(ready)) {
        not_ready(ret, detail != NULL ? detail : "it says that it is not ready");
    } else {
        ret->standby.is_ready = true;
        ret->standby.n_reached = json_array_size(reached);
    }
}

void survey_read(struct bytes body, struct survey_answer *ret)
{
    json_error_t error;
    json_t *json = body.size > 0 ? json_loadb((const char *)body.at, body.size, 0, &error) : NULL;

    *ret = (struct survey_answer){0};
    read_object(json, ret);
    json_decref(json);
}

static void on_done(void *ctx)
{
    struct survey *s = ctx;
    struct survey_answer *answers = s->answers;
    size_t n = s->n;
    void (*fn)(void *ctx, const struct survey_answer *answers, size_t n) = s->fn;
    void *owner = s->ctx;

    s->answers = NULL;
    (void)survey_cancel(s);
    fn(owner, answers, n);
    mem_free(answers);
}

static void on_got(void *ctx, const struct http_got *got)
{
    struct asked *q = ctx;
    struct survey *s = q->set;
    struct survey_answer *a = &s->answers[q->i];
    int32_t id = a->standby.id;
    char text[200];

    q->get = NULL;
    if (got->status == 200) {
        survey_read(got->body, a);
        a->standby.id = id;
    } else {
        if (got->status != 0) {
            (void)snprintf(text, sizeof(text), "its HTTP endpoint answers %d", got->status);
        } else {
            (void)snprintf(
                    text, sizeof(text), "its HTTP endpoint gives no answer: %.120s", got->error);
        }
        not_ready(a, text);
    }
    if (++s->n_answered == s->n) {
        timer_set(&s->done, 0);
    }
}

struct survey *survey_start(struct loop *loop,
        struct resolver *resolver,
        const struct survey_target *targets,
        size_t n,
        void (*fn)(void *ctx, const struct survey_answer *answers, size_t n),
        void *ctx)
{
    struct survey *s = mem_new(struct survey);

    s->n = n;
    s->fn = fn;
    s->ctx = ctx;
    s->asked = mem_new_n(struct asked, n + 1);
    s->answers = mem_new_n(struct survey_answer, n + 1);
    timer_init(&s->done, loop, on_done, s);
    for (size_t i = 0; i < n; i++) {
        s->answers[i].standby.id = targets[i].id;
        s->asked[i] = (struct asked){.set = s, .i = i};
        s->asked[i].get = http_get_start(loop, resolver, targets[i].url, "/v1/brokers:reach",
                SURVEY_MAX, SURVEY_BODY_MAX, on_got, &s->asked[i]);
    }
    if (n == 0) {
        timer_set(&s->done, 0);
    }
    return s;
}

struct survey *survey_cancel(struct survey *s)
{
    if (s == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s->n; i++) {
        http_get_cancel(s->asked[i].get);
    }
    timer_deinit(&s->done);
    mem_free(s->asked);
    mem_free(s->answers);
    return mem_free(s);
}
