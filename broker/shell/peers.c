/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/peers.h"

#include "common/base/array.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

struct peer {
    broker_id id;
    struct peer_address at;
};

struct peers {
    char *listener;
    pthread_mutex_t lock;
    ARRAY(struct peer) items; /* under lock; by id */
};

struct peers *peers_new(const char *listener)
{
    struct peers *t = mem_new(struct peers);

    t->listener = mem_strdup(listener);
    (void)pthread_mutex_init(&t->lock, NULL);
    return t;
}

struct peers *peers_free(struct peers *t)
{
    if (t == NULL) {
        return NULL;
    }
    array_deinit(&t->items);
    (void)pthread_mutex_destroy(&t->lock);
    mem_free(t->listener);
    return mem_free(t);
}

static bool is_same(const struct peer *a, const struct peer *b)
{
    return a->id == b->id && a->at.epoch == b->at.epoch && a->at.port == b->at.port &&
           strcmp(a->at.host, b->at.host) == 0;
}

bool peers_update(struct peers *t, const struct image *image)
{
    size_t n = 0;
    bool is_changed = false;

    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < image_n_brokers(image); i++) {
        const struct image_broker *b = image_broker_at(image, i);
        const struct endpoint *e = image_broker_endpoint(b, t->listener);
        struct peer p = {.id = b->id, .at = {.epoch = b->epoch}};

        if (e == NULL || strlen(e->host) >= sizeof(p.at.host)) {
            continue;
        }
        (void)snprintf(p.at.host, sizeof(p.at.host), "%s", e->host);
        p.at.port = e->port;
        if (n == t->items.n) {
            (void)array_push(&t->items);
        }
        is_changed = is_changed || !is_same(&t->items.items[n], &p);
        t->items.items[n++] = p;
    }
    is_changed = is_changed || n != t->items.n;
    t->items.n = n;
    (void)pthread_mutex_unlock(&t->lock);
    return is_changed;
}

bool peers_address(struct peers *t, broker_id id, struct peer_address *ret)
{
    bool is_there = false;

    (void)pthread_mutex_lock(&t->lock);
    ARRAY_FOREACH (p, &t->items) {
        if (p->id == id) {
            *ret = p->at;
            is_there = true;
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
    return is_there;
}

uint8_t peers_of(const struct image *image,
        const struct broker_set *replicas,
        struct replica_peer_view ret[REPLICAS_MAX])
{
    for (uint8_t i = 0; i < replicas->n; i++) {
        const struct image_broker *b = image_broker(image, replicas->at[i]);

        ret[i] = (struct replica_peer_view){.id = replicas->at[i],
                .epoch = b != NULL ? b->epoch : BROKER_EPOCH_NONE,
                .is_active = image_broker_is_active(image, replicas->at[i])};
    }
    return replicas->n;
}
