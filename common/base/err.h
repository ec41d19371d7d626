/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The three values of a result (after dbus-broker).
 *
 *   0    done
 *   < 0  negative errno: this failure domain (connection, log directory, process) is broken; forward it unchanged
 *   > 0  <MODULE>_E_*: an expected outcome, documented at the function, handled by its direct caller, never forwarded
 *
 * `ret_` outputs stay untouched unless the result is 0. */

#define MUST_CHECK __attribute__((warn_unused_result))

/* The journey of the last negative result of this thread, oldest frame first, as "file:line func -errno (text)"
 * separated by " <- ". Returns `text`. Called once, where the journey ends and is logged. Thread: any. */
const char *err_trail(char *text, unsigned long text_size);

int err_note(int r, int is_origin, const char *file, int line, const char *func);

/* At the birth of a negative result: starts a new trail. `r` must be negative. */
#define err_origin(r) err_note((r), 1, __FILE__, __LINE__, __func__)
/* On the way up: adds a frame and returns `r`. `r` must be negative. */
#define err_forward(r) err_note((r), 0, __FILE__, __LINE__, __func__)
/* A positive outcome that nobody above can understand becomes a broken domain. */
#define err_fold(r) ((r) > 0 ? err_origin(-ENOTRECOVERABLE) : err_forward(r))
