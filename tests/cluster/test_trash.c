/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted topics on real clusters: what was deleted comes back as it was, or is gone when it should be. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include "common/base/array.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MS = 30000
};

/* --- What is there ---------------------------------------------------------------------------- */

/* Folders of a log directory whose names begin with `head`; "" = all but hidden ones. */
static int n_folders(const char *broker, const char *sub, const char *head)
{
    char *data = node_path(broker, "data");
    char *path = mem_format("%s/%s", data, sub);
    DIR *dir = opendir(path);
    int n = 0;

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.' && strncmp(e->d_name, head, strlen(head)) == 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    mem_free(path);
    mem_free(data);
    return n;
}

static int n_trash(const char *broker)
{
    return n_folders(broker, ".trash", "");
}

static void produce_lines(const char *topic, int from, int n)
{
    struct buf lines = {0};
    struct run_result r = {0};

    for (int i = from; i < from + n; i++) {
        buf_append_format(&lines, "record %d\n", i);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", topic);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    buf_deinit(&lines);
}

/* "offset value", a line a record. */
static char *records_of(const char *topic)
{
    return mem_strdup(WEIR_OK(
            "consume", topic, "-o", "start", "--exit-at-end", "-f", "%p %o %v\\n"));
}

static int fails(struct run_result *r, const char *text)
{
    int code = r->code;

    if (strstr(buf_str(&r->err), text) == NULL) {
        printf("# not said: %s\n# but: %s", text, buf_str(&r->err));
        code = -2;
    }
    run_result_deinit(r);
    return code;
}

/* The id that `weir trash list` shows for the only topic of that name. */
static char *trashed_id(const char *name)
{
    char *needle = mem_format("\"name\":\"%s\"", name);
    const char *lines = WEIR_OK("trash", "list", "-O", "jsonl");
    const char *at = strstr(lines, needle);

    CHECK(at != NULL);
    const char *id = strstr(at, "\"topic_id\":\"");
    CHECK(id != NULL);
    char *ret = mem_strndup(id + strlen("\"topic_id\":\""), 36);
    mem_free(needle);
    return ret;
}

static bool trash_has(const char *text)
{
    return strstr(WEIR_OK("trash", "list", "-O", "jsonl"), text) != NULL;
}

/* What the controller shows of one; -1 = null. */
static long bytes_of(const char *id)
{
    char *path = mem_format("/v1/trash/%s", id);
    struct buf body = {0};

    CHECK_EQ(http_request(controller_port(1), "GET", path, NULL, false, &body), 200);
    const char *at = strstr(buf_str(&body), "\"bytes\": ");
    CHECK(at != NULL);
    at += strlen("\"bytes\": ");
    long bytes = strncmp(at, "null", 4) == 0 ? -1 : strtol(at, NULL, 10);
    buf_deinit(&body);
    mem_free(path);
    return bytes;
}

/* Whether a consumer gets that from the topic; it may take a moment until its leader serves. */
static bool has_records(const char *topic, const char *expected)
{
    struct run_result r = {0};

    WEIR_WITH(&r, NULL, "consume", topic, "-o", "start", "--exit-at-end", "-f", "%p %o %v\\n",
            "--timeout", "20s");
    bool is_same = r.code == 0 && strcmp(buf_str(&r.out), expected) == 0;
    run_result_deinit(&r);
    return is_same;
}

static void need_cluster(void)
{
    if (!cluster_is_up()) {
        cluster_up_small();
    }
}

/* --- Deleting and restoring ------------------------------------------------------------------- */

/* [TRS-1] [TRS-2] [TRS-8] [TRS-13] */
static void deleted_topic_comes_back_under_another_name(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "orders", "-p", "3", "-c", "segment.bytes=2MiB");
    produce_lines("orders", 0, 500);
    char *before = records_of("orders");
    CHECK(strlen(before) > 5000);
    (void)WEIR_OK("topic", "delete", "orders", "-y");
    CHECK_WITHIN(WAIT_MS, n_trash("broker-1") > 0 && n_folders("broker-1", "", "orders-") == 0);
    /* The name is free, and its new owner is another topic. */
    (void)WEIR_OK("topic", "create", "orders", "-p", "1");
    produce_lines("orders", 9000, 3);
    char *other = records_of("orders");
    WEIR(&r, "topic", "undelete", "orders");
    CHECK_EQ(fails(&r, "restore it under another name"), 4);
    (void)WEIR_OK("topic", "undelete", "orders", "--as", "orders-restored");
    CHECK(has_records("orders-restored", before));
    CHECK(has_records("orders", other));
    CHECK(strstr(WEIR_OK("topic", "describe", "orders-restored", "-O", "json"), "\"2097152\"") !=
            NULL);
    CHECK(!trash_has("orders"));
    /* It goes on where it was, also after a restart. */
    produce_lines("orders-restored", 500, 100);
    char *longer = records_of("orders-restored");
    CHECK(strlen(longer) > strlen(before));
    node_kill("broker-1");
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK(has_records("orders-restored", longer));
    CHECK(has_records("orders", other));
    CHECK(strstr(WEIR_OK("explain", "orders-restored"), "restored as orders-restored") != NULL);
    mem_free(longer);
    mem_free(other);
    mem_free(before);
}

/* [TRS-7] */
static void protected_topic_is_not_deleted(void)
{
    struct run_result r = {0};
    struct buf body = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "precious", "-c", "weir.delete.protection=true");
    WEIR(&r, "topic", "delete", "precious", "-y");
    CHECK_EQ(fails(&r, "weir.delete.protection=true"), 4);
    CHECK_EQ(http_request(controller_port(1), "DELETE", "/v1/topics/precious?confirm=precious&now=true",
                     NULL, false, &body),
            409);
    CHECK(strstr(buf_str(&body), "urn:weir:problem:topic-protected") != NULL);
    CHECK(strstr(buf_str(&body), "\"TOPIC_PROTECTED\"") != NULL);
    CHECK(strstr(buf_str(&body), "\"kafka_code\": 44") != NULL);
    buf_deinit(&body);
    (void)WEIR_OK("topic", "unset", "precious", "weir.delete.protection");
    (void)WEIR_OK("topic", "delete", "precious", "-y");
}

/* [TRS-3] */
static void deleting_now_frees_the_disk(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "bulk");
    produce_lines("bulk", 0, 200);
    int n_before = n_trash("broker-1");
    (void)WEIR_OK("topic", "delete", "--now", "bulk", "-y");
    CHECK_WITHIN(WAIT_MS,
            n_folders("broker-1", "", "bulk-") == 0 && n_trash("broker-1") <= n_before);
    WEIR(&r, "topic", "undelete", "bulk");
    CHECK_EQ(fails(&r, "in the trash"), 3);
}

/* [TRS-4] */
static void trash_is_purged_when_the_grace_is_over_or_by_hand(void)
{
    need_cluster();
    (void)WEIR_OK("topic", "create", "short");
    produce_lines("short", 0, 20);
    const char *shown = WEIR_OK("broker", "describe", "1", "-O", "jsonl");
    CHECK(strstr(shown, "\"name\":\"short\"") != NULL && strstr(shown, "\"trash_bytes\":") != NULL);
    CHECK(strstr(WEIR_OK("broker", "describe", "1"), "short ") != NULL);
    (void)WEIR_OK("topic", "delete", "short", "-y");
    char *id = trashed_id("short");
    CHECK_WITHIN(WAIT_MS, n_folders("broker-1", ".trash", id) == 1);
    CHECK(strstr(WEIR_OK("broker", "describe", "1", "-O", "jsonl"), "\"trash_bytes\":0") == NULL);
    CHECK(bytes_of(id) > 100);
    (void)WEIR_OK("trash", "purge", id, "-y");
    CHECK_WITHIN(WAIT_MS, n_folders("broker-1", ".trash", id) == 0);
    mem_free(id);
    (void)WEIR_OK("topic", "create", "short");
    produce_lines("short", 0, 20);
    (void)WEIR_OK("topic", "delete", "short", "-y");
    CHECK(trash_has("short"));
    (void)WEIR_OK("cluster", "config", "set", "weir.delete.grace.ms=1");
    CHECK_WITHIN(WAIT_MS, !trash_has("short") && n_trash("broker-1") == 0);
    (void)WEIR_OK("cluster", "config", "unset", "weir.delete.grace.ms");
    CHECK(strstr(WEIR_OK("explain", "short"), "for weir.delete.grace.ms") != NULL);
}

/* --- Faults ----------------------------------------------------------------------------------- */

/* [TRS-10] The broker is away while its topic is deleted, and another one takes the name. */
static void topic_deleted_while_its_broker_was_away(void)
{
    need_cluster();
    (void)WEIR_OK("topic", "create", "away");
    produce_lines("away", 0, 50);
    (void)WEIR_OK("topic", "create", "gone");
    produce_lines("gone", 0, 50);
    char *before = records_of("away");
    node_kill("broker-1");
    (void)WEIR_OK("topic", "delete", "away", "-y");
    (void)WEIR_OK("topic", "delete", "--now", "gone", "-y");
    CHECK_EQ(n_folders("broker-1", "", "away-"), 1);
    CHECK_WITHIN(WAIT_MS, trash_has("\"bytes\":null")); /* only it would know */
    CHECK_WITHIN(WAIT_MS,
            strstr(WEIR_OK("broker", "describe", "1", "-O", "jsonl"), "\"dirs\":null") != NULL);
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(WAIT_MS, n_folders("broker-1", "", "away-") == 0 && n_trash("broker-1") == 1);
    CHECK_WITHIN(WAIT_MS, n_folders("broker-1", "", "gone-") == 0);
    (void)WEIR_OK("topic", "create", "away");
    produce_lines("away", 100, 5);
    /* Restored while it is away again, under a name that it does not know. */
    node_kill("broker-1");
    (void)WEIR_OK("topic", "undelete", "away", "--as", "back");
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(WAIT_MS, has_records("back", before));
    mem_free(before);
    (void)WEIR_OK("topic", "delete", "--now", "away", "-y");
}

enum moment {
    AT_ONCE,
    WHEN_DECIDED,
    WHEN_MOVED
};

/* `deciding` is what the controller's log says, `folder` what the broker's data has then. */
static void await_moment(enum moment m, const char *deciding, const char *sub, const char *folder)
{
    if (m == WHEN_DECIDED) {
        CHECK_WITHIN(WAIT_MS, node_log_has("controller-1", deciding));
    } else if (m == WHEN_MOVED) {
        CHECK_WITHIN(WAIT_MS, n_folders("broker-1", sub, folder) > 0);
    }
}

static void die_and_come_back(const char *victim, pid_t command)
{
    node_kill(victim);
    (void)run_wait(command, 0, 2 * WAIT_MS);
    node_start(victim);
    node_wait_ready(victim);
}

/* Done now, or by the one that was cut off. */
static bool is_done(const char *verb, const char *topic, const char *option, const char *value)
{
    struct run_result r = {0};

    WEIR(&r, "topic", verb, topic, option, value);
    int code = r.code;
    run_result_deinit(&r);
    return code == 0 || code == 3;
}

static void delete_and_restore(const char *victim, enum moment m, const char *topic, const char *as)
{
    char *id = mem_strndup(strstr(WEIR_OK("topic", "describe", topic, "-O", "jsonl"),
                                   "\"topic_id\":\"") + strlen("\"topic_id\":\""), 36);
    char *deleted = mem_format("topic %s deleted", topic);
    char *restored = mem_format("restored as %s", as);
    char *folder = mem_format("%s-", as);

    pid_t command = WEIR_BACKGROUND("delete.log", NULL, "topic", "delete", topic, "-y");
    await_moment(m, deleted, ".trash", id);
    die_and_come_back(victim, command);
    CHECK_WITHIN(WAIT_MS, is_done("delete", topic, "-y", NULL));
    command = WEIR_BACKGROUND("undelete.log", NULL, "topic", "undelete", id, "--as", as);
    await_moment(m, restored, "", folder);
    die_and_come_back(victim, command);
    CHECK_WITHIN(WAIT_MS, is_done("undelete", id, "--as", as));
    mem_free(folder);
    mem_free(restored);
    mem_free(deleted);
    mem_free(id);
}

/* Whatever dies at whatever moment, afterwards the topic is wholly there or wholly in the trash. */
static void kills_between_the_steps_converge(void)
{
    static const struct {
        const char *victim;
        enum moment moment;
    } rounds[] = {{"broker-1", AT_ONCE}, {"broker-1", WHEN_DECIDED}, {"broker-1", WHEN_MOVED},
            {"controller-1", WHEN_DECIDED}};
    char topic[32] = "tough";

    need_cluster();
    (void)WEIR_OK("topic", "create", topic, "-p", "2");
    produce_lines(topic, 0, 300);
    char *before = records_of(topic);
    for (size_t i = 0; i < COUNT_OF(rounds); i++) {
        char as[32];
        (void)snprintf(as, sizeof(as), "tough%zu", i);
        delete_and_restore(rounds[i].victim, rounds[i].moment, topic, as);
        CHECK_WITHIN(WAIT_MS, has_records(as, before));
        CHECK_WITHIN(WAIT_MS, n_trash("broker-1") == 0);
        (void)snprintf(topic, sizeof(topic), "%s", as);
    }
    mem_free(before);
}

/* Where in its log the broker says that it gave up that topic's records; -1 = nowhere. */
static long place_given_up(const char *id)
{
    char *path = node_path("broker-1", "log");
    char line[1024];
    long found = -1;
    FILE *f = fopen(path, "re");

    CHECK(f != NULL);
    for (long i = 0; fgets(line, sizeof(line), f) != NULL; i++) {
        if (strstr(line, "event=deleted_log_given_up") != NULL && strstr(line, id) != NULL) {
            found = i;
        }
    }
    (void)fclose(f);
    mem_free(path);
    return found;
}

/* [TRS-12] */
static void low_disk_gives_the_oldest_up_first(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "older");
    produce_lines("older", 0, 100);
    (void)WEIR_OK("topic", "delete", "older", "-y");
    (void)WEIR_OK("topic", "create", "younger");
    produce_lines("younger", 0, 100);
    (void)WEIR_OK("topic", "delete", "younger", "-y");
    char *older = trashed_id("older"), *younger = trashed_id("younger");
    CHECK_WITHIN(WAIT_MS, n_trash("broker-1") == 2);
    (void)WEIR_OK("broker", "config", "set", "1", "weir.disk.reserve.bytes=524288GiB");
    CHECK_WITHIN(WAIT_MS, place_given_up(younger) >= 0);
    CHECK(place_given_up(older) >= 0 && place_given_up(older) < place_given_up(younger));
    CHECK_WITHIN(WAIT_MS, trash_has("\"emptied_on\":[1]"));
    (void)WEIR_OK("broker", "config", "unset", "1", "weir.disk.reserve.bytes");
    /* Loud, and not passed off as an empty topic. */
    WEIR(&r, "topic", "undelete", older, "--as", "hollow");
    CHECK_EQ(fails(&r, "broker 1 gave up records of topic older"), 4);
    CHECK_EQ(n_trash("broker-1"), 2);
    WEIR(&r, "topic", "undelete", older, "--as", "hollow", "--partial");
    CHECK_EQ(fails(&r, "broker 1 gave up records of it"), 0);
    CHECK_WITHIN(WAIT_MS, node_log_has("broker-1", "event=restore_failed"));
    WEIR(&r, "consume", "hollow", "-o", "start", "--exit-at-end", "--timeout", "2s");
    CHECK(r.code != 0);
    run_result_deinit(&r);
    (void)WEIR_OK("topic", "delete", "--now", "hollow", "-y");
    mem_free(younger);
    mem_free(older);
}

static void cluster_stops_in_order(void)
{
    need_cluster();
    cluster_down();
    CHECK(!cluster_is_up());
}

static const struct check_case cases[] = {
        CASE(deleted_topic_comes_back_under_another_name),
        CASE(protected_topic_is_not_deleted),
        CASE(deleting_now_frees_the_disk),
        CASE(trash_is_purged_when_the_grace_is_over_or_by_hand),
        CASE(topic_deleted_while_its_broker_was_away),
        CASE(kills_between_the_steps_converge),
        CASE(low_disk_gives_the_oldest_up_first),
        CASE(cluster_stops_in_order),
};
CHECK_MAIN("trash", cases)
