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
           "A key marked *dynamic* may also be changed while the cluster runs; what was set so "
           "survives restarts. Of several\n"
           "values the first that is given counts: the broker's own (`weir broker config set N "
           "key=value`), the cluster's for all\n"
           "brokers (`weir cluster config set key=value`), the file's, the default. `weir broker "
           "config list N` says which it was.\n\n"
           "## Controller\n\n");
    conf_print_markdown(conf_controller_keys, conf_n_controller_keys);
    printf("\n## Broker\n\n");
    conf_print_markdown(conf_broker_keys, conf_n_broker_keys);
    printf("\n## Topic\n\nGiven when a topic is created (`weir topic create T -c key=value`) or "
           "later (`weir topic set T key=value`, back to the\ncluster's value: `weir topic unset T "
           "key`). Open logs follow at once.\n\n");
    conf_print_markdown(conf_topic_keys, conf_n_topic_keys);
    printf("\n## Cluster\n\nHeld in the metadata and changed with `weir cluster config set "
           "key=value` and `weir cluster config unset key`: the\ndefaults of topics, which every "
           "topic without a value of its own follows at once, and those of brokers. A daemon's\n"
           "file that names a topic's or the cluster's key is refused.\n\n");
    conf_print_markdown(conf_cluster_keys, conf_n_cluster_keys);
    return 0;
}
