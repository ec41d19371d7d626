/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/trash_keeper.h"

#include <stdlib.h>
#include <string.h>

#include "broker/log/log_trash.h"
#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define SWEEP_EVERY WTIME_S(600)

/* A topic that is not there. */
struct trash_topic {
    struct uuid id;
    bool is_gone; /* purged */
    size_t rank;  /* in the trash: by removal, the oldest is 0 */
};

struct trash_keeper {
    struct broker *b;
    pthread_mutex_t lock;
    bool is_known, is_moving; /* a view was taken; the image has moved since. Under lock, as: */
    struct trash_topic *topics; /* sorted by id */
    size_t n_topics;
    ARRAY(struct partition_key) moved; /* under lock: what is removed as soon as it is in the trash */
    atomic_int_least64_t last_sweep;
    atomic_int_least64_t reserve; /* weir.disk.reserve.bytes */
    STAILQ_HEAD(, io_job) waiting; /* under lock: opening_jobs */
};

/* --- The view --------------------------------------------------------------------------------- */
static int compare_topics(const void *a, const void *b)
{
    const struct trash_topic *x = a, *y = b;

    return uuid_compare(&x->id, &y->id);
}

void trash_keeper_image_moves(struct trash_keeper *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->is_moving = true;
    (void)pthread_mutex_unlock(&t->lock);
}

void trash_keeper_image_moved(struct trash_keeper *t)
{
    const struct image *image = t->b->image;
    size_t n_trash = image_n_trash(image), n_gone = image_n_tombstones(image), n = 0;
    struct trash_topic *topics = mem_new_n(struct trash_topic, n_trash + n_gone + 1);
    struct trash_topic *former;

    for (size_t i = 0; i < n_trash; i++) {
        topics[n++] = (struct trash_topic){.id = image_trash_at(image, i)->id, .rank = i};
    }
    for (size_t i = 0; i < n_gone; i++) {
        topics[n++] = (struct trash_topic){.id = image_tombstone_at(image, i)->id, .is_gone = true};
    }
    qsort(topics, n, sizeof(*topics), compare_topics);
    (void)pthread_mutex_lock(&t->lock);
    former = t->topics;
    t->topics = topics;
    t->n_topics = n;
    t->is_known = true;
    t->is_moving = false;
    (void)pthread_mutex_unlock(&t->lock);
    (void)mem_free(former);
}

/* Under the lock. */
static const struct trash_topic *find(const struct trash_keeper *t, const struct uuid *id)
{
    const struct trash_topic key = {.id = *id};

    return t->n_topics > 0 ? bsearch(&key, t->topics, t->n_topics, sizeof(key), compare_topics)
                           : NULL;
}

/* --- Replicas that moved away ----------------------------------------------------------------- */
static size_t moved_index(const struct trash_keeper *t, const struct partition_key *key)
{
    size_t i = 0;

    while (i < t->moved.n && memcmp(&t->moved.items[i], key, sizeof(*key)) != 0) {
        i++;
    }
    return i;
}

void trash_keeper_moved_away(struct trash_keeper *t, const struct partition_key *key)
{
    (void)pthread_mutex_lock(&t->lock);
    if (moved_index(t, key) == t->moved.n) {
        *array_push(&t->moved) = *key;
    }
    (void)pthread_mutex_unlock(&t->lock);
}

/* [TRS-14] Of a topic that is there. What moved away while nobody here was told may be one that an older image moved: a day. */
static enum log_trash_verdict judge_replica(
        struct trash_keeper *t, const struct uuid *id, int32_t number)
{
    const struct partition_key key = {.topic_id = *id, .number = number};
    struct partition *p = partitions_get(&t->b->partitions, id, number);
    enum log_trash_verdict verdict = LOG_TRASH_KEEP; /* It is about to be brought back. */

    (void)pthread_mutex_lock(&t->lock);
    size_t i = moved_index(t, &key);

    if (p == NULL && t->is_known && !t->is_moving) {
        verdict = i < t->moved.n ? LOG_TRASH_PURGE : LOG_TRASH_UNNAMED;
    }
    (void)pthread_mutex_unlock(&t->lock);
    partition_unref(p);
    return verdict;
}

static bool is_in_trash(const struct trash_keeper *t, const struct partition_key *key)
{
    bool is_there = false;

    for (size_t d = 0; d < t->b->dirs.n; d++) {
        enum log_trash_state state =
                log_trash_look(t->b->dirs.items[d], &key->topic_id, key->number);

        is_there = is_there || (state != LOG_TRASH_NONE && state != LOG_TRASH_BACK);
    }
    return is_there;
}

/* Those that are gone, or back. */
static void forget_moved(struct trash_keeper *t)
{
    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->moved.n;) {
        if (is_in_trash(t, &t->moved.items[i])) {
            i++;
        } else {
            array_remove(&t->moved, i);
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
}

/* [TRS-10] Only what the image says is gone is removed; of what it does not know, the log directory keeps it for a day. */
static enum log_trash_verdict judge(void *ctx, const struct uuid *id, int32_t partition)
{
    struct trash_keeper *t = ctx;
    enum log_trash_verdict verdict = LOG_TRASH_KEEP;

    if (partitions_refusal(&t->b->partitions, id) != ERRCODE_UNKNOWN_TOPIC_ID) {
        return judge_replica(t, id, partition);
    }
    (void)pthread_mutex_lock(&t->lock);
    const struct trash_topic *topic = find(t, id);

    if (topic != NULL) {
        verdict = topic->is_gone ? LOG_TRASH_PURGE : LOG_TRASH_KEEP;
    } else if (t->is_known && !t->is_moving) {
        verdict = LOG_TRASH_UNNAMED;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return verdict;
}

void trash_keeper_tick(struct trash_keeper *t)
{
    atomic_store(&t->reserve, broker_configs_i64(t->b->configs, "weir.disk.reserve.bytes"));
}

/* --- Relief ----------------------------------------------------------------------------------- */
/* [TRS-12] A little before appends are refused for want of space. */
static bool is_low(const struct trash_keeper *t, const struct log_dir *dir, uint64_t *ret_free)
{
    const struct file_io *io = log_dir_io(dir);
    uint64_t total = 0;

    return io->space(io->ctx, log_dir_path(dir), &total, ret_free) == 0 &&
           *ret_free < log_dir_space_wanted(total, atomic_load(&t->reserve));
}

struct victim {
    struct log_trash_item item;
    size_t rank;
};

static int compare_victims(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    int by_rank = (x->rank > y->rank) - (x->rank < y->rank);

    return by_rank != 0 ? by_rank : uuid_compare(&x->item.topic_id, &y->item.topic_id);
}

/* What may be given up, the oldest topic first; what no image knows comes last. */
static struct victim *list_victims(struct trash_keeper *t, struct log_dir *dir, size_t *ret_n)
{
    size_t n = 0, n_victims = 0;
    struct log_trash_item *items = log_trash_list(dir, &n);
    struct victim *victims = mem_new_n(struct victim, n + 1);

    for (size_t i = 0; i < n; i++) {
        if (items[i].is_emptied || partitions_refusal(&t->b->partitions, &items[i].topic_id) !=
                                           ERRCODE_UNKNOWN_TOPIC_ID) {
            continue;
        }
        (void)pthread_mutex_lock(&t->lock);
        const struct trash_topic *topic = find(t, &items[i].topic_id);
        victims[n_victims++] = (struct victim){
                .item = items[i], .rank = topic != NULL ? topic->rank : SIZE_MAX};
        (void)pthread_mutex_unlock(&t->lock);
    }
    (void)mem_free(items);
    qsort(victims, n_victims, sizeof(*victims), compare_victims);
    *ret_n = n_victims;
    return victims;
}

static int give_up(struct log_dir *dir, const struct victim *v, uint64_t free_bytes)
{
    char id[UUID_TEXT_SIZE];
    int r = log_trash_empty(dir, &v->item.topic_id, v->item.partition);

    if (r < 0) {
        return err_forward(r);
    }
    metric_add(METRIC_BROKER_TRASH_GIVEN_UP, (uint64_t)v->item.bytes);
    log_error("trash", "deleted_log_given_up", KV_STR("dir", log_dir_path(dir)),
            KV_STR("topic_id", uuid_format(&v->item.topic_id, id)),
            KV_I64("partition", v->item.partition), KV_I64("bytes", v->item.bytes),
            KV_U64("free", free_bytes),
            KV_STR("reason",
                    "the disk has less than weir.disk.reserve.bytes free; this deleted topic cannot be "
                    "restored whole any more"));
    return 0;
}

/* [TRS-12] What nobody brings back goes first: a damaged log was filled anew from its leader. */
static int relieve_of_asides(struct trash_keeper *t, struct log_dir *dir)
{
    uint64_t free_bytes = 0;
    size_t n = 0;
    int r = 0;
    struct log_trash_aside *asides = log_trash_asides(dir, &n);

    for (size_t i = 0; i < n && r >= 0 && is_low(t, dir, &free_bytes); i++) {
        r = log_trash_remove_aside(dir, &asides[i]);
        if (r >= 0) {
            metric_add(METRIC_BROKER_TRASH_GIVEN_UP, (uint64_t)asides[i].bytes);
            log_warn("trash", "damaged_log_given_up", KV_STR("dir", log_dir_path(dir)),
                    KV_STR("folder", asides[i].name), KV_I64("bytes", asides[i].bytes),
                    KV_U64("free", free_bytes),
                    KV_STR("reason", "the disk has less than weir.disk.reserve.bytes free"));
        }
    }
    (void)mem_free(asides);
    return r < 0 ? err_forward(r) : 0;
}

/* [TRS-12] A topic at a time: half of one is of no use to anybody. */
static int relieve(struct trash_keeper *t, struct log_dir *dir)
{
    uint64_t free_bytes = 0;
    size_t n = 0;
    int r = relieve_of_asides(t, dir);

    if (r < 0 || !is_low(t, dir, &free_bytes)) {
        return r < 0 ? err_forward(r) : 0;
    }
    struct victim *victims = list_victims(t, dir, &n);

    for (size_t i = 0; i < n && r >= 0; i++) {
        bool is_same = i > 0 && uuid_equal(&victims[i].item.topic_id, &victims[i - 1].item.topic_id);
        if (!is_same && !is_low(t, dir, &free_bytes)) {
            break;
        }
        r = give_up(dir, &victims[i], free_bytes);
    }
    (void)mem_free(victims);
    return r < 0 ? err_forward(r) : 0;
}

/* --- The sweep -------------------------------------------------------------------------------- */
int trash_keeper_sweep(struct trash_keeper *t, struct log_dir *dir)
{
    const struct log_trash_judge judgement = {.judge = judge, .ctx = t, .now = clock_wall()};
    bool is_known;

    (void)pthread_mutex_lock(&t->lock);
    is_known = t->is_known;
    (void)pthread_mutex_unlock(&t->lock);
    if (!is_known) { /* [BRK-10] */
        return log_trash_sync(dir);
    }
    atomic_store(&t->last_sweep, clock_now());
    int swept = log_trash_sweep(dir, &judgement);
    int r = swept < 0 ? swept : relieve(t, dir);

    forget_moved(t);
    return r < 0 ? err_forward(r) : swept;
}

bool trash_keeper_is_due(struct trash_keeper *t)
{
    bool is_due = clock_now() - atomic_load(&t->last_sweep) >= SWEEP_EVERY;
    int64_t trash_bytes = 0;

    for (size_t d = 0; d < t->b->dirs.n; d++) {
        struct log_dir *dir = t->b->dirs.items[d];
        uint64_t free_bytes = 0;
        int64_t bytes = 0;
        size_t n = 0;
        struct log_trash_item *items = log_trash_list(dir, &n);

        for (size_t i = 0; i < n; i++) {
            bytes += items[i].bytes;
        }
        (void)mem_free(items);
        trash_bytes += bytes;
        (void)mem_free(log_trash_asides(dir, &n));
        is_due = is_due || ((bytes > 0 || n > 0) && is_low(t, dir, &free_bytes));
    }
    metric_set(METRIC_BROKER_TRASH_BYTES, trash_bytes);
    return is_due;
}

/* --- Logs that come back ---------------------------------------------------------------------- */
struct opening_job {
    struct io_job job;
    struct trash_keeper *t;
    struct partition *p;
};

static void run_opening(struct io_job *job)
{
    struct opening_job *j = container_of(job, struct opening_job, job);

    if (!partition_try_open(j->p)) {
        (void)pthread_mutex_lock(&j->t->lock);
        STAILQ_INSERT_TAIL(&j->t->waiting, &j->job, entry);
        (void)pthread_mutex_unlock(&j->t->lock);
        return;
    }
    partition_unref(j->p);
    (void)mem_free(j);
}

void trash_keeper_open(struct trash_keeper *t, struct partition *p)
{
    struct opening_job *j = mem_new(struct opening_job);

    (void)pthread_mutex_lock(&t->lock);
    size_t moved = moved_index(t, &p->key);

    if (moved < t->moved.n) {
        array_remove(&t->moved, moved);
    }
    (void)pthread_mutex_unlock(&t->lock);
    j->job.run = run_opening;
    j->t = t;
    j->p = partition_ref(p);
    io_pool_submit(t->b->pool, &j->job);
}

static struct io_job *take_waiting(struct trash_keeper *t)
{
    struct io_job *job;

    (void)pthread_mutex_lock(&t->lock);
    job = STAILQ_FIRST(&t->waiting);
    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&t->waiting, entry);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return job;
}

/* Those that wait now: who has to wait again joins behind them, and is not met twice. */
void trash_keeper_retry(struct trash_keeper *t)
{
    STAILQ_HEAD(, io_job) all = STAILQ_HEAD_INITIALIZER(all);

    (void)pthread_mutex_lock(&t->lock);
    STAILQ_CONCAT(&all, &t->waiting);
    (void)pthread_mutex_unlock(&t->lock);
    while (!STAILQ_EMPTY(&all)) {
        struct io_job *job = STAILQ_FIRST(&all);
        STAILQ_REMOVE_HEAD(&all, entry);
        io_pool_submit(t->b->pool, job);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */
struct trash_keeper *trash_keeper_new(struct broker *b)
{
    struct trash_keeper *t = mem_new(struct trash_keeper);

    t->b = b;
    (void)pthread_mutex_init(&t->lock, NULL);
    STAILQ_INIT(&t->waiting);
    trash_keeper_tick(t);
    return t;
}

struct trash_keeper *trash_keeper_free(struct trash_keeper *t)
{
    if (t == NULL) {
        return NULL;
    }
    for (struct io_job *job = take_waiting(t); job != NULL; job = take_waiting(t)) {
        struct opening_job *j = container_of(job, struct opening_job, job);
        partition_unref(j->p);
        (void)mem_free(j);
    }
    (void)pthread_mutex_destroy(&t->lock);
    (void)mem_free(t->topics);
    array_deinit(&t->moved);
    return mem_free(t);
}
