/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/client.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <stdio.h>

static void on_log(void *ctx, enum weir_log_level level, const char *line)
{
    const struct cli *cli = ctx;

    if (cli->verbose && level >= WEIR_LOG_INFO) {
        cli_note("%s", line);
    }
}

int cli_weir_timeout(const struct cli *cli)
{
    return cli->timeout_ms > INT32_MAX ? INT32_MAX : (int)cli->timeout_ms;
}

int cli_weir_fail(const struct weir_error *error)
{
    const char *text = error->text[0] != '\0' ? error->text : weir_code_text(error->code);

    switch (error->code) {
    case WEIR_E_TIMED_OUT:
    case WEIR_E_TRANSPORT:
    case ERRCODE_REQUEST_TIMED_OUT:
    case ERRCODE_NETWORK_EXCEPTION:
        return cli_fail(EXIT_UNREACHABLE,
                "Is the cluster running? `weir dev up` starts one here; WEIR_BROKERS or --brokers "
                "names another.",
                "%s", text);
    case WEIR_E_CONFIG:
    case WEIR_E_ARGUMENT: return cli_fail(EXIT_USAGE, "", "%s", text);
    default:
        return cli_fail(EXIT_FAILED, "", "%s (%s)", text, error->name != NULL ? error->name : "?");
    }
}

struct weir_client *cli_client(const struct cli *cli, const char *const *pairs, int *ret_exit)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_client *client = NULL;
    struct weir_error error = {0};
    int r = weir_conf_set(conf, "bootstrap.servers", cli->brokers, &error);

    r = r == 0 ? weir_conf_set(conf, "client.id", "weir-cli", &error) : r;
    for (; r == 0 && *pairs != NULL; pairs++) {
        r = weir_conf_set_pair(conf, *pairs, &error);
    }

    union {
        const struct cli *in;
        void *out;
    } ctx = {.in = cli};

    weir_conf_set_log(conf, on_log, ctx.out);
    r = r == 0 ? weir_client_new(conf, &client, &error) : r;
    if (r != 0) {
        *ret_exit = cli_weir_fail(&error);
    }
    weir_conf_free(conf);
    return client;
}

struct weir_metadata *cli_topic(
        const struct cli *cli, struct weir_client *client, const char *topic, int *ret_exit)
{
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};

    if (weir_metadata_get(client, &topic, 1, cli_weir_timeout(cli), &m, &error) != 0) {
        *ret_exit = cli_weir_fail(&error);
        return NULL;
    }
    if (m->n_topics == 1 && m->topics[0].error.code == 0) {
        return m;
    }
    if (m->n_topics == 1 && m->topics[0].error.code == ERRCODE_UNKNOWN_TOPIC_OR_PARTITION) {
        char *hint =
                mem_format("Create it: weir topic create %s   See all: weir topic list", topic);
        *ret_exit = cli_fail(EXIT_NOT_FOUND, hint, "there is no topic `%s`", topic);
        mem_free(hint);
    } else {
        *ret_exit = m->n_topics == 1 ? cli_weir_fail(&m->topics[0].error)
                                     : cli_fail(EXIT_FAILED, "",
                                               "the broker did not answer for topic `%s`", topic);
    }
    weir_metadata_free(m);
    return NULL;
}

char *cli_controllers_of_brokers(const struct cli *cli, struct http_answer *ret)
{
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};
    struct buf urls = {0};
    int stop = 0;
    const char *no_pairs[] = {NULL};
    struct weir_client *client = cli_client(cli, no_pairs, &stop);

    ret->status = 0;
    (void)snprintf(ret->error, sizeof(ret->error), "the brokers %s are not usable", cli->brokers);
    if (client == NULL) {
        return NULL;
    }
    if (weir_metadata_get(client, NULL, 0, cli_weir_timeout(cli), &m, &error) != 0) {
        (void)snprintf(ret->error, sizeof(ret->error), "%s", error.text);
    } else {
        for (size_t i = 0; i < m->n_controllers; i++) {
            buf_append_format(&urls, "%s%s", i > 0 ? "," : "", m->controllers[i]);
        }
        (void)snprintf(ret->error, sizeof(ret->error), "the brokers know of no controller");
        weir_metadata_free(m);
    }
    (void)weir_client_close(client, 0);
    if (urls.size == 0) {
        buf_deinit(&urls);
        return NULL;
    }
    (void)buf_str(&urls);
    return (char *)urls.data;
}
