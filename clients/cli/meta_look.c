/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta_tree.h"

#include "common/base/array.h"
#include "common/wire/messages.h"
#include "common/wire/snapshot.h"
#include "common/zk/zk_paths.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands in ZooKeeper now. Read only; a value that does not decode is no obstacle, it is
 * about to be replaced. */

static struct bytes data_of(const struct meta_tree *t)
{
    return (struct bytes){.at = t->data.data, .size = t->data.size};
}

static bool is_answer(enum zk_rc rc)
{
    return rc == ZK_OK || rc == ZK_NO_NODE;
}

static enum zk_rc look_at_id(struct meta_tree *t, struct meta_standing *s)
{
    enum zk_rc rc = tree_get(t, ZK_PATH_ID);
    struct msg_cluster_id m = {0};
    struct arena a;

    arena_init(&a, wire_arena_ceiling(t->data.size));
    s->has_id = rc == ZK_OK;
    if (s->has_id && wire_decode_cluster_id(data_of(t), &a, &m) == 0) {
        s->cluster_id = m.cluster_id;
        s->is_unfinished = m.format == CLUSTER_FORMAT_REBUILDING;
    }
    arena_deinit(&a);
    return rc;
}

static enum zk_rc look_at_epoch(struct meta_tree *t, struct meta_standing *s)
{
    enum zk_rc rc = tree_get(t, ZK_PATH_EPOCH);
    struct msg_epoch m = {0};
    struct arena a;

    arena_init(&a, wire_arena_ceiling(t->data.size));
    s->has_epoch = rc == ZK_OK;
    if (s->has_epoch) {
        s->epoch_version = t->stat.version;
        s->ctl_epoch = wire_decode_epoch(data_of(t), &a, &m) == 0 ? m.ctl_epoch : 0;
    }
    arena_deinit(&a);
    return rc;
}

/* [RBD-5] Who is or may become active. */
static enum zk_rc look_at_controllers(struct meta_tree *t, struct meta_standing *s)
{
    enum zk_rc rc = tree_get(t, ZK_PATH_CONTROLLER);
    struct msg_active m = {0};
    struct arena a;

    arena_init(&a, wire_arena_ceiling(t->data.size));
    if (rc == ZK_OK) {
        bool is_known = wire_decode_active(data_of(t), &a, &m) == 0;
        s->has_guard = is_known && m.controller_id == REBUILD_HOLDER;
        if (!s->has_guard && is_known) {
            (void)snprintf(s->holder, sizeof(s->holder), "controller %d at %.100s is active",
                    (int)m.controller_id, m.http);
        } else if (!s->has_guard) {
            (void)snprintf(s->holder, sizeof(s->holder), "somebody holds " ZK_PATH_CONTROLLER);
        }
    }
    arena_deinit(&a);
    if (!is_answer(rc) || s->holder[0] != '\0') {
        return rc;
    }
    rc = tree_children(t, ZK_PATH_CONTROLLERS);
    if (rc == ZK_OK && t->n_names > 0) {
        (void)snprintf(s->holder, sizeof(s->holder), "controller %.20s is registered", t->names[0]);
    }
    return rc;
}

static void keep_names(struct meta_tree *t, const char *folder, char ***ret, size_t *ret_n)
{
    *ret = mem_new_n(char *, t->n_names + 1);
    for (size_t i = 0; i < t->n_names; i++) {
        (*ret)[(*ret_n)++] = mem_format("%s/%s", folder, t->names[i]);
    }
}

static enum zk_rc look_at_names(struct meta_tree *t, struct meta_standing *s)
{
    enum zk_rc rc = tree_children(t, ZK_PATH_BROKERS);

    s->n_brokers = t->n_names;
    if (is_answer(rc)) {
        rc = tree_children(t, ZK_PATH_META_LOG);
        keep_names(t, ZK_PATH_META_LOG, &s->entries, &s->n_entries);
    }
    if (is_answer(rc)) {
        rc = tree_children(t, ZK_PATH_META_SNAP);
        keep_names(t, ZK_PATH_META_SNAP, &s->snapshots, &s->n_snapshots);
    }
    return rc;
}

/* --- What the log adds up to ------------------------------------------------------------------ */

static bool read_chunks(struct meta_tree *t, struct image *image, const struct msg_snap_head *h)
{
    for (uint32_t i = 0; i < h->chunks; i++) {
        char *path = mem_format("%s/%s/%04x", ZK_PATH_META_SNAP, h->dir, (unsigned)i);
        enum zk_rc rc = tree_get(t, path);
        mem_free(path);
        if (rc != ZK_OK || snapshot_apply(image, h->index, data_of(t)) != 0) {
            return false;
        }
    }
    image_set_position(image, (struct image_position){.index = h->index, .crc = h->log_crc64});
    return true;
}

static bool read_snapshot(struct meta_tree *t, struct meta_standing *s, struct image *image)
{
    struct msg_snap_head h = {0};
    struct arena a;
    enum zk_rc rc = tree_get(t, ZK_PATH_META_HEAD);

    s->has_head = rc == ZK_OK;
    if (rc != ZK_OK) {
        return rc == ZK_NO_NODE;
    }
    arena_init(&a, wire_arena_ceiling(t->data.size));
    bool is_good = wire_decode_snap_head(data_of(t), &a, &h) == 0 && h.dir[0] != '\0' &&
                   strchr(h.dir, '/') == NULL && read_chunks(t, image, &h);
    arena_deinit(&a);
    return is_good;
}

static bool apply_entry(struct meta_tree *t, struct image *image, uint64_t index)
{
    struct msg_record_list list = {0};
    struct msg_batch b = {0};
    struct arena a;
    struct image_position at = image_position(image);

    arena_init(&a, 2 * wire_arena_ceiling(t->data.size));
    bool is_good = wire_decode_batch(data_of(t), &a, &b) == 0 && b.index == index &&
                   b.prev_crc64 == at.crc && msg_batch_crc(&b) == b.crc64 &&
                   wire_decode_record_list(b.payload, &a, &list) == 0;
    for (size_t i = 0; i < list.n_records && is_good; i++) {
        is_good = image_apply(image, index, &list.records[i]) == 0;
    }
    if (is_good) {
        image_set_position(image, (struct image_position){.index = index, .crc = b.crc64});
    }
    arena_deinit(&a);
    return is_good;
}

static void compare(const struct image *image, uint64_t wanted, struct meta_standing *s)
{
    if (s->is_readable && image_position(image).index == wanted) {
        s->is_compared = true;
        s->crc_there = image_position(image).crc;
    }
}

/* As far as it is whole. A broken log says how far at least it went by the names of its entries. */
static void read_log(struct meta_tree *t, uint64_t wanted, struct meta_standing *s)
{
    struct image *image = image_new();

    s->is_readable = read_snapshot(t, s, image);
    compare(image, wanted, s);
    for (size_t i = 0; i < s->n_entries; i++) {
        const char *name = strrchr(s->entries[i], '/') + 1;
        uint64_t index = strtoull(name, NULL, 16);
        s->index = index > s->index ? index : s->index;
        if (s->is_readable && index > image_position(image).index) {
            s->is_readable =
                    tree_get(t, s->entries[i]) == ZK_OK && apply_entry(t, image, index);
            compare(image, wanted, s);
        }
    }
    s->index = image_position(image).index > s->index ? image_position(image).index : s->index;
    s->n_topics = image_n_topics(image);
    s->n_partitions = image_n_partitions(image);
    (void)image_free(image);
}

int meta_tree_look(struct meta_tree *t, uint64_t index, struct meta_standing *ret)
{
    enum zk_rc rc = tree_sync(t);

    if (is_answer(rc)) {
        rc = look_at_id(t, ret);
    }
    if (is_answer(rc)) {
        rc = look_at_epoch(t, ret);
    }
    if (is_answer(rc)) {
        rc = look_at_controllers(t, ret);
    }
    if (is_answer(rc)) {
        rc = look_at_names(t, ret);
    }
    if (rc == ZK_NO_AUTH) {
        return cli_fail(EXIT_NOT_ALLOWED, meta_digest_hint,
                "ZooKeeper does not let the present nodes be read");
    }
    if (!is_answer(rc)) {
        return cli_fail(rc == ZK_UNKNOWN ? EXIT_UNREACHABLE : EXIT_FAILED,
                "Nothing was changed.", "ZooKeeper cannot be read: %s", zk_rc_text(rc));
    }
    if (!ret->is_unfinished) {
        read_log(t, index, ret);
    } else {
        ret->has_head = tree_get(t, ZK_PATH_META_HEAD) == ZK_OK;
    }
    return -1;
}

void meta_standing_deinit(struct meta_standing *s)
{
    for (size_t i = 0; i < s->n_entries; i++) {
        mem_free(s->entries[i]);
    }
    for (size_t i = 0; i < s->n_snapshots; i++) {
        mem_free(s->snapshots[i]);
    }
    mem_free(s->entries);
    mem_free(s->snapshots);
}
