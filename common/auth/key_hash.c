/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/key_hash.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <openssl/evp.h>
#include <string.h>

struct auth_hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

struct auth_hasher *auth_hasher_new(void)
{
    struct auth_hasher *h = mem_new(struct auth_hasher);

    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    must(h->md != NULL);
    must(h->ctx != NULL);
    must(EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1);
    return h;
}

struct auth_hasher *auth_hasher_free(struct auth_hasher *h)
{
    if (h == NULL) {
        return NULL;
    }
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    return mem_free(h);
}

void auth_hasher_run(struct auth_hasher *h, struct bytes in, uint8_t ret[AUTH_HASH_SIZE])
{
    uint8_t whole[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    must(EVP_DigestInit_ex2(h->ctx, NULL, NULL) == 1); /* the same algorithm, begun anew */
    must(EVP_DigestUpdate(h->ctx, in.at, in.size) == 1);
    must(EVP_DigestFinal_ex(h->ctx, whole, &size) == 1);
    must(size >= AUTH_HASH_SIZE);
    memcpy(ret, whole, AUTH_HASH_SIZE);
}
