/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/conf.h"

#include "clients/core/fetch_plan.h"
#include "clients/core/partitioner.h"
#include "clients/core/sequence.h"
#include "clients/lib/error.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"

#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

enum key_id {
#define KEY(id, name, type, unit, fallback, min, max, choices, text) KEY_##id,
#include "clients/lib/conf_keys.def"
#undef KEY
    N_KEYS,
};

static const struct conf_key keys[] = {
#define KEY(id, name_, type_, unit_, fallback_, min_, max_, choices_, text_)                       \
    {name_, CONF_##type_, CONF_UNIT_##unit_, CONF_DAEMON, fallback_, min_, max_, choices_, text_},
#include "clients/lib/conf_keys.def"
#undef KEY
};

struct weir_conf {
    char *values[N_KEYS]; /* NULL = the default */
    log_fn log;
    void *log_ctx;
};

struct weir_conf *weir_conf_new(void)
{
    return mem_new(struct weir_conf);
}

void weir_conf_free(struct weir_conf *conf)
{
    if (conf == NULL) {
        return;
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        mem_free(conf->values[i]);
    }
    mem_free(conf);
}

int weir_conf_set(
        struct weir_conf *conf, const char *key, const char *value, struct weir_error *error)
{
    char text[256];

    if (conf == NULL || key == NULL || value == NULL) {
        return error_set(error, WEIR_E_ARGUMENT, "a property needs a key and a value");
    }
    const struct conf_key *row = conf_find_key(keys, N_KEYS, key);
    if (row == NULL) {
        const char *nearest = conf_nearest(keys, N_KEYS, key);
        return nearest != NULL ? error_set(error, WEIR_E_CONFIG,
                                         "there is no property %s; did you mean %s?", key, nearest)
                               : error_set(error, WEIR_E_CONFIG, "there is no property %s", key);
    }
    if (conf_check_value(row, value, NULL, text, sizeof(text)) != 0) {
        return error_set(error, WEIR_E_CONFIG, "%s", text);
    }
    char **slot = &conf->values[row - keys];
    mem_free(*slot);
    *slot = mem_strdup(value);
    return WEIR_OK;
}

/* A copy of s[0…n) without spaces at either end. */
static char *trimmed(const char *s, size_t n)
{
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
        n--;
    }
    return mem_strndup(s, n);
}

int weir_conf_set_pair(struct weir_conf *conf, const char *pair, struct weir_error *error)
{
    const char *equals = pair != NULL ? strchr(pair, '=') : NULL;

    if (equals == NULL) {
        return error_set(error, WEIR_E_CONFIG, "a property is written key=value");
    }
    char *key = trimmed(pair, (size_t)(equals - pair));
    char *value = trimmed(equals + 1, strlen(equals + 1));
    int r = weir_conf_set(conf, key, value, error);
    mem_free(key);
    mem_free(value);
    return r;
}

static const char *value_of(const struct weir_conf *conf, enum key_id id)
{
    return conf->values[id] != NULL ? conf->values[id] : keys[id].fallback;
}

const char *weir_conf_get(const struct weir_conf *conf, const char *key)
{
    const struct conf_key *row = conf_find_key(keys, N_KEYS, key);

    return row != NULL ? value_of(conf, (enum key_id)(row - keys)) : NULL;
}

static const char *legal_text(const struct conf_key *row)
{
    switch (row->type) {
    case CONF_ENUM: return row->choices;
    case CONF_BOOL: return "true|false";
    case CONF_I64:
        return row->unit == CONF_UNIT_MS      ? "a time, in ms or as 30s"
               : row->unit == CONF_UNIT_BYTES ? "a size, in bytes or as 16MiB"
                                              : "a number";
    case CONF_RATIO: return "a decimal number";
    case CONF_STRING:
    case CONF_LIST: break;
    }
    return "text";
}

bool weir_conf_key_at(size_t i, struct weir_conf_key *ret)
{
    if (i >= N_KEYS) {
        return false;
    }
    *ret = (struct weir_conf_key){.name = keys[i].name,
            .default_value = keys[i].fallback,
            .legal = legal_text(&keys[i]),
            .text = keys[i].text};
    return true;
}

void weir_conf_set_log(struct weir_conf *conf,
        void (*log)(void *ctx, enum weir_log_level level, const char *line),
        void *ctx)
{
    conf->log = log;
    conf->log_ctx = ctx;
}

void conf_log(const struct weir_conf *conf, log_fn *ret_fn, void **ret_ctx)
{
    *ret_fn = conf->log;
    *ret_ctx = conf->log_ctx;
}

/* --- Settings --------------------------------------------------------------------------------- */

static int64_t number(const struct weir_conf *conf, enum key_id id)
{
    char text[256];
    int64_t v = 0;

    must(conf_check_value(&keys[id], value_of(conf, id), &v, text, sizeof(text)) == 0);
    return v;
}

static wtime duration(const struct weir_conf *conf, enum key_id id)
{
    return WTIME_MS(number(conf, id));
}

static uint32_t small(const struct weir_conf *conf, enum key_id id)
{
    int64_t v = number(conf, id);

    must(v >= 0 && v <= UINT32_MAX);
    return (uint32_t)v;
}

static size_t size_of(const struct weir_conf *conf, enum key_id id)
{
    return (size_t)number(conf, id);
}

/* The index of the value in the '|' separated choices. */
static int choice(const struct weir_conf *conf, enum key_id id)
{
    const char *value = value_of(conf, id);
    size_t n = strlen(value);
    int i = 0;

    for (const char *at = keys[id].choices;; i++) {
        const char *bar = strchr(at, '|');
        size_t size = bar != NULL ? (size_t)(bar - at) : strlen(at);
        if (size == n && memcmp(at, value, n) == 0) {
            return i;
        }
        must(bar != NULL);
        at = bar + 1;
    }
}

static void read_numbers(struct settings *s, const struct weir_conf *c)
{
    s->linger = duration(c, KEY_LINGER_MS);
    s->delivery_timeout = duration(c, KEY_DELIVERY_TIMEOUT_MS);
    s->retry_backoff = duration(c, KEY_RETRY_BACKOFF_MS);
    s->retry_backoff_max = duration(c, KEY_RETRY_BACKOFF_MAX_MS);
    s->metadata_max_age = duration(c, KEY_METADATA_MAX_AGE_MS);
    s->topic_propagation = duration(c, KEY_TOPIC_PROPAGATION_MS);
    s->reconnect_backoff = duration(c, KEY_RECONNECT_BACKOFF_MS);
    s->reconnect_backoff_max = duration(c, KEY_RECONNECT_BACKOFF_MAX_MS);
    s->connect_timeout = duration(c, KEY_CONNECT_TIMEOUT_MS);
    s->request_timeout_ms = small(c, KEY_REQUEST_TIMEOUT_MS);
    s->retries = small(c, KEY_RETRIES);
    s->max_in_flight = small(c, KEY_MAX_IN_FLIGHT);
    s->fetch_min_bytes = small(c, KEY_FETCH_MIN_BYTES);
    s->fetch_max_wait_ms = small(c, KEY_FETCH_MAX_WAIT_MS);
    s->fetch_max_bytes = small(c, KEY_FETCH_MAX_BYTES);
    s->partition_fetch_bytes = small(c, KEY_MAX_PARTITION_FETCH_BYTES);
    s->batch_size = size_of(c, KEY_BATCH_SIZE);
    s->buffer_memory = size_of(c, KEY_BUFFER_MEMORY);
    s->max_request_size = size_of(c, KEY_MAX_REQUEST_SIZE);
    s->fetch_queue_bytes = size_of(c, KEY_FETCH_QUEUE_BYTES);
    s->decompress_max = size_of(c, KEY_DECOMPRESS_MAX_BYTES);
}

/* [CLI-10] Asked for and contradicted is a mistake; contradicted by what was set on purpose, the default gives way. */
static int read_idempotence(
        struct settings *s, const struct weir_conf *conf, struct weir_error *error)
{
    const char *why = s->retries == 0 ? "retries is 0" : s->acks != -1 ? "acks is not all" : NULL;

    s->insists_on_idempotence =
            conf->values[KEY_IDEMPOTENCE] != NULL && number(conf, KEY_IDEMPOTENCE);
    s->is_idempotent = number(conf, KEY_IDEMPOTENCE) != 0;
    if (!s->is_idempotent) {
        return WEIR_OK;
    }
    if (why != NULL && s->insists_on_idempotence) {
        return error_set(error, WEIR_E_CONFIG,
                "enable.idempotence=true needs acks=all and retries above 0, but %s", why);
    }
    if (why == NULL && s->max_in_flight > SEQ_WINDOW) {
        return error_set(error, WEIR_E_CONFIG,
                "max.in.flight.requests.per.connection is %u; with enable.idempotence it is at "
                "most %d: a broker remembers no more batches. Lower it, or set "
                "enable.idempotence=false",
                (unsigned)s->max_in_flight, SEQ_WINDOW);
    }
    s->is_idempotent = why == NULL;
    s->idempotence_off_why = why;
    return WEIR_OK;
}

int settings_read(struct settings *s, const struct weir_conf *conf, struct weir_error *error)
{
    static const int32_t acks[] = {-1, -1, 1, 0};

    static const enum fetch_reset resets[] = {
            FETCH_RESET_EARLIEST, FETCH_RESET_LATEST, FETCH_RESET_NONE};

    static const enum partitioner_kind partitioners[] = {
            PARTITIONER_MURMUR2, PARTITIONER_CRC32, PARTITIONER_STICKY, PARTITIONER_ROUND_ROBIN};

    if (value_of(conf, KEY_BOOTSTRAP_SERVERS) == NULL) {
        return error_set(error, WEIR_E_CONFIG,
                "bootstrap.servers is missing: name at least one broker, as host:port");
    }
    if (strlen(value_of(conf, KEY_CLIENT_ID)) > 255) {
        return error_set(error, WEIR_E_CONFIG, "client.id is longer than 255 bytes");
    }
    *s = (struct settings){
            .bootstrap_servers = mem_strdup(value_of(conf, KEY_BOOTSTRAP_SERVERS)),
            .client_id = mem_strdup(value_of(conf, KEY_CLIENT_ID)),
            .has_callback_thread = choice(conf, KEY_CALLBACKS) == 1,
            .acks = acks[choice(conf, KEY_ACKS)],
            .codec = (enum batch_codec)choice(conf, KEY_COMPRESSION_TYPE),
            .partitioner = (int)partitioners[choice(conf, KEY_PARTITIONER)],
            .reset = (int)resets[choice(conf, KEY_AUTO_OFFSET_RESET)],
    };
    read_numbers(s, conf);
    int r = read_idempotence(s, conf, error);
    if (r != WEIR_OK) {
        settings_deinit(s);
    }
    return r;
}

void settings_deinit(struct settings *s)
{
    s->bootstrap_servers = mem_free(s->bootstrap_servers);
    s->client_id = mem_free(s->client_id);
}
