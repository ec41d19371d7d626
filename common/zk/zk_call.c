/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zk/zk_internal.h"

#include "common/base/must.h"
#include "common/obs/log.h"

#include <stdlib.h>
#include <string.h>

const char *zk_rc_text(enum zk_rc rc)
{
    switch (rc) {
    case ZK_OK: return "ok";
    case ZK_NO_NODE: return "no node";
    case ZK_NODE_EXISTS: return "node exists";
    case ZK_BAD_VERSION: return "bad version";
    case ZK_NOT_EMPTY: return "not empty";
    case ZK_NO_AUTH:
        return "no permission: the cluster's nodes belong to the holders of another digest; set "
               "zookeeper.digest.file to the cluster's";
    case ZK_UNKNOWN: return "outcome unknown";
    case ZK_REFUSED: return "refused";
    }
    must_not_reach("an outcome of ZooKeeper that is not in the list");
}

enum zk_rc zk_rc_of(int rc)
{
    switch (rc) {
    case ZOK: return ZK_OK;
    case ZNONODE: return ZK_NO_NODE;
    case ZNODEEXISTS: return ZK_NODE_EXISTS;
    case ZBADVERSION: return ZK_BAD_VERSION;
    case ZNOTEMPTY: return ZK_NOT_EMPTY;
    case ZNOAUTH: return ZK_NO_AUTH;
    /* [ZK-6] Each of these says that the answer is lost, none that nothing was done. */
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZRUNTIMEINCONSISTENCY:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZSYSTEMERROR:
    case ZINVALIDSTATE:
    case ZTHROTTLEDOP:
    case ZCLOSING: return ZK_UNKNOWN;
    default: return ZK_REFUSED;
    }
}

/* --- A call's life ----------------------------------------------------------------------------- */

static struct zk_call *call_new(
        struct zk *zk, enum zk_call_kind kind, const char *path, struct bytes data, void *ctx)
{
    struct zk_call *c = mem_new(struct zk_call);

    c->zk = zk;
    c->kind = kind;
    c->session = zk->session;
    c->ctx = ctx;
    if (path != NULL) {
        c->path = mem_format("%s%s", zk->servers.chroot, path);
        must(zk_path_is_valid(c->path));
    }
    must(data.size <= ZK_MULTI_BYTES);
    c->data = mem_dup(data.at != NULL ? data.at : (const uint8_t *)"", data.size);
    c->data_size = data.size;
    return c;
}

static void call_add_watch(struct zk_call *c, zk_watch_fn *fn)
{
    if (fn != NULL) {
        c->watch = mem_new(struct zk_watch);
        c->watch->zk = c->zk;
        c->watch->fn = fn;
        c->watch->ctx = c->ctx;
    }
}

static void call_free(struct zk_call *c)
{
    for (int i = 0; i < c->n_ops; i++) {
        mem_free(c->op_paths[i]);
    }
    mem_free(c->op_paths);
    mem_free(c->ops);
    mem_free(c->results);
    mem_free(c->created);
    mem_free(c->stats);
    mem_free(c->watch);
    mem_free(c->path);
    mem_free(c->data);
    mem_free(c);
}

static void call_queue(struct zk_call *c)
{
    STAILQ_INSERT_TAIL(&c->zk->waiting, c, waiting);
    zk_kick(c->zk);
}

/* The outcome that the owner hears; a refusal is logged here, once, with the library's number. */
static enum zk_rc call_rc(const struct zk_call *c, int rc)
{
    enum zk_rc outcome = zk_rc_of(rc);

    if (outcome == ZK_REFUSED) {
        log_error("zk", "call_refused", KV_I64("zk_code", rc), KV_STR("detail", zerror(rc)),
                KV_STR("path", c->path != NULL ? c->path : c->op_paths[0]));
    }
    return outcome;
}

static void stat_of(const struct Stat *from, struct zk_stat *to)
{
    *to = (struct zk_stat){
            .czxid = from->czxid,
            .mzxid = from->mzxid,
            .version = from->version,
            .ephemeral_owner = from->ephemeralOwner,
            .n_children = from->numChildren,
    };
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void end_children(struct zk_call *c, enum zk_rc rc, const struct String_vector *names)
{
    size_t n = rc == ZK_OK && names != NULL ? (size_t)names->count : 0;
    const char **sorted = mem_new_n(const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        sorted[i] = names->data[i];
    }
    qsort(sorted, n, sizeof(*sorted), by_name);
    c->fn.children(c->ctx, rc, sorted, n);
    mem_free(sorted);
}

/* [ZK-7] Which operation failed: those before it read 0, those after it RUNTIMEINCONSISTENCY. */
static int failed_op(const struct zk_call *c, enum zk_rc rc)
{
    if (rc == ZK_OK || rc == ZK_UNKNOWN) {
        return -1;
    }
    for (int i = 0; i < c->n_ops; i++) {
        if (c->results[i].err != ZOK && c->results[i].err != ZRUNTIMEINCONSISTENCY) {
            return i;
        }
    }
    return 0;
}

/* Ends a call: tells its owner and frees it. `stat`, `data`, `names` are NULL unless rc is ZOK. */
static void call_end(struct zk_call *c,
        int code,
        struct bytes data,
        const struct Stat *stat,
        const struct String_vector *names)
{
    enum zk_rc rc = call_rc(c, code);
    struct zk_stat st = {.version = -1};

    if (rc == ZK_OK && stat != NULL) {
        stat_of(stat, &st);
    }
    /* [ZK-9] The library keeps a watch when the call succeeded, one for existence also when there is no node. */
    if (c->watch != NULL && (rc == ZK_OK || (rc == ZK_NO_NODE && c->kind == ZK_CALL_EXISTS))) {
        LIST_INSERT_HEAD(&c->zk->watches, c->watch, entry);
        c->watch = NULL;
    }
    switch (c->kind) {
    case ZK_CALL_CREATE:
    case ZK_CALL_DELETE:
    case ZK_CALL_SYNC:
    case ZK_CALL_PROTECT: c->fn.done(c->ctx, rc); break;
    case ZK_CALL_GET: c->fn.get(c->ctx, rc, data, &st); break;
    case ZK_CALL_EXISTS:
    case ZK_CALL_SET: c->fn.stat(c->ctx, rc, &st); break;
    case ZK_CALL_CHILDREN: end_children(c, rc, names); break;
    case ZK_CALL_MULTI: c->fn.multi(c->ctx, rc, failed_op(c, rc)); break;
    }
    call_free(c);
}

static struct zk_call *call_answered(const void *data)
{
    union {
        const void *in;
        struct zk_call *out;
    } u = {.in = data};

    must(u.out->zk->n_in_flight > 0);
    u.out->zk->n_in_flight--;
    return u.out;
}

static void on_void(int rc, const void *data)
{
    call_end(call_answered(data), rc, (struct bytes){0}, NULL, NULL);
}

static void on_string(int rc, const char *value, const void *data)
{
    call_end(call_answered(data), rc, (struct bytes){0}, NULL, NULL);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
    call_end(call_answered(data), rc, (struct bytes){0}, stat, NULL);
}

static void on_data(
        int rc, const char *value, int value_len, const struct Stat *stat, const void *data)
{
    struct bytes bytes = {0};

    if (rc == ZOK && value != NULL && value_len > 0) {
        bytes = (struct bytes){.at = (const uint8_t *)value, .size = (size_t)value_len};
    }
    call_end(call_answered(data), rc, bytes, stat, NULL);
}

static void on_names(int rc, const struct String_vector *names, const void *data)
{
    call_end(call_answered(data), rc, (struct bytes){0}, NULL, names);
}

static void on_watch(zhandle_t *handle, int type, int state, const char *path, void *ctx)
{
    struct zk_watch *w = ctx;
    zk_watch_fn *fn = w->fn;
    void *owner = w->ctx;

    if (type ==
            ZOO_SESSION_EVENT) { /* [ZK-9] Watchers hear of sessions too; the handle's state tells us. */
        return;
    }
    LIST_REMOVE(w, entry);
    mem_free(w);
    fn(owner);
}

/* [ZK-12] */
static const struct ACL_vector *acl_of(const struct zk *zk)
{
    return zk->digest != NULL ? &ZOO_CREATOR_ALL_ACL : &ZOO_OPEN_ACL_UNSAFE;
}

/* --- Sending ----------------------------------------------------------------------------------- */

static int send_one(struct zk_call *c)
{
    zhandle_t *h = c->zk->handle;
    watcher_fn watcher = c->watch != NULL ? on_watch : NULL;
    const char *data = (const char *)c->data;

    switch (c->kind) {
    case ZK_CALL_CREATE:
        return zoo_acreate(
                h, c->path, data, (int)c->data_size, acl_of(c->zk), c->flags, on_string, c);
    case ZK_CALL_GET: return zoo_awget(h, c->path, watcher, c->watch, on_data, c);
    case ZK_CALL_EXISTS: return zoo_awexists(h, c->path, watcher, c->watch, on_stat, c);
    case ZK_CALL_CHILDREN: return zoo_awget_children(h, c->path, watcher, c->watch, on_names, c);
    case ZK_CALL_SET: return zoo_aset(h, c->path, data, (int)c->data_size, c->version, on_stat, c);
    case ZK_CALL_DELETE: return zoo_adelete(h, c->path, c->version, on_void, c);
    case ZK_CALL_SYNC: return zoo_async(h, c->path, on_string, c);
    case ZK_CALL_PROTECT: return zoo_aset_acl(h, c->path, -1, &ZOO_CREATOR_ALL_ACL, on_void, c);
    case ZK_CALL_MULTI: return zoo_amulti(h, c->n_ops, c->ops, c->results, on_void, c);
    }
    must_not_reach("a call of no kind");
}

void zk_calls_send(struct zk *zk)
{
    while (zk->is_connected && zk->n_in_flight < ZK_IN_FLIGHT_MAX && !STAILQ_EMPTY(&zk->waiting)) {
        struct zk_call *c = STAILQ_FIRST(&zk->waiting);
        int rc = 0;

        STAILQ_REMOVE_HEAD(&zk->waiting, waiting);
        zk->n_in_flight++;
        zk->in_library++;
        rc = send_one(c);
        zk->in_library--;
        if (rc != ZOK) {
            (void)call_answered(c);
            call_end(c, rc, (struct bytes){0}, NULL, NULL);
        } else if (zoo_state(zk->handle) != ZOO_CONNECTED_STATE) {
            return; /* [ZK-6] The socket was closed inside the call; zk.c looks after it. */
        }
    }
}

void zk_calls_drop(struct zk *zk, uint64_t session)
{
    struct zk_call_list gone = STAILQ_HEAD_INITIALIZER(gone);
    struct zk_call *c = NULL;

    /* Taken out first: what their owners call meanwhile is another round's. Sessions only grow along the queue. */
    while ((c = STAILQ_FIRST(&zk->waiting)) != NULL && c->session < session) {
        STAILQ_REMOVE_HEAD(&zk->waiting, waiting);
        STAILQ_INSERT_TAIL(&gone, c, waiting);
    }
    while ((c = STAILQ_FIRST(&gone)) != NULL) {
        STAILQ_REMOVE_HEAD(&gone, waiting);
        call_end(c, ZCLOSING, (struct bytes){0}, NULL, NULL);
    }
}

/* --- Calls ------------------------------------------------------------------------------------- */

void zk_create(struct zk *zk,
        const char *path,
        struct bytes data,
        enum zk_create_flags flags,
        zk_done_fn *fn,
        void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_CREATE, path, data, ctx);

    c->flags = flags == ZK_EPHEMERAL ? ZOO_EPHEMERAL : 0;
    c->fn.done = fn;
    call_queue(c);
}

void zk_get(struct zk *zk, const char *path, zk_watch_fn *watch, zk_get_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_GET, path, (struct bytes){0}, ctx);

    call_add_watch(c, watch);
    c->fn.get = fn;
    call_queue(c);
}

void zk_exists(struct zk *zk, const char *path, zk_watch_fn *watch, zk_stat_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_EXISTS, path, (struct bytes){0}, ctx);

    call_add_watch(c, watch);
    c->fn.stat = fn;
    call_queue(c);
}

void zk_children(struct zk *zk, const char *path, zk_watch_fn *watch, zk_children_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_CHILDREN, path, (struct bytes){0}, ctx);

    call_add_watch(c, watch);
    c->fn.children = fn;
    call_queue(c);
}

void zk_set(struct zk *zk,
        const char *path,
        struct bytes data,
        int32_t version,
        zk_stat_fn *fn,
        void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_SET, path, data, ctx);

    c->version = version;
    c->fn.stat = fn;
    call_queue(c);
}

void zk_delete(struct zk *zk, const char *path, int32_t version, zk_done_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_DELETE, path, (struct bytes){0}, ctx);

    c->version = version;
    c->fn.done = fn;
    call_queue(c);
}

void zk_sync(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_SYNC, path, (struct bytes){0}, ctx);

    c->fn.done = fn;
    call_queue(c);
}

void zk_protect(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_PROTECT, path, (struct bytes){0}, ctx);

    must(zk->digest != NULL);
    c->fn.done = fn;
    call_queue(c);
}

static void op_init(struct zk_call *c, int i, const struct zk_op *op, uint8_t *data)
{
    zoo_op_t *to = &c->ops[i];

    c->op_paths[i] = mem_format("%s%s", c->zk->servers.chroot, op->path);
    must(zk_path_is_valid(c->op_paths[i]));
    if (op->data.size > 0) {
        memcpy(data, op->data.at, op->data.size);
    }
    switch (op->kind) {
    case ZK_OP_CREATE:
        zoo_create_op_init(to, c->op_paths[i], (const char *)data, (int)op->data.size,
                acl_of(c->zk), op->flags == ZK_EPHEMERAL ? ZOO_EPHEMERAL : 0, c->created[i],
                1);
        break;
    case ZK_OP_DELETE: zoo_delete_op_init(to, c->op_paths[i], op->version); break;
    case ZK_OP_SET:
        zoo_set_op_init(to, c->op_paths[i], (const char *)data, (int)op->data.size, op->version,
                &c->stats[i]);
        break;
    case ZK_OP_CHECK: zoo_check_op_init(to, c->op_paths[i], op->version); break;
    }
}

size_t zk_multi_size(const struct zk_op *ops, int n, size_t chroot_size)
{
    size_t size = ZK_OP_AROUND; /* length, header, and the end of the list */

    for (int i = 0; i < n; i++) {
        size += ZK_OP_AROUND + chroot_size + strlen(ops[i].path) + ops[i].data.size;
    }
    return size;
}

void zk_multi(struct zk *zk, const struct zk_op *ops, int n, zk_multi_fn *fn, void *ctx)
{
    struct zk_call *c = call_new(zk, ZK_CALL_MULTI, NULL, (struct bytes){0}, ctx);
    size_t size = 0, at = 0, count = (size_t)n;

    must(n > 0);
    must(n <= ZK_MULTI_MAX);
    for (int i = 0; i < n; i++) {
        size += ops[i].data.size;
    }
    /* [ZK-11] A request over the server's limit would be tried for ever. */
    must(zk_multi_size(ops, n, strlen(zk->servers.chroot)) <= ZK_MULTI_BYTES);
    c->fn.multi = fn;
    c->data = mem_resize(c->data, size + 1, 1);
    c->ops = mem_new_n(zoo_op_t, count);
    c->results = mem_new_n(zoo_op_result_t, count);
    c->op_paths = mem_new_n(char *, count);
    c->created = mem_alloc_n(count, sizeof(*c->created));
    c->stats = mem_new_n(struct Stat, count);
    c->n_ops = n;
    for (int i = 0; i < n; i++) {
        op_init(c, i, &ops[i], c->data + at);
        at += ops[i].data.size;
    }
    call_queue(c);
}

/* --- Parents ----------------------------------------------------------------------------------- */

struct parents {
    zk_done_fn *fn;
    void *ctx;
    int left;
    enum zk_rc first_trouble;
};

static void on_parent(void *ctx, enum zk_rc rc)
{
    struct parents *p = ctx;

    if (rc != ZK_OK && rc != ZK_NODE_EXISTS && p->first_trouble == ZK_OK) {
        p->first_trouble = rc;
    }
    if (--p->left == 0) {
        /* What counts is the last folder: one above it may be there and yet not be ours to create. */
        bool stands = rc == ZK_OK || rc == ZK_NODE_EXISTS;
        p->fn(p->ctx, stands ? ZK_OK : p->first_trouble);
        mem_free(p);
    }
}

static void on_no_parent(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    on_parent(ctx, rc == ZK_UNKNOWN ? rc : ZK_OK);
}

void zk_create_parents(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx)
{
    struct parents *p = mem_new(struct parents);
    char *whole = mem_format("%s%s", zk->servers.chroot, path);

    p->fn = fn;
    p->ctx = ctx;
    p->first_trouble = ZK_OK;
    for (char *slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct zk_call *c = call_new(zk, ZK_CALL_CREATE, NULL, (struct bytes){0}, p);
        c->path = mem_strndup(whole, (size_t)(slash - whole));
        must(zk_path_is_valid(c->path));
        c->fn.done = on_parent;
        p->left++;
        call_queue(c);
    }
    if (p->left ==
            0) { /* A node right below the root: ask the server for anything, the answer comes in order. */
        p->left = 1;
        zk_exists(zk, path, NULL, on_no_parent, p);
    }
    mem_free(whole);
}
