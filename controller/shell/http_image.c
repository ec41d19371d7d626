/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/loop.h"
#include "common/wire/meta_image.h"
#include "common/wire/snapshot.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <sys/queue.h>

/* GET /v1/metadata/image: the committed metadata as a file (MetaImage), for `weir meta export`.
 * [RBD-12] The image is copied, and the copy is encoded in parts, one a turn of the loop; http.c
 * sends the answer in pieces. One export is under way; others wait for it, so that there is one
 * copy. */

enum {
    STEP_RECORDS = 1000 /* about 1 ms */
};

struct export
{
    STAILQ_ENTRY(export) entry;
    struct http_later *later;
    struct image *image; /* NULL = it waits for its turn */
    struct snapshot snapshot;
    struct msg_meta_image like;
    struct buf batch;
    bool is_active;
    struct timer step;
};

/* The first one is under way. One loop has them all. */
static STAILQ_HEAD(, export) exports = STAILQ_HEAD_INITIALIZER(exports);

static void export_free(struct export *e)
{
    STAILQ_REMOVE(&exports, e, export, entry);
    timer_deinit(&e->step);
    snapshot_deinit(&e->snapshot);
    buf_deinit(&e->batch);
    (void)image_free(e->image);
    mem_free(e);
}

static void on_cancel(void *ctx) /* the endpoint closes, and all of them get this */
{
    export_free(ctx);
}

/* Takes what is committed now. */
static void freeze(struct export *e)
{
    const struct controller *c = http_later_controller(e->later);
    const struct image *image = controller_image(c);
    const struct msg_active *active = controller_active(c);
    struct bytes batch = controller_last_batch(c);
    uint64_t own = image_ctl_epoch(image);

    e->image = image_copy(image);
    e->is_active = controller_is_active(c);
    buf_append(&e->batch, batch.at, batch.size);
    e->like = (struct msg_meta_image){.cluster_id = controller_cluster_id(c),
            .ctl_epoch = active != NULL && active->ctl_epoch > own ? active->ctl_epoch : own,
            .last_batch = {.at = e->batch.data, .size = e->batch.size},
            .written = clock_wall(),
            .broker = BROKER_NONE};
    snapshot_begin(e->image, &e->snapshot);
}

static bool has_metadata(const struct controller *c)
{
    struct uuid cluster = controller_cluster_id(c);

    return controller_is_metadata_read(c) && !uuid_is_zero(&cluster) &&
           image_position(controller_image(c)).index > 0;
}

static void finish(struct export *e, struct http_answer *a)
{
    struct http_later *later = e->later;

    export_free(e);
    http_later_answer(later, a);
    e = STAILQ_FIRST(&exports);
    if (e != NULL) {
        timer_set(&e->step, clock_now());
    }
}

static void on_step(void *ctx)
{
    struct export *e = ctx;
    struct http_answer a = {0};
    const struct controller *c = http_later_controller(e->later);

    if (e->image == NULL && !has_metadata(c)) {
        http_problem_of(&a, http_later_call(e->later), ERRCODE_NOT_CONTROLLER, NULL,
                "Try again in a second.", "controller %" PRId32 " has not read the metadata yet",
                controller_id(c));
        finish(e, &a);
        return;
    }
    if (e->image == NULL) {
        freeze(e);
    }
    if (!snapshot_step(e->image, &e->snapshot, STEP_RECORDS)) {
        timer_set(&e->step, clock_now());
        return;
    }
    wire_encode_meta_image_of(&e->snapshot, &e->like, &a.body);
    a.status = 200;
    a.content_type = "application/octet-stream";
    http_answer_metadata(&a, &(struct http_view){.image = e->image, .is_active = e->is_active});
    finish(e, &a);
}

void http_export_image(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct export *e = mem_new(struct export);

    (void)v;
    (void)c;
    (void)arg;
    e->later = later;
    http_later_on_cancel(later, on_cancel, e);
    timer_init(&e->step, http_later_loop(later), on_step, e);
    STAILQ_INSERT_TAIL(&exports, e, entry);
    if (STAILQ_FIRST(&exports) == e) {
        timer_set(&e->step, clock_now());
    }
}
