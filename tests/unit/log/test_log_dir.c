/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/log/log_dir.h"

#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct uuid cluster = {{7}};

static void reopen(struct fixture *f)
{
    f->dir = log_dir_close(f->dir);
    f->dir = fixture_open_dir(f->path);
}

static char *dir_file(struct fixture *f, const char *name)
{
    return mem_format("%s/%s", f->path, name);
}

/* Replaces the value of `key` in a marker and makes its checksum right again. */
static void edit_marker(const char *path, const char *key, const char *value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct buf out = {0};

    CHECK_EQ(file_read_all(&file_io_posix, path, 4096, &bytes, &size), 0);
    for (char *save = NULL, *line = strtok_r((char *)bytes, "\n", &save); line != NULL;
            line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=') {
            buf_append_format(&out, "%s=%s\n", key, value);
        } else if (strncmp(line, "crc=", 4) != 0) {
            buf_append_format(&out, "%s\n", line);
        }
    }
    buf_append_format(&out, "crc=%08x\n", crc32c(0, out.data, out.size));
    write_file(path, out.data, out.size);
    buf_deinit(&out);
    mem_free(bytes);
}

static int try_open(const char *path, broker_id broker, char *error, size_t size)
{
    struct log_dir *d = NULL;
    int r = log_dir_open(&fault_io, path, broker, &d, error, size);

    CHECK_EQ(d != NULL, r == 0);
    (void)log_dir_close(d);
    return r;
}

/* --- Identity --------------------------------------------------------------------------------- */

static void fresh_directory_gets_an_identity_that_stays(void)
{
    struct fixture f;

    fixture_open(&f);
    struct uuid id = *log_dir_id(f.dir);
    CHECK(!uuid_is_zero(&id));
    reopen(&f);
    CHECK(uuid_equal(log_dir_id(f.dir), &id));
    CHECK(uuid_equal(log_dir_cluster_id(f.dir), &cluster));
    CHECK_EQ(log_dir_adopt(f.dir, &cluster), 0);
    fixture_close(&f);
}

static void directory_that_was_not_adopted_is_fresh_again(void)
{
    char *path = fixture_path("unadopted");
    struct log_dir *d = fixture_open_dir(path);

    CHECK_EQ(log_dir_begin_run(d, BROKER_EPOCH_NONE), 0);
    d = log_dir_close(d);
    d = fixture_open_dir(path);
    CHECK(uuid_is_zero(log_dir_cluster_id(d)));
    CHECK_EQ(log_dir_crash_kind(d), CRASH_HOST);
    (void)log_dir_close(d);
    mem_free(path);
}

static void second_opener_is_told_that_it_is_locked(void)
{
    struct fixture f;
    char error[256] = "";

    fixture_open(&f);
    CHECK_EQ(try_open(f.path, 1, error, sizeof(error)), LOG_DIR_E_LOCKED);
    CHECK(strstr(error, "in use") != NULL);
    fixture_close(&f);
}

static void other_brokers_and_other_clusters_are_foreign(void)
{
    struct fixture f;
    struct uuid other = {{8}};
    char error[256] = "";

    fixture_open(&f);
    CHECK_EQ(log_dir_adopt(f.dir, &other), LOG_DIR_E_FOREIGN);
    f.dir = log_dir_close(f.dir);
    CHECK_EQ(try_open(f.path, 2, error, sizeof(error)), LOG_DIR_E_FOREIGN);
    CHECK(strstr(error, "belongs to broker 1, not to broker 2") != NULL);
    fixture_close(&f);
}

static void unreadable_identity_is_refused_at_every_byte(void)
{
    struct fixture f;
    char error[256] = "";

    fixture_open(&f);
    f.dir = log_dir_close(f.dir);
    char *path = dir_file(&f, "meta.properties");
    int64_t size = file_size_of(path);
    for (int64_t at = 0; at < size; at++) {
        flip_byte(path, at);
        CHECK_EQ(try_open(f.path, 1, error, sizeof(error)), LOG_DIR_E_FOREIGN);
        flip_byte(path, at);
    }
    CHECK_EQ(try_open(f.path, 1, error, sizeof(error)), 0);
    cut_file(path, size - 1);
    CHECK_EQ(try_open(f.path, 1, error, sizeof(error)), LOG_DIR_E_FOREIGN);
    mem_free(path);
    fixture_close(&f);
}

static void partitions_without_identity_are_foreign(void)
{
    struct fixture f;
    char error[256] = "";

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 1, 1), 0);
    (void)plog_close(l);
    f.dir = log_dir_close(f.dir);
    char *path = dir_file(&f, "meta.properties");
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(try_open(f.path, 1, error, sizeof(error)), LOG_DIR_E_FOREIGN);
    CHECK(strstr(error, "orders-0") != NULL);
    mem_free(path);
    fixture_close(&f);
}

static void unusable_paths_are_explained(void)
{
    char *file = fixture_path("file");
    char *below = mem_format("%s/below", file);
    char error[256] = "";

    fault_reset();
    CHECK_EQ(try_open("/nonexistent/parent/dir", 1, error, sizeof(error)), LOG_DIR_E_ACCESS);
    CHECK(strstr(error, "/nonexistent/parent/dir") != NULL);
    write_file(file, "x", 1);
    CHECK_EQ(try_open(file, 1, error, sizeof(error)), LOG_DIR_E_ACCESS);
    CHECK_EQ(try_open(below, 1, error, sizeof(error)), LOG_DIR_E_ACCESS);
    mem_free(below);
    mem_free(file);
}

/* --- Crash kinds ------------------------------------------------------------------------------ */

static void orderly_stop_is_clean_and_says_its_epoch(void)
{
    struct fixture f;

    fixture_open(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_HOST); /* it held nothing */
    CHECK_EQ(log_dir_prev_epoch(f.dir), -1);
    CHECK_EQ(log_dir_settled(f.dir), 0);
    CHECK_EQ(log_dir_mark_clean(f.dir, 123, 9), 0);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_CLEAN);
    CHECK_EQ(log_dir_prev_epoch(f.dir), 123);
    CHECK_EQ(log_dir_begin_run(f.dir, BROKER_EPOCH_NONE), 0);
    CHECK_EQ(log_dir_mark_clean(f.dir, BROKER_EPOCH_NONE, 9), 0); /* before anybody registered it */
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_CLEAN);
    CHECK_EQ(log_dir_prev_epoch(f.dir), 123);
    fixture_close(&f);
}

static void clean_marker_does_not_outlive_the_next_start(void)
{
    struct fixture f;
    struct stat st;

    fixture_open(&f);
    fixture_restart(&f, true);
    CHECK_EQ(log_dir_begin_run(f.dir, BROKER_EPOCH_NONE), 0);
    char *path = dir_file(&f, "clean.marker");
    CHECK(stat(path, &st) < 0);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_PROC);
    CHECK_EQ(log_dir_prev_epoch(f.dir), 100); /* not registered: the epoch before stays */
    mem_free(path);
    fixture_close(&f);
}

static void dead_process_is_told_from_a_dead_kernel(void)
{
    static const char *const keys[] = {"boot_id", "device", "fs_id", "inode"};

    for (size_t i = 0; i <= COUNT_OF(keys); i++) {
        struct fixture f;
        fixture_open(&f);
        CHECK_EQ(log_dir_settled(f.dir), 0);
        f.dir = log_dir_close(f.dir);
        char *path = dir_file(&f, "run.marker");
        if (i < COUNT_OF(keys)) {
            edit_marker(path, keys[i], "12345");
        }
        f.dir = fixture_open_dir(f.path);
        CHECK_EQ(log_dir_crash_kind(f.dir), i < COUNT_OF(keys) ? CRASH_HOST : CRASH_PROC);
        CHECK_EQ(log_dir_prev_epoch(f.dir), 100);
        mem_free(path);
        fixture_close(&f);
    }
}

/* Two crashes before a registration: the replication model's bug 2048. */
static void host_crash_is_not_hidden_by_a_process_crash_after_it(void)
{
    struct fixture f;

    fixture_open(&f);
    CHECK_EQ(log_dir_settled(f.dir), 0);
    f.dir = log_dir_close(f.dir);
    char *path = dir_file(&f, "run.marker");
    edit_marker(path, "boot_id", "another");
    for (int i = 0; i < 3; i++) {
        f.dir = fixture_open_dir(f.path);
        CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_HOST);
        CHECK_EQ(log_dir_begin_run(f.dir, 200 + i), 0);
        if (i == 1) { /* nor by an orderly stop before it was settled */
            CHECK_EQ(log_dir_mark_clean(f.dir, 201, 1), 0);
        }
        f.dir = log_dir_close(f.dir);
    }
    f.dir = fixture_open_dir(f.path);
    CHECK_EQ(log_dir_begin_run(f.dir, 300), 0);
    CHECK_EQ(log_dir_settled(f.dir), 0);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_PROC);
    mem_free(path);
    fixture_close(&f);
}

static void damaged_pending_kind_still_means_host(void)
{
    struct fixture f;

    fixture_open(&f);
    char *path = dir_file(&f, "pending.kind");
    write_file(path, "", 0);
    CHECK_EQ(log_dir_mark_clean(f.dir, 1, 1), 0);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_HOST);
    mem_free(path);
    fixture_close(&f);
}

static void damaged_marker_is_no_marker(void)
{
    struct fixture f;

    fixture_open(&f);
    CHECK_EQ(log_dir_settled(f.dir), 0);
    CHECK_EQ(log_dir_mark_clean(f.dir, 1, 1), 0);
    char *clean = dir_file(&f, "clean.marker");
    char *run = dir_file(&f, "run.marker");
    flip_byte(clean, 14);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_PROC);
    flip_byte(run, 14);
    reopen(&f);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_HOST);
    mem_free(run);
    mem_free(clean);
    fixture_close(&f);
}

static void restored_old_copy_shows_its_old_epoch(void)
{
    struct fixture f;
    uint8_t *old = NULL;
    size_t size = 0;

    fixture_open(&f);
    fixture_restart(&f, true);
    char *path = dir_file(&f, "clean.marker");
    CHECK_EQ(file_read_all(&file_io_posix, path, 4096, &old, &size), 0);
    CHECK_EQ(log_dir_begin_run(f.dir, 200), 0);
    f.dir = log_dir_close(f.dir);
    write_file(path, old, size);
    f.dir = fixture_open_dir(f.path);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_CLEAN);
    CHECK_EQ(log_dir_prev_epoch(f.dir), 100); /* and not 200, which the controller knows */
    mem_free(old);
    mem_free(path);
    fixture_close(&f);
}

/* --- Catalog, checkpoints, folders ------------------------------------------------------------ */

static void catalog_comes_back_and_damage_makes_it_absent(void)
{
    struct fixture f;
    struct catalog_entry entries[50] = {0};

    fixture_open(&f);
    for (int i = 0; i < 50; i++) {
        entries[i].topic_id.bytes[0] = (uint8_t)(i / 10 + 1);
        entries[i].partition = i % 10 * 2;
    }
    CHECK_EQ(log_dir_catalog_index(f.dir), 0);
    CHECK_EQ(log_dir_write_catalog(f.dir, 77, entries, 50), 0);
    reopen(&f);
    CHECK_EQ(log_dir_catalog_index(f.dir), 77);
    for (int i = 0; i < 50; i++) {
        CHECK(log_dir_catalog_has(f.dir, &entries[i].topic_id, entries[i].partition));
        CHECK(!log_dir_catalog_has(f.dir, &entries[i].topic_id, entries[i].partition + 1));
    }
    char *path = dir_file(&f, "partitions.catalog");
    flip_byte(path, 40);
    reopen(&f);
    CHECK_EQ(log_dir_catalog_index(f.dir), 0);
    CHECK(!log_dir_catalog_has(f.dir, &entries[0].topic_id, 0));
    CHECK_EQ(log_dir_write_catalog(f.dir, 78, NULL, 0), 0);
    reopen(&f);
    CHECK_EQ(log_dir_catalog_index(f.dir), 78);
    mem_free(path);
    fixture_close(&f);
}

static void checkpoints_come_back_and_are_damaged_one_by_one(void) /* [LOG-20] */
{
    struct fixture f;
    struct checkpoint_entry e[3] = {
            {.partition = 2, .recovery_point = 5, .high_watermark = 7, .log_start = 1},
            {.partition = 0, .recovery_point = 50, .high_watermark = 70, .log_start = 10},
            {.partition = 1, .recovery_point = INT64_MAX, .high_watermark = 0, .log_start = 0}};
    struct checkpoint_entry got = {0};

    fixture_open(&f);
    CHECK(!log_dir_checkpoint(f.dir, &e[0].topic_id, 0, &got));
    CHECK_EQ(log_dir_write_checkpoints(f.dir, e, 3), 0);
    reopen(&f);
    for (int i = 0; i < 3; i++) {
        CHECK(log_dir_checkpoint(f.dir, &e[i].topic_id, e[i].partition, &got));
        CHECK_EQ(got.recovery_point, e[i].recovery_point);
        CHECK_EQ(got.high_watermark, e[i].high_watermark);
        CHECK_EQ(got.log_start, e[i].log_start);
    }
    CHECK(!log_dir_checkpoint(f.dir, &e[0].topic_id, 3, &got));
    char *hw = dir_file(&f, "hw.ckpt");
    char *recovery = dir_file(&f, "recovery.ckpt");
    flip_byte(hw, 30);
    reopen(&f);
    CHECK(log_dir_checkpoint(f.dir, &e[1].topic_id, 0, &got));
    CHECK_EQ(got.recovery_point, 50);
    CHECK_EQ(got.log_start, 10);
    CHECK_EQ(got.high_watermark, 10);
    CHECK_EQ(log_dir_write_checkpoints(f.dir, e, 3), 0);
    flip_byte(recovery, 30);
    reopen(&f);
    CHECK(log_dir_checkpoint(f.dir, &e[1].topic_id, 0, &got));
    CHECK_EQ(got.recovery_point, 0);
    CHECK_EQ(got.log_start, 10);
    CHECK_EQ(got.high_watermark, 70);
    flip_byte(hw, 30);
    reopen(&f);
    CHECK(!log_dir_checkpoint(f.dir, &e[1].topic_id, 0, &got));
    mem_free(hw);
    mem_free(recovery);
    fixture_close(&f);
}

static void that_nobody_is_known_is_believed_up_to_the_recovery_point(void) /* [PID-35] */
{
    struct fixture f;
    struct checkpoint_entry e[3] = {{.partition = 0, .recovery_point = 50, .no_producers = 50},
            {.partition = 1, .recovery_point = 50},
            {.partition = 2, .recovery_point = 50, .no_producers = 51}};
    struct checkpoint_entry got = {0};

    fixture_open(&f);
    CHECK_EQ(log_dir_write_checkpoints(f.dir, e, 3), 0);
    reopen(&f);
    CHECK(log_dir_checkpoint(f.dir, &e[0].topic_id, 0, &got));
    CHECK_EQ(got.no_producers, 50);
    CHECK_EQ(got.recovery_point, 50);
    CHECK(log_dir_checkpoint(f.dir, &e[0].topic_id, 1, &got));
    CHECK_EQ(got.no_producers, 0);
    CHECK(log_dir_checkpoint(f.dir, &e[0].topic_id, 2, &got));
    CHECK_EQ(got.no_producers, 0);
    char *recovery = dir_file(&f, "recovery.ckpt");
    flip_byte(recovery, 30);
    reopen(&f);
    CHECK(log_dir_checkpoint(f.dir, &e[0].topic_id, 0, &got));
    CHECK_EQ(got.no_producers, 0);
    mem_free(recovery);
    fixture_close(&f);
}

static void full_disk_keeps_the_old_checkpoint_and_the_directory(void)
{
    struct fixture f;
    struct checkpoint_entry e = {.recovery_point = 5}, got;

    fixture_open(&f);
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), 0);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_short = 3;
    e.recovery_point = 6;
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), -ENOSPC);
    CHECK(!log_dir_failed(f.dir));
    reopen(&f);
    CHECK(log_dir_checkpoint(f.dir, &e.topic_id, 0, &got));
    CHECK_EQ(got.recovery_point, 5);
    fixture_close(&f);
}

static void deleted_logs_go_to_the_trash_and_are_purged(void)
{
    struct fixture f;
    size_t n = 0;

    fixture_open(&f);
    CHECK_EQ(fixture_purge_trash(f.dir), 0);  /* there is none */
    for (int round = 0; round < 3; round++) { /* the same name three times */
        struct plog *l = fixture_plog(&f, "orders", NULL);
        CHECK_EQ(fixture_append(l, 1, 1, 1), 0);
        (void)plog_close(l);
        reopen(&f);
        CHECK_STR(log_dir_logs(f.dir, &n)[0].name, "orders-0");
        CHECK_EQ(n, 1);
        CHECK(uuid_equal(&log_dir_logs(f.dir, &n)[0].topic_id, &f.topic_id));
        CHECK_EQ(log_trash_move(f.dir, "orders-0", &f.topic_id, 0), 0);
    }
    reopen(&f);
    (void)log_dir_logs(f.dir, &n);
    CHECK_EQ(n, 0);
    char *trash = dir_file(&f, ".trash");
    CHECK_EQ(fixture_purge_trash(f.dir), 0);
    CHECK_EQ(rmdir(trash), 0); /* empty */
    mem_free(trash);
    fixture_close(&f);
}

/* A file system of any size. */
static uint64_t told_total, told_free;

static int tell_space(void *ctx, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    *ret_total = told_total;
    *ret_free = told_free;
    return 0;
}

static struct log_dir *open_measured(const struct fixture *f, struct file_io *io)
{
    struct log_dir *d = NULL;
    char error[256] = "";

    *io = fault_io;
    io->space = tell_space;
    CHECK_EQ(log_dir_open(io, f->path, 1, &d, error, sizeof(error)), 0);
    return d;
}

static void measure(struct log_dir *d, uint64_t total, uint64_t free_bytes, int64_t reserve)
{
    struct log_dir_space space;

    told_total = total;
    told_free = free_bytes;
    CHECK_EQ(log_dir_measure(d, reserve, &space), 0);
    CHECK_EQ(space.total, total);
    CHECK_EQ(space.free, free_bytes);
}

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

/* [LOG-120] [LOG-121] */
static void appends_end_at_the_reserve(void)
{
    struct fixture f;
    struct file_io io;

    fixture_open(&f);
    f.dir = log_dir_close(f.dir);
    f.dir = open_measured(&f, &io);
    CHECK(log_dir_take_room(f.dir, SIZE_MAX / 2)); /* not measured yet */
    measure(f.dir, 100 * MIB, 30 * MIB, (int64_t)(10 * MIB));
    CHECK(!log_dir_is_full(f.dir));
    CHECK(log_dir_take_room(f.dir, 15 * MIB));
    CHECK(!log_dir_take_room(f.dir, 6 * MIB)); /* counted down between two measurements */
    CHECK(log_dir_take_room(f.dir, 5 * MIB));
    CHECK(!log_dir_take_room(f.dir, 1));
    measure(f.dir, 100 * MIB, 16 * MIB, (int64_t)(10 * MIB));
    CHECK(log_dir_take_room(f.dir, 6 * MIB));
    fixture_close(&f);
}

/* [LOG-122] */
static void full_ends_a_little_above_where_it_begins(void)
{
    const struct {
        uint64_t free_bytes;
        bool is_full;
    } steps[] = {{101, false}, {100, false}, {99, true}, {101, true}, {149, true}, {150, false}, {101, false}};
    struct fixture f;
    struct file_io io;

    fixture_open(&f);
    f.dir = log_dir_close(f.dir);
    f.dir = open_measured(&f, &io);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        measure(f.dir, 1000 * MIB, steps[i].free_bytes * MIB, (int64_t)(100 * MIB));
        CHECK_EQ(log_dir_is_full(f.dir), steps[i].is_full);
        if (steps[i].is_full) {
            CHECK(!log_dir_take_room(f.dir, 1));
        }
    }
    CHECK(!log_dir_take_room(f.dir, 2 * MIB)); /* the room is 1 MiB */
    CHECK(!log_dir_is_full(f.dir));
    measure(f.dir, 1000 * MIB, 101 * MIB, (int64_t)(100 * MIB));
    CHECK(log_dir_is_full(f.dir));
    fixture_close(&f);
}

static void default_reserve_is_a_twentieth_up_to_a_gibibyte(void)
{
    const struct {
        uint64_t total, reserve;
    } rows[] = {{100 * MIB, 5 * MIB}, {20 * GIB, GIB}, {4000 * GIB, GIB}};
    struct fixture f;
    struct file_io io;

    fixture_open(&f);
    f.dir = log_dir_close(f.dir);
    f.dir = open_measured(&f, &io);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct log_dir_space space;
        told_total = rows[i].total;
        told_free = 0;
        CHECK_EQ(log_dir_measure(f.dir, -1, &space), 0);
        CHECK_EQ(space.reserve, rows[i].reserve);
    }
    fixture_close(&f);
}

/* [LOG-123] */
static void checkpoint_of_a_full_disk_takes_the_reserve_file(void)
{
    struct mem_disk *disk = mem_disk_new(1);
    struct checkpoint_entry e = {.topic_id = {{1}}, .partition = 0, .recovery_point = 7};
    struct log_dir *d = NULL;
    struct log_dir_space space;
    struct file_io io = *mem_disk_io(disk);
    char error[256] = "";

    io.space = tell_space;
    CHECK_EQ(log_dir_open(&io, "/d", 1, &d, error, sizeof(error)), 0);
    told_total = 1 * MIB;
    told_free = told_total;
    CHECK_EQ(log_dir_measure(d, 0, &space), 0);
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), (int64_t)(1 * MIB / 100));
    mem_disk_set_room(disk, 0);
    told_free = 0;
    CHECK_EQ(log_dir_write_checkpoints(d, &e, 1), 0);
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), 0);
    CHECK_EQ(log_dir_mark_clean(d, 5, 1), 0);
    CHECK(!log_dir_failed(d));
    d = log_dir_close(d);
    /* What was written is there, and the file comes back with the space. */
    CHECK_EQ(log_dir_open(&io, "/d", 1, &d, error, sizeof(error)), 0);
    CHECK(log_dir_checkpoint(d, &e.topic_id, 0, &e));
    CHECK_EQ(e.recovery_point, 7);
    mem_disk_set_room(disk, -1);
    told_free = told_total;
    CHECK_EQ(log_dir_measure(d, 0, &space), 0);
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), (int64_t)(1 * MIB / 100));
    (void)log_dir_close(d);
    (void)mem_disk_free(disk);
}

/* [LOG-123] Others fill at once what it gives up. */
static void checkpoints_of_a_full_disk_take_no_more_of_it_than_they_need(void)
{
    struct mem_disk *disk = mem_disk_new(1);
    struct checkpoint_entry e = {.topic_id = {{1}}, .partition = 0};
    struct log_dir *d = NULL;
    struct log_dir_space space;
    struct file_io io = *mem_disk_io(disk);
    char error[256] = "";

    io.space = tell_space;
    CHECK_EQ(log_dir_open(&io, "/d", 1, &d, error, sizeof(error)), 0);
    told_total = told_free = 40 * MIB;
    CHECK_EQ(log_dir_measure(d, 0, &space), 0);
    for (int round = 1; round <= 5; round++) {
        mem_disk_set_room(disk, 0);
        e.recovery_point = round;
        CHECK_EQ(log_dir_write_checkpoints(d, &e, 1), 0);
    }
    mem_disk_set_room(disk, 0);
    CHECK_EQ(log_dir_mark_clean(d, 5, 1), 0);
    CHECK(io.size_of(io.ctx, "/d/.reserve") > (int64_t)(40 * MIB / 400));
    (void)log_dir_close(d);
    mem_disk_set_room(disk, 0);
    CHECK_EQ(log_dir_open(&io, "/d", 1, &d, error, sizeof(error)), 0);
    CHECK(log_dir_checkpoint(d, &e.topic_id, 0, &e));
    CHECK_EQ(e.recovery_point, 5);
    CHECK_EQ(log_dir_begin_run(d, 6), 0);
    (void)log_dir_close(d);
    (void)mem_disk_free(disk);
}

/* [LOG-123] What is kept beside checkpoints has a quarter of it at most. */
static void a_file_beside_the_checkpoints_takes_it_when_it_is_small(void)
{
    struct mem_disk *disk = mem_disk_new(1);
    struct log_dir *d = NULL;
    struct log_dir_space space;
    struct file_io io = *mem_disk_io(disk);
    char error[256] = "";
    int64_t size = 40 * MIB / 100, part = 16 * 1024;

    io.space = tell_space;
    CHECK_EQ(log_dir_open(&io, "/d", 1, &d, error, sizeof(error)), 0);
    told_total = told_free = 40 * MIB;
    CHECK_EQ(log_dir_measure(d, 0, &space), 0);
    CHECK(!log_dir_use_reserve_for(d, -EIO, 1));
    CHECK(!log_dir_use_reserve_for(d, -ENOSPC, (size_t)(size / 4)));
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), size);
    CHECK(log_dir_use_reserve_for(d, -ENOSPC, 1000));
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), size - 1000 - part); /* the rest is for checkpoints */
    CHECK_EQ(log_dir_measure(d, 0, &space), 0);
    CHECK_EQ(io.size_of(io.ctx, "/d/.reserve"), size);
    (void)log_dir_close(d);
    (void)mem_disk_free(disk);
}

static const struct check_case cases[] = {
        CASE(fresh_directory_gets_an_identity_that_stays),
        CASE(directory_that_was_not_adopted_is_fresh_again),
        CASE(second_opener_is_told_that_it_is_locked),
        CASE(other_brokers_and_other_clusters_are_foreign),
        CASE(unreadable_identity_is_refused_at_every_byte),
        CASE(partitions_without_identity_are_foreign),
        CASE(unusable_paths_are_explained),
        CASE(orderly_stop_is_clean_and_says_its_epoch),
        CASE(clean_marker_does_not_outlive_the_next_start),
        CASE(dead_process_is_told_from_a_dead_kernel),
        CASE(host_crash_is_not_hidden_by_a_process_crash_after_it),
        CASE(damaged_pending_kind_still_means_host),
        CASE(damaged_marker_is_no_marker),
        CASE(restored_old_copy_shows_its_old_epoch),
        CASE(catalog_comes_back_and_damage_makes_it_absent),
        CASE(checkpoints_come_back_and_are_damaged_one_by_one),
        CASE(that_nobody_is_known_is_believed_up_to_the_recovery_point),
        CASE(full_disk_keeps_the_old_checkpoint_and_the_directory),
        CASE(deleted_logs_go_to_the_trash_and_are_purged),
        CASE(appends_end_at_the_reserve),
        CASE(full_ends_a_little_above_where_it_begins),
        CASE(default_reserve_is_a_twentieth_up_to_a_gibibyte),
        CASE(checkpoint_of_a_full_disk_takes_the_reserve_file),
        CASE(checkpoints_of_a_full_disk_take_no_more_of_it_than_they_need),
        CASE(a_file_beside_the_checkpoints_takes_it_when_it_is_small),
};

CHECK_MAIN("log_dir", cases)
