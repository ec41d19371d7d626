/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As many placements as the controller puts into one answer. */
enum {
    PLACEMENTS_SHOWN = 1000
};

/* --- create ------------------------------------------------------------------------------------------------------- */

struct create_args {
    const char *name;
    int64_t partitions, replication_factor;
    struct cli_strings configs;
    bool if_not_exists;
};

/* Returns -1 or an exit code. */
static int create_body(const struct create_args *args, json_t **ret)
{
    json_t *body = json_pack("{s:s}", "name", args->name);
    json_t *configs = json_object();

    if (body == NULL) {
        json_decref(configs);
        return cli_fail(EXIT_USAGE, "Topic names are letters, digits, '.', '_' and '-'.",
                "the name is not legal text");
    }
    if (args->partitions > 0) {
        json_object_set_new(body, "partitions", json_integer(args->partitions));
    }
    if (args->replication_factor > 0) {
        json_object_set_new(body, "replication_factor", json_integer(args->replication_factor));
    }
    for (size_t i = 0; i < args->configs.n; i++) {
        const char *pair = args->configs.items[i];
        const char *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            json_decref(body);
            json_decref(configs);
            return cli_fail(EXIT_USAGE, "For example: -c segment.bytes=64MiB",
                    "-c takes key=value, not `%s`", pair);
        }
        char *key = mem_strndup(pair, (size_t)(equals - pair));
        json_object_set_new(configs, key, json_string(equals + 1));
        mem_free(key);
    }
    if (args->configs.n > 0) {
        json_object_set(body, "configs", configs);
    }
    json_decref(configs);
    *ret = body;
    return -1;
}

static void print_placement(const struct cli *cli, const json_t *created)
{
    cli_note("%s topic %s (%s)", cli->dry_run ? "would create" : "created",
            jstr(created, "name", "?"), jstr(created, "topic_id", "?"));
    cli_print_placement(created);
    if (json_array_size(json_object_get(created, "partitions")) == PLACEMENTS_SHOWN) {
        cli_note("Only the first %d partitions are shown; see all: weir topic describe %s",
                PLACEMENTS_SHOWN, jstr(created, "name", "?"));
    }
    if (!cli->dry_run && !json_is_true(json_object_get(created, "ready"))) {
        cli_note("Not every leader has taken it up yet; producers wait for it by themselves.");
    }
}

static int create_with(struct cli *cli, const struct create_args *args)
{
    struct http_answer a = {0};
    json_t *body = NULL;
    int r = create_body(args, &body);

    if (r >= 0) {
        return r;
    }
    char *text = json_dumps(body, JSON_COMPACT);
    must(text != NULL);
    cli_http(cli, "POST", cli->dry_run ? "/v1/topics?dry_run=true" : "/v1/topics", text, &a);
    free(text);
    json_decref(body);
    json_t *created = cli_answer_json(&a);
    if (a.status == 200 || a.status == 201) {
        if (!cli_print_json(cli, created, "name")) {
            print_placement(cli, created);
        }
        r = EXIT_DONE;
    } else if (args->if_not_exists &&
               strcmp(jstr(created, "code", ""), "TOPIC_ALREADY_EXISTS") == 0) {
        cli_note("topic %s exists", args->name);
        r = EXIT_DONE;
    } else {
        r = cli_http_fail(&a);
    }
    json_decref(created);
    http_answer_deinit(&a);
    return r;
}

static int topic_create(struct cli *cli, int argc, char **argv)
{
    struct create_args args = {.partitions = -1, .replication_factor = -1};
    const struct cli_opt opts[] = {
            {'p', "partitions", OPT_I64, &args.partitions, "N",
                    "partitions (the cluster's num.partitions)", 1, 100000},
            {'r', "replication-factor", OPT_I64, &args.replication_factor, "N",
                    "replicas of each partition", 1, 8},
            {'c', "config", OPT_MANY, &args.configs, "KEY=VALUE", "a topic configuration", 0, 0},
            {0, "if-not-exists", OPT_FLAG, &args.if_not_exists, NULL, "an existing topic is fine",
                    0, 0},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &args.name, 1, 1);

    r = r < 0 ? create_with(cli, &args) : r;
    cli_strings_deinit(&args.configs);
    return r;
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static int topic_list(struct cli *cli, int argc, char **argv)
{
    static const char *const heads[] = {"NAME", "PARTITIONS", "REPLICATION", "OFFLINE", "CREATED"};
    bool internal = false;
    const struct cli_opt opts[] = {
            {'i', "internal", OPT_FLAG, &internal, NULL, "internal topics too", 0, 0}};
    size_t i;
    json_t *topic;
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *topics = cli_get(cli,
            internal ? "/v1/topics?page_size=1000&include=internal" : "/v1/topics?page_size=1000",
            &r);
    if (topics == NULL) {
        return r;
    }
    if (!cli_print_json(cli, topics, "name")) {
        struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
        json_array_foreach(topics, i, topic)
        {
            char *partitions = mem_format("%" PRId64, jint(topic, "partitions", 0));
            char *replication = mem_format("%" PRId64, jint(topic, "replication_factor", 0));
            char *offline = mem_format("%" PRId64, jint(topic, "offline", 0));
            cli_table_add(t, (const char *const[]){jstr(topic, "name", "?"), partitions,
                                     replication, offline, jstr(topic, "created_at", "-")});
            mem_free(partitions);
            mem_free(replication);
            mem_free(offline);
        }
        cli_table_print_free(t);
    }
    json_decref(topics);
    return EXIT_DONE;
}

/* --- describe ----------------------------------------------------------------------------------------------------- */

static void print_partitions(const json_t *partitions)
{
    static const char *const heads[] = {"PARTITION", "STATE", "LEADER", "EPOCH", "REPLICAS", "ISR"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(partitions, i, p)
    {
        char *number = mem_format("%" PRId64, jint(p, "partition", -1));
        int64_t id = jint(p, "leader", -1);
        char *leader = id >= 0 ? mem_format("%" PRId64, id) : mem_strdup("none");
        char *epoch = mem_format("%" PRId64, jint(p, "leader_epoch", -1));
        char *replicas = jids(json_object_get(p, "replicas"));
        char *isr = jids(json_object_get(p, "isr"));
        cli_table_add(t,
                (const char *const[]){number, jstr(p, "state", "?"), leader, epoch, replicas, isr});
        mem_free(number);
        mem_free(leader);
        mem_free(epoch);
        mem_free(replicas);
        mem_free(isr);
    }
    cli_table_print_free(t);
}

static void print_topic(const json_t *topic)
{
    static const char *const heads[] = {"CONFIG", "VALUE", "SOURCE"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *c;

    printf("%s  id %s  partitions %" PRId64 "  replication factor %" PRId64 "  created %s\n\n",
            jstr(topic, "name", "?"), jstr(topic, "topic_id", "?"), jint(topic, "partitions", 0),
            jint(topic, "replication_factor", 0), jstr(topic, "created_at", "-"));
    print_partitions(json_object_get(topic, "partition_list"));
    printf("\n");
    json_array_foreach(json_object_get(topic, "configs"), i, c)
    {
        cli_table_add(t, (const char *const[]){jstr(c, "name", "?"), jstr(c, "value", "-"),
                                 jstr(c, "source", "?")});
    }
    cli_table_print_free(t);
}

static int topic_describe(struct cli *cli, int argc, char **argv)
{
    const char *name = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &name, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(name);
    char *path = mem_format("/v1/topics/%s", escaped);
    char *partitions_path = mem_format("/v1/topics/%s/partitions?page_size=1000", escaped);
    json_t *topic = cli_get(cli, path, &r);
    json_t *partitions = topic != NULL ? cli_get(cli, partitions_path, &r) : NULL;
    if (partitions != NULL) {
        json_object_set(topic, "partition_list", partitions);
        if (!cli_print_json(cli, topic, "name")) {
            print_topic(topic);
        }
        r = EXIT_DONE;
    }
    json_decref(partitions);
    json_decref(topic);
    mem_free(partitions_path);
    mem_free(path);
    mem_free(escaped);
    return r;
}

/* --- delete ------------------------------------------------------------------------------------------------------- */

/* Until when it can be brought back. */
static void tell_deleted(const struct cli *cli, const json_t *deleted)
{
    const char *name = jstr(deleted, "name", "?");
    const char *purged_at = jstr(deleted, "purged_at", NULL);

    cli_note("%s topic %s", cli->dry_run ? "would delete" : "deleted", name);
    if (!cli->dry_run && purged_at != NULL) {
        cli_note("Until %s it can be brought back: weir topic undelete %s", purged_at,
                jstr(deleted, "topic_id", name));
    }
}

static int delete_confirmed(const struct cli *cli, const char *escaped, bool is_now)
{
    struct http_answer a = {0};
    char *path = mem_format("/v1/topics/%s?confirm=%s%s%s", escaped, escaped,
            is_now ? "&now=true" : "", cli->dry_run ? "&dry_run=true" : "");
    int r = EXIT_DONE;

    cli_http(cli, "DELETE", path, NULL, &a);
    if (a.status == 200) {
        json_t *deleted = cli_answer_json(&a);
        if (!cli_print_json(cli, deleted, "name")) {
            tell_deleted(cli, deleted);
        }
        json_decref(deleted);
    } else {
        r = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    mem_free(path);
    return r;
}

/* What is deleted is told before the question. */
static int delete_asked(
        const struct cli *cli, const char *name, const char *escaped, bool is_now)
{
    int r = EXIT_DONE;
    char *path = mem_format("/v1/topics/%s", escaped);
    json_t *topic = cli_get(cli, path, &r);

    if (topic != NULL) {
        char *what = mem_format("Deleting topic %s removes its %" PRId64
                                " partitions and all records in them%s.",
                name, jint(topic, "partitions", 0), is_now ? ", for good" : "");
        r = cli_confirm(cli, what, name) ? delete_confirmed(cli, escaped, is_now) : EXIT_USAGE;
        mem_free(what);
    }
    json_decref(topic);
    mem_free(path);
    return r;
}

static int topic_delete(struct cli *cli, int argc, char **argv)
{
    const char *name = NULL;
    bool is_now = false;
    const struct cli_opt opts[] = {{0, "now", OPT_FLAG, &is_now, NULL,
            "free its space at once; it cannot be brought back", 0, 0}};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &name, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(name);
    /* Without a question nothing is looked up first: a standby may not know yet what was created a moment ago. */
    r = cli->yes || cli->dry_run ? delete_confirmed(cli, escaped, is_now)
                                 : delete_asked(cli, name, escaped, is_now);
    mem_free(escaped);
    return r;
}

const struct cli_command cli_topic_create = {
        .noun = "topic",
        .verb = "create",
        .summary = "create a topic and say where each replica went and why",
        .usage = "T [-p N] [-r N] [-c KEY=VALUE]…",
        .details = "",
        .examples = "  weir topic create orders --partitions 6\n"
                    "  weir topic create orders -p 6 -c segment.bytes=64MiB --dry-run\n",
        .run = topic_create,
};
const struct cli_command cli_topic_list = {
        .noun = "topic",
        .verb = "list",
        .summary = "all topics",
        .usage = "[-i]",
        .details = "",
        .examples = "  weir topic list\n"
                    "  weir topic list -O name\n",
        .run = topic_list,
};
const struct cli_command cli_topic_describe = {
        .noun = "topic",
        .verb = "describe",
        .summary = "a topic's partitions, leaders and configuration",
        .usage = "T",
        .details = "",
        .examples = "  weir topic describe orders\n"
                    "  weir topic describe orders -O json | jq '.partition_list[].leader'\n",
        .run = topic_describe,
};
const struct cli_command cli_topic_delete = {
        .noun = "topic",
        .verb = "delete",
        .summary = "delete a topic and its records",
        .usage = "T [--now] [-y]",
        .details = "Asks for the name to be typed; -y does without. For weir.delete.grace.ms it can be\n"
                   "brought back by `weir topic undelete`; --now does without that, too.\n",
        .examples = "  weir topic delete orders\n"
                    "  weir topic delete orders --now -y\n",
        .run = topic_delete,
};
