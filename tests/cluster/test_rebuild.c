/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper loses everything, or goes back, and the metadata comes back from the brokers:
 * docs/design/90-rebuild.md. */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/wire/meta_image.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINES = 3000,
    BACK_MS = 60000
};

static pid_t pids[4]; /* of the brokers: they go on without a restart */
static char listing[4096 * 16];

static void need_cluster(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", "--brokers",
                "3", "--set", "zookeeper.session.timeout.ms=2000", NULL});
        for (int id = 1; id <= 3; id++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "broker-%d", id);
            pids[id] = node_pid(name);
        }
    }
}

static void run_shell(const char *command, struct run_result *ret)
{
    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, ret);
    if (ret->code != 0) {
        check_fail(__FILE__, __LINE__, "%s: %d: %s%s", command, ret->code, buf_str(&ret->out),
                buf_str(&ret->err));
    }
}

/* Runs `format` with the folder of the node. */
static void in_node(const char *name, const char *command)
{
    char *folder = node_path(name, "");
    char *whole = mem_format("cd %s && %s", folder, command);
    struct run_result r = {0};

    run_shell(whole, &r);
    run_result_deinit(&r);
    mem_free(whole);
    mem_free(folder);
}

static void produce_lines(const char *topic, int from, int n)
{
    struct run_result r = {0};
    char *command = mem_format("seq %d %d | %s/clients/cli/weir produce %s", from, from + n - 1,
            test_build_root(), topic);

    run_shell(command, &r);
    run_result_deinit(&r);
    mem_free(command);
}

/* Every line from 1 to `n` is there, once. */
static bool has_lines(const char *topic, int n)
{
    char *command = mem_format("test \"$(%s/clients/cli/weir consume %s --exit-at-end --timeout "
                               "20s | sort -n | md5sum)\" = \"$(seq 1 %d | md5sum)\"",
            test_build_root(), topic, n);
    bool has = system(command) == 0;

    mem_free(command);
    return has;
}

/* Names of everything in the log directories and checksums of what records are in; caches and
 * markers may move, and so may the journal, to which controllers write. */
static void list_data(char *ret, size_t size)
{
    struct run_result r = {0};
    char *root = node_path("", "");
    char *command = mem_format(
            "cd %s && find broker-*/data -type d | sort && find broker-*/data \\( -name '*.log' -o "
            "-name partition.metadata -o -name meta.properties \\) -not -path '*/__weir_decisions-*' "
            "-exec md5sum {} + | sort -k2",
            root);

    run_shell(command, &r);
    CHECK(r.out.size > 500);
    CHECK(r.out.size < size);
    (void)snprintf(ret, size, "%s", buf_str(&r.out));
    run_result_deinit(&r);
    mem_free(command);
    mem_free(root);
}

static void check_data_is_untouched(void)
{
    static char now[sizeof(listing)];

    list_data(now, sizeof(now));
    CHECK_STR(now, listing);
}

static int broker_status(int id, struct buf *body)
{
    return http_request(broker_http_port(id), "GET", "/readyz", NULL, false, body);
}

static bool no_broker_is_ready(void)
{
    struct buf b = {0};
    int n = 0;

    for (int id = 1; id <= 3; id++) {
        n += broker_status(id, &b) == 503;
    }
    buf_deinit(&b);
    return n == 3;
}

/* It has looked which cluster is in ZooKeeper now. */
static bool knows_that_it_is_elsewhere(int id)
{
    struct buf b = {0};
    bool knows = broker_status(id, &b) == 503 &&
                 strstr(buf_str(&b), "ZooKeeper holds another cluster") != NULL;

    buf_deinit(&b);
    return knows;
}

static bool every_broker_is_ready(void)
{
    struct buf b = {0};
    int n = 0;

    for (int id = 1; id <= 3; id++) {
        n += broker_status(id, &b) == 200;
    }
    buf_deinit(&b);
    return n == 3;
}

static void check_brokers_were_not_restarted(void)
{
    for (int id = 1; id <= 3; id++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "broker-%d", id);
        CHECK_EQ(node_pid(name), pids[id]);
    }
}

/* `weir meta rebuild` from all brokers' folders. */
static void rebuild(struct run_result *ret, const char *more)
{
    char *dirs[4], connect[64];
    char *digest = node_path("controller-1", "../digest");
    const char *args[16] = {"meta", "rebuild", "--zookeeper", connect, "--timeout", "30s",
            "--digest-file", digest, "--from"};
    size_t n = 9;

    (void)snprintf(connect, sizeof(connect), "127.0.0.1:%d", zookeeper_port(1));
    for (int id = 1; id <= 3; id++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "broker-%d", id);
        args[n++] = dirs[id] = node_path(name, "data");
    }
    args[n++] = more;
    weir_run(ret, NULL, args);
    for (int id = 1; id <= 3; id++) {
        mem_free(dirs[id]);
    }
    mem_free(digest);
}

static bool image_is(int id, const char *index)
{
    char name[16];
    struct run_result r = {0};
    (void)snprintf(name, sizeof(name), "broker-%d", id);
    char *dir = node_path(name, "data");
    char *want = mem_format("\"index\": %s,", index);

    WEIR(&r, "meta", "export", "--from", dir, "-O", "json");
    bool is = r.code == 0 && strstr(buf_str(&r.out), want) != NULL;
    run_result_deinit(&r);
    mem_free(want);
    mem_free(dir);
    return is;
}

/* All brokers have kept what the controllers have committed. */
static void await_images(void)
{
    char index[32];
    struct run_result r = {0};

    WEIR(&r, "status", "-O", "json");
    const char *at = strstr(buf_str(&r.out), "\"metadata_index\": ");
    CHECK(at != NULL);
    CHECK_EQ(sscanf(at, "\"metadata_index\": %31[0-9]", index), 1);
    run_result_deinit(&r);
    for (int id = 1; id <= 3; id++) {
        CHECK_WITHIN(BACK_MS, image_is(id, index));
    }
}

static void stop_controllers(void)
{
    node_stop("controller-1");
    node_stop("controller-2");
}

static void start_controllers(void)
{
    node_start("controller-1");
    node_start("controller-2");
    CHECK_WITHIN(BACK_MS, every_broker_is_ready());
}

/* --- Cases ------------------------------------------------------------------------------------ */

static void metadata_is_exported_as_lines_and_as_a_file(void) /* [RBD-12] */
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "orders", "-p", "6", "-c", "segment.bytes=1MiB");
    (void)WEIR_OK("topic", "create", "logs", "-p", "3");
    produce_lines("orders", 1, LINES);
    produce_lines("logs", 1, LINES);
    await_images();
    const char *lines = WEIR_OK("meta", "export");
    CHECK(strstr(lines, "{\"kind\":\"meta_image\"") == lines);
    CHECK(strstr(lines, "\"name\":\"orders\"") != NULL);
    CHECK(strstr(lines, "\"segment.bytes\":\"1048576\"") != NULL);
    CHECK(strstr(lines, "{\"kind\":\"partition_state\"") != NULL);
    CHECK(strstr(lines, "\"partitions\":10") != NULL); /* one of them is the journal's */
    char *file = mem_format("%s/cluster.image", test_folder());
    (void)WEIR_OK("meta", "export", "-F", file);
    const char *head = WEIR_OK("meta", "export", "--from", file, "-O", "json");
    CHECK(strstr(head, "\"has_last_batch\": true") != NULL);
    CHECK(strstr(head, "\"broker\": null") != NULL);
    char *cut = mem_format("head -c 300 %s >%s.cut", file, file);
    run_shell(cut, &r);
    run_result_deinit(&r);
    char *cut_path = mem_format("%s.cut", file);
    r = (struct run_result){0};
    WEIR(&r, "meta", "export", "--from", cut_path);
    CHECK_EQ(r.code, 1);
    CHECK(strstr(buf_str(&r.err), "does not end with its checksum") != NULL);
    run_result_deinit(&r);
    mem_free(cut);
    mem_free(cut_path);
    mem_free(file);
}

static void wipe_zookeeper(void)
{
    node_kill("zookeeper-1");
    in_node("zookeeper-1", "find . -name version-2 -prune -exec rm -r {} +");
    node_start("zookeeper-1");
}

/* The active controller knows why. */
static bool is_refused_as_anothers(int broker)
{
    char *path = mem_format("/v1/brokers/%d", broker);
    struct buf b = {0};
    bool is = false;

    for (int id = 1; id <= 2 && !is; id++) {
        is = http_request(controller_port(id), "GET", path, NULL, false, &b) == 200 &&
             strstr(buf_str(&b), "its directories belong to cluster") != NULL;
    }
    buf_deinit(&b);
    mem_free(path);
    return is;
}

/* Controllers are there and found a new cluster in the empty ZooKeeper: brokers are registered,
 * and lead nothing. */
static void after_a_wipe_brokers_fence_themselves_and_delete_nothing(void) /* [RBD-11] */
{
    struct run_result r = {0};

    need_cluster();
    list_data(listing, sizeof(listing));
    wipe_zookeeper();
    CHECK_WITHIN(BACK_MS, no_broker_is_ready());
    for (int id = 1; id <= 3; id++) {
        CHECK_WITHIN(BACK_MS, is_refused_as_anothers(id));
        CHECK_WITHIN(BACK_MS, knows_that_it_is_elsewhere(id));
    }
    WEIR_WITH(&r, (&(struct run_options){.input = "lost\n"}), "produce", "orders", "--timeout",
            "2s");
    CHECK(r.code != 0);
    check_data_is_untouched();
    check_brokers_were_not_restarted();
    run_result_deinit(&r);
}

static void nothing_is_rebuilt_while_a_controller_runs(void) /* [RBD-5] */
{
    struct run_result r = {0};

    rebuild(&r, "-y");
    CHECK_EQ(r.code, 4);
    CHECK(strstr(buf_str(&r.err), "Stop every controller") != NULL);
    run_result_deinit(&r);
    stop_controllers();
}

static void what_is_not_confirmed_is_not_done(void) /* [RBD-5] */
{
    struct run_result before = {0}, r = {0}, after = {0};

    rebuild(&before, "--dry-run");
    CHECK_EQ(before.code, 0);
    CHECK(strstr(buf_str(&before.out), "IN ZOOKEEPER, TO BE DELETED") != NULL);
    CHECK(strstr(buf_str(&before.err), "The newest image") != NULL);
    rebuild(&r, NULL); /* no terminal, no -y */
    CHECK_EQ(r.code, 2);
    char *cut = mem_format("%s/cluster.image.cut", test_folder()); /* left by the first case */
    run_result_deinit(&r);
    r = (struct run_result){0};
    rebuild(&r, cut);
    CHECK_EQ(r.code, 2);
    CHECK(strstr(buf_str(&r.err), "cluster.image.cut is not used: it does not end") != NULL);
    mem_free(cut);
    rebuild(&after, "--dry-run");
    CHECK_STR(buf_str(&after.out), buf_str(&before.out));
    run_result_deinit(&before);
    run_result_deinit(&r);
    run_result_deinit(&after);
}

static bool is_unfinished(void)
{
    struct run_result r = {0};

    rebuild(&r, "--dry-run");
    CHECK_EQ(r.code, 0);
    bool is = strstr(buf_str(&r.out), "an unfinished rebuild") != NULL;
    run_result_deinit(&r);
    return is;
}

/* Runs it and kills it after so many ms; false when it had ended before. */
static bool rebuild_killed_after(int ms)
{
    struct run_result r = {0};
    char *root = node_path("", "");
    char *command = mem_format(
            "cd %s && timeout -s KILL 0.%03d %s/clients/cli/weir meta rebuild -y --zookeeper "
            "127.0.0.1:%d --digest-file digest --from broker-*/data",
            root, ms, test_build_root(), zookeeper_port(1));

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    if (r.code != 0 && r.code != 137) {
        check_fail(__FILE__, __LINE__, "killed rebuild: %d: %s", r.code, buf_str(&r.err));
    }
    bool was_killed = r.code != 0;
    run_result_deinit(&r);
    mem_free(command);
    mem_free(root);
    return was_killed;
}

/* Killed at moments that close in on the middle of its writing, until that was hit three times;
 * what is left over stops controllers, and the next run is not hindered by it. */
static void a_killed_rebuild_is_repeated(void) /* [RBD-7] */
{
    struct prng prng;
    int early = 5, late = 900, n_unfinished = 0;

    prng_init(&prng, check_seed());
    bool is_left = false; /* unfinished, by the last one */
    for (int i = 0; i < 200 && !(is_left && (n_unfinished >= 3 || i > 60)); i++) {
        int ms = early + (int)prng_below(&prng, (uint64_t)(late - early + 1));
        is_left = false;
        if (!rebuild_killed_after(ms)) {
            late = ms > early ? ms : early;
        } else if (is_unfinished()) {
            n_unfinished++;
            is_left = true;
        } else {
            early = ms < late ? ms : early;
        }
        if (late - early < 8) { /* the machine is not always as fast */
            early = early > 15 ? early - 10 : 5;
            late += 10;
        }
    }
    CHECK(is_left);
    node_start("controller-1");
    CHECK_WITHIN(BACK_MS, node_log_has("controller-1", "was begun and is not finished"));
    CHECK(is_unfinished()); /* it did not found a cluster, and registered nowhere */
    node_stop("controller-1");
}

/* The name of the cluster is typed. */
static int rebuild_at_a_terminal(const char *typed)
{
    char text[4096];
    size_t size = 0;
    int fd = -1, status = 0;
    char *root = node_path("", "");
    char *command = mem_format("cd %s && exec %s/clients/cli/weir meta rebuild --zookeeper "
                               "127.0.0.1:%d --digest-file digest --from broker-*/data",
            root, test_build_root(), zookeeper_port(1));
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);

    CHECK(pid >= 0);
    if (pid == 0) {
        (void)execlp("sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    bool was_asked = false;
    for (;;) {
        ssize_t n = read(fd, text + size, sizeof(text) - 1 - size);
        if (n <= 0 || size + (size_t)n >= sizeof(text) - 1) {
            break;
        }
        size += (size_t)n;
        text[size] = '\0';
        const char *prompt = strstr(text, "Type `");
        if (!was_asked && prompt != NULL && strstr(prompt, "go on: ") != NULL) {
            char answer[32];
            was_asked = true;
            (void)snprintf(answer, sizeof(answer), "%.8s\n", typed != NULL ? typed : prompt + 6);
            CHECK_EQ(write(fd, answer, strlen(answer)), (ssize_t)strlen(answer));
        }
    }
    (void)close(fd);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(was_asked);
    mem_free(command);
    mem_free(root);
    return WEXITSTATUS(status);
}

/* Whether a controller tells of such a decision. */
static bool has_decided(const char *text)
{
    bool has = false;

    for (int id = 1; id <= 2 && !has; id++) {
        struct buf b = {0};
        int status = http_request(controller_port(id), "GET", "/v1/decisions", NULL, false, &b);
        has = status == 200 && strstr(buf_str(&b), text) != NULL;
        buf_deinit(&b);
    }
    return has;
}

static void after_a_rebuild_every_acknowledged_record_is_served(void) /* [RBD-4] [RBD-6] [RBD-8] */
{
    CHECK_EQ(rebuild_at_a_terminal("12345678"), 2);
    CHECK_EQ(rebuild_at_a_terminal(NULL), 0);
    start_controllers();
    CHECK_WITHIN(BACK_MS, has_decided("given to nobody")); /* [PID-3] */
    check_brokers_were_not_restarted();
    check_data_is_untouched();
    CHECK(has_lines("orders", LINES));
    CHECK(has_lines("logs", LINES));
    produce_lines("orders", LINES + 1, 500);
    CHECK(has_lines("orders", LINES + 500));
    (void)WEIR_OK("topic", "create", "new", "-p", "4");
    produce_lines("new", 1, 100);
    CHECK(has_lines("new", 100));
    (void)WEIR_OK("topic", "delete", "new", "-y");
    await_images();
}

/* The image of broker 1 without the last batch, as one has it that took a snapshot; the path is
 * to be freed. */
static char *image_without_batch(void)
{
    char *data = node_path("broker-1", "data");
    char *path = mem_format("%s/no-batch.image", test_folder());
    struct buf old = {0}, new = {0};
    struct msg_meta_image m;
    struct arena a;

    (void)WEIR_OK("meta", "export", "--from", data, "-F", path);
    FILE *f = fopen(path, "r+e");
    CHECK(f != NULL);
    while (fread(buf_grow(&old, 1), 1, 1, f) == 1) {
    }
    old.size--;
    arena_init(&a, 1 << 20);
    CHECK_EQ(wire_decode_meta_image((struct bytes){old.data, old.size}, &a, &m), 0);
    CHECK(m.last_batch.size > 0);
    m.last_batch = (struct bytes){0};
    wire_encode_meta_image(&m, &new);
    rewind(f);
    CHECK_EQ(fwrite(new.data, 1, new.size, f), new.size);
    CHECK_EQ(fflush(f), 0);
    CHECK_EQ(ftruncate(fileno(f), (off_t)new.size), 0);
    CHECK_EQ(fclose(f), 0);
    arena_deinit(&a);
    buf_deinit(&old);
    buf_deinit(&new);
    mem_free(data);
    return path;
}

/* A copy of its data, taken while it stands. */
static void copy_zookeeper(const char *command)
{
    node_kill("zookeeper-1");
    in_node("zookeeper-1", command);
    node_start("zookeeper-1");
}

static bool a_controller_is_active(void)
{
    struct run_result r = {0};

    WEIR(&r, "status", "-O", "json", "--timeout", "2s");
    bool is = strstr(buf_str(&r.out), "\"url\"") != NULL;
    run_result_deinit(&r);
    return is;
}

/* Another controller, under the next epoch. */
static bool next_term(void)
{
    struct run_result r = {0};

    WEIR(&r, "controller", "transfer", "--timeout", "5s");
    bool is = r.code == 0;
    run_result_deinit(&r);
    return is;
}

static bool controllers_say(const char *text)
{
    return node_log_has("controller-1", text) || node_log_has("controller-2", text);
}

/* Decisions that need no broker. */
static void grow_history(int n)
{
    for (int i = 0; i < n; i++) {
        char value[32];
        struct run_result r = {0};

        (void)snprintf(value, sizeof(value), "num.partitions=%d", 1 + i % 2);
        CHECK_WITHIN(BACK_MS, (WEIR(&r, "cluster", "config", "set", value), r.code == 0));
        run_result_deinit(&r);
    }
}

static void a_restored_older_copy_fences_and_a_rebuild_ends_it(void) /* [RBD-10] */
{
    struct run_result r = {0};

    copy_zookeeper("d=$(dirname $(find . -name version-2)) && cp -a $d/version-2 older && "
                   "echo $d >where");
    CHECK_WITHIN(BACK_MS, every_broker_is_ready() && a_controller_is_active());
    CHECK_WITHIN(BACK_MS,
            (WEIR(&r, "topic", "create", "later", "-p", "3", "--if-not-exists"), r.code == 0));
    produce_lines("later", 1, 700);
    for (int i = 0; i < 3; i++) { /* terms that the older copy does not know, and brokers do */
        CHECK_WITHIN(BACK_MS, next_term());
    }
    await_images();
    list_data(listing, sizeof(listing));
    copy_zookeeper("rm -r $(cat where)/version-2 && mv older $(cat where)/version-2");
    CHECK_WITHIN(BACK_MS, controllers_say("event=metadata_regressed broker=1 ctl_epoch="));
    CHECK_WITHIN(BACK_MS, controllers_say("event=metadata_regressed broker=1 broker_index=") ||
                                  (next_term(), false));
    CHECK_WITHIN(BACK_MS, no_broker_is_ready());
    check_data_is_untouched();
    grow_history(12); /* beyond what was lost: a topic, and the ids of those who wrote to it */
    stop_controllers();
    CHECK(no_broker_is_ready());
    run_result_deinit(&r);
    r = (struct run_result){0};
    char connect[64];
    char *image = image_without_batch(); /* [RBD-8] an entry that stands in for the batch */
    (void)snprintf(connect, sizeof(connect), "127.0.0.1:%d", zookeeper_port(1));
    char *digest = node_path("controller-1", "../digest");
    WEIR(&r, "meta", "rebuild", "-y", "--zookeeper", connect, "--from", image);
    CHECK_EQ(r.code, 5); /* the tree is the digest's */
    CHECK(strstr(buf_str(&r.err), "--digest-file") != NULL);
    run_result_deinit(&r);
    r = (struct run_result){0};
    WEIR(&r, "meta", "rebuild", "-y", "--zookeeper", connect, "--digest-file", digest, "--from",
            image);
    mem_free(digest);
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "rebuild: %d: %s", r.code, buf_str(&r.err));
    }
    CHECK(strstr(buf_str(&r.err), "holds another history of this cluster") != NULL);
    mem_free(image);
    start_controllers();
    check_brokers_were_not_restarted(); /* all had applied the newest batch */
    check_data_is_untouched();
    CHECK(has_lines("later", 700));
    CHECK(has_lines("orders", LINES + 500));
    CHECK(has_lines("logs", LINES));
    run_result_deinit(&r);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(metadata_is_exported_as_lines_and_as_a_file),
        CASE(after_a_wipe_brokers_fence_themselves_and_delete_nothing),
        CASE(nothing_is_rebuilt_while_a_controller_runs),
        CASE(what_is_not_confirmed_is_not_done),
        CASE(a_killed_rebuild_is_repeated),
        CASE(after_a_rebuild_every_acknowledged_record_is_served),
        CASE(a_restored_older_copy_fences_and_a_rebuild_ends_it),
};

CHECK_MAIN("rebuild", cases)
