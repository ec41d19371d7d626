/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/client.h"

#include "common/base/array.h"
#include "common/net/loop.h"

#include <weir/producer.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One record a line. Exactly one newline is taken off; an unterminated last line is a record; an empty line is an empty
 * value. */

enum {
    READ_SIZE = 256 * 1024
};

struct produce {
    struct cli *cli;
    const char *topic_name, *file, *key, *key_delimiter, *codec, *acks;
    struct cli_strings header_pairs, properties;
    bool no_idempotence;
    int64_t partition;

    struct weir_client *client;
    struct weir_topic *topic;
    struct weir_header *headers;
    int fd;
    uint64_t total;     /* bytes of the file; 0 = not known */
    struct buf pending; /* bytes read and not yet cut into lines */
    size_t cut;         /* how far `pending` has been cut */
    uint64_t n_lines, n_bytes, n_persisted, n_refused, n_unknown;
    struct weir_error first_failure;
    wtime start, next_progress;
    int stop; /* exit code of a failure that was said; -1 = go on */
};

static void on_report(void *ctx, const struct weir_report *report)
{
    struct produce *p = ctx;

    switch (report->outcome) {
    case WEIR_PERSISTED: p->n_persisted++; return;
    case WEIR_NOT_PERSISTED: p->n_refused++; break;
    case WEIR_UNKNOWN: p->n_unknown++; break;
    }
    if (p->first_failure.code == 0) {
        p->first_failure.code = report->code;
        p->first_failure.name = report->name;
        (void)snprintf(p->first_failure.text, sizeof(p->first_failure.text), "%s", report->text);
    }
}

static void show_progress(struct produce *p)
{
    char done[32];
    char rate[32];
    wtime now = clock_now();

    if (!cli_stderr_is_tty() || p->file == NULL || now < p->next_progress) {
        return;
    }
    p->next_progress = now + WTIME_MS(200);
    uint64_t ms = (uint64_t)(now - p->start) / 1000 + 1;
    fprintf(stderr, "\r\033[K%s%s%3u %%  %s/s", cli_size_text(p->n_bytes, done, sizeof(done)),
            p->total > 0 ? "  " : "", p->total > 0 ? (unsigned)(p->n_bytes * 100 / p->total) : 0,
            cli_size_text(p->n_bytes * 1000 / ms, rate, sizeof(rate)));
}

static void send_line(struct produce *p, const uint8_t *line, size_t size)
{
    struct weir_record record = WEIR_RECORD_INIT;
    struct weir_error error = {0};

    record.partition = p->partition >= 0 ? (int32_t)p->partition : WEIR_PARTITION_ANY;
    record.value = (struct weir_bytes){.at = line, .size = size};
    record.headers = p->headers;
    record.n_headers = p->header_pairs.n;
    if (p->key != NULL) {
        record.key = (struct weir_bytes){.at = p->key, .size = strlen(p->key)};
    } else if (p->key_delimiter != NULL) {
        size_t delimiter = strlen(p->key_delimiter);
        const uint8_t *at = memmem(line, size, p->key_delimiter, delimiter);
        if (at != NULL) {
            size_t key = (size_t)(at - line);
            record.key = (struct weir_bytes){.at = line, .size = key};
            record.value =
                    (struct weir_bytes){.at = at + delimiter, .size = size - key - delimiter};
        }
    }
    p->n_lines++;
    int r;
    while ((r = weir_produce(p->client, p->topic, &record, &error)) == WEIR_AGAIN &&
            !cli_interrupted()) {
        show_progress(p);
        (void)weir_wait_room(p->client, size, 200);
    }
    if (r == WEIR_AGAIN) {
        p->n_refused++;
    } else if (r != 0) {
        p->n_refused++;
        cli_note("line %" PRIu64 ": %s", p->n_lines, error.text);
        if (p->first_failure.code == 0) {
            p->first_failure = error;
        }
    }
}

/* Cuts what was read into lines; at the end the rest is a line too. */
static void cut_lines(struct produce *p, bool at_end)
{
    while (!cli_interrupted()) {
        uint8_t *from = p->pending.data + p->cut;
        size_t left = p->pending.size - p->cut;
        const uint8_t *newline = left > 0 ? memchr(from, '\n', left) : NULL;
        if (newline == NULL) {
            break;
        }
        size_t size = (size_t)(newline - from);
        send_line(p, from, size);
        p->cut += size + 1;
    }
    if (at_end && p->cut < p->pending.size && !cli_interrupted()) {
        send_line(p, p->pending.data + p->cut, p->pending.size - p->cut);
        p->cut = p->pending.size;
    }
    memmove(p->pending.data, p->pending.data + p->cut, p->pending.size - p->cut);
    p->pending.size -= p->cut;
    p->cut = 0;
}

/* Waits until the input has bytes, running reports meanwhile. */
static void wait_input(struct produce *p)
{
    struct pollfd fds[] = {
            {.fd = p->fd, .events = POLLIN}, {.fd = weir_fd(p->client), .events = POLLIN}};

    while (!cli_interrupted()) {
        (void)poll(fds, COUNT_OF(fds), 1000);
        (void)weir_poll(p->client, 0);
        if (fds[0].revents != 0) {
            return;
        }
    }
}

static void send_all(struct produce *p)
{
    while (!cli_interrupted()) {
        wait_input(p);
        buf_reserve(&p->pending, READ_SIZE);
        ssize_t n = read(p->fd, p->pending.data + p->pending.size, READ_SIZE);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            p->stop = cli_fail(EXIT_FAILED, "", "cannot read %s: %s",
                    p->file != NULL ? p->file : "stdin", strerror(errno));
            return;
        }
        p->pending.size += (size_t)n;
        p->n_bytes += (size_t)n;
        cut_lines(p, n == 0);
        show_progress(p);
        if (n == 0) {
            return;
        }
    }
}

static int conclude(struct produce *p)
{
    char size[32];
    char took[32];
    uint64_t n_failed = p->n_refused + p->n_unknown;

    if (cli_stderr_is_tty() && p->file != NULL) {
        fprintf(stderr, "\r\033[K");
    }
    if (n_failed > 0) {
        const struct weir_error *e = &p->first_failure;
        cli_note("%" PRIu64 " of %" PRIu64 " records were not acknowledged: %" PRIu64
                 " certainly not written, %" PRIu64 " perhaps written",
                n_failed, p->n_lines, p->n_refused, p->n_unknown);
        int code = e->code != 0 ? cli_weir_fail(e) : EXIT_INTERRUPTED;
        return cli_interrupted() ? EXIT_INTERRUPTED : p->n_persisted > 0 ? EXIT_PARTLY : code;
    }
    if (p->cli->verbose || cli_stderr_is_tty()) {
        cli_note("%" PRIu64 " records, %s to %s in %s", p->n_persisted,
                cli_size_text(p->n_bytes, size, sizeof(size)), p->topic_name,
                cli_duration_text((clock_now() - p->start) / 1000, took, sizeof(took)));
    }
    return cli_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

static int open_input(struct produce *p)
{
    struct stat st;

    if (p->file == NULL || strcmp(p->file, "-") == 0) {
        p->fd = STDIN_FILENO;
        p->file = NULL;
        return -1;
    }
    p->fd = open(p->file, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0) {
        return cli_fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED,
                "Without -F records are read from stdin, one a line.", "cannot open %s: %s",
                p->file, strerror(errno));
    }
    if (fstat(p->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        p->total = (uint64_t)st.st_size;
    }
    return -1;
}

static int make_headers(struct produce *p)
{
    p->headers = mem_new_n(struct weir_header, p->header_pairs.n + 1);
    for (size_t i = 0; i < p->header_pairs.n; i++) {
        const char *pair = p->header_pairs.items[i];
        const char *equals = strchr(pair, '=');
        if (equals == NULL) {
            return cli_fail(EXIT_USAGE, "For example: -H source=cron",
                    "-H takes name=value, not `%s`", pair);
        }
        p->headers[i].name = mem_strndup(pair, (size_t)(equals - pair));
        p->headers[i].value = (struct weir_bytes){.at = equals + 1, .size = strlen(equals + 1)};
    }
    return -1;
}

static void free_headers(struct produce *p)
{
    for (size_t i = 0; p->headers != NULL && i < p->header_pairs.n; i++) {
        union {
            const char *in;
            char *out;
        } name = {.in = p->headers[i].name};

        mem_free(name.out);
    }
    p->headers = mem_free(p->headers);
}

static int run_with_client(struct produce *p)
{
    struct weir_error error = {0};
    struct weir_metadata *m = cli_topic(p->cli, p->client, p->topic_name, &p->stop);

    if (m == NULL) {
        return p->stop;
    }
    size_t n_partitions = m->topics[0].n_partitions;
    weir_metadata_free(m);
    if (p->partition >= (int64_t)n_partitions) {
        return cli_fail(EXIT_NOT_FOUND, "Partitions are numbered from 0.",
                "topic `%s` has %zu partitions", p->topic_name, n_partitions);
    }
    p->topic = weir_topic_get(p->client, p->topic_name, &error);
    if (p->topic == NULL) {
        return cli_weir_fail(&error);
    }
    weir_set_delivery(p->client, on_report, p);
    send_all(p);
    /* Every record ends with a report: delivered, or failed when its delivery.timeout.ms is over. */
    while (!cli_interrupted() && weir_flush(p->client, 500) == WEIR_E_TIMED_OUT) {
        show_progress(p);
    }
    (void)weir_client_close(mem_steal(&p->client), 1000);
    int r = conclude(p);
    return p->stop >= 0 ? p->stop : r;
}

static int run_produce(struct produce *p)
{
    char *acks = mem_format("acks=%s", p->acks);
    char *codec = mem_format("compression.type=%s", p->codec);
    char *timeout = mem_format("delivery.timeout.ms=%" PRId64, p->cli->timeout_ms);
    const char **pairs = mem_new_n(const char *, p->properties.n + 5);
    size_t n = 0;
    int r = open_input(p);

    pairs[n++] = acks;
    pairs[n++] = codec;
    pairs[n++] = timeout;
    if (p->no_idempotence) {
        pairs[n++] = "enable.idempotence=false";
    }
    for (size_t i = 0; i < p->properties.n; i++) {
        pairs[n++] = p->properties.items[i];
    }
    r = r < 0 ? make_headers(p) : r;
    if (r < 0) {
        p->start = clock_now();
        cli_catch_interrupt();
        p->client = cli_client(p->cli, pairs, &r);
        r = p->client != NULL ? run_with_client(p) : r;
        (void)weir_client_close(p->client, 0);
    }
    if (p->fd > STDIN_FILENO) {
        (void)close(p->fd);
    }
    free_headers(p);
    buf_deinit(&p->pending);
    mem_free(pairs);
    mem_free(acks);
    mem_free(codec);
    mem_free(timeout);
    return r;
}

static int produce(struct cli *cli, int argc, char **argv)
{
    struct produce p = {
            .cli = cli, .partition = -1, .codec = "none", .acks = "all", .stop = -1, .fd = -1};
    const struct cli_opt opts[] = {
            {'F', "file", OPT_STR, &p.file, "FILE", "read from FILE instead of stdin", 0, 0},
            {'k', "key", OPT_STR, &p.key, "KEY", "the key of every record", 0, 0},
            {'K', "key-delimiter", OPT_STR, &p.key_delimiter, "TEXT",
                    "what stands between key and value in a line", 0, 0},
            {'H', "header", OPT_MANY, &p.header_pairs, "NAME=VALUE", "a header of every record", 0,
                    0},
            {'z', "compression", OPT_STR, &p.codec, "CODEC", "none, gzip, snappy, lz4 or zstd", 0,
                    0},
            {0, "acks", OPT_STR, &p.acks, "N", "all (default), 1 or 0", 0, 0},
            {0, "no-idempotence", OPT_FLAG, &p.no_idempotence, NULL,
                    "let a retry whose answer was lost write twice", 0, 0},
            {'X', "property", OPT_MANY, &p.properties, "KEY=VALUE",
                    "a property of libweir, such as linger.ms=5", 0, 0},
            {'p', "partition", OPT_I64, &p.partition, "N",
                    "the partition instead of the partitioner's", 0, INT32_MAX},
    };
    cli->timeout_ms = 120000;
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &p.topic_name, 1, 1);

    r = r < 0 ? run_produce(&p) : r;
    cli_strings_deinit(&p.header_pairs);
    cli_strings_deinit(&p.properties);
    return r;
}

const struct cli_command cli_produce = {
        .noun = "produce",
        .summary = "write records, one a line, from stdin or a file",
        .usage = "T [-F FILE] [-k KEY | -K TEXT] [-H NAME=VALUE]… [-z CODEC] [--acks N] [-p N] "
                 "[-X KEY=VALUE]…",
        .details =
                "Exactly one newline is taken off each line; an unterminated last line is a "
                "record, an empty line an\n"
                "empty value. A retry writes nothing twice (enable.idempotence, which needs --acks "
                "all) unless\n"
                "--no-idempotence is given. Exit code 7 when some records were acknowledged and "
                "some were not.\n",
        .examples = "  echo hello | weir produce orders\n"
                    "  weir produce orders -F /var/log/dpkg.log -z zstd\n"
                    "  echo 'user-7:login' | weir produce events -K: -H source=shell\n",
        .run = produce,
};
