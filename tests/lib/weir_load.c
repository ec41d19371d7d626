/* SPDX-License-Identifier: Apache-2.0 */
/* A load generator that judges: it produces numbered records, measures how long acknowledgements
 * stay away, consumes them if asked, and in the end reads the topic back and says what is missing.
 * docs/dev/testing.md shows its use. */
#include "tests/lib/load_history.h"
#include "tests/lib/load_stats.h"

#include <weir/consumer.h>
#include <weir/producer.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_KEPT = 0,    /* nothing that was acknowledged is missing */
    EXIT_MISSING = 1, /* something is */
    EXIT_WRONG_USE = 2,
    EXIT_NOT_RUN = 3, /* no cluster, no topic, a file: nothing was judged */
    PARTITIONS_MAX = 1024,
    CONFS_MAX = 32,
    HISTORIES_MAX = 16
};

struct options {
    const char *topic, *brokers, *acks, *id;
    const char *histories[HISTORIES_MAX];
    const char *confs[CONFS_MAX];
    size_t n_histories, n_confs;
    double rate;
    int64_t for_ms; /* 0 = until a signal */
    bool is_verify, consumes, shows_progress, keeps_quiet;
};

/* One record from weir_produce() to its report. */
struct sent {
    uint64_t counter;
    int64_t at;
};

struct load {
    struct options o;
    struct weir_client *client;
    struct weir_topic *topic;
    struct weir_consumer *consumer;
    int32_t n_partitions;
    FILE *file;
    struct load_history history;
    uint32_t producer;
    char id[LOAD_ID_SIZE];

    struct load_stream streams[PARTITIONS_MAX];
    struct load_gap gap;
    struct load_latency latency, delay; /* to the report; to the consumer */
    struct load_errors errors;
    uint64_t n_sent, n_acked, n_failed, n_unknown, n_consumed;
    char first_error[WEIR_TEXT_SIZE];
    int64_t start, next_line;
    int64_t start_wall_ms;
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

static int64_t now_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now(void)
{
    return now_us(CLOCK_MONOTONIC);
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
        "  --history FILE    append each acknowledged value with partition and offset; for verify: "
        "may "
        "be repeated\n"
        "  --id NAME         the producer's name in the values (default: random)\n"
        "  --conf K=V        a property of libweir\n"
        "  --progress        a JSON line a second on stderr, also when it is no terminal\n"
        "  --no-verify       do not read the topic back at the end\n"
        "\n"
        "At the end one JSON object on stdout. Exit code 0: nothing acknowledged is missing; 1: "
        "something "
        "is; 2: wrong\n"
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
    case 'p': o->shows_progress = true; return -1;
    case 'n': o->keeps_quiet = true; return -1;
    case 'r':
        o->rate = strtod(optarg, &end);
        return *end == '\0' && o->rate > 0 && o->rate <= 1e6
                       ? -1
                       : wrong_use("--rate takes records a second, not ", optarg);
    case 'f':
        return parse_time(optarg, &o->for_ms) ? -1 : wrong_use("--for takes 30s, not ", optarg);
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
    if (o->id != NULL && (*o->id == '\0' || strlen(o->id) >= LOAD_ID_SIZE ||
                                 strpbrk(o->id, " \t\n\"\\") != NULL)) {
        return wrong_use("--id takes a short word, not ", o->id);
    }
    return -1;
}

/* --- The client ------------------------------------------------------------------------------- */

static int open_client(struct load *l)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_error error = {0};
    int r = weir_conf_set(conf, "bootstrap.servers", l->o.brokers, &error);

    r = r == 0 ? weir_conf_set(conf, "acks", l->o.acks, &error) : r;
    r = r == 0 ? weir_conf_set(conf, "client.id", "weir-load", &error) : r;
    for (size_t i = 0; r == 0 && i < l->o.n_confs; i++) {
        r = weir_conf_set_pair(conf, l->o.confs[i], &error);
    }
    r = r == 0 ? weir_client_new(conf, &l->client, &error) : r;
    weir_conf_free(conf);
    return r == 0 ? -1 : not_run("no client", error.text);
}

static int find_topic(struct load *l)
{
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};

    if (weir_metadata_get(l->client, &l->o.topic, 1, 30000, &m, &error) != 0) {
        return not_run("no cluster", error.text);
    }
    error = m->topics[0].error;
    size_t n = m->topics[0].n_partitions;
    weir_metadata_free(m);
    if (error.code != 0) {
        return not_run(l->o.topic, error.text);
    }
    l->n_partitions = n < PARTITIONS_MAX ? (int32_t)n : PARTITIONS_MAX;
    l->topic = weir_topic_get(l->client, l->o.topic, &error);
    return l->topic != NULL ? -1 : not_run(l->o.topic, error.text);
}

/* --- Consuming -------------------------------------------------------------------------------- */

static void on_batch(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch)
{
    struct load *l = ctx;
    int64_t wall_ms = now_us(CLOCK_REALTIME) / 1000;

    (void)consumer;
    if (weir_batch_error(batch)->code != 0) {
        load_errors_add(&l->errors, weir_batch_error(batch)->name);
        fprintf(stderr, "weir_load: consuming: %s\n", weir_batch_error(batch)->text);
    }
    for (size_t i = 0; i < weir_batch_n(batch); i++) {
        const struct weir_message *m = &weir_batch_messages(batch)[i];
        char id[LOAD_ID_SIZE];
        uint64_t counter = 0;
        if (load_value_parse(m->value.at, m->value.size, id, &counter) && strcmp(id, l->id) == 0) {
            l->n_consumed++;
            load_latency_add(&l->delay,
                    wall_ms > m->timestamp ? (uint64_t)(wall_ms - m->timestamp) * 1000 : 0);
        }
    }
    weir_batch_free(batch);
}

/* Begins at the ends of now, which are asked for first, so that nothing that this run produces is
 * passed over. */
static int open_consumer(struct load *l)
{
    struct weir_error error = {0};
    struct weir_offset_query *ends = calloc((size_t)l->n_partitions, sizeof(*ends));
    int r = ends != NULL ? 0 : WEIR_E_MEMORY;

    for (int32_t p = 0; r == 0 && p < l->n_partitions; p++) {
        ends[p] = (struct weir_offset_query){
                .topic = l->o.topic, .partition = p, .at = WEIR_OFFSET_END};
    }
    r = r == 0 ? weir_offsets_get(l->client, ends, (size_t)l->n_partitions, 30000, &error) : r;
    r = r == 0 ? weir_consumer_new(l->client, &l->consumer, &error) : r;
    if (r == 0) {
        weir_consumer_set_callback(l->consumer, on_batch, l);
    }
    for (int32_t p = 0; r == 0 && p < l->n_partitions; p++) {
        r = weir_consumer_assign(l->consumer, l->o.topic, p, ends[p].offset, &error);
    }
    free(ends);
    return r == 0 ? -1 : not_run("no consumer", error.text);
}

/* --- Producing -------------------------------------------------------------------------------- */

static void on_report(void *ctx, const struct weir_report *report)
{
    struct load *l = ctx;
    struct sent *s = report->opaque;
    int64_t at = now();
    int32_t partition = (int32_t)(s->counter % (uint64_t)l->n_partitions);
    struct load_stream *stream = &l->streams[partition];

    if (report->outcome == WEIR_PERSISTED) {
        l->n_acked++;
        load_stream_acked(stream, partition, at, &l->gap);
        load_latency_add(&l->latency, (uint64_t)(at - s->at));
        load_history_add(&l->history, l->producer, s->counter, partition, report->offset);
        if (l->file != NULL) {
            load_history_write_line(l->file, l->id, s->counter, partition, report->offset);
        }
    } else {
        l->n_failed++;
        l->n_unknown += report->outcome == WEIR_UNKNOWN ? 1 : 0;
        load_stream_failed(stream, partition, at, &l->gap);
        load_errors_add(&l->errors, report->name);
        if (l->first_error[0] == '\0') {
            (void)snprintf(l->first_error, sizeof(l->first_error), "%s", report->text);
        }
    }
    free(s);
}

/* False: there is no room now. */
static bool send_one(struct load *l)
{
    char value[LOAD_VALUE_SIZE];
    struct weir_record record = WEIR_RECORD_INIT;
    struct weir_error error = {0};
    struct sent *s = malloc(sizeof(*s));

    if (s == NULL) {
        return false;
    }
    *s = (struct sent){.counter = l->n_sent, .at = now()};
    load_value_format(value, l->id, s->counter);
    record.partition = (int32_t)(s->counter % (uint64_t)l->n_partitions);
    record.value = (struct weir_bytes){.at = value, .size = strlen(value)};
    record.opaque = s;
    int r = weir_produce(l->client, l->topic, &record, &error);
    if (r == 0) {
        load_stream_sent(&l->streams[record.partition], s->at);
        l->n_sent++;
        return true;
    }
    free(s);
    if (r != WEIR_AGAIN) { /* refused at once: it counts as sent and failed */
        l->n_sent++;
        l->n_failed++;
        load_errors_add(&l->errors, error.name);
    }
    return r != WEIR_AGAIN;
}

static void look_at_gaps(struct load *l)
{
    int64_t at = now();

    for (int32_t p = 0; p < l->n_partitions; p++) {
        load_stream_look(&l->streams[p], p, at, &l->gap);
    }
}

static void show_progress(struct load *l)
{
    if (now() < l->next_line) {
        return;
    }
    l->next_line += 1000000;
    if (l->file != NULL) {
        (void)fflush(l->file);
    }
    look_at_gaps(l);
    if (l->o.shows_progress) {
        fprintf(stderr,
                "{\"seconds\": %" PRId64 ", \"acked\": %" PRIu64 ", \"failed\": %" PRIu64
                ", \"longest_gap_ms\": %" PRId64 ", \"consumed\": %" PRIu64 "}\n",
                (now() - l->start) / 1000000, l->n_acked, l->n_failed, l->gap.length / 1000,
                l->n_consumed);
    }
}

/* Record n is due at start + n / rate, whatever became of those before it: a stall is followed by
 * what it held up. */
static void produce_all(struct load *l)
{
    int64_t end = l->o.for_ms > 0 ? l->start + l->o.for_ms * 1000 : INT64_MAX;

    for (int64_t at = now(); n_signals == 0 && at < end; at = now()) {
        int64_t due = l->start + (int64_t)((double)l->n_sent * 1e6 / l->o.rate);
        while (due <= at && send_one(l)) {
            due = l->start + (int64_t)((double)l->n_sent * 1e6 / l->o.rate);
        }
        int64_t wait = due - now();
        (void)weir_poll(l->client, wait <= 0 ? 1 : wait > 100000 ? 100 : (int)(wait / 1000 + 1));
        show_progress(l);
    }
}

/* Waits for the reports that are left, then until the consumer has had them; a second signal ends
 * either wait. */
static void finish(struct load *l)
{
    while (n_signals < 2 && weir_flush(l->client, 200) == WEIR_E_TIMED_OUT) {
        show_progress(l);
    }
    int64_t silence = strcmp(l->o.acks, "0") == 0 ? 2 * 1000000 : 10 * 1000000;
    int64_t patience = now() + silence;
    for (uint64_t seen = l->n_consumed; l->consumer != NULL && n_signals < 2 &&
                                        l->n_consumed < l->n_acked && now() < patience;) {
        (void)weir_poll(l->client, 100);
        /* With acks 0 some may never come: then silence is the end. */
        patience = l->n_consumed == seen ? patience : now() + silence;
        seen = l->n_consumed;
        show_progress(l);
    }
    look_at_gaps(l);
    weir_consumer_free(l->consumer);
    l->consumer = NULL;
}

/* --- The result ------------------------------------------------------------------------------- */

static void print_latency(const char *name, const struct load_latency *l)
{
    printf(", \"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name,
            (double)load_latency_quantile(l, 500) / 1000,
            (double)load_latency_quantile(l, 990) / 1000, (double)l->max / 1000);
}

static void print_run(const struct load *l)
{
    char began[40] = "";
    struct tm tm;
    int64_t gap_wall_ms = l->start_wall_ms + (l->gap.began - l->start) / 1000;
    time_t gap_time = (time_t)(gap_wall_ms / 1000);

    if (gmtime_r(&gap_time, &tm) != NULL && l->gap.partition >= 0) {
        size_t n = strftime(began, sizeof(began), "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(began + n, sizeof(began) - n, ".%03dZ", (int)(gap_wall_ms % 1000));
    }
    printf("{\"topic\": \"%s\", \"producer\": \"%s\", \"acks\": \"%s\", \"seconds\": %.1f",
            l->o.topic, l->id, l->o.acks, (double)(now() - l->start) / 1e6);
    printf(", \"sent\": %" PRIu64 ", \"acked\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"perhaps_written\": %" PRIu64 ", \"errors\": {",
            l->n_sent, l->n_acked, l->n_failed, l->n_unknown);
    for (size_t i = 0; i < l->errors.n; i++) {
        printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", l->errors.at[i].name, l->errors.at[i].n);
    }
    printf("}, \"longest_gap_ms\": %" PRId64 ", \"longest_gap_began\": \"%s\""
           ", \"longest_gap_partition\": %" PRId32,
            l->gap.length / 1000, began, l->gap.partition);
    print_latency("latency_ms", &l->latency);
    if (l->o.consumes) {
        printf(", \"consumed\": %" PRIu64, l->n_consumed);
        print_latency("consume_delay_ms", &l->delay);
    }
}

static void print_verdict(const struct load_history *h, const struct load_verdict *v)
{
    printf("\"verified\": %zu, \"read\": %" PRIu64 ", \"missing\": %" PRIu64
           ", \"doubled\": %" PRIu64 ", \"displaced\": %" PRIu64,
            h->n, v->n_read, v->n_missing, v->n_doubled, v->n_displaced);
    if (v->n_missing > 0) {
        printf(", \"first_missing\": \"%s\"", v->first_missing);
    }
}

/* Reads back and prints the end of the object. With acks=0 nothing was promised: what is missing is
 * told, no error. */
static int judge(struct load *l)
{
    struct load_verdict v;
    char why[512];

    if (!load_history_verify(&l->history, l->client, l->o.topic, 30000, &v, why, sizeof(why))) {
        printf("%s\"verified\": null}\n", l->o.is_verify ? "{" : ", ");
        return not_run("not verified", why);
    }
    printf("%s", l->o.is_verify ? "{" : ", ");
    print_verdict(&l->history, &v);
    printf("}\n");
    bool is_promised = l->o.is_verify || strcmp(l->o.acks, "0") != 0;
    return is_promised && (v.n_missing > 0 || v.n_displaced > 0) ? EXIT_MISSING : EXIT_KEPT;
}

/* --- Modes ------------------------------------------------------------------------------------ */

static int verify(struct load *l)
{
    for (size_t i = 0; i < l->o.n_histories; i++) {
        size_t line = 0;
        if (!load_history_read(&l->history, l->o.histories[i], &line)) {
            char why[64];
            (void)snprintf(
                    why, sizeof(why), "line %zu is not a value, a partition and an offset", line);
            return not_run(l->o.histories[i], line > 0 ? why : strerror(errno));
        }
    }
    int r = open_client(l);
    return r < 0 ? judge(l) : r;
}

static int open_run(struct load *l)
{
    uint32_t random = 0;

    if (l->o.id == NULL && getrandom(&random, sizeof(random), 0) < 0) {
        return not_run("no random numbers", strerror(errno));
    }
    (void)snprintf(l->id, sizeof(l->id), "%08" PRIx32, random);
    if (l->o.id != NULL) {
        (void)snprintf(l->id, sizeof(l->id), "%s", l->o.id);
    }
    l->producer = load_history_producer(&l->history, l->id);
    if (l->o.n_histories > 0 && (l->file = fopen(l->o.histories[0], "ae")) == NULL) {
        return not_run(l->o.histories[0], strerror(errno));
    }
    int r = open_client(l);
    r = r < 0 ? find_topic(l) : r;
    r = r < 0 && l->o.consumes ? open_consumer(l) : r;
    return r;
}

static int run(struct load *l)
{
    int r = open_run(l);

    if (r >= 0) {
        return r;
    }
    l->gap.partition = -1;
    l->start = now();
    l->start_wall_ms = now_us(CLOCK_REALTIME) / 1000;
    l->next_line = l->start + 1000000;
    weir_set_delivery(l->client, on_report, l);
    produce_all(l);
    finish(l);
    (void)weir_client_close(l->client, 0); /* reports what is left as failed */
    l->client = NULL;
    print_run(l);
    if (l->first_error[0] != '\0') {
        fprintf(stderr, "weir_load: the first failure: %s\n", l->first_error);
    }
    if (l->file != NULL && fflush(l->file) != 0) {
        printf("}\n");
        return not_run(l->o.histories[0], strerror(errno));
    }
    if (l->o.keeps_quiet) {
        printf("}\n");
        return EXIT_KEPT;
    }
    r = open_client(l);
    return r < 0 ? judge(l) : r;
}

int main(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_signal};
    const char *brokers = getenv("WEIR_BROKERS");
    struct load *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return not_run("no memory", strerror(ENOMEM));
    }
    l->o = (struct options){.brokers = brokers != NULL ? brokers : "127.0.0.1:9190",
            .acks = "all",
            .rate = 100,
            .shows_progress = isatty(STDERR_FILENO) == 1};
    int r = parse_options(&l->o, argc, argv);
    if (r < 0) {
        (void)sigaction(SIGINT, &stop, NULL);
        (void)sigaction(SIGTERM, &stop, NULL);
        r = l->o.is_verify ? verify(l) : run(l);
    }
    weir_consumer_free(l->consumer);
    (void)weir_client_close(l->client, 0);
    if (l->file != NULL && fclose(l->file) != 0) {
        r = not_run(l->o.histories[0], strerror(errno));
    }
    load_history_deinit(&l->history);
    free(l);
    return r;
}
