/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ZK_CHROOT_MAX = 255
};

/* The connect string of ZooKeeper, taken apart: "host:port,[v6]:port,host/chroot". Pure. Thread: any. */
enum {
    ZK_SERVERS_MAX = 16,
    ZK_PORT_DEFAULT = 2181
};

struct zk_server {
    char *host; /* a name or an address; IPv6 without brackets */
    uint16_t port;
    bool is_numeric; /* an address: needs no look-up */
};

struct zk_servers {
    struct zk_server at[ZK_SERVERS_MAX];
    size_t n;
    char *chroot; /* "" or "/a/b": no slash at the end */
    char *text;   /* the servers as they were written, without the chroot */
};

/* > 0: ZK_SERVERS_E_FORM, `error` has the sentence. */
enum {
    ZK_SERVERS_E_FORM = 1
};

MUST_CHECK int zk_servers_parse(
        const char *connect, struct zk_servers *ret, char *error, size_t error_size);
void zk_servers_deinit(struct zk_servers *s); /* takes a zeroed one */

/* Whether ZooKeeper takes `path`: absolute, no empty, "." or ".." part, no slash at the end, no control bytes. */
bool zk_path_is_valid(const char *path);
