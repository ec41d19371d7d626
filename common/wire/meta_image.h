/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

struct image;
struct snapshot;

/* The file `meta.image` (MetaImage in proto/state.proto): a cache of the metadata as one process
 * had applied it, from which a lost ZooKeeper is rebuilt. Brokers write it, controllers give it
 * over HTTP, the `weir` command reads it.
 *
 * It is walked by hand, because protobuf-c would copy every chunk twice. Thread: any. */

enum {
    META_IMAGE_FORMAT = 1,
    META_IMAGE_CHUNKS_MAX = 4096,           /* of at most SNAPSHOT_CHUNK_MAX bytes each */
    META_IMAGE_MAX = 256 * 1024 * 1024,     /* a larger file is none */
    META_IMAGE_BATCH_MAX = 400 * 1024,      /* last_batch; ZooKeeper takes it in one transaction */
};

#define META_IMAGE_NAME "meta.image"
/* Kept when metadata went back under a broker that had forgotten that it knew more. */
#define META_IMAGE_FORMER_NAME "meta.image.former"

struct msg_meta_image {
    struct uuid cluster_id;
    uint32_t format;
    uint64_t ctl_epoch; /* greatest ever heard of, also from Hello */
    uint64_t index, log_crc64, last_seq;
    struct bytes *chunks;
    size_t n_chunks;
    struct bytes last_batch; /* size 0 = not known */
    wall_ms written;
    broker_id broker; /* BROKER_NONE = a controller */
};

/* Appends the file. Chunks and last_batch are borrowed. */
void wire_encode_meta_image(const struct msg_meta_image *m, struct buf *out);
/* The file of a whole snapshot: `like` gives everything but index, checksum, last_seq and
 * chunks. */
void wire_encode_meta_image_of(
        const struct snapshot *s, const struct msg_meta_image *like, struct buf *out);

/* Why a file cannot be used; wire_meta_image_text() has the sentence. */
enum meta_image_fault {
    META_IMAGE_E_EMPTY = 1,
    META_IMAGE_E_LARGE,
    META_IMAGE_E_TORN,     /* it does not end with its checksum */
    META_IMAGE_E_CRC,      /* bytes changed */
    META_IMAGE_E_FORMAT,   /* of another version */
    META_IMAGE_E_FORM,     /* the checksum is right, but it is no MetaImage */
    META_IMAGE_E_VALUES,   /* a MetaImage without cluster, index or content */
    META_IMAGE_E_MEMORY,   /* the arena's ceiling */
    META_IMAGE_E_CHUNK,    /* a chunk does not decode or contradicts what came before it */
    META_IMAGE_E_KIND,     /* a chunk has a record of a newer version */
    META_IMAGE_E_BATCH,    /* last_batch is not batch N */
    META_IMAGE_E_EPOCH,    /* older than a controller that its own records name */
};

const char *wire_meta_image_text(int fault);

/* Checks the file as a whole; what stands in the chunks is not looked at. What points to bytes
 * points into `file`. > 0: one of meta_image_fault, and *ret is untouched. */
MUST_CHECK int wire_decode_meta_image(
        struct bytes file, struct arena *a, struct msg_meta_image *ret);
/* The image that the chunks make, with its position; checks last_batch too. > 0: one of
 * meta_image_fault. */
MUST_CHECK int wire_load_meta_image(const struct msg_meta_image *m, struct image **ret);
/* The epoch under which the image knows that broker, or BROKER_EPOCH_NONE. Reads the first
 * chunks only: brokers stand in front of topics. */
int64_t wire_meta_image_broker_epoch(const struct msg_meta_image *m, broker_id id);
