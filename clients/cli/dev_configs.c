/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/dev.h"

#include "clients/cli/json.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/net/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* `weir dev up --set`: a key that a daemon's table has goes into its file, one that only the
 * cluster has is PATCHed once the cluster serves. */

static bool is_daemons(const char *key)
{
    return conf_find_key(conf_controller_keys, conf_n_controller_keys, key) != NULL ||
           conf_find_key(conf_broker_keys, conf_n_broker_keys, key) != NULL;
}

static int refuse_unknown(const char *key)
{
    char error[1024];
    const char *near = conf_nearest(conf_broker_keys, conf_n_broker_keys, key);

    if (conf_find_key(conf_topic_keys, conf_n_topic_keys, key) != NULL || near == NULL) {
        return cli_fail(EXIT_USAGE, "", "%s",
                conf_explain_target(CONF_OF_CLUSTER, key, error, sizeof(error)));
    }
    char *hint = mem_format("Did you mean `%s`?", near);
    int r = cli_fail(EXIT_USAGE, hint, "neither a daemon nor the cluster has a key `%s`", key);
    mem_free(hint);
    return r;
}

/* A daemon says itself what is wrong with a value in its file. */
static int check_set(const char *set)
{
    char error[1024];
    size_t size = strcspn(set, "=");

    if (set[size] == '\0') {
        return cli_fail(EXIT_USAGE, "", "--set takes key=value, not `%s`", set);
    }
    char *key = mem_strndup(set, size);
    const struct conf_key *row = conf_find_dynamic(CONF_OF_CLUSTER, key);
    int r = -1;
    if (!is_daemons(key) && row == NULL) {
        r = refuse_unknown(key);
    } else if (!is_daemons(key) &&
               conf_check_value(row, set + size + 1, NULL, error, sizeof(error)) != 0) {
        r = cli_fail(EXIT_USAGE, "", "%s", error);
    }
    mem_free(key);
    return r;
}

int dev_check_sets(const struct cli_strings *sets)
{
    int r = -1;

    for (size_t i = 0; r < 0 && i < sets->n; i++) {
        r = check_set(sets->items[i]);
    }
    return r;
}

static json_t *cluster_patch(const struct cli_strings *sets)
{
    json_t *patch = json_object();

    for (size_t i = 0; i < sets->n; i++) {
        const char *set = sets->items[i];
        char *key = mem_strndup(set, strcspn(set, "="));
        if (!is_daemons(key)) { /* given twice: the last one counts, as in a file */
            json_object_set_new(patch, key, json_string(set + strlen(key) + 1));
        }
        mem_free(key);
    }
    return patch;
}

int dev_set_cluster(const struct cli *cli, const struct dev_cluster *d, int64_t timeout_ms)
{
    json_t *patch = cluster_patch(&d->shape.sets);
    struct http_answer a = {0};
    struct cli here = *cli;
    wtime until = wtime_add(clock_now(), WTIME_MS(timeout_ms));
    int r = -1;

    if (json_object_size(patch) > 0) {
        char *controllers = dev_controllers_text(d);
        char *text = json_dumps(patch, JSON_COMPACT);
        must(text != NULL);
        here.controller = controllers;
        cli_http(&here, "PATCH", "/v1/cluster/configs", text, &a);
        /* The one that is elected may not have told the others yet. */
        while ((a.status == 0 || a.status == 503) && !cli_interrupted() && clock_now() < until) {
            struct timespec t = {.tv_nsec = 25000000};
            (void)nanosleep(&t, NULL);
            cli_http(&here, "PATCH", "/v1/cluster/configs", text, &a);
        }
        r = a.status == 200 ? -1 : cli_http_fail(&a);
        free(text);
        mem_free(controllers);
    }
    json_decref(patch);
    http_answer_deinit(&a);
    return r;
}
