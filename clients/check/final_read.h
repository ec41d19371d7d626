/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/check/history_file.h"

#include <weir/consumer.h>

/* The last reading of a topic, from its beginning to the ends that it has now, after all faults are
 * healed: what C2 is judged by. Thread: one. */

/* Microseconds since 1970, as histories have them. */
int64_t history_now(void);

/* A batch as a line of the history. */
void history_write_batch(struct history_writer *w, int64_t process, const struct weir_batch *b);
/* "From now on `process` reads the partition from `offset`"; -1 = that is not known. */
void history_write_assign(struct history_writer *w,
        int64_t process,
        const char *topic,
        int32_t partition,
        int64_t offset);

/* Writes the read as operations of `process`, a number that nobody else has. The deadline starts
 * anew with each batch that comes. `*ret_ends` = the end of each partition (mem_free), may be NULL.
 * False: it could not be read; the history says that there was no final read, `error` why. */
bool final_read(struct history_writer *w,
        struct weir_client *client,
        const char *topic,
        int64_t process,
        int timeout_ms,
        int64_t **ret_ends,
        size_t *ret_n_ends,
        char *error,
        size_t error_size);
