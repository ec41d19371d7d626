/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/err.h"

#include "common/base/must.h"

#include <stdio.h>
#include <string.h>

struct err_frame {
    const char *file;
    const char *func;
    int line;
};

enum {
    ERR_FRAMES = 8
};

static _Thread_local struct {
    struct err_frame frames[ERR_FRAMES];
    unsigned n;
    int r;
} trail;

int err_note(int r, int is_origin, const char *file, int line, const char *func)
{
    must(r < 0);
    if (is_origin) {
        trail.n = 0;
    }
    trail.r = r;
    if (trail.n < ERR_FRAMES) {
        trail.frames[trail.n++] = (struct err_frame){.file = file, .func = func, .line = line};
    }
    return r;
}

const char *err_trail(char *text, unsigned long text_size)
{
    size_t at = 0;

    must(text_size > 0);
    text[0] = '\0';
    for (unsigned i = 0; i < trail.n && at < text_size; i++) {
        const struct err_frame *f = &trail.frames[i];
        const char *base = strrchr(f->file, '/');
        int wrote = snprintf(text + at, text_size - at, "%s%s:%d %s", i == 0 ? "" : " <- ",
                base != NULL ? base + 1 : f->file, f->line, f->func);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    if (trail.n > 0 && at < text_size) {
        (void)snprintf(text + at, text_size - at, " %d (%s)", trail.r, strerror(-trail.r));
    }
    return text;
}
