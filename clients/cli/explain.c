/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"
#include "common/base/wtime.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The decisions about a topic, a partition or a broker in words, the newest last. */

struct explain_args {
    char *topic;       /* or NULL: a broker */
    int64_t partition; /* -1 = all */
    int64_t broker;
    int64_t limit;
    const char *since;
};

/* --- What is asked for ------------------------------------------------------------------------- */

static bool read_number(const char *text, int64_t *ret)
{
    char *end = NULL;

    *ret = strtoll(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && *ret <= INT32_MAX;
}

/* Returns -1 or an exit code. */
static int read_subject(const char *const *words, int n, struct explain_args *args)
{
    static const char hint[] = "For example: weir explain orders, weir explain orders/3, "
                               "weir explain broker 2";
    const char *slash = strchr(words[0], '/');

    args->partition = args->broker = -1;
    if (n == 2) {
        return strcmp(words[0], "broker") == 0 && read_number(words[1], &args->broker)
                       ? -1
                       : cli_fail(EXIT_USAGE, hint, "`%s %s` is no broker", words[0], words[1]);
    }
    if (slash != NULL && !read_number(slash + 1, &args->partition)) {
        return cli_fail(EXIT_USAGE, hint, "`%s` is no partition", words[0]);
    }
    args->topic = slash != NULL ? mem_strndup(words[0], (size_t)(slash - words[0]))
                                : mem_strdup(words[0]);
    return -1;
}

/* "15m" before now, or a time as the API takes it; mem_free. */
static char *since_text(const char *given)
{
    int64_t ms = 0;
    char text[40];
    struct tm tm;

    if (!cli_parse_duration_ms(given, &ms)) {
        return mem_strdup(given);
    }
    time_t at = time(NULL) - (time_t)(ms / 1000);
    must(gmtime_r(&at, &tm) != NULL);
    must(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
    return mem_strdup(text);
}

static char *path_of(const struct explain_args *args, int64_t page_size, const char *token)
{
    struct buf b = {0};

    buf_append_format(&b, "/v1/decisions?page_size=%" PRId64, page_size);
    if (args->topic != NULL) {
        char *topic = url_escape(args->topic);
        buf_append_format(&b, "&topic=%s", topic);
        mem_free(topic);
    } else {
        buf_append_format(&b, "&broker=%" PRId64, args->broker);
    }
    if (args->partition >= 0) {
        buf_append_format(&b, "&partition=%" PRId64, args->partition);
    }
    if (args->since != NULL) {
        char *text = since_text(args->since), *since = url_escape(text);
        buf_append_format(&b, "&since=%s", since);
        mem_free(since);
        mem_free(text);
    }
    if (token != NULL) {
        char *escaped = url_escape(token);
        buf_append_format(&b, "&page_token=%s", escaped);
        mem_free(escaped);
    }
    char *path = mem_strdup(buf_str(&b));
    buf_deinit(&b);
    return path;
}

/* --- Asking ------------------------------------------------------------------------------------ */

/* One page behind `token`; the next token (mem_free) or NULL. False: the failure was said. */
static bool get_page(const struct cli *cli,
        const struct explain_args *args,
        json_t *items,
        char **token,
        int *ret_exit)
{
    int64_t left = args->limit - (int64_t)json_array_size(items);
    char *path = path_of(args, left < 1000 ? left : 1000, *token);
    struct http_answer a = {0};
    json_t *page = NULL;

    *token = mem_free(*token);
    cli_http(cli, "GET", path, NULL, &a);
    mem_free(path);
    if (a.status == 200 && (page = cli_answer_json(&a)) != NULL) {
        const char *next = jstr(page, "next_page_token", NULL);
        *token = next != NULL ? mem_strdup(next) : NULL;
        must(json_array_extend(items, json_object_get(page, "items")) == 0);
    } else if (a.status == 503 && json_array_size(items) > 0) {
        cli_note("Older decisions cannot be read now: the broker that holds __weir_decisions is "
                 "away.");
        page = json_null();
    } else {
        *ret_exit = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    bool is_done = page != NULL;
    json_decref(page);
    return is_done;
}

/* Newest first; NULL: the failure was said. */
static json_t *get_decisions(const struct cli *cli, const struct explain_args *args, int *ret_exit)
{
    json_t *items = json_array();
    char *token = NULL;

    do {
        if (!get_page(cli, args, items, &token, ret_exit)) {
            json_decref(items);
            return NULL;
        }
    } while (token != NULL && (int64_t)json_array_size(items) < args->limit);
    if (token != NULL) {
        cli_note("These are the newest %" PRId64 "; --limit shows more.", args->limit);
    }
    mem_free(token);
    return items;
}

static size_t count_decisions(const json_t *items)
{
    size_t i, n = 0;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        n += strcmp(jstr(item, "kind", ""), "gap") != 0;
    }
    return n;
}

/* Nothing was decided: is there such a thing? -1 or the exit code. */
static int check_subject(const struct cli *cli, const struct explain_args *args)
{
    char *escaped = args->topic != NULL ? url_escape(args->topic) : NULL;
    char *path = escaped != NULL ? mem_format("/v1/topics/%s", escaped)
                                 : mem_format("/v1/brokers/%" PRId64, args->broker);
    int code = -1;
    json_t *answer = cli_get(cli, path, &code);

    if (answer != NULL && args->partition >= jint(answer, "partitions", INT64_MAX)) {
        code = cli_fail(EXIT_NOT_FOUND, "", "topic %s has %" PRId64 " partitions, from 0",
                args->topic, jint(answer, "partitions", 0));
    }
    json_decref(answer);
    mem_free(escaped);
    mem_free(path);
    return code;
}

/* --- Printing ---------------------------------------------------------------------------------- */

/* "2026-11-20T10:00:03.120Z" as "2026-11-20 10:00:03.120", the milliseconds always there. */
static void print_time(const char *at)
{
    size_t size = strcspn(at, "Z");
    bool has_ms = size > 19 && at[19] == '.';

    if (size >= 19) {
        printf("%.10s %.*s%s", at, (int)(size - 11), at + 11, has_ms ? "" : ".000");
    } else {
        printf("%s", at);
    }
}

static void print_decisions(const json_t *items)
{
    for (size_t i = json_array_size(items); i > 0; i--) {
        const json_t *d = json_array_get(items, i - 1);
        if (strcmp(jstr(d, "kind", ""), "gap") == 0) {
            printf("(%s)\n", jstr(d, "text", ""));
            continue;
        }
        print_time(jstr(d, "at", "?"));
        printf("  seq %" PRId64 "  %s\n", jint(d, "seq", 0), jstr(d, "text", ""));
    }
}

static int explain_with(const struct cli *cli, const struct explain_args *args)
{
    int code = EXIT_DONE;
    json_t *items = get_decisions(cli, args, &code);

    if (items == NULL) {
        return code;
    }
    if (count_decisions(items) == 0) {
        code = check_subject(cli, args);
        if (code >= 0) {
            json_decref(items);
            return code;
        }
        cli_note("Nothing was decided%s.", args->since != NULL ? " since then" : "");
    }
    if (!cli_print_json(cli, items, "seq")) {
        print_decisions(items);
    }
    json_decref(items);
    return EXIT_DONE;
}

static int explain(struct cli *cli, int argc, char **argv)
{
    struct explain_args args = {.limit = 100};
    const struct cli_opt opts[] = {
            {'n', "limit", OPT_I64, &args.limit, "N", "at most so many, the newest (100)", 1,
                    1000000},
            {0, "since", OPT_STR, &args.since, "TIME",
                    "only what is younger: 15m, 2026-11-20T10:00:00Z", 0, 0},
    };
    const char *words[2] = {NULL, NULL};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, words, 1, 2);

    if (r < 0) {
        r = read_subject(words, cli_n_args(), &args);
    }
    if (r < 0) {
        r = explain_with(cli, &args);
    }
    mem_free(args.topic);
    return r;
}

const struct cli_command cli_explain = {
        .noun = "explain",
        .summary = "why a topic, a partition or a broker is as it is",
        .usage = "T[/P] | broker ID",
        .details =
                "Every decision of the controllers about it, the newest last: what, because of "
                "what, and what the decision saw.\n-O json and jsonl give the API's objects, the "
                "newest first.\n",
        .examples = "  weir explain orders\n"
                    "  weir explain orders/3 --limit 5\n"
                    "  weir explain broker 2 --since 1h\n",
        .run = explain,
};
