/* SPDX-License-Identifier: Apache-2.0 */
/* A bit flips in a file of a stopped broker, in each kind of file that it has: the tables say what must happen. Never a
 * wrong answer, never a record less without a word. docs/ops/log-files.md has the same table for people. */
#include "tests/cluster/numbered.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/domain/errcode.h"
#include "tests/lib/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    N_RECORDS = 8, /* 0-2, 3-5 in sealed segments, 6 and 7 in the active one */
    TRIMMED_TO = 2,
    FIRST_TOPIC = 2
};

enum outcome {
    SAME, /* what can be made again is; every answer is as before */
    REFUSED /* the replica refuses what is damaged with KAFKA_STORAGE_ERROR; its files stay as they are */
};

static struct prng prng;

/* --- Files ------------------------------------------------------------------------------------ */

static char *path_in(const struct world *w, const char *name)
{
    return mem_format("%s/%s", w->dir, name);
}

/* A copy of the folder of the stopped broker, and back. */
static void keep_folder(const struct world *w)
{
    char *command = mem_format("rm -f %s/.reserve; cp -a %s %s.kept", w->dir, w->dir, w->dir);

    run_shell_ok(command);
    mem_free(command);
}

static void bring_folder_back(const struct world *w)
{
    char *command = mem_format("rm -r %s; cp -a %s.kept %s", w->dir, w->dir, w->dir);

    run_shell_ok(command);
    mem_free(command);
}

/* One bit of a byte in [from, to) of the file, to -1 = its end; a file that is not there becomes a byte that means
 * nothing. Returns its size. */
static int64_t flip(const struct world *w, const char *name, int64_t from, int64_t to)
{
    char *path = path_in(w, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    struct stat st;
    uint8_t byte = 0;

    CHECK(fd >= 0);
    CHECK_EQ(fstat(fd, &st), 0);
    to = to < 0 ? st.st_size : to;
    if (to > from) {
        from += (int64_t)prng_below(&prng, (uint64_t)(to - from));
        CHECK_EQ(pread(fd, &byte, 1, from), 1);
    }
    byte ^= (uint8_t)(1 << prng_below(&prng, 8));
    CHECK_EQ(pwrite(fd, &byte, 1, from), 1);
    CHECK_EQ(close(fd), 0);
    (void)fprintf(stderr, "# %s: byte %lld of %lld is now %02x\n", name, (long long)from,
            (long long)st.st_size, byte);
    mem_free(path);
    return st.st_size;
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void answer_list(struct world *w, uint8_t topic, int64_t time, struct buf *ret)
{
    struct msg_list_offsets_result r = list_topic(w, topic, time);

    buf_append_format(ret, " %d:%lld", r.error, (long long)r.offset);
}

/* What a consumer and a producer get to know of the topic. */
static void answers(struct world *w, uint8_t topic, struct buf *ret)
{
    int error = -1;
    offset64 first = list_topic(w, topic, LIST_EARLIEST).offset;

    buf_clear(ret);
    offset64 end = read_numbered(w, topic, first < 0 ? 0 : first, &error);
    buf_append_format(
            ret, "read %lld..%lld, error %d; lists", (long long)first, (long long)end, error);
    answer_list(w, topic, LIST_EARLIEST, ret);
    answer_list(w, topic, LIST_LATEST, ret);
    answer_list(w, topic, numbered_time(4) - 1, ret);
    answer_list(w, topic, numbered_time(N_RECORDS), ret);
    for (epoch32 epoch = 0; epoch < 2; epoch++) {
        struct msg_offset_for_leader_epoch_result e = epoch_end(w, topic, EPOCH_NONE, epoch);
        buf_append_format(ret, "; epoch %d: %d, %d..%lld", epoch, e.error, e.leader_epoch,
                (long long)e.end_offset);
    }
    struct msg_produce_result p = put_numbered(w, topic, N_RECORDS - 2); /* a repeat */
    buf_append_format(ret, "; repeat %d", p.error);
    p = put_numbered(w, topic, N_RECORDS + 3); /* a gap */
    buf_append_format(ret, "; gap %d", p.error);
}

static void check_same(struct world *w, uint8_t topic, const char *kind, struct buf *before)
{
    struct buf now = {0};

    answers(w, topic, &now);
    if (strcmp(buf_str(&now), buf_str(before)) != 0) {
        check_fail(__FILE__, __LINE__, "%s: was \"%s\", is \"%s\"", kind, buf_str(before),
                buf_str(&now));
    }
    buf_deinit(&now);
}

/* --- Files of a partition --------------------------------------------------------------------- */

struct partition_kind {
    const char *file;
    int64_t from, to;
    enum outcome after_clean, after_host; /* the end of the run before */
};

#define SECOND "00000000000000000003"
#define LAST   "00000000000000000006"

/* The identity is read before anything is touched; whose records they are is not guessed. */
static const struct partition_kind partition_kinds[] = {
        {SECOND ".log", 100, -1, REFUSED, REFUSED},
        {LAST ".log", 100, 300000, REFUSED, REFUSED},
        {SECOND ".index", 0, -1, SAME, SAME},
        {LAST ".index", 0, -1, SAME, SAME},
        {SECOND ".timeindex", 0, -1, SAME, SAME},
        {LAST ".timeindex", 0, -1, SAME, SAME},
        {SECOND ".seal", 0, -1, SAME, SAME},
        {"00000000000000000008.snapshot", 0, -1, SAME, SAME},
        {"leader-epoch-checkpoint", 0, -1, SAME, SAME},
        {"partition.metadata", 0, -1, REFUSED, REFUSED},
        {"cleaning.manifest", 0, -1, REFUSED, REFUSED},
        {SECOND ".log.cleaned", 0, -1, SAME, SAME},
        {SECOND ".log.swap", 0, -1, SAME, SAME},
        {"00000000000000000000.log.deleted", 0, -1, SAME, SAME},
        {"partition.metadata.tmp", 0, -1, SAME, SAME},
};

enum {
    N_PARTITION_KINDS = sizeof(partition_kinds) / sizeof(partition_kinds[0])
};

static char *name_of(int i, const char *file)
{
    return mem_format("t%d-0/%s", i, file);
}

/* A topic for each kind of file, so that one start shows all of them. */
static struct world *world_of_topics(int n)
{
    struct world *w = world_serving();

    prng_init(&prng, check_seed());
    for (int i = 0; i < n; i++) {
        uint8_t topic = (uint8_t)(FIRST_TOPIC + i);
        char *name = mem_format("t%d", i);

        create_numbered(w, topic, name);
        for (int32_t k = 0; k < N_RECORDS; k++) {
            if (k == 5) {
                struct meta_record r = partition_record(topic, 0, 1);
                commit(w, &r, 1);
                push(w);
            }
            CHECK_EQ(put_numbered(w, topic, k).error, ERRCODE_NONE);
        }
        mem_free(name);
    }
    return w;
}

/* Everything that it had to say of the damaged file is the same as before, or an error that says so. */
static void check_outcome(struct world *w, int i, enum outcome outcome, struct buf *before)
{
    const struct partition_kind *k = &partition_kinds[i];
    uint8_t topic = (uint8_t)(FIRST_TOPIC + i);
    int error = -1;

    switch (outcome) {
    case SAME: check_same(w, topic, k->file, before); break;
    case REFUSED:
        CHECK(read_numbered(w, topic, 0, &error) < N_RECORDS);
        CHECK_EQ(error, ERRCODE_KAFKA_STORAGE_ERROR);
        break;
    }
}

static void damage_partitions(struct world *w, bool is_clean, struct buf *before)
{
    int64_t sizes[N_PARTITION_KINDS];
    struct stat st;

    bring_folder_back(w);
    if (!is_clean) {
        char *marker = path_in(w, "clean.marker");
        CHECK_EQ(unlink(marker), 0);
        mem_free(marker);
    }
    for (int i = 0; i < N_PARTITION_KINDS; i++) {
        char *name = name_of(i, partition_kinds[i].file);
        sizes[i] = flip(w, name, partition_kinds[i].from, partition_kinds[i].to);
        mem_free(name);
    }
    start_again(w);
    for (int i = 0; i < N_PARTITION_KINDS; i++) {
        const struct partition_kind *k = &partition_kinds[i];
        enum outcome outcome = is_clean ? k->after_clean : k->after_host;

        check_outcome(w, i, outcome, before);
        if (outcome == REFUSED && sizes[i] > 0) {
            char *name = name_of(i, k->file);
            char *path = path_in(w, name);
            CHECK_EQ(stat(path, &st), 0);
            CHECK_EQ(st.st_size, sizes[i]);
            mem_free(path);
            mem_free(name);
        }
    }
    CHECK(file_has(w->log, "event=log_damaged"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
}

static void a_partitions_files(void) /* [LOG-8] [LOG-10] [LOG-57] [PID-31] */
{
    struct world *w = world_of_topics(N_PARTITION_KINDS);
    struct buf before = {0};

    answers(w, FIRST_TOPIC, &before);
    (void)fprintf(stderr, "# %s\n", buf_str(&before));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    keep_folder(w);
    damage_partitions(w, true, &before);
    damage_partitions(w, false, &before);
    buf_deinit(&before);
    world_free(w);
}

/* --- Files of the directory ------------------------------------------------------------------- */

struct directory_kind {
    int round; /* those of one round meet one start */
    const char *file;
    const char *says; /* a line of the broker's log, NULL = none */
};

static const struct directory_kind directory_kinds[] = {
        {0, "recovery.ckpt", "event=file_ignored"},
        {1, "hw.ckpt", "event=file_ignored"},
        {2, "producers.ckpt", "event=file_ignored"},
        {2, "partitions.catalog", "event=file_ignored"},
        {2, "cleaner.ckpt", "event=file_ignored"},
        {2, "scrub.cursor", NULL},
        {2, "meta.image", NULL},
        {3, "clean.marker", "event=marker_ignored"},
        {2, "run.marker", NULL}, /* the run before ended clean */
        {4, "pending.kind", NULL},
        {2, ".canary", NULL},
        {2, ".lock", NULL},
        {2, ".trash/partition.metadata", NULL}, /* of the topic that was deleted */
        {2, ".trash/00000000000000000000.log", NULL},
};

enum {
    N_DIRECTORY_KINDS = sizeof(directory_kinds) / sizeof(directory_kinds[0]),
    N_ROUNDS = 5
};

/* The table has ".trash/FILE" for a file of the log there. */
static char *real_name(const char *file)
{
    struct uuid id = topic_id(FIRST_TOPIC + 1);
    char text[UUID_TEXT_SIZE];

    return strncmp(file, ".trash/", 7) == 0
                   ? mem_format(".trash/%s-0/%s", uuid_format(&id, text), file + 7)
                   : mem_strdup(file);
}

static void trim(struct world *w, uint8_t topic, offset64 before)
{
    struct msg_delete_records_partition part = {.topic_id = topic_id(topic), .before = before};
    struct msg_delete_records_request m = {.partitions = &part, .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_delete_records_request(&m, rpc_out_buf(out));
    call(w, w->client, API_DELETE_RECORDS, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    reply_free(&r);
}

static void remove_topic(struct world *w, uint8_t topic)
{
    struct meta_record r = {.kind = META_REMOVE_TOPIC};

    r.remove_topic.id = topic_id(topic);
    commit(w, &r, 1);
    push(w);
}

static void damage_directory(struct world *w, int round, struct buf *before)
{
    bring_folder_back(w);
    CHECK_EQ(truncate(w->log, 0), 0);
    for (int i = 0; i < N_DIRECTORY_KINDS; i++) {
        if (directory_kinds[i].round == round) {
            char *name = real_name(directory_kinds[i].file);
            (void)flip(w, name, 0, -1);
            mem_free(name);
        }
    }
    start_again(w);
    CHECK_EQ(w->n_failed, 0);
    check_same(w, FIRST_TOPIC, "directory", before);
    for (int i = 0; i < N_DIRECTORY_KINDS; i++) {
        const struct directory_kind *k = &directory_kinds[i];
        CHECK(k->round != round || k->says == NULL || file_has(w->log, k->says));
    }
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
}

/* A second topic is in the trash. */
static void the_directorys_files(void) /* [LOG-20] [LOG-31] [LOG-58] */
{
    struct world *w = world_of_topics(2);
    struct buf before = {0};

    trim(w, FIRST_TOPIC, TRIMMED_TO);
    remove_topic(w, FIRST_TOPIC + 1);
    char *trashed = real_name(".trash/partition.metadata");
    char *path = path_in(w, trashed);
    CHECK_WITHIN(ANSWER_MS, (pause_loop(w, 20), access(path, F_OK)) == 0);
    mem_free(path);
    mem_free(trashed);
    answers(w, FIRST_TOPIC, &before);
    (void)fprintf(stderr, "# %s\n", buf_str(&before));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    keep_folder(w);
    for (int i = 0; i < N_ROUNDS; i++) {
        damage_directory(w, i, &before);
    }
    buf_deinit(&before);
    world_free(w);
}

/* What was not synced ends where it is wrong, with a line that says how much went. */
static void what_was_not_synced(void)
{
    struct world *w;
    int error = -1;

    w = world_new(true);
    w->more = "weir.flush.interval.ms=3600000";
    world_serve(w);
    prng_init(&prng, check_seed());
    create_numbered(w, FIRST_TOPIC, "t0");
    for (int32_t k = 0; k < 2; k++) {
        CHECK_EQ(put_numbered(w, FIRST_TOPIC, k).error, ERRCODE_NONE);
    }
    CHECK_EQ(stop_broker(w, SIGKILL), 128 + SIGKILL);
    int64_t size = flip(w, "t0-0/00000000000000000000.log", NUMBERED_SIZE + 200, -1);
    start_again(w);
    CHECK(size > 2 * NUMBERED_SIZE);
    CHECK_EQ(read_numbered(w, FIRST_TOPIC, 0, &error), 1);
    CHECK_EQ(error, ERRCODE_NONE);
    CHECK(file_has(w->log, "event=tail_cut"));
    CHECK_EQ(put_numbered(w, FIRST_TOPIC, 1).error, ERRCODE_NONE);
    world_free(w);
}

/* Whose the directory is is not guessed. */
static void the_directorys_identity(void) /* [BRK-1] */
{
    struct world *w = world_serving();

    prng_init(&prng, check_seed());
    CHECK_EQ(produce(w, -1, "x", 1, 1000).error, ERRCODE_NONE);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    (void)flip(w, "meta.properties", 0, -1);
    start_broker(w);
    CHECK_EQ(run_wait(w->pid, 0, ANSWER_MS), 1);
    w->pid = 0;
    w->client = w->controller = NULL;
    CHECK(file_has(w->log, "meta.properties is damaged"));
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(a_partitions_files),
        CASE(the_directorys_files),
        CASE(what_was_not_synced),
        CASE(the_directorys_identity),
        CASE(stop_zookeeper),
};
CHECK_MAIN("damage", cases)
