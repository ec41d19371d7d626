/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/load_stats.h"

#include <string.h>

/* --- Durations -------------------------------------------------------------------------------- */

static size_t bucket_of(uint64_t us)
{
    if (us < 32) {
        return (size_t)us;
    }
    unsigned top = 63U - (unsigned)__builtin_clzll(us); /* at least 5 */
    return (size_t)(top - 4) * 32 + (size_t)((us >> (top - 5)) & 31);
}

static uint64_t bucket_end(size_t i)
{
    if (i < 32) {
        return i;
    }
    unsigned shift = (unsigned)(i / 32) - 1;
    return ((32 + (i % 32) + 1) << shift) - 1;
}

void load_latency_add(struct load_latency *l, uint64_t us)
{
    l->n++;
    l->buckets[bucket_of(us)]++;
    if (us > l->max) {
        l->max = us;
    }
}

uint64_t load_latency_quantile(const struct load_latency *l, unsigned thousandths)
{
    uint64_t wanted = (l->n * thousandths + 999) / 1000;
    uint64_t seen = 0;

    for (size_t i = 0; i < LOAD_N_BUCKETS && l->n > 0; i++) {
        seen += l->buckets[i];
        if (seen >= wanted) {
            return bucket_end(i) < l->max ? bucket_end(i) : l->max;
        }
    }
    return l->max;
}

/* --- Gaps ------------------------------------------------------------------------------------- */

void load_stream_sent(struct load_stream *s, int64_t now)
{
    if (s->n_waiting++ == 0) {
        s->since = now;
    }
}

void load_stream_look(
        const struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest)
{
    if (s->n_waiting > 0 && (longest->partition < 0 || now - s->since > longest->length)) {
        *longest = (struct load_gap){
                .length = now - s->since, .began = s->since, .partition = partition};
    }
}

void load_stream_acked(
        struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest)
{
    load_stream_look(s, partition, now, longest);
    s->n_waiting--;
    s->since = now;
}

void load_stream_failed(
        struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest)
{
    load_stream_look(s, partition, now, longest);
    s->n_waiting--;
}

/* --- Errors ----------------------------------------------------------------------------------- */

void load_errors_add(struct load_errors *e, const char *name)
{
    size_t i = 0;

    while (i < e->n && strcmp(e->at[i].name, name) != 0) {
        i++;
    }
    if (i == e->n && e->n < LOAD_N_ERRORS) {
        e->at[e->n++].name = name;
    }
    e->at[i < LOAD_N_ERRORS ? i : LOAD_N_ERRORS - 1].n++;
}
