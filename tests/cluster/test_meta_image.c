/* SPDX-License-Identifier: Apache-2.0 */
/* A real broker and the image of the metadata that it keeps; the controller is played. Rules:
 * docs/design/90-rebuild.md. */
#include "broker/log/log_dir.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "common/wire/meta_image.h"
#include "common/wire/snapshot.h"
#include "common/zk/zk.h"
#include "tests/cluster/broker_world.h"
#include "tests/lib/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WRITTEN_MS = 15000
};

struct kept {
    uint64_t index, crc, ctl_epoch;
    size_t n_topics, batch_size;
    int64_t own_epoch;
    broker_id broker;
};

/* What the file holds; index 0 = not there, or not whole. */
static struct kept read_kept(const struct world *w, const char *name)
{
    char *path = mem_format("%s/%s", w->dir, name);
    struct kept ret = {0};
    struct msg_meta_image m;
    struct image *image = NULL;
    struct arena arena;
    uint8_t *bytes = NULL;
    size_t size = 0;

    arena_init(&arena, 1 << 20);
    if (file_read_all(&file_io_posix, path, META_IMAGE_MAX, &bytes, &size) == 0) {
        CHECK_EQ(wire_decode_meta_image((struct bytes){bytes, size}, &arena, &m), 0);
        CHECK_EQ(wire_load_meta_image(&m, &image), 0);
        CHECK(uuid_equal(&m.cluster_id, &w->cluster_id));
        ret = (struct kept){.index = m.index,
                .crc = m.log_crc64,
                .ctl_epoch = m.ctl_epoch,
                .n_topics = image_n_topics(image),
                .batch_size = m.last_batch.size,
                .own_epoch = wire_meta_image_broker_epoch(&m, BROKER_ID),
                .broker = m.broker};
        (void)image_free(image);
    }
    arena_deinit(&arena);
    mem_free(bytes);
    mem_free(path);
    return ret;
}

/* The file holds all that was committed. */
static bool is_kept(struct world *w)
{
    pause_loop(w, 10);
    return read_kept(w, META_IMAGE_NAME).index == w->batches.n;
}

static void what_was_applied_is_kept(void) /* [RBD-1] */
{
    struct world *w = world_serving();

    CHECK_WITHIN(WRITTEN_MS, is_kept(w));
    struct kept k = read_kept(w, META_IMAGE_NAME);
    CHECK(k.crc == w->crc);
    CHECK_EQ(k.ctl_epoch, 1);
    CHECK_EQ(k.n_topics, 1);
    CHECK_EQ(k.own_epoch, w->broker_epoch);
    CHECK_EQ(k.broker, BROKER_ID);
    CHECK_EQ(k.batch_size, w->batches.items[w->batches.n - 1].size);

    /* A controller of a later epoch says Hello and pushes nothing. */
    w->ctl_epoch = 9;
    rpc_conn_close(w->controller);
    w->controller = NULL;
    connect_controller(w);
    CHECK_WITHIN(WRITTEN_MS, (pause_loop(w, 10), read_kept(w, META_IMAGE_NAME).ctl_epoch) == 9);

    /* An orderly stop writes what came in the last second. */
    create_topic(w, 2, "last-moment", 1, NULL, NULL);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK_EQ(read_kept(w, META_IMAGE_NAME).index, w->batches.n);
    CHECK_EQ(read_kept(w, META_IMAGE_NAME).n_topics, 2);
    world_free(w);
}

static void a_disk_that_does_not_take_it_costs_a_warning(void) /* [RBD-1] */
{
    struct world *w = world_serving();
    char *tmp = mem_format("%s/%s.tmp", w->dir, META_IMAGE_NAME);

    CHECK_WITHIN(WRITTEN_MS, is_kept(w));
    CHECK_EQ(mkdir(tmp, 0755), 0); /* stands where the new file would be made */
    create_topic(w, 2, "more", 1, NULL, NULL);
    CHECK_WITHIN(WRITTEN_MS, (pause_loop(w, 10), file_has(w->log, "event=image_not_written")));
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(read_kept(w, META_IMAGE_NAME).index, w->batches.n - 1);
    CHECK_EQ(rmdir(tmp), 0);
    create_topic(w, 3, "still-more", 1, NULL, NULL);
    CHECK_WITHIN(WRITTEN_MS, is_kept(w));
    mem_free(tmp);
    world_free(w);
}

/* The metadata of this controller begins anew, with the first batch of a new one. */
static void forget_metadata(struct world *w)
{
    struct meta_record first = {.kind = META_NEW_CONTROLLER};

    for (size_t i = 0; i < w->batches.n; i++) {
        buf_deinit(&w->batches.items[i]);
    }
    w->batches.n = 0;
    w->image = image_free(w->image);
    w->image = image_new();
    w->crc = w->seq = w->applied = 0;
    w->ctl_epoch++;
    first.new_controller.ctl_epoch = w->ctl_epoch;
    first.new_controller.controller_id = 1;
    commit(w, &first, 1);
}

static void an_image_does_not_take_the_place_of_a_newer_one(void) /* [RBD-3] */
{
    struct world *w = world_serving();
    uint64_t newest = w->batches.n, crc = w->crc;

    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK_EQ(read_kept(w, META_IMAGE_NAME).index, newest);
    forget_metadata(w); /* ZooKeeper is restored from an older copy while the broker is down */
    start_broker(w);
    connect_controller(w);
    push(w);
    admit_broker(w);
    CHECK(w->batches.n < newest);
    CHECK_WITHIN(WRITTEN_MS, is_kept(w));
    CHECK_EQ(read_kept(w, META_IMAGE_FORMER_NAME).index, newest);
    CHECK(read_kept(w, META_IMAGE_FORMER_NAME).crc == crc);
    CHECK(file_has(w->log, "event=image_kept"));
    world_free(w);
}

/* A push of the whole image of another history, at a greater index. */
static int push_other_history(struct world *w, char *detail)
{
    struct image *other = image_new();
    struct meta_record first = {.kind = META_NEW_CONTROLLER};
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch, .has_snapshot = true};
    struct rpc_out *out = rpc_out_new();
    struct snapshot s;
    struct reply r;

    first.new_controller.ctl_epoch = w->ctl_epoch;
    CHECK_EQ(image_apply(other, 1, &first), 0);
    snapshot_build(other, &s);
    m.snapshot.index = w->batches.n + 100;
    m.snapshot.log_crc64 = 1234;
    m.snapshot.last_seq = w->seq + 100;
    m.snapshot.chunks = 1;
    m.snapshot.records = (struct bytes){s.chunks.items[0].data, s.chunks.items[0].size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    int error = r.error;
    (void)snprintf(detail, 512, "%s", r.detail);
    reply_free(&r);
    snapshot_deinit(&s);
    (void)image_free(other);
    return error;
}

static void only_a_batch_that_continues_ends_a_regression(void) /* [RBD-10] */
{
    struct world *w = world_serving();
    char detail[512];

    CHECK_EQ(produce(w, -1, "kept", 2, 0).error, ERRCODE_NONE);
    beat(w, 1); /* the controller has less than the broker */
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(push_other_history(w, detail), ERRCODE_UNKNOWN_SERVER_ERROR);
    CHECK(strstr(detail, "put back to an older state") != NULL);
    beat(w, w->batches.n); /* as much as the broker has proves nothing */
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    create_topic(w, 2, "after", 1, NULL, NULL); /* the next batch */
    CHECK(file_has(w->log, "event=metadata_continues"));
    CHECK_EQ(produce(w, -1, "kept", 1, 0).error, ERRCODE_NONE);
    CHECK_EQ(consume(w, 0, "kept"), 3);
    world_free(w);
}

static void another_batch_at_the_same_index_fences(void) /* [BRK-13] [ZK-43] */
{
    struct world *w = world_serving();
    struct msg_batch b = {.ctl_epoch = 1, .index = w->batches.n, .first_seq = 1, .prev_crc64 = 77};
    struct msg_pushed_batch pushed = {.index = w->batches.n};
    struct msg_push_request m = {.ctl_epoch = w->ctl_epoch, .batches = &pushed, .n_batches = 1};
    struct rpc_out *out = rpc_out_new();
    struct buf bytes = {0};
    struct reply r;

    b.crc64 = msg_batch_crc(&b);
    wire_encode_batch(&b, &bytes);
    pushed.batch = (struct bytes){bytes.data, bytes.size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    CHECK_EQ(r.error, ERRCODE_UNKNOWN_SERVER_ERROR);
    CHECK(strstr(r.detail, "put back to an older state") != NULL);
    reply_free(&r);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    /* The one that it has applied is a duplicate as before. */
    out = rpc_out_new();
    pushed.batch = (struct bytes){w->batches.items[w->batches.n - 1].data,
            w->batches.items[w->batches.n - 1].size};
    wire_encode_push_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_PUSH, out, &r);
    CHECK_EQ(r.error, ERRCODE_UNKNOWN_SERVER_ERROR); /* it proves nothing about what follows */
    reply_free(&r);
    create_topic(w, 2, "after", 1, NULL, NULL);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    buf_deinit(&bytes);
    world_free(w);
}

/* --- Epochs that come again ------------------------------------------------------------------- */

static struct {
    bool is_done;
    int64_t czxid;
} seen;

static void on_created(void *ctx, enum zk_rc rc)
{
    CHECK_EQ(rc, ZK_OK);
}

static void on_seen(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    CHECK_EQ(rc, ZK_OK);
    seen.czxid = stat->czxid;
    seen.is_done = true;
}

/* The number that ZooKeeper gave last. */
static int64_t last_zxid(struct world *w, int i)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/scratch-%d", i);
    seen.is_done = false;
    zk_create(w->zk, path, (struct bytes){0}, ZK_PERSISTENT, on_created, NULL);
    zk_get(w->zk, path, NULL, on_seen, NULL);
    CHECK(run_until(w, &seen.is_done, ANSWER_MS));
    return seen.czxid;
}

/* The folder's marker says that the last run had that epoch. */
static void leave_marker(struct world *w, int64_t epoch)
{
    struct log_dir *d = NULL;
    char error[256];

    CHECK_EQ(log_dir_open(&file_io_posix, w->dir, BROKER_ID, &d, error, sizeof(error)), 0);
    CHECK_EQ(log_dir_begin_run(d, epoch), 0);
    (void)log_dir_close(d);
}

/* The folder's meta.image knows the broker under that epoch. */
static void leave_image(struct world *w, int64_t epoch)
{
    char *path = mem_format("%s/%s", w->dir, META_IMAGE_NAME);
    struct msg_meta_image like = {.cluster_id = w->cluster_id, .ctl_epoch = 1, .broker = BROKER_ID};
    struct meta_record r = {.kind = META_REGISTER_BROKER};
    struct image *image = image_new();
    struct buf file = {0};
    struct snapshot s;

    r.register_broker = (struct meta_register_broker){.id = BROKER_ID,
            .epoch = epoch,
            .crash_kind = CRASH_CLEAN,
            .rack = "",
            .version = ""};
    CHECK_EQ(image_apply(image, 5, &r), 0);
    image_set_position(image, (struct image_position){.index = 5, .crc = 6, .last_seq = 7});
    snapshot_build(image, &s);
    wire_encode_meta_image_of(&s, &like, &file);
    CHECK_EQ(durable_write(&file_io_posix, path, file.data, file.size), 0);
    snapshot_deinit(&s);
    buf_deinit(&file);
    (void)image_free(image);
    mem_free(path);
}

static bool log_number(const char *path, const char *key, int64_t *ret)
{
    char line[4096];
    FILE *f = fopen(path, "re");
    bool found = false;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *at = strstr(line, "event=registered") != NULL ? strstr(line, key) : NULL;
        if (at != NULL) {
            *ret = strtoll(at + strlen(key), NULL, 10);
            found = true;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* Starts the broker so that its node gets a number that an earlier incarnation had: its session
 * takes one, its node the next. Another session that ends just then takes one in between; then
 * once more. */
static void meet_again(void (*leave)(struct world *w, int64_t epoch))
{
    struct world *w = world_serving();
    int64_t epoch = -1, former = -1;
    bool was_met = false;

    for (int i = 0; i < 10 && !was_met; i++) {
        char *log = mem_format("%s.again-%d", w->log, i);
        CHECK_EQ(stop_broker(w, i == 0 ? SIGTERM : SIGKILL), i == 0 ? 0 : 128 + SIGKILL);
        former = last_zxid(w, i) + 2;
        leave(w, former);
        start_broker_as(w, BROKER_ID, log, NULL);
        CHECK_WITHIN(ANSWER_MS, (pause_loop(w, 10), log_number(log, " broker_epoch=", &epoch)));
        was_met = file_has(log, "an earlier incarnation of this broker had the same epoch");
        CHECK(epoch != former);
        mem_free(log);
    }
    CHECK(was_met);
    CHECK(epoch > former);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

static void an_epoch_of_the_run_before_is_not_taken_again(void) /* [RBD-9] */
{
    meet_again(leave_marker);
}

static void an_epoch_of_the_kept_image_is_not_taken_again(void) /* [RBD-9] */
{
    meet_again(leave_image);
}

static const struct check_case cases[] = {
        CASE(what_was_applied_is_kept),
        CASE(a_disk_that_does_not_take_it_costs_a_warning),
        CASE(an_image_does_not_take_the_place_of_a_newer_one),
        CASE(only_a_batch_that_continues_ends_a_regression),
        CASE(another_batch_at_the_same_index_fences),
        CASE(an_epoch_of_the_run_before_is_not_taken_again),
        CASE(an_epoch_of_the_kept_image_is_not_taken_again),
        CASE(stop_zookeeper),
};

CHECK_MAIN("meta_image", cases)
