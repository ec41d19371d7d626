/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker_configs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/cleaner.h"
#include "broker/shell/fetcher.h"
#include "broker/shell/keeper.h"
#include "broker/shell/scrubber.h"
#include "broker/shell/throttles.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"

enum {
    ERROR_SIZE = 512
};

enum source {
    SOURCE_DEFAULT,
    SOURCE_FILE,
    SOURCE_CLUSTER,
    SOURCE_BROKER
};

static const char *const source_words[] = {"default", "file", "cluster", "broker"};

/* One key of the broker's table. */
struct setting {
    enum source source;
    char *text;
    int64_t i64; /* of an I64; of a RATIO its millionths */
};

struct broker_configs {
    struct broker *b;
    struct setting *items; /* conf_n_broker_keys */
};

/* --- Values ----------------------------------------------------------------------------------- */

static size_t row_of(const char *name)
{
    const struct conf_key *key = conf_find_key(conf_broker_keys, conf_n_broker_keys, name);

    must(key != NULL);
    return (size_t)(key - conf_broker_keys);
}

/* As a plain number, whatever unit it was given in. */
static char *file_text(const struct conf *conf, const struct conf_key *key)
{
    switch (key->type) {
    case CONF_I64: return mem_format("%" PRId64, conf_i64(conf, key->name));
    case CONF_BOOL: return mem_strdup(conf_bool(conf, key->name) ? "true" : "false");
    case CONF_STRING:
    case CONF_LIST:
    case CONF_RATIO:
    case CONF_ENUM: break;
    }
    return mem_strdup(conf_str(conf, key->name));
}

static int64_t file_number(const struct conf *conf, const struct conf_key *key)
{
    return key->type == CONF_I64     ? conf_i64(conf, key->name)
           : key->type == CONF_RATIO ? conf_ratio(conf, key->name)
                                     : 0;
}

static struct setting file_setting(const struct conf *conf, const struct conf_key *key)
{
    return (struct setting){.source = conf_is_set(conf, key->name) ? SOURCE_FILE : SOURCE_DEFAULT,
            .text = file_text(conf, key),
            .i64 = file_number(conf, key)};
}

static bool take(
        const struct conf_key *key, const char *text, enum source source, struct setting *ret)
{
    char error[ERROR_SIZE];
    int64_t i64 = 0;

    if (text == NULL || conf_check_value(key, text, &i64, error, sizeof(error)) != 0) {
        return false;
    }
    *ret = (struct setting){.source = source, .text = mem_strdup(text), .i64 = i64};
    return true;
}

/* [CFG-10] The first that is given and can be read. */
static struct setting in_force(const struct broker *b, const struct conf_key *key)
{
    const struct image_broker *me = image_broker(b->image, b->id);
    struct setting s;

    if (key->is_dynamic &&
            ((me != NULL && take(key, image_broker_config(me, key->name), SOURCE_BROKER, &s)) ||
                    take(key, image_cluster_config(b->image, key->name), SOURCE_CLUSTER, &s))) {
        return s;
    }
    return file_setting(b->conf, key);
}

int64_t broker_configs_i64(const struct broker_configs *c, const char *name)
{
    size_t i = row_of(name);

    must(conf_broker_keys[i].type == CONF_I64 || conf_broker_keys[i].type == CONF_RATIO);
    must(conf_broker_keys[i].is_dynamic);
    return c->items[i].i64;
}

/* --- Applying --------------------------------------------------------------------------------- */

static const char *text_in_force(const struct broker_configs *c, const char *name)
{
    return c->items[row_of(name)].text;
}

/* [CFG-12] Everything that a dynamic key governs. Limits of a connection are read when it has
 * greeted, so that the connections there are keep theirs. */
static void apply(struct broker_configs *c)
{
    enum log_level level = LOG_INFO;

    if (log_level_parse(text_in_force(c, "log.level"), &level)) {
        log_set_level(level);
    }
    conn_limits_set(&c->b->conn_limits, broker_configs_i64(c, "max.connections"),
            broker_configs_i64(c, "max.connections.per.ip"));
    keeper_intervals_changed(c->b->keeper);
    scrubbers_set_rate(
            c->b->scrubbers, broker_configs_i64(c, "weir.scrub.bytes.per.second"));
    cleaner_limits_changed(c->b->cleaner);
    if (throttles_set_rate(c->b->throttles,
                broker_configs_i64(c, "weir.reassignment.bytes.per.second"), clock_now())) {
        fetchers_hurry(c->b->fetchers); /* [THR-5] */
    }
}

void broker_configs_refresh(struct broker_configs *c)
{
    bool is_changed = false;

    for (size_t i = 0; i < conf_n_broker_keys; i++) {
        const struct conf_key *key = &conf_broker_keys[i];
        struct setting was = c->items[i], is;

        if (!key->is_dynamic) {
            continue;
        }
        is = in_force(c->b, key);
        if (strcmp(was.text, is.text) != 0) {
            is_changed = true;
            log_info("configs", "value_changed", KV_STR("key", key->name), KV_STR("value", is.text),
                    KV_STR("source", source_words[is.source]), KV_STR("old", was.text));
        }
        c->items[i] = is;
        (void)mem_free(was.text);
    }
    if (is_changed) {
        apply(c);
    }
}

/* --- What cannot be read ---------------------------------------------------------------------- */

static enum conf_target target_of(enum config_scope scope)
{
    switch (scope) {
    case CONFIG_CLUSTER: return CONF_OF_CLUSTER;
    case CONFIG_TOPIC: return CONF_OF_TOPIC;
    case CONFIG_BROKER: return CONF_OF_BROKER;
    }
    must_not_reach("a scope that is none");
}

static void look_at_pairs(
        enum conf_target target, const struct meta_config_pair *pairs, size_t n_pairs)
{
    char error[ERROR_SIZE];

    for (size_t i = 0; i < n_pairs; i++) {
        const struct conf_key *key = conf_find_dynamic(target, pairs[i].key);

        if (pairs[i].value == NULL) {
            continue;
        }
        if (key == NULL) {
            (void)snprintf(
                    error, sizeof(error), "this version (%s) does not know the key", WEIR_VERSION);
        } else if (conf_check_value(key, pairs[i].value, NULL, error, sizeof(error)) == 0) {
            continue;
        }
        log_warn("configs", "value_ignored", KV_STR("scope", conf_target_word(target)),
                KV_STR("key", pairs[i].key), KV_STR("reason", error));
    }
}

void broker_configs_look_at(const struct broker_configs *c, const struct msg_record_list *records)
{
    for (size_t i = 0; i < records->n_records; i++) {
        const struct meta_record *r = &records->records[i];

        if (r->kind == META_CREATE_TOPIC) {
            look_at_pairs(CONF_OF_TOPIC, r->create_topic.configs, r->create_topic.n_configs);
        } else if (r->kind == META_CONFIG_SET &&
                   (r->config_set.scope != CONFIG_BROKER || r->config_set.broker == c->b->id)) {
            look_at_pairs(
                    target_of(r->config_set.scope), r->config_set.configs, r->config_set.n_configs);
        }
    }
}

/* --- Telling ---------------------------------------------------------------------------------- */

struct msg_describe_configs_response broker_configs_describe(const struct broker_configs *c)
{
    struct msg_config_entry *entries = mem_new_n(struct msg_config_entry, conf_n_broker_keys);

    for (size_t i = 0; i < conf_n_broker_keys; i++) {
        entries[i] = (struct msg_config_entry){.name = conf_broker_keys[i].name,
                .value = c->items[i].text,
                .source = source_words[c->items[i].source],
                .read_only = !conf_broker_keys[i].is_dynamic};
    }
    return (struct msg_describe_configs_response){
            .configs = entries, .n_configs = conf_n_broker_keys};
}

/* --- Life ------------------------------------------------------------------------------------- */

struct broker_configs *broker_configs_new(struct broker *b)
{
    struct broker_configs *c = mem_new(struct broker_configs);

    c->b = b;
    c->items = mem_new_n(struct setting, conf_n_broker_keys);
    for (size_t i = 0; i < conf_n_broker_keys; i++) {
        c->items[i] = file_setting(b->conf, &conf_broker_keys[i]);
    }
    return c;
}

struct broker_configs *broker_configs_free(struct broker_configs *c)
{
    if (c == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < conf_n_broker_keys; i++) {
        (void)mem_free(c->items[i].text);
    }
    (void)mem_free(c->items);
    return mem_free(c);
}
