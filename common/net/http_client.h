/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/net/resolve.h"

/* One HTTP GET on a connection of its own, through evhttp; names are looked up off the loop. Thread: owner of the loop,
 * for everything here. */
struct http_get;

enum {
    HTTP_HOST_SIZE = 256
};

enum {
    HTTP_URL_E_FORM = 1
};

/* Host (IPv6 without brackets) and port of "http://host[:port][/path]". */
MUST_CHECK int http_url_parse(const char *url, char ret_host[HTTP_HOST_SIZE], uint16_t *ret_port);

struct http_got {
    int status;        /* 0 = no answer */
    struct bytes body; /* borrowed until the callback returns; NUL-terminated behind its end */
    const char *error; /* why there is no answer; "" = there is one */
};

/* Asks `url` for `path` (the URL's own path is in front of it). `fn` runs once, within `timeout` and never inside this
 * call; an answer of more than `body_max` bytes counts as none. */
struct http_get *http_get_start(struct loop *loop,
        struct resolver *resolver,
        const char *url,
        const char *path,
        wtime timeout,
        size_t body_max,
        void (*fn)(void *ctx, const struct http_got *got),
        void *ctx);
/* Before `fn` ran; it will then not run. Takes NULL. */
struct http_get *http_get_cancel(struct http_get *g);
