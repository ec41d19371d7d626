/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/ops/configuration.md from the key tables; `tests/tidy/tidy.py` compares. A tool of the build, not installed. */
#include "common/conf/conf.h"

#include <stdio.h>

int main(void)
{
    printf("# Configuration\n\n"
           "Made from the key tables in `common/conf/*.def`. Daemons read `key = value` lines from "
           "`--config FILE` and take\n"
           "`--set key=value` on top. An unknown key, a bad value or a key that belongs elsewhere "
           "is refused at start with file,\n"
           "line and the nearest known key. Durations take ms, s, m, h and d, sizes KiB, MiB and "
           "GiB.\n\n"
           "## Controller\n\n");
    conf_print_markdown(conf_controller_keys, conf_n_controller_keys);
    printf("\n## Broker\n\n");
    conf_print_markdown(conf_broker_keys, conf_n_broker_keys);
    printf("\n## Topic\n\nGiven when a topic is created: `weir topic create T -c key=value`.\n\n");
    conf_print_markdown(conf_topic_keys, conf_n_topic_keys);
    printf("\n## Cluster\n\nDefaults for topics, held in the metadata. They cannot be changed in "
           "this version; a daemon's file\n"
           "that names one is refused.\n\n");
    conf_print_markdown(conf_cluster_keys, conf_n_cluster_keys);
    return 0;
}
