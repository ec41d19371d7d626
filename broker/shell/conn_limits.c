/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/conn_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

struct conn_ip {
    char ip[48];
    int64_t n;
    UT_hash_handle hh;
};

void conn_limits_init(struct conn_limits *l, int64_t max, int64_t max_per_ip)
{
    *l = (struct conn_limits){.max = max, .max_per_ip = max_per_ip};
    (void)pthread_mutex_init(&l->lock, NULL);
}

void conn_limits_deinit(struct conn_limits *l)
{
    struct conn_ip *ip, *next;

    HASH_ITER(hh, l->by_ip, ip, next)
    {
        HASH_DEL(l->by_ip, ip);
        (void)mem_free(ip);
    }
    (void)pthread_mutex_destroy(&l->lock);
}

void conn_limits_set(struct conn_limits *l, int64_t max, int64_t max_per_ip)
{
    (void)pthread_mutex_lock(&l->lock);
    l->max = max;
    l->max_per_ip = max_per_ip;
    (void)pthread_mutex_unlock(&l->lock);
}

static void ip_text(const struct sockaddr_storage *peer, struct conn_slot *ret)
{
    const char *text = NULL;

    *ret = (struct conn_slot){.ip = ""};
    if (peer->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, peer, sizeof(in));
        text = inet_ntop(AF_INET, &in.sin_addr, ret->ip, sizeof(ret->ip));
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, peer, sizeof(in6));
        text = inet_ntop(AF_INET6, &in6.sin6_addr, ret->ip, sizeof(ret->ip));
    }
    if (text == NULL) {
        memcpy(ret->ip, "?", 2);
    }
}

const char *conn_limits_enter(
        struct conn_limits *l, const struct sockaddr_storage *peer, struct conn_slot *ret)
{
    const char *refusal = NULL;
    struct conn_ip *ip = NULL;

    ip_text(peer, ret);
    (void)pthread_mutex_lock(&l->lock);
    HASH_FIND_STR(l->by_ip, ret->ip, ip);
    if (l->n >= l->max) {
        refusal = "max.connections is reached";
    } else if (ip != NULL && ip->n >= l->max_per_ip) {
        refusal = "max.connections.per.ip is reached for this address";
    } else {
        if (ip == NULL) {
            ip = mem_new(struct conn_ip);
            memcpy(ip->ip, ret->ip, sizeof(ip->ip));
            HASH_ADD_STR(l->by_ip, ip, ip);
        }
        ip->n++;
        l->n++;
    }
    metric_set(METRIC_BROKER_CONNECTIONS, l->n);
    (void)pthread_mutex_unlock(&l->lock);
    return refusal;
}

void conn_limits_leave(struct conn_limits *l, const struct conn_slot *slot)
{
    struct conn_ip *ip = NULL;

    (void)pthread_mutex_lock(&l->lock);
    HASH_FIND_STR(l->by_ip, slot->ip, ip);
    must(ip != NULL);
    ip->n--;
    l->n--;
    if (ip->n == 0) {
        HASH_DEL(l->by_ip, ip);
        (void)mem_free(ip);
    }
    metric_set(METRIC_BROKER_CONNECTIONS, l->n);
    (void)pthread_mutex_unlock(&l->lock);
}
