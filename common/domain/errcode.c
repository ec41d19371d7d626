/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"

const char *errcode_name(int code)
{
    switch (code) {
#define ERRCODE(name, number, retriable, text)                                                     \
    case number:                                                                                   \
        return #name;
#include "common/domain/errcode.def"
#undef ERRCODE
    default: return "UNKNOWN_SERVER_ERROR"; /* a newer server's code */
    }
}

const char *errcode_text(int code)
{
    switch (code) {
#define ERRCODE(name, number, retriable, text)                                                     \
    case number:                                                                                   \
        return text;
#include "common/domain/errcode.def"
#undef ERRCODE
    default: return "the server answered with a code that this version does not know";
    }
}

bool errcode_retriable(int code)
{
    switch (code) {
#define ERRCODE(name, number, retriable, text)                                                     \
    case number:                                                                                   \
        return (retriable) != 0;
#include "common/domain/errcode.def"
#undef ERRCODE
    default: return false;
    }
}
