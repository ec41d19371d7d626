/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check/histories.h"

#include "clients/check/history_file.h"
#include "common/base/prng.h"

#include <stdio.h>

/* --- What happened ---------------------------------------------------------------------------- */

static void add_records(struct made *m, struct prng *p, size_t n)
{
    uint64_t numbers[MADE_PRODUCERS] = {0};

    for (size_t i = 0; i < n; i++) {
        struct made_record *r = array_push(&m->records);
        uint64_t fate = prng_below(p, 40);
        *r = (struct made_record){.producer = (int)prng_below(p, MADE_PRODUCERS),
                .partition = (int)prng_below(p, MADE_PARTITIONS),
                .hash = prng_u64(p),
                .outcome = fate == 0  ? 'f'
                           : fate < 4 ? 'i'
                                      : 'o',
                .offset = -1,
                .acked = -1};
        r->number = numbers[r->producer]++;
        if (r->outcome == 'o' || fate == 2) {
            r->offset = m->ends[r->partition]++;
        }
        r->acked = r->outcome == 'o' ? r->offset : -1;
    }
}

static void add_reads(struct made *m, struct prng *p)
{
    for (int c = 0; c <= MADE_CONSUMERS; c++) {
        int64_t from[MADE_PARTITIONS] = {0};
        for (int q = 0; c < MADE_CONSUMERS && q < MADE_PARTITIONS; q++) {
            from[q] = m->ends[q] > 0 ? (int64_t)prng_below(p, (uint64_t)m->ends[q]) : 0;
        }
        for (size_t i = 0; i < m->records.n; i++) {
            const struct made_record *r = &m->records.items[i];
            if (r->offset >= from[r->partition]) {
                *array_push(&m->reads) = (struct made_read){
                        .consumer = c, .record = i, .offset = r->offset, .hash = r->hash};
            }
        }
    }
}

static void add_listings(struct made *m, struct prng *p)
{
    int64_t ends[MADE_PARTITIONS] = {0};

    for (size_t i = 0; i < m->records.n; i++) {
        const struct made_record *r = &m->records.items[i];
        ends[r->partition] += r->offset >= 0 ? 1 : 0;
        if (prng_below(p, 10) == 0) {
            int q = (int)prng_below(p, MADE_PARTITIONS);
            *array_push(&m->listings) =
                    (struct made_listing){.producer = (int)prng_below(p, MADE_PRODUCERS),
                            .partition = q,
                            .after = i + 1,
                            .end = ends[q]};
        }
    }
}

void made_init(struct made *m, uint64_t seed, size_t n_records)
{
    struct prng p;

    *m = (struct made){.has_final = true};
    prng_init(&p, seed);
    add_records(m, &p, n_records);
    add_reads(m, &p);
    add_listings(m, &p);
}

void made_deinit(struct made *m)
{
    array_deinit(&m->records);
    array_deinit(&m->reads);
    array_deinit(&m->listings);
}

size_t made_at(const struct made *m, int partition, int64_t offset)
{
    for (size_t i = 0; i < m->records.n; i++) {
        if (m->records.items[i].partition == partition && m->records.items[i].offset == offset) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t made_pick(const struct made *m, uint64_t n)
{
    for (size_t round = 0;; round++) {
        size_t i = (size_t)((n + round) % m->records.n);
        const struct made_record *r = &m->records.items[i];
        if (r->outcome == 'o' && r->offset > 2 && r->offset + 3 < m->ends[r->partition]) {
            return i;
        }
    }
}

/* --- As lines --------------------------------------------------------------------------------- */

enum {
    IN_FLIGHT = 4 /* records whose end comes later than the sending of others */
};

struct writing {
    const struct made *m;
    struct history_writer w;
    struct buf *out;
    int only;
    int64_t t;
};

static void flush_line(struct writing *x, int process)
{
    history_line_end(&x->w);
    if (x->only < 0 || x->only == process) {
        buf_append(x->out, x->w.line.data, x->w.line.size);
    }
}

static const char *send_of(
        const struct made_record *r, char text[static 64], struct history_send *s)
{
    (void)snprintf(text, 64, "p%d-%llu", r->producer, (unsigned long long)r->number);
    *s = (struct history_send){.topic = "made", .value = text, .partition = r->partition};
    return text;
}

static void begin_send(struct writing *x, const struct made_record *r)
{
    char text[64];
    struct history_send s;

    (void)send_of(r, text, &s);
    history_write_invoke(&x->w, r->producer, x->t++, &s, r->hash);
    if (x->only < 0 || x->only == r->producer) {
        buf_append(x->out, x->w.line.data, x->w.line.size);
    }
}

static void end_send(struct writing *x, const struct made_record *r)
{
    char text[64];
    struct history_send s;

    (void)send_of(r, text, &s);
    if (r->outcome == 'o') {
        history_write_acked(&x->w, r->producer, x->t++, &s, r->acked);
    } else if (r->outcome == 'f') {
        history_write_not_acked(&x->w, r->producer, x->t++, &s, true);
    } else if (r->number % 2 == 0) { /* of the others nothing is heard */
        history_write_not_acked(&x->w, r->producer, x->t++, &s, false);
    } else {
        return;
    }
    if (x->only < 0 || x->only == r->producer) {
        buf_append(x->out, x->w.line.data, x->w.line.size);
    }
}

static void write_listing(struct writing *x, const struct made_listing *l)
{
    history_line(&x->w, l->producer, x->t++, "invoke", "list_offsets");
    buf_append_str(&x->w.line, "null");
    flush_line(x, l->producer);
    history_line(&x->w, l->producer, x->t++, "ok", "list_offsets");
    buf_append_str(&x->w.line, "[");
    history_item(&x->w, "made", l->partition);
    buf_append_format(&x->w.line, ",%lld]]", (long long)l->end);
    flush_line(x, l->producer);
}

static void write_sends(struct writing *x)
{
    const struct made *m = x->m;
    size_t listed = 0;

    for (size_t i = 0; i < m->records.n + IN_FLIGHT; i++) {
        if (i < m->records.n) {
            begin_send(x, &m->records.items[i]);
        }
        if (i >= IN_FLIGHT) {
            end_send(x, &m->records.items[i - IN_FLIGHT]);
        }
        for (; i >= IN_FLIGHT && listed < m->listings.n &&
                m->listings.items[listed].after <= i - IN_FLIGHT + 1;
                listed++) {
            write_listing(x, &m->listings.items[listed]);
        }
    }
}

/* Consumers say where they begin: the first offset that they read of each partition. */
static void write_assign(struct writing *x, int consumer)
{
    const struct made *m = x->m;
    int process = MADE_PRODUCERS + consumer;

    history_line(&x->w, process, x->t++, "ok", "assign");
    buf_append_str(&x->w.line, "[");
    for (int q = 0; q < MADE_PARTITIONS; q++) {
        int64_t first = -1;
        for (size_t i = 0; i < m->reads.n && first < 0; i++) {
            const struct made_read *r = &m->reads.items[i];
            first = r->consumer == consumer && m->records.items[r->record].partition == q
                            ? r->offset
                            : -1;
        }
        history_item(&x->w, "made", q);
        buf_append_format(&x->w.line, ",%lld]", (long long)(first < 0 ? m->ends[q] : first));
    }
    buf_append_str(&x->w.line, "]");
    flush_line(x, process);
}

static void write_reads(struct writing *x, int consumer)
{
    const struct made *m = x->m;
    int process = MADE_PRODUCERS + consumer;
    char text[64];
    struct history_send s;

    write_assign(x, consumer);
    for (size_t i = 0; i < m->reads.n; i++) {
        const struct made_read *r = &m->reads.items[i];
        if (r->consumer != consumer || r->is_left_out) {
            continue;
        }
        const struct made_record *record = &m->records.items[r->record];
        history_line(&x->w, process, x->t++, "ok", "poll");
        buf_append_str(&x->w.line, "[");
        history_item(&x->w, "made", record->partition);
        buf_append_str(&x->w.line, ",[");
        history_record(&x->w, r->offset, send_of(record, text, &s), r->hash);
        buf_append_str(&x->w.line, "]]]");
        flush_line(x, process);
    }
}

static void write_final(struct writing *x)
{
    const struct made *m = x->m;
    int process = MADE_PRODUCERS + MADE_CONSUMERS;

    history_line(&x->w, process, x->t++, "invoke", "final");
    buf_append_str(&x->w.line, "null");
    flush_line(x, process);
    write_reads(x, MADE_CONSUMERS);
    history_line(&x->w, process, x->t++, "ok", "final");
    buf_append_str(&x->w.line, "[");
    for (int q = 0; q < MADE_PARTITIONS; q++) {
        history_item(&x->w, "made", q);
        buf_append_format(&x->w.line, ",0,%lld]", (long long)m->ends[q]);
    }
    buf_append_str(&x->w.line, "]");
    flush_line(x, process);
}

void made_write(const struct made *m, int only, struct buf *out)
{
    struct writing x = {.m = m, .out = out, .only = only, .t = 1000000};

    write_sends(&x);
    for (int c = 0; c < MADE_CONSUMERS; c++) {
        write_reads(&x, c);
    }
    if (m->has_final) {
        write_final(&x);
    }
    history_writer_deinit(&x.w);
}
