/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_view.h"

#include "common/base/must.h"

#include <string.h>

/* --- Counts --------------------------------------------------------------------------------------------------------- */

static struct http_broker_counts *counts_slot(struct http_counts *c, broker_id id)
{
    size_t low = 0;
    size_t high = c->brokers.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->brokers.items[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == c->brokers.n || c->brokers.items[low].id != id) {
        struct http_broker_counts *slot = array_insert(&c->brokers, low);
        slot->id = id;
    }
    return &c->brokers.items[low];
}

static void count_partition(struct http_counts *c, const struct partition_state *p)
{
    for (uint8_t i = 0; i < p->replicas.n; i++) {
        counts_slot(c, p->replicas.at[i])->replicas++;
    }
    if (p->leader != BROKER_NONE) {
        counts_slot(c, p->leader)->leaders++;
    }
    c->n_under_replicated += p->isr.n < p->replicas.n ? 1 : 0;
    c->n_under_min_isr += p->isr.n < p->min_isr ? 1 : 0;
}

void http_counts_refresh(struct http_counts *c, const struct image *image)
{
    struct image_position at = image_position(image);

    if (c->image == image && c->at.index == at.index && c->at.crc == at.crc && at.index != 0) {
        return;
    }
    array_clear(&c->brokers);
    c->image = image;
    c->at = at;
    c->n_topics = c->n_partitions = c->n_offline = c->n_internal_offline = 0;
    c->n_under_replicated = c->n_under_min_isr = 0;
    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        size_t n_offline = 0;
        for (int32_t p = 0; p < t->n_partitions; p++) {
            count_partition(c, &t->partitions[p]);
            n_offline += t->partitions[p].leader == BROKER_NONE ? 1 : 0;
        }
        if (t->internal) { /* [DEC-10] */
            c->n_internal_offline += n_offline;
        } else {
            c->n_topics++;
            c->n_partitions += (size_t)t->n_partitions;
            c->n_offline += n_offline;
        }
    }
}

void http_counts_deinit(struct http_counts *c)
{
    array_deinit(&c->brokers);
    memset(c, 0, sizeof(*c));
}

struct http_broker_counts http_counts_of(const struct http_counts *c, broker_id id)
{
    size_t low = 0;
    size_t high = c->brokers.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->brokers.items[middle].id == id) {
            return c->brokers.items[middle];
        }
        if (c->brokers.items[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (struct http_broker_counts){.id = id};
}

/* --- Brokers -------------------------------------------------------------------------------------------------------- */

const struct http_link *http_view_link(const struct http_view *v, broker_id id)
{
    for (size_t i = 0; i < v->n_links; i++) {
        if (v->links[i].id == id) {
            return &v->links[i];
        }
    }
    return NULL;
}

const struct http_link *http_view_live_link(const struct http_view *v, broker_id id)
{
    const struct http_link *link = http_view_link(v, id);

    return link != NULL && link->is_connected ? link : NULL;
}

bool http_view_next_broker(
        const struct http_view *v, struct http_broker_walk *walk, struct http_broker *ret)
{
    const struct image_broker *b = walk->i_image < image_n_brokers(v->image)
                                           ? image_broker_at(v->image, walk->i_image)
                                           : NULL;
    const struct http_refused *r =
            walk->i_refused < v->n_refused ? &v->refused[walk->i_refused] : NULL;

    if (b == NULL && r == NULL) {
        return false;
    }
    bool take_b = b != NULL && (r == NULL || b->id <= r->id);
    bool take_r = r != NULL && (b == NULL || r->id <= b->id);
    walk->i_image += take_b ? 1 : 0;
    walk->i_refused += take_r ? 1 : 0;
    *ret = (struct http_broker){.broker = take_b ? b : NULL, .refused = take_r ? r : NULL};
    return true;
}

broker_id http_broker_id(const struct http_broker *b)
{
    return b->broker != NULL ? b->broker->id : b->refused->id;
}

const char *http_broker_state(const struct http_broker *b)
{
    if (b->broker == NULL) {
        return "refused";
    }
    switch (b->broker->state) {
    case BROKER_ACTIVE: return "up";
    case BROKER_SHUTTING: return "shutting_down";
    case BROKER_FENCED: return b->refused != NULL ? "refused" : "fenced";
    }
    must_not_reach("a broker state that is none");
}
