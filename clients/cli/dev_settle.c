/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/client.h"
#include "clients/cli/dev.h"
#include "clients/cli/json.h"
#include "common/net/loop.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

/* Whether every replica is in sync. */
static bool is_in_sync(struct weir_client *client, const char *topic)
{
    struct weir_metadata *m = NULL;

    if (weir_metadata_get(client, &topic, 1, 5000, &m, NULL) != 0) {
        return false;
    }
    bool is = m->n_topics == 1 && m->topics[0].error.code == 0;
    for (size_t p = 0; is && p < m->topics[0].n_partitions; p++) {
        const struct weir_partition *partition = &m->topics[0].partitions[p];
        is = partition->leader >= 0 && partition->n_isr == partition->n_replicas;
    }
    weir_metadata_free(m);
    return is;
}

static bool nothing_moves(const struct cli *here)
{
    struct http_answer a = {0};
    json_t *o = NULL;

    cli_http(here, "GET", "/v1/reassignments", NULL, &a);
    if (a.status == 200) {
        o = cli_answer_json(&a);
    }
    const json_t *items = json_object_get(o, "items");
    bool is = items != NULL && json_array_size(items) == 0;
    json_decref(o);
    http_answer_deinit(&a);
    return is;
}

bool dev_wait_in_sync(const struct cli *here, const char *topic, int64_t timeout_ms)
{
    static const char *const no_pairs[] = {NULL};
    wtime until = clock_now() + WTIME_MS(timeout_ms);
    int stop = 0;
    struct weir_client *client = cli_client(here, no_pairs, &stop);
    bool is = false;

    while (client != NULL && !(is = is_in_sync(client, topic) && nothing_moves(here)) &&
            clock_now() < until) {
        struct timespec pause = {.tv_nsec = 100000000};
        (void)nanosleep(&pause, NULL);
    }
    (void)weir_client_close(client, 0);
    return is;
}
