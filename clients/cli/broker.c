/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One broker: its log directories and what lies in them. */

enum {
    SIZE_TEXT = 32
};

/* "-" where only the broker knows, and it does not tell. */
static const char *size_of(const json_t *o, const char *key, char text[SIZE_TEXT])
{
    int64_t bytes = jint(o, key, -1);

    return bytes >= 0 ? cli_size_text((uint64_t)bytes, text, SIZE_TEXT) : "-";
}

static void print_dirs(const json_t *dirs)
{
    static const char *const heads[] = {
            "DIRECTORY", "STATE", "TOTAL", "FREE", "TOPICS", "TRASH"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *d;

    json_array_foreach(dirs, i, d)
    {
        char total[SIZE_TEXT], free_text[SIZE_TEXT], topics[SIZE_TEXT], trash[SIZE_TEXT];
        cli_table_add(t,
                (const char *const[]){jstr(d, "path", "?"), jstr(d, "state", "?"),
                        size_of(d, "total_bytes", total), size_of(d, "free_bytes", free_text),
                        size_of(d, "topics_bytes", topics), size_of(d, "trash_bytes", trash)});
    }
    cli_table_print_free(t);
}

static void print_topics(const json_t *dirs)
{
    static const char *const heads[] = {"TOPIC", "PARTITIONS", "BYTES", "DIRECTORY"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i, k;
    json_t *d, *topic;

    json_array_foreach(dirs, i, d)
    {
        json_array_foreach(json_object_get(d, "topics"), k, topic)
        {
            char size[SIZE_TEXT];
            char *partitions = mem_format("%" PRId64, jint(topic, "partitions", 0));
            cli_table_add(t,
                    (const char *const[]){jstr(topic, "name", jstr(topic, "topic_id", "?")),
                            partitions, size_of(topic, "bytes", size), jstr(d, "path", "?")});
            mem_free(partitions);
        }
    }
    cli_table_print_free(t);
}

static void print_broker(const json_t *b)
{
    const json_t *endpoint = json_array_get(json_object_get(b, "endpoints"), 0);
    const json_t *dirs = json_object_get(b, "dirs");
    const char *problem = jstr(b, "problem", NULL);

    const char *intent = jstr(b, "intent", "none");
    bool is_wanted = strcmp(intent, "none") == 0;

    printf("broker %" PRId64 "  %s%s%s  %s:%" PRId64 "  rack %s  version %s  leaders %" PRId64
           "  replicas %" PRId64 "\n\n",
            jint(b, "id", -1), jstr(b, "state", "?"), is_wanted ? "" : ", ",
            is_wanted ? "" : intent, jstr(endpoint, "host", "?"), jint(endpoint, "port", 0),
            jstr(b, "rack", "-"), jstr(b, "version", "-"), jint(b, "leaders", 0),
            jint(b, "replicas", 0));
    if (json_is_array(dirs)) {
        print_dirs(dirs);
        printf("\n");
        print_topics(dirs);
    } else {
        cli_note("The broker is not connected, so what its directories hold is not known.");
    }
    if (problem != NULL) {
        cli_note("%s", problem);
    }
}

static int broker_describe(struct cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &id, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(id);
    char *path = mem_format("/v1/brokers/%s", escaped);
    json_t *broker = cli_get_one(cli, path, &r);

    if (broker != NULL) {
        if (!cli_print_json(cli, broker, "id")) {
            print_broker(broker);
        }
        r = EXIT_DONE;
    }
    json_decref(broker);
    mem_free(path);
    mem_free(escaped);
    return r;
}

const struct cli_command cli_broker_describe = {
        .noun = "broker",
        .verb = "describe",
        .summary = "a broker's log directories, and the bytes of each topic in them",
        .usage = "N",
        .details = "",
        .examples = "  weir broker describe 1\n"
                    "  weir broker describe 1 -O json | jq '.dirs[].topics'\n",
        .run = broker_describe,
};

/* --- stop-check ----------------------------------------------------------------------------------------------------- */

static void print_risks(const json_t *answer)
{
    size_t i, k;
    json_t *risk, *p;

    if (json_is_true(json_object_get(answer, "safe"))) {
        printf("broker %" PRId64 " may be stopped\n", jint(answer, "broker", -1));
        return;
    }
    printf("broker %" PRId64 " should not be stopped now\n", jint(answer, "broker", -1));
    json_array_foreach(json_object_get(answer, "risks"), i, risk)
    {
        int64_t count = jint(risk, "count", 0);
        printf("  %" PRId64 " partition%s %s; %s\n   ", count, count == 1 ? "" : "s",
                jstr(risk, "kind", "?"), jstr(risk, "text", ""));
        json_array_foreach(json_object_get(risk, "partitions"), k, p)
        {
            printf(" %s/%" PRId64, jstr(p, "topic", "?"), jint(p, "partition", -1));
        }
        printf("%s\n", (size_t)count > json_array_size(json_object_get(risk, "partitions"))
                                ? " …"
                                : "");
    }
}

static int broker_stop_check(struct cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &id, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(id);
    char *path = mem_format("/v1/brokers/%s/stop-check", escaped);
    json_t *answer = cli_get_one(cli, path, &r);

    if (answer != NULL) {
        if (!cli_print_json(cli, answer, "broker")) {
            print_risks(answer);
        }
        r = json_is_true(json_object_get(answer, "safe")) ? EXIT_DONE : EXIT_UNHEALTHY;
    }
    json_decref(answer);
    mem_free(escaped);
    mem_free(path);
    return r;
}

const struct cli_command cli_broker_stop_check = {
        .noun = "broker",
        .verb = "stop-check",
        .summary = "whether the cluster can do without a broker now",
        .usage = "N",
        .details = "Exits with 10 when partitions would be offline or refuse acks=all meanwhile.",
        .examples = "  weir broker stop-check 1 && systemctl restart weir-broker\n",
        .run = broker_stop_check,
};
