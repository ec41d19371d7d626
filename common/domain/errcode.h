/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

enum errcode {
#define ERRCODE(name, number, retriable, text) ERRCODE_##name = number,
#include "common/domain/errcode.def"
#undef ERRCODE
};

/* "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN_SERVER_ERROR" for a number that is not in the table. */
const char *errcode_name(int code);
/* The sentence for a user. */
const char *errcode_text(int code);
bool errcode_retriable(int code);
