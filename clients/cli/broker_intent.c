/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>

/* What an operator wants of a broker: no new replicas, no leaderships, or that it is forgotten. That its replicas go
 * elsewhere is a plan of moves: move.c. */

static void print_intent(const struct cli *cli, const json_t *a)
{
    const char *would = cli->dry_run ? "would be " : "is ";
    int64_t moved = jint(a, "moved", 0), waiting = jint(a, "waiting", 0),
            single = jint(a, "single", 0);

    printf("broker %" PRId64 " %s%s\n", jint(a, "broker", -1), would,
            strcmp(jstr(a, "intent", "none"), "none") == 0
                    ? "wanted again: it may lead and get new replicas"
                    : jstr(a, "intent", "?"));
    if (strcmp(jstr(a, "intent", ""), "draining") == 0) {
        printf("leaderships: %" PRId64 " %s to others, %" PRId64
               " when another replica is in sync, "
               "%" PRId64 " without another replica stay\n",
                moved, cli->dry_run ? "would go" : "went", waiting, single);
    }
}

static void print_forgotten(const struct cli *cli, const json_t *a)
{
    printf("broker %" PRId64 " %s forgotten\n", jint(a, "broker", -1),
            cli->dry_run ? "would be" : "is");
}

/* POST /v1/brokers/N:verb. */
static int intend(struct cli *cli, int argc, char **argv, const char *verb)
{
    struct cli_wait wait = {0};
    const struct cli_opt opts[] = {CLI_WAIT_OPTS(wait)};
    const char *id = NULL;
    int64_t operation = 0;
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &id, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(id);
    char *path = mem_format(
            "/v1/brokers/%s:%s?dry_run=%s", escaped, verb, cli->dry_run ? "true" : "false");

    r = cli_send(cli, "POST", path, NULL, "broker", print_intent, &operation);
    mem_free(escaped);
    mem_free(path);
    return cli_wait_for(cli, &wait, operation, r);
}

static int broker_cordon(struct cli *cli, int argc, char **argv)
{
    return intend(cli, argc, argv, "cordon");
}

static int broker_drain(struct cli *cli, int argc, char **argv)
{
    return intend(cli, argc, argv, "drain");
}

static int broker_undrain(struct cli *cli, int argc, char **argv)
{
    return intend(cli, argc, argv, "undrain");
}

static int broker_forget(struct cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &id, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(id);
    char *path = mem_format("/v1/brokers/%s?dry_run=%s", escaped, cli->dry_run ? "true" : "false");

    r = cli_send(cli, "DELETE", path, NULL, "broker", print_forgotten, NULL);
    mem_free(escaped);
    mem_free(path);
    return r;
}

const struct cli_command cli_broker_cordon = {
        .noun = "broker",
        .verb = "cordon",
        .summary = "a broker gets no new replicas",
        .usage = "N",
        .details = "What it holds and leads stays. `weir broker undrain N` ends it.",
        .examples = "  weir broker cordon 4 --reason 'disk nearly full'\n",
        .run = broker_cordon,
};

const struct cli_command cli_broker_drain = {
        .noun = "broker",
        .verb = "drain",
        .summary = "a broker leads nothing that another can lead",
        .usage = "N",
        .details = "It goes on replicating, also after restarts, until `weir broker undrain N`. It "
                   "gets no new "
                   "replicas meanwhile. Stop it without anybody noticing: drain, stop-check, "
                   "restart, undrain.",
        .examples = "  weir broker drain 4 && weir broker stop-check 4\n",
        .run = broker_drain,
};

const struct cli_command cli_broker_undrain = {
        .noun = "broker",
        .verb = "undrain",
        .summary = "a broker takes part again",
        .usage = "N",
        .details = "Ends cordon, drain and decommission; what is still on its way to other brokers "
                   "is taken "
                   "back. Leaderships go back by themselves after 30 quiet seconds.",
        .examples = "  weir broker undrain 4\n",
        .run = broker_undrain,
};

const struct cli_command cli_broker_forget = {
        .noun = "broker",
        .verb = "forget",
        .summary = "a broker that is stopped for good is not listed any more",
        .usage = "N",
        .details =
                "Only when it is stopped and holds no replica: `weir broker decommission N` first.",
        .examples = "  weir broker forget 4\n",
        .run = broker_forget,
};
