/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"

#include "common/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_try_alloc(size_t size)
{
    return calloc(1, size > 0 ? size : 1);
}

void *mem_alloc(size_t size)
{
    void *p = mem_try_alloc(size);

    must(p != NULL);
    return p;
}

void *mem_alloc_n(size_t n, size_t item_size)
{
    size_t size = 0;

    must(!__builtin_mul_overflow(n, item_size, &size));
    return mem_alloc(size);
}

void *mem_try_resize(void *p, size_t n, size_t item_size)
{
    size_t size = 0;

    if (__builtin_mul_overflow(n, item_size, &size)) {
        return NULL;
    }
    return realloc(p, size > 0 ? size : 1);
}

void *mem_resize(void *p, size_t n, size_t item_size)
{
    void *grown = mem_try_resize(p, n, item_size);

    must(grown != NULL);
    return grown;
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);

    if (size > 0) {
        memcpy(copy, p, size);
    }
    return copy;
}

char *mem_strndup(const char *s, size_t n)
{
    size_t size = strnlen(s, n);
    char *copy = mem_alloc(size + 1);

    memcpy(copy, s, size);
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

char *mem_format(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    must(n >= 0);
    must(text != NULL);
    return text;
}

void *mem_free(void *p)
{
    free(p);
    return NULL;
}
