/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stddef.h>

struct broker;
struct acceptor;

/* Listens, reads each connection's Hello, answers it, and passes the connection on: a controller's to ctl_link, where it
 * stays on the control loop and outside the connection limits; a client's to a data loop. Thread: control. */

/* Binds every listener; who connects waits until acceptor_begin(). > 0: ACCEPTOR_E_BIND and the sentence. */
enum {
    ACCEPTOR_E_BIND = 1
};

MUST_CHECK int acceptor_new(
        struct broker *b, struct acceptor **ret, char *error, size_t error_size);
/* Closes the listeners and the connections that have not said Hello. Takes NULL. */
struct acceptor *acceptor_free(struct acceptor *a);
void acceptor_begin(struct acceptor *a);
/* Stops listening; greetings go on. */
void acceptor_stop(struct acceptor *a);
