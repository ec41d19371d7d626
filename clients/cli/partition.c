/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Partitions across topics: which want something, and who leads them. */

/* --- list ----------------------------------------------------------------------------------------------------------- */

static void print_partitions(const json_t *list)
{
    static const char *const heads[] = {
            "PARTITION", "STATE", "LEADER", "EPOCH", "REPLICAS", "ISR", "ELR", "MIN ISR"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(list, i, p)
    {
        int64_t id = jint(p, "leader", -1);
        char *name = mem_format(
                "%s/%" PRId64, jstr(p, "topic", "?"), jint(p, "partition", -1));
        char *leader = id >= 0 ? mem_format("%" PRId64, id) : mem_strdup("none");
        char *epoch = mem_format("%" PRId64, jint(p, "leader_epoch", -1));
        char *min_isr = mem_format("%" PRId64, jint(p, "min_isr", 0));
        char *replicas = jids(json_object_get(p, "replicas"));
        char *isr = jids(json_object_get(p, "isr"));
        char *elr = jids(json_object_get(p, "elr"));
        cli_table_add(t, (const char *const[]){name, jstr(p, "state", "?"), leader, epoch,
                                 replicas, isr, elr, min_isr});
        mem_free(name);
        mem_free(leader);
        mem_free(epoch);
        mem_free(min_isr);
        mem_free(replicas);
        mem_free(isr);
        mem_free(elr);
    }
    cli_table_print_free(t);
}

static int partition_list(struct cli *cli, int argc, char **argv)
{
    bool offline = false, urp = false, under_min_isr = false, not_preferred = false;
    const char *topic = NULL;
    const struct cli_opt opts[] = {
            {0, "offline", OPT_FLAG, &offline, NULL, "those without a leader", 0, 0},
            {0, "urp", OPT_FLAG, &urp, NULL, "those with replicas that are not in sync", 0, 0},
            {0, "under-min-isr", OPT_FLAG, &under_min_isr, NULL,
                    "those that refuse acks=all for want of replicas in sync", 0, 0},
            {0, "not-preferred", OPT_FLAG, &not_preferred, NULL,
                    "those that another than their first replica leads", 0, 0},
            {'t', "topic", OPT_STR, &topic, "TOPIC", "of this topic only", 0, 0},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    if (offline + urp + under_min_isr + not_preferred > 1) {
        return cli_fail(EXIT_USAGE, "See `weir partition list --help`.",
                "give one of --offline, --urp, --under-min-isr and --not-preferred");
    }
    const char *state = offline         ? "&state=offline"
                        : urp           ? "&state=under_replicated"
                        : under_min_isr ? "&state=under_min_isr"
                        : not_preferred ? "&state=not_preferred"
                                        : "";
    char *escaped = topic != NULL ? url_escape(topic) : NULL;
    char *path = mem_format("/v1/partitions?page_size=1000%s%s%s", state,
            topic != NULL ? "&topic=" : "", topic != NULL ? escaped : "");
    json_t *list = cli_get(cli, path, &r);

    if (list != NULL) {
        if (!cli_print_json(cli, list, "topic")) {
            print_partitions(list);
        }
        r = EXIT_DONE;
    }
    json_decref(list);
    mem_free(escaped);
    mem_free(path);
    return r;
}

/* --- elect ---------------------------------------------------------------------------------------------------------- */

/* "orders/3" as a member of the body; NULL when it is none. */
static json_t *partition_of(const char *text)
{
    int64_t number = 0;
    char *topic = cli_parse_partition(text, &number);
    json_t *one = topic != NULL
                          ? json_pack("{s:s, s:I}", "topic", topic, "partition", (json_int_t)number)
                          : NULL;

    mem_free(topic);
    return one;
}

static void print_elected(const struct cli *cli, const json_t *answer)
{
    static const char *const heads[] = {"PARTITION", "OLD LEADER", "LEADER", "RESULT"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "items"), i, p)
    {
        int64_t was = jint(p, "old_leader", -1), is = jint(p, "leader", -1);
        char *name = mem_format(
                "%s/%" PRId64, jstr(p, "topic", "?"), jint(p, "partition", -1));
        char *old = was >= 0 ? mem_format("%" PRId64, was) : mem_strdup("none");
        char *leader = is >= 0 ? mem_format("%" PRId64, is) : mem_strdup("none");
        cli_table_add(t, (const char *const[]){name, old, leader,
                                 jstr(p, "error", NULL) != NULL ? jstr(p, "detail", "")
                                 : was != is                    ? "elected"
                                                                : "leads already"});
        mem_free(name);
        mem_free(old);
        mem_free(leader);
    }
    cli_table_print_free(t);
    cli_note("%" PRId64 " leadership%s %s, %" PRId64 " failed", jint(answer, "moved", 0),
            jint(answer, "moved", 0) == 1 ? "" : "s", cli->dry_run ? "would move" : "moved",
            jint(answer, "failed", 0));
}

static int send_election(struct cli *cli, const json_t *body, bool is_unclean)
{
    char *path = mem_format("/v1/partitions:elect?dry_run=%s%s", cli->dry_run ? "true" : "false",
            is_unclean ? "&confirm=unclean" : "");
    int r = cli_send(cli, "POST", path, body, "topic", print_elected, NULL);

    mem_free(path);
    return r;
}

/* The body, or NULL and the failure said. */
static json_t *election(const char *const *names, int n, int64_t leader, bool is_unclean)
{
    json_t *body = json_pack("{s:s}", "kind", is_unclean ? "unclean" : "preferred");
    json_t *list = json_array();

    for (int i = 0; i < n; i++) {
        json_t *one = partition_of(names[i]);
        if (one == NULL) {
            (void)cli_fail(EXIT_USAGE, "For example: weir partition elect orders/3",
                    "a partition is TOPIC/NUMBER, not `%s`", names[i]);
            json_decref(list);
            json_decref(body);
            return NULL;
        }
        if (is_unclean) {
            json_object_set_new(one, "leader", json_integer(leader));
        }
        json_array_append_new(list, one);
    }
    if (n > 0) {
        json_object_set(body, "partitions", list);
    }
    json_decref(list);
    return body;
}

static int partition_elect(struct cli *cli, int argc, char **argv)
{
    bool is_unclean = false, all = false;
    int64_t leader = -1;
    const char *names[64];
    const struct cli_opt opts[] = {
            {0, "all", OPT_FLAG, &all, NULL, "all that another than their first replica leads", 0,
                    0},
            {0, "unclean", OPT_FLAG, &is_unclean, NULL,
                    "although records are lost; with --leader, and only where nobody leads", 0, 0},
            {0, "leader", OPT_I64, &leader, "BROKER", "the replica that is to lead", 0, INT32_MAX},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, names, 0, COUNT_OF(names));
    int n = cli_n_args();

    if (r >= 0) {
        return r;
    }
    if ((n == 0) != all || (is_unclean && all)) {
        return cli_fail(EXIT_USAGE, "For example: weir partition elect orders/3",
                "name the partitions, or give --all for all preferred leaders");
    }
    if (is_unclean != (leader >= 0)) {
        return cli_fail(EXIT_USAGE,
                "For example: weir partition elect --unclean --leader 2 orders/3",
                "--unclean and --leader go together: somebody has to choose who leads");
    }
    json_t *body = election(names, n, leader, is_unclean);

    if (body == NULL) {
        return EXIT_USAGE;
    }
    if (is_unclean && !cli->dry_run &&
            !cli_confirm(cli, "An unclean election loses records for good.", names[0])) {
        json_decref(body);
        return EXIT_USAGE;
    }
    r = send_election(cli, body, is_unclean);
    json_decref(body);
    return r;
}

const struct cli_command cli_partition_list = {
        .noun = "partition",
        .verb = "list",
        .summary = "list partitions, or those that want something",
        .usage = "[--offline | --urp | --under-min-isr | --not-preferred] [-t TOPIC]",
        .details = "",
        .examples = "  weir partition list --offline\n"
                    "  weir partition list --urp -t orders\n",
        .run = partition_list,
};

const struct cli_command cli_partition_elect = {
        .noun = "partition",
        .verb = "elect",
        .summary = "let the first replica lead, or name who leads",
        .usage = "T/P… | --all | --unclean --leader BROKER T/P…",
        .details = "Without --unclean the first replica of each partition becomes its leader, which "
                   "costs nothing when it is in sync. The controller does it by itself after 30 s "
                   "without change (auto.leader.rebalance.enable).\n\n"
                   "With --unclean a replica that may lack acknowledged records leads a partition "
                   "that nobody leads. What the other replicas have beyond its log is lost.",
        .examples = "  weir partition elect orders/3\n"
                    "  weir partition elect --all\n"
                    "  weir partition elect --unclean --leader 2 orders/3\n",
        .run = partition_elect,
};

/* --- topic add-partitions ------------------------------------------------------------------------------------------- */

static void print_added(const struct cli *cli, const json_t *answer, int64_t total)
{
    cli_print_placement(answer);
    cli_note("topic %s %s %" PRId64 " partitions; keys that come from now on may go to others than "
             "before",
            jstr(answer, "name", "?"), cli->dry_run ? "would have" : "has", total);
}

static int topic_add_partitions(struct cli *cli, int argc, char **argv)
{
    const char *name = NULL;
    int64_t total = 0;
    const struct cli_opt opts[] = {
            {0, "to", OPT_I64, &total, "N", "so many partitions there shall be", 1, 100000}};
    struct http_answer a = {0};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &name, 1, 1);

    if (r >= 0) {
        return r;
    }
    if (total == 0) {
        return cli_fail(EXIT_USAGE, "For example: weir topic add-partitions orders --to 12",
                "say how many partitions there shall be");
    }
    char *escaped = url_escape(name);
    char *path = mem_format("/v1/topics/%s%s", escaped, cli->dry_run ? "?dry_run=true" : "");
    char *body = mem_format("{\"partitions\": %" PRId64 "}", total);

    cli_http(cli, "PATCH", path, body, &a);
    json_t *answer = cli_answer_json(&a);
    if (a.status == 200) {
        if (!cli_print_json(cli, answer, "name")) {
            print_added(cli, answer, total);
        }
        r = EXIT_DONE;
    } else {
        r = cli_http_fail(&a);
    }
    json_decref(answer);
    mem_free(escaped);
    mem_free(path);
    mem_free(body);
    http_answer_deinit(&a);
    return r;
}

const struct cli_command cli_topic_add_partitions = {
        .noun = "topic",
        .verb = "add-partitions",
        .summary = "give a topic more partitions",
        .usage = "T --to N",
        .details = "Partitions are only added, never taken away. Records with a key go to another "
                   "partition than before wherever the number of partitions decides.",
        .examples = "  weir topic add-partitions orders --to 12\n",
        .run = topic_add_partitions,
};
