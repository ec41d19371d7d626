/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/auth.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/net/loop.h"
#include "common/net/resolve.h"
#include "common/obs/log.h"
#include "common/obs/process.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_admin.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exit codes: 0 stopped, 1 cannot run here (the log says why), 2 the command line or a configuration is wrong. */
enum {
    EXIT_RUN = 1,
    EXIT_CONF = 2
};

enum {
    REPLICATION_FACTOR_MAX = 5 /* of REPLICAS_MAX, so that a set has room to move */
};

struct program {
    struct loop *loop;
    struct controller *controller;
    bool is_stopping;
};

static void on_stopped(void *ctx)
{
    struct program *p = ctx;

    loop_stop(p->loop);
}

static void on_signal(void *ctx, int number)
{
    struct program *p = ctx;

    if (p->is_stopping) {
        log_warn("main", "stopped_at_once", KV_STR("signal", strsignal(number)));
        _exit(0);
    }
    p->is_stopping = true;
    log_info("main", "stopping", KV_STR("signal", strsignal(number)));
    process_notify("STOPPING=1");
    controller_stop(p->controller, on_stopped, p);
}

/* The URL under which others reach us, to be freed; NULL when it cannot be made from http.listen. */
static char *make_url(const char *host, uint16_t port)
{
    char name[256];

    if (port == 0) {
        return NULL;
    }
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        if (gethostname(name, sizeof(name)) != 0) {
            return NULL;
        }
        name[sizeof(name) - 1] = '\0';
        host = name;
    }
    return strchr(host, ':') != NULL ? mem_format("http://[%s]:%u", host, (unsigned)port)
                                     : mem_format("http://%s:%u", host, (unsigned)port);
}

static char *advertised(const struct conf *c, const char *host, uint16_t port)
{
    const char *given = conf_str(c, "http.advertised");
    size_t size = strlen(given);

    if (size == 0) {
        return make_url(host, port);
    }
    while (size > 0 && given[size - 1] == '/') {
        size--;
    }
    return mem_strndup(given, size);
}

/* What the configuration names in files. */
struct credentials {
    struct auth_secret *secret; /* NULL = none */
    char *digest;               /* NULL = none */
};

static void credentials_deinit(struct credentials *c)
{
    c->secret = auth_secret_free(c->secret);
    c->digest = auth_digest_free(c->digest);
}

/* False: said on stderr what is wrong. */
static bool load_credentials(const struct conf *c, struct credentials *ret)
{
    const char *secret = conf_str(c, "weir.cluster.secret.file");
    const char *digest = conf_str(c, "zookeeper.digest.file");
    char error[512];

    if (secret[0] != '\0' && auth_secret_load(secret, &ret->secret, error, sizeof(error)) != 0) {
        fprintf(stderr, "weir-controller: weir.cluster.secret.file: %s\n", error);
        return false;
    }
    if (digest[0] != '\0' && auth_digest_load(digest, &ret->digest, error, sizeof(error)) != 0) {
        fprintf(stderr, "weir-controller: zookeeper.digest.file: %s\n", error);
        return false;
    }
    return true;
}

static int serve(struct program *p,
        const struct conf *c,
        const struct credentials *credentials,
        struct resolver *resolver,
        const char *host,
        uint16_t port,
        const char *url)
{
    const struct controller_options options = {
            .id = (int32_t)conf_i64(c, "controller.id"),
            .zookeeper = conf_str(c, "zookeeper.connect"),
            .session_timeout_ms = (int)conf_i64(c, "zookeeper.session.timeout.ms"),
            .http = url,
            .listener = conf_str(c, "inter.broker.listener.name"),
            .broker_timeout = WTIME_MS(conf_i64(c, "weir.broker.timeout.ms")),
            .snapshot_entries = conf_i64(c, "weir.meta.snapshot.entries"),
            .replication_factor_max = REPLICATION_FACTOR_MAX,
            .secret = credentials->secret,
            .digest = credentials->digest,
    };
    const struct http_admin_options http = {
            .host = host, .port = port, .body_max = (size_t)conf_i64(c, "http.max.body.bytes")};
    struct http_admin *admin = NULL;
    char error[512];
    int r = controller_new(p->loop, resolver, &options, &p->controller, error, sizeof(error));

    if (r > 0) {
        fprintf(stderr, "weir-controller: zookeeper.connect: %s\n", error);
        return EXIT_CONF;
    }
    if (r == 0) {
        r = http_admin_new(p->loop, p->controller, &http, &admin);
    }
    if (r < 0) {
        log_error("main", "cannot_start", KV_STR("http_listen", conf_str(c, "http.listen")),
                KV_ERR(r));
    } else {
        log_info("main", "started", KV_STR("version", WEIR_VERSION), KV_STR("http", url));
        process_notify("READY=1");
        loop_run(p->loop);
    }
    p->controller = controller_free(p->controller);
    http_admin_free(admin);
    return r < 0 ? EXIT_RUN : 0;
}

static int run(const struct conf *c)
{
    struct program p = {0};
    struct credentials credentials = {0};
    struct resolver *resolver = NULL;
    enum log_level level = LOG_INFO;
    char name[32], host[256];
    uint16_t port = 0;
    char *url = NULL;
    int r = 0;

    if (log_level_parse(conf_str(c, "log.level"), &level)) {
        log_set_level(level);
    }
    snprintf(name, sizeof(name), "controller-%lld", (long long)conf_i64(c, "controller.id"));
    log_set_daemon(name);
    if (conf_parse_address(conf_str(c, "http.listen"), host, sizeof(host), &port) != 0) {
        fprintf(stderr, "weir-controller: http.listen: '%s' is not host:port\n",
                conf_str(c, "http.listen"));
        return EXIT_CONF;
    }
    url = advertised(c, host, port);
    if (url == NULL) {
        fprintf(stderr, "weir-controller: http.listen has no port or host that others could use; "
                        "give one, or set http.advertised\n");
        return EXIT_CONF;
    }
    if (!load_credentials(c, &credentials)) {
        credentials_deinit(&credentials);
        mem_free(url);
        return EXIT_CONF;
    }
    p.loop = loop_new(name);
    resolver = resolver_new();
    loop_on_signal(p.loop, SIGTERM, on_signal, &p);
    loop_on_signal(p.loop, SIGINT, on_signal, &p);
    r = serve(&p, c, &credentials, resolver, host, port, url);
    resolver_free(resolver);
    loop_free(p.loop);
    credentials_deinit(&credentials);
    mem_free(url);
    log_info("main", "stopped", KV_I64("code", r));
    return r;
}

int main(int argc, char **argv)
{
    struct conf *c = conf_new(conf_controller_keys, conf_n_controller_keys);
    int r = conf_main(c, "weir-controller",
            "decides for a Weir cluster: leaders, placement, metadata", argc, argv);

    if (r == 0) {
        r = run(c);
    } else {
        r = r == 1 ? 0 : EXIT_CONF;
    }
    conf_free(c);
    return r;
}
