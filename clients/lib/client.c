/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/client.h"

#include "clients/lib/link.h"
#include "clients/lib/pbatch.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Which client's callback this thread is inside of, and whose internal thread it is. */
static __thread const struct weir_client *callback_of;
static __thread const struct weir_client *internal_of;

enum {
    CALLBACK_ROUNDS = 64
}; /* batches whose callbacks one weir_poll() runs at most */

const char *weir_version(void)
{
    return WEIR_VERSION;
}

bool client_in_callback(const struct weir_client *c)
{
    return callback_of == c;
}

bool client_on_internal_thread(const struct weir_client *c)
{
    return internal_of == c;
}

uint64_t client_seed(struct weir_client *c)
{
    c->seed += 0x9e3779b97f4a7c15;
    return c->seed;
}

void client_log(struct weir_client *c, enum weir_log_level level, const char *format, ...)
{
    char line[512];
    va_list args;

    if (c->log == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    c->log(c->log_ctx, level, line);
}

/* --- Waking ----------------------------------------------------------------------------------- */

void client_kick(struct weir_client *c)
{
    if (!c->is_kicked) {
        c->is_kicked = true;
        loop_post(c->loop, &c->kick);
    }
}

void client_kick_unlocked(struct weir_client *c)
{
    pthread_mutex_lock(&c->lock);
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
}

void client_has_callbacks(struct weir_client *c)
{
    uint64_t one = 1;

    pthread_cond_broadcast(&c->changed);
    if (c->fd >= 0 && !c->fd_is_set) {
        c->fd_is_set = true;
        (void)!write(c->fd, &one, sizeof(one)); /* a counter of 1 never blocks */
    }
}

wtime deadline_after(int timeout_ms)
{
    return timeout_ms < 0 ? WTIME_NEVER : wtime_add(clock_now(), WTIME_MS(timeout_ms));
}

bool client_wait(struct weir_client *c, wtime deadline)
{
    if (deadline == WTIME_NEVER) {
        (void)pthread_cond_wait(&c->changed, &c->lock);
        return true;
    }
    if (clock_now() >= deadline) {
        return false;
    }
    struct timespec at = {.tv_sec = deadline / 1000000, .tv_nsec = deadline % 1000000 * 1000};
    (void)pthread_cond_timedwait(&c->changed, &c->lock, &at);
    return true; /* the next call sees that the time is over */
}

/* --- The internal thread ---------------------------------------------------------------------- */

static void start_links(struct weir_client *c, wtime now)
{
    struct link *l = NULL;
    struct link *next = NULL;

    for (l = TAILQ_FIRST(&c->links); l != NULL; l = next) {
        next = TAILQ_NEXT(l, entry);
        if (l->id == BROKER_NONE || l->state != LINK_DOWN) {
            continue;
        }
        pthread_mutex_lock(&c->lock);
        bool is_needed =
                acc_needs(&c->acc, l->id) || fetcher_needs(c, l->id) || query_needs(c, l->id);
        pthread_mutex_unlock(&c->lock);
        if (is_needed) {
            (void)link_get(c, l->id, now);
        }
    }
}

static void set_timer(struct weir_client *c, wtime now)
{
    pthread_mutex_lock(&c->lock);
    wtime deadline = acc_deadline(&c->acc);
    deadline = wtime_min(deadline, staged_deadline(c));
    deadline = wtime_min(deadline, produce_id_deadline(c, now));
    deadline = wtime_min(deadline, fetcher_deadline(c, now));
    deadline = wtime_min(deadline, query_deadline(c, now));
    wtime refresh = mv_refresh_deadline(&c->refresh);
    if (c->topic_list.n > 0 && refresh > now) { /* one that is due waits for a link */
        deadline = wtime_min(deadline, refresh);
    }
    pthread_mutex_unlock(&c->lock);
    deadline = wtime_min(deadline, links_deadline(c, now));
    timer_set(&c->timer, deadline);
}

static void client_work(struct weir_client *c)
{
    wtime now = loop_now(c->loop);

    if (c->is_stopping) {
        return;
    }
    internal_of = c;
    links_drop_removed(c);
    sender_work(c, now);
    produce_id_work(c, now); /* by what the sender found to need */
    fetcher_work(c, now);
    query_work(c, now);
    metadata_work(c, now);
    start_links(c, now); /* by what the others found to need */
    if (c->settings.has_callback_thread) {
        while (client_run_callbacks(c) > 0) {
        }
    }
    set_timer(c, now);
}

static void on_kick(struct loop_task *task)
{
    struct weir_client *c = container_of(task, struct weir_client, kick);

    pthread_mutex_lock(&c->lock);
    c->is_kicked = false;
    pthread_mutex_unlock(&c->lock);
    client_work(c);
}

static void on_timer(void *ctx)
{
    client_work(ctx);
}

/* --- Callbacks -------------------------------------------------------------------------------- */

/* Under the lock. */
static bool has_callbacks_due(const struct weir_client *c)
{
    return !TAILQ_EMPTY(&c->done) || consumer_has_callback_due(c);
}

int client_run_callbacks(struct weir_client *c)
{
    const struct weir_client *outer = callback_of;
    int n = 0;

    callback_of = c;
    for (int i = 0; i < CALLBACK_ROUNDS; i++) {
        int reports = report_run_one(c);
        int messages = consumer_run_one(c);
        if (reports < 0 && messages == 0) {
            break;
        }
        n += (reports > 0 ? reports : 0) + messages;
    }
    callback_of = outer;
    pthread_mutex_lock(&c->lock);
    if (c->fd_is_set && !has_callbacks_due(c)) {
        uint64_t count = 0;
        c->fd_is_set = false;
        (void)!read(c->fd, &count, sizeof(count));
    }
    pthread_mutex_unlock(&c->lock);
    return n;
}

int weir_poll(struct weir_client *c, int timeout_ms)
{
    if (c->settings.has_callback_thread || client_in_callback(c)) {
        return 0;
    }
    wtime deadline = deadline_after(timeout_ms);
    bool is_over = false;
    do {
        int n = client_run_callbacks(c);
        if (n > 0) {
            return n;
        }
        pthread_mutex_lock(&c->lock);
        while (!is_over && !has_callbacks_due(c)) {
            is_over = !client_wait(c, deadline);
        }
        is_over = is_over && !has_callbacks_due(c);
        pthread_mutex_unlock(&c->lock);
    } while (!is_over);
    return 0;
}

int weir_fd(const struct weir_client *c)
{
    return c->fd;
}

/* --- Life ------------------------------------------------------------------------------------- */

/* With numbers brokers let nothing overtake; without retries nothing can: several batches of a partition may be in
 * flight. */
static uint32_t partition_in_flight(const struct settings *s, uint32_t retries)
{
    if (s->is_idempotent) {
        return s->max_in_flight < SEQ_WINDOW ? s->max_in_flight : SEQ_WINDOW;
    }
    return retries == 0 ? s->max_in_flight : 1;
}

static void acc_settings_of(const struct settings *s, struct acc_settings *ret)
{
    uint32_t retries = s->acks == 0 ? 0 : s->retries;

    *ret = (struct acc_settings){
            .batch_size = s->batch_size < s->max_request_size ? s->batch_size : s->max_request_size,
            .request_size = s->max_request_size,
            .memory = s->buffer_memory,
            .linger = s->linger,
            .delivery_timeout = s->delivery_timeout,
            .retry_backoff = s->retry_backoff,
            .retry_backoff_max = s->retry_backoff_max,
            .retries = retries,
            .partition_in_flight = partition_in_flight(s, retries),
            .is_idempotent = s->is_idempotent,
    };
}

static void init_lock(struct weir_client *c)
{
    pthread_condattr_t attr;

    must(pthread_mutex_init(&c->lock, NULL) == 0);
    must(pthread_condattr_init(&attr) == 0);
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&c->changed, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
}

static struct weir_client *client_free(struct weir_client *c)
{
    struct pbatch *b = NULL;

    links_deinit(c);
    timer_deinit(&c->timer);
    c->resolver = c->resolver != NULL ? resolver_free(c->resolver) : NULL;
    c->loop = c->loop != NULL ? loop_free(c->loop) : NULL;
    for (size_t i = 0; i < c->topic_list.n; i++) {
        HASH_DELETE(hh, c->topics, c->topic_list.items[i]);
        topic_free(c->topic_list.items[i]);
    }
    array_deinit(&c->topic_list);
    while ((b = TAILQ_FIRST(&c->spare)) != NULL) {
        TAILQ_REMOVE(&c->spare, b, entry);
        pbatch_free(b);
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    settings_deinit(&c->settings);
    return mem_free(c);
}

static void init_state(struct weir_client *c)
{
    const struct settings *s = &c->settings;
    struct acc_settings acc;

    c->seed = (uint64_t)clock_now() ^ (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)c;
    acc_settings_of(s, &acc);
    acc_init(&c->acc, &acc, client_seed(c));
    mv_refresh_init(&c->refresh, s->retry_backoff, s->retry_backoff_max, s->metadata_max_age,
            client_seed(c));
    TAILQ_INIT(&c->links);
    TAILQ_INIT(&c->consumers);
    TAILQ_INIT(&c->queries);
    TAILQ_INIT(&c->done);
    TAILQ_INIT(&c->spare);
    TAILQ_INIT(&c->left);
    prng_init(&c->id_quest.prng, client_seed(c));
    c->kick.run = on_kick;
    c->fd = -1;
}

int weir_client_new(
        const struct weir_conf *conf, struct weir_client **ret, struct weir_error *error)
{
    struct settings settings = {0};
    int r = settings_read(&settings, conf, error);

    if (r != WEIR_OK) {
        return r;
    }
    struct weir_client *c = mem_new(struct weir_client);
    c->settings = settings;
    conf_log(conf, &c->log, &c->log_ctx);
    init_lock(c);
    init_state(c);
    r = links_init(c, error);
    if (r == WEIR_OK && !settings.has_callback_thread) {
        c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = c->fd >= 0 ? WEIR_OK : error_set(error, WEIR_E_MEMORY, "eventfd: error %d", errno);
    }
    if (r != WEIR_OK) {
        client_free(c);
        return r;
    }
    if (settings.idempotence_off_why != NULL) {
        client_log(c, WEIR_LOG_INFO, "enable.idempotence is off, because %s",
                settings.idempotence_off_why);
    }
    c->loop = loop_new("weir-client");
    c->resolver = resolver_new();
    timer_init(&c->timer, c->loop, on_timer, c);
    loop_start(c->loop);
    *ret = c;
    return WEIR_OK;
}

struct stop_task {
    struct loop_task task;
    struct weir_client *client;
};

static void on_stop(struct loop_task *task)
{
    struct weir_client *c = container_of(task, struct stop_task, task)->client;

    c->is_stopping = true;
    internal_of = c;
    links_deinit(c); /* what was in flight ends */
    sender_stop(c);
    query_stop(c);
    timer_deinit(&c->timer);
    internal_of = NULL;
    loop_stop(c->loop);
}

int64_t weir_client_close(struct weir_client *c, int timeout_ms)
{
    struct stop_task stop = {.task.run = on_stop, .client = c};

    if (c == NULL) {
        return 0;
    }
    if (client_in_callback(c) || client_on_internal_thread(c)) {
        return -1;
    }
    pthread_mutex_lock(&c->lock);
    c->is_closing = true;
    size_t n_before = c->n_unpersisted;
    must(TAILQ_EMPTY(&c->consumers));
    pthread_mutex_unlock(&c->lock);
    (void)weir_flush(c, timeout_ms);
    loop_post(c->loop, &stop.task);
    loop_join(c->loop);
    while (client_run_callbacks(c) > 0) {
    }
    must(c->n_outstanding == 0);
    int64_t n_lost = (int64_t)(c->n_unpersisted - n_before);
    client_free(c);
    return n_lost;
}
