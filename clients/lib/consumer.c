/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/consumer.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/name_rules.h"

#include <string.h>

/* The application's side of consuming. */

static struct weir_client *client_of(const struct weir_consumer *k)
{
    return k->client;
}

/* --- Partitions ------------------------------------------------------------------------------- */

struct cpart *consumer_part(const struct weir_consumer *k, struct weir_topic *t, int32_t partition)
{
    struct part_key key = {.topic = t, .partition = partition};
    struct cpart *p = NULL;

    HASH_FIND(hh, k->parts, &key, sizeof(key), p);
    return p;
}

/* Or NULL. Under the lock. */
static struct cpart *find(const struct weir_consumer *k, const char *topic, int32_t partition)
{
    struct weir_topic *t = NULL;

    HASH_FIND_STR(k->client->topics, topic, t);
    return t != NULL ? consumer_part(k, t, partition) : NULL;
}

static void drop_item(struct weir_consumer *k, struct fetched *f)
{
    TAILQ_REMOVE(&k->items, f, entry);
    fetch_plan_unqueued(&k->plan, &f->part->core, f->left);
    frame_ref_put(f->frame);
    mem_free(f);
}

static void drop_some(struct weir_consumer *k, const struct cpart *p, bool errors_too)
{
    struct fetched *f = NULL;
    struct fetched *next = NULL;

    for (f = TAILQ_FIRST(&k->items); f != NULL; f = next) {
        next = TAILQ_NEXT(f, entry);
        if (f->part == p && (errors_too || f->error.code == 0)) {
            drop_item(k, f);
        }
    }
}

/* What came of `p` is not wanted any more. Under the lock. */
static void drop_items_of(struct weir_consumer *k, const struct cpart *p)
{
    drop_some(k, p, true);
}

void consumer_drop_records(struct weir_consumer *k, const struct cpart *p)
{
    drop_some(k, p, false);
}

static void remove_part(struct weir_consumer *k, struct cpart *p)
{
    drop_items_of(k, p);
    fetch_plan_remove(&k->plan, &p->core);
    HASH_DELETE(hh, k->parts, p);
    mem_free(p);
}

static void add_part(struct weir_consumer *k, struct weir_topic *t, int32_t partition, int64_t at)
{
    struct cpart *p = mem_new(struct cpart);

    p->key = (struct part_key){.topic = t, .partition = partition};
    p->topic = t;
    p->partition = partition;
    fetch_plan_add(&k->plan, &p->core, at);
    p->core.leader = topic_leader(t, partition);
    p->core.leader_epoch = topic_leader_epoch(t, partition);
    HASH_ADD(hh, k->parts, key, sizeof(p->key), p);
}

static void seek_part(struct weir_consumer *k, struct cpart *p, int64_t at, epoch32 epoch)
{
    drop_items_of(k, p);
    fetch_plan_seek_epoch(&p->core, at, epoch);
    p->position = at >= 0 ? at : OFFSET_NONE;
    client_kick(k->client);
}

int weir_consumer_assign(struct weir_consumer *k,
        const char *topic,
        int32_t partition,
        int64_t at,
        struct weir_error *error)
{
    struct weir_client *c = k->client;
    const char *refusal = topic_name_refusal(topic);

    if (refusal != NULL) {
        return error_set(error, WEIR_E_ARGUMENT, "%s", refusal);
    }
    if (partition < 0 || at < WEIR_SEEK_START) {
        return error_set(error, WEIR_E_ARGUMENT, "partition %d at %lld is not legal", partition,
                (long long)at);
    }
    pthread_mutex_lock(&c->lock);
    struct weir_topic *t = topic_find(c, topic);
    if (consumer_part(k, t, partition) == NULL) {
        add_part(k, t, partition, at);
    }
    seek_part(k, consumer_part(k, t, partition), at, EPOCH_NONE);
    pthread_mutex_unlock(&c->lock);
    return WEIR_OK;
}

int weir_consumer_unassign(struct weir_consumer *k, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&k->client->lock);
    struct cpart *p = find(k, topic, partition);
    if (p != NULL) {
        remove_part(k, p);
    }
    pthread_mutex_unlock(&k->client->lock);
    return p != NULL ? WEIR_OK : WEIR_E_NOT_ASSIGNED;
}

static int seek(
        struct weir_consumer *k, const char *topic, int32_t partition, int64_t at, epoch32 epoch)
{
    pthread_mutex_lock(&k->client->lock);
    struct cpart *p = find(k, topic, partition);
    if (p != NULL) {
        seek_part(k, p, at, epoch);
    }
    pthread_mutex_unlock(&k->client->lock);
    return p != NULL ? WEIR_OK : WEIR_E_NOT_ASSIGNED;
}

int weir_consumer_seek(struct weir_consumer *k, const char *topic, int32_t partition, int64_t at)
{
    return at < WEIR_SEEK_START ? WEIR_E_ARGUMENT : seek(k, topic, partition, at, EPOCH_NONE);
}

int weir_consumer_seek_epoch(struct weir_consumer *k,
        const char *topic,
        int32_t partition,
        int64_t at,
        int32_t leader_epoch)
{
    return at < 0 || leader_epoch < EPOCH_NONE ? WEIR_E_ARGUMENT
                                               : seek(k, topic, partition, at, leader_epoch);
}

int weir_consumer_seek_time(
        struct weir_consumer *k, const char *topic, int32_t partition, int64_t timestamp)
{
    if (timestamp < 0) {
        return WEIR_E_ARGUMENT;
    }
    pthread_mutex_lock(&k->client->lock);
    struct cpart *p = find(k, topic, partition);
    if (p != NULL) {
        seek_part(k, p, WEIR_SEEK_END, EPOCH_NONE);
        fetch_plan_seek_time(&p->core, timestamp);
    }
    pthread_mutex_unlock(&k->client->lock);
    return p != NULL ? WEIR_OK : WEIR_E_NOT_ASSIGNED;
}

static int set_paused(struct weir_consumer *k, const char *topic, int32_t partition, bool is_paused)
{
    struct weir_client *c = k->client;

    pthread_mutex_lock(&c->lock);
    struct cpart *p = find(k, topic, partition);
    if (p != NULL) {
        p->core.is_paused = is_paused;
        client_kick(c);
        client_has_callbacks(c); /* what was kept may be handed out now */
    }
    pthread_mutex_unlock(&c->lock);
    return p != NULL ? WEIR_OK : WEIR_E_NOT_ASSIGNED;
}

int weir_consumer_pause(struct weir_consumer *k, const char *topic, int32_t partition)
{
    return set_paused(k, topic, partition, true);
}

int weir_consumer_resume(struct weir_consumer *k, const char *topic, int32_t partition)
{
    return set_paused(k, topic, partition, false);
}

int64_t weir_consumer_position(const struct weir_consumer *k, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&client_of(k)->lock);
    const struct cpart *p = find(k, topic, partition);
    int64_t position = p != NULL ? p->position : -1;
    pthread_mutex_unlock(&client_of(k)->lock);
    return position;
}

int64_t weir_consumer_high_watermark(
        const struct weir_consumer *k, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&client_of(k)->lock);
    const struct cpart *p = find(k, topic, partition);
    int64_t high_watermark = p != NULL ? p->core.high_watermark : -1;
    pthread_mutex_unlock(&client_of(k)->lock);
    return high_watermark;
}

bool weir_consumer_is_at_end(const struct weir_consumer *k)
{
    pthread_mutex_lock(&client_of(k)->lock);
    bool is_at_end = fetch_plan_is_at_end(&k->plan);
    pthread_mutex_unlock(&client_of(k)->lock);
    return is_at_end;
}

/* --- What came -------------------------------------------------------------------------------- */

void consumer_enqueue(struct weir_consumer *k, struct fetched *f)
{
    TAILQ_INSERT_TAIL(&k->items, f, entry);
    if (k->came != NULL) {
        client_has_callbacks(k->client);
        client_kick(k->client); /* with callbacks on the internal thread */
    } else {
        pthread_cond_broadcast(&k->client->changed);
    }
}

static void enqueue_error(struct weir_consumer *k,
        struct cpart *p,
        const struct weir_error *error,
        offset64 from,
        offset64 end)
{
    struct fetched *f = mem_new(struct fetched);

    f->part = p;
    f->from = from;
    f->end = end;
    f->high_watermark = p->core.high_watermark;
    f->error = *error;
    consumer_enqueue(k, f);
}

void consumer_fail(
        struct weir_consumer *k, struct cpart *p, int code, const char *text, offset64 end)
{
    struct weir_error error;

    fetch_plan_rest(&p->core);
    (void)error_set(
            &error, code, "%s", text != NULL && text[0] != '\0' ? text : weir_code_text(code));
    enqueue_error(k, p, &error, p->core.offset, end);
}

void consumer_parted(struct weir_consumer *k, struct cpart *p)
{
    offset64 was = p->position, end = p->core.offset;
    bool goes_on = k->plan.settings.reset != FETCH_RESET_NONE;
    struct weir_error error;

    (void)error_set(&error, WEIR_E_TRUNCATED,
            "%s-%d was cut at offset %lld: what was read from there up to offset %lld is not in "
            "the log any more%s",
            p->topic->name, (int)p->partition, (long long)end, (long long)(was - 1),
            goes_on ? "; reading goes on at the cut" : "");
    client_log(k->client, WEIR_LOG_WARN, "%s", error.text);
    if (goes_on) {
        p->position = end;
    } else {
        fetch_plan_rest(&p->core);
    }
    enqueue_error(k, p, &error, was, end);
}

/* The first item that may be handed out. Under the lock. */
static struct fetched *first_item(const struct weir_consumer *k)
{
    struct fetched *f = NULL;

    TAILQ_FOREACH(f, &k->items, entry)
    {
        if (!f->part->core.is_paused) {
            return f;
        }
    }
    return NULL;
}

/* Takes one stored batch out of an item; the caller gets a reference to its frame. Under the lock.
 * */
static struct frame_ref *take_stored(struct weir_consumer *k, struct fetched *f, struct stored *ret)
{
    struct cpart *p = f->part;
    struct frame_ref *frame = frame_ref_get(f->frame);
    size_t size = batch_size_peek(f->at);

    must(size > 0 && size <= f->left);
    *ret = (struct stored){.topic = p->topic,
            .partition = p->partition,
            .at = f->at,
            .size = size,
            .from = f->from,
            .high_watermark = f->high_watermark};
    f->at += size;
    f->left -= size;
    fetch_plan_unqueued(&k->plan, &p->core, size);
    if (f->left == 0) {
        drop_item(k, f);
        client_kick(k->client); /* there is room to fetch into */
    }
    return frame;
}

/* After decoding: whether the batch is still wanted; moves the position, or lets the partition
 * rest. Under the lock. */
static bool accept(struct weir_consumer *k,
        const struct stored *s,
        uint64_t version,
        const struct weir_batch *b)
{
    struct cpart *p = consumer_part(k, s->topic, s->partition);
    struct batch header;

    if (p == NULL || p->core.version != version) {
        return false; /* sought or given up meanwhile */
    }
    if (b != NULL && weir_batch_error(b)->code != 0) {
        drop_items_of(k, p);
        fetch_plan_rest(&p->core);
        p->position = weir_batch_begin(b);
        return true;
    }
    must(batch_parse(s->at, s->size, &header) == 0);
    p->position = batch_last_offset(&header) + 1;
    return true;
}

static struct weir_batch *take_error(struct weir_consumer *k, struct fetched *f)
{
    struct stored s = {.topic = f->part->topic,
            .partition = f->part->partition,
            .from = f->from,
            .high_watermark = f->high_watermark};
    struct weir_batch *b = batch_of_error(&s, &f->error, f->end);

    drop_item(k, f);
    return b;
}

/* The next batch that has something, or NULL. Takes and gives back the lock. Under the lock. */
static struct weir_batch *take(struct weir_consumer *k)
{
    struct weir_client *c = k->client;
    struct fetched *f = NULL;

    while ((f = first_item(k)) != NULL) {
        struct stored s;
        if (f->error.code != 0) {
            return take_error(k, f);
        }
        uint64_t version = f->part->core.version;
        struct frame_ref *frame = take_stored(k, f, &s);
        pthread_mutex_unlock(&c->lock);
        struct weir_batch *b = batch_decode(&s, frame, c->settings.decompress_max);
        pthread_mutex_lock(&c->lock);
        bool is_wanted = accept(k, &s, version, b);
        frame_ref_put(frame);
        if (is_wanted && b != NULL) {
            return b;
        }
        weir_batch_free(b);
    }
    return NULL;
}

struct weir_batch *weir_consumer_poll(struct weir_consumer *k, int timeout_ms)
{
    struct weir_client *c = k->client;
    wtime deadline = deadline_after(client_on_internal_thread(c) ? 0 : timeout_ms);
    struct weir_batch *b = NULL;

    pthread_mutex_lock(&c->lock);
    if (k->came == NULL) {
        while ((b = take(k)) == NULL && client_wait(c, deadline)) {
        }
    }
    pthread_mutex_unlock(&c->lock);
    return b;
}

int consumer_run_one(struct weir_client *c)
{
    struct weir_consumer *k = NULL;
    struct weir_batch *b = NULL;

    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        if (k->came != NULL && (b = take(k)) != NULL) {
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (b == NULL) {
        return 0;
    }
    k->came(k->came_ctx, k, b);
    return 1;
}

bool consumer_has_callback_due(const struct weir_client *c)
{
    const struct weir_consumer *k = NULL;

    TAILQ_FOREACH(k, &c->consumers, entry)
    {
        if (k->came != NULL && first_item(k) != NULL) {
            return true;
        }
    }
    return false;
}

void weir_consumer_set_callback(struct weir_consumer *k,
        void (*came)(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch),
        void *ctx)
{
    if (client_in_callback(k->client)) {
        return;
    }
    pthread_mutex_lock(&k->client->lock);
    k->came = came;
    k->came_ctx = ctx;
    pthread_mutex_unlock(&k->client->lock);
}

/* --- Life ------------------------------------------------------------------------------------- */

int weir_consumer_new(struct weir_client *c, struct weir_consumer **ret, struct weir_error *error)
{
    const struct settings *s = &c->settings;
    struct fetch_settings settings = {
            .queue_max = s->fetch_queue_bytes,
            .partition_max = s->partition_fetch_bytes,
            .request_max = s->fetch_max_bytes,
            .reset = (enum fetch_reset)s->reset,
            .retry_backoff = s->retry_backoff,
            .retry_backoff_max = s->retry_backoff_max,
    };

    pthread_mutex_lock(&c->lock);
    if (c->is_closing) {
        pthread_mutex_unlock(&c->lock);
        return error_set(error, WEIR_E_CLOSED, NULL);
    }
    struct weir_consumer *k = mem_new(struct weir_consumer);
    k->client = c;
    fetch_plan_init(&k->plan, &settings, client_seed(c));
    TAILQ_INIT(&k->items);
    TAILQ_INIT(&k->asks);
    TAILQ_INSERT_TAIL(&c->consumers, k, entry);
    pthread_mutex_unlock(&c->lock);
    *ret = k;
    return WEIR_OK;
}

void weir_consumer_free(struct weir_consumer *k)
{
    struct cpart *p = NULL;
    struct cpart *next = NULL;

    if (k == NULL || client_in_callback(k->client)) {
        return;
    }
    struct weir_client *c = k->client;
    pthread_mutex_lock(&c->lock);
    HASH_ITER(hh, k->parts, p, next)
    {
        remove_part(k, p);
    }
    fetcher_forget(k);
    TAILQ_REMOVE(&c->consumers, k, entry);
    pthread_mutex_unlock(&c->lock);
    mem_free(k);
}
