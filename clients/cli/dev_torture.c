/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/load.h"
#include "clients/check/replicas.h"
#include "clients/check/verdict.h"
#include "clients/cli/client.h"
#include "clients/cli/dev_nemesis.h"
#include "clients/cli/json.h"
#include "common/base/array.h"
#include "common/net/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* `weir dev torture`: load on the local cluster while its nodes are killed, and the checker's
 * verdict in the end. */

enum {
    STEP_MS = 50,
    AFTER_HEAL_MS = 2000, /* the load goes on so long */
    SETTLE_MS = 60000,    /* for reports, for a consumer, for replicas */
    READ_MS = 60000,
    LINE_BEGIN_US = 1000000,
    TTY_LINE_US = 200000,
    PLAIN_LINE_US = 5000000,
    JUDGE_US = 1000000,
    JUDGE_SHARE = 30 /* judging takes at most so small a part of the time */
};

struct torture {
    struct cli *cli;
    const char *for_text, *kill_text, *every_text, *faults_text, *history_path, *topic_option;
    int64_t rate, partitions, seed, size;
    bool keeps_topic;

    int64_t for_ms;
    struct nemesis_plan plan;
    struct dev_cluster cluster;
    char *brokers, *controllers, *topic, *path;
    size_t n_replicas; /* as the cluster gave them */
    struct nemesis nemesis;
    struct load *load;
    uint64_t n_faults, n_of[NEMESIS_N_FAULTS];
    int down;     /* index of the node that is down, -1 = none */
    bool is_hurt; /* a node did not come back */
    int64_t next_line, next_judging;
    struct judge_verdict verdict; /* the latest one */
    struct replicas_verdict replicas;
    bool has_replicas;
    int64_t *ends;
    size_t n_ends;
};

/* --- What is asked for ------------------------------------------------------------------------ */

static int read_kinds(struct torture *t)
{
    static const char *const names[] = {[DEV_ZOOKEEPER] = "zookeepers",
            [DEV_CONTROLLER] = "controllers",
            [DEV_BROKER] = "brokers"};
    const char *at = t->kill_text;

    while (strcmp(t->kill_text, "none") != 0 && *at != '\0') {
        size_t size = strcspn(at, ",");
        bool is_known = false;
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            if (strlen(names[k]) == size && strncmp(names[k], at, size) == 0) {
                t->plan.kinds[k] = is_known = true;
            }
        }
        if (!is_known) {
            return cli_fail(EXIT_USAGE, "For example: --kill brokers,controllers",
                    "--kill takes brokers, controllers, zookeepers or none, not `%s`",
                    t->kill_text);
        }
        at += size + (at[size] == ',' ? 1 : 0);
    }
    return -1;
}

static int read_faults(struct torture *t)
{
    return nemesis_read_faults(t->faults_text, t->plan.faults)
                   ? -1
                   : cli_fail(EXIT_USAGE, "For example: --faults kill,restart,move",
                             "--faults takes kill, restart, freeze, elect and move, not `%s`",
                             t->faults_text);
}

static int read_times(struct torture *t)
{
    if (!cli_parse_duration_ms(t->for_text, &t->for_ms) || t->for_ms < 1000) {
        return cli_fail(EXIT_USAGE, "For example: --for 60s",
                "--for takes a second or more, not `%s`", t->for_text);
    }
    if (!cli_parse_duration_ms(t->every_text, &t->plan.every_ms) || t->plan.every_ms < 100) {
        return cli_fail(EXIT_USAGE, "For example: --every 4s",
                "--every takes a tenth of a second or more, not `%s`", t->every_text);
    }
    return -1;
}

/* A seed and a name that are new each time, unless they are given. */
static void choose_names(struct torture *t)
{
    uint32_t random[2] = {0};

    must(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random));
    t->plan.seed = t->seed >= 0 ? (uint64_t)t->seed : random[0];
    t->topic = t->topic_option != NULL ? mem_strdup(t->topic_option)
                                       : mem_format("torture-%08" PRIx32, random[1]);
    t->path = t->history_path != NULL ? mem_strdup(t->history_path)
                                      : mem_format("%s/torture.jsonl", t->cluster.dir);
}

static int need_whole_cluster(const struct torture *t)
{
    for (size_t i = 0; i < t->cluster.n_nodes; i++) {
        if (!dev_is_ready(&t->cluster.nodes[i])) {
            return cli_fail(EXIT_UNHEALTHY, "`weir dev up` starts what does not run.",
                    "%s is not ready", t->cluster.nodes[i].name);
        }
    }
    return -1;
}

/* --- The topic -------------------------------------------------------------------------------- */

/* With three replicas an acknowledgement is worth something when two have it. */
static int raise_min_isr(const struct torture *t, const struct cli *here)
{
    struct http_answer a = {0};
    char *path = mem_format("/v1/topics/%s/configs", t->topic);
    int r = -1;

    cli_http(here, "PATCH", path, "{\"min.insync.replicas\":\"2\"}", &a);
    if (a.status != 200) {
        r = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    mem_free(path);
    return r;
}

static int create_topic(struct torture *t, const struct cli *here)
{
    struct http_answer a = {0};
    char *body =
            mem_format("{\"name\":\"%s\",\"partitions\":%" PRId64 "}", t->topic, t->partitions);
    int r = -1;

    if (!load_id_is_legal(t->topic)) {
        mem_free(body);
        return cli_fail(EXIT_USAGE,
                "Topic names here are up to 30 letters, digits, '.', '_' and '-'.",
                "`%s` is not a name for the topic", t->topic);
    }
    cli_http(here, "POST", "/v1/topics", body, &a);
    if (a.status == 201 || a.status == 200) {
        json_t *o = cli_answer_json(&a);
        t->n_replicas = json_array_size(
                json_object_get(json_array_get(json_object_get(o, "partitions"), 0), "replicas"));
        json_decref(o);
    } else {
        r = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    mem_free(body);
    return r < 0 && t->n_replicas >= 3 ? raise_min_isr(t, here) : r;
}

static void delete_topic(const struct torture *t, const struct cli *here)
{
    struct http_answer a = {0};
    char *path = mem_format("/v1/topics/%s?confirm=%s&now=true", t->topic, t->topic);

    cli_http(here, "DELETE", path, NULL, &a);
    if (a.status != 200) {
        cli_note("the topic %s is left: weir topic delete %s", t->topic, t->topic);
    }
    http_answer_deinit(&a);
    mem_free(path);
}

/* --- While it runs ---------------------------------------------------------------------------- */

static void judge_now(struct torture *t)
{
    int64_t began = load_now();
    const struct history *h = load_history_hold(t->load);

    judge_history(h, &t->verdict);
    load_history_release(t->load);
    int64_t took = load_now() - began;
    int64_t wait = took * JUDGE_SHARE > JUDGE_US ? took * JUDGE_SHARE : JUDGE_US;
    t->next_judging = load_now() + wait;
}

static void print_line(const struct torture *t, const char *state)
{
    const struct load_figures *f = load_figures(t->load);
    const struct judge_verdict *v = &t->verdict;
    uint64_t lost = v->results[JUDGE_C1_LOST].n + v->results[JUDGE_C2_UNSEEN].n;
    bool is_tty = cli_stderr_is_tty();

    fprintf(stderr,
            "%s%4" PRId64 " s  acked %" PRIu64 "  lost %" PRIu64 "  doubled %" PRIu64
            "  longest gap %" PRId64 " ms  faults %" PRIu64,
            is_tty ? "\r\033[K" : "", (load_now() - f->start) / 1000000, f->n_acked, lost,
            v->results[JUDGE_C4_DUPLICATE].n, f->gap.length / 1000, t->n_faults);
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        if (v->results[p].n > 0 && p != JUDGE_C1_LOST && p != JUDGE_C2_UNSEEN &&
                p != JUDGE_C4_DUPLICATE) {
            fprintf(stderr, "  %s violated", judge_id((enum judge_property)p));
        }
    }
    if (t->down >= 0) {
        fprintf(stderr, "  %s is down", t->cluster.nodes[t->down].name);
    }
    fprintf(stderr, "%s%s", state[0] != '\0' ? "  " : "", state);
    fprintf(stderr, "%s", is_tty ? "" : "\n");
}

static void take_events(struct torture *t)
{
    struct nemesis_event e;

    while (nemesis_next(&t->nemesis, &e)) {
        switch (e.what) {
        case NEMESIS_STRUCK:
            t->n_faults++;
            t->n_of[e.fault]++;
            t->down = e.node;
            break;
        case NEMESIS_STARTED: break;
        case NEMESIS_READY: t->down = -1; break;
        case NEMESIS_FAILED:
            t->is_hurt = true;
            cli_note("%s%s did not come back", cli_stderr_is_tty() ? "\r\033[K" : "",
                    t->cluster.nodes[e.node].name);
            break;
        }
    }
}

static void look(struct torture *t, const char *state)
{
    int64_t now = load_now();

    take_events(t);
    if (now >= t->next_judging) {
        judge_now(t);
    }
    if (now >= t->next_line) {
        t->next_line = now + (cli_stderr_is_tty() ? TTY_LINE_US : PLAIN_LINE_US);
        load_look_at_gaps(t->load);
        print_line(t, state);
    }
}

static void run_until(struct torture *t, int64_t end, const char *state)
{
    while (load_now() < end && !cli_interrupted()) {
        load_step(t->load, STEP_MS);
        look(t, state);
    }
}

/* All nodes are started again; the load goes on meanwhile and a little longer. */
static void heal(struct torture *t)
{
    nemesis_heal(&t->nemesis);
    while (!nemesis_has_ended(&t->nemesis)) {
        load_step(t->load, STEP_MS);
        look(t, "healing");
    }
    take_events(t);
    t->down = -1;
    run_until(t, load_now() + (int64_t)AFTER_HEAL_MS * 1000, "healed");
}

/* Waits for what was sent, and for the consumer to have had it. */
static void settle(struct torture *t)
{
    int64_t end = load_now() + (int64_t)SETTLE_MS * 1000;

    while (!load_flush(t->load, STEP_MS) && load_now() < end) {
        look(t, "waiting for acknowledgements");
    }
    end = load_now() + (int64_t)SETTLE_MS * 1000;
    while (!load_is_consumed(t->load) && load_now() < end) {
        (void)load_flush(t->load, STEP_MS);
        look(t, "waiting for the consumer");
    }
    load_stop(t->load);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* C15, up to the ends that were read. Returns -1 or the exit code of the error it said. */
static int compare_replicas(struct torture *t)
{
    const char *dirs[REPLICAS_DIRS_MAX];
    struct replicas_end *ends = mem_new_n(struct replicas_end, t->n_ends + 1);
    char why[1024];
    size_t n = 0;

    for (size_t i = 0; i < t->cluster.n_nodes && n < COUNT_OF(dirs); i++) {
        if (t->cluster.nodes[i].kind == DEV_BROKER) {
            dirs[n++] = mem_format("%s/data", t->cluster.nodes[i].folder);
        }
    }
    for (size_t p = 0; p < t->n_ends; p++) {
        ends[p] = (struct replicas_end){
                .topic = t->topic, .partition = (int32_t)p, .end = t->ends[p]};
    }
    int r = replicas_compare(
            &file_io_posix, dirs, n, ends, t->n_ends, &t->replicas, why, sizeof(why));
    t->has_replicas = r == 0;
    for (size_t i = 0; i < n; i++) {
        union {
            const char *in;
            char *out;
        } dir = {.in = dirs[i]};

        mem_free(dir.out);
    }
    mem_free(ends);
    return r == 0 ? -1 : cli_fail(EXIT_FAILED, "", "%s", why);
}

/* What was moved away goes from its broker's disk a moment after the move. */
static int compare_moved_replicas(struct torture *t)
{
    wtime until = clock_now() + WTIME_MS(t->plan.faults[NEMESIS_MOVE] ? SETTLE_MS : 0);
    int r = compare_replicas(t);

    while (r < 0 && t->replicas.n_differ > 0 && clock_now() < until) {
        struct timespec pause = {.tv_nsec = 200000000};
        (void)nanosleep(&pause, NULL);
        replicas_verdict_deinit(&t->replicas);
        t->replicas = (struct replicas_verdict){0};
        r = compare_replicas(t);
    }
    return r;
}

static void print_people(const struct torture *t, const struct history *h)
{
    const struct load_figures *f = load_figures(t->load);

    verdict_print(stdout, h, &t->verdict);
    if (t->has_replicas) {
        replicas_print(stdout, &t->replicas);
    }
    for (int n = 0; n < NEMESIS_N_FAULTS; n++) {
        if (t->plan.faults[n]) {
            printf("%s %" PRIu64 ", ", nemesis_fault_name((enum nemesis_fault)n), t->n_of[n]);
        }
    }
    printf("%zu %s a partition, seed %" PRIu64 "; longest produce gap %" PRId64
           " ms, latency p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
            t->n_replicas, t->n_replicas == 1 ? "replica" : "replicas", t->plan.seed,
            f->gap.length / 1000, (double)load_latency_quantile(&f->latency, 500) / 1000,
            (double)load_latency_quantile(&f->latency, 990) / 1000, (double)f->latency.max / 1000);
    printf("history: %s\n", t->path);
}

static void print_json(const struct torture *t, const struct history *h)
{
    const struct load_figures *f = load_figures(t->load);
    json_t *o = verdict_json(h, &t->verdict);
    json_t *run = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s}", "topic", t->topic,
            "replicas", (json_int_t)t->n_replicas, "kills", (json_int_t)t->n_of[NEMESIS_KILL],
            "seed", (json_int_t)t->plan.seed, "seconds",
            (json_int_t)((load_now() - f->start) / 1000000), "longest_gap_ms",
            (json_int_t)(f->gap.length / 1000), "latency_p50_ms",
            (double)load_latency_quantile(&f->latency, 500) / 1000, "latency_p99_ms",
            (double)load_latency_quantile(&f->latency, 990) / 1000, "history", t->path);

    must(run != NULL);
    json_t *faults = json_object();
    for (int n = 0; n < NEMESIS_N_FAULTS; n++) {
        json_object_set_new(faults, nemesis_fault_name((enum nemesis_fault)n),
                json_integer((json_int_t)t->n_of[n]));
    }
    json_object_set_new(run, "faults", faults);
    json_object_set_new(o, "run", run);
    if (t->has_replicas) {
        json_object_set_new(o, "replicas",
                json_pack("{s:I, s:I}", "compared", (json_int_t)t->replicas.n_compared, "differ",
                        (json_int_t)t->replicas.n_differ));
    }
    if (t->replicas.n_differ > 0) {
        json_object_set_new(o, "verdict", json_string("violated"));
    }
    char *text = json_dumps(o, JSON_INDENT(2));
    must(text != NULL);
    printf("%s\n", text);
    free(text);
    json_decref(o);
}

static int tell_verdict(struct torture *t)
{
    const struct history *h = load_history_hold(t->load);
    int e = 0;

    judge_history(h, &t->verdict);
    if (cli_stderr_is_tty()) {
        fprintf(stderr, "\r\033[K");
    }
    if (t->cli->format == FORMAT_JSON) {
        print_json(t, h);
    } else {
        print_people(t, h);
    }
    load_history_release(t->load);
    e = load_history_flush(t->load);
    if (e != 0) {
        return cli_fail(EXIT_FAILED, "", "%s: %s", t->path, strerror(e));
    }
    return judge_n_violated(&t->verdict) > 0 || t->replicas.n_differ > 0 ? EXIT_FAILED : EXIT_DONE;
}

/* The final read, the replicas, the verdict. */
static int conclude(struct torture *t, const struct cli *here)
{
    char why[1024];
    bool is_synced = t->n_replicas < 2 || dev_wait_in_sync(here, t->topic, SETTLE_MS);
    bool is_read = load_read_all(t->load, READ_MS, &t->ends, &t->n_ends, why, sizeof(why));
    int r = is_read && is_synced && t->n_replicas > 1 ? compare_moved_replicas(t) : -1;
    int told = tell_verdict(t);

    if (!is_read) {
        return cli_fail(EXIT_FAILED, "`weir status` says what is wrong with the cluster.",
                "the topic could not be read to its end: %s", why);
    }
    if (!is_synced) {
        return cli_fail(EXIT_FAILED, "`weir topic describe` shows which.",
                "%d s after the last fault some replicas of %s are not in sync", SETTLE_MS / 1000,
                t->topic);
    }
    if (t->is_hurt) {
        return cli_fail(EXIT_FAILED, "`weir dev status` shows which.", "a node did not come back");
    }
    return r >= 0 ? r : told;
}

/* --- All of it -------------------------------------------------------------------------------- */

static int run_load(struct torture *t, const struct cli *here)
{
    struct load_options options = {.topic = t->topic,
            .brokers = t->brokers,
            .acks = "all",
            .rate = (double)t->rate,
            .size = (size_t)t->size,
            .consumes = true,
            .rereads = true,
            .lists = true,
            .history_path = t->path,
            .keeps_history = true,
            .seed = t->plan.seed};
    char why[1024];

    if (!load_open(&options, &t->load, why, sizeof(why))) {
        return cli_fail(EXIT_UNREACHABLE, "`weir dev status` shows the processes.", "%s", why);
    }
    load_start(t->load);
    t->next_line = load_now() + LINE_BEGIN_US;
    t->next_judging = load_now() + JUDGE_US;
    run_until(t, load_now() + t->for_ms * 1000, "");
    heal(t);
    settle(t);
    return conclude(t, here);
}

static int torture_cluster(struct torture *t)
{
    struct cli here = *t->cli;

    here.brokers = t->brokers = dev_brokers_text(&t->cluster);
    here.controller = t->controllers = dev_controllers_text(&t->cluster);
    choose_names(t);
    int r = need_whole_cluster(t);
    r = r < 0 ? create_topic(t, &here) : r;
    if (r >= 0) {
        return r;
    }
    t->plan.cli = &here;
    t->plan.topic = t->topic;
    t->plan.n_partitions = t->partitions;
    t->plan.n_replicas = t->n_replicas;
    cli_note("topic %s, %" PRId64 " partitions, %zu %s each; %" PRId64
             " records a second; %s: %s; seed %" PRIu64,
            t->topic, t->partitions, t->n_replicas, t->n_replicas == 1 ? "replica" : "replicas",
            t->rate, t->faults_text, t->kill_text, t->plan.seed);
    r = nemesis_start(&t->nemesis, &t->cluster, &t->plan);
    r = r < 0 ? run_load(t, &here) : r;
    nemesis_deinit(&t->nemesis);
    if (r == EXIT_DONE && !t->keeps_topic) {
        delete_topic(t, &here);
    } else {
        cli_note("the topic %s is left as it is", t->topic);
    }
    return r;
}

static int dev_torture(struct cli *cli, int argc, char **argv)
{
    struct torture t = {.cli = cli,
            .for_text = "60s",
            .kill_text = "brokers",
            .every_text = "4s",
            .faults_text = "kill",
            .rate = 500,
            .partitions = 6,
            .seed = -1,
            .down = -1};
    const char *dir_option = NULL;
    const struct cli_opt opts[] = {
            DEV_DIR_OPT(&dir_option),
            {0, "for", OPT_STR, &t.for_text, "TIME", "how long faults come (60s)", 0, 0},
            {0, "kill", OPT_STR, &t.kill_text, "KINDS",
                    "brokers (default), controllers, zookeepers, or none", 0, 0},
            {0, "every", OPT_STR, &t.every_text, "TIME", "from fault to fault, on average (4s)", 0,
                    0},
            {0, "faults", OPT_STR, &t.faults_text, "LIST",
                    "what happens: kill (default), restart, freeze, elect, move", 0, 0},
            {0, "rate", OPT_I64, &t.rate, "N", "records a second (500)", 1, 1000000},
            {0, "size", OPT_I64, &t.size, "BYTES", "of values, at least", 0, LOAD_SIZE_MAX},
            {'p', "partitions", OPT_I64, &t.partitions, "N", "partitions of the topic (6)", 1,
                    1000},
            {0, "seed", OPT_I64, &t.seed, "N", "of the schedule of faults (random)", 0, INT64_MAX},
            {0, "topic", OPT_STR, &t.topic_option, "NAME", "the topic, which must not exist", 0, 0},
            {0, "history", OPT_STR, &t.history_path, "FILE", "the history (DIR/torture.jsonl)", 0,
                    0},
            {0, "keep", OPT_FLAG, &t.keeps_topic, NULL, "leave the topic", 0, 0},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    r = r < 0 ? read_kinds(&t) : r;
    r = r < 0 ? read_faults(&t) : r;
    r = r < 0 ? read_times(&t) : r;
    r = r < 0 ? dev_load(&t.cluster, dir_option) : r;
    if (r >= 0) {
        return r;
    }
    cli_catch_interrupt();
    r = torture_cluster(&t);
    load_free(t.load);
    replicas_verdict_deinit(&t.replicas);
    dev_cluster_deinit(&t.cluster);
    mem_free(t.ends);
    mem_free(t.brokers);
    mem_free(t.controllers);
    mem_free(t.topic);
    mem_free(t.path);
    return fflush(stdout) == 0 ? r
                               : cli_fail(EXIT_FAILED, "", "standard output cannot be written: %s",
                                         strerror(errno));
}

const struct cli_command cli_dev_torture = {
        .noun = "dev",
        .verb = "torture",
        .summary = "load and random kills on the local cluster, then a verdict",
        .usage = "[--for TIME] [--kill KINDS] [--faults LIST] [--every TIME] [--rate N] [--seed N] "
                 "[--dir DIR]",
        .details = "Makes a topic, produces to it (idempotent, acks=all), reads it as it grows and "
                   "again from older "
                   "places, and kills\n"
                   "nodes meanwhile with SIGKILL, one at a time; each is started again. In the end "
                   "everything is "
                   "started, the topic is\n"
                   "read whole, and the history of all that is judged: is anything that was "
                   "acknowledged lost, doubled, "
                   "reordered,\n"
                   "changed? The line that goes on shows what the same judge says so far. Ctrl-C "
                   "ends the faults early. "
                   "Exit code 0: all\n"
                   "is as it must be; 1: it is not, and the first cases are named.\n",
        .examples = "  weir dev torture --for 60s\n"
                    "  weir dev torture --for 5m --every 2s --kill brokers,controllers\n"
                    "  weir dev torture --for 5m --faults kill,restart,freeze,elect,move\n"
                    "  weir dev torture --seed 7 -O json\n",
        .run = dev_torture,
};
