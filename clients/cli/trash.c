/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deleted topics: list, purge, undelete. */

enum {
    SIZE_TEXT = 32
};

/* --- list ------------------------------------------------------------------------------------- */

static const char *bytes_text(const json_t *item, char text[SIZE_TEXT])
{
    int64_t bytes = jint(item, "bytes", -1);

    return bytes >= 0 ? cli_size_text((uint64_t)bytes, text, SIZE_TEXT) : "not known";
}

static void print_trash(const json_t *items)
{
    static const char *const heads[] = {
            "TOPIC", "ID", "PARTITIONS", "REMOVED", "PURGED", "BYTES", "GIVEN UP ON"};
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        char size[SIZE_TEXT];
        char *partitions = mem_format("%" PRId64, jint(item, "partitions", 0));
        char *emptied = jids(json_object_get(item, "emptied_on"));
        cli_table_add(t,
                (const char *const[]){jstr(item, "name", "?"), jstr(item, "topic_id", "?"),
                        partitions, jstr(item, "removed_at", "-"), jstr(item, "purged_at", "-"),
                        bytes_text(item, size), emptied});
        mem_free(partitions);
        mem_free(emptied);
    }
    cli_table_print_free(t);
}

static int trash_list(struct cli *cli, int argc, char **argv)
{
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *items = cli_get(cli, "/v1/trash?page_size=1000", &r);
    if (items == NULL) {
        return r;
    }
    if (!cli_print_json(cli, items, "name")) {
        print_trash(items);
    }
    json_decref(items);
    return EXIT_DONE;
}

/* --- purge ------------------------------------------------------------------------------------ */

static int purge_confirmed(const struct cli *cli, const char *escaped)
{
    struct http_answer a = {0};
    char *path = mem_format(
            "/v1/trash/%s?confirm=%s%s", escaped, escaped, cli->dry_run ? "&dry_run=true" : "");
    int r = EXIT_DONE;

    cli_http(cli, "DELETE", path, NULL, &a);
    if (a.status == 200) {
        json_t *purged = cli_answer_json(&a);
        if (!cli_print_json(cli, purged, "name")) {
            cli_note("%s topic %s (%s)", cli->dry_run ? "would purge" : "purged",
                    jstr(purged, "name", "?"), jstr(purged, "topic_id", "?"));
        }
        json_decref(purged);
    } else {
        r = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    mem_free(path);
    return r;
}

/* What is purged is told before the question. */
static int purge_asked(const struct cli *cli, const char *escaped)
{
    int r = EXIT_DONE;
    char *path = mem_format("/v1/trash/%s", escaped);
    json_t *topic = cli_get_one(cli, path, &r);

    if (topic != NULL) {
        char *what = mem_format("Purging topic %s, removed %s, ends its records for good.",
                jstr(topic, "name", "?"), jstr(topic, "removed_at", "-"));
        r = cli_confirm(cli, what, jstr(topic, "name", "?")) ? purge_confirmed(cli, escaped)
                                                            : EXIT_USAGE;
        mem_free(what);
    }
    json_decref(topic);
    mem_free(path);
    return r;
}

static int trash_purge(struct cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    int r = cli_parse(cli, NULL, 0, argc, argv, &id, 1, 1);

    if (r >= 0) {
        return r;
    }
    char *escaped = url_escape(id);

    r = cli->yes || cli->dry_run ? purge_confirmed(cli, escaped) : purge_asked(cli, escaped);
    mem_free(escaped);
    return r;
}

/* --- undelete --------------------------------------------------------------------------------- */

static void tell_restored(const struct cli *cli, const json_t *restored)
{
    cli_note("%s topic %s (%s)", cli->dry_run ? "would restore" : "restored",
            jstr(restored, "name", "?"), jstr(restored, "topic_id", "?"));
    if (!cli->dry_run && !json_is_true(json_object_get(restored, "ready"))) {
        cli_note("Not every leader has taken it up yet; clients wait for it by themselves.");
    }
}

/* What a broker gave up for want of space does not come back: who asks is told before anything is done, and must say
 * that the rest is wanted. EXIT_DONE = go on. */
static int admit_losses(const struct cli *cli, const char *escaped, bool is_partial)
{
    struct http_answer a = {0};
    char *path = mem_format("/v1/trash/%s", escaped);
    int r = EXIT_DONE;

    cli_http(cli, "GET", path, NULL, &a);
    json_t *item = a.status == 200 ? cli_answer_json(&a) : NULL;
    const json_t *emptied = json_object_get(item, "emptied_on");

    if (json_array_size(emptied) > 0) {
        char *ids = jids(emptied);
        if (is_partial) {
            cli_note("warning: broker %s gave up records of it when the disk was low; those "
                     "partitions come back without them, and offline",
                    ids);
        } else {
            r = cli_fail(EXIT_CONFLICT,
                    "Nothing was changed. To bring back what is left, with those partitions offline: "
                    "--partial. To be rid of it: weir trash purge.",
                    "broker %s gave up records of topic %s when the disk was low", ids,
                    jstr(item, "name", "?"));
        }
        mem_free(ids);
    } else if (item != NULL && json_is_null(json_object_get(item, "bytes"))) {
        cli_note("warning: not every broker that held it says whether its records are still there");
    }
    json_decref(item);
    http_answer_deinit(&a);
    mem_free(path);
    return r;
}

static int restore(const struct cli *cli, const char *escaped, const char *name)
{
    struct http_answer a = {0};
    char *path =
            mem_format("/v1/trash/%s:restore%s", escaped, cli->dry_run ? "?dry_run=true" : "");
    json_t *body = name != NULL ? json_pack("{s:s}", "name", name) : json_object();
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    int r = EXIT_DONE;

    if (text == NULL) {
        r = cli_fail(EXIT_USAGE, "Topic names are letters, digits, '.', '_' and '-'.",
                "the name is not legal text");
    } else {
        cli_http(cli, "POST", path, text, &a);
        if (a.status == 200) {
            json_t *restored = cli_answer_json(&a);
            if (!cli_print_json(cli, restored, "name")) {
                tell_restored(cli, restored);
            }
            json_decref(restored);
        } else {
            r = cli_http_fail(&a);
        }
        http_answer_deinit(&a);
    }
    free(text);
    json_decref(body);
    mem_free(path);
    return r;
}

static int undelete(const struct cli *cli, const char *which, const char *name, bool is_partial)
{
    char *escaped = url_escape(which);
    int r = admit_losses(cli, escaped, is_partial);

    if (r == EXIT_DONE) {
        r = restore(cli, escaped, name);
    }
    mem_free(escaped);
    return r;
}

static int topic_undelete(struct cli *cli, int argc, char **argv)
{
    const char *which = NULL, *name = NULL;
    bool is_partial = false;
    const struct cli_opt opts[] = {
            {0, "as", OPT_STR, &name, "NAME", "under this name (the one that it had)", 0, 0},
            {0, "partial", OPT_FLAG, &is_partial, NULL, "also when a broker gave up some of its records",
                    0, 0}};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, &which, 1, 1);

    return r < 0 ? undelete(cli, which, name, is_partial) : r;
}

const struct cli_command cli_topic_undelete = {
        .noun = "topic",
        .verb = "undelete",
        .summary = "bring a deleted topic back, with its records, offsets and configuration",
        .usage = "NAME|ID [--as NAME]",
        .details = "Until weir.delete.grace.ms is over. The id says which one is meant when several "
                   "had the name.\n",
        .examples = "  weir topic undelete orders\n"
                    "  weir topic undelete orders --as orders-restored\n",
        .run = topic_undelete,
};
const struct cli_command cli_trash_list = {
        .noun = "trash",
        .verb = "list",
        .summary = "deleted topics that can be brought back",
        .usage = "",
        .details = "",
        .examples = "  weir trash list\n"
                    "  weir trash list -O json\n",
        .run = trash_list,
};
const struct cli_command cli_trash_purge = {
        .noun = "trash",
        .verb = "purge",
        .summary = "end a deleted topic for good and free its space",
        .usage = "NAME|ID [-y]",
        .details = "Asks for the name to be typed; -y does without.\n",
        .examples = "  weir trash purge orders\n",
        .run = trash_purge,
};
