/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What cores tell about their decisions: a log line in production, a line of the story in a test.
 * A core holds a `const struct trace *`, which may be NULL. `text` is one line without newline, borrowed. */
struct trace {
    void (*line)(void *ctx, const char *text);
    void *ctx;
};

void trace_emit(const struct trace *t, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
