/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/append_rules.h"
#include "broker/core/cleaning.h"
#include "broker/core/retention.h"
#include "broker/log/plog.h"

#include <stdint.h>

struct image;
struct image_topic;

/* The topic configurations that a broker acts on: topic override, else cluster value, else default. */
struct topic_settings {
    struct plog_config log;
    struct retention_policy retention;
    int64_t file_delete_delay_ms;
    struct append_rules append;
    bool is_fsync;       /* weir.ack.durability=fsync */
    int64_t flush_messages, flush_ms;
    struct cleaning_policy cleaning; /* when append.is_compacted */
};

/* A value that this version cannot read counts as the default. Thread: control. */
struct topic_settings topic_settings_of(const struct image *image, const struct image_topic *topic);
/* All defaults: for a log whose topic is not known yet. Thread: any. */
struct topic_settings topic_settings_default(void);
