/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/conf/conf.h"
#include "tests/lib/check.h"

#include <stdio.h>

static char error[4096];

static struct conf *broker_conf(void)
{
    error[0] = '\0';
    return conf_new(conf_broker_keys, conf_n_broker_keys);
}

static int load(struct conf *c, const char *text)
{
    return conf_load_text(c, "broker.conf", text, strlen(text), error, sizeof(error));
}

/* Loads one text into a broker's table; `error` holds what was said. */
static int load_alone(const char *text)
{
    struct conf *c = broker_conf();
    int r = load(c, text);

    conf_free(c);
    return r;
}

static void every_default_is_legal_and_every_row_is_described(void)
{
    static const struct {
        const struct conf_key *keys;
        const size_t *n;
    } tables[] = {
            {conf_controller_keys, &conf_n_controller_keys},
            {conf_broker_keys, &conf_n_broker_keys},
            {conf_topic_keys, &conf_n_topic_keys},
            {conf_cluster_keys, &conf_n_cluster_keys},
    };

    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (size_t i = 0; i < *tables[t].n; i++) {
            const struct conf_key *key = &tables[t].keys[i];
            CHECK(conf_find_key(tables[t].keys, *tables[t].n, key->name) ==
                    key); /* no name twice */
            CHECK(key->min <= key->max);
            CHECK(key->text[strlen(key->text) - 1] == '.');
            CHECK(key->type != CONF_ENUM || key->choices != NULL);
            CHECK(key->type == CONF_ENUM || key->type == CONF_LIST || key->choices == NULL);
            if (key->fallback != NULL) {
                CHECK_EQ(conf_check_value(key, key->fallback, NULL, error, sizeof(error)), 0);
            }
        }
    }
}

static void cluster_keys_have_kafkas_names(void)
{
    static const char *const names[] = {"num.partitions", "default.replication.factor",
            "log.segment.bytes", "log.index.interval.bytes", "message.max.bytes",
            "log.message.timestamp.type", "log.message.timestamp.after.max.ms", "compression.type",
            "compression.lz4.level", "log.roll.ms", "log.roll.jitter.ms",
            "log.index.size.max.bytes", "log.flush.interval.messages",
            "log.flush.interval.ms", "weir.ack.durability", "weir.delete.grace.ms", "weir.delete.protection",
            "min.insync.replicas", "auto.leader.rebalance.enable", "weir.unclean.election"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct conf_key *key =
                conf_find_key(conf_cluster_keys, conf_n_cluster_keys, names[i]);
        CHECK(key != NULL);
        CHECK_EQ(key->scope, CONF_CLUSTER);
    }
    CHECK(conf_find_key(conf_cluster_keys, conf_n_cluster_keys, "log.max.message.bytes") == NULL);
    for (size_t i = 0; i < conf_n_topic_keys; i++) {
        const struct conf_key *key = conf_cluster_key_of(&conf_topic_keys[i]);
        CHECK_STR(key->fallback, conf_topic_keys[i].fallback);
        CHECK(strstr(key->name, "message") != NULL || strstr(key->name, "log.") == key->name ||
                strstr(key->name, "compression.") == key->name ||
                strstr(key->name, "weir.") == key->name ||
                strcmp(key->name, "min.insync.replicas") == 0);
    }
}

static void dynamic_keys_are_known_where_they_may_be_changed(void) /* [CFG-1] */
{
    static const char *const of_brokers[] = {"log.level", "max.connections",
            "max.connections.per.ip", "weir.flush.interval.ms", "weir.connection.outstanding.bytes",
            "socket.request.max.bytes"};

    for (size_t i = 0; i < COUNT_OF(of_brokers); i++) {
        const struct conf_key *own = conf_find_dynamic(CONF_OF_BROKER, of_brokers[i]);
        const struct conf_key *all = conf_find_dynamic(CONF_OF_CLUSTER, of_brokers[i]);
        CHECK(own != NULL && all != NULL);
        CHECK_STR(own->fallback, all->fallback);
        CHECK_EQ(own->max, all->max);
        CHECK(strstr(all->text, "For brokers without a value of their own.") != NULL);
        CHECK(conf_find_dynamic(CONF_OF_TOPIC, of_brokers[i]) == NULL);
    }
    CHECK(conf_find_dynamic(CONF_OF_BROKER, "listeners") == NULL);
    CHECK(conf_find_dynamic(CONF_OF_CLUSTER, "listeners") == NULL);
    CHECK(conf_find_dynamic(CONF_OF_TOPIC, "segment.bytes") != NULL);
    CHECK(conf_find_dynamic(CONF_OF_CLUSTER, "segment.bytes") == NULL);
    CHECK(conf_find_dynamic(CONF_OF_CLUSTER, "log.segment.bytes") != NULL);
    CHECK(conf_find_dynamic(CONF_OF_CLUSTER, "num.partitions") != NULL);
    CHECK(conf_find_dynamic(CONF_OF_BROKER, "num.partitions") == NULL);
}

static const char *explain(enum conf_target target, const char *name)
{
    return conf_explain_target(target, name, error, sizeof(error));
}

static void key_that_cannot_be_changed_there_says_where(void) /* [CFG-2] */
{
    CHECK_STR(explain(CONF_OF_TOPIC, "segment.byte"),
            "unknown topic configuration 'segment.byte'; did you mean 'segment.bytes'?");
    CHECK_STR(explain(CONF_OF_TOPIC, "message.max.bytes"),
            "'message.max.bytes' is the cluster's name for it; of a topic it is "
            "'max.message.bytes'");
    CHECK_STR(explain(CONF_OF_CLUSTER, "segment.bytes"),
            "'segment.bytes' is the topic's name for it; of a cluster it is 'log.segment.bytes'");
    CHECK_STR(explain(CONF_OF_CLUSTER, "http.listen"),
            "'http.listen' is read when weir-broker starts: change it in its file and restart it");
    CHECK_STR(explain(CONF_OF_TOPIC, "log.level"),
            "'log.level' is configuration of brokers: give it to one broker or to the cluster");
    CHECK_STR(explain(CONF_OF_BROKER, "segment.bytes"),
            "'segment.bytes' is configuration of a topic");
    CHECK(strstr(explain(CONF_OF_BROKER, "listener"), "did you mean") == NULL); /* not changeable */
    CHECK_STR(explain(CONF_OF_BROKER, "zzz"),
            "unknown broker configuration 'zzz'; there are socket.request.max.bytes, "
            "max.connections, max.connections.per.ip, weir.connection.outstanding.bytes, "
            "weir.reassignment.bytes.per.second, "
            "weir.flush.interval.ms, log.retention.check.interval.ms, log.cleaner.threads, "
            "log.cleaner.dedupe.buffer.size, log.cleaner.io.buffer.load.factor, "
            "log.cleaner.io.max.bytes.per.second, log.cleaner.backoff.ms, weir.disk.reserve.bytes, "
            "weir.scrub.bytes.per.second, log.level");
}

static void list_takes_each_of_its_choices_once(void)
{
    const struct conf_key key = {.name = "cleanup.policy",
            .type = CONF_LIST,
            .fallback = "delete",
            .choices = "delete|compact"};

    CHECK_EQ(conf_check_value(&key, "delete", NULL, error, sizeof(error)), 0);
    CHECK_EQ(conf_check_value(&key, "compact, delete", NULL, error, sizeof(error)), 0);

    static const char *const wrong[] = {"", "delete,", "delet", "delete,deletes", "delete,delete",
            "compact,delete, compact", "delete|compact", ","};

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_EQ(conf_check_value(&key, wrong[i], NULL, error, sizeof(error)), CONF_E_REFUSED);
    }
    CHECK_EQ(conf_check_value(&key, "compactt", NULL, error, sizeof(error)), CONF_E_REFUSED);
    CHECK_STR(error, "cleanup.policy: \"compactt\" has an item that is not a choice; it takes a list "
                     "separated by commas of delete|compact");
    CHECK(conf_list_has("compact, delete", "delete"));
    CHECK(conf_list_has("compact,delete", "compact"));
    CHECK(!conf_list_has("compact,delete", "comp"));
}

static void ratio_is_a_decimal_in_millionths(void)
{
    const struct conf_key key = {.name = "min.cleanable.dirty.ratio",
            .type = CONF_RATIO,
            .fallback = "0.5",
            .max = 1000000};
    static const struct {
        const char *text;
        int64_t millionths;
    } right[] = {{"0", 0}, {"1", 1000000}, {"0.5", 500000}, {"0.000001", 1}, {"1.", 1000000},
            {"00.250000", 250000}};
    static const char *const wrong[] = {"", "1.000001", "-0.1", "0.0000001", ".5", "0,5", "0.5x",
            "99999999999999999999", "half"};
    int64_t got = -1;

    for (size_t i = 0; i < COUNT_OF(right); i++) {
        CHECK_EQ(conf_check_value(&key, right[i].text, &got, error, sizeof(error)), 0);
        CHECK_EQ(got, right[i].millionths);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_EQ(conf_check_value(&key, wrong[i], &got, error, sizeof(error)), CONF_E_REFUSED);
    }
    CHECK_EQ(conf_check_value(&key, "2", &got, error, sizeof(error)), CONF_E_REFUSED);
    CHECK_STR(error, "min.cleanable.dirty.ratio: \"2\" is too large; it takes a decimal number from "
                     "0 to 1, for example 0.5");
}

static void file_of_key_value_lines_is_read(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(load(c, "# a broker\n\n  broker.id = 7\r\nlog.dirs=/a,/b # c\n\tzookeeper.connect = "
                     "z:2181/w=1\n"
                     "   # indented comment\nweir.lease.ms=2s\nsocket.request.max.bytes = 2MiB"),
            0);
    CHECK_EQ(conf_finish(c, error, sizeof(error)), 0);
    CHECK_EQ(conf_i64(c, "broker.id"), 7);
    CHECK_STR(conf_str(c, "log.dirs"), "/a,/b # c");
    CHECK_STR(conf_str(c, "zookeeper.connect"), "z:2181/w=1");
    CHECK_EQ(conf_i64(c, "weir.lease.ms"), 2000);
    CHECK_EQ(conf_i64(c, "socket.request.max.bytes"), 2 << 20);
    CHECK_STR(conf_str(c, "log.level"), "info");
    CHECK(conf_is_set(c, "broker.id"));
    CHECK(!conf_is_set(c, "log.level"));
    conf_free(c);
}

static void unknown_key_is_refused_with_the_nearest(void)
{
    CHECK_EQ(load_alone("\nborker.id = 1\n"), CONF_E_REFUSED);
    CHECK_STR(error, "broker.conf:2: unknown key \"borker.id\"; did you mean \"broker.id\"?");
    CHECK_EQ(load_alone("listener = x\n"), CONF_E_REFUSED);
    CHECK(strstr(error, "did you mean \"listeners\"?") != NULL);
    CHECK_EQ(load_alone("quite.another.thing = x\n"), CONF_E_REFUSED);
    CHECK_STR(error, "broker.conf:1: unknown key \"quite.another.thing\"; --help lists the keys");
    CHECK_EQ(load_alone("\x1b[31m = x\n"), CONF_E_REFUSED);
    CHECK(strchr(error, '\x1b') == NULL);
}

static void value_that_is_refused_names_unit_range_and_example(void)
{
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
            {"weir.lease.ms = 499", "\"499\" is too small"},
            {"weir.lease.ms = 301s", "\"301s\" is too large"},
            {"weir.lease.ms = 99999999999999999999", "is too large"},
            {"weir.lease.ms = 9223372036854775807d", "is too large"},
            {"weir.lease.ms = -99999999999999999999", "is too small"},
            {"weir.lease.ms = 5x", "\"5x\" has a unit that is not known"},
            {"weir.lease.ms = 5KiB", "has a unit that is not known"},
            {"weir.lease.ms = fast", "is not a number"},
            {"weir.lease.ms =", "\"\" is not a number"},
            {"weir.lease.ms = -", "is not a number"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_EQ(load_alone(cases[i].line), CONF_E_REFUSED);
        CHECK(strstr(error, "broker.conf:1: weir.lease.ms: ") == error);
        CHECK(strstr(error, cases[i].says) != NULL);
        CHECK(strstr(error, "milliseconds (or with ms, s, m, h, d) from 500 to 300000, for example "
                            "5000") != NULL);
    }
    CHECK_EQ(load_alone("log.level = loud"), CONF_E_REFUSED);
    CHECK(strstr(error, "it takes one of debug|info|warn|error") != NULL);
    CHECK_EQ(load_alone("log.level = warn|error"), CONF_E_REFUSED);
    CHECK_EQ(load_alone("num.io.threads = 2s"), CONF_E_REFUSED);
    CHECK_EQ(load_alone("log.dirs ="), CONF_E_REFUSED);
    CHECK(strstr(error, "is empty") != NULL);
    CHECK_EQ(load_alone("log.dirs = /a,,/b"), CONF_E_REFUSED);
    CHECK_EQ(load_alone("log.dirs = /a, "), CONF_E_REFUSED);
}

static void numbers_take_the_suffixes_of_their_unit(void)
{
    static const struct conf_key ms = {
            .name = "k", .type = CONF_I64, .unit = CONF_UNIT_MS, .min = -1, .max = INT64_MAX};
    static const struct conf_key bytes = {
            .name = "k", .type = CONF_I64, .unit = CONF_UNIT_BYTES, .min = 0, .max = INT64_MAX};

    static const struct {
        const struct conf_key *key;
        const char *text;
        int64_t value;
    } cases[] = {
            {&ms, "-1", -1},
            {&ms, "7", 7},
            {&ms, "7ms", 7},
            {&ms, "7s", 7000},
            {&ms, "7m", 420000},
            {&ms, "7h", 25200000},
            {&ms, "7d", 604800000},
            {&ms, "9223372036854775807", INT64_MAX},
            {&bytes, "3KiB", 3072},
            {&bytes, "3MiB", 3145728},
            {&bytes, "3GiB", 3221225472},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t value = 0;
        CHECK_EQ(conf_check_value(cases[i].key, cases[i].text, &value, error, sizeof(error)), 0);
        CHECK_EQ(value, cases[i].value);
    }
    CHECK_EQ(conf_check_value(&bytes, "3s", NULL, error, sizeof(error)), CONF_E_REFUSED);
}

static void truth_has_two_words(void)
{
    static const struct conf_key key = {.name = "k", .type = CONF_BOOL, .fallback = "false"};
    struct conf *c = conf_new(&key, 1);

    CHECK(!conf_bool(c, "k"));
    CHECK_EQ(conf_set(c, "k=true", error, sizeof(error)), 0);
    CHECK(conf_bool(c, "k"));
    CHECK_EQ(conf_set(c, "k=yes", error, sizeof(error)), CONF_E_REFUSED);
    CHECK(strstr(error, "true or false") != NULL);
    CHECK(conf_bool(c, "k"));
    conf_free(c);
}

static void key_that_lives_elsewhere_says_where(void) /* [CFG-2] */
{
    static const char *const cluster[] = {"num.partitions", "default.replication.factor",
            "log.segment.bytes", "message.max.bytes"};
    char line[64];
    char want[256];

    for (size_t i = 0; i < COUNT_OF(cluster); i++) {
        (void)snprintf(line, sizeof(line), "%s = 1\n", cluster[i]);
        (void)snprintf(want, sizeof(want),
                "broker.conf:1: %s is cluster configuration, which no file has; set it with `weir "
                "cluster config set %s=VALUE`",
                cluster[i], cluster[i]);
        CHECK_EQ(load_alone(line), CONF_E_REFUSED);
        CHECK_STR(error, want);
    }
    CHECK_EQ(load_alone("segment.bytes = 1MiB"), CONF_E_REFUSED);
    CHECK_STR(error,
            "broker.conf:1: segment.bytes is topic configuration, which no file has; set it with "
            "`weir topic set TOPIC segment.bytes=VALUE`, for all topics with `weir cluster config "
            "set log.segment.bytes=VALUE`");
    CHECK_EQ(load_alone("controller.id = 1"), CONF_E_REFUSED);
    CHECK(strstr(error, "is a key of weir-controller") != NULL);
}

static void everything_wrong_is_reported_a_line_each(void)
{
    CHECK_EQ(load_alone("broker.id = x\nlog.dirs = /a\nno equals\nbroker.idd = 1\n"),
            CONF_E_REFUSED);
    CHECK(strstr(error, "broker.conf:1: ") == error);
    CHECK(strstr(error, "\nbroker.conf:3: \"no equals\" has no '='") != NULL);
    CHECK(strstr(error, "\nbroker.conf:4: ") != NULL);
    CHECK(strstr(error, "broker.conf:2") == NULL);
}

static void more_refusals_than_fit_are_counted(void)
{
    struct conf *c = broker_conf();
    char small[200];
    const char *text = "a=1\nb=1\nc=1\nd=1\ne=1\nf=1\ng=1\nh=1\n";

    CHECK_EQ(conf_load_text(c, "f", text, strlen(text), small, sizeof(small)), CONF_E_REFUSED);
    CHECK(strstr(small, "f:1: ") == small);
    CHECK(strstr(small, "\nand ") != NULL);
    CHECK_STR(small + strlen(small) - 5, " more");
    conf_free(c);
}

static void key_given_twice_in_one_file_is_refused(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(load(c, "broker.id = 1\n\nbroker.id = 2\n"), CONF_E_REFUSED);
    CHECK_STR(error, "broker.conf:3: broker.id is given again; it stands in line 1");
    CHECK_EQ(load(c, "broker.id = 3\n"), 0);
    CHECK_EQ(conf_i64(c, "broker.id"), 3);
    conf_free(c);
}

static void bytes_that_are_no_text_are_refused(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(conf_load_text(c, "f", "broker.id\0 = 1", 14, error, sizeof(error)), CONF_E_REFUSED);
    CHECK(strstr(error, "f:1: the line holds a NUL byte") == error);
    CHECK_EQ(conf_load_text(c, "f", "", 0, error, sizeof(error)), 0);
    conf_free(c);
}

static void file_that_is_not_there_is_named(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(conf_load_file(c, "/nonexistent/weir.conf", error, sizeof(error)), CONF_E_REFUSED);
    CHECK_STR(error, "/nonexistent/weir.conf: cannot be read: No such file or directory");
    conf_free(c);
}

static void missing_mandatory_keys_are_all_named(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(conf_finish(c, error, sizeof(error)), CONF_E_REFUSED);
    CHECK(strstr(error, "broker.id is missing") == error);
    CHECK(strstr(error, "\nlog.dirs is missing: give it in the configuration file or with --set "
                        "log.dirs=") != NULL);
    conf_free(c);
}

static void set_overrides_and_is_named_in_its_refusal(void)
{
    struct conf *c = broker_conf();

    CHECK_EQ(load(c, "broker.id = 1\n"), 0);
    CHECK_EQ(conf_set(c, "broker.id=2", error, sizeof(error)), 0);
    CHECK_EQ(conf_set(c, " broker.id = 3 ", error, sizeof(error)), 0);
    CHECK_EQ(conf_i64(c, "broker.id"), 3);
    CHECK_EQ(conf_set(c, "broker.id", error, sizeof(error)), CONF_E_REFUSED);
    CHECK_STR(error, "--set broker.id: write key=value");
    CHECK_EQ(conf_set(c, "brokerid=1", error, sizeof(error)), CONF_E_REFUSED);
    CHECK_STR(error, "--set brokerid=1: unknown key \"brokerid\"; did you mean \"broker.id\"?");
    conf_free(c);
}

static void command_line_is_files_then_sets(void)
{
    char *good[] = {(char[]){"weir-broker"}, (char[]){"--set"}, (char[]){"broker.id=4"},
            (char[]){"--set=log.dirs=/a"}};
    char *no_value[] = {(char[]){"weir-broker"}, (char[]){"--config"}};
    char *stranger[] = {(char[]){"weir-broker"}, (char[]){"--settings"}};
    struct conf *c = broker_conf();

    CHECK_EQ(conf_main(c, "weir-broker", "a broker", 1, good), 2); /* broker.id is missing */
    CHECK_EQ(conf_main(c, "weir-broker", "a broker", COUNT_OF(no_value), no_value), 2);
    CHECK_EQ(conf_main(c, "weir-broker", "a broker", COUNT_OF(stranger), stranger), 2);
    CHECK_EQ(conf_main(c, "weir-broker", "a broker", COUNT_OF(good), good), 0);
    CHECK_EQ(conf_i64(c, "broker.id"), 4);
    CHECK_STR(conf_str(c, "log.dirs"), "/a");
    conf_free(c);
}

static void listeners_are_parsed(void)
{
    struct conf_listener l[4];
    size_t n = 9;

    CHECK_EQ(conf_parse_listeners(
                     "weir://127.0.0.1:9190, OUT://[2001:db8::1]:80,x://host-1.example:65535", l, 4,
                     &n, error, sizeof(error)),
            0);
    CHECK_EQ(n, 3);
    CHECK_STR(l[0].name, "weir");
    CHECK_STR(l[0].host, "127.0.0.1");
    CHECK_EQ(l[0].port, 9190);
    CHECK_STR(l[1].name, "OUT");
    CHECK_STR(l[1].host, "2001:db8::1");
    CHECK_EQ(l[1].port, 80);
    CHECK_EQ(l[2].port, 65535);
    CHECK_EQ(conf_parse_listeners("", l, 4, &n, error, sizeof(error)), 0);
    CHECK_EQ(n, 0);
}

static void listeners_that_are_wrong_are_refused(void)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
            {"127.0.0.1:9190", "has no listener name"},
            {"://h:1", "has a listener name that is empty"},
            {"a/b://h:1", "character other than letters"},
            {"an_extremely_long_name_of_a_listener://h:1", "longer than 31"},
            {"weir://h", "has no port"},
            {"weir://h:", "has a port that is not a number"},
            {"weir://h:65536", "has a port that is not a number"},
            {"weir://h:123456789012", "has a port that is not a number"},
            {"weir://h:-1", "has a port that is not a number"},
            {"weir://h:0", "has port 0"},
            {"weir://:9190", "has no host"},
            {"weir://[::1:9190", "without its ']'"},
            {"weir://[]:9190", "has no host"},
            {"weir://::1:9190", "stands in brackets"},
            {"weir://a b:1", "character that no host has"},
            {"weir://a:1,", NULL},
            {"weir://a:1,,b://c:1", "has no listener name"},
            {"weir://a:1,weir://b:1", "used before"},
            {"a://h:1,b://h:2,c://h:3", "one listener too many"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct conf_listener l[2] = {{.port = 77}};
        size_t n = 9;
        int r = conf_parse_listeners(cases[i].text, l, 2, &n, error, sizeof(error));
        if (cases[i].says == NULL) {
            CHECK_EQ(r, 0);
            continue;
        }
        CHECK_EQ(r, CONF_E_REFUSED);
        CHECK(strstr(error, cases[i].says) != NULL);
        CHECK_EQ(n, 9);
        CHECK_EQ(l[0].port, 77);
    }
}

static void addresses_are_parsed(void)
{
    char host[16] = "untouched";
    uint16_t port = 5;

    CHECK_EQ(conf_parse_address("localhost:9180", host, sizeof(host), &port), 0);
    CHECK_STR(host, "localhost");
    CHECK_EQ(port, 9180);
    CHECK_EQ(conf_parse_address("[::]:0", host, sizeof(host), &port), 0);
    CHECK_STR(host, "::");
    CHECK_EQ(port, 0);
    CHECK_EQ(
            conf_parse_address("a-name-that-is-long:1", host, sizeof(host), &port), CONF_E_REFUSED);
    CHECK_EQ(conf_parse_address("", host, sizeof(host), &port), CONF_E_REFUSED);
    CHECK_EQ(conf_parse_address(":", host, sizeof(host), &port), CONF_E_REFUSED);
    CHECK_EQ(conf_parse_address("http://a:1", host, sizeof(host), &port), CONF_E_REFUSED);
    CHECK_STR(host, "::");
}

static const struct check_case cases[] = {
        CASE(every_default_is_legal_and_every_row_is_described),
        CASE(cluster_keys_have_kafkas_names),
        CASE(dynamic_keys_are_known_where_they_may_be_changed),
        CASE(key_that_cannot_be_changed_there_says_where),
        CASE(list_takes_each_of_its_choices_once),
        CASE(ratio_is_a_decimal_in_millionths),
        CASE(file_of_key_value_lines_is_read),
        CASE(unknown_key_is_refused_with_the_nearest),
        CASE(value_that_is_refused_names_unit_range_and_example),
        CASE(numbers_take_the_suffixes_of_their_unit),
        CASE(truth_has_two_words),
        CASE(key_that_lives_elsewhere_says_where),
        CASE(everything_wrong_is_reported_a_line_each),
        CASE(more_refusals_than_fit_are_counted),
        CASE(key_given_twice_in_one_file_is_refused),
        CASE(bytes_that_are_no_text_are_refused),
        CASE(file_that_is_not_there_is_named),
        CASE(missing_mandatory_keys_are_all_named),
        CASE(set_overrides_and_is_named_in_its_refusal),
        CASE(command_line_is_files_then_sets),
        CASE(listeners_are_parsed),
        CASE(listeners_that_are_wrong_are_refused),
        CASE(addresses_are_parsed),
};

CHECK_MAIN("conf", cases)
