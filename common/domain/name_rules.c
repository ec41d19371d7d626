/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/name_rules.h"

#include "common/domain/ids.h"

#include <stdbool.h>
#include <string.h>

static bool is_topic_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

const char *topic_name_refusal(const char *name)
{
    size_t size = strnlen(name, TOPIC_NAME_MAX + 1);

    if (size == 0) {
        return "a topic name must not be empty";
    }
    if (size > TOPIC_NAME_MAX) {
        return "a topic name has at most 249 characters";
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return "a topic must not be named \".\" or \"..\"";
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_topic_char(name[i])) {
            return "a topic name consists of the characters a-z, A-Z, 0-9, '.', '_' and '-'";
        }
    }
    return NULL;
}

bool topic_name_is_internal(const char *name)
{
    return strncmp(name, "__", 2) == 0;
}
