/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/auth.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char secret_text[] = "correct horse battery staple";

static struct auth_claim claim(void)
{
    struct auth_claim c = {.cluster_id = {{1, 2, 3}},
            .asker_role = 2,
            .asker_id = 7,
            .asker_epoch = 41,
            .answerer_id = 3,
            .answerer_epoch = 99};

    memset(c.asker_nonce, 0x11, sizeof(c.asker_nonce));
    memset(c.answerer_nonce, 0x22, sizeof(c.answerer_nonce));
    return c;
}

static bool proves(const struct auth_secret *s,
        enum auth_side side,
        const struct auth_claim *c,
        const uint8_t *proof)
{
    return auth_is_proof(s, side, c, (struct bytes){.at = proof, .size = AUTH_PROOF_SIZE});
}

/* [TRU-2] */
static void proof_is_of_one_secret_and_one_side(void)
{
    struct auth_secret *s = auth_secret_new(secret_text, sizeof(secret_text) - 1);
    struct auth_secret *other = auth_secret_new("another secret of that", 22);
    struct auth_claim c = claim();
    uint8_t proof[AUTH_PROOF_SIZE];

    auth_prove(s, AUTH_ASKER, &c, proof);
    CHECK(proves(s, AUTH_ASKER, &c, proof));
    CHECK(!proves(other, AUTH_ASKER, &c, proof));
    CHECK(!proves(s, AUTH_ANSWERER, &c, proof)); /* given back to who made it */
    CHECK(!auth_is_proof(s, AUTH_ASKER, &c, (struct bytes){.at = proof, .size = 31}));
    CHECK(!auth_is_proof(s, AUTH_ASKER, &c, (struct bytes){0}));
    auth_secret_free(s);
    auth_secret_free(other);
}

/* [TRU-2] */
static void proof_covers_every_field(void)
{
    struct auth_secret *s = auth_secret_new(secret_text, sizeof(secret_text) - 1);
    struct auth_claim c = claim();
    uint8_t proof[AUTH_PROOF_SIZE];
    struct auth_claim wrong[8];

    auth_prove(s, AUTH_ANSWERER, &c, proof);
    for (size_t i = 0; i < 8; i++) {
        wrong[i] = c;
    }
    wrong[0].asker_nonce[31] ^= 1;
    wrong[1].answerer_nonce[0] ^= 1;
    wrong[2].cluster_id.bytes[15] ^= 1;
    wrong[3].asker_role = 1;
    wrong[4].asker_id = 8;
    wrong[5].asker_epoch = UINT64_C(1) << 63;
    wrong[6].answerer_id = 4;
    wrong[7].answerer_epoch = 100;
    for (size_t i = 0; i < 8; i++) {
        CHECK(!proves(s, AUTH_ANSWERER, &wrong[i], proof));
    }
    for (size_t i = 0; i < sizeof(proof); i++) {
        proof[i] ^= 0x80;
        CHECK(!proves(s, AUTH_ANSWERER, &c, proof));
        proof[i] ^= 0x80;
    }
    CHECK(proves(s, AUTH_ANSWERER, &c, proof));
    auth_secret_free(s);
}

/* Made with: printf of the fields | openssl dgst -sha256 -mac HMAC -macopt key:SECRET */
static void proof_is_hmac_sha256_of_the_documented_bytes(void)
{
    static const uint8_t want[8] = {0xad, 0x0a, 0xfd, 0x60, 0x01, 0xb2, 0x7e, 0x51};
    struct auth_secret *s = auth_secret_new(secret_text, sizeof(secret_text) - 1);
    struct auth_claim c = claim();
    uint8_t proof[AUTH_PROOF_SIZE];

    auth_prove(s, AUTH_ASKER, &c, proof);
    CHECK_MEM(proof, want, sizeof(want));
    auth_secret_free(s);
}

static void nonces_differ(void)
{
    uint8_t a[AUTH_NONCE_SIZE], b[AUTH_NONCE_SIZE];

    auth_nonce(a);
    auth_nonce(b);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
}

/* --- Files --- */

static char path[64];

static void remove_file(void)
{
    (void)unlink(path);
}

static void write_file(const char *text, size_t size, mode_t mode)
{
    if (path[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(path, sizeof(path), "%.40s/weir-auth-XXXXXX", base != NULL ? base : "/tmp");
        int fd = mkstemp(path);
        CHECK(fd >= 0);
        (void)close(fd);
        (void)atexit(remove_file);
    }
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(text, 1, size, f), size);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(chmod(path, mode), 0);
}

static void check_refused(const char *text, size_t size, mode_t mode, const char *why)
{
    struct auth_secret *s = NULL;
    char error[512] = "";

    write_file(text, size, mode);
    CHECK_EQ(auth_secret_load(path, &s, error, sizeof(error)), AUTH_E_FILE);
    CHECK(s == NULL);
    CHECK(strstr(error, why) != NULL);
}

/* [TRU-1] */
static void secret_file_is_for_its_owner_alone(void)
{
    char *large = mem_alloc(5000);

    memset(large, 'x', 5000);
    check_refused(secret_text, 28, 0640, "chmod 600");
    check_refused(secret_text, 28, 0604, "chmod 600");
    check_refused("short", 5, 0600, "too few bytes");
    check_refused("fifteen bytes..\n", 16, 0600, "too few bytes");
    check_refused(large, 4097, 0600, "too many bytes");
    check_refused(large, 5000, 0600, "too many bytes");
    mem_free(large);
    struct auth_secret *s = NULL;
    char error[512] = "";
    CHECK_EQ(auth_secret_load("/nonexistent/secret", &s, error, sizeof(error)), AUTH_E_FILE);
    CHECK(strstr(error, "No such file") != NULL);
    CHECK_EQ(auth_secret_load("/tmp", &s, error, sizeof(error)), AUTH_E_FILE);
    CHECK(strstr(error, "not a regular file") != NULL);
}

static void newline_at_the_end_is_not_the_secret(void)
{
    struct auth_secret *with = NULL, *without = NULL;
    struct auth_claim c = claim();
    uint8_t proof[AUTH_PROOF_SIZE];
    char error[512] = "";

    write_file("sixteen bytes...", 16, 0600);
    CHECK_EQ(auth_secret_load(path, &without, error, sizeof(error)), 0);
    write_file("sixteen bytes...\n", 17, 0400);
    CHECK_EQ(auth_secret_load(path, &with, error, sizeof(error)), 0);
    auth_prove(with, AUTH_ASKER, &c, proof);
    CHECK(proves(without, AUTH_ASKER, &c, proof));
    auth_secret_free(with);
    auth_secret_free(without);
}

static void digest_file_has_a_user_and_a_password(void)
{
    static const char *const wrong[] = {"", "weir", ":password", "weir:", "\n"};
    char error[512] = "";
    char *digest = NULL;

    for (size_t i = 0; i < 5; i++) {
        write_file(wrong[i], strlen(wrong[i]), 0600);
        CHECK_EQ(auth_digest_load(path, &digest, error, sizeof(error)), AUTH_E_FILE);
        CHECK(strstr(error, "user:password") != NULL);
    }
    write_file("weir:pass:word\n", 15, 0600);
    CHECK_EQ(auth_digest_load(path, &digest, error, sizeof(error)), 0);
    CHECK_STR(digest, "weir:pass:word");
    auth_digest_free(digest);
}

static const struct check_case cases[] = {
        CASE(proof_is_of_one_secret_and_one_side),
        CASE(proof_covers_every_field),
        CASE(proof_is_hmac_sha256_of_the_documented_bytes),
        CASE(nonces_differ),
        CASE(secret_file_is_for_its_owner_alone),
        CASE(newline_at_the_end_is_not_the_secret),
        CASE(digest_file_has_a_user_and_a_password),
};

CHECK_MAIN("auth", cases)
