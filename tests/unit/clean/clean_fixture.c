/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/clean/clean_fixture.h"

#include "common/base/mem.h"
#include "common/compress/compress.h"
#include "tests/lib/check.h"

#include <string.h>

static struct bytes text(const char *s)
{
    return s != NULL ? (struct bytes){.at = (const uint8_t *)s, .size = strlen(s)}
                     : (struct bytes){0};
}

static void finish(struct batch_builder *bb,
        const struct batch_build_options *opt,
        enum batch_codec codec,
        struct buf *out)
{
    struct buf packed = {0};

    if (codec != CODEC_NONE) {
        CHECK_EQ(compress_bytes(codec, 0,
                         (struct bytes){.at = bb->records.data, .size = bb->records.size}, &packed),
                0);
    }
    batch_builder_finish(bb, opt, codec, (struct bytes){.at = packed.data, .size = packed.size}, out);
    buf_deinit(&packed);
    batch_builder_deinit(bb);
}

void test_batch_make(struct buf *out, const struct test_batch *t)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = t->producer_id,
            .producer_epoch = t->producer_id >= 0 ? 0 : -1,
            .base_sequence = t->producer_id >= 0 ? t->base_sequence : -1,
            .attributes = t->attributes};

    for (int i = 0; i < t->n; i++) {
        struct record r = {.timestamp = t->records[i].timestamp,
                .key = text(t->records[i].key),
                .value = text(t->records[i].value)};
        batch_builder_add(&bb, &r, NULL);
    }
    finish(&bb, &opt, t->codec, out);
}

void test_marker_make(struct buf *out, int64_t producer_id, bool is_commit, wall_ms timestamp)
{
    uint8_t key[4] = {0, 0, 0, is_commit ? 1 : 0};
    uint8_t value[6] = {0};
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = producer_id,
            .base_sequence = -1,
            .attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL};
    struct record r = {.timestamp = timestamp,
            .key = {.at = key, .size = sizeof(key)},
            .value = {.at = value, .size = sizeof(value)}};

    batch_builder_add(&bb, &r, NULL);
    finish(&bb, &opt, CODEC_NONE, out);
}

int test_append(struct plog *l, struct buf *bytes, epoch32 epoch)
{
    struct batch b;
    offset64 base = OFFSET_NONE;

    CHECK_EQ(batch_parse(bytes->data, bytes->size, &b), 0);
    return plog_append(l, bytes->data, &b, epoch, &base);
}

struct key_hash test_hash(void *ctx, struct bytes key)
{
    struct key_hash h = {.a = 0xcbf29ce484222325, .b = 0x84222325cbf29ce4};

    (void)ctx;
    for (size_t i = 0; i < key.size; i++) {
        h.a = (h.a ^ key.at[i]) * 0x100000001b3;
        h.b = (h.b ^ key.at[i]) * 0x9e3779b97f4a7c15;
    }
    return h;
}

/* --- Cleaning ----------------------------------------------------------------------------------------------------- */

static bool pace(void *ctx, int64_t bytes)
{
    struct test_cleaner *c = ctx;

    CHECK(bytes > 0);
    if (c->meanwhile != NULL) {
        c->meanwhile(c);
    }
    return c->n_until_stop == 0 || --c->n_until_stop > 0;
}

static int claim(void *ctx, const struct sealed_list *list)
{
    const struct test_cleaner *c = ctx;
    offset64 end = OFFSET_NONE;
    int r = plog_swap_claim(c->l, list);

    if (r == 0) { /* [LOG-56] */
        CHECK_EQ(plog_truncate_begin(c->l, plog_end(c->l), &end), PLOG_E_BUSY);
    }
    return r;
}

static void release(void *ctx)
{
    const struct test_cleaner *c = ctx;

    plog_swap_release(c->l);
}

static int commit(void *ctx, struct plog_swap *s)
{
    struct test_cleaner *c = ctx;

    if (c->before_commit != NULL) {
        c->before_commit(c);
    }
    if (c->meanwhile != NULL) {
        c->meanwhile(c);
    }
    int r = plog_swap_commit(c->l, s);
    if (c->after_commit != NULL) {
        c->after_commit(c, r);
    }
    return r;
}

static bool is_as_listed(void *ctx, const struct sealed_list *list)
{
    const struct test_cleaner *c = ctx;

    return plog_is_as_listed(c->l, list);
}

void test_cleaner_init(struct test_cleaner *c, struct plog *l)
{
    *c = (struct test_cleaner){.l = l,
            .policy = {.segment_bytes = 1 << 20,
                    .delete_retention_ms = 1000,
                    .max_lag_ms = INT64_MAX,
                    .dirty_ratio_ppm = 0},
            .epoch = EPOCH_NONE,
            .now = 1000000,
            .map_size = 1 << 20};
}

int test_cleaner_run(struct test_cleaner *c, struct log_dir *dir)
{
    struct clean_env env = {.dir = dir,
            .hash = test_hash,
            .pace = pace,
            .claim = claim,
            .commit = commit,
            .release = release,
            .is_as_listed = is_as_listed,
            .ctx = c,
            .now = c->now,
            .map_size = c->map_size,
            .map_load_ppm = 900000,
            .producer_expiry_ms = 100000};
    struct clean_task task = {.policy = c->policy, .epoch = c->epoch};

    plog_sealed_list(c->l, &task.list);
    struct cleaning_segment *segments = mem_new_n(struct cleaning_segment, task.list.n + 1);
    for (size_t i = 0; i < task.list.n; i++) {
        const struct sealed_segment *s = &task.list.items[i];
        segments[i] = (struct cleaning_segment){.base = s->base,
                .end = s->end,
                .size = s->size,
                .first_timestamp = -1,
                .max_timestamp = s->max_timestamp,
                .is_synced = s->is_synced};
    }
    cleaning_choose(&c->policy, segments, task.list.n, c->first_dirty, plog_end(c->l), c->now,
            &task.range);
    mem_free(segments);
    int r = 0;
    c->result = (struct clean_result){.first_dirty = c->first_dirty};
    if (task.range.is_due) {
        r = clean_run(&env, &task, &c->result);
        if (r == 0) {
            c->first_dirty = c->result.first_dirty;
            c->epoch = c->result.epoch;
        }
    }
    sealed_list_deinit(&task.list);
    return r;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static void walk_batch(const struct batch *b,
        void (*each)(void *ctx, const struct batch *b, const struct record *r),
        void *ctx)
{
    struct buf scratch = {0};
    struct record_iter it;
    struct bytes plain = {0};
    struct record r;
    int e = RECORD_END;

    CHECK(batch_crc_is_right(b));
    if (b->n_records > 0) {
        CHECK_EQ(batch_plain_records(b, 1 << 20, &scratch, &plain), 0);
        record_iter_init(&it, b, plain.at, plain.size);
        while ((e = record_iter_next(&it, &r)) == 0) {
            each(ctx, b, &r);
        }
    }
    CHECK_EQ(e, RECORD_END);
    buf_deinit(&scratch);
}

void test_walk(struct plog *l,
        const struct file_io *io,
        offset64 from,
        void (*each)(void *ctx, const struct batch *b, const struct record *r),
        void *ctx)
{
    while (from < plog_end(l)) {
        struct plog_slice s = {.fd = -1};
        CHECK_EQ(plog_read(l, from, plog_end(l), 2000, true, &s), 0);
        CHECK(s.file != NULL);
        uint8_t *bytes = mem_alloc(s.size);
        CHECK_EQ(io->pread(io->ctx, s.fd, bytes, s.size, s.at), (int64_t)s.size);
        cached_file_release(s.file);
        for (size_t at = 0; at < s.size;) {
            struct batch b;
            CHECK_EQ(batch_parse(bytes + at, s.size - at, &b), 0);
            CHECK(batch_last_offset(&b) >= from);
            CHECK(at == 0 || b.base_offset >= from);
            walk_batch(&b, each, ctx);
            from = batch_last_offset(&b) + 1;
            at += b.size;
        }
        mem_free(bytes);
    }
    CHECK_EQ(from, plog_end(l));
}
