/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"
#include "common/wire/scan.h"

/* What the two hand-walked messages, Produce requests and Fetch answers, have in common. Thread:
 * any. */

/* Walks the message in `body`, which has a repeated message as field `list_number`. Two passes:
 * the first counts, so that a list costs one allocation of exactly its size; the second calls
 * `take` for each item and `other` (may be NULL) for each other field. Both give false to refuse;
 * an item is preset to zeros. */
struct walk {
    uint32_t list_number;
    size_t item_size;
    bool (*take)(struct bytes message, struct arena *a, void *item, int *ret_error);
    bool (*other)(const struct scan_field *f, void *ctx);
    void *ctx;
};

/* > 0: WIRE_E_FORM, WIRE_E_MEMORY. */
MUST_CHECK int walk_list(
        const struct walk *w, struct bytes body, struct arena *a, void **ret_items, size_t *ret_n);

/* Fields of one item. False = refused. */
bool walk_uuid(const struct scan_field *f, struct uuid *ret);
bool walk_count(const struct scan_field *f, int32_t *ret); /* uint32 that fits */
bool walk_sint32(const struct scan_field *f, int32_t *ret);
bool walk_sint64(const struct scan_field *f, int64_t *ret);
bool walk_bytes(const struct scan_field *f, struct bytes *ret);
