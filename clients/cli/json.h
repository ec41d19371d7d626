/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"
#include "common/conf/conf.h"

#include <jansson.h>

/* What the admin commands do with an answer: print the API's object unchanged, or a table made from it. */

/* GET `path`, all pages if the answer is a list. NULL: the failure was said, *ret_exit is set. */
json_t *cli_get(const struct cli *cli, const char *path, int *ret_exit);
/* GET `path` and the answer whole. NULL as above. */
json_t *cli_get_one(const struct cli *cli, const char *path, int *ret_exit);
/* Changes configuration by a JSON merge patch (config.c) and says what came of it. `name` = the
 * topic or broker. Returns the exit code. */
int cli_patch_configs(
        struct cli *cli, enum conf_target target, const char *name, const json_t *patch);
/* The answer's JSON, or NULL when it is none. */
json_t *cli_answer_json(const struct http_answer *a);
/* Prints `object` as -O asks (json, jsonl: one line an item, name: the member `name_key` of each item); false when the
 * format is a table. A list is given as its items array. */
bool cli_print_json(const struct cli *cli, const json_t *object, const char *name_key);

/* Members, with a fallback when absent, null or of another type. */
const char *jstr(const json_t *o, const char *key, const char *fallback);
int64_t jint(const json_t *o, const char *key, int64_t fallback);
/* An array of numbers as "1,2,3". mem_free. */
char *jids(const json_t *array);
/* A text for a path segment or query value, percent-encoded. mem_free. */
char *url_escape(const char *text);
