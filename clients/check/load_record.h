/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <weir/consumer.h>
#include <weir/producer.h>

/* The records of a load: a value "<id>-<number>", padded behind a blank if larger ones are asked
 * for, keys and headers of several forms, and the hash of all that must come back unchanged
 * (C13): key, value, headers, timestamp. Thread: one. */
enum {
    LOAD_ID_SIZE = 32,
    LOAD_VALUE_SIZE = LOAD_ID_SIZE + 24,
    LOAD_SIZE_MAX = 1024 * 1024
};

struct load_record {
    char value[LOAD_VALUE_SIZE]; /* "<id>-<number>" */
    char key[24], header[24];
    struct weir_header headers[2];
    char *padded; /* the record's value, when it is longer; malloc */
    struct weir_record record;
};

/* Makes the record of a number; record.opaque and record.partition are the caller's. `size`: its
 * value has at least so many bytes. False: no memory. */
bool load_record_init(
        struct load_record *r, const char *id, uint64_t number, size_t size, int64_t timestamp);
void load_record_deinit(struct load_record *r);
uint64_t load_record_hash(const struct weir_record *r);
/* The same of what was read. */
uint64_t load_message_hash(const struct weir_batch *b, size_t i);
/* The value of a record that was read, in front of the padding; false = it is not one of a load. */
bool load_message_value(const struct weir_message *m, char ret[static LOAD_VALUE_SIZE]);
/* Whether the value is of this id. */
bool load_value_is_of(const char *value, const char *id);
/* A word that may stand in values. */
bool load_id_is_legal(const char *id);
