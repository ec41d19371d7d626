/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <weir/weir.h>

/* Fills `error` (may be NULL) and returns `code`. `format` NULL = the code's own sentence. Thread:
 * any. */
int error_set(struct weir_error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
bool code_retriable(int code);
