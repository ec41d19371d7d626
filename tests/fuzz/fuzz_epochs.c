/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/epoch_cache.h"
#include "tests/fuzz/fuzz.h"

/* leader-epoch-checkpoint: what is taken is written again as the same entries, which rise. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epoch_cache c = {0}, again = {0};
    struct buf text = {0};

    if (epoch_cache_parse(&c, (const char *)data, size) == 0) {
        epoch_cache_format(&c, &text);
        must(epoch_cache_parse(&again, (const char *)text.data, text.size) == 0);
        must(again.entries.n == c.entries.n);
        for (size_t i = 0; i < c.entries.n; i++) {
            const struct epoch_entry *e = &c.entries.items[i];
            must(e->epoch == again.entries.items[i].epoch);
            must(e->start == again.entries.items[i].start);
            must(e->epoch >= 0 && e->start >= 0);
            must(i == 0 || (e[-1].epoch < e->epoch && e[-1].start < e->start));
            must(epoch_cache_at(&c, e->start) == e->epoch);
        }
    } else {
        must(c.entries.n == 0);
    }
    epoch_cache_deinit(&c);
    epoch_cache_deinit(&again);
    buf_deinit(&text);
    return 0;
}
