/* SPDX-License-Identifier: Apache-2.0 */
/* C15: replicas are compared batch by batch up to the high watermark. */
#include "clients/check/replicas.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

enum {
    BATCHES = 30,
    COMMITTED = 20,
    VALUE_SIZE = 200
};

/* A replica with so many batches of two records, of which the first `committed` are below its high
 * watermark. */
static void make_replica(struct fixture *f, int batches, int committed, int64_t segment_bytes)
{
    fixture_open(f);
    f->config.segment_bytes = segment_bytes;
    struct plog *l = fixture_plog(f, "orders", NULL);

    for (int i = 0; i < batches; i++) {
        CHECK_EQ(fixture_append(l, 2, VALUE_SIZE, 1000 + i), 0);
        if (i + 1 == committed) {
            fixture_flush(l);
            fixture_checkpoint(f, l, &f->topic_id);
        }
    }
    (void)plog_close(l);
}

static int compare(const struct fixture *fixtures,
        size_t n,
        const struct replicas_end *ends,
        size_t n_ends,
        struct replicas_verdict *v)
{
    const char *dirs[4];
    char why[256] = "";

    for (size_t i = 0; i < n; i++) {
        dirs[i] = fixtures[i].path;
    }
    return replicas_compare(&file_io_posix, dirs, n, ends, n_ends, v, why, sizeof(why));
}

static void close_all(struct fixture *fixtures, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fixture_close(&fixtures[i]);
    }
}

static void same_bytes_in_other_segments_are_the_same(void)
{
    struct fixture f[3];
    struct replicas_verdict v;

    make_replica(&f[0], BATCHES, COMMITTED, 1 << 20);
    make_replica(&f[1], COMMITTED + 2, COMMITTED, 2000);
    make_replica(&f[2], COMMITTED, COMMITTED - 3, 4000);
    CHECK_EQ(compare(f, 3, NULL, 0, &v), 0);
    CHECK_EQ(v.n_compared, 1);
    CHECK_EQ(v.n_differ, 0);
    CHECK_EQ(v.n_batches, 3 * COMMITTED);
    replicas_verdict_deinit(&v);
    close_all(f, 3);
}

/* Below the high watermark it counts, above it does not. */
static void another_byte_is_found(void)
{
    struct fixture f[3];
    struct replicas_verdict v;

    for (size_t i = 0; i < 3; i++) {
        make_replica(&f[i], BATCHES, COMMITTED, 1 << 20);
    }
    char *path = fixture_file(&f[1], "orders-0", "00000000000000000000.log");
    int64_t size = file_size_of(path) / BATCHES;
    flip_byte(path, size * COMMITTED + 100);
    CHECK_EQ(compare(f, 3, NULL, 0, &v), 0);
    CHECK_EQ(v.n_differ, 0);
    replicas_verdict_deinit(&v);
    flip_byte(path, size * 7 + 100);
    CHECK_EQ(compare(f, 3, NULL, 0, &v), 0);
    CHECK_EQ(v.n_differ, 1);
    CHECK_EQ(v.n_witnesses, 1);
    CHECK_STR(v.witnesses[0].partition, "orders-0");
    CHECK_EQ(v.witnesses[0].offset, 14);
    CHECK_EQ(v.witnesses[0].limit, 2 * COMMITTED);
    char *text = replicas_witness_text(&v.witnesses[0]);
    CHECK(strstr(text, "differ from offset 14 on") != NULL);
    mem_free(text);
    replicas_verdict_deinit(&v);
    mem_free(path);
    close_all(f, 3);
}

static void a_replica_that_ends_too_early_is_found(void)
{
    struct fixture f[2];
    struct replicas_verdict v;
    struct replicas_end end = {.topic = "orders", .partition = 0, .end = 2 * (COMMITTED - 1)};

    make_replica(&f[0], BATCHES, COMMITTED, 1 << 20);
    make_replica(&f[1], COMMITTED - 1, COMMITTED - 5, 1 << 20);
    CHECK_EQ(compare(f, 2, NULL, 0, &v), 0);
    CHECK_EQ(v.n_differ, 1);
    CHECK(v.witnesses[0].other == NULL);
    CHECK_EQ(v.witnesses[0].offset, 2 * (COMMITTED - 1));
    replicas_verdict_deinit(&v);
    CHECK_EQ(compare(f, 2, &end, 1, &v), 0); /* no more was committed */
    CHECK_EQ(v.n_compared, 1);
    CHECK_EQ(v.n_differ, 0);
    replicas_verdict_deinit(&v);
    end.topic = "others";
    CHECK_EQ(compare(f, 2, &end, 1, &v), 0);
    CHECK_EQ(v.n_compared, 0);
    replicas_verdict_deinit(&v);
    close_all(f, 2);
}

static void one_replica_and_no_log_are_told(void)
{
    struct fixture f[1];
    struct replicas_verdict v;
    const char *dirs[] = {"/nowhere/at/all"};
    char why[256] = "";

    make_replica(&f[0], BATCHES, COMMITTED, 1 << 20);
    CHECK_EQ(compare(f, 1, NULL, 0, &v), 0);
    CHECK_EQ(v.n_compared, 0);
    CHECK_EQ(v.n_alone, 1);
    replicas_verdict_deinit(&v);
    CHECK_EQ(replicas_compare(&file_io_posix, dirs, 1, NULL, 0, &v, why, sizeof(why)),
            REPLICAS_E_NOT_A_LOG);
    CHECK(strstr(why, "meta.properties") != NULL);
    close_all(f, 1);
}

static const struct check_case cases[] = {
        CASE(same_bytes_in_other_segments_are_the_same),
        CASE(another_byte_is_found),
        CASE(a_replica_that_ends_too_early_is_found),
        CASE(one_replica_and_no_log_are_told),
};

CHECK_MAIN("replicas", cases)
