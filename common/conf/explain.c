/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/bytes.h"
#include "common/base/cleanup.h"
#include "common/base/must.h"
#include "common/conf/internal.h"

#include <stdio.h>
#include <string.h>

/* Where a key belongs that is not known where it was given. Three places: a daemon's file, the
 * cluster's metadata, a topic. */

static const struct conf_key *find_topic_key(const char *name)
{
    return conf_find_key(conf_topic_keys, conf_n_topic_keys, name);
}

static const struct conf_key *find_cluster_key(const char *name)
{
    return conf_find_key(conf_cluster_keys, conf_n_cluster_keys, name);
}

/* The daemon whose table has it, or NULL. */
static const char *program_of(const char *name)
{
    if (conf_find_key(conf_broker_keys, conf_n_broker_keys, name) != NULL) {
        return "weir-broker";
    }
    return conf_find_key(conf_controller_keys, conf_n_controller_keys, name) != NULL
                   ? "weir-controller"
                   : NULL;
}

/* [CFG-2] */
void conf_explain_unknown(const struct conf_key *keys,
        size_t n_keys,
        const char *name,
        char *error,
        size_t error_size)
{
    char shown[CONF_PRINTABLE_SIZE];
    const char *program = program_of(name);
    const struct conf_key *topic_key = find_topic_key(name);
    const char *nearest = conf_nearest(keys, n_keys, name);

    (void)conf_printable(name, shown);
    if (program != NULL) {
        (void)snprintf(error, error_size, "%s is a key of %s, not of this program", shown, program);
    } else if (find_cluster_key(name) != NULL) {
        (void)snprintf(error, error_size,
                "%s is cluster configuration, which no file has; set it with `weir cluster config "
                "set %s=VALUE`",
                shown, shown);
    } else if (topic_key != NULL) {
        (void)snprintf(error, error_size,
                "%s is topic configuration, which no file has; set it with `weir topic set TOPIC "
                "%s=VALUE`, for all topics with `weir cluster config set %s=VALUE`",
                shown, shown, conf_cluster_key_of(topic_key)->name);
    } else if (nearest != NULL) {
        (void)snprintf(
                error, error_size, "unknown key \"%s\"; did you mean \"%s\"?", shown, nearest);
    } else {
        (void)snprintf(error, error_size, "unknown key \"%s\"; --help lists the keys", shown);
    }
}

/* --- What runs -------------------------------------------------------------------------------- */

static const struct conf_key *table_of(enum conf_target target, size_t *ret_n)
{
    switch (target) {
    case CONF_OF_CLUSTER: *ret_n = conf_n_cluster_keys; return conf_cluster_keys;
    case CONF_OF_TOPIC: *ret_n = conf_n_topic_keys; return conf_topic_keys;
    case CONF_OF_BROKER: *ret_n = conf_n_broker_keys; return conf_broker_keys;
    }
    must_not_reach("a target that is none");
}

const char *conf_target_word(enum conf_target target)
{
    switch (target) {
    case CONF_OF_CLUSTER: return "cluster";
    case CONF_OF_TOPIC: return "topic";
    case CONF_OF_BROKER: return "broker";
    }
    must_not_reach("a target that is none");
}

const struct conf_key *conf_find_dynamic(enum conf_target target, const char *name)
{
    size_t n = 0;
    const struct conf_key *keys = table_of(target, &n);
    const struct conf_key *key = conf_find_key(keys, n, name);

    return key != NULL && key->is_dynamic ? key : NULL;
}

/* The dynamic key of the target that is nearest, or NULL. */
static const char *nearest_dynamic(enum conf_target target, const char *name)
{
    size_t n = 0;
    const struct conf_key *keys = table_of(target, &n);
    const char *nearest = conf_nearest(keys, n, name);

    return nearest != NULL && conf_find_dynamic(target, nearest) != NULL ? nearest : NULL;
}

static void explain_none(enum conf_target target, const char *shown, char *error, size_t error_size)
{
    CLEANUP(buf_deinit) struct buf known = {0};
    size_t n = 0;
    const struct conf_key *keys = table_of(target, &n);

    for (size_t i = 0; i < n; i++) {
        if (keys[i].is_dynamic) {
            buf_append_format(&known, "%s%s", known.size > 0 ? ", " : "", keys[i].name);
        }
    }
    (void)snprintf(error, error_size, "unknown %s configuration '%s'; there are %s",
            conf_target_word(target), shown, buf_str(&known));
}

/* A topic's key under the name that the target has for it, or the other way round; or NULL. */
static const char *other_name(enum conf_target target, const char *name)
{
    const struct conf_key *key = find_topic_key(name);

    if (target == CONF_OF_CLUSTER && key != NULL) {
        return conf_cluster_key_of(key)->name;
    }
    for (size_t i = 0; target == CONF_OF_TOPIC && i < conf_n_topic_keys; i++) {
        if (strcmp(conf_cluster_key_of(&conf_topic_keys[i])->name, name) == 0) {
            return conf_topic_keys[i].name;
        }
    }
    return NULL;
}

/* [CFG-2] */
const char *conf_explain_target(
        enum conf_target target, const char *name, char *error, size_t error_size)
{
    char shown[CONF_PRINTABLE_SIZE];
    const char *word = conf_target_word(target);
    const char *other = other_name(target, name);
    const char *program = program_of(name);
    const char *nearest = nearest_dynamic(target, name);

    (void)conf_printable(name, shown);
    if (other != NULL) {
        (void)snprintf(error, error_size, "'%s' is the %s's name for it; of a %s it is '%s'", shown,
                target == CONF_OF_CLUSTER ? "topic" : "cluster", word, other);
    } else if (program != NULL && conf_find_dynamic(CONF_OF_BROKER, name) != NULL) {
        (void)snprintf(error, error_size,
                "'%s' is configuration of brokers: give it to one broker or to the cluster", shown);
    } else if (program != NULL) {
        (void)snprintf(error, error_size,
                "'%s' is read when %s starts: change it in its file and restart it", shown,
                program);
    } else if (find_cluster_key(name) != NULL) {
        (void)snprintf(error, error_size, "'%s' is configuration of the cluster", shown);
    } else if (find_topic_key(name) != NULL) {
        (void)snprintf(error, error_size, "'%s' is configuration of a topic", shown);
    } else if (nearest != NULL) {
        (void)snprintf(error, error_size, "unknown %s configuration '%s'; did you mean '%s'?", word,
                shown, nearest);
    } else {
        explain_none(target, shown, error, error_size);
    }
    return error;
}
