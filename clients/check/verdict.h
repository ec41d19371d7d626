/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/check/judge.h"

#include <jansson.h>
#include <stdio.h>

/* A verdict in words and as JSON. Thread: one. */

/* A line a property: ok, violated, not judged; under a violation its first witnesses. */
void verdict_print(FILE *out, const struct history *h, const struct judge_verdict *v);
/* {"verdict": "ok"|"violated", "properties": [{"id", "name", "verdict", "n", "witnesses": […]}, …],
 * and the counts}. */
json_t *verdict_json(const struct history *h, const struct judge_verdict *v);
/* "not judged: the history has no final read"; NULL when it was judged. */
const char *verdict_why_not(enum judge_property p, const struct judge_verdict *v);
