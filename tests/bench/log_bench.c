/* SPDX-License-Identifier: Apache-2.0 */
/* log_bench [-O json] [--only TEXT] [--rounds N] [--mib N] [--dir FOLDER]: what a partition's log costs next to the kernel;
 * see log_bench.h and tests/bench/log. */
#include "tests/bench/log_bench.h"
#include "common/obs/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MAX = 99
};

struct options {
    bool is_json;
    const char *only;
    int rounds;
    long mib;
    const char *folder;
};

/* One case: what each round gave. */
struct result {
    const struct bench_case *c;
    int n;
    struct measure weir[ROUNDS_MAX], floor[ROUNDS_MAX];
};

/* --- Figures ------------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double mb_per_s(const struct measure *m)
{
    return m->bytes / 1e6 / m->wall_s;
}

static double n_per_s(const struct measure *m)
{
    return m->n / m->wall_s;
}

/* CPU seconds for a GiB; of what moves no bytes, for a million. */
static double cpu_each(const struct measure *m)
{
    return m->bytes > 0 ? m->cpu_s / (m->bytes / 1073741824.0) : m->cpu_s / (m->n / 1e6);
}

static double median_of(
        const struct measure *rounds, int n, double (*figure)(const struct measure *m))
{
    double all[ROUNDS_MAX];

    for (int i = 0; i < n; i++) {
        all[i] = figure(&rounds[i]);
    }
    qsort(all, (size_t)n, sizeof(all[0]), compare);
    return all[n / 2];
}

/* Weir's CPU over the floor's, round by round, sorted. */
static void ratios(const struct result *r, double ret[ROUNDS_MAX])
{
    for (int i = 0; i < r->n; i++) {
        ret[i] = cpu_each(&r->weir[i]) / cpu_each(&r->floor[i]);
    }
    qsort(ret, (size_t)r->n, sizeof(ret[0]), compare);
}

/* --- Output ------------------------------------------------------------------------------------------------------- */

static void print_header(void)
{
    (void)printf("%-42s %9s %12s %9s %9s %9s  %s\n", "", "MB/s", "a second", "CPU", "floor MB/s",
            "floor CPU", "CPU ratio (min–max)");
}

static void print_row(const struct result *r)
{
    double ratio[ROUNDS_MAX];
    bool moves = r->weir[0].bytes > 0;

    ratios(r, ratio);
    (void)printf("%-42s ", r->c->name);
    if (moves) {
        (void)printf("%9.0f ", median_of(r->weir, r->n, mb_per_s));
    } else {
        (void)printf("%9s ", "–");
    }
    (void)printf(
            "%12.0f %9.3f ", median_of(r->weir, r->n, n_per_s), median_of(r->weir, r->n, cpu_each));
    if (moves) {
        (void)printf("%10.0f ", median_of(r->floor, r->n, mb_per_s));
    } else {
        (void)printf("%10s ", "–");
    }
    (void)printf("%9.3f  %.2f (%.2f–%.2f)\n", median_of(r->floor, r->n, cpu_each), ratio[r->n / 2],
            ratio[0], ratio[r->n - 1]);
    (void)fflush(stdout);
}

static void print_side(const char *name, const struct measure *rounds, int n, bool moves)
{
    (void)printf(",\"%s\":{", name);
    if (moves) {
        (void)printf("\"mb_per_s\":%.1f,\"cpu_s_per_gib\":%.4f,", median_of(rounds, n, mb_per_s),
                median_of(rounds, n, cpu_each));
    } else {
        (void)printf("\"cpu_us_each\":%.4f,", median_of(rounds, n, cpu_each));
    }
    (void)printf("\"n_per_s\":%.0f}", median_of(rounds, n, n_per_s));
}

static void print_json(const struct result *r, bool is_first)
{
    double ratio[ROUNDS_MAX];
    bool moves = r->weir[0].bytes > 0;

    ratios(r, ratio);
    (void)printf("%s{\"case\":\"%s\",\"n_is\":\"%s\",\"rounds\":%d", is_first ? "[" : ",\n ",
            r->c->name, r->c->unit, r->n);
    print_side("weir", r->weir, r->n, moves);
    print_side("floor", r->floor, r->n, moves);
    (void)printf(",\"cpu_ratio\":{\"min\":%.3f,\"median\":%.3f,\"max\":%.3f}}", ratio[0],
            ratio[r->n / 2], ratio[r->n - 1]);
    (void)fflush(stdout);
}

/* --- Running ------------------------------------------------------------------------------------------------------ */

/* A first round of each side is not counted: it meets cold memory and cold code. */
static void run_case(const struct options *o, const struct bench_case *c, struct result *r)
{
    struct world w = {.folder = o->folder, .total = (int64_t)o->mib * MIB};
    struct measure none = {0};

    *r = (struct result){.c = c, .n = o->rounds};
    if (c->prepare != NULL) {
        c->prepare(&w, c);
    }
    c->weir(&w, c, &none);
    c->floor(&w, c, &none);
    for (int i = 0; i < o->rounds; i++) {
        c->weir(&w, c, &r->weir[i]);
        c->floor(&w, c, &r->floor[i]);
    }
    if (c->finish != NULL) {
        c->finish(&w, c);
    }
}

static void run_cases(
        const struct options *o, const struct bench_case *cases, size_t n, bool *is_first)
{
    static struct result r;

    for (size_t i = 0; i < n; i++) {
        if (o->only != NULL && strstr(cases[i].name, o->only) == NULL) {
            continue;
        }
        run_case(o, &cases[i], &r);
        if (o->is_json) {
            print_json(&r, *is_first);
        } else {
            print_row(&r);
        }
        *is_first = false;
    }
}

static void drop_line(void *ctx, const char *text)
{
}

static void usage(void)
{
    (void)fprintf(stderr,
            "log_bench [-O table|json] [--only TEXT] [--rounds N] [--mib N] [--dir FOLDER]\n"
            "  --only TEXT   cases whose name has it     --rounds N   counted, of each side (5; 1 "
            "to 99)\n"
            "  --mib N       moved in a round (512)      --dir FOLDER on the disk to be measured "
            "(/var/tmp)\n");
    exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"output", required_argument, NULL, 'O'},
            {"only", required_argument, NULL, 'o'}, {"rounds", required_argument, NULL, 'r'},
            {"mib", required_argument, NULL, 'm'}, {"dir", required_argument, NULL, 'd'}, {0}};
    const char *base = getenv("TMPDIR");
    int c;

    *o = (struct options){.rounds = 5, .mib = 512, .folder = base != NULL ? base : "/var/tmp"};
    while ((c = getopt_long(argc, argv, "O:", known, NULL)) != -1) {
        switch (c) {
        case 'O':
            o->is_json = strcmp(optarg, "json") == 0;
            if (!o->is_json && strcmp(optarg, "table") != 0) {
                usage();
            }
            break;
        case 'o': o->only = optarg; break;
        case 'r': o->rounds = (int)strtol(optarg, NULL, 10); break;
        case 'm': o->mib = strtol(optarg, NULL, 10); break;
        case 'd': o->folder = optarg; break;
        default: usage();
        }
    }
    if (optind != argc || o->rounds < 1 || o->rounds > ROUNDS_MAX || o->mib < 1 || o->mib > 65536) {
        usage();
    }
}

int main(int argc, char **argv)
{
    struct options o;
    bool is_first = true;

    parse(argc, argv, &o);
    log_set_sink(drop_line, NULL);
    if (!o.is_json) {
        print_header();
    }
    run_cases(&o, append_cases, n_append_cases, &is_first);
    run_cases(&o, read_cases, n_read_cases, &is_first);
    run_cases(&o, look_cases, n_look_cases, &is_first);
    run_cases(&o, compact_cases, n_compact_cases, &is_first);
    if (o.is_json) {
        (void)printf(is_first ? "[]\n" : "]\n");
    }
    return 0;
}
