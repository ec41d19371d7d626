/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/base/wtime.h"

#include <stddef.h>
#include <stdint.h>

/* The admin HTTP endpoint of a controller (docs/user/http-api.md): joins the server of common/net, the resources of
 * http_resources.h and the controller. Thread: control. */
struct http_admin;
struct controller;
struct loop;

struct http_admin_options {
    const char *host;
    uint16_t port;      /* 0 = any free one */
    size_t body_max;    /* larger bodies: 413 */
    wtime idle_timeout; /* a slow or silent client is dropped; 0 = 10 s */
};

/* Serves from now on. The controller is borrowed. Negative: it cannot listen there. */
MUST_CHECK int http_admin_new(struct loop *loop,
        struct controller *controller,
        const struct http_admin_options *options,
        struct http_admin **ret);
/* Drops what is not answered yet. After controller_free(), so that no late answer finds it gone, and without a turn of
 * the loop in between. Takes NULL. */
struct http_admin *http_admin_free(struct http_admin *a);
uint16_t http_admin_port(const struct http_admin *a);
