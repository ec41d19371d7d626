/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/map.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* How many client connections there are, in all and per address. Thread: any. */
struct conn_limits {
    pthread_mutex_t lock;
    int64_t max, max_per_ip; /* under lock */
    int64_t n;             /* under lock */
    struct conn_ip *by_ip; /* under lock */
};

/* A counted connection: give it back with conn_limits_leave(). */
struct conn_slot {
    char ip[48];
};

void conn_limits_init(struct conn_limits *l, int64_t max, int64_t max_per_ip);
/* New limits, for those who come from now on; nobody is closed. [CFG-12] */
void conn_limits_set(struct conn_limits *l, int64_t max, int64_t max_per_ip);
void conn_limits_deinit(struct conn_limits *l);
/* NULL when the connection is counted, else the sentence that says which limit refuses it. */
const char *conn_limits_enter(
        struct conn_limits *l, const struct sockaddr_storage *peer, struct conn_slot *ret);
void conn_limits_leave(struct conn_limits *l, const struct conn_slot *slot);
