/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/http_target.h"

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Bytes of the UTF-8 character at `p` (NUL-terminated text), 0 when it is none: no overlong forms,
 * no surrogates, at most U+10FFFF. */
static size_t utf8_char(const uint8_t *p)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;

    if (n == 4 && (p[0] < 0xf0 || p[0] > 0xf4)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
            (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static bool is_utf8(const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p != '\0';) {
        size_t n = utf8_char(p);
        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

/* NULL when the encoding is bad. */
static char *decode(const char *text, size_t size, bool plus_is_space)
{
    char *out = mem_alloc(size + 1);
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = size - i > 2 ? hex(text[i + 1]) : -1;
            int low = size - i > 2 ? hex(text[i + 2]) : -1;
            c = (char)(high * 16 + low);
            if (high < 0 || low < 0 || c == '\0') {
                return mem_free(out);
            }
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    return is_utf8(out) ? out : mem_free(out);
}

static int add_param(struct http_target *t, const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals != NULL ? (size_t)(equals - text) : size;
    const char *value = equals != NULL ? equals + 1 : text + size;
    struct http_param *p = array_push(&t->params);

    p->name = decode(text, name_size, true);
    p->value = decode(value, size - (size_t)(value - text), true);
    return p->name != NULL && p->value != NULL ? 0 : HTTP_TARGET_E_ENCODING;
}

int http_target_parse(const char *path, const char *query, struct http_target *ret)
{
    *ret = (struct http_target){.path = decode(path, strlen(path), false)};
    if (ret->path == NULL) {
        return HTTP_TARGET_E_ENCODING;
    }
    for (const char *at = query; at != NULL;) {
        size_t size = strcspn(at, "&");
        if (size > 0) {
            int r = add_param(ret, at, size);
            if (r > 0) {
                return r;
            }
        }
        at = at[size] == '&' ? at + size + 1 : NULL;
    }
    return 0;
}

void http_target_deinit(struct http_target *t)
{
    ARRAY_FOREACH (p, &t->params) {
        mem_free(p->name);
        mem_free(p->value);
    }
    array_deinit(&t->params);
    t->path = mem_free(t->path);
}
