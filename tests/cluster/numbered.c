/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cluster/numbered.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <string.h>
#include <time.h>

enum {
    PRODUCER = 5
};

wall_ms numbered_time(int32_t number)
{
    static wall_ms began;

    began = began == 0 ? (wall_ms)(time(NULL) - 3600) * 1000 : began;
    return began + number * 1000;
}

void create_numbered(struct world *w, uint8_t topic, const char *name)
{
    create_topic(w, topic, name, 1, "segment.bytes", "1048576");
}

struct msg_produce_result put_numbered(struct world *w, uint8_t topic, int32_t number)
{
    struct batch_build_options o = {.producer_id = PRODUCER, .base_sequence = number};
    uint8_t *value = mem_alloc(NUMBERED_SIZE);
    struct record rec = {.timestamp = numbered_time(number), .value = {value, NUMBERED_SIZE}};
    struct batch_builder bb = {0};
    struct buf batch = {0};

    memcpy(value, &number, sizeof(number));
    batch_builder_add(&bb, &rec, NULL);
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &batch);
    struct msg_produce_result result = produce_bytes(w, topic, -1, &batch);
    CHECK(result.error != ERRCODE_NONE || result.base_offset == number);
    batch_builder_deinit(&bb);
    buf_deinit(&batch);
    mem_free(value);
    return result;
}

static offset64 check_record(const struct batch *b, offset64 offset)
{
    struct record_iter it;
    struct record rec;
    int32_t number = -1;

    CHECK(batch_crc_is_right(b));
    CHECK_EQ(b->base_offset, offset);
    record_iter_init(&it, b, b->bytes + BATCH_HEADER_SIZE, b->size - BATCH_HEADER_SIZE);
    CHECK_EQ(record_iter_next(&it, &rec), 0);
    CHECK_EQ(rec.value.size, NUMBERED_SIZE);
    memcpy(&number, rec.value.at, sizeof(number));
    CHECK_EQ(number, offset);
    return batch_last_offset(b) + 1;
}

offset64 read_numbered(struct world *w, uint8_t topic, offset64 from, int *ret_error)
{
    offset64 at = from;
    bool is_over = false;

    while (!is_over) {
        struct reply r;

        call(w, w->client, API_FETCH, fetch_out(topic, at, 0, 1, EPOCH_NONE), &r);
        struct msg_fetch_result f = fetched(&r);
        is_over = f.error != ERRCODE_NONE || f.records.size == 0;
        *ret_error = f.error;
        for (struct bytes left = f.records; left.size > 0;) {
            struct batch b;

            CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
            at = check_record(&b, at);
            left.at += b.size;
            left.size -= b.size;
        }
        reply_free(&r);
    }
    return at;
}

void start_again(struct world *w)
{
    w->client = w->controller = NULL;
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
}
