/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/auth.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct auth_secret {
    size_t size;
    uint8_t bytes[AUTH_SECRET_MAX + 2]; /* room to see that a file is too long */
};

/* --- Files that hold secrets ------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int refuse(
        char *error, size_t error_size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, error_size, format, args);
    va_end(args);
    return AUTH_E_FILE;
}

static int read_whole(int fd, struct auth_secret *s)
{
    while (s->size < sizeof(s->bytes)) {
        ssize_t n = read(fd, s->bytes + s->size, sizeof(s->bytes) - s->size);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        s->size += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* [TRU-1] Without the newline at its end. */
static int load_open(
        const char *path, int fd, struct auth_secret *s, char *error, size_t error_size)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return refuse(error, error_size,
                "%s is not a regular file: name the file that holds the secret itself", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return refuse(error, error_size,
                "%s holds a secret and others may read or change it: chmod 600 %s", path, path);
    }
    int e = read_whole(fd, s);
    if (e != 0) {
        return refuse(error, error_size, "%s cannot be read (%s): replace it by a sound copy", path,
                strerror(e));
    }
    s->size -= s->size > 0 && s->bytes[s->size - 1] == '\n';
    return 0;
}

static int load(const char *path, struct auth_secret **ret, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct auth_secret *s = NULL;

    if (fd < 0) {
        return refuse(error, error_size,
                "%s cannot be opened (%s): it must be there and "
                "belong to the user that runs this daemon",
                path, strerror(errno));
    }
    s = mem_new(struct auth_secret);
    int r = load_open(path, fd, s, error, error_size);
    (void)close(fd); /* read only */
    if (r != 0) {
        (void)auth_secret_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int auth_secret_load(const char *path, struct auth_secret **ret, char *error, size_t error_size)
{
    struct auth_secret *s = NULL;
    int r = load(path, &s, error, error_size);

    if (r == 0 && (s->size < AUTH_SECRET_MIN || s->size > AUTH_SECRET_MAX)) {
        r = refuse(error, error_size,
                "%s has %s: a secret has %d to %d bytes; make one: "
                "(umask 077; head -c 32 /dev/urandom | base64 > FILE)",
                path, s->size < AUTH_SECRET_MIN ? "too few bytes" : "too many bytes",
                AUTH_SECRET_MIN, AUTH_SECRET_MAX);
        s = auth_secret_free(s);
    }
    if (r == 0) {
        *ret = s;
    }
    return r;
}

int auth_digest_load(const char *path, char **ret, char *error, size_t error_size)
{
    struct auth_secret *s = NULL;
    int r = load(path, &s, error, error_size);

    if (r != 0) {
        return r;
    }
    const uint8_t *colon = memchr(s->bytes, ':', s->size);
    if (colon == NULL || colon == s->bytes || colon + 1 == s->bytes + s->size ||
            s->size > AUTH_SECRET_MAX || memchr(s->bytes, '\0', s->size) != NULL) {
        r = refuse(error, error_size,
                "%s must hold one line of the form user:password, at most %d bytes", path,
                AUTH_SECRET_MAX);
    } else {
        *ret = mem_strndup((const char *)s->bytes, s->size);
    }
    (void)auth_secret_free(s);
    return r;
}

char *auth_digest_free(char *digest)
{
    if (digest != NULL) {
        OPENSSL_cleanse(digest, strlen(digest));
    }
    return mem_free(digest);
}

struct auth_secret *auth_secret_new(const void *bytes, size_t size)
{
    struct auth_secret *s = mem_new(struct auth_secret);

    must(size >= AUTH_SECRET_MIN);
    must(size <= AUTH_SECRET_MAX);
    memcpy(s->bytes, bytes, size);
    s->size = size;
    return s;
}

struct auth_secret *auth_secret_free(struct auth_secret *s)
{
    if (s != NULL) {
        OPENSSL_cleanse(s, sizeof(*s));
    }
    return mem_free(s);
}

/* --- Proofs ------------------------------------------------------------------------------------ */

void auth_nonce(uint8_t ret[AUTH_NONCE_SIZE])
{
    must(getrandom(ret, AUTH_NONCE_SIZE, 0) == AUTH_NONCE_SIZE);
}

static const char *label_of(enum auth_side side)
{
    switch (side) {
    case AUTH_ANSWERER: return "weir hello 1 answerer";
    case AUTH_ASKER: return "weir hello 1 asker";
    }
    must_not_reach("a greeting has two sides");
}

/* [TRU-2] Every field has a fixed size but the label, which ends with its NUL: no two claims read the same. */
void auth_prove(const struct auth_secret *s,
        enum auth_side side,
        const struct auth_claim *claim,
        uint8_t ret[AUTH_PROOF_SIZE])
{
    const char *label = label_of(side);
    struct buf text = {0};
    unsigned size = 0;

    buf_append(&text, label, strlen(label) + 1);
    buf_append(&text, claim->asker_nonce, AUTH_NONCE_SIZE);
    buf_append(&text, claim->answerer_nonce, AUTH_NONCE_SIZE);
    buf_append(&text, claim->cluster_id.bytes, sizeof(claim->cluster_id.bytes));
    buf_be32(&text, claim->asker_role);
    buf_be64(&text, (uint64_t)claim->asker_id);
    buf_be64(&text, claim->asker_epoch);
    buf_be64(&text, (uint64_t)claim->answerer_id);
    buf_be64(&text, claim->answerer_epoch);
    must(HMAC(EVP_sha256(), s->bytes, (int)s->size, text.data, text.size, ret, &size) != NULL);
    must(size == AUTH_PROOF_SIZE);
    buf_deinit(&text);
}

bool auth_is_proof(const struct auth_secret *s,
        enum auth_side side,
        const struct auth_claim *claim,
        struct bytes proof)
{
    uint8_t own[AUTH_PROOF_SIZE];

    auth_prove(s, side, claim, own);
    bool is_same = proof.size == sizeof(own) && CRYPTO_memcmp(proof.at, own, sizeof(own)) == 0;
    OPENSSL_cleanse(own, sizeof(own)); /* what the peer failed to show stays unseen */
    return is_same;
}
