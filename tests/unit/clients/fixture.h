/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/lib/check.h"
#include "tests/unit/clients/mock_broker.h"

#include <weir/consumer.h>
#include <weir/producer.h>

/* A client of `bootstrap` with short waits; `pairs` (key=value …, NULL) come on top. */
static inline struct weir_client *client_for(const char *bootstrap, const char *const *pairs)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_client *client = NULL;
    struct weir_error error = {0};
    static const char *const quick[] = {"retry.backoff.ms=10", "retry.backoff.max.ms=50",
            "reconnect.backoff.ms=10", "reconnect.backoff.max.ms=50", "fetch.max.wait.ms=50",
            "topic.metadata.propagation.max.ms=100", NULL};

    CHECK_EQ(weir_conf_set(conf, "bootstrap.servers", bootstrap, &error), 0);
    for (const char *const *p = quick; *p != NULL; p++) {
        CHECK_EQ(weir_conf_set_pair(conf, *p, &error), 0);
    }
    for (const char *const *p = pairs; p != NULL && *p != NULL; p++) {
        if (weir_conf_set_pair(conf, *p, &error) != 0) {
            check_fail(__FILE__, __LINE__, "%s: %s", *p, error.text);
        }
    }
    if (weir_client_new(conf, &client, &error) != 0) {
        check_fail(__FILE__, __LINE__, "%s", error.text);
    }
    weir_conf_free(conf);
    return client;
}

static inline struct weir_bytes text_bytes(const char *s)
{
    return (struct weir_bytes){.at = s, .size = strlen(s)};
}

static inline int produce_text(
        struct weir_client *c, struct weir_topic *t, int32_t partition, const char *value)
{
    struct weir_record r = WEIR_RECORD_INIT;

    r.partition = partition;
    r.value = text_bytes(value);
    return weir_produce(c, t, &r, NULL);
}
