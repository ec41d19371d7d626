/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/arena.h"
#include "controller/core/ctl.h"

#include <sys/queue.h>

/* Events on their way to the core, in order. They are copied with all that they point to, but for the image of
 * CTL_EV_ELECTED, which is filled in when its turn comes. Thread: control. */
struct queued_event {
    STAILQ_ENTRY(queued_event) entry;
    struct ctl_event ev;
    struct arena arena;
};

struct event_queue {
    STAILQ_HEAD(queued_events, queued_event) events;
};

void event_queue_init(struct event_queue *q);
void event_queue_deinit(struct event_queue *q);
void event_queue_push(struct event_queue *q, const struct ctl_event *ev);
/* The oldest event, or NULL; to be freed with queued_event_free(). */
struct queued_event *event_queue_pop(struct event_queue *q);
struct queued_event *queued_event_free(struct queued_event *e);
/* A deep copy of a reply into the arena. */
struct ctl_reply ctl_reply_copy(const struct ctl_reply *reply, struct arena *a);
