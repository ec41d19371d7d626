/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/producers.h"

#include "common/base/crc.h"
#include "common/base/prng.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"

#define PRODUCERS(name) __attribute__((cleanup(producers_deinit))) struct producers name = {0}

static struct producers_batch batch(int64_t id, int16_t epoch, int32_t first, int32_t n)
{
    return (struct producers_batch){.id = id,
            .epoch = epoch,
            .base_sequence = first,
            .last_delta = n - 1,
            .timestamp = 7000};
}

/* Appends without asking; where it stands. */
static offset64 put(struct producers *p, struct producers_batch b)
{
    b.base = p->end;
    producers_note(p, &b, 1000);
    CHECK(producers_are_sound(p));
    return b.base;
}

static int refusal(const struct producers *p, struct producers_batch b)
{
    struct producers_verdict v = producers_check(p, &b);

    CHECK_EQ(v.kind, PRODUCERS_REFUSED);
    CHECK(v.detail[0] != '\0');
    return v.error;
}

static void append(struct producers *p, struct producers_batch b)
{
    CHECK_EQ(producers_check(p, &b).kind, PRODUCERS_APPEND);
    (void)put(p, b);
}

static offset64 original(const struct producers *p, struct producers_batch b)
{
    struct producers_verdict v = producers_check(p, &b);

    CHECK_EQ(v.kind, PRODUCERS_DUPLICATE);
    CHECK_EQ(v.last, v.base + b.last_delta);
    CHECK_EQ(v.timestamp, 7000);
    return v.base;
}

static void who_has_no_id_is_not_looked_at(void) /* [PID-10] */
{
    PRODUCERS(p);

    append(&p, batch(-1, -1, -1, 3));
    append(&p, batch(-1, -1, -1, 3));
    CHECK_EQ(p.known.n, 0);
    CHECK_EQ(p.end, 6);
    CHECK(p.known.items == NULL); /* nobody known costs no memory */
}

static void what_cannot_be_is_refused_clearly(void) /* [PID-10] */
{
    struct producers_batch control = batch(1, 0, 0, 1), transactional = batch(1, 0, 0, 1);
    PRODUCERS(p);

    control.is_control = true;
    transactional.is_transactional = true;
    CHECK_EQ(refusal(&p, control), ERRCODE_INVALID_RECORD);
    CHECK_EQ(refusal(&p, transactional), ERRCODE_INVALID_RECORD);
    CHECK(strstr(producers_check(&p, &transactional).detail, "transaction") != NULL);
    CHECK_EQ(refusal(&p, batch(-2, 0, 0, 1)), ERRCODE_INVALID_RECORD);
    CHECK_EQ(refusal(&p, batch(1, -1, 0, 1)), ERRCODE_INVALID_RECORD);
    CHECK_EQ(refusal(&p, batch(1, 0, -1, 1)), ERRCODE_INVALID_RECORD);
}

static void unknown_producer_begins_anywhere(void) /* [PID-11] */
{
    PRODUCERS(p);

    append(&p, batch(5, 3, 400, 10));
    append(&p, batch(5, 3, 410, 1));
    CHECK_EQ(refusal(&p, batch(5, 3, 0, 1)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void older_epoch_is_fenced(void) /* [PID-12] */
{
    PRODUCERS(p);

    append(&p, batch(5, 3, 0, 10));
    CHECK_EQ(refusal(&p, batch(5, 2, 10, 1)), ERRCODE_INVALID_PRODUCER_EPOCH);
    CHECK_EQ(refusal(&p, batch(5, 2, 0, 10)), ERRCODE_INVALID_PRODUCER_EPOCH);
}

static void newer_epoch_begins_with_sequence_0(void) /* [PID-13] */
{
    PRODUCERS(p);

    append(&p, batch(5, 3, 0, 10));
    CHECK_EQ(refusal(&p, batch(5, 4, 10, 1)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&p, batch(5, 4, 0, 4));
    CHECK_EQ(producers_find(&p, 5)->n, 1); /* those of the former epoch are forgotten */
    append(&p, batch(5, 4, 4, 4));
    CHECK_EQ(refusal(&p, batch(5, 3, 0, 10)), ERRCODE_INVALID_PRODUCER_EPOCH);
}

static void repeat_of_one_of_the_last_five_gives_the_original(void) /* [PID-14] */
{
    PRODUCERS(p);

    append(&p, batch(-1, -1, -1, 100));
    for (int32_t i = 0; i < 7; i++) {
        append(&p, batch(5, 0, i * 10, 10));
        append(&p, batch(6, 0, i, 1)); /* in between */
    }
    for (int32_t i = 2; i < 7; i++) {
        CHECK_EQ(original(&p, batch(5, 0, i * 10, 10)), 100 + i * 11);
    }
    CHECK_EQ(refusal(&p, batch(5, 0, 10, 10)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK(strstr(producers_check(&p, &(struct producers_batch){.id = 5, .base_sequence = 10})
                          .detail,
                  "older") != NULL);
}

static void gap_and_partial_repeat_are_refused(void) /* [PID-15] */
{
    PRODUCERS(p);

    append(&p, batch(5, 0, 0, 10));
    CHECK_EQ(refusal(&p, batch(5, 0, 11, 1)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK(strstr(producers_check(&p, &(struct producers_batch){.id = 5, .base_sequence = 11})
                          .detail,
                  "not received") != NULL);
    CHECK_EQ(refusal(&p, batch(5, 0, 0, 9)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(refusal(&p, batch(5, 0, 0, 11)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(refusal(&p, batch(5, 0, 5, 10)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&p, batch(5, 0, 10, 1));
}

static void after_the_greatest_sequence_comes_0(void) /* [PID-15] */
{
    PRODUCERS(p);

    append(&p, batch(5, 0, INT32_MAX - 9, 10));
    append(&p, batch(5, 0, 0, 10));
    append(&p, batch(6, 0, INT32_MAX - 3, 10)); /* one batch across */
    CHECK_EQ(refusal(&p, batch(6, 0, 5, 1)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&p, batch(6, 0, 6, 1));
    CHECK_EQ(original(&p, batch(6, 0, INT32_MAX - 3, 10)), 20);
    CHECK_EQ(original(&p, batch(5, 0, INT32_MAX - 9, 10)), 0);
}

static void what_stands_in_the_log_counts_unchecked(void) /* [PID-16] */
{
    struct producers_batch marker = batch(5, 2, -1, 1);
    PRODUCERS(p);

    (void)put(&p, batch(5, 0, 0, 10));
    (void)put(&p, batch(5, 0, 50, 10)); /* a cleaned log may lack what was between */
    append(&p, batch(5, 0, 60, 1));
    (void)put(&p, batch(5, -1, -1, 1)); /* no leader takes that: it has no part in the state */
    CHECK_EQ(producers_find(&p, 5)->epoch, 0);
    marker.is_control = true; /* as an aborting coordinator writes it */
    (void)put(&p, marker);
    CHECK_EQ(producers_find(&p, 5)->epoch, 2);
    CHECK_EQ(refusal(&p, batch(5, 0, 61, 1)), ERRCODE_INVALID_PRODUCER_EPOCH);
    CHECK_EQ(refusal(&p, batch(5, 2, 61, 1)), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&p, batch(5, 2, 0, 1));
}

static void silent_producer_is_forgotten(void) /* [PID-17] */
{
    struct producers_batch b = batch(5, 0, 0, 1);
    PRODUCERS(p);

    b.timestamp = 0; /* the records' time has no say: old records may be written now */
    producers_note(&p, &b, 1000);
    b = batch(6, 0, 0, 1);
    b.base = 1;
    producers_note(&p, &b, 1500);
    CHECK_EQ(producers_expire(&p, 1999, 1000), 0);
    CHECK_EQ(producers_expire(&p, 500, 1000), 0); /* a clock that was put back */
    CHECK_EQ(producers_expire(&p, 2000, 1000), 1);
    CHECK(producers_find(&p, 5) == NULL);
    append(&p, batch(5, 0, 77, 1));
    CHECK_EQ(producers_expire(&p, 99999, 1000), 2);
    CHECK(p.known.items == NULL);
}

static void a_cut_that_took_part_of_the_state_says_so(void) /* [PID-18] */
{
    PRODUCERS(p);

    (void)put(&p, batch(5, 0, 0, 10));
    (void)put(&p, batch(-1, -1, -1, 10));
    CHECK(producers_truncate(&p, 30));
    CHECK_EQ(p.end, 20);
    CHECK(producers_truncate(&p, 15));
    CHECK_EQ(p.end, 15);
    CHECK(producers_truncate(&p, 10));
    CHECK_EQ(original(&p, batch(5, 0, 0, 10)), 0);
    CHECK(!producers_truncate(&p, 9));
    CHECK_EQ(p.known.n, 0);
    CHECK_EQ(p.end, 0);
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void decode(const struct buf *b, int want, struct producers *ret)
{
    CHECK_EQ(producers_decode((struct bytes){b->data, b->size}, ret), want);
}

static void same(const struct producers *a, const struct producers *b)
{
    struct buf x = {0}, y = {0};

    producers_encode(a, &x);
    producers_encode(b, &y);
    CHECK_EQ(x.size, y.size);
    CHECK_MEM(x.data, y.data, x.size);
    buf_deinit(&x);
    buf_deinit(&y);
}

static void snapshot_gives_the_state_back(void) /* [PID-31] */
{
    struct buf b = {0};
    PRODUCERS(p);
    PRODUCERS(q);
    PRODUCERS(none);

    producers_encode(&none, &b);
    decode(&b, 0, &q);
    CHECK_EQ(q.known.n, 0);
    buf_clear(&b);
    for (int i = 0; i < 40; i++) {
        (void)put(&p, batch((i * 7) % 11, 0, i, 2));
    }
    producers_encode(&p, &b);
    decode(&b, 0, &q);
    same(&p, &q);
    buf_deinit(&b);
}

static void any_flipped_bit_is_noticed(void) /* [PID-31] */
{
    struct buf b = {0};
    PRODUCERS(p);
    PRODUCERS(q);

    (void)put(&p, batch(5, 0, 0, 10));
    (void)put(&p, batch(6, 1, 3, 4));
    producers_encode(&p, &b);
    for (size_t bit = 0; bit < b.size * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        decode(&b, PRODUCERS_E_DAMAGED, &q);
        b.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t size = 0; size < b.size; size++) {
        CHECK_EQ(producers_decode((struct bytes){b.data, size}, &q), PRODUCERS_E_DAMAGED);
    }
    buf_deinit(&b);
}

static void seal(struct buf *b)
{
    store_be32(b->data + b->size - 4, crc32c(0, b->data, b->size - 4));
}

static void forged_content_is_not_believed(void) /* [PID-31] */
{
    struct buf b = {0};
    PRODUCERS(p);
    PRODUCERS(q);

    (void)put(&p, batch(5, 0, 0, 10));
    producers_encode(&p, &b);
    b.data[11] = 2; /* version */
    seal(&b);
    decode(&b, PRODUCERS_E_VERSION, &q);
    b.data[11] = 1;
    store_be32(b.data + 20, UINT32_MAX); /* how many */
    seal(&b);
    decode(&b, PRODUCERS_E_DAMAGED, &q);
    store_be32(b.data + 20, 1);
    b.data[34] = PRODUCERS_BATCHES + 1; /* batches */
    seal(&b);
    decode(&b, PRODUCERS_E_DAMAGED, &q);
    b.data[34] = 1;
    store_be64(b.data + 12, 9); /* the end lies below a batch */
    seal(&b);
    decode(&b, PRODUCERS_E_DAMAGED, &q);
    store_be64(b.data + 12, 10);
    seal(&b);
    decode(&b, 0, &q);
    buf_deinit(&b);
}

/* --- Against a plain model -------------------------------------------------------------------- */

enum {
    IDS = 6,
    HISTORY = 4000
};

/* The whole log, as a list. */
struct model {
    struct producers_batch log[HISTORY];
    wall_ms at[HISTORY];
    size_t n;
    bool is_forgotten[HISTORY]; /* of producers that expired since */
};

static bool counts(const struct model *m, size_t i, int64_t id)
{
    return m->log[i].id == id && !m->is_forgotten[i];
}

/* What the rules say, by looking through the log from its end. */
static struct producers_verdict expect(const struct model *m, const struct producers_batch *b)
{
    struct producers_verdict v = {.kind = PRODUCERS_APPEND};
    int64_t next = -1;
    int n_seen = 0;

    for (size_t i = m->n; b->id >= 0 && i > 0 && n_seen < PRODUCERS_BATCHES; i--) {
        const struct producers_batch *k = &m->log[i - 1];
        if (!counts(m, i - 1, b->id)) {
            continue;
        }
        if (n_seen == 0 && b->epoch != k->epoch) {
            bool is_fenced = b->epoch < k->epoch;
            if (is_fenced || b->base_sequence != 0) {
                v.kind = PRODUCERS_REFUSED;
                v.error = is_fenced ? ERRCODE_INVALID_PRODUCER_EPOCH
                                    : ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
            }
            return v;
        }
        if (k->epoch != b->epoch) {
            break;
        }
        if (n_seen++ == 0) {
            next = ((int64_t)k->base_sequence + k->last_delta + 1) % ((int64_t)INT32_MAX + 1);
        }
        if (k->base_sequence == b->base_sequence && k->last_delta == b->last_delta) {
            v.kind = PRODUCERS_DUPLICATE;
            v.base = k->base;
            v.last = k->base + k->last_delta;
            v.timestamp = k->timestamp;
            return v;
        }
    }
    if (next >= 0 && b->base_sequence != next) {
        v.kind = PRODUCERS_REFUSED;
        v.error = ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    return v;
}

/* Mostly what a client might send: the next one, an earlier one again, and a little nonsense. */
static struct producers_batch make(const struct model *m, struct prng *r)
{
    struct producers_batch b = batch((int64_t)prng_below(r, IDS) - 1, 0,
            INT32_MAX - (int32_t)prng_below(r, 40), 1 + (int32_t)prng_below(r, 9));
    size_t back = 0;

    if (b.id == -1) {
        b.epoch = -1;
        b.base_sequence = -1;
        return b;
    }
    for (size_t i = m->n; i > 0; i--) {
        const struct producers_batch *k = &m->log[i - 1];
        if (!counts(m, i - 1, b.id)) {
            continue;
        }
        if (back == 0) {
            b.epoch = k->epoch;
            b.base_sequence =
                    (int32_t)(((int64_t)k->base_sequence + k->last_delta + 1) & INT32_MAX);
            back = prng_below(r, 3) == 0 ? 1 + prng_below(r, 8) : SIZE_MAX;
        }
        if (--back == 0) {
            b.base_sequence = k->base_sequence;
            b.last_delta = prng_below(r, 5) == 0 ? b.last_delta : k->last_delta;
            break;
        }
    }
    switch (prng_below(r, 20)) {
    case 0: b.base_sequence = (int32_t)prng_below(r, 30); break;
    case 1: b.epoch = (int16_t)(b.epoch + 1); break;
    case 2:
        b.epoch = (int16_t)(b.epoch + 1);
        b.base_sequence = 0;
        break;
    case 3: b.epoch = b.epoch > 0 ? (int16_t)(b.epoch - 1) : b.epoch; break;
    default: break;
    }
    return b;
}

static void forget(struct model *m, struct producers *p, wall_ms now, int64_t ttl)
{
    size_t n = producers_expire(p, now, ttl), n_expected = 0;

    for (int64_t id = 0; id < IDS; id++) {
        wall_ms last = -1;
        for (size_t i = 0; i < m->n; i++) {
            last = counts(m, i, id) ? m->at[i] : last;
        }
        if (last < 0 || now - last < ttl) {
            continue;
        }
        n_expected++;
        for (size_t i = 0; i < m->n; i++) {
            m->is_forgotten[i] = m->is_forgotten[i] || m->log[i].id == id;
        }
    }
    CHECK_EQ(n, n_expected);
}

/* A snapshot taken at some time and what was appended since give the same state. */
static void rebuild(const struct model *m, const struct producers *p, const struct buf *snapshot)
{
    PRODUCERS(q);

    decode(snapshot, 0, &q);
    for (size_t i = 0; i < m->n; i++) {
        if (m->log[i].base >= q.end) {
            producers_note(&q, &m->log[i], m->at[i]);
        }
    }
    same(p, &q);
}

static void cut(struct model *m, struct producers *p, offset64 end)
{
    while (m->n > 0 && m->log[m->n - 1].base + m->log[m->n - 1].last_delta >= end) {
        m->n--;
    }
    if (!producers_truncate(p, end)) {
        for (size_t i = 0; i < m->n; i++) {
            if (!m->is_forgotten[i]) {
                producers_note(p, &m->log[i], m->at[i]);
            }
        }
    }
}

static void step(struct model *m, struct producers *p, struct prng *r, wall_ms now)
{
    struct producers_batch b = make(m, r);
    struct producers_verdict got = producers_check(p, &b), want = expect(m, &b);

    CHECK_EQ(got.kind, want.kind);
    CHECK_EQ(got.error, want.error);
    if (got.kind == PRODUCERS_DUPLICATE) {
        CHECK_EQ(got.base, want.base);
        CHECK_EQ(got.last, want.last);
        CHECK_EQ(got.timestamp, want.timestamp);
    }
    if (got.kind == PRODUCERS_APPEND) {
        b.base = p->end + (offset64)(prng_below(r, 10) == 0); /* a cleaned log has holes */
        b.timestamp = (wall_ms)prng_below(r, 10000);
        producers_note(p, &b, now);
        m->at[m->n] = now;
        m->is_forgotten[m->n] = false;
        m->log[m->n++] = b;
    }
    CHECK(producers_are_sound(p));
}

static void any_history_is_judged_as_by_looking_through_the_log(void) /* [PID-30] */
{
    static struct model m;
    struct prng r;

    prng_init(&r, check_seed());
    for (int round = 0; round < 60; round++) {
        struct buf snapshot = {0};
        PRODUCERS(p);
        wall_ms now = 1000;

        m.n = 0;
        producers_encode(&p, &snapshot);
        while (m.n < 300) {
            now += (wall_ms)prng_below(&r, 20);
            step(&m, &p, &r, now);
            if (prng_below(&r, 60) == 0) {
                buf_clear(&snapshot);
                producers_encode(&p, &snapshot);
            } else if (prng_below(&r, 60) == 0 && round % 3 == 0) {
                forget(&m, &p, now, 300);
                buf_clear(&snapshot);
                producers_encode(&p, &snapshot);
            } else if (prng_below(&r, 60) == 0 && round % 3 == 1) {
                cut(&m, &p, p.end - (offset64)prng_below(&r, 60));
                buf_clear(&snapshot);
                producers_encode(&p, &snapshot);
            }
        }
        rebuild(&m, &p, &snapshot);
        buf_deinit(&snapshot);
    }
}

static const struct check_case cases[] = {
        CASE(who_has_no_id_is_not_looked_at),
        CASE(what_cannot_be_is_refused_clearly),
        CASE(unknown_producer_begins_anywhere),
        CASE(older_epoch_is_fenced),
        CASE(newer_epoch_begins_with_sequence_0),
        CASE(repeat_of_one_of_the_last_five_gives_the_original),
        CASE(gap_and_partial_repeat_are_refused),
        CASE(after_the_greatest_sequence_comes_0),
        CASE(what_stands_in_the_log_counts_unchecked),
        CASE(silent_producer_is_forgotten),
        CASE(a_cut_that_took_part_of_the_state_says_so),
        CASE(snapshot_gives_the_state_back),
        CASE(any_flipped_bit_is_noticed),
        CASE(forged_content_is_not_believed),
        CASE(any_history_is_judged_as_by_looking_through_the_log),
};
CHECK_MAIN("producers", cases)
