/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/frame.h"
#include "tests/fuzz/fuzz.h"

/* A frame that splits is written again and splits into the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char detail[FRAME_DETAIL_MAX + 1];
    char detail_again[FRAME_DETAIL_MAX + 1];
    struct frame_header h;
    struct frame_header again;
    struct bytes body;
    struct bytes body_again;
    struct buf b = {0};

    int r = frame_split(data, size, detail, &h, &body);
    if (r != 0) {
        must(r == FRAME_E_LENGTH || r == FRAME_E_HEADER);
        return 0;
    }
    must(body.at + body.size == data + size);
    must(strlen(h.detail) <= FRAME_DETAIL_MAX);
    frame_begin(&b, &h, body.size);
    buf_append(&b, body.at, body.size);
    must(load_be32(b.data) == b.size - FRAME_LENGTH_SIZE);
    must(frame_split(b.data + FRAME_LENGTH_SIZE, b.size - FRAME_LENGTH_SIZE, detail_again, &again,
                 &body_again) == 0);
    must(again.api == h.api && again.correlation == h.correlation && again.error == h.error);
    must(again.throttle_ms == h.throttle_ms && again.timeout_ms == h.timeout_ms);
    must(strcmp(again.detail, h.detail) == 0);
    must(body_again.size == body.size);
    buf_deinit(&b);
    return 0;
}
