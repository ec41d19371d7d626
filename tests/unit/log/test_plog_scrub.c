/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_scrub.h"

#include "broker/log/plog.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 20 batches of 2 records in segments of 3 batches; all is synced, and the log was opened again. */
static struct plog *reopened(struct fixture *f)
{
    fixture_open(f);
    f->config.segment_bytes = 1000;
    struct plog *l = fixture_plog(f, "orders", NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, 2, 100, i), 0);
    }
    fixture_flush(l);
    fixture_checkpoint(f, l, &f->topic_id);
    struct plog_seal *x = plog_seal_begin(l);
    CHECK(x != NULL);
    CHECK_EQ(plog_seal_run(x), 0);
    plog_seal_end(l, x);
    (void)plog_close(l);
    fixture_restart(f, true);
    return fixture_plog(f, "orders", NULL);
}

static void end_with(struct plog *l, struct fixture *f)
{
    (void)plog_close(l);
    fixture_close(f);
}

/* Scrubs the segment from `from` on, `piece` bytes a step; what end says. */
static int scrub(struct plog *l, offset64 from, int64_t piece, offset64 *ret_next, bool *ret_index)
{
    struct plog_scrub *s = NULL;
    bool is_done = false;
    int r = plog_scrub_begin(l, from, &s);

    if (r != 0) {
        return r;
    }
    while (!is_done && r == 0) {
        int64_t bytes = 0;
        r = plog_scrub_step(s, piece, &bytes, &is_done);
        CHECK(bytes > 0 || is_done || r != 0);
    }
    *ret_next = plog_scrub_next(s);
    return plog_scrub_end(l, s, r, ret_index);
}

static bool is_ready(struct plog *l, offset64 offset)
{
    struct plog_slice s = {0};
    int r = plog_read_checked(l, offset, plog_end(l), 1000, true, true, &s);

    CHECK(r == 0 || r == PLOG_E_COLD);
    if (r == 0) {
        cached_file_release(s.file);
    }
    return r == 0;
}

static void every_sealed_segment_has_its_turn(void) /* [LOG-90] [LOG-91] */
{
    struct fixture f;
    struct plog *l = reopened(&f);
    offset64 next = 0, before = -1;
    bool is_index_new = false;
    int n = 0;

    CHECK(!is_ready(l, 0));
    for (int r = 0; (r = scrub(l, next, 100, &next, &is_index_new)) == 0; n++) {
        CHECK(next > before);
        CHECK(!is_index_new);
        before = next;
    }
    CHECK(n >= 5);
    CHECK(next < plog_end(l)); /* but not the active one */
    for (offset64 at = 0; at < next; at += 2) {
        CHECK(is_ready(l, at)); /* what was read need not be checked again */
    }
    end_with(l, &f);
}

static void what_is_not_synced_is_left_alone(void) /* [LOG-90] */
{
    struct fixture f;
    offset64 next = 0;
    bool is_index_new = false;

    fixture_open(&f);
    f.config.segment_bytes = 1000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(scrub(l, 0, 1000, &next, &is_index_new), PLOG_E_NOT_FOUND);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(fixture_append(l, 2, 100, i), 0);
    }
    CHECK_EQ(scrub(l, 0, 1000, &next, &is_index_new), PLOG_E_NOT_FOUND);
    fixture_flush(l);
    CHECK_EQ(scrub(l, 0, 1000, &next, &is_index_new), 0);
    end_with(l, &f);
}

static void a_flipped_bit_is_found_wherever_it_is(void) /* [LOG-90] */
{
    struct fixture f;
    struct plog *l = reopened(&f);
    char *file = fixture_file(&f, "orders-0", "00000000000000000000.log");
    int64_t size = file_size_of(file);
    offset64 next = 0;
    bool is_index_new = false;

    for (int64_t at = 0; at < size; at++) { /* also where only the seal's digest tells */
        flip_byte(file, at);
        CHECK_EQ(scrub(l, 0, 100, &next, &is_index_new), PLOG_E_DAMAGED);
        flip_byte(file, at);
    }
    CHECK_EQ(scrub(l, 0, 100, &next, &is_index_new), 0);
    CHECK(!log_dir_failed(f.dir));
    mem_free(file);
    end_with(l, &f);
}

static void read_file(const char *path, uint8_t *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(read(fd, ret, size), (ssize_t)size);
    CHECK_EQ(close(fd), 0);
}

static void check_made_anew(const char *name, int64_t entry_size)
{
    struct fixture f;
    struct plog *l = reopened(&f);
    char *file = fixture_file(&f, "orders-0", name);
    int64_t size = file_size_of(file);
    uint8_t was[256], is[256];
    offset64 next = 0;
    bool is_index_new = false;

    CHECK(size >= entry_size && size <= 256);
    read_file(file, was, (size_t)size);
    for (int64_t at = 0; at < size; at++) {
        flip_byte(file, at);
        CHECK_EQ(scrub(l, 0, 10000, &next, &is_index_new), 0);
        CHECK(is_index_new);
        CHECK_EQ(file_size_of(file), size);
        read_file(file, is, (size_t)size);
        CHECK_MEM(is, was, (size_t)size);
    }
    cut_file(file, size - entry_size);
    CHECK_EQ(scrub(l, 0, 10000, &next, &is_index_new), 0);
    CHECK(is_index_new);
    read_file(file, is, (size_t)size);
    CHECK_MEM(is, was, (size_t)size);
    CHECK_EQ(scrub(l, 0, 10000, &next, &is_index_new), 0);
    CHECK(!is_index_new);
    CHECK(plog_lacks_seals(l)); /* the one it has is of the former index */
    mem_free(file);
    end_with(l, &f);
}

static void a_wrong_index_is_made_anew(void) /* [LOG-93] */
{
    check_made_anew("00000000000000000000.index", 8);
    check_made_anew("00000000000000000000.timeindex", 12);
}

/* How many of its pages are in memory; asking brings none in. */
static size_t pages_in_memory(const char *path)
{
    size_t size = (size_t)file_size_of(path), n = (size + 4095) / 4096, n_in = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char *pages = mem_alloc(n);

    CHECK(fd >= 0);
    void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(at != MAP_FAILED);
    CHECK_EQ(mincore(at, size, pages), 0);
    for (size_t i = 0; i < n; i++) {
        n_in += pages[i] & 1;
    }
    CHECK_EQ(munmap(at, size), 0);
    CHECK_EQ(close(fd), 0);
    mem_free(pages);
    return n_in;
}

static void push_out(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(fsync(fd), 0);
    file_io_posix.advise(NULL, fd, 0, 0, FILE_NOT_AGAIN);
    CHECK_EQ(close(fd), 0);
}

/* Where the file system cannot tell, nothing is shown. */
static void the_page_cache_stays_as_it_was(void) /* [LOG-92] */
{
    struct fixture f;
    offset64 next = 0;
    bool is_index_new = false;

    fixture_open(&f);
    f.config.segment_bytes = 1000 * 1000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(fixture_append(l, 1, 150 * 1000, i), 0);
    }
    fixture_flush(l);
    char *file = fixture_file(&f, "orders-0", "00000000000000000000.log");
    push_out(file);
    bool can_tell = pages_in_memory(file) == 0;
    CHECK_EQ(scrub(l, 0, 300 * 1000, &next, &is_index_new), 0);
    CHECK(!can_tell || pages_in_memory(file) == 0);
    uint8_t *bytes = mem_alloc((size_t)file_size_of(file));
    read_file(file, bytes, (size_t)file_size_of(file));
    CHECK_EQ(scrub(l, 0, 300 * 1000, &next, &is_index_new), 0);
    CHECK_EQ(pages_in_memory(file), (file_size_of(file) + 4095) / 4096); /* somebody else's */
    mem_free(bytes);
    mem_free(file);
    end_with(l, &f);
}

static void a_failing_disk_latches_and_a_lack_of_descriptors_does_not(void) /* [LOG-90] */
{
    struct fixture f;
    struct plog *l = reopened(&f);
    struct plog_scrub *s = NULL;
    bool is_index_new = false;

    faults.open_any_error = -EMFILE;
    CHECK_EQ(plog_scrub_begin(l, 0, &s), PLOG_E_BUSY);
    faults.open_any_error = 0;
    CHECK_EQ(plog_scrub_begin(l, 0, &s), 0);
    CHECK_EQ(plog_scrub_end(l, s, -EMFILE, &is_index_new), PLOG_E_BUSY);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(plog_scrub_begin(l, 0, &s), 0);
    CHECK_EQ(plog_scrub_end(l, s, -EIO, &is_index_new), -EIO);
    CHECK(log_dir_failed(f.dir));
    end_with(l, &f);
}

static void the_cursor_outlives_the_process(void) /* [LOG-91] */
{
    struct scrub_cursor c = {.topic_id = {{5, 6}}, .partition = 7, .offset = 8}, got;
    struct fixture f;

    fixture_open(&f);
    char *path = mem_format("%s/scrub.cursor", f.path);
    CHECK_EQ(scrub_cursor_read(f.dir, &got), 0);
    CHECK(uuid_is_zero(&got.topic_id));
    CHECK_EQ(scrub_cursor_write(f.dir, &c), 0);
    fixture_restart(&f, false);
    CHECK_EQ(scrub_cursor_read(f.dir, &got), 0);
    CHECK(uuid_equal(&got.topic_id, &c.topic_id));
    CHECK_EQ(got.partition, 7);
    CHECK_EQ(got.offset, 8);
    flip_byte(path, 20);
    CHECK_EQ(scrub_cursor_read(f.dir, &got), 0); /* begins anew */
    CHECK(uuid_is_zero(&got.topic_id));
    CHECK_EQ(got.offset, 0);
    mem_free(path);
    fixture_close(&f);
}

static const struct check_case cases[] = {
        CASE(every_sealed_segment_has_its_turn),
        CASE(what_is_not_synced_is_left_alone),
        CASE(a_flipped_bit_is_found_wherever_it_is),
        CASE(a_wrong_index_is_made_anew),
        CASE(the_page_cache_stays_as_it_was),
        CASE(a_failing_disk_latches_and_a_lack_of_descriptors_does_not),
        CASE(the_cursor_outlives_the_process),
};
CHECK_MAIN("plog_scrub", cases)
