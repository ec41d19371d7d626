/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct broker;
struct conf;

/* What a broker takes from its configuration and its folders before anything runs. Thread: main. */

enum {
    BROKER_SETUP_ERROR_SIZE = 512
};

/* 1: `error` (BROKER_SETUP_ERROR_SIZE) has the sentence for the person who started it. */
MUST_CHECK int broker_setup_listeners(struct broker *b, char *error);
/* [TRU-1] Beyond this machine nobody is believed without proof. */
MUST_CHECK int broker_setup_secret(struct broker *b, char *error);
/* Locks and opens log.dirs, and begins this run there. */
MUST_CHECK int broker_setup_dirs(struct broker *b, char *error);

size_t broker_setup_open_files_max(const struct conf *conf);
uint32_t broker_setup_n_loops(const struct conf *conf);
