/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"

#include <jansson.h>
#include <weir/consumer.h>

/* Records on stdout. */

/* Whether every %x and \x of a -f format is known. */
bool print_format_is_legal(const char *format);
/* The i-th message: as JSON with -O json or jsonl, by `format` when it is not NULL, else value and newline. false: stdout
 * is closed. */
bool print_message(
        enum cli_format output, const char *format, const struct weir_batch *b, size_t i);
/* Sets member `name`: text, or null; `name_base64` instead when the bytes are not UTF-8. */
void print_set_bytes(
        json_t *o, const char *name, const char *name_base64, struct weir_bytes bytes);
