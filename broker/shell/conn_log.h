/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Says why a client's connection closed: an ordinary end at debug, a peer that sent what is not ours at warn, at most one
 * line a second in the process, with the number of those in between. Thread: any. */
void conn_log_closed(const char *module, const char *peer, const char *reason);
/* A connection that is refused: at warn, within the same limit. Thread: any. */
void conn_log_refused(const char *module, const char *peer, const char *reason);
