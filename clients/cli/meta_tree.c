/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta_tree.h"

#include "common/auth/auth.h"
#include "common/base/array.h"
#include "common/net/resolve.h"
#include "common/obs/log.h"
#include "common/zk/zk_paths.h"

#include <stdio.h>

/* The ZooKeeper client is asynchronous; here one call at a time is waited for by turning the
 * loop. */

enum {
    SESSION_MS = 6000
};

static void on_session(void *ctx)
{
    struct meta_tree *t = ctx;

    if (t->is_connecting) {
        t->is_connecting = false;
        loop_stop(t->loop);
    }
}

static void on_connection(void *ctx, bool connected)
{
    (void)ctx;
    (void)connected;
}

static void on_session_lost(void *ctx)
{
    (void)ctx; /* the call under way ends with ZK_UNKNOWN */
}

static void on_late(void *ctx)
{
    struct meta_tree *t = ctx;

    t->is_late = true;
    loop_stop(t->loop);
}

static void turn(struct meta_tree *t)
{
    timer_set(&t->late, wtime_add(clock_now(), WTIME_MS(t->timeout_ms)));
    loop_run(t->loop);
    timer_cancel(&t->late);
}

const char meta_digest_hint[] =
        "Its nodes are closed by a digest: give the daemons' zookeeper.digest.file with "
        "--digest-file.";

int meta_tree_open(const struct cli *cli,
        const char *connect,
        const char *digest_file,
        struct meta_tree **ret)
{
    struct meta_tree *t = mem_new(struct meta_tree);
    struct zk_options o = {.connect = connect,
            .session_timeout_ms = SESSION_MS,
            .on_session = on_session,
            .on_connection = on_connection,
            .on_session_lost = on_session_lost,
            .ctx = t};
    char *digest = NULL;
    char error[512] = "";

    if (digest_file != NULL && auth_digest_load(digest_file, &digest, error, sizeof(error)) != 0) {
        (void)mem_free(t);
        return cli_fail(EXIT_USAGE, "Give the daemons' zookeeper.digest.file.",
                "--digest-file: %s", error);
    }
    o.digest = digest;
    log_set_level(cli->verbose ? LOG_INFO : LOG_ERROR);
    t->timeout_ms = cli->timeout_ms;
    t->loop = loop_new("weir");
    t->resolver = resolver_new();
    timer_init(&t->late, t->loop, on_late, t);
    int refused = zk_new(t->loop, t->resolver, &o, &t->zk, error, sizeof(error));
    (void)mem_free(digest);
    if (refused != 0) {
        meta_tree_close(t);
        return cli_fail(EXIT_USAGE, "For example: --zookeeper 127.0.0.1:2181/weir",
                "--zookeeper: %s", error);
    }
    t->is_connecting = true;
    turn(t);
    if (t->is_connecting) {
        int r = cli_fail(EXIT_UNREACHABLE, "Is ZooKeeper running? --timeout says how long to try.",
                "ZooKeeper is not reached: %s", zk_trouble(t->zk));
        meta_tree_close(t);
        return r;
    }
    *ret = t;
    return -1;
}

void meta_tree_close(struct meta_tree *t)
{
    if (t == NULL) {
        return;
    }
    t->is_closing = true;
    t->zk = zk_free(t->zk);
    timer_deinit(&t->late);
    t->resolver = resolver_free(t->resolver);
    t->loop = loop_free(t->loop);
    tree_names_clear(t);
    buf_deinit(&t->data);
    (void)mem_free(t);
}

/* --- Calls ------------------------------------------------------------------------------------ */

void tree_names_clear(struct meta_tree *t)
{
    for (size_t i = 0; i < t->n_names; i++) {
        mem_free(t->names[i]);
    }
    t->names = mem_free(t->names);
    t->n_names = 0;
}

static enum zk_rc wait(struct meta_tree *t)
{
    if (!t->is_done && !t->is_late) {
        turn(t);
    }
    return t->is_done ? t->rc : ZK_UNKNOWN;
}

static void on_done(void *ctx, enum zk_rc rc)
{
    struct meta_tree *t = ctx;

    t->rc = rc;
    t->is_done = true;
    if (!t->is_closing) {
        loop_stop(t->loop);
    }
}

static void on_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct meta_tree *t = ctx;

    buf_clear(&t->data);
    if (rc == ZK_OK) {
        buf_append(&t->data, data.at, data.size);
        t->stat = *stat;
    }
    on_done(ctx, rc);
}

static void on_children(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct meta_tree *t = ctx;

    tree_names_clear(t);
    t->names = mem_new_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        t->names[t->n_names++] = mem_strdup(names[i]);
    }
    on_done(ctx, rc);
}

static void on_multi(void *ctx, enum zk_rc rc, int failed)
{
    struct meta_tree *t = ctx;

    t->failed = failed;
    on_done(ctx, rc);
}

enum zk_rc tree_get(struct meta_tree *t, const char *path)
{
    t->is_done = false;
    zk_get(t->zk, path, NULL, on_get, t);
    return wait(t);
}

enum zk_rc tree_children(struct meta_tree *t, const char *path)
{
    t->is_done = false;
    zk_children(t->zk, path, NULL, on_children, t);
    return wait(t);
}

enum zk_rc tree_sync(struct meta_tree *t)
{
    t->is_done = false;
    zk_sync(t->zk, ZK_PATH_ROOT, on_done, t);
    return wait(t);
}

enum zk_rc tree_create_parents(struct meta_tree *t, const char *path)
{
    t->is_done = false;
    zk_create_parents(t->zk, path, on_done, t);
    return wait(t);
}

enum zk_rc tree_create(struct meta_tree *t, const char *path, struct bytes data)
{
    t->is_done = false;
    zk_create(t->zk, path, data, ZK_PERSISTENT, on_done, t);
    return wait(t);
}

enum zk_rc tree_multi(struct meta_tree *t, const struct zk_op *ops, size_t n)
{
    t->is_done = false;
    zk_multi(t->zk, ops, (int)n, on_multi, t);
    return wait(t);
}
