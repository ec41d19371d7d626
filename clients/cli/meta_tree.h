/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/meta.h"
#include "common/net/loop.h"
#include "common/zk/zk.h"

/* Inside of meta_tree.c (session and calls), meta_look.c (what stands there) and meta_write.c.
 * Nobody else. Each call waits for its answer, or until the command's --timeout: then, as after
 * a lost connection, ZK_UNKNOWN. Thread: main. */
struct meta_tree {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    struct timer late;
    int64_t timeout_ms;
    bool is_connecting, is_late, is_closing;

    /* The last answer. */
    bool is_done;
    enum zk_rc rc;
    int failed; /* operation of a multi */
    struct buf data;
    struct zk_stat stat;
    char **names;
    size_t n_names;
};

enum zk_rc tree_get(struct meta_tree *t, const char *path); /* data, stat */
enum zk_rc tree_children(struct meta_tree *t, const char *path); /* names */
enum zk_rc tree_sync(struct meta_tree *t);
enum zk_rc tree_create_parents(struct meta_tree *t, const char *path);
enum zk_rc tree_create(struct meta_tree *t, const char *path, struct bytes data);
enum zk_rc tree_multi(struct meta_tree *t, const struct zk_op *ops, size_t n); /* failed */
void tree_names_clear(struct meta_tree *t);

/* The id of the one who holds /weir/controller while it rebuilds. */
enum {
    REBUILD_HOLDER = -1
};
