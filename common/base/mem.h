/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Memory.
 *
 * `mem_alloc` and what is built on it serve small, self-sized needs and abort on exhaustion: untested failure paths
 * are worse than a restart. Sizes that come from a peer, a file or a configuration use `mem_try_alloc` and turn its
 * NULL into back-pressure or an error answer. All memory is zeroed. Thread: any. */

#define MEM_MALLOC __attribute__((malloc, returns_nonnull))

MEM_MALLOC void *mem_alloc(size_t size);
/* Returns NULL when memory is exhausted. */
void *mem_try_alloc(size_t size) __attribute__((malloc));
/* Grows or shrinks to n items of item_size; new bytes are not zeroed. Aborts on exhaustion or overflow. */
void *mem_resize(void *p, size_t n, size_t item_size) __attribute__((returns_nonnull));
/* Like mem_resize, but returns NULL and leaves `p` valid when memory is exhausted. */
void *mem_try_resize(void *p, size_t n, size_t item_size);
MEM_MALLOC void *mem_dup(const void *p, size_t size);
MEM_MALLOC char *mem_strdup(const char *s);
MEM_MALLOC char *mem_strndup(const char *s, size_t n);
/* printf into fresh memory. */
MEM_MALLOC char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Takes NULL; always returns NULL, so that `p = mem_free(p)` leaves nothing dangling. */
void *mem_free(void *p);

#define mem_new(T)      ((T *)mem_alloc(sizeof(T)))
#define mem_new_n(T, n) ((T *)mem_alloc_n((n), sizeof(T)))
MEM_MALLOC void *mem_alloc_n(size_t n, size_t item_size);

/* Hands a pointer over: returns it and clears the variable. */
#define mem_steal(pp)                                                                              \
    ({                                                                                             \
        __typeof__(*(pp)) mem_stolen_ = *(pp);                                                     \
        *(pp) = NULL;                                                                              \
        mem_stolen_;                                                                               \
    })

/* The struct of type T whose member `m` is at `p`. */
#define container_of(p, T, m) ((T *)(void *)((char *)(p)-offsetof(T, m)))
