/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/describe_logs.h"

#include <stdlib.h>

#include "broker/log/log_trash.h"
#include "broker/shell/answer_on_pool.h"
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/wire/messages.h"

/* An answer has at most 1 MiB. */
enum {
    TOPICS_MAX = 2000, /* of all directories together; the largest are told */
    TRASH_MAX = 10000
};

struct describing {
    struct answer_on_pool answer;
    bool with_topics;
};

struct sums {
    ARRAY(struct msg_topic_bytes) topics;
};

/* --- Thread: pool ----------------------------------------------------------------------------- */
static int compare_ids(const void *a, const void *b)
{
    const struct msg_topic_bytes *x = a, *y = b;

    return uuid_compare(&x->topic_id, &y->topic_id);
}

static int compare_sizes(const void *a, const void *b)
{
    const struct msg_topic_bytes *x = a, *y = b;

    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes)
                                : compare_ids(a, b);
}

/* One entry a topic, of entries one a partition. */
static void sum_up(struct sums *s)
{
    size_t n = 0;

    if (s->topics.n > 1) {
        qsort(s->topics.items, s->topics.n, sizeof(*s->topics.items), compare_ids);
    }
    for (size_t i = 0; i < s->topics.n; i++) {
        struct msg_topic_bytes *t = &s->topics.items[i];
        struct msg_topic_bytes *last = n > 0 ? &s->topics.items[n - 1] : NULL;
        if (last != NULL && uuid_equal(&last->topic_id, &t->topic_id)) {
            last->bytes += t->bytes;
            last->partitions += t->partitions;
            last->emptied += t->emptied;
        } else {
            s->topics.items[n++] = *t;
        }
    }
    s->topics.n = n;
}

static void gather_logs(struct broker *b, const struct log_dir *dir, struct sums *s)
{
    size_t n;
    struct partition **all = partitions_all(&b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        struct checkpoint_entry unused;
        int64_t bytes = 0;
        if (all[i]->dir == dir && partition_checkpoint(all[i], &unused, &bytes)) {
            *array_push(&s->topics) = (struct msg_topic_bytes){
                    .topic_id = all[i]->key.topic_id, .bytes = (uint64_t)bytes, .partitions = 1};
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static void gather_trash(struct log_dir *dir, struct sums *s)
{
    size_t n = 0;
    struct log_trash_item *items = log_trash_list(dir, &n);

    for (size_t i = 0; i < n; i++) {
        *array_push(&s->topics) = (struct msg_topic_bytes){.topic_id = items[i].topic_id,
                .bytes = (uint64_t)items[i].bytes,
                .partitions = 1,
                .emptied = items[i].is_emptied ? 1 : 0};
    }
    (void)mem_free(items);
}

static uint64_t total_of(const struct sums *s)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < s->topics.n; i++) {
        bytes += s->topics.items[i].bytes;
    }
    return bytes;
}

static void keep_largest(struct sums *s, size_t max)
{
    if (s->topics.n > 1) {
        qsort(s->topics.items, s->topics.n, sizeof(*s->topics.items), compare_sizes);
    }
    s->topics.n = s->topics.n < max ? s->topics.n : max;
}

static void make(struct answer_on_pool *a, struct buf *body)
{
    struct describing *d = container_of(a, struct describing, answer);
    size_t n_dirs = a->b->dirs.n;
    struct msg_dir_logs *dirs = mem_new_n(struct msg_dir_logs, n_dirs);
    struct sums *sums = mem_new_n(struct sums, 2 * n_dirs);

    for (size_t i = 0; i < n_dirs; i++) {
        struct log_dir *dir = a->b->dirs.items[i];
        struct sums *logs = &sums[2 * i], *trash = &sums[2 * i + 1];
        if (d->with_topics) {
            gather_logs(a->b, dir, logs);
        }
        gather_trash(dir, trash);
        sum_up(logs);
        sum_up(trash);
        dirs[i] = (struct msg_dir_logs){.dir_id = *log_dir_id(dir),
                .n_all = (uint32_t)logs->topics.n,
                .bytes = total_of(logs),
                .trash_bytes = total_of(trash)};
        keep_largest(logs, TOPICS_MAX / n_dirs);
        keep_largest(trash, TRASH_MAX / n_dirs);
        dirs[i].topics = logs->topics.items;
        dirs[i].n_topics = logs->topics.n;
        dirs[i].trash = trash->topics.items;
        dirs[i].n_trash = trash->topics.n;
    }
    wire_encode_describe_logs_response(
            &(struct msg_describe_logs_response){.dirs = dirs, .n_dirs = n_dirs}, body);
    for (size_t i = 0; i < 2 * n_dirs; i++) {
        array_deinit(&sums[i].topics);
    }
    (void)mem_free(sums);
    (void)mem_free(dirs);
}

/* --- Thread: control -------------------------------------------------------------------------- */
static void end(struct answer_on_pool *a)
{
    (void)mem_free(container_of(a, struct describing, answer));
}

void describe_logs(struct broker *b, struct rpc_conn *c, struct rpc_request *r)
{
    struct msg_describe_logs_request m;
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    int e = wire_decode_describe_logs_request(r->body, &arena, &m);
    arena_deinit(&arena);
    if (e != 0) {
        rpc_answer(c, &r->header, errcode_of_wire(e).error, errcode_of_wire(e).detail, NULL);
        return;
    }
    struct describing *d = mem_new(struct describing);
    d->answer.make = make;
    d->answer.end = end;
    d->with_topics = m.with_topics;
    answer_on_pool(&d->answer, b, c, r);
}
