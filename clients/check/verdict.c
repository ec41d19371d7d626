/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/verdict.h"

#include "common/base/bytes.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    TEXT_SIZE = 320
};

const char *verdict_why_not(enum judge_property p, const struct judge_verdict *v)
{
    if (v->results[p].is_judged) {
        return NULL;
    }
    switch (p) {
    case JUDGE_C2_UNSEEN: return "the history has no final read";
    case JUDGE_C6_REORDERED: return "the history has no sends";
    case JUDGE_C13_CHANGED: return "no record that was read has a hash";
    case JUDGE_C14_END_BACK: return "the history has no listed ends";
    case JUDGE_C1_LOST:
    case JUDGE_C3_INCONSISTENT:
    case JUDGE_C4_DUPLICATE:
    case JUDGE_C5_FAILED_READ:
    case JUDGE_C11_DISPLACED: return "nothing was read";
    case JUDGE_N_PROPERTIES: break;
    }
    must_not_reach("no such property");
}

/* --- Words ------------------------------------------------------------------------------------ */

struct words {
    char key[TEXT_SIZE], value[96], other[96], line[TEXT_SIZE], other_line[TEXT_SIZE];
};

static void find_words(const struct history *h, const struct judge_witness *w, struct words *t)
{
    (void)history_key_text(h, w->key, t->key, sizeof(t->key));
    (void)history_value_text(h, w->value, t->value, sizeof(t->value));
    (void)history_value_text(h, w->other_value, t->other, sizeof(t->other));
    (void)history_line_text(h, w->line, t->line, sizeof(t->line));
    (void)history_line_text(h, w->other_line, t->other_line, sizeof(t->other_line));
}

/* Where it was acknowledged, as far as that was said. */
static const char *at_offset(int64_t offset, char text[static 48])
{
    text[0] = '\0';
    if (offset >= 0) {
        (void)snprintf(text, 48, " at offset %" PRId64, offset);
    }
    return text;
}

/* The case in a sentence. */
static void say_witness(const struct history *h,
        enum judge_property p,
        const struct judge_witness *w,
        struct buf *out)
{
    struct words t;
    char at[48];

    find_words(h, w, &t);
    buf_append_format(out, "%s: ", t.key);
    switch (p) {
    case JUDGE_C1_LOST:
        buf_append_format(out,
                "%s was acknowledged%s (%s), records behind it were read, it was not", t.value,
                at_offset(w->offset, at), t.line);
        return;
    case JUDGE_C2_UNSEEN:
        buf_append_format(out, "%s was acknowledged%s (%s) and is not in the final read%s%s%s",
                t.value, at_offset(w->offset, at), t.line,
                w->other_line != HISTORY_NONE ? ", though it was read before (" : "",
                w->other_line != HISTORY_NONE ? t.other_line : "",
                w->other_line != HISTORY_NONE ? ")" : "");
        return;
    case JUDGE_C3_INCONSISTENT:
        buf_append_format(out, "offset %" PRId64 " has %s (%s) and %s (%s)", w->offset, t.other,
                t.other_line, t.value, t.line);
        return;
    case JUDGE_C4_DUPLICATE:
        buf_append_format(out, "%s stands at offset %" PRId64 " (%s) and at %" PRId64 " (%s)",
                t.value, w->other_offset, t.other_line, w->offset, t.line);
        return;
    case JUDGE_C5_FAILED_READ:
        buf_append_format(out,
                "%s was read at offset %" PRId64 " (%s), and its send had failed (%s)", t.value,
                w->offset, t.line, t.other_line);
        return;
    case JUDGE_C6_REORDERED:
        buf_append_format(out,
                "%s at offset %" PRId64 " was sent (%s) after %s at offset %" PRId64 " (%s)",
                t.value, w->offset, t.line, t.other, w->other_offset, t.other_line);
        return;
    case JUDGE_C11_DISPLACED:
        buf_append_format(out, "%s was acknowledged%s (%s) and read at offset %" PRId64 " (%s)",
                t.value, at_offset(w->offset, at), t.line, w->other_offset, t.other_line);
        return;
    case JUDGE_C13_CHANGED:
        buf_append_format(out,
                "%s was read at offset %" PRId64 " (%s) with other bytes than were sent (%s)",
                t.value, w->offset, t.line, t.other_line);
        return;
    case JUDGE_C14_END_BACK:
        buf_append_format(out,
                "the end was told to be %" PRId64 " (%s), and the client knew of %" PRId64 " (%s)",
                w->offset, t.line, w->other_offset, t.other_line);
        return;
    case JUDGE_N_PROPERTIES: break;
    }
    must_not_reach("no such property");
}

void verdict_print(FILE *out, const struct history *h, const struct judge_verdict *v)
{
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        const struct judge_result *r = &v->results[p];
        const char *why_not = verdict_why_not((enum judge_property)p, v);
        fprintf(out, "%-4s %-20s ", judge_id((enum judge_property)p),
                judge_name((enum judge_property)p));
        if (r->n > 0) {
            fprintf(out, "VIOLATED, %" PRIu64 " %s\n", r->n, r->n == 1 ? "case" : "cases");
        } else if (why_not != NULL) {
            fprintf(out, "not judged: %s\n", why_not);
        } else {
            fprintf(out, "ok\n");
        }
        for (size_t i = 0; i < r->n_witnesses; i++) {
            struct buf text = {0};
            say_witness(h, (enum judge_property)p, &r->witnesses[i], &text);
            fprintf(out, "       %s\n", buf_str(&text));
            buf_deinit(&text);
        }
        if (r->n > r->n_witnesses) {
            fprintf(out, "       and %" PRIu64 " more\n", r->n - r->n_witnesses);
        }
    }
    fprintf(out,
            "%" PRIu64 " lines, %zu partitions (%zu read to their end): %" PRIu64 " sent, %" PRIu64
            " acknowledged, %" PRIu64 " failed, %" PRIu64 " unknown (%" PRIu64
            " of them are there), %" PRIu64 " records read",
            v->n_lines, v->n_keys, v->n_finals, v->n_sent, v->n_acked, v->n_failed, v->n_unknown,
            v->n_unknown_seen, v->n_polled);
    if (v->n_foreign > 0) {
        fprintf(out, ", %" PRIu64 " values of senders without a history", v->n_foreign);
    }
    fprintf(out, "\nverdict: %s\n", judge_n_violated(v) > 0 ? "VIOLATED" : "ok");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void set_text(json_t *o, const char *name, const char *text, bool is_there)
{
    json_object_set_new(o, name, is_there ? json_string(text) : json_null());
}

static void set_number(json_t *o, const char *name, int64_t n)
{
    json_object_set_new(o, name, n >= 0 ? json_integer(n) : json_null());
}

static json_t *witness_json(
        const struct history *h, enum judge_property p, const struct judge_witness *w)
{
    const struct history_key *key = &h->keys.items[w->key];
    json_t *o = json_object();
    struct words t;
    struct buf text = {0};

    find_words(h, w, &t);
    json_object_set_new(o, "topic", json_string(h->topics.items[key->topic]));
    json_object_set_new(o, "partition", json_integer(key->partition));
    set_number(o, "offset", w->offset);
    set_number(o, "other_offset", w->other_offset);
    set_text(o, "value", t.value, w->value != HISTORY_NONE);
    set_text(o, "other_value", t.other, w->other_value != HISTORY_NONE);
    set_text(o, "line", t.line, w->line != HISTORY_NONE);
    set_text(o, "other_line", t.other_line, w->other_line != HISTORY_NONE);
    say_witness(h, p, w, &text);
    json_object_set_new(o, "text", json_string(buf_str(&text)));
    buf_deinit(&text);
    return o;
}

static json_t *property_json(
        const struct history *h, enum judge_property p, const struct judge_verdict *v)
{
    const struct judge_result *r = &v->results[p];
    const char *why_not = verdict_why_not(p, v);
    json_t *witnesses = json_array();
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", judge_id(p), "name", judge_name(p),
            "demand", judge_demand(p), "verdict",
            r->n > 0          ? "violated"
            : why_not != NULL ? "not judged"
                              : "ok",
            "n", (json_int_t)r->n);

    must(o != NULL);
    if (why_not != NULL && r->n == 0) {
        json_object_set_new(o, "why", json_string(why_not));
    }
    for (size_t i = 0; i < r->n_witnesses; i++) {
        json_array_append_new(witnesses, witness_json(h, p, &r->witnesses[i]));
    }
    json_object_set_new(o, "witnesses", witnesses);
    return o;
}

json_t *verdict_json(const struct history *h, const struct judge_verdict *v)
{
    json_t *properties = json_array();
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "verdict",
            judge_n_violated(v) > 0 ? "violated" : "ok", "lines", (json_int_t)v->n_lines,
            "partitions", (json_int_t)v->n_keys, "read_to_end", (json_int_t)v->n_finals, "sent",
            (json_int_t)v->n_sent, "acked", (json_int_t)v->n_acked, "failed",
            (json_int_t)v->n_failed, "unknown", (json_int_t)v->n_unknown, "unknown_seen",
            (json_int_t)v->n_unknown_seen, "read", (json_int_t)v->n_polled, "foreign",
            (json_int_t)v->n_foreign, "doubled", (json_int_t)v->n_doubled);

    must(o != NULL);
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        json_array_append_new(properties, property_json(h, (enum judge_property)p, v));
    }
    json_object_set_new(o, "properties", properties);
    return o;
}
