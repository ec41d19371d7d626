/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/wire/messages.h"
#include "tests/lib/check.h"
#include "tests/unit/wire/sample.h"

#include "proto/state.pb-c.h"

#include <string.h>

static int decode(const struct buf *b, struct arena *a, struct msg_record_list *ret)
{
    return wire_decode_record_list((struct bytes){b->data, b->size}, a, ret);
}

static void records_one_after_the_other_are_a_record_list(void)
{
    struct buf b = {0};

    for (int kind = META_NEW_CONTROLLER; kind <= META_KINDS; kind++) {
        struct meta_record r = sample_record((enum meta_kind)kind);
        wire_append_record(&r, &b);
    }
    Weir__V1__RecordList *pb = weir__v1__record_list__unpack(NULL, b.size, b.data);
    CHECK(pb != NULL);
    CHECK_EQ(pb->n_records, META_KINDS);
    CHECK_EQ(pb->records[0]->kind_case, WEIR__V1__RECORD__KIND_NEW_CONTROLLER);
    for (size_t i = 0; i < pb->n_records; i++) {
        CHECK_EQ(pb->records[i]->kind_case, pb->records[0]->kind_case + i);
        sample_check(&pb->records[i]->base);
    }
    weir__v1__record_list__free_unpacked(pb, NULL);
    buf_deinit(&b);
}

static void every_kind_comes_back(void)
{
    for (int kind = META_NEW_CONTROLLER; kind <= META_KINDS; kind++) {
        struct meta_record r = sample_record((enum meta_kind)kind);
        struct msg_record_list ret;
        struct buf b = {0};
        struct buf again = {0};
        struct arena a;
        wire_append_record(&r, &b);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(decode(&b, &a, &ret), 0);
        CHECK_EQ(ret.n_records, 1);
        CHECK_EQ(ret.records[0].kind, kind);
        CHECK(ret.records[0].seq == r.seq);
        CHECK_EQ(ret.records[0].at, r.at);
        CHECK_EQ(ret.records[0].why.cause, r.why.cause);
        CHECK_STR(ret.records[0].why.actor, r.why.actor);
        CHECK_STR(ret.records[0].why.reason, r.why.reason);
        CHECK_STR(ret.records[0].why.inputs, r.why.inputs);
        wire_encode_record_list(&ret, &again);
        CHECK_EQ(again.size, b.size);
        CHECK_MEM(again.data, b.data, b.size);
        arena_deinit(&a);
        buf_deinit(&b);
        buf_deinit(&again);
    }
}

static void a_partition_record_comes_back_field_by_field(void)
{
    struct meta_record r = {
            .seq = 1,
            .kind = META_PARTITION_STATE,
            .partition = {.partition = 99999,
                    .replicas = {3, {3, 1, 2}},
                    .isr = {1, {2}},
                    .leader = BROKER_NONE,
                    .leader_epoch = INT32_MAX,
                    .min_isr = 2,
                    .unclean_epoch = EPOCH_NONE},
    };
    struct msg_record_list ret;
    struct buf b = {0};
    struct arena a;

    r.partition.topic_id.bytes[0] = 7;
    wire_append_record(&r, &b);
    arena_init(&a, 0);
    CHECK_EQ(decode(&b, &a, &ret), 0);
    const struct partition_state *p = &ret.records[0].partition;
    CHECK(uuid_equal(&p->topic_id, &r.partition.topic_id));
    CHECK_EQ(p->partition, 99999);
    CHECK_EQ(p->replicas.n, 3);
    CHECK_EQ(p->replicas.at[0], 3);
    CHECK_EQ(p->replicas.at[2], 2);
    CHECK_EQ(p->isr.n, 1);
    CHECK_EQ(p->isr.at[0], 2);
    CHECK_EQ(p->adding.n + p->removing.n + p->elr.n + p->lk.n, 0);
    CHECK_EQ(p->leader, BROKER_NONE);
    CHECK_EQ(p->leader_epoch, INT32_MAX);
    CHECK_EQ(p->partition_epoch, 0);
    CHECK_EQ(p->min_isr, 2);
    CHECK(!p->recovering);
    CHECK_EQ(p->unclean_epoch, EPOCH_NONE);
    arena_deinit(&a);
    buf_deinit(&b);
}

static void a_config_that_is_taken_back_differs_from_an_empty_one(void)
{
    static const struct meta_config_pair configs[] = {{"a", NULL}, {"b", ""}, {"c", "1"}};
    struct meta_record r = {
            .kind = META_CONFIG_SET,
            .config_set = {.scope = CONFIG_TOPIC, .configs = configs, .n_configs = 3},
    };
    struct msg_record_list ret;
    struct buf b = {0};
    struct arena a;

    wire_append_record(&r, &b);
    arena_init(&a, 0);
    CHECK_EQ(decode(&b, &a, &ret), 0);
    CHECK_EQ(ret.records[0].config_set.n_configs, 3);
    CHECK(ret.records[0].config_set.configs[0].value == NULL);
    CHECK_STR(ret.records[0].config_set.configs[1].value, "");
    CHECK_STR(ret.records[0].config_set.configs[2].value, "1");
    arena_deinit(&a);
    buf_deinit(&b);
}

static void a_record_of_an_unknown_kind_has_kind_zero(void)
{
    /* seq = 5 and a kind of field number 100 */
    static const uint8_t bytes[] = {0x0a, 7, 0x08, 5, 0xa2, 0x06, 2, 0x08, 1};
    struct msg_record_list ret;
    struct arena a;

    arena_init(&a, 0);
    CHECK_EQ(wire_decode_record_list((struct bytes){bytes, sizeof(bytes)}, &a, &ret), 0);
    CHECK_EQ(ret.n_records, 1);
    CHECK_EQ(ret.records[0].seq, 5);
    CHECK_EQ((int)ret.records[0].kind, 0);
    arena_deinit(&a);
}

static void records_that_cannot_be_are_refused(void)
{
    static const struct {
        const char *why, *bytes;
        size_t size;
    } rows[] = {
            {"two kinds", "\x0a\x06\x82\x01\x00\x92\x01\x00", 8},
            {"one kind twice", "\x0a\x06\x9a\x01\x00\x9a\x01\x00", 8},
            {"nine replicas", "\x0a\x0e\xc2\x01\x0b\x1a\x09\x02\x02\x02\x02\x02\x02\x02\x02\x02",
                    16},
            {"nine in the last known, not packed",
                    "\x0a\x15\xc2\x01\x12"
                    "\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02",
                    23},
            {"scope 0", "\x0a\x03\xca\x01\x00", 5},
            {"scope 4", "\x0a\x05\xca\x01\x02\x08\x04", 7},
            {"crash kind 0", "\x0a\x03\x8a\x01\x00", 5},
            {"topic id of 3 bytes",
                    "\x0a\x08\xba\x01\x05\x0a\x03"
                    "abc",
                    10},
            {"negative count", "\x0a\x09\xd2\x01\x06\x20\xff\xff\xff\xff\x0f", 11},
            {"intent 4", "\x0a\x05\xf2\x01\x02\x10\x04", 7},
            {"operation of no kind", "\x0a\x07\x82\x02\x04\x08\x01\x18\x01", 9},
            {"operation of state 5", "\x0a\x09\x82\x02\x06\x08\x01\x10\x01\x18\x05", 11},
            {"name with NUL", "\x0a\x06\xda\x01\x03\x0a\x01\x00", 8},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct msg_record_list ret;
        struct arena a;
        arena_init(&a, 0);
        int r = wire_decode_record_list(
                (struct bytes){(const uint8_t *)rows[i].bytes, rows[i].size}, &a, &ret);
        arena_deinit(&a);
        check_count();
        if (r != WIRE_E_FORM) {
            check_fail(__FILE__, __LINE__, "%s: %d", rows[i].why, r);
        }
    }
}

/* The smallest legal record of each kind, so often that the list is near its limit. */
static void lists_of_small_records_fit_under_the_ceiling(void)
{
    for (int kind = META_NEW_CONTROLLER; kind <= META_KINDS; kind++) {
        struct meta_record r = {.seq = 1,
                .at = 1800000000000,
                .why = {.cause = CAUSE_ADMIN},
                .kind = (enum meta_kind)kind};
        struct msg_record_list ret;
        struct buf b = {0};
        struct arena a;
        if (kind == META_REGISTER_BROKER) {
            r.register_broker.crash_kind = CRASH_CLEAN;
        } else if (kind == META_CONFIG_SET) {
            r.config_set.scope = CONFIG_CLUSTER;
        } else if (kind >= META_BROKER_PURGED && kind <= META_BROKER_SHUTDOWN) {
            r.broker.epoch = 1000;
        } else if (kind == META_OPERATION) {
            r.operation.kind = OPERATION_DRAIN;
            r.operation.state = OPERATION_DONE;
        }
        size_t n = 0;
        for (; b.size < 512 * 1024; n++) {
            wire_append_record(&r, &b);
        }
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(decode(&b, &a, &ret), 0);
        CHECK_EQ(ret.n_records, n);
        arena_deinit(&a);
        buf_deinit(&b);
    }
}

/* Each record costs the same wherever it stands; a quadratic encoder would not end this case. */
static void a_hundred_thousand_records_are_encoded_and_decoded(void)
{
    enum {
        N = 100000
    };
    struct meta_record r = {
            .why = {.cause = CAUSE_ADMIN},
            .kind = META_PARTITION_STATE,
            .partition = {.replicas = {3, {1, 2, 3}}, .isr = {3, {1, 2, 3}}, .leader = 1},
    };
    struct msg_record_list ret;
    struct buf b = {0};
    struct arena a;

    r.partition.topic_id.bytes[0] = 1;
    for (int32_t i = 0; i < N; i++) {
        r.seq = (uint64_t)i + 1;
        r.partition.partition = i;
        wire_append_record(&r, &b);
    }
    arena_init(&a, b.size * WIRE_ARENA_FACTOR);
    CHECK_EQ(decode(&b, &a, &ret), 0);
    CHECK_EQ(ret.n_records, N);
    CHECK_EQ(ret.records[N - 1].seq, N);
    CHECK_EQ(ret.records[N - 1].partition.partition, N - 1);
    arena_deinit(&a);
    buf_deinit(&b);
}

static const struct check_case cases[] = {
        CASE(records_one_after_the_other_are_a_record_list),
        CASE(every_kind_comes_back),
        CASE(a_partition_record_comes_back_field_by_field),
        CASE(a_config_that_is_taken_back_differs_from_an_empty_one),
        CASE(a_record_of_an_unknown_kind_has_kind_zero),
        CASE(records_that_cannot_be_are_refused),
        CASE(lists_of_small_records_fit_under_the_ceiling),
        CASE(a_hundred_thousand_records_are_encoded_and_decoded),
};

CHECK_MAIN("records", cases)
