/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct weir_client;
struct weir_metadata;

/* What a load generator was told is written, and whether a topic still holds it. A value is
 * "<producer>-<counter>"; its record is unique but for retries. Thread: one. */
enum {
    LOAD_ID_SIZE = 32,
    LOAD_VALUE_SIZE = LOAD_ID_SIZE + 24
};

struct load_acked {
    uint64_t counter;
    int64_t offset; /* -1 = not known (acks 0) */
    int32_t partition;
    uint32_t producer; /* index in .producers */
    uint32_t n_found;
    bool is_in_place; /* found at its offset */
};

struct load_history {
    struct load_acked *acked;
    size_t n, room;
    char (*producers)[LOAD_ID_SIZE];
    uint32_t n_producers;
    bool is_sorted;
};

/* What a topic holds of a history. */
struct load_verdict {
    uint64_t n_read;      /* records of the topic that were read */
    uint64_t n_missing;   /* acknowledged, and nowhere */
    uint64_t n_doubled;   /* acknowledged once, there more than once: a retry without idempotence */
    uint64_t n_displaced; /* there, but another record stands at the offset that was acknowledged */
    char first_missing[LOAD_VALUE_SIZE];
};

void load_history_deinit(struct load_history *h);
/* The producer's index; adds it. Ids longer than LOAD_ID_SIZE - 1 are cut. */
uint32_t load_history_producer(struct load_history *h, const char *id);
void load_history_add(struct load_history *h,
        uint32_t producer,
        uint64_t counter,
        int32_t partition,
        int64_t offset);
/* "<producer>-<counter> <partition> <offset>", a line a record. */
void load_history_write_line(
        FILE *f, const char *id, uint64_t counter, int32_t partition, int64_t offset);
/* Appends what a file holds. A last line without newline was being written when its writer was
 * killed: left out. False: it cannot be read, or is not a history; `*ret_line` = 0 or the line. */
bool load_history_read(struct load_history *h, const char *path, size_t *ret_line);

/* Splits "<producer>-<counter>"; false = not of this form. */
bool load_value_parse(
        const void *value, size_t size, char ret_id[static LOAD_ID_SIZE], uint64_t *ret_counter);
void load_value_format(char ret[static LOAD_VALUE_SIZE], const char *id, uint64_t counter);

/* Reads the topic from its beginning to the ends that it has now and compares. False: it could not
 * be read; `error` has the sentence. */
bool load_history_verify(struct load_history *h,
        struct weir_client *client,
        const char *topic,
        int timeout_ms,
        struct load_verdict *ret,
        char *error,
        size_t error_size);
