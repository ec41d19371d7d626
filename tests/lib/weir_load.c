/* SPDX-License-Identifier: Apache-2.0 */
/* A load generator that judges: it produces numbered records, measures how long acknowledgements
 * stay away, consumes them if asked, and in the end reads the topic back and judges its history.
 * docs/dev/testing.md shows its use, docs/dev/checker.md the history. */
#include "clients/check/final_read.h"
#include "clients/check/judge.h"
#include "clients/check/load.h"
#include "clients/check/verdict.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_KEPT = 0,     /* the history is right */
    EXIT_VIOLATED = 1, /* something that was acknowledged is missing, or otherwise wrong */
    EXIT_WRONG_USE = 2,
    EXIT_NOT_RUN = 3, /* no cluster, no topic, a file: nothing was judged */
    CONFS_MAX = 32,
    HISTORIES_MAX = 16,
    READ_MS = 30000
};

struct options {
    const char *topic, *brokers, *acks, *id;
    const char *histories[HISTORIES_MAX];
    const char *confs[CONFS_MAX];
    size_t n_histories, n_confs;
    double rate;
    int64_t for_ms; /* 0 = until a signal */
    int64_t size;
    bool is_verify, consumes, rereads, shows_progress, keeps_quiet;
};

struct run {
    struct options o;
    struct load *load;
    int64_t next_line;
};

static volatile sig_atomic_t n_signals;

static void on_signal(int signal_number)
{
    (void)signal_number;
    n_signals++;
    if (n_signals > 2) {
        _exit(128 + SIGINT);
    }
}

/* --- Words ------------------------------------------------------------------------------------ */

static const char usage_text[] =
        "usage: weir_load TOPIC [OPTION…]           produce numbered records, then check that none "
        "is "
        "missing\n"
        "       weir_load verify TOPIC --history F   check the records of an earlier run\n"
        "\n"
        "  --brokers LIST    host:port,… (WEIR_BROKERS; default 127.0.0.1:9190)\n"
        "  --acks N          all (default), 1 or 0\n"
        "  --rate N          records a second (100), spread over all partitions in turn\n"
        "  --for TIME        90s, 5m, 500ms; without it until SIGINT or SIGTERM\n"
        "  --consume         consume at the same time\n"
        "  --reread          another consumer reads older records again and again\n"
        "  --size BYTES      values of at least so many bytes\n"
        "  --history FILE    write the history (weir_check judges it again); for verify: may be "
        "repeated\n"
        "  --id NAME         the producer's name in the values (default: random)\n"
        "  --conf K=V        a property of libweir\n"
        "  --progress        a JSON line a second on stderr, also when it is no terminal\n"
        "  --no-verify       do not read the topic back at the end\n"
        "\n"
        "At the end one JSON object on stdout. Exit code 0: the history is right; 1: a property is "
        "violated; 2: wrong\n"
        "use; 3: it could not be judged (no cluster, no topic). A second signal gives up waiting "
        "for "
        "acknowledgements.\n";

static int wrong_use(const char *what, const char *value)
{
    fprintf(stderr, "weir_load: %s%s\n%s", what, value, usage_text);
    return EXIT_WRONG_USE;
}

static int not_run(const char *what, const char *why)
{
    fprintf(stderr, "weir_load: %s: %s\n", what, why);
    return EXIT_NOT_RUN;
}

static bool parse_time(const char *text, int64_t *ret_ms)
{
    char *end = NULL;
    long long n = strtoll(text, &end, 10);
    int64_t unit = strcmp(end, "ms") == 0                  ? 1
                   : strcmp(end, "s") == 0 || *end == '\0' ? 1000
                   : strcmp(end, "m") == 0                 ? 60000
                                                           : 0;

    if (end == text || n <= 0 || n > 1000000 || unit == 0) {
        return false;
    }
    *ret_ms = n * unit;
    return true;
}

static int parse_option(struct options *o, int which)
{
    char *end = NULL;

    switch (which) {
    case 'b': o->brokers = optarg; return -1;
    case 'a': o->acks = optarg; return -1;
    case 'i': o->id = optarg; return -1;
    case 'c': o->consumes = true; return -1;
    case 'R': o->rereads = true; return -1;
    case 'p': o->shows_progress = true; return -1;
    case 'n': o->keeps_quiet = true; return -1;
    case 'r':
        o->rate = strtod(optarg, &end);
        return *end == '\0' && o->rate > 0 && o->rate <= 1e6
                       ? -1
                       : wrong_use("--rate takes records a second, not ", optarg);
    case 'f':
        return parse_time(optarg, &o->for_ms) ? -1 : wrong_use("--for takes 30s, not ", optarg);
    case 's':
        o->size = strtoll(optarg, &end, 10);
        return *end == '\0' && o->size >= 0 && o->size <= LOAD_SIZE_MAX
                       ? -1
                       : wrong_use("--size takes bytes, at most 1048576, not ", optarg);
    case 'h':
        if (o->n_histories == HISTORIES_MAX) {
            return wrong_use("too many --history: ", optarg);
        }
        o->histories[o->n_histories++] = optarg;
        return -1;
    case 'k':
        if (o->n_confs == CONFS_MAX) {
            return wrong_use("too many --conf: ", optarg);
        }
        o->confs[o->n_confs++] = optarg;
        return -1;
    default: return wrong_use("", "");
    }
}

static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"brokers", required_argument, NULL, 'b'},
            {"acks", required_argument, NULL, 'a'}, {"rate", required_argument, NULL, 'r'},
            {"for", required_argument, NULL, 'f'}, {"consume", no_argument, NULL, 'c'},
            {"reread", no_argument, NULL, 'R'}, {"size", required_argument, NULL, 's'},
            {"history", required_argument, NULL, 'h'}, {"id", required_argument, NULL, 'i'},
            {"conf", required_argument, NULL, 'k'}, {"progress", no_argument, NULL, 'p'},
            {"no-verify", no_argument, NULL, 'n'}, {"help", no_argument, NULL, '?'}, {0}};
    int which = 0;

    while ((which = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        int r = parse_option(o, which);
        if (r >= 0) {
            return r;
        }
    }
    o->is_verify = optind < argc && strcmp(argv[optind], "verify") == 0 && argc - optind == 2;
    optind += o->is_verify ? 1 : 0;
    if (argc - optind != 1) {
        return wrong_use("it takes one topic", "");
    }
    o->topic = argv[optind];
    if (strcmp(o->acks, "all") != 0 && strcmp(o->acks, "1") != 0 && strcmp(o->acks, "0") != 0) {
        return wrong_use("--acks takes all, 1 or 0, not ", o->acks);
    }
    if (o->is_verify ? o->n_histories == 0 : o->n_histories > 1) {
        return wrong_use(o->is_verify ? "verify needs --history" : "a run has one --history", "");
    }
    if (o->id != NULL && !load_id_is_legal(o->id)) {
        return wrong_use("--id takes a short word, not ", o->id);
    }
    return -1;
}

/* --- The result ------------------------------------------------------------------------------- */

static void print_latency(const char *name, const struct load_latency *l)
{
    printf(", \"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name,
            (double)load_latency_quantile(l, 500) / 1000,
            (double)load_latency_quantile(l, 990) / 1000, (double)l->max / 1000);
}

static void print_gap(const struct load_figures *f)
{
    char began[40] = "";
    struct tm tm;
    int64_t gap_wall_ms = f->start_wall_ms + (f->gap.began - f->start) / 1000;
    time_t gap_time = (time_t)(gap_wall_ms / 1000);

    if (gmtime_r(&gap_time, &tm) != NULL && f->gap.partition >= 0) {
        size_t n = strftime(began, sizeof(began), "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(began + n, sizeof(began) - n, ".%03dZ", (int)(gap_wall_ms % 1000));
    }
    printf(", \"longest_gap_ms\": %" PRId64 ", \"longest_gap_began\": \"%s\""
           ", \"longest_gap_partition\": %" PRId32,
            f->gap.length / 1000, began, f->gap.partition);
}

static void print_run(const struct run *r)
{
    const struct load_figures *f = load_figures(r->load);

    printf("{\"topic\": \"%s\", \"producer\": \"%s\", \"acks\": \"%s\", \"seconds\": %.1f",
            r->o.topic, load_id(r->load), r->o.acks, (double)(load_now() - f->start) / 1e6);
    printf(", \"sent\": %" PRIu64 ", \"acked\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"perhaps_written\": %" PRIu64 ", \"errors\": {",
            f->n_sent, f->n_acked, f->n_failed, f->n_unknown);
    for (size_t i = 0; i < f->errors.n; i++) {
        printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", f->errors.at[i].name, f->errors.at[i].n);
    }
    printf("}");
    print_gap(f);
    print_latency("latency_ms", &f->latency);
    if (r->o.consumes) {
        printf(", \"consumed\": %" PRIu64, f->n_consumed);
        print_latency("consume_delay_ms", &f->delay);
    }
}

/* The first value of which a property says that it is not there. */
static void print_first_missing(const struct history *h, const struct judge_verdict *v)
{
    const struct judge_result *missing = v->results[JUDGE_C1_LOST].n > 0
                                                 ? &v->results[JUDGE_C1_LOST]
                                                 : &v->results[JUDGE_C2_UNSEEN];
    char value[128];

    if (missing->n > 0) {
        printf(", \"first_missing\": \"%s\"",
                history_value_text(h, missing->witnesses[0].value, value, sizeof(value)));
    }
}

/* With acks 0 nothing was promised, nor with acks 1 where there are several replicas: what is
 * missing is told, no more. */
static void print_verdict(const struct history *h, const struct judge_verdict *v, bool is_acked)
{
    uint64_t n_missing = is_acked ? v->results[JUDGE_C1_LOST].n + v->results[JUDGE_C2_UNSEEN].n +
                                            v->n_early_absent
                                  : v->n_unknown - v->n_unknown_seen;
    size_t n = 0;

    printf("\"verified\": %" PRIu64 ", \"read\": %" PRIu64 ", \"missing\": %" PRIu64
           ", \"doubled\": %" PRIu64 ", \"displaced\": %" PRIu64,
            is_acked ? v->n_acked : v->n_unknown, v->n_polled, n_missing, v->n_doubled,
            v->results[JUDGE_C11_DISPLACED].n);
    print_first_missing(h, v);
    printf(", \"violated\": [");
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        if (v->results[p].n > 0) {
            printf("%s\"%s\"", n++ > 0 ? ", " : "", judge_id((enum judge_property)p));
        }
    }
    printf("]}\n");
}

static int judge(const struct history *h, bool is_acked)
{
    struct judge_verdict v;

    judge_history(h, &v);
    print_verdict(h, &v, is_acked);
    if (judge_n_violated(&v) == 0) {
        return EXIT_KEPT;
    }
    verdict_print(stderr, h, &v);
    return EXIT_VIOLATED;
}

/* --- Modes ------------------------------------------------------------------------------------ */

static int read_and_judge(const struct options *o, struct history *h, struct weir_client *client)
{
    struct history_writer w = {.history = h};
    char why[1024];
    int r = EXIT_NOT_RUN;

    for (size_t i = 0; i < o->n_histories; i++) {
        if (history_read_file(h, o->histories[i], why, sizeof(why)) != 0) {
            return not_run("the history", why);
        }
    }
    history_begin_file(h, "this reading");
    if (final_read(
                &w, client, o->topic, LOAD_FINAL_READER, READ_MS, NULL, NULL, why, sizeof(why))) {
        printf("{");
        r = judge(h, true);
    } else {
        printf("{\"verified\": null}\n");
        r = not_run("not verified", why);
    }
    history_writer_deinit(&w);
    return r;
}

static int verify(const struct options *o)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_client *client = NULL;
    struct weir_error error = {0};
    struct history h;
    int r = weir_conf_set(conf, "bootstrap.servers", o->brokers, &error);

    for (size_t i = 0; r == 0 && i < o->n_confs; i++) {
        r = weir_conf_set_pair(conf, o->confs[i], &error);
    }
    r = r == 0 ? weir_client_new(conf, &client, &error) : r;
    weir_conf_free(conf);
    if (r != 0) {
        return not_run("no client", error.text);
    }
    history_init(&h);
    r = read_and_judge(o, &h, client);
    history_deinit(&h);
    (void)weir_client_close(client, 0);
    return r;
}

static void show_progress(struct run *r)
{
    const struct load_figures *f = load_figures(r->load);

    if (load_now() < r->next_line) {
        return;
    }
    r->next_line += 1000000;
    (void)load_history_flush(r->load); /* a failure is told at the end */
    load_look_at_gaps(r->load);
    if (r->o.shows_progress) {
        fprintf(stderr,
                "{\"seconds\": %" PRId64 ", \"acked\": %" PRIu64 ", \"failed\": %" PRIu64
                ", \"longest_gap_ms\": %" PRId64 ", \"consumed\": %" PRIu64 "}\n",
                (load_now() - f->start) / 1000000, f->n_acked, f->n_failed, f->gap.length / 1000,
                f->n_consumed);
    }
}

/* Waits for the reports that are left, then until the consumer has had them; a second signal ends
 * either wait. */
static void finish(struct run *r)
{
    const struct load_figures *f = load_figures(r->load);
    int64_t silence = strcmp(r->o.acks, "all") == 0 ? 10 * 1000000 : 2 * 1000000;

    while (n_signals < 2 && !load_flush(r->load, 200)) {
        show_progress(r);
    }
    int64_t patience = load_now() + silence;
    for (uint64_t seen = f->n_consumed;
            n_signals < 2 && !load_is_consumed(r->load) && load_now() < patience;) {
        (void)load_flush(r->load, 100);
        /* With acks 0 and 1 some may never come: then silence is the end. */
        patience = f->n_consumed == seen ? patience : load_now() + silence;
        seen = f->n_consumed;
        show_progress(r);
    }
    load_stop(r->load);
}

static int open_run(struct run *r)
{
    struct options *o = &r->o;
    char why[1024];
    struct load_options options = {.topic = o->topic,
            .brokers = o->brokers,
            .acks = o->acks,
            .id = o->id,
            .confs = o->confs,
            .n_confs = o->n_confs,
            .rate = o->rate,
            .size = (size_t)o->size,
            .consumes = o->consumes,
            .rereads = o->rereads,
            .lists = true,
            .history_path = o->n_histories > 0 ? o->histories[0] : NULL,
            .keeps_history = !o->keeps_quiet};

    return load_open(&options, &r->load, why, sizeof(why)) ? -1 : not_run("not started", why);
}

static int judge_run(struct run *r)
{
    char why[1024];

    if (!load_read_all(r->load, READ_MS, NULL, NULL, why, sizeof(why))) {
        printf(", \"verified\": null}\n");
        return not_run("not verified", why);
    }
    printf(", ");
    const struct history *h = load_history_hold(r->load);
    int result = judge(h, strcmp(r->o.acks, "0") != 0);
    load_history_release(r->load);
    return result;
}

static int run(struct run *r)
{
    int result = open_run(r);

    if (result >= 0) {
        return result;
    }
    load_start(r->load);
    int64_t start = load_figures(r->load)->start;
    int64_t end = r->o.for_ms > 0 ? start + r->o.for_ms * 1000 : INT64_MAX;
    r->next_line = start + 1000000;
    while (n_signals == 0 && load_now() < end) {
        load_step(r->load, 100);
        show_progress(r);
    }
    finish(r);
    print_run(r);
    if (load_figures(r->load)->first_error[0] != '\0') {
        fprintf(stderr, "weir_load: the first failure: %s\n", load_figures(r->load)->first_error);
    }
    if (r->o.keeps_quiet) {
        printf("}\n");
        result = EXIT_KEPT;
    } else {
        result = judge_run(r);
    }
    int e = load_history_flush(r->load);
    return e == 0 ? result : not_run(r->o.histories[0], strerror(e));
}

int main(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_signal};
    const char *brokers = getenv("WEIR_BROKERS");
    struct run r = {.o = {.brokers = brokers != NULL ? brokers : "127.0.0.1:9190",
                            .acks = "all",
                            .rate = 100,
                            .shows_progress = isatty(STDERR_FILENO) == 1}};
    int result = parse_options(&r.o, argc, argv);

    if (result < 0) {
        (void)sigaction(SIGINT, &stop, NULL);
        (void)sigaction(SIGTERM, &stop, NULL);
        result = r.o.is_verify ? verify(&r.o) : run(&r);
    }
    load_free(r.load);
    return result;
}
