/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/meta_log_internal.h"

#include "common/base/crc.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define META_AGAIN   WTIME_S(10)
#define META_UNKNOWN WTIME_S(1)

/* Entries and snapshots vanish under a reader when the active controller trims; after so many tries it is no accident. */
enum {
    META_REREADS_MAX = 5
};

static void tail(struct meta_log *l);
static void list_entries(struct meta_log *l);
static void read_begin(struct meta_log *l, bool fresh);

struct meta_ask *meta_ask_new(struct meta_log *l, uint64_t i)
{
    struct meta_ask *a = mem_new(struct meta_ask);

    *a = (struct meta_ask){.l = l, .round = l->round, .i = i};
    return a;
}

bool meta_ask_end(struct meta_ask *a, struct meta_log **ret, uint64_t *ret_i)
{
    bool is_ours = a->round == a->l->round;

    *ret = a->l;
    *ret_i = a->i;
    mem_free(a);
    return is_ours;
}

char *meta_log_path(uint64_t index)
{
    return mem_format("%s/%016" PRIx64, ZK_PATH_META_LOG, index);
}

/* --- One batch --------------------------------------------------------------------------------- */

static const char *judge_batch(
        struct meta_log *l, const struct image *image, const struct msg_batch *b)
{
    struct image_position at = image_position(image);

    if (b->index != at.index + 1) {
        snprintf(l->why, sizeof(l->why), "entry %" PRIu64 " says that it is batch %" PRIu64,
                at.index + 1, b->index);
    } else if (b->prev_crc64 != at.crc) {
        snprintf(l->why, sizeof(l->why), "batch %" PRIu64 " does not follow from batch %" PRIu64,
                b->index, at.index);
    } else if (b->crc64 != msg_batch_crc(b)) {
        snprintf(l->why, sizeof(l->why), "batch %" PRIu64 " has a wrong checksum", b->index);
    } else if (b->first_seq != at.last_seq + 1) {
        snprintf(l->why, sizeof(l->why),
                "batch %" PRIu64 " begins with record %" PRIu64 ", not %" PRIu64, b->index,
                b->first_seq, at.last_seq + 1);
    } else if (b->ctl_epoch < image_ctl_epoch(image)) {
        snprintf(l->why, sizeof(l->why),
                "batch %" PRIu64 " was written by controller epoch %" PRIu64
                " after epoch %" PRIu64,
                b->index, b->ctl_epoch, image_ctl_epoch(image));
    } else {
        return NULL;
    }
    return l->why;
}

/* [ZK-44] A newer level is not a damage, and says what to do. */
static const char *level_refusal(struct meta_log *l, const struct image *image)
{
    image_level_refusal(image, WEIR_VERSION, l->why, sizeof(l->why));
    return l->why;
}

/* Why image_apply() did not take it. */
static const char *record_refusal(struct meta_log *l,
        const struct image *image,
        uint64_t index,
        const struct meta_record *record,
        int r)
{
    if (r == IMAGE_E_LEVEL) {
        return level_refusal(l, image);
    }
    snprintf(l->why, sizeof(l->why),
            r == IMAGE_E_KIND ? "record %" PRIu64 " of batch %" PRIu64
                                " is of a kind that this version (" WEIR_VERSION ") does not know"
                              : "record %" PRIu64 " of batch %" PRIu64
                                " contradicts what came before it",
            record->seq, index);
    return l->why;
}

static const char *apply_records(struct meta_log *l,
        struct image *image,
        const struct msg_batch *b,
        struct arena *a,
        struct image_position *at)
{
    struct msg_record_list list = {0};

    if (wire_decode_record_list(b->payload, a, &list) != 0) {
        snprintf(
                l->why, sizeof(l->why), "the records of batch %" PRIu64 " do not decode", b->index);
        return l->why;
    }
    for (size_t i = 0; i < list.n_records; i++) {
        const struct meta_record *record = &list.records[i];
        link_gains_note(&l->gains, image, record);
        int r = record->seq == at->last_seq + 1 ? image_apply(image, b->index, record)
                                                : IMAGE_E_BROKEN;
        if (r != 0) {
            return record_refusal(l, image, b->index, record, r);
        }
        at->last_seq = record->seq;
    }
    return NULL;
}

const char *meta_apply_batch(struct meta_log *l, struct image *image, struct bytes value)
{
    struct arena a, records;
    struct msg_batch b = {0};
    struct image_position at = image_position(image);
    const char *why = NULL;

    link_gains_clear(&l->gains);
    arena_init(&a, wire_arena_ceiling(value.size));
    arena_init(&records, wire_arena_ceiling(value.size));
    if (wire_decode_batch(value, &a, &b) != 0) {
        snprintf(l->why, sizeof(l->why), "entry %" PRIu64 " does not decode", at.index + 1);
        why = l->why;
    } else if ((why = judge_batch(l, image, &b)) == NULL) {
        why = apply_records(l, image, &b, &records, &at);
    }
    if (why == NULL) {
        at.index = b.index;
        at.crc = b.crc64;
        image_set_position(image, at);
        batch_ring_push(l->ring, &(struct ring_batch){.index = b.index,
                                         .prev_crc = b.prev_crc64,
                                         .crc = b.crc64,
                                         .bytes = value});
    }
    arena_deinit(&records);
    arena_deinit(&a);
    return why;
}

/* --- Reading ----------------------------------------------------------------------------------- */

static void drop_work(struct meta_log *l)
{
    if (l->work != l->image) {
        image_free(l->work);
    }
    l->work = NULL;
}

/* [ZK-32] A log with a gap or a bad checksum makes no decisions. */
void meta_log_broken(struct meta_log *l, const char *why)
{
    if (why != l->why) {
        snprintf(l->why, sizeof(l->why), "%s", why);
    }
    meta_snap_cancel(l);
    l->round++;
    l->state = META_BROKEN;
    l->is_troubled = true;
    l->is_taking = false;
    l->is_read = false; /* the image may hold half a batch */
    drop_work(l);
    log_error("meta_log", "log_broken", KV_STR("reason", l->why),
            KV_STR("action", "this controller does not become active; read again in 10 s"));
    timer_set(&l->again, wtime_add(clock_now(), META_AGAIN));
    l->options.on_broken(l->options.ctx, l->why);
}

/* An answer that was lost with its connection is asked for by meta_log_on_connection(); one that was lost without (a
 * server that refuses for its load) by the timer. */
static bool is_unknown(struct meta_log *l, enum zk_rc rc)
{
    if (rc == ZK_UNKNOWN) {
        timer_set(&l->again, wtime_add(clock_now(), META_UNKNOWN));
    }
    return rc == ZK_UNKNOWN;
}

static void reread(struct meta_log *l, const char *why)
{
    if (++l->n_rereads > META_REREADS_MAX) {
        meta_log_broken(l, why);
        return;
    }
    log_info("meta_log", "reading_again", KV_STR("reason", why));
    read_begin(l, true);
}

static void read_done(struct meta_log *l)
{
    struct image_position at = image_position(l->work);

    if (l->work != l->image) {
        image_free(l->image);
        l->image = l->work;
    }
    l->work = NULL;
    l->n_rereads = 0;
    l->is_read = true;
    l->is_troubled = false;
    metric_set(METRIC_CONTROLLER_COMMITTED_INDEX, (int64_t)at.index);
    metric_set(METRIC_CONTROLLER_EPOCH, (int64_t)image_ctl_epoch(l->image));
    log_info("meta_log", "log_read", KV_U64("index", at.index), KV_U64("records", at.last_seq),
            KV_U64("snapshot_index", l->head.exists ? l->head.value.index : 0));
    if (l->is_taking) {
        l->is_taking = false;
        l->state = META_ACTIVE;
        meta_commit_start(l);
        l->options.on_taken(l->options.ctx);
        if (l->state == META_ACTIVE) {
            meta_snap_clean(l);
        }
        return;
    }
    l->state = META_TAILING;
    tail(l);
    l->options.on_read(l->options.ctx);
}

static void on_entry(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct meta_log *l = NULL;
    uint64_t index = 0;
    const char *why = NULL;

    if (!meta_ask_end(ctx, &l, &index) || is_unknown(l, rc)) {
        return;
    }
    if (rc != ZK_OK) {
        l->round++;
        reread(l, "an entry of the log vanished while it was read");
        return;
    }
    why = meta_apply_batch(l, l->work, data);
    if (why != NULL) {
        meta_log_broken(l, why);
    } else if (index == l->read_to) {
        read_done(l);
    }
}

static bool parse_index(const char *name, uint64_t *ret)
{
    char *end = NULL;

    if (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16) {
        return false;
    }
    *ret = strtoull(name, &end, 16);
    return true;
}

static void on_entries(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct meta_log *l = NULL;
    uint64_t i = 0, index = 0, last = 0, position = 0;
    bool has_own = false;

    if (!meta_ask_end(ctx, &l, &i) || is_unknown(l, rc)) {
        return;
    }
    position = last = image_position(l->work).index;
    for (size_t k = 0; k < n && rc == ZK_OK; k++) { /* sorted, and so by index */
        if (!parse_index(names[k], &index)) {
            log_warn("meta_log", "foreign_node", KV_STR("path", names[k]));
            continue;
        }
        has_own = has_own || index == position;
        if (index > last && index != last + 1) {
            snprintf(l->why, sizeof(l->why),
                    "the log has a gap: batch %" PRIu64 " is followed by batch %" PRIu64, last,
                    index);
            reread(l, l->why);
            return;
        }
        last = index > last ? index : last;
    }
    if (rc != ZK_OK || (position > 0 && !has_own)) {
        /* [ZK-31] The entry we stand at is never trimmed unless a snapshot went past it. */
        reread(l, rc != ZK_OK ? "the folder of the log cannot be listed"
                              : "the log does not hold the batch that this controller stands at");
        return;
    }
    l->read_to = last;
    for (index = position + 1; index <= last; index++) {
        char *path = meta_log_path(index);
        zk_get(l->zk, path, NULL, on_entry, meta_ask_new(l, index));
        mem_free(path);
    }
    if (position == last) {
        read_done(l);
    }
}

static void list_entries(struct meta_log *l)
{
    zk_children(l->zk, ZK_PATH_META_LOG, NULL, on_entries, meta_ask_new(l, 0));
}

/* NULL, or why it cannot be used (l->why). */
static const char *apply_chunk(struct meta_log *l, struct bytes chunk)
{
    int r = snapshot_apply(l->work, l->head.value.index, chunk);

    if (r == SNAPSHOT_E_LEVEL) {
        return level_refusal(l, l->work);
    }
    if (r != 0) {
        snprintf(l->why, sizeof(l->why), "%s",
                r == SNAPSHOT_E_KIND
                        ? "the snapshot holds a kind of record that this version (" WEIR_VERSION
                          ") does not know"
                        : "a chunk of the snapshot does not decode or contradicts itself");
        return l->why;
    }
    return NULL;
}

static void on_chunk(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct meta_log *l = NULL;
    uint64_t i = 0;
    const struct msg_snap_head *h = NULL;

    if (!meta_ask_end(ctx, &l, &i) || is_unknown(l, rc)) {
        return;
    }
    h = &l->head.value;
    if (rc != ZK_OK) {
        l->round++;
        reread(l, "a chunk of the snapshot vanished while it was read");
        return;
    }
    l->chunk_crc = crc64(l->chunk_crc, data.at, data.size);
    l->chunk_bytes += data.size;
    if (apply_chunk(l, data) != NULL) {
        meta_log_broken(l, l->why);
        return;
    }
    if (i + 1 < h->chunks) {
        return;
    }
    if (l->chunk_crc != h->crc64 || l->chunk_bytes != h->bytes) {
        meta_log_broken(l, "the snapshot has a wrong checksum");
        return;
    }
    image_set_position(l->work, (struct image_position){
                                        .index = h->index,
                                        .crc = h->log_crc64,
                                        .last_seq = h->last_seq,
                                });
    list_entries(l);
}

static void read_snapshot(struct meta_log *l)
{
    l->chunk_crc = l->chunk_bytes = 0;
    for (uint32_t i = 0; i < l->head.value.chunks; i++) {
        char *path = mem_format("%s/%s/%04x", ZK_PATH_META_SNAP, l->head.dir, i);
        zk_get(l->zk, path, NULL, on_chunk, meta_ask_new(l, i));
        mem_free(path);
    }
    if (l->head.value.chunks == 0) {
        meta_log_broken(l, "the snapshot has no chunks");
    }
}

static bool take_head(struct meta_log *l, enum zk_rc rc, struct bytes data, int32_t version)
{
    struct arena a;
    bool is_good = true;

    l->head.exists = rc == ZK_OK;
    if (!l->head.exists) {
        return rc == ZK_NO_NODE;
    }
    arena_init(&a, wire_arena_ceiling(data.size));
    is_good = wire_decode_snap_head(data, &a, &l->head.value) == 0 &&
              strlen(l->head.value.dir) < sizeof(l->head.dir) &&
              strchr(l->head.value.dir, '/') == NULL && l->head.value.dir[0] != '\0';
    if (is_good) {
        snprintf(l->head.dir, sizeof(l->head.dir), "%s", l->head.value.dir);
    }
    l->head.value.dir = l->head.dir;
    l->head.version = version;
    arena_deinit(&a);
    return is_good;
}

static void on_head(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct meta_log *l = NULL;
    uint64_t fresh = 0;

    if (!meta_ask_end(ctx, &l, &fresh) || is_unknown(l, rc)) {
        return;
    }
    if (!take_head(l, rc, data, stat->version)) {
        meta_log_broken(l, "the head of the snapshot does not decode");
        return;
    }
    drop_work(l);
    if (!fresh && (!l->head.exists || l->head.value.index <= image_position(l->image).index)) {
        l->work = l->image;
        list_entries(l);
        return;
    }
    l->work = image_new();
    batch_ring_clear(l->ring);
    if (l->head.exists) {
        read_snapshot(l);
    } else {
        list_entries(l);
    }
}

static void on_synced(void *ctx, enum zk_rc rc)
{
    /* [ZK-8] The reads behind it see what the quorum had when it was sent. */
}

/* The active controller wrote a snapshot: who is behind it would wait for entries that are trimmed. */
static void on_head_fired(void *ctx)
{
    struct meta_log *l = ctx;

    l->head_watch_is_set = false;
    if (l->state == META_TAILING) {
        read_begin(l, false);
    }
}

static void on_head_watched(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    struct meta_log *l = ctx;

    if (rc != ZK_OK && rc != ZK_NO_NODE) {
        l->head_watch_is_set = false;
    }
}

/* Reads to the end of the log: on from the image, or with `fresh` from the newest snapshot. */
static void read_begin(struct meta_log *l, bool fresh)
{
    l->round++;
    l->state = META_READING;
    l->tail_is_getting = false;
    timer_cancel(&l->again);
    drop_work(l);
    zk_sync(l->zk, ZK_PATH_META_LOG, on_synced, NULL);
    if (!l->head_watch_is_set) {
        l->head_watch_is_set = true;
        zk_exists(l->zk, ZK_PATH_META_HEAD, on_head_fired, on_head_watched, l);
    }
    zk_get(l->zk, ZK_PATH_META_HEAD, NULL, on_head, meta_ask_new(l, fresh || !l->is_read));
}

/* After an answer was lost: from where it stands. */
static void read_on(struct meta_log *l)
{
    read_begin(l, l->state == META_READING && l->work != NULL && l->work != l->image);
}

static void on_again(void *ctx)
{
    struct meta_log *l = ctx;

    if (l->state == META_BROKEN) {
        l->n_rereads = 0;
        read_begin(l, true);
    } else if (l->state == META_READING || l->state == META_TAILING) {
        read_on(l);
    }
}

/* --- Following --------------------------------------------------------------------------------- */

static void on_tail_entry(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct meta_log *l = NULL;
    uint64_t index = 0;
    const char *why = NULL;

    if (!meta_ask_end(ctx, &l, &index)) {
        return;
    }
    l->tail_is_getting = false;
    if (is_unknown(l, rc)) {
        return;
    }
    if (rc != ZK_OK) {
        read_begin(l, false);
        return;
    }
    why = meta_apply_batch(l, l->image, data);
    if (why != NULL) {
        meta_log_broken(l, why);
        return;
    }
    metric_set(METRIC_CONTROLLER_COMMITTED_INDEX, (int64_t)index);
    metric_set(METRIC_CONTROLLER_EPOCH, (int64_t)image_ctl_epoch(l->image));
    tail(l);
    l->options.on_applied(l->options.ctx, index, image_position(l->image).last_seq, false);
}

static void on_tail_stat(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    struct meta_log *l = ctx;
    uint64_t index = 0;
    char *path = NULL;

    if (--l->n_tail > 0 || l->state != META_TAILING || l->tail_is_getting || is_unknown(l, rc) ||
            rc != ZK_OK) {
        return;
    }
    index = image_position(l->image).index + 1;
    path = meta_log_path(index);
    l->tail_is_getting = true;
    zk_get(l->zk, path, NULL, on_tail_entry, meta_ask_new(l, index));
    mem_free(path);
}

static void on_tail_fired(void *ctx)
{
    struct meta_log *l = ctx;

    if (l->state == META_TAILING && l->n_tail == 0 && !l->tail_is_getting) {
        tail(l);
    }
}

/* [ZK-33] Waits for the entry after the last one. */
static void tail(struct meta_log *l)
{
    char *path = meta_log_path(image_position(l->image).index + 1);

    l->n_tail++;
    zk_exists(l->zk, path, on_tail_fired, on_tail_stat, l);
    mem_free(path);
}

/* --- Life -------------------------------------------------------------------------------------- */

struct meta_log *meta_log_new(
        struct loop *loop, struct zk *zk, const struct meta_log_options *options)
{
    struct meta_log *l = mem_new(struct meta_log);

    l->loop = loop;
    l->zk = zk;
    l->options = *options;
    l->image = image_new();
    l->ring = batch_ring_new(META_RING_BYTES);
    meta_commit_init(l);
    timer_init(&l->again, loop, on_again, l);
    return l;
}

struct meta_log *meta_log_free(struct meta_log *l)
{
    if (l == NULL) {
        return NULL;
    }
    meta_snap_cancel(l);
    meta_commit_deinit(l);
    timer_deinit(&l->again);
    drop_work(l);
    image_free(l->image);
    batch_ring_free(l->ring);
    link_gains_deinit(&l->gains);
    return mem_free(l);
}

void meta_log_open(struct meta_log *l)
{
    l->head_watch_is_set = false;
    l->n_rereads = 0;
    read_begin(l, true);
}

void meta_log_close(struct meta_log *l)
{
    meta_snap_cancel(l);
    meta_commit_drop(l);
    drop_work(l);
    timer_cancel(&l->again);
    l->round++;
    l->is_taking = false;
    l->state = META_CLOSED;
}

void meta_log_on_connection(struct meta_log *l, bool connected)
{
    if (!connected) {
        return;
    }
    switch (l->state) {
    case META_CLOSED:
    case META_BROKEN: break;
    case META_READING:
    case META_TAILING: read_on(l); break;
    case META_ACTIVE: meta_commit_on_connection(l); break;
    }
}

void meta_log_take_over(struct meta_log *l, uint64_t ctl_epoch, int32_t fence_version)
{
    must(l->state != META_CLOSED);
    must(l->state != META_ACTIVE);
    l->ctl_epoch = ctl_epoch;
    l->fence = fence_version;
    l->is_taking = true;
    l->n_rereads = 0;
    read_begin(l, false);
}

void meta_log_stand_down(struct meta_log *l)
{
    l->is_taking = false;
    if (l->state == META_ACTIVE) {
        meta_snap_cancel(l);
        meta_commit_drop(l);
        read_begin(l, false);
    }
}

const struct image *meta_log_image(const struct meta_log *l)
{
    return l->image;
}

bool meta_log_is_read(const struct meta_log *l)
{
    return l->is_read;
}

bool meta_log_is_active(const struct meta_log *l)
{
    return l->state == META_ACTIVE;
}

const char *meta_log_trouble(const struct meta_log *l)
{
    return l->is_troubled ? l->why : "";
}

bool meta_log_is_gained(const struct meta_log *l, broker_id id)
{
    return link_gains_has(&l->gains, id);
}

const struct batch_ring *meta_log_ring(const struct meta_log *l)
{
    return l->ring;
}
