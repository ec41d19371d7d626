/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/power.h"

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/lib/run.h"
#include "tests/lib/unsynced.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* An operation of the journal. */
struct operation {
    struct unsynced_record r;
    const char *bytes;
    int64_t at; /* in the journal */
    bool is_lost, is_torn;
};

struct sync {
    uint64_t what;
    int64_t at;
};

struct cut {
    const char *folder;
    char *beside;
    struct buf journal;
    ARRAY(struct operation) operations;
    ARRAY(struct sync) syncs; /* by what they sync, the last one */
};

/* --- With and without ------------------------------------------------------------------------- */

/* The sanitizer's runtime wants to be first in a process; the shim replaces nothing of it. */
void power_begin(const char *program, const char *folder)
{
    const char *was = getenv("ASAN_OPTIONS");
    char *shim = mem_format("%s/tests/lib/weir_unsynced.so", test_build_root());
    char *who = mem_format("%s %s", program, folder);
    char *options = mem_format("%s:verify_asan_link_order=0", was != NULL ? was : "");

    CHECK_EQ(access(shim, R_OK), 0);
    CHECK_EQ(setenv("LD_PRELOAD", shim, 1), 0);
    CHECK_EQ(setenv("WEIR_UNSYNCED", who, 1), 0);
    CHECK_EQ(setenv("ASAN_OPTIONS", options, 1), 0);
    mem_free(shim);
    mem_free(who);
    mem_free(options);
}

void power_end(void)
{
    CHECK_EQ(unsetenv("LD_PRELOAD"), 0);
    CHECK_EQ(unsetenv("WEIR_UNSYNCED"), 0);
}

static uint64_t inode_of(const char *path)
{
    struct stat st;

    return path != NULL && lstat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* --- The journal ------------------------------------------------------------------------------ */

static void read_file(const char *path, struct buf *ret)
{
    char part[65536];
    FILE *f = fopen(path, "re");
    size_t n;

    while (f != NULL && (n = fread(part, 1, sizeof(part), f)) > 0) {
        buf_append(ret, part, n);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

static int64_t synced_up_to(const struct cut *c, uint64_t what)
{
    for (size_t i = 0; i < c->syncs.n; i++) {
        if (c->syncs.items[i].what == what) {
            return c->syncs.items[i].at;
        }
    }
    return 0;
}

static void add_sync(struct cut *c, const struct unsynced_record *r)
{
    for (size_t i = 0; i < c->syncs.n; i++) {
        if (c->syncs.items[i].what == r->file) {
            c->syncs.items[i].at = r->at;
            return;
        }
    }
    *array_push(&c->syncs) = (struct sync){.what = r->file, .at = r->at};
}

/* Whose sync keeps it, and of whom it is one of the last operations. */
static uint64_t owner_of(const struct operation *o)
{
    return o->r.kind == UNSYNCED_CHANGE ? o->r.file : o->r.folder;
}

/* A rename is one thing for a file system: the sync of either folder keeps both names. */
static bool is_synced(const struct cut *c, const struct operation *o)
{
    return synced_up_to(c, owner_of(o)) > o->at ||
           (o->r.kind == UNSYNCED_RENAME && synced_up_to(c, o->r.from_folder) > o->at);
}

static void cut_load(struct cut *c, const char *folder)
{
    c->folder = folder;
    c->beside = mem_format("%s.unsynced", folder);
    char *path = mem_format("%s/journal", c->beside);
    read_file(path, &c->journal);
    mem_free(path);
    for (size_t at = 0; at + sizeof(struct unsynced_record) <= c->journal.size;) {
        struct operation o = {.at = (int64_t)at};
        memcpy(&o.r, c->journal.data + at, sizeof(o.r));
        o.bytes = (const char *)c->journal.data + at + sizeof(o.r);
        at += sizeof(o.r) + o.r.n;
        if (at > c->journal.size) {
            break;
        }
        if (o.r.kind == UNSYNCED_SYNC) {
            add_sync(c, &o.r);
        } else {
            *array_push(&c->operations) = o;
        }
    }
    ARRAY_FOREACH (o, &c->operations) {
        o->is_lost = !is_synced(c, o);
    }
}

static void cut_deinit(struct cut *c)
{
    array_deinit(&c->operations);
    array_deinit(&c->syncs);
    buf_deinit(&c->journal);
    mem_free(c->beside);
}

static size_t n_lost(const struct cut *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->operations.n; i++) {
        n += c->operations.items[i].is_lost ? 1 : 0;
    }
    return n;
}

size_t power_unsynced(const char *folder, const char *file)
{
    struct cut c = {0};
    uint64_t inode = 0;

    cut_load(&c, folder);
    if (file != NULL) {
        char *path = mem_format("%s/%s", folder, file);
        inode = inode_of(path);
        CHECK(inode != 0);
        mem_free(path);
    }
    ARRAY_FOREACH (o, &c.operations) {
        o->is_lost = o->is_lost &&
                     (file == NULL || (o->r.kind == UNSYNCED_CHANGE && o->r.file == inode));
    }
    size_t n = n_lost(&c);
    cut_deinit(&c);
    return n;
}

/* --- What is lost ----------------------------------------------------------------------------- */

/* Of one file's or folder's operations that were not synced the first ones reached the disk. */
static void keep_some(struct cut *c, uint64_t owner, struct prng *p)
{
    struct operation *last = NULL;
    size_t n = 0;

    ARRAY_FOREACH (o, &c->operations) {
        n += o->is_lost && owner_of(o) == owner ? 1 : 0;
    }
    size_t n_kept = (size_t)prng_below(p, n + 1);
    ARRAY_FOREACH (o, &c->operations) {
        if (o->is_lost && owner_of(o) == owner && n_kept > 0) {
            n_kept--;
            o->is_lost = false;
        } else if (o->is_lost && owner_of(o) == owner && last == NULL) {
            last = o;
        }
    }
    if (last != NULL && last->r.kind == UNSYNCED_CHANGE) {
        last->is_torn = last->r.n == 0 && last->r.length > 1 && prng_below(p, 2) == 0;
    }
}

static void choose(struct cut *c, struct prng *p)
{
    ARRAY(uint64_t) done = {0};

    ARRAY_FOREACH (o, &c->operations) {
        bool is_done = false;
        ARRAY_FOREACH (d, &done) {
            is_done = is_done || *d == owner_of(o);
        }
        if (!is_done) {
            *array_push(&done) = owner_of(o);
            keep_some(c, owner_of(o), p);
        }
    }
    array_deinit(&done);
}

/* --- Taking back ------------------------------------------------------------------------------ */

static struct {
    uint64_t inode;
    char *path;
} sought;

static int look(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)where;
    if (type == FTW_D && (uint64_t)st->st_ino == sought.inode) {
        sought.path = mem_strdup(path);
        return 1;
    }
    return 0;
}

/* Where in the folder that has this inode the name is now; NULL = there is no such folder any
 * more. */
static char *path_in(const struct cut *c, uint64_t folder, const char *name, size_t n)
{
    sought.inode = folder;
    sought.path = NULL;
    (void)nftw(c->folder, look, 16, FTW_PHYS);
    char *path = sought.path != NULL ? mem_format("%s/%.*s", sought.path, (int)n, name) : NULL;
    mem_free(sought.path);
    return path;
}

static char *other_name(const struct cut *c, uint64_t inode)
{
    return mem_format("%s/%llu", c->beside, (unsigned long long)inode);
}

static void restore_bytes(const struct cut *c, const struct operation *o, struct prng *p)
{
    char *path = other_name(c, o->r.file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int64_t part = o->is_torn ? (int64_t)prng_below(p, (uint64_t)o->r.length) : 0;
    struct stat st;

    if (fd >= 0) { /* else its last name had gone before */
        CHECK_EQ(pwrite(fd, o->bytes, o->r.n, o->r.at), (ssize_t)o->r.n);
        CHECK_EQ(fstat(fd, &st), 0);
        int64_t end = o->is_torn ? o->r.at + part : o->r.size;
        CHECK_EQ(ftruncate(fd, o->is_torn && end > st.st_size ? st.st_size : end), 0);
        CHECK_EQ(close(fd), 0);
    }
    mem_free(path);
}

/* A removed folder waits beside, a removed file has its other name there. */
static void put_back(const struct cut *c, uint64_t inode, const char *path)
{
    char *other = other_name(c, inode);
    struct stat st;

    if (path != NULL && lstat(other, &st) == 0 && inode_of(path) == 0) {
        CHECK_EQ(S_ISDIR(st.st_mode) ? rename(other, path) : link(other, path), 0);
    }
    mem_free(other);
}

/* With all that is in it. */
static void take_away(const struct cut *c, const char *path, uint64_t inode, int64_t at)
{
    char *away = mem_format("%s/lost-%lld", c->beside, (long long)at);

    if (inode_of(path) == inode && inode != 0) {
        CHECK_EQ(rename(path, away), 0);
    }
    mem_free(away);
}

static void rename_back(const struct cut *c, const struct operation *o)
{
    size_t n_old = strnlen(o->bytes, o->r.n);
    char *new = path_in(c, o->r.folder, o->bytes + n_old + 1, o->r.n - n_old - 1);
    char *old = path_in(c, o->r.from_folder, o->bytes, n_old);

    if (new != NULL && inode_of(new) == o->r.file) {
        if (old == NULL) { /* the folder it came from never was */
            take_away(c, new, o->r.file, o->at);
        } else {
            CHECK_EQ(rename(new, old), 0);
        }
        if (o->r.replaced != 0) {
            put_back(c, o->r.replaced, new);
        }
    }
    mem_free(new);
    mem_free(old);
}

static void take_back(const struct cut *c, const struct operation *o, struct prng *p)
{
    char *path = NULL;

    switch ((enum unsynced_kind)o->r.kind) {
    case UNSYNCED_CHANGE: restore_bytes(c, o, p); return;
    case UNSYNCED_ADD:
        path = path_in(c, o->r.folder, o->bytes, o->r.n);
        take_away(c, path, o->r.file, o->at);
        break;
    case UNSYNCED_REMOVE:
        path = path_in(c, o->r.folder, o->bytes, o->r.n);
        put_back(c, o->r.file, path);
        break;
    case UNSYNCED_RENAME: rename_back(c, o); return;
    case UNSYNCED_SYNC: return;
    }
    mem_free(path);
}

/* The next journal begins empty; one more failure of this host. */
static void begin_anew(const struct cut *c)
{
    struct buf text = {0};
    struct run_result r = {0};
    char *cuts = mem_format("%s/cuts", c->beside);

    read_file(cuts, &text);
    long n = strtol(buf_str(&text), NULL, 10) + 1;
    run_program((const char *const[]){"rm", "-rf", c->beside, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    CHECK_EQ(mkdir(c->beside, 0750), 0);
    FILE *f = fopen(cuts, "we");
    CHECK(f != NULL);
    CHECK(fprintf(f, "%ld\n", n) > 0);
    CHECK_EQ(fclose(f), 0);
    run_result_deinit(&r);
    buf_deinit(&text);
    mem_free(cuts);
}

size_t power_cut(const char *folder, uint64_t seed)
{
    struct cut c = {0};
    struct prng p;

    prng_init(&p, seed);
    cut_load(&c, folder);
    if (seed != 0) {
        choose(&c, &p);
    }
    for (size_t i = c.operations.n; i-- > 0;) {
        if (c.operations.items[i].is_lost) {
            take_back(&c, &c.operations.items[i], &p);
        }
    }
    size_t n = n_lost(&c);
    begin_anew(&c);
    cut_deinit(&c);
    return n;
}
