/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/file_cache.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static struct cached_file *new_file(struct file_cache *c)
{
    char *path = fixture_path("file");

    write_file(path, "x", 1);
    struct cached_file *f = cached_file_new(c, path);
    mem_free(path);
    return f;
}

static void least_recently_used_idle_file_is_closed(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 2);
    struct cached_file *f[3] = {new_file(c), new_file(c), new_file(c)};
    int fd[3], again = -1;

    CHECK_EQ(file_cache_n_open(c), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cached_file_hold(f[i], &fd[i]), 0);
        cached_file_release(f[i]);
    }
    CHECK_EQ(cached_file_hold(f[0], &again), 0); /* now file 1 is the oldest */
    CHECK_EQ(again, fd[0]);
    cached_file_release(f[0]);
    int probe = dup(fd[1]);
    CHECK(probe >= 0);
    (void)close(probe);
    CHECK_EQ(cached_file_hold(f[2], &fd[2]), 0);
    CHECK_EQ(file_cache_n_open(c), 2);
    CHECK(dup(fd[1]) < 0);
    cached_file_release(f[2]);
    for (int i = 0; i < 3; i++) {
        cached_file_forget(f[i]);
    }
    CHECK_EQ(file_cache_n_open(c), 0);
    (void)file_cache_free(c);
}

static void holds_may_exceed_the_maximum_while_they_last(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 2);
    struct cached_file *f[6];
    int fd = -1;

    for (int i = 0; i < 6; i++) {
        f[i] = new_file(c);
        CHECK_EQ(cached_file_hold(f[i], &fd), 0);
    }
    CHECK_EQ(file_cache_n_open(c), 6);
    for (int i = 0; i < 6; i++) {
        cached_file_release(f[i]);
    }
    CHECK_EQ(file_cache_n_open(c), 2);
    for (int i = 0; i < 6; i++) {
        cached_file_forget(f[i]);
    }
    (void)file_cache_free(c);
}

static void forgotten_file_closes_with_its_last_holder(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 2);
    struct cached_file *f = new_file(c);
    int fd = -1;
    char byte = 0;

    CHECK_EQ(cached_file_hold(f, &fd), 0);
    cached_file_hold_again(f);
    cached_file_forget(f);
    cached_file_release(f);
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(file_cache_n_open(c), 1);
    cached_file_release(f);
    CHECK_EQ(file_cache_n_open(c), 0);
    (void)file_cache_free(c);
}

static void missing_file_is_an_error_and_not_created(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 2);
    char *path = fixture_path("missing");
    struct cached_file *f = cached_file_new(c, path);
    int fd = -1;

    CHECK_EQ(cached_file_hold(f, &fd), -ENOENT);
    CHECK_EQ(fd, -1);
    CHECK_EQ(file_size_of(path), -ENOENT);
    cached_file_forget(f);
    mem_free(path);
    (void)file_cache_free(c);
}

static void kept_files_leave_a_quarter_for_others(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 8);
    struct cached_file *f[8];
    int fd = -1;

    for (int i = 0; i < 8; i++) {
        f[i] = new_file(c);
        CHECK_EQ(cached_file_hold(f[i], &fd), 0);
        CHECK_EQ(cached_file_keep(f[i]), i < 6);
    }
    CHECK_EQ(cached_file_hold(f[0], &fd), 0);
    CHECK(cached_file_keep(f[0])); /* costs no descriptor */
    cached_file_drop(f[0]);
    CHECK(!cached_file_keep(f[6])); /* still kept once */
    cached_file_drop(f[0]);
    CHECK(cached_file_keep(f[6]));
    cached_file_drop(f[6]);
    cached_file_release(f[7]); /* a refused one is a plain hold */
    for (int i = 1; i < 6; i++) {
        cached_file_drop(f[i]);
    }
    CHECK_EQ(file_cache_n_open(c), 8);
    for (int i = 0; i < 8; i++) {
        cached_file_forget(f[i]);
    }
    CHECK_EQ(file_cache_n_open(c), 0);
    (void)file_cache_free(c);
}

static void forgotten_kept_file_closes_when_it_is_dropped(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 1);
    struct cached_file *f = new_file(c);
    int fd = -1;
    char byte = 0;

    CHECK_EQ(cached_file_hold(f, &fd), 0);
    CHECK(cached_file_keep(f)); /* one at least, however small the cache */
    cached_file_forget(f);
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    cached_file_drop(f);
    CHECK_EQ(file_cache_n_open(c), 0);
    (void)file_cache_free(c);
}

static void room_is_made_from_idle_files_only(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 8);
    struct cached_file *f[2] = {new_file(c), new_file(c)};
    int fd = -1;

    CHECK(!file_cache_make_room(c));
    CHECK_EQ(cached_file_hold(f[0], &fd), 0);
    CHECK_EQ(cached_file_hold(f[1], &fd), 0);
    CHECK(!file_cache_make_room(c));
    cached_file_release(f[0]);
    CHECK(file_cache_make_room(c));
    CHECK_EQ(file_cache_n_open(c), 1);
    cached_file_release(f[1]);
    cached_file_forget(f[0]);
    cached_file_forget(f[1]);
    (void)file_cache_free(c);
}

static int n_refusals;

static int scarce_open(void *ctx, const char *path, int flags)
{
    return n_refusals > 0 && n_refusals-- > 0 ? -EMFILE : file_io_posix.open(ctx, path, flags);
}

static void idle_files_make_room_when_descriptors_run_out(void)
{
    struct file_io io = file_io_posix;
    io.open = scarce_open;
    struct file_cache *c = file_cache_new(&io, 10);
    struct cached_file *f[2] = {new_file(c), new_file(c)};
    int fd = -1;

    CHECK_EQ(cached_file_hold(f[0], &fd), 0);
    cached_file_release(f[0]);
    n_refusals = 1;
    CHECK_EQ(cached_file_hold(f[1], &fd), 0);
    CHECK_EQ(file_cache_n_open(c), 1);
    n_refusals = 1;
    CHECK_EQ(cached_file_hold(f[0], &fd), -EMFILE); /* nothing is idle */
    cached_file_release(f[1]);
    n_refusals = 0;
    cached_file_forget(f[0]);
    cached_file_forget(f[1]);
    (void)file_cache_free(c);
}

struct race {
    struct cached_file *files[8];
    uint64_t seed;
    bool ok;
};

static void *race_run(void *arg)
{
    struct race *race = arg;
    struct prng prng;

    prng_init(&prng, race->seed);
    race->ok = true;
    for (int i = 0; i < 3000; i++) {
        struct cached_file *f = race->files[prng_below(&prng, 8)];
        int fd = -1;
        char byte = 0;
        race->ok = race->ok && cached_file_hold(f, &fd) == 0 && pread(fd, &byte, 1, 0) == 1;
        cached_file_release(f);
    }
    return NULL;
}

static void threads_may_share_files(void)
{
    struct file_cache *c = file_cache_new(&file_io_posix, 2);
    struct race races[3];
    pthread_t threads[3];

    for (int i = 0; i < 8; i++) {
        races[0].files[i] = new_file(c);
    }
    for (int i = 0; i < 3; i++) {
        memcpy(races[i].files, races[0].files, sizeof(races[0].files));
        races[i].seed = check_seed() + (uint64_t)i;
        CHECK_EQ(pthread_create(&threads[i], NULL, race_run, &races[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK(races[i].ok);
    }
    CHECK(file_cache_n_open(c) <= 2);
    for (int i = 0; i < 8; i++) {
        cached_file_forget(races[0].files[i]);
    }
    (void)file_cache_free(c);
}

static const struct check_case cases[] = {
        CASE(least_recently_used_idle_file_is_closed),
        CASE(holds_may_exceed_the_maximum_while_they_last),
        CASE(forgotten_file_closes_with_its_last_holder),
        CASE(missing_file_is_an_error_and_not_created),
        CASE(idle_files_make_room_when_descriptors_run_out),
        CASE(kept_files_leave_a_quarter_for_others),
        CASE(forgotten_kept_file_closes_when_it_is_dropped),
        CASE(room_is_made_from_idle_files_only),
        CASE(threads_may_share_files),
};

CHECK_MAIN("file_cache", cases)
