/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/conn_log.h"

#include "common/net/loop.h"
#include "common/obs/log.h"

#include <stdatomic.h>
#include <string.h>

static atomic_int_least64_t last_at; /* when a line was last written */
static atomic_uint_least64_t n_held; /* those that were not, since */

static void warn(const char *module, const char *event, const char *peer, const char *reason)
{
    wtime now = clock_now();
    wtime last = atomic_load(&last_at);

    if ((last != 0 && now - last < WTIME_S(1)) ||
            !atomic_compare_exchange_strong(&last_at, &last, now)) {
        (void)atomic_fetch_add(&n_held, 1);
        return;
    }
    log_warn(module, event, KV_STR("peer", peer), KV_STR("reason", reason),
            KV_U64("not_shown", atomic_exchange(&n_held, 0)));
}

void conn_log_closed(const char *module, const char *peer, const char *reason)
{
    /* Frames that are not ours or for which there is no memory, and a file that shrank under a send; all else is how
     * connections end. */
    if (strncmp(reason, "the peer sent", 13) == 0 || strncmp(reason, "no memory", 9) == 0 ||
            strncmp(reason, "a file", 6) == 0) {
        warn(module, "connection_broken", peer, reason);
    } else {
        log_debug(module, "connection_closed", KV_STR("peer", peer), KV_STR("reason", reason));
    }
}

void conn_log_refused(const char *module, const char *peer, const char *reason)
{
    warn(module, "connection_refused", peer, reason);
}
