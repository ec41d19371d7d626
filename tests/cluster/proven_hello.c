/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cluster/proven_hello.h"

#include "common/auth/auth.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include <string.h>

static struct bytes auth_of(struct buf *b, const struct auth_claim *claim, struct bytes proof)
{
    buf_clear(b);
    wire_encode_hello_auth(&(struct msg_hello_auth){.nonce = {claim->asker_nonce, AUTH_NONCE_SIZE},
                                   .proof = proof},
            b);
    return (struct bytes){.at = b->data, .size = b->size};
}

/* Of one that knows the cluster's secret: what is wrong with it is all that is left. */
void check_proven_hello_is_refused(struct msg_hello_request m, int error)
{
    struct auth_claim claim = {.cluster_id = m.cluster_id,
            .asker_role = (uint32_t)m.role,
            .asker_id = m.role == ROLE_CONTROLLER ? m.controller_id : -1,
            .asker_epoch =
                    m.role == ROLE_CONTROLLER ? m.ctl_epoch : (uint64_t)BROKER_EPOCH_NONE};
    uint8_t proof[AUTH_PROOF_SIZE];
    char *path = node_path("broker-1", "../secret");
    struct auth_secret *secret = NULL;
    struct msg_hello_response answer;
    struct msg_hello_auth theirs;
    struct raw *r = raw_connect(broker_port(1));
    struct buf auth = {0}, body = {0};
    struct raw_answer a;
    char why[256];

    CHECK_EQ(auth_secret_load(path, &secret, why, sizeof(why)), 0);
    auth_nonce(claim.asker_nonce);
    m.auth = auth_of(&auth, &claim, (struct bytes){0});
    wire_encode_hello_request(&m, &body);
    raw_call(r, API_HELLO, &body, &a);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_hello_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(wire_decode_hello_auth(answer.auth, a.arena, &theirs), 0);
    CHECK_EQ(theirs.nonce.size, AUTH_NONCE_SIZE);
    memcpy(claim.answerer_nonce, theirs.nonce.at, AUTH_NONCE_SIZE);
    claim.answerer_id = answer.broker;
    claim.answerer_epoch = (uint64_t)answer.broker_epoch;
    auth_prove(secret, AUTH_ASKER, &claim, proof);
    m.auth = auth_of(&auth, &claim, (struct bytes){.at = proof, .size = sizeof(proof)});
    buf_clear(&body);
    wire_encode_hello_request(&m, &body);
    raw_call(r, API_HELLO, &body, &a);
    CHECK_EQ(a.header.error, error);
    CHECK(strlen(a.header.detail) > 10);
    CHECK(raw_is_closed_within(r, 5000));
    (void)raw_close(r);
    auth_secret_free(secret);
    buf_deinit(&auth);
    buf_deinit(&body);
    mem_free(path);
}
