/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/peer_watch.h"

#include "common/base/mem.h"
#include "common/net/dial.h"
#include "common/net/http_client.h"
#include "common/obs/log.h"

#include <string.h>

#define WATCH_CONNECT_MAX WTIME_S(3)
#define WATCH_SECOND_LOOK WTIME_MS(100)
#define WATCH_ANEW        WTIME_MS(10)
#define WATCH_REDIAL      WTIME_MS(500)
#define WATCH_REDIAL_SLOW WTIME_S(5)

struct peer_watch {
    struct peer_watch_options options;
    char *url; /* NULL = nobody */
    uint64_t term;
    char host[HTTP_HOST_SIZE];
    uint16_t port;
    struct lookup *lookup;
    struct dial *dial;
    struct timer redial;
    wtime connected_at;
    bool was_accepted; /* in this term */
    bool is_dead;      /* was told */
    unsigned n_refused, n_short; /* refusals in a row; connections in a row that did not last */
};

static void on_connected(void *ctx)
{
    struct peer_watch *w = ctx;

    w->was_accepted = true;
    w->n_refused = 0;
    w->connected_at = clock_now();
    if (w->is_dead) {
        w->is_dead = false;
        w->options.on_evidence(w->options.ctx, w->term, false);
    }
}

/* [ZK-22] */
static wtime on_refused(struct peer_watch *w)
{
    if (!w->was_accepted || ++w->n_refused > 2) {
        return WATCH_REDIAL;
    }
    if (w->n_refused == 1) {
        return WATCH_SECOND_LOOK;
    }
    w->is_dead = true;
    log_warn("peer_watch", "active_refuses", KV_STR("url", w->url), KV_U64("ctl_epoch", w->term),
            KV_STR("detail", "its port closed and refused twice: the process is dead"));
    w->options.on_evidence(w->options.ctx, w->term, true);
    return WATCH_REDIAL;
}

/* Anew at once. A dying process may still accept between the ends of its connections and of its port; something that
 * only ever accepts and closes is asked more and more seldom. */
static wtime on_closed(struct peer_watch *w)
{
    bool was_short = clock_now() - w->connected_at < WATCH_SECOND_LOOK;
    unsigned n = w->n_short;

    w->n_short = was_short ? n + 1 : 0;
    return was_short ? wtime_min(WATCH_ANEW << (n < 10 ? n : 10), WATCH_REDIAL) : 0;
}

static void on_end(void *ctx, enum dial_end end)
{
    struct peer_watch *w = ctx;
    wtime delay = WATCH_REDIAL;

    w->dial = dial_free(w->dial);
    switch (end) {
    case DIAL_REFUSED: delay = on_refused(w); break;
    case DIAL_UNREACHED: w->n_refused = 0; break;
    case DIAL_CLOSED: delay = on_closed(w); break;
    }
    if (w->url != NULL) {
        timer_set(&w->redial, wtime_add(clock_now(), delay));
    }
}

static void on_found(void *ctx, const struct resolved *found)
{
    static const struct dial_callbacks callbacks = {
            .on_connected = on_connected, .on_end = on_end};
    struct peer_watch *w = ctx;

    w->lookup = NULL;
    if (found->n == 0) {
        timer_set(&w->redial, wtime_add(clock_now(), WATCH_REDIAL_SLOW));
        return;
    }
    w->dial = dial_new(w->options.loop, &found->addr[0], found->addr_len[0], WATCH_CONNECT_MAX,
            &callbacks, w);
}

static void on_redial(void *ctx)
{
    struct peer_watch *w = ctx;

    w->lookup = resolver_start(
            w->options.resolver, w->options.loop, w->host, w->port, on_found, w);
}

struct peer_watch *peer_watch_new(const struct peer_watch_options *options)
{
    struct peer_watch *w = mem_new(struct peer_watch);

    w->options = *options;
    timer_init(&w->redial, options->loop, on_redial, w);
    return w;
}

struct peer_watch *peer_watch_free(struct peer_watch *w)
{
    if (w == NULL) {
        return NULL;
    }
    peer_watch_stop(w);
    timer_deinit(&w->redial);
    return mem_free(w);
}

void peer_watch_set(struct peer_watch *w, uint64_t term, const char *url)
{
    if (w->url != NULL && w->term == term && strcmp(w->url, url) == 0) {
        return;
    }
    peer_watch_stop(w);
    w->term = term;
    w->was_accepted = w->is_dead = false;
    w->n_refused = w->n_short = 0;
    w->url = mem_strdup(url);
    if (http_url_parse(url, w->host, &w->port) != 0) {
        log_warn("peer_watch", "active_not_watched", KV_STR("url", url),
                KV_STR("reason", "its http.advertised is not an http URL; it is followed when its "
                                 "session ends"));
        return;
    }
    timer_set(&w->redial, 0);
}

void peer_watch_stop(struct peer_watch *w)
{
    timer_cancel(&w->redial);
    if (w->lookup != NULL) {
        lookup_cancel(w->lookup);
        w->lookup = NULL;
    }
    w->dial = dial_free(w->dial);
    w->url = mem_free(w->url);
}
