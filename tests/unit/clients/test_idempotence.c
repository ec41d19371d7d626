/* SPDX-License-Identifier: Apache-2.0 */
/* The accumulator against brokers that keep Kafka's rules of sequences, over a network that loses, delays and repeats:
 * nothing that was acknowledged is lost, nothing is there twice, nothing changes places. */
#include "clients/core/accumulator.h"
#include "common/base/array.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PARTS = 2,
    BROKERS = 3,
    BATCHES = 60, /* a history */
    HISTORIES = 4000,
    TRY_MAX = 400,
};

/* --- Brokers --------------------------------------------------------------------------------- */

/* One written batch. */
struct entry {
    int batch;
    int64_t pid;
    int16_t epoch;
    int32_t first, n;
    offset64 base;
};

/* A partition as all its replicas have it; what is not committed may be cut when the leader changes. */
struct log {
    ARRAY(struct entry) entries;
    size_t n_committed;
    broker_id leader;
};

static offset64 log_end(const struct log *l)
{
    const struct entry *last = l->entries.n > 0 ? &l->entries.items[l->entries.n - 1] : NULL;

    return last != NULL ? last->base + last->n : 0;
}

/* Kafka's rule: the last five batches of a producer are known again, the next must follow, a new epoch begins at 0, and
 * of whom nothing is known everything is taken. */
static int log_produce(struct log *l, const struct entry *in, offset64 *ret_base)
{
    const struct entry *last = NULL;
    int n_seen = 0;

    for (size_t i = l->entries.n; i > 0; i--) {
        const struct entry *e = &l->entries.items[i - 1];
        if (e->pid != in->pid) {
            continue;
        }
        last = last != NULL ? last : e;
        if (e->epoch == in->epoch && e->first == in->first && e->n == in->n && n_seen < 5) {
            *ret_base = e->base;
            return ERRCODE_NONE;
        }
        n_seen++;
    }
    if (last != NULL && in->epoch < last->epoch) {
        return ERRCODE_INVALID_PRODUCER_EPOCH;
    }
    if (last != NULL && in->epoch > last->epoch && in->first != 0) {
        return ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    if (last != NULL && in->epoch == last->epoch &&
            (int32_t)(((uint32_t)last->first + (uint32_t)last->n) & INT32_MAX) != in->first) {
        return ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    *ret_base = log_end(l);
    struct entry *e = array_push(&l->entries);
    *e = *in;
    e->base = *ret_base;
    return ERRCODE_NONE;
}

/* --- The world ------------------------------------------------------------------------------- */

/* A request on its way, or (is_written) waiting for its commit. */
struct message {
    struct entry what;
    int part;
    broker_id to;
    uint64_t connection; /* nobody waits for an answer when it is not the broker's present one */
    bool is_written;
    offset64 base;
};

struct sent {
    struct acc_batch acc;
    int part;
    int n_records;
    bool is_refused; /* too large: whatever happens */
    bool has_ended;
    enum outcome outcome;
    offset64 base;
};

static struct acc acc;
static struct acc_partition parts[PARTS];
static struct log logs[PARTS];
static struct sent sent[BATCHES];
static int n_sent;
static ARRAY(struct message) wire; /* in the order of sending */
static uint64_t connections[BROKERS];
static struct prng prng;
static wtime now;
static bool is_calm;

static bool chance(unsigned percent)
{
    return !is_calm && prng_below(&prng, 100) < percent;
}

static struct sent *sent_of(struct acc_batch *b)
{
    return container_of(b, struct sent, acc);
}

static void end(struct sent *s, enum outcome outcome, offset64 base)
{
    CHECK(!s->has_ended);
    s->has_ended = true;
    s->outcome = outcome;
    s->base = base;
}

static void finish(struct sent *s, enum try_end how, int code, offset64 base)
{
    struct try_result r = {.end = how, .code = code, .base_offset = base};

    switch (acc_finish(&acc, &s->acc, &r, now)) {
    case ACC_DELIVERED: end(s, OUTCOME_PERSISTED, base); break;
    case ACC_FAILED: end(s, acc_outcome(&s->acc), OFFSET_NONE); break;
    case ACC_RETRY: break;
    }
    CHECK(acc_check(&acc));
}

/* The client's connection to a broker breaks. What is under way arrives later, or never. */
static void break_connection(broker_id to)
{
    uint64_t old = connections[to]++;

    for (size_t i = 0; i < wire.n; i++) {
        struct message m = wire.items[i];
        if (m.to == to && m.connection == old) {
            finish(&sent[m.what.batch], TRY_LOST, ERRCODE_NETWORK_EXCEPTION, OFFSET_NONE);
        }
    }
    for (size_t i = wire.n; i > 0; i--) {
        if (wire.items[i - 1].to == to && wire.items[i - 1].connection == old && chance(60)) {
            array_remove(&wire, i - 1);
        }
    }
}

static void answer(const struct message *m, int code, offset64 base)
{
    if (m->connection == connections[m->to]) {
        finish(&sent[m->what.batch], TRY_ANSWERED, code, base);
    }
}

/* A message reaches its broker: refused, or written and (later) committed. True: it is gone from the wire. */
static bool arrive(struct message *m)
{
    struct log *l = &logs[m->part];
    offset64 base = OFFSET_NONE;
    int code = l->leader != m->to               ? ERRCODE_NOT_LEADER_OR_FOLLOWER
               : sent[m->what.batch].is_refused ? ERRCODE_MESSAGE_TOO_LARGE
               : chance(8)                      ? ERRCODE_NOT_ENOUGH_REPLICAS
                                                : ERRCODE_NONE;

    if (code == ERRCODE_NONE) {
        code = log_produce(l, &m->what, &base);
    }
    if (code != ERRCODE_NONE) {
        answer(m, code, OFFSET_NONE);
        return true;
    }
    m->is_written = true;
    m->base = base;
    return false;
}

static bool is_committed(const struct message *m)
{
    const struct log *l = &logs[m->part];

    return l->n_committed == l->entries.n || m->base < l->entries.items[l->n_committed].base;
}

/* The oldest message of a random connection moves on. */
static void move_wire(void)
{
    size_t start = wire.n > 0 ? (size_t)prng_below(&prng, wire.n) : 0;

    for (size_t i = 0; i < wire.n;
            i++) { /* the first of that connection: requests keep their order */
        struct message *m = &wire.items[i];
        if (m->to != wire.items[start].to || m->connection != wire.items[start].connection) {
            continue;
        }
        if (!m->is_written) {
            if (arrive(m)) {
                array_remove(&wire, (size_t)(m - wire.items));
            }
            return;
        }
        if (is_committed(m) ||
                chance(5)) { /* an answer overtakes nothing that was written before it */
            struct message done = *m;
            int code = is_committed(m) ? ERRCODE_NONE
                       : chance(50)    ? ERRCODE_REQUEST_TIMED_OUT
                                       : ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
            array_remove(&wire, i);
            answer(&done, code, code == ERRCODE_NONE ? done.base : OFFSET_NONE);
            return;
        }
    }
}

static void commit(struct log *l)
{
    if (l->n_committed < l->entries.n) {
        l->n_committed++;
    }
}

/* A leader that goes loses what was not committed, or hands it over. */
static void change_leader(int part)
{
    struct log *l = &logs[part];
    broker_id old = l->leader;
    size_t kept = l->n_committed + (size_t)prng_below(&prng, l->entries.n - l->n_committed + 1);

    for (size_t i = wire.n; i > 0; i--) { /* the old leader's waiting answers */
        struct message m = wire.items[i - 1];
        if (m.part == part && m.to == old && m.is_written) {
            array_remove(&wire, i - 1);
            answer(&m, ERRCODE_NOT_LEADER_OR_FOLLOWER, m.base);
        }
    }
    l->entries.n = kept;
    l->leader = (broker_id)prng_below(&prng, BROKERS);
}

static void send_all(void)
{
    struct acc_batch *taken[PARTS];

    for (broker_id to = 0; to < BROKERS; to++) {
        (void)acc_sift(&acc, now);
        size_t n = acc_take(&acc, to, taken, PARTS);
        CHECK(acc_check(&acc));
        for (size_t i = 0; i < n; i++) {
            struct sent *s = sent_of(taken[i]);
            struct message m = {.part = s->part, .to = to, .connection = connections[to]};
            CHECK(s->acc.mark.is_set);
            m.what = (struct entry){.batch = (int)(s - sent),
                    .pid = s->acc.mark.producer_id,
                    .epoch = s->acc.mark.epoch,
                    .first = s->acc.mark.first,
                    .n = s->n_records};
            if (chance(5)) {
                finish(s, TRY_NEVER_SENT, ERRCODE_NETWORK_EXCEPTION, OFFSET_NONE);
            } else {
                *array_push(&wire) = m;
            }
        }
    }
}

static void produce(void)
{
    struct sent *s = &sent[n_sent];

    s->part = (int)prng_below(&prng, PARTS);
    s->n_records = 1 + (int)prng_below(&prng, 3);
    s->is_refused = chance(4);
    acc_open(&acc, &parts[s->part], &s->acc, 61, now);
    for (int i = 0; i < s->n_records; i++) {
        (void)acc_add_record(&acc, &s->acc, 300);
    }
    s->acc.is_sealed = true;
    n_sent++;
}

static void turn(void)
{
    struct acc_batch *b = NULL;

    now += (wtime)prng_below(&prng, is_calm ? 200 : 60);
    if (acc.wants_id && (is_calm || chance(30))) {
        struct seq_id id = {.producer_id = acc.id.producer_id + 1 + (int64_t)prng_below(&prng, 5)};
        acc_set_id(&acc, &id);
    }
    if (n_sent < BATCHES && (is_calm || chance(50))) {
        produce();
    }
    for (int p = 0; p < PARTS; p++) {
        if (chance(3)) {
            change_leader(p);
        }
        if (is_calm || chance(30)) {
            (void)acc_set_leader(&acc, &parts[p], logs[p].leader);
        }
        if (is_calm || chance(60)) {
            commit(&logs[p]);
        }
    }
    if (chance(4)) {
        break_connection((broker_id)prng_below(&prng, BROKERS));
    }
    while ((b = acc_expire(&acc, now)) != NULL) {
        end(sent_of(b), acc_outcome(b), OFFSET_NONE);
        CHECK(acc_check(&acc));
    }
    send_all();
    for (uint64_t n = prng_below(&prng, 4); n > 0; n--) {
        move_wire();
    }
}

static void start(uint64_t seed)
{
    struct acc_settings s = {.batch_size = 1000,
            .request_size = 2000,
            .memory = 1 << 30,
            .retry_backoff = 50,
            .retry_backoff_max = 400,
            .retries = UINT32_MAX,
            .partition_in_flight = SEQ_WINDOW,
            .is_idempotent = true};

    prng_init(&prng, seed);
    s.delivery_timeout = 500 + (wtime)prng_below(&prng, 5000);
    acc_init(&acc, &s, seed);
    now = 1;
    n_sent = 0;
    is_calm = false;
    array_clear(&wire);
    memset(sent, 0, sizeof(sent));
    for (int p = 0; p < PARTS; p++) {
        acc_partition_init(&parts[p]);
        array_clear(&logs[p].entries);
        logs[p].n_committed = 0;
        logs[p].leader = (broker_id)prng_below(&prng, BROKERS);
    }
}

/* What the end of a history must look like. */
static void judge(unsigned counts[4])
{
    offset64 end_of[PARTS] = {0};

    for (int i = 0; i < n_sent; i++) {
        const struct sent *s = &sent[i];
        const struct log *l = &logs[s->part];
        const struct entry *found = NULL;
        CHECK(s->has_ended);
        counts[s->outcome]++;
        for (size_t k = 0; k < l->entries.n; k++) {
            if (l->entries.items[k].batch == i) {
                CHECK(found == NULL); /* never twice */
                found = &l->entries.items[k];
            }
        }
        CHECK(s->outcome != OUTCOME_PERSISTED || (found != NULL && found->base == s->base));
        CHECK(s->outcome != OUTCOME_NOT_PERSISTED || found == NULL);
        if (found != NULL) {
            CHECK(found->base >= end_of[s->part]); /* in the order of producing */
            end_of[s->part] = found->base + found->n;
        }
    }
}

static void nothing_is_lost_doubled_or_displaced(
        void) /* [CLI-1] [CLI-2] [CLI-3] [CLI-4] [CLI-5] [CLI-6] [CLI-7] */
{
    const char *more = getenv("WEIR_TEST_SEEDS");
    unsigned long n = more != NULL ? strtoul(more, NULL, 10) : HISTORIES;
    unsigned counts[4] = {0};

    for (unsigned long h = 0; h < n; h++) {
        start(check_seed() + h);
        for (int i = 0; i < 300; i++) {
            turn();
        }
        is_calm = true;
        for (int i = 0; (acc.n_batches > 0 || n_sent < BATCHES) && i < TRY_MAX * 10; i++) {
            turn();
        }
        if (acc.n_batches > 0) {
            check_fail(__FILE__, __LINE__, "history %lu does not come to its end", h);
        }
        for (int i = 0; wire.n > 0 && i < TRY_MAX * 10; i++) { /* what still lies about arrives */
            commit(&logs[0]);
            commit(&logs[1]);
            move_wire();
        }
        judge(counts);
    }
    printf("# %u persisted, %u not persisted, %u unknown\n", counts[OUTCOME_PERSISTED],
            counts[OUTCOME_NOT_PERSISTED], counts[OUTCOME_UNKNOWN]);
    CHECK(counts[OUTCOME_PERSISTED] > 9 * counts[OUTCOME_NOT_PERSISTED]); /* nothing stood still */
}

/* --- Rules one by one ------------------------------------------------------------------------ */

static struct acc_batch *in_flight[BATCHES];
static size_t n_in_flight;

/* A calm world with a producer id and `n` batches of one record in partition 0, as many of them in flight as may be. */
static void calm(int n)
{
    start(1);
    is_calm = true;
    acc.settings.delivery_timeout = WTIME_NEVER;
    acc_set_id(&acc, &(struct seq_id){.producer_id = 7});
    (void)acc_set_leader(&acc, &parts[0], 0);
    for (int i = 0; i < n; i++) {
        sent[i].n_records = 1;
        acc_open(&acc, &parts[0], &sent[i].acc, 61, now);
        (void)acc_add_record(&acc, &sent[i].acc, 300);
        sent[i].acc.is_sealed = true;
    }
    n_sent = n;
    n_in_flight = 0;
}

/* Takes what may go now; how many that are. */
static size_t take(void)
{
    size_t before = n_in_flight;
    size_t n = 0;

    now += 1000;
    do {
        (void)acc_sift(&acc, now);
        n = acc_take(&acc, 0, &in_flight[n_in_flight], 1);
        n_in_flight += n;
        CHECK(acc_check(&acc));
    } while (n > 0);
    return n_in_flight - before;
}

/* The oldest or another that is in flight ends its try. */
static enum acc_verdict answered(size_t i, int code)
{
    struct acc_batch *b = in_flight[i];
    struct try_result r = {
            .end = TRY_ANSWERED, .code = code, .base_offset = code == 0 ? 5 : OFFSET_NONE};

    memmove(&in_flight[i], &in_flight[i + 1], (n_in_flight - i - 1) * sizeof(in_flight[0]));
    n_in_flight--;
    enum acc_verdict v = acc_finish(&acc, b, &r, now);
    CHECK(acc_check(&acc));
    return v;
}

static enum acc_verdict lost(size_t i)
{
    struct acc_batch *b = in_flight[i];
    struct try_result r = {
            .end = TRY_LOST, .code = ERRCODE_NETWORK_EXCEPTION, .base_offset = OFFSET_NONE};

    memmove(&in_flight[i], &in_flight[i + 1], (n_in_flight - i - 1) * sizeof(in_flight[0]));
    n_in_flight--;
    return acc_finish(&acc, b, &r, now);
}

#define CHECK_MARK(i, epoch_, first_)                                                              \
    do {                                                                                           \
        CHECK(sent[i].acc.mark.is_set);                                                            \
        CHECK_EQ(sent[i].acc.mark.epoch, epoch_);                                                  \
        CHECK_EQ(sent[i].acc.mark.first, first_);                                                  \
    } while (0)

/* Proven: the first batch was acknowledged, five more are in flight. */
static void proven(int n)
{
    calm(n);
    CHECK_EQ(take(), 1); /* [CLI-3] */
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), n - 1 < SEQ_WINDOW ? n - 1 : SEQ_WINDOW);
}

static void the_first_goes_alone_then_five_at_a_time(void) /* [CLI-1] [CLI-2] [CLI-3] */
{
    proven(9);
    CHECK_MARK(1, 0, 1);
    CHECK_MARK(5, 0, 5);
    CHECK(!sent[6].acc.mark.is_set);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), 1);
    CHECK_MARK(6, 0, 6);
}

static void the_first_after_a_long_silence_goes_alone(void) /* [CLI-3] */
{
    proven(3);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    for (int i = 3; i < 6; i++) {
        acc_open(&acc, &parts[0], &sent[i].acc, 61, now);
        (void)acc_add_record(&acc, &sent[i].acc, 300);
        sent[i].acc.is_sealed = true;
    }
    now += WTIME_S(SEQ_IDLE_S);
    CHECK_EQ(take(), 1);
    CHECK_MARK(3, 0, 3);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), 2);
}

static void nothing_goes_without_a_producer_id(void) /* [CLI-9] */
{
    calm(2);
    acc.id.producer_id = SEQ_ID_NONE;
    CHECK_EQ(take(), 0);
    CHECK(acc.wants_id);
    acc_set_id(&acc, &(struct seq_id){.producer_id = 9, .epoch = 3});
    CHECK_EQ(take(), 1);
    CHECK_EQ(sent[0].acc.mark.producer_id, 9);
    CHECK_MARK(0, 3, 0);
}

static void who_goes_without_ids_has_one_in_flight_and_no_numbers(void) /* [CLI-9] */
{
    calm(3);
    acc.id.producer_id = SEQ_ID_NONE;
    CHECK_EQ(take(), 0);
    acc_forgo_ids(&acc, 1);
    CHECK_EQ(take(), 1);
    CHECK(!sent[0].acc.mark.is_set);
}

static void a_retry_keeps_its_number_and_waits_until_it_is_the_oldest(void) /* [CLI-1] [CLI-2] */
{
    proven(9);
    CHECK_EQ(answered(2, ERRCODE_NOT_ENOUGH_REPLICAS), ACC_RETRY); /* batch 3 */
    CHECK_EQ(take(), 0);                                           /* nor does anything new go */
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), 0);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), 3); /* it, and then new ones */
    CHECK_MARK(3, 0, 3);
    CHECK_MARK(6, 0, 6);
}

static void a_gap_behind_one_that_is_still_open_is_no_failure(void) /* [CLI-4] */
{
    proven(4);
    acc.settings.retries = 1;
    CHECK_EQ(lost(0), ACC_RETRY);
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK_EQ(sent[2].acc.n_tries, 0);
    for (int i = 1; i < 4; i++) {
        CHECK_EQ(take(), 1);
        CHECK_MARK(i, 0, i);
        CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    }
    CHECK_EQ(acc.n_breaks, 0);
}

static void a_refused_batch_ends_the_run_and_those_behind_it_get_new_numbers(
        void) /* [CLI-5] [CLI-7] */
{
    proven(5);
    CHECK_EQ(answered(0, ERRCODE_MESSAGE_TOO_LARGE), ACC_FAILED); /* batch 1 */
    CHECK_EQ(acc.n_breaks, 1);
    CHECK_EQ(take(), 0);
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK(!sent[2].acc.mark.is_set);
    CHECK_EQ(take(), 0);          /* two are out still */
    CHECK_EQ(lost(0), ACC_RETRY); /* without the first it cannot have been written */
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK_EQ(take(), 1);
    CHECK_MARK(2, 1, 0);
    CHECK_EQ(sent[2].acc.mark.producer_id, 7);
    CHECK_EQ(answered(0, ERRCODE_NONE), ACC_DELIVERED);
    CHECK_EQ(take(), 2);
    CHECK_MARK(3, 1, 1);
    CHECK_MARK(4, 1, 2);
}

static void what_may_be_written_never_gets_another_number(void) /* [CLI-6] */
{
    proven(3);
    CHECK_EQ(lost(0), ACC_RETRY);
    CHECK_EQ(lost(0), ACC_RETRY);
    now += 1000;
    acc.next_expiry = sent[1].acc.deadline = now; /* its time is over, and nobody knows of it */
    struct acc_batch *b = acc_expire(&acc, now);
    CHECK(b == &sent[1].acc);
    CHECK_EQ(acc_outcome(b), OUTCOME_UNKNOWN);
    CHECK_EQ(take(), 1);
    CHECK_MARK(2, 0, 2);
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_FAILED);
    CHECK_EQ(acc_outcome(&sent[2].acc), OUTCOME_UNKNOWN);
}

static void what_was_only_refused_goes_on_behind_a_batch_of_unknown_fate(void) /* [CLI-6] */
{
    proven(4);
    CHECK_EQ(lost(0), ACC_RETRY);
    CHECK_EQ(answered(0, ERRCODE_NOT_ENOUGH_REPLICAS), ACC_RETRY);
    now += 1000;
    acc.next_expiry = sent[1].acc.deadline = now;
    CHECK(acc_expire(&acc, now) == &sent[1].acc);
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY); /* batch 3, behind 2 */
    CHECK_EQ(take(), 1);
    CHECK_MARK(2, 0, 2); /* it may follow: nobody knows of 1 */
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK_EQ(take(), 1);
    CHECK_MARK(2, 1, 0);
}

static void a_gap_before_the_oldest_begins_a_new_epoch(void) /* [CLI-6] */
{
    proven(2); /* the broker lost what it had acknowledged */
    CHECK_EQ(answered(0, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER), ACC_RETRY);
    CHECK_EQ(take(), 1);
    CHECK_MARK(1, 1, 0);
}

static void an_id_that_another_uses_or_has_no_epoch_left_is_replaced(void) /* [CLI-8] */
{
    proven(3);
    CHECK_EQ(answered(0, ERRCODE_INVALID_PRODUCER_EPOCH), ACC_RETRY);
    CHECK_EQ(answered(0, ERRCODE_INVALID_PRODUCER_EPOCH), ACC_RETRY);
    CHECK_EQ(take(), 0);
    CHECK(acc.wants_id);
    acc_set_id(&acc, &(struct seq_id){.producer_id = 8});
    CHECK_EQ(take(), 1);
    CHECK_EQ(sent[1].acc.mark.producer_id, 8);
    CHECK_MARK(1, 0, 0);
    parts[0].run.epoch = sent[1].acc.mark.epoch = SEQ_EPOCH_MAX;
    CHECK_EQ(answered(0, ERRCODE_MESSAGE_TOO_LARGE), ACC_FAILED);
    CHECK_EQ(take(), 0);
    CHECK(acc.wants_id);
    acc_set_id(&acc, &(struct seq_id){.producer_id = 9});
    CHECK_EQ(take(), 1);
    CHECK_EQ(sent[2].acc.mark.producer_id, 9);
    CHECK_MARK(2, 0, 0);
}

static void sequences_wrap_to_0(void) /* [CLI-1] */
{
    static const struct {
        uint32_t n;
        int32_t first;
    } rows[] = {
            {INT32_MAX, 0}, {1, INT32_MAX}, {5, 0}, {INT32_MAX - 6, 5}, {3, INT32_MAX - 1}, {1, 1}};
    struct seq_run run;
    struct seq_id id = {.producer_id = 1};

    seq_run_init(&run);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct seq_mark m = {0};
        seq_on_sent(&run, &m, rows[i].n, true, &id);
        CHECK_EQ(m.first, rows[i].first);
        seq_on_delivered(&run, &m);
    }
}

static const struct check_case cases[] = {
        CASE(the_first_goes_alone_then_five_at_a_time),
        CASE(the_first_after_a_long_silence_goes_alone),
        CASE(nothing_goes_without_a_producer_id),
        CASE(who_goes_without_ids_has_one_in_flight_and_no_numbers),
        CASE(a_retry_keeps_its_number_and_waits_until_it_is_the_oldest),
        CASE(a_gap_behind_one_that_is_still_open_is_no_failure),
        CASE(a_refused_batch_ends_the_run_and_those_behind_it_get_new_numbers),
        CASE(what_may_be_written_never_gets_another_number),
        CASE(what_was_only_refused_goes_on_behind_a_batch_of_unknown_fate),
        CASE(a_gap_before_the_oldest_begins_a_new_epoch),
        CASE(an_id_that_another_uses_or_has_no_epoch_left_is_replaced),
        CASE(sequences_wrap_to_0),
        CASE(nothing_is_lost_doubled_or_displaced),
};

CHECK_MAIN("idempotence", cases)
