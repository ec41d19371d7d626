/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/inspect.h"
#include "clients/cli/cli.h"

#include <jansson.h>

/* What `weir log dump` shows of the records inside a batch. */

/* Calls `each` for the records of a batch; returns NULL, or why they cannot be read. `scratch` holds the plain form. */
const char *dump_records(const struct batch *b,
        struct buf *scratch,
        void (*each)(void *ctx, const struct batch *b, const struct record *r),
        void *ctx);
/* "commit", "abort", or "control <type>": what the record of a control batch says. Returns `text`. */
const char *dump_control_text(const struct record *r, char *text, size_t size);
json_t *dump_record_json(const struct batch *b, const struct record *r);
/* One line for a person. */
void dump_record_print(const struct batch *b, const struct record *r);
/* "2026-11-28T11:00:00.123Z", or "-" for no time. Returns `text`. */
const char *dump_time_text(wall_ms t, char *text, size_t size);
