/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/auth/auth.h"
#include "common/domain/ids.h"
#include "common/wire/messages.h"

/* The broker's half of a greeting that has to be proven (roles CONTROLLER and REPLICA): who asks sends a nonce, is
 * answered with ours and our proof, and is believed when the next Hello on the same connection carries its proof. Until
 * then nothing that it says has any effect. [TRU-3] Thread: control. */
struct hello_auth {
    bool is_challenged;
    struct auth_claim claim; /* valid when challenged */
};

enum hello_auth_result {
    HELLO_AUTH_PROVEN,    /* or nothing has to be proven here */
    HELLO_AUTH_CHALLENGE, /* answer with `ret_auth` and wait for the next Hello */
    HELLO_AUTH_REFUSED,   /* `ret_error` and `ret_text` say why */
};

struct hello_self {
    const struct auth_secret *secret; /* NULL = this broker has none */
    broker_id id;
    int64_t epoch; /* incarnation; -1 = not registered yet */
};

enum hello_auth_result hello_auth_step(struct hello_auth *h,
        const struct hello_self *self,
        const struct msg_hello_request *m,
        struct buf *ret_auth,
        int *ret_error,
        const char **ret_text);
