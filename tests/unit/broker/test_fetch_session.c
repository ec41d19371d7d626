/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/fetch_session.h"

#include "common/base/prng.h"
#include "tests/lib/check.h"

static struct partition_key key_of(int32_t number)
{
    return (struct partition_key){.topic_id = {{7}}, .number = number};
}

static struct fetch_pull_item *follow(struct fetch_pull *f, int32_t number)
{
    struct partition_key key = key_of(number);

    return fetch_pull_add(f, &key, NULL);
}

static void a_request_names_only_what_moved(void) /* [FET-1] */
{
    struct fetch_pull f;
    struct fetch_pull_request q;

    fetch_pull_init(&f);
    CHECK(!fetch_pull_next(&f, 0, &q));
    struct fetch_pull_item *a = follow(&f, 1), *b = follow(&f, 2);
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(q.epoch, 1);
    CHECK_EQ(q.n_named, 2);
    CHECK(q.named[0] == a && q.named[1] == b);
    fetch_pull_answered(&f);
    fetch_pull_due(&f, b);
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(q.epoch, 2);
    CHECK_EQ(q.n_named, 1);
    CHECK(q.named[0] == b);
    fetch_pull_deinit(&f);
}

static void a_poll_is_always_under_way_and_a_second_request_only_says_something(void) /* [FET-3] */
{
    struct fetch_pull f;
    struct fetch_pull_request q;

    fetch_pull_init(&f);
    struct fetch_pull_item *a = follow(&f, 1);
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK(!fetch_pull_next(&f, 0, &q));
    fetch_pull_due(&f, a);
    CHECK(fetch_pull_next(&f, 0, &q));
    fetch_pull_due(&f, a);
    CHECK(!fetch_pull_next(&f, 0, &q)); /* two are enough */
    fetch_pull_answered(&f);
    CHECK(fetch_pull_next(&f, 0, &q));
    fetch_pull_answered(&f);
    fetch_pull_answered(&f);
    CHECK(fetch_pull_next(&f, 0, &q)); /* the poll goes on although nothing moved */
    CHECK_EQ(q.n_named, 0);
    fetch_pull_deinit(&f);
}

static void who_pauses_is_named_when_its_time_has_come(void)
{
    struct fetch_pull f;
    struct fetch_pull_request q;

    fetch_pull_init(&f);
    struct fetch_pull_item *a = follow(&f, 1), *b = follow(&f, 2), *c = follow(&f, 3);
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(fetch_pull_deadline(&f), WTIME_NEVER);
    fetch_pull_later(&f, a, 300);
    fetch_pull_later(&f, b, 100);
    fetch_pull_later(&f, c, 200);
    CHECK_EQ(fetch_pull_deadline(&f), 100);
    CHECK(!fetch_pull_next(&f, 99, &q));
    CHECK(fetch_pull_next(&f, 250, &q));
    CHECK_EQ(q.n_named, 2);
    CHECK(q.named[0] == b && q.named[1] == c);
    fetch_pull_restart(&f); /* whoever pauses goes on to */
    CHECK(fetch_pull_next(&f, 250, &q));
    CHECK_EQ(q.n_named, 2);
    CHECK_EQ(fetch_pull_deadline(&f), 300);
    fetch_pull_hurry(&f); /* [THR-5] */
    CHECK(fetch_pull_next(&f, 250, &q));
    CHECK(q.n_named == 1 && q.named[0] == a);
    CHECK_EQ(fetch_pull_deadline(&f), WTIME_NEVER);
    fetch_pull_deinit(&f);
}

static void what_is_followed_no_more_is_forgotten_once_it_was_known(void)
{
    struct fetch_pull f;
    struct fetch_pull_request q;

    fetch_pull_init(&f);
    struct fetch_pull_item *a = follow(&f, 1), *b = follow(&f, 2);
    fetch_pull_remove(&f, b); /* never named */
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(q.n_forgotten, 0);
    fetch_pull_remove(&f, a);
    CHECK(fetch_pull_next(&f, 0, &q)); /* the leader has to hear it, although nothing is followed */
    CHECK_EQ(q.n_forgotten, 1);
    CHECK_EQ(q.forgotten[0].number, 1);
    fetch_pull_answered(&f);
    fetch_pull_answered(&f);
    CHECK(!fetch_pull_next(&f, 0, &q));
    fetch_pull_deinit(&f);
}

static void a_request_has_a_limit(void) /* [FET-4] */
{
    struct fetch_pull f;
    struct fetch_pull_request q;

    fetch_pull_init(&f);
    for (int32_t i = 0; i < FETCH_NAMED_MAX + 5; i++) {
        (void)follow(&f, i);
    }
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(q.n_named, FETCH_NAMED_MAX);
    CHECK(fetch_pull_next(&f, 0, &q));
    CHECK_EQ(q.n_named, 5);
    fetch_pull_deinit(&f);
}

static void a_session_goes_on_by_its_epoch_only(void) /* [FET-2] */
{
    struct fetch_feed f;
    bool is_first;

    fetch_feed_init(&f);
    CHECK(!fetch_feed_begin(&f, 2, &is_first)); /* it never began here */
    CHECK(!fetch_feed_begin(&f, 0, &is_first));
    CHECK(fetch_feed_begin(&f, 1, &is_first) && is_first);
    CHECK(fetch_feed_begin(&f, 2, &is_first) && !is_first);
    CHECK(!fetch_feed_begin(&f, 2, &is_first));
    CHECK(!fetch_feed_begin(&f, 4, &is_first));
    CHECK(fetch_feed_begin(&f, 3, &is_first)); /* a wrong one changed nothing */
    CHECK(fetch_feed_begin(&f, 1, &is_first) && is_first);
    f.epoch = UINT32_MAX;
    CHECK(fetch_feed_begin(&f, 2, &is_first) && !is_first); /* around, and never 1 by itself */
    fetch_feed_deinit(&f);
}

static void who_waits_longest_is_first(void) /* [FET-5] */
{
    struct fetch_feed f;
    struct fetch_asked asked = {.offset = 5};
    struct partition_key one = key_of(1), two = key_of(2), three = key_of(3);

    fetch_feed_init(&f);
    struct fetch_feed_item *a = fetch_feed_name(&f, &one, &asked);
    struct fetch_feed_item *b = fetch_feed_name(&f, &two, &asked);
    CHECK(TAILQ_FIRST(&f.dirty) == a);
    fetch_feed_clean(&f, a);
    fetch_feed_dirty(&f, a); /* it has more, and b had no room yet */
    CHECK(TAILQ_FIRST(&f.dirty) == b);
    (void)fetch_feed_name(&f, &two, &asked);
    CHECK(TAILQ_FIRST(&f.dirty) == b);
    uint32_t slot = b->slot;
    CHECK(fetch_feed_at(&f, slot) == b);
    fetch_feed_remove(&f, b);
    CHECK(fetch_feed_at(&f, slot) == NULL);
    struct fetch_feed_item *c = fetch_feed_name(&f, &three, &asked);
    CHECK_EQ(c->slot, slot);
    CHECK(fetch_feed_find(&f, &two) == NULL);
    fetch_feed_deinit(&f);
}

static void news_is_what_was_not_told(void) /* [FET-1] */
{
    struct fetch_feed f;
    struct fetch_asked asked = {.offset = 5};
    struct partition_key one = key_of(1);

    fetch_feed_init(&f);
    struct fetch_feed_item *a = fetch_feed_name(&f, &one, &asked);
    CHECK(fetch_feed_has_news(a, 0, 0));
    fetch_feed_told(a, 0, 0);
    CHECK(!fetch_feed_has_news(a, 0, 0));
    CHECK(fetch_feed_has_news(a, 1, 0));
    CHECK(fetch_feed_has_news(a, 0, 1));
    fetch_feed_deinit(&f);
}

/* --- Both ends ------------------------------------------------------------------------------------------------------ */

enum {
    PARTITIONS = 12,
    STEPS = 3000
};

struct sent_request {
    uint32_t epoch;
    struct partition_key named[PARTITIONS], forgotten[PARTITIONS * 2];
    int64_t at[PARTITIONS];
    size_t n_named, n_forgotten;
};

struct both {
    struct prng prng;
    struct fetch_pull pull;
    struct fetch_feed feed;
    int64_t leader_end[PARTITIONS], follower_end[PARTITIONS];
    struct sent_request flight[FETCH_PULL_ASKING_MAX]; /* in order, as on a connection */
    size_t n_flight;
    bool is_parked;
    wtime now;
};

static void send(struct both *b)
{
    struct fetch_pull_request q;

    if (!fetch_pull_next(&b->pull, b->now, &q)) {
        return;
    }
    must(b->n_flight < FETCH_PULL_ASKING_MAX);
    struct sent_request *s = &b->flight[b->n_flight++];
    *s = (struct sent_request){.epoch = q.epoch, .n_named = q.n_named, .n_forgotten = q.n_forgotten};
    for (size_t i = 0; i < q.n_named; i++) {
        s->named[i] = q.named[i]->key;
        s->at[i] = b->follower_end[q.named[i]->key.number];
    }
    for (size_t i = 0; i < q.n_forgotten; i++) {
        s->forgotten[i] = q.forgotten[i];
    }
}

static void take(struct both *b, const struct sent_request *s)
{
    bool is_first;

    CHECK(fetch_feed_begin(&b->feed, s->epoch, &is_first));
    while (is_first && b->feed.items != NULL) {
        fetch_feed_remove(&b->feed, b->feed.items);
    }
    for (size_t i = 0; i < s->n_forgotten; i++) {
        struct fetch_feed_item *item = fetch_feed_find(&b->feed, &s->forgotten[i]);
        CHECK(item != NULL);
        fetch_feed_remove(&b->feed, item);
    }
    for (size_t i = 0; i < s->n_named; i++) {
        struct fetch_asked asked = {.offset = s->at[i]};
        (void)fetch_feed_name(&b->feed, &s->named[i], &asked);
    }
}

/* The leader answers its oldest request with at most two partitions; false: it waits. */
static bool answer(struct both *b, bool must_answer)
{
    struct fetch_feed_item *item, *next;
    size_t n = 0;

    for (item = TAILQ_FIRST(&b->feed.dirty); item != NULL && n < 2; item = next) {
        int32_t p = item->key.number;

        next = TAILQ_NEXT(item, entry);
        fetch_feed_clean(&b->feed, item);
        if (item->asked.offset >= b->leader_end[p]) {
            continue; /* nothing to say: an interest would be left */
        }
        n++;
        struct fetch_pull_item *pulled = fetch_pull_find(&b->pull, &item->key);
        if (pulled != NULL && item->asked.offset == b->follower_end[p]) {
            b->follower_end[p] += 1;
            if (prng_below(&b->prng, 5) == 0) {
                fetch_pull_later(&b->pull, pulled, b->now + 20);
            } else {
                fetch_pull_due(&b->pull, pulled);
            }
        }
    }
    if (n == 0 && !must_answer) {
        return false;
    }
    fetch_pull_answered(&b->pull);
    memmove(b->flight, b->flight + 1, --b->n_flight * sizeof(*b->flight));
    b->is_parked = false;
    return true;
}

static void deliver(struct both *b)
{
    if (b->n_flight == 0) {
        return;
    }
    if (!b->is_parked) {
        take(b, &b->flight[0]);
        b->is_parked = true;
    }
    if (answer(b, b->n_flight > 1 || prng_below(&b->prng, 10) == 0) && b->n_flight > 0) {
        take(b, &b->flight[0]);
        b->is_parked = true;
        (void)answer(b, false);
    }
}

static void grow(struct both *b)
{
    struct partition_key key = key_of((int32_t)prng_below(&b->prng, PARTITIONS));
    struct fetch_feed_item *item = fetch_feed_find(&b->feed, &key);

    b->leader_end[key.number] += (int64_t)prng_below(&b->prng, 3);
    if (item != NULL) {
        fetch_feed_dirty(&b->feed, item);
    }
}

static void change_what_is_followed(struct both *b)
{
    struct partition_key key = key_of((int32_t)prng_below(&b->prng, PARTITIONS));
    struct fetch_pull_item *item = fetch_pull_find(&b->pull, &key);

    if (item == NULL) {
        (void)fetch_pull_add(&b->pull, &key, NULL);
    } else if (prng_below(&b->prng, 3) == 0) {
        fetch_pull_remove(&b->pull, item);
    }
}

static void reconnect(struct both *b)
{
    fetch_feed_deinit(&b->feed);
    fetch_feed_init(&b->feed);
    fetch_pull_restart(&b->pull);
    b->n_flight = 0;
    b->is_parked = false;
}

static void a_follower_gets_everything_whatever_happens(void) /* [FET-1] [FET-2] [FET-3] [FET-5] */
{
    struct both b = {0};

    prng_init(&b.prng, check_seed());
    fetch_pull_init(&b.pull);
    fetch_feed_init(&b.feed);
    for (int step = 0; step < STEPS; step++) {
        b.now += 1;
        switch (prng_below(&b.prng, 8)) {
        case 0: change_what_is_followed(&b); break;
        case 1: grow(&b); break;
        case 2:
            if (prng_below(&b.prng, 40) == 0) {
                reconnect(&b);
            }
            break;
        case 3:
        case 4: send(&b); break;
        default: deliver(&b); break;
        }
    }
    for (int step = 0; step < STEPS; step++) {
        b.now += 1;
        send(&b);
        deliver(&b);
    }
    for (int32_t p = 0; p < PARTITIONS; p++) {
        struct partition_key key = key_of(p);

        if (fetch_pull_find(&b.pull, &key) != NULL) {
            CHECK_EQ(b.follower_end[p], b.leader_end[p]);
        }
    }
    CHECK(TAILQ_EMPTY(&b.pull.paused));
    fetch_pull_deinit(&b.pull);
    fetch_feed_deinit(&b.feed);
}

static const struct check_case cases[] = {
        CASE(a_request_names_only_what_moved),
        CASE(a_poll_is_always_under_way_and_a_second_request_only_says_something),
        CASE(who_pauses_is_named_when_its_time_has_come),
        CASE(what_is_followed_no_more_is_forgotten_once_it_was_known),
        CASE(a_request_has_a_limit),
        CASE(a_session_goes_on_by_its_epoch_only),
        CASE(who_waits_longest_is_first),
        CASE(news_is_what_was_not_told),
        CASE(a_follower_gets_everything_whatever_happens),
};
CHECK_MAIN("fetch_session", cases)
