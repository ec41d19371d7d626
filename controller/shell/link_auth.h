/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/auth/auth.h"
#include "common/wire/messages.h"

/* The controller's half of a proven greeting (broker/shell/hello_auth.h has the other): a nonce in the first Hello, and
 * when the broker has proven that it knows the secret, our proof in the second. [TRU-4] Thread: control. */
struct link_auth {
    uint8_t nonce[AUTH_NONCE_SIZE];
    bool is_answered; /* the broker has proven itself; the second Hello is under way */
};

/* The first Hello's auth. */
void link_auth_begin(struct link_auth *a, struct buf *ret_auth);
/* The broker's answer to it: NULL and the second Hello's auth, or why this broker is not believed. `hello` is what the
 * first Hello said. */
const char *link_auth_answer(struct link_auth *a,
        const struct auth_secret *secret,
        const struct msg_hello_request *hello,
        const struct msg_hello_response *m,
        struct buf *ret_auth);
