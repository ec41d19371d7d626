/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/ctl_state.h"

#include <stdlib.h>

/* How large partitions are, as their leaders last said. It weighs what is planned, and decides nothing alone. */

static int compare_sizes(const void *a, const void *b)
{
    const struct ctl_size *x = a, *y = b;

    return ctl_compare_refs(&x->ref, &y->ref);
}

void ctl_on_sizes(struct ctl *c)
{
    size_t n = c->ev->sizes.n;

    array_clear(&c->sizes);
    for (size_t i = 0; i < n; i++) {
        *array_push(&c->sizes) = c->ev->sizes.items[i];
    }
    if (n > 1) {
        qsort(c->sizes.items, n, sizeof(*c->sizes.items), compare_sizes);
    }
    if (c->balance.is_asking) {
        ctl_balance_on_sizes(c);
    }
}

int64_t ctl_size_of(const struct ctl *c, const struct partition_state *p)
{
    const struct ctl_size key = {.ref = {.topic_id = p->topic_id, .partition = p->partition}};
    const struct ctl_size *found =
            c->sizes.n > 0 ? bsearch(&key, c->sizes.items, c->sizes.n, sizeof(key), compare_sizes)
                           : NULL;

    return found != NULL ? found->bytes : -1;
}
