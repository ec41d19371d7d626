/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum {
    LISTENERS_MAX = 3
};

static void parse_addresses(const char *text)
{
    struct conf_listener listeners[LISTENERS_MAX];
    char error[64];
    char host[20];
    size_t n = 0;
    uint16_t port = 0;

    if (conf_parse_listeners(text, listeners, LISTENERS_MAX, &n, error, sizeof(error)) == 0) {
        must(n <= LISTENERS_MAX);
        for (size_t i = 0; i < n; i++) {
            must(listeners[i].name[0] != '\0');
            must(listeners[i].host[0] != '\0');
            must(listeners[i].port != 0);
        }
    } else {
        must(strlen(error) > 0);
    }
    if (conf_parse_address(text, host, sizeof(host), &port) == 0) {
        must(host[0] != '\0');
    }
}

/* The first byte chooses the table and how much room there is for the refusals. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[512];

    if (size == 0) {
        return 0;
    }
    size_t error_size = 1 + (size_t)data[0] * 2;
    struct conf *c = (data[0] & 1) != 0 ? conf_new(conf_broker_keys, conf_n_broker_keys)
                                        : conf_new(conf_controller_keys, conf_n_controller_keys);
    int r = conf_load_text(c, "fuzz", (const char *)data + 1, size - 1, error, error_size);
    must(strlen(error) < error_size);
    must(r == 0 || error_size == 1 || error[0] != '\0');
    if (conf_finish(c, error, error_size) == 0) {
        must(conf_str(c, "zookeeper.connect") != NULL);
    }
    char *text = mem_strndup((const char *)data + 1, size - 1);
    r = conf_set(c, text, error, error_size);
    must(r == 0 || r == CONF_E_REFUSED);
    parse_addresses(text);
    mem_free(text);
    conf_free(c);
    return 0;
}
