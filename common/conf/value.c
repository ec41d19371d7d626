/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/must.h"
#include "common/conf/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct suffix {
    const char *text;
    int64_t factor;
};

static const struct suffix ms_suffixes[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct suffix byte_suffixes[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

const char *conf_printable(const char *text, char ret[CONF_PRINTABLE_SIZE])
{
    size_t size = strnlen(text, CONF_PRINTABLE_SIZE - 4);

    for (size_t i = 0; i < size; i++) {
        ret[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    }
    memcpy(ret + size, text[size] == '\0' ? "" : "...", text[size] == '\0' ? 1 : 4);
    return ret;
}

static const char *unit_words(enum conf_unit unit)
{
    switch (unit) {
    case CONF_UNIT_NONE: return "a whole number";
    case CONF_UNIT_MS: return "a duration in milliseconds (or with ms, s, m, h, d)";
    case CONF_UNIT_BYTES: return "a size in bytes (or with KiB, MiB, GiB)";
    }
    must_not_reach("a unit that is none");
}

const char *conf_describe(const struct conf_key *key, char text[CONF_DESCRIPTION_SIZE])
{
    const char *example = key->fallback != NULL ? key->fallback : "";
    const char *for_example = example[0] != '\0' ? ", for example " : "";

    switch (key->type) {
    case CONF_STRING:
        (void)snprintf(text, CONF_DESCRIPTION_SIZE, "a text%s%s", for_example, example);
        break;
    case CONF_LIST:
        if (key->choices != NULL) {
            (void)snprintf(text, CONF_DESCRIPTION_SIZE, "a list separated by commas of %s",
                    key->choices);
            break;
        }
        (void)snprintf(text, CONF_DESCRIPTION_SIZE, "a list separated by commas%s%s", for_example,
                example);
        break;
    case CONF_RATIO: {
        char least[CONF_RATIO_SIZE], most[CONF_RATIO_SIZE];
        (void)snprintf(text, CONF_DESCRIPTION_SIZE, "a decimal number from %s to %s%s%s",
                conf_ratio_text(key->min, least), conf_ratio_text(key->max, most), for_example,
                example);
        break;
    }
    case CONF_I64: {
        char least[32];
        (void)snprintf(least, sizeof(least), "%" PRId64, key->min);
        (void)snprintf(text, CONF_DESCRIPTION_SIZE,
                "%s from %" PRId64 " to %" PRId64 ", for example %s", unit_words(key->unit),
                key->min, key->max, example[0] != '\0' ? example : least);
        break;
    }
    case CONF_BOOL: (void)snprintf(text, CONF_DESCRIPTION_SIZE, "true or false"); break;
    case CONF_ENUM: (void)snprintf(text, CONF_DESCRIPTION_SIZE, "one of %s", key->choices); break;
    }
    return text;
}

const char *conf_ratio_text(int64_t millionths, char text[CONF_RATIO_SIZE])
{
    int n = snprintf(text, CONF_RATIO_SIZE, "%" PRId64 ".%06" PRId64, millionths / 1000000,
            millionths % 1000000);

    while (n > 0 && text[n - 1] == '0') {
        n--;
    }
    text[n > 0 && text[n - 1] == '.' ? n - 1 : n] = '\0';
    return text;
}

/* --- Values ----------------------------------------------------------------------------------- */

/* Digits with an optional '-'. Returns what stands behind them, or NULL; `*ret_wide` = more than
 * 64 bits. */
static const char *parse_digits(const char *text, int64_t *ret, bool *ret_wide)
{
    bool is_negative = text[0] == '-';
    const char *at = text + (is_negative ? 1 : 0);
    int64_t v = 0;
    bool wide = false;

    if (*at < '0' || *at > '9') {
        return NULL;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        wide = __builtin_mul_overflow(v, 10, &v) || wide;
        wide = __builtin_add_overflow(v, *at - '0', &v) || wide;
    }
    *ret = is_negative && !wide ? -v : v;
    *ret_wide = wide;
    return at;
}

static const struct suffix *find_suffix(enum conf_unit unit, const char *text)
{
    const struct suffix *table = unit == CONF_UNIT_MS ? ms_suffixes : byte_suffixes;
    size_t n = unit == CONF_UNIT_MS ? COUNT_OF(ms_suffixes) : COUNT_OF(byte_suffixes);

    for (size_t i = 0; unit != CONF_UNIT_NONE && i < n; i++) {
        if (strcmp(text, table[i].text) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* NULL, or what is wrong. */
static const char *parse_i64(const struct conf_key *key, const char *value, int64_t *ret)
{
    int64_t v = 0;
    bool wide = false;
    bool is_negative = value[0] == '-';
    const char *rest = parse_digits(value, &v, &wide);

    if (rest == NULL) {
        return "is not a number";
    }
    if (*rest != '\0') {
        const struct suffix *suffix = find_suffix(key->unit, rest);
        if (suffix == NULL) {
            return key->unit == CONF_UNIT_NONE ? "is not a number" : "has a unit that is not known";
        }
        wide = __builtin_mul_overflow(v, suffix->factor, &v) || wide;
    }
    if ((wide && is_negative) || (!wide && v < key->min)) {
        return "is too small";
    }
    if (wide || v > key->max) {
        return "is too large";
    }
    *ret = v;
    return NULL;
}

/* Digits, perhaps a point and up to six more: a decimal without any floating point. NULL, or what is wrong. */
static const char *parse_ratio(const struct conf_key *key, const char *value, int64_t *ret)
{
    int64_t v = 0;
    bool wide = false;
    const char *rest = value[0] == '-' ? NULL : parse_digits(value, &v, &wide);
    int64_t unit = 1000000;

    if (rest == NULL) {
        return value[0] == '-' ? "is too small" : "is not a number";
    }
    wide = __builtin_mul_overflow(v, unit, &v) || wide;
    if (*rest == '.') {
        for (rest++; *rest >= '0' && *rest <= '9' && unit > 1; rest++) {
            unit /= 10;
            wide = __builtin_add_overflow(v, (*rest - '0') * unit, &v) || wide;
        }
    }
    if (*rest != '\0') {
        return *rest >= '0' && *rest <= '9' ? "has more than six decimal places"
                                            : "is not a number";
    }
    if (wide || v > key->max) {
        return "is too large";
    }
    if (v < key->min) {
        return "is too small";
    }
    *ret = v;
    return NULL;
}

static bool is_choice(const char *choices, const char *value, size_t size)
{
    if (size == 0 || memchr(value, '|', size) != NULL) {
        return false;
    }
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        if (strncmp(at, value, size) == 0 && (at[size] == '|' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Whether an item between two commas is empty. An empty list has no item. */
static bool has_empty_item(const char *value)
{
    bool is_empty = true;

    if (value[0] == '\0') {
        return false;
    }
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == ',' && is_empty) {
            return true;
        }
        is_empty = *at == ',' || (is_empty && *at == ' ');
    }
    return is_empty;
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " ");
}

/* Size of the item that begins at `at`, without spaces at its end. */
static size_t item_size(const char *at)
{
    size_t size = strcspn(at, ",");

    while (size > 0 && at[size - 1] == ' ') {
        size--;
    }
    return size;
}

bool conf_list_has(const char *list, const char *item)
{
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at = skip_spaces(at + (*at == ',' ? 1 : 0));
        if (item_size(at) == strlen(item) && strncmp(at, item, strlen(item)) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the item that begins at `at` stands earlier in the list too. */
static bool is_repeated(const char *list, const char *at)
{
    size_t size = item_size(at);

    for (const char *it = skip_spaces(list); it < at; it = skip_spaces(strchr(it, ',') + 1)) {
        if (item_size(it) == size && strncmp(it, at, size) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL, or what is wrong. */
static const char *parse_list(const char *choices, const char *value)
{
    if (has_empty_item(value)) {
        return "has an empty item";
    }
    if (choices == NULL) {
        return NULL;
    }
    if (value[0] == '\0') {
        return "is empty";
    }
    for (const char *at = value; at != NULL; at = strchr(at, ',')) {
        at = skip_spaces(at + (*at == ',' ? 1 : 0));
        if (!is_choice(choices, at, item_size(at))) {
            return "has an item that is not a choice";
        }
        if (is_repeated(value, at)) {
            return "has an item twice";
        }
    }
    return NULL;
}

static const char *parse_value(const struct conf_key *key, const char *value, int64_t *ret)
{
    if (value[0] == '\0' && key->fallback == NULL) {
        return "is empty";
    }
    switch (key->type) {
    case CONF_STRING: return NULL;
    case CONF_LIST: return parse_list(key->choices, value);
    case CONF_I64: return parse_i64(key, value, ret);
    case CONF_BOOL:
        *ret = strcmp(value, "true") == 0 ? 1 : 0;
        return *ret == 1 || strcmp(value, "false") == 0 ? NULL : "is neither true nor false";
    case CONF_RATIO: return parse_ratio(key, value, ret);
    case CONF_ENUM: return is_choice(key->choices, value, strlen(value)) ? NULL : "is not a choice";
    }
    must_not_reach("a type that is none");
}

int conf_check_value(const struct conf_key *key,
        const char *value,
        int64_t *ret_i64,
        char *error,
        size_t error_size)
{
    char shown[CONF_PRINTABLE_SIZE];
    char description[CONF_DESCRIPTION_SIZE];
    int64_t v = 0;
    const char *wrong = parse_value(key, value, &v);

    if (wrong != NULL) {
        (void)snprintf(error, error_size, "%s: \"%s\" %s; it takes %s", key->name,
                conf_printable(value, shown), wrong, conf_describe(key, description));
        return CONF_E_REFUSED;
    }
    if (ret_i64 != NULL && (key->type == CONF_I64 || key->type == CONF_BOOL || key->type == CONF_RATIO)) {
        *ret_i64 = v;
    }
    return 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

const struct conf_key *conf_find_key(const struct conf_key *keys, size_t n_keys, const char *name)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

enum {
    NAME_SIZE_MAX = 96
};

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t conf_edit_distance(const char *a, const char *b)
{
    size_t row[NAME_SIZE_MAX + 1];
    size_t b_size = strlen(b);

    must(b_size <= NAME_SIZE_MAX);
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            size_t substitute = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = min3(substitute, row[j + 1] + 1, row[j] + 1);
        }
    }
    return row[b_size];
}

const char *conf_nearest(const struct conf_key *keys, size_t n_keys, const char *name)
{
    const char *nearest = NULL;
    size_t size = strnlen(name, NAME_SIZE_MAX + 1);
    size_t least = size / 3 + 1; /* further than this is another word */

    if (size > NAME_SIZE_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n_keys; i++) {
        size_t d = conf_edit_distance(name, keys[i].name);
        if (d < least || (d == least && nearest == NULL)) {
            least = d;
            nearest = keys[i].name;
        }
    }
    return nearest;
}
