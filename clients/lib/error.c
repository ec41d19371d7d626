/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/error.h"

#include "common/domain/errcode.h"

#include <stdarg.h>
#include <stdio.h>

struct own_code {
    int code;
    bool retriable;
    const char *name, *text;
};

static const struct own_code own_codes[] = {
        {WEIR_AGAIN, true, "WEIR_AGAIN", "there is no room now"},
        {WEIR_E_ARGUMENT, false, "WEIR_E_ARGUMENT", "an argument is not legal"},
        {WEIR_E_CONFIG, false, "WEIR_E_CONFIG", "a property is not legal"},
        {WEIR_E_TIMED_OUT, true, "WEIR_E_TIMED_OUT", "the time given is over"},
        {WEIR_E_TRANSPORT, true, "WEIR_E_TRANSPORT", "no broker could be reached"},
        {WEIR_E_CLOSED, false, "WEIR_E_CLOSED", "the client is being closed"},
        {WEIR_E_IN_CALLBACK, false, "WEIR_E_IN_CALLBACK", "not allowed inside a callback"},
        {WEIR_E_CORRUPT, false, "WEIR_E_CORRUPT", "what the broker sent cannot be read"},
        {WEIR_E_LIMIT, false, "WEIR_E_LIMIT",
                "a batch decompresses to more than weir.decompress.max.bytes"},
        {WEIR_E_NOT_ASSIGNED, false, "WEIR_E_NOT_ASSIGNED",
                "the partition is not assigned to this consumer"},
        {WEIR_E_TRUNCATED, false, "WEIR_E_TRUNCATED",
                "records that were read are not in the log any more"},
        {WEIR_E_MEMORY, true, "WEIR_E_MEMORY", "memory is exhausted"},
};

static const struct own_code *own_code(int code)
{
    for (size_t i = 0; i < sizeof(own_codes) / sizeof(own_codes[0]); i++) {
        if (own_codes[i].code == code) {
            return &own_codes[i];
        }
    }
    return NULL;
}

const char *weir_code_name(int code)
{
    const struct own_code *own = own_code(code);

    return own != NULL ? own->name : errcode_name(code);
}

const char *weir_code_text(int code)
{
    const struct own_code *own = own_code(code);

    return own != NULL ? own->text : errcode_text(code);
}

bool code_retriable(int code)
{
    const struct own_code *own = own_code(code);

    return own != NULL ? own->retriable : errcode_retriable(code);
}

int error_set(struct weir_error *error, int code, const char *format, ...)
{
    va_list args;

    if (error == NULL) {
        return code;
    }
    *error = (struct weir_error){
            .code = code, .retriable = code_retriable(code), .name = weir_code_name(code)};
    if (format == NULL) {
        (void)snprintf(error->text, sizeof(error->text), "%s", weir_code_text(code));
        return code;
    }
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return code;
}
