/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads JSON text in place, value by value in the order in which it stands there: no tree, no
 * memory. The first thing that does not fit sets `what` and from then on everything gives zeros;
 * the caller looks once, at the end. Thread: any. */
struct json_scan {
    const char *at, *end;
    const char *what; /* NULL = good so far; else what was expected, static */
};

enum {
    JSON_SCAN_DEPTH_MAX = 32
};

void json_scan_init(struct json_scan *s, const char *text, size_t size);
/* Notes what is wrong, once. */
void json_scan_fail(struct json_scan *s, const char *what);

/* `[` or `{`, then one call of _more() before each item and one after the last. */
void json_scan_open(struct json_scan *s, char bracket);
/* Whether another item comes; `*n` counts them from 0. Consumes the comma or the bracket. */
bool json_scan_more(struct json_scan *s, char closing, size_t *n);
/* The name of a member and its colon. */
void json_scan_name(struct json_scan *s, const char **ret, size_t *ret_size);
/* The n-th item of an array must be there. */
void json_scan_item(struct json_scan *s, size_t *n);
/* The array ends here. */
void json_scan_close(struct json_scan *s, size_t *n);

/* A string without escapes, in place. */
void json_scan_text(struct json_scan *s, const char **ret, size_t *ret_size);
int64_t json_scan_int(struct json_scan *s);
bool json_scan_bool(struct json_scan *s);
/* Consumes `null` if it stands there. */
bool json_scan_null(struct json_scan *s);
/* Any value. */
void json_scan_skip(struct json_scan *s);
/* Nothing but blanks is left. */
bool json_scan_is_over(struct json_scan *s);
