/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct prng;

/* 128-bit identities (clusters, topics, log directories). All zero = none. Thread: any. */
struct uuid {
    uint8_t bytes[16];
};

enum {
    UUID_TEXT_SIZE = 37
};

bool uuid_equal(const struct uuid *a, const struct uuid *b);
int uuid_compare(const struct uuid *a, const struct uuid *b);
bool uuid_is_zero(const struct uuid *u);
/* A version 4 uuid from the generator's bits. */
struct uuid uuid_from_prng(struct prng *p);
/* Lower-case 8-4-4-4-12 with NUL; returns `text`. */
char *uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE]);
/* Whether `text` was such a form; `ret` untouched otherwise. */
bool uuid_parse(const char *text, struct uuid *ret);
