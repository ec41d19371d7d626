/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"

#include "common/base/err.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *file, int line, const char *func, const char *what)
{
    char trail[512];

    fprintf(stderr,
            "level=error module=must event=assertion_failed at=%s:%d func=%s what=\"%s\" "
            "trail=\"%s\"\n",
            file, line, func, what, err_trail(trail, sizeof(trail)));
    abort();
}
