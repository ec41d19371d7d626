/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/meta_walk.h"

#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/domain/image.h"
#include "common/zk/zk.h"
#include "common/zk/zk_paths.h"
#include "tests/lib/check.h"
#include "tests/lib/loop_until.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    ANSWER_MS = 20000
};

struct walker {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    bool is_done;
    enum zk_rc rc;
    struct buf data;
    ARRAY(char *) names;
    ARRAY(struct uuid) nonces;
    struct image *image; /* what the entries add up to, when they begin at 1 */
    uint64_t crc;
};

/* --- Asking
 * ------------------------------------------------------------------------------------- */

static bool is_done(void *ctx)
{
    return ((struct walker *)ctx)->is_done;
}

static bool is_connected(void *ctx)
{
    return zk_is_connected(((struct walker *)ctx)->zk);
}

static void done(struct walker *r, enum zk_rc rc)
{
    r->rc = rc;
    r->is_done = true;
}

static void on_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct walker *r = ctx;

    buf_clear(&r->data);
    buf_append(&r->data, data.at, data.size);
    done(r, rc);
}

static void on_multi(void *ctx, enum zk_rc rc, int failed)
{
    done(ctx, rc);
}

static void on_sync(void *ctx, enum zk_rc rc)
{
}

static void names_clear(struct walker *r)
{
    ARRAY_FOREACH (name, &r->names) {
        mem_free(*name);
    }
    array_clear(&r->names);
}

static void on_names(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct walker *r = ctx;

    names_clear(r);
    for (size_t i = 0; i < n; i++) {
        *array_push(&r->names) = mem_strdup(names[i]);
    }
    done(r, rc);
}

static void await(struct walker *r)
{
    CHECK(loop_until(r->loop, ANSWER_MS, is_done, r));
    r->is_done = false;
}

static enum zk_rc get(struct walker *r, const char *path)
{
    zk_get(r->zk, path, NULL, on_get, r);
    await(r);
    return r->rc;
}

static struct bytes got(const struct walker *r)
{
    return (struct bytes){.at = r->data.data, .size = r->data.size};
}

static void on_session(void *ctx)
{
}

static void open_walker(struct walker *r, const char *connect)
{
    struct zk_options options = {
            .connect = connect, .session_timeout_ms = 20000, .on_session = on_session, .ctx = r};
    char error[256];

    r->loop = loop_new("walk");
    r->resolver = resolver_new();
    CHECK_EQ(zk_new(r->loop, r->resolver, &options, &r->zk, error, sizeof(error)), 0);
    CHECK(loop_until(r->loop, ANSWER_MS, is_connected, r));
    zk_sync(r->zk, ZK_PATH_META_LOG, on_sync, NULL);
}

static void close_walker(struct walker *r)
{
    zk_free(r->zk);
    resolver_free(r->resolver);
    loop_free(r->loop);
    names_clear(r);
    array_deinit(&r->names);
    array_deinit(&r->nonces);
    buf_deinit(&r->data);
    image_free(r->image);
}

/* --- Walking
 * ------------------------------------------------------------------------------------ */

static void check_nonce(struct walker *r, const struct uuid *nonce)
{
    CHECK(!uuid_is_zero(nonce));
    ARRAY_FOREACH (it, &r->nonces) {
        if (uuid_equal(it, nonce)) {
            check_fail(__FILE__, __LINE__, "two batches have the same nonce");
        }
    }
    *array_push(&r->nonces) = *nonce;
}

static void walk_records(struct walker *r,
        const struct msg_batch *b,
        struct meta_walk *w,
        meta_walk_fn *fn,
        void *ctx)
{
    struct arena a;
    struct msg_record_list list = {0};

    arena_init(&a, 0);
    CHECK_EQ(wire_decode_record_list(b->payload, &a, &list), 0);
    CHECK(list.n_records > 0);
    CHECK_EQ(list.records[0].seq, b->first_seq);
    CHECK(w->last == 0 || b->first_seq == w->last_seq + 1);
    for (size_t i = 0; i < list.n_records; i++) {
        const struct meta_record *record = &list.records[i];
        bool opens = record->kind == META_NEW_CONTROLLER;
        CHECK(i == 0 || record->seq == list.records[i - 1].seq + 1);
        w->n_writers += opens;
        if (opens) { /* the first of its epoch, and the only one */
            CHECK_EQ(i, 0);
            CHECK_EQ(record->new_controller.ctl_epoch, b->ctl_epoch);
            CHECK(b->ctl_epoch > w->last_epoch);
        } else if (i == 0 && w->last != 0) {
            CHECK_EQ(b->ctl_epoch, w->last_epoch);
        }
        if (r->image != NULL) {
            CHECK_EQ(image_apply(r->image, b->index, record), 0);
        }
        w->last_seq = record->seq;
        w->n_records++;
        if (fn != NULL) {
            fn(ctx, b, record);
        }
    }
    arena_deinit(&a);
}

static void walk_entry(
        struct walker *r, const char *name, struct meta_walk *w, meta_walk_fn *fn, void *ctx)
{
    char path[128];
    struct arena a;
    struct msg_batch b = {0};

    snprintf(path, sizeof(path), "%s/%s", ZK_PATH_META_LOG, name);
    CHECK_EQ(get(r, path), ZK_OK);
    arena_init(&a, 0);
    CHECK_EQ(wire_decode_batch(got(r), &a, &b), 0);
    CHECK_EQ(b.index, strtoull(name, NULL, 16));
    CHECK_EQ(b.crc64, msg_batch_crc(&b));
    CHECK(w->last == 0 || b.index == w->last + 1);
    CHECK(w->last == 0 || b.prev_crc64 == r->crc);
    CHECK(b.ctl_epoch >= w->last_epoch);
    check_nonce(r, &b.nonce);
    if (w->last == 0) {
        w->first = b.index;
        w->first_seq = b.first_seq;
        r->image = b.index == 1 ? image_new() : NULL;
    }
    walk_records(r, &b, w, fn, ctx);
    r->crc = b.crc64;
    w->last = b.index;
    w->last_epoch = b.ctl_epoch;
    w->largest = r->data.size > w->largest ? r->data.size : w->largest;
    if (r->image != NULL) {
        image_set_position(r->image, (struct image_position){b.index, b.crc64, w->last_seq});
    }
    arena_deinit(&a);
}

static void read_head(struct walker *r, struct meta_walk *w)
{
    struct arena a;
    struct msg_snap_head head = {0};
    uint64_t crc = 0, bytes = 0;

    if (get(r, ZK_PATH_META_HEAD) != ZK_OK) {
        return;
    }
    arena_init(&a, 0);
    CHECK_EQ(wire_decode_snap_head(got(r), &a, &head), 0);
    w->head = head.index;
    for (uint32_t i = 0; i < head.chunks; i++) {
        char path[160];
        snprintf(path, sizeof(path), "%s/%s/%04x", ZK_PATH_META_SNAP, head.dir, i);
        CHECK_EQ(get(r, path), ZK_OK);
        CHECK(r->data.size <= 256 * 1024);
        crc = crc64(crc, r->data.data, r->data.size);
        bytes += r->data.size;
    }
    CHECK_EQ(crc, head.crc64);
    CHECK_EQ(bytes, head.bytes);
    arena_deinit(&a);
}

void meta_walk(const char *connect, struct meta_walk *ret, meta_walk_fn *fn, void *ctx)
{
    struct walker r = {0};

    *ret = (struct meta_walk){0};
    open_walker(&r, connect);
    read_head(&r, ret);
    zk_children(r.zk, ZK_PATH_META_LOG, NULL, on_names, &r);
    await(&r);
    CHECK_EQ(r.rc, ZK_OK);
    for (size_t i = 0; i < r.names.n; i++) { /* sorted */
        walk_entry(&r, r.names.items[i], ret, fn, ctx);
    }
    CHECK(ret->head <= ret->last);
    CHECK(ret->first <= ret->head + 1 || ret->first == 1);
    if (r.image != NULL) {
        CHECK(image_check(r.image));
    }
    close_walker(&r);
}

/* --- Writing
 * ------------------------------------------------------------------------------------ */

static struct msg_batch last_batch(struct walker *r, struct arena *a, uint64_t *ret_last_seq)
{
    struct msg_batch b = {0};
    struct msg_record_list list = {0};
    char path[128];

    zk_children(r->zk, ZK_PATH_META_LOG, NULL, on_names, r);
    await(r);
    CHECK(r->names.n > 0);
    snprintf(path, sizeof(path), "%s/%s", ZK_PATH_META_LOG, r->names.items[r->names.n - 1]);
    CHECK_EQ(get(r, path), ZK_OK);
    CHECK_EQ(wire_decode_batch(got(r), a, &b), 0);
    CHECK_EQ(wire_decode_record_list(b.payload, a, &list), 0);
    *ret_last_seq = b.first_seq + list.n_records - 1;
    b.payload = (struct bytes){0}; /* borrowed from what is read next */
    return b;
}

void meta_walk_append(
        const char *connect, uint64_t ctl_epoch, struct meta_record *records, size_t n)
{
    struct walker r = {0};
    struct arena a;
    struct buf payload = {0}, value = {0};
    uint64_t seq = 0;
    char path[128];

    arena_init(&a, 0);
    open_walker(&r, connect);
    struct msg_batch last = last_batch(&r, &a, &seq);
    struct msg_batch b = {.ctl_epoch = ctl_epoch > 0 ? ctl_epoch : last.ctl_epoch,
            .index = last.index + 1,
            .first_seq = seq + 1,
            .prev_crc64 = last.crc64};

    for (size_t i = 0; i < n; i++) {
        records[i].seq = ++seq;
        wire_append_record(&records[i], &payload);
    }
    CHECK(getrandom(&b.nonce, sizeof(b.nonce), 0) == (ssize_t)sizeof(b.nonce));
    b.payload = (struct bytes){.at = payload.data, .size = payload.size};
    b.crc64 = msg_batch_crc(&b);
    wire_encode_batch(&b, &value);
    snprintf(path, sizeof(path), "%s/%016" PRIx64, ZK_PATH_META_LOG, b.index);
    struct zk_op op = {.kind = ZK_OP_CREATE,
            .path = path,
            .data = {.at = value.data, .size = value.size}};
    zk_multi(r.zk, &op, 1, on_multi, &r);
    await(&r);
    CHECK_EQ(r.rc, ZK_OK);
    buf_deinit(&payload);
    buf_deinit(&value);
    arena_deinit(&a);
    close_walker(&r);
}
