/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Runs a fuzz entry without libFuzzer: every file of its corpus, then mutations of them until
 * there were N or the time is up. Mutation i depends on the seed and on i alone, so `--seed S
 * --from I --count 1` repeats the one that failed; `--trace` names each before it runs. TAP on
 * stdout. */

enum {
    INPUT_SIZE_MAX = 1 << 16,
    BUDGET_MS = 2000,
    STACKED_MAX = 6
};

struct options {
    const char *corpus;
    uint64_t seed, from, count;
    bool trace;
};

typedef ARRAY(struct buf) corpus_t;

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In memory of exactly its size, so that the sanitizer sees a read one byte too far. */
static void run_one(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    must(exact != NULL);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    must(LLVMFuzzerTestOneInput(exact, size) == 0);
    free(exact);
}

static bool load_one(const char *folder, const char *name, corpus_t *corpus)
{
    char *path = mem_format("%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    struct buf bytes = {0};

    mem_free(path);
    if (file == NULL) {
        return false;
    }
    buf_reserve(&bytes, INPUT_SIZE_MAX);
    bytes.size = fread(bytes.data, 1, INPUT_SIZE_MAX, file);
    (void)fclose(file); /* only read */
    *array_push(corpus) = bytes;
    return true;
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of the names, so that a seed means the same everywhere. */
static bool load_corpus(const char *folder, corpus_t *corpus)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, no_dots, alphasort);
    bool ok = n > 0;

    for (int i = 0; i < n; i++) {
        ok = load_one(folder, names[i]->d_name, corpus) && ok;
        free(names[i]);
    }
    free(names);
    return ok;
}

/* --- Mutations -------------------------------------------------------------------------------- */

static void replace_range(struct buf *b, size_t at, size_t remove, const uint8_t *bytes, size_t n)
{
    struct buf tail = {0};

    must(at + remove <= b->size);
    buf_append(&tail, b->data + at + remove, b->size - at - remove);
    b->size = at;
    buf_append(b, bytes, n);
    buf_append(b, tail.data, tail.size);
    buf_deinit(&tail);
}

static void overwrite_number(struct buf *b, size_t at, struct prng *p)
{
    static const uint64_t numbers[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, INT32_MAX,
            0x80000000u, UINT32_MAX, INT64_MAX, UINT64_MAX};
    static const size_t widths[] = {1, 2, 4, 8};
    uint8_t bytes[8];
    size_t width = widths[prng_below(p, COUNT_OF(widths))];
    uint64_t v = numbers[prng_below(p, COUNT_OF(numbers))];

    if (prng_below(p, 2) == 0) {
        store_le64(bytes, v);
        replace_range(b, at, b->size - at < width ? b->size - at : width, bytes, width);
    } else {
        store_be64(bytes, v);
        replace_range(b, at, b->size - at < width ? b->size - at : width, bytes + 8 - width, width);
    }
}

static void mutate(struct buf *b, const corpus_t *corpus, struct prng *p)
{
    const struct buf *other = &corpus->items[prng_below(p, corpus->n)];
    size_t at = prng_below(p, b->size + 1);
    size_t left = b->size - at;
    size_t n = prng_below(p, (left < 64 ? left : 64) + 1);
    uint8_t byte = (uint8_t)prng_u64(p);

    switch (prng_below(p, 8)) {
    case 0: /* a bit */
        if (left > 0) {
            b->data[at] = (uint8_t)(b->data[at] ^ (1u << prng_below(p, 8)));
        }
        break;
    case 1: /* a byte */
        if (left > 0) {
            b->data[at] = byte;
        }
        break;
    case 2: overwrite_number(b, at, p); break;
    case 3: replace_range(b, at, n, NULL, 0); break;
    case 4: replace_range(b, at, 0, &byte, 1); break;
    case 5: { /* a piece again, elsewhere */
        uint8_t piece[64];
        if (n > 0) {
            memcpy(piece, b->data + at, n);
        }
        replace_range(b, prng_below(p, b->size + 1), 0, piece, n);
        break;
    }
    case 6: { /* the end of another one */
        size_t cut = prng_below(p, other->size + 1);
        replace_range(b, at, left, other->data + cut, other->size - cut);
        break;
    }
    default: b->size = at; break;
    }
}

static void run_mutation(uint64_t i, const corpus_t *corpus, const struct options *o)
{
    CLEANUP(buf_deinit) struct buf input = {0};
    struct prng p;

    prng_init(&p, o->seed ^ (i * 0x9e3779b97f4a7c15ULL));
    const struct buf *origin = &corpus->items[prng_below(&p, corpus->n)];
    buf_reserve(&input, origin->size + 1);
    buf_append(&input, origin->data, origin->size);
    for (uint64_t n = 1 + prng_below(&p, STACKED_MAX); n > 0; n--) {
        mutate(&input, corpus, &p);
    }
    if (o->trace) {
        (void)fprintf(stderr, "mutation %llu, %zu bytes\n", (unsigned long long)i, input.size);
    }
    run_one(input.data, input.size < INPUT_SIZE_MAX ? input.size : INPUT_SIZE_MAX);
}

static int run(const struct options *o)
{
    corpus_t corpus = {0};
    int64_t end = now_ms() + BUDGET_MS;
    uint64_t n = 0;

    if (!load_corpus(o->corpus, &corpus)) {
        printf("Bail out! no corpus in %s\n", o->corpus);
        return 1;
    }
    ARRAY_FOREACH (it, &corpus) {
        run_one(it->data, it->size);
    }
    printf("ok 1 - %zu inputs of the corpus\n", corpus.n);
    (void)fflush(stdout);
    while (n < o->count && (n % 64 != 0 || now_ms() < end)) {
        run_mutation(o->from + n, &corpus, o);
        n++;
    }
    printf("ok 2 - %llu mutations, seed %llu\n1..2\n", (unsigned long long)n,
            (unsigned long long)o->seed);
    ARRAY_FOREACH (it, &corpus) {
        buf_deinit(it);
    }
    array_deinit(&corpus);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 20260101, .count = 20000};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            o.seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
            o.from = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
            o.count = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--trace") == 0) {
            o.trace = true;
        } else {
            o.corpus = argv[i];
        }
    }
    if (o.corpus == NULL) {
        (void)fprintf(
                stderr, "usage: %s [--seed S] [--from I] [--count N] [--trace] CORPUS\n", argv[0]);
        return 2;
    }
    return run(&o);
}
