/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/domain/record_batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

/* The properties of a client, checked and converted. Immutable. Thread: any. */
struct settings {
    char *bootstrap_servers, *client_id;
    bool has_callback_thread;
    int32_t acks; /* -1, 0, 1 */
    bool is_idempotent;
    bool insists_on_idempotence;     /* it was asked for, and is not just the default */
    const char *idempotence_off_why; /* turned off by another property: which; else NULL */
    enum batch_codec codec;
    int partitioner; /* enum partitioner_kind */
    int reset;       /* enum fetch_reset */
    wtime linger, delivery_timeout, retry_backoff, retry_backoff_max;
    wtime metadata_max_age, topic_propagation;
    wtime reconnect_backoff, reconnect_backoff_max, connect_timeout;
    uint32_t request_timeout_ms, retries, max_in_flight;
    uint32_t fetch_min_bytes, fetch_max_wait_ms, fetch_max_bytes, partition_fetch_bytes;
    size_t batch_size, buffer_memory, max_request_size, fetch_queue_bytes, decompress_max;
};

/* WEIR_E_CONFIG when a mandatory property is missing, or two contradict each other. */
int settings_read(struct settings *s, const struct weir_conf *conf, struct weir_error *error);
void settings_deinit(struct settings *s);

typedef void (*log_fn)(void *ctx, enum weir_log_level level, const char *line);
/* The log callback of a configuration. */
void conf_log(const struct weir_conf *conf, log_fn *ret_fn, void **ret_ctx);
