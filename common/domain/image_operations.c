/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"

#include "common/domain/image_impl.h"

/* What operators want: of brokers, and the operations that bring it about. There are few of both. */

/* --- Words ------------------------------------------------------------------------------------ */
const char *broker_intent_name(enum broker_intent intent)
{
    switch (intent) {
    case BROKER_WANTED: break;
    case BROKER_CORDONED: return "cordoned";
    case BROKER_DRAINING: return "draining";
    case BROKER_DECOMMISSIONING: return "decommissioning";
    }
    return "none";
}

const char *operation_kind_name(enum operation_kind kind)
{
    switch (kind) {
    case OPERATION_REASSIGN: return "reassign";
    case OPERATION_BALANCE: return "balance";
    case OPERATION_REPLICATION: return "replication";
    case OPERATION_DECOMMISSION: return "decommission";
    case OPERATION_DRAIN: return "drain";
    }
    return "unknown";
}

const char *operation_state_name(enum operation_state state)
{
    switch (state) {
    case OPERATION_RUNNING: return "running";
    case OPERATION_DONE: return "done";
    case OPERATION_FAILED: return "failed";
    case OPERATION_CANCELLED: return "cancelled";
    }
    return "unknown";
}

/* --- Brokers ---------------------------------------------------------------------------------- */
static size_t broker_index(const struct image *image, broker_id id)
{
    size_t i = 0;

    while (i < image->brokers.n && image->brokers.items[i]->id != id) {
        i++;
    }
    return i;
}

/* [CTL-70] */
int image_apply_intent(struct image *image, const struct meta_record *r)
{
    size_t i = broker_index(image, r->intent.id);

    if (i == image->brokers.n || r->intent.intent < BROKER_WANTED ||
            r->intent.intent > BROKER_DECOMMISSIONING) {
        return IMAGE_E_BROKEN;
    }
    image->brokers.items[i]->intent = r->intent.intent;
    return 0;
}

static bool holds(const struct image_topic *t, broker_id id)
{
    for (int32_t p = 0; p < t->n_partitions; p++) {
        if (broker_set_has(&t->partitions[p].replicas, id)) {
            return true;
        }
    }
    return false;
}

bool image_broker_is_empty(const struct image *image, broker_id id)
{
    for (size_t i = 0; i < image->topics.n; i++) {
        if (holds(image->topics.items[i], id)) {
            return false;
        }
    }
    for (size_t i = 0; i < image->trash.n; i++) {
        if (holds(image->trash.items[i], id)) {
            return false;
        }
    }
    return true;
}

bool image_broker_is_open(const struct image_broker *broker)
{
    return broker->state == BROKER_ACTIVE && broker->intent == BROKER_WANTED;
}

/* [CTL-74] */
int image_apply_forgotten(struct image *image, const struct meta_record *r)
{
    size_t i = broker_index(image, r->forgotten.id);

    if (i == image->brokers.n || image->brokers.items[i]->state != BROKER_FENCED ||
            !image_broker_is_empty(image, r->forgotten.id)) {
        return IMAGE_E_BROKEN;
    }
    image_broker_free(image->brokers.items[i]);
    array_remove(&image->brokers, i);
    return 0;
}

/* --- Operations ------------------------------------------------------------------------------- */
static void operation_deinit(struct image_operation *o)
{
    mem_free((void *)(uintptr_t)o->is.detail);
    mem_free((void *)(uintptr_t)o->is.actor);
    mem_free((void *)(uintptr_t)o->is.reason);
}

void image_operations_free(struct image *image)
{
    ARRAY_FOREACH (o, &image->operations) {
        operation_deinit(o);
    }
    array_deinit(&image->operations);
}

static char *text_copy(const char *text)
{
    return mem_strdup(text != NULL ? text : "");
}

static struct meta_operation operation_copy(const struct meta_operation *from)
{
    struct meta_operation o = *from;

    o.detail = text_copy(from->detail);
    o.actor = text_copy(from->actor);
    o.reason = text_copy(from->reason);
    return o;
}

void image_operations_copy(const struct image *from, struct image *to)
{
    for (size_t i = 0; i < from->operations.n; i++) {
        const struct image_operation *o = &from->operations.items[i];
        *array_push(&to->operations) =
                (struct image_operation){.is = operation_copy(&o->is), .n_left = o->n_left};
    }
}

static struct image_operation *find(const struct image *image, uint64_t id)
{
    size_t from = 0, to = image->operations.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (image->operations.items[mid].is.id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from < image->operations.n && image->operations.items[from].is.id == id
                   ? &image->operations.items[from]
                   : NULL;
}

/* [CTL-76] The one that ended first goes, of those that ended together the oldest; never the one with `id`. */
static void forget_ended(struct image *image, uint64_t id)
{
    struct image_operation *first = NULL;
    size_t n_ended = 0;

    ARRAY_FOREACH (o, &image->operations) {
        if (o->is.state == OPERATION_RUNNING) {
            continue;
        }
        n_ended++;
        if (o->is.id != id && (first == NULL || o->is.ended < first->is.ended)) {
            first = o;
        }
    }
    if (n_ended > IMAGE_OPERATIONS_ENDED) {
        must(first != NULL);
        operation_deinit(first);
        array_remove(&image->operations, (size_t)(first - image->operations.items));
    }
}

/* The partitions that name it; as a rule they come later. */
static int32_t count_partitions(const struct image *image, uint64_t id)
{
    int32_t n = 0;

    for (size_t i = 0; i < image->topics.n; i++) {
        const struct image_topic *t = image->topics.items[i];
        for (int32_t p = 0; p < t->n_partitions; p++) {
            n += t->partitions[p].operation == id;
        }
    }
    return n;
}

/* A first record is of an id that is greater than all before it; what ended stays so. */
int image_apply_operation(struct image *image, const struct meta_record *r)
{
    const struct meta_operation *o = &r->operation;
    struct image_operation *old = find(image, o->id);
    size_t n = image->operations.n;

    if (o->id == 0 || o->kind < OPERATION_REASSIGN || o->kind > OPERATION_DRAIN ||
            o->state < OPERATION_RUNNING || o->state > OPERATION_CANCELLED || o->n_partitions < 0 ||
            o->brokers.n > REPLICAS_MAX) {
        return IMAGE_E_BROKEN;
    }
    if (old != NULL ? old->is.kind != o->kind || old->is.state != OPERATION_RUNNING
                    : n > 0 && o->id < image->operations.items[n - 1].is.id) {
        return IMAGE_E_BROKEN;
    }
    if (old == NULL) {
        *array_push(&image->operations) = (struct image_operation){
                .is = operation_copy(o), .n_left = count_partitions(image, o->id)};
    } else {
        struct meta_operation copy = operation_copy(o);
        operation_deinit(old);
        old->is = copy;
    }
    if (o->state != OPERATION_RUNNING) {
        forget_ended(image, o->id);
    }
    return 0;
}

void image_operation_count(struct image *image, uint64_t id, int change)
{
    struct image_operation *o = id != 0 ? find(image, id) : NULL;

    if (o != NULL) { /* Else it ended long ago. */
        o->n_left += change;
    }
}

void image_operation_count_topic(struct image *image, const struct image_topic *t, int change)
{
    for (int32_t p = 0; p < t->n_partitions; p++) {
        image_operation_count(image, t->partitions[p].operation, change);
    }
}

bool image_operations_are_sound(const struct image *image)
{
    size_t n_ended = 0;

    for (size_t i = 0; i < image->operations.n; i++) {
        const struct image_operation *o = &image->operations.items[i];
        n_ended += o->is.state != OPERATION_RUNNING;
        if ((i > 0 && image->operations.items[i - 1].is.id >= o->is.id) ||
                o->n_left != count_partitions(image, o->is.id)) {
            return false;
        }
    }
    return n_ended <= IMAGE_OPERATIONS_ENDED;
}

size_t image_n_operations(const struct image *image)
{
    return image->operations.n;
}

const struct image_operation *image_operation_at(const struct image *image, size_t i)
{
    must(i < image->operations.n);
    return &image->operations.items[i];
}

const struct image_operation *image_operation(const struct image *image, uint64_t id)
{
    return find(image, id);
}
