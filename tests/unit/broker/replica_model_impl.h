/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/unit/broker/replica_model.h"

#include <stdio.h>

/* What the files of the model share. */

static inline uint32_t below(struct model *m, uint32_t n)
{
    return (uint32_t)prng_below(&m->rng, n);
}

static inline bool one_in(struct model *m, int n)
{
    return n > 0 && below(m, (uint32_t)n) == 0;
}

#define TELL(m, ...)                                                                               \
    do {                                                                                           \
        if ((m)->tells) {                                                                          \
            fprintf(stderr, "  " __VA_ARGS__);                                                     \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

static inline struct model_image *present(struct model *m)
{
    return &m->history[m->n_history - 1];
}

static inline bool is_full(const struct model *m)
{
    return m->n_history >= MODEL_HISTORY_MAX - 4;
}

/* A slot that is set, or any. */
#define PICK(m, slots)                                                                             \
    (&(slots)[pick(                                                                                \
            m, (const bool[MODEL_SLOTS]){(slots)[0].is_set, (slots)[1].is_set, (slots)[2].is_set,  \
                       (slots)[3].is_set, (slots)[4].is_set, (slots)[5].is_set})])

static inline uint32_t pick(struct model *m, const bool *is_set)
{
    uint32_t at = below(m, MODEL_SLOTS);

    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        uint32_t k = (at + i) % MODEL_SLOTS;

        if (is_set[k]) {
            return k;
        }
    }
    return at;
}

static inline epoch32 last_epoch(const struct model_broker *b)
{
    return b->end > b->start ? b->log[b->end - 1].epoch : EPOCH_NONE;
}

/* One step of the broker's core; its effects are carried out. */
void model_step_core(struct model *m, int id, struct replica_event *ev);

/* --- replica_model_ctl.c --- */

void model_deliver_call(struct model *m);
void model_give_up_waiting(struct model *m);
void model_deliver_report(struct model *m);
void model_fence(struct model *m, int id);
void model_advance_broker(struct model *m, int id);
void model_change_min_isr(struct model *m);
void model_prefer_another(struct model *m);
void model_elect_uncleanly(struct model *m);
