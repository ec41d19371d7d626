/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/recover.h"

#include "broker/log/seal.h"
#include "common/base/crc.h"
#include "common/base/mem.h"

#include <errno.h>

/* A segment taken by what its seal says of it. */

int recovery_look_at_seal(struct recovery *c,
        const struct segment *s,
        offset64 next_base,
        struct seal *ret,
        const char **ret_why)
{
    struct plog *l = c->l;
    char *path = plog_path(l);
    char *file = segment_path(path, s->base, ".seal");
    int r = seal_read(l->io, file, ret);

    mem_free(file);
    mem_free(path);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    bool is_ours = uuid_equal(&ret->topic_id, &l->topic_id) && ret->partition == l->partition &&
                   ret->base == s->base;
    *ret_why = !is_ours                ? "its seal is of another log or segment"
               : ret->end != next_base ? "the next segment does not begin where its seal says"
               : ret->size > s->size   ? "it is shorter than its seal says"
               : ret->last_epoch < c->epoch && ret->size > 0
                       ? "its seal ends with an older leader epoch than the segment before"
                       : NULL;
    return 0;
}

/* Whether an index has what the seal says; looked into only where the kernel died. */
static int index_fits(struct recovery *c,
        const struct sparse_index *x,
        uint32_t want_n,
        uint32_t want_crc,
        bool *ret)
{
    const struct file_io *io = c->l->io;
    const char *path = cached_file_path(x->file);
    int64_t size = io->size_of(io->ctx, path);
    uint8_t *bytes = NULL;
    size_t n = 0;

    if (size == -ENOENT) {
        *ret = want_n == 0; /* one that was never made */
        return 0;
    }
    *ret = size == (int64_t)want_n * sparse_index_entry_size(x);
    if (!*ret || !c->is_host) {
        return size < 0 ? err_forward((int)size) : 0;
    }
    int r = file_read_all(io, path, (size_t)size, &bytes, &n);
    if (r >= 0) {
        *ret = n == (size_t)size && crc32c(0, bytes, n) == want_crc;
        mem_free(bytes);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-10] A segment with a seal is not read at all. */
int recovery_take_by_seal(struct recovery *c,
        struct segment *s,
        offset64 next_base,
        bool *ret_taken,
        bool *ret_misfits)
{
    const char *why = NULL;
    struct seal seal;
    bool fits = false;
    int r = recovery_look_at_seal(c, s, next_base, &seal, &why);

    *ret_taken = *ret_misfits = false;
    if (r != 0) {
        return r < 0 ? err_forward(r) : 0;
    }
    if (why != NULL) {
        (void)recovery_damaged(c, cached_file_path(s->log), s->base, why);
        return SEGMENT_E_BAD;
    }
    s->is_compacted = seal.is_compacted;
    r = index_fits(c, &s->index, seal.index_n, seal.index_crc, &fits);
    if (r >= 0 && fits) {
        r = index_fits(c, &s->times, seal.time_n, seal.time_crc, &fits);
    }
    if (r < 0 || !fits) {
        *ret_misfits = !fits;
        return r < 0 ? err_forward(r) : 0;
    }
    s->end = next_base;
    s->size = s->synced = seal.size;
    s->max_timestamp = seal.max_timestamp;
    s->heads = seal.heads;
    s->last_epoch = seal.last_epoch;
    s->has_max_timestamp = s->has_heads = s->is_sealed = true;
    s->index.n = seal.index_n;
    s->times.n = seal.time_n;
    c->epoch = seal.size > 0 ? seal.last_epoch : c->epoch;
    plog_epochs_recover_sealed(c->l, &c->epochs, s);
    *ret_taken = true;
    return 0;
}
