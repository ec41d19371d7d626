/* SPDX-License-Identifier: Apache-2.0 */
#include "common/obs/log.h"

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    VALUE_SIZE_MAX = 4096, /* a longer value is cut: no peer makes our lines endless */
    DAEMON_SIZE = 64,
    ERR_TEXT_SIZE = 512,
};

static const char *const level_names[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static _Atomic int least_level = LOG_INFO;

/* Guards what is set at start and by tests. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char daemon_name[DAEMON_SIZE];
static void (*sink)(void *ctx, const char *text);
static void *sink_ctx;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_daemon(const char *name)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(daemon_name, sizeof(daemon_name), "%s", name != NULL ? name : "");
    (void)pthread_mutex_unlock(&lock);
}

void log_set_sink(void (*line)(void *ctx, const char *text), void *ctx)
{
    (void)pthread_mutex_lock(&lock);
    sink = line;
    sink_ctx = ctx;
    (void)pthread_mutex_unlock(&lock);
}

const char *log_err_text(int r)
{
    static _Thread_local char text[ERR_TEXT_SIZE];
    char number[32];

    /* A trail of another number is an older story. */
    (void)snprintf(number, sizeof(number), " %d (", r);
    if (r >= 0 || strstr(err_trail(text, sizeof(text)), number) == NULL) {
        (void)snprintf(text, sizeof(text), "%d%s%s%s", r, r < 0 ? " (" : "",
                r < 0 ? strerror(-r) : "", r < 0 ? ")" : "");
    }
    return text;
}

/* --- A line ----------------------------------------------------------------------------------- */

static void write_time(struct buf *out)
{
    struct timespec now;
    struct tm tm;
    char text[32];

    must(clock_gettime(CLOCK_REALTIME, &now) == 0);
    must(gmtime_r(&now.tv_sec, &tm) != NULL);
    must(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) > 0);
    buf_append_format(out, "ts=%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static bool is_plain(unsigned char c)
{
    return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
}

static void write_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': buf_append_str(out, "\\\""); break;
    case '\\': buf_append_str(out, "\\\\"); break;
    case '\n': buf_append_str(out, "\\n"); break;
    case '\r': buf_append_str(out, "\\r"); break;
    case '\t': buf_append_str(out, "\\t"); break;
    default:
        if (c < ' ' || c == 0x7f) {
            buf_append_format(out, "\\u%04x", c);
        } else {
            buf_u8(out, c);
        }
    }
}

static void write_text(struct buf *out, const char *text)
{
    bool plain = text[0] != '\0';
    size_t size = 0;

    while (size < VALUE_SIZE_MAX && text[size] != '\0') {
        size++;
    }
    for (size_t i = 0; i < size && plain; i++) {
        plain = is_plain((unsigned char)text[i]);
    }
    if (plain && text[size] == '\0') {
        buf_append(out, text, size);
        return;
    }
    buf_u8(out, '"');
    for (size_t i = 0; i < size; i++) {
        write_escaped(out, (unsigned char)text[i]);
    }
    buf_append_str(out, text[size] == '\0' ? "\"" : "...\"");
}

static void write_kv(struct buf *out, const struct log_kv *kv)
{
    buf_append_format(out, " %s=", kv->key);
    switch (kv->kind) {
    case LOG_KV_STR: write_text(out, kv->str != NULL ? kv->str : "null"); break;
    case LOG_KV_I64: buf_append_format(out, "%" PRId64, kv->i64); break;
    case LOG_KV_U64: buf_append_format(out, "%" PRIu64, kv->u64); break;
    case LOG_KV_HEX: buf_append_format(out, "0x%" PRIx64, kv->u64); break;
    }
}

/* stderr that is gone or full cannot be told to anybody. */
static void write_stderr(const uint8_t *at, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        at += n;
        size -= (size_t)n;
    }
}

void log_line(enum log_level level,
        const char *module,
        const char *event,
        const struct log_kv *kv,
        unsigned n)
{
    CLEANUP(buf_deinit) struct buf line = {0};
    char who[DAEMON_SIZE];
    int saved_errno = errno;

    if (level == LOG_ERROR) {
        metric_add(METRIC_LOG_LINES_ERROR, 1);
    }
    (void)pthread_mutex_lock(&lock);
    memcpy(who, daemon_name, sizeof(who));
    (void)pthread_mutex_unlock(&lock);

    write_time(&line);
    buf_append_format(&line, " level=%s", level_names[level]);
    if (who[0] != '\0') {
        write_kv(&line, &KV_STR("daemon", who));
    }
    buf_append_format(&line, " module=%s event=%s", module, event);
    for (unsigned i = 0; i < n; i++) {
        write_kv(&line, &kv[i]);
    }

    (void)pthread_mutex_lock(&lock);
    bool sunk = sink != NULL;
    if (sunk) {
        sink(sink_ctx, buf_str(&line)); /* under the lock: a test takes the sink away safely */
    }
    (void)pthread_mutex_unlock(&lock);
    if (!sunk) {
        buf_u8(&line, '\n');
        write_stderr(line.data, line.size);
    }
    errno = saved_errno;
}
