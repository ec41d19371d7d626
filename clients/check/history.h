/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What clients of a cluster asked for and what they were told, as docs/dev/checker.md has it: JSON
 * lines in, compact arrays out. Several files make one history; a process is one of a file. Lines
 * are counted through all files from 0. Pure: history_file.h reads the files. Thread: one. */

enum {
    HISTORY_NONE = UINT32_MAX, /* no such index */
    HISTORY_WORD_SIZE = 48,    /* of the text before the number in a value, NUL included */
    HISTORY_LINES_MAX = UINT32_MAX - 1
};

enum history_outcome {
    SEND_ABSENT, /* no history has the sending */
    SEND_OPEN,   /* nobody knows: no answer came, or one that does not say */
    SEND_OK,     /* promised to be there */
    SEND_FAILED  /* certainly not written */
};

/* "<word>-<number>"; one record, wherever it turns up. */
struct history_value {
    uint64_t number;
    uint64_t hash;  /* of the record that was sent */
    int64_t offset; /* as acknowledged; -1 = not said */
    int64_t done_t; /* when it was acknowledged */
    uint32_t word;  /* index of .words */
    uint32_t lane;  /* who sent it where; HISTORY_NONE = SEND_ABSENT */
    uint32_t sent_line, done_line;
    uint8_t outcome; /* enum history_outcome */
    bool has_hash;
};

struct history_key {
    uint32_t topic; /* index of .topics */
    int32_t partition;
};

struct history_process {
    uint32_t file; /* index of .files */
    int64_t id;
    bool is_not_idempotent; /* its producer may write twice */
    bool is_acked_early;    /* by leaders, before others have the record (acks=1), */
    int64_t n_replicas;     /* of whom there are so many; 0 = that was not said */
    bool lists;             /* a list_offsets is under way */
    bool reads_all;         /* a final read is under way, */
    uint32_t final_line;    /* since then */
    int64_t final_t;
};

/* A process and a partition. */
struct history_lane {
    uint32_t process, key;
    uint32_t run;  /* the present one of .runs; HISTORY_NONE */
    int64_t known; /* the end can not be below this: acknowledged offset + 1, or a listed end */
    uint32_t known_line; /* which said so */
    int64_t floor;       /* `known` when the list_offsets under way was begun */
    uint32_t floor_line;
};

/* From an assign to the next, or to the crash of the process. */
struct history_run {
    uint32_t lane;
    int64_t begin; /* the offset that it began at; that of its first record if that is not known */
    int64_t end;   /* behind the highest one that it has read; -1 = none */
};

struct history_polled {
    int64_t offset;
    uint64_t hash;
    uint32_t lane, line;
    uint32_t value; /* HISTORY_NONE = the record's bytes have none */
    bool has_hash;
};

struct history_listed {
    uint32_t lane, line, floor_line;
    int64_t end, floor; /* -1 = nothing was known before */
};

/* One partition, read from its beginning to its end after everything else. */
struct history_final {
    uint32_t lane, begin_line;
    int64_t begin_t, start, end;
};

struct history_file {
    char *name;
    uint32_t first_line;
    int64_t last_i;
};

struct history_index; /* of names to numbers */

/* As ARRAY(char *). */
struct history_names {
    char **items;
    size_t n, cap;
};

struct history {
    ARRAY(struct history_file) files;
    struct history_names topics, words;
    ARRAY(struct history_key) keys;
    ARRAY(struct history_process) processes;
    ARRAY(struct history_lane) lanes;
    ARRAY(struct history_value) values;
    ARRAY(uint32_t) sends; /* values in the order of their sending */
    ARRAY(struct history_polled) polled;
    ARRAY(struct history_run) runs;
    ARRAY(struct history_listed) listed;
    ARRAY(struct history_final) finals;
    uint32_t n_lines;
    uint64_t n_hashed; /* polled records with a hash */
    struct history_index *index;
};

enum {
    HISTORY_E_REFUSED = 1 /* the line is not one of a history; the sentence says why */
};

void history_init(struct history *h);
void history_deinit(struct history *h);
/* The lines that follow are of this file. */
void history_begin_file(struct history *h, const char *name);
/* One line, without its newline. > 0: REFUSED, and what was taken of the line stays. */
MUST_CHECK int history_add_line(
        struct history *h, const char *line, size_t size, char *error, size_t error_size);

/* --- Words ------------------------------------------------------------------------------------ */

/* Splits "<word>-<number>"; false = not of this form. The word: letters, digits, '.', '_', '-'. */
bool history_value_parse(const void *text,
        size_t size,
        char ret_word[static HISTORY_WORD_SIZE],
        uint64_t *ret_number);
/* "load-3", "a-17", "history.jsonl:12", or "line 12" of an only file. Returns `text`. */
const char *history_key_text(const struct history *h, uint32_t key, char *text, size_t size);
const char *history_value_text(const struct history *h, uint32_t value, char *text, size_t size);
const char *history_line_text(const struct history *h, uint32_t line, char *text, size_t size);

/* --- What it builds upon (history.c; history_parse.c uses it) --------------------------------- */

uint32_t history_lane_of(struct history *h,
        int64_t process,
        const char *topic,
        size_t topic_size,
        int32_t partition);
uint32_t history_process_of(struct history *h, int64_t process);
/* The value; adds it. HISTORY_NONE = the text is none. */
uint32_t history_value_of(struct history *h, const char *text, size_t size);

static inline uint32_t history_key_of_lane(const struct history *h, uint32_t lane)
{
    return h->lanes.items[lane].key;
}

/* Whether what the process was told to be written stays: not when a leader said so for itself alone
 * and others may lead. */
static inline bool history_is_promised(const struct history *h, const struct history_lane *lane)
{
    const struct history_process *p = &h->processes.items[lane->process];

    return !p->is_acked_early || p->n_replicas == 1;
}
