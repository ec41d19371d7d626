/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stddef.h>

struct broker;
struct broker_http;

/* GET /healthz (the control loop turns), /readyz (may serve; with reasons), /metrics (OpenMetrics). Thread: control. */

/* > 0: BROKER_HTTP_E_BIND and the sentence. */
enum {
    BROKER_HTTP_E_BIND = 1
};

MUST_CHECK int broker_http_new(
        struct broker *b, struct broker_http **ret, char *error, size_t error_size);
struct broker_http *broker_http_free(struct broker_http *h); /* takes NULL */
