/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Partitions that go to other brokers. */

static char *name_of(const json_t *p)
{
    return mem_format("%s/%" PRId64, jstr(p, "topic", "?"), jint(p, "partition", -1));
}

/* --- What came of it -------------------------------------------------------------------------------------------------- */

void cli_print_moves(const struct cli *cli, const json_t *answer)
{
    static const char *const heads[] = {"PARTITION", "FROM", "TO", "RESULT"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(answer, "items"), i, p)
    {
        char *name = name_of(p), *from = jids(json_object_get(p, "from")),
             *to = jids(json_object_get(p, "to"));
        bool is_failed = jstr(p, "error", NULL) != NULL;
        bool is_waiting = strcmp(jstr(p, "state", ""), "waiting") == 0;
        cli_table_add(t,
                (const char *const[]){name, from, to,
                        is_failed || is_waiting ? jstr(p, "detail", "") : jstr(p, "state", "?")});
        mem_free(name);
        mem_free(from);
        mem_free(to);
    }
    cli_table_print_free(t);
    int64_t bytes = jint(answer, "bytes_to_move", -1);
    char size[32];

    cli_note("%s%" PRId64 " moving, %" PRId64 " waiting, %" PRId64 " done, %" PRId64
             " failed; %s to copy",
            cli->dry_run ? "nothing was changed; would be: " : "", jint(answer, "moving", 0),
            jint(answer, "waiting", 0), jint(answer, "done", 0), jint(answer, "failed", 0),
            bytes >= 0 ? cli_size_text((uint64_t)bytes, size, sizeof(size)) : "an unknown size");
}

/* Sends it, prints what came of it and waits for its end. */
static int send(struct cli *cli,
        const char *method,
        const char *path,
        const json_t *body,
        const struct cli_wait *wait)
{
    int64_t operation = 0;
    int r = cli_send(cli, method, path, body, "topic", cli_print_moves, &operation);

    return cli_wait_for(cli, wait, operation, r);
}

static const char *dry_run_of(const struct cli *cli)
{
    return cli->dry_run ? "true" : "false";
}

/* For all moves, these and others, until it is set again. */
#define THROTTLE_OPT(into)                                                                         \
    {0, "throttle", OPT_STR, (into), "SIZE",                                                       \
            "bytes a second that a broker may receive, and send, for moves; 0 = no limit", 0, 0}

/* --- partition move --------------------------------------------------------------------------------------------------- */

/* "1,2,3" as a list, or NULL. */
static json_t *ids_of(const char *text)
{
    json_t *list = json_array();
    const char *at = text;

    while (*at >= '0' && *at <= '9') {
        char *end = NULL;
        long id = strtol(at, &end, 10);
        must(json_array_append_new(list, json_integer(id)) == 0);
        if (*end == '\0') {
            return list;
        }
        at = *end == ',' ? end + 1 : "";
    }
    json_decref(list);
    return NULL;
}

static int move_back(struct cli *cli, const char *topic, int64_t number)
{
    char *escaped = url_escape(topic);
    char *path = mem_format("/v1/reassignments?topic=%s&partition=%" PRId64 "&dry_run=%s", escaped,
            number, dry_run_of(cli));
    int r = send(cli, "DELETE", path, NULL, NULL);

    mem_free(escaped);
    mem_free(path);
    return r;
}

/* "20M" as the member of the body. -1, or the exit code. */
static int add_throttle(json_t *body, const char *text)
{
    int64_t rate = 0;

    if (text == NULL) {
        return -1;
    }
    if (!cli_parse_size(text, &rate)) {
        return cli_fail(EXIT_USAGE, "For example: --throttle 20M",
                "a throttle is bytes a second, 0 for none, not `%s`", text);
    }
    must(json_object_set_new(body, "throttle_bytes_per_s", json_integer(rate)) == 0);
    return -1;
}

static int move_to(struct cli *cli,
        const char *topic,
        int64_t number,
        const char *to,
        const char *throttle,
        const struct cli_wait *wait)
{
    json_t *replicas = ids_of(to);

    if (replicas == NULL) {
        return cli_fail(EXIT_USAGE, "For example: weir partition move orders/3 1,2,3",
                "replicas are broker ids with commas between them, not `%s`", to);
    }
    json_t *body = json_pack("{s:[{s:s, s:I, s:o}]}", "plan", "topic", topic, "partition",
            (json_int_t)number, "replicas", replicas);
    char *path = mem_format("/v1/reassignments?dry_run=%s", dry_run_of(cli));
    int r = add_throttle(body, throttle);

    r = r < 0 ? send(cli, "POST", path, body, wait) : r;
    json_decref(body);
    mem_free(path);
    return r;
}

static int partition_move(struct cli *cli, int argc, char **argv)
{
    bool is_back = false;
    struct cli_wait wait = {0};
    const char *args[2] = {0}, *throttle = NULL;
    const struct cli_opt opts[] = {
            THROTTLE_OPT(&throttle),
            {0, "cancel", OPT_FLAG, &is_back, NULL, "back to the brokers that it comes from", 0, 0},
            CLI_WAIT_OPTS(wait),
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, args, 1, 2);
    int64_t number = 0;

    if (r >= 0) {
        return r;
    }
    if ((cli_n_args() == 2) == is_back) {
        return cli_fail(EXIT_USAGE, "For example: weir partition move orders/3 1,2,3",
                "give the brokers that are to hold it, or --cancel");
    }
    char *topic = cli_parse_partition(args[0], &number);

    if (topic == NULL) {
        return cli_fail(EXIT_USAGE, "For example: weir partition move orders/3 1,2,3",
                "a partition is TOPIC/NUMBER, not `%s`", args[0]);
    }
    r = is_back ? move_back(cli, topic, number)
                : move_to(cli, topic, number, args[1], throttle, &wait);
    mem_free(topic);
    return r;
}

/* --- balance ---------------------------------------------------------------------------------------------------------- */

enum {
    CELL_SIZE = 32
};

/* A size, or "?" when it is not known. */
static const char *size_cell(const json_t *p, const char *key, char text[CELL_SIZE])
{
    int64_t bytes = jint(p, key, -1);

    return bytes >= 0 ? cli_size_text((uint64_t)bytes, text, CELL_SIZE) : "?";
}

static const char *time_cell(const json_t *p, const char *key, char text[CELL_SIZE])
{
    int64_t ms = jint(p, key, -1);

    return ms >= 0 ? cli_duration_text(ms, text, CELL_SIZE) : "?";
}

/* All that moves in one line. What is not known of one partition is not known of the whole. */
static void print_sum(const json_t *list)
{
    char done_text[CELL_SIZE], total_text[CELL_SIZE], rate_text[CELL_SIZE], eta_text[CELL_SIZE];
    int64_t done = 0, total = 0, rate = 0;
    bool is_known = true;
    size_t i;
    json_t *p;

    json_array_foreach(list, i, p)
    {
        is_known = is_known && jint(p, "total_bytes", -1) >= 0;
        done += jint(p, "done_bytes", 0);
        total += jint(p, "total_bytes", 0);
        rate += jint(p, "bytes_per_second", 0);
    }
    if (json_array_size(list) == 0) {
        cli_note("nothing is on its way");
    } else if (!is_known) {
        cli_note("%zu on their way; how much is not known yet", json_array_size(list));
    } else {
        cli_note("%zu on their way; %s of %s there, %s/s, about %s left", json_array_size(list),
                cli_size_text((uint64_t)done, done_text, CELL_SIZE),
                cli_size_text((uint64_t)total, total_text, CELL_SIZE),
                cli_size_text((uint64_t)rate, rate_text, CELL_SIZE),
                rate > 0 ? cli_duration_text((total - done) / rate * 1000, eta_text, CELL_SIZE)
                         : "?");
    }
}

static void print_moving(const json_t *list)
{
    static const char *const heads[] = {"PARTITION", "LEADER", "ADDING", "REMOVING", "ISR",
            "TO CATCH UP", "DONE", "TOTAL", "LEFT"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *p;

    json_array_foreach(list, i, p)
    {
        int64_t id = jint(p, "leader", -1);
        char *name = name_of(p);
        char *leader = id >= 0 ? mem_format("%" PRId64, id) : mem_strdup("none");
        char *adding = jids(json_object_get(p, "adding"));
        char *removing = jids(json_object_get(p, "removing"));
        char *isr = jids(json_object_get(p, "isr"));
        char *behind = jids(json_object_get(p, "to_catch_up"));
        char done[CELL_SIZE], total[CELL_SIZE], left[CELL_SIZE];
        cli_table_add(t, (const char *const[]){name, leader, adding, removing, isr, behind,
                                 size_cell(p, "done_bytes", done),
                                 size_cell(p, "total_bytes", total),
                                 time_cell(p, "eta_ms", left)});
        mem_free(name);
        mem_free(leader);
        mem_free(adding);
        mem_free(removing);
        mem_free(isr);
        mem_free(behind);
    }
    cli_table_print_free(t);
}

static void print_brokers(const json_t *balance)
{
    static const char *const heads[] = {"BROKER", "REPLICAS", "LEADERS", "BYTES"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *b;

    json_array_foreach(json_object_get(balance, "brokers"), i, b)
    {
        char id[CELL_SIZE], replicas[CELL_SIZE], leaders[CELL_SIZE], bytes[CELL_SIZE];
        (void)snprintf(id, sizeof(id), "%" PRId64, jint(b, "id", -1));
        (void)snprintf(replicas, sizeof(replicas), "%" PRId64, jint(b, "replicas", 0));
        (void)snprintf(leaders, sizeof(leaders), "%" PRId64, jint(b, "leaders", 0));
        cli_table_add(t,
                (const char *const[]){id, replicas, leaders, size_cell(b, "bytes", bytes)});
    }
    cli_table_print_free(t);
}

/* What the controller makes of it, and what is on its way. */
static void print_status(const json_t *balance, const json_t *list)
{
    char bytes[CELL_SIZE];

    cli_note("weir.auto.balance=%s at %s: %s", jstr(balance, "mode", "?"),
            jstr(balance, "evaluated_at", "no time yet"), jstr(balance, "why", "?"));
    if (jint(balance, "moves", 0) > 0) {
        cli_note("planned: %" PRId64 " moves, %s to copy", jint(balance, "moves", 0),
                size_cell(balance, "bytes_to_move", bytes));
    }
    if (json_array_size(list) > 0) {
        print_moving(list);
    } else {
        print_brokers(balance);
    }
    print_sum(list);
}

static int balance_status(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *list = cli_get(cli, "/v1/reassignments?page_size=1000", &r);

    if (list != NULL && !cli_print_json(cli, list, "topic")) {
        json_t *balance = cli_get_one(cli, "/v1/balance", &r);
        if (balance != NULL) {
            print_status(balance, list);
        }
        r = balance != NULL ? EXIT_DONE : r;
        json_decref(balance);
    } else if (list != NULL) {
        r = EXIT_DONE;
    }
    json_decref(list);
    return r;
}

static int balance_cancel(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    char *path = mem_format("/v1/reassignments?dry_run=%s", dry_run_of(cli));

    r = send(cli, "DELETE", path, NULL, NULL);
    mem_free(path);
    return r;
}

static int pursue(struct cli *cli, json_t *body, const struct cli_wait *wait)
{
    char *path = mem_format("/v1/reassignments?dry_run=%s", dry_run_of(cli));
    int r = send(cli, "POST", path, body, wait);

    json_decref(body);
    mem_free(path);
    return r;
}

static int balance_plan(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    cli->dry_run = true;
    return pursue(cli, json_pack("{s:s}", "goal", "balance"), NULL);
}

/* With a limit for all moves; `throttle` NULL = the one there is. */
static int pursue_throttled(
        struct cli *cli, json_t *body, const char *throttle, const struct cli_wait *wait)
{
    int r = add_throttle(body, throttle);

    if (r >= 0) {
        json_decref(body);
        return r;
    }
    return pursue(cli, body, wait);
}

static int balance_apply(struct cli *cli, int argc, char **argv)
{
    struct cli_wait wait = {0};
    const char *throttle = NULL;
    const struct cli_opt opts[] = {THROTTLE_OPT(&throttle), CLI_WAIT_OPTS(wait)};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    return r >= 0 ? r
                  : pursue_throttled(cli, json_pack("{s:s}", "goal", "balance"), throttle, &wait);
}

/* --- broker decommission, topic replicate ---------------------------------------------------------------------------- */

static int broker_decommission(struct cli *cli, int argc, char **argv)
{
    struct cli_wait wait = {0};
    const char *text = NULL, *throttle = NULL;
    const struct cli_opt opts[] = {THROTTLE_OPT(&throttle), CLI_WAIT_OPTS(wait)};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &text, 1, 1);

    if (r >= 0) {
        return r;
    }
    json_t *ids = ids_of(text);

    if (ids == NULL) {
        return cli_fail(EXIT_USAGE, "For example: weir broker decommission 4",
                "a broker is named by its id, not `%s`", text);
    }
    return pursue_throttled(cli,
            json_pack("{s:s, s:o}", "goal", "decommission", "brokers", ids), throttle, &wait);
}

static int topic_replicate(struct cli *cli, int argc, char **argv)
{
    const char *name = NULL;
    int64_t factor = 0;
    struct cli_wait wait = {0};
    const struct cli_opt opts[] = {
            {0, "to", OPT_I64, &factor, "N", "so many replicas of each partition", 1, 8},
            CLI_WAIT_OPTS(wait)};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &name, 1, 1);

    if (r >= 0) {
        return r;
    }
    if (factor == 0) {
        return cli_fail(EXIT_USAGE, "For example: weir topic replicate orders --to 3",
                "say how many replicas each partition shall have");
    }
    char *escaped = url_escape(name);
    char *path = mem_format("/v1/topics/%s?dry_run=%s", escaped, dry_run_of(cli));
    json_t *body = json_pack("{s:I}", "replication_factor", (json_int_t)factor);

    r = send(cli, "PATCH", path, body, &wait);
    json_decref(body);
    mem_free(escaped);
    mem_free(path);
    return r;
}

const struct cli_command cli_balance_plan = {
        .noun = "balance",
        .verb = "plan",
        .summary = "show what would move so that brokers hold and lead as much",
        .usage = "",
        .details = "Counts replicas and first replicas, then bytes, and keeps replicas on as many racks as "
                   "there are. Nothing is moved.",
        .examples = "  weir balance plan\n",
        .run = balance_plan,
};

const struct cli_command cli_balance_apply = {
        .noun = "balance",
        .verb = "apply",
        .summary = "move partitions so that brokers hold and lead as much",
        .usage = "[--throttle SIZE]",
        .details = "All moves of the plan begin at once. Ctrl-C leaves them alone: `weir ops "
                   "watch` goes on "
                   "watching, `weir balance status` shows each, `weir balance cancel` takes them "
                   "back.",
        .examples = "  weir balance apply --reason 'two new brokers'\n",
        .run = balance_apply,
};

const struct cli_command cli_broker_decommission = {
        .noun = "broker",
        .verb = "decommission",
        .summary = "move all replicas of brokers to others, for good",
        .usage = "N[,…] [--throttle SIZE]",
        .details = "They lead nothing that another can lead and get nothing new; what cannot move "
                   "yet is tried "
                   "again until it has. Then stop them and `weir broker forget N`. `weir broker "
                   "undrain N` "
                   "takes it back.",
        .examples = "  weir broker decommission 4 --dry-run\n"
                    "  weir broker decommission 4 --throttle 20M\n",
        .run = broker_decommission,
};

const struct cli_command cli_topic_replicate = {
        .noun = "topic",
        .verb = "replicate",
        .summary = "change how many replicas a topic's partitions have",
        .usage = "T --to N",
        .details = "More are placed as those of a new topic; of fewer the first stays, and those in sync "
                   "rather than others.",
        .examples = "  weir topic replicate orders --to 3\n",
        .run = topic_replicate,
};

const struct cli_command cli_partition_move = {
        .noun = "partition",
        .verb = "move",
        .summary = "move a partition to other brokers while it serves",
        .usage = "T/P BROKER,… [--throttle SIZE] | --cancel T/P",
        .details = "The first broker is the preferred leader. The old replicas stay until the new ones "
                   "are in sync; `weir balance status` shows what is on its way.",
        .examples = "  weir partition move orders/3 1,2,3\n"
                    "  weir partition move --cancel orders/3\n",
        .run = partition_move,
};

const struct cli_command cli_balance_status = {
        .noun = "balance",
        .verb = "status",
        .summary = "list partitions that are on their way to other brokers",
        .usage = "",
        .details = "How far each has come, and what the controller makes of the balance "
                   "(weir.auto.balance) and why; when nothing moves, what brokers hold.",
        .examples = "  weir balance status\n",
        .run = balance_status,
};

const struct cli_command cli_balance_cancel = {
        .noun = "balance",
        .verb = "cancel",
        .summary = "take back all moves that are under way",
        .usage = "",
        .details = "Each partition goes back to the brokers that it comes from. Where too few of those "
                   "are in sync the move goes on, and the answer says so.",
        .examples = "  weir balance cancel --dry-run\n",
        .run = balance_cancel,
};
