/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/move_sizes.h"

#include "common/base/array.h"
#include "common/base/map.h"
#include "common/domain/errcode.h"

enum {
    UNTOLD = -1
};

struct moving {
    struct partition_key key;
    UT_hash_handle hh;
    uint64_t seen_in; /* the refresh that last saw it move */
    bool is_asked;
    broker_id leader;
    struct broker_set adding, isr;
    int64_t leader_bytes;              /* UNTOLD */
    int64_t adding_bytes[REPLICAS_MAX]; /* in the order of `adding` */
    uint64_t operation;                 /* 0 = nobody's */
    int64_t last_done, last_total;      /* as last known, whoever led; UNTOLD */
    int64_t done; /* in the last round; UNTOLD */
    wtime at;
    int64_t rate; /* bytes a second; -1 = not known */
};

/* What an operation has moved. */
struct moved {
    uint64_t operation;
    int64_t bytes;
    UT_hash_handle hh;
};

struct move_sizes {
    struct moving *items; /* by key */
    struct moved *moved;  /* by operation */
    uint64_t n_refreshes;
};

/* --- What moves ------------------------------------------------------------------------------- */

struct move_sizes *move_sizes_new(void)
{
    return mem_new(struct move_sizes);
}

static void forget(struct move_sizes *m, struct moving *x)
{
    HASH_DEL(m->items, x);
    mem_free(x);
}

static void forget_moved(struct move_sizes *m, struct moved *x)
{
    HASH_DEL(m->moved, x);
    mem_free(x);
}

void move_sizes_clear(struct move_sizes *m)
{
    while (m->items != NULL) {
        forget(m, m->items);
    }
    while (m->moved != NULL) {
        forget_moved(m, m->moved);
    }
}

struct move_sizes *move_sizes_free(struct move_sizes *m)
{
    if (m != NULL) {
        move_sizes_clear(m);
    }
    return mem_free(m);
}

static struct moving *find(
        const struct move_sizes *m, const struct uuid *topic_id, int32_t partition)
{
    struct partition_key key = {.topic_id = *topic_id, .number = partition};
    struct moving *x = NULL;

    HASH_FIND(hh, m->items, &key, sizeof(key), x);
    return x;
}

static struct moving *add(struct move_sizes *m, const struct partition_state *p)
{
    struct moving *x = mem_new(struct moving);

    x->key = (struct partition_key){.topic_id = p->topic_id, .number = p->partition};
    x->leader = BROKER_NONE;
    x->leader_bytes = x->done = x->rate = x->last_done = x->last_total = UNTOLD;
    HASH_ADD(hh, m->items, key, sizeof(x->key), x);
    return x;
}

static struct moved *moved_of(const struct move_sizes *m, uint64_t operation)
{
    struct moved *x = NULL;

    HASH_FIND(hh, m->moved, &operation, sizeof(operation), x);
    return x;
}

/* [THR-8] It moves no longer, or elsewhere: `p` is what it is now, NULL = gone. What was taken back
 * has not moved. */
static void count_moved(
        struct move_sizes *m, const struct moving *x, const struct partition_state *p)
{
    bool is_there = p != NULL && x->operation != 0 && x->last_total > 0;

    for (int i = 0; i < x->adding.n && is_there; i++) {
        is_there = broker_set_has(&p->replicas, x->adding.at[i]) &&
                   !broker_set_has(&p->adding, x->adding.at[i]);
    }
    if (!is_there) {
        return;
    }
    struct moved *sum = moved_of(m, x->operation);

    if (sum == NULL) {
        sum = mem_new(struct moved);
        sum->operation = x->operation;
        HASH_ADD(hh, m->moved, operation, sizeof(sum->operation), sum);
    }
    sum->bytes += x->last_total;
}

static void see(struct move_sizes *m, const struct partition_state *p)
{
    struct moving *x = find(m, &p->topic_id, p->partition);

    x = x != NULL ? x : add(m, p);
    bool is_same = x->operation == p->operation && broker_set_equal_ordered(&x->adding, &p->adding);

    if (!is_same) {
        count_moved(m, x, p);
        x->operation = p->operation;
        x->last_done = x->last_total = UNTOLD;
    }
    if (x->leader != p->leader || !is_same) {
        x->leader = p->leader;
        x->adding = p->adding;
        x->leader_bytes = x->done = x->rate = UNTOLD;
        x->is_asked = false;
        for (size_t i = 0; i < COUNT_OF(x->adding_bytes); i++) {
            x->adding_bytes[i] = UNTOLD;
        }
    }
    x->isr = p->isr;
    x->seen_in = m->n_refreshes;
}

bool move_sizes_refresh(struct move_sizes *m, const struct image *image)
{
    bool is_new = false;

    m->n_refreshes++;
    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            if (partition_is_moving(&t->partitions[k])) {
                see(m, &t->partitions[k]);
            }
        }
    }
    for (struct moving *x = m->items, *next = NULL; x != NULL; x = next) {
        next = x->hh.next;
        if (x->seen_in != m->n_refreshes) {
            count_moved(m, x, image_partition(image, &x->key.topic_id, x->key.number));
            forget(m, x);
        } else {
            is_new = is_new || !x->is_asked;
            x->is_asked = true;
        }
    }
    for (struct moved *x = m->moved, *next = NULL; x != NULL; x = next) {
        next = x->hh.next;
        if (image_operation(image, x->operation) == NULL) {
            forget_moved(m, x);
        }
    }
    return is_new;
}

size_t move_sizes_n(const struct move_sizes *m)
{
    return HASH_COUNT(m->items);
}

/* --- Asking ----------------------------------------------------------------------------------- */

static int place_in(const struct broker_set *s, broker_id id)
{
    for (int i = 0; i < s->n; i++) {
        if (s->at[i] == id) {
            return i;
        }
    }
    return -1;
}

/* Of who is in sync the leader's size is known enough. */
static bool has_to_say(const struct moving *x, broker_id id)
{
    return x->leader == id ||
           (broker_set_has(&x->adding, id) && !broker_set_has(&x->isr, id));
}

struct msg_partition_ref *move_sizes_ask(const struct move_sizes *m, broker_id id, size_t *ret_n)
{
    struct msg_partition_ref *refs =
            mem_new_n(struct msg_partition_ref, HASH_COUNT(m->items) + 1);
    size_t n = 0;

    for (const struct moving *x = m->items; x != NULL; x = x->hh.next) {
        if (has_to_say(x, id)) {
            refs[n++] = (struct msg_partition_ref){
                    .topic_id = x->key.topic_id, .partition = x->key.number};
        }
    }
    *ret_n = n;
    return refs;
}

/* [THR-8] */
static bool sum_up(const struct moving *x, int64_t *ret_done, int64_t *ret_total)
{
    int64_t done = 0;

    if (x->leader_bytes == UNTOLD && x->adding.n > 0) {
        return false;
    }
    for (int i = 0; i < x->adding.n; i++) {
        int64_t bytes = broker_set_has(&x->isr, x->adding.at[i]) ? x->leader_bytes
                                                                 : x->adding_bytes[i];
        if (bytes == UNTOLD) {
            return false;
        }
        done += bytes < x->leader_bytes ? bytes : x->leader_bytes;
    }
    *ret_done = done;
    *ret_total = x->adding.n > 0 ? x->leader_bytes * x->adding.n : 0;
    return true;
}

void move_sizes_told(
        struct move_sizes *m, broker_id id, const struct msg_describe_ends_response *r)
{
    for (size_t i = 0; i < r->n_partitions; i++) {
        const struct msg_log_end *end = &r->partitions[i];
        struct moving *x = find(m, &end->topic_id, end->partition);
        int64_t bytes = end->bytes <= INT64_MAX ? (int64_t)end->bytes : INT64_MAX;
        int place = x != NULL ? place_in(&x->adding, id) : -1;

        if (place >= 0) { /* Who has no log yet has nothing. */
            x->adding_bytes[place] = end->error == ERRCODE_NONE ? bytes : 0;
        } else if (x != NULL && x->leader == id && end->error == ERRCODE_NONE) {
            x->leader_bytes = bytes;
        }
        if (place >= 0 && x->leader == id && end->error == ERRCODE_NONE) {
            x->leader_bytes = bytes;
        }
        if (x != NULL) { /* else they stay as they were */
            (void)sum_up(x, &x->last_done, &x->last_total);
        }
    }
}

/* --- Telling ---------------------------------------------------------------------------------- */

bool move_sizes_get(const struct move_sizes *m,
        const struct uuid *topic_id,
        int32_t partition,
        int64_t *ret_done,
        int64_t *ret_total)
{
    const struct moving *x = find(m, topic_id, partition);

    return x != NULL && sum_up(x, ret_done, ret_total);
}

/* Half of it is what the last round showed. */
static int64_t smooth(int64_t before, int64_t now)
{
    return before < 0 ? now : before / 2 + now / 2;
}

void move_sizes_round(struct move_sizes *m, wtime now)
{
    for (struct moving *x = m->items; x != NULL; x = x->hh.next) {
        int64_t done = 0, total = 0;
        if (!sum_up(x, &done, &total)) {
            continue;
        }
        if (x->done != UNTOLD && now > x->at) {
            int64_t ms = (now - x->at) / 1000 + 1;
            int64_t more = done > x->done ? done - x->done : 0;
            x->rate = smooth(x->rate, more > INT64_MAX / 1000 ? more / ms * 1000 : more * 1000 / ms);
        }
        x->done = done;
        x->at = now;
    }
}

int64_t move_sizes_rate(
        const struct move_sizes *m, const struct uuid *topic_id, int32_t partition)
{
    const struct moving *x = find(m, topic_id, partition);

    return x != NULL ? x->rate : -1;
}

static int64_t eta_ms_of(const struct moving *x)
{
    int64_t done = 0, total = 0;

    if (x->rate <= 0 || !sum_up(x, &done, &total)) {
        return -1;
    }
    int64_t left = total - done;

    return left > INT64_MAX / 1000 ? left / x->rate * 1000 : left * 1000 / x->rate;
}

int64_t move_sizes_eta_ms(
        const struct move_sizes *m, const struct uuid *topic_id, int32_t partition)
{
    const struct moving *x = find(m, topic_id, partition);

    return x != NULL ? eta_ms_of(x) : -1;
}

struct move_bytes move_sizes_of_operation(const struct move_sizes *m, uint64_t operation)
{
    const struct moved *moved = moved_of(m, operation);
    int64_t bytes = moved != NULL ? moved->bytes : 0;
    struct move_bytes sum = {.done = bytes, .total = bytes, .eta_ms = -1};
    bool is_known = moved != NULL;

    for (const struct moving *x = m->items; x != NULL; x = x->hh.next) {
        if (x->operation != operation || x->last_total == UNTOLD) {
            continue;
        }
        int64_t eta_ms = eta_ms_of(x);

        is_known = true;
        sum.done += x->last_done;
        sum.total += x->last_total;
        sum.eta_ms = eta_ms > sum.eta_ms ? eta_ms : sum.eta_ms;
    }
    return is_known ? sum : (struct move_bytes){.done = -1, .total = -1, .eta_ms = -1};
}
