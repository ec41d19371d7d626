/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/producer.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <stdio.h>

/* What became of records, from the internal thread to callbacks and waiting calls. */

static void fill(const struct pbatch *b, size_t i, struct weir_report *ret)
{
    bool is_persisted = b->outcome == OUTCOME_PERSISTED;
    const struct note *note = &b->notes.items[i];

    *ret = (struct weir_report){
            .topic = b->topic->name,
            .partition = b->partition,
            .offset = is_persisted && b->base_offset >= 0 ? b->base_offset + (int64_t)i : -1,
            .timestamp = b->append_time >= 0 ? b->append_time : note->timestamp,
            .outcome = (enum weir_outcome)b->outcome,
            .is_on_disk = b->is_on_disk,
            .code = is_persisted ? WEIR_OK : b->code,
            .retriable = !is_persisted && code_retriable(b->code),
            .fatal = !is_persisted && b->is_fatal,
            .name = weir_code_name(is_persisted ? WEIR_OK : b->code),
            .text = is_persisted        ? ""
                    : b->detail != NULL ? b->detail
                                        : weir_code_text(b->code),
            .opaque = note->opaque,
    };
}

/* Wakes those who wait for single records; returns how many. Under the lock. */
static size_t end_waits(struct weir_client *c, struct pbatch *b)
{
    size_t n = 0;

    ARRAY_FOREACH (s, &b->seams) {
        if (s->wait == NULL) {
            continue;
        }
        fill(b, s->record, &s->wait->report);
        if (b->detail != NULL && b->outcome != OUTCOME_PERSISTED) {
            (void)snprintf(s->wait->text, sizeof(s->wait->text), "%s", b->detail);
            s->wait->report.text = weir_code_text(b->code); /* the detail goes with the batch */
        }
        s->wait->is_done = true; /* from here on *wait may be gone as soon as the lock is */
        n++;
    }
    if (n > 0) {
        pthread_cond_broadcast(&c->changed);
    }
    return n;
}

static bool has_release(const struct pbatch *b)
{
    for (size_t i = 0; i < b->seams.n; i++) {
        if (b->seams.items[i].release != NULL && b->seams.items[i].wait == NULL) {
            return true;
        }
    }
    return false;
}

/* The batch is done with. Under the lock. */
static void retire(struct weir_client *c, struct pbatch *b)
{
    must(c->n_outstanding >= b->notes.n);
    c->n_outstanding -= b->notes.n;
    if (b->outcome != OUTCOME_PERSISTED) {
        c->n_unpersisted += b->notes.n;
    }
    acc_discharge(&c->acc, b->charged);
    pbatch_put(c, b);
    pthread_cond_broadcast(&c->changed);
}

void report_batch(struct weir_client *c, struct pbatch *b)
{
    must(b->n_lent == 0);
    pthread_mutex_lock(&c->lock);
    size_t n_waits = end_waits(c, b);
    bool has_reports = c->delivered != NULL && n_waits < b->notes.n;
    if (has_reports || has_release(b)) {
        TAILQ_INSERT_TAIL(&c->done, b, entry);
        client_has_callbacks(c);
    } else {
        retire(c, b);
    }
    pthread_mutex_unlock(&c->lock);
}

int report_run_one(struct weir_client *c)
{
    size_t next_seam = 0;
    int n = 0;

    pthread_mutex_lock(&c->lock);
    struct pbatch *b = TAILQ_FIRST(&c->done);
    void (*delivered)(void *ctx, const struct weir_report *report) = c->delivered;
    void *ctx = c->delivered_ctx;
    if (b != NULL) {
        TAILQ_REMOVE(&c->done, b, entry);
    }
    pthread_mutex_unlock(&c->lock);
    if (b == NULL) {
        return -1;
    }
    for (size_t i = 0; i < b->notes.n; i++) {
        const struct seam *seam = NULL;
        struct weir_report report;
        if (next_seam < b->seams.n && b->seams.items[next_seam].record == i) {
            seam = &b->seams.items[next_seam++];
        }
        if (seam != NULL && seam->wait != NULL) {
            continue;
        }
        if (delivered != NULL) {
            fill(b, i, &report);
            delivered(ctx, &report);
            n++;
        }
        if (seam != NULL && seam->release != NULL) {
            seam->release(seam->release_ctx, seam->value);
            n++;
        }
    }
    pthread_mutex_lock(&c->lock);
    retire(c, b);
    pthread_mutex_unlock(&c->lock);
    return n;
}
