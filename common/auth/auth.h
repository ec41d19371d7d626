/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/uuid.h"

#include <stdbool.h>

/* Proofs of the cluster's shared secret.
 *
 *   asker (controller, replica)                       answerer (broker)
 *     Hello{asker's nonce}                    ──────▶
 *                                             ◀──────  {its nonce, proof of the answerer}
 *     Hello{asker's nonce, proof of the asker} ──────▶ believed from here on
 *
 * A proof is HMAC-SHA-256 under the secret over the side's label and everything in the claim. Both nonces are in it, so
 * that neither side can be given an old proof; the label is, so that nobody can be given his own back. [TRU-2] */
struct auth_secret;

enum {
    AUTH_SECRET_MIN = 16, /* bytes */
    AUTH_SECRET_MAX = 4096,
    AUTH_NONCE_SIZE = 32,
    AUTH_PROOF_SIZE = 32,
};

enum {
    AUTH_E_FILE = 1
};

/* Reads a secret: a regular file that only its owner may read, of 16 to 4096 bytes without the newline at its end.
 * > 0: AUTH_E_FILE, `error` says what is wrong and what to do. Thread: main. */
MUST_CHECK int auth_secret_load(
        const char *path, struct auth_secret **ret, char *error, size_t error_size);
/* Reads "user:password" for ZooKeeper from such a file; auth_digest_free. > 0: AUTH_E_FILE. Thread: main. */
MUST_CHECK int auth_digest_load(const char *path, char **ret, char *error, size_t error_size);
/* Wipes it. Takes NULL. */
char *auth_digest_free(char *digest);
/* Of bytes; they are copied. */
struct auth_secret *auth_secret_new(const void *bytes, size_t size);
/* Wipes it. Takes NULL. */
struct auth_secret *auth_secret_free(struct auth_secret *s);

/* Fresh random bytes. */
void auth_nonce(uint8_t ret[AUTH_NONCE_SIZE]);

enum auth_side {
    AUTH_ANSWERER = 1,
    AUTH_ASKER = 2
};

/* What both sides say of themselves in the greeting. */
struct auth_claim {
    uint8_t asker_nonce[AUTH_NONCE_SIZE], answerer_nonce[AUTH_NONCE_SIZE];
    struct uuid cluster_id;
    uint32_t asker_role;
    int64_t asker_id, answerer_id;
    uint64_t asker_epoch, answerer_epoch;
};

void auth_prove(const struct auth_secret *s,
        enum auth_side side,
        const struct auth_claim *claim,
        uint8_t ret[AUTH_PROOF_SIZE]);
/* Whether `proof` is that side's. Takes as long whatever is wrong with it. */
bool auth_is_proof(const struct auth_secret *s,
        enum auth_side side,
        const struct auth_claim *claim,
        struct bytes proof);
