/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"
#include "clients/cli/meta.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PATHS_MAX = 256
};

struct rebuild {
    struct meta_files files;
    int chosen;
    const char *zookeeper;
    const char *digest_file;
    bool discard;
    struct meta_standing standing;
    uint64_t ctl_epoch;
};

static const struct meta_file *chosen(const struct rebuild *r)
{
    return &r->files.items[r->chosen];
}

/* --- The plan --------------------------------------------------------------------------------- */

/* [RBD-6] Brokers listen to the greatest controller epoch that they ever heard of only, and
 * those whose images are not given may have heard of later ones. An epoch is one election; a
 * thousand elections after the newest image was written are more than a cluster sees while its
 * ZooKeeper is being lost. */
static void find_epoch(struct rebuild *r)
{
    uint64_t seen = r->standing.ctl_epoch;

    for (size_t i = 0; i < r->files.n; i++) {
        const struct meta_file *f = &r->files.items[i];
        seen = f->is_usable && f->head.ctl_epoch > seen ? f->head.ctl_epoch : seen;
    }
    r->ctl_epoch = seen + META_REBUILD_EPOCHS;
}

static json_t *standing_json(const struct meta_standing *s)
{
    char id[UUID_TEXT_SIZE];
    json_t *topics = s->is_readable ? json_integer((json_int_t)s->n_topics) : json_null();
    json_t *partitions = s->is_readable ? json_integer((json_int_t)s->n_partitions) : json_null();

    return json_pack("{s:o, s:b, s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "cluster_id",
            uuid_is_zero(&s->cluster_id) ? json_null()
                                         : json_string(uuid_format(&s->cluster_id, id)),
            "unfinished_rebuild", s->is_unfinished ? 1 : 0, "ctl_epoch", (json_int_t)s->ctl_epoch,
            "index", (json_int_t)s->index, "topics", topics, "partitions", partitions, "entries",
            (json_int_t)s->n_entries, "snapshots", (json_int_t)s->n_snapshots,
            "registered_brokers", (json_int_t)s->n_brokers);
}

static json_t *plan_json(const struct cli *cli, const struct rebuild *r)
{
    json_t *skipped = json_array();
    json_t *image = meta_head_json(&chosen(r)->head, chosen(r)->image);

    json_object_set_new(image, "path", json_string(chosen(r)->path));
    for (size_t i = 0; i < r->files.n; i++) {
        const struct meta_file *f = &r->files.items[i];
        if (!f->is_usable) {
            json_array_append_new(
                    skipped, json_pack("{s:s, s:s}", "path", f->path, "reason", f->why));
        }
    }
    return json_pack("{s:o, s:I, s:o, s:o, s:b}", "image", image, "ctl_epoch",
            (json_int_t)r->ctl_epoch, "skipped", skipped, "zookeeper",
            standing_json(&r->standing), "dry_run", cli->dry_run ? 1 : 0);
}

static void add_row(struct cli_table *t, const char *what, char *now, char *then)
{
    cli_table_add(t, (const char *const[]){what, now, then});
    mem_free(now);
    mem_free(then);
}

static char *count_text(const struct meta_standing *s, size_t n)
{
    return s->is_readable ? mem_format("%zu", n)
           : s->n_entries + s->n_snapshots > 0 ? mem_strdup("unreadable")
                                               : mem_strdup("-");
}

static void print_plan(const struct rebuild *r)
{
    static const char *const heads[] = {"", "IN ZOOKEEPER, TO BE DELETED", "AFTERWARDS"};
    const struct meta_standing *s = &r->standing;
    const struct meta_file *f = chosen(r);
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    char now[UUID_TEXT_SIZE], then[UUID_TEXT_SIZE];

    add_row(t, "cluster",
            mem_strdup(s->is_unfinished              ? "an unfinished rebuild"
                       : uuid_is_zero(&s->cluster_id) ? "-"
                                                      : uuid_format(&s->cluster_id, now)),
            mem_strdup(uuid_format(&f->head.cluster_id, then)));
    add_row(t, "controller epoch", mem_format("%" PRIu64, s->ctl_epoch),
            mem_format("%" PRIu64, r->ctl_epoch));
    add_row(t, "index", mem_format("%" PRIu64, s->index), mem_format("%" PRIu64, f->head.index));
    add_row(t, "topics", count_text(s, s->n_topics), mem_format("%zu", image_n_topics(f->image)));
    add_row(t, "partitions", count_text(s, s->n_partitions),
            mem_format("%zu", image_n_partitions(f->image)));
    add_row(t, "log entries", mem_format("%zu", s->n_entries), mem_strdup("1"));
    add_row(t, "snapshots", mem_format("%zu", s->n_snapshots),
            mem_format("1 (%zu chunks)", f->head.n_chunks));
    add_row(t, "brokers", mem_format("%zu registered, which stay so", s->n_brokers),
            mem_format("%zu in the metadata", image_n_brokers(f->image)));
    cli_table_print_free(t);
    (void)fflush(stdout);
}

static void note_files(const struct rebuild *r)
{
    for (size_t i = 0; i < r->files.n; i++) {
        const struct meta_file *f = &r->files.items[i];
        if (!f->is_usable) {
            cli_note("warning: %s is not used: %s", f->path, f->why);
        } else if ((int)i == r->chosen) {
            cli_note("The newest image: %s (index %" PRIu64 ", broker %d)", f->path, f->head.index,
                    (int)f->head.broker);
        }
    }
}

/* --- Judging ---------------------------------------------------------------------------------- */

static int read_files(struct rebuild *r, const char *const *paths, size_t n)
{
    char error[1024];
    int stop = -1;

    for (size_t i = 0; i < n && stop < 0; i++) {
        stop = meta_files_read(&r->files, paths[i]);
    }
    if (stop >= 0) {
        return stop;
    }
    r->chosen = meta_choose(r->files.items, r->files.n, error, sizeof(error));
    if (r->chosen < 0) {
        note_files(r);
        return cli_fail(EXIT_CONFLICT,
                "Give the paths of one cluster's brokers; of images that contradict each other "
                "give the one to go on from.",
                "%s", error);
    }
    meta_file_load(&r->files.items[r->chosen]);
    return -1;
}

/* The log there went another way before it came to the image's index: ZooKeeper was put back to
 * an older state, and controllers went on from that. */
static bool has_parted(const struct meta_standing *s, const struct meta_file *f)
{
    return s->is_compared && s->crc_there != f->head.log_crc64;
}

/* [RBD-5] What stands there is replaced only when nobody uses it, and when it is not worth more
 * than the image. */
static int judge_standing(const struct rebuild *r)
{
    const struct meta_standing *s = &r->standing;
    const struct meta_file *f = chosen(r);
    bool is_other = s->has_id && !uuid_equal(&s->cluster_id, &f->head.cluster_id);
    bool has_content = s->n_topics > 0 || (!s->is_readable && s->n_entries > 0);
    char id[UUID_TEXT_SIZE];

    if (s->holder[0] != '\0') {
        return cli_fail(EXIT_CONFLICT,
                "Stop every controller of this ZooKeeper first. The node of one that was killed "
                "stays until its session ends (zookeeper.session.timeout.ms).",
                "%s", s->holder);
    }
    if (r->discard || s->is_unfinished) {
        return -1;
    }
    if (is_other && has_content) {
        return cli_fail(EXIT_CONFLICT,
                "Is --zookeeper right? --discard gives up what stands there.",
                s->is_readable ? "ZooKeeper holds another cluster, %s, with %zu topics"
                               : "ZooKeeper holds another cluster, %s, whose log cannot be read to "
                                 "its end (%zu topics so far)",
                uuid_format(&s->cluster_id, id), s->n_topics);
    }
    if (!is_other && s->has_id && s->is_readable && s->index > f->head.index &&
            !has_parted(s, f)) {
        return cli_fail(EXIT_CONFLICT,
                "The controllers can go on from what is there. --discard gives it up.",
                "ZooKeeper holds this cluster's metadata up to index %" PRIu64
                ", the newest image only up to %" PRIu64,
                s->index, f->head.index);
    }
    return -1;
}

static bool confirm(const struct cli *cli, const struct rebuild *r)
{
    char id[UUID_TEXT_SIZE], first[9];

    uuid_format(&chosen(r)->head.cluster_id, id);
    (void)snprintf(first, sizeof(first), "%.8s", id);
    return cli_confirm_either(cli,
            "This deletes the metadata that stands in ZooKeeper and writes that of the image.",
            first, id);
}

/* --- The command ------------------------------------------------------------------------------ */

static int rebuild_in(struct cli *cli, struct rebuild *r, struct meta_tree *t)
{
    int stop = meta_tree_look(t, chosen(r)->head.index, &r->standing);

    if (stop >= 0) {
        return stop;
    }
    find_epoch(r);
    note_files(r);
    json_t *plan = plan_json(cli, r);
    if (!cli_print_json(cli, plan, "ctl_epoch")) {
        print_plan(r);
    }
    json_decref(plan);
    if (has_parted(&r->standing, chosen(r))) {
        cli_note("warning: ZooKeeper holds another history of this cluster from before index "
                 "%" PRIu64 " on; what was decided in it is given up",
                chosen(r)->head.index);
    }
    stop = judge_standing(r);
    if (stop >= 0 || cli->dry_run) {
        return stop >= 0 ? stop : EXIT_DONE;
    }
    if (!confirm(cli, r)) {
        return EXIT_USAGE;
    }
    stop = meta_tree_write(t, &r->standing, chosen(r), r->ctl_epoch);
    if (stop < 0) {
        cli_note("Done. Start the controllers; brokers that run go on by themselves.");
    }
    return stop >= 0 ? stop : EXIT_DONE;
}

static int rebuild_with(struct cli *cli, struct rebuild *r, const char *const *paths, size_t n)
{
    struct meta_tree *t = NULL;
    int stop = -1;

    if (n == 0) {
        stop = cli_fail(EXIT_USAGE, "For example: --from /var/lib/weir",
                "--from is needed: the log directories of the brokers");
    } else if (r->zookeeper == NULL) {
        stop = cli_fail(EXIT_USAGE, "Give the daemons' zookeeper.connect.",
                "--zookeeper HOST:PORT[/chroot] is needed");
    }
    stop = stop < 0 ? read_files(r, paths, n) : stop;
    stop = stop < 0 ? meta_tree_open(cli, r->zookeeper, r->digest_file, &t) : stop;
    if (stop < 0) {
        stop = rebuild_in(cli, r, t);
        meta_tree_close(t);
    }
    meta_standing_deinit(&r->standing);
    meta_files_deinit(&r->files);
    return stop;
}

static int meta_rebuild(struct cli *cli, int argc, char **argv)
{
    struct rebuild r = {0};
    struct cli_strings from = {0};
    const char *more[PATHS_MAX];
    const struct cli_opt opts[] = {
            {0, "from", OPT_MANY, &from, "PATH",
                    "a broker's log directory, its meta.image, or a file of `weir meta export -F`",
                    0, 0},
            {0, "zookeeper", OPT_STR, &r.zookeeper, "HOST:PORT,…/CHROOT",
                    "the daemons' zookeeper.connect", 0, 0},
            {0, "digest-file", OPT_STR, &r.digest_file, "FILE",
                    "the daemons' zookeeper.digest.file, when they have one", 0, 0},
            {0, "discard", OPT_FLAG, &r.discard, NULL,
                    "give up other or newer metadata that stands in ZooKeeper", 0, 0},
    };
    int stop = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, more, 0, PATHS_MAX);

    if (stop < 0) {
        for (int i = 0; i < cli_n_args(); i++) { /* --from A B C */
            from.items = mem_resize(from.items, from.n + 1, sizeof(*from.items));
            from.items[from.n++] = more[i];
        }
        stop = rebuild_with(cli, &r, from.items, from.n);
    }
    cli_strings_deinit(&from);
    return stop;
}

const struct cli_command cli_meta_rebuild = {
        .noun = "meta",
        .verb = "rebuild",
        .summary = "a new ZooKeeper tree from the brokers' copies of the metadata",
        .usage = "--from PATH [PATH…] --zookeeper HOST:PORT[/CHROOT]",
        .details =
                "For the day that ZooKeeper has lost its data. Stop every controller; brokers may "
                "run. The newest image\n"
                "that stands at the paths is written into ZooKeeper, and what stands there is "
                "deleted. --dry-run shows\n"
                "what would be done. To go on, type the first eight characters of the cluster's "
                "id. A run that was\n"
                "broken off is repeated with the same command; until then no controller starts.\n",
        .examples =
                "  weir meta rebuild --from /var/lib/weir --zookeeper 127.0.0.1:2181 --dry-run\n"
                "  weir meta rebuild --from b1.image b2.image b3.image --zookeeper zk1:2181/weir\n",
        .run = meta_rebuild,
};
