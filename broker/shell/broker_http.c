/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker_http.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/reach.h"
#include "broker/shell/registration.h"
#include "broker/shell/startup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/net/http.h"
#include "common/obs/metrics.h"
#include "common/zk/zk.h"

struct broker_http {
    struct broker *b;
    struct http_server *server;
};

static void reply_json(struct http_request *r, int status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    must(text != NULL);
    http_reply(r, status, "application/json", text, strlen(text));
    free(text);
    json_decref(body);
}

static void problem(struct http_request *r, int status, const char *title, const char *detail)
{
    char *text = json_dumps(
            json_pack("{s:s,s:i,s:s}", "title", title, "status", status, "detail", detail),
            JSON_COMPACT | JSON_ENCODE_ANY);

    must(text != NULL);
    http_reply(r, status, "application/problem+json", text, strlen(text));
    free(text);
}

/* `why_not` "" = it holds. */
static void add_check(json_t *checks, bool *all, const char *name, const char *why_not)
{
    bool ok = why_not[0] == '\0';

    *all = *all && ok;
    if (ok) {
        json_array_append_new(checks, json_pack("{s:s,s:b}", "name", name, "ok", 1));
    } else {
        json_array_append_new(
                checks, json_pack("{s:s,s:b,s:s}", "name", name, "ok", 0, "reason", why_not));
    }
}

static const char *unfenced_trouble(const struct broker *b)
{
    const struct image_broker *me = image_broker(b->image, b->id);

    if (ctl_link_trouble(b->ctl)[0] != '\0') {
        return ctl_link_trouble(b->ctl);
    }
    if (b->is_elsewhere) {
        return "ZooKeeper holds another cluster than this broker's: it lost its data";
    }
    if (image_position(b->image).index == 0) {
        return "no metadata was pushed by a controller yet";
    }
    if (me == NULL || me->epoch != broker_epoch(b)) {
        return "this incarnation is not in the metadata yet";
    }
    return me->state == BROKER_FENCED ? "the controller has not unfenced this broker" : "";
}

static const char *dirs_trouble(const struct broker *b)
{
    for (size_t i = 0; i < b->dirs.n; i++) {
        if (log_dir_failed(b->dirs.items[i])) {
            return log_dir_failure(b->dirs.items[i]);
        }
    }
    return "";
}

/* "12 of 40 logs are open, 5 of 20 MiB above the recovery points are checked" */
static void describe_recovery(const struct progress *p, char *text, size_t size)
{
    enum {
        MIB = 1024 * 1024
    };

    (void)snprintf(text, size,
            "recovering: %zu of %zu logs are open, %" PRIi64 " of %" PRIi64
            " MiB above the recovery points are checked",
            p->n_opened, p->n_logs, p->scanned / MIB, (p->to_scan + MIB - 1) / MIB);
}

static json_t *recovery_of_dirs(const struct startup *s)
{
    struct startup_dir_state states[BROKER_DIRS_MAX];
    size_t n = startup_dirs(s, states, BROKER_DIRS_MAX);
    json_t *dirs = json_array();

    for (size_t i = 0; i < n; i++) {
        struct progress p = progress_of(&states[i].facts, 1, startup_elapsed(s));

        json_array_append_new(
                dirs, json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I}", "path", states[i].path,
                              "crash_kind", startup_crash_kind_text(states[i].crash_kind),
                              "measured", states[i].is_measured, "logs", (json_int_t)p.n_logs,
                              "logs_open", (json_int_t)p.n_opened, "logs_failed",
                              (json_int_t)states[i].n_failed, "bytes_to_scan",
                              (json_int_t)p.to_scan, "bytes_scanned", (json_int_t)p.scanned));
    }
    return dirs;
}

/* [LOG-15] The body says what is waited for. */
static void recovering(const struct broker *b, struct http_request *r)
{
    struct progress p = startup_progress(b->startup);
    json_t *checks = json_array();
    bool all = true;
    char text[160];

    describe_recovery(&p, text, sizeof(text));
    add_check(checks, &all, "recovered", text);
    add_check(checks, &all, "log_dirs", dirs_trouble(b));
    if (b->is_stopping) {
        add_check(checks, &all, "running", "the broker is shutting down");
    }
    reply_json(r, 503,
            json_pack("{s:s,s:o,s:{s:I,s:I,s:I,s:I,s:I,s:o,s:o}}", "status", "not ready", "checks",
                    checks, "recovery", "logs", (json_int_t)p.n_logs, "logs_open",
                    (json_int_t)p.n_opened, "bytes_to_scan", (json_int_t)p.to_scan, "bytes_scanned",
                    (json_int_t)p.scanned, "elapsed_ms",
                    (json_int_t)(startup_elapsed(b->startup) / WTIME_MS(1)), "left_ms",
                    p.left_ms < 0 ? json_null() : json_integer(p.left_ms), "dirs",
                    recovery_of_dirs(b->startup)));
}

/* ZooKeeper or the controller away is told, and does not make a serving broker unready ([BRK-11]). */
static void ready(struct broker *b, struct http_request *r)
{
    const char *away = ctl_link_is_isolated(b->ctl)
                               ? "no controller was heard of within weir.lease.ms; serving goes on "
                                 "as it was decided"
                               : "";
    json_t *checks = json_array();
    bool all = true, told = true;

    add_check(checks, &all, "recovered", "");
    add_check(checks, &told, "zookeeper", zk_trouble(b->zk));
    add_check(checks, &told, "controller", away);
    add_check(checks, &told, "greeted", reach_trouble(b->reach));
    add_check(checks, broker_epoch(b) < 0 ? &all : &told, "registered",
            registration_trouble(b->registration));
    add_check(checks, &all, "unfenced", unfenced_trouble(b));
    add_check(checks, &all, "log_dirs", dirs_trouble(b));
    if (b->is_stopping) {
        add_check(checks, &all, "running", "the broker is shutting down");
    }
    reply_json(r, all ? 200 : 503,
            json_pack("{s:s,s:o}", "status", all ? (told ? "ok" : "degraded") : "not ready",
                    "checks", checks));
}

static void metrics(struct http_request *r)
{
    struct buf out = {0};

    metrics_write(&out, "broker");
    buf_append_str(&out, "# EOF\n");
    http_reply_buf(r, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", &out);
}

static void handle(void *ctx, struct http_request *r)
{
    struct broker_http *h = ctx;
    const char *path = http_path(r);
    const char *method = http_method(r);

    metric_add(METRIC_HTTP_REQUESTS, 1);
    if (strcmp(path, "/healthz") != 0 && strcmp(path, "/readyz") != 0 &&
            strcmp(path, "/metrics") != 0) {
        problem(r, 404, "not found",
                "a broker serves /healthz, /readyz and /metrics; the admin API is the "
                "controller's");
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_set_header(r, "Allow", "GET, HEAD");
        problem(r, 405, "method not allowed", "only GET is served here");
    } else if (http_query_name(r, 0) != NULL) {
        problem(r, 400, "unknown parameter", "these pages take no query");
    } else if (path[1] == 'h') {
        reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
    } else if (path[1] == 'r' && !h->b->is_serving) {
        recovering(h->b, r);
    } else if (path[1] == 'r') {
        ready(h->b, r);
    } else {
        metrics(r);
    }
}

int broker_http_new(struct broker *b, struct broker_http **ret, char *error, size_t error_size)
{
    struct http_limits limits = {.body_max = 4096, .idle_timeout = WTIME_S(30)};
    const char *listen = conf_str(b->conf, "http.listen");
    struct broker_http *h;
    char host[256];
    uint16_t port;
    int r;

    if (conf_parse_address(listen, host, sizeof(host), &port) != 0) {
        (void)snprintf(error, error_size, "http.listen: \"%s\" is not host:port", listen);
        return BROKER_HTTP_E_BIND;
    }
    h = mem_new(struct broker_http);
    h->b = b;
    r = http_server_new(b->control, host, port, &limits, handle, h, &h->server);
    if (r < 0) {
        (void)snprintf(error, error_size, "http.listen: %s: %s", listen,
                r == -EADDRINUSE
                        ? "the port is in use by another process; stop that or change `http.listen`"
                        : strerror(-r));
        (void)mem_free(h);
        return BROKER_HTTP_E_BIND;
    }
    *ret = h;
    return 0;
}

struct broker_http *broker_http_free(struct broker_http *h)
{
    if (h == NULL) {
        return NULL;
    }
    h->server = http_server_free(h->server);
    return mem_free(h);
}
