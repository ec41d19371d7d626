/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/fetch_session.h"

#include "common/base/mem.h"
#include "common/base/must.h"

/* --- The follower's end --------------------------------------------------------------------------------------------- */

void fetch_pull_init(struct fetch_pull *f)
{
    *f = (struct fetch_pull){0};
    TAILQ_INIT(&f->due);
    TAILQ_INIT(&f->paused);
}

static void leave_list(struct fetch_pull *f, struct fetch_pull_item *item)
{
    switch (item->state) {
    case FETCH_PULL_IDLE: break;
    case FETCH_PULL_DUE: TAILQ_REMOVE(&f->due, item, entry); break;
    case FETCH_PULL_LATER: TAILQ_REMOVE(&f->paused, item, entry); break;
    }
    item->state = FETCH_PULL_IDLE;
}

void fetch_pull_deinit(struct fetch_pull *f)
{
    while (f->items != NULL) {
        struct fetch_pull_item *item = f->items;

        leave_list(f, item);
        HASH_DEL(f->items, item);
        (void)mem_free(item);
    }
    array_deinit(&f->forgotten);
    array_deinit(&f->named);
    array_deinit(&f->named_forgotten);
}

struct fetch_pull_item *fetch_pull_find(const struct fetch_pull *f, const struct partition_key *key)
{
    struct fetch_pull_item *item = NULL;

    HASH_FIND(hh, f->items, key, sizeof(*key), item);
    return item;
}

struct fetch_pull_item *fetch_pull_add(
        struct fetch_pull *f, const struct partition_key *key, void *ctx)
{
    struct fetch_pull_item *item = mem_new(struct fetch_pull_item);

    must(fetch_pull_find(f, key) == NULL);
    item->key = *key;
    item->ctx = ctx;
    HASH_ADD(hh, f->items, key, sizeof(item->key), item);
    fetch_pull_due(f, item);
    return item;
}

void fetch_pull_remove(struct fetch_pull *f, struct fetch_pull_item *item)
{
    if (item->is_known) {
        *array_push(&f->forgotten) = item->key;
    }
    leave_list(f, item);
    HASH_DEL(f->items, item);
    (void)mem_free(item);
}

void fetch_pull_due(struct fetch_pull *f, struct fetch_pull_item *item)
{
    if (item->state != FETCH_PULL_DUE) {
        leave_list(f, item);
        item->state = FETCH_PULL_DUE;
        TAILQ_INSERT_TAIL(&f->due, item, entry);
    }
}

void fetch_pull_later(struct fetch_pull *f, struct fetch_pull_item *item, wtime at)
{
    struct fetch_pull_item *before;

    leave_list(f, item);
    before = TAILQ_LAST(&f->paused, fetch_pull_items);
    while (before != NULL && before->again_at > at) {
        before = TAILQ_PREV(before, fetch_pull_items, entry);
    }
    item->state = FETCH_PULL_LATER;
    item->again_at = at;
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&f->paused, before, item, entry);
    } else {
        TAILQ_INSERT_HEAD(&f->paused, item, entry);
    }
}

void fetch_pull_hurry(struct fetch_pull *f)
{
    struct fetch_pull_item *item;

    while ((item = TAILQ_FIRST(&f->paused)) != NULL) {
        fetch_pull_due(f, item);
    }
}

void fetch_pull_restart(struct fetch_pull *f)
{
    f->epoch = 0;
    f->n_asking = 0;
    array_clear(&f->forgotten);
    for (struct fetch_pull_item *item = f->items; item != NULL; item = item->hh.next) {
        item->is_known = false;
        if (item->state == FETCH_PULL_IDLE) { /* who pauses goes on to */
            fetch_pull_due(f, item);
        }
    }
}

void fetch_pull_wake(struct fetch_pull *f, wtime now)
{
    struct fetch_pull_item *item;

    while ((item = TAILQ_FIRST(&f->paused)) != NULL && item->again_at <= now) {
        fetch_pull_due(f, item);
    }
}

static void name_all(struct fetch_pull *f)
{
    struct fetch_pull_item *item;

    array_clear(&f->named);
    while ((item = TAILQ_FIRST(&f->due)) != NULL && f->named.n < FETCH_NAMED_MAX) { /* [FET-4] */
        leave_list(f, item);
        item->is_known = true;
        *array_push(&f->named) = item;
    }
    array_clear(&f->named_forgotten);
    while (f->forgotten.n > 0 && f->named.n + f->named_forgotten.n < FETCH_NAMED_MAX) {
        *array_push(&f->named_forgotten) = f->forgotten.items[--f->forgotten.n];
    }
}

bool fetch_pull_next(struct fetch_pull *f, wtime now, struct fetch_pull_request *ret)
{
    fetch_pull_wake(f, now);
    bool has_news = !TAILQ_EMPTY(&f->due) || f->forgotten.n > 0;

    if (f->items == NULL && !has_news) {
        return false;
    }
    /* [FET-3] A poll is always under way; one more only to say something. */
    if (f->n_asking > 0 && (!has_news || f->n_asking >= FETCH_PULL_ASKING_MAX)) {
        return false;
    }
    name_all(f);
    f->epoch = f->epoch == UINT32_MAX ? 2 : f->epoch + 1;
    f->n_asking++;
    *ret = (struct fetch_pull_request){.epoch = f->epoch,
            .named = f->named.items,
            .n_named = f->named.n,
            .forgotten = f->named_forgotten.items,
            .n_forgotten = f->named_forgotten.n};
    return true;
}

void fetch_pull_answered(struct fetch_pull *f)
{
    must(f->n_asking > 0);
    f->n_asking--;
}

wtime fetch_pull_deadline(const struct fetch_pull *f)
{
    const struct fetch_pull_item *item = TAILQ_FIRST(&f->paused);

    return item != NULL ? item->again_at : WTIME_NEVER;
}

/* --- The leader's end ----------------------------------------------------------------------------------------------- */

void fetch_feed_init(struct fetch_feed *f)
{
    *f = (struct fetch_feed){0};
    TAILQ_INIT(&f->dirty);
}

void fetch_feed_deinit(struct fetch_feed *f)
{
    while (f->items != NULL) {
        fetch_feed_remove(f, f->items);
    }
    array_deinit(&f->slots);
    array_deinit(&f->free_slots);
}

bool fetch_feed_begin(struct fetch_feed *f, uint32_t epoch, bool *ret_is_first)
{
    uint32_t next = f->epoch == UINT32_MAX ? 2 : f->epoch + 1;

    *ret_is_first = epoch == 1;
    if (epoch != 1 && (f->epoch == 0 || epoch != next)) { /* [FET-2] */
        return false;
    }
    f->epoch = epoch;
    return true;
}

struct fetch_feed_item *fetch_feed_find(const struct fetch_feed *f, const struct partition_key *key)
{
    struct fetch_feed_item *item = NULL;

    HASH_FIND(hh, f->items, key, sizeof(*key), item);
    return item;
}

struct fetch_feed_item *fetch_feed_at(const struct fetch_feed *f, uint32_t slot)
{
    return slot < f->slots.n ? f->slots.items[slot] : NULL;
}

static struct fetch_feed_item *feed_add(struct fetch_feed *f, const struct partition_key *key)
{
    struct fetch_feed_item *item = mem_new(struct fetch_feed_item);

    item->key = *key;
    item->told_hw = item->told_start = OFFSET_NONE;
    if (f->free_slots.n > 0) {
        item->slot = f->free_slots.items[--f->free_slots.n];
    } else {
        item->slot = (uint32_t)f->slots.n;
        (void)array_push(&f->slots);
    }
    f->slots.items[item->slot] = item;
    HASH_ADD(hh, f->items, key, sizeof(item->key), item);
    return item;
}

struct fetch_feed_item *fetch_feed_name(
        struct fetch_feed *f, const struct partition_key *key, const struct fetch_asked *asked)
{
    struct fetch_feed_item *item = fetch_feed_find(f, key);

    if (item == NULL) {
        item = feed_add(f, key);
    }
    item->asked = *asked;
    item->is_new = true;
    fetch_feed_dirty(f, item);
    return item;
}

void fetch_feed_remove(struct fetch_feed *f, struct fetch_feed_item *item)
{
    fetch_feed_clean(f, item);
    f->slots.items[item->slot] = NULL;
    *array_push(&f->free_slots) = item->slot;
    HASH_DEL(f->items, item);
    (void)mem_free(item);
}

void fetch_feed_dirty(struct fetch_feed *f, struct fetch_feed_item *item)
{
    if (!item->is_dirty) {
        item->is_dirty = true;
        TAILQ_INSERT_TAIL(&f->dirty, item, entry);
    }
}

void fetch_feed_clean(struct fetch_feed *f, struct fetch_feed_item *item)
{
    if (item->is_dirty) {
        item->is_dirty = false;
        TAILQ_REMOVE(&f->dirty, item, entry);
    }
}

bool fetch_feed_has_news(const struct fetch_feed_item *item, offset64 hw, offset64 log_start)
{
    return item->told_hw != hw || item->told_start != log_start;
}

void fetch_feed_told(struct fetch_feed_item *item, offset64 hw, offset64 log_start)
{
    item->told_hw = hw;
    item->told_start = log_start;
}
