/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/client.h"
#include "clients/cli/print.h"

#include "common/base/array.h"

#include <weir/consumer.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where to start, as -o says it. */
enum start_kind {
    START_BEGIN,
    START_END,
    START_AFTER_BEGIN,
    START_BEFORE_END,
    START_OFFSET,
    START_TIME
};

struct partition_run {
    int32_t number;
    int64_t end;  /* stop before it; -1 = never */
    int64_t next; /* the offset behind what was printed */
    bool done;
};

struct consume {
    struct cli *cli;
    const char *topic, *from, *format;
    int64_t partition, count;
    bool exit_at_end;

    enum start_kind start_kind;
    int64_t start;
    struct weir_client *client;
    struct weir_consumer *consumer;
    struct partition_run *partitions;
    size_t n_partitions, n_done;
    int64_t n_printed;
    bool said_idle;
};

static bool parse_number(const char *text, int64_t *ret)
{
    char *end = NULL;

    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_start(struct consume *c)
{
    const char *from = c->from;

    if (strcmp(from, "start") == 0 || strcmp(from, "end") == 0) {
        c->start_kind = from[0] == 's' ? START_BEGIN : START_END;
        return true;
    }
    if (from[0] == '@') {
        c->start_kind = START_TIME;
        return cli_parse_time(from + 1, &c->start);
    }
    c->start_kind = from[0] == '+'   ? START_AFTER_BEGIN
                    : from[0] == '-' ? START_BEFORE_END
                                     : START_OFFSET;
    return parse_number(from + (c->start_kind != START_OFFSET), &c->start);
}

/* The beginning (or, with a time, the first offset at it) and the end of every partition. Returns -1 or an exit code. */
static int query_offsets(struct consume *c, struct weir_offset_query **ret)
{
    size_t n = c->n_partitions;
    struct weir_offset_query *q = mem_new_n(struct weir_offset_query, n * 2);
    struct weir_error error = {0};

    for (size_t i = 0; i < n; i++) {
        q[i] = (struct weir_offset_query){.topic = c->topic,
                .partition = c->partitions[i].number,
                .at = c->start_kind == START_TIME ? c->start : WEIR_OFFSET_START};
        q[n + i] = (struct weir_offset_query){
                .topic = c->topic, .partition = c->partitions[i].number, .at = WEIR_OFFSET_END};
    }
    if (weir_offsets_get(c->client, q, n * 2, cli_weir_timeout(c->cli), &error) != 0) {
        mem_free(q);
        return cli_weir_fail(&error);
    }
    *ret = q;
    return -1;
}

static int64_t start_of(const struct consume *c, int64_t begin, int64_t end)
{
    switch (c->start_kind) {
    case START_BEGIN: return begin;
    case START_END: return end;
    case START_AFTER_BEGIN: return begin > INT64_MAX - c->start ? INT64_MAX : begin + c->start;
    case START_BEFORE_END: return end - c->start > begin ? end - c->start : begin;
    case START_OFFSET: return c->start;
    case START_TIME: return begin >= 0 ? begin : end; /* no record is that new */
    }
    return begin;
}

static int assign_all(struct consume *c)
{
    struct weir_offset_query *q = NULL;
    struct weir_error error = {0};
    size_t n = c->n_partitions;
    int r = query_offsets(c, &q);

    for (size_t i = 0; r < 0 && i < n; i++) {
        struct partition_run *p = &c->partitions[i];
        p->next = start_of(c, q[i].offset, q[n + i].offset);
        p->end = c->exit_at_end ? q[n + i].offset : -1;
        p->done = c->exit_at_end && p->next >= p->end;
        c->n_done += p->done ? 1 : 0;
        if (!p->done &&
                weir_consumer_assign(c->consumer, c->topic, p->number, p->next, &error) != 0) {
            r = cli_weir_fail(&error);
        }
    }
    mem_free(q);
    return r;
}

static struct partition_run *run_of(struct consume *c, int32_t partition)
{
    for (size_t i = 0; i < c->n_partitions; i++) {
        if (c->partitions[i].number == partition) {
            return &c->partitions[i];
        }
    }
    return NULL;
}

static void finish(struct consume *c, struct partition_run *p)
{
    if (!p->done) {
        p->done = true;
        c->n_done++;
        (void)weir_consumer_unassign(c->consumer, c->topic, p->number);
    }
}

/* What cannot be read ends the command: where it is, and how to go on behind it. */
static int batch_fail(
        const struct consume *c, const struct weir_batch *b, const struct weir_error *error)
{
    bool is_cut = error->code == WEIR_E_TRUNCATED;
    char *hint = weir_batch_end(b) >= 0
                         ? mem_format("%s: weir consume %s -p %d -o %" PRId64,
                                   is_cut ? "Read what stands there now" : "Go on behind it",
                                   c->topic, weir_batch_partition(b), weir_batch_end(b))
                         : mem_strdup("");
    int r = cli_fail(EXIT_FAILED, hint, "topic %s, partition %d, offset %" PRId64 ": %s", c->topic,
            weir_batch_partition(b), weir_batch_begin(b),
            error->text[0] != '\0' ? error->text : weir_code_text(error->code));
    mem_free(hint);
    return r;
}

/* Prints a batch. Returns -1 or an exit code. */
static int take_batch(struct consume *c, const struct weir_batch *b)
{
    struct partition_run *p = run_of(c, weir_batch_partition(b));
    const struct weir_error *error = weir_batch_error(b);

    if (error->code != 0) {
        return batch_fail(c, b, error);
    }
    for (size_t i = 0; i < weir_batch_n(b); i++) {
        const struct weir_message *m = &weir_batch_messages(b)[i];
        if (p->end >= 0 && m->offset >= p->end) {
            break;
        }
        if (!print_message(c->cli->format, c->format, b, i)) {
            return EXIT_DONE; /* stdout is closed */
        }
        c->n_printed++;
        if (c->count > 0 && c->n_printed == c->count) {
            return EXIT_DONE;
        }
    }
    p->next = weir_batch_end(b);
    if (p->end >= 0 && p->next >= p->end) {
        finish(c, p);
    }
    return -1;
}

static void say_idle(struct consume *c)
{
    if (!c->said_idle && weir_consumer_is_at_end(c->consumer)) {
        c->said_idle = true;
        cli_note("at the end of %s after %" PRId64 " records; waiting for more (Ctrl-C ends)",
                c->topic, c->n_printed);
    }
}

static int poll_loop(struct consume *c)
{
    int r = -1;

    while (r < 0 && !cli_interrupted() && c->n_done < c->n_partitions) {
        struct weir_batch *b = weir_consumer_poll(c->consumer, 0);
        if (b == NULL) {
            /* Nothing is ready: what was printed should be seen. */
            if (fflush(stdout) != 0) {
                return EXIT_DONE;
            }
            b = weir_consumer_poll(c->consumer, 200);
        }
        if (b == NULL) {
            say_idle(c);
            continue;
        }
        c->said_idle = false;
        r = take_batch(c, b);
        weir_batch_free(b);
    }
    (void)fflush(stdout);
    return r < 0 ? EXIT_DONE : r;
}

static int make_partitions(struct consume *c)
{
    int r = -1;
    struct weir_metadata *m = cli_topic(c->cli, c->client, c->topic, &r);

    if (m == NULL) {
        return r;
    }
    size_t n = m->topics[0].n_partitions;
    weir_metadata_free(m);
    if (c->partition >= (int64_t)n) {
        return cli_fail(EXIT_NOT_FOUND, "Partitions are numbered from 0.",
                "topic `%s` has %zu partitions", c->topic, n);
    }
    c->n_partitions = c->partition >= 0 ? 1 : n;
    c->partitions = mem_new_n(struct partition_run, c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        c->partitions[i].number = (int32_t)(c->partition >= 0 ? c->partition : (int64_t)i);
    }
    return -1;
}

static int run_consume(struct consume *c)
{
    const char *pairs[] = {"auto.offset.reset=none", NULL};
    struct weir_error error = {0};
    int r = -1;

    cli_catch_interrupt();
    (void)setvbuf(stdout, NULL, _IOFBF, 64 * 1024);
    c->client = cli_client(c->cli, pairs, &r);
    if (c->client == NULL) {
        return r;
    }
    r = make_partitions(c);
    if (r < 0 && weir_consumer_new(c->client, &c->consumer, &error) != 0) {
        r = cli_weir_fail(&error);
    }
    r = r < 0 ? assign_all(c) : r;
    r = r < 0 ? poll_loop(c) : r;
    weir_consumer_free(c->consumer);
    (void)weir_client_close(c->client, 0);
    mem_free(c->partitions);
    return r;
}

static int consume(struct cli *cli, int argc, char **argv)
{
    struct consume c = {.cli = cli, .from = "start", .partition = -1};
    const struct cli_opt opts[] = {
            {'o', "offset", OPT_STR, &c.from, "WHERE", "start (default), end, +N, -N, N or @TIME",
                    0, 0},
            {'p', "partition", OPT_I64, &c.partition, "N", "one partition instead of all", 0,
                    INT32_MAX},
            {'n', "count", OPT_I64, &c.count, "COUNT", "stop after so many records", 1, INT64_MAX},
            {'e', "exit-at-end", OPT_FLAG, &c.exit_at_end, NULL,
                    "stop at the end as it was at the start", 0, 0},
            {'f', "format", OPT_STR, &c.format, "FORMAT",
                    "%v value %k key %o offset %p partition %t topic %T time %h headers", 0, 0},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &c.topic, 1, 1);

    if (r >= 0) {
        return r;
    }
    if (!parse_start(&c)) {
        return cli_fail(EXIT_USAGE,
                "start, end, 42 (an offset), +10 (from the start), -10 (before the end), @-1h, "
                "@2026-11-20T10:00:00Z",
                "-o does not understand `%s`", c.from);
    }
    if (c.format != NULL && !print_format_is_legal(c.format)) {
        return cli_fail(EXIT_USAGE,
                "%v value, %k key, %o offset, %p partition, %t topic, %T time in ms, %h headers, "
                "%% a percent sign",
                "-f does not understand `%s`", c.format);
    }
    return run_consume(&c);
}

const struct cli_command cli_consume = {
        .noun = "consume",
        .summary = "print records: the value and a newline on stdout",
        .usage = "T [-o WHERE] [-p N] [-n COUNT] [--exit-at-end] [-f FORMAT] [-O jsonl]",
        .details = "Starts at the start. At the end it waits for more and says so on stderr. `-o` "
                   "takes start, end, an\n"
                   "offset, +N (from the start), -N (before the end) or @TIME (@-1h, "
                   "@2026-11-20T10:00:00Z, unix s or\n"
                   "ms), each for every partition. With -O jsonl a record is one JSON object; "
                   "values that are not\n"
                   "UTF-8 stand in value_base64.\n",
        .examples = "  weir consume orders\n"
                    "  weir consume orders -o -10 --exit-at-end\n"
                    "  weir consume orders -o @-1h -f '%p:%o %k=%v\\n'\n"
                    "  weir consume orders -n 1 -O jsonl | jq .\n",
        .run = consume,
};
