/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/zk/zk.h"

/* The nodes of one folder with their values, kept current: a children watch, and a get of each node after every change.
 *
 * Between a trigger and the next listing changes coalesce, so nothing is concluded from events: each listing is whole,
 * and a node that was deleted and made again shows in its czxid. Thread: control. */
struct child_watch;

struct child {
    const char *name;
    struct bytes data;
    int64_t czxid;
};

/* A complete listing, sorted by name; borrowed. */
typedef void child_watch_fn(void *ctx, const struct child *children, size_t n);

/* `path` is a literal. Freed after the zk whose calls it may have under way. */
struct child_watch *child_watch_new(struct zk *zk, const char *path, child_watch_fn *fn, void *ctx);
struct child_watch *child_watch_free(struct child_watch *w);
/* Begins with a listing (again): after a new session, and after the connection came back. */
void child_watch_start(struct child_watch *w);
/* No more listings until the next start. */
void child_watch_stop(struct child_watch *w);
