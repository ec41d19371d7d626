/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/domain/image.h"

/* Which brokers gain leaderships by a batch: they are pushed to first. [ZK-47] Pure. Thread:
 * control. */
struct link_gains {
    ARRAY(broker_id) brokers;
};

void link_gains_clear(struct link_gains *g);
void link_gains_deinit(struct link_gains *g);
/* Of a record that is about to be applied to the image. */
void link_gains_note(
        struct link_gains *g, const struct image *image, const struct meta_record *record);
bool link_gains_has(const struct link_gains *g, broker_id id);
