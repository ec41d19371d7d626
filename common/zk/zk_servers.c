/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zk/zk_servers.h"

#include "common/base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_address(const char *host)
{
    uint8_t any[16];

    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    unsigned long value = 0;

    if (*text == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    value = strtoul(text, NULL, 10);
    if (value == 0 || value > 65535) {
        return false;
    }
    *ret = (uint16_t)value;
    return true;
}

/* One "host", "host:port", "[v6]" or "[v6]:port"; changes `text`. */
static bool parse_server(char *text, struct zk_server *ret)
{
    char *host = text, *port = NULL;

    ret->port = ZK_PORT_DEFAULT;
    if (*text == '[') {
        char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
            return false;
        }
        *close = '\0';
        host = text + 1;
        port = close[1] == ':' ? close + 2 : NULL;
    } else if ((port = strchr(text, ':')) != NULL) {
        *port++ = '\0';
    }
    if (*host == '\0' || strlen(host) > 255 || (port != NULL && !parse_port(port, &ret->port))) {
        return false;
    }
    if (host != text && !is_address(host)) {
        return false;
    }
    ret->host = mem_strdup(host);
    ret->is_numeric = is_address(host);
    return true;
}

static char *trim(char *s)
{
    char *end = s + strlen(s);

    while (*s == ' ' || *s == '\t') {
        s++;
    }
    while (end > s && (end[-1] == ' ' || end[-1] == '\t')) {
        *--end = '\0';
    }
    return s;
}

static int parse_all(char *list, struct zk_servers *s, char *error, size_t error_size)
{
    for (char *next = list; next != NULL;) {
        char *comma = strchr(next, ',');
        char *item = next;
        if (comma != NULL) {
            *comma = '\0';
        }
        next = comma != NULL ? comma + 1 : NULL;
        item = trim(item);
        if (s->n == ZK_SERVERS_MAX) {
            snprintf(error, error_size, "more than %d ZooKeeper servers", ZK_SERVERS_MAX);
            return ZK_SERVERS_E_FORM;
        }
        if (!parse_server(item, &s->at[s->n])) {
            snprintf(error, error_size,
                    "'%s' is not a ZooKeeper server; write host:port,host:port/chroot "
                    "(an IPv6 address in brackets)",
                    item);
            return ZK_SERVERS_E_FORM;
        }
        s->n++;
    }
    return 0;
}

int zk_servers_parse(const char *connect, struct zk_servers *ret, char *error, size_t error_size)
{
    struct zk_servers s = {0};
    const char *slash = strchr(connect, '/');
    size_t list_size = slash != NULL ? (size_t)(slash - connect) : strlen(connect);
    char *list = mem_strndup(connect, list_size);
    int r = 0;

    s.text = mem_strdup(list);
    s.chroot = mem_strdup(slash != NULL && slash[1] != '\0' ? slash : "");
    if (s.chroot[0] != '\0' && !zk_path_is_valid(s.chroot)) {
        snprintf(error, error_size, "'%s' is not a path that ZooKeeper takes", s.chroot);
        r = ZK_SERVERS_E_FORM;
    } else if (strlen(s.chroot) > ZK_CHROOT_MAX) { /* [ZK-34] it stands before every path of a request */
        snprintf(error, error_size, "the chroot has %zu characters; it may have %d",
                strlen(s.chroot), ZK_CHROOT_MAX);
        r = ZK_SERVERS_E_FORM;
    } else {
        r = parse_all(list, &s, error, error_size);
    }
    mem_free(list);
    if (r != 0) {
        zk_servers_deinit(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void zk_servers_deinit(struct zk_servers *s)
{
    for (size_t i = 0; i < s->n; i++) {
        s->at[i].host = mem_free(s->at[i].host);
    }
    s->chroot = mem_free(s->chroot);
    s->text = mem_free(s->text);
    s->n = 0;
}

bool zk_path_is_valid(const char *path)
{
    const char *part = path;

    if (*path != '/') {
        return false;
    }
    while (*part == '/') {
        const char *at = part + 1;
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if ((unsigned char)at[i] < 0x20 || (unsigned char)at[i] == 0x7f) {
                return false;
            }
        }
        part = at + n;
    }
    return true;
}
