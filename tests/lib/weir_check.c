/* SPDX-License-Identifier: Apache-2.0 */
/* Judges histories of clients, and logs of replicas. docs/dev/checker.md. */
#include "clients/check/history_file.h"
#include "clients/check/replicas.h"
#include "clients/check/verdict.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_OK = 0,
    EXIT_VIOLATED = 1,
    EXIT_UNUSABLE = 2
};

static const char usage_text[] =
        "usage: weir_check HISTORY… [-O json]     judge histories of clients, together; - is "
        "stdin\n"
        "       weir_check --logs DIR DIR…        compare the replicas in brokers' log "
        "directories\n"
        "\n"
        "  -O json       one JSON object instead of lines for people\n"
        "  --properties  what is judged, and what each property demands\n"
        "\n"
        "Exit code 0: every property that the input allows to judge holds; 1: one is violated; 2: "
        "the "
        "input cannot\nbe used, and which line is wrong stands on stderr.\n";

struct options {
    bool is_json, is_logs;
};

static int wrong_use(const char *what)
{
    fprintf(stderr, "weir_check: %s\n%s", what, usage_text);
    return EXIT_UNUSABLE;
}

static int print_properties(void)
{
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        printf("%-4s %-20s %s\n", judge_id((enum judge_property)p),
                judge_name((enum judge_property)p), judge_demand((enum judge_property)p));
    }
    printf("%-4s %-20s %s\n", "C15", "replicas differ",
            "all replicas hold the same bytes up to the high watermark (--logs)");
    return EXIT_OK;
}

/* < 0 = go on, else the exit code. */
static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"logs", no_argument, NULL, 'l'},
            {"output", required_argument, NULL, 'O'}, {"properties", no_argument, NULL, 'p'},
            {"help", no_argument, NULL, 'h'}, {0}};
    int which = 0;

    while ((which = getopt_long(argc, argv, "O:h", longs, NULL)) != -1) {
        switch (which) {
        case 'l': o->is_logs = true; break;
        case 'p': return print_properties();
        case 'O':
            if (strcmp(optarg, "json") != 0) {
                return wrong_use("-O takes json");
            }
            o->is_json = true;
            break;
        case 'h': printf("%s", usage_text); return EXIT_OK;
        default: return wrong_use("see its options:");
        }
    }
    if (optind == argc) {
        return wrong_use(o->is_logs ? "--logs takes log directories" : "it takes a history");
    }
    return o->is_logs && argc - optind > REPLICAS_DIRS_MAX ? wrong_use("too many directories") : -1;
}

static void print_json(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2));

    must(text != NULL);
    printf("%s\n", text);
    free(text);
    json_decref(o);
}

static int judge_files(const struct options *o, char **paths, int n)
{
    struct history h;
    struct judge_verdict v;
    char why[1024];
    int r = 0;

    history_init(&h);
    for (int i = 0; i < n && r == 0; i++) {
        r = history_read_file(&h, paths[i], why, sizeof(why));
    }
    if (r != 0) {
        fprintf(stderr, "weir_check: %s\n", why);
        history_deinit(&h);
        return EXIT_UNUSABLE;
    }
    judge_history(&h, &v);
    if (o->is_json) {
        print_json(verdict_json(&h, &v));
    } else {
        verdict_print(stdout, &h, &v);
    }
    history_deinit(&h);
    return judge_n_violated(&v) > 0 ? EXIT_VIOLATED : EXIT_OK;
}

static json_t *replicas_json(const struct replicas_verdict *v)
{
    json_t *witnesses = json_array();
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "verdict",
            v->n_differ > 0      ? "violated"
            : v->n_compared == 0 ? "not judged"
                                 : "ok",
            "compared", (json_int_t)v->n_compared, "alone", (json_int_t)v->n_alone, "compacted",
            (json_int_t)v->n_compacted, "batches", (json_int_t)v->n_batches, "differ",
            (json_int_t)v->n_differ);

    must(o != NULL);
    for (size_t i = 0; i < v->n_witnesses; i++) {
        char *text = replicas_witness_text(&v->witnesses[i]);
        json_array_append_new(
                witnesses, json_pack("{s:s, s:I, s:I, s:s}", "partition", v->witnesses[i].partition,
                                   "offset", (json_int_t)v->witnesses[i].offset, "high_watermark",
                                   (json_int_t)v->witnesses[i].limit, "text", text));
        mem_free(text);
    }
    json_object_set_new(o, "witnesses", witnesses);
    return o;
}

static int compare_dirs(const struct options *o, char **dirs, int n)
{
    const char *trimmed[REPLICAS_DIRS_MAX];
    struct replicas_verdict v;
    char why[1024];

    for (int i = 0; i < n; i++) {
        for (size_t size = strlen(dirs[i]); size > 1 && dirs[i][size - 1] == '/'; size--) {
            dirs[i][size - 1] = '\0';
        }
        trimmed[i] = dirs[i];
    }
    int r = replicas_compare(&file_io_posix, trimmed, (size_t)n, NULL, 0, &v, why, sizeof(why));
    if (r != 0) {
        fprintf(stderr, "weir_check: %s\n", why);
        replicas_verdict_deinit(&v);
        return EXIT_UNUSABLE;
    }
    if (o->is_json) {
        print_json(replicas_json(&v));
    } else {
        replicas_print(stdout, &v);
        printf("%" PRIu64 " partitions compared, %" PRIu64 " with one replica here, %" PRIu64
               " compacted and passed over\nverdict: %s\n",
                v.n_compared, v.n_alone, v.n_compacted, v.n_differ > 0 ? "VIOLATED" : "ok");
    }
    bool is_good = v.n_differ == 0;
    replicas_verdict_deinit(&v);
    return is_good ? EXIT_OK : EXIT_VIOLATED;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    int r = parse_options(&o, argc, argv);

    if (r >= 0) {
        return r;
    }
    r = o.is_logs ? compare_dirs(&o, argv + optind, argc - optind)
                  : judge_files(&o, argv + optind, argc - optind);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "weir_check: standard output: %s\n", strerror(errno));
        return EXIT_UNUSABLE;
    }
    return r;
}
