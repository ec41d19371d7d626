/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/net/resolve.h"
#include "controller/core/succession.h"

/* Asks standbys, each at its own HTTP address, whom they reach: GET /v1/brokers:reach. [ZK-26] Thread: control. */
struct survey;

struct survey_target {
    int32_t id;
    const char *url; /* copied */
};

struct survey_answer {
    struct succession_standby standby;
    char detail[200]; /* why it is not ready; "" = it is */
};

/* Reads an answer's body: "ready", "detail" and how many are in "reached". What is not of that form is not ready. `id` is
 * the caller's to set. */
void survey_read(struct bytes body, struct survey_answer *ret);

/* `fn` runs once, never inside this call, when all answered or two seconds are over; `answers` are in the order of
 * `targets`, borrowed. */
struct survey *survey_start(struct loop *loop,
        struct resolver *resolver,
        const struct survey_target *targets,
        size_t n,
        void (*fn)(void *ctx, const struct survey_answer *answers, size_t n),
        void *ctx);
/* Before `fn` ran; it will then not run. Takes NULL. */
struct survey *survey_cancel(struct survey *s);
