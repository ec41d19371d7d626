/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_scrub.h"
#include "broker/log/verify.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/clean/clean_fixture.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct fixture f;
    struct plog *l;
    struct test_cleaner c;
    char text[2048]; /* of what a walk saw */
};

static void open_world(struct world *w)
{
    fixture_open(&w->f);
    w->f.config = (struct plog_config){.segment_bytes = 200, .index_interval_bytes = 64};
    w->l = fixture_plog(&w->f, "orders", NULL);
    test_cleaner_init(&w->c, w->l);
}

static void close_world(struct world *w)
{
    w->l = plog_close(w->l);
    fixture_close(&w->f);
}

static void reopen(struct world *w)
{
    fixture_checkpoint(&w->f, w->l, &w->f.topic_id);
    w->l = plog_close(w->l);
    fixture_restart(&w->f, false);
    w->l = fixture_plog(&w->f, "orders", NULL);
    w->c.l = w->l;
}

static void append(struct world *w, const char *key, const char *value, wall_ms timestamp)
{
    struct test_record r = {.key = key, .value = value, .timestamp = timestamp};
    struct test_batch t = {.records = &r, .n = 1, .producer_id = -1};
    struct buf bytes = {0};

    test_batch_make(&bytes, &t);
    CHECK_EQ(test_append(w->l, &bytes, 0), 0);
    buf_deinit(&bytes);
}

static void append_as(struct world *w, int64_t producer, const char *key, uint16_t attributes)
{
    struct test_record r = {.key = key, .value = "v", .timestamp = w->c.now};
    struct test_batch t = {.records = &r, .n = 1, .producer_id = producer, .attributes = attributes};
    struct buf bytes = {0};

    test_batch_make(&bytes, &t);
    CHECK_EQ(test_append(w->l, &bytes, 0), 0);
    buf_deinit(&bytes);
}

static void end_transaction(struct world *w, int64_t producer, bool is_commit)
{
    struct buf bytes = {0};

    test_marker_make(&bytes, producer, is_commit, w->c.now);
    CHECK_EQ(test_append(w->l, &bytes, 0), 0);
    buf_deinit(&bytes);
}

/* A new active segment, so that all before is sealed, and the sync that makes it cleanable. */
static void seal(struct world *w)
{
    static const char large[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    append(w, "seal", large, 1);
    append(w, "active", large, 1);
    fixture_flush(w->l);
}

static void see(void *ctx, const struct batch *b, const struct record *r)
{
    struct world *w = ctx;
    size_t at = strlen(w->text);

    if (r->value.size > 100) {
        return; /* seal()'s */
    }
    (void)snprintf(w->text + at, sizeof(w->text) - at, "%s%lld:%s%.*s", at > 0 ? " " : "",
            (long long)r->offset, r->value.at == NULL ? "-" : "",
            (b->attributes & BATCH_CONTROL) != 0 ? 1 : (int)r->key.size,
            (b->attributes & BATCH_CONTROL) != 0 ? "!" : (const char *)r->key.at);
}

/* "0:a 2:-b": offset, '-' of a tombstone, key, '!' for a marker. */
static const char *seen(struct world *w, offset64 from)
{
    w->text[0] = '\0';
    test_walk(w->l, &fault_io, from, see, w);
    return w->text;
}

static int clean(struct world *w)
{
    return test_cleaner_run(&w->c, w->f.dir);
}

static void last_record_of_each_key_stays_at_its_offset(void) /* [LOG-45] [LOG-50] [LOG-51] */
{
    struct world w;

    open_world(&w);
    for (int i = 0; i < 4; i++) {
        append(&w, "a", "1", 1);
        append(&w, "b", "2", 1);
        append(&w, "c", i < 2 ? "3" : NULL, 1);
    }
    seal(&w);
    int64_t before = plog_bytes(w.l);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "9:a 10:b 11:-c");
    CHECK(plog_bytes(w.l) < before);
    CHECK_EQ(w.c.result.n_swaps, 1);
    CHECK_EQ(w.c.result.n_keys, 4);
    /* An offset that is gone gives the next, whoever asks. */
    for (offset64 from = 0; from <= 9; from++) {
        CHECK_STR(seen(&w, from), "9:a 10:b 11:-c");
    }
    CHECK_STR(seen(&w, 11), "11:-c");
    reopen(&w);
    CHECK_STR(seen(&w, 3), "9:a 10:b 11:-c");
    close_world(&w);
}

static void count_finding(void *ctx, const struct verify_finding *f)
{
    int *n = ctx;

    *n += f->severity == VERIFY_DAMAGE ? 1 : 0;
}

static void seal_of_a_compacted_segment_proves_it(void) /* [LOG-51] */
{
    struct world w;
    int n_damages = 0;
    struct verify v = {.io = &fault_io, .found = count_finding, .ctx = &n_damages};

    open_world(&w);
    for (int i = 0; i < 6; i++) {
        append(&w, "a", "1", 1);
        append(&w, i == 2 ? "c" : "b", "2", 1);
    }
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    fixture_checkpoint(&w.f, w.l, &w.f.topic_id);
    char *folder = fixture_file(&w.f, "orders-0", "");
    folder[strlen(folder) - 1] = '\0';
    CHECK_EQ(verify_path(&v, folder), 0);
    CHECK_EQ(n_damages, 0);
    CHECK_EQ(v.n_partitions, 1);
    mem_free(folder);
    close_world(&w);
}

static void what_is_clean_is_gone_over_again_for_new_keys(void)
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "b", "1", 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_EQ(w.c.first_dirty, 3);
    CHECK_EQ(clean(&w), 0); /* nothing is dirty */
    CHECK_EQ(w.c.result.bytes_read, 0);
    append(&w, "a", "2", 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:b 4:a");
    close_world(&w);
}

static void tombstones_go_after_their_time(void) /* [LOG-46] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", NULL, 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:-a");
    append(&w, "b", "1", 1);
    seal(&w);
    w.c.now += 999; /* delete.retention.ms is 1000 */
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:-a 4:b");
    append(&w, "b", "2", 1);
    seal(&w);
    w.c.now += 1;
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "7:b");
    close_world(&w);
}

static void transactions_end_as_they_ended(void) /* [LOG-47] [LOG-48] [LOG-49] */
{
    struct world w;

    open_world(&w);
    append_as(&w, 1, "a", BATCH_TRANSACTIONAL); /* 0 */
    end_transaction(&w, 1, true);               /* 1 */
    append_as(&w, 2, "a", BATCH_TRANSACTIONAL); /* 2: hides nothing */
    append_as(&w, 1, "b", BATCH_TRANSACTIONAL); /* 3 */
    end_transaction(&w, 2, false);              /* 4 */
    end_transaction(&w, 1, true);               /* 5 */
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "0:a 1:! 3:b 4:! 5:!");
    append(&w, "a", "2", 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:! 3:b 4:! 5:! 8:a");
    append(&w, "c", "2", 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0); /* the marker without data gets its horizon */
    CHECK_STR(seen(&w, 0), "1:! 3:b 4:! 5:! 8:a 11:c");
    append(&w, "d", "2", 1);
    seal(&w);
    w.c.now += 1000;
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "3:b 4:! 5:! 8:a 11:c 14:d");
    /* Producer 2's data was aborted and is gone; its last batch says its sequence and has no record, and keeps its marker. */
    struct plog_slice s;
    CHECK_EQ(plog_read(w.l, 2, plog_end(w.l), 61, true, &s), 0);
    uint8_t head[BATCH_HEADER_SIZE];
    CHECK_EQ(fault_io.pread(NULL, s.fd, head, sizeof(head), s.at), BATCH_HEADER_SIZE);
    CHECK_EQ(load_be64(head), 2);
    CHECK_EQ(load_be32(head + 57), 0);
    cached_file_release(s.file);
    close_world(&w);
}

static void open_transaction_is_not_touched(void) /* [LOG-40] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    append_as(&w, 2, "a", BATCH_TRANSACTIONAL);
    append(&w, "a", "3", 1);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:a 2:a 3:a");
    CHECK_EQ(w.c.first_dirty, 2);
    close_world(&w);
}

static void full_map_leaves_the_rest_for_the_next_time(void) /* [LOG-59] */
{
    struct world w;
    char key[8];

    open_world(&w);
    w.c.map_size = 24 * 5; /* room for 4 keys */
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i / 2);
        append(&w, key, "v", 1);
    }
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_EQ(w.c.result.n_keys, 4);
    CHECK_EQ(w.c.first_dirty, 7); /* the one after the fourth key's first */
    CHECK_STR(seen(&w, 0), "1:k0 3:k1 5:k2 6:k3 7:k3 8:k4 9:k4");
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:k0 3:k1 5:k2 7:k3 9:k4");
    CHECK_EQ(w.c.first_dirty, 11);
    close_world(&w);
}

static void batch_with_too_many_keys_is_told(void) /* [LOG-59] */
{
    static const struct test_record records[] = {
            {"a", "1", 1}, {"b", "1", 1}, {"c", "1", 1}, {"d", "1", 1}};
    struct test_batch t = {.records = records, .n = 4, .producer_id = -1};
    struct buf bytes = {0};
    struct world w;

    open_world(&w);
    test_batch_make(&bytes, &t);
    CHECK_EQ(test_append(w.l, &bytes, 0), 0);
    buf_deinit(&bytes);
    seal(&w);
    w.c.map_size = 24 * 4;
    CHECK_EQ(clean(&w), CLEAN_E_TOO_SMALL);
    CHECK(strstr(w.c.result.why, "log.cleaner.dedupe.buffer.size") != NULL);
    close_world(&w);
}

static void damaged_batch_is_told_and_nothing_is_changed(void) /* [LOG-59] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    seal(&w);
    char *path = fixture_file(&w.f, "orders-0", "00000000000000000000.log");
    int64_t size = file_size_of(path);
    flip_byte(path, 65);
    CHECK_EQ(clean(&w), CLEAN_E_DAMAGED);
    CHECK_EQ(w.c.result.at, 0);
    CHECK_EQ(file_size_of(path), size);
    char *left = fixture_file(&w.f, "orders-0", "00000000000000000000.log.cleaned");
    CHECK(file_size_of(left) < 0);
    mem_free(left);
    mem_free(path);
    close_world(&w);
}

static void giving_up_leaves_the_log_as_it_was(void)
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    seal(&w);
    for (int n = 1; n < 10; n++) {
        w.c.n_until_stop = n;
        int r = clean(&w);
        if (r == 0) {
            CHECK(n > 2);
            CHECK_STR(seen(&w, 0), "1:a");
            close_world(&w);
            return;
        }
        CHECK_EQ(r, CLEAN_E_STOPPED);
        CHECK_STR(seen(&w, 0), "0:a 1:a");
    }
    CHECK(false);
}

static void change_id(struct test_cleaner *c)
{
    struct plog_flush *f = plog_flush_begin(c->l); /* nothing to sync: the log is as it was */

    CHECK(f == NULL);
    (void)c;
}

static void renames_are_all_that_happens_at_the_commit(void) /* [LOG-54] [LOG-55] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    seal(&w);
    w.c.before_commit = change_id;
    CHECK_EQ(clean(&w), 0);
    static const char *const gone[] = {"cleaning.manifest", "00000000000000000000.log.swap",
            "00000000000000000000.log.cleaned", "00000000000000000000.log.deleted",
            "00000000000000000000.index.deleted", "00000000000000000000.index.swap"};
    for (size_t i = 0; i < COUNT_OF(gone); i++) {
        char *path = fixture_file(&w.f, "orders-0", gone[i]);
        CHECK(file_size_of(path) < 0);
        mem_free(path);
    }
    close_world(&w);
}

/* Puts another segment in the list in its place, as a cut and what follows would. */
static void retain_meanwhile(struct test_cleaner *c)
{
    struct plog_removed removed;

    plog_set_start(c->l, 2);
    plog_start_saved(c->l, 2);
    CHECK_EQ(plog_remove_below_start(c->l, 0, &removed), 0);
    CHECK_EQ(removed.n_segments, 1);
}

static void log_that_changed_meanwhile_is_left_alone(void) /* [LOG-56] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    append(&w, "b", "3", 1);
    seal(&w);
    w.c.before_commit = retain_meanwhile;
    CHECK_EQ(clean(&w), CLEAN_E_CHANGED);
    CHECK_STR(seen(&w, 2), "2:b");
    reopen(&w);
    CHECK_STR(seen(&w, 2), "2:b");
    close_world(&w);
}

static void another_history_makes_all_dirty(void) /* [LOG-58] */
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    append(&w, "a", "3", 1);
    seal(&w);
    w.c.first_dirty = 2; /* of a log that was cut, and grew again under another epoch */
    w.c.epoch = 7;
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "2:a");
    CHECK_EQ(w.c.epoch, 0);
    close_world(&w);
}

static void checkpoint_of_what_is_clean_is_read_back(void) /* [LOG-58] */
{
    struct clean_point points[] = {{.topic_id = {{1}}, .partition = 2, .first_dirty = 77, .epoch = 3},
            {.topic_id = {{9}}, .partition = 0, .first_dirty = 5, .epoch = EPOCH_NONE}};
    struct clean_point *got = NULL;
    struct world w;
    size_t n = 9;

    open_world(&w);
    CHECK_EQ(log_dir_read_clean_points(w.f.dir, &got, &n), 0);
    CHECK_EQ(n, 0);
    mem_free(got);
    CHECK_EQ(log_dir_write_clean_points(w.f.dir, points, 2), 0);
    CHECK_EQ(log_dir_read_clean_points(w.f.dir, &got, &n), 0);
    CHECK_EQ(n, 2);
    CHECK_MEM(got[0].topic_id.bytes, points[0].topic_id.bytes, 16);
    CHECK_EQ(got[0].partition, 2);
    CHECK_EQ(got[0].first_dirty, 77);
    CHECK_EQ(got[0].epoch, 3);
    CHECK_EQ(got[1].epoch, EPOCH_NONE);
    mem_free(got);
    close_world(&w);
}

static void empty_batches_are_not_found_by_time(void) /* [LOG-52] */
{
    struct plog_slice s;
    struct world w;

    open_world(&w);
    append_as(&w, 1, "a", 0); /* stays without its record: the producer's last; time = now */
    append(&w, "a", "2", w.c.now - 10);
    append(&w, "b", "2", w.c.now - 5);
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:a 2:b");
    CHECK_EQ(plog_find_time(w.l, w.c.now - 10, plog_end(w.l), &s), 0);
    uint8_t head[8];
    CHECK_EQ(fault_io.pread(NULL, s.fd, head, sizeof(head), s.at), 8);
    CHECK_EQ(load_be64(head), 1);
    cached_file_release(s.file);
    CHECK_EQ(plog_find_max_time(w.l, plog_end(w.l), &s), 0);
    CHECK_EQ(fault_io.pread(NULL, s.fd, head, sizeof(head), s.at), 8);
    CHECK_EQ(load_be64(head), 2);
    cached_file_release(s.file);
    CHECK_EQ(plog_find_time(w.l, w.c.now - 4, plog_end(w.l), &s), PLOG_E_NOT_FOUND);
    for (int i = 0; i < 2; i++) { /* by the seal, and by a walk: retention goes by this */
        struct plog_segment first;
        plog_segment_at(w.l, 0, &first);
        CHECK(first.has_max_timestamp);
        CHECK_EQ(first.max_timestamp, w.c.now - 5);
        char *index = fixture_file(&w.f, "orders-0", "00000000000000000000.index");
        CHECK_EQ(unlink(index), 0);
        mem_free(index);
        reopen(&w);
    }
    close_world(&w);
}

/* So the scrubber finds nothing to mend; nor where a start made them anew. */
static void compacted_segment_has_the_indexes_that_appending_makes(void) /* [LOG-7] [LOG-93] */
{
    struct plog_scrub *s = NULL;
    struct world w;

    open_world(&w);
    for (int i = 0; i < 30; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "k%d", i % 20);
        append(&w, key, "v", 100 + i * 7 % 40);
    }
    seal(&w);
    CHECK_EQ(clean(&w), 0);
    char *times = fixture_file(&w.f, "orders-0", "00000000000000000000.timeindex");
    for (int i = 0; i < 2; i++) {
        int64_t n = 0;
        bool is_done = false, is_index_new = false;
        CHECK(file_size_of(times) >= 24);
        CHECK_EQ(plog_scrub_begin(w.l, 0, &s), 0);
        while (!is_done) {
            CHECK_EQ(plog_scrub_step(s, 100, &n, &is_done), 0);
        }
        CHECK_EQ(plog_scrub_end(w.l, s, 0, &is_index_new), 0);
        CHECK(!is_index_new);
        CHECK_EQ(unlink(times), 0);
        reopen(&w);
    }
    mem_free(times);
    close_world(&w);
}

/* Of "a" the older record goes. */
static void compact_a(struct world *w)
{
    append(w, "a", "1", 1);
    append(w, "a", "2", 1);
    append(w, "b", "3", 1);
    seal(w);
    CHECK_EQ(clean(w), 0);
    CHECK_STR(seen(w, 0), "1:a 2:b");
}

static int truncate_at(struct plog *l, offset64 offset)
{
    offset64 end = OFFSET_NONE;
    int r = plog_truncate_begin(l, offset, &end);

    if (r == 0) {
        CHECK_EQ(end, offset);
        CHECK_EQ(plog_truncate_run(l), 0);
    }
    return r;
}

/* Also right behind the gap that a compacted segment begins with: the segment's name says that the log begins below. */
static void compacted_segment_is_cut_at_its_begin_or_not_at_all(void) /* [LOG-66] */
{
    struct plog_segment s;
    struct world w;

    open_world(&w);
    compact_a(&w);
    CHECK_EQ(truncate_at(w.l, 1), PLOG_E_OUT_OF_RANGE);
    CHECK_EQ(truncate_at(w.l, 2), PLOG_E_OUT_OF_RANGE);
    CHECK_STR(seen(&w, 0), "1:a 2:b");
    char *times = fixture_file(&w.f, "orders-0", "00000000000000000000.timeindex");
    CHECK_EQ(unlink(times), 0); /* as earlier versions left it */
    CHECK_EQ(truncate_at(w.l, 0), 0);
    CHECK(!log_dir_failed(w.f.dir));
    append(&w, "c", "1", 1);
    CHECK_STR(seen(&w, 0), "0:c");
    plog_segment_at(w.l, 0, &s);
    CHECK_EQ(s.base, 0);
    CHECK_EQ(s.end, 1);
    reopen(&w);
    CHECK_STR(seen(&w, 0), "0:c");
    mem_free(times);
    close_world(&w);
}

static int n_until_cut;

static void cut_newest(struct test_cleaner *c)
{
    if (n_until_cut-- == 0) {
        CHECK_EQ(truncate_at(c->l, 2), 0);
    }
}

/* The newest record of "a" is cut off while it is the reason for the older one to go. */
static void cut_while_a_log_is_compacted_ends_that(void) /* [LOG-56] */
{
    struct world w;

    for (int i = 0; i < 3; i++) { /* also when what was to be read is there no more: no damage */
        open_world(&w);
        append(&w, "a", "1", 1);
        append(&w, "b", "2", 1);
        append(&w, "a", "3", 1);
        seal(&w);
        w.c.policy.segment_bytes = 200;
        n_until_cut = i;
        w.c.meanwhile = cut_newest;
        CHECK_EQ(clean(&w), CLEAN_E_CHANGED);
        CHECK(n_until_cut < 0);
        CHECK_STR(seen(&w, 0), "0:a 1:b");
        close_world(&w);
    }
}

/* What compaction left of epoch 2 begins at 3, and it began at 2: who was told 3 would keep another history's record. */
static void epoch_whose_begin_is_gone_is_not_told_too_late(void) /* [LOG-61] */
{
    struct test_record r = {.key = "a", .value = "v", .timestamp = 1};
    struct test_batch t = {.records = &r, .n = 1, .producer_id = -1};
    epoch32 epochs[] = {1, 1, 2, 2}, epoch;
    const char *keys[] = {"a", "b", "c", "c"};
    offset64 end = OFFSET_NONE;
    struct world w;

    open_world(&w);
    for (int i = 0; i < 4; i++) {
        struct buf bytes = {0};
        r.key = keys[i];
        test_batch_make(&bytes, &t);
        CHECK_EQ(test_append(w.l, &bytes, epochs[i]), 0);
        buf_deinit(&bytes);
    }
    CHECK_EQ(plog_roll_active(w.l), 0);
    fixture_flush(w.l);
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "0:a 1:b 3:c");
    char *file = fixture_file(&w.f, "orders-0", "leader-epoch-checkpoint");
    for (int is_scanned = 0; is_scanned < 2; is_scanned++) {
        CHECK_EQ(unlink(file), 0);
        if (is_scanned == 0) {
            fixture_checkpoint(&w.f, w.l, &w.f.topic_id);
        } else { /* a checkpoint from before the compaction */
            struct checkpoint_entry e = {.topic_id = w.f.topic_id};
            CHECK_EQ(log_dir_write_checkpoints(w.f.dir, &e, 1), 0);
        }
        w.l = plog_close(w.l);
        fixture_restart(&w.f, false);
        w.l = fixture_plog(&w.f, "orders", NULL);
        CHECK_EQ(plog_epoch_end(w.l, 1, &epoch, &end), 0);
        CHECK_EQ(epoch, 1);
        CHECK_EQ(end, 2);
        fixture_flush(w.l); /* writes the file */
    }
    mem_free(file);
    close_world(&w);
}

static void full_disk_postpones_it(void)
{
    struct world w;

    open_world(&w);
    append(&w, "a", "1", 1);
    append(&w, "a", "2", 1);
    seal(&w);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_error = -ENOSPC;
    CHECK_EQ(clean(&w), CLEAN_E_FULL);
    CHECK(!log_dir_failed(w.f.dir));
    CHECK_STR(seen(&w, 0), "0:a 1:a");
    CHECK_EQ(clean(&w), 0);
    CHECK_STR(seen(&w, 0), "1:a");
    close_world(&w);
}

static void damaged_manifest_fails_the_replica(void) /* [LOG-57] */
{
    struct world w;
    struct plog *l = NULL;

    open_world(&w);
    append(&w, "a", "1", 1);
    seal(&w);
    fixture_checkpoint(&w.f, w.l, &w.f.topic_id);
    w.l = plog_close(w.l);
    char *path = fixture_file(&w.f, "orders-0", "cleaning.manifest");
    write_file(path, "version=1\nnew=0", 15);
    fixture_restart(&w.f, false);
    CHECK_EQ(fixture_try_plog(&w.f, "orders", &l, NULL), PLOG_E_DAMAGED);
    mem_free(path);
    close_world(&w);
}

static const struct check_case cases[] = {
        CASE(last_record_of_each_key_stays_at_its_offset),
        CASE(seal_of_a_compacted_segment_proves_it),
        CASE(what_is_clean_is_gone_over_again_for_new_keys),
        CASE(tombstones_go_after_their_time),
        CASE(transactions_end_as_they_ended),
        CASE(open_transaction_is_not_touched),
        CASE(full_map_leaves_the_rest_for_the_next_time),
        CASE(batch_with_too_many_keys_is_told),
        CASE(damaged_batch_is_told_and_nothing_is_changed),
        CASE(giving_up_leaves_the_log_as_it_was),
        CASE(renames_are_all_that_happens_at_the_commit),
        CASE(log_that_changed_meanwhile_is_left_alone),
        CASE(another_history_makes_all_dirty),
        CASE(checkpoint_of_what_is_clean_is_read_back),
        CASE(empty_batches_are_not_found_by_time),
        CASE(compacted_segment_has_the_indexes_that_appending_makes),
        CASE(compacted_segment_is_cut_at_its_begin_or_not_at_all),
        CASE(cut_while_a_log_is_compacted_ends_that),
        CASE(epoch_whose_begin_is_gone_is_not_told_too_late),
        CASE(full_disk_postpones_it),
        CASE(damaged_manifest_fails_the_replica),
};
CHECK_MAIN("clean_pass", cases)
