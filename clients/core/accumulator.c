/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/accumulator.h"

#include "clients/core/backoff.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

void acc_init(struct acc *a, const struct acc_settings *settings, uint64_t seed)
{
    must(settings->partition_in_flight > 0);
    must(!settings->is_idempotent || settings->partition_in_flight <= SEQ_WINDOW);
    *a = (struct acc){
            .settings = *settings, .next_expiry = WTIME_NEVER, .id = {.producer_id = SEQ_ID_NONE}};
    prng_init(&a->prng, seed);
    TAILQ_INIT(&a->ready);
    TAILQ_INIT(&a->waiting);
    TAILQ_INIT(&a->active);
}

void acc_partition_init(struct acc_partition *p)
{
    *p = (struct acc_partition){.leader = BROKER_NONE, .wake = WTIME_NEVER};
    TAILQ_INIT(&p->queue);
    seq_run_init(&p->run);
}

/* --- Memory ----------------------------------------------------------------------------------- */

bool acc_has_room(const struct acc *a, size_t size)
{
    return a->used == 0 || (a->used < a->settings.memory && size <= a->settings.memory - a->used);
}

void acc_charge(struct acc *a, size_t size)
{
    a->used += size;
}

void acc_discharge(struct acc *a, size_t size)
{
    must(size <= a->used);
    a->used -= size;
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void move_to(struct acc *a, struct acc_partition *p, enum acc_list list)
{
    if (p->list == list) {
        return;
    }
    switch (p->list) {
    case ACC_READY: TAILQ_REMOVE(&a->ready, p, entry); break;
    case ACC_WAITING: TAILQ_REMOVE(&a->waiting, p, entry); break;
    case ACC_NOWHERE: break;
    }
    p->list = list;
    switch (list) {
    case ACC_READY: TAILQ_INSERT_TAIL(&a->ready, p, entry); break;
    case ACC_WAITING: TAILQ_INSERT_TAIL(&a->waiting, p, entry); break;
    case ACC_NOWHERE: break;
    }
}

/* The first batch that is not in flight. */
static struct acc_batch *next_batch(const struct acc_partition *p)
{
    struct acc_batch *b = NULL;

    TAILQ_FOREACH(b, &p->queue, entry)
    {
        if (!b->is_in_flight) {
            return b;
        }
    }
    return NULL;
}

static bool is_head(const struct acc_batch *b)
{
    return TAILQ_FIRST(&b->partition->queue) == b;
}

/* Whether its number, or the one that it would get, may go out now. */
static bool may_send(const struct acc *a, const struct acc_batch *b)
{
    return !a->settings.is_idempotent ||
           seq_may_send(&b->partition->run, &b->mark, is_head(b), &a->id);
}

/* Whether only a producer id is missing. */
static bool wants_id(const struct acc *a, const struct acc_batch *b)
{
    return a->settings.is_idempotent && seq_wants_id(&b->partition->run, &b->mark, &a->id);
}

static bool is_full(const struct acc *a, const struct acc_batch *b)
{
    must(b != NULL);
    return b->is_sealed || b->size >= a->settings.batch_size;
}

/* [CLI-7] What has a number behind that of `b`, which certainly stays missing, cannot be written under it. */
static void condemn_behind(struct acc_batch *b)
{
    struct acc_partition *p = b->partition;
    struct acc_batch *next = b;

    while ((next = TAILQ_NEXT(next, entry)) != NULL) {
        if (!next->mark.is_set) {
            continue;
        }
        next->mark.is_dead = true;
        if (!next->is_in_flight) {
            next->may_be_written = false;
            seq_withdraw(&p->run, &next->mark);
        }
    }
}

/* The number of `b` is taken away; it was not acknowledged. */
static void lose_number(struct acc *a, struct acc_batch *b)
{
    if (!b->mark.is_set) {
        return;
    }
    a->n_breaks += !b->partition->run.is_broken;
    if (!b->may_be_written) {
        condemn_behind(b);
    }
    seq_on_lost(&b->partition->run, &b->mark);
}

static void remove_batch(struct acc *a, struct acc_batch *b)
{
    struct acc_partition *p = b->partition;

    must(!b->is_in_flight);
    must(!b->mark.is_set);
    TAILQ_REMOVE(&p->queue, b, entry);
    must(a->n_batches > 0);
    a->n_batches--;
    if (TAILQ_EMPTY(&p->queue)) {
        TAILQ_REMOVE(&a->active, p, active);
        move_to(a, p, ACC_NOWHERE);
    }
}

/* --- Records in ------------------------------------------------------------------------------- */

struct acc_batch *acc_open_batch(const struct acc *a, const struct acc_partition *p, size_t size)
{
    struct acc_batch *last = TAILQ_LAST(&p->queue, acc_batches);

    if (last == NULL || last->is_sealed || last->size >= a->settings.batch_size ||
            size > a->settings.batch_size - last->size) {
        return NULL;
    }
    return last;
}

void acc_open(
        struct acc *a, struct acc_partition *p, struct acc_batch *b, size_t overhead, wtime now)
{
    struct acc_batch *last = TAILQ_LAST(&p->queue, acc_batches);

    if (last != NULL) {
        last->is_sealed = true;
    } else {
        TAILQ_INSERT_TAIL(&a->active, p, active);
    }
    *b = (struct acc_batch){
            .partition = p,
            .size = overhead,
            .created = now,
            .deadline = wtime_add(now, a->settings.delivery_timeout),
    };
    TAILQ_INSERT_TAIL(&p->queue, b, entry);
    a->n_batches++;
    a->next_expiry = wtime_min(a->next_expiry, b->deadline);
}

/* Whether waiting for linger.ms is over because a batch is full. */
static bool ends_linger(const struct acc *a, const struct acc_partition *p)
{
    struct acc_batch *b = next_batch(p);

    return p->leader != BROKER_NONE && b != NULL && is_full(a, b) && p->wake != p->not_before &&
           may_send(a, b);
}

bool acc_add_record(struct acc *a, struct acc_batch *b, size_t size)
{
    struct acc_partition *p = b->partition;

    must(!b->is_sealed);
    b->n_records++;
    b->size += size;
    if (p->list == ACC_READY) {
        return false;
    }
    if (p->list == ACC_NOWHERE && p->n_in_flight < a->settings.partition_in_flight) {
        if (!may_send(a, next_batch(p)) && !wants_id(a, next_batch(p))) {
            return false;
        }
        if (p->n_in_flight > 0 && a->settings.linger == 0 && !is_full(a, next_batch(p))) {
            return false; /* gathers until something comes back */
        }
        move_to(a, p, ACC_READY);
        return true;
    }
    if (p->list == ACC_WAITING && ends_linger(a, p)) {
        move_to(a, p, ACC_READY);
        return true;
    }
    return false;
}

bool acc_set_leader(struct acc *a, struct acc_partition *p, broker_id leader)
{
    if (p->leader == leader) {
        return false;
    }
    p->leader = leader;
    if (p->list == ACC_WAITING) {
        move_to(a, p, ACC_READY);
    }
    return p->list == ACC_READY;
}

static void look_at_waiting(struct acc *a)
{
    struct acc_partition *p = NULL;

    while ((p = TAILQ_FIRST(&a->waiting)) != NULL) {
        move_to(a, p, ACC_READY);
    }
}

void acc_set_id(struct acc *a, const struct seq_id *id)
{
    must(a->settings.is_idempotent);
    a->id = *id;
    a->wants_id = false; /* whoever still does says so again */
    look_at_waiting(a);
}

void acc_forgo_ids(struct acc *a, uint32_t partition_in_flight)
{
    must(a->id.producer_id == SEQ_ID_NONE);
    a->settings.is_idempotent = false;
    a->settings.partition_in_flight = partition_in_flight;
    a->wants_id = false;
    look_at_waiting(a);
}

void acc_flush_begin(struct acc *a)
{
    a->n_flushing++;
    look_at_waiting(a);
}

void acc_flush_end(struct acc *a)
{
    must(a->n_flushing > 0);
    a->n_flushing--;
}

/* --- Batches out ------------------------------------------------------------------------------ */

/* Where a partition that is looked at belongs. */
static enum acc_list place(struct acc *a, struct acc_partition *p, wtime now)
{
    struct acc_batch *b = next_batch(p);

    if (b == NULL || p->n_in_flight >= a->settings.partition_in_flight) {
        return ACC_NOWHERE;
    }
    if (p->leader == BROKER_NONE) {
        p->wake = WTIME_NEVER;
        return ACC_WAITING;
    }
    if (now < p->not_before) {
        p->wake = p->not_before;
        return ACC_WAITING;
    }
    if (p->run.n_open == 0 && now >= wtime_add(p->idle_since, WTIME_S(SEQ_IDLE_S))) {
        seq_on_idle(&p->run);
    }
    if (!may_send(a, b)) {
        if (!wants_id(a, b)) {
            return ACC_NOWHERE; /* until something of it comes back */
        }
        a->wants_id = true;
        p->wake = WTIME_NEVER;
        return ACC_WAITING;
    }
    if (is_full(a, b) || a->n_flushing > 0) {
        return ACC_READY;
    }
    wtime lingers_until = wtime_add(b->created, a->settings.linger);
    if (a->settings.linger > 0 && now < lingers_until) {
        p->wake = lingers_until;
        return ACC_WAITING;
    }
    /* Without linger.ms a batch gathers only while something is in flight. */
    return p->n_in_flight == 0 || a->settings.linger > 0 ? ACC_READY : ACC_NOWHERE;
}

bool acc_sift(struct acc *a, wtime now)
{
    struct acc_partition *p = NULL;
    struct acc_partition *next = NULL;
    bool lacks_leader = false;

    for (p = TAILQ_FIRST(&a->waiting); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (wtime_due(p->wake, now)) {
            move_to(a, p, ACC_READY);
        }
        lacks_leader = lacks_leader || p->leader == BROKER_NONE;
    }
    for (p = TAILQ_FIRST(&a->ready); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        lacks_leader = lacks_leader || p->leader == BROKER_NONE;
        move_to(a, p, place(a, p, now));
    }
    return lacks_leader;
}

size_t acc_take(struct acc *a, broker_id broker, struct acc_batch **ret, size_t max)
{
    struct acc_partition *p = NULL;
    struct acc_partition *next = NULL;
    size_t size = 0;
    size_t n = 0;

    must(broker != BROKER_NONE);
    for (p = TAILQ_FIRST(&a->ready); p != NULL && n < max; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (p->leader != broker) {
            continue;
        }
        struct acc_batch *b = next_batch(p);
        must(b != NULL);
        if (n > 0 &&
                (size >= a->settings.request_size || b->size > a->settings.request_size - size)) {
            continue;
        }
        b->is_in_flight = true;
        b->is_sealed = true;
        p->n_in_flight++;
        if (a->settings.is_idempotent) {
            seq_on_sent(&p->run, &b->mark, b->n_records, is_head(b), &a->id);
        }
        move_to(a, p, ACC_NOWHERE);
        size += b->size;
        ret[n++] = b;
    }
    /* Behind all others, so that partitions take turns; acc_sift() decides about their next
     * batches. */
    for (size_t i = 0; i < n; i++) {
        p = ret[i]->partition;
        if (p->n_in_flight < a->settings.partition_in_flight && next_batch(p) != NULL) {
            move_to(a, p, ACC_READY);
        }
    }
    return n;
}

bool acc_needs(const struct acc *a, broker_id broker)
{
    const struct acc_partition *p = NULL;

    TAILQ_FOREACH(p, &a->ready, entry)
    {
        if (p->leader == broker) {
            return true;
        }
    }
    return false;
}

bool acc_lacks_leader(const struct acc *a)
{
    const struct acc_partition *p = NULL;

    TAILQ_FOREACH(p, &a->waiting, entry)
    {
        if (p->leader == BROKER_NONE) {
            return true;
        }
    }
    return acc_needs(a, BROKER_NONE);
}

/* What numbers make of a failed try; SEQ_RENEW: the batch has none any more. */
static enum seq_verdict judge(struct acc *a, struct acc_batch *b, const struct try_result *r)
{
    struct acc_partition *p = b->partition;
    enum seq_verdict v = SEQ_AS_USUAL;

    if (a->settings.is_idempotent) {
        v = seq_judge(&p->run, &b->mark, r->end == TRY_ANSWERED, r->code, b->may_be_written);
    }
    if (v == SEQ_RENEW) {
        b->may_be_written = false;
        lose_number(a, b);
    }
    return v;
}

static bool is_retried(const struct acc *a,
        const struct acc_batch *b,
        const struct try_result *r,
        enum seq_verdict v,
        wtime now)
{
    switch (v) {
    case SEQ_AS_USUAL:
        if (!try_is_retriable(r)) {
            return false;
        }
        break;
    case SEQ_AGAIN: return now < b->deadline; /* [CLI-4] Not a try of its own. */
    case SEQ_RENEW: break;
    case SEQ_LOST: return false;
    }
    return b->n_tries <= a->settings.retries && now < b->deadline;
}

static void wait_to_retry(struct acc *a, struct acc_batch *b, enum seq_verdict v, wtime now)
{
    struct acc_partition *p = b->partition;

    a->next_expiry = wtime_min(a->next_expiry, b->deadline);
    if (v != SEQ_AGAIN) {
        wtime wait = backoff_after(a->settings.retry_backoff, a->settings.retry_backoff_max,
                b->n_tries > 0 ? b->n_tries : 1, &a->prng);
        p->not_before = wtime_add(now, wait);
    }
}

enum acc_verdict acc_finish(
        struct acc *a, struct acc_batch *b, const struct try_result *r, wtime now)
{
    struct acc_partition *p = b->partition;
    enum acc_verdict verdict = ACC_DELIVERED;

    must(b->is_in_flight);
    must(p->n_in_flight > 0);
    b->is_in_flight = false;
    p->n_in_flight--;
    if (r->end == TRY_ANSWERED && r->code == ERRCODE_NONE) {
        if (b->mark.is_set) {
            seq_on_delivered(&p->run, &b->mark);
        }
        remove_batch(a, b);
    } else {
        b->may_be_written = b->may_be_written || try_may_have_written(r);
        b->last_code = r->code;
        enum seq_verdict v = judge(a, b, r);
        b->n_tries += r->end != TRY_NEVER_SENT && v != SEQ_AGAIN;
        verdict = is_retried(a, b, r, v, now) ? ACC_RETRY : ACC_FAILED;
        if (verdict == ACC_RETRY) {
            wait_to_retry(a, b, v, now);
        } else {
            lose_number(a, b);
            remove_batch(a, b);
        }
    }
    if (p->run.n_open == 0) {
        p->idle_since = now;
    }
    if (!TAILQ_EMPTY(&p->queue)) {
        move_to(a, p, ACC_READY);
    }
    return verdict;
}

/* --- Ends ------------------------------------------------------------------------------------- */

struct acc_batch *acc_expire(struct acc *a, wtime now)
{
    struct acc_partition *p = NULL;
    wtime next_expiry = WTIME_NEVER;

    if (!wtime_due(a->next_expiry, now)) {
        return NULL;
    }
    TAILQ_FOREACH(p, &a->active, active)
    {
        struct acc_batch *b = next_batch(p); /* deadlines grow along a queue */
        if (b != NULL && wtime_due(b->deadline, now)) {
            lose_number(a, b);
            remove_batch(a, b);
            if (!TAILQ_EMPTY(&p->queue) && a->settings.is_idempotent) {
                move_to(a, p, ACC_READY); /* its end may let others go */
            }
            return b; /* next_expiry stays due: the caller asks again */
        }
        if (b != NULL) {
            next_expiry = wtime_min(next_expiry, b->deadline);
        }
    }
    a->next_expiry = next_expiry;
    return NULL;
}

struct acc_batch *acc_drop_any(struct acc *a)
{
    struct acc_partition *p = NULL;

    TAILQ_FOREACH(p, &a->active, active)
    {
        struct acc_batch *b = next_batch(p);
        if (b != NULL) {
            lose_number(a, b);
            remove_batch(a, b);
            return b;
        }
    }
    return NULL;
}

enum outcome acc_outcome(const struct acc_batch *b)
{
    return b->may_be_written ? OUTCOME_UNKNOWN : OUTCOME_NOT_PERSISTED;
}

wtime acc_deadline(const struct acc *a)
{
    const struct acc_partition *p = NULL;
    wtime deadline = a->next_expiry;

    TAILQ_FOREACH(p, &a->waiting, entry)
    {
        deadline = wtime_min(deadline, p->wake);
    }
    return deadline;
}

static bool partition_check(const struct acc *a, const struct acc_partition *p, size_t *n_batches)
{
    const struct acc_batch *b = NULL;
    uint32_t n_in_flight = 0;
    uint32_t n_open = 0;
    wtime last = 0;

    TAILQ_FOREACH(b, &p->queue, entry)
    {
        bool is_last = TAILQ_NEXT(b, entry) == NULL;
        if (b->partition != p || b->deadline < last || (!is_last && !b->is_sealed) ||
                (b->is_in_flight && !b->is_sealed)) {
            return false;
        }
        if (b->is_in_flight && a->settings.is_idempotent && !b->mark.is_set) {
            return false;
        }
        last = b->deadline;
        n_in_flight += b->is_in_flight;
        n_open += b->mark.is_set;
        (*n_batches)++;
    }
    return n_in_flight == p->n_in_flight && n_in_flight <= a->settings.partition_in_flight &&
           n_open == p->run.n_open && n_open <= SEQ_WINDOW;
}

bool acc_check(const struct acc *a)
{
    const struct acc_partition *p = NULL;
    size_t n_batches = 0;

    TAILQ_FOREACH(p, &a->active, active)
    {
        if (TAILQ_EMPTY(&p->queue) || !partition_check(a, p, &n_batches)) {
            return false;
        }
    }
    TAILQ_FOREACH(p, &a->ready, entry)
    {
        if (p->list != ACC_READY) {
            return false;
        }
    }
    TAILQ_FOREACH(p, &a->waiting, entry)
    {
        if (p->list != ACC_WAITING) {
            return false;
        }
    }
    return n_batches == a->n_batches;
}
