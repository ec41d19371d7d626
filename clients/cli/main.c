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
        &cli_broker_list,
        &cli_topic_create,
        &cli_topic_list,
        &cli_topic_describe,
        &cli_topic_delete,
        &cli_produce,
        &cli_consume,
        &cli_dev_up,
        &cli_dev_status,
        &cli_dev_down,
        &cli_dev_start,
        &cli_dev_stop,
        &cli_dev_kill,
        &cli_version,
};
const size_t cli_n_commands = COUNT_OF(cli_commands);

static void print_overview(FILE *out, const char *noun)
{
    fprintf(out, "usage: weir <noun> <verb> [options]\n\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        char name[64];
        if (noun != NULL && strcmp(noun, c->noun) != 0) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s%s%s", c->noun, c->verb != NULL ? " " : "",
                c->verb != NULL ? c->verb : "");
        fprintf(out, "  weir %-18s %s\n", name, c->summary);
    }
    fprintf(out, "\n  weir help <noun> [verb]   options and runnable examples\n"
                 "\nThe cluster is found through --brokers or WEIR_BROKERS (default "
                 "127.0.0.1:9190) and, for\n"
                 "administration, --controller or WEIR_CONTROLLER (default: the one the brokers "
                 "name).\n");
}

static int unknown_command(const char *noun, const char *verb)
{
    const struct cli_command *nearest = NULL;
    size_t nearest_edits = SIZE_MAX;
    bool noun_exists = false;

    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        size_t distance = conf_edit_distance(noun, c->noun);
        noun_exists = noun_exists || distance == 0;
        if (c->verb != NULL) {
            distance += verb != NULL ? conf_edit_distance(verb, c->verb) : 1;
        }
        if (distance < nearest_edits) {
            nearest_edits = distance;
            nearest = c;
        }
    }
    if (noun_exists && verb == NULL) {
        fprintf(stderr, "error: `weir %s` needs a verb\n\n", noun);
        print_overview(stderr, noun);
        return EXIT_USAGE;
    }
    char hint[128];
    (void)snprintf(hint, sizeof(hint),
            "Did you mean `weir %s%s%s`? `weir help` lists all commands.", nearest->noun,
            nearest->verb != NULL ? " " : "", nearest->verb != NULL ? nearest->verb : "");
    return cli_fail(EXIT_USAGE, hint, "there is no command `weir %s%s%s`", noun,
            verb != NULL ? " " : "", verb != NULL ? verb : "");
}

static const struct cli_command *find_command(const char *noun, const char *verb)
{
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        if (strcmp(c->noun, noun) == 0 &&
                (c->verb == NULL || (verb != NULL && strcmp(c->verb, verb) == 0))) {
            return c;
        }
    }
    return NULL;
}

static int help(struct cli *cli, int argc, char **argv)
{
    char *help_argv[] = {argv[0], (char[]){"--help"}, NULL};

    if (argc == 0) {
        print_overview(stdout, NULL);
        return EXIT_DONE;
    }
    const struct cli_command *c = find_command(argv[0], argc > 1 ? argv[1] : NULL);
    if (c != NULL) {
        cli->command = c;
        return c->run(cli, 2, help_argv);
    }
    for (size_t i = 0; argc == 1 && i < cli_n_commands; i++) {
        if (strcmp(cli_commands[i]->noun, argv[0]) == 0) {
            print_overview(stdout, argv[0]);
            for (size_t j = i; j < cli_n_commands && strcmp(cli_commands[j]->noun, argv[0]) == 0;
                    j++) {
                printf("%s", cli_commands[j]->examples);
            }
            return EXIT_DONE;
        }
    }
    return unknown_command(argv[0], argc > 1 ? argv[1] : NULL);
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
    bool verb_given = argc > 2 && argv[2][0] != '-';
    const struct cli_command *c = find_command(argv[1], verb_given ? argv[2] : NULL);
    if (c == NULL) {
        return unknown_command(argv[1], verb_given ? argv[2] : NULL);
    }
    cli.command = c;
    int skip = c->verb != NULL ? 2 : 1;
    return c->run(&cli, argc - skip, argv + skip);
}
