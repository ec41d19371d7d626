/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/http_world.h"

#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CREATED_AT_S = 1795168800
}; /* 2026-11-20T10:00:00Z */

static void apply(struct world *w, struct meta_record *r)
{
    r->seq = ++w->seq;
    r->at = (wall_ms)CREATED_AT_S * 1000;
    CHECK_EQ(image_apply(w->image, 12, r), 0);
}

static void add_broker(struct world *w, broker_id id, bool is_up)
{
    struct endpoint endpoint = {.name = "weir", .host = "127.0.0.1", .port = (uint16_t)(9189 + id)};
    struct uuid dir = {.bytes = {1, 2, (uint8_t)id}};
    struct meta_record r = {.kind = META_REGISTER_BROKER};

    r.register_broker = (struct meta_register_broker){.id = id,
            .epoch = 4294967340 + id,
            .crash_kind = CRASH_CLEAN,
            .rack = id == 2 ? "east" : "",
            .version = "0.1.0",
            .endpoints = &endpoint,
            .n_endpoints = 1,
            .dirs = &dir,
            .n_dirs = 1};
    apply(w, &r);
    struct meta_record purged = {
            .kind = META_BROKER_PURGED, .broker = {.id = id, .epoch = 4294967340 + id}};
    apply(w, &purged);
    if (is_up) {
        struct meta_record up = {
                .kind = META_UNFENCE_BROKER, .broker = {.id = id, .epoch = 4294967340 + id}};
        apply(w, &up);
    }
}

void world_init(struct world *w)
{
    struct meta_record controller = {
            .kind = META_NEW_CONTROLLER, .new_controller = {.ctl_epoch = 4, .controller_id = 1}};

    memset(w, 0, sizeof(*w));
    w->image = image_new();
    apply(w, &controller);
    for (broker_id id = 1; id <= 3; id++) {
        add_broker(w, id, id < 3);
    }
    image_set_position(w->image, (struct image_position){.index = 12, .last_seq = w->seq});
    w->candidates[0] = (struct http_candidate){1, "http://127.0.0.1:9180", "0.1.0"};
    w->candidates[1] = (struct http_candidate){2, "http://127.0.0.1:9181", "0.1.0"};
    w->dir = (struct msg_log_dir_state){.dir_id = {.bytes = {1, 2, 1}},
            .path = "/var/lib/weir",
            .total_bytes = 1000,
            .free_bytes = 400,
            .log_bytes = 30};
    w->links[0] = (struct http_link){1, true, 12, 120, &w->dir, 1, ""};
    w->links[1] = (struct http_link){2, true, 11, -1, NULL, 0, ""};
    w->links[2] =
            (struct http_link){3, false, 0, -1, NULL, 0, "127.0.0.1:9192 refuses connections"};
    w->refused[0] = (struct http_refused){.id = 7,
            .problem = "its data belongs to another cluster",
            .rack = "",
            .version = "",
            .epoch = BROKER_EPOCH_NONE};
    w->view = (struct http_view){.now = (wall_ms)CREATED_AT_S * 1000,
            .image = w->image,
            .counts = &w->counts,
            .is_metadata_read = true,
            .self_id = 1,
            .is_active = true,
            .has_active = true,
            .candidates = w->candidates,
            .n_candidates = 2,
            .cluster_id = {.bytes = {0xab, 1}},
            .links = w->links,
            .n_links = 3};
    w->view.active.id = 1;
    w->view.active.epoch = 4;
    w->view.active.since = (wall_ms)CREATED_AT_S * 1000 + 123;
    w->view.active.url = "http://127.0.0.1:9180";
    w->view.zookeeper.is_connected = true;
    w->view.zookeeper.session_ms = 3000;
    w->view.zookeeper.trouble = "";
}

static void forget_call(struct world *w)
{
    http_answer_deinit(&w->answer);
    http_write_deinit(&w->write);
    w->later = NULL;
    w->later_arg = mem_free(w->later_arg);
    json_decref(w->json);
    w->json = NULL;
    w->path_and_query = mem_free(w->path_and_query);
}

void world_deinit(struct world *w)
{
    forget_call(w);
    http_counts_deinit(&w->counts);
    image_free(w->image);
}

void world_topic(struct world *w, const char *name, int32_t n_partitions, const broker_id *leaders)
{
    struct meta_record topic = {.kind = META_CREATE_TOPIC};
    struct meta_config_pair pair = {.key = "segment.bytes", .value = "67108864"};
    static uint8_t n_topics[2];

    n_topics[0]++;
    n_topics[1] = (uint8_t)(n_topics[1] + (n_topics[0] == 0 ? 1 : 0));
    topic.create_topic.id = (struct uuid){.bytes = {9, n_topics[0], n_topics[1]}};
    topic.create_topic.name = name;
    topic.create_topic.internal = strncmp(name, "__", 2) == 0;
    topic.create_topic.n_partitions = n_partitions;
    topic.create_topic.replication_factor = 1;
    topic.create_topic.configs = &pair;
    topic.create_topic.n_configs = 1;
    apply(w, &topic);
    for (int32_t p = 0; p < n_partitions; p++) {
        broker_id at = leaders[p] != BROKER_NONE ? leaders[p] : 3;
        struct meta_record r = {.kind = META_PARTITION_STATE};
        r.partition = (struct partition_state){.topic_id = topic.create_topic.id,
                .partition = p,
                .replicas = {.n = 1, .at = {at}},
                .isr = {.n = 1, .at = {at}},
                .leader = leaders[p],
                .leader_epoch = 5,
                .partition_epoch = 8,
                .min_isr = 1,
                .unclean_epoch = EPOCH_NONE};
        apply(w, &r);
    }
    struct image_position at = image_position(w->image);
    at.last_seq = w->seq;
    at.crc++;
    image_set_position(w->image, at);
}

void world_many_topics(struct world *w, int n)
{
    char name[32];

    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "topic-%03d", i);
        world_topic(w, name, 1, (const broker_id[]){1});
    }
}

/* --- Calls ---------------------------------------------------------------------------------------------------------- */

static void split_query(struct world *w, char *query)
{
    char *rest = query;
    char *part;

    w->call.params = w->params;
    while ((part = strsep(&rest, "&")) != NULL) {
        char *equals = strchr(part, '=');
        CHECK(w->call.n_params < COUNT_OF(w->params));
        if (equals != NULL) {
            *equals = '\0';
        }
        w->params[w->call.n_params++] =
                (struct http_param){.name = part, .value = equals != NULL ? equals + 1 : ""};
    }
}

static int read_answer(struct world *w)
{
    const char *type = w->answer.content_type;

    if (type != NULL && (strcmp(type, "application/json") == 0 ||
                                strcmp(type, "application/problem+json") == 0)) {
        w->json = json_loadb((const char *)w->answer.body.data, w->answer.body.size, 0, NULL);
        CHECK(w->json != NULL);
    }
    return w->answer.status;
}

/* What asks brokers first is answered as if none of them told. */
static void answer_untold(struct world *w)
{
    http_get_fn *untold = w->later == http_get_broker_logs ? http_get_broker
                          : w->later == http_get_trash     ? http_get_trash_untold
                          : w->later == http_get_trashed   ? http_get_trashed_untold
                                                           : NULL;

    if (untold != NULL) {
        untold(&w->view, &w->call, w->later_arg, &w->answer);
        w->later = NULL;
        w->later_arg = mem_free(w->later_arg);
    }
}

int world_send(struct world *w, const char *method, const char *path, const char *body)
{
    const char *reason = w->call.reason;
    const char *content_type = w->call.content_type;
    const char *mark = strchr(path, '?');

    forget_call(w);
    w->path_and_query = mem_strdup(path);
    w->call = (struct http_call){.id = 17,
            .method = method,
            .path = w->path_and_query,
            .query_text = mark != NULL ? mark + 1 : "",
            .content_type = content_type != NULL ? content_type : "application/json",
            .reason = reason,
            .if_match = w->if_match,
            .body = {(const uint8_t *)body, body != NULL ? strlen(body) : 0},
            .peer = "127.0.0.1"};
    if (mark != NULL) {
        char *query = w->path_and_query + (mark - path);
        *query = '\0';
        split_query(w, query + 1);
    }
    http_counts_refresh(&w->counts, w->image);
    http_dispatch(&w->view, &w->call, &w->answer, &w->write, &w->later, &w->later_arg);
    answer_untold(w);
    w->call.query_text = "";
    w->call.reason = NULL;
    w->call.content_type = NULL;
    return read_answer(w);
}

int world_reply(struct world *w, const struct ctl_reply *reply, bool is_ready)
{
    CHECK(w->write.kind != HTTP_WRITE_NONE);
    http_write_take(&w->write, reply);
    http_write_answer(&w->write, &w->view, &w->call, is_ready, &w->answer);
    return read_answer(w);
}

const json_t *world_at(const struct world *w, const char *path)
{
    const json_t *at = w->json;
    char name[64];

    while (at != NULL && *path != '\0') {
        size_t size = strcspn(path, "/");
        CHECK(size < sizeof(name));
        memcpy(name, path, size);
        name[size] = '\0';
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(name, NULL, 10))
                               : json_object_get(at, name);
        path += size + (path[size] == '/' ? 1 : 0);
    }
    return at;
}

const char *world_text(const struct world *w, const char *path)
{
    const char *text = json_string_value(world_at(w, path));

    return text != NULL ? text : "";
}

int64_t world_number(const struct world *w, const char *path)
{
    const json_t *n = world_at(w, path);

    return json_is_integer(n) ? (int64_t)json_integer_value(n) : -999;
}

bool world_is_null(const struct world *w, const char *path)
{
    return json_is_null(world_at(w, path));
}

const char *world_body(struct world *w)
{
    return buf_str(&w->answer.body);
}
