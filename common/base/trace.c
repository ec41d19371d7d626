/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/trace.h"

#include <stdarg.h>
#include <stdio.h>

void trace_emit(const struct trace *t, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (t == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    t->line(t->ctx, text);
}
