/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"

#include <stdio.h>

/* weir-broker: exit codes 0 = orderly stop, 1 = could not start or had to give up, 2 = command line or configuration. */
int main(int argc, char **argv)
{
    struct conf *conf = conf_new(conf_broker_keys, conf_n_broker_keys);
    enum log_level level = LOG_INFO;
    char name[32];
    int r;

    r = conf_main(conf, "weir-broker", "Holds partition logs and serves producers and consumers.",
            argc, argv);
    if (r != 0) {
        (void)conf_free(conf);
        return r == 1 ? 0 : 2;
    }
    (void)log_level_parse(conf_str(conf, "log.level"), &level);
    log_set_level(level);
    (void)snprintf(name, sizeof(name), "broker-%lld", (long long)conf_i64(conf, "broker.id"));
    log_set_daemon(name);
    r = broker_run(conf);
    (void)conf_free(conf);
    return r;
}
