/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The text is the controller's: what `GET /` answers to curl. Exit code 10 when the cluster is not healthy. */
static int status(struct cli *cli, int argc, char **argv)
{
    struct http_answer a = {0};
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *cluster = cli_get(cli, "/v1/cluster", &r);
    if (cluster == NULL) {
        return r;
    }
    bool healthy = json_is_true(json_object_get(cluster, "healthy"));
    if (!cli_print_json(cli, cluster, "cluster_id")) {
        cli_http(cli, "GET", "/", NULL, &a);
        if (a.status == 200) {
            (void)fwrite(a.body.data, 1, a.body.size, stdout);
        }
        r = a.status == 200 ? -1 : cli_http_fail(&a);
        http_answer_deinit(&a);
    }
    json_decref(cluster);
    return r >= 0 ? r : healthy ? EXIT_DONE : EXIT_UNHEALTHY;
}

static void add_broker_row(struct cli_table *t, const json_t *b, bool wide)
{
    const json_t *endpoint = json_array_get(json_object_get(b, "endpoints"), 0);
    char *id = mem_format("%" PRId64, jint(b, "id", -1));
    char *address =
            mem_format("%s:%" PRId64, jstr(endpoint, "host", "?"), jint(endpoint, "port", 0));
    char *leaders = mem_format("%" PRId64, jint(b, "leaders", 0));
    char *replicas = mem_format("%" PRId64, jint(b, "replicas", 0));
    char *epoch = mem_format("%" PRId64, jint(b, "epoch", -1));
    const char *intent = jstr(b, "intent", "none");
    bool is_wanted = strcmp(intent, "none") == 0;
    char *state = is_wanted ? mem_strdup(jstr(b, "state", "?"))
                            : mem_format("%s, %s", jstr(b, "state", "?"), intent);
    const char *cells[] = {id, state, address, leaders, replicas, jstr(b, "rack", "-"),
            wide ? jstr(b, "version", "-") : jstr(b, "problem", ""), wide ? epoch : "",
            wide ? jstr(b, "problem", "") : ""};

    cli_table_add(t, cells);
    mem_free(id);
    mem_free(state);
    mem_free(address);
    mem_free(leaders);
    mem_free(replicas);
    mem_free(epoch);
}

static int broker_list(struct cli *cli, int argc, char **argv)
{
    static const char *const heads[] = {
            "ID", "STATE", "ADDRESS", "LEADERS", "REPLICAS", "RACK", "PROBLEM"};
    static const char *const wide_heads[] = {
            "ID", "STATE", "ADDRESS", "LEADERS", "REPLICAS", "RACK", "VERSION", "EPOCH", "PROBLEM"};
    size_t i;
    json_t *broker;
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *brokers = cli_get(cli, "/v1/brokers", &r);
    if (brokers == NULL) {
        return r;
    }
    if (!cli_print_json(cli, brokers, "id")) {
        bool wide = cli->format == FORMAT_WIDE;
        struct cli_table *t = wide ? cli_table_new(wide_heads, COUNT_OF(wide_heads))
                                   : cli_table_new(heads, COUNT_OF(heads));
        json_array_foreach(brokers, i, broker)
        {
            add_broker_row(t, broker, wide);
        }
        cli_table_print_free(t);
    }
    json_decref(brokers);
    return EXIT_DONE;
}

static int version(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    if (cli->format == FORMAT_JSON || cli->format == FORMAT_JSONL) {
        printf("{\"version\": \"" WEIR_VERSION "\"}\n");
    } else {
        printf("weir " WEIR_VERSION "\n");
    }
    return EXIT_DONE;
}

const struct cli_command cli_status = {
        .noun = "status",
        .summary = "the cluster on one screen",
        .usage = "",
        .details = "Exit code 10 when a broker is down, a partition is offline, no controller is "
                   "active or ZooKeeper\n"
                   "is away.\n",
        .examples = "  weir status\n"
                    "  weir status -O json | jq .counts\n",
        .run = status,
};
const struct cli_command cli_broker_list = {
        .noun = "broker",
        .verb = "list",
        .summary = "brokers, their state and load",
        .usage = "",
        .details = "",
        .examples = "  weir broker list\n"
                    "  weir broker list -O wide\n",
        .run = broker_list,
};
const struct cli_command cli_version = {
        .noun = "version",
        .summary = "the version of this command",
        .usage = "",
        .details = "",
        .examples = "  weir version\n",
        .run = version,
};
