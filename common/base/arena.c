/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"

#include "common/base/mem.h"

#include <stdint.h>
#include <string.h>

enum {
    ARENA_ALIGN = 16,
    ARENA_BLOCK = 4096
};

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    _Alignas(ARENA_ALIGN) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t ceiling)
{
    *a = (struct arena){.ceiling = ceiling};
}

void arena_deinit(struct arena *a)
{
    struct arena_block *b = a->blocks;

    while (b != NULL) {
        struct arena_block *next = b->next;
        mem_free(b);
        b = next;
    }
    a->blocks = NULL;
    a->used = 0;
}

static struct arena_block *block_for(struct arena *a, size_t size)
{
    struct arena_block *b = a->blocks;

    if (b != NULL && b->cap - b->used >= size) {
        return b;
    }
    size_t cap = size > ARENA_BLOCK ? size : ARENA_BLOCK;
    b = mem_try_alloc(sizeof(*b) + cap);
    if (b == NULL) {
        return NULL;
    }
    b->cap = cap;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t want = 0;

    if (__builtin_add_overflow(size > 0 ? size : 1, ARENA_ALIGN - 1, &want)) {
        return NULL;
    }
    want &= ~(size_t)(ARENA_ALIGN - 1);
    if (a->ceiling > 0 && (want > a->ceiling || a->used > a->ceiling - want)) {
        return NULL;
    }
    struct arena_block *b = block_for(a, want);
    if (b == NULL) {
        return NULL;
    }
    b->used += want;
    a->used += want;
    return b->bytes + b->used - want;
}

void *arena_dup(struct arena *a, const void *p, size_t size)
{
    void *copy = arena_alloc(a, size);

    if (copy != NULL && size > 0) {
        memcpy(copy, p, size);
    }
    return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);

    if (copy != NULL && n > 0) {
        memcpy(copy, s, n);
    }
    return copy;
}
