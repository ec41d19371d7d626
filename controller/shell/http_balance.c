/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "controller/shell/http_resources.h"

/* What the controller makes of the balance by itself. */

static const char *mode_word(enum ctl_balance_mode mode)
{
    switch (mode) {
    case CTL_BALANCE_OFF: return "off";
    case CTL_BALANCE_PLAN: return "plan";
    case CTL_BALANCE_APPLY: return "apply";
    }
    must_not_reach("a mode that is none");
}

static json_t *known(int64_t n)
{
    return n >= 0 ? json_integer(n) : json_null();
}

static json_t *broker_json(const struct ctl_balance_broker *b)
{
    return json_pack("{s:i, s:I, s:I, s:o}", "id", (int)b->id, "replicas", (json_int_t)b->replicas,
            "leaders", (json_int_t)b->leaders, "bytes", known(b->bytes));
}

/* [CTL-84] As a write, because only the active controller can tell; it answers at once. */
void http_get_balance(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct ctl_balance *b = v->balance;
    json_t *brokers = json_array();

    (void)c;
    (void)arg;
    (void)w;
    must(b != NULL);
    for (size_t i = 0; i < b->n_brokers; i++) {
        must(json_array_append_new(brokers, broker_json(&b->brokers[i])) == 0);
    }
    http_answer_json(a, 200,
            json_pack("{s:s, s:o, s:b, s:o, s:I, s:o, s:o}", "mode", mode_word(b->mode),
                    "evaluated_at", b->evaluated_at > 0 ? http_json_time(b->evaluated_at) : json_null(),
                    "is_balanced", b->is_balanced ? 1 : 0, "why", http_json_text(b->why), "moves",
                    (json_int_t)b->n_moves, "bytes_to_move", known(b->bytes_to_move), "brokers",
                    brokers));
}
