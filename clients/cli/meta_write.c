/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta_tree.h"

#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/wire/messages.h"
#include "common/zk/zk_paths.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* [RBD-7] Writes the new /weir:
 *
 *   folders ─▶ { no controller is registered · /weir/controller ours · epoch · id "being rebuilt" }
 *           ─▶ the old head, log and snapshots go ─▶ chunks ─▶ log entry N
 *           ─▶ { epoch still ours · no controller is registered · head · id } = done
 *
 * What stands in braces is one transaction. Between the two no controller starts, because none
 * knows the format of the id; whoever finds the tree in that state runs the command again. A
 * second run at the same time raises the version of the epoch, and the first one's next step
 * fails. */

enum {
    DELETES_PER_MULTI = 200
};

struct writer {
    struct meta_tree *t;
    const struct meta_file *from;
    int32_t fence;
    char dir[64];
};

static int fail(const char *step, enum zk_rc rc)
{
    switch (rc) {
    case ZK_UNKNOWN:
        return cli_fail(EXIT_UNREACHABLE, "Run the same command again: it begins anew.",
                "the connection to ZooKeeper broke, or it was too slow: %s", step);
    case ZK_BAD_VERSION:
    case ZK_NOT_EMPTY:
    case ZK_NODE_EXISTS:
        return cli_fail(EXIT_CONFLICT,
                "Stop every controller and every other `weir meta rebuild`, then run the same "
                "command again.",
                "somebody else wrote meanwhile: %s (%s)", step, zk_rc_text(rc));
    case ZK_NO_AUTH:
        return cli_fail(
                EXIT_NOT_ALLOWED, meta_digest_hint, "ZooKeeper does not allow it: %s", step);
    case ZK_OK:
    case ZK_NO_NODE:
    case ZK_REFUSED: break;
    }
    return cli_fail(EXIT_FAILED, "Run the same command again: it begins anew.", "%s: %s", step,
            zk_rc_text(rc));
}

static struct bytes bytes_of(const struct buf *b)
{
    return (struct bytes){.at = b->data, .size = b->size};
}

static struct zk_op check_fence(const struct writer *w)
{
    return (struct zk_op){.kind = ZK_OP_CHECK, .path = ZK_PATH_EPOCH, .version = w->fence};
}

static enum zk_rc make_folders(struct meta_tree *t)
{
    static const char *const folders[] = {ZK_PATH_META_SNAP, ZK_PATH_CONTROLLERS, ZK_PATH_BROKERS};
    const struct msg_epoch none = {.controller_id = -1};
    struct buf value = {0};
    enum zk_rc rc = tree_create_parents(t, ZK_PATH_META_LOG "/x");

    for (size_t i = 0; i < COUNT_OF(folders) && (rc == ZK_OK || rc == ZK_NODE_EXISTS); i++) {
        rc = tree_create(t, folders[i], (struct bytes){0});
    }
    if (rc == ZK_OK || rc == ZK_NODE_EXISTS) {
        wire_encode_epoch(&none, &value);
        rc = tree_create(t, ZK_PATH_EPOCH, bytes_of(&value));
        buf_deinit(&value);
    }
    return rc == ZK_NODE_EXISTS ? ZK_OK : rc;
}

static void encode_id(const struct writer *w, uint32_t format, struct buf *ret)
{
    const struct msg_cluster_id m = {
            .cluster_id = w->from->head.cluster_id, .format = format, .created = clock_wall()};

    wire_encode_cluster_id(&m, ret);
}

/* The first transaction. [RBD-5] That /weir/controllers can be deleted proves that it is empty. */
static enum zk_rc begin(struct writer *w, const struct meta_standing *s, uint64_t ctl_epoch)
{
    struct msg_epoch epoch = {.ctl_epoch = ctl_epoch, .controller_id = REBUILD_HOLDER};
    struct msg_active guard = {.ctl_epoch = ctl_epoch,
            .controller_id = REBUILD_HOLDER,
            .http = "",
            .since = clock_wall()};
    struct buf epoch_value = {0}, guard_value = {0}, id_value = {0};
    struct zk_op ops[6];
    size_t n = 0;

    must(getrandom(&epoch.nonce, sizeof(epoch.nonce), 0) == (ssize_t)sizeof(epoch.nonce));
    guard.nonce = epoch.nonce;
    wire_encode_epoch(&epoch, &epoch_value);
    wire_encode_active(&guard, &guard_value);
    encode_id(w, CLUSTER_FORMAT_REBUILDING, &id_value);
    ops[n++] = (struct zk_op){.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLERS, .version = -1};
    ops[n++] = (struct zk_op){.kind = ZK_OP_CREATE, .path = ZK_PATH_CONTROLLERS};
    if (s->has_guard) { /* of a run that was killed: its session has not ended yet */
        ops[n++] = (struct zk_op){.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLER, .version = -1};
    }
    ops[n++] = (struct zk_op){.kind = ZK_OP_CREATE,
            .path = ZK_PATH_CONTROLLER,
            .data = bytes_of(&guard_value),
            .flags = ZK_EPHEMERAL};
    ops[n++] = (struct zk_op){.kind = ZK_OP_SET,
            .path = ZK_PATH_EPOCH,
            .data = bytes_of(&epoch_value),
            .version = s->has_epoch ? s->epoch_version : 0};
    ops[n++] = (struct zk_op){.kind = s->has_id ? ZK_OP_SET : ZK_OP_CREATE,
            .path = ZK_PATH_ID,
            .data = bytes_of(&id_value),
            .version = -1};
    enum zk_rc rc = tree_multi(w->t, ops, n);
    w->fence = ops[n - 2].version + 1;
    buf_deinit(&epoch_value);
    buf_deinit(&guard_value);
    buf_deinit(&id_value);
    return rc;
}

static enum zk_rc delete_paths(struct writer *w, char *const *paths, size_t n)
{
    enum zk_rc rc = ZK_OK;

    for (size_t at = 0; at < n && rc == ZK_OK;) {
        struct zk_op ops[DELETES_PER_MULTI + 1] = {check_fence(w)};
        size_t k = 1;
        while (k <= DELETES_PER_MULTI && at < n) {
            ops[k++] = (struct zk_op){.kind = ZK_OP_DELETE, .path = paths[at++], .version = -1};
        }
        rc = tree_multi(w->t, ops, k);
    }
    return rc;
}

static enum zk_rc delete_snapshot(struct writer *w, char *folder)
{
    struct meta_tree *t = w->t;
    enum zk_rc rc = tree_children(t, folder);
    size_t n = t->n_names;
    char **paths = mem_new_n(char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        paths[i] = mem_format("%s/%s", folder, t->names[i]);
    }
    paths[n] = folder;
    rc = rc == ZK_OK ? delete_paths(w, paths, n + 1) : rc;
    for (size_t i = 0; i < n; i++) {
        mem_free(paths[i]);
    }
    mem_free(paths);
    return rc;
}

static enum zk_rc delete_old(struct writer *w, const struct meta_standing *s)
{
    char head[] = ZK_PATH_META_HEAD;
    char *heads[] = {head};
    enum zk_rc rc = s->has_head ? delete_paths(w, heads, 1) : ZK_OK;

    if (rc == ZK_OK) {
        rc = delete_paths(w, s->entries, s->n_entries);
    }
    for (size_t i = 0; i < s->n_snapshots && rc == ZK_OK; i++) {
        rc = delete_snapshot(w, s->snapshots[i]);
    }
    return rc;
}

static enum zk_rc create_under_fence(struct writer *w, const char *path, struct bytes data)
{
    const struct zk_op ops[] = {
            check_fence(w), {.kind = ZK_OP_CREATE, .path = path, .data = data}};

    return tree_multi(w->t, ops, COUNT_OF(ops));
}

static enum zk_rc write_chunks(struct writer *w)
{
    const struct msg_meta_image *m = &w->from->head;
    uint32_t nonce = 0;

    must(getrandom(&nonce, sizeof(nonce), 0) == (ssize_t)sizeof(nonce));
    (void)snprintf(w->dir, sizeof(w->dir), "%016" PRIx64 ".%08" PRIx32, m->index, nonce);
    char *folder = mem_format("%s/%s", ZK_PATH_META_SNAP, w->dir);
    enum zk_rc rc = create_under_fence(w, folder, (struct bytes){0});
    for (size_t i = 0; i < m->n_chunks && rc == ZK_OK; i++) {
        char *path = mem_format("%s/%04x", folder, (unsigned)i);
        rc = create_under_fence(w, path, m->chunks[i]);
        mem_free(path);
    }
    mem_free(folder);
    return rc;
}

/* [RBD-8] An append checks that the entry before it is there, and a reader that entry N is;
 * neither reads it, because the snapshot stands at N. Where its bytes are not known an entry
 * without records takes its place, whose checksum is the chain's at N and not its own: who would
 * apply it after all refuses it. */
static enum zk_rc write_entry(struct writer *w)
{
    const struct msg_meta_image *m = &w->from->head;
    const struct msg_batch stand_in = {.ctl_epoch = image_ctl_epoch(w->from->image),
            .index = m->index,
            .first_seq = m->last_seq,
            .crc64 = m->log_crc64};
    struct buf value = {0};
    char *path = mem_format("%s/%016" PRIx64, ZK_PATH_META_LOG, m->index);

    if (m->last_batch.size > 0) {
        buf_append(&value, m->last_batch.at, m->last_batch.size);
    } else {
        wire_encode_batch(&stand_in, &value);
    }
    enum zk_rc rc = create_under_fence(w, path, bytes_of(&value));
    buf_deinit(&value);
    mem_free(path);
    return rc;
}

/* Whether the last transaction took place although its answer did not come. */
static bool is_in_force(struct writer *w)
{
    struct meta_tree *t = w->t;
    struct msg_snap_head h = {0};
    struct arena a;

    t->is_late = false; /* one more time */
    if (tree_sync(t) != ZK_OK || tree_get(t, ZK_PATH_META_HEAD) != ZK_OK) {
        return false;
    }
    arena_init(&a, wire_arena_ceiling(t->data.size));
    bool is = wire_decode_snap_head(bytes_of(&t->data), &a, &h) == 0 && strcmp(h.dir, w->dir) == 0;
    arena_deinit(&a);
    return is;
}

static enum zk_rc finish(struct writer *w)
{
    const struct msg_meta_image *m = &w->from->head;
    struct msg_snap_head head = {.index = m->index,
            .dir = w->dir,
            .chunks = (uint32_t)m->n_chunks,
            .log_crc64 = m->log_crc64,
            .last_seq = m->last_seq};
    struct buf head_value = {0}, id_value = {0};

    for (size_t i = 0; i < m->n_chunks; i++) {
        head.bytes += m->chunks[i].size;
        head.crc64 = crc64(head.crc64, m->chunks[i].at, m->chunks[i].size);
    }
    wire_encode_snap_head(&head, &head_value);
    encode_id(w, META_IMAGE_FORMAT, &id_value);
    const struct zk_op ops[] = {
            check_fence(w),
            {.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLERS, .version = -1},
            {.kind = ZK_OP_CREATE, .path = ZK_PATH_CONTROLLERS},
            {.kind = ZK_OP_CREATE, .path = ZK_PATH_META_HEAD, .data = bytes_of(&head_value)},
            {.kind = ZK_OP_SET, .path = ZK_PATH_ID, .data = bytes_of(&id_value), .version = -1},
            {.kind = ZK_OP_DELETE, .path = ZK_PATH_CONTROLLER, .version = -1},
    };
    enum zk_rc rc = tree_multi(w->t, ops, COUNT_OF(ops));
    if (rc == ZK_UNKNOWN && is_in_force(w)) {
        rc = ZK_OK;
    }
    buf_deinit(&head_value);
    buf_deinit(&id_value);
    return rc;
}

int meta_tree_write(struct meta_tree *t,
        const struct meta_standing *standing,
        const struct meta_file *from,
        uint64_t ctl_epoch)
{
    struct writer w = {.t = t, .from = from};
    enum zk_rc rc = make_folders(t);

    if (rc != ZK_OK) {
        return fail("the folders of Weir are made", rc);
    }
    rc = begin(&w, standing, ctl_epoch);
    if (rc != ZK_OK) {
        return fail("the rebuild begins", rc);
    }
    rc = delete_old(&w, standing);
    if (rc != ZK_OK) {
        return fail("the old metadata is deleted", rc);
    }
    rc = write_chunks(&w);
    if (rc != ZK_OK) {
        return fail("the snapshot is written", rc);
    }
    rc = write_entry(&w);
    if (rc != ZK_OK) {
        return fail("the last log entry is written", rc);
    }
    rc = finish(&w);
    return rc == ZK_OK ? -1 : fail("the new metadata takes effect", rc);
}
