/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"

#include "common/domain/image.h"
#include "common/wire/meta_image.h"

#include <jansson.h>

/* Images of the metadata as files: read, chosen, printed, and written into a ZooKeeper that has
 * lost everything (docs/design/90-rebuild.md). Thread: main. */

/* --- One file --------------------------------------------------------------------------------- */

struct meta_file {
    char *path; /* of the file itself, also when its folder was given */
    uint8_t *bytes;
    size_t size;
    struct arena arena;
    struct msg_meta_image head; /* points into `bytes` */
    bool is_usable;             /* it was loaded once; else `why` says why not */
    uint64_t own_epoch;         /* of the last controller that its records name */
    struct image *image;        /* only after meta_file_load(): all at once would be too much */
    char why[256];
};

/* Takes `bytes` over and judges them. */
void meta_file_take(struct meta_file *f, const char *path, uint8_t *bytes, size_t size);
void meta_file_load(struct meta_file *f); /* a usable one */
void meta_file_deinit(struct meta_file *f); /* takes a zeroed one */

struct meta_files {
    struct meta_file *items;
    size_t n;
};

/* Reads what stands at `path`: one file, or of a log directory its meta.image and
 * meta.image.former, and appends them. Returns -1 to go on, else the exit code: the path is not
 * there. A folder without an image is noted and gives none. */
int meta_files_read(struct meta_files *files, const char *path);
void meta_files_deinit(struct meta_files *files);

/* [RBD-4] Which of them to rebuild from: the one with the greatest index of those that can be
 * used. -1: none can be chosen, and `error` says why: all are damaged; they are of two clusters;
 * two have the same index and another history; or index and controller epoch order two of them
 * differently, which shows that their histories parted. Pure. */
int meta_choose(const struct meta_file *files, size_t n, char *error, size_t error_size);

/* --- JSON ------------------------------------------------------------------------------------- */

/* The file but for its records. */
json_t *meta_head_json(const struct msg_meta_image *m, const struct image *image);
json_t *meta_record_json(const struct meta_record *r);

/* --- What stands in ZooKeeper ----------------------------------------------------------------- */

struct meta_tree;

struct meta_standing {
    bool has_id, is_unfinished; /* a rebuild was begun and not finished */
    struct uuid cluster_id;     /* zero = does not decode */
    uint64_t ctl_epoch;
    bool has_epoch, has_head;
    int32_t epoch_version;
    uint64_t index; /* the last one that is there; 0 = no metadata */
    size_t n_entries, n_snapshots;
    bool is_readable; /* the log was read to its end */
    size_t n_topics, n_partitions;
    bool is_compared; /* its chain at the index that was asked for is known: */
    uint64_t crc_there;
    char holder[160]; /* who is registered as controller; "" = nobody */
    bool has_guard;   /* the node of a rebuild stands at /weir/controller */
    size_t n_brokers; /* registered: their nodes stay */
    char **entries;   /* paths to delete, n_entries of them */
    char **snapshots; /* names of folders */
};

/* What to do when the nodes belong to a digest. */
extern const char meta_digest_hint[];
/* Connects. `digest_file` is the daemons' zookeeper.digest.file; NULL = none. -1 to go on, else the exit code. */
int meta_tree_open(const struct cli *cli,
        const char *connect,
        const char *digest_file,
        struct meta_tree **ret);
void meta_tree_close(struct meta_tree *t); /* takes NULL */
/* Reads, and changes nothing. The chain's checksum at `index` is noted, where the log there goes
 * back so far. */
int meta_tree_look(struct meta_tree *t, uint64_t index, struct meta_standing *ret);
void meta_standing_deinit(struct meta_standing *s);
/* Writes the new /weir ([RBD-5] to [RBD-8]). -1: done, else the exit code. */
int meta_tree_write(struct meta_tree *t,
        const struct meta_standing *standing,
        const struct meta_file *from,
        uint64_t ctl_epoch);
