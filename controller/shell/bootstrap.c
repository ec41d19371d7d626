/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/bootstrap.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/prng.h"
#include "common/obs/log.h"
#include "common/wire/messages.h"
#include "common/zk/zk_paths.h"

#include <stdio.h>
#include <sys/random.h>

enum {
    ID_FORMAT = 1
};

struct bootstrap {
    struct zk *zk;
    void (*done)(void *ctx, const char *trouble, const struct uuid *cluster_id);
    void *ctx;
    unsigned n_started;  /* answers of a start that was overtaken do not count */
    unsigned n_creating; /* creations under way, of all starts */
    enum zk_rc worst;
    char text[256];
};

struct ask {
    struct bootstrap *b;
    unsigned start;
};

static void read_id(struct bootstrap *b);

static struct ask *ask_new(struct bootstrap *b)
{
    struct ask *a = mem_new(struct ask);

    *a = (struct ask){.b = b, .start = b->n_started};
    return a;
}

static bool ask_end(struct ask *a, struct bootstrap **ret)
{
    bool is_ours = a->start == a->b->n_started;

    *ret = a->b;
    mem_free(a);
    return is_ours;
}

static void fail(struct bootstrap *b, const char *what, enum zk_rc rc)
{
    if (rc == ZK_UNKNOWN) {
        return;
    }
    snprintf(b->text, sizeof(b->text), "%s: %s", what, zk_rc_text(rc));
    b->done(b->ctx, b->text, NULL);
}

/* --- The cluster's identity -------------------------------------------------------------------- */

static void on_id_created(void *ctx, enum zk_rc rc)
{
    struct bootstrap *b = NULL;

    if (!ask_end(ctx, &b)) {
        return;
    }
    if (rc != ZK_OK && rc != ZK_NODE_EXISTS) { /* another controller may have been faster */
        fail(b, "cannot create " ZK_PATH_ID, rc);
        return;
    }
    if (rc == ZK_OK) {
        log_info("bootstrap", "cluster_founded", KV_STR("path", ZK_PATH_ID));
    }
    read_id(b);
}

static void create_id(struct bootstrap *b)
{
    struct msg_cluster_id m = {.format = ID_FORMAT, .created = clock_wall()};
    struct prng prng;
    struct buf value = {0};
    uint64_t seed = 0;

    must(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    prng_init(&prng, seed);
    m.cluster_id = uuid_from_prng(&prng);
    must(getrandom(m.cluster_id.bytes + 8, 8, 0) == 8);
    m.cluster_id.bytes[8] = (uint8_t)((m.cluster_id.bytes[8] & 0x3f) | 0x80);
    wire_encode_cluster_id(&m, &value);
    zk_create(b->zk, ZK_PATH_ID, (struct bytes){.at = value.data, .size = value.size},
            ZK_PERSISTENT, on_id_created, ask_new(b));
    buf_deinit(&value);
}

static void on_id(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct bootstrap *b = NULL;
    struct arena a;
    struct msg_cluster_id m = {0};
    int r = 0;

    if (!ask_end(ctx, &b)) {
        return;
    }
    if (rc == ZK_NO_NODE) {
        create_id(b);
        return;
    }
    if (rc != ZK_OK) {
        fail(b, "cannot read " ZK_PATH_ID, rc);
        return;
    }
    arena_init(&a, wire_arena_ceiling(data.size));
    r = wire_decode_cluster_id(data, &a, &m);
    arena_deinit(&a);
    if (r != 0 || uuid_is_zero(&m.cluster_id)) {
        b->done(b->ctx, ZK_PATH_ID " does not decode", NULL);
    } else if (m.format == CLUSTER_FORMAT_REBUILDING) { /* [RBD-7] */
        b->done(b->ctx,
                "a rebuild of the metadata was begun and is not finished: run the same `weir meta "
                "rebuild` again",
                NULL);
    } else if (m.format != ID_FORMAT) {
        snprintf(b->text, sizeof(b->text),
                ZK_PATH_ID " has format %u, this version knows format %d", (unsigned)m.format,
                ID_FORMAT);
        b->done(b->ctx, b->text, NULL);
    } else {
        b->done(b->ctx, NULL, &m.cluster_id);
    }
}

static void read_id(struct bootstrap *b)
{
    zk_get(b->zk, ZK_PATH_ID, NULL, on_id, ask_new(b));
}

/* --- Folders ----------------------------------------------------------------------------------- */

static void on_created(void *ctx, enum zk_rc rc)
{
    struct bootstrap *b = NULL;
    bool is_ours = ask_end(ctx, &b);

    b->n_creating--;
    if (!is_ours) {
        return;
    }
    if (rc != ZK_OK && rc != ZK_NODE_EXISTS && b->worst == ZK_OK) {
        b->worst = rc;
    }
    if (b->n_creating > 0) {
        return;
    }
    if (b->worst != ZK_OK) {
        fail(b, "cannot create the folders of Weir in ZooKeeper", b->worst);
    } else {
        read_id(b);
    }
}

static void on_protected(void *ctx, enum zk_rc rc)
{
    on_created(ctx, rc == ZK_NO_NODE ? ZK_OK : rc); /* made later: the id, a snapshot */
}

/* [ZK-12] What stood open before there was a digest is closed. */
static void on_parents(void *ctx, enum zk_rc rc)
{
    static const char *const paths[] = {ZK_PATH_ROOT, ZK_PATH_META, ZK_PATH_META_LOG,
            ZK_PATH_META_SNAP, ZK_PATH_META_HEAD, ZK_PATH_CONTROLLERS, ZK_PATH_BROKERS,
            ZK_PATH_EPOCH, ZK_PATH_ID};
    struct ask *a = ctx;
    struct bootstrap *b = a->b;
    bool is_ours = a->start == b->n_started;

    for (size_t i = 0; is_ours && rc == ZK_OK && zk_has_digest(b->zk) && i < COUNT_OF(paths); i++) {
        b->n_creating++;
        zk_protect(b->zk, paths[i], on_protected, ask_new(b));
    }
    on_created(ctx, rc);
}

static void create(struct bootstrap *b, const char *path, struct bytes data)
{
    b->n_creating++;
    zk_create(b->zk, path, data, ZK_PERSISTENT, on_created, ask_new(b));
}

struct bootstrap *bootstrap_new(struct zk *zk,
        void (*done)(void *ctx, const char *trouble, const struct uuid *cluster_id),
        void *ctx)
{
    struct bootstrap *b = mem_new(struct bootstrap);

    b->zk = zk;
    b->done = done;
    b->ctx = ctx;
    return b;
}

struct bootstrap *bootstrap_free(struct bootstrap *b)
{
    return mem_free(b);
}

void bootstrap_start(struct bootstrap *b)
{
    const struct msg_epoch none = {.controller_id = -1};
    struct buf value = {0};

    b->n_started++;
    b->worst = ZK_OK;
    b->n_creating++;
    zk_create_parents(b->zk, ZK_PATH_META_LOG "/x", on_parents, ask_new(b));
    create(b, ZK_PATH_META_SNAP, (struct bytes){0});
    create(b, ZK_PATH_CONTROLLERS, (struct bytes){0});
    create(b, ZK_PATH_BROKERS, (struct bytes){0});
    wire_encode_epoch(&none, &value);
    create(b, ZK_PATH_EPOCH, (struct bytes){.at = value.data, .size = value.size});
    buf_deinit(&value);
}
