/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta.h"

#include "common/base/array.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_json(json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags);

    if (text != NULL) {
        printf("%s\n", text);
    }
    free(text);
    json_decref(value);
}

static void print_record(void *ctx, const struct meta_record *r)
{
    print_json(meta_record_json(r), JSON_COMPACT);
}

static int write_file(const char *path, const struct meta_file *f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    size_t at = 0;
    ssize_t n = fd >= 0 ? 1 : -1;

    while (n > 0 && at < f->size) {
        n = write(fd, f->bytes + at, f->size - at);
        at += n > 0 ? (size_t)n : 0;
    }
    int error = n < 0 || at < f->size || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0 && close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        return cli_fail(EXIT_FAILED, "", "%s cannot be written: %s", path, strerror(error));
    }
    cli_note("wrote %s: metadata at index %" PRIu64 ", %zu topics, %zu partitions", path,
            f->head.index, image_n_topics(f->image), image_n_partitions(f->image));
    return EXIT_DONE;
}

/* The running cluster's, from any controller. */
static int download(struct cli *cli, struct meta_file *ret)
{
    struct http_answer a = {0};
    int r = -1;

    cli_http(cli, "GET", "/v1/metadata/image", NULL, &a);
    if (a.status == 200) {
        meta_file_take(ret, "the controller's image", a.body.data, a.body.size);
        a.body = (struct buf){0};
    } else {
        r = cli_http_fail(&a);
    }
    http_answer_deinit(&a);
    return r;
}

/* The newest of what stands at a path, offline. */
static int read_path(const char *path, struct meta_files *files, struct meta_file **ret)
{
    char error[1024];
    int r = meta_files_read(files, path);

    if (r >= 0) {
        return r;
    }
    for (size_t i = 0; i < files->n; i++) {
        if (!files->items[i].is_usable) {
            cli_note("note: %s is not used: %s", files->items[i].path, files->items[i].why);
        }
    }
    /* A folder's own image, also when the one that it keeps from before is newer. */
    if (files->n > 0 && files->items[0].is_usable) {
        *ret = &files->items[0];
        return -1;
    }
    int i = meta_choose(files->items, files->n, error, sizeof(error));
    if (i < 0) {
        return cli_fail(EXIT_FAILED, "", "%s: %s", path, error);
    }
    *ret = &files->items[i];
    return -1;
}

static int print(const struct cli *cli, const struct meta_file *f)
{
    if (cli->format == FORMAT_JSON) {
        print_json(meta_head_json(&f->head, f->image), JSON_INDENT(2));
    } else {
        print_json(meta_head_json(&f->head, f->image), JSON_COMPACT);
        image_snapshot(f->image, print_record, NULL);
    }
    if (fflush(stdout) != 0) {
        return cli_fail(EXIT_FAILED, "", "standard output cannot be written: %s", strerror(errno));
    }
    return EXIT_DONE;
}

static int meta_export(struct cli *cli, int argc, char **argv)
{
    const char *from = NULL, *to = NULL;
    const struct cli_opt opts[] = {
            {'F', "file", OPT_STR, &to, "FILE", "write the image itself into FILE", 0, 0},
            {0, "from", OPT_STR, &from, "PATH",
                    "a broker's log directory or a file, instead of a running cluster", 0, 0},
    };
    struct meta_file live = {0}, *f = &live;
    struct meta_files files = {0};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    if (r < 0) {
        r = from != NULL ? read_path(from, &files, &f) : download(cli, &live);
    }
    if (r < 0 && !f->is_usable) {
        r = cli_fail(EXIT_FAILED, "", "%s: %s", f->path, f->why);
    }
    if (r < 0) {
        meta_file_load(f);
        r = to != NULL ? write_file(to, f) : print(cli, f);
    }
    meta_file_deinit(&live);
    meta_files_deinit(&files);
    return r;
}

const struct cli_command cli_meta_export = {
        .noun = "meta",
        .verb = "export",
        .summary = "the cluster's metadata, as a file or as JSON lines",
        .usage = "[-F FILE] [--from PATH]",
        .details = "Without -F one line of JSON a record, the first one about the image itself; -O "
                   "json prints that alone.\n"
                   "With -F the file from which `weir meta rebuild` makes a new ZooKeeper tree. "
                   "--from works offline.\n",
        .examples = "  weir meta export -F metadata-$(date +%F).image\n"
                    "  weir meta export | jq -r 'select(.kind == \"create_topic\").name'\n"
                    "  weir meta export --from /var/lib/weir -O json\n",
        .run = meta_export,
};
