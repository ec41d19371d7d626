/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "controller/core/ctl.h"
#include "controller/shell/http_call.h"
#include "controller/shell/http_view.h"

/* The resources of the admin API (docs/user/http-api.md): from a view and a call to an answer, without a server.
 * Thread: owner. */

/* A write on its way: what the controller is asked for, and, once it answered, what it said. */
enum http_write_kind {
    HTTP_WRITE_NONE,
    HTTP_WRITE_CREATE_TOPIC,
    HTTP_WRITE_DELETE_TOPIC,
};

/* The body of POST /v1/topics, checked but for what the core decides. Owns what it points to. */
struct http_topic_spec {
    char *name;
    int32_t n_partitions;               /* -1 = not given */
    int32_t replication_factor;         /* -1 = not given */
    ARRAY(struct image_config) configs; /* normalised values */
    struct meta_config_pair *pairs;     /* the same, borrowed, for the event */
    ARRAY(struct broker_set) assignments;
};

/* Reads a body. Faults are left in `f`; `ret` is deinitialised by the caller in any case. */
void http_topic_spec_parse(struct bytes body, struct http_topic_spec *ret, struct http_faults *f);
void http_topic_spec_deinit(struct http_topic_spec *s);

struct http_write {
    enum http_write_kind kind;
    bool dry_run;
    char *reason; /* "" = none */
    char *actor;
    struct http_topic_spec spec; /* CREATE_TOPIC; `name` also for DELETE_TOPIC */
    /* After http_write_take(): */
    int error;
    char *detail;
    uint64_t decision; /* 0 = none */
    struct uuid topic_id;
    json_t *placement;
    ARRAY(broker_id) leaders; /* each once */
    bool has_offline;         /* a partition got no leader */
};

void http_write_deinit(struct http_write *w);
/* The event for the core; it borrows from `w`. `now`, `wall` and `request` are the controller's to fill. */
void http_write_event(const struct http_write *w, struct ctl_event *ret);
/* Copies the core's answer. */
void http_write_take(struct http_write *w, const struct ctl_reply *reply);
/* Whether the topic has leaders that are to take it up before the answer. */
bool http_write_waits_for_leaders(const struct http_write *w);
/* The HTTP answer. `is_ready` = the leaders acknowledged. */
void http_write_answer(const struct http_write *w,
        const struct http_view *v,
        const struct http_call *c,
        bool is_ready,
        struct http_answer *a);

/* A request that is answered in a later turn, because somebody else is asked first (a broker, another controller).
 *
 * Whoever takes one answers it once, with http_later_answer(), or is told by `on_cancel` that nobody waits any more
 * (the endpoint is being closed); after either the handle is gone. */
struct http_later;
/* What to do when the endpoint closes first: give up whatever is under way. The controller may be gone by then. */
void http_later_on_cancel(struct http_later *l, void (*on_cancel)(void *ctx), void *ctx);
/* The request; valid until the next call of this and until the answer. */
const struct http_call *http_later_call(struct http_later *l);
/* Sends the answer and ends it; not inside the function that was given the handle's `on_cancel`. */
void http_later_answer(struct http_later *l, struct http_answer *a);
/* The controller that is asked for more than the view shows. */
struct controller *http_later_controller(struct http_later *l);
/* The loop for timers and connections of what is under way. */
struct loop *http_later_loop(struct http_later *l);

/* Routes `c`. Afterwards one of three: `a` is the answer; or `w` says what to ask of the controller; or `*ret_later` is
 * to be called with a handle and `*ret_arg` (mem_free), and answers in its time. */
typedef void http_later_fn(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later);
void http_dispatch(const struct http_view *v,
        const struct http_call *c,
        struct http_answer *a,
        struct http_write *w,
        http_later_fn **ret_later,
        char **ret_arg);
/* Weir-Metadata-Epoch and -Index, Weir-Stale. */
void http_answer_metadata(struct http_answer *a, const struct http_view *v);

/* The rows' functions (and http_later_fn above). `arg` is what stands at the pattern's `{}`; NULL = there is none. */
typedef void http_get_fn(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
http_get_fn http_get_status_text, http_get_health, http_get_ready, http_get_metrics,
        http_get_version, http_get_cluster, http_get_controllers, http_get_brokers, http_get_broker,
        http_get_topics, http_get_topic, http_get_partitions;
typedef void http_write_fn(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w);
http_write_fn http_post_topics, http_delete_topic;

/* 404 for a topic that is not there. */
void http_no_topic(struct http_answer *a, const struct http_call *c, const char *name);
