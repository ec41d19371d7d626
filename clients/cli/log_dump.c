/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/log_dump.h"

#include "common/base/array.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `weir log dump FILE`: what stands in a segment or an index, offline. */

enum {
    TIME_ENTRY_SIZE = 8 + 4
};

struct dump {
    const struct cli *cli;
    const char *path;
    bool with_records;
    int64_t from, max; /* offset of the first batch; how many */
    int64_t n;         /* shown so far */
    uint64_t n_wrong;  /* batches whose checksum or records are wrong */
    struct buf scratch;
};

/* --- As JSON ---------------------------------------------------------------------------------- */

/* An item of the document's list, or a line of its own. Takes `item`. */
static void put_item(struct dump *d, json_t *item)
{
    char *text = json_dumps(item, JSON_COMPACT);

    must(text != NULL);
    if (d->cli->format == FORMAT_JSON) {
        printf("%s%s", d->n > 0 ? ",\n" : "", text);
    } else {
        printf("%s\n", text);
    }
    free(text);
    json_decref(item);
    d->n++;
}

static bool is_json(const struct dump *d)
{
    return d->cli->format == FORMAT_JSON || d->cli->format == FORMAT_JSONL;
}

static void add_record(void *ctx, const struct batch *b, const struct record *r)
{
    json_array_append_new(ctx, dump_record_json(b, r));
}

static json_t *batch_json(struct dump *d, const struct inspected_batch *b)
{
    const struct batch *k = &b->batch;
    json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:s?, s:i, s:s, s:I, s:I, s:b, s:b, s:I, s:b}",
            "base_offset", (json_int_t)b->head.base, "last_offset", (json_int_t)b->head.last, "position",
            (json_int_t)b->head.at, "size", (json_int_t)b->head.size, "leader_epoch", k->leader_epoch,
            "n_records", k->n_records, "codec", codec_name(k->attributes & BATCH_CODEC_MASK),
            "attributes", (int)k->attributes, "timestamp_type",
            (k->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime" : "CreateTime",
            "base_timestamp", (json_int_t)k->base_timestamp, "max_timestamp",
            (json_int_t)k->max_timestamp, "transactional", (k->attributes & BATCH_TRANSACTIONAL) != 0,
            "control", (k->attributes & BATCH_CONTROL) != 0, "crc", (json_int_t)k->crc, "crc_is_right",
            (int)b->crc_is_right);

    must(o != NULL);
    if (k->producer_id >= 0) {
        json_object_set_new(o, "producer_id", json_integer(k->producer_id));
        json_object_set_new(o, "producer_epoch", json_integer(k->producer_epoch));
        json_object_set_new(o, "base_sequence", json_integer(k->base_sequence));
    }
    if (d->with_records && b->crc_is_right) {
        json_t *records = json_array();
        const char *wrong = dump_records(k, &d->scratch, add_record, records);
        json_object_set_new(o, "records", records);
        if (wrong != NULL) {
            json_object_set_new(o, "error", json_string(wrong));
            d->n_wrong++;
        }
    }
    return o;
}

/* --- For people ------------------------------------------------------------------------------- */

static void print_record(void *ctx, const struct batch *b, const struct record *r)
{
    dump_record_print(b, r);
}

static const char *producer_text(const struct batch *b, char *text, size_t size)
{
    if (b->producer_id < 0) {
        return "-";
    }
    (void)snprintf(text, size, "%" PRId64 "/%d seq %" PRId32, b->producer_id, b->producer_epoch,
            b->base_sequence);
    return text;
}

/* Columns of fixed width: a file has more batches than a table can wait for. */
static void print_batch(struct dump *d, const struct inspected_batch *b)
{
    const struct batch *k = &b->batch;
    const char *codec = codec_name(k->attributes & BATCH_CODEC_MASK);
    char offsets[48], time[48], producer[64];

    if (d->n++ == 0) {
        printf("%-25s %12s %9s %6s %8s %-7s %-25s %-24s %s\n", "OFFSETS", "POSITION", "SIZE", "EPOCH",
                "RECORDS", "CODEC", "MAX TIMESTAMP", "PRODUCER", "CRC");
    }
    (void)snprintf(offsets, sizeof(offsets), "%" PRId64 "..%" PRId64, b->head.base, b->head.last);
    printf("%-25s %12" PRId64 " %9" PRId64 " %6" PRId32 " %8" PRId32 " %-7s %-25s %-24s %s%s%s\n",
            offsets, b->head.at, b->head.size, k->leader_epoch, k->n_records,
            codec != NULL ? codec : "?", dump_time_text(k->max_timestamp, time, sizeof(time)),
            producer_text(k, producer, sizeof(producer)), b->crc_is_right ? "ok" : "WRONG",
            (k->attributes & BATCH_TRANSACTIONAL) != 0 ? " transactional" : "",
            (k->attributes & BATCH_CONTROL) != 0 ? " control" : "");
    if (d->with_records && b->crc_is_right) {
        const char *wrong = dump_records(k, &d->scratch, print_record, NULL);
        if (wrong != NULL) {
            printf("    WRONG: %s\n", wrong);
            d->n_wrong++;
        }
    }
}

/* --- Kinds of files --------------------------------------------------------------------------- */

static bool on_batch(void *ctx, const struct inspected_batch *b)
{
    struct dump *d = ctx;

    if (b->head.last < d->from) {
        return true;
    }
    d->n_wrong += b->crc_is_right ? 0 : 1;
    if (is_json(d)) {
        put_item(d, batch_json(d, b));
    } else {
        print_batch(d, b);
    }
    return d->n < d->max && !cli_interrupted() && ferror(stdout) == 0;
}

static int fail_to_read(const struct dump *d, int r)
{
    return cli_fail(r == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, "", "%s cannot be read: %s", d->path,
            strerror(-r));
}

static int dump_segment(struct dump *d)
{
    struct inspected_file f = {0};
    int r;

    if (d->cli->format == FORMAT_JSON) {
        printf("{\"batches\":[\n");
    }
    r = inspect_batches(&file_io_posix, d->path, on_batch, d, &f);
    buf_deinit(&d->scratch);
    if (r < 0) {
        return fail_to_read(d, r);
    }
    bool is_cut_short = d->n >= d->max || cli_interrupted();
    if (d->cli->format == FORMAT_JSON) {
        printf("],\"size\":%" PRId64 ",\"good_end\":%" PRId64 "}\n", f.size, f.good_end);
    }
    if (r == INSPECT_E_TOO_LARGE) {
        return cli_fail(EXIT_FAILED, "", "%s: the batch at position %" PRId64 " does not fit in memory",
                d->path, f.good_end);
    }
    if (!is_cut_short && f.good_end < f.size) {
        return cli_fail(EXIT_FAILED,
                "A broker's next start decides what becomes of it; `weir log verify` says what that is.",
                "%s: no batch can be read from position %" PRId64 " on (%" PRId64 " bytes)", d->path,
                f.good_end, f.size - f.good_end);
    }
    if (d->n_wrong > 0) {
        return cli_fail(EXIT_FAILED, "", "%s: %" PRIu64 " batches are damaged", d->path, d->n_wrong);
    }
    return EXIT_DONE;
}

static void put_index_entry(struct dump *d, offset64 base, const uint8_t *p)
{
    offset64 offset = base + load_be32(p);
    int64_t at = load_be32(p + 4);

    if (offset < d->from) {
        return;
    }
    if (is_json(d)) {
        put_item(d, json_pack("{s:I, s:I}", "offset", (json_int_t)offset, "position", (json_int_t)at));
    } else {
        if (d->n++ == 0) {
            printf("%-20s %12s\n", "OFFSET", "POSITION");
        }
        printf("%-20" PRId64 " %12" PRId64 "\n", offset, at);
    }
}

static void put_time_entry(struct dump *d, offset64 base, const uint8_t *p)
{
    wall_ms t = (wall_ms)load_be64(p);
    offset64 offset = base + load_be32(p + 8);
    char time[48];

    if (offset < d->from) {
        return;
    }
    if (is_json(d)) {
        put_item(d,
                json_pack("{s:I, s:I}", "timestamp", (json_int_t)t, "offset", (json_int_t)offset));
    } else {
        if (d->n++ == 0) {
            printf("%-25s %-20s\n", "TIMESTAMP", "OFFSET");
        }
        printf("%-25s %-20" PRId64 "\n", dump_time_text(t, time, sizeof(time)), offset);
    }
}

static int dump_entries(struct dump *d, bool is_time)
{
    size_t entry_size = is_time ? TIME_ENTRY_SIZE : INDEX_ENTRY_SIZE;
    uint8_t *entries = NULL;
    size_t n = 0, rest = 0;
    offset64 base = 0;

    if (!inspect_base_of(d->path, &base)) {
        return cli_fail(EXIT_USAGE, "Its entries count from the base offset in its name.",
                "%s: an index has a name of 20 digits", d->path);
    }
    int r = inspect_entries(&file_io_posix, d->path, entry_size, &entries, &n, &rest);
    if (r < 0) {
        return fail_to_read(d, r);
    }
    if (d->cli->format == FORMAT_JSON) {
        printf("{\"entries\":[\n");
    }
    for (size_t i = 0; i < n && d->n < d->max; i++) {
        const uint8_t *p = entries + i * entry_size;
        if (is_time) {
            put_time_entry(d, base, p);
        } else {
            put_index_entry(d, base, p);
        }
    }
    if (d->cli->format == FORMAT_JSON) {
        printf("]}\n");
    }
    mem_free(entries);
    if (rest > 0) {
        return cli_fail(EXIT_FAILED, "", "%s: %zu bytes of half an entry stand at its end", d->path, rest);
    }
    return EXIT_DONE;
}

/* --- The command ------------------------------------------------------------------------------ */

static int log_dump(struct cli *cli, int argc, char **argv)
{
    struct dump d = {.cli = cli, .max = INT64_MAX};
    const struct cli_opt opts[] = {
            {'r', "records", OPT_FLAG, &d.with_records, NULL, "also the records inside each batch", 0, 0},
            {'o', "offset", OPT_I64, &d.from, "OFFSET", "from the batch that holds this offset on", 0,
                    INT64_MAX},
            {'n', "count", OPT_I64, &d.max, "N", "stop after so many batches or entries", 1, INT64_MAX},
    };
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &d.path, 1, 1);

    if (r >= 0) {
        return r;
    }
    if (cli->format == FORMAT_NAME || cli->format == FORMAT_WIDE) {
        return cli_fail(EXIT_USAGE, "", "`weir log dump` prints a table, -O json or -O jsonl");
    }
    cli_catch_interrupt();
    switch (inspect_kind_of(d.path)) {
    case INSPECT_LOG: r = dump_segment(&d); break;
    case INSPECT_INDEX: r = dump_entries(&d, false); break;
    case INSPECT_TIME_INDEX: r = dump_entries(&d, true); break;
    case INSPECT_OTHER:
        return cli_fail(EXIT_USAGE, "`weir log verify DIR` checks a whole folder.",
                "%s is no .log, .index or .timeindex file", d.path);
    }
    if (fflush(stdout) != 0) {
        return cli_fail(EXIT_FAILED, "", "standard output cannot be written: %s", strerror(errno));
    }
    return r;
}

const struct cli_command cli_log_dump = {
        .noun = "log",
        .verb = "dump",
        .summary = "what stands in a segment or index file, offline",
        .usage = "FILE [-r] [-o OFFSET] [-n N]",
        .details = "FILE is a .log, .index or .timeindex from a partition's folder, Weir's or Kafka's; it is only "
                   "read.\nOf a .log each batch is a line: offsets, position, size, leader epoch, codec, producer, "
                   "checksum.\n-r adds the records, those of control batches as commit or abort. Exit code 1: some of "
                   "it is damaged.\n",
        .examples = "  weir log dump /var/lib/weir/orders-0/00000000000000000000.log\n"
                    "  weir log dump -r -o 1842 -n 1 orders-0/00000000000000000000.log\n"
                    "  weir log dump -O jsonl -r 00000000000000000000.log | jq -r '.records[].key'\n",
        .run = log_dump,
};
