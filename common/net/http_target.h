/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/err.h"

/* Path and query of a request, percent-decoded once. Private to common/net. Pure. */
struct http_param {
    char *name, *value;
};

struct http_target {
    char *path;
    ARRAY(struct http_param) params; /* in the order of the query */
};

enum {
    HTTP_TARGET_E_ENCODING = 1
}; /* a bad escape, a NUL, or text that is not UTF-8 */

/* `path` and `query` as they came, `query` may be NULL. In the query '+' is a space; a name without
 * '=' has the value "". `ret` is to be deinitialised also after HTTP_TARGET_E_ENCODING. */
MUST_CHECK int http_target_parse(const char *path, const char *query, struct http_target *ret);
void http_target_deinit(struct http_target *t);
