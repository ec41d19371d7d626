/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/push.h"

#include <stdio.h>

#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/keeper.h"
#include "broker/shell/keeper_image.h"
#include "broker/shell/roles.h"
#include "common/base/must.h"
#include "common/obs/log.h"

enum {
    LEVEL_TEXT_SIZE = 224
};

/* Decoding a record list takes a multiple of its size; batches have at most 512 KiB, chunks too. */
static void list_arena(struct arena *a, struct bytes payload)
{
    arena_init(a, wire_arena_ceiling(payload.size));
}

void push_init(struct push *p, struct broker *b)
{
    *p = (struct push){.b = b};
}

void push_forget_snapshot(struct push *p)
{
    p->incoming = image_free(p->incoming);
    p->next_chunk = 0;
}

void push_deinit(struct push *p)
{
    push_forget_snapshot(p);
}

const char *push_trouble(const struct push *p)
{
    return p->trouble;
}

/* [BRK-13] From here on this broker fences itself, deletes nothing, and waits for a person. */
static void stop_applying(struct push *p, uint64_t index, const char *why)
{
    (void)snprintf(p->trouble, sizeof(p->trouble), "metadata batch %llu: %s",
            (unsigned long long)index, why);
    log_error("push", "metadata_refused", KV_U64("index", index),
            KV_U64("applied_index", image_position(p->b->image).index), KV_STR("reason", why));
}

static void stop_regressed(struct push *p, uint64_t index, const char *why)
{
    p->is_regressed = true;
    stop_applying(p, index, why);
}

/* [RBD-10] A batch whose chain checksum continues ours comes from a history that holds all that was applied here: what
 * was missing is back (`weir meta rebuild`). A snapshot would prove nothing, whatever its index is. */
static void forgive(struct push *p, uint64_t index)
{
    log_info("push", "metadata_continues", KV_U64("index", index), KV_STR("former", p->trouble));
    p->trouble[0] = '\0';
    p->is_regressed = false;
}

/* [ZK-44] What is newer, what is unknown and what is damaged are three things. */
static const char *apply_failure(
        const struct image *image, int r, char level[LEVEL_TEXT_SIZE])
{
    if (r == IMAGE_E_LEVEL) {
        image_level_refusal(image, WEIR_VERSION, level, LEVEL_TEXT_SIZE);
        return level;
    }
    return r == IMAGE_E_KIND ? "it holds a kind of record that this version (" WEIR_VERSION
                               ") does not know; run the version that wrote it"
                             : "it contradicts the metadata before it: the log is damaged or "
                               "another cluster's";
}

bool push_check_committed(struct push *p, uint64_t committed_index)
{
    struct image_position at = image_position(p->b->image);

    if (p->trouble[0] != '\0' || at.index <= committed_index) {
        return false;
    }
    stop_regressed(p, committed_index,
            "the controller's metadata ends before what this broker has applied: ZooKeeper was put "
            "back to an "
            "older state, or this is another cluster");
    return true;
}

/* False: something is wrong for good (`trouble` says what). */
static bool apply_records(struct push *p,
        struct image *image,
        uint64_t index,
        const struct msg_record_list *list,
        bool is_live)
{
    for (size_t i = 0; i < list->n_records; i++) {
        const struct meta_record *rec = &list->records[i];
        int r;

        if (is_live && rec->kind == META_REMOVE_TOPIC) {
            const struct image_topic *topic = image_topic_by_id(image, &rec->remove_topic.id);

            if (topic != NULL) {
                roles_remove_topic(p->b, topic);
            }
        }
        r = image_apply(image, index, rec);
        if (r != 0) {
            char level[LEVEL_TEXT_SIZE];
            stop_applying(p, index, apply_failure(image, r, level));
            return false;
        }
    }
    return true;
}

/* [BRK-13] A batch that we have, again: of another history when its checksum is another one. */
static enum push_result compare_own(struct push *p, const struct msg_pushed_batch *pushed)
{
    struct image_position at = image_position(p->b->image);
    struct msg_batch batch = {0};
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(pushed->batch.size));
    bool is_other = wire_decode_batch(pushed->batch, &arena, &batch) == 0 &&
                    batch.index == at.index && msg_batch_crc(&batch) == batch.crc64 &&
                    batch.crc64 != at.crc;
    arena_deinit(&arena);
    if (is_other && p->trouble[0] == '\0') {
        stop_regressed(p, pushed->index,
                "it is another one than this broker has applied at that index: ZooKeeper was put "
                "back to an older state and went on from there, or this is another cluster");
    }
    return is_other ? PUSH_NEED : PUSH_DONE;
}

static enum push_result apply_batch(struct push *p, const struct msg_pushed_batch *pushed)
{
    struct image_position at = image_position(p->b->image);
    struct msg_record_list list;
    struct msg_batch batch;
    struct arena arena;
    enum push_result ret = PUSH_NEED;
    bool is_forgiven = false;
    uint64_t last_seq;

    if (pushed->index == at.index) {
        return compare_own(p, pushed);
    }
    if (pushed->index < at.index) {
        return PUSH_DONE; /* a duplicate: committed entries never change */
    }
    if (pushed->index != at.index + 1) {
        return PUSH_NEED;
    }
    arena_init(&arena, 0); /* bounded by the body's own ceiling; the list below has its own */
    if (wire_decode_batch(pushed->batch, &arena, &batch) != 0 || batch.index != pushed->index ||
            batch.prev_crc64 != at.crc || msg_batch_crc(&batch) != batch.crc64) { /* [BRK-6] */
        log_warn("push", "batch_refused", KV_U64("index", pushed->index),
                KV_STR("reason", "its checksum or its place in the chain is wrong"));
        arena_deinit(&arena);
        return PUSH_NEED;
    }
    if (p->is_regressed) {
        forgive(p, pushed->index);
        is_forgiven = true;
    }
    if (wire_decode_record_list(batch.payload, &arena, &list) != 0) {
        stop_applying(p, pushed->index, "its records do not decode");
    } else if (apply_records(p, p->b->image, pushed->index, &list, true)) {
        last_seq = batch.first_seq + list.n_records - (list.n_records > 0);
        image_set_position(p->b->image,
                (struct image_position){
                        .index = batch.index, .crc = batch.crc64, .last_seq = last_seq});
        keeper_image_applied(p->b->image_file, batch.index, pushed->batch);
        if (is_forgiven) {
            roles_all(p->b);
        } else {
            roles_after_records(p->b, &list);
        }
        broker_configs_look_at(p->b->configs, &list);
        broker_configs_refresh(p->b->configs);
        ret = PUSH_DONE;
    }
    arena_deinit(&arena);
    return ret;
}

static enum push_result finish_snapshot(struct push *p, const struct msg_push_request *m)
{
    struct image_position at = image_position(p->b->image);

    if (m->snapshot.index < at.index ||
            (m->snapshot.index == at.index && m->snapshot.log_crc64 != at.crc && at.index != 0)) {
        stop_regressed(p, m->snapshot.index,
                "a snapshot of an older or another history: ZooKeeper was put back to an older "
                "state, or this is "
                "another cluster");
        return PUSH_NEED;
    }
    image_set_position(p->incoming, (struct image_position){.index = m->snapshot.index,
                                            .crc = m->snapshot.log_crc64,
                                            .last_seq = m->snapshot.last_seq});
    (void)image_free(p->b->image);
    p->b->image = p->incoming;
    p->incoming = NULL;
    p->next_chunk = 0;
    log_info("push", "snapshot_applied", KV_U64("index", m->snapshot.index),
            KV_U64("topics", image_n_topics(p->b->image)),
            KV_U64("partitions", image_n_partitions(p->b->image)));
    keeper_image_applied(p->b->image_file, m->snapshot.index, (struct bytes){0});
    roles_all(p->b);
    broker_configs_refresh(p->b->configs);
    keeper_catalog_changed(p->b->keeper);
    return PUSH_DONE;
}

static enum push_result apply_chunk(struct push *p, const struct msg_push_request *m)
{
    struct msg_record_list list;
    struct arena arena;
    bool ok;

    if (m->snapshot.chunk == 0) {
        push_forget_snapshot(p);
        p->incoming = image_new();
        p->incoming_index = m->snapshot.index;
    }
    if (p->incoming == NULL || m->snapshot.index != p->incoming_index ||
            m->snapshot.chunk != p->next_chunk || m->snapshot.chunk >= m->snapshot.chunks) {
        push_forget_snapshot(p);
        return PUSH_NEED;
    }
    list_arena(&arena, m->snapshot.records);
    ok = wire_decode_record_list(m->snapshot.records, &arena, &list) == 0;
    if (!ok) {
        stop_applying(p, m->snapshot.index, "a snapshot chunk does not decode");
    } else {
        ok = apply_records(p, p->incoming, m->snapshot.index, &list, false);
        broker_configs_look_at(p->b->configs, &list);
    }
    arena_deinit(&arena);
    if (!ok) {
        push_forget_snapshot(p);
        return PUSH_NEED;
    }
    p->next_chunk++;
    return p->next_chunk == m->snapshot.chunks ? finish_snapshot(p, m) : PUSH_DONE;
}

enum push_result push_apply(struct push *p, const struct msg_push_request *m)
{
    if (p->trouble[0] != '\0' && (!p->is_regressed || m->has_snapshot)) {
        return PUSH_NEED;
    }
    if (m->has_snapshot) {
        return apply_chunk(p, m);
    }
    for (size_t i = 0; i < m->n_batches; i++) {
        if (apply_batch(p, &m->batches[i]) != PUSH_DONE) {
            return PUSH_NEED;
        }
    }
    return PUSH_DONE;
}
