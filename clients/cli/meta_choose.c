/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_newer(const struct meta_file *a, const struct meta_file *b)
{
    return a->head.index > b->head.index;
}

/* NULL, or why the two cannot both be images of one history. */
static const char *contradiction(const struct meta_file *a, const struct meta_file *b)
{
    uint64_t a_epoch = a->own_epoch, b_epoch = b->own_epoch;

    if (!uuid_equal(&a->head.cluster_id, &b->head.cluster_id)) {
        return "they are of two clusters";
    }
    if (a->head.index == b->head.index) {
        return a->head.log_crc64 == b->head.log_crc64
                       ? NULL
                       : "they have the same index and another history";
    }
    return is_newer(a, b) == (a_epoch >= b_epoch) || a_epoch == b_epoch
                   ? NULL
                   : "the one with the smaller index was written under a later controller, so "
                     "their histories parted";
}

/* Of equal ones that which has the last batch. */
static bool is_better(const struct meta_file *a, const struct meta_file *b)
{
    return is_newer(a, b) || (a->head.index == b->head.index && b->head.last_batch.size == 0 &&
                                     a->head.last_batch.size > 0);
}

int meta_choose(const struct meta_file *files, size_t n, char *error, size_t error_size)
{
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i && files[i].is_usable; k++) {
            const char *why =
                    files[k].is_usable ? contradiction(&files[i], &files[k]) : NULL;
            if (why != NULL) {
                (void)snprintf(error, error_size,
                        "%s (index %" PRIu64 ") and %s (index %" PRIu64 "): %s", files[k].path,
                        files[k].head.index, files[i].path, files[i].head.index, why);
                return -1;
            }
        }
        if (files[i].is_usable && (best < 0 || is_better(&files[i], &files[best]))) {
            best = (int)i;
        }
    }
    if (best < 0) {
        (void)snprintf(error, error_size,
                n == 0 ? "there is no image of the metadata at the paths given"
                       : "no image of the metadata can be used");
    }
    return best;
}
