/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/producers.h"
#include "broker/log/plog.h"
#include "common/base/array.h"
#include "common/base/prng.h"
#include "tests/lib/mem_disk.h"
#include "tests/unit/clean/clean_fixture.h"

/* A partition's log on a disk that forgets, with everything that lives off it, beside a plain list of what was written.
 *
 *   crash_model   what was written and what should be there now, and the comparison of all of it
 *   crash_read    questions that are answered from the list: by offset, by time, by leader epoch, by producer
 *   crash_ops     what changes a log: append, roll, checkpoint, retention, truncation, ...
 *   crash_jobs    what runs beside it: flush, seal, compaction, snapshot, scrub; other operations come between
 *   crash_world   lives: start, judge what stands there, do random things, die at any change to the disk
 *
 * An operation returns false when this life's death struck it. */

enum {
    CRASH_KEYS = 12,
    CRASH_VALUE_MAX = 60,
    CRASH_PRODUCERS = 4,
    CRASH_RECORDS_MAX = 5,  /* of a batch */
    CRASH_BROKER_NOW = 5000 /* the clock by which producers are seen */
};

/* A record as it was written, by offset. */
struct model_record {
    int16_t key; /* -1 = null */
    bool is_tombstone;
    bool is_gone; /* compaction took it, as it may */
    char fill;    /* the value is so many of these */
    uint8_t value_size;
    uint32_t seen; /* in that comparison */
    wall_ms timestamp;
    wall_ms written_at; /* by the cleaner's clock */
};

/* A batch as it was written; compaction changes nothing of this, and no more of it goes than is cut off or lost. */
struct model_batch {
    offset64 base, last;
    epoch32 epoch;
    enum batch_codec codec;
    struct producers_batch producer;
};

/* A batch as it stands in the log now. */
struct there_batch {
    offset64 base, last;
    epoch32 epoch;
    int32_t n_records;
    wall_ms max_timestamp;
    size_t size;
    uint8_t *bytes;
};

struct crash_config {
    struct plog_config log;
    bool is_in_order;    /* timestamps mostly rise */
    bool is_compacting;  /* the topic is compacted */
    bool has_values_big; /* some batches fill a segment */
    uint32_t changes_per_life;
};

struct crash_stats {
    uint64_t n_ops, n_lives, n_rounds, n_power, n_swaps, n_truncations, n_restarts, n_removed,
            n_restored, n_found, n_reads;
};

struct world {
    struct crash_config config;
    struct prng prng;
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
    struct plog *l;
    struct producers producers;
    struct test_cleaner cleaner;
    struct crash_stats *stats;
    wtime now;
    int depth; /* operations within operations */

    ARRAY(struct model_record) records;
    ARRAY(struct model_batch) written;
    ARRAY(struct there_batch) there;
    uint32_t scan;
    offset64 end;        /* of what was acknowledged */
    offset64 synced;     /* below it all is on the disk for good */
    offset64 cleaned_to; /* nothing above was ever compacted */
    offset64
            stale_to; /* what ends below may have been compacted since somebody looked: the start was above */
    offset64 start, saved_start; /* as the log has it; in the checkpoint for good */
    offset64 saving_start;       /* in a checkpoint whose writing met the death; else OFFSET_NONE */
    epoch32 epoch;
    epoch32 begun; /* of the last append that was tried in this life: it began there, also when nothing got in */
    int16_t producer_epochs[CRASH_PRODUCERS];
    offset64 none_below; /* [PID-35] */
    struct clean_point saved_point,
            saving_point; /* in cleaner.ckpt, as saved_start and saving_start */
    bool is_saving_point;

    bool is_last_under_way; /* the last written batch was being appended */
    bool is_truncating;     /* to `truncate_to`, and perhaps it came so far */
    offset64 truncate_to;
    bool is_restarting; /* the log begins anew, or does not */
    /* It began anew at `restart_base`, and no checkpoint says so yet but one with the start before; OFFSET_NONE. */
    offset64 restart_base, restart_from;
    bool is_compacting, is_flushing, is_sealing, is_saving, is_scrubbing; /* under way */
    bool is_full;         /* there is little room for the compaction: nothing else is done */
    bool is_host_pending; /* the power went, and no run was settled since */
    bool is_clean;        /* the folder may be marked so, and nothing was written since */
    bool is_power;        /* the power went since the log was last judged */
};

extern const struct uuid crash_topic;

/* --- crash_world.c ------------------------------------------------------------------------------------------------- */

void world_begin(struct world *w,
        const struct crash_config *config,
        uint64_t seed,
        struct crash_stats *stats);
void world_end(struct world *w);
/* From a start to a death or an orderly stop. */
void world_live(struct world *w, uint64_t n_steps);
/* A random operation. */
bool world_step(struct world *w);
/* While something else is under way: some operations, or none. A death shows in what comes next. */
void world_meanwhile(struct world *w);
uint64_t below(struct world *w, uint64_t n);
/* Whether an operation was done; one that was not has met the death of this life. */
bool done(const struct world *w, int r);
/* A line of the story that is told of a failure. */
void tell(const struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tell_story(void);

/* --- crash_model.c ------------------------------------------------------------------------------------------------- */

/* Takes the bytes, which are stamped already. */
void model_append(struct world *w,
        const struct model_batch *b,
        const struct model_record *records,
        wall_ms max_timestamp,
        struct buf *bytes);
/* The log ends at `end`. */
void model_cut(struct world *w, offset64 end);
/* The log is empty, and begins at `base`. */
void model_begin_anew(struct world *w, offset64 base);
/* Of what ends below `start` nothing is asked any more. */
void model_forget_below(struct world *w, offset64 start);
void model_deinit(struct world *w);
/* Reads all of the log. `is_exact`: it is byte for byte what is known to stand there; else what is missing may have been
 * compacted, and what is found stands there from now on. */
void model_compare(struct world *w, bool is_exact);
/* [LOG-45] [LOG-46] After a whole compaction: no older record of a key shows where the newest is gone. */
void model_check_nothing_rises(const struct world *w);
/* Index of the first batch that ends at or above `offset`. */
size_t model_find(const struct world *w, offset64 offset);
/* The last batch of a producer, NULL = it wrote none. */
const struct model_batch *model_last_of(const struct world *w, int64_t producer);
/* What is known of the producers is true, and nothing is missing that the log says. */
void model_judge_producers(const struct world *w);

/* --- Operations ---------------------------------------------------------------------------------------------------- */

bool do_read(struct world *w);
bool do_times(struct world *w);
bool do_epochs(struct world *w);
bool do_ask_producers(struct world *w);
bool do_segments(struct world *w);

bool do_append(struct world *w);
bool do_checkpoint(struct world *w);
bool do_set_start(struct world *w);
bool do_remove(struct world *w);
bool do_retain(struct world *w);
bool do_roll(struct world *w);
bool do_truncate(struct world *w);
bool do_restart(struct world *w);
bool do_settle(struct world *w);
bool do_save_point(struct world *w);
wall_ms some_time(struct world *w);

bool do_flush(struct world *w);
bool flush_all(struct world *w);
bool do_seal(struct world *w);
bool do_reap(struct world *w);
bool do_snapshot(struct world *w);
bool do_compact(struct world *w);
bool do_scrub(struct world *w);
