/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/dev.h"

#include "common/base/array.h"
#include "common/conf/conf.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

char *dev_default_dir(void)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");

    if (state != NULL && state[0] == '/') {
        return mem_format("%s/weir/dev", state);
    }
    return mem_format("%s/.local/state/weir/dev", home != NULL ? home : "/var/tmp");
}

static void set_ports(struct dev_node *n, int64_t base)
{
    int i = n->id;
    int p = (int)base;

    switch (n->kind) {
    case DEV_ZOOKEEPER:
        n->port = p != 0 ? p + 60 + 3 * i : 2181 + i - 1;
        n->peer_port = p != 0 ? p + 61 + 3 * i : 2888 + i - 1;
        n->election_port = p != 0 ? p + 62 + 3 * i : 3888 + i - 1;
        return;
    case DEV_CONTROLLER: n->port = p != 0 ? p + i : 9180 + i - 1; return;
    case DEV_BROKER:
        n->port = p != 0 ? p + 20 + i : 9190 + i - 1;
        n->http_port = p != 0 ? p + 40 + i : 9290 + i - 1;
        return;
    }
    must_not_reach("kind of node");
}

static void add_nodes(struct dev_cluster *d, enum dev_kind kind, const char *word, int64_t n)
{
    for (int id = 1; id <= n; id++) {
        struct dev_node *node = &d->nodes[d->n_nodes++];
        node->kind = kind;
        node->id = id;
        (void)snprintf(node->name, sizeof(node->name), "%s-%d", word, id);
        node->folder = mem_format("%s/%s", d->dir, node->name);
        set_ports(node, d->shape.port_base);
    }
}

void dev_cluster_init(struct dev_cluster *d, const char *dir, const struct dev_shape *shape)
{
    *d = (struct dev_cluster){.dir = mem_strdup(dir), .shape = *shape};
    d->shape.sets = (struct cli_strings){0};
    for (size_t i = 0; i < shape->sets.n; i++) {
        struct cli_strings *s = &d->shape.sets;
        s->items = mem_resize(s->items, s->n + 1, sizeof(*s->items));
        s->items[s->n++] = mem_strdup(shape->sets.items[i]);
    }
    d->nodes = mem_new_n(struct dev_node,
            (size_t)(shape->n_zookeepers + shape->n_controllers + shape->n_brokers));
    add_nodes(d, DEV_ZOOKEEPER, "zookeeper", shape->n_zookeepers);
    add_nodes(d, DEV_CONTROLLER, "controller", shape->n_controllers);
    add_nodes(d, DEV_BROKER, "broker", shape->n_brokers);
}

static void free_const(const char *s)
{
    union {
        const char *in;
        char *out;
    } p = {.in = s};

    mem_free(p.out);
}

void dev_cluster_deinit(struct dev_cluster *d)
{
    for (size_t i = 0; i < d->n_nodes; i++) {
        mem_free(d->nodes[i].folder);
    }
    for (size_t i = 0; i < d->shape.sets.n; i++) {
        free_const(d->shape.sets.items[i]);
    }
    cli_strings_deinit(&d->shape.sets);
    mem_free(d->nodes);
    mem_free(d->dir);
    *d = (struct dev_cluster){0};
}

struct dev_node *dev_cluster_node(struct dev_cluster *d, const char *name)
{
    for (size_t i = 0; i < d->n_nodes; i++) {
        if (strcmp(d->nodes[i].name, name) == 0) {
            return &d->nodes[i];
        }
    }
    return NULL;
}

/* `before` and the address of each node of the kind, separated by commas. */
static char *ports_text(const struct dev_cluster *d, enum dev_kind kind, const char *before)
{
    struct buf b = {0};

    for (size_t i = 0; i < d->n_nodes; i++) {
        if (d->nodes[i].kind == kind) {
            buf_append_format(
                    &b, "%s%s127.0.0.1:%d", b.size > 0 ? "," : "", before, d->nodes[i].port);
        }
    }
    (void)buf_str(&b);
    return (char *)b.data;
}

char *dev_brokers_text(const struct dev_cluster *d)
{
    return ports_text(d, DEV_BROKER, "");
}

char *dev_controllers_text(const struct dev_cluster *d)
{
    return ports_text(d, DEV_CONTROLLER, "http://");
}

static int write_file(const char *folder, const char *name, struct buf *text)
{
    char *path = mem_format("%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    int r = -1;

    if (f == NULL || fwrite(text->data, 1, text->size, f) != text->size || fflush(f) != 0) {
        r = cli_fail(EXIT_FAILED, "Choose another folder with --dir.", "cannot write %s: %s", path,
                strerror(errno));
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    mem_free(path);
    buf_deinit(text);
    return r;
}

static int make_folders(const char *path)
{
    char *copy = mem_strdup(path);
    int r = -1;

    for (char *at = strchr(copy + 1, '/'); r < 0; at = strchr(at + 1, '/')) {
        if (at != NULL) {
            *at = '\0';
        }
        if (mkdir(copy, 0755) != 0 && errno != EEXIST) {
            r = cli_fail(EXIT_FAILED, "Choose another folder with --dir.", "cannot make %s: %s",
                    copy, strerror(errno));
        }
        if (at == NULL) {
            break;
        }
        *at = '/';
    }
    mem_free(copy);
    return r;
}

static int write_zookeeper(const struct dev_cluster *d, const struct dev_node *n)
{
    struct buf cfg = {0};
    struct buf log4j = {0};
    struct buf myid = {0};
    char *data = mem_format("%s/data", n->folder);

    buf_append_format(&cfg,
            "tickTime=1000\ninitLimit=20\nsyncLimit=10\ndataDir=%s\nclientPort=%"
            "d\nclientPortAddress=127.0.0.1\n"
            "maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=ruok,srvr,mntr\n"
            "autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n",
            data, n->port);
    for (size_t i = 0; d->shape.n_zookeepers > 1 && i < d->n_nodes; i++) {
        const struct dev_node *peer = &d->nodes[i];
        if (peer->kind == DEV_ZOOKEEPER) {
            buf_append_format(&cfg, "server.%d=127.0.0.1:%d:%d\n", peer->id, peer->peer_port,
                    peer->election_port);
        }
    }
    buf_append_str(&log4j,
            "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
            "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
            "log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %-5p %c{1} %m%n\n");
    buf_append_format(&myid, "%d\n", n->id);
    int r = make_folders(data);
    r = r < 0 ? write_file(n->folder, "zoo.cfg", &cfg) : r;
    r = r < 0 ? write_file(n->folder, "log4j.properties", &log4j) : r;
    r = r < 0 ? write_file(data, "myid", &myid) : r;
    buf_deinit(&cfg);
    buf_deinit(&log4j);
    buf_deinit(&myid);
    mem_free(data);
    return r;
}

/* A daemon's file: what the cluster's shape says, then the --set values whose key this daemon's table has. The session
 * timeout is short, so that a killed node is missed soon; --set may say otherwise. */
static int write_daemon(const struct dev_cluster *d,
        const struct dev_node *n,
        const char *name,
        const struct conf_key *keys,
        size_t n_keys,
        struct buf *text)
{
    bool has_timeout = false;

    for (size_t i = 0; i < d->shape.sets.n; i++) {
        const char *set = d->shape.sets.items[i];
        char *key = mem_strndup(set, strcspn(set, "="));
        if (conf_find_key(keys, n_keys, key) != NULL) {
            buf_append_format(text, "%s = %s\n", key, set + strlen(key) + 1);
        }
        has_timeout = has_timeout || strcmp(key, "zookeeper.session.timeout.ms") == 0;
        mem_free(key);
    }
    if (!has_timeout) {
        buf_append_str(text, "zookeeper.session.timeout.ms = 3000\n");
    }
    return write_file(n->folder, name, text);
}

static int write_controller(
        const struct dev_cluster *d, const struct dev_node *n, const char *zookeepers)
{
    struct buf text = {0};

    buf_append_format(&text,
            "controller.id = %d\nzookeeper.connect = %s\nhttp.listen = 127.0.0.1:%d\n"
            "weir.cluster.secret.file = %s/secret\nzookeeper.digest.file = %s/digest\n",
            n->id, zookeepers, n->port, d->dir, d->dir);
    return write_daemon(
            d, n, "controller.conf", conf_controller_keys, conf_n_controller_keys, &text);
}

static int write_broker(
        const struct dev_cluster *d, const struct dev_node *n, const char *zookeepers)
{
    struct buf text = {0};

    buf_append_format(&text,
            "broker.id = %d\nzookeeper.connect = %s\nlisteners = weir://127.0.0.1:%d\n"
            "http.listen = 127.0.0.1:%d\nlog.dirs = %s/data\nweir.cluster.secret.file = %s/secret\n"
            "zookeeper.digest.file = %s/digest\n",
            n->id, zookeepers, n->port, n->http_port, n->folder, d->dir, d->dir);
    return write_daemon(d, n, "broker.conf", conf_broker_keys, conf_n_broker_keys, &text);
}

/* A file for its owner alone: `before` and 32 random bytes as text. */
static int write_private(const struct dev_cluster *d, const char *name, const char *before)
{
    uint8_t random[32];
    char *path = mem_format("%s/%s", d->dir, name);
    struct buf text = {0};
    int r = -1;

    must(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random));
    buf_append_str(&text, before);
    for (size_t i = 0; i < sizeof(random); i++) {
        buf_append_format(&text, "%02x", random[i]);
    }
    buf_append_str(&text, "\n");
    if (access(path, F_OK) != 0) { /* nodes that run have the one that is there */
        mode_t was = umask(077);
        r = write_file(d->dir, name, &text);
        (void)umask(was);
    }
    buf_deinit(&text);
    mem_free(path);
    return r;
}

static int write_shape(const struct dev_cluster *d)
{
    json_t *sets = json_array();
    struct buf text = {0};

    for (size_t i = 0; i < d->shape.sets.n; i++) {
        json_array_append_new(sets, json_string(d->shape.sets.items[i]));
    }
    json_t *shape = json_pack("{s:I, s:I, s:I, s:I, s:o}", "zookeepers",
            (json_int_t)d->shape.n_zookeepers, "controllers", (json_int_t)d->shape.n_controllers,
            "brokers", (json_int_t)d->shape.n_brokers, "port_base", (json_int_t)d->shape.port_base,
            "set", sets);
    must(shape != NULL);
    char *dump = json_dumps(shape, JSON_INDENT(2));
    must(dump != NULL);
    buf_append_format(&text, "%s\n", dump);
    free(dump);
    json_decref(shape);
    return write_file(d->dir, "cluster.json", &text);
}

int dev_cluster_write(const struct dev_cluster *d)
{
    char *zookeepers = ports_text(d, DEV_ZOOKEEPER, "");
    char *brokers = dev_brokers_text(d);
    char *controllers = dev_controllers_text(d);
    struct buf env = {0};
    int r = make_folders(d->dir);

    for (size_t i = 0; r < 0 && i < d->n_nodes; i++) {
        const struct dev_node *n = &d->nodes[i];
        r = make_folders(n->folder);
        if (r >= 0) {
            break;
        }
        switch (n->kind) {
        case DEV_ZOOKEEPER: r = write_zookeeper(d, n); break;
        case DEV_CONTROLLER: r = write_controller(d, n, zookeepers); break;
        case DEV_BROKER: r = write_broker(d, n, zookeepers); break;
        }
    }
    buf_append_format(
            &env, "export WEIR_BROKERS=%s\nexport WEIR_CONTROLLER=%s\n", brokers, controllers);
    r = r < 0 ? write_file(d->dir, "env", &env) : r;
    r = r < 0 ? write_private(d, "secret", "") : r;
    r = r < 0 ? write_private(d, "digest", "weir:") : r;
    r = r < 0 ? write_shape(d) : r;
    buf_deinit(&env);
    mem_free(zookeepers);
    mem_free(brokers);
    mem_free(controllers);
    return r;
}

bool dev_cluster_load(struct dev_cluster *d, const char *dir, int *ret_exit)
{
    char *path = mem_format("%s/cluster.json", dir);
    json_error_t error;
    json_int_t zookeepers = 0;
    json_int_t controllers = 0;
    json_int_t brokers = 0;
    json_int_t base = 0;
    json_t *sets = NULL;
    bool loaded = false;

    *ret_exit = -1;
    if (access(path, F_OK) == 0) {
        json_t *shape = json_load_file(path, 0, &error);
        loaded = shape != NULL &&
                 json_unpack(shape, "{s:I, s:I, s:I, s:I, s:o}", "zookeepers", &zookeepers,
                         "controllers", &controllers, "brokers", &brokers, "port_base", &base,
                         "set", &sets) == 0 &&
                 zookeepers > 0 && zookeepers < 16 && controllers > 0 && controllers < 16 &&
                 brokers > 0 && brokers < 20 && json_is_array(sets);
        if (loaded) {
            struct dev_shape s = {.n_zookeepers = zookeepers,
                    .n_controllers = controllers,
                    .n_brokers = brokers,
                    .port_base = base};
            s.sets.items = mem_new_n(const char *, json_array_size(sets));
            for (size_t i = 0; i < json_array_size(sets); i++) {
                const char *set = json_string_value(json_array_get(sets, i));
                if (set != NULL) {
                    s.sets.items[s.sets.n++] = set;
                }
            }
            dev_cluster_init(d, dir, &s);
            cli_strings_deinit(&s.sets);
        } else {
            *ret_exit = cli_fail(EXIT_FAILED,
                    "It is written by `weir dev up`; remove it, or use another folder with --dir.",
                    "%s is damaged", path);
        }
        json_decref(shape);
    }
    mem_free(path);
    return loaded;
}
