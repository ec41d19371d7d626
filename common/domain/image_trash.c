/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"
#include "common/domain/image_impl.h"
#include "common/domain/name_rules.h"

/* Removed topics: RemoveTopic ──▶ trash ──PurgeTopic──▶ tombstone, forgotten in time
 *                                   └──RestoreTopic──▶ a topic as before, without leaders
 *
 * The trash is short (the controller bounds it), so it is searched from end to end. */

#define TOMBSTONE_AGE ((wall_ms)IMAGE_TOMBSTONE_DAYS * 24 * 60 * 60 * 1000)

static size_t trash_index(const struct image *image, const struct uuid *id)
{
    size_t i = 0;

    while (i < image->trash.n && !uuid_equal(&image->trash.items[i]->id, id)) {
        i++;
    }
    return i;
}

struct image_topic *image_find_trash(const struct image *image, const struct uuid *id)
{
    size_t i = trash_index(image, id);

    return i < image->trash.n ? image->trash.items[i] : NULL;
}

/* [TRS-1] The name is free at once; everything else stays. */
int image_apply_remove(struct image *image, const struct meta_record *r)
{
    struct image_topic *t = image_find_topic(image, &r->remove_topic.id);

    if (t == NULL) {
        return IMAGE_E_BROKEN;
    }
    HASH_DEL(image->topics_by_id, container_of(t, struct topic_node, topic));
    array_remove(&image->topics, image_topic_lower_bound(image, t->name));
    image->n_partitions -= (size_t)t->n_partitions;
    image->n_trash_partitions += (size_t)t->n_partitions;
    image_operation_count_topic(image, t, -1);
    t->removed_at = r->at;
    *array_push(&image->trash) = t;
    return 0;
}

/* [TRS-3] Old ones go by the time of the newest, so every image forgets the same. */
static void forget_tombstones(struct image *image, wall_ms now)
{
    size_t n_old = 0;

    while (n_old < image->tombstones.n &&
            (image->tombstones.n - n_old >= IMAGE_TOMBSTONES_MAX ||
                    image->tombstones.items[n_old].at < now - TOMBSTONE_AGE)) {
        n_old++;
    }
    for (size_t i = n_old; n_old > 0 && i < image->tombstones.n; i++) {
        image->tombstones.items[i - n_old] = image->tombstones.items[i];
    }
    image->tombstones.n -= n_old;
}

/* Of a snapshot: as many as there were, however old. */
static int apply_tombstone(struct image *image, const struct meta_record *r)
{
    const struct uuid *id = &r->purge_topic.id;

    if (uuid_is_zero(id) || image_find_topic(image, id) != NULL ||
            image_find_trash(image, id) != NULL || image->tombstones.n == IMAGE_TOMBSTONES_MAX) {
        return IMAGE_E_BROKEN;
    }
    *array_push(&image->tombstones) = (struct image_tombstone){.id = *id, .at = r->at};
    return 0;
}

int image_apply_purge(struct image *image, const struct meta_record *r)
{
    size_t i = trash_index(image, &r->purge_topic.id);

    if (r->purge_topic.is_tombstone) {
        return apply_tombstone(image, r);
    }
    if (i == image->trash.n) {
        return IMAGE_E_BROKEN;
    }
    struct image_topic *t = image->trash.items[i];

    array_remove(&image->trash, i);
    image->n_trash_partitions -= (size_t)t->n_partitions;
    forget_tombstones(image, r->at);
    *array_push(&image->tombstones) = (struct image_tombstone){.id = t->id, .at = r->at};
    image_topic_free(t);
    return 0;
}

/* [TRS-2] Nobody leads until the records that follow say so. [REP-3] The epochs grow also when no
 * such record comes, so that nothing of before its removal counts again. */
static void forget_leader(struct partition_state *p)
{
    p->leader_epoch += p->leader != BROKER_NONE;
    p->partition_epoch++;
    p->leader = BROKER_NONE;
}

int image_apply_restore(struct image *image, const struct meta_record *r)
{
    const char *name = r->restore_topic.name;
    size_t i = trash_index(image, &r->restore_topic.id);

    if (i == image->trash.n || topic_name_refusal(name) != NULL ||
            image_topic_by_name(image, name) != NULL) {
        return IMAGE_E_BROKEN;
    }
    struct image_topic *t = image->trash.items[i];
    struct topic_node *node = container_of(t, struct topic_node, topic);
    char *copy = mem_strdup(name);

    array_remove(&image->trash, i);
    image->n_trash_partitions -= (size_t)t->n_partitions;
    image->n_partitions += (size_t)t->n_partitions;
    image_operation_count_topic(image, t, 1);
    mem_free(t->name);
    t->name = copy;
    t->removed_at = 0;
    for (int32_t p = 0; p < t->n_partitions; p++) {
        forget_leader(&t->partitions[p]);
    }
    *array_insert(&image->topics, image_topic_lower_bound(image, t->name)) = t;
    HASH_ADD(hh, image->topics_by_id, topic.id.bytes, sizeof(node->topic.id.bytes), node);
    return 0;
}

/* --- Queries ---------------------------------------------------------------------------------- */
size_t image_n_trash(const struct image *image)
{
    return image->trash.n;
}

const struct image_topic *image_trash_at(const struct image *image, size_t i)
{
    must(i < image->trash.n);
    return image->trash.items[i];
}

const struct image_topic *image_trash_by_id(const struct image *image, const struct uuid *id)
{
    return image_find_trash(image, id);
}

size_t image_n_trash_partitions(const struct image *image)
{
    return image->n_trash_partitions;
}

size_t image_n_tombstones(const struct image *image)
{
    return image->tombstones.n;
}

const struct image_tombstone *image_tombstone_at(const struct image *image, size_t i)
{
    must(i < image->tombstones.n);
    return &image->tombstones.items[i];
}
