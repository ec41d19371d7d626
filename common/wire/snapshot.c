/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/snapshot.h"

#include "common/base/crc.h"
#include "common/base/must.h"
#include "common/wire/messages.h"

/* [ZK-34] A chunk is closed at this size, and one more record is at most META_RECORD_MAX. */
enum {
    CHUNK_SIZE = 192 * 1024
};

_Static_assert((int)CHUNK_SIZE + (int)META_RECORD_MAX <= (int)SNAPSHOT_CHUNK_MAX,
        "a chunk has at most 256 KiB");

static void add_record(void *ctx, const struct meta_record *record)
{
    struct snapshot *s = ctx;
    struct buf *chunk = &s->chunks.items[s->chunks.n - 1];

    if (chunk->size >= CHUNK_SIZE) {
        chunk = array_push(&s->chunks);
    }
    must(record_stored_max(record) <= META_RECORD_MAX);
    wire_append_record(record, chunk);
}

void snapshot_begin(const struct image *image, struct snapshot *ret)
{
    *ret = (struct snapshot){.at = image_position(image)};
    (void)array_push(&ret->chunks);
}

bool snapshot_step(const struct image *image, struct snapshot *s, size_t n_steps)
{
    if (image_snapshot_part(image, &s->next, n_steps, add_record, s)) {
        return false;
    }
    s->bytes = s->crc = 0;
    ARRAY_FOREACH (chunk, &s->chunks) {
        s->bytes += chunk->size;
        s->crc = crc64(s->crc, chunk->data, chunk->size);
    }
    return true;
}

void snapshot_build(const struct image *image, struct snapshot *ret)
{
    snapshot_begin(image, ret);
    must(snapshot_step(image, ret, SIZE_MAX));
}

void snapshot_deinit(struct snapshot *s)
{
    ARRAY_FOREACH (chunk, &s->chunks) {
        buf_deinit(chunk);
    }
    array_deinit(&s->chunks);
}

int snapshot_apply(struct image *image, uint64_t index, struct bytes chunk)
{
    struct arena a;
    struct msg_record_list list = {0};
    int r = 0;

    arena_init(&a, wire_arena_ceiling(chunk.size));
    r = wire_decode_record_list(chunk, &a, &list) == 0 ? 0 : IMAGE_E_BROKEN;
    for (size_t i = 0; i < list.n_records && r == 0; i++) {
        r = image_apply(image, index, &list.records[i]);
    }
    arena_deinit(&a);
    if (r < 0) {
        return err_forward(r);
    }
    switch (r) {
    case 0: return 0;
    case IMAGE_E_KIND: return SNAPSHOT_E_KIND;
    case IMAGE_E_LEVEL: return SNAPSHOT_E_LEVEL;
    default: return SNAPSHOT_E_BROKEN;
    }
}
