/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/journal_internal.h"

#include "common/obs/log.h"
#include "common/zk/zk.h"

#include <string.h>

/* [DEC-6] What the journal lacks and the ring does not have may still stand in ZooKeeper, because
 * trimming spared it: read one after the other, the newest first, until the journal's end, a
 * bound, or an entry that is gone. */

struct fill_ask {
    struct journal *j;
    uint64_t round;
};

static void ask(struct journal *j);

static void end(struct journal *j)
{
    j->is_filling = false;
    j->on_filled(j);
}

/* Whether these bytes are the batch `index` whose successor says `crc` of it. */
static bool is_batch(struct bytes data, uint64_t index, uint64_t crc, uint64_t *ret_prev_crc)
{
    struct arena a;
    struct msg_batch b;
    bool is;

    arena_init(&a, wire_arena_ceiling(data.size));
    is = wire_decode_batch(data, &a, &b) == 0 && b.index == index && b.crc64 == crc &&
         msg_batch_crc(&b) == crc;
    *ret_prev_crc = is ? b.prev_crc64 : 0;
    arena_deinit(&a);
    return is;
}

static void on_entry(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct fill_ask *a = ctx;
    struct journal *j = a->j;
    bool is_ours = a->round == j->fill_round && j->is_filling;
    uint64_t index = j->window.first - 1, prev_crc = 0;

    mem_free(a);
    if (!is_ours) {
        return;
    }
    /* While this was read, the bounds may have pushed its successor out: then it would not fit either. */
    if (rc != ZK_OK || index != j->fill_index || !is_batch(data, index, j->fill_crc, &prev_crc) ||
            !journal_window_extend(&j->window, data.size)) {
        end(j);
        return;
    }
    *array_push(&j->older) = (struct ring_batch){.index = index,
            .prev_crc = prev_crc,
            .crc = j->fill_crc,
            .bytes = {mem_dup(data.at, data.size), data.size}};
    j->fill_crc = prev_crc;
    ask(j);
}

static void ask(struct journal *j)
{
    struct fill_ask *a;
    char *path;

    if (j->window.written + 1 >= j->window.first) {
        end(j);
        return;
    }
    j->fill_index = j->window.first - 1;
    a = mem_new(struct fill_ask);
    a->j = j;
    a->round = j->fill_round;
    path = meta_log_path(j->fill_index);
    zk_get(j->options.zk, path, NULL, on_entry, a);
    mem_free(path);
}

void journal_fill(struct journal *j, void (*on_filled)(struct journal *j))
{
    const struct image *image = meta_log_image(j->options.log);
    const struct ring_batch *next = batch_ring_get(meta_log_ring(j->options.log), j->window.first);

    j->on_filled = on_filled;
    j->fill_round++;
    j->is_filling = true;
    j->fill_crc = next != NULL ? next->prev_crc : image_position(image).crc;
    if (j->window.given_up_to > 0 || j->older.n > 0) {
        end(j); /* The bounds pushed entries out; or it was read before. */
    } else {
        ask(j);
    }
}

void journal_fill_stop(struct journal *j)
{
    j->fill_round++;
    j->is_filling = false;
    ARRAY_FOREACH (b, &j->older) {
        union {
            const uint8_t *in;
            uint8_t *out;
        } own = {.in = b->bytes.at};

        mem_free(own.out);
    }
    array_deinit(&j->older);
}

const struct ring_batch *journal_batch(const struct journal *j, uint64_t index)
{
    const struct ring_batch *b = batch_ring_get(meta_log_ring(j->options.log), index);

    for (size_t i = 0; b == NULL && i < j->older.n; i++) {
        b = j->older.items[i].index == index ? &j->older.items[i] : NULL;
    }
    return b;
}
