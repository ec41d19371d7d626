/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/client.h"
#include "clients/cli/json.h"

#include "common/base/array.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* weir topic trim: offsets that a time stands for are found by asking the brokers, then the controller has it done; what
 * would go is asked from the partitions' leaders first and shown. */

struct trim {
    struct cli *cli;
    const char *topic, *before;
    int64_t partition; /* -1 = all */
    int64_t time;      /* of @TIME */
    bool is_time;
    int64_t offset; /* else; -1 = the end */
};

/* --- Where to ----------------------------------------------------------------------------------------------------- */

static bool parse_before(struct trim *t)
{
    char *end = NULL;

    if (strcmp(t->before, "end") == 0) {
        t->offset = -1;
        return true;
    }
    if (t->before[0] == '@') {
        t->is_time = true;
        return cli_parse_time(t->before + 1, &t->time);
    }
    t->offset = strtoll(t->before, &end, 10);
    return t->before[0] >= '0' && t->before[0] <= '9' && *end == '\0' && t->offset < INT64_MAX;
}

/* The offset for each of the numbers. Returns -1 or an exit code. */
static int resolve_times(const struct trim *t, const int32_t *numbers, size_t n, int64_t *ret)
{
    struct weir_offset_query *q = mem_new_n(struct weir_offset_query, n);
    struct weir_error error = {0};
    int r = -1;
    struct weir_client *client = cli_client(t->cli, (const char *const[]){NULL}, &r);

    if (client == NULL) {
        mem_free(q);
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        q[i] = (struct weir_offset_query){
                .topic = t->topic, .partition = numbers[i], .at = t->time};
    }
    if (weir_offsets_get(client, q, n, cli_weir_timeout(t->cli), &error) != 0) {
        r = cli_weir_fail(&error);
    } else {
        r = -1;
    }
    for (size_t i = 0; i < n; i++) {
        ret[i] = q[i].offset; /* -1, no record is that new: all of them go */
    }
    (void)weir_client_close(client, 0);
    mem_free(q);
    return r;
}

/* The body of the request; NULL: said, *ret_exit set. */
static json_t *make_body(const struct trim *t, int64_t n_partitions, int *ret_exit)
{
    size_t n = t->partition >= 0 ? 1 : (size_t)n_partitions;
    int32_t *numbers = mem_new_n(int32_t, n + 1);
    int64_t *offsets = mem_new_n(int64_t, n + 1);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        numbers[i] = t->partition >= 0 ? (int32_t)t->partition : (int32_t)i;
        offsets[i] = t->offset;
    }
    *ret_exit = t->is_time ? resolve_times(t, numbers, n, offsets) : -1;
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_pack("{s:i, s:I}", "partition", (int)numbers[i],
                                            "before_offset", (json_int_t)offsets[i]));
    }
    mem_free(numbers);
    mem_free(offsets);
    if (*ret_exit >= 0) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:o}", "partitions", list);
}

/* --- Asking the controller ---------------------------------------------------------------------------------------- */

/* NULL: said, *ret_exit set. */
static json_t *post(const struct trim *t, const json_t *body, bool dry_run, int *ret_exit)
{
    struct http_answer a = {0};
    char *escaped = url_escape(t->topic);
    char *path = dry_run ? mem_format("/v1/topics/%s:trim?dry_run=true", escaped)
                         : mem_format("/v1/topics/%s:trim?confirm=%s", escaped, escaped);
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *answer = NULL;

    must(text != NULL);
    cli_http(t->cli, "POST", path, text, &a);
    if (a.status == 200) {
        answer = cli_answer_json(&a);
    } else {
        *ret_exit = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    free(text);
    mem_free(path);
    mem_free(escaped);
    return answer;
}

static int64_t records_of(const json_t *p)
{
    return jint(p, "log_start_offset", 0) - jint(p, "old_log_start_offset", 0);
}

static int64_t count_records(const json_t *answer)
{
    int64_t total = 0;
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "partitions"), i, p)
    {
        total += json_object_get(p, "error") == NULL ? records_of(p) : 0;
    }
    return total;
}

static void print_answer(const json_t *answer, bool is_done)
{
    static const char *const plan[] = {"PARTITION", "START", "NEW START", "OFFSETS TO GO", "ERROR"};
    static const char *const done[] = {"PARTITION", "OLD START", "START", "OFFSETS GONE", "ERROR"};
    struct cli_table *t = cli_table_new(is_done ? done : plan, COUNT_OF(plan));
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "partitions"), i, p)
    {
        const json_t *error = json_object_get(p, "error");
        char *number = mem_format("%" PRId64, jint(p, "partition", -1));
        char *from = mem_format("%" PRId64, jint(p, "old_log_start_offset", -1));
        char *to = mem_format("%" PRId64, jint(p, "log_start_offset", -1));
        char *records = mem_format("%" PRId64, records_of(p));
        cli_table_add(t, (const char *const[]){number, error != NULL ? "-" : from,
                                 error != NULL ? "-" : to, error != NULL ? "-" : records,
                                 error != NULL ? jstr(error, "detail", "?") : "-"});
        mem_free(number);
        mem_free(from);
        mem_free(to);
        mem_free(records);
    }
    cli_table_print_free(t);
}

static int exit_of(const json_t *answer)
{
    size_t n = json_array_size(json_object_get(answer, "partitions")), n_failed = 0;
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "partitions"), i, p)
    {
        n_failed += json_object_get(p, "error") != NULL ? 1 : 0;
    }
    return n_failed == 0 ? EXIT_DONE : n_failed == n ? EXIT_FAILED : EXIT_PARTLY;
}

static int show(const struct trim *t, const json_t *answer, bool is_done)
{
    if (!cli_print_json(t->cli, answer, "name")) {
        print_answer(answer, is_done);
    }
    return exit_of(answer);
}

/* The plan is shown, and the name is asked for. */
static int ask_and_trim(const struct trim *t, const json_t *body)
{
    int r = EXIT_DONE;
    json_t *plan = t->cli->yes && !t->cli->dry_run ? NULL : post(t, body, true, &r);

    if (r != EXIT_DONE || t->cli->dry_run) {
        r = plan != NULL ? show(t, plan, false) : r;
        json_decref(plan);
        return r;
    }
    if (plan != NULL) {
        if (t->cli->format == FORMAT_TABLE || t->cli->format == FORMAT_WIDE) {
            print_answer(plan, false);
        }
        char *what = mem_format("Trimming topic %s removes %" PRId64 " offsets for good.", t->topic,
                count_records(plan));
        bool is_confirmed = cli_confirm(t->cli, what, t->topic);
        mem_free(what);
        json_decref(plan);
        if (!is_confirmed) {
            return EXIT_USAGE;
        }
    }
    json_t *answer = post(t, body, false, &r);
    if (answer != NULL) {
        r = show(t, answer, true);
    }
    json_decref(answer);
    return r;
}

static int topic_trim(struct cli *cli, int argc, char **argv)
{
    struct trim t = {.cli = cli, .partition = -1};
    const struct cli_opt opts[] = {
            {'p', "partition", OPT_I64, &t.partition, "N", "this partition alone", 0, INT32_MAX},
            {0, "before", OPT_STR, &t.before, "WHERE", "an offset, @TIME or end", 0, 0},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &t.topic, 1, 1);

    if (r >= 0) {
        return r;
    }
    if (t.before == NULL || !parse_before(&t)) {
        return cli_fail(EXIT_USAGE, "--before takes an offset, @-7d, @2026-11-20 or end",
                t.before == NULL ? "say up to where: --before%s" : "`%s` is no place in a log",
                t.before == NULL ? "" : t.before);
    }
    char *escaped = url_escape(t.topic);
    char *path = mem_format("/v1/topics/%s", escaped);
    json_t *topic = cli_get(cli, path, &r);
    mem_free(path);
    mem_free(escaped);
    if (topic == NULL) {
        return r;
    }
    json_t *body = make_body(&t, jint(topic, "partitions", 0), &r);
    json_decref(topic);
    if (body == NULL) {
        return r;
    }
    r = ask_and_trim(&t, body);
    json_decref(body);
    return r;
}

const struct cli_command cli_topic_trim = {
        .noun = "topic",
        .verb = "trim",
        .summary = "remove a topic's oldest records",
        .usage = "T [-p N] --before OFFSET|@TIME|end [-y]",
        .details = "Records below an offset, or older than a time (@-7d, @2026-11-20T10:00:00Z), "
                   "go from every partition\n"
                   "or from one, and do not come back; end takes all there are. Shows what would "
                   "go and asks for the\n"
                   "name to be typed; -y does without.\n",
        .examples = "  weir topic trim orders --before @-7d --dry-run\n"
                    "  weir topic trim orders -p 0 --before 1000 -y\n",
        .run = topic_trim,
};
