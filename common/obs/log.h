/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* logfmt on stderr: `ts=2026-11-20T10:00:00.123Z level=info module=claim event=election_won
 * ctl_epoch=4 …`.
 *
 * error = a person must act; warn = degraded and handled; info = a state changed; debug = off by
 * default. Nothing per record. The function where an error's journey ends logs it, once. Values
 * are quoted and escaped where needed.
 *
 *   log_info("claim", "election_won", KV_U64("ctl_epoch", epoch), KV_STR("controller", name));
 *
 * Thread: any; a line is written with one write(2). */

enum log_level {
    LOG_DEBUG = 0,
    LOG_INFO = 1,
    LOG_WARN = 2,
    LOG_ERROR = 3
};

struct log_kv {
    const char *key;

    enum {
        LOG_KV_STR,
        LOG_KV_I64,
        LOG_KV_U64,
        LOG_KV_HEX
    } kind;

    const char *str;
    int64_t i64;
    uint64_t u64;
};

#define KV_STR(k, v) ((struct log_kv){.key = (k), .kind = LOG_KV_STR, .str = (v)})
#define KV_I64(k, v) ((struct log_kv){.key = (k), .kind = LOG_KV_I64, .i64 = (v)})
#define KV_U64(k, v) ((struct log_kv){.key = (k), .kind = LOG_KV_U64, .u64 = (v)})
#define KV_HEX(k, v) ((struct log_kv){.key = (k), .kind = LOG_KV_HEX, .u64 = (v)})
/* The trail of the last negative result of this thread, and its number. */
#define KV_ERR(r) KV_STR("error", log_err_text(r))
const char *log_err_text(int r);

/* Lines below `level` are dropped. Default LOG_INFO. "debug" … "error" ↔ level. */
void log_set_level(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret);
bool log_is_on(enum log_level level);
/* A word that every line carries, e.g. "broker-1"; copied. NULL = none. */
void log_set_daemon(const char *name);
/* For tests: lines go here instead of stderr. NULL = back. */
void log_set_sink(void (*line)(void *ctx, const char *text), void *ctx);

void log_line(enum log_level level,
        const char *module,
        const char *event,
        const struct log_kv *kv,
        unsigned n);

#define LOG_AT(level, module, event, ...)                                                          \
    do {                                                                                           \
        if (log_is_on(level)) {                                                                    \
            const struct log_kv log_kv_[] = {{.key = ""}, ##__VA_ARGS__};                          \
            log_line((level), (module), (event), log_kv_ + 1,                                      \
                    sizeof(log_kv_) / sizeof(log_kv_[0]) - 1);                                     \
        }                                                                                          \
    } while (0)
#define log_debug(module, event, ...) LOG_AT(LOG_DEBUG, module, event, ##__VA_ARGS__)
#define log_info(module, event, ...)  LOG_AT(LOG_INFO, module, event, ##__VA_ARGS__)
#define log_warn(module, event, ...)  LOG_AT(LOG_WARN, module, event, ##__VA_ARGS__)
#define log_error(module, event, ...) LOG_AT(LOG_ERROR, module, event, ##__VA_ARGS__)
