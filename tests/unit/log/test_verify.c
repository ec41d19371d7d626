/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/verify.h"

#include "broker/log/inspect.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LOG   "00000000000000000000.log"
#define FIRST_INDEX "00000000000000000000.index"

enum {
    BATCHES = 40,
    SYNCED = 30,
    VALUE_SIZE = 1000
};

/* The worst finding, and how many there were. */
struct heard {
    enum verify_severity worst;
    int n;
    int64_t at;
    offset64 offset;
    char what[256], file[256];
};

static void on_found(void *ctx, const struct verify_finding *f)
{
    struct heard *h = ctx;

    if (h->n++ == 0 || f->severity > h->worst) {
        const char *slash = strrchr(f->file, '/');
        h->worst = f->severity;
        h->at = f->at;
        h->offset = f->offset;
        (void)snprintf(h->what, sizeof(h->what), "%s", f->what);
        (void)snprintf(h->file, sizeof(h->file), "%s", slash != NULL ? slash + 1 : f->file);
    }
}

static struct verify look(const char *path, struct heard *ret)
{
    *ret = (struct heard){.at = -1, .offset = OFFSET_NONE};
    struct verify v = {.io = &file_io_posix, .found = on_found, .ctx = ret};

    CHECK_EQ(verify_path(&v, path), 0);
    return v;
}

/* A log of BATCHES batches of two records in one segment; the recovery point is behind the first SYNCED. */
static void make_log(struct fixture *f)
{
    fixture_open(f);
    f->config.segment_bytes = 1 << 30;
    struct plog *l = fixture_plog(f, "orders", NULL);

    for (int i = 0; i < BATCHES; i++) {
        CHECK_EQ(fixture_append(l, 2, VALUE_SIZE, 1000 + i), 0);
        if (i + 1 == SYNCED) {
            fixture_flush(l);
            fixture_checkpoint(f, l, &f->topic_id);
        }
    }
    (void)plog_close(l);
}

static int64_t batch_size(void)
{
    struct buf b = {0};

    fixture_batch(&b, 2, VALUE_SIZE, 1);
    int64_t size = (int64_t)b.size;
    buf_deinit(&b);
    return size;
}

static void sound_log_has_no_findings(void)
{
    struct fixture f;
    struct heard h;

    make_log(&f);
    struct verify v = look(f.path, &h);
    CHECK_EQ(h.n, 0);
    CHECK_EQ(v.n_partitions, 1);
    CHECK_EQ(v.n_segments, 1);
    CHECK_EQ(v.n_batches, BATCHES);
    CHECK_EQ(v.n_records, 2 * BATCHES);
    CHECK_EQ(v.bytes, BATCHES * batch_size());
    char *folder = fixture_file(&f, "orders-0", "");
    folder[strlen(folder) - 1] = '\0';
    v = look(folder, &h);
    CHECK_EQ(h.n, 0);
    CHECK_EQ(v.n_batches, BATCHES);
    mem_free(folder);
    fixture_close(&f);
}

static void wrong_bytes_are_told_with_their_place(void)
{
    enum {
        MAGIC = 16,
        EPOCH = 15,
        INSIDE = 100
    };
    const struct {
        int batch, byte;
        enum verify_severity severity;
        const char *what;
    } table[] = {
            {5, INSIDE, VERIFY_DAMAGE, "checksum is wrong, and good batches follow"},
            {SYNCED + 2, INSIDE, VERIFY_DAMAGE, "checksum is wrong, and good batches follow"},
            {BATCHES - 1, INSIDE, VERIFY_NOTE, "was not synced yet: a start cuts it off"},
            {5, MAGIC, VERIFY_DAMAGE, "no batch can be read from here on"},
            {SYNCED + 2, MAGIC, VERIFY_NOTE, "a start cuts them off"},
            {5, EPOCH, VERIFY_DAMAGE, "epochs never fall"},
            {5, 7, VERIFY_DAMAGE, "offsets 10 to 25 are missing"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fixture f;
        struct heard h;
        make_log(&f);
        char *log = fixture_file(&f, "orders-0", FIRST_LOG);
        flip_byte(log, table[i].batch * batch_size() + table[i].byte);
        (void)look(f.path, &h);
        CHECK(h.n > 0);
        CHECK_EQ(h.worst, table[i].severity);
        CHECK_STR(h.file, FIRST_LOG);
        if (strstr(h.what, table[i].what) == NULL) {
            check_fail(__FILE__, __LINE__, "row %zu: %s", i, h.what);
        }
        if (table[i].byte != EPOCH && table[i].byte != 7) { /* those show at the next batch as well */
            CHECK_EQ(h.at, table[i].batch * batch_size());
            CHECK_EQ(h.offset, 2 * table[i].batch);
        }
        mem_free(log);
        fixture_close(&f);
    }
}

static void missing_end_is_damage_below_the_recovery_point_alone(void)
{
    for (int n = SYNCED - 1; n <= SYNCED; n++) {
        struct fixture f;
        struct heard h;
        make_log(&f);
        char *log = fixture_file(&f, "orders-0", FIRST_LOG);
        char *index = fixture_file(&f, "orders-0", FIRST_INDEX);
        cut_file(log, n * batch_size());
        char *times = fixture_file(&f, "orders-0", "00000000000000000000.timeindex");
        cut_file(index, 0);
        cut_file(times, 0);
        mem_free(times);
        (void)look(f.path, &h);
        CHECK_EQ(h.n, n == SYNCED ? 0 : 1);
        CHECK_EQ(h.offset, n == SYNCED ? OFFSET_NONE : 2 * n);
        mem_free(index);
        mem_free(log);
        fixture_close(&f);
    }
}

static void index_that_misleads_is_a_note(void)
{
    struct fixture f;
    struct heard h;

    make_log(&f);
    char *index = fixture_file(&f, "orders-0", FIRST_INDEX);
    CHECK(file_size_of(index) >= 2 * INDEX_ENTRY_SIZE);
    flip_byte(index, INDEX_ENTRY_SIZE + 7);
    (void)look(f.path, &h);
    CHECK(h.n > 0);
    CHECK_EQ(h.worst, VERIFY_NOTE);
    CHECK_STR(h.file, FIRST_INDEX);
    CHECK_EQ(h.at, INDEX_ENTRY_SIZE);
    mem_free(index);
    fixture_close(&f);
}

static void folder_without_an_owner_is_damage(void)
{
    struct fixture f;
    struct heard h;

    make_log(&f);
    char *owner = fixture_file(&f, "orders-0", "partition.metadata");
    CHECK_EQ(unlink(owner), 0);
    (void)look(f.path, &h);
    CHECK_EQ(h.n, 1);
    CHECK_EQ(h.worst, VERIFY_DAMAGE);
    CHECK_STR(h.file, "partition.metadata");
    mem_free(owner);
    fixture_close(&f);
}

static void segments_that_do_not_join_are_damage(void)
{
    struct fixture f;
    struct heard h;

    fixture_open(&f);
    f.config.segment_bytes = 8 * batch_size();
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < BATCHES; i++) {
        CHECK_EQ(fixture_append(l, 2, VALUE_SIZE, 1000 + i), 0);
    }
    fixture_flush(l);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    struct verify v = look(f.path, &h);
    CHECK_EQ(h.n, 0);
    CHECK_EQ(v.n_segments, BATCHES / 8);
    char *second = fixture_file(&f, "orders-0", "00000000000000000016.log");
    CHECK_EQ(unlink(second), 0);
    (void)look(f.path, &h);
    CHECK_EQ(h.n, 1);
    CHECK_EQ(h.worst, VERIFY_DAMAGE);
    CHECK_EQ(h.offset, 16);
    mem_free(second);
    fixture_close(&f);
}

static void removal_that_was_undone_is_a_note(void) /* [LOG-21] */
{
    struct fixture f;
    struct heard h;

    fixture_open(&f);
    f.config.segment_bytes = 5000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < BATCHES; i++) {
        CHECK_EQ(fixture_append(l, 2, VALUE_SIZE, 1000 + i), 0);
    }
    fixture_flush(l);
    plog_set_start(l, 30);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    char *lost = fixture_file(&f, "orders-0", "00000000000000000004.log");
    CHECK_EQ(unlink(lost), 0);
    mem_free(lost);
    struct verify v = look(f.path, &h);
    CHECK_EQ(v.n_damages, 0);
    CHECK(v.n_notes > 3);
    CHECK(strstr(h.what, "lies below the log start") != NULL);
    fixture_close(&f);
}

static void what_is_no_log_is_told(void)
{
    struct heard h = {0};
    struct verify v = {.io = &file_io_posix, .found = on_found, .ctx = &h};
    char *path = fixture_path("nothing");

    CHECK_EQ(verify_path(&v, path), -ENOENT);
    CHECK_EQ(file_io_posix.mkdir(NULL, path), 0);
    CHECK_EQ(verify_path(&v, path), VERIFY_E_NOT_A_LOG);
    CHECK_EQ(h.n, 0);
    mem_free(path);
}

static void kinds_of_files_are_told_by_their_names(void)
{
    offset64 base = 0;

    CHECK_EQ(inspect_kind_of("/x/00000000000000000042.log"), INSPECT_LOG);
    CHECK_EQ(inspect_kind_of("00000000000000000042.log.deleted"), INSPECT_LOG);
    CHECK_EQ(inspect_kind_of("a.b/00000000000000000042.index"), INSPECT_INDEX);
    CHECK_EQ(inspect_kind_of("00000000000000000042.timeindex"), INSPECT_TIME_INDEX);
    CHECK_EQ(inspect_kind_of("00000000000000000042.logs"), INSPECT_OTHER);
    CHECK_EQ(inspect_kind_of("a.log/partition"), INSPECT_OTHER);
    CHECK(inspect_base_of("/x/00000000000000000042.log", &base));
    CHECK_EQ(base, 42);
    CHECK(!inspect_base_of("42.log", &base));
    CHECK(!inspect_base_of("99999999999999999999.log", &base));
}

static const struct check_case cases[] = {
        CASE(sound_log_has_no_findings),
        CASE(wrong_bytes_are_told_with_their_place),
        CASE(missing_end_is_damage_below_the_recovery_point_alone),
        CASE(index_that_misleads_is_a_note),
        CASE(folder_without_an_owner_is_damage),
        CASE(segments_that_do_not_join_are_damage),
        CASE(removal_that_was_undone_is_a_note),
        CASE(what_is_no_log_is_told),
        CASE(kinds_of_files_are_told_by_their_names),
};

CHECK_MAIN("verify", cases)
