/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/uuid.h"

#include "common/base/prng.h"

#include <string.h>

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool uuid_is_zero(const struct uuid *u)
{
    static const struct uuid zero;
    return uuid_equal(u, &zero);
}

struct uuid uuid_from_prng(struct prng *p)
{
    struct uuid u;
    uint64_t half[2] = {prng_u64(p), prng_u64(p)};

    memcpy(u.bytes, half, sizeof(u.bytes));
    u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x40);
    u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
    return u;
}

static bool dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;

    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i)) {
            *at++ = '-';
        }
        *at++ = digits[u->bytes[i] >> 4];
        *at++ = digits[u->bytes[i] & 15];
    }
    *at = '\0';
    return text;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool uuid_parse(const char *text, struct uuid *ret)
{
    struct uuid u;

    if (strlen(text) != UUID_TEXT_SIZE - 1) {
        return false;
    }
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i) && *text++ != '-') {
            return false;
        }
        int high = hex_value(text[0]);
        int low = hex_value(text[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        u.bytes[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    *ret = u;
    return true;
}
