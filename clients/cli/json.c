/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_answer_json(const struct http_answer *a)
{
    json_error_t error;

    return json_loadb((const char *)a->body.data, a->body.size, JSON_DECODE_ANY, &error);
}

json_t *cli_get_one(const struct cli *cli, const char *path, int *ret_exit)
{
    struct http_answer a = {0};
    json_t *answer = NULL;

    cli_http(cli, "GET", path, NULL, &a);
    if (a.status == 200) {
        answer = cli_answer_json(&a);
        if (answer == NULL) {
            *ret_exit = cli_fail(EXIT_FAILED, "Is --controller really a Weir controller?",
                    "the answer is not JSON");
        }
    } else {
        *ret_exit = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    return answer;
}

json_t *cli_get(const struct cli *cli, const char *path, int *ret_exit)
{
    json_t *answer = cli_get_one(cli, path, ret_exit);
    json_t *items = json_object_get(answer, "items");

    if (answer == NULL || !json_is_array(items)) {
        return answer;
    }
    json_incref(items);
    const char *token = jstr(answer, "next_page_token", NULL);
    char *next = token != NULL ? mem_strdup(token) : NULL;
    json_decref(answer);
    while (next != NULL) {
        char *escaped = url_escape(next);
        char *page_path = mem_format(
                "%s%cpage_token=%s", path, strchr(path, '?') != NULL ? '&' : '?', escaped);
        json_t *page = cli_get_one(cli, page_path, ret_exit);
        mem_free(page_path);
        mem_free(escaped);
        mem_free(next);
        if (page == NULL) {
            json_decref(items);
            return NULL;
        }
        (void)json_array_extend(items, json_object_get(page, "items"));
        token = jstr(page, "next_page_token", NULL);
        next = token != NULL ? mem_strdup(token) : NULL;
        json_decref(page);
    }
    return items;
}

static void print_line(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);

    must(text != NULL);
    printf("%s\n", text);
    free(text);
}

static void print_name(const json_t *item, const char *name_key)
{
    const json_t *name = json_object_get(item, name_key);

    if (json_is_string(name)) {
        printf("%s\n", json_string_value(name));
    } else {
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(name));
    }
}

bool cli_print_json(const struct cli *cli, const json_t *object, const char *name_key)
{
    size_t i;
    json_t *item;

    switch (cli->format) {
    case FORMAT_TABLE:
    case FORMAT_WIDE: return false;
    case FORMAT_JSON: print_line(object, JSON_INDENT(2)); return true;
    case FORMAT_JSONL:
    case FORMAT_NAME: break;
    }
    if (!json_is_array(object)) {
        if (cli->format == FORMAT_NAME) {
            print_name(object, name_key);
        } else {
            print_line(object, JSON_COMPACT);
        }
        return true;
    }
    json_array_foreach(object, i, item)
    {
        if (cli->format == FORMAT_NAME) {
            print_name(item, name_key);
        } else {
            print_line(item, JSON_COMPACT);
        }
    }
    return true;
}

const char *jstr(const json_t *o, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text != NULL ? text : fallback;
}

int64_t jint(const json_t *o, const char *key, int64_t fallback)
{
    const json_t *n = json_object_get(o, key);

    return json_is_integer(n) ? (int64_t)json_integer_value(n) : fallback;
}

char *jids(const json_t *array)
{
    struct buf b = {0};
    size_t i;
    json_t *id;

    json_array_foreach(array, i, id)
    {
        buf_append_format(&b, "%s%" JSON_INTEGER_FORMAT, i > 0 ? "," : "", json_integer_value(id));
    }
    (void)buf_str(&b);
    return (char *)b.data;
}

char *url_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);

    must(escaped != NULL);
    char *ret = mem_strdup(escaped);
    curl_free(escaped);
    return ret;
}

int cli_send(struct cli *cli,
        const char *method,
        const char *path,
        const json_t *body,
        const char *name_key,
        void (*print)(const struct cli *cli, const json_t *answer),
        int64_t *ret_operation)
{
    struct http_answer a = {0};
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    int r = EXIT_DONE;

    must(body == NULL || text != NULL);
    cli_http(cli, method, path, text, &a);
    json_t *answer = cli_answer_json(&a);

    if (a.status == 200 || a.status == 202) {
        if (!cli_print_json(cli, answer, name_key)) {
            print(cli, answer);
        }
        (void)fflush(stdout); /* Before anybody waits. */
        r = jint(answer, "failed", 0) > 0 ? EXIT_PARTLY : EXIT_DONE;
        if (ret_operation != NULL) {
            *ret_operation = jint(answer, "operation", 0);
        }
    } else {
        r = cli_http_fail(&a);
    }
    json_decref(answer);
    free(text);
    http_answer_deinit(&a);
    return r;
}

void cli_print_placement(const json_t *answer)
{
    static const char *const heads[] = {"PARTITION", "LEADER", "REPLICAS", "WHY"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "partitions"), i, p)
    {
        char *number = mem_format("%" PRId64, jint(p, "partition", -1));
        char *leader = mem_format("%" PRId64, jint(p, "leader", -1));
        char *replicas = jids(json_object_get(p, "replicas"));
        cli_table_add(t, (const char *const[]){number, leader, replicas, jstr(p, "why", "")});
        mem_free(number);
        mem_free(leader);
        mem_free(replicas);
    }
    cli_table_print_free(t);
}
