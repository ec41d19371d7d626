/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/load_record.h"

#include "clients/check/history.h"
#include "common/base/bytes.h"
#include "common/base/crc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)LOAD_ID_SIZE <= (int)HISTORY_WORD_SIZE, "an id is the word of a value");

static struct weir_bytes text_bytes(const char *text)
{
    return (struct weir_bytes){.at = text, .size = strlen(text)};
}

static bool pad(struct load_record *r, size_t size)
{
    size_t n = strlen(r->value);

    r->record.value = text_bytes(r->value);
    if (size <= n) {
        return true;
    }
    r->padded = malloc(size);
    if (r->padded == NULL) {
        return false;
    }
    memcpy(r->padded, r->value, n);
    r->padded[n] = ' ';
    for (size_t i = n + 1; i < size; i++) {
        r->padded[i] = (char)('a' + i % 26);
    }
    r->record.value = (struct weir_bytes){.at = r->padded, .size = size};
    return true;
}

/* One record in four has no key, one no header, some an empty one and a null one. */
bool load_record_init(
        struct load_record *r, const char *id, uint64_t number, size_t size, int64_t timestamp)
{
    *r = (struct load_record){.record = WEIR_RECORD_INIT};
    (void)snprintf(r->value, sizeof(r->value), "%.*s-%" PRIu64, LOAD_ID_SIZE - 1, id, number);
    (void)snprintf(r->key, sizeof(r->key), "k%" PRIu64, number % 1000);
    (void)snprintf(r->header, sizeof(r->header), "%" PRIx64, number * 31);
    r->headers[0] = (struct weir_header){.name = "mark", .value = text_bytes(r->header)};
    r->headers[1] = (struct weir_header){.name = "mark"};
    r->record.timestamp = timestamp;
    if (number % 4 != 0) {
        r->record.key = text_bytes(number % 4 == 1 ? "" : r->key);
    }
    r->record.headers = r->headers;
    r->record.n_headers = number % 3;
    return pad(r, size);
}

void load_record_deinit(struct load_record *r)
{
    free(r->padded);
    r->padded = NULL;
}

/* --- What must not change --------------------------------------------------------------------- */

static uint64_t hash_number(uint64_t hash, uint64_t n)
{
    uint8_t bytes[8];

    store_be64(bytes, n);
    return crc64(hash, bytes, sizeof(bytes));
}

/* Null and empty are told apart. */
static uint64_t hash_bytes(uint64_t hash, struct weir_bytes b)
{
    hash = hash_number(hash, b.at != NULL ? b.size : UINT64_MAX);
    return b.at != NULL ? crc64(hash, b.at, b.size) : hash;
}

static uint64_t hash_header(uint64_t hash, const struct weir_header *h)
{
    return hash_bytes(hash_bytes(hash, text_bytes(h->name)), h->value);
}

static uint64_t hash_head(
        int64_t timestamp, struct weir_bytes key, struct weir_bytes value, size_t n_headers)
{
    uint64_t hash = hash_number(0, (uint64_t)timestamp);

    return hash_number(hash_bytes(hash_bytes(hash, key), value), n_headers);
}

uint64_t load_record_hash(const struct weir_record *r)
{
    uint64_t hash = hash_head(r->timestamp, r->key, r->value, r->n_headers);

    for (size_t i = 0; i < r->n_headers; i++) {
        hash = hash_header(hash, &r->headers[i]);
    }
    return hash;
}

uint64_t load_message_hash(const struct weir_batch *b, size_t i)
{
    const struct weir_message *m = &weir_batch_messages(b)[i];
    uint64_t hash = hash_head(m->timestamp, m->key, m->value, m->n_headers);

    for (size_t k = 0; k < m->n_headers; k++) {
        struct weir_header header = {.name = ""};
        (void)weir_batch_header(b, i, k, &header);
        hash = hash_header(hash, &header);
    }
    return hash;
}

/* --- Values ----------------------------------------------------------------------------------- */

bool load_message_value(const struct weir_message *m, char ret[static LOAD_VALUE_SIZE])
{
    const char *text = m->value.at;
    char word[HISTORY_WORD_SIZE];
    uint64_t number = 0;

    if (text == NULL) {
        return false;
    }
    const char *blank = memchr(text, ' ', m->value.size);
    size_t size = blank != NULL ? (size_t)(blank - text) : m->value.size;
    if (size >= LOAD_VALUE_SIZE || !history_value_parse(text, size, word, &number)) {
        return false;
    }
    memcpy(ret, text, size);
    ret[size] = '\0';
    return true;
}

bool load_value_is_of(const char *value, const char *id)
{
    const char *dash = strrchr(value, '-');

    return dash != NULL && (size_t)(dash - value) == strlen(id) &&
           memcmp(value, id, (size_t)(dash - value)) == 0;
}

bool load_id_is_legal(const char *id)
{
    char text[LOAD_VALUE_SIZE];
    char word[HISTORY_WORD_SIZE];
    uint64_t number = 0;

    if (strlen(id) >= LOAD_ID_SIZE) {
        return false;
    }
    int n = snprintf(text, sizeof(text), "%s-0", id);
    return history_value_parse(text, (size_t)n, word, &number);
}
