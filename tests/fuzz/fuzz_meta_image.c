/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/crc.h"
#include "common/domain/image.h"
#include "common/wire/meta_image.h"
#include "common/wire/snapshot.h"
#include "tests/fuzz/fuzz.h"

static void load(struct bytes file)
{
    struct msg_meta_image m;
    struct image *image = NULL;
    struct arena a;

    arena_init(&a, 16 * 1024 * 1024);
    if (wire_decode_meta_image(file, &a, &m) == 0) {
        (void)wire_meta_image_broker_epoch(&m, 1);
        if (wire_load_meta_image(&m, &image) == 0) {
            must(image_check(image));
            must(image_position(image).index == m.index);
            /* What is read can be written again, and says the same. */
            struct snapshot s;
            struct buf again = {0};
            struct msg_meta_image n;
            snapshot_build(image, &s);
            wire_encode_meta_image_of(&s, &m, &again);
            must(wire_decode_meta_image((struct bytes){again.data, again.size}, &a, &n) == 0);
            must(n.index == m.index && n.log_crc64 == m.log_crc64 && n.last_seq == m.last_seq);
            snapshot_deinit(&s);
            buf_deinit(&again);
        }
        (void)image_free(image);
    }
    arena_deinit(&a);
}

/* As it is, and with a right checksum behind it, so that mutations get past that. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};

    load((struct bytes){data, size});
    buf_append(&b, data, size >= 9 ? size - 9 : size);
    buf_u8(&b, 0x49);
    buf_le64(&b, crc64(0, b.data, b.size - 1));
    load((struct bytes){b.data, b.size});
    buf_deinit(&b);
    return 0;
}
