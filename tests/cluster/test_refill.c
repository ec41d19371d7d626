/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas that begin anew: wiped ones whose leader's log does not reach down to 0 any more, or is compacted, and damaged ones
 * (F23 of the replication design's matrix). They leave the ISR, are filled from the leader, come back, and then lead
 * themselves: what they serve is right. In the end all logs are the same, byte for byte, but for what each broker compacts by
 * itself. One cluster for all cases. */
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/seen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    N_BROKERS = 3,
    HEAL_MS = 30000,
    N_RECORDS = 100,
    N_KEYS = 20,
    VALUE_SIZE = 1000
};

static const char *broker_name(int id)
{
    static const char *const names[] = {NULL, "broker-1", "broker-2", "broker-3"};

    return names[id];
}

/* --- What the cluster says ---------------------------------------------------------------------------------------- */

static int leader_of(const char *topic)
{
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
    return seen_leader(topic);
}

static int follower_of(const char *topic)
{
    return leader_of(topic) % N_BROKERS + 1;
}

/* --- What the cases share ----------------------------------------------------------------------------------------- */

static void up(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", "--brokers",
                "3", "--set", "zookeeper.session.timeout.ms=2000", "--set",
                "log.cleaner.backoff.ms=20", "--set", "weir.scrub.bytes.per.second=104857600",
                NULL});
    }
}

static void create(const char *topic, const char *setting)
{
    up();
    (void)WEIR_OK("topic", "create", topic, "-p", "1", "-r", "3", "-c", "min.insync.replicas=2",
            "-c", setting);
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
}

/* Lines "v<from>" … in one batch, or a few. */
static void produce(const char *topic, int from, int n)
{
    struct buf lines = {0};
    struct run_result r = {0};

    for (int i = from; i < from + n; i++) {
        buf_append_format(&lines, "v%d\n", i);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", topic, "-X",
            "linger.ms=200");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    buf_deinit(&lines);
}

/* Whether the topic holds v<from> up to v<to - 1>. */
static void check_records(const char *topic, int from, int to)
{
    struct buf lines = {0};

    for (int i = from; i < to; i++) {
        buf_append_format(&lines, "v%d\n", i);
    }
    CHECK_STR(WEIR_OK("consume", topic, "-e"), buf_str(&lines));
    buf_deinit(&lines);
}

static void start_again(int id)
{
    node_start(broker_name(id));
    node_wait_ready(broker_name(id));
}

static void wipe(int id)
{
    char *data = node_path(broker_name(id), "data");
    char *command = mem_format("rm -rf %s", data);

    node_kill(broker_name(id));
    run_shell_ok(command);
    start_again(id);
    mem_free(command);
    mem_free(data);
}

/* The others stop, and come back: leaderships go home after half a minute of quiet only. */
static void let_lead(const char *topic, int id)
{
    for (int i = 1; i <= N_BROKERS; i++) {
        if (i != id) {
            node_stop(broker_name(i));
        }
    }
    CHECK_WITHIN(HEAL_MS, seen_leader(topic) == id);
    for (int i = 1; i <= N_BROKERS; i++) {
        if (i != id) {
            start_again(i);
        }
    }
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
    CHECK_EQ(seen_leader(topic), id);
}

/* One bit of a byte at `at` of the partition's first segment. */
static void flip(int id, const char *topic, long at)
{
    char *file = mem_format("data/%s-0/00000000000000000000.log", topic);
    char *path = node_path(broker_name(id), file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char byte = 0;

    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
    CHECK_EQ(close(fd), 0);
    mem_free(path);
    mem_free(file);
}

/* --- Cases -------------------------------------------------------------------------------------------------------- */

/* [LOG-76] [LOG-77] [REP-47] The leader's log starts within a batch. */
static void wiped_follower_begins_where_the_leaders_log_starts(void)
{
    create("trimmed", "retention.ms=-1");
    produce("trimmed", 0, N_RECORDS);
    (void)WEIR_OK("topic", "trim", "trimmed", "--before", "50", "-y");
    int victim = follower_of("trimmed");
    wipe(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("trimmed", N_BROKERS));
    produce("trimmed", N_RECORDS, 10);
    check_records("trimmed", 50, N_RECORDS + 10);
    /* All is gone: an empty log, and the checkpoint alone says where it begins. */
    (void)WEIR_OK("topic", "trim", "trimmed", "--before", "end", "-y");
    wipe(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("trimmed", N_BROKERS));
    node_kill(broker_name(victim));
    start_again(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("trimmed", N_BROKERS));
    produce("trimmed", N_RECORDS + 10, 10);
    let_lead("trimmed", victim);
    check_records("trimmed", N_RECORDS + 10, N_RECORDS + 20);
}

/* [TRS-12] The disk gets low, as far as the broker can tell. */
static void give_up_what_was_put_aside(int id)
{
    char number[] = {(char)('0' + id), '\0'};

    CHECK(!node_log_has(broker_name(id), "damaged_log_given_up"));
    (void)WEIR_OK("broker", "config", "set", number, "weir.disk.reserve.bytes=524288GiB");
    CHECK_WITHIN(HEAL_MS, node_log_has(broker_name(id), "damaged_log_given_up"));
    (void)WEIR_OK("broker", "config", "unset", number, "weir.disk.reserve.bytes");
}

/* F23 [REP-33] [REP-34]: below the recovery point, found at the start. */
static void damaged_follower_is_filled_anew(void)
{
    create("rotten", "retention.ms=-1");
    produce("rotten", 0, N_RECORDS);
    int victim = follower_of("rotten");
    int64_t epoch = seen_leader_epoch("rotten");
    node_stop(broker_name(victim));
    flip(victim, "rotten", 100);
    start_again(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("rotten", N_BROKERS) &&
                                  node_log_has(broker_name(victim), "log_put_aside"));
    CHECK(seen_leader_epoch("rotten") > epoch || epoch == 0);
    produce("rotten", N_RECORDS, 10);
    let_lead("rotten", victim);
    check_records("rotten", 0, N_RECORDS + 10);
    give_up_what_was_put_aside(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("rotten", N_BROKERS));
}

/* F23: an old place of a large segment, which no start looks at. Found when it is to be read.
 * NATS 2.12.1: a damaged node leads and has others delete theirs. */
static void damaged_leader_leads_no_more_and_serves_nothing_wrong(void)
{
    struct buf lines = {0};
    struct run_result r = {0};

    create("rotten-leader", "retention.ms=-1");
    for (int i = 0; i < 2000; i++) {
        buf_append_format(&lines, "v%d%0*d\n", i, 500, 0);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", "rotten-leader",
            "-X", "batch.size=16384");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    char *expected = mem_strdup(WEIR_OK("consume", "rotten-leader", "-e"));
    int leader = leader_of("rotten-leader");
    node_stop(broker_name(leader));
    flip(leader, "rotten-leader", 20000);
    start_again(leader);
    CHECK_WITHIN(HEAL_MS, seen_all_have("rotten-leader", N_BROKERS));
    let_lead("rotten-leader", leader);
    CHECK_STR(WEIR_OK("consume", "rotten-leader", "-e"), expected);
    CHECK_WITHIN(HEAL_MS, seen_all_have("rotten-leader", N_BROKERS));
    CHECK(node_log_has(broker_name(leader), "log_put_aside"));
    mem_free(expected);
    buf_deinit(&lines);
}

static bool metric_is(int id, const char *line)
{
    struct buf body = {0};
    bool is = http_request(broker_http_port(id), "GET", "/metrics", NULL, false, &body) == 200 &&
              strstr(buf_str(&body), line) != NULL;

    buf_deinit(&body);
    return is;
}

/* Checksum and size of the records that a broker has of "cold"; mem_free. */
static char *cold_records(int id)
{
    struct run_result r = {0};
    char *data = node_path(broker_name(id), "data");
    char *command = mem_format("cat %s/cold-0/*.log | cksum", data);

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    char *sum = mem_strdup(buf_str(&r.out));
    run_result_deinit(&r);
    mem_free(command);
    mem_free(data);
    return sum;
}

/* [LOG-90] F23: bit rot in an old segment of a follower, which nobody reads: the scrubber finds it, the replica leaves the
 * ISR, is filled from the leader, and is in sync again, whole. */
static void rot_that_nobody_reads_is_found_and_mended(void)
{
    struct buf lines = {0};
    struct run_result r = {0};

    up();
    (void)WEIR_OK("topic", "create", "cold", "-p", "1", "-r", "3", "-c", "min.insync.replicas=2",
            "-c", "segment.bytes=1048576");
    for (int i = 0; i < 5000; i++) {
        buf_append_format(&lines, "v%d%0*d\n", i, 500, 0);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", "cold", "-X",
            "batch.size=16384");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    buf_deinit(&lines);
    int victim = follower_of("cold");
    int64_t epoch = seen_leader_epoch("cold");
    char *expected = cold_records(leader_of("cold"));
    node_stop(broker_name(victim));
    flip(victim, "cold", 20000);
    char *rotten = cold_records(victim);
    CHECK(strcmp(rotten, expected) != 0);
    start_again(victim);
    CHECK_WITHIN(HEAL_MS, metric_is(victim, "\nweir_broker_scrub_errors_total 1\n"));
    /* The leader epoch rises with the report of a failed replica [REP-34]. */
    CHECK_WITHIN(HEAL_MS, seen_leader_epoch("cold") > epoch && seen_all_have("cold", N_BROKERS));
    char *mended = cold_records(victim);
    CHECK_STR(mended, expected);
    mem_free(mended);
    mem_free(rotten);
    mem_free(expected);
}

/* The last value of each key, as "k=v" lines by key; mem_free. */
static char *last_values(const char *topic)
{
    char *values[N_KEYS] = {NULL};
    char *all = mem_strdup(WEIR_OK("consume", topic, "-e", "-f", "%k %v\\n"));
    struct buf out = {0};
    char *save = NULL;

    for (char *line = strtok_r(all, "\n", &save); line != NULL;
            line = strtok_r(NULL, "\n", &save)) {
        long key = strtol(line + 1, NULL, 10);
        CHECK(key >= 0 && key < N_KEYS);
        values[key] = line;
    }
    for (int i = 0; i < N_KEYS; i++) {
        buf_append_format(&out, "%s\n", values[i] != NULL ? values[i] : "none");
    }
    char *ret = mem_strdup(buf_str(&out));
    buf_deinit(&out);
    mem_free(all);
    return ret;
}

/* [FET-11] */
static void compacted_log_is_copied_with_its_gaps(void)
{
    struct buf lines = {0};
    struct run_result r = {0};

    up();
    (void)WEIR_OK("topic", "create", "compacted", "-p", "1", "-r", "3", "-c",
            "min.insync.replicas=2", "-c", "cleanup.policy=compact", "-c", "segment.bytes=1048576",
            "-c", "min.cleanable.dirty.ratio=0.01");
    CHECK_WITHIN(HEAL_MS, seen_all_have("compacted", N_BROKERS));
    for (int i = 0; i < 6000; i++) {
        buf_append_format(
                &lines, "k%d:%d-%0*d\n", i % (i < 3000 ? N_KEYS : N_KEYS / 2), i, VALUE_SIZE, 0);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", "compacted",
            "-K:", "-X", "batch.size=16384");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    buf_deinit(&lines);
    int leader = leader_of("compacted"), victim = follower_of("compacted");
    CHECK_WITHIN(HEAL_MS, node_log_has(broker_name(leader), "log_compacted"));
    char *expected = last_values("compacted");
    wipe(victim);
    CHECK_WITHIN(HEAL_MS, seen_all_have("compacted", N_BROKERS));
    let_lead("compacted", victim);
    char *found = last_values("compacted");
    CHECK_STR(found, expected);
    mem_free(found);
    mem_free(expected);
}

static void all_logs_are_sound_and_the_same_in_the_end(void)
{
    CHECK(cluster_is_up());
    for (int id = 1; id <= N_BROKERS; id++) {
        node_stop(broker_name(id));
    }
    char *first = node_path(broker_name(1), "data");
    for (int id = 1; id <= N_BROKERS; id++) {
        char *data = node_path(broker_name(id), "data");
        char *command = mem_format(
                "for t in rotten rotten-leader; do"
                "  cat %s/$t-0/*.log | cmp - %s/$t-0/00000000000000000000.log || exit 1; done",
                data, first);
        (void)WEIR_OK("log", "verify", data);
        run_shell_ok(command);
        mem_free(command);
        mem_free(data);
    }
    mem_free(first);
    for (int id = 1; id <= N_BROKERS; id++) {
        node_start(broker_name(id));
    }
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(wiped_follower_begins_where_the_leaders_log_starts),
        CASE(damaged_follower_is_filled_anew),
        CASE(damaged_leader_leads_no_more_and_serves_nothing_wrong),
        CASE(rot_that_nobody_reads_is_found_and_mended),
        CASE(compacted_log_is_copied_with_its_gaps),
        CASE(all_logs_are_sound_and_the_same_in_the_end),
};

CHECK_MAIN("refill", cases)
