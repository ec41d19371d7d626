/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/progress.h"

#include "common/base/must.h"

enum {
    FIRST_LINE_S = 1,
    LINE_S = 5,
    WHOLE = 1000,
    /* Below these an estimate would jump about. */
    ESTIMATE_PERMILLE_MIN = 10,
    ESTIMATE_ELAPSED_MIN_S = 1
};

static int64_t part_of(int64_t a, int64_t whole)
{
    must(a >= 0 && a <= whole && whole > 0);
    /* A log directory has less than 2^53 bytes. */
    return a * WHOLE / whole;
}

/* Bytes count where there are any, else logs; what is not finished is never whole. */
static int32_t permille_of(const struct progress *p)
{
    int64_t permille = p->to_scan > 0  ? part_of(p->scanned, p->to_scan)
                       : p->n_logs > 0 ? part_of((int64_t)p->n_opened, (int64_t)p->n_logs)
                                       : WHOLE;

    return p->n_opened == p->n_logs ? WHOLE : permille == WHOLE ? WHOLE - 1 : (int32_t)permille;
}

struct progress progress_of(const struct progress_facts *dirs, size_t n, wtime elapsed)
{
    struct progress p = {.left_ms = -1};

    for (size_t i = 0; i < n; i++) {
        int64_t to_scan = dirs[i].to_scan > 0 ? dirs[i].to_scan : 0;
        /* A log under way may have more than was told. */
        p.to_scan += to_scan > dirs[i].scanned ? to_scan : dirs[i].scanned;
        p.scanned += dirs[i].scanned;
        p.n_logs += dirs[i].n_logs;
        p.n_opened += dirs[i].n_opened;
    }
    must(p.n_opened <= p.n_logs);
    p.permille = permille_of(&p);
    if (p.permille == WHOLE) {
        p.left_ms = 0;
    } else if (p.permille >= ESTIMATE_PERMILLE_MIN && elapsed >= WTIME_S(ESTIMATE_ELAPSED_MIN_S)) {
        p.left_ms = elapsed / WTIME_MS(1) * (WHOLE - p.permille) / p.permille;
    }
    return p;
}

int progress_compare_logs(const void *a, const void *b)
{
    const struct progress_log *x = a, *y = b;
    int by_size = (x->to_scan < y->to_scan) - (x->to_scan > y->to_scan);

    return by_size != 0 ? by_size : (x->index > y->index) - (x->index < y->index);
}

wtime progress_next_line(wtime began, wtime now)
{
    wtime first = wtime_add(began, WTIME_S(FIRST_LINE_S));

    return now < first ? first : wtime_add(now, WTIME_S(LINE_S));
}
