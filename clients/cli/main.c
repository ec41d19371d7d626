/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/cli.h"

#include "common/base/array.h"
#include "common/conf/conf.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_command *const cli_commands[] = {
        &cli_status,
        &cli_cluster_config_list,
        &cli_cluster_config_get,
        &cli_cluster_config_set,
        &cli_cluster_config_unset,
        &cli_broker_list,
        &cli_broker_describe,
        &cli_broker_stop_check,
        &cli_broker_cordon,
        &cli_broker_drain,
        &cli_broker_undrain,
        &cli_broker_decommission,
        &cli_broker_forget,
        &cli_broker_config_list,
        &cli_broker_config_set,
        &cli_broker_config_unset,
        &cli_controller_list,
        &cli_controller_transfer,
        &cli_topic_create,
        &cli_topic_list,
        &cli_topic_describe,
        &cli_topic_set,
        &cli_topic_unset,
        &cli_topic_add_partitions,
        &cli_topic_replicate,
        &cli_topic_trim,
        &cli_topic_delete,
        &cli_topic_undelete,
        &cli_partition_list,
        &cli_partition_elect,
        &cli_partition_move,
        &cli_balance_plan,
        &cli_balance_apply,
        &cli_balance_status,
        &cli_balance_cancel,
        &cli_ops_list,
        &cli_ops_watch,
        &cli_ops_cancel,
        &cli_trash_list,
        &cli_trash_purge,
        &cli_explain,
        &cli_meta_export,
        &cli_meta_rebuild,
        &cli_log_dump,
        &cli_log_verify,
        &cli_produce,
        &cli_consume,
        &cli_dev_up,
        &cli_dev_status,
        &cli_dev_down,
        &cli_dev_start,
        &cli_dev_stop,
        &cli_dev_kill,
        &cli_dev_torture,
        &cli_version,
};
const size_t cli_n_commands = COUNT_OF(cli_commands);

enum {
    NAME_SIZE = 96,
    WORDS_MAX = 3 /* of a command's name */
};

/* "topic create", "cluster config set". */
static const char *name_of(const struct cli_command *c, char text[NAME_SIZE])
{
    (void)snprintf(text, NAME_SIZE, "%s%s%s", c->noun, c->verb != NULL ? " " : "",
            c->verb != NULL ? c->verb : "");
    return text;
}

static int count_words(const char *text)
{
    int n = 1;

    for (; *text != '\0'; text++) {
        n += *text == ' ' ? 1 : 0;
    }
    return n;
}

/* Up to `n` words before the first option, joined by blanks; cut when they are longer than any
 * name. */
static const char *join_words(int n, char **words, char text[NAME_SIZE])
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < n && words[i][0] != '-' && at < NAME_SIZE - 1; i++) {
        int size = snprintf(text + at, NAME_SIZE - at, "%s%s", i > 0 ? " " : "", words[i]);
        must(size >= 0);
        at += (size_t)size;
    }
    return text;
}

/* Whether `name` is `words` or goes on with another word after them. */
static bool begins_with(const char *name, const char *words)
{
    size_t size = strlen(words);

    return strncmp(name, words, size) == 0 && (name[size] == '\0' || name[size] == ' ');
}

/* `words` NULL = all commands. */
static void print_overview(FILE *out, const char *words)
{
    char name[NAME_SIZE];

    fprintf(out, "usage: weir <noun> <verb> [options]\n\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        (void)name_of(cli_commands[i], name);
        if (words == NULL || begins_with(name, words)) {
            fprintf(out, "  weir %-20s %s\n", name, cli_commands[i]->summary);
        }
    }
    fprintf(out, "\n  weir help <noun> [verb]     options and runnable examples\n"
                 "\nThe cluster is found through --brokers or WEIR_BROKERS (default "
                 "127.0.0.1:9190) and, for\n"
                 "administration, --controller or WEIR_CONTROLLER (default: the one the brokers "
                 "name).\n");
}

/* Says that it is none, or lacks a word, and what is near. */
static int unknown_command(int n, char **words)
{
    char given[NAME_SIZE], name[NAME_SIZE], nearest[NAME_SIZE] = "", hint[2 * NAME_SIZE];
    size_t nearest_edits = SIZE_MAX;
    bool is_begun = false;

    (void)join_words(n, words, given);
    for (size_t i = 0; i < cli_n_commands; i++) {
        char same_length[NAME_SIZE];
        int n_words = count_words(name_of(cli_commands[i], name));
        (void)join_words(n < n_words ? n : n_words, words, same_length);
        size_t edits = conf_edit_distance(same_length, name);
        is_begun = is_begun || begins_with(name, given);
        if (edits < nearest_edits) {
            nearest_edits = edits;
            (void)snprintf(nearest, sizeof(nearest), "%s", name);
        }
    }
    if (is_begun) {
        fprintf(stderr, "error: `weir %s` needs a verb\n\n", given);
        print_overview(stderr, given);
        return EXIT_USAGE;
    }
    (void)join_words(n < WORDS_MAX ? n : count_words(nearest), words, given);
    (void)snprintf(
            hint, sizeof(hint), "Did you mean `weir %s`? `weir help` lists all commands.", nearest);
    return cli_fail(EXIT_USAGE, hint, "there is no command `weir %s`", given);
}

/* The command whose whole name the first words are; `*ret_n` = how many those are. */
static const struct cli_command *find_command(int n, char **words, int *ret_n)
{
    char name[NAME_SIZE], given[NAME_SIZE];

    for (size_t i = 0; i < cli_n_commands; i++) {
        int n_words = count_words(name_of(cli_commands[i], name));
        if (n_words <= n && strcmp(join_words(n_words, words, given), name) == 0) {
            *ret_n = n_words;
            return cli_commands[i];
        }
    }
    return NULL;
}

/* Of all commands whose names begin so; false when there are none. */
static bool help_on(const char *words)
{
    char name[NAME_SIZE];
    bool is_any = false;

    for (size_t i = 0; i < cli_n_commands; i++) {
        if (begins_with(name_of(cli_commands[i], name), words)) {
            if (!is_any) {
                print_overview(stdout, words);
            }
            printf("%s", cli_commands[i]->examples);
            is_any = true;
        }
    }
    return is_any;
}

static int help(struct cli *cli, int argc, char **argv)
{
    char *help_argv[] = {argv[0], (char[]){"--help"}, NULL};
    char given[NAME_SIZE];
    int n_words = 0;

    if (argc == 0) {
        print_overview(stdout, NULL);
        return EXIT_DONE;
    }
    const struct cli_command *c = find_command(argc, argv, &n_words);
    if (c != NULL) {
        cli->command = c;
        return c->run(cli, 2, help_argv);
    }
    return help_on(join_words(argc, argv, given)) ? EXIT_DONE : unknown_command(argc, argv);
}

int main(int argc, char **argv)
{
    struct cli cli = {.program = argv[0], .timeout_ms = 30000, .reason = ""};

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_overview(stderr, NULL);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0) {
        return help(&cli, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return help(&cli, 0, argv);
    }
    if (strcmp(argv[1], "--version") == 0) {
        cli.command = &cli_version;
        return cli_version.run(&cli, 1, argv);
    }
    int n_words = 0;
    const struct cli_command *c = find_command(argc - 1, argv + 1, &n_words);
    if (c == NULL) {
        return unknown_command(argc - 1, argv + 1);
    }
    cli.command = c;
    return c->run(&cli, argc - n_words, argv + n_words);
}
