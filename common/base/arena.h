/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Memory that is released all at once, with a ceiling. Used for decoded messages, whose size a peer chooses.
 * Owner: one thread at a time. */
struct arena {
    struct arena_block *blocks;
    size_t used;    /* bytes handed out, rounded up */
    size_t ceiling; /* 0 = none */
};

void arena_init(struct arena *a, size_t ceiling);
void arena_deinit(struct arena *a);
/* Zeroed, aligned to 16; NULL above the ceiling or when memory is exhausted. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_dup(struct arena *a, const void *p, size_t size);
