/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"
#include "common/conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Configuration of the cluster, of topics and of brokers: list, get, set, unset. */

enum {
    ARGS_MAX = 64
};

/* Whose configuration, as the API has it. mem_free. */
static char *path_of(enum conf_target target, const char *name)
{
    char *escaped = name != NULL ? url_escape(name) : NULL;
    char *path = NULL;

    switch (target) {
    case CONF_OF_CLUSTER: path = mem_strdup("/v1/cluster/configs"); break;
    case CONF_OF_TOPIC: path = mem_format("/v1/topics/%s/configs", escaped); break;
    case CONF_OF_BROKER: path = mem_format("/v1/brokers/%s/configs", escaped); break;
    }
    mem_free(escaped);
    return path;
}

/* --- list, get -------------------------------------------------------------------------------- */

static void print_items(const struct cli *cli, const json_t *items)
{
    static const char *const heads[] = {"KEY", "VALUE", "SOURCE", "DEFAULT", "MEANING"};
    struct cli_table *t = cli_table_new(heads, cli->format == FORMAT_WIDE ? 5 : 4);
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        bool is_fixed = json_is_true(json_object_get(item, "read_only"));
        char *note =
                mem_format("%s%s", jstr(item, "source", "-"), is_fixed ? " (read at start)" : "");
        cli_table_add(t, (const char *const[]){jstr(item, "name", "?"), jstr(item, "value", "-"),
                                 note, jstr(item, "default", "-"), jstr(item, "text", "")});
        mem_free(note);
    }
    cli_table_print_free(t);
}

static int list(struct cli *cli, enum conf_target target, const char *name)
{
    char *path = path_of(target, name);
    int r = EXIT_DONE;
    json_t *answer = cli_get_one(cli, path, &r);

    if (answer != NULL) {
        json_t *items = json_object_get(answer, "items");
        const char *problem = jstr(answer, "problem", NULL);
        if (!cli_print_json(cli, items, "name")) {
            print_items(cli, items);
        }
        if (problem != NULL) {
            cli_note("%s", problem);
        }
    }
    json_decref(answer);
    mem_free(path);
    return r;
}

static int cluster_list(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    return r < 0 ? list(cli, CONF_OF_CLUSTER, NULL) : r;
}

static int broker_list(struct cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &id, 1, 1);

    return r < 0 ? list(cli, CONF_OF_BROKER, id) : r;
}

static int cluster_get(struct cli *cli, int argc, char **argv)
{
    const char *key = NULL;
    char error[1024];
    size_t i;
    json_t *item;
    int r = cli_parse(cli, NULL, 0, argc, argv, &key, 1, 1);

    if (r >= 0) {
        return r;
    }
    json_t *items = cli_get(cli, "/v1/cluster/configs", &r);
    if (items == NULL) {
        return r;
    }
    r = -1;
    json_array_foreach(items, i, item)
    {
        if (strcmp(jstr(item, "name", ""), key) == 0) {
            if (!cli_print_json(cli, item, "name")) {
                printf("%s\n", jstr(item, "value", ""));
            }
            r = EXIT_DONE;
        }
    }
    json_decref(items);
    return r >= 0 ? r
                  : cli_fail(EXIT_NOT_FOUND, "See all: weir cluster config list", "%s",
                            conf_explain_target(CONF_OF_CLUSTER, key, error, sizeof(error)));
}

/* --- set, unset ------------------------------------------------------------------------------- */

/* key=value into the patch. Returns -1 or an exit code. */
static int add_pair(json_t *patch, const char *pair)
{
    const char *equals = strchr(pair, '=');

    if (equals == NULL || equals == pair) {
        return cli_fail(EXIT_USAGE, "For example: log.segment.bytes=64MiB",
                "it takes key=value, not `%s`", pair);
    }
    char *key = mem_strndup(pair, (size_t)(equals - pair));
    json_t *value = json_string(equals + 1);
    int r = -1;
    if (json_object_get(patch, key) != NULL) {
        r = cli_fail(EXIT_USAGE, "Give it once.", "`%s` is given twice", key);
    } else if (value == NULL || json_object_set(patch, key, value) != 0) {
        r = cli_fail(EXIT_USAGE, "", "`%s` is not UTF-8 text", pair);
    }
    json_decref(value);
    mem_free(key);
    return r;
}

static void print_changed(
        const struct cli *cli, enum conf_target target, const char *name, const json_t *answer)
{
    const char *of = target == CONF_OF_CLUSTER ? "the cluster" : name;
    const char *word = target == CONF_OF_CLUSTER ? "" : conf_target_word(target);

    if (!json_is_true(json_object_get(answer, "changed"))) {
        cli_note("nothing changes: %s%s%s has it so already", word, word[0] != '\0' ? " " : "", of);
    } else if (cli->dry_run) {
        cli_note("would change the configuration of %s%s%s", word, word[0] != '\0' ? " " : "", of);
    } else {
        cli_note("changed the configuration of %s%s%s", word, word[0] != '\0' ? " " : "", of);
    }
    if (!cli->dry_run && !json_is_true(json_object_get(answer, "applied"))) {
        cli_note(target == CONF_OF_BROKER
                         ? "The broker has not applied it yet; it will when it is connected."
                         : "Not every broker has applied it yet; those that are away do when they "
                           "come.");
    }
}

/* Only what was named. */
static json_t *named_items(const json_t *answer, const json_t *patch)
{
    json_t *named = json_array();
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(answer, "items"), i, item)
    {
        if (json_object_get(patch, jstr(item, "name", "")) != NULL) {
            json_array_append(named, item);
        }
    }
    return named;
}

int cli_patch_configs(
        struct cli *cli, enum conf_target target, const char *name, const json_t *patch)
{
    struct http_answer a = {0};
    char *path = path_of(target, name);
    char *full = mem_format("%s%s", path, cli->dry_run ? "?dry_run=true" : "");
    char *text = json_dumps(patch, JSON_COMPACT);
    int r = EXIT_DONE;

    must(text != NULL);
    cli_http(cli, "PATCH", full, text, &a);
    if (a.status == 200) {
        json_t *answer = cli_answer_json(&a);
        json_t *named = named_items(answer, patch);
        if (!cli_print_json(cli, named, "name")) {
            print_changed(cli, target, name, answer);
            print_items(cli, named);
        }
        json_decref(named);
        json_decref(answer);
    } else {
        r = cli_http_fail(&a);
    }
    free(text);
    mem_free(full);
    mem_free(path);
    http_answer_deinit(&a);
    return r;
}

/* `args` are the object's name, where it has one, and then pairs or keys. */
static int change(struct cli *cli, enum conf_target target, bool is_set, int argc, char **argv)
{
    const char *args[ARGS_MAX];
    int first = target == CONF_OF_CLUSTER ? 0 : 1;
    int r = cli_parse(cli, NULL, 0, argc, argv, args, first + 1, ARGS_MAX);

    if (r >= 0) {
        return r;
    }
    json_t *patch = json_object();
    for (int i = first; r < 0 && i < cli_n_args(); i++) {
        if (is_set) {
            r = add_pair(patch, args[i]);
        } else if (json_object_set_new(patch, args[i], json_null()) != 0) {
            r = cli_fail(EXIT_USAGE, "", "`%s` is not UTF-8 text", args[i]);
        }
    }
    r = r < 0 ? cli_patch_configs(cli, target, first > 0 ? args[0] : NULL, patch) : r;
    json_decref(patch);
    return r;
}

static int cluster_set(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_CLUSTER, true, argc, argv);
}

static int cluster_unset(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_CLUSTER, false, argc, argv);
}

static int topic_set(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_TOPIC, true, argc, argv);
}

static int topic_unset(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_TOPIC, false, argc, argv);
}

static int broker_set(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_BROKER, true, argc, argv);
}

static int broker_unset(struct cli *cli, int argc, char **argv)
{
    return change(cli, CONF_OF_BROKER, false, argc, argv);
}

#define AT_ONCE                                                                                    \
    "All of it or nothing. It takes effect at once and survives restarts; brokers that are away\n" \
    "follow when they come. --dry-run shows what would be, --reason is kept with the decision.\n"

const struct cli_command cli_cluster_config_list = {
        .noun = "cluster",
        .verb = "config list",
        .summary = "defaults of topics, and of brokers' dynamic keys",
        .usage = "",
        .details = "",
        .examples = "  weir cluster config list\n"
                    "  weir cluster config list -O wide\n",
        .run = cluster_list,
};
const struct cli_command cli_cluster_config_get = {
        .noun = "cluster",
        .verb = "config get",
        .summary = "one value",
        .usage = "KEY",
        .details = "",
        .examples = "  weir cluster config get num.partitions\n",
        .run = cluster_get,
};
const struct cli_command cli_cluster_config_set = {
        .noun = "cluster",
        .verb = "config set",
        .summary = "change defaults of topics, or of brokers' dynamic keys",
        .usage = "KEY=VALUE…",
        .details = AT_ONCE,
        .examples = "  weir cluster config set num.partitions=6\n"
                    "  weir cluster config set log.segment.bytes=256MiB --reason 'small disks'\n",
        .run = cluster_set,
};
const struct cli_command cli_cluster_config_unset = {
        .noun = "cluster",
        .verb = "config unset",
        .summary = "back to the default",
        .usage = "KEY…",
        .details = AT_ONCE,
        .examples = "  weir cluster config unset num.partitions log.segment.bytes\n",
        .run = cluster_unset,
};
const struct cli_command cli_topic_set = {
        .noun = "topic",
        .verb = "set",
        .summary = "change a topic's configuration",
        .usage = "T KEY=VALUE…",
        .details = AT_ONCE,
        .examples = "  weir topic set orders segment.bytes=64MiB\n"
                    "  weir topic set orders message.timestamp.type=LogAppendTime --dry-run\n",
        .run = topic_set,
};
const struct cli_command cli_topic_unset = {
        .noun = "topic",
        .verb = "unset",
        .summary = "back to the cluster's value",
        .usage = "T KEY…",
        .details = AT_ONCE,
        .examples = "  weir topic unset orders segment.bytes\n",
        .run = topic_unset,
};
const struct cli_command cli_broker_config_list = {
        .noun = "broker",
        .verb = "config list",
        .summary = "the values that a broker runs with, and who gave them",
        .usage = "N",
        .details = "",
        .examples = "  weir broker config list 1\n"
                    "  weir broker config list 1 -O json\n",
        .run = broker_list,
};
const struct cli_command cli_broker_config_set = {
        .noun = "broker",
        .verb = "config set",
        .summary = "change a broker's dynamic configuration",
        .usage = "N KEY=VALUE…",
        .details = AT_ONCE,
        .examples = "  weir broker config set 1 log.level=debug\n",
        .run = broker_set,
};
const struct cli_command cli_broker_config_unset = {
        .noun = "broker",
        .verb = "config unset",
        .summary = "back to the cluster's value, or the file's",
        .usage = "N KEY…",
        .details = AT_ONCE,
        .examples = "  weir broker config unset 1 log.level\n",
        .run = broker_unset,
};
