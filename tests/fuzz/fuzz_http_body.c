/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/conf.h"
#include "controller/shell/http_resources.h"
#include "controller/shell/survey.h"
#include "tests/fuzz/fuzz.h"

/* What the core may rely on: whatever the body was, a spec without faults is within all limits. */
static void check_spec(const struct http_topic_spec *s)
{
    char error[256];

    must(s->name != NULL);
    must(s->n_partitions == -1 ||
            (s->n_partitions >= 1 && s->n_partitions <= PARTITIONS_PER_TOPIC_MAX));
    must(s->replication_factor == -1 ||
            (s->replication_factor >= 1 && s->replication_factor <= REPLICAS_MAX));
    must(s->assignments.n == 0 || (size_t)s->n_partitions == s->assignments.n);
    for (size_t i = 0; i < s->assignments.n; i++) {
        must(s->assignments.items[i].n == s->replication_factor);
    }
    for (size_t i = 0; i < s->configs.n; i++) {
        const struct conf_key *key =
                conf_find_key(conf_topic_keys, conf_n_topic_keys, s->pairs[i].key);
        must(key != NULL);
        must(conf_check_value(key, s->pairs[i].value, NULL, error, sizeof(error)) == 0);
    }
}

static void fuzz_spec(struct bytes body)
{
    struct http_topic_spec spec;
    struct http_faults faults = {0};

    http_topic_spec_parse(body, &spec, &faults);
    if (faults.list == NULL) {
        check_spec(&spec);
    } else {
        must(faults.is_malformed || faults.code != 0);
        must(json_array_size(faults.list) > 0);
    }
    http_faults_deinit(&faults);
    http_topic_spec_deinit(&spec);
}

/* The values of a change, which the core takes as they are. */
static void check_change(const struct http_write *w)
{
    char error[256];

    for (size_t i = 0; i < w->config.configs.n; i++) {
        const struct meta_config_pair *pair = &w->config.pairs[i];
        const struct conf_key *key = conf_find_dynamic(w->config.target, pair->key);
        must(key != NULL);
        must(pair->value == NULL ||
                conf_check_value(key, pair->value, NULL, error, sizeof(error)) == 0);
    }
}

/* The whole way of a POST of `body`, or, for 'Q', of a list with `body` as its page_token, or, for
 * 'C' and 'M', of a change of configuration with `body` as its values or as its If-Match. */
static void fuzz_call(uint8_t kind, struct bytes body)
{
    struct image *image = image_new();
    struct http_counts counts = {0};
    struct http_view view = {.image = image, .counts = &counts, .is_active = true};
    struct http_answer answer = {0};
    struct http_write write = {.kind = HTTP_WRITE_NONE};
    char *text = mem_strndup((const char *)body.at, body.size);
    struct http_param param = {.name = "page_token", .value = text};
    struct http_call call = {.id = 1,
            .method = kind == 'Q'                  ? "GET"
                      : kind == 'C' || kind == 'M' ? "PATCH"
                                                   : "POST",
            .path = kind == 'C' || kind == 'M' ? "/v1/cluster/configs" : "/v1/topics",
            .query_text = "",
            .params = &param,
            .n_params = kind == 'Q' ? 1 : 0,
            .content_type = "application/json",
            .reason = kind == 'R' ? text : NULL,
            .if_match = kind == 'M' ? text : NULL,
            .body = body,
            .peer = "127.0.0.1"};

    http_counts_refresh(&counts, image);
    http_later_fn *later = NULL;
    char *later_arg = NULL;
    http_dispatch(&view, &call, &answer, &write, &later, &later_arg);
    mem_free(later_arg);
    must((answer.status != 0) == (write.kind == HTTP_WRITE_NONE));
    must(answer.status == 0 || answer.status == 200 || answer.status == 400 ||
            answer.status == 412 || answer.status == 422);
    if (write.kind == HTTP_WRITE_SET_CONFIGS) {
        check_change(&write);
    }
    http_answer_deinit(&answer);
    http_write_deinit(&write);
    http_counts_deinit(&counts);
    image_free(image);
    mem_free(text);
}

/* What another controller answers when it is asked whom it reaches. */
static void fuzz_survey(struct bytes body)
{
    struct survey_answer answer;

    survey_read(body, &answer);
    must(answer.standby.is_ready || answer.standby.n_reached == 0);
    must(memchr(answer.detail, '\0', sizeof(answer.detail)) != NULL);
}

/* The first byte says where the rest arrives: 'Q' page_token, 'R' Weir-Reason and body, 'C' a
 * change of configuration, 'M' its If-Match, 'S' an answer to /v1/brokers:reach, others only the
 * body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct bytes body = {.at = data + 1, .size = size - 1};
    if (data[0] == 'B') {
        fuzz_spec(body);
    } else if (data[0] == 'S') {
        fuzz_survey(body);
    } else {
        fuzz_call(data[0], body);
    }
    return 0;
}
