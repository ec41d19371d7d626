/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts whose power goes: what a broker had not synced is gone when it comes back. F5 … are the
 * faults of the replication design's matrix. Three replicas; one cluster for all cases, each of
 * which heals what it broke. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"
#include "tests/lib/power.h"
#include "tests/lib/seen.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    N_BROKERS = 3,
    HEAL_MS = 40000,
    FLUSH_MS = 10000 /* weir.flush.interval.ms is 1,000 */
};

#define REPLICATED "weir.ack.durability=replicated"

static const char *broker_name(int id)
{
    static const char *const names[] = {NULL, "broker-1", "broker-2", "broker-3"};

    return names[id];
}

/* --- The shim --------------------------------------------------------------------------------- */

/* With the calls that file_io_posix.c makes. */
static int put(const char *path, const char *text, off_t at)
{
    struct iovec iov = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

    must(fd >= 0);
    must(pwritev(fd, &iov, 1, at) == (ssize_t)strlen(text));
    return fd;
}

static void put_synced(const char *path, const char *text)
{
    int fd = put(path, text, 0);

    must(fdatasync(fd) == 0);
    must(close(fd) == 0);
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    must(fd >= 0);
    must(fsync(fd) == 0);
    must(close(fd) == 0);
}

static const char *scribbled; /* the folder */

/* A path in it; the two latest are good. */
static const char *in(const char *name)
{
    static char paths[2][512];
    static int n;

    n = 1 - n;
    (void)snprintf(paths[n], sizeof(paths[n]), "%s/%s", scribbled, name);
    return paths[n];
}

/* In a process of its own. Dies without having synced the second half. */
_Noreturn static void scribble(void)
{
    static const char *const names[] = {
            "changed", "moved", "replaced", "removed", "cut", "away/inner"};

    must(mkdir(in("away"), 0750) == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        put_synced(in(names[i]), "durable");
    }
    put_synced(in("kept.tmp"), "durable");
    must(rename(in("kept.tmp"), in("kept")) == 0);
    sync_folder(in("away"));
    sync_folder(in(""));

    must(close(put(in("changed"), "DUR", 0)) == 0);
    must(close(put(in("changed"), "tail", 7)) == 0);
    put_synced(in("without a name"), "durable");
    must(rename(in("moved"), in("elsewhere")) == 0);
    put_synced(in("replaced.tmp"), "new");
    must(rename(in("replaced.tmp"), in("replaced")) == 0);
    must(unlink(in("removed")) == 0);
    int fd = put(in("cut"), "", 0);
    must(ftruncate(fd, 2) == 0);
    must(close(fd) == 0);
    must(unlink(in("away/inner")) == 0);
    sync_folder(in("away"));
    must(rmdir(in("away")) == 0);
    (void)raise(SIGKILL);
    must_not_reach("it is killed");
}

/* What the file has; "-" = it is not there. */
static const char *text_of(const char *folder, const char *name)
{
    static char text[64];
    char *path = mem_format("%s/%s", folder, name);
    FILE *f = fopen(path, "re");

    text[f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
    if (f != NULL) {
        (void)fclose(f);
    }
    mem_free(path);
    return f != NULL ? text : "-";
}

static void what_was_not_synced_is_taken_back_and_nothing_else(void)
{
    char *folder = mem_format("%s/scribble", test_folder());
    char *program = mem_format("%s/tests/cluster/test_power", test_build_root());
    struct run_result r = {0};
    struct stat st;

    CHECK_EQ(mkdir(folder, 0750), 0);
    power_begin("test_power", "scribble");
    run_program((const char *const[]){program, "--scribble", folder, NULL}, NULL, &r);
    power_end();
    if (r.code != 128 + SIGKILL) {
        check_fail(__FILE__, __LINE__, "%d: %s%s", r.code, buf_str(&r.out), buf_str(&r.err));
    }
    CHECK_STR(text_of(folder, "changed"), "DURabletail");
    CHECK_STR(text_of(folder, "replaced"), "new");
    CHECK_EQ(power_unsynced(folder, NULL), 10);
    CHECK_EQ(power_unsynced(folder, "changed"), 2);
    CHECK_EQ(power_cut(folder, 0), 10);
    CHECK_STR(text_of(folder, "changed"), "durable");
    CHECK_STR(text_of(folder, "without a name"), "-");
    CHECK_STR(text_of(folder, "moved"), "durable");
    CHECK_STR(text_of(folder, "elsewhere"), "-");
    CHECK_STR(text_of(folder, "replaced"), "durable");
    CHECK_STR(text_of(folder, "replaced.tmp"), "-");
    CHECK_STR(text_of(folder, "removed"), "durable");
    CHECK_STR(text_of(folder, "cut"), "durable");
    CHECK_STR(text_of(folder, "kept"), "durable");
    CHECK_STR(
            text_of(folder, "away/inner"), "-"); /* the folder that had it was synced without it */
    char *away = mem_format("%s/away", folder);
    CHECK_EQ(stat(away, &st), 0);
    CHECK_EQ(power_unsynced(folder, NULL), 0);
    run_result_deinit(&r);
    mem_free(away);
    mem_free(program);
    mem_free(folder);
}

/* --- The cluster ------------------------------------------------------------------------------ */

/* WEIR_TEST_SEEDS=N breaks things N times where once or twice has to do. */
static uint64_t rounds(uint64_t otherwise)
{
    const char *given = getenv("WEIR_TEST_SEEDS");

    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

static void create(const char *topic, const char *min_isr, const char *config)
{
    if (!cluster_is_up()) {
        power_begin("weir-broker", "data");
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", NULL});
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3", "-c", min_isr, "-c", config);
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
}

static void kill_now(const char *name)
{
    pid_t pid = node_pid(name);

    CHECK(pid > 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
}

/* All at the same moment. */
static void cut_power(const int *ids, int n, uint64_t seed)
{
    size_t n_lost = 0;

    for (int i = 0; i < n; i++) {
        kill_now(broker_name(ids[i]));
    }
    for (int i = 0; i < n; i++) {
        CHECK_WITHIN(HEAL_MS, node_pid(broker_name(ids[i])) == 0);
        char *data = node_path(broker_name(ids[i]), "data");
        n_lost += power_cut(data, seed == 0 ? 0 : seed + (uint64_t)i);
        mem_free(data);
    }
    printf("# %d of the brokers lost %zu operations\n", n, n_lost);
    CHECK(n_lost > 0 || seed != 0);
}

static void power_back(const int *ids, int n)
{
    for (int i = 0; i < n; i++) {
        node_start_again(broker_name(ids[i]));
    }
}

static struct judged_sum end_without_failure(struct judged *j)
{
    struct judged_sum sum = judged_end(j);

    CHECK(sum.n_acked > 50);
    CHECK_EQ(sum.n_failed, 0);
    return sum;
}

/* F5 [REP-6]: whatever it had not synced, two others have it. */
static void leader_whose_power_goes_loses_nothing_and_is_filled_again(void)
{
    struct judged j;

    create("one-host", "min.insync.replicas=2", REPLICATED);
    judged_start(&j, "one-host", 2, 200);
    for (uint64_t i = 0; i < rounds(2); i++) {
        int leader = seen_leader("one-host");
        cut_power(&leader, 1, i == 0 ? 0 : check_seed() + i);
        CHECK_WITHIN(HEAL_MS, seen_leader("one-host") > 0 && seen_leader("one-host") != leader);
        power_back(&leader, 1);
        CHECK_WITHIN(HEAL_MS, seen_all_have("one-host", N_BROKERS));
        CHECK(seen_broker_says(leader, "crash_kind", "host"));
    }
    (void)end_without_failure(&j);
}

/* F5: min.insync.replicas - 1 hosts at once. */
static void two_of_three_hosts_at_once_lose_nothing_that_three_had_acknowledged(void)
{
    struct judged j;

    create("two-hosts", "min.insync.replicas=3", REPLICATED);
    judged_start(&j, "two-hosts", 2, 200);
    for (uint64_t i = 0; i < rounds(1); i++) {
        int leader = seen_leader("two-hosts");
        int ids[] = {leader, leader % N_BROKERS + 1};
        cut_power(ids, 2, i == 0 ? 0 : check_seed() + i);
        power_back(ids, 2);
        CHECK_WITHIN(HEAL_MS, seen_all_have("two-hosts", N_BROKERS));
    }
    (void)end_without_failure(&j);
}

static bool has_file(int id, const char *name)
{
    char *path = node_path(broker_name(id), name);
    bool has = access(path, F_OK) == 0;

    mem_free(path);
    return has;
}

/* F7 [LOG-3]: nobody could register it after the power failure; what killed it then was harmless,
 * and hides nothing. */
static void power_failure_is_remembered_over_a_kill_before_anybody_heard_of_it(void)
{
    struct judged j;

    create("sticky", "min.insync.replicas=2", REPLICATED);
    judged_start(&j, "sticky", 2, 200);
    int leader = seen_leader("sticky");
    cut_power(&leader, 1, 0);
    CHECK_WITHIN(HEAL_MS, seen_leader("sticky") > 0 && seen_leader("sticky") != leader);
    node_kill("controller-1");
    node_start(broker_name(leader));
    CHECK_WITHIN(
            HEAL_MS, has_file(leader, "data/pending.kind") && has_file(leader, "data/run.marker"));
    node_kill(broker_name(leader));
    node_start("controller-1");
    node_wait_ready("controller-1");
    power_back(&leader, 1);
    CHECK_WITHIN(HEAL_MS, seen_all_have("sticky", N_BROKERS));
    CHECK(seen_broker_says(leader, "crash_kind", "host"));
    (void)end_without_failure(&j);
}

static const int everybody[N_BROKERS] = {1, 2, 3};

static int64_t epochs_before[N_BROKERS + 1];

/* Brokers, the controller and ZooKeeper, which syncs whatever it acknowledges. */
static void cut_all_power(uint64_t seed)
{
    for (int id = 1; id <= N_BROKERS; id++) {
        epochs_before[id] = seen_broker_epoch(id);
    }
    kill_now("zookeeper-1");
    kill_now("controller-1");
    cut_power(everybody, N_BROKERS, seed);
}

/* Until the sessions of before end they seem to be there. */
static bool is_there_anew(int id)
{
    return seen_broker_epoch(id) > epochs_before[id] && seen_broker_says(id, "state", "up");
}

static void all_power_back(void)
{
    CHECK_WITHIN(HEAL_MS, node_pid("zookeeper-1") == 0 && node_pid("controller-1") == 0);
    node_start("zookeeper-1");
    node_start("controller-1");
    power_back(everybody, N_BROKERS);
    CHECK_WITHIN(HEAL_MS, is_there_anew(1) && is_there_anew(2) && is_there_anew(3));
}

/* F6 [LOG-70] [CTL-89]: by the policy "never", so that nobody is elected who is not known to have
 * all of it. */
static void whole_cluster_whose_power_goes_has_everything_where_fsync_was_asked_for(void)
{
    struct judged j;

    create("fsync", "min.insync.replicas=2", "weir.ack.durability=fsync");
    (void)WEIR_OK("topic", "set", "fsync", "weir.unclean.election=never");
    judged_start(&j, "fsync", 2, 200);
    for (uint64_t i = 0; i < rounds(1); i++) {
        cut_all_power(i == 0 ? 0 : check_seed() + i);
        all_power_back();
        seen_probe("fsync");
        CHECK_WITHIN(HEAL_MS, seen_all_have("fsync", N_BROKERS));
    }
    (void)end_without_failure(&j);
}

/* The first segment of partition 0, in all replicas. */
static bool is_synced(const char *topic)
{
    char *file = mem_format("%s-0/00000000000000000000.log", topic);
    size_t n = 0;

    for (int id = 1; id <= N_BROKERS; id++) {
        char *data = node_path(broker_name(id), "data");
        n += power_unsynced(data, file);
        mem_free(data);
    }
    mem_free(file);
    return n == 0;
}

static void say(const char *topic, const char *text)
{
    struct run_result r = {0};

    WEIR_WITH(&r, (&(struct run_options){.input = text}), "produce", topic, "-p", "0");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
}

static void begins_with(const char *topic, const char *text)
{
    CHECK(strncmp(WEIR_OK("consume", topic, "--exit-at-end"), text, strlen(text)) == 0);
}

/* F6 [CTL-52] [CTL-50]: as 45-durability.md has it, not the last second; what a flush has just
 * passed is there. By the policy "never" nobody decides for the owner of the records. */
static void whole_cluster_whose_power_goes_loses_not_more_than_what_was_not_synced(void)
{
    create("balanced", "min.insync.replicas=2", "weir.unclean.election=balanced");
    create("never", "min.insync.replicas=2", "weir.unclean.election=never");
    say("balanced", "synced\n");
    say("never", "synced\n");
    CHECK_WITHIN(FLUSH_MS, is_synced("balanced") && is_synced("never"));
    say("balanced", "of the last second\n");
    say("never", "of the last second\n");
    cut_all_power(0);
    all_power_back();
    CHECK_WITHIN(HEAL_MS, seen_all_have("balanced", N_BROKERS));
    begins_with("balanced", "synced\n");
    CHECK(strstr(WEIR_OK("explain", "balanced/0"), "weir.unclean.election=balanced") != NULL);
    seen_probe("balanced");

    CHECK(seen_nobody_leads("never"));
    for (int p = 0; p < 3; p++) {
        char *name = mem_format("never/%d", p);
        (void)WEIR_OK("partition", "elect", name, "--unclean", "--leader", "2", "-y");
        mem_free(name);
    }
    CHECK_WITHIN(HEAL_MS, seen_all_have("never", N_BROKERS));
    begins_with("never", "synced\n");
}

static void run(const char *program, const char *option, const char *from, const char *to)
{
    struct run_result r = {0};

    run_program((const char *const[]){program, option, from, to, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
}

/* F8 [CTL-3]: the copy says of itself that it was closed in order; but that was another time. */
static void old_copy_of_a_disk_counts_for_nothing(void)
{
    struct judged j;

    create("restored", "min.insync.replicas=2", REPLICATED);
    judged_start(&j, "restored", 2, 200);
    int victim = seen_leader("restored");
    char *data = node_path(broker_name(victim), "data");
    char *beside = node_path(broker_name(victim), "data.unsynced");
    char *copy = node_path(broker_name(victim), "copy");
    node_stop(broker_name(victim));
    run("cp", "-a", data, copy);
    power_back(&victim, 1);
    CHECK_WITHIN(HEAL_MS, seen_all_have("restored", N_BROKERS));
    CHECK(seen_broker_says(victim, "crash_kind", "clean"));
    node_stop(broker_name(victim));
    run("rm", "-rf", data, beside);
    run("mv", "-T", copy, data);
    power_back(&victim, 1);
    while (!seen_all_have("restored", N_BROKERS)) {
        CHECK(seen_leader("restored") != victim);
        check_pause_ms(10);
    }
    CHECK(seen_broker_says(victim, "crash_kind", "disk"));
    (void)end_without_failure(&j);
    mem_free(data);
    mem_free(beside);
    mem_free(copy);
}

/* C15 */
static void all_three_logs_are_the_same_in_the_end(void)
{
    CHECK(cluster_is_up());
    judged_logs_are_the_same(N_BROKERS, 1);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(what_was_not_synced_is_taken_back_and_nothing_else),
        CASE(leader_whose_power_goes_loses_nothing_and_is_filled_again),
        CASE(two_of_three_hosts_at_once_lose_nothing_that_three_had_acknowledged),
        CASE(power_failure_is_remembered_over_a_kill_before_anybody_heard_of_it),
        CASE(whole_cluster_whose_power_goes_has_everything_where_fsync_was_asked_for),
        CASE(whole_cluster_whose_power_goes_loses_not_more_than_what_was_not_synced),
        CASE(old_copy_of_a_disk_counts_for_nothing),
        CASE(all_three_logs_are_the_same_in_the_end),
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--scribble") == 0) {
        scribbled = argv[2];
        scribble();
    }
    return check_main("power", cases, COUNT_OF(cases), argc, argv);
}
