/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

/* A hash that stands for the bytes it was made of: nobody finds two inputs with one. The first 128 bits of SHA-256,
 * which takes 90 ns for a short key on a processor with instructions for it. Owner: one thread. */
struct auth_hasher;

enum {
    AUTH_HASH_SIZE = 16
};

struct auth_hasher *auth_hasher_new(void);
struct auth_hasher *auth_hasher_free(struct auth_hasher *h); /* takes NULL */
void auth_hasher_run(struct auth_hasher *h, struct bytes in, uint8_t ret[AUTH_HASH_SIZE]);
