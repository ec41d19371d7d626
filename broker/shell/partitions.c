/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partitions.h"

#include <string.h>

#include "broker/log/log_trash.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/domain/image.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

struct known_topic {
    struct uuid id;
    UT_hash_handle hh;
};

void partitions_init(
        struct partitions *t, struct partition_env *env, const struct broker_dirs *dirs)
{
    *t = (struct partitions){.env = env, .dirs = dirs, .n_in_dir = mem_new_n(size_t, dirs->n)};
    (void)pthread_rwlock_init(&t->lock, NULL);
}

/* Under the write lock. */
static void remove_topic(struct partitions *t, struct known_topic *topic)
{
    HASH_DEL(t->topics, topic);
    (void)mem_free(topic);
}

void partitions_deinit(struct partitions *t)
{
    struct partition *p, *next;

    HASH_ITER(hh, t->by_key, p, next)
    {
        HASH_DEL(t->by_key, p);
        partition_unref(p);
    }
    t->n = 0;
    while (t->topics != NULL) {
        remove_topic(t, t->topics);
    }
    t->n_in_dir = mem_free(t->n_in_dir);
    (void)pthread_rwlock_destroy(&t->lock);
}

static struct partition *find(struct partitions *t, const struct uuid *topic_id, int32_t number)
{
    struct partition_key key = {.topic_id = *topic_id, .number = number};
    struct partition *p = NULL;

    HASH_FIND(hh, t->by_key, &key, sizeof(key), p);
    return p;
}

static size_t *count_of(struct partitions *t, const struct log_dir *dir)
{
    for (size_t i = 0; i < t->dirs->n; i++) {
        if (t->dirs->items[i] == dir) {
            return &t->n_in_dir[i];
        }
    }
    must_not_reach("a partition in a folder that is not ours");
}

static void add(struct partitions *t, struct partition *p)
{
    (*count_of(t, p->dir))++;
    (void)pthread_rwlock_wrlock(&t->lock);
    HASH_ADD(hh, t->by_key, key, sizeof(p->key), p);
    t->n++;
    (void)pthread_rwlock_unlock(&t->lock);
    metric_set(METRIC_BROKER_PARTITIONS, (int64_t)t->n);
}

/* "orders-0" → "orders": topic names may hold dashes, numbers do not. */
static char *topic_of_folder(const char *name)
{
    const char *dash = strrchr(name, '-');

    return dash != NULL ? mem_strndup(name, (size_t)(dash - name)) : mem_strdup(name);
}

struct partition **partitions_add_found(struct partitions *t, size_t d, size_t *ret_n)
{
    struct log_dir *dir = t->dirs->items[d];
    size_t n_logs = 0, n = 0;
    const struct found_log *logs = log_dir_logs(dir, &n_logs);
    struct partition **added = mem_new_n(struct partition *, n_logs + 1);

    for (size_t i = 0; i < n_logs; i++) {
        struct partition_key key = {.topic_id = logs[i].topic_id, .number = logs[i].partition};
        char *topic;

        if (find(t, &key.topic_id, key.number) != NULL) {
            log_error("partitions", "log_found_twice", KV_STR("folder", logs[i].name),
                    KV_STR("dir", log_dir_path(dir)),
                    KV_STR("reason", "another log directory has the same partition; this one "
                                     "is left alone"));
            continue;
        }
        topic = topic_of_folder(logs[i].name);
        added[n] = partition_new(t->env, &key, topic, dir, false);
        (void)mem_free(topic);
        add(t, added[n++]);
    }
    *ret_n = n;
    return added;
}

struct partition *partitions_get(struct partitions *t, const struct uuid *topic_id, int32_t number)
{
    struct partition *p;

    (void)pthread_rwlock_rdlock(&t->lock);
    p = find(t, topic_id, number);
    if (p != NULL) {
        (void)partition_ref(p);
    }
    (void)pthread_rwlock_unlock(&t->lock);
    return p;
}

/* --- Topics of the image ----------------------------------------------------------------------------------------- */

static struct known_topic *find_topic(struct partitions *t, const struct uuid *topic_id)
{
    struct known_topic *topic = NULL;

    HASH_FIND(hh, t->topics, topic_id, sizeof(*topic_id), topic);
    return topic;
}

int partitions_refusal(struct partitions *t, const struct uuid *topic_id)
{
    bool is_known;

    (void)pthread_rwlock_rdlock(&t->lock);
    is_known = find_topic(t, topic_id) != NULL;
    (void)pthread_rwlock_unlock(&t->lock);
    return is_known ? ERRCODE_UNKNOWN_TOPIC_OR_PARTITION : ERRCODE_UNKNOWN_TOPIC_ID;
}

const char *partitions_refusal_text(int error)
{
    return error == ERRCODE_UNKNOWN_TOPIC_ID
                   ? "this broker knows no topic of that id; ask for Metadata again"
                   : "this broker has no replica of that partition; ask for Metadata again";
}

void partitions_know_topic(struct partitions *t, const struct uuid *topic_id)
{
    struct known_topic *topic;

    if (find_topic(t, topic_id) != NULL) { /* Only this thread changes the table. */
        return;
    }
    topic = mem_new(struct known_topic);
    topic->id = *topic_id;
    (void)pthread_rwlock_wrlock(&t->lock);
    HASH_ADD(hh, t->topics, id, sizeof(topic->id), topic);
    (void)pthread_rwlock_unlock(&t->lock);
}

void partitions_forget_topic(struct partitions *t, const struct uuid *topic_id)
{
    struct known_topic *topic;

    (void)pthread_rwlock_wrlock(&t->lock);
    topic = find_topic(t, topic_id);
    if (topic != NULL) {
        remove_topic(t, topic);
    }
    (void)pthread_rwlock_unlock(&t->lock);
}

void partitions_know_image(struct partitions *t, const struct image *image)
{
    struct known_topic *topic, *next;

    (void)pthread_rwlock_wrlock(&t->lock);
    HASH_ITER(hh, t->topics, topic, next)
    {
        if (image_topic_by_id(image, &topic->id) == NULL) {
            remove_topic(t, topic);
        }
    }
    (void)pthread_rwlock_unlock(&t->lock);
    for (size_t i = 0; i < image_n_topics(image); i++) {
        partitions_know_topic(t, &image_topic_at(image, i)->id);
    }
}

/* --- Adding and removing ----------------------------------------------------------------------------------------- */

/* The folder whose checkpoint knows that partition, or NULL. */
static struct log_dir *dir_that_had(
        const struct partitions *t, const struct uuid *topic_id, int32_t number, bool *ret_is_lost)
{
    struct checkpoint_entry e;

    for (size_t i = 0; i < t->dirs->n; i++) {
        if (log_dir_checkpoint(t->dirs->items[i], topic_id, number, &e) &&
                (e.recovery_point > 0 || e.high_watermark > 0)) {
            *ret_is_lost = checkpoint_names_records(&e);
            return t->dirs->items[i];
        }
    }
    return NULL;
}

/* New partitions go where the fewest are. */
static struct log_dir *dir_for_new(const struct partitions *t)
{
    struct log_dir *best = NULL;
    size_t best_n = SIZE_MAX;

    for (size_t i = 0; i < t->dirs->n; i++) {
        if (!log_dir_failed(t->dirs->items[i]) && t->n_in_dir[i] < best_n) {
            best = t->dirs->items[i];
            best_n = t->n_in_dir[i];
        }
    }
    return best;
}

/* [TRS-8] The folder in whose trash the log is, or is about to be; or NULL. */
static struct log_dir *dir_of_trash(
        const struct partitions *t, const struct uuid *topic_id, int32_t number)
{
    for (size_t i = 0; i < t->dirs->n; i++) {
        enum log_trash_state state = log_trash_look(t->dirs->items[i], topic_id, number);

        if (state != LOG_TRASH_NONE && state != LOG_TRASH_BACK) {
            return t->dirs->items[i];
        }
    }
    return NULL;
}

static struct partition *make(struct partitions *t,
        const struct partition_key *key,
        const char *topic,
        bool *ret_is_later)
{
    struct log_dir *trashed = dir_of_trash(t, &key->topic_id, key->number);
    bool is_lost = false;
    struct log_dir *had =
            trashed != NULL ? NULL : dir_that_had(t, &key->topic_id, key->number, &is_lost);
    struct log_dir *dir = trashed != NULL ? trashed : had != NULL ? had : dir_for_new(t);
    struct partition *p;

    if (dir == NULL) {
        return NULL;
    }
    p = partition_new(t->env, key, topic, dir, is_lost);
    /* Another topic had the name: its log may not have left yet. */
    *ret_is_later = trashed != NULL || (had == NULL && log_trash_is_leaving(dir, p->name));
    if (*ret_is_later) {
        partition_open_later(p);
    }
    return p;
}

struct partition *partitions_ensure(struct partitions *t,
        const struct uuid *topic_id,
        int32_t number,
        const char *topic,
        bool *ret_is_later)
{
    struct partition_key key = {.topic_id = *topic_id, .number = number};
    struct partition *p = find(t, topic_id, number); /* Only this thread changes the table. */

    *ret_is_later = false;
    if (p == NULL) {
        p = make(t, &key, topic, ret_is_later);
        if (p != NULL) {
            add(t, p);
        }
    }
    return p;
}

struct partition *partitions_take(struct partitions *t, const struct uuid *topic_id, int32_t number)
{
    struct partition *p = find(t, topic_id, number);

    if (p == NULL) {
        return NULL;
    }
    (*count_of(t, p->dir))--;
    (void)pthread_rwlock_wrlock(&t->lock);
    HASH_DEL(t->by_key, p);
    t->n--;
    (void)pthread_rwlock_unlock(&t->lock);
    metric_set(METRIC_BROKER_PARTITIONS, (int64_t)t->n);
    return p;
}

struct partition **partitions_all(struct partitions *t, size_t *ret_n)
{
    struct partition **all;
    struct partition *p, *next;
    size_t n = 0;

    (void)pthread_rwlock_rdlock(&t->lock);
    all = mem_new_n(struct partition *, t->n + 1);
    HASH_ITER(hh, t->by_key, p, next)
    {
        all[n++] = partition_ref(p);
    }
    (void)pthread_rwlock_unlock(&t->lock);
    *ret_n = n;
    return all;
}
