/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker_setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/shell/broker.h"
#include "common/auth/auth.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

enum {
    OPEN_FILES_MIN = 64
};

static const struct conf_listener *find_listener(
        const struct conf_listener *l, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(l[i].name, name) == 0) {
            return &l[i];
        }
    }
    return NULL;
}

/* Each listener's advertised address, checked; in the listeners' order. */
static int read_advertised(struct broker *b, char *error)
{
    struct conf_listener given[BROKER_LISTENERS_MAX];
    size_t n = 0;

    if (conf_parse_listeners(conf_str(b->conf, "advertised.listeners"), given, BROKER_LISTENERS_MAX,
                &n, error, BROKER_SETUP_ERROR_SIZE) != 0) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (find_listener(b->listeners, b->n_listeners, given[i].name) == NULL) {
            (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                    "advertised.listeners: %.31s is not a name in `listeners`", given[i].name);
            return 1;
        }
    }
    for (size_t i = 0; i < b->n_listeners; i++) {
        const struct conf_listener *a = find_listener(given, n, b->listeners[i].name);

        b->advertised[i] = a != NULL ? *a : b->listeners[i];
        if (conf_host_is_wildcard(b->advertised[i].host)) { /* [BRK-14] */
            (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                    "listener %s would be advertised as \"%s\", where nobody can reach it: set "
                    "`advertised.listeners` to "
                    "the address that clients use",
                    b->listeners[i].name, b->advertised[i].host);
            return 1;
        }
    }
    return 0;
}

int broker_setup_listeners(struct broker *b, char *error)
{
    const char *inter = conf_str(b->conf, "inter.broker.listener.name");

    b->listeners = mem_new_n(struct conf_listener, BROKER_LISTENERS_MAX);
    b->advertised = mem_new_n(struct conf_listener, BROKER_LISTENERS_MAX);
    if (conf_parse_listeners(conf_str(b->conf, "listeners"), b->listeners, BROKER_LISTENERS_MAX,
                &b->n_listeners, error, BROKER_SETUP_ERROR_SIZE) != 0) {
        return 1;
    }
    if (find_listener(b->listeners, b->n_listeners, inter) == NULL) {
        (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                "inter.broker.listener.name: %s is not a name in `listeners`", inter);
        return 1;
    }
    return read_advertised(b, error);
}

/* [TRU-1] Beyond this machine nobody is believed without proof. */
int broker_setup_secret(struct broker *b, char *error)
{
    const char *path = conf_str(b->conf, "weir.cluster.secret.file");
    char text[BROKER_SETUP_ERROR_SIZE];

    if (path[0] != '\0') {
        if (auth_secret_load(path, &b->secret, text, sizeof(text)) == 0) {
            return 0;
        }
        (void)snprintf(error, BROKER_SETUP_ERROR_SIZE, "weir.cluster.secret.file: %.450s", text);
        return 1;
    }
    for (size_t i = 0; i < b->n_listeners; i++) {
        if (!conf_host_is_loopback(b->listeners[i].host)) {
            (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                    "listener %s is open to other machines (%s): set weir.cluster.secret.file, the "
                    "same on every broker and controller, so that only they can give orders; or "
                    "listen on 127.0.0.1",
                    b->listeners[i].name, b->listeners[i].host);
            return 1;
        }
    }
    return 0;
}

static int open_dir(struct broker *b, const char *path, char *error)
{
    struct log_dir *d = NULL;
    const struct uuid *cluster;
    int r;

    if (b->dirs.n == BROKER_DIRS_MAX) {
        (void)snprintf(error, BROKER_SETUP_ERROR_SIZE, "log.dirs: more than %d folders",
                BROKER_DIRS_MAX);
        return 1;
    }
    r = log_dir_open(&file_io_posix, path, b->id, &d, error, BROKER_SETUP_ERROR_SIZE);
    if (r != 0) {
        if (r < 0) {
            (void)snprintf(error, BROKER_SETUP_ERROR_SIZE, "log.dirs: %s: %s", path, strerror(-r));
        }
        return 1;
    }
    b->dirs.items[b->dirs.n++] = d;
    cluster = log_dir_cluster_id(d);
    if (!uuid_is_zero(cluster) && !uuid_is_zero(&b->cluster_id) &&
            !uuid_equal(cluster, &b->cluster_id)) {
        (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                "log.dirs: %s belongs to another cluster than %s", path,
                log_dir_path(b->dirs.items[0]));
        return 1;
    }
    if (!uuid_is_zero(cluster)) {
        b->cluster_id = *cluster;
    }
    return 0;
}

int broker_setup_dirs(struct broker *b, char *error)
{
    char *list = mem_strdup(conf_str(b->conf, "log.dirs"));
    char *rest = list, *item;
    int r = 0;

    b->dirs.items = mem_new_n(struct log_dir *, BROKER_DIRS_MAX);
    while (r == 0 && (item = strsep(&rest, ",")) != NULL) {
        char *end;

        item += strspn(item, " \t");
        end = item + strlen(item);
        while (end > item && (end[-1] == ' ' || end[-1] == '\t')) {
            *--end = '\0';
        }
        if (*item != '\0') {
            r = open_dir(b, item, error);
        }
    }
    (void)mem_free(list);
    if (r == 0 && b->dirs.n == 0) {
        (void)snprintf(error, BROKER_SETUP_ERROR_SIZE, "log.dirs names no folder");
        return 1;
    }
    for (size_t i = 0; r == 0 && i < b->dirs.n; i++) {
        if (!uuid_is_zero(&b->cluster_id) && uuid_is_zero(log_dir_cluster_id(b->dirs.items[i]))) {
            r = log_dir_adopt(
                    b->dirs.items[i], &b->cluster_id); /* a folder added to a known broker */
        }
        if (r == 0) {
            r = log_dir_begin_run(b->dirs.items[i], BROKER_EPOCH_NONE);
        }
        if (r != 0) {
            (void)snprintf(error, BROKER_SETUP_ERROR_SIZE,
                    "log.dirs: %s: its marker files cannot be written: %s",
                    log_dir_path(b->dirs.items[i]), r < 0 ? strerror(-r) : "another cluster's");
        }
    }
    return r == 0 ? 0 : 1;
}

size_t broker_setup_open_files_max(const struct conf *conf)
{
    int64_t given = conf_i64(conf, "weir.open.files.max");
    struct rlimit lim;

    if (given == 0 && getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max; /* what is allowed is asked for */
        (void)setrlimit(RLIMIT_NOFILE, &lim);
        given = getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY
                        ? (int64_t)(lim.rlim_cur / 2)
                        : 1024 * 1024;
    }
    return given < OPEN_FILES_MIN ? OPEN_FILES_MIN : (size_t)given;
}

uint32_t broker_setup_n_loops(const struct conf *conf)
{
    int64_t n = conf_i64(conf, "num.network.threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (n == 0) {
        n = cores > 0 ? cores : 1;
    }
    return (uint32_t)n;
}
