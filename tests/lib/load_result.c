/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/load_result.h"

#include "tests/lib/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct json_t *load_result(const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    json_t *o = NULL;

    CHECK(f != NULL);
    while (o == NULL && getline(&line, &room, f) > 0) {
        o = json_loads(line, 0, NULL);
    }
    free(line);
    CHECK_EQ(fclose(f), 0);
    return o;
}
