/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/replicas.h"

#include "broker/log/inspect.h"
#include "broker/log/partition_identity.h"
#include "broker/log/seal.h"
#include "broker/log/segment.h"
#include "common/base/array.h"
#include "common/base/crc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A partition's folder in one of the directories. */
struct replica {
    char *name;   /* "orders-0" */
    char *folder; /* whole path */
    struct partition_identity id;
    offset64 high_watermark, log_start; /* by its checkpoint; 0 = none */
};

/* A batch as far as it is compared. */
struct stored {
    offset64 base, last;
    int64_t size;
    uint64_t digest;
};

struct replica_log {
    ARRAY(struct stored) batches; /* below the limit */
    ARRAY(offset64) bases;        /* of its segments, sorted */
    offset64 start, end;
    bool is_compacted;
};

struct comparing {
    const struct file_io *io;
    struct replicas_verdict *v;
    ARRAY(struct replica) replicas; /* sorted by partition, then by folder */
    offset64 limit;
    char *error;
    size_t error_size;
};

static int fail(struct comparing *c, const char *path, int r)
{
    (void)snprintf(c->error, c->error_size, "%s: %s", path, strerror(-r));
    return err_forward(r);
}

/* --- What is there ---------------------------------------------------------------------------- */

struct names {
    ARRAY(char *) items;
};

static void collect_name(void *arg, const char *name, bool is_dir)
{
    struct names *n = arg;

    if (is_dir && name[0] != '.') {
        *array_push(&n->items) = mem_strdup(name);
    }
}

static void names_deinit(struct names *n)
{
    ARRAY_FOREACH (name, &n->items) {
        mem_free(*name);
    }
    array_deinit(&n->items);
}

static void take_checkpoint(struct replica *r, const struct checkpoint_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (entries[i].partition == r->id.partition &&
                uuid_equal(&entries[i].topic_id, &r->id.topic_id)) {
            r->high_watermark = entries[i].high_watermark;
            r->log_start = entries[i].log_start;
        }
    }
}

static int add_folder(struct comparing *c,
        const char *dir,
        const char *name,
        const struct checkpoint_entry *entries,
        size_t n)
{
    struct replica r = {.name = mem_strdup(name), .folder = mem_format("%s/%s", dir, name)};
    int e = partition_identity_read(c->io, r.folder, &r.id);

    if (e != 0) {
        e = e < 0 ? fail(c, r.folder, e) : 0; /* no partition, or nobody can tell whose it is */
        mem_free(r.folder);
        mem_free(r.name);
        return e;
    }
    take_checkpoint(&r, entries, n);
    *array_push(&c->replicas) = r;
    return 0;
}

static int add_dir(struct comparing *c, const char *dir)
{
    struct checkpoint_entry *entries = NULL;
    struct names names = {0};
    size_t n = 0;
    char *meta = mem_format("%s/meta.properties", dir);
    bool is_log_dir = c->io->size_of(c->io->ctx, meta) >= 0;

    mem_free(meta);
    if (!is_log_dir) {
        (void)snprintf(c->error, c->error_size,
                "%s has no meta.properties: it is not one of a broker's log.dirs", dir);
        return REPLICAS_E_NOT_A_LOG;
    }
    int r = inspect_checkpoints(c->io, dir, &entries, &n);
    r = r == 0 ? c->io->list(c->io->ctx, dir, collect_name, &names) : r;
    if (r < 0) {
        r = fail(c, dir, r);
    }
    for (size_t i = 0; i < names.items.n && r == 0; i++) {
        r = add_folder(c, dir, names.items.items[i], entries, n);
    }
    names_deinit(&names);
    mem_free(entries);
    return r;
}

static int compare_replicas(const void *a, const void *b)
{
    const struct replica *x = a;
    const struct replica *y = b;
    int r = memcmp(x->id.topic_id.bytes, y->id.topic_id.bytes, sizeof(x->id.topic_id.bytes));

    if (r == 0 && x->id.partition != y->id.partition) {
        r = x->id.partition < y->id.partition ? -1 : 1;
    }
    return r != 0 ? r : strcmp(x->folder, y->folder);
}

/* --- A replica's batches ---------------------------------------------------------------------- */

static void collect_base(void *arg, const char *name, bool is_dir)
{
    struct replica_log *l = arg;
    offset64 base = 0;

    if (!is_dir && segment_name_parse(name, ".log", &base)) {
        *array_push(&l->bases) = base;
    }
}

static int compare_bases(const void *a, const void *b)
{
    const offset64 *x = a;
    const offset64 *y = b;

    return *x < *y ? -1 : *x > *y ? 1 : 0;
}

struct batch_walk {
    struct comparing *c;
    struct replica_log *log;
};

static bool take_batch(void *ctx, const struct inspected_batch *b)
{
    struct batch_walk *w = ctx;

    if (b->head.base >= w->c->limit) {
        return false;
    }
    *array_push(&w->log->batches) = (struct stored){.base = b->head.base,
            .last = b->head.last,
            .size = b->head.size,
            .digest = crc64(0, b->batch.bytes, b->batch.size)};
    w->log->end = b->head.last + 1;
    w->c->v->n_batches++;
    w->c->v->bytes += b->head.size;
    return true;
}

static int read_segment(
        struct comparing *c, const struct replica *r, struct replica_log *l, size_t i)
{
    struct batch_walk walk = {.c = c, .log = l};
    struct inspected_file file = {0};
    struct seal seal = {0};
    char *path = segment_path(r->folder, l->bases.items[i], ".log");
    char *seal_path = segment_path(r->folder, l->bases.items[i], ".seal");

    if (seal_read(c->io, seal_path, &seal) == 0 && seal.is_compacted) {
        l->is_compacted = true;
    }
    int e = inspect_batches(c->io, path, take_batch, &walk, &file);
    if (e == INSPECT_E_TOO_LARGE) {
        e = err_origin(-ENOMEM);
    }
    /* Retention may have taken the file away since it was listed: then the log starts behind it. */
    if (e == -ENOENT && i + 1 < l->bases.n) {
        l->start = l->bases.items[i + 1];
        e = 0;
    }
    e = e < 0 ? fail(c, path, e) : 0;
    mem_free(seal_path);
    mem_free(path);
    return e;
}

static int read_replica(struct comparing *c, const struct replica *r, struct replica_log *l)
{
    int e = c->io->list(c->io->ctx, r->folder, collect_base, l);

    if (e < 0) {
        return fail(c, r->folder, e);
    }
    if (l->bases.n > 0) {
        qsort(l->bases.items, l->bases.n, sizeof(*l->bases.items), compare_bases);
        l->start = l->bases.items[0];
        l->end = l->start;
    }
    l->start = r->log_start > l->start ? r->log_start : l->start;
    for (size_t i = 0; i < l->bases.n && e == 0 && l->bases.items[i] < c->limit; i++) {
        if (i + 1 < l->bases.n && l->bases.items[i + 1] <= l->start) {
            continue; /* [LOG-21] removed, and not yet gone */
        }
        e = read_segment(c, r, l, i);
    }
    return e;
}

static void log_deinit(struct replica_log *l)
{
    array_deinit(&l->batches);
    array_deinit(&l->bases);
}

/* --- Comparing -------------------------------------------------------------------------------- */

static void differ(
        struct comparing *c, const struct replica *r, const struct replica *other, offset64 offset)
{
    struct replicas_verdict *v = c->v;

    v->n_differ++;
    if (v->n_witnesses < REPLICAS_WITNESSES_MAX) {
        v->witnesses[v->n_witnesses++] = (struct replicas_witness){.partition = mem_strdup(r->name),
                .folder = mem_strdup(r->folder),
                .other = other != NULL ? mem_strdup(other->folder) : NULL,
                .offset = offset,
                .limit = c->limit};
    }
}

static size_t first_from(const struct replica_log *l, offset64 start)
{
    size_t i = 0;

    while (i < l->batches.n && l->batches.items[i].base < start) {
        i++;
    }
    return i;
}

/* Whether both hold the same from `start` on, as far as both go; else *ret = the offset. */
static bool is_same(
        const struct replica_log *a, const struct replica_log *b, offset64 start, offset64 *ret)
{
    size_t i = first_from(a, start);
    size_t k = first_from(b, start);

    for (; i < a->batches.n && k < b->batches.n; i++, k++) {
        const struct stored *x = &a->batches.items[i];
        const struct stored *y = &b->batches.items[k];
        if (x->base != y->base || x->size != y->size || x->digest != y->digest) {
            *ret = x->base < y->base ? x->base : y->base;
            return false;
        }
    }
    return true;
}

/* The first replica is what the others are compared with. */
static void compare_logs(
        struct comparing *c, const struct replica *replicas, struct replica_log *logs, size_t n)
{
    offset64 start = 0;
    offset64 at = 0;

    for (size_t i = 0; i < n; i++) {
        start = logs[i].start > start ? logs[i].start : start;
        if (logs[i].is_compacted) {
            c->v->n_compacted++;
            return;
        }
    }
    c->v->n_compared++;
    for (size_t i = 0; i < n; i++) {
        if (logs[i].end < c->limit) {
            differ(c, &replicas[i], NULL, logs[i].end);
            return;
        }
    }
    for (size_t i = 1; i < n; i++) {
        if (!is_same(&logs[0], &logs[i], start, &at)) {
            differ(c, &replicas[i], &replicas[0], at);
            return;
        }
    }
}

static bool find_limit(struct comparing *c,
        const struct replica *replicas,
        size_t n,
        const struct replicas_end *ends,
        size_t n_ends)
{
    c->limit = 0;
    for (size_t i = 0; n_ends == 0 && i < n; i++) {
        c->limit = replicas[i].high_watermark > c->limit ? replicas[i].high_watermark : c->limit;
    }
    for (size_t i = 0; i < n_ends; i++) {
        char *name = mem_format("%s-%d", ends[i].topic, (int)ends[i].partition);
        bool is_it = strcmp(name, replicas[0].name) == 0;
        mem_free(name);
        if (is_it) {
            c->limit = ends[i].end;
            return true;
        }
    }
    return n_ends == 0;
}

static int compare_partition(struct comparing *c,
        const struct replica *replicas,
        size_t n,
        const struct replicas_end *ends,
        size_t n_ends)
{
    struct replica_log logs[REPLICAS_DIRS_MAX] = {0};
    int r = 0;

    if (!find_limit(c, replicas, n, ends, n_ends)) {
        return 0;
    }
    if (n < 2 || n > REPLICAS_DIRS_MAX) {
        c->v->n_alone++;
        return 0;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        r = read_replica(c, &replicas[i], &logs[i]);
    }
    if (r == 0) {
        compare_logs(c, replicas, logs, n);
    }
    for (size_t i = 0; i < n; i++) {
        log_deinit(&logs[i]);
    }
    return r;
}

static bool is_same_partition(const struct replica *a, const struct replica *b)
{
    return a->id.partition == b->id.partition && uuid_equal(&a->id.topic_id, &b->id.topic_id);
}

int replicas_compare(const struct file_io *io,
        const char *const *dirs,
        size_t n_dirs,
        const struct replicas_end *ends,
        size_t n_ends,
        struct replicas_verdict *ret,
        char *error,
        size_t error_size)
{
    struct comparing c = {.io = io, .v = ret, .error = error, .error_size = error_size};
    int r = 0;

    *ret = (struct replicas_verdict){0};
    for (size_t i = 0; i < n_dirs && r == 0; i++) {
        r = add_dir(&c, dirs[i]);
    }
    if (r == 0 && c.replicas.n > 0) {
        qsort(c.replicas.items, c.replicas.n, sizeof(*c.replicas.items), compare_replicas);
    }
    for (size_t i = 0, n = 0; i < c.replicas.n && r == 0; i += n) {
        const struct replica *first = &c.replicas.items[i];
        for (n = 1; i + n < c.replicas.n && is_same_partition(first, first + n); n++) {
        }
        r = compare_partition(&c, first, n, ends, n_ends);
    }
    ARRAY_FOREACH (replica, &c.replicas) {
        mem_free(replica->folder);
        mem_free(replica->name);
    }
    array_deinit(&c.replicas);
    return r < 0 ? err_forward(r) : r;
}

void replicas_verdict_deinit(struct replicas_verdict *v)
{
    for (size_t i = 0; i < v->n_witnesses; i++) {
        mem_free(v->witnesses[i].partition);
        mem_free(v->witnesses[i].folder);
        mem_free(v->witnesses[i].other);
    }
    *v = (struct replicas_verdict){0};
}

/* --- Words ------------------------------------------------------------------------------------ */

char *replicas_witness_text(const struct replicas_witness *w)
{
    if (w->other == NULL) {
        return mem_format("%s: %s ends at offset %" PRId64 ", and the high watermark is %" PRId64,
                w->partition, w->folder, w->offset, w->limit);
    }
    return mem_format("%s: %s and %s differ from offset %" PRId64 " on (high watermark %" PRId64
                      ")",
            w->partition, w->folder, w->other, w->offset, w->limit);
}

void replicas_print(FILE *out, const struct replicas_verdict *v)
{
    fprintf(out, "C15  %-20s ", "replicas differ");
    if (v->n_differ > 0) {
        fprintf(out, "VIOLATED, %" PRIu64 " of %" PRIu64 " partitions\n", v->n_differ,
                v->n_compared);
    } else if (v->n_compared == 0) {
        fprintf(out, "not judged: no partition has two replicas that can be compared\n");
    } else {
        fprintf(out, "ok (%" PRIu64 " partitions, %" PRIu64 " batches)\n", v->n_compared,
                v->n_batches);
    }
    for (size_t i = 0; i < v->n_witnesses; i++) {
        char *text = replicas_witness_text(&v->witnesses[i]);
        fprintf(out, "       %s\n", text);
        mem_free(text);
    }
    if (v->n_differ > v->n_witnesses) {
        fprintf(out, "       and %" PRIu64 " more\n", v->n_differ - v->n_witnesses);
    }
}
