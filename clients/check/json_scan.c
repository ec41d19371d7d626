/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/json_scan.h"

#include <string.h>

void json_scan_init(struct json_scan *s, const char *text, size_t size)
{
    *s = (struct json_scan){.at = text, .end = text + size};
}

void json_scan_fail(struct json_scan *s, const char *what)
{
    if (s->what == NULL) {
        s->what = what;
    }
    s->at = s->end;
}

/* The next character that is no blank, not consumed; 0 = the end. */
static char peek(struct json_scan *s)
{
    while (s->at < s->end &&
            (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')) {
        s->at++;
    }
    return s->at < s->end ? *s->at : '\0';
}

static bool take(struct json_scan *s, char c)
{
    if (peek(s) != c) {
        return false;
    }
    s->at++;
    return true;
}

static bool take_word(struct json_scan *s, const char *word)
{
    size_t size = strlen(word);

    (void)peek(s);
    if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size) != 0) {
        return false;
    }
    s->at += size;
    return true;
}

void json_scan_open(struct json_scan *s, char bracket)
{
    if (!take(s, bracket)) {
        json_scan_fail(s, bracket == '[' ? "an array" : "an object");
    }
}

bool json_scan_more(struct json_scan *s, char closing, size_t *n)
{
    if (s->what != NULL || take(s, closing)) {
        return false;
    }
    if (*n > 0 && !take(s, ',')) {
        json_scan_fail(s, "a comma or the end of a list");
        return false;
    }
    (*n)++;
    return true;
}

void json_scan_name(struct json_scan *s, const char **ret, size_t *ret_size)
{
    json_scan_text(s, ret, ret_size);
    if (!take(s, ':')) {
        json_scan_fail(s, "a colon");
    }
}

void json_scan_item(struct json_scan *s, size_t *n)
{
    if (!json_scan_more(s, ']', n)) {
        json_scan_fail(s, "another item in a list");
    }
}

void json_scan_close(struct json_scan *s, size_t *n)
{
    if (json_scan_more(s, ']', n)) {
        json_scan_fail(s, "the end of a list");
    }
}

void json_scan_text(struct json_scan *s, const char **ret, size_t *ret_size)
{
    *ret = "";
    *ret_size = 0;
    if (!take(s, '"')) {
        json_scan_fail(s, "a text");
        return;
    }
    const char *begin = s->at;
    while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= ' ') {
        s->at++;
    }
    if (s->at == s->end || *s->at != '"') {
        json_scan_fail(s, "a text without escapes, and its end");
        return;
    }
    *ret = begin;
    *ret_size = (size_t)(s->at - begin);
    s->at++;
}

int64_t json_scan_int(struct json_scan *s)
{
    bool is_negative = take(s, '-');
    uint64_t v = 0;
    int n = 0;

    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (++n > 18) { /* below 10^18, which fits */
            break;
        }
        v = v * 10 + (uint64_t)(*s->at - '0');
    }
    if (n == 0 || n > 18 || (s->at < s->end && (*s->at == '.' || *s->at == 'e' || *s->at == 'E'))) {
        json_scan_fail(s, "a whole number of at most 18 digits");
        return 0;
    }
    return is_negative ? -(int64_t)v : (int64_t)v;
}

bool json_scan_bool(struct json_scan *s)
{
    if (take_word(s, "true")) {
        return true;
    }
    if (!take_word(s, "false")) {
        json_scan_fail(s, "true or false");
    }
    return false;
}

bool json_scan_null(struct json_scan *s)
{
    return peek(s) == 'n' && take_word(s, "null");
}

static void skip_text(struct json_scan *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        s->at += *s->at == '\\' && s->at + 1 < s->end ? 1 : 0;
    }
    if (s->at == s->end) {
        json_scan_fail(s, "the end of a text");
        return;
    }
    s->at++;
}

/* A number or a word; what it says is of no interest. */
static void skip_scalar(struct json_scan *s)
{
    const char *begin = s->at;

    while (s->at < s->end && strchr(",]} \t\r\n[{:\"", *s->at) == NULL) {
        s->at++;
    }
    if (s->at == begin) {
        json_scan_fail(s, "a value");
    }
}

void json_scan_skip(struct json_scan *s)
{
    char open[JSON_SCAN_DEPTH_MAX];
    size_t depth = 0;

    do {
        char c = peek(s);
        if (c == '[' || c == '{') {
            if (depth == JSON_SCAN_DEPTH_MAX) {
                json_scan_fail(s, "a value that is not nested so deeply");
                return;
            }
            open[depth++] = c == '[' ? ']' : '}';
            s->at++;
        } else if (depth > 0 && c == open[depth - 1]) {
            depth--;
            s->at++;
        } else if (depth > 0 && (c == ',' || c == ':')) {
            s->at++;
        } else if (c == '"') {
            skip_text(s);
        } else {
            skip_scalar(s);
        }
    } while (s->what == NULL && depth > 0);
}

bool json_scan_is_over(struct json_scan *s)
{
    return peek(s) == '\0' && s->at == s->end;
}
