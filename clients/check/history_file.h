/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/check/history.h"

#include "common/base/bytes.h"

#include <stdio.h>

/* Histories in files, and their writing: what a line looks like is said here and read by
 * history_add_line() alone. Thread: one. */

/* Adds a whole file; "-" is standard input. A last line without a newline was being written when
 * its writer was killed: left out. > 0: REFUSED. Negative: the file cannot be read. Either way
 * `error` has "<file>:<line>: <sentence>". */
MUST_CHECK int history_read_file(
        struct history *h, const char *path, char *error, size_t error_size);

/* Lines go to a file, to a history in memory, or to both. */
struct history_writer {
    FILE *file;              /* may be NULL */
    struct history *history; /* may be NULL; history_begin_file() was called */
    struct buf line;
    uint64_t next_i;
    int error; /* errno of the first write that failed */
};

void history_writer_deinit(struct history_writer *w);
/* A line whose value is the text that history_value_… below have appended to w->line since
 * history_line(). */
void history_line(
        struct history_writer *w, int64_t process, int64_t t, const char *type, const char *f);
void history_line_end(struct history_writer *w);

/* --- Whole lines ------------------------------------------------------------------------------ */

struct history_send {
    const char *topic, *value;
    int32_t partition;
};

void history_write_invoke(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        uint64_t hash);
/* offset -1 = not known. */
void history_write_acked(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        int64_t offset);
/* Not acknowledged: certainly not written, or nobody knows. */
void history_write_not_acked(struct history_writer *w,
        int64_t process,
        int64_t t,
        const struct history_send *send,
        bool is_certain);
/* What the process's acknowledgements mean; `n_replicas` of each of its partitions, at most. */
void history_write_producer(struct history_writer *w,
        int64_t process,
        int64_t t,
        const char *acks,
        bool is_idempotent,
        size_t n_replicas);
/* Without a value: "list_offsets" and "final" that begin or fail, "crash". */
void history_write_bare(
        struct history_writer *w, int64_t process, int64_t t, const char *type, const char *f);

/* --- Lists: history_line(), these, history_line_end() ----------------------------------------- */

/* `["topic",partition` after a comma where one belongs; the caller adds the rest and "]". */
void history_item(struct history_writer *w, const char *topic, int32_t partition);
/* `[offset,"value","hash"]` of a poll; value NULL = the record has none. */
void history_record(struct history_writer *w, int64_t offset, const char *value, uint64_t hash);
