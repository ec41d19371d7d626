/* SPDX-License-Identifier: Apache-2.0 */
/* The admin endpoint of real controllers: what a careless, a slow and a hostile client gets. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int active, standby; /* ids of the controllers */
    struct buf body;
    json_t *json;
} t;

static int request(int id, const char *method, const char *path, const char *body)
{
    int status = http_request(controller_port(id), method, path, body, false, &t.body);

    json_decref(t.json);
    t.json = json_loadb((const char *)t.body.data, t.body.size, 0, NULL);
    return status;
}

static const char *text(const char *name)
{
    const char *value = json_string_value(json_object_get(t.json, name));

    return value != NULL ? value : "";
}

static bool roles_are_known(void)
{
    size_t i;
    json_t *one;

    t.active = t.standby = 0;
    if (request(1, "GET", "/v1/controllers", NULL) != 200) {
        return false;
    }
    json_array_foreach(json_object_get(t.json, "items"), i, one)
    {
        int id = (int)json_integer_value(json_object_get(one, "id"));
        const char *state = json_string_value(json_object_get(one, "state"));
        if (strcmp(state, "active") == 0) {
            t.active = id;
        } else {
            t.standby = id;
        }
    }
    return t.active != 0 && t.standby != 0;
}

/* One cluster for all cases. */
static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "2", "--brokers", "1", NULL});
    }
    CHECK_WITHIN(10000, roles_are_known());
}

static bool broker_is_up(void)
{
    return request(t.active, "GET", "/v1/brokers/1", NULL) == 200 &&
           strcmp(text("state"), "up") == 0;
}

/* --- Bad input ------------------------------------------------------------------------------------------------------ */

static void bad_json_is_400_and_says_where(void)
{
    begin();
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"orders\",}"), 400);
    CHECK_STR(text("code"), "INVALID_REQUEST");
    CHECK(strstr(text("detail"), "line 1, column") != NULL);
    CHECK(text("hint")[0] != '\0');
}

static void wrong_type_and_unknown_member_are_400_with_pointers(void)
{
    begin();
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"a\", \"partitions\": \"6\"}"),
            400);
    CHECK(strstr(text("detail"), "/partitions") != NULL);
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"a\", \"replicas\": 1}"), 400);
    CHECK(strstr(text("detail"), "/replicas") != NULL);
    CHECK_EQ(request(t.active, "GET", "/v1/topics?page_sise=1", NULL), 400);
}

static void rules_of_the_controller_are_422(void)
{
    begin();
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"not legal\"}"), 422);
    CHECK_STR(text("code"), "INVALID_TOPIC_EXCEPTION");
    CHECK_EQ(
            request(t.active, "POST", "/v1/topics", "{\"name\": \"a\", \"replication_factor\": 2}"),
            422);
    CHECK_STR(text("code"), "INVALID_REPLICATION_FACTOR");
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"a\", \"assignments\": [[99]]}"),
            422);
    CHECK_STR(text("code"), "INVALID_REPLICA_ASSIGNMENT");
    CHECK_EQ(request(t.active, "POST", "/v1/topics",
                     "{\"name\": \"a\", \"configs\": {\"segment.byte\": 1}}"),
            422);
    CHECK(strstr(text("detail"), "did you mean 'segment.bytes'") != NULL);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/a", NULL), 404);
}

static void unknown_things_are_404(void)
{
    static const char *const paths[] = {"/v1/topics/nope", "/v1/topics/nope/partitions",
            "/v1/brokers/77", "/v1/nope", "/v1/topics/%2e%2e", "/v1/topics/%C3%A9"};

    begin();
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        CHECK_EQ(request(t.active, "GET", paths[i], NULL), 404);
        CHECK(text("hint")[0] != '\0');
    }
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/nope?confirm=nope", NULL), 404);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/%00", NULL), 400);
}

static void wrong_method_is_405_with_allow(void)
{
    begin();
    CHECK_EQ(
            http_request(controller_port(t.active), "PUT", "/v1/topics", "{}", true, &t.body), 405);
    CHECK(strstr(buf_str(&t.body), "Allow: GET, HEAD, POST\r\n") != NULL);
}

/* --- Topics --------------------------------------------------------------------------------------------------------- */

static void topic_lives_from_post_to_confirmed_delete(void)
{
    begin();
    CHECK_WITHIN(10000, broker_is_up());
    CHECK_EQ(request(t.active, "POST", "/v1/topics?dry_run=true", "{\"name\": \"life\"}"), 200);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/life", NULL), 404);
    CHECK_EQ(request(t.active, "POST", "/v1/topics",
                     "{\"name\": \"life\", \"partitions\": 3, \"configs\": {\"segment.bytes\": "
                     "\"2MiB\"}}"),
            201);
    CHECK(json_is_true(json_object_get(t.json, "ready")));
    CHECK_EQ(json_array_size(json_object_get(t.json, "partitions")), 3);
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"life\"}"), 409);
    CHECK_STR(text("code"), "TOPIC_ALREADY_EXISTS");
    CHECK(strstr(text("detail"), "exists since 20") != NULL);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/life", NULL), 200);
    const json_t *config = json_array_get(json_object_get(t.json, "configs"), 0);
    CHECK_STR(json_string_value(json_object_get(config, "value")), "2097152");
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/life", NULL), 422);
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/life?confirm=lif", NULL), 422);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/life", NULL), 200);
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/life?confirm=life&dry_run=true", NULL), 200);
    CHECK_EQ(request(t.active, "GET", "/v1/topics/life", NULL), 200);
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/life?confirm=life", NULL), 200);
    CHECK_STR(text("name"), "life");
    CHECK_EQ(request(t.active, "GET", "/v1/topics/life", NULL), 404);
}

static void creation_names_its_place_and_its_decision(void)
{
    begin();
    CHECK_WITHIN(10000, broker_is_up());
    CHECK_EQ(http_request(controller_port(t.active), "POST", "/v1/topics", "{\"name\": \"headed\"}",
                     true, &t.body),
            201);
    CHECK(strstr(buf_str(&t.body), "Location: /v1/topics/headed\r\n") != NULL);
    CHECK(strstr(buf_str(&t.body), "Weir-Decision: ") != NULL);
    CHECK(strstr(buf_str(&t.body), "Weir-Metadata-Index: ") != NULL);
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/headed?confirm=headed", NULL), 200);
}

static void pages_list_250_topics_once_each(void)
{
    char path[512] = "/v1/topics?page_size=60&filter=name~page-";
    char body[64];
    int n = 0;
    size_t i;
    json_t *one;

    begin();
    CHECK_WITHIN(10000, broker_is_up());
    for (int k = 0; k < 250; k++) {
        (void)snprintf(body, sizeof(body), "{\"name\": \"page-%03d\"}", k);
        CHECK_EQ(request(t.active, "POST", "/v1/topics", body), 201);
    }
    while (path[0] != '\0') {
        CHECK_EQ(request(t.active, "GET", path, NULL), 200);
        json_array_foreach(json_object_get(t.json, "items"), i, one)
        {
            (void)snprintf(body, sizeof(body), "page-%03d", n++);
            CHECK_STR(json_string_value(json_object_get(one, "name")), body);
        }
        const char *token = json_string_value(json_object_get(t.json, "next_page_token"));
        path[0] = '\0';
        if (token != NULL) {
            (void)snprintf(path, sizeof(path),
                    "/v1/topics?page_size=60&filter=name~page-&page_token=%s", token);
        }
    }
    CHECK_EQ(n, 250);
    for (int k = 0; k < 250; k++) {
        (void)snprintf(path, sizeof(path), "/v1/topics/page-%03d?confirm=page-%03d", k, k);
        CHECK_EQ(request(t.active, "DELETE", path, NULL), 200);
    }
}

/* --- Standby -------------------------------------------------------------------------------------------------------- */

static bool standby_has_topic(void)
{
    return request(t.standby, "GET", "/v1/topics/moved", NULL) == 200;
}

static void standby_sends_writes_on_and_reads_stale(void)
{
    char location[128];

    begin();
    CHECK_WITHIN(10000, broker_is_up());
    (void)snprintf(location, sizeof(location),
            "Location: http://127.0.0.1:%d/v1/topics?dry_run=true\r\n", controller_port(t.active));
    CHECK_EQ(http_request(controller_port(t.standby), "POST", "/v1/topics?dry_run=true", "{}", true,
                     &t.body),
            307);
    CHECK(strstr(buf_str(&t.body), location) != NULL);
    CHECK_EQ(http_request(controller_port(t.standby), "GET", "/v1/cluster", NULL, true, &t.body),
            200);
    CHECK(strstr(buf_str(&t.body), "Weir-Stale: true\r\n") != NULL);
    CHECK_EQ(request(t.active, "POST", "/v1/topics", "{\"name\": \"moved\"}"), 201);
    CHECK_WITHIN(5000, standby_has_topic());
    CHECK_EQ(request(t.active, "DELETE", "/v1/topics/moved?confirm=moved", NULL), 200);
}

/* --- Hostile clients ------------------------------------------------------------------------------------------------ */

static int dial(int id)
{
    struct sockaddr_in a = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)controller_port(id))};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void say(int fd, const char *bytes)
{
    CHECK_EQ(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* Sends a POST with `size` bytes of body, as far as they are taken; what is answered is in `ret`. */
static void post_bytes(int64_t size, char *ret, size_t ret_size)
{
    static char block[1 << 20];
    char head[256];
    int fd = dial(t.active);
    ssize_t n = 1;

    memset(block, ' ', sizeof(block));
    (void)snprintf(head, sizeof(head),
            "POST /v1/topics HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            "Content-Length: %lld\r\n\r\n",
            (long long)size);
    say(fd, head);
    for (int64_t sent = 0; sent < size && n > 0; sent += n) {
        int64_t left = size - sent;
        n = send(fd, block, left < (int64_t)sizeof(block) ? (size_t)left : sizeof(block),
                MSG_NOSIGNAL);
    }
    n = recv(fd, ret, ret_size - 1, 0);
    ret[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

static int64_t resident_bytes(void)
{
    static const char name[] = "\nweir_process_resident_bytes ";

    CHECK_EQ(request(t.active, "GET", "/metrics", NULL), 200);
    const char *at = strstr(buf_str(&t.body), name);
    CHECK(at != NULL);
    return strtoll(at + strlen(name), NULL, 10);
}

static void body_that_is_too_large_is_413(void)
{
    char answer[256];

    begin();
    post_bytes(16 << 20, answer, sizeof(answer));
    CHECK_EQ(strncmp(answer, "HTTP/1.1 413 ", 13), 0);
    char *body = mem_format("{\"name\": \"%0200000d\"}", 1);
    CHECK_EQ(request(t.active, "POST", "/v1/topics", body), 413);
    mem_free(body);
    CHECK_STR(text("code"), "BODY_TOO_LARGE");
}

/* Not kept (half of it at most, which is what sanitizers hold back of freed memory): 413 when it came within the limit of
 * time, else the connection ends. */
static void body_of_a_gigabyte_costs_no_memory_and_is_refused(void)
{
    char answer[256];

    begin();
    int64_t before = resident_bytes();
    post_bytes((int64_t)1 << 30, answer, sizeof(answer));
    CHECK(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 413 ", 13) == 0);
    CHECK(resident_bytes() < before + (512 << 20));
}

static void bytes_that_are_no_http_are_refused(void)
{
    char answer[256] = "";

    begin();
    int fd = dial(t.active);
    say(fd, "\x01\x02\x03 not http at all\r\n\r\n");
    ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);
    (void)close(fd);
    CHECK(n <= 0 || strncmp(answer, "HTTP/1.1 4", 10) == 0);
    CHECK_EQ(request(t.active, "GET", "/healthz", NULL), 200);
}

/* Whether the peer has closed; sends one more byte of a header meanwhile. */
static bool drip_is_dropped(int fd)
{
    char byte;

    if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) {
        return true;
    }
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void client_that_drips_is_dropped_and_delays_nobody(void)
{
    int64_t slowest = 0;
    int fds[8];
    bool is_dropped = false;

    begin();
    for (size_t i = 0; i < 8; i++) {
        fds[i] = dial(t.active);
        say(fds[i], "GET /v1/cluster HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    }
    int64_t start = check_now_ms();
    while (!is_dropped && check_now_ms() - start < 20000) {
        int64_t before = check_now_ms();
        CHECK_EQ(request(t.active, "GET", "/v1/cluster", NULL), 200);
        int64_t took = check_now_ms() - before;
        slowest = took > slowest ? took : slowest;
        is_dropped = true;
        for (size_t i = 0; i < 8; i++) {
            is_dropped = drip_is_dropped(fds[i]) && is_dropped;
        }
        check_pause_ms(100);
    }
    for (size_t i = 0; i < 8; i++) {
        (void)close(fds[i]);
    }
    CHECK(is_dropped);
    CHECK(slowest < 2000);
}

/* --- Text ----------------------------------------------------------------------------------------------------------- */

static void status_and_metrics_are_text(void)
{
    begin();
    CHECK_WITHIN(10000, broker_is_up());
    CHECK_EQ(request(t.active, "GET", "/", NULL), 200);
    CHECK_EQ(strncmp(buf_str(&t.body), "healthy\n", 8), 0);
    CHECK_EQ(request(t.standby, "GET", "/metrics", NULL), 200);
    CHECK(strstr(buf_str(&t.body), "weir_controller_active 0\n") != NULL);
    CHECK(t.body.size > 6 && memcmp(t.body.data + t.body.size - 6, "# EOF\n", 6) == 0);
}

static void cluster_goes_down_without_a_report(void)
{
    begin();
    cluster_down();
    CHECK(!cluster_is_up());
}

static const struct check_case cases[] = {
        CASE(bad_json_is_400_and_says_where),
        CASE(wrong_type_and_unknown_member_are_400_with_pointers),
        CASE(rules_of_the_controller_are_422),
        CASE(unknown_things_are_404),
        CASE(wrong_method_is_405_with_allow),
        CASE(topic_lives_from_post_to_confirmed_delete),
        CASE(creation_names_its_place_and_its_decision),
        CASE(pages_list_250_topics_once_each),
        CASE(standby_sends_writes_on_and_reads_stale),
        CASE(body_that_is_too_large_is_413),
        CASE(body_of_a_gigabyte_costs_no_memory_and_is_refused),
        CASE(bytes_that_are_no_http_are_refused),
        CASE(client_that_drips_is_dropped_and_delays_nobody),
        CASE(status_and_metrics_are_text),
        CASE(cluster_goes_down_without_a_report),
};

int main(int argc, char **argv)
{
    int r = check_main("http", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);

    json_decref(t.json);
    buf_deinit(&t.body);
    return r;
}
