/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"
#include "common/base/wtime.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Operations: what goes on after the command that began it was answered. */

enum {
    LOOK_MS = 1000, /* one request waits so long */
    TOLD_MS = 5000, /* one line in so much time where nobody watches */
    SIZE_TEXT = 32
};

static int64_t now_ms(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- Words ---------------------------------------------------------------------------------------------------------- */

/* "operation 12 (decommission of broker 4)"; mem_free. */
static char *title_of(const json_t *o)
{
    const json_t *brokers = json_object_get(o, "brokers");
    char *ids = jids(brokers);
    bool has_brokers = json_array_size(brokers) > 0;
    char *text = mem_format("operation %" PRId64 " (%s%s%s)", jint(o, "id", -1),
            jstr(o, "kind", "?"), has_brokers ? " of broker " : "", has_brokers ? ids : "");

    mem_free(ids);
    return text;
}

/* ", 1.5 GiB of 4 GiB moved, 2 m left"; mem_free. */
static char *bytes_of(const json_t *o)
{
    const json_t *progress = json_object_get(o, "progress");
    int64_t done = jint(progress, "done_bytes", -1), total = jint(progress, "total_bytes", -1);
    int64_t eta_ms = jint(o, "eta_ms", -1);
    char a[SIZE_TEXT], b[SIZE_TEXT], left[SIZE_TEXT] = "";

    if (done < 0 || total < 0) {
        return mem_strdup("");
    }
    if (eta_ms >= 0) {
        (void)cli_duration_text(eta_ms, left, sizeof(left));
    }
    return mem_format(", %s of %s there%s%s%s", cli_size_text((uint64_t)done, a, sizeof(a)),
            cli_size_text((uint64_t)total, b, sizeof(b)), eta_ms >= 0 ? ", about " : "", left,
            eta_ms >= 0 ? " left" : "");
}

static void tell_progress(const json_t *o, bool is_tty)
{
    const json_t *progress = json_object_get(o, "progress");
    const char *detail = jstr(o, "detail", "");
    char *title = title_of(o), *bytes = bytes_of(o);

    fprintf(stderr, "%s%s: %" PRId64 " of %" PRId64 " partitions left%s%s%s%s", is_tty ? "\r" : "",
            title, jint(progress, "partitions_left", 0), jint(progress, "partitions_total", 0),
            bytes, detail[0] != '\0' ? "; " : "", detail, is_tty ? "\033[K" : "\n");
    (void)fflush(stderr);
    mem_free(title);
    mem_free(bytes);
}

static int tell_end(const json_t *o, int r)
{
    char *title = title_of(o);
    const char *state = jstr(o, "state", "?");

    if (strcmp(state, "done") == 0) {
        cli_note("%s is done: %s", title, jstr(o, "detail", ""));
    } else {
        r = cli_fail(EXIT_FAILED, "", "%s was %s: %s", title, state, jstr(o, "detail", ""));
    }
    mem_free(title);
    return r;
}

/* --- Waiting -------------------------------------------------------------------------------------------------------- */

static int detach(int64_t id, bool is_tty, int r, const char *why)
{
    cli_note("%s%soperation %" PRId64 " goes on: `weir ops watch %" PRId64
             "` shows it, `weir ops cancel %" PRId64 "` takes it back",
            is_tty ? "\n" : "", why, id, id, id);
    return r;
}

/* What the controller says of it within LOOK_MS; NULL: *ret_answer is not 200. */
static json_t *look(const struct cli *cli, int64_t id, struct http_answer *ret_answer)
{
    char *path = mem_format("/v1/operations/%" PRId64 "?wait_ms=%d", id, LOOK_MS);
    json_t *o = NULL;

    cli_http(cli, "GET", path, NULL, ret_answer);
    o = ret_answer->status == 200 ? cli_answer_json(ret_answer) : NULL;
    mem_free(path);
    return o;
}

/* Until it has ended; a controller that is away for a while is waited for. */
static int watch(struct cli *cli, int64_t id, int r)
{
    bool is_tty = cli_stderr_is_tty();
    int64_t told = now_ms(), heard = told;

    cli_catch_interrupt();
    while (!cli_interrupted()) {
        struct http_answer a = {0};
        json_t *o = look(cli, id, &a);
        bool is_away = a.status == 0 || a.status == 503;
        if (o != NULL && strcmp(jstr(o, "state", "?"), "running") != 0) {
            fprintf(stderr, "%s", is_tty ? "\r\033[K" : "");
            r = tell_end(o, r);
        } else if (o != NULL && (is_tty || now_ms() - told >= TOLD_MS)) {
            tell_progress(o, is_tty);
            told = now_ms();
        } else if (o == NULL && (!is_away || now_ms() - heard > cli->timeout_ms)) {
            r = cli_http_fail(&a);
            r = is_away ? detach(id, is_tty, r, "nobody can be asked; ") : r;
        }
        bool goes_on = o != NULL ? strcmp(jstr(o, "state", "?"), "running") == 0
                                 : is_away && now_ms() - heard <= cli->timeout_ms;
        heard = o != NULL ? now_ms() : heard;
        json_decref(o);
        http_answer_deinit(&a);
        if (!goes_on) {
            return r;
        }
        if (is_away) {
            (void)poll(NULL, 0, LOOK_MS / 4);
        }
    }
    return detach(id, is_tty, EXIT_INTERRUPTED, "");
}

int cli_wait_for(struct cli *cli, const struct cli_wait *w, int64_t operation, int r)
{
    if (operation <= 0 || cli->dry_run) {
        return r;
    }
    if (w->no_wait) {
        return detach(operation, false, r, "");
    }
    return watch(cli, operation, r);
}

/* --- ops list, watch, cancel ---------------------------------------------------------------------------------------- */

static void print_operations(const json_t *list)
{
    static const char *const heads[] = {
            "ID", "KIND", "STATE", "BROKERS", "LEFT", "TOTAL", "STARTED", "DETAIL"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *o;

    json_array_foreach(list, i, o)
    {
        const json_t *progress = json_object_get(o, "progress");
        char *id = mem_format("%" PRId64, jint(o, "id", -1));
        char *brokers = jids(json_object_get(o, "brokers"));
        char *left = mem_format("%" PRId64, jint(progress, "partitions_left", 0));
        char *total = mem_format("%" PRId64, jint(progress, "partitions_total", 0));
        cli_table_add(
                t, (const char *const[]){id, jstr(o, "kind", "?"), jstr(o, "state", "?"), brokers,
                           left, total, jstr(o, "started_at", "-"), jstr(o, "detail", "")});
        mem_free(id);
        mem_free(brokers);
        mem_free(left);
        mem_free(total);
    }
    cli_table_print_free(t);
}

static int ops_list(struct cli *cli, int argc, char **argv)
{
    bool running = false;
    const struct cli_opt opts[] = {
            {0, "running", OPT_FLAG, &running, NULL, "those that have not ended", 0, 0}};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *list = cli_get(cli,
            running ? "/v1/operations?page_size=1000&state=running"
                    : "/v1/operations?page_size=1000",
            &r);

    if (list != NULL) {
        if (!cli_print_json(cli, list, "id")) {
            print_operations(list);
        }
        r = EXIT_DONE;
    }
    json_decref(list);
    return r;
}

/* The number of the only argument, or -1 and the failure said. */
static int64_t id_of(const char *text)
{
    char *end = NULL;
    long long id = text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : -1;

    if (id < 1 || *end != '\0') {
        (void)cli_fail(EXIT_USAGE, "`weir ops list` shows them.",
                "an operation is named by its number, not `%s`", text);
        return -1;
    }
    return id;
}

static int ops_watch(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &text, 1, 1);

    if (r >= 0) {
        return r;
    }
    int64_t id = id_of(text);

    return id > 0 ? watch(cli, id, EXIT_DONE) : EXIT_USAGE;
}

static int ops_cancel(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &text, 1, 1);

    if (r >= 0) {
        return r;
    }
    int64_t id = id_of(text);

    if (id < 0) {
        return EXIT_USAGE;
    }
    char *path = mem_format(
            "/v1/operations/%" PRId64 "?dry_run=%s", id, cli->dry_run ? "true" : "false");

    r = cli_send(cli, "DELETE", path, NULL, "topic", cli_print_moves, NULL);
    mem_free(path);
    return r;
}

const struct cli_command cli_ops_list = {
        .noun = "ops",
        .verb = "list",
        .summary = "operations that run, and the last that ended",
        .usage = "[--running]",
        .details = "",
        .examples = "  weir ops list\n",
        .run = ops_list,
};

const struct cli_command cli_ops_watch = {
        .noun = "ops",
        .verb = "watch",
        .summary = "show how far an operation has come, until it has ended",
        .usage = "N",
        .details = "Ctrl-C leaves it alone; it goes on without anybody who watches.",
        .examples = "  weir ops watch 1042\n",
        .run = ops_watch,
};

const struct cli_command cli_ops_cancel = {
        .noun = "ops",
        .verb = "cancel",
        .summary = "take back what an operation has under way",
        .usage = "N",
        .details = "Its partitions go back to the brokers that they come from, and a broker that "
                   "is drained "
                   "or decommissioned takes part again. Where too few former replicas are in sync "
                   "the move "
                   "goes on, and the answer says so.",
        .examples = "  weir ops cancel 1042 --dry-run\n",
        .run = ops_cancel,
};
