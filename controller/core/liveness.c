/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "common/base/mutant.h"
#include "controller/core/ctl_state.h"

/* --- Who is there ----------------------------------------------------------------------------- */
static size_t seen_lower_bound(const struct ctl *c, broker_id id)
{
    size_t from = 0, to = c->seen.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (c->seen.items[mid].id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

struct ctl_seen *ctl_find_seen(const struct ctl *c, broker_id id)
{
    size_t i = seen_lower_bound(c, id);

    return i < c->seen.n && c->seen.items[i].id == id ? &c->seen.items[i] : NULL;
}

static void seen_set(struct ctl *c, broker_id id, int64_t epoch)
{
    struct ctl_seen *s = ctl_find_seen(c, id);

    if (s == NULL) {
        s = array_insert(&c->seen, seen_lower_bound(c, id));
        s->id = id;
        s->epoch = epoch;
    } else if (s->epoch != epoch) {
        s->epoch = epoch;
        s->is_ready = s->is_diskless = false;
        array_deinit(&s->failed);
    }
}

static void seen_remove(struct ctl *c, broker_id id)
{
    struct ctl_seen *s = ctl_find_seen(c, id);

    if (s != NULL) {
        array_deinit(&s->failed);
        array_remove(&c->seen, (size_t)(s - c->seen.items));
    }
}

void ctl_forget_seen(struct ctl *c)
{
    ARRAY_FOREACH (s, &c->seen) {
        array_deinit(&s->failed);
    }
    array_deinit(&c->seen);
}

/* --- Registration and purge ------------------------------------------------------------------- */
static const char *kind_name(enum crash_kind kind)
{
    switch (kind) {
    case CRASH_CLEAN: return "clean";
    case CRASH_PROC: return "process";
    case CRASH_HOST: return "host";
    case CRASH_DISK: break;
    }
    return "disk";
}

/* The registration with all that it points to in the memory of the effects. */
static struct meta_register_broker registration_copy(
        struct ctl *c, const struct meta_register_broker *from)
{
    struct meta_register_broker r = *from;
    struct endpoint *endpoints = arena_alloc(c->fx->arena, r.n_endpoints * sizeof(*endpoints));

    must(endpoints != NULL);
    for (size_t i = 0; i < r.n_endpoints; i++) {
        endpoints[i] = (struct endpoint){
                .name = ctl_strdup(c, from->endpoints[i].name),
                .host = ctl_strdup(c, from->endpoints[i].host),
                .port = from->endpoints[i].port,
        };
    }
    r.endpoints = endpoints;
    r.dirs = arena_dup(c->fx->arena, from->dirs, r.n_dirs * sizeof(*r.dirs));
    must(r.dirs != NULL);
    r.rack = ctl_strdup(c, from->rack);
    r.version = ctl_strdup(c, from->version);
    return r;
}

/* [CTL-3] A new incarnation leaves every ISR, and after the loss of its host every ELR, before
 * it may be unfenced. [CTL-89] */
static void purge(struct ctl *c, const struct image_broker *b)
{
    const char *what = ctl_format(c, "registered=%d kind=%s", b->id, kind_name(b->crash_kind));

    ctl_settle(c, b->id, MUTANT_IS(HOST_KEEPS_ELR) ? CRASH_CLEAN : b->crash_kind, what);
    ctl_doubt_trash(c, b->id, b->crash_kind, what);
    ctl_append_broker(c, META_BROKER_PURGED, b->id, b->epoch, what);
}

static bool has_dir(const struct meta_register_broker *r, const struct uuid *dir)
{
    size_t i = 0;

    while (i < r->n_dirs && !uuid_equal(&r->dirs[i], dir)) {
        i++;
    }
    return i < r->n_dirs;
}

/* [CTL-89] NULL, or why the disks are not those that the last incarnation of it served with. What
 * one that was never unfenced had does not count. */
static const char *not_its_disks(
        struct ctl *c, const struct image_broker *b, const struct meta_register_broker *seen)
{
    size_t n_missing = 0;

    if (b == NULL || seen->crash_kind == CRASH_PROC) {
        return NULL; /* The kernel has not seen another disk. */
    }
    if (b->served_epoch > 0 && c->ev->seen_prev_epoch < b->served_epoch) {
        return ctl_format(c, "has the disk of its epoch %lld, but there was %lld",
                (long long)c->ev->seen_prev_epoch, (long long)b->served_epoch);
    }
    for (size_t i = 0; i < b->n_dirs; i++) {
        n_missing += !has_dir(seen, &b->dirs[i]);
    }
    return n_missing > 0 && seen->crash_kind == CRASH_HOST ? "comes without one of its directories"
                                                           : NULL;
}

/* [CTL-3] What `seen` is taken to have lost, `b` being who it was here. */
static enum crash_kind kind_of(
        struct ctl *c, const struct image_broker *b, const struct meta_register_broker *seen)
{
    const char *other = not_its_disks(c, b, seen);

    COVER(CTL, 3);
    if (seen->crash_kind < CRASH_CLEAN || seen->crash_kind > CRASH_HOST) {
        return CRASH_DISK; /* Who does not say what it lost may have lost it. */
    }
    if (other != NULL) {
        trace_emit(c->trace, "ctl  broker %d %s -> %s", seen->id, other, kind_name(CRASH_DISK));
        return CRASH_DISK;
    }
    /* A purge that was cut short is not made smaller by a milder crash after it. */
    return b != NULL && b->purge_pending && b->crash_kind > seen->crash_kind ? b->crash_kind
                                                                             : seen->crash_kind;
}

void ctl_on_broker_seen(struct ctl *c, const struct meta_register_broker *seen)
{
    const struct image_broker *b = image_broker(c->next, seen->id);

    must(seen->id >= 0);
    must(seen->epoch >= 0);
    seen_set(c, seen->id, seen->epoch);
    if (b != NULL && b->epoch == seen->epoch) {
        return; /* It is in the image; what it lacks there is done when the list is complete. */
    }
    int64_t previous = b != NULL ? b->epoch : BROKER_EPOCH_NONE;
    struct meta_record r = ctl_record(
            c, META_REGISTER_BROKER, ctl_format(c, "previous=%lld", (long long)previous));

    r.register_broker = registration_copy(c, seen);
    r.register_broker.crash_kind = kind_of(c, b, seen);
    r.register_broker.served_epoch = b != NULL ? b->served_epoch : 0;
    trace_emit(c->trace, "ctl  broker %d epoch %lld registered, kind %s", seen->id,
            (long long)seen->epoch, kind_name(r.register_broker.crash_kind));
    ctl_append(c, &r);
    b = image_broker(c->next, seen->id);
    must(b != NULL);
    purge(c, b);
}

void ctl_on_brokers_listed(struct ctl *c)
{
    c->is_listed = true;
    /* [CTL-2] Whoever went away while nobody was active is fenced, and what an earlier
     * controller began is finished: purges, moves of leaders, partitions of new topics. */
    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        const struct image_broker *b = image_broker_at(c->next, i);
        if (b->state != BROKER_FENCED && ctl_find_seen(c, b->id) == NULL) {
            COVER(CTL, 2);
            trace_emit(c->trace, "ctl  broker %d epoch %lld is not listed -> fenced", b->id,
                    (long long)b->epoch);
            ctl_append_broker(c, META_FENCE_BROKER, b->id, b->epoch, "not listed");
        }
        if (b->purge_pending) {
            purge(c, b);
        }
    }
    ctl_settle(c, BROKER_NONE, CRASH_CLEAN, "takeover");
    ctl_look_for_lost(c);
    c->is_stirred = true; /* A leadership that its predecessor would have given back. */
    ctl_finish_topics(c);
    ctl_make_journal(c);
    c->is_raise_due = true;
    c->is_empty_due = c->n_leaving > 0; /* [CTL-73] */
}

/* --- Suspicion -------------------------------------------------------------------------------- */
static void fence(struct ctl *c, const struct image_broker *b, const char *how)
{
    trace_emit(c->trace, "ctl  broker %d epoch %lld %s -> fenced", b->id, (long long)b->epoch, how);
    ctl_append_broker(c, META_FENCE_BROKER, b->id, b->epoch, how);
    ctl_settle(c, b->id, CRASH_CLEAN, ctl_format(c, "fenced=%d", b->id));
}

void ctl_on_broker_gone(struct ctl *c)
{
    broker_id id = c->ev->broker.id;
    int64_t epoch = c->ev->broker.epoch;
    const struct image_broker *b = image_broker(c->next, id);
    const struct ctl_seen *s = ctl_find_seen(c, id);

    if (s != NULL && epoch != BROKER_EPOCH_NONE && s->epoch != epoch) {
        COVER(CTL, 4);
        return; /* [CTL-4] An older incarnation went; the present one is here. */
    }
    seen_remove(c, id);
    if (b != NULL && b->state != BROKER_FENCED &&
            (epoch == BROKER_EPOCH_NONE || b->epoch == epoch)) {
        fence(c, b, "gone");
    }
}

static const char *suspicion(enum ctl_event_kind kind)
{
    return kind == CTL_EV_BROKER_REFUSED ? "refused"
           : kind == CTL_EV_BROKER_SILENT ? "silent"
                                          : "log directories failed";
}

void ctl_on_broker_suspected(struct ctl *c)
{
    const struct image_broker *b = image_broker(c->next, c->ev->broker.id);
    struct ctl_seen *s = ctl_find_seen(c, c->ev->broker.id);

    if (b == NULL || b->epoch != c->ev->broker.epoch) {
        COVER(CTL, 4);
        return; /* [CTL-4] */
    }
    if (s != NULL) {
        s->is_ready = false; /* [CTL-5] It has to say again that it stands. */
        s->is_diskless = s->is_diskless || c->ev->kind == CTL_EV_BROKER_DIRS_FAILED;
    }
    if (b->state != BROKER_FENCED) {
        fence(c, b, suspicion(c->ev->kind));
    }
}

/* --- Ready ------------------------------------------------------------------------------------ */
void ctl_on_broker_ready(struct ctl *c)
{
    broker_id id = c->ev->ready.id;
    const struct image_broker *b = image_broker(c->next, id);
    struct ctl_seen *s = ctl_find_seen(c, id);

    if (b == NULL || s == NULL || s->epoch != c->ev->ready.epoch || b->epoch != s->epoch) {
        return; /* [CTL-4] */
    }
    if (s->is_diskless) {
        COVER(CTL, 30);
        return; /* [CTL-30] */
    }
    s->is_ready = true;
    if (b->purge_pending) {
        purge(c, b);
    }
    ctl_keep_failed(c, s);
    if (b->state == BROKER_FENCED) { /* [CTL-5] Also after a false suspicion. */
        COVER(CTL, 5);
        trace_emit(
                c->trace, "ctl  broker %d epoch %lld ready -> unfenced", id, (long long)b->epoch);
        ctl_append_broker(c, META_UNFENCE_BROKER, id, b->epoch, "");
    }
    ctl_settle(c, id, CRASH_CLEAN, ctl_format(c, "ready=%d", id));
    if (c->is_listed) {
        ctl_look_for_lost(c);
        ctl_finish_topics(c);
        ctl_make_journal(c);
    }
}

/* --- Shutdown --------------------------------------------------------------------------------- */
static uint32_t n_movable(const struct ctl *c, broker_id id)
{
    uint32_t n = 0;

    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            n += t->partitions[p].leader == id && t->partitions[p].replicas.n > 1;
        }
    }
    return n;
}

void ctl_on_broker_shutdown(struct ctl *c)
{
    broker_id id = c->ev->broker.id;
    const struct image_broker *b = image_broker(c->next, id);

    if (b == NULL || b->epoch != c->ev->broker.epoch) {
        (void)ctl_answer(
                c, ERRCODE_STALE_BROKER_EPOCH, "the registered incarnation is another one");
        return;
    }
    if (b->state == BROKER_ACTIVE) {
        trace_emit(c->trace, "ctl  broker %d epoch %lld shuts down", id, (long long)b->epoch);
        ctl_append_broker(c, META_BROKER_SHUTDOWN, id, b->epoch, "");
    }
    /* [CTL-8] Leaderships move where another member of the ISR is active; a single replica
     * cannot, and is not waited for. */
    ctl_settle(c, id, CRASH_CLEAN, ctl_format(c, "shutdown=%d", id));
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->shutdown_remaining = n_movable(c, id);
        reply->shutdown_done = reply->shutdown_remaining == 0;
    }
}
