/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct broker;

/* Looks ten times a second whether a partition's core wants to be woken: who has fallen behind leaves the ISR, what may have
 * been lost is asked again. Thread: control. */
struct ticker;

struct ticker *ticker_new(struct broker *b);
struct ticker *ticker_free(struct ticker *t); /* takes NULL */
