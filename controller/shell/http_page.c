/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_call.h"

#include <inttypes.h>
#include <stdio.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- Tokens --------------------------------------------------------------------------------------------------------- */

static char *token_encode(char kind, const char *key)
{
    struct buf text = {0};
    uint32_t bits = (uint8_t)kind;
    unsigned n_bits = 8;

    for (const char *at = key;; at++) {
        while (n_bits >= 6) {
            n_bits -= 6;
            buf_u8(&text, (uint8_t)alphabet[(bits >> n_bits) & 63]);
        }
        if (*at == '\0') {
            break;
        }
        bits = (bits << 8 | (uint8_t)*at) & 0xffff;
        n_bits += 8;
    }
    if (n_bits > 0) {
        buf_u8(&text, (uint8_t)alphabet[(bits << (6 - n_bits)) & 63]);
    }
    char *token = mem_strdup(buf_str(&text));
    buf_deinit(&text);
    return token;
}

/* The key, or false for a token that this kind of list never gave. */
static bool token_decode(char kind, const char *token, char *ret, size_t ret_size)
{
    char text[256 + 1];
    size_t size = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;

    for (const char *at = token; *at != '\0'; at++) {
        const char *digit = strchr(alphabet, *at);
        if (digit == NULL || size >= sizeof(text) - 1) {
            return false;
        }
        bits = (bits << 6 | (uint32_t)(digit - alphabet)) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            text[size++] = (char)((bits >> n_bits) & 0xff);
        }
    }
    text[size] = '\0';
    if (size < 2 || text[0] != kind || strlen(text) != size || size > ret_size) {
        return false;
    }
    memcpy(ret, text + 1, size);
    /* One text a key: what is accepted is what was given. */
    char *again = token_encode(kind, ret);
    bool is_same = strcmp(again, token) == 0;
    mem_free(again);
    return is_same;
}

/* --- Pages ---------------------------------------------------------------------------------------------------------- */

static bool is_number_kind(char kind)
{
    return kind != 't' && kind != 'd' && kind != 'x' && kind != 'r' && kind != 'm';
}

/* Operations are numbered like decisions. */
static int64_t number_max(char kind)
{
    return kind == 'o' ? INT64_MAX - 1 : INT32_MAX;
}

bool http_page_begin(
        struct http_page *p, char kind, const struct http_call *c, struct http_answer *a)
{
    const char *size_text = http_call_param(c, "page_size");
    const char *token = http_call_param(c, "page_token");
    int64_t size = 100;
    int64_t number = 0;
    char shown[HTTP_SHOWN_SIZE];

    memset(p, 0, sizeof(*p));
    p->kind = kind;
    if (size_text != NULL && !http_parse_i64(size_text, 1, 1000, &size)) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "Leave it out for 100.",
                "page_size must be a number from 1 to 1000, not '%s'",
                http_shown(size_text, shown));
        return false;
    }
    p->size = (size_t)size;
    if (token != NULL) {
        p->has_after = token_decode(kind, token, p->after, sizeof(p->after));
        if (p->has_after && is_number_kind(kind)) {
            p->has_after = http_parse_i64(p->after, 0, number_max(kind), &number);
        }
        if (!p->has_after) {
            http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL,
                    "Start again without page_token, and give next_page_token as it was answered.",
                    "page_token '%s' is none that this list gave", http_shown(token, shown));
            return false;
        }
    }
    p->items = json_array();
    must(p->items != NULL);
    return true;
}

int64_t http_page_after_number(const struct http_page *p)
{
    int64_t number = -1;

    must(is_number_kind(p->kind));
    must(!p->has_after || http_parse_i64(p->after, 0, number_max(p->kind), &number));
    return number;
}

bool http_page_is_full(const struct http_page *p)
{
    return json_array_size(p->items) >= p->size;
}

void http_page_add(struct http_page *p, json_t *item)
{
    must(!http_page_is_full(p));
    must(json_array_append_new(p->items, item) == 0);
}

void http_page_more(struct http_page *p, const char *last)
{
    must(p->next == NULL);
    p->next = token_encode(p->kind, last);
}

void http_page_more_number(struct http_page *p, int64_t last)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64, last);
    http_page_more(p, text);
}

void http_page_end(struct http_page *p, struct http_answer *a)
{
    http_answer_json(a, 200,
            json_pack("{s:o, s:o}", "items", p->items, "next_page_token", http_json_text(p->next)));
    p->items = NULL;
    p->next = mem_free(p->next);
}
