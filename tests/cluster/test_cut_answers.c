/* SPDX-License-Identifier: Apache-2.0 */
/* Producing through a proxy that cuts answers: with idempotence nothing is there twice, without it something is. */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINES = 40000,
    CUTS = 12
};

static struct proxy *proxy;
static char *outside; /* the proxy's address */

/* The broker gets a second listener, which clients know by the proxy's port. */
static void need_proxied_broker(void)
{
    if (cluster_is_up()) {
        return;
    }
    cluster_up_small();
    int port = free_port_base();
    proxy = proxy_new((uint16_t)port);
    outside = mem_format("127.0.0.1:%u", proxy_port(proxy));
    char *path = node_path("broker-1", "broker.conf");
    struct run_result r = {0};
    node_stop("broker-1");
    run_program((const char *const[]){"sed", "-i", "/listeners/d", path, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    FILE *f = fopen(path, "ae");
    CHECK(f != NULL);
    CHECK(fprintf(f,
                  "listeners = weir://127.0.0.1:%d,outside://127.0.0.1:%d\n"
                  "advertised.listeners = weir://127.0.0.1:%d,outside://%s\n",
                  broker_port(1), port, broker_port(1), outside) > 0);
    CHECK_EQ(fclose(f), 0);
    node_start("broker-1");
    node_wait_ready("broker-1");
    mem_free(path);
}

static char *numbered_lines(void)
{
    char *path = mem_format("%s/lines", test_folder());
    FILE *f = fopen(path, "we");

    CHECK(f != NULL);
    for (int i = 0; i < LINES; i++) {
        CHECK(fprintf(f, "line %d of those that are counted\n", i) > 0);
    }
    CHECK_EQ(fclose(f), 0);
    return path;
}

/* Produces all lines while connections are cut inside the broker's answers; how many cuts there were. */
static unsigned produce_while_cut(const char *topic, const char *path, const char *how)
{
    struct prng prng;
    unsigned n = 0;

    prng_init(&prng, check_seed());
    proxy_delay(proxy, 2); /* so that several batches are out when it happens */
    pid_t pid = WEIR_BACKGROUND("produce.out", path, "produce", topic, "--brokers", outside, "-X",
            "batch.size=8192", "-X", "retry.backoff.ms=5", "-X", "reconnect.backoff.ms=5", "-X",
            "reconnect.backoff.max.ms=20", "-X", how);
    uint64_t before = proxy_bytes(proxy, PROXY_DOWN);
    CHECK_WITHIN(20000, proxy_bytes(proxy, PROXY_DOWN) > before + 1000);
    while (process_is_alive(pid) && n < CUTS) {
        proxy_cut_after(proxy, PROXY_DOWN, 1 + prng_below(&prng, 300));
        CHECK_WITHIN(20000, proxy_has_cut(proxy) || !process_is_alive(pid));
        n += proxy_has_cut(proxy);
    }
    proxy_cut_after(proxy, PROXY_DOWN, UINT64_MAX);
    proxy_delay(proxy, 0);
    CHECK_EQ(run_wait(pid, 0, 60000), 0);
    return n;
}

/* Lines of the topic; *ret_same = they are those of the file, in order. */
static unsigned long consume(const char *topic, const char *path, bool *ret_same)
{
    char *out = mem_format("%s/%s.out", test_folder(), topic);
    char *command = mem_format("wc -l <%s; cmp -s %s %s && echo same", out, path, out);
    struct run_result r = {0};

    WEIR_WITH(&r, (&(struct run_options){.output_path = out}), "consume", topic, "-o", "start",
            "--exit-at-end");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    unsigned long n = strtoul(buf_str(&r.out), NULL, 10);
    *ret_same = strstr(buf_str(&r.out), "same") != NULL;
    run_result_deinit(&r);
    mem_free(command);
    mem_free(out);
    return n;
}

static void nothing_is_there_twice_when_answers_are_cut(void) /* [CLI-1] */
{
    bool is_same = false;

    need_proxied_broker();
    char *path = numbered_lines();
    (void)WEIR_OK("topic", "create", "once", "-p", "1");
    unsigned n = produce_while_cut("once", path, "enable.idempotence=true");
    CHECK(n >= CUTS / 2);
    CHECK_EQ(consume("once", path, &is_same), LINES);
    CHECK(is_same);
    mem_free(path);
}

/* That the proxy does what the case above stands on. */
static void without_idempotence_something_is(void)
{
    bool is_same = false;

    need_proxied_broker();
    char *path = numbered_lines();
    (void)WEIR_OK("topic", "create", "perhaps-twice", "-p", "1");
    (void)produce_while_cut("perhaps-twice", path, "enable.idempotence=false");
    CHECK(consume("perhaps-twice", path, &is_same) > LINES);
    mem_free(path);
}

static void the_cluster_goes_down_whole(void)
{
    need_proxied_broker();
    cluster_down();
    proxy = proxy_free(proxy);
    outside = mem_free(outside);
    CHECK(!cluster_is_up());
}

static const struct check_case cases[] = {
        CASE(nothing_is_there_twice_when_answers_are_cut),
        CASE(without_idempotence_something_is),
        CASE(the_cluster_goes_down_whole),
};

CHECK_MAIN("cut_answers", cases)
