/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/hello_auth.h"

#include "common/domain/errcode.h"
#include "common/net/hello_asker.h"

#include <string.h>

static enum hello_auth_result refuse(
        int error, const char *text, int *ret_error, const char **ret_text)
{
    *ret_error = error;
    *ret_text = text;
    return HELLO_AUTH_REFUSED;
}

static struct auth_claim claim_of(
        const struct hello_self *self, const struct msg_hello_request *m)
{
    struct auth_claim claim = hello_claim(m);

    claim.answerer_id = self->id;
    claim.answerer_epoch = (uint64_t)self->epoch;
    return claim;
}

static void challenge(struct hello_auth *h,
        const struct hello_self *self,
        const struct msg_hello_request *m,
        const struct msg_hello_auth *auth,
        struct buf *ret_auth)
{
    uint8_t proof[AUTH_PROOF_SIZE];

    h->is_challenged = true;
    h->claim = claim_of(self, m);
    memcpy(h->claim.asker_nonce, auth->nonce.at, AUTH_NONCE_SIZE);
    auth_nonce(h->claim.answerer_nonce);
    auth_prove(self->secret, AUTH_ANSWERER, &h->claim, proof);
    wire_encode_hello_auth(
            &(struct msg_hello_auth){.nonce = {h->claim.answerer_nonce, AUTH_NONCE_SIZE},
                    .proof = {proof, sizeof(proof)}},
            ret_auth);
}

/* [TRU-3] The second Hello is taken at its own word: what it says is what its proof must cover. */
static bool is_proven(const struct hello_auth *h,
        const struct hello_self *self,
        const struct msg_hello_request *m,
        const struct msg_hello_auth *auth)
{
    struct auth_claim claim = claim_of(self, m);

    memcpy(claim.asker_nonce, h->claim.asker_nonce, AUTH_NONCE_SIZE);
    memcpy(claim.answerer_nonce, h->claim.answerer_nonce, AUTH_NONCE_SIZE);
    claim.answerer_epoch = h->claim.answerer_epoch; /* as it was told */
    return auth_is_proof(self->secret, AUTH_ASKER, &claim, auth->proof);
}

enum hello_auth_result hello_auth_step(struct hello_auth *h,
        const struct hello_self *self,
        const struct msg_hello_request *m,
        struct buf *ret_auth,
        int *ret_error,
        const char **ret_text)
{
    struct msg_hello_auth auth = {0};
    struct arena arena;
    enum hello_auth_result result = HELLO_AUTH_PROVEN;

    if (self->secret == NULL) {
        return m->auth.size == 0
                       ? HELLO_AUTH_PROVEN
                       : refuse(ERRCODE_SECURITY_DISABLED,
                                 "this broker has no secret to prove: set "
                                 "weir.cluster.secret.file to the cluster's",
                                 ret_error, ret_text);
    }
    if (m->auth.size == 0) {
        return refuse(ERRCODE_SASL_AUTHENTICATION_FAILED,
                "this broker demands proof of the cluster's secret: set weir.cluster.secret.file",
                ret_error, ret_text);
    }
    arena_init(&arena, wire_arena_ceiling(m->auth.size));
    if (wire_decode_hello_auth(m->auth, &arena, &auth) != 0 ||
            auth.nonce.size != AUTH_NONCE_SIZE) {
        result = refuse(ERRCODE_INVALID_REQUEST, "the Hello's auth does not decode", ret_error,
                ret_text);
    } else if (!h->is_challenged && auth.proof.size == 0) {
        challenge(h, self, m, &auth, ret_auth);
        result = HELLO_AUTH_CHALLENGE;
    } else if (!h->is_challenged ||
               memcmp(auth.nonce.at, h->claim.asker_nonce, AUTH_NONCE_SIZE) != 0 ||
               !is_proven(h, self, m, &auth)) {
        result = refuse(ERRCODE_SASL_AUTHENTICATION_FAILED,
                "it does not prove the cluster's secret: is weir.cluster.secret.file the same?",
                ret_error, ret_text);
    }
    arena_deinit(&arena);
    return result;
}
