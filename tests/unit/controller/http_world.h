/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "controller/shell/http_resources.h"

/* A cluster made by hand for tests of the admin resources, and calls to it without a server. One at a time. */

struct world {
    struct image *image;
    struct http_counts counts;
    struct http_view view;
    struct http_candidate candidates[3];
    struct http_link links[3];
    struct http_refused refused[1];
    struct msg_log_dir_state dir;
    uint64_t seq;

    const char *if_match; /* of the next calls; NULL = none */

    /* The last call. */
    struct http_call call;
    struct http_param params[16];
    char *path_and_query;
    struct http_answer answer;
    struct http_write write;
    http_later_fn *later; /* answers in a later turn, with later_arg */
    char *later_arg;
    json_t *json; /* the answer's body, when it is JSON */
};

/* Brokers 1 and 2 are up and connected, 3 is fenced; controller 1 is active and this one, 2 stands by; the metadata's
 * index is 12 and epoch 4; no topic. */
void world_init(struct world *w);
void world_deinit(struct world *w);
/* Partition p is led by `leaders[p]`, BROKER_NONE = offline (its replica is then broker 3). */
void world_topic(struct world *w, const char *name, int32_t n_partitions, const broker_id *leaders);
/* "topic-000" … with one partition each on broker 1. */
void world_many_topics(struct world *w, int n);

/* Sends a request; `path` may have a query (not percent-encoded). The answer is in w->answer and w->json, or the write
 * in w->write. Returns the status, 0 = a write. */
int world_send(struct world *w, const char *method, const char *path, const char *body);
#define GET(w, path)        world_send((w), "GET", (path), NULL)
#define POST(w, path, body) world_send((w), "POST", (path), (body))
#define DELETE(w, path)     world_send((w), "DELETE", (path), NULL)
/* Answers the write as the core would. */
int world_reply(struct world *w, const struct ctl_reply *reply, bool is_ready);

/* A member of the last answer by a path with array indexes: "items/0/name". NULL = not there. */
const json_t *world_at(const struct world *w, const char *path);
const char *world_text(const struct world *w, const char *path); /* "" = not there or no text */
int64_t world_number(const struct world *w, const char *path);   /* -999 = not there or no number */
bool world_is_null(const struct world *w, const char *path);
const char *world_body(struct world *w);
