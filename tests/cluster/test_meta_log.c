/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata log under connections that break, versions that are newer, and a ZooKeeper that
 * is slow. Real processes and a real ZooKeeper; numbers in brackets are rules of
 * docs/design/20-zookeeper.md. WEIR_TEST_SEEDS=N runs the case of the cut connections with N
 * seeds. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/cluster/controller_world.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/meta_walk.h"
#include "tests/lib/raw.h"
#include "tests/lib/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What the log says of topics
 * ---------------------------------------------------------------- */

struct created {
    char name[64];
    int32_t n_declared, n_placed;
    struct uuid id;
    unsigned times;
};

struct history {
    ARRAY(struct created) topics;
};

static struct created *find_created(struct history *h, const char *name, const struct uuid *id)
{
    ARRAY_FOREACH (it, &h->topics) {
        if (name != NULL ? strcmp(it->name, name) == 0 : uuid_equal(&it->id, id)) {
            return it;
        }
    }
    return NULL;
}

static void on_record(void *ctx, const struct msg_batch *b, const struct meta_record *r)
{
    struct history *h = ctx;
    struct created *t = NULL;

    if (r->kind == META_CREATE_TOPIC) {
        t = find_created(h, r->create_topic.name, NULL);
        if (t == NULL) {
            t = array_push(&h->topics);
            (void)snprintf(t->name, sizeof(t->name), "%s", r->create_topic.name);
        }
        t->times++;
        t->id = r->create_topic.id;
        t->n_declared = r->create_topic.n_partitions;
    } else if (r->kind == META_PARTITION_STATE) {
        t = find_created(h, NULL, &r->partition.topic_id);
        CHECK(t != NULL);
        if (r->partition.partition >= t->n_placed) {
            CHECK_EQ(r->partition.partition, t->n_placed);
            t->n_placed++;
        }
    }
}

/* Answered creations stand in the log once and whole, refused ones do not, and those whose
 * outcome nobody knows are there once or not at all. */
static void check_posts(struct history *h, const struct cw_post *posts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct created *t = find_created(h, posts[i].topic, NULL);
        if (posts[i].status == 201) {
            CHECK(t != NULL);
        } else if (posts[i].status != 0 && posts[i].status != 504) {
            CHECK(t == NULL);
        }
        if (t != NULL) {
            CHECK_EQ(t->times, 1);
            CHECK_EQ(t->n_declared, posts[i].n_partitions);
            CHECK_EQ(t->n_placed, t->n_declared);
        }
    }
}

/* --- [ZK-37] Cut connections
 * -------------------------------------------------------------------- */

enum {
    SEEDS = 24,
    POSTS = 3,
/* ThreadSanitizer keeps several times as much beside each byte. */
#ifdef __SANITIZE_THREAD__
    GROWTH_MAX = 5 * 64 << 20
#else
    GROWTH_MAX = 64 << 20 /* the ring of batches alone may take 32 MiB */
#endif
};

static int n_seeds(void)
{
    const char *given = getenv("WEIR_TEST_SEEDS");

    return given != NULL ? (int)strtol(given, NULL, 10) : SEEDS;
}

/* One seed: the connection dies at a random byte of what the creations send or hear. Sometimes
 * twice, sometimes with time between the request's end and its answer. */
static void cut_once(struct cw *w, uint64_t seed, struct cw_post *posts, unsigned *n_cut)
{
    struct prng prng;
    enum proxy_way way = PROXY_UP;
    uint64_t span = 0;

    prng_init(&prng, seed);
    cw_await_active(&w->controllers[1], 1);
    way = prng_below(&prng, 2) == 0 ? PROXY_UP : PROXY_DOWN;
    for (int i = 0; i < POSTS; i++) {
        (void)snprintf(posts[i].topic, sizeof(posts[i].topic), "t-%llu-%d",
                (unsigned long long)seed, i);
        posts[i].n_partitions = 1 + (int)prng_below(&prng, i == 1 ? 60 : 8);
        span += 150 + 60 * (uint64_t)posts[i].n_partitions;
    }
    proxy_delay(w->proxy, (int)prng_below(&prng, 4));
    proxy_cut_after(w->proxy, way, 1 + prng_below(&prng, way == PROXY_UP ? span + 300 : 400));
    cw_posts_begin(w->controllers[1].http_port, posts, POSTS);
    if (prng_below(&prng, 4) == 0) { /* and again, while it is found out what became of the first */
        int64_t until = check_now_ms() + 300;
        while (!proxy_has_cut(w->proxy) && check_now_ms() < until) {
            check_pause_ms(1);
        }
        *n_cut += proxy_has_cut(w->proxy);
        proxy_cut_after(w->proxy, way == PROXY_UP ? PROXY_DOWN : PROXY_UP,
                1 + prng_below(&prng, 600));
    }
    cw_posts_end(posts, POSTS);
    *n_cut += proxy_has_cut(w->proxy);
    proxy_delay(w->proxy, 0);
    proxy_cut_after(w->proxy, PROXY_UP, UINT64_MAX);
}

static void a_connection_cut_anywhere_leaves_each_batch_once(void)
{
    struct cw *w = cw_new("cut");
    int n = n_seeds();
    struct cw_post *posts = mem_new_n(struct cw_post, (size_t)n * POSTS);
    struct history h = {0};
    struct meta_walk walked;
    unsigned n_cut = 0, n_answered = 0;

    cw_start_controller(w, 1);
    cw_start_broker(w, 1);
    for (int i = 0; i < n; i++) {
        cut_once(w, check_seed() + (uint64_t)i, &posts[i * POSTS], &n_cut);
    }
    cw_await_active(&w->controllers[1], 1);
    meta_walk(w->direct, &walked, on_record, &h);
    CHECK_EQ(walked.first, 1);
    check_posts(&h, posts, (size_t)n * POSTS);
    for (int i = 0; i < n * POSTS; i++) {
        n_answered += posts[i].status == 201;
    }
    printf("# %d seeds, %u cuts, %u of %d creations answered, %zu batches by %zu controllers\n", n,
            n_cut, n_answered, n * POSTS, (size_t)walked.last, walked.n_writers);
    CHECK(n_cut >= (unsigned)n / 2);
    CHECK(n_answered >= (unsigned)n * POSTS / 2);
    /* The session outlives each cut: nobody was deposed for one. */
    CHECK_EQ(walked.n_writers, 1);
    array_deinit(&h.topics);
    mem_free(posts);
    cw_free(w);
}

static bool creates(struct cw *w, struct cw_post *post)
{
    cw_posts_begin(w->controllers[1].http_port, post, 1);
    cw_posts_end(post, 1);
    return post->status == 201;
}

/* --- [ZK-36] A ZooKeeper that does not answer in time
 * ------------------------------------------- */

/* Eight batches and more are under way when ZooKeeper falls silent for longer than two thirds of
 * the session: nothing that was not committed was said, the rest is dropped, and whatever came
 * through after all is taken up by who is elected next. */
static void silence_with_batches_under_way_says_nothing_that_is_not_there(void)
{
    struct cw *w = cw_new("silence");
    struct cw_post posts[12] = {{{0}}}, last = {.topic = "after", .n_partitions = 1};
    struct history h = {0};
    struct meta_walk walked;

    w->session_ms = 2000;
    cw_start_controller(w, 1);
    cw_start_broker(w, 1);
    cw_await_active(&w->controllers[1], 1);
    for (size_t i = 0; i < COUNT_OF(posts); i++) {
        (void)snprintf(posts[i].topic, sizeof(posts[i].topic), "s-%zu", i);
        posts[i].n_partitions = 10;
    }
    /* Requests get through and answers do not; then nothing does. */
    proxy_delay(w->proxy, 100);
    cw_posts_begin(w->controllers[1].http_port, posts, COUNT_OF(posts));
    check_pause_ms(130);
    proxy_blackhole(w->proxy, true);
    CHECK_WITHIN(20000, cw_log_has(&w->controllers[1], "leadership_lost"));
    cw_posts_end(posts, COUNT_OF(posts));
    proxy_delay(w->proxy, 0);
    proxy_blackhole(w->proxy, false);
    cw_await_active(&w->controllers[1], 1);
    CHECK_WITHIN(20000, creates(w, &last)); /* the new term has committed something */
    meta_walk(w->direct, &walked, on_record, &h);
    CHECK_EQ(walked.first, 1);
    CHECK(walked.n_writers >= 2);
    check_posts(&h, posts, COUNT_OF(posts));
    array_deinit(&h.topics);
    cw_free(w);
}

/* --- [ZK-44] A newer feature level
 * --------------------------------------------------------------- */

static void raise_level(const struct cw *w, int32_t level)
{
    struct meta_record r = {.kind = META_FEATURE_SET,
            .why = {.cause = CAUSE_ADMIN, .actor = "", .reason = "", .inputs = ""}};

    r.feature.name = "metadata.version";
    r.feature.level = level;
    meta_walk_append(w->direct, 0, &r, 1);
}

static void a_controller_that_meets_a_newer_level_is_not_eligible_and_says_why(void)
{
    struct cw *w = cw_new("level");
    struct buf body = {0};

    cw_start_controller(w, 1);
    cw_await_active(&w->controllers[1], 0);
    CHECK_EQ(run_wait(w->controllers[1].pid, 15, 20000), 0);
    w->controllers[1].pid = 0;
    raise_level(w, META_FEATURE_LEVEL + 1);
    cw_start_controller(w, 2);
    CHECK_WITHIN(20000, cw_log_has(&w->controllers[2], "log_broken"));
    CHECK(cw_log_has(&w->controllers[2], "feature level 2 is in force"));
    cw_await_ready(&w->controllers[2], 503);
    CHECK_EQ(cw_get(w->controllers[2].http_port, "/readyz", &body), 503);
    CHECK(strstr(buf_str(&body), "level 2 is in force") != NULL);
    CHECK(strstr(buf_str(&body), "knows levels up to 1") != NULL);
    CHECK_EQ(cw_get(w->controllers[2].http_port, "/", &body), 200);
    CHECK(strstr(buf_str(&body), "controller 2 cannot use the metadata: feature level 2") != NULL);
    CHECK(!cw_log_has(&w->controllers[2], "controller_active"));
    buf_deinit(&body);
    cw_free(w);
}

/* --- [ZK-46] A broker that stands still
 * ----------------------------------------------------------- */

static void send_topic(
        struct cw *w, const char *method, const char *path, const char *body, int status)
{
    struct buf answer = {0};

    CHECK_EQ(http_request(w->controllers[1].http_port, method, path, body, false, &answer), status);
    buf_deinit(&answer);
}

/* Metadata that comes and goes: what is in force stays small. */
static void churn(struct cw *w, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        send_topic(w, "POST", "/v1/topics", "{\"name\": \"churn\", \"partitions\": 4000}", 201);
        send_topic(w, "DELETE", "/v1/topics/churn?confirm=churn", NULL, 200);
    }
}

static void a_stopped_broker_costs_bounded_memory(void)
{
    struct cw *w = cw_new("stalled");
    uint64_t before = 0, after = 0;
    struct meta_walk walked;

    /* Freed memory goes back at once, else it is the sanitizer's that is measured. */
    const char *options = getenv("ASAN_OPTIONS");
    char *old = mem_strdup(options != NULL ? options : "");
    char *small = mem_format("%s:quarantine_size_mb=1", old);
    CHECK_EQ(setenv("ASAN_OPTIONS", small, 1), 0);
    w->session_ms = 6000;
    cw_start_controller(w, 1);
    cw_start_broker(w, 1);
    cw_start_broker(w, 2);
    CHECK_EQ(setenv("ASAN_OPTIONS", old, 1), 0);
    mem_free(small);
    mem_free(old);
    cw_await_active(&w->controllers[1], 2);
    churn(w, 4);
    before = process_resident(w->controllers[1].pid);
    CHECK_EQ(kill(w->brokers[2].pid, SIGSTOP), 0);
    churn(w, 40);
    after = process_resident(w->controllers[1].pid);
    CHECK_EQ(kill(w->brokers[2].pid, SIGCONT), 0);
    printf("# 44 rounds of 4000 partitions: resident %llu MiB, before %llu MiB\n",
            (unsigned long long)after >> 20, (unsigned long long)before >> 20);
    CHECK(after < before + GROWTH_MAX);
    cw_await_active(&w->controllers[1], 2); /* it catches up */
    meta_walk(w->direct, &walked, NULL, NULL);
    CHECK(walked.largest <= 256 * 1024);
    cw_free(w);
}

static const struct check_case cases[] = {
        CASE(a_stopped_broker_costs_bounded_memory),
        CASE(a_connection_cut_anywhere_leaves_each_batch_once),
        CASE(silence_with_batches_under_way_says_nothing_that_is_not_there),
        CASE(a_controller_that_meets_a_newer_level_is_not_eligible_and_says_why),
};
CHECK_MAIN("meta_log", cases)
