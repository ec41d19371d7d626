/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/auth/auth.h"
#include "common/wire/messages.h"

/* The asker's half of a proven greeting, of a controller or a replica (broker/shell/hello_auth.h has the other): a nonce in
 * the first Hello, and when the broker has proven that it knows the secret, our proof in the second. [TRU-4] */
struct hello_asker {
    uint8_t nonce[AUTH_NONCE_SIZE];
    bool is_answered; /* the broker has proven itself; the second Hello is under way */
};

/* The first Hello's auth. */
void hello_asker_begin(struct hello_asker *a, struct buf *ret_auth);
/* The broker's answer to it: NULL and the second Hello's auth, or why this broker is not believed. `hello` is what the
 * first Hello said. */
const char *hello_asker_answer(struct hello_asker *a,
        const struct auth_secret *secret,
        const struct msg_hello_request *hello,
        const struct msg_hello_response *m,
        struct buf *ret_auth);
/* What a Hello claims of its sender; nonces and the answerer are not set. For both halves. */
struct auth_claim hello_claim(const struct msg_hello_request *hello);
