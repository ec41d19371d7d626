/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"

#include <weir/weir.h>

/* libweir for the commands that move records. */

/* A client of the cluster that `cli` names; `pairs` are further "key=value" properties, ended by NULL. NULL: said,
 * *ret_exit set. */
struct weir_client *cli_client(const struct cli *cli, const char *const *pairs, int *ret_exit);
/* The topic's metadata, or NULL when there is no such topic or no broker answers: said, *ret_exit set. */
struct weir_metadata *cli_topic(
        const struct cli *cli, struct weir_client *client, const char *topic, int *ret_exit);
/* --timeout as libweir takes it. */
int cli_weir_timeout(const struct cli *cli);
/* Says the error and returns the exit code that fits it. */
int cli_weir_fail(const struct weir_error *error);
