/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/json.h"

#include "common/base/array.h"

#include <inttypes.h>
#include <stdio.h>

static void add_row(struct cli_table *t, const json_t *c)
{
    const json_t *epoch = json_object_get(c, "epoch");
    char *id = mem_format("%" PRId64, jint(c, "id", -1));
    char *epoch_text = json_is_integer(epoch)
                               ? mem_format("%" PRId64, (int64_t)json_integer_value(epoch))
                               : mem_strdup("-");
    const char *cells[] = {id, jstr(c, "state", "?"), jstr(c, "url", "?"), epoch_text,
            jstr(c, "since", "-"), jstr(c, "version", "-")};

    cli_table_add(t, cells);
    mem_free(id);
    mem_free(epoch_text);
}

static int controller_list(struct cli *cli, int argc, char **argv)
{
    static const char *const heads[] = {"ID", "STATE", "URL", "EPOCH", "SINCE", "VERSION"};
    size_t i;
    json_t *one;
    int r = cli_parse(cli, NULL, 0, argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    json_t *list = cli_get(cli, "/v1/controllers", &r);
    if (list == NULL) {
        return r;
    }
    if (!cli_print_json(cli, list, "id")) {
        struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
        json_array_foreach(list, i, one)
        {
            add_row(t, one);
        }
        cli_table_print_free(t);
    }
    json_decref(list);
    return EXIT_DONE;
}

static int controller_transfer(struct cli *cli, int argc, char **argv)
{
    int64_t to = -1;
    const struct cli_opt opts[] = {
            {0, "to", OPT_I64, &to, "ID", "the standby that takes over (default: the one that "
                                          "reaches most brokers)",
                    0, INT32_MAX},
    };
    struct http_answer a = {0};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    if (r >= 0) {
        return r;
    }
    if (cli->dry_run) {
        return cli_fail(EXIT_USAGE, "`weir controller list` shows who stands by.",
                "a transfer has no dry run");
    }
    char *body = to >= 0 ? mem_format("{\"to\": %" PRId64 "}", to) : mem_strdup("{}");
    cli_http(cli, "POST", "/v1/controllers:transfer", body, &a);
    mem_free(body);
    if (a.status != 200) {
        r = cli_http_fail(&a);
        http_answer_deinit(&a);
        return r;
    }
    json_t *answer = cli_answer_json(&a);
    if (!cli_print_json(cli, answer, "to")) {
        printf("controller %" PRId64 " is active, under epoch %" PRId64 "; controller %" PRId64
               " stands by\n",
                jint(answer, "to", -1), jint(answer, "epoch", 0), jint(answer, "from", -1));
    }
    json_decref(answer);
    http_answer_deinit(&a);
    return EXIT_DONE;
}

const struct cli_command cli_controller_list = {
        .noun = "controller",
        .verb = "list",
        .summary = "controllers, and which is active",
        .usage = "",
        .details = "",
        .examples = "  weir controller list\n",
        .run = controller_list,
};
const struct cli_command cli_controller_transfer = {
        .noun = "controller",
        .verb = "transfer",
        .summary = "hand the active role to a standby",
        .usage = "[--to ID]",
        .details = "Before a machine is taken down: nobody waits for a session to end, and there "
                   "is no moment\nwithout a controller.\n",
        .examples = "  weir controller transfer\n"
                    "  weir controller transfer --to 2\n",
        .run = controller_transfer,
};
