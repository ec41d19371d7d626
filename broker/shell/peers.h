/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"
#include "common/domain/image.h"

#include <pthread.h>

/* The other brokers as the image has them: where they listen, which incarnation they are, and whether they are active. The
 * control loop writes it, fetchers look where to dial. */
struct peers;

enum {
    PEER_HOST_SIZE = 256
};

struct peer_address {
    char host[PEER_HOST_SIZE];
    uint16_t port;
    int64_t epoch; /* the incarnation that is registered */
};

/* `listener`: the name of the one that brokers dial each other on; copied. */
struct peers *peers_new(const char *listener);
struct peers *peers_free(struct peers *t); /* takes NULL */
/* The image moved. True: an address or an incarnation is another one now. Thread: control. */
bool peers_update(struct peers *t, const struct image *image);
/* False: the image does not have it, or it has no such listener. Thread: any. */
bool peers_address(struct peers *t, broker_id id, struct peer_address *ret);
/* How the image has each replica of a partition. Pure. */
uint8_t peers_of(const struct image *image,
        const struct broker_set *replicas,
        struct replica_peer_view ret[REPLICAS_MAX]);
