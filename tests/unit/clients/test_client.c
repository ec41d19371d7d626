/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/err.h"
#include "common/domain/errcode.h"
#include "common/net/loop.h"
#include "tests/unit/clients/fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Configuration ---------------------------------------------------------------------------- */

static void properties_are_checked_when_they_are_set(void)
{
    static const struct {
        const char *pair;
        const char *says; /* NULL: good */
    } rows[] = {
            {"linger.ms=5", NULL},
            {" batch.size = 64KiB ", NULL},
            {"acks=all", NULL},
            {"acks=-1", NULL},
            {"bootstrap.servers=a:1,[::1]:2", NULL},
            {"acks=2", "all|-1|1|0"},
            {"linger.ms=-1", "linger.ms"},
            {"compression.type=brotli", "compression.type"},
            {"lingerms=5", "did you mean linger.ms"},
            {"isolation.level=read_committed", "isolation.level"},
            {"xyzzyxyzzy=1", "there is no property"},
            {"novalue", "key=value"},
    };
    struct weir_conf *conf = weir_conf_new();

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct weir_error error = {0};
        int r = weir_conf_set_pair(conf, rows[i].pair, &error);
        CHECK_EQ(r, rows[i].says == NULL ? 0 : WEIR_E_CONFIG);
        if (rows[i].says != NULL && strstr(error.text, rows[i].says) == NULL) {
            check_fail(__FILE__, __LINE__, "%s: %s", rows[i].pair, error.text);
        }
    }
    CHECK_STR(weir_conf_get(conf, "batch.size"), "64KiB");
    CHECK_STR(weir_conf_get(conf, "buffer.memory"), "33554432");
    CHECK(weir_conf_get(conf, "nothing") == NULL);
    weir_conf_free(conf);
}

static void every_property_has_a_sentence_and_a_legal_default(void)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_conf_key key;
    size_t n = 0;

    for (; weir_conf_key_at(n, &key); n++) {
        CHECK(key.text[strlen(key.text) - 1] == '.');
        if (key.default_value != NULL) {
            CHECK_EQ(weir_conf_set(conf, key.name, key.default_value, NULL), 0);
        }
    }
    CHECK(n > 20);
    weir_conf_free(conf);
}

static void a_client_without_servers_is_refused(void)
{
    static const char *const lists[] = {
            NULL, "", "nohost", "host:0", "host:99999", "::1:9190", ","};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct weir_conf *conf = weir_conf_new();
        struct weir_client *client = NULL;
        struct weir_error error = {0};
        if (lists[i] != NULL) {
            (void)weir_conf_set(conf, "bootstrap.servers", lists[i], NULL);
        }
        CHECK_EQ(weir_client_new(conf, &client, &error), WEIR_E_CONFIG);
        CHECK(strstr(error.text, "bootstrap.servers") != NULL);
        CHECK(client == NULL);
        weir_conf_free(conf);
    }
}

static void codes_have_names_and_sentences(void)
{
    CHECK_STR(weir_code_name(6), "NOT_LEADER_OR_FOLLOWER");
    CHECK_STR(weir_code_name(WEIR_E_TIMED_OUT), "WEIR_E_TIMED_OUT");
    CHECK_STR(weir_code_name(0), "NONE");
    CHECK(strlen(weir_code_text(WEIR_E_LIMIT)) > 10);
    CHECK_STR(weir_version(), WEIR_VERSION);
}

/* --- Metadata --------------------------------------------------------------------------------- */

static void metadata_names_brokers_controllers_and_topics(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    const char *topics[] = {"t", "nowhere"};
    struct weir_metadata *m = NULL;

    mock_add_topic(mock, "t", 3);
    CHECK_EQ(weir_metadata_get(client, topics, 2, 5000, &m, NULL), 0);
    CHECK_EQ(m->n_controllers, 1);
    CHECK_STR(m->controllers[0], "http://127.0.0.1:9180");
    CHECK_EQ(m->n_brokers, 2);
    CHECK_EQ(m->brokers[1].id, 1);
    CHECK_EQ(m->brokers[1].port, mock_port(mock, 1));
    CHECK_EQ(m->n_topics, 2);
    CHECK_EQ(m->topics[0].n_partitions, 3);
    CHECK_EQ(m->topics[0].partitions[1].leader, 1);
    CHECK_EQ(m->topics[0].partitions[1].n_replicas, 1);
    CHECK_EQ(m->topics[0].partitions[1].isr[0], 1);
    CHECK_EQ(m->topics[1].error.code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    weir_metadata_free(m);
    CHECK_EQ(weir_metadata_get(client, NULL, 0, 5000, &m, NULL), 0);
    CHECK_EQ(m->n_topics, 0);
    weir_metadata_free(m);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void metadata_comes_from_another_broker_when_one_fails(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_metadata *m = NULL;

    mock_script(mock, API_METADATA, MOCK_CLOSE_BEFORE, 0, 1);
    mock_script(mock, API_METADATA, MOCK_GARBAGE, 0, 1);
    mock_stop(mock, 0);
    CHECK_EQ(weir_metadata_get(client, NULL, 0, 5000, &m, NULL), 0);
    CHECK_EQ(m->n_brokers, 2);
    weir_metadata_free(m);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void nobody_there_is_said_with_every_address(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};
    char port[16];

    mock_stop(mock, 0);
    mock_stop(mock, 1);
    CHECK_EQ(weir_metadata_get(client, NULL, 0, 200, &m, &error), WEIR_E_TRANSPORT);
    snprintf(port, sizeof(port), ":%u:", mock_port(mock, 1));
    CHECK(strstr(error.text, port) != NULL);
    CHECK(strstr(error.text, "refused") != NULL);
    CHECK(error.retriable);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void a_name_that_does_not_resolve_is_said(void)
{
    struct weir_client *client = client_for("no-such-host.invalid:9190", NULL);
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};

    CHECK_EQ(weir_metadata_get(client, NULL, 0, 1000, &m, &error), WEIR_E_TRANSPORT);
    CHECK(strstr(error.text, "no-such-host.invalid") != NULL);
    CHECK_EQ(weir_client_close(client, 0), 0);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = fd >= 0 && bind(fd, (struct sockaddr *)(void *)&addr, sizeof(addr)) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return is_there;
}

static void ipv6_brokers_are_reached(void)
{
    if (!has_ipv6()) {
        CHECK(true);
        return;
    }
    struct mock *mock = mock_new("::1", 2);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    mock_add_topic(mock, "t", 2);
    struct weir_topic *t = weir_topic_get(client, "t", NULL);
    struct weir_record record = WEIR_RECORD_INIT;
    record.value = text_bytes("six");
    record.partition = 1;
    CHECK_EQ(weir_produce_sync(client, t, &record, NULL, NULL), 0);
    CHECK_STR(mock_values(mock, "t", 1), "six\n");
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void names_are_tried_with_all_their_addresses(void)
{
    struct mock *mock = mock_new("127.0.0.1", 1);
    char server[64];
    struct weir_metadata *m = NULL;

    snprintf(server, sizeof(server), "localhost:%u",
            mock_port(mock, 0)); /* ::1 may come first and refuse */
    struct weir_client *client = client_for(server, NULL);
    CHECK_EQ(weir_metadata_get(client, NULL, 0, 5000, &m, NULL), 0);
    weir_metadata_free(m);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

/* --- Offsets ---------------------------------------------------------------------------------- */

static void produce_some(struct weir_client *client, int32_t partition, int n)
{
    struct weir_topic *t = weir_topic_get(client, "t", NULL);

    for (int i = 0; i < n; i++) {
        struct weir_record r = WEIR_RECORD_INIT;
        r.partition = partition;
        r.timestamp = 1000 * i;
        CHECK_EQ(weir_produce(client, t, &r, NULL), 0);
    }
    CHECK_EQ(weir_flush(client, 5000), 0);
}

static void offsets_are_found_by_start_end_and_time(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_error error = {0};

    mock_add_topic(mock, "t", 2);
    produce_some(client, 0, 10);
    produce_some(client, 1, 3);
    mock_script(mock, API_LIST_OFFSETS, MOCK_ERROR, ERRCODE_OFFSET_NOT_AVAILABLE, 1);
    mock_script(mock, API_LIST_OFFSETS, MOCK_CLOSE_BEFORE, 0, 1);
    struct weir_offset_query q[] = {
            {.topic = "t", .partition = 0, .at = WEIR_OFFSET_END},
            {.topic = "t", .partition = 1, .at = WEIR_OFFSET_END},
            {.topic = "t", .partition = 0, .at = WEIR_OFFSET_START},
            {.topic = "t", .partition = 0, .at = 4500},
            {.topic = "t", .partition = 0, .at = 99999},
    };
    CHECK_EQ(weir_offsets_get(client, q, COUNT_OF(q), 5000, &error), 0);
    CHECK_EQ(q[0].offset, 10);
    CHECK_EQ(q[1].offset, 3);
    CHECK_EQ(q[2].offset, 0);
    CHECK_EQ(q[3].offset, 5);
    CHECK_EQ(q[3].timestamp, 5000);
    CHECK_EQ(q[4].offset, -1);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

/* [FET-30] Metadata lag behind an unclean election: what another leader says is no answer. */
static void offsets_are_asked_of_the_leader_that_is_believed_in(void)
{
    struct mock *mock = mock_new("127.0.0.1", 1);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_offset_query q = {.topic = "t", .partition = 0, .at = WEIR_OFFSET_END};
    struct weir_error error = {0};

    mock_add_topic(mock, "t", 1);
    produce_some(client, 0, 5);
    CHECK_EQ(weir_offsets_get(client, &q, 1, 5000, &error), 0);
    CHECK_EQ(q.offset, 5);
    mock_freeze_epochs(mock, true);
    mock_cut(mock, "t", 0, 3);
    CHECK_EQ(weir_offsets_get(client, &q, 1, 500, &error), ERRCODE_FENCED_LEADER_EPOCH);
    CHECK_EQ(q.offset, -1);
    mock_freeze_epochs(mock, false);
    mock_script(mock, API_LIST_OFFSETS, MOCK_ERROR, ERRCODE_UNKNOWN_LEADER_EPOCH, 2);
    CHECK_EQ(weir_offsets_get(client, &q, 1, 5000, &error), 0);
    CHECK_EQ(q.offset, mock_end(mock, "t", 0));
    CHECK(q.offset < 5);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void offsets_of_what_does_not_exist_are_errors_of_their_own(void)
{
    struct mock *mock = mock_new("127.0.0.1", 1);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_error error = {0};

    mock_add_topic(mock, "t", 1);
    struct weir_offset_query q[] = {
            {.topic = "t", .partition = 0, .at = WEIR_OFFSET_END},
            {.topic = "t", .partition = 7, .at = WEIR_OFFSET_END},
            {.topic = "nowhere", .partition = 0, .at = WEIR_OFFSET_END},
    };
    CHECK_EQ(weir_offsets_get(client, q, COUNT_OF(q), 5000, &error),
            ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK(strstr(error.text, "t-7") != NULL);
    CHECK_EQ(q[0].error.code, 0);
    CHECK_EQ(q[0].offset, 0);
    CHECK_EQ(q[1].error.code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(q[2].error.code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static void a_silent_broker_times_out(void)
{
    struct mock *mock = mock_new("127.0.0.1", 1);
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);
    struct weir_error error = {0};
    struct weir_metadata *m = NULL;

    mock_script(mock, API_METADATA, MOCK_SILENT, 0, 100);
    CHECK_EQ(weir_metadata_get(client, NULL, 0, 100, &m, &error) == 0, false);
    CHECK(error.code == WEIR_E_TIMED_OUT || error.code == WEIR_E_TRANSPORT);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

/* Of two brokers that were written to the first one answers nothing any more. */
static struct weir_client *begin_with_a_mute_leader(struct mock *mock)
{
    struct weir_client *client = client_for(mock_bootstrap(mock), NULL);

    mock_add_topic(mock, "t", 2);
    produce_some(client, 0, 1);
    produce_some(client, 1, 1);
    mock_mute(mock, 0);
    return client;
}

static void produce_to_the_mute_leader(struct weir_client *client)
{
    struct weir_record r = WEIR_RECORD_INIT;

    r.partition = 0;
    CHECK_EQ(weir_produce(client, weir_topic_get(client, "t", NULL), &r, NULL), 0);
}

/* A broker's network goes away: who leads instead is asked of those that do answer. */
static void metadata_is_not_asked_of_a_broker_that_is_silent(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = begin_with_a_mute_leader(mock);

    produce_to_the_mute_leader(client);
    (void)weir_flush(client, 1500); /* it is silent for so long */
    for (int i = 0; i < 4; i++) {
        struct weir_metadata *m = NULL;
        CHECK_EQ(weir_metadata_get(client, NULL, 0, 3000, &m, NULL), 0);
        weir_metadata_free(m);
    }
    CHECK_EQ(weir_client_close(client, 0), 1); /* that record */
    mock_free(mock);
}

/* It takes connections and says nothing; another one leads before it is given up. */
static void a_leader_that_does_not_come_back_is_asked_for_meanwhile(void)
{
    struct mock *mock = mock_new("127.0.0.1", 2);
    struct weir_client *client = begin_with_a_mute_leader(mock);

    mock_stop(mock, 0);
    mock_start(mock, 0);
    produce_to_the_mute_leader(client);
    (void)weir_flush(client, 500); /* the client is told that broker 0 leads, and tries it */
    mock_move_leader(mock, "t", 0, 1);
    CHECK_EQ(weir_flush(client, 2000), 0);
    CHECK_EQ(weir_client_close(client, 0), 0);
    mock_free(mock);
}

static const struct check_case cases[] = {
        CASE(properties_are_checked_when_they_are_set),
        CASE(every_property_has_a_sentence_and_a_legal_default),
        CASE(a_client_without_servers_is_refused),
        CASE(codes_have_names_and_sentences),
        CASE(metadata_names_brokers_controllers_and_topics),
        CASE(metadata_comes_from_another_broker_when_one_fails),
        CASE(nobody_there_is_said_with_every_address),
        CASE(a_name_that_does_not_resolve_is_said),
        CASE(ipv6_brokers_are_reached),
        CASE(names_are_tried_with_all_their_addresses),
        CASE(offsets_are_found_by_start_end_and_time),
        CASE(offsets_are_asked_of_the_leader_that_is_believed_in),
        CASE(offsets_of_what_does_not_exist_are_errors_of_their_own),
        CASE(a_silent_broker_times_out),
        CASE(metadata_is_not_asked_of_a_broker_that_is_silent),
        CASE(a_leader_that_does_not_come_back_is_asked_for_meanwhile),
};

CHECK_MAIN("libweir_client", cases)
