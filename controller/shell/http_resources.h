/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/conf/conf.h"
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
    HTTP_WRITE_SET_CONFIGS,
    HTTP_WRITE_PURGE_TOPIC,
    HTTP_WRITE_RESTORE_TOPIC,
    HTTP_WRITE_ELECT,
    HTTP_WRITE_ADD_PARTITIONS,
    HTTP_WRITE_REASSIGN,
    HTTP_WRITE_BROKER_INTENT,
    HTTP_WRITE_FORGET_BROKER,
    HTTP_WRITE_CANCEL_OPERATION,
};

/* The body of POST /v1/topics, checked but for what the core decides. Owns what it points to. */
struct http_topic_spec {
    char *name;
    int32_t n_partitions;               /* -1 = not given */
    int32_t replication_factor;         /* -1 = not given */
    struct image_configs configs;       /* normalised values */
    struct meta_config_pair *pairs;     /* the same, borrowed, for the event */
    ARRAY(struct broker_set) assignments;
};

/* Reads a body. Faults are left in `f`; `ret` is deinitialised by the caller in any case. */
void http_topic_spec_parse(struct bytes body, struct http_topic_spec *ret, struct http_faults *f);
void http_topic_spec_deinit(struct http_topic_spec *s);

/* --- Configuration values in bodies (http_config_spec.c) --- */

/* "a text", "null" … */
const char *http_json_type(const json_t *value);
/* "/configs/a~1b" for the member "a/b" (RFC 6901), cut. */
const char *http_pointer(const char *parent, const char *member, char *ret, size_t ret_size);
/* The body as an object, or NULL and a fault. */
json_t *http_body_object(struct bytes body, struct http_faults *f);
/* Reads each member of `object` as a key that may be changed there; with `may_reset` null takes a
 * value away (it has NULL then). What is wrong is left in `f`, under the pointer `parent`. */
void http_configs_read(json_t *object,
        enum conf_target target,
        const char *parent,
        bool may_reset,
        struct image_configs *ret,
        struct http_faults *f);
/* The same for an event, borrowed; mem_free. */
struct meta_config_pair *http_configs_pairs(const struct image_configs *configs);
void http_configs_deinit(struct image_configs *configs);

/* The body of a PATCH …/configs. The topic is in the write's `spec`. */
struct http_config_spec {
    enum conf_target target;
    broker_id broker; /* BROKER */
    uint64_t if_seq;  /* If-Match; 0 = none */
    struct image_configs configs;
    struct meta_config_pair *pairs;
};

/* The body of POST /v1/partitions:elect. Owns the names. */
struct http_elect_spec {
    bool is_unclean;
    ARRAY(struct ctl_elect_partition) partitions; /* none = all */
};
void http_elect_spec_deinit(struct http_elect_spec *s);

/* What POST and DELETE /v1/reassignments ask for. Owns the names. */
struct http_reassign_spec {
    enum ctl_goal goal;
    ARRAY(struct ctl_reassign) partitions;
    struct broker_set brokers;  /* EMPTY */
    int32_t replication_factor; /* FACTOR, of the topic that the write's `spec` names */
    char *throttle; /* bytes a second, as the configuration has it; NULL = not given */
};
void http_reassign_spec_deinit(struct http_reassign_spec *s);

struct http_write {
    enum http_write_kind kind;
    bool dry_run;
    char *reason; /* "" = none */
    char *actor;
    struct http_topic_spec spec;    /* CREATE_TOPIC; `name` also for what is about a topic */
    struct http_config_spec config; /* SET_CONFIGS */
    struct uuid trashed;            /* PURGE_TOPIC, RESTORE_TOPIC: which; its new name is in `spec` */
    bool is_now;                    /* DELETE_TOPIC: not into the trash */
    struct http_elect_spec elect;   /* ELECT */
    struct http_reassign_spec reassign; /* REASSIGN */
    broker_id broker;                   /* BROKER_INTENT, FORGET_BROKER */
    enum broker_intent intent;          /* BROKER_INTENT */
    /* CANCEL_OPERATION: which. After http_write_take(), of REASSIGN and BROKER_INTENT: what goes on; 0 = nothing. */
    uint64_t operation;
    /* After http_write_take(): */
    int error;
    char *detail;
    uint64_t decision; /* 0 = none */
    struct uuid topic_id;
    char *topic;              /* PURGE_TOPIC, RESTORE_TOPIC: its name */
    wall_ms purged_at;        /* DELETE_TOPIC; 0 = at once */
    bool is_protected;        /* DELETE_TOPIC: refused for that */
    json_t *placement;
    json_t *elected;          /* ELECT: the answer */
    json_t *reassigned;       /* REASSIGN, CANCEL_OPERATION: the answer */
    uint32_t n_moved, n_waiting, n_single; /* BROKER_INTENT: leaderships */
    bool is_unchanged;        /* SET_CONFIGS */
    json_t *items;            /* SET_CONFIGS of a broker: as it told them, or would */
    ARRAY(broker_id) leaders; /* each once; of SET_CONFIGS those who are to apply it */
    bool has_offline;         /* a partition got no leader */
};

void http_write_deinit(struct http_write *w);
/* The event for the core; it borrows from `w`. `now`, `wall` and `request` are the controller's to fill. */
void http_write_event(const struct http_write *w, struct ctl_event *ret);
/* Whether the core is to know how large partitions are before it decides. */
bool http_write_wants_sizes(const struct http_write *w);
/* Copies the core's answer. */
void http_write_take(struct http_write *w, const struct ctl_reply *reply);
/* Whether there are brokers that are to take it up before the answer. */
bool http_write_waits_for_leaders(const struct http_write *w);
/* Whether that broker is to be asked for its values before the answer; then
 * http_write_take_configs(), `m` NULL = it did not tell. */
bool http_write_wants_configs(const struct http_write *w, broker_id *ret);
void http_write_take_configs(struct http_write *w,
        const struct http_view *v,
        const struct msg_describe_configs_response *m);
/* The HTTP answer. `is_ready` = the brokers acknowledged. */
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
/* What the endpoint sees now; valid until the controller does anything. */
struct http_view http_later_view(struct http_later *l);
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

/* --- Configurations (http_configs.c) --- */

/* `preview` is a change that is shown and not made (dry run); NULL = none. */
json_t *http_topic_config_items(const struct image *image,
        const struct image_topic *t,
        const struct image_configs *preview);
/* `m` NULL = the broker does not tell: null where only it knows. */
json_t *http_broker_config_items(const struct image *image,
        broker_id id,
        const struct msg_describe_configs_response *m,
        const struct image_configs *preview);
/* 200 with the list; takes `items`. `problem` NULL = no such member. */
void http_answer_configs(
        struct http_answer *a, const struct http_view *v, json_t *items, const char *problem);
/* The broker that `arg` names, or NULL and the answer. */
const struct image_broker *http_known_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
/* What http_write_answer() does for SET_CONFIGS that succeeded. */
void http_configs_written(const struct http_write *w,
        const struct http_view *v,
        bool is_applied,
        struct http_answer *a);

/* Whether there is a JSON body of at most `max` bytes; else it was answered. `what` takes it: "a topic". */
bool http_takes_body(const struct http_call *c,
        struct http_answer *a,
        size_t max,
        const char *what,
        const char *hint);
/* 400 or 422 with what is wrong. */
void http_refuse_body(
        const struct http_call *c, struct http_answer *a, struct http_faults *f, const char *hint);
/* Whether the body is said to be JSON, as "application/json" or, with `and_merge_patch`, as a merge
 * patch. */
bool http_is_json(const struct http_call *c, bool and_merge_patch);

/* Whether `GET /` has nothing to complain of: what `weir status` and /v1/cluster call healthy. */
bool http_is_healthy(const struct http_view *v);

/* The rows' functions (and http_later_fn above). `arg` is what stands at the pattern's `{}`; NULL = there is none. */
typedef void http_get_fn(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
http_get_fn http_get_status_text, http_get_health, http_get_ready, http_get_metrics,
        http_get_version, http_get_cluster, http_get_controllers, http_get_brokers, http_get_broker,
        http_get_topics, http_get_topic, http_get_partitions, http_get_cluster_configs,
        http_get_topic_configs, http_get_trash_untold, http_get_trashed_untold,
        http_get_all_partitions, http_get_stop_check, http_get_reassignments, http_get_operations;
http_later_fn http_get_decisions, http_get_decision; /* http_decisions.c */
typedef void http_write_fn(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w);
http_write_fn http_post_topics, http_delete_topic, http_patch_cluster_configs,
        http_patch_topic_configs, http_patch_broker_configs, http_delete_trashed,
        http_post_restore, http_post_elect, http_patch_topic, http_post_reassignments,
        http_delete_reassignments, http_get_balance, http_delete_operation, http_post_cordon, http_post_drain,
        http_post_undrain, http_post_decommission, http_delete_broker;
http_later_fn http_get_operation; /* http_operation_wait.c */
http_later_fn http_get_broker_configs; /* http_broker_configs.c */
http_later_fn http_get_broker_logs, http_get_trash, http_get_trashed; /* http_logs.c */
http_later_fn http_export_image; /* http_image.c */
http_later_fn http_post_trim;    /* http_trim.c */

http_later_fn http_post_transfer, http_get_reach; /* http_controllers.c, which knows the controller */
/* A decision as the API shows it. */
struct decision;
json_t *http_decision_json(const struct decision *d);

/* --- Trash and bytes (http_trash.c, http_brokers.c) --- */

/* What a broker told of its log directories, of one topic or all. */
struct http_told {
    broker_id broker;
    bool is_told;
    ARRAY(struct msg_topic_bytes) trash;
};

struct http_told_list {
    struct http_told *items;
    size_t n;
};

/* A topic in the trash; its bytes are null where not every broker that holds it has told. */
json_t *http_trash_json(const struct image *image,
        const struct image_topic *t,
        const struct http_told_list *told);
/* Answers GET /v1/trash and /v1/trash/{topic_id}. */
void http_answer_trash(const struct http_view *v,
        const struct http_call *c,
        const struct http_told_list *told,
        struct http_answer *a);
void http_answer_trashed(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        const struct http_told_list *told,
        struct http_answer *a);
/* The topic in the trash that `arg` names, by id or (when only one has it) by name; or NULL and the answer. */
const struct image_topic *http_known_trash(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
/* What http_get_broker() does; `logs` NULL = the broker does not tell what its directories hold. */
void http_answer_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        const struct msg_describe_logs_response *logs,
        struct http_answer *a);

/* The topic that `arg` names, or NULL and the answer. */
const struct image_topic *http_known_topic(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);

/* A partition as the API shows it, without its topic (http_partitions.c). */
json_t *http_partition_json(const struct partition_state *p);
/* What came of an election. */
json_t *http_elected_json(const struct ctl_reply *reply);
/* What came of a reassignment (http_reassignments.c). */
json_t *http_reassigned_json(const struct ctl_reply *reply);

/* --- Operations (http_operations.c) --- */
enum {
    HTTP_OPERATION_WAIT_MAX_MS = 60 * 1000
};
/* The operation that `arg` names, or NULL and the answer. */
const struct image_operation *http_known_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
void http_answer_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a);
/* What runs, for people; nothing when nothing does. */
void http_write_operations(const struct http_view *v, struct buf *out);
/* How long somebody wants to wait for its end; false: the answer says what is wrong with that. */
bool http_operation_wait(const struct http_call *c, struct http_answer *a, int64_t *ret_ms);
/* What http_write_event() and http_write_answer() do for REASSIGN and what is about brokers and operations. */
void http_operations_event(const struct http_write *w, struct ctl_event *ret);
void http_operations_written(const struct http_write *w, struct http_answer *a);

/* 404 for a topic that is not there. */
void http_no_topic(struct http_answer *a, const struct http_call *c, const char *name);
