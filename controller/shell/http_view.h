/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "common/domain/image.h"
#include "common/wire/messages.h"

#include <stdbool.h>

struct ctl_balance;
struct move_sizes;

/* What the admin HTTP resources see of a controller, as plain values. It is filled for one request by http_admin.c and
 * borrowed by the resource until that returns; a test fills it by hand. Thread: owner. */

/* Another controller or this one, as its candidate node says. */
struct http_candidate {
    int32_t id;
    const char *url; /* "http://127.0.0.1:9180" */
    const char *version;
};

/* The connection of the active controller to a broker. */
struct http_link {
    broker_id id;
    bool is_connected; /* heartbeats flow; else only `trouble` is meant */
    uint64_t applied_index;
    int64_t heartbeat_age_ms; /* -1 = none yet */
    const struct msg_log_dir_state *dirs;
    size_t n_dirs;
    const char *trouble; /* a sentence; "" = connected */
};

/* A broker whose ephemeral node exists and whose registration was not accepted. */
struct http_refused {
    broker_id id;
    const char *problem; /* a sentence */
    const char *rack;    /* "" = none */
    const char *version; /* "" = not known */
    int64_t epoch;       /* BROKER_EPOCH_NONE = not known */
    enum crash_kind crash_kind;
    const struct endpoint *endpoints;
    size_t n_endpoints;
};

/* Sums over all partitions of an image, kept from request to request because they cost a walk. */
struct http_broker_counts {
    broker_id id;
    int32_t leaders, replicas;
};

struct http_counts {
    const struct image *image; /* what was counted; only compared */
    struct image_position at;
    size_t n_topics, n_partitions, n_offline; /* of users; what brokers carry counts internal ones too */
    size_t n_internal_offline;
    size_t n_under_replicated, n_under_min_isr; /* of all topics, offline ones too */
    ARRAY(struct http_broker_counts) brokers; /* sorted by id */
};

/* Counts again when the image has moved since; zero-initialised before the first time. */
void http_counts_refresh(struct http_counts *c, const struct image *image);
void http_counts_deinit(struct http_counts *c);
/* Zeros for a broker that has no replica. */
struct http_broker_counts http_counts_of(const struct http_counts *c, broker_id id);

struct http_view {
    wall_ms now;
    const struct image *image; /* committed; never NULL */
    const struct http_counts *counts;
    bool is_metadata_read; /* the log was read to its end at least once */
    /* Why this controller cannot use the metadata log (damage, a newer feature level); "" or NULL = it can. */
    const char *metadata_trouble;

    int32_t self_id;
    bool is_active;  /* this one decides */
    bool has_active; /* somebody does; then: */

    struct {
        int32_t id;
        uint64_t epoch;
        wall_ms since;
        const char *url;
    } active;
    const struct http_candidate
            *candidates; /* sorted by id, without doubles; the active one among them */
    size_t n_candidates;

    struct uuid cluster_id; /* zero = not known yet */

    struct {
        bool is_connected;
        int session_ms;
        const char *trouble; /* "" when connected */
    } zookeeper;

    const struct http_link *links; /* none on a standby */
    size_t n_links;
    const struct http_refused *refused; /* sorted by id */
    size_t n_refused;
    const struct move_sizes *moves; /* how far what moves has come; NULL = not known here */
    const struct ctl_balance *balance; /* of the active controller */
};

const struct http_link *http_view_link(const struct http_view *v, broker_id id); /* or NULL */
/* Only one that is connected. */
const struct http_link *http_view_live_link(const struct http_view *v, broker_id id);

/* Brokers in the image and refused ones, merged by id. A broker that is in both (a second process with its id) is
 * listed once: what serves is in the image, and its `refused` says what else there is. */
struct http_broker {
    const struct image_broker *broker;  /* or NULL */
    const struct http_refused *refused; /* or NULL */
};

struct http_broker_walk {
    size_t i_image, i_refused;
};

/* The next one, or false at the end; starts zeroed. */
bool http_view_next_broker(
        const struct http_view *v, struct http_broker_walk *walk, struct http_broker *ret);
broker_id http_broker_id(const struct http_broker *b);
/* "up", "shutting_down", "fenced" or "refused". */
const char *http_broker_state(const struct http_broker *b);
