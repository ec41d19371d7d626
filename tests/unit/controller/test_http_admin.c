/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint over a real socket, with a controller that the test plays. */
#include "common/wire/meta_image.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_admin.h"
#include "controller/shell/journal.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"
#include "tests/unit/net/turns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the endpoint asked of the controller, which answers when a case says so. */
struct controller {
    struct loop *loop;
    struct http_admin *admin;
    struct world world;
    struct msg_active active;
    struct msg_candidate candidates[3];
    controller_reply_fn *reply_fn;
    void *reply_ctx;
    enum ctl_event_kind asked;
    char *asked_name;
    controller_acks_fn *acks_fn;
    void *acks_ctx;
    uint64_t acks_index;
    wtime acks_timeout;
    controller_configs_fn *configs_fn; /* of the broker that was asked */
    void *configs_ctx;
    broker_id configs_id;
    controller_trim_fn *trim_fns[3]; /* of the brokers that were asked, by id */
    void *trim_ctxs[3];
    size_t n_trimmed[3];
    bool is_trim_dry;
    controller_transfer_fn *transfer_fn;
    void *transfer_ctx;
    int32_t transfer_to;
    char *transfer_reason;
    controller_reach_fn *reach_fn;
    void *reach_ctx;
};

void controller_transfer(struct controller *c,
        int32_t to,
        const char *actor,
        const char *reason,
        controller_transfer_fn *fn,
        void *ctx)
{
    CHECK_STR(actor, "http 127.0.0.1");
    c->transfer_to = to;
    mem_free(c->transfer_reason);
    c->transfer_reason = mem_strdup(reason);
    c->transfer_fn = fn;
    c->transfer_ctx = ctx;
}

void controller_reach(struct controller *c, controller_reach_fn *fn, void *ctx)
{
    c->reach_fn = fn;
    c->reach_ctx = ctx;
}

void controller_submit(
        struct controller *c, const struct ctl_event *ev, controller_reply_fn *fn, void *ctx)
{
    c->reply_fn = fn;
    c->reply_ctx = ctx;
    c->asked = ev->kind;
    mem_free(c->asked_name);
    c->asked_name = mem_strdup(ev->kind == CTL_EV_CREATE_TOPIC   ? ev->create.name
                               : ev->kind == CTL_EV_DELETE_TOPIC ? ev->delete_topic.name
                                                                 : "");
}

void controller_wait_acks(struct controller *c,
        uint64_t index,
        const broker_id *brokers,
        size_t n_brokers,
        wtime timeout,
        controller_acks_fn *fn,
        void *ctx)
{
    CHECK_EQ(n_brokers, 1);
    CHECK_EQ(brokers[0], 2);
    c->acks_fn = fn;
    c->acks_ctx = ctx;
    c->acks_index = index;
    c->acks_timeout = timeout;
}

/* Broker 1 does not answer, others are not connected. */
bool controller_describe_configs(
        struct controller *c, broker_id id, controller_configs_fn *fn, void *ctx)
{
    c->configs_fn = fn;
    c->configs_ctx = ctx;
    c->configs_id = id;
    return id < 3;
}

/* Brokers 1 and 2 are connected. */
bool controller_delete_records(struct controller *c,
        broker_id id,
        const struct msg_delete_records_request *m,
        controller_trim_fn *fn,
        void *ctx)
{
    if (id >= 3) {
        return false;
    }
    c->trim_fns[id] = fn;
    c->trim_ctxs[id] = ctx;
    c->n_trimmed[id] = m->n_partitions;
    c->is_trim_dry = m->dry_run;
    return true;
}

/* Nobody is connected. */
bool controller_describe_logs(struct controller *c,
        broker_id id,
        bool with_topics,
        controller_logs_fn *fn,
        void *ctx)
{
    return false;
}

struct journal *controller_journal(struct controller *c)
{
    return NULL;
}

/* There is nothing in this journal. */
struct journal_scan *journal_scan_start(struct journal *j,
        const struct uuid *cluster_id,
        const struct journal_query *query,
        void (*fn)(void *ctx, const struct journal_page *page),
        void *ctx)
{
    const struct journal_page page = {.n = 0};

    fn(ctx, &page);
    return NULL;
}

const struct image *controller_image(const struct controller *c)
{
    return c->world.image;
}

const char *controller_metadata_trouble(const struct controller *c)
{
    return "";
}

struct bytes controller_last_batch(const struct controller *c)
{
    (void)c;
    return (struct bytes){0};
}

bool controller_is_metadata_read(const struct controller *c)
{
    return c->world.view.is_metadata_read;
}

const struct ctl_balance *controller_balance(const struct controller *c)
{
    (void)c;
    return NULL;
}

void controller_survey_sizes(struct controller *c, controller_survey_fn *fn, void *ctx)
{
    (void)c;
    fn(ctx);
}

const struct move_sizes *controller_move_sizes(const struct controller *c)
{
    return NULL;
}

bool controller_is_active(const struct controller *c)
{
    return c->world.view.is_active;
}

const struct msg_active *controller_active(const struct controller *c)
{
    return c->world.view.has_active ? &c->active : NULL;
}

int32_t controller_id(const struct controller *c)
{
    return c->world.view.self_id;
}

struct uuid controller_cluster_id(const struct controller *c)
{
    return c->world.view.cluster_id;
}

size_t controller_n_candidates(const struct controller *c)
{
    return COUNT_OF(c->candidates);
}

const struct msg_candidate *controller_candidate(const struct controller *c, size_t i)
{
    return &c->candidates[i];
}

struct controller_zk controller_zk(const struct controller *c)
{
    return (struct controller_zk){true, 3000, ""};
}

size_t controller_n_links(const struct controller *c)
{
    return 2;
}

struct controller_link controller_link(const struct controller *c, size_t i)
{
    return (struct controller_link){.id = (broker_id)i + 1,
            .is_connected = true,
            .applied_index = 12,
            .last_heartbeat = i == 0 ? loop_now(c->loop) - WTIME_MS(5500) : 0,
            .dirs = &c->world.dir,
            .n_dirs = 1,
            .trouble = ""};
}

size_t controller_n_refusals(const struct controller *c)
{
    return 2;
}

struct controller_refusal controller_refusal(const struct controller *c, size_t i)
{
    static const struct msg_broker_reg reg = {.rack = "west", .version = "0.0.9", .boot_id = ""};

    return (struct controller_refusal){.id = 7 + (broker_id)i,
            .problem = "another cluster",
            .epoch = 5,
            .registration = i == 0 ? &reg : NULL};
}

/* --- The test's own side -------------------------------------------------------------------------------------------- */

static struct controller *play(wtime idle_timeout)
{
    struct controller *c = mem_new(struct controller);
    struct http_admin_options options = {
            .host = "127.0.0.1", .port = 0, .body_max = 1 << 20, .idle_timeout = idle_timeout};

    world_init(&c->world);
    c->loop = loop_new("admin");
    c->active = (struct msg_active){.ctl_epoch = 4,
            .controller_id = 1,
            .http = "http://127.0.0.1:9180",
            .since = 1795168800000};
    c->candidates[0] = (struct msg_candidate){1, "http://127.0.0.1:9180", "0.1.0", 1};
    c->candidates[1] = (struct msg_candidate){2, "http://127.0.0.1:9181", "0.1.0", 1};
    c->candidates[2] = (struct msg_candidate){2, "http://127.0.0.1:9181", "0.1.0", 1};
    CHECK_EQ(http_admin_new(c->loop, c, &options, &c->admin), 0);
    return c;
}

static void play_end(struct controller *c)
{
    mem_free(c->transfer_reason);
    http_admin_free(c->admin);
    loop_free(c->loop);
    world_deinit(&c->world);
    mem_free(c->asked_name);
    mem_free(c);
}

static int dial(const struct controller *c)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(http_admin_port(c->admin))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int say(const struct controller *c, const char *request)
{
    int fd = dial(c);

    CHECK_EQ(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/* True when the peer has closed. */
static bool hear(int fd, struct buf *b)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
        buf_append(b, bytes, (size_t)n);
    }
    (void)buf_str(b);
    return n == 0 || errno != EAGAIN;
}

/* The whole answer; closes. */
static void hear_all(const struct controller *c, int fd, struct buf *b)
{
    buf_clear(b);
    TURN_UNTIL(c->loop, hear(fd, b));
    (void)close(fd);
}

static bool has(struct buf *b, const char *text)
{
    return strstr(buf_str(b), text) != NULL;
}

#define END "Host: a\r\nConnection: close\r\n"
#define POST_BODY                                                                                  \
    "POST /v1/topics HTTP/1.1\r\n" END                                                             \
    "Content-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"name\": \"orders\"}"

static const struct ctl_placement one_place = {
        .replicas = {.n = 1, .at = {2}}, .leader = 2, .why = "it has the fewest"};
static const struct ctl_reply created = {
        .after_seq = 40, .topic_id = {.bytes = {0xcd}}, .placement = &one_place, .n_placement = 1};

static void reads_come_from_the_controller(void)
{
    struct controller *c = play(0);
    struct buf b = {0};

    hear_all(c, say(c, "GET /v1/brokers HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(&b, "Content-Type: application/json\r\n"));
    CHECK(has(&b, "Weir-Metadata-Epoch: 4\r\n"));
    CHECK(has(&b, "\"heartbeat_age_ms\": 5"));
    CHECK(has(&b, "\"heartbeat_age_ms\": null"));
    CHECK(has(&b, "\"id\": 7, \"state\": \"refused\", \"rack\": \"west\""));
    CHECK(has(&b, "\"id\": 8, \"state\": \"refused\", \"rack\": null"));
    hear_all(c, say(c, "GET /v1/controllers?page_size=5 HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "\"id\": 1, \"state\": \"active\""));
    CHECK(strstr(strstr(buf_str(&b), "\"id\": 2") + 1, "\"id\": 2") == NULL); /* once */
    hear_all(c, say(c, "HEAD /v1/cluster HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 200 OK\r\n"));
    CHECK_STR(strstr(buf_str(&b), "\r\n\r\n"), "\r\n\r\n");
    hear_all(c, say(c, "GET /v1/topics?page_size=1&page_size=2 HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 400 "));
    buf_deinit(&b);
    play_end(c);
}

/* Body of a whole answer, and its size. */
static const uint8_t *body_of(const struct buf *b, size_t *ret_size)
{
    const uint8_t *end = memmem(b->data, b->size, "\r\n\r\n", 4);

    CHECK(end != NULL);
    *ret_size = b->size - (size_t)(end + 4 - b->data);
    return end + 4;
}

static void the_image_comes_as_a_file_in_parts(void) /* [RBD-12] */
{
    static const broker_id leaders[1200] = {1, 2, 1};
    struct controller *c = play(0);
    struct buf first = {0}, second = {0};
    struct msg_meta_image m;
    struct image *image = NULL;
    struct arena a;
    size_t size = 0;
    int turns = 0;

    for (size_t t = 0; t < 5; t++) { /* 6,000 partitions: several parts of a thousand */
        char name[16];
        broker_id all[1200];
        for (size_t i = 0; i < COUNT_OF(all); i++) {
            all[i] = leaders[i % 3];
        }
        (void)snprintf(name, sizeof(name), "many-%zu", t);
        world_topic(&c->world, name, COUNT_OF(all), all);
    }
    c->world.view.cluster_id = (struct uuid){{5}};
    int fd = say(c, "GET /v1/metadata/image HTTP/1.1\r\n" END "\r\n");
    int other = say(c, "GET /v1/metadata/image HTTP/1.1\r\n" END "\r\n");
    while (!hear(fd, &first)) {
        turn_once(c->loop);
        turns++;
    }
    (void)close(fd);
    CHECK(turns >= 6);
    hear_all(c, other, &second);
    CHECK(has(&first, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(&first, "Content-Type: application/octet-stream\r\n"));
    CHECK(has(&first, "Weir-Metadata-Index: 12\r\n"));
    arena_init(&a, 1 << 20);
    const uint8_t *body = body_of(&first, &size);
    CHECK_EQ(wire_decode_meta_image((struct bytes){body, size}, &a, &m), 0);
    CHECK_EQ(wire_load_meta_image(&m, &image), 0);
    CHECK_EQ(image_n_partitions(image), 6000);
    CHECK_EQ(m.index, 12);
    CHECK_EQ(m.ctl_epoch, 4);
    CHECK_EQ(m.broker, BROKER_NONE);
    CHECK_EQ(second.size > size, 1);
    (void)image_free(image);
    arena_deinit(&a);
    buf_deinit(&first);
    buf_deinit(&second);
    play_end(c);
}

static void an_image_that_is_not_there_yet_is_503(void) /* [RBD-12] */
{
    struct controller *c = play(0);
    struct buf b = {0};

    c->world.view.is_metadata_read = false;
    hear_all(c, say(c, "GET /v1/metadata/image HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 503 "));
    CHECK(has(&b, "has not read the metadata yet"));
    hear_all(c, say(c, "GET /v1/metadata/image?x=1 HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 400 "));
    buf_deinit(&b);
    play_end(c);
}

static void endpoint_may_end_while_an_image_is_made(void) /* [RBD-12] */
{
    struct controller *c = play(0);
    int fd = say(c, "GET /v1/metadata/image HTTP/1.1\r\n" END "\r\n");
    int other = say(c, "GET /v1/metadata/image HTTP/1.1\r\n" END "\r\n");

    c->world.view.cluster_id = (struct uuid){{5}};
    for (int i = 0; i < 3; i++) {
        turn_once(c->loop);
    }
    play_end(c);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(other), 0);
}

static void creation_is_answered_after_commit_and_acks(void)
{
    struct controller *c = play(0);
    struct buf b = {0};
    int fd = say(c, POST_BODY);

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    CHECK_EQ(c->asked, CTL_EV_CREATE_TOPIC);
    CHECK_STR(c->asked_name, "orders");
    c->reply_fn(c->reply_ctx, &created, 13);
    CHECK(c->acks_fn != NULL);
    CHECK_EQ(c->acks_index, 13);
    CHECK(c->acks_timeout > 0 && c->acks_timeout <= WTIME_S(2));
    turn_once(c->loop);
    CHECK(!hear(fd, &b));
    CHECK_EQ(b.size, 0);
    c->acks_fn(c->acks_ctx, true);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 201 Created\r\n"));
    CHECK(has(&b, "Location: /v1/topics/orders\r\n"));
    CHECK(has(&b, "Weir-Decision: 40\r\n"));
    CHECK(has(&b, "\"ready\": true"));
    buf_deinit(&b);
    play_end(c);
}

static void leaders_that_are_slow_make_it_not_ready(void)
{
    struct controller *c = play(0);
    struct buf b = {0};
    int fd = say(c, POST_BODY);

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    c->reply_fn(c->reply_ctx, &created, 13);
    c->acks_fn(c->acks_ctx, false);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 201 "));
    CHECK(has(&b, "\"ready\": false"));
    buf_deinit(&b);
    play_end(c);
}

static void outcome_that_nobody_knows_is_504(void)
{
    struct controller *c = play(0);
    struct ctl_reply lost = {.error = ERRCODE_REQUEST_TIMED_OUT, .detail = ""};
    struct buf b = {0};
    int fd = say(c, POST_BODY);

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    c->reply_fn(c->reply_ctx, &lost, 0);
    CHECK(c->acks_fn == NULL);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 504 "));
    CHECK(has(&b, "whether it took effect is unknown"));
    buf_deinit(&b);
    play_end(c);
}

static void client_that_leaves_before_the_answer_is_forgotten(void)
{
    struct controller *c = play(0);
    int fd = say(c, POST_BODY);

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    (void)close(fd);
    turn_once(c->loop);
    turn_once(c->loop);
    c->reply_fn(c->reply_ctx, &created, 13);
    c->acks_fn(c->acks_ctx, true);
    turn_once(c->loop);
    CHECK(c->acks_fn != NULL);
    play_end(c);
}

static void endpoint_may_end_before_the_controller_answers(void)
{
    struct controller *c = play(0);
    int fd = say(c, POST_BODY);

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    play_end(c);
    CHECK_EQ(close(fd), 0);
}

static const struct msg_config_entry told[] = {{"log.level", "warn", "file", false}};
static const struct msg_describe_configs_response told_all = {
        (struct msg_config_entry *)(uintptr_t)told, 1};

static void broker_is_asked_for_its_configuration(void) /* [CFG-9] */
{
    struct controller *c = play(0);
    struct buf b = {0};
    int fd = say(c, "GET /v1/brokers/1/configs HTTP/1.1\r\n" END "\r\n");

    TURN_UNTIL(c->loop, c->configs_fn != NULL);
    CHECK_EQ(c->configs_id, 1);
    turn_once(c->loop);
    CHECK(!hear(fd, &b));
    c->configs_fn(c->configs_ctx, &told_all);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(&b, "ETag: \"12\"\r\n"));
    CHECK(has(&b, "Weir-Metadata-Index: 12\r\n"));
    CHECK(has(&b, "\"name\": \"log.level\", \"value\": \"warn\""));
    CHECK(has(&b, "\"problem\": null"));
    fd = say(c, "GET /v1/brokers/1/configs HTTP/1.1\r\n" END "\r\n");
    c->configs_fn = NULL;
    TURN_UNTIL(c->loop, c->configs_fn != NULL);
    c->configs_fn(c->configs_ctx, NULL);
    hear_all(c, fd, &b);
    CHECK(has(&b, "\"problem\": \"broker 1 did not tell"));
    hear_all(c, say(c, "GET /v1/brokers/3/configs HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "\"problem\": \"broker 3 is not connected"));
    CHECK(has(&b, "\"name\": \"listeners\", \"value\": null"));
    hear_all(c, say(c, "GET /v1/brokers/7/configs HTTP/1.1\r\n" END "\r\n"), &b);
    CHECK(has(&b, "HTTP/1.1 404 "));
    buf_deinit(&b);
    play_end(c);
}

static void changed_broker_is_asked_after_its_ack(void) /* [CFG-8] */
{
    struct controller *c = play(0);
    struct ctl_reply set = {.after_seq = 41};
    struct buf b = {0};
    int fd = say(c, "PATCH /v1/brokers/2/configs HTTP/1.1\r\n" END
                    "Content-Type: application/merge-patch+json\r\nIf-Match: \"12\"\r\n"
                    "Content-Length: 21\r\n\r\n{\"log.level\": \"warn\"}");

    TURN_UNTIL(c->loop, c->reply_fn != NULL);
    CHECK_EQ(c->asked, CTL_EV_SET_CONFIGS);
    c->reply_fn(c->reply_ctx, &set, 13);
    CHECK_EQ(c->acks_index, 13);
    CHECK(c->configs_fn == NULL);
    c->acks_fn(c->acks_ctx, true);
    CHECK_EQ(c->configs_id, 2);
    c->configs_fn(c->configs_ctx, &told_all);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(&b, "Weir-Decision: 41\r\n"));
    CHECK(has(&b, "\"applied\": true"));
    CHECK(has(&b, "\"value\": \"warn\""));
    buf_deinit(&b);
    play_end(c);
}

static void endpoint_may_end_before_the_broker_answers(void)
{
    struct controller *c = play(0);
    int fd = say(c, "GET /v1/brokers/1/configs HTTP/1.1\r\n" END "\r\n");

    TURN_UNTIL(c->loop, c->configs_fn != NULL);
    controller_configs_fn *fn = c->configs_fn;
    void *ctx = c->configs_ctx;
    play_end(c);
    fn(ctx, NULL); /* what the controller still had to say */
    CHECK_EQ(close(fd), 0);
}

#define POST_TRIM(query, body, size)                                                               \
    "POST /v1/topics/orders:trim" query " HTTP/1.1\r\n" END                                        \
    "Content-Type: application/json\r\nContent-Length: " size "\r\n\r\n" body
#define TRIM_ALL                                                                                   \
    "{\"partitions\":[{\"partition\":0,\"before_offset\":5},{\"partition\":1,\"before_offset\":-1},"    \
    "{\"partition\":2,\"before_offset\":7},{\"partition\":3,\"before_offset\":7},"                     \
    "{\"partition\":4,\"before_offset\":7}]}"

/* Partitions 0, 2 at broker 1, 1 at 2, 3 at one that is not connected, 4 at nobody. */
static struct controller *play_orders(struct uuid *ret_id)
{
    static const broker_id leaders[] = {1, 2, 1, 3, BROKER_NONE};
    struct controller *c = play(0);

    world_topic(&c->world, "orders", 5, leaders);
    *ret_id = image_topic_by_name(c->world.image, "orders")->id;
    return c;
}

static void trim_waits_for_every_leader(void) /* [LOG-33] */
{
    struct uuid id;
    struct controller *c = play_orders(&id);
    struct buf b = {0};
    int fd = say(c, POST_TRIM("?confirm=orders", TRIM_ALL, "187"));

    TURN_UNTIL(c->loop, c->trim_fns[1] != NULL);
    CHECK(c->trim_fns[2] != NULL);
    CHECK_EQ(c->n_trimmed[1], 2);
    CHECK_EQ(c->n_trimmed[2], 1);
    CHECK(!c->is_trim_dry);
    struct msg_delete_records_result results[] = {
            {.topic_id = id, .partition = 0, .detail = "", .log_start = 5, .old_log_start = 2},
            {.topic_id = id, .partition = 2, .error = ERRCODE_OFFSET_OUT_OF_RANGE,
                    .detail = "too high", .log_start = -1, .old_log_start = -1}};
    const struct msg_delete_records_response answer = {.partitions = results, .n_partitions = 2};
    c->trim_fns[1](c->trim_ctxs[1], &answer);
    turn_once(c->loop);
    CHECK(!hear(fd, &b));
    c->trim_fns[2](c->trim_ctxs[2], NULL);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(&b, "{\"partition\": 0, \"log_start_offset\": 5, \"old_log_start_offset\": 2}"));
    CHECK(has(&b, "\"code\": \"OFFSET_OUT_OF_RANGE\", \"kafka_code\": 1, \"detail\": \"too high\""));
    CHECK(has(&b, "broker 2 did not answer"));
    CHECK(has(&b, "broker 3, its leader, is not connected here"));
    CHECK(has(&b, "it has no leader now"));
    buf_deinit(&b);
    play_end(c);
}

static void trim_must_be_confirmed_and_right(void) /* [LOG-33] */
{
    static const struct {
        const char *request, *status, *text;
    } wrong[] = {
            {POST_TRIM("", TRIM_ALL, "187"), "HTTP/1.1 422 ", "confirm must be its name"},
            {POST_TRIM("?confirm=order", TRIM_ALL, "187"), "HTTP/1.1 422 ", "?dry_run=true"},
            {POST_TRIM("?confirm=orders", "{}", "2"), "HTTP/1.1 400 ", "at least one partition"},
            {POST_TRIM("?confirm=orders", "{\"partitions\":[{\"partition\":5,\"before_offset\":1}]}",
                     "50"), "HTTP/1.1 400 ", "from 0 to 4"},
            {POST_TRIM("?confirm=orders", "{\"partitions\":[{\"partition\":0,\"before_offset\":-2}]}",
                     "51"), "HTTP/1.1 400 ", "before_offset"},
            {POST_TRIM("?confirm=orders", "{\"partitions\":[{\"partition\":0}]}", "32"),
                    "HTTP/1.1 400 ", "alone"},
            {POST_TRIM("?confirm=orders",
                     "{\"partitions\":[{\"partition\":0,\"before_offset\":1},"
                     "{\"partition\":0,\"before_offset\":1}]}", "84"),
                    "HTTP/1.1 400 ", "stands twice"},
            {POST_TRIM("?confirm=orders", "{\"before\":1}", "12"), "HTTP/1.1 400 ",
                    "unknown member"},
            {"GET /v1/topics/orders:trim HTTP/1.1\r\n" END "\r\n", "HTTP/1.1 404 ", "orders:trim"},
    };

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct uuid id;
        struct controller *c = play_orders(&id);
        struct buf b = {0};
        hear_all(c, say(c, wrong[i].request), &b);
        CHECK(has(&b, wrong[i].status));
        CHECK(has(&b, wrong[i].text));
        CHECK(c->trim_fns[1] == NULL);
        buf_deinit(&b);
        play_end(c);
    }
}

static void endpoint_may_end_before_a_trim_does(void)
{
    struct uuid id;
    struct controller *c = play_orders(&id);
    int fd = say(c, POST_TRIM("?dry_run=true", TRIM_ALL, "187"));

    TURN_UNTIL(c->loop, c->trim_fns[1] != NULL);
    CHECK(c->is_trim_dry);
    controller_trim_fn *fns[] = {c->trim_fns[1], c->trim_fns[2]};
    void *ctxs[] = {c->trim_ctxs[1], c->trim_ctxs[2]};
    play_end(c);
    fns[0](ctxs[0], NULL);
    fns[1](ctxs[1], NULL);
    CHECK_EQ(close(fd), 0);
}

static void port_that_is_taken_is_an_error(void)
{
    struct controller *c = play(0);
    struct http_admin *second = NULL;
    struct http_admin_options options = {
            .host = "127.0.0.1", .port = http_admin_port(c->admin), .body_max = 1024};

    CHECK_EQ(http_admin_new(c->loop, c, &options, &second), -EADDRINUSE);
    CHECK(second == NULL);
    play_end(c);
}

/* --- Transfer and reach --------------------------------------------------------------------------------------------- */

#define POST_TRANSFER(body, size)                                                                  \
    "POST /v1/controllers:transfer HTTP/1.1\r\n" END "Weir-Reason: new kernel\r\n"                \
    "Content-Type: application/json\r\nContent-Length: " size "\r\n\r\n" body

/* [ZK-24] */
static void transfer_is_answered_when_the_controller_says_how_it_ended(void)
{
    static const struct {
        struct controller_transfer t;
        const char *status, *text;
    } ends[] = {
            {{TRANSFER_DONE, 1, 2, 5, ""}, "HTTP/1.1 200 ",
                    "{\"from\": 1, \"to\": 2, \"epoch\": 5}"},
            {{TRANSFER_NOT_ACTIVE, 1, 2, 0, "it is over"}, "HTTP/1.1 503 ", "it is over"},
            {{TRANSFER_ALREADY, 1, 1, 0, ""}, "HTTP/1.1 409 ",
                    "controller 1 is the active one already"},
            {{TRANSFER_UNKNOWN, 1, 7, 0, ""}, "HTTP/1.1 422 ", "no controller 7 is registered"},
            {{TRANSFER_NO_STANDBY, 1, -1, 0, ""}, "HTTP/1.1 409 ", "there is no standby"},
            {{TRANSFER_NOT_READY, 1, 2, 0, "why"}, "HTTP/1.1 409 ", "\"detail\": \"why\""},
            {{TRANSFER_BUSY, 1, 2, 0, ""}, "HTTP/1.1 409 ", "another transfer is under way"},
            {{TRANSFER_TIMED_OUT, 1, 2, 0, "too slow"}, "HTTP/1.1 504 ", "too slow"},
            {{TRANSFER_OTHER, 1, 3, 9, ""}, "HTTP/1.1 409 ", "controller 3 became the active one"},
    };

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct controller *c = play(0);
        struct buf b = {0};
        int fd = say(c, POST_TRANSFER("{\"to\": 2}", "9"));
        TURN_UNTIL(c->loop, c->transfer_fn != NULL);
        CHECK_EQ(c->transfer_to, 2);
        CHECK_STR(c->transfer_reason, "new kernel");
        c->transfer_fn(c->transfer_ctx, &ends[i].t);
        hear_all(c, fd, &b);
        CHECK(has(&b, ends[i].status));
        CHECK(has(&b, ends[i].text));
        buf_deinit(&b);
        play_end(c);
    }
}

static void transfer_bodies_that_are_wrong_are_refused(void)
{
    static const struct {
        const char *request, *status, *text;
    } wrong[] = {
            {POST_TRANSFER("", "0"), "HTTP/1.1 400 ", "the body is empty"},
            {POST_TRANSFER("[]", "2"), "HTTP/1.1 400 ", "must be an object"},
            {POST_TRANSFER("{\"to\":", "6"), "HTTP/1.1 400 ", "line 1"},
            {POST_TRANSFER("{\"to\": -1}", "10"), "HTTP/1.1 400 ", "/to: must be a controller"},
            {POST_TRANSFER("{\"to\": \"2\"}", "11"), "HTTP/1.1 400 ", "/to: must be a controller"},
            {POST_TRANSFER("{\"too\": 2}", "10"), "HTTP/1.1 400 ", "unknown member"},
            {"POST /v1/controllers:transfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
             "Content-Length: 2\r\n\r\n{}",
                    "HTTP/1.1 415 ", "must be JSON"},
            {"GET /v1/controllers:transfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                    "HTTP/1.1 405 ", "no method GET"},
    };

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct controller *c = play(0);
        struct buf b = {0};
        int fd = say(c, wrong[i].request);
        hear_all(c, fd, &b);
        CHECK(has(&b, wrong[i].status));
        CHECK(has(&b, wrong[i].text));
        CHECK(c->transfer_fn == NULL);
        buf_deinit(&b);
        play_end(c);
    }
}

static void transfer_without_a_name_is_to_any(void)
{
    struct controller *c = play(0);
    int fd = say(c, POST_TRANSFER("{}", "2"));
    const struct controller_transfer done = {TRANSFER_DONE, 1, 2, 5, ""};

    TURN_UNTIL(c->loop, c->transfer_fn != NULL);
    CHECK_EQ(c->transfer_to, -1);
    (void)close(fd); /* nobody waits any more */
    turn_once(c->loop);
    c->transfer_fn(c->transfer_ctx, &done);
    play_end(c);
}

/* [ZK-26] */
static void reach_is_told_by_every_controller(void)
{
    static const broker_id reached[] = {1, 3}, missed[] = {2};
    const struct controller_reach r = {.is_ready = true,
            .detail = "",
            .reached = reached,
            .n_reached = 2,
            .missed = missed,
            .n_missed = 1};
    struct controller *c = play(0);
    struct buf b = {0};

    c->world.view.is_active = false;
    int fd = say(c, "GET /v1/brokers:reach HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    TURN_UNTIL(c->loop, c->reach_fn != NULL);
    c->reach_fn(c->reach_ctx, &r);
    hear_all(c, fd, &b);
    CHECK(has(&b, "HTTP/1.1 200 "));
    CHECK(has(&b, "{\"ready\": true, \"detail\": \"\", \"reached\": [1, 3], "
                  "\"not_reached\": [2]}"));
    buf_deinit(&b);
    play_end(c);
}

static void endpoint_may_end_before_a_transfer_does(void)
{
    struct controller *c = play(0);
    const struct controller_transfer gone = {TRANSFER_NOT_ACTIVE, 1, 2, 0, ""};
    int fd = say(c, POST_TRANSFER("{}", "2"));

    TURN_UNTIL(c->loop, c->transfer_fn != NULL);
    controller_transfer_fn *fn = c->transfer_fn;
    void *ctx = c->transfer_ctx;
    play_end(c);
    fn(ctx, &gone);
    CHECK_EQ(close(fd), 0);
}

static const struct check_case cases[] = {
        CASE(transfer_is_answered_when_the_controller_says_how_it_ended),
        CASE(transfer_bodies_that_are_wrong_are_refused),
        CASE(transfer_without_a_name_is_to_any),
        CASE(reach_is_told_by_every_controller),
        CASE(endpoint_may_end_before_a_transfer_does),
        CASE(reads_come_from_the_controller),
        CASE(the_image_comes_as_a_file_in_parts),
        CASE(an_image_that_is_not_there_yet_is_503),
        CASE(endpoint_may_end_while_an_image_is_made),
        CASE(creation_is_answered_after_commit_and_acks),
        CASE(leaders_that_are_slow_make_it_not_ready),
        CASE(outcome_that_nobody_knows_is_504),
        CASE(client_that_leaves_before_the_answer_is_forgotten),
        CASE(endpoint_may_end_before_the_controller_answers),
        CASE(broker_is_asked_for_its_configuration),
        CASE(changed_broker_is_asked_after_its_ack),
        CASE(endpoint_may_end_before_the_broker_answers),
        CASE(trim_waits_for_every_leader),
        CASE(trim_must_be_confirmed_and_right),
        CASE(endpoint_may_end_before_a_trim_does),
        CASE(port_that_is_taken_is_an_error),
};

CHECK_MAIN("http_admin", cases)
