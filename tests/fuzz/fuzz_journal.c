/* SPDX-License-Identifier: Apache-2.0 */
/* What a Fetch answer brings from the journal's topic. */
#include "common/base/must.h"
#include "controller/shell/journal_record.h"
#include "tests/fuzz/fuzz.h"

static void take(void *ctx, offset64 offset, const struct journal_record *r)
{
    size_t *bytes = ctx;

    must(r->from > 0);
    must(r->to >= r->from);
    must(r->value.at != NULL);
    for (size_t i = 0; i < r->value.size; i++) {
        *bytes += r->value.at[i];
    }
}

/* The bytes as a whole answer, and, because few have a right checksum, as the records of a batch. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct batch b = {.n_records = 100, .last_offset_delta = INT32_MAX};
    struct record_iter it;
    struct record r;
    struct journal_record j;
    size_t bytes = 0;

    (void)journal_records_walk((struct bytes){data, size}, take, &bytes);
    record_iter_init(&it, &b, data, size);
    while (record_iter_next(&it, &r) == 0) {
        if (journal_record_read(&r, &j) == 0) {
            take(&bytes, r.offset, &j);
        }
    }
    return 0;
}
