/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/reach.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/registration.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/net/resolve.h"
#include "common/obs/log.h"
#include "common/zk/zk_servers.h"

enum {
    LOOK_MS = 1000,
    UNHEARD_S = 10, /* so long ungreeted, and so often said */
};

/* The look-up of one server that zookeeper.connect names. */
struct reach_lookup {
    struct reach *r;
    struct lookup *lookup; /* NULL = none under way */
    char *host;
};

struct reach {
    struct broker *b;
    char *trouble; /* the sentence; it never changes */
    struct timer look;
    wtime unheard_since, said_at; /* 0 = not */
    bool is_unheard;

    struct reach_lookup servers[ZK_SERVERS_MAX];
    size_t n_servers; /* 0: no advertised address is local */
    char *local;      /* the advertised addresses that are */
    bool is_warned;
};

/* --- Addresses ---------------------------------------------------------------------------------------------------- */

static bool same_address(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    const void *x = a, *y = b;

    if (a->sa_family != b->ss_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *i = x, *k = y;
        return i->sin_addr.s_addr == k->sin_addr.s_addr;
    }
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *i = x, *k = y;
        return memcmp(&i->sin6_addr, &k->sin6_addr, sizeof(i->sin6_addr)) == 0;
    }
    return false;
}

/* All of 127.0.0.0/8 is this machine's, whatever its interface says. */
static bool is_loopback(const struct sockaddr_storage *a)
{
    const void *at = a;

    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = at;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = at;
        return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    }
    return false;
}

/* Whether one of the addresses is this machine's; also when that cannot be found out: then nothing is claimed. */
static bool is_own(const struct resolved *found)
{
    struct ifaddrs *all = NULL;
    bool own = getifaddrs(&all) != 0;

    for (size_t i = 0; i < found->n && !own; i++) {
        own = is_loopback(&found->addr[i]);
        for (const struct ifaddrs *a = all; a != NULL && !own; a = a->ifa_next) {
            own = a->ifa_addr != NULL && same_address(a->ifa_addr, &found->addr[i]);
        }
    }
    if (all != NULL) {
        freeifaddrs(all);
    }
    return own;
}

/* "NAME://host:port, …" of what is advertised, or only of what works on this machine alone; mem_free. */
static char *advertised(const struct broker *b, bool only_local, size_t *ret_n)
{
    struct buf text = {0};

    *ret_n = 0;
    for (size_t i = 0; i < b->n_listeners; i++) {
        const struct conf_listener *a = &b->advertised[i];
        bool is_v6 = strchr(a->host, ':') != NULL;

        if (!only_local || conf_host_is_loopback(a->host)) {
            buf_append_format(&text, "%s%s://%s%s%s:%u", *ret_n > 0 ? ", " : "", a->name,
                    is_v6 ? "[" : "", a->host, is_v6 ? "]" : "", (unsigned)a->port);
            (*ret_n)++;
        }
    }
    (void)buf_str(&text);
    return (char *)text.data;
}

/* --- At the start ------------------------------------------------------------------------------------------------- */

/* [TRU-5] ZooKeeper is elsewhere, so this is a cluster of several machines: an address that works here only is a slip.
 * A name that cannot be looked up now says nothing. */
static void on_found(void *ctx, const struct resolved *found)
{
    struct reach_lookup *s = ctx;
    struct reach *r = s->r;

    s->lookup = NULL;
    if (found->n == 0 || r->is_warned || is_own(found)) {
        return;
    }
    r->is_warned = true;
    log_warn("reach", "advertised_address_local", KV_STR("address", r->local),
            KV_STR("zookeeper", s->host),
            KV_STR("reason",
                    "this address works only on this machine, and zookeeper.connect names a server "
                    "on another: a controller or client there cannot reach this broker; set "
                    "advertised.listeners to an address that others reach"));
}

static void look_up_servers(struct reach *r)
{
    struct zk_servers servers = {0};
    char error[256];
    size_t n_local = 0;

    r->local = advertised(r->b, true, &n_local);
    if (n_local > 0 && zk_servers_parse(conf_str(r->b->conf, "zookeeper.connect"), &servers, error,
                               sizeof(error)) == 0) {
        r->n_servers = servers.n;
    }
    for (size_t i = 0; i < r->n_servers; i++) {
        struct reach_lookup *s = &r->servers[i];

        s->r = r;
        s->host = mem_strdup(servers.at[i].host);
        s->lookup = resolver_start(
                r->b->resolver, r->b->control, s->host, servers.at[i].port, on_found, s);
    }
    zk_servers_deinit(&servers);
}

/* --- While it runs ------------------------------------------------------------------------------------------------ */

/* [TRU-6] */
static void on_look(void *ctx)
{
    struct reach *r = ctx;
    const struct broker *b = r->b;
    wtime now = loop_now(b->control);

    timer_set(&r->look, wtime_add(now, WTIME_MS(LOOK_MS)));
    if (b->is_stopping || !registration_stands(b->registration) || ctl_link_is_connected(b->ctl)) {
        r->unheard_since = r->said_at = 0;
        r->is_unheard = false;
        return;
    }
    if (r->unheard_since == 0) {
        r->unheard_since = now;
    }
    r->is_unheard = now - r->unheard_since >= WTIME_S(UNHEARD_S);
    if (r->is_unheard && (r->said_at == 0 || now - r->said_at >= WTIME_S(UNHEARD_S))) {
        r->said_at = now;
        log_warn("reach", "controller_missing", KV_I64("broker_epoch", broker_epoch(b)),
                KV_STR("reason", r->trouble));
    }
}

const char *reach_trouble(const struct reach *r)
{
    return r->is_unheard ? r->trouble : "";
}

struct reach *reach_new(struct broker *b)
{
    struct reach *r = mem_new(struct reach);
    size_t n = 0;
    char *all = advertised(b, false, &n);

    r->b = b;
    r->trouble = mem_format(
            "registered, and no controller has said a valid Hello for %d s or longer; it is to "
            "dial "
            "%s: check that a controller is active and what it says of this broker (weir status), "
            "that its machine reaches this address (advertised.listeners, firewalls), and that "
            "weir.cluster.secret.file is the same on both",
            UNHEARD_S, all);
    (void)mem_free(all);
    timer_init(&r->look, b->control, on_look, r);
    timer_set(&r->look, wtime_add(loop_now(b->control), WTIME_MS(LOOK_MS)));
    look_up_servers(r);
    return r;
}

struct reach *reach_free(struct reach *r)
{
    if (r == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < r->n_servers; i++) {
        if (r->servers[i].lookup != NULL) {
            lookup_cancel(r->servers[i].lookup);
        }
        (void)mem_free(r->servers[i].host);
    }
    timer_deinit(&r->look);
    (void)mem_free(r->local);
    (void)mem_free(r->trouble);
    return mem_free(r);
}
