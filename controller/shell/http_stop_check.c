/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

/* What the cluster would lack while a broker is stopped. */

enum {
    RISK_SHOWN = 100 /* partitions of one risk that are named */
};

struct risk {
    const char *kind;
    json_t *partitions;
    json_int_t count;
};

static void add(struct risk *r, const struct image_topic *t, const struct partition_state *p)
{
    if (r->count++ < RISK_SHOWN) {
        must(json_array_append_new(r->partitions, json_pack("{s:o, s:i}", "topic",
                                                         http_json_text(t->name), "partition",
                                                         (int)p->partition)) == 0);
    }
}

/* Another member of the ISR that could lead. */
static bool has_other(const struct image *image, const struct partition_state *p, broker_id id)
{
    for (int i = 0; i < p->isr.n; i++) {
        if (p->isr.at[i] != id && image_broker_is_active(image, p->isr.at[i])) {
            return true;
        }
    }
    return false;
}

static void judge(const struct image *image,
        const struct image_topic *t,
        const struct partition_state *p,
        broker_id id,
        struct risk *offline,
        struct risk *below)
{
    if (!broker_set_has(&p->isr, id)) {
        return;
    }
    if (p->leader == BROKER_NONE || !has_other(image, p, id)) {
        add(offline, t, p);
    } else if (p->isr.n - 1 < p->min_isr) {
        add(below, t, p);
    }
}

static void put_risk(json_t *risks, struct risk *r, const char *text)
{
    if (r->count > 0) {
        must(json_array_append_new(risks,
                     json_pack("{s:s, s:s, s:I, s:O}", "kind", r->kind, "text", text, "count",
                             r->count, "partitions", r->partitions)) == 0);
    }
    json_decref(r->partitions);
}

void http_get_stop_check(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_broker *b = http_known_broker(v, c, arg, a);
    struct risk offline = {.kind = "offline"}, below = {.kind = "under_min_isr"};

    if (b == NULL) {
        return;
    }
    offline.partitions = json_array();
    below.partitions = json_array();
    for (size_t i = 0; i < image_n_topics(v->image); i++) {
        const struct image_topic *t = image_topic_at(v->image, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            judge(v->image, t, &t->partitions[k], b->id, &offline, &below);
        }
    }
    bool is_safe = offline.count + below.count == 0;
    json_t *risks = json_array();

    put_risk(risks, &offline, "nobody else can lead them: they cannot be written or read");
    put_risk(risks, &below,
            "fewer than min.insync.replicas stay in sync: writes with acks=all are refused");
    http_answer_json(a, 200,
            json_pack("{s:i, s:b, s:o}", "broker", (int)b->id, "safe", is_safe ? 1 : 0, "risks",
                    risks));
}
