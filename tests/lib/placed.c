/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/placed.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "tests/lib/cluster.h"

#include <jansson.h>

/* json_decref; NULL = nobody says. */
static json_t *partition_of(const char *topic)
{
    char *path = mem_format("/v1/topics/%s/partitions", topic);
    struct buf body = {0};
    json_t *p = NULL;

    if (http_request(controller_port(1), "GET", path, NULL, false, &body) == 200) {
        json_t *o = json_loads(buf_str(&body), 0, NULL);
        p = json_incref(json_array_get(json_object_get(o, "items"), 0));
        json_decref(o);
    }
    buf_deinit(&body);
    mem_free(path);
    return p;
}

int placed_number(const char *topic, const char *key)
{
    json_t *p = partition_of(topic);
    int n = (int)json_integer_value(json_object_get(p, key));

    json_decref(p);
    return n;
}

bool placed_in_sync(const char *topic, size_t n)
{
    json_t *p = partition_of(topic);
    bool has = json_integer_value(json_object_get(p, "leader")) > 0 &&
               json_array_size(json_object_get(p, "isr")) == n;

    json_decref(p);
    return has;
}
