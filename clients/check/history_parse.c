/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a history. */
#include "clients/check/history.h"
#include "clients/check/json_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

enum op_type {
    OP_INVOKE,
    OP_OK,
    OP_FAIL,
    OP_INFO,
    OP_N_TYPES
};

/* A line, its value still unread. */
struct op {
    struct history *h;
    int64_t i, process, t;
    enum op_type type;
    struct text f;
    struct json_scan value;
    uint32_t line;
    char *error;
    size_t error_size;
};

static const char *const type_names[OP_N_TYPES] = {"invoke", "ok", "fail", "info"};

__attribute__((format(printf, 2, 3))) static int refuse(struct op *op, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(op->error, op->error_size, format, args);
    va_end(args);
    return HISTORY_E_REFUSED;
}

static bool is_text(struct text t, const char *word)
{
    return t.size == strlen(word) && memcmp(t.at, word, t.size) == 0;
}

/* What is left of the value is nothing, and all of it was as it should be. */
static int settle(struct op *op, struct json_scan *s)
{
    if (s->what != NULL) {
        return refuse(op, "the value of this %.*s (%s) has not %s where it must", (int)op->f.size,
                op->f.at, type_names[op->type], s->what);
    }
    return 0;
}

/* --- Parts of values -------------------------------------------------------------------------- */

/* `"topic", partition` of a list that is open. */
static uint32_t read_lane(struct op *op, struct json_scan *s, size_t *n)
{
    struct text topic;

    json_scan_item(s, n);
    json_scan_text(s, &topic.at, &topic.size);
    json_scan_item(s, n);
    int64_t partition = json_scan_int(s);
    if (s->what == NULL && (topic.size == 0 || topic.size > 249)) {
        json_scan_fail(s, "the name of a topic");
    }
    if (s->what == NULL && (partition < 0 || partition > INT32_MAX)) {
        json_scan_fail(s, "the number of a partition");
    }
    return s->what == NULL
                   ? history_lane_of(op->h, op->process, topic.at, topic.size, (int32_t)partition)
                   : HISTORY_NONE;
}

/* A value, or null: HISTORY_NONE. */
static uint32_t read_value(struct op *op, struct json_scan *s, size_t *n)
{
    struct text text;

    json_scan_item(s, n);
    if (json_scan_null(s)) {
        return HISTORY_NONE;
    }
    json_scan_text(s, &text.at, &text.size);
    uint32_t value = s->what == NULL ? history_value_of(op->h, text.at, text.size) : HISTORY_NONE;
    if (value == HISTORY_NONE) {
        json_scan_fail(s, "a value of the form \"<word>-<number>\"");
    }
    return value;
}

/* An offset, or null: -1. */
static int64_t read_offset(struct json_scan *s, size_t *n)
{
    json_scan_item(s, n);
    if (json_scan_null(s)) {
        return -1;
    }
    int64_t offset = json_scan_int(s);
    if (offset < 0) {
        json_scan_fail(s, "an offset of 0 or more, or null");
    }
    return offset;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Sixteen hexadecimal digits, or null: false. */
static bool read_hash(struct json_scan *s, size_t *n, uint64_t *ret)
{
    struct text text;

    json_scan_item(s, n);
    if (json_scan_null(s)) {
        return false;
    }
    json_scan_text(s, &text.at, &text.size);
    *ret = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = hex_digit(text.at[i]);
        if (digit < 0) {
            json_scan_fail(s, "a hash of sixteen hexadecimal digits");
        }
        *ret = *ret << 4 | (uint64_t)(digit & 15);
    }
    if (text.size != 16) {
        json_scan_fail(s, "a hash of sixteen hexadecimal digits");
    }
    return true;
}

/* --- send ------------------------------------------------------------------------------------- */

static int send_invoke(struct op *op, uint32_t value, uint32_t lane, bool has_hash, uint64_t hash)
{
    struct history *h = op->h;
    struct history_value *v = &h->values.items[value];
    char line[128];

    if (v->outcome != SEND_ABSENT) {
        return refuse(op, "this value was sent before, in %s: values are unique",
                history_line_text(h, v->sent_line, line, sizeof(line)));
    }
    v->outcome = SEND_OPEN;
    v->lane = lane;
    v->sent_line = op->line;
    v->done_line = HISTORY_NONE;
    v->has_hash = has_hash;
    v->hash = hash;
    *array_push(&h->sends) = value;
    return 0;
}

static int send_end(struct op *op, uint32_t value, uint32_t lane, int64_t offset)
{
    struct history *h = op->h;
    struct history_value *v = &h->values.items[value];
    struct history_lane *l = &h->lanes.items[lane];

    if (v->outcome == SEND_ABSENT || v->lane != lane) {
        return refuse(op, "the end of a send that this process never began");
    }
    if (v->done_line != HISTORY_NONE) {
        return refuse(op, "the end of a send that has ended before");
    }
    v->done_line = op->line;
    v->done_t = op->t;
    if (op->type == OP_OK) {
        v->outcome = SEND_OK;
        v->offset = offset;
        if (offset + 1 > l->known && history_is_promised(h, l)) {
            l->known = offset + 1;
            l->known_line = op->line;
        }
    } else if (op->type == OP_FAIL) {
        v->outcome = SEND_FAILED;
    }
    return 0;
}

/* invoke: [topic, partition, value, hash]; ok: [topic, partition, value, offset]; else without a
 * fourth. */
static int add_send(struct op *op)
{
    struct json_scan *s = &op->value;
    size_t n = 0;
    uint64_t hash = 0;
    bool has_hash = false;
    int64_t offset = -1;

    json_scan_open(s, '[');
    uint32_t lane = read_lane(op, s, &n);
    uint32_t value = read_value(op, s, &n);
    if (op->type == OP_INVOKE) {
        has_hash = read_hash(s, &n, &hash);
    } else if (op->type == OP_OK) {
        offset = read_offset(s, &n);
    }
    json_scan_close(s, &n);
    int r = settle(op, s);
    if (r == 0 && value == HISTORY_NONE) {
        r = refuse(op, "a send without a value");
    }
    if (r != 0) {
        return r;
    }
    return op->type == OP_INVOKE ? send_invoke(op, value, lane, has_hash, hash)
                                 : send_end(op, value, lane, offset);
}

/* --- poll, assign, crash ---------------------------------------------------------------------- */

static struct history_run *run_of(struct history *h, uint32_t lane, int64_t first)
{
    struct history_lane *l = &h->lanes.items[lane];

    if (l->run == HISTORY_NONE) { /* it was not said where it began */
        l->run = (uint32_t)h->runs.n;
        *array_push(&h->runs) = (struct history_run){.lane = lane, .begin = first, .end = -1};
    }
    return &h->runs.items[l->run];
}

static void add_record(struct op *op, struct json_scan *s, uint32_t lane)
{
    struct history_polled p = {.lane = lane, .line = op->line};
    size_t n = 0;

    json_scan_open(s, '[');
    p.offset = read_offset(s, &n);
    p.value = read_value(op, s, &n);
    p.has_hash = read_hash(s, &n, &p.hash);
    json_scan_close(s, &n);
    if (s->what == NULL && p.offset < 0) {
        json_scan_fail(s, "the offset of a record");
    }
    if (s->what != NULL) {
        return;
    }
    struct history_run *run = run_of(op->h, lane, p.offset);
    run->begin = run->begin < 0 ? p.offset : run->begin;
    run->end = p.offset + 1 > run->end ? p.offset + 1 : run->end;
    op->h->n_hashed += p.has_hash ? 1 : 0;
    *array_push(&op->h->polled) = p;
}

/* [[topic, partition, [[offset, value, hash], …]], …] */
static int add_poll(struct op *op)
{
    struct json_scan *s = &op->value;
    size_t n = 0;

    if (op->type != OP_OK) {
        return 0; /* it moved nothing */
    }
    json_scan_open(s, '[');
    while (json_scan_more(s, ']', &n)) {
        size_t i = 0;
        size_t n_records = 0;
        json_scan_open(s, '[');
        uint32_t lane = read_lane(op, s, &i);
        json_scan_item(s, &i);
        json_scan_open(s, '[');
        while (json_scan_more(s, ']', &n_records)) {
            add_record(op, s, lane);
        }
        json_scan_close(s, &i);
    }
    return settle(op, s);
}

/* The next [topic, partition, offset] of a list. False: there is none, or it is not one. */
static bool next_place(
        struct op *op, struct json_scan *s, size_t *n, uint32_t *ret_lane, int64_t *ret_offset)
{
    size_t i = 0;

    if (!json_scan_more(s, ']', n)) {
        return false;
    }
    json_scan_open(s, '[');
    *ret_lane = read_lane(op, s, &i);
    *ret_offset = read_offset(s, &i);
    json_scan_close(s, &i);
    return s->what == NULL;
}

/* [[topic, partition, offset], …]: the partition's next record is that at `offset` or behind. */
static int add_assign(struct op *op)
{
    struct json_scan *s = &op->value;
    size_t n = 0;

    if (op->type != OP_OK) {
        return 0;
    }
    uint32_t lane;
    int64_t offset;

    json_scan_open(s, '[');
    while (next_place(op, s, &n, &lane, &offset)) {
        op->h->lanes.items[lane].run = HISTORY_NONE;
        (void)run_of(op->h, lane, offset);
    }
    return settle(op, s);
}

/* The process is no more: nothing of it goes on. */
static int add_crash(struct op *op)
{
    struct history *h = op->h;
    uint32_t process = history_process_of(h, op->process);

    ARRAY_FOREACH (l, &h->lanes) {
        if (l->process == process) {
            l->run = HISTORY_NONE;
            l->known = -1;
        }
    }
    h->processes.items[process].lists = false;
    h->processes.items[process].reads_all = false;
    return 0;
}

/* --- list_offsets, final ---------------------------------------------------------------------- */

/* Ends that are told are judged by what was known when they were asked for. */
static void begin_listing(struct op *op, uint32_t process)
{
    op->h->processes.items[process].lists = true;
    ARRAY_FOREACH (l, &op->h->lanes) {
        if (l->process == process) {
            l->floor = l->known;
            l->floor_line = l->known_line;
        }
    }
}

/* ok: [[topic, partition, end], …] */
static int end_listing(struct op *op)
{
    struct json_scan *s = &op->value;
    size_t n = 0;

    uint32_t lane;
    int64_t end;

    json_scan_open(s, '[');
    while (next_place(op, s, &n, &lane, &end)) {
        struct history_lane *l = &op->h->lanes.items[lane];
        *array_push(&op->h->listed) = (struct history_listed){.lane = lane,
                .line = op->line,
                .end = end,
                .floor = l->floor,
                .floor_line = l->floor_line};
        if (end > l->known) {
            l->known = end;
            l->known_line = op->line;
        }
    }
    return settle(op, s);
}

static int add_listing(struct op *op)
{
    uint32_t process = history_process_of(op->h, op->process);
    bool is_under_way = op->h->processes.items[process].lists;

    if (op->type == OP_INVOKE && is_under_way) {
        return refuse(op, "a process asks for offsets while it is asking");
    }
    if (op->type != OP_INVOKE && !is_under_way) {
        return refuse(op, "the end of a list_offsets that this process never began");
    }
    if (op->type == OP_INVOKE) {
        begin_listing(op, process);
        return 0;
    }
    op->h->processes.items[process].lists = false;
    return op->type == OP_OK ? end_listing(op) : 0;
}

/* ok: [[topic, partition, start, end], …]: this process has polled all of it since the invoke. */
static int add_final(struct op *op)
{
    struct history *h = op->h;
    struct json_scan *s = &op->value;
    uint32_t process = history_process_of(h, op->process);
    size_t n = 0;

    if (op->type == OP_INVOKE) {
        h->processes.items[process].reads_all = true;
        h->processes.items[process].final_line = op->line;
        h->processes.items[process].final_t = op->t;
        return 0;
    }
    if (!h->processes.items[process].reads_all) {
        return refuse(op, "the end of a final read that this process never began");
    }
    h->processes.items[process].reads_all = false;
    if (op->type != OP_OK) {
        return 0;
    }
    json_scan_open(s, '[');
    while (json_scan_more(s, ']', &n)) {
        size_t i = 0;
        struct history_final f = {.begin_line = h->processes.items[process].final_line,
                .begin_t = h->processes.items[process].final_t};
        json_scan_open(s, '[');
        f.lane = read_lane(op, s, &i);
        f.start = read_offset(s, &i);
        f.end = read_offset(s, &i);
        json_scan_close(s, &i);
        if (s->what == NULL && (f.start < 0 || f.end < f.start)) {
            json_scan_fail(s, "a start and an end that is not before it");
        }
        if (s->what == NULL) {
            *array_push(&h->finals) = f;
        }
    }
    return settle(op, s);
}

/* {"acks": "all", "idempotent": true, "replicas": 3}: what the process's sends were promised. */
static int add_producer(struct op *op)
{
    struct json_scan *s = &op->value;
    uint32_t number = history_process_of(op->h, op->process);
    struct history_process *process = &op->h->processes.items[number];
    size_t n = 0;

    json_scan_open(s, '{');
    while (json_scan_more(s, '}', &n)) {
        struct text name;
        struct text acks;
        json_scan_name(s, &name.at, &name.size);
        if (is_text(name, "idempotent")) {
            process->is_not_idempotent = !json_scan_bool(s);
        } else if (is_text(name, "acks")) {
            json_scan_text(s, &acks.at, &acks.size);
            process->is_acked_early = !is_text(acks, "all") && !is_text(acks, "-1");
        } else if (is_text(name, "replicas")) {
            process->n_replicas = json_scan_int(s);
        } else {
            json_scan_skip(s);
        }
    }
    return settle(op, s);
}

/* --- A line ----------------------------------------------------------------------------------- */

static int dispatch(struct op *op)
{
    static const struct {
        const char *f;
        int (*add)(struct op *op);
    } known[] = {{"send", add_send}, {"poll", add_poll}, {"list_offsets", add_listing},
            {"assign", add_assign}, {"final", add_final}, {"producer", add_producer},
            {"crash", add_crash}};

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (is_text(op->f, known[i].f)) {
            return known[i].add(op);
        }
    }
    if (is_text(op->f, "txn")) {
        return refuse(op, "transactions (txn) cannot be judged: C9 and C10 are not among the "
                          "properties of this checker");
    }
    if (is_text(op->f, "subscribe") || is_text(op->f, "commit")) {
        return refuse(op,
                "consumer groups (subscribe, commit) cannot be judged: C7, C8 and C12 are "
                "not among the properties of this checker");
    }
    return refuse(
            op, "there is no operation `%.*s`", (int)(op->f.size < 32 ? op->f.size : 32), op->f.at);
}

static bool read_type(struct json_scan *s, enum op_type *ret)
{
    struct text type;

    json_scan_text(s, &type.at, &type.size);
    for (int i = 0; i < OP_N_TYPES; i++) {
        if (is_text(type, type_names[i])) {
            *ret = (enum op_type)i;
            return true;
        }
    }
    json_scan_fail(s, "invoke, ok, fail or info as type");
    return false;
}

enum {
    HAS_I = 1,
    HAS_PROCESS = 2,
    HAS_T = 4,
    HAS_TYPE = 8,
    HAS_F = 16,
    HAS_VALUE = 32,
    HAS_ALL = 63
};

/* One member; what is not known is passed over. Returns what it was. */
static unsigned read_member(struct op *op, struct json_scan *s)
{
    struct text name;

    json_scan_name(s, &name.at, &name.size);
    if (is_text(name, "i")) {
        op->i = json_scan_int(s);
        return HAS_I;
    }
    if (is_text(name, "process")) {
        op->process = json_scan_int(s);
        return HAS_PROCESS;
    }
    if (is_text(name, "t")) {
        op->t = json_scan_int(s);
        return HAS_T;
    }
    if (is_text(name, "type")) {
        return read_type(s, &op->type) ? HAS_TYPE : 0;
    }
    if (is_text(name, "f")) {
        json_scan_text(s, &op->f.at, &op->f.size);
        return HAS_F;
    }
    const char *begin = s->at;
    json_scan_skip(s);
    if (is_text(name, "value")) {
        json_scan_init(&op->value, begin, s->what == NULL ? (size_t)(s->at - begin) : 0);
        return HAS_VALUE;
    }
    return 0;
}

static int read_line(struct op *op, const char *line, size_t size)
{
    struct json_scan s;
    size_t n = 0;
    unsigned seen = 0;

    json_scan_init(&s, line, size);
    json_scan_open(&s, '{');
    while (json_scan_more(&s, '}', &n)) {
        unsigned what = read_member(op, &s);
        if (s.what == NULL && (seen & what) != 0) {
            json_scan_fail(&s, "each member once");
        }
        seen |= what;
    }
    if (s.what == NULL && !json_scan_is_over(&s)) {
        json_scan_fail(&s, "the end of the line behind its object");
    }
    if (s.what != NULL) {
        return refuse(op, "this is no line of a history: it has not %s where it must", s.what);
    }
    if (seen != HAS_ALL) {
        return refuse(op, "this is no line of a history: one of i, process, t, type, f, value is "
                          "missing");
    }
    return 0;
}

int history_add_line(
        struct history *h, const char *line, size_t size, char *error, size_t error_size)
{
    struct op op = {.h = h, .line = h->n_lines, .error = error, .error_size = error_size};

    must(h->files.n > 0);
    if (h->n_lines >= HISTORY_LINES_MAX) {
        return refuse(&op, "more lines than can be counted (%u)", (unsigned)HISTORY_LINES_MAX);
    }
    h->n_lines++;
    int r = read_line(&op, line, size);
    if (r != 0) {
        return r;
    }
    struct history_file *f = &h->files.items[h->files.n - 1];
    if (op.i <= f->last_i) {
        return refuse(&op, "i is %lld behind %lld: lines are missing, doubled or in another order",
                (long long)op.i, (long long)f->last_i);
    }
    f->last_i = op.i;
    return dispatch(&op);
}
