/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"
#include "controller/shell/decision.h"
#include "controller/shell/journal_internal.h"

#include <stdio.h>
#include <string.h>

/* A scan goes down the batches, from the newest: in the ring as far as that reaches, then in the
 * topic. Batches are dense by index, so it always knows which one comes next, and neither doubles
 * nor late ones in the topic can mislead it. */

#define SCAN_TIME_MAX WTIME_S(2)
#define SCAN_SLICE    WTIME_MS(5) /* of one turn of the loop */

enum {
    SCAN_BYTES_MAX = 8 * 1024 * 1024,  /* [DEC-8] of the topic, for one page */
    SCAN_LOOK_BACK_MAX = 1024 * 1024,  /* of batches behind a full page, for what was before */
    SCAN_STEP = 32,                    /* records of the topic that are looked at together */
    SCAN_LATE_MAX = 256,               /* as many as one write holds may stand out of order, … */
    SCAN_LATE_BYTES = 2 * 1024 * 1024, /* … of well below so many bytes */
    SCAN_FETCH_BYTES = 1024 * 1024,
    SCAN_CLOCKS_APART_MS = 10 * 60 * 1000, /* of controllers, when a time ends a scan */
    NAMES_MAX = 4096,
};

/* What was found and goes on the page. */
struct found {
    uint64_t index, ctl_epoch, seq, gap_to;
    bool is_gap, wants_old, has_old;
    char *why;         /* of a gap */
    struct buf record; /* a RecordList of one */
    char *topic;       /* or NULL */
    struct partition_state state, old;
};

/* A record of the topic that was read and whose turn has not come. */
struct held {
    struct journal_record r;
    uint8_t *own;
    offset64 at;
};

enum scan_state {
    SCAN_RUNNING, /* in its turns */
    SCAN_DIALLING,
    SCAN_ASKING, /* an answer of the topic is awaited */
};

struct journal_scan {
    LIST_ENTRY(journal_scan) entry;
    struct journal *j;
    struct journal_query query;
    char *topic;
    struct uuid cluster_id;
    void (*fn)(void *ctx, const struct journal_page *page);
    void *ctx;
    enum scan_state state;
    wtime deadline;
    struct timer turn;

    uint64_t cur; /* the batch whose turn it is; 0 = all done */
    uint64_t below_seq;
    uint64_t names_to; /* down to here, batches are only looked at for names */
    uint64_t learnt_high, learnt_low;
    ARRAY(struct found) found;
    bool is_full, is_over;
    offset64 full_top; /* the place in the topic when the last one was found */
    size_t looked_back;

    struct journal_link *link;
    bool is_up, is_located;
    offset64 start, end;         /* of the topic */
    offset64 low, high;          /* of the search for the place */
    offset64 top;                /* what is still to be read lies below it */
    offset64 step_from, step_to; /* what is being read */
    size_t bytes;                /* read from the topic */
    ARRAY(struct held) held;
    bool is_dry;       /* the topic's start was reached, or there is none */
    bool has_newer;    /* it holds what is newer than the batch whose turn it is */
    bool is_unwritten; /* the scan ended before what is still to be written */
    char trouble[256];
};

/* --- Names of topics --------------------------------------------------------------------------- */

static void learn_name(struct journal *j, const struct uuid *id, const char *name, size_t size)
{
    ARRAY_FOREACH (n, &j->names) {
        if (uuid_equal(&n->id, id)) {
            return;
        }
    }
    if (j->names.n == NAMES_MAX) {
        mem_free(j->names.items[0].name);
        array_remove(&j->names, 0);
    }
    *array_push(&j->names) = (struct journal_name){.id = *id, .name = mem_strndup(name, size)};
}

/* [DEC-9] What the topic was called then: names do not change, and the decision that removed it
 * says it. One that was restored under another name goes by its last one. */
static const char *name_of(struct journal *j, const struct uuid *id)
{
    const struct image *image = meta_log_image(j->options.log);
    const struct image_topic *t = image_topic_by_id(image, id);

    t = t != NULL ? t : image_trash_by_id(image, id);
    if (t != NULL) {
        return t->name;
    }
    ARRAY_FOREACH (n, &j->names) {
        if (uuid_equal(&n->id, id)) {
            return n->name;
        }
    }
    return NULL;
}

static void learn(struct journal_scan *s, uint64_t index, const struct msg_record_list *list)
{
    static const char head[] = "topic=";

    for (size_t i = 0; i < list->n_records; i++) {
        const struct meta_record *r = &list->records[i];
        if (r->kind == META_CREATE_TOPIC) {
            if (image_topic_by_id(meta_log_image(s->j->options.log), &r->create_topic.id) == NULL) {
                learn_name(s->j, &r->create_topic.id, r->create_topic.name,
                        strlen(r->create_topic.name));
            }
        } else if ((r->kind == META_REMOVE_TOPIC || r->kind == META_PURGE_TOPIC) &&
                   strncmp(r->why.inputs, head, strlen(head)) == 0) {
            const char *name = r->why.inputs + strlen(head);
            struct uuid id = {{0}};
            (void)decision_topic_id(r, &id);
            learn_name(s->j, &id, name, strcspn(name, " "));
        }
    }
    s->learnt_high = s->learnt_high == 0 ? index : s->learnt_high;
    s->learnt_low = index;
}

/* What this scan learnt joins what was known, where both touch. */
static void keep_learnt(struct journal_scan *s)
{
    struct journal *j = s->j;

    if (s->learnt_high == 0) {
        return;
    }
    if (j->names_to != 0 && s->learnt_low <= j->names_to + 1 &&
            s->learnt_high + 1 >= j->names_from) {
        j->names_from = s->learnt_low < j->names_from ? s->learnt_low : j->names_from;
        j->names_to = s->learnt_high > j->names_to ? s->learnt_high : j->names_to;
    } else if (s->learnt_high > j->names_to) {
        j->names_from = s->learnt_low;
        j->names_to = s->learnt_high;
    }
}

/* --- Who decided ------------------------------------------------------------------------------- */

static void learn_controller(struct journal *j, uint64_t ctl_epoch, int32_t id)
{
    size_t at = j->terms.n;

    while (at > 0 && j->terms.items[at - 1].ctl_epoch > ctl_epoch) {
        at--;
    }
    if (ctl_epoch == 0 || (at > 0 && j->terms.items[at - 1].ctl_epoch == ctl_epoch)) {
        return;
    }
    *array_insert(&j->terms, at) = (struct journal_term){.ctl_epoch = ctl_epoch, .id = id};
    if (j->terms.n > NAMES_MAX) {
        array_remove(&j->terms, 0);
    }
}

static int32_t controller_of(const struct journal *j, uint64_t ctl_epoch)
{
    for (size_t i = j->terms.n; i > 0; i--) {
        if (j->terms.items[i - 1].ctl_epoch == ctl_epoch) {
            return j->terms.items[i - 1].id;
        }
    }
    return -1;
}

void journal_on_applied(struct journal *j)
{
    const struct image *image = meta_log_image(j->options.log);

    learn_controller(j, image_ctl_epoch(image), image_controller_id(image));
}

/* --- The end ----------------------------------------------------------------------------------- */

static void scan_free(struct journal_scan *s)
{
    keep_learnt(s);
    LIST_REMOVE(s, entry);
    s->link = journal_link_free(s->link);
    timer_deinit(&s->turn);
    ARRAY_FOREACH (f, &s->found) {
        buf_deinit(&f->record);
        mem_free(f->why);
        mem_free(f->topic);
    }
    array_deinit(&s->found);
    ARRAY_FOREACH (h, &s->held) {
        mem_free(h->own);
    }
    array_deinit(&s->held);
    mem_free(s->topic);
    mem_free(s);
}

void journal_scan_cancel(struct journal_scan *s)
{
    scan_free(s);
}

static void to_decision(const struct journal_scan *s,
        const struct found *f,
        struct arena *arena,
        struct decision *d)
{
    struct msg_record_list list;

    *d = (struct decision){.is_gap = f->is_gap,
            .index = f->index,
            .gap_to = f->gap_to,
            .why = f->why,
            .ctl_epoch = f->ctl_epoch,
            .controller = controller_of(s->j, f->ctl_epoch),
            .topic = f->topic,
            .old = f->has_old ? &f->old : NULL};
    if (!f->is_gap) {
        int r = wire_decode_record_list(
                (struct bytes){f->record.data, f->record.size}, arena, &list);
        must(r == 0);
        must(list.n_records == 1);
        d->record = &list.records[0];
    }
}

/* In the topic, nothing that is still wanted lies at or behind it. */
static offset64 top_of_unread(struct journal_scan *s)
{
    offset64 top = s->top;

    ARRAY_FOREACH (h, &s->held) {
        top = h->at + 1 > top ? h->at + 1 : top;
    }
    return top;
}

/* Where the next page begins: behind the last that was found, or where the work ended. */
static struct journal_place place_of(struct journal_scan *s)
{
    struct journal_place place = {.index = s->cur, .seq = s->below_seq};

    if (s->is_full) {
        const struct found *last = &s->found.items[s->found.n - 1];
        place.index = last->is_gap ? last->index - 1 : last->index;
        place.seq = last->is_gap ? UINT64_MAX : last->seq;
        place.offset = s->full_top;
        return place;
    }
    place.offset = s->is_unwritten ? OFFSET_NONE : top_of_unread(s); /* It will lie at the end. */
    return place;
}

static void finish(struct journal_scan *s)
{
    struct journal_page page = {.n = s->found.n, .next = place_of(s)};
    struct decision *items = mem_new_n(struct decision, s->found.n + 1);
    void (*fn)(void *ctx, const struct journal_page *page) = s->fn;
    void *ctx = s->ctx;
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < s->found.n; i++) {
        to_decision(s, &s->found.items[i], &arena, &items[i]);
    }
    page.items = items;
    page.has_more = page.next.index > 0;
    page.trouble = s->trouble[0] != '\0' ? s->trouble : NULL;
    fn(ctx, &page);
    arena_deinit(&arena);
    mem_free(items);
    scan_free(s);
}

/* --- One batch --------------------------------------------------------------------------------- */

static bool matches(const struct journal_scan *s, const struct meta_record *r, const char *topic)
{
    const struct journal_query *q = &s->query;

    if (r->seq >= s->below_seq || r->seq < q->since_seq || (q->since > 0 && r->at < q->since) ||
            (q->only_seq != 0 && r->seq != q->only_seq) ||
            (q->cause != 0 && (int)r->why.cause != q->cause)) {
        return false;
    }
    if (q->broker != BROKER_NONE && decision_broker(r) != q->broker) {
        return false;
    }
    if (q->topic != NULL && (topic == NULL || strcmp(topic, q->topic) != 0)) {
        return false;
    }
    return q->partition < 0 ||
           (r->kind == META_PARTITION_STATE && r->partition.partition == q->partition);
}

/* The state before, for those found that lack it. */
static void tell_old(struct journal_scan *s, const struct partition_state *p)
{
    ARRAY_FOREACH (f, &s->found) {
        if (f->wants_old && f->state.partition == p->partition &&
                uuid_equal(&f->state.topic_id, &p->topic_id)) {
            f->wants_old = false;
            f->has_old = true;
            f->old = *p;
        }
    }
}

static void add_found(struct journal_scan *s,
        const struct msg_batch *b,
        const struct meta_record *r,
        const char *topic)
{
    struct found *f = array_push(&s->found);

    f->index = b->index;
    f->ctl_epoch = b->ctl_epoch;
    f->seq = r->seq;
    f->topic = topic != NULL ? mem_strdup(topic) : NULL;
    wire_append_record(r, &f->record);
    if (r->kind == META_PARTITION_STATE) {
        f->state = r->partition;
        f->wants_old = r->partition.partition_epoch > 0;
    }
    s->full_top = top_of_unread(s);
}

static void take_records(
        struct journal_scan *s, const struct msg_batch *b, const struct msg_record_list *list)
{
    for (size_t i = list->n_records; i > 0; i--) {
        const struct meta_record *r = &list->records[i - 1];
        struct uuid id;
        const char *topic = decision_topic_id(r, &id) ? name_of(s->j, &id) : NULL;
        if ((int)r->kind == 0) {
            continue; /* of a newer version */
        }
        if (r->kind == META_CREATE_TOPIC) {
            topic = r->create_topic.name;
        }
        if (r->kind == META_NEW_CONTROLLER) {
            learn_controller(s->j, r->new_controller.ctl_epoch, r->new_controller.controller_id);
        }
        if (r->kind == META_PARTITION_STATE) {
            tell_old(s, &r->partition);
        }
        if (!s->is_full && matches(s, r, topic)) {
            add_found(s, b, r, topic);
            s->is_full = s->found.n >= s->query.n_max;
        }
    }
}

/* Nothing that is older is wanted. */
static bool is_past(const struct journal_scan *s, const struct msg_record_list *list)
{
    const struct meta_record *first = &list->records[0];

    return first->seq <= s->query.since_seq ||
           (s->query.only_seq != 0 && first->seq <= s->query.only_seq) ||
           (s->query.since > 0 && first->at + SCAN_CLOCKS_APART_MS < s->query.since);
}

/* False: these bytes are no batch of that index. */
static bool take_batch(struct journal_scan *s, uint64_t index, struct bytes bytes)
{
    struct msg_batch b;
    struct msg_record_list list;
    struct arena arena;
    bool is_right;

    arena_init(&arena, 2 * wire_arena_ceiling(bytes.size));
    is_right = wire_decode_batch(bytes, &arena, &b) == 0 && b.index == index &&
               msg_batch_crc(&b) == b.crc64 &&
               wire_decode_record_list(b.payload, &arena, &list) == 0 && list.n_records > 0;
    if (is_right) {
        learn(s, index, &list);
        if (index < s->names_to) {
            s->looked_back += s->is_full ? bytes.size : 0;
            take_records(s, &b, &list);
            if (!s->is_full && is_past(s, &list)) {
                s->is_over = true;
            }
        }
    }
    arena_deinit(&arena);
    return is_right;
}

static void take_gap(
        struct journal_scan *s, uint64_t from, uint64_t to, const char *why, size_t why_size)
{
    struct found *f;

    if (s->is_full || s->query.only_seq != 0) {
        return;
    }
    f = array_push(&s->found);
    f->is_gap = true;
    f->index = from;
    f->gap_to = to;
    f->why = mem_strndup(why, why_size);
    s->full_top = top_of_unread(s);
    s->is_full = s->found.n >= s->query.n_max;
}

static bool wants_old(struct journal_scan *s)
{
    ARRAY_FOREACH (f, &s->found) {
        if (f->wants_old) {
            return true;
        }
    }
    return false;
}

/* --- What was read from the topic -------------------------------------------------------------- */

static void hold(void *ctx, offset64 offset, const struct journal_record *r)
{
    struct journal_scan *s = ctx;
    struct held *h;

    s->has_newer = s->has_newer || r->to > s->cur;
    if (offset < s->step_from || offset >= s->step_to || r->from > s->cur) {
        return;
    }
    h = array_push(&s->held);
    h->r = *r;
    h->at = offset;
    h->own = mem_dup(r->value.at, r->value.size);
    h->r.value.at = h->own;
}

static void drop_held(struct journal_scan *s)
{
    for (size_t i = s->held.n; i > 0; i--) {
        if (s->held.items[i - 1].r.from > s->cur) {
            mem_free(s->held.items[i - 1].own);
            array_remove(&s->held, i - 1);
        }
    }
}

/* The greatest index below `to` that is held as a batch; 0 = none. */
static uint64_t held_below(struct journal_scan *s, uint64_t to)
{
    uint64_t best = 0;

    ARRAY_FOREACH (h, &s->held) {
        if (!h->r.is_gap && h->r.from <= to && h->r.from > best) {
            best = h->r.from;
        }
    }
    return best;
}

/* The batch `cur`, or the gap that it lies in; false: neither is held. Of several copies the
 * newest counts ([DEC-7]). */
static bool take_held(struct journal_scan *s)
{
    const struct held *best = NULL, *gap = NULL;

    ARRAY_FOREACH (h, &s->held) {
        if (h->r.from <= s->cur && h->r.to >= s->cur) {
            const struct held **to = h->r.is_gap ? &gap : &best;
            *to = *to == NULL || h->at > (*to)->at ? h : *to;
        }
    }
    if (best != NULL && take_batch(s, s->cur, best->r.value)) {
        s->cur--;
    } else if (gap != NULL) {
        uint64_t below = s->cur > 0 ? held_below(s, s->cur - 1) : 0;
        uint64_t from = below + 1 > gap->r.from ? below + 1 : gap->r.from;
        take_gap(s, from, s->cur, (const char *)gap->r.value.at, gap->r.value.size);
        s->cur = from - 1;
    } else if (best != NULL) {
        static const char why[] = "its record in the topic is damaged";
        take_gap(s, s->cur, s->cur, why, strlen(why));
        s->cur--;
    } else {
        return false;
    }
    drop_held(s);
    return true;
}

/* So much that is older was read without it that it cannot come any more: what stands out of order
 * is at most one write of a former controller. */
static bool is_lost(struct journal_scan *s)
{
    size_t bytes = 0;

    ARRAY_FOREACH (h, &s->held) {
        bytes += h->r.value.size;
    }
    return s->held.n > 0 &&
           (bytes > SCAN_LATE_BYTES || top_of_unread(s) - s->top > SCAN_LATE_MAX + SCAN_STEP);
}

/* The topic has no more, and `cur` was not there. [DEC-7] What would be the newest there is no gap:
 * it waits in the active controller's memory and in ZooKeeper. */
static void take_missing(struct journal_scan *s)
{
    static const char why[] = "older than the journal";
    static const char lost[] = "the topic does not have them";
    uint64_t below = held_below(s, s->cur);

    if (below > 0 && !s->has_newer) {
        s->is_unwritten = s->is_over = true;
        snprintf(s->trouble, sizeof(s->trouble),
                "the active controller has not written them to the topic yet");
        return;
    }
    take_gap(s, below + 1, s->cur, below == 0 ? why : lost, strlen(below == 0 ? why : lost));
    s->cur = below;
}

/* --- Asking the topic -------------------------------------------------------------------------- */

static void run(void *ctx);

static void go_on(struct journal_scan *s)
{
    s->state = SCAN_RUNNING;
    timer_set(&s->turn, 0);
}

static void give_up(struct journal_scan *s, const char *why)
{
    snprintf(s->trouble, sizeof(s->trouble), "%s", why);
    s->is_over = true;
    go_on(s);
}

static void on_scan_down(void *ctx, const char *why)
{
    struct journal_scan *s = ctx;

    s->is_up = false;
    give_up(s, why);
}

static void search(struct journal_scan *s);

struct probe {
    offset64 at;
    uint64_t index; /* 0 = nothing of the journal at or behind it in this batch */
};

static void on_probe_record(void *ctx, offset64 offset, const struct journal_record *r)
{
    struct probe *p = ctx;

    if (p->index == 0 && offset >= p->at) {
        p->index = r->from;
    }
}

static const char *take_answer(struct journal_scan *s,
        struct rpc_reply *reply,
        struct arena *arena,
        struct msg_fetch_result *m)
{
    const char *why;

    arena_init(arena, wire_arena_ceiling(reply->body.size));
    why = journal_reply_records(reply, arena, m);
    s->bytes += why == NULL && s->is_located ? m->records.size : 0;
    return why;
}

static void on_probe(void *ctx, struct rpc_reply *reply)
{
    struct journal_scan *s = ctx;
    struct probe p = {.at = s->low + (s->high - s->low) / 2};
    struct msg_fetch_result m;
    struct arena arena;
    const char *why;

    if (reply->error == ERRCODE_NETWORK_EXCEPTION || s->state != SCAN_ASKING) {
        return; /* on_down goes on from there */
    }
    why = take_answer(s, reply, &arena, &m);
    if (why != NULL) {
        give_up(s, why);
    } else {
        (void)journal_records_walk(m.records, on_probe_record, &p);
        if (p.index > 0 && p.index > s->cur) {
            s->high = p.at;
        } else {
            s->low = p.at + 1;
        }
        search(s);
    }
    arena_deinit(&arena);
}

/* The first offset behind the batch `cur`, with room for late ones. */
static void search(struct journal_scan *s)
{
    if (s->low < s->high) {
        journal_link_fetch(s->link, s->low + (s->high - s->low) / 2, 1, on_probe, s);
        return;
    }
    s->top = s->high + SCAN_LATE_MAX < s->end ? s->high + SCAN_LATE_MAX : s->end;
    s->has_newer = s->high < s->end;
    s->is_located = true;
    go_on(s);
}

/* An end of the topic, as the leader says. False: the scan is over. */
static bool take_offset(struct journal_scan *s, struct rpc_reply *reply, offset64 *ret)
{
    struct arena arena;
    const char *why;

    if (reply->error == ERRCODE_NETWORK_EXCEPTION || s->state != SCAN_ASKING) {
        return false;
    }
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    why = journal_reply_offset(reply, &arena, ret);
    if (why != NULL) {
        give_up(s, why); /* `why` may lie in the arena */
    }
    arena_deinit(&arena);
    return why == NULL;
}

static void on_start_listed(void *ctx, struct rpc_reply *reply)
{
    struct journal_scan *s = ctx;

    if (!take_offset(s, reply, &s->start)) {
        return;
    }
    if (s->query.from.offset >= s->start && s->query.from.offset <= s->end) {
        s->top = s->query.from.offset;
        s->has_newer = s->top < s->end; /* the pages before */
        s->is_located = true;
        go_on(s);
    } else {
        s->low = s->start;
        s->high = s->end;
        search(s);
    }
}

static void on_end_listed(void *ctx, struct rpc_reply *reply)
{
    struct journal_scan *s = ctx;

    if (take_offset(s, reply, &s->end)) {
        journal_link_list(s->link, LIST_EARLIEST, on_start_listed, s);
    }
}

static void on_scan_up(void *ctx)
{
    struct journal_scan *s = ctx;

    s->is_up = true;
    s->state = SCAN_ASKING;
    journal_link_list(s->link, LIST_LATEST, on_end_listed, s);
}

static void dial(struct journal_scan *s)
{
    const struct journal_options *o = &s->j->options;
    const struct journal_link_options link = {.loop = o->loop,
            .resolver = o->resolver,
            .log = o->log,
            .listener = o->listener,
            .client_id = s->j->client_id,
            .on_up = on_scan_up,
            .on_down = on_scan_down,
            .ctx = s};

    s->state = SCAN_DIALLING;
    s->link = journal_link_new(&link);
    journal_link_dial(s->link, &s->cluster_id);
}

static void read_step(struct journal_scan *s);

static void on_step(void *ctx, struct rpc_reply *reply)
{
    struct journal_scan *s = ctx;
    struct msg_fetch_result m;
    struct arena arena;
    const char *why;
    offset64 next = OFFSET_NONE;

    if (reply->error == ERRCODE_NETWORK_EXCEPTION || s->state != SCAN_ASKING) {
        return;
    }
    why = take_answer(s, reply, &arena, &m);
    if (why == NULL) {
        next = journal_records_walk(m.records, hold, s);
    }
    if (why != NULL) {
        give_up(s, why);
    } else if (next >= 0 && next < s->step_to) {
        s->step_from = next;
        read_step(s);
    } else {
        s->is_dry = s->top <= s->start;
        go_on(s);
    }
    arena_deinit(&arena);
}

static void read_step(struct journal_scan *s)
{
    journal_link_fetch(s->link, s->step_from, SCAN_FETCH_BYTES, on_step, s);
}

/* The next records below `top`; an answer may hold what stands before them too, which is passed
 * over. */
static void ask_more(struct journal_scan *s)
{
    if (s->link == NULL && journal_link_trouble(s->j->link) != NULL &&
            image_topic_by_name(meta_log_image(s->j->options.log), TOPIC_DECISIONS) == NULL) {
        s->is_dry = true; /* There is no journal yet. */
        timer_set(&s->turn, 0);
    } else if (s->link == NULL) {
        dial(s);
    } else if (s->top <= s->start) {
        s->is_dry = true;
        timer_set(&s->turn, 0);
    } else {
        s->state = SCAN_ASKING;
        s->step_to = s->top;
        s->step_from = s->top - SCAN_STEP > s->start ? s->top - SCAN_STEP : s->start;
        s->top = s->step_from;
        read_step(s);
    }
}

/* --- Its turns --------------------------------------------------------------------------------- */

static bool is_done(struct journal_scan *s)
{
    if (s->cur == 0 || s->is_over) {
        return true;
    }
    if (s->is_full) {
        return s->looked_back > SCAN_LOOK_BACK_MAX || !wants_old(s);
    }
    return false;
}

/* Batches above where the page begins are of interest for the names of topics alone, and those
 * that were looked at before are not looked at again. */
static bool skip_names(struct journal_scan *s)
{
    const struct journal *j = s->j;
    uint64_t last = s->names_to - 1;

    if (s->cur <= last) {
        return false;
    }
    if (s->cur >= j->names_from && s->cur <= j->names_to) {
        s->learnt_low = s->learnt_high != 0 ? j->names_from : 0;
        s->cur = j->names_from - 1 > last ? j->names_from - 1 : last;
        return true;
    }
    if (batch_ring_get(meta_log_ring(j->options.log), s->cur) == NULL) {
        s->cur = last;
        return true;
    }
    return false;
}

/* One batch on; false: the topic must be asked first. */
static bool advance(struct journal_scan *s)
{
    const struct ring_batch *b;

    if (skip_names(s)) {
        return true;
    }
    b = journal_batch(s->j, s->cur);
    if (b != NULL) {
        bool is_right = take_batch(s, s->cur, b->bytes);
        must(is_right); /* It was applied from these bytes, or checked against its successor. */
        s->cur--;
        return true;
    }
    if (take_held(s)) {
        return true;
    }
    if (s->is_dry || is_lost(s)) {
        take_missing(s);
        return true;
    }
    return false;
}

static void run(void *ctx)
{
    struct journal_scan *s = ctx;
    wtime now = clock_now(), end = wtime_add(now, SCAN_SLICE);

    if (s->state != SCAN_RUNNING) { /* the time is over, and an answer is still to come */
        snprintf(
                s->trouble, sizeof(s->trouble), "the topic " TOPIC_DECISIONS " answers too slowly");
        finish(s);
        return;
    }
    while (!is_done(s)) {
        if (clock_now() >= end) {
            timer_set(&s->turn, 0);
            return;
        }
        if (advance(s)) {
            continue;
        }
        if (s->bytes > SCAN_BYTES_MAX || clock_now() >= s->deadline) { /* [DEC-8] */
            break;
        }
        timer_set(&s->turn, s->deadline);
        ask_more(s);
        return;
    }
    if (s->is_over && s->trouble[0] == '\0') {
        s->cur = 0; /* nothing older is wanted */
    }
    finish(s);
}

struct journal_scan *journal_scan_start(struct journal *j,
        const struct uuid *cluster_id,
        const struct journal_query *query,
        void (*fn)(void *ctx, const struct journal_page *page),
        void *ctx)
{
    struct journal_scan *s = mem_new(struct journal_scan);
    uint64_t newest = image_position(meta_log_image(j->options.log)).index;
    uint64_t start = query->from.index > 0 ? query->from.index : newest;

    if (query->only_seq != 0 && query->only_seq < start) {
        start = query->only_seq; /* A batch has one record at least. */
    }
    s->j = j;
    s->query = *query;
    s->topic = query->topic != NULL ? mem_strdup(query->topic) : NULL;
    s->query.topic = s->topic;
    s->cluster_id = *cluster_id;
    s->fn = fn;
    s->ctx = ctx;
    s->deadline = wtime_add(clock_now(), SCAN_TIME_MAX);
    s->cur = newest;
    s->below_seq = query->from.index > 0 ? query->from.seq : UINT64_MAX;
    s->names_to = (start < newest ? start : newest) + 1;
    s->top = OFFSET_NONE;
    LIST_INSERT_HEAD(&j->scans, s, entry);
    timer_init(&s->turn, j->options.loop, run, s);
    timer_set(&s->turn, 0);
    return s;
}

void journal_read_deinit(struct journal *j)
{
    struct journal_scan *s;

    while ((s = LIST_FIRST(&j->scans)) != NULL) {
        scan_free(s);
    }
    ARRAY_FOREACH (n, &j->names) {
        mem_free(n->name);
    }
    array_deinit(&j->names);
    array_deinit(&j->terms);
}
