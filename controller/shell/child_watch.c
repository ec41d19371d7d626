/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/child_watch.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

struct kept {
    char *name;
    uint8_t *data;
    size_t data_size;
    int64_t czxid;
    bool is_there;
};

struct child_watch {
    struct zk *zk;
    const char *path;
    child_watch_fn *fn;
    void *ctx;
    uint64_t round; /* counts starts and stops: answers of former rounds are not ours */
    bool is_running, is_listing, is_stale;
    ARRAY(struct kept) items;
    size_t n_answered;
    unsigned n_lists; /* children calls under way; only the last one counts */
};

struct ask {
    struct child_watch *w;
    uint64_t round;
    size_t i;
};

static void list(struct child_watch *w);

static void items_clear(struct child_watch *w)
{
    ARRAY_FOREACH (it, &w->items) {
        mem_free(it->name);
        mem_free(it->data);
    }
    array_clear(&w->items);
}

static void listing_done(struct child_watch *w)
{
    struct child *children = mem_new_n(struct child, w->items.n + 1);
    uint64_t round = w->round;
    size_t n = 0;

    ARRAY_FOREACH (it, &w->items) {
        if (it->is_there) {
            children[n++] = (struct child){.name = it->name,
                    .data = {.at = it->data, .size = it->data_size},
                    .czxid = it->czxid};
        }
    }
    w->is_listing = false;
    w->fn(w->ctx, children, n);
    mem_free(children);
    if (w->is_running && w->round == round && w->is_stale) {
        list(w);
    }
}

static void on_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct ask *ask = ctx;
    struct child_watch *w = ask->w;
    bool is_ours = ask->round == w->round;
    size_t i = ask->i;

    mem_free(ask);
    if (!is_ours) {
        return;
    }
    if (rc == ZK_UNKNOWN) { /* Once connected again, the owner starts anew. */
        w->round++;
        w->is_listing = false;
        return;
    }
    if (rc == ZK_OK) {
        struct kept *it = &w->items.items[i];
        it->is_there = true;
        it->czxid = stat->czxid;
        it->data = mem_dup(data.at, data.size);
        it->data_size = data.size;
    }
    if (++w->n_answered == w->items.n) {
        listing_done(w);
    }
}

static void on_names(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct child_watch *w = ctx;

    if (--w->n_lists > 0 ||
            !w->is_running) { /* A newer listing was asked for, or none is wanted. */
        return;
    }
    if (rc != ZK_OK) {
        w->is_listing = false;
        if (rc != ZK_UNKNOWN) {
            log_error("controller", "folder_unreadable", KV_STR("path", w->path),
                    KV_STR("detail", zk_rc_text(rc)));
        }
        return;
    }
    items_clear(w);
    w->n_answered = 0;
    for (size_t i = 0; i < n; i++) {
        struct kept *it = array_push(&w->items);
        it->name = mem_strdup(names[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct ask *ask = mem_new(struct ask);
        char *path = mem_format("%s/%s", w->path, names[i]);
        *ask = (struct ask){.w = w, .round = w->round, .i = i};
        zk_get(w->zk, path, NULL, on_get, ask);
        mem_free(path);
    }
    if (n == 0) {
        listing_done(w);
    }
}

static void on_fired(void *ctx)
{
    struct child_watch *w = ctx;

    if (!w->is_running) {
        return;
    }
    if (w->is_listing) {
        w->is_stale = true;
    } else {
        list(w);
    }
}

static void list(struct child_watch *w)
{
    w->round++;
    w->is_listing = true;
    w->is_stale = false;
    w->n_lists++;
    zk_children(w->zk, w->path, on_fired, on_names, w);
}

struct child_watch *child_watch_new(struct zk *zk, const char *path, child_watch_fn *fn, void *ctx)
{
    struct child_watch *w = mem_new(struct child_watch);

    w->zk = zk;
    w->path = path;
    w->fn = fn;
    w->ctx = ctx;
    return w;
}

struct child_watch *child_watch_free(struct child_watch *w)
{
    if (w == NULL) {
        return NULL;
    }
    items_clear(w);
    array_deinit(&w->items);
    return mem_free(w);
}

void child_watch_start(struct child_watch *w)
{
    w->is_running = true;
    list(w);
}

void child_watch_stop(struct child_watch *w)
{
    w->round++;
    w->is_running = false;
    w->is_listing = false;
}
