/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/seen.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *urls[2];

void seen_from(const char *first, const char *second)
{
    urls[0] = first;
    urls[1] = second;
}

static json_t *get_url(const char *url, const char *path)
{
    struct run_result r = {0};
    char *whole = mem_format("%s%s", url, path);

    run_program((const char *const[]){"curl", "-sf", "--noproxy", "*", "-m", "3", whole, NULL},
            NULL, &r);
    json_t *o = r.code == 0 ? json_loads(buf_str(&r.out), 0, NULL) : NULL;
    run_result_deinit(&r);
    mem_free(whole);
    return o;
}

json_t *seen_get(const char *path)
{
    struct buf body = {0};
    json_t *o = NULL;

    for (int i = 0; i < 2 && o == NULL && urls[0] != NULL; i++) {
        o = get_url(urls[i], path);
    }
    for (int id = 1; id <= 2 && o == NULL && urls[0] == NULL; id++) {
        if (http_request(controller_port(id), "GET", path, NULL, false, &body) == 200) {
            o = json_loads(buf_str(&body), 0, NULL);
        }
    }
    buf_deinit(&body);
    return o;
}

json_t *seen_call(const char *method, const char *path, const char *body)
{
    struct buf answer = {0};
    int status = http_request(controller_port(1), method, path, body, false, &answer);

    CHECK_EQ(status / 100, 2);
    json_t *o = json_loads(buf_str(&answer), 0, NULL);

    CHECK(o != NULL);
    buf_deinit(&answer);
    return o;
}

static int64_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static json_t *partitions_of(const char *topic)
{
    char *path = mem_format("/v1/topics/%s/partitions", topic);
    json_t *o = seen_get(path);

    mem_free(path);
    return o;
}

bool seen_all_have(const char *topic, size_t n_isr)
{
    json_t *o = partitions_of(topic);
    const json_t *p, *items = json_object_get(o, "items");
    size_t i, n = 0, n_partitions = json_array_size(items);

    json_array_foreach(items, i, p)
    {
        n += number(p, "leader") > 0 && json_array_size(json_object_get(p, "isr")) == n_isr ? 1 : 0;
    }
    json_decref(o);
    return n > 0 && n == n_partitions;
}

bool seen_nobody_leads(const char *topic)
{
    json_t *o = partitions_of(topic);
    const json_t *p, *items = json_object_get(o, "items");
    size_t i, n = 0, n_partitions = json_array_size(items);

    json_array_foreach(items, i, p)
    {
        n += json_is_null(json_object_get(p, "leader")) ? 1 : 0;
    }
    json_decref(o);
    return n > 0 && n == n_partitions;
}

int seen_leader(const char *topic)
{
    json_t *o = partitions_of(topic);
    const json_t *p = json_array_get(json_object_get(o, "items"), 0);
    int leader = p != NULL ? (int)number(p, "leader") : -1;

    json_decref(o);
    return leader;
}

size_t seen_n_isr(const char *topic)
{
    json_t *o = partitions_of(topic);
    const json_t *p = json_array_get(json_object_get(o, "items"), 0);
    size_t n = json_array_size(json_object_get(p, "isr"));

    json_decref(o);
    return n;
}

int64_t seen_leader_epoch(const char *topic)
{
    json_t *o = partitions_of(topic);
    int64_t epoch = number(json_array_get(json_object_get(o, "items"), 0), "leader_epoch");

    json_decref(o);
    return epoch;
}

/* json_decref; the broker's entry is borrowed from it. */
static json_t *brokers(int id, const json_t **ret)
{
    json_t *o = seen_get("/v1/brokers");
    const json_t *b;
    size_t i;

    *ret = NULL;
    json_array_foreach(json_object_get(o, "items"), i, b)
    {
        *ret = number(b, "id") == id ? b : *ret;
    }
    return o;
}

int64_t seen_broker_epoch(int id)
{
    const json_t *b;
    json_t *o = brokers(id, &b);
    int64_t epoch = number(b, "epoch");

    json_decref(o);
    return epoch;
}

bool seen_broker_says(int id, const char *key, const char *value)
{
    const json_t *b;
    json_t *o = brokers(id, &b);
    const char *text = json_string_value(json_object_get(b, key));
    bool does = text != NULL && strcmp(text, value) == 0;

    json_decref(o);
    return does;
}

int seen_active_controller(void)
{
    json_t *o = seen_get("/v1/cluster");
    int id = (int)number(json_object_get(o, "controller"), "id");

    json_decref(o);
    return id;
}

void seen_probe(const char *topic)
{
    static int n;
    struct run_result r = {0};
    char value[32];

    (void)snprintf(value, sizeof(value), "probe-%d\n", ++n);
    WEIR_WITH(&r, (&(struct run_options){.input = value}), "produce", topic, "-p", "0");
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
}
