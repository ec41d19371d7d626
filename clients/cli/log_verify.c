/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/verify.h"

#include "clients/cli/cli.h"
#include "common/base/array.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `weir log verify DIR`: what is wrong in a log directory and where, offline. */

struct verifying {
    const struct cli *cli;
    json_t *findings; /* with -O json */
    bool is_tty;
    int64_t done, told; /* bytes */
};

enum {
    PROGRESS_BYTES = 64 * 1024 * 1024
};

static const char *severity_text(enum verify_severity s)
{
    switch (s) {
    case VERIFY_NOTE: return "note";
    case VERIFY_DAMAGE: return "damage";
    }
    must_not_reach("no such severity");
}

static json_t *finding_json(const struct verify_finding *f)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "severity", severity_text(f->severity), "file", f->file,
            "what", f->what);

    must(o != NULL);
    json_object_set_new(o, "position", f->at >= 0 ? json_integer(f->at) : json_null());
    json_object_set_new(o, "offset", f->offset >= 0 ? json_integer(f->offset) : json_null());
    return o;
}

static void clear_progress(const struct verifying *k)
{
    if (k->is_tty && k->told > 0) {
        fprintf(stderr, "\r\033[K");
    }
}

static void on_found(void *ctx, const struct verify_finding *f)
{
    struct verifying *k = ctx;

    clear_progress(k);
    if (k->cli->format == FORMAT_JSON) {
        json_array_append_new(k->findings, finding_json(f));
    } else if (k->cli->format == FORMAT_JSONL) {
        json_t *o = finding_json(f);
        char *text = json_dumps(o, JSON_COMPACT);
        must(text != NULL);
        printf("%s\n", text);
        free(text);
        json_decref(o);
    } else {
        printf("%s: %s", severity_text(f->severity), f->file);
        if (f->at >= 0) {
            printf(", position %" PRId64, f->at);
        }
        if (f->offset >= 0) {
            printf(", offset %" PRId64, f->offset);
        }
        printf(": %s\n", f->what);
    }
}

static void on_moved(void *ctx, int64_t bytes)
{
    struct verifying *k = ctx;
    char text[32];

    k->done += bytes;
    if (k->is_tty && k->done - k->told >= PROGRESS_BYTES) {
        k->told = k->done;
        fprintf(stderr, "\r%s checked", cli_size_text((uint64_t)k->done, text, sizeof(text)));
    }
}

/* The sum: a document with -O json, the last line with jsonl, a sentence for people. */
static void print_sum(struct verifying *k, const struct verify *v)
{
    json_t *sum = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "partitions", (json_int_t)v->n_partitions,
            "segments", (json_int_t)v->n_segments, "batches", (json_int_t)v->n_batches, "records",
            (json_int_t)v->n_records, "bytes", (json_int_t)v->bytes, "damages",
            (json_int_t)v->n_damages, "notes", (json_int_t)v->n_notes);
    char size[32];

    must(sum != NULL);
    clear_progress(k);
    if (k->cli->format == FORMAT_JSON) {
        json_object_set(sum, "findings", k->findings);
    }
    if (k->cli->format == FORMAT_JSON || k->cli->format == FORMAT_JSONL) {
        char *text = json_dumps(sum, k->cli->format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
        must(text != NULL);
        printf("%s\n", text);
        free(text);
    } else {
        printf("%" PRIu64 " partitions, %" PRIu64 " segments, %" PRIu64 " batches, %" PRIu64
               " records, %s: %s\n",
                v->n_partitions, v->n_segments, v->n_batches, v->n_records,
                cli_size_text((uint64_t)v->bytes, size, sizeof(size)),
                v->n_damages > 0 ? "DAMAGED" : "sound");
    }
    json_decref(sum);
}

static int log_verify(struct cli *cli, int argc, char **argv)
{
    const char *given = NULL;
    struct verifying k = {.cli = cli, .is_tty = cli_stderr_is_tty()};
    struct verify v = {.io = &file_io_posix, .found = on_found, .moved = on_moved, .ctx = &k};
    int r = cli_parse(cli, NULL, 0, argc, argv, &given, 1, 1);

    if (r >= 0) {
        return r;
    }
    size_t size = strlen(given);
    while (size > 1 && given[size - 1] == '/') {
        size--;
    }
    char *path = mem_strndup(given, size);
    k.findings = json_array();
    r = verify_path(&v, path);
    if (r < 0) {
        clear_progress(&k);
        r = cli_fail(r == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, "", "%s cannot be read: %s", path,
                strerror(-r));
    } else if (r == VERIFY_E_NOT_A_LOG) {
        r = cli_fail(EXIT_NOT_FOUND, "Give one of log.dirs, or a partition's folder in it.",
                "%s has neither meta.properties nor a segment", path);
    } else {
        print_sum(&k, &v);
        r = v.n_damages > 0 ? EXIT_FAILED : EXIT_DONE;
    }
    json_decref(k.findings);
    mem_free(path);
    if (fflush(stdout) != 0) {
        return cli_fail(EXIT_FAILED, "", "standard output cannot be written: %s", strerror(errno));
    }
    return r;
}

const struct cli_command cli_log_verify = {
        .noun = "log",
        .verb = "verify",
        .summary = "checks a log directory or a partition's folder, offline",
        .usage = "DIR",
        .details = "Reads every batch: checksums, offsets, leader epochs, how segments join, indexes; changes nothing. "
                   "Beside a running\nbroker the end of the newest segment may be in motion. A note is what a start "
                   "mends by itself; damage is what\nfails a replica. Exit code 0: no damage; 1: some; 3: no log is "
                   "there.\n",
        .examples = "  weir log verify /var/lib/weir\n"
                    "  weir log verify /var/lib/weir/orders-0\n"
                    "  weir log verify -O json /var/lib/weir | jq '.findings[] | select(.severity == \"damage\")'\n",
        .run = log_verify,
};
