/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/domain/image.h"

/* An image as text, a line a snapshot record: two images are equal when their texts are. */
void record_text(struct buf *out, const struct meta_record *r);
/* The caller frees with mem_free(). */
char *image_text(const struct image *image);
