/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/hello_asker.h"

#include <string.h>

struct auth_claim hello_claim(const struct msg_hello_request *hello)
{
    bool is_replica = hello->role == ROLE_REPLICA;

    return (struct auth_claim){.cluster_id = hello->cluster_id,
            .asker_role = (uint32_t)hello->role,
            .asker_id = is_replica ? hello->replica : hello->controller_id,
            .asker_epoch = is_replica ? (uint64_t)hello->replica_epoch : hello->ctl_epoch};
}

void hello_asker_begin(struct hello_asker *a, struct buf *ret_auth)
{
    a->is_answered = false;
    auth_nonce(a->nonce);
    wire_encode_hello_auth(
            &(struct msg_hello_auth){.nonce = {a->nonce, AUTH_NONCE_SIZE}}, ret_auth);
}

static const char *prove(struct hello_asker *a,
        const struct auth_secret *secret,
        const struct msg_hello_request *hello,
        const struct msg_hello_response *m,
        const struct msg_hello_auth *theirs,
        struct buf *ret_auth)
{
    struct auth_claim claim = hello_claim(hello);
    uint8_t proof[AUTH_PROOF_SIZE];

    claim.answerer_id = m->broker;
    claim.answerer_epoch = (uint64_t)m->broker_epoch;
    if (theirs->nonce.size != AUTH_NONCE_SIZE) {
        return "its greeting has no challenge of the right form";
    }
    memcpy(claim.asker_nonce, a->nonce, AUTH_NONCE_SIZE);
    memcpy(claim.answerer_nonce, theirs->nonce.at, AUTH_NONCE_SIZE);
    if (!auth_is_proof(secret, AUTH_ANSWERER, &claim, theirs->proof)) {
        return "it does not prove the cluster's secret: is weir.cluster.secret.file the same there?";
    }
    auth_prove(secret, AUTH_ASKER, &claim, proof);
    wire_encode_hello_auth(&(struct msg_hello_auth){.nonce = {a->nonce, AUTH_NONCE_SIZE},
                                   .proof = {proof, sizeof(proof)}},
            ret_auth);
    a->is_answered = true;
    return NULL;
}

const char *hello_asker_answer(struct hello_asker *a,
        const struct auth_secret *secret,
        const struct msg_hello_request *hello,
        const struct msg_hello_response *m,
        struct buf *ret_auth)
{
    struct msg_hello_auth theirs = {0};
    struct arena arena;
    const char *why = "it does not prove the cluster's secret: set weir.cluster.secret.file there";

    arena_init(&arena, wire_arena_ceiling(m->auth.size));
    if (m->auth.size > 0) {
        why = wire_decode_hello_auth(m->auth, &arena, &theirs) == 0
                      ? prove(a, secret, hello, m, &theirs, ret_auth)
                      : "its greeting's auth does not decode";
    }
    arena_deinit(&arena);
    return why;
}
