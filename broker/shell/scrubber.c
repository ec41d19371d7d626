/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/scrubber.h"

#include "broker/log/plog_scrub.h"
#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/partition_impl.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum {
    PASS_S = 3600, /* a pass begins at most that often */
    RETRY_S = 10,  /* after a lack of descriptors, or while the disk does not answer */
    CURSOR_S = 60, /* how much may be read again after a death */
    PIECE_SIZE = 1024 * 1024,
};

struct scrubber {
    struct broker *b;
    struct log_dir *dir;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ending; /* under `lock` */
    int64_t rate;   /* under `lock` */

    /* The thread's own. */
    struct scrub_cursor cursor; /* what comes next */
    wtime cursor_written;
};

struct scrubbers {
    struct scrubber *items;
    size_t n;
};

/* --- Waiting ---------------------------------------------------------------------------------- */

/* Until the time is over; at a rate of 0, until there is another one. False: the end has come. */
static bool rest(struct scrubber *s, wtime us)
{
    wtime until = wtime_add(clock_now(), us);
    struct timespec t = {.tv_sec = until / 1000000, .tv_nsec = (until % 1000000) * 1000};
    int r = 0;

    (void)pthread_mutex_lock(&s->lock);
    while (!s->is_ending && (r == 0 || s->rate == 0)) {
        r = s->rate == 0 ? pthread_cond_wait(&s->changed, &s->lock)
                         : pthread_cond_timedwait(&s->changed, &s->lock, &t);
    }
    bool goes_on = !s->is_ending;
    (void)pthread_mutex_unlock(&s->lock);
    return goes_on;
}

static int64_t rate_of(struct scrubber *s)
{
    (void)pthread_mutex_lock(&s->lock);
    int64_t rate = s->rate;
    (void)pthread_mutex_unlock(&s->lock);
    return rate > 0 ? rate : 1;
}

/* [LOG-91] So long that what was just read stays below the rate. */
static bool rest_after(struct scrubber *s, int64_t bytes)
{
    return rest(s, (wtime)(bytes * 1000000 / rate_of(s)));
}

/* --- The cursor ------------------------------------------------------------------------------- */

static void write_cursor(struct scrubber *s)
{
    int r = log_dir_failed(s->dir) ? 0 : scrub_cursor_write(s->dir, &s->cursor);

    s->cursor_written = clock_now();
    if (r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r)) {
        log_dir_fail(s->dir, r, "the scrubber's cursor could not be written");
    }
}

/* [LOG-91] */
static void move_cursor(struct scrubber *s, const struct partition_key *key, offset64 offset)
{
    s->cursor = (struct scrub_cursor){
            .topic_id = key->topic_id, .partition = key->number, .offset = offset};
    if (clock_now() - s->cursor_written > WTIME_S(CURSOR_S)) {
        write_cursor(s);
    }
}

/* --- One segment ------------------------------------------------------------------------------ */

static int begin(struct partition *p, offset64 from, struct plog_scrub **ret)
{
    struct hold h;
    int r = PLOG_E_NOT_FOUND;

    hold_begin(&h, p);
    struct plog *l = partition_use_begin(&h);
    if (l != NULL) {
        r = plog_scrub_begin(l, from, ret);
        partition_use_end(&h);
    }
    hold_end(&h);
    return r;
}

/* `r`: of the last step. [LOG-90] Damage is the replica's end, as for a reader. */
static int finish(struct partition *p, struct plog_scrub *scrub, int r)
{
    struct hold h;
    bool is_index_new = false;

    hold_begin(&h, p);
    struct plog *l = partition_use_begin(&h);
    if (l == NULL) {
        (void)plog_scrub_free(scrub);
        r = 0;
    } else {
        r = plog_scrub_end(l, scrub, r, &is_index_new);
        if (r == PLOG_E_DAMAGED || r < 0) {
            partition_fail_locked(&h);
        }
        partition_use_end(&h);
    }
    hold_end(&h);
    if (r == PLOG_E_DAMAGED || is_index_new) {
        metric_add(METRIC_BROKER_SCRUB_ERRORS, 1);
    }
    return r;
}

/* Reads a segment piece by piece. PLOG_E_NOT_FOUND: it was given up. False: the end has come. */
static bool scrub_segment(
        struct scrubber *s, struct partition *p, struct plog_scrub *scrub, int *ret)
{
    for (;;) {
        int64_t rate = rate_of(s), bytes = 0;
        bool is_done = false;
        int r = plog_scrub_step(scrub, rate < PIECE_SIZE ? rate : PIECE_SIZE, &bytes, &is_done);

        metric_add(METRIC_BROKER_SCRUBBED_BYTES, (uint64_t)bytes);
        if (is_done || r < 0) {
            *ret = finish(p, scrub, r);
            return rest_after(s, bytes);
        }
        bool goes_on = rest_after(s, bytes);
        if (!goes_on || partition_is_removed(p)) {
            (void)plog_scrub_free(scrub);
            *ret = PLOG_E_NOT_FOUND;
            return goes_on;
        }
    }
}

/* --- A pass ----------------------------------------------------------------------------------- */

/* The sealed segments of a partition from the cursor on. False: the end has come. */
static bool scrub_partition(struct scrubber *s, struct partition *p)
{
    for (;;) {
        struct plog_scrub *scrub = NULL;
        int r = begin(p, s->cursor.offset, &scrub);

        if (r == 0) {
            offset64 next = plog_scrub_next(scrub);
            bool goes_on = scrub_segment(s, p, scrub, &r);
            if (r == 0) {
                move_cursor(s, &p->key, next);
            }
            if (!goes_on) {
                return false;
            }
        }
        if (r == PLOG_E_BUSY || log_dir_stalled_ms(s->dir) > 0) {
            if (!rest(s, WTIME_S(RETRY_S))) {
                return false;
            }
        } else if (r != 0) { /* it has no more, or nothing that could be read */
            return true;
        }
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct partition_key *x = a, *y = b;
    int by_topic = uuid_compare(&x->topic_id, &y->topic_id);

    return by_topic != 0 ? by_topic : (x->number > y->number) - (x->number < y->number);
}

/* The partitions of the folder, in the cursor's order; mem_free. */
static struct partition_key *keys_of(struct scrubber *s, size_t *ret_n)
{
    size_t n_all = 0, n = 0;
    struct partition **all = partitions_all(&s->b->partitions, &n_all);
    struct partition_key *keys = mem_new_n(struct partition_key, n_all + 1);

    for (size_t i = 0; i < n_all; i++) {
        if (all[i]->dir == s->dir) {
            keys[n++] = all[i]->key;
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    qsort(keys, n, sizeof(*keys), compare_keys);
    *ret_n = n;
    return keys;
}

/* [LOG-91] From the cursor to the last partition. False: the end has come. */
static bool pass(struct scrubber *s)
{
    size_t n = 0;
    struct partition_key *keys = keys_of(s, &n);
    bool goes_on = true;

    for (size_t i = 0; i < n && goes_on && !log_dir_failed(s->dir); i++) {
        struct partition_key at = {.topic_id = s->cursor.topic_id, .number = s->cursor.partition};
        int order = compare_keys(&keys[i], &at);
        if (order < 0) {
            continue;
        }
        if (order > 0) {
            move_cursor(s, &keys[i], 0);
        }
        struct partition *p = partitions_get(&s->b->partitions, &keys[i].topic_id, keys[i].number);
        if (p != NULL) {
            goes_on = scrub_partition(s, p);
        }
        partition_unref(p);
    }
    (void)mem_free(keys);
    return goes_on;
}

static void *run(void *arg)
{
    struct scrubber *s = arg;

    (void)pthread_setname_np(pthread_self(), "scrub");
    while (rest(s, 0) && !log_dir_failed(s->dir)) {
        wtime began = clock_now();

        if (!pass(s)) {
            break;
        }
        s->cursor = (struct scrub_cursor){0};
        if (!rest(s, wtime_max(0, began + WTIME_S(PASS_S) - clock_now()))) {
            break;
        }
    }
    write_cursor(s);
    return NULL;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void start(struct scrubber *s, struct broker *b, struct log_dir *dir)
{
    pthread_condattr_t attr;
    sigset_t all, old;

    s->b = b;
    s->dir = dir;
    s->cursor_written = clock_now();
    int r = scrub_cursor_read(dir, &s->cursor);
    if (r < 0) { /* from the beginning, then */
        log_warn("scrubber", "cursor_unreadable", KV_STR("dir", log_dir_path(dir)), KV_ERR(r));
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    s->rate = broker_configs_i64(b->configs, "weir.scrub.bytes.per.second");
    /* The process's signals belong to the control loop. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    must(pthread_create(&s->thread, NULL, run, s) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct scrubbers *scrubbers_new(struct broker *b)
{
    struct scrubbers *s = mem_new(struct scrubbers);

    s->n = b->dirs.n;
    s->items = mem_new_n(struct scrubber, s->n);
    for (size_t i = 0; i < s->n; i++) {
        start(&s->items[i], b, b->dirs.items[i]);
    }
    return s;
}

void scrubbers_set_rate(struct scrubbers *s, int64_t bytes_per_second)
{
    for (size_t i = 0; i < s->n; i++) {
        (void)pthread_mutex_lock(&s->items[i].lock);
        s->items[i].rate = bytes_per_second;
        (void)pthread_cond_broadcast(&s->items[i].changed);
        (void)pthread_mutex_unlock(&s->items[i].lock);
    }
}

struct scrubbers *scrubbers_free(struct scrubbers *s)
{
    if (s == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s->n; i++) {
        struct scrubber *one = &s->items[i];
        (void)pthread_mutex_lock(&one->lock);
        one->is_ending = true;
        (void)pthread_cond_broadcast(&one->changed);
        (void)pthread_mutex_unlock(&one->lock);
    }
    for (size_t i = 0; i < s->n; i++) {
        (void)pthread_join(s->items[i].thread, NULL);
        (void)pthread_cond_destroy(&s->items[i].changed);
        (void)pthread_mutex_destroy(&s->items[i].lock);
    }
    (void)mem_free(s->items);
    return mem_free(s);
}
