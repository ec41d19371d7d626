/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/net/loop.h"

/* A small face on evhttp: requests in, answers out, limits on both. Thread: owner of the loop. */
struct http_server;
struct http_request;

struct http_limits {
    size_t body_max; /* larger bodies: 413, in evhttp's words; more than 0 */
    /* Within it a whole request must have come, counted from a connection's first byte or the end
     * of the last answer; a client that takes nothing of an answer for so long is dropped, too.
     * Time spent in `handle` does not count. */
    wtime idle_timeout;
};

/* `handle` answers every request, now or later, exactly once. It sees only requests whose path and
 * query decode; others get a 400 here, what is not HTTP gets one from evhttp. `host` "" = every
 * address of this machine. Negative: bind failed, with the trail. host may be a name or an address;
 * port 0 = any free one. */
MUST_CHECK int http_server_new(struct loop *loop,
        const char *host,
        uint16_t port,
        const struct http_limits *limits,
        void (*handle)(void *ctx, struct http_request *r),
        void *ctx,
        struct http_server **ret);
/* Requests that are not answered yet are dropped; their handles must not be used any more. */
struct http_server *http_server_free(struct http_server *s);
uint16_t http_server_port(const struct http_server *s);

/* "GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", or "" for others (whose connection closes after
 * the answer). HEAD is answered like GET: the length goes out, the body does not. */
const char *http_method(const struct http_request *r);
const char *http_path(
        const struct http_request *r); /* percent-decoded, without query; "/v1/topics/a" */
/* The decoded value of a query parameter, or NULL. */
const char *http_query(const struct http_request *r, const char *name);
/* Walks the query parameters (to refuse unknown ones). i from 0; NULL at the end. */
const char *http_query_name(const struct http_request *r, size_t i);
const char *http_query_text(const struct http_request *r); /* raw, without '?'; "" when none */
const char *http_header(const struct http_request *r, const char *name); /* or NULL */
/* Good until the answer. */
struct bytes http_body(struct http_request *r);
const char *http_peer(const struct http_request *r);    /* "127.0.0.1" */
uint64_t http_request_id(const struct http_request *r); /* unique in the process */

/* Before the answer. A value with a line break is left out. */
void http_set_header(struct http_request *r, const char *name, const char *value);
/* Answers and ends the handle. `body` is copied or, when it is a heap buffer, taken over with
 * http_reply_buf. */
void http_reply(struct http_request *r,
        int status,
        const char *content_type,
        const void *body,
        size_t size);
/* Takes b->data (b is empty afterwards); large bodies leave in 256 KiB pieces, one a turn of the
 * loop. */
void http_reply_buf(struct http_request *r, int status, const char *content_type, struct buf *b);

/* A handle that outlives a client: called when the client went away before the answer; http_reply()
 * on it is then a quiet end of the handle. */
bool http_client_is_gone(const struct http_request *r);
