/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/must.h"
#include "common/conf/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    PORT_MAX = 65535
};

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* What a host consists of; ':' and '%' only stand between brackets. */
static bool is_host_char(char c, bool in_brackets)
{
    return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' ||
           (in_brackets && (c == ':' || c == '%'));
}

static bool parse_port(const char *at, const char *end, uint16_t *ret)
{
    uint32_t port = 0;

    if (at == end || end - at > 5) {
        return false;
    }
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(*at - '0');
    }
    if (port > PORT_MAX) {
        return false;
    }
    *ret = (uint16_t)port;
    return true;
}

/* The last ':' between `at` and `end` that stands outside brackets, or NULL. */
static const char *find_port(const char *at, const char *end)
{
    for (const char *p = end; p > at; p--) {
        if (p[-1] == ':') {
            return p - 1;
        }
        if (p[-1] == ']') {
            return NULL;
        }
    }
    return NULL;
}

/* "host:port" between `at` and `end`. NULL, or what is wrong. */
static const char *parse_address(
        const char *at, const char *end, char *ret_host, size_t host_size, uint16_t *ret_port)
{
    const char *colon = find_port(at, end);
    uint16_t port = 0;

    if (colon == NULL) {
        return "has no port; write host:port";
    }
    if (!parse_port(colon + 1, end, &port)) {
        return "has a port that is not a number up to 65535";
    }
    bool in_brackets = *at == '[';
    const char *host_end = colon;
    if (in_brackets) {
        at++;
        host_end--;
        if (host_end < at || *host_end != ']') {
            return "has a '[' without its ']'; write [address]:port";
        }
    }
    size_t size = (size_t)(host_end - at);
    if (size == 0) {
        return "has no host; 0.0.0.0 listens on every address";
    }
    if (size >= host_size) {
        return "has a host that is too long";
    }
    for (const char *p = at; p < host_end; p++) {
        if (!is_host_char(*p, in_brackets)) {
            return *p == ':' ? "holds more than one ':'; an IPv6 address stands in brackets: "
                               "[::1]:port"
                             : "has a host with a character that no host has";
        }
    }
    memcpy(ret_host, at, size);
    ret_host[size] = '\0';
    *ret_port = port;
    return NULL;
}

int conf_parse_address(const char *text, char *ret_host, size_t host_size, uint16_t *ret_port)
{
    return parse_address(text, text + strlen(text), ret_host, host_size, ret_port) == NULL
                   ? 0
                   : CONF_E_REFUSED;
}

/* One "name://host:port" between `at` and `end`. NULL, or what is wrong. */
static const char *parse_listener(const char *at, const char *end, struct conf_listener *ret)
{
    const char *mark = NULL;

    for (const char *p = at; p + 3 <= end && mark == NULL; p++) {
        mark = memcmp(p, "://", 3) == 0 ? p : NULL;
    }
    if (mark == NULL) {
        return "has no listener name; write weir://host:port";
    }
    size_t size = (size_t)(mark - at);
    if (size == 0 || size >= sizeof(ret->name)) {
        return "has a listener name that is empty or longer than 31 characters";
    }
    for (const char *p = at; p < mark; p++) {
        if (!is_letter_or_digit(*p) && *p != '_' && *p != '-') {
            return "has a listener name with a character other than letters, digits, '_' and '-'";
        }
    }
    memcpy(ret->name, at, size);
    ret->name[size] = '\0';
    const char *wrong = parse_address(mark + 3, end, ret->host, sizeof(ret->host), &ret->port);
    if (wrong == NULL && ret->port == 0) {
        return "has port 0; a listener needs a port that others can be told";
    }
    return wrong;
}

static const char *parse_next(const char *at,
        const char *end,
        const struct conf_listener *former,
        size_t n_former,
        size_t max,
        struct conf_listener *ret)
{
    const char *wrong = parse_listener(at, end, ret);

    for (size_t i = 0; wrong == NULL && i < n_former; i++) {
        wrong = strcmp(former[i].name, ret->name) == 0 ? "has a listener name that is used before"
                                                       : NULL;
    }
    return wrong == NULL && n_former == max ? "is one listener too many" : wrong;
}

enum {
    LISTENERS_MAX = 16
};

int conf_parse_listeners(const char *text,
        struct conf_listener *ret,
        size_t max,
        size_t *ret_n,
        char *error,
        size_t error_size)
{
    struct conf_listener found[LISTENERS_MAX];
    struct conf_listener next = {0};
    size_t n = 0;

    max = max < LISTENERS_MAX ? max : LISTENERS_MAX;
    for (const char *at = text; *at != '\0';) {
        const char *end = strchrnul(at, ',');
        const char *last = end;
        while (*at == ' ') {
            at++;
        }
        while (last > at && last[-1] == ' ') {
            last--;
        }
        const char *wrong = parse_next(at, last, found, n, max, &next);
        if (wrong != NULL) {
            char item[sizeof(struct conf_listener)];
            char shown[CONF_PRINTABLE_SIZE];
            (void)snprintf(
                    item, sizeof(item), "%.*s", (int)(last - at < 256 ? last - at : 256), at);
            (void)snprintf(error, error_size, "\"%s\" %s", conf_printable(item, shown), wrong);
            return CONF_E_REFUSED;
        }
        found[n++] = next;
        at = *end == ',' ? end + 1 : end;
    }
    if (n > 0) {
        memcpy(ret, found, n * sizeof(found[0]));
    }
    *ret_n = n;
    return 0;
}

bool conf_host_is_wildcard(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool conf_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
