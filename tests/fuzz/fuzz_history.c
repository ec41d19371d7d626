/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/judge.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Lines of a history; those that are refused are passed over, and the rest is judged. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    struct history h;
    struct judge_verdict v;
    char why[64];

    history_init(&h);
    history_begin_file(&h, "fuzz");
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        why[0] = '\0';
        int r = history_add_line(&h, at, (size_t)(stop - at), why, sizeof(why));
        must(r == 0 || r == HISTORY_E_REFUSED);
        must(r == 0 || why[0] != '\0');
        at = stop + 1;
    }
    judge_history(&h, &v);
    must(v.n_sent == v.n_acked + v.n_failed + v.n_unknown);
    must(v.n_unknown_seen <= v.n_unknown);
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        const struct judge_result *r = &v.results[p];
        must(r->n >= r->n_witnesses);
        for (size_t i = 0; i < r->n_witnesses; i++) {
            must(r->witnesses[i].key < h.keys.n);
            must(r->witnesses[i].value == HISTORY_NONE || r->witnesses[i].value < h.values.n);
        }
    }
    history_deinit(&h);
    return 0;
}
