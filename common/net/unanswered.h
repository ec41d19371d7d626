/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which of the peer's requests are not answered yet, and how many bytes they are: what the limit on
 * outstanding bytes is counted with. A peer may reuse a correlation that is still open; each use
 * counts. Zero-initialised is empty. Private to common/net. Pure. */
struct unanswered {
    struct unanswered_slot *slots;
    size_t n, cap;
    uint64_t bytes;
};

void unanswered_deinit(struct unanswered *u);
/* `size` > 0. */
void unanswered_add(struct unanswered *u, uint32_t correlation, uint32_t size);
/* What is kept for an open request of this correlation is that much more; it goes with the request. False when none is
 * open. */
bool unanswered_weigh(struct unanswered *u, uint32_t correlation, uint32_t extra);
/* False when no request of this correlation is open. */
bool unanswered_remove(struct unanswered *u, uint32_t correlation);
