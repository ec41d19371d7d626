/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_call.h"

#include "common/base/uuid.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

const char *http_call_param(const struct http_call *c, const char *name)
{
    for (size_t i = 0; i < c->n_params; i++) {
        if (strcmp(c->params[i].name, name) == 0) {
            return c->params[i].value;
        }
    }
    return NULL;
}

/* --- Answers -------------------------------------------------------------------------------------------------------- */

void http_answer_deinit(struct http_answer *a)
{
    ARRAY_FOREACH (h, &a->headers) {
        mem_free(h->value);
    }
    array_deinit(&a->headers);
    buf_deinit(&a->body);
    memset(a, 0, sizeof(*a));
}

/* Bytes that end a header line or are not printable ASCII would let a value write headers of its own. */
static void make_header_safe(char *value)
{
    for (; *value != '\0'; value++) {
        if (*value < ' ' || *value > '~') {
            *value = '?';
        }
    }
}

void http_answer_header(struct http_answer *a, const char *name, const char *format, ...)
{
    struct buf text = {0};
    char stack[512];
    va_list args;

    va_start(args, format);
    int size = vsnprintf(stack, sizeof(stack), format, args);
    va_end(args);
    must(size >= 0);
    if ((size_t)size < sizeof(stack)) {
        buf_append(&text, stack, (size_t)size);
    } else {
        uint8_t *room = buf_grow(&text, (size_t)size + 1);
        must(room != NULL);
        va_start(args, format);
        (void)vsnprintf((char *)room, (size_t)size + 1, format, args);
        va_end(args);
        text.size = (size_t)size;
    }
    struct http_answer_header *h = array_push(&a->headers);
    h->name = name;
    h->value = mem_strdup(buf_str(&text));
    make_header_safe(h->value);
    buf_deinit(&text);
}

const char *http_answer_get(const struct http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->headers.n; i++) {
        if (strcmp(a->headers.items[i].name, name) == 0) {
            return a->headers.items[i].value;
        }
    }
    return NULL;
}

static int on_dump(const char *bytes, size_t size, void *ctx)
{
    struct buf *b = ctx;

    buf_append(b, bytes, size);
    return 0;
}

static void set_json(struct http_answer *a, int status, const char *content_type, json_t *json)
{
    must(json != NULL);
    buf_clear(&a->body);
    a->status = status;
    a->content_type = content_type;
    must(json_dump_callback(json, on_dump, &a->body, JSON_ENCODE_ANY) == 0);
    buf_u8(&a->body, '\n');
    json_decref(json);
}

void http_answer_json(struct http_answer *a, int status, json_t *json)
{
    set_json(a, status, "application/json", json);
}

void http_answer_text(struct http_answer *a, const char *content_type)
{
    a->status = 200;
    a->content_type = content_type;
}

/* --- Problems ------------------------------------------------------------------------------------------------------- */

struct problem_row {
    int status;
    const char *slug, *title;
    const char *name; /* NULL = the errcode's */
};

static const struct problem_row problem_rows[] = {
        [HTTP_PROBLEM_BAD_QUERY] = {400, "bad-query", "Bad query", "INVALID_REQUEST"},
        [HTTP_PROBLEM_BAD_BODY] = {400, "bad-body", "Bad body", "INVALID_REQUEST"},
        [HTTP_PROBLEM_BAD_HEADER] = {400, "bad-header", "Bad header", "INVALID_REQUEST"},
        [HTTP_PROBLEM_NO_RESOURCE] = {404, "no-such-resource", "No such resource",
                "NO_SUCH_RESOURCE"},
        [HTTP_PROBLEM_NO_BROKER] = {404, "unknown-broker", "Unknown broker", "UNKNOWN_BROKER"},
        [HTTP_PROBLEM_NO_DECISION] = {404, "unknown-decision", "Unknown decision",
                "UNKNOWN_DECISION"},
        [HTTP_PROBLEM_NO_OPERATION] = {404, "unknown-operation", "Unknown operation",
                "UNKNOWN_OPERATION"},
        [HTTP_PROBLEM_METHOD] = {405, "method-not-allowed", "Method not allowed",
                "METHOD_NOT_ALLOWED"},
        [HTTP_PROBLEM_TOO_LARGE] = {413, "body-too-large", "Body too large", "BODY_TOO_LARGE"},
        [HTTP_PROBLEM_NOT_JSON] = {415, "not-json", "Not JSON", "NOT_JSON"},
        [HTTP_PROBLEM_NOT_CONFIRMED] = {422, "not-confirmed", "Not confirmed", "NOT_CONFIRMED"},
        [HTTP_PROBLEM_NO_CONTROLLER] = {422, "unknown-controller", "Unknown controller",
                "UNKNOWN_CONTROLLER"},
        [HTTP_PROBLEM_TRANSFER] = {409, "transfer-refused", "Transfer refused", "TRANSFER_REFUSED"},
        [HTTP_PROBLEM_AMBIGUOUS] = {409, "ambiguous-name", "Ambiguous name", "AMBIGUOUS_NAME"},
        [HTTP_PROBLEM_PROTECTED] = {409, "topic-protected", "Topic is protected from deletion",
                "TOPIC_PROTECTED"},
        [HTTP_PROBLEM_ELSEWHERE] = {307, "not-controller", "Not the active controller", NULL},
};

/* Every errcode that a decision can end with; any other is the controller's own fault: 500. */
static const struct {
    int errcode;
    struct problem_row row;
} errcode_rows[] = {
        {ERRCODE_UNKNOWN_TOPIC_OR_PARTITION, {404, "unknown-topic", "Unknown topic", NULL}},
        {ERRCODE_UNKNOWN_TOPIC_ID, {404, "unknown-topic", "Unknown topic", NULL}},
        {ERRCODE_REASSIGNMENT_IN_PROGRESS,
                {409, "reassignment-in-progress", "Reassignment in progress", NULL}},
        {ERRCODE_NO_REASSIGNMENT_IN_PROGRESS,
                {409, "operation-ended", "The operation has ended", NULL}},
        {ERRCODE_TOPIC_ALREADY_EXISTS, {409, "topic-exists", "Topic exists", NULL}},
        {ERRCODE_INVALID_REQUEST, {400, "bad-request", "Bad request", NULL}},
        {ERRCODE_INVALID_TOPIC_EXCEPTION, {422, "invalid-topic-name", "Invalid topic name", NULL}},
        {ERRCODE_INVALID_PARTITIONS,
                {422, "invalid-partitions", "Invalid number of partitions", NULL}},
        {ERRCODE_INVALID_REPLICATION_FACTOR,
                {422, "invalid-replication-factor", "Invalid replication factor", NULL}},
        {ERRCODE_INVALID_REPLICA_ASSIGNMENT,
                {422, "invalid-assignment", "Invalid replica assignment", NULL}},
        {ERRCODE_INVALID_CONFIG, {422, "invalid-config", "Invalid configuration", NULL}},
        {ERRCODE_INVALID_UPDATE_VERSION, {412, "changed-meanwhile", "Changed meanwhile", NULL}},
        {ERRCODE_BROKER_ID_NOT_REGISTERED, {404, "unknown-broker", "Unknown broker", NULL}},
        {ERRCODE_POLICY_VIOLATION, {422, "policy-violation", "Against a policy", NULL}},
        {ERRCODE_UNSUPPORTED_VERSION, {422, "unsupported", "Not supported", NULL}},
        {ERRCODE_TOPIC_AUTHORIZATION_FAILED, {403, "not-allowed", "Not allowed", NULL}},
        {ERRCODE_CLUSTER_AUTHORIZATION_FAILED, {403, "not-allowed", "Not allowed", NULL}},
        {ERRCODE_NOT_CONTROLLER, {503, "not-controller", "Not the active controller", NULL}},
        {ERRCODE_LEADER_NOT_AVAILABLE, {503, "no-broker", "No broker available", NULL}},
        {ERRCODE_BROKER_NOT_AVAILABLE, {503, "no-broker", "No broker available", NULL}},
        {ERRCODE_REQUEST_TIMED_OUT, {504, "timed-out", "Timed out", NULL}},
};

static struct problem_row row_of(int errcode)
{
    for (size_t i = 0; i < COUNT_OF(errcode_rows); i++) {
        if (errcode_rows[i].errcode == errcode) {
            return errcode_rows[i].row;
        }
    }
    return (struct problem_row){500, "server-error", "Server error", NULL};
}

int http_status_of(int errcode)
{
    return row_of(errcode).status;
}

static void set_problem(struct http_answer *a,
        const struct http_call *c,
        const struct problem_row *row,
        int errcode,
        struct http_faults *faults,
        const char *hint,
        const char *detail)
{
    char type[96];
    char instance[32];
    json_t *list =
            faults != NULL && faults->list != NULL ? json_incref(faults->list) : json_array();

    (void)snprintf(type, sizeof(type), "urn:weir:problem:%s", row->slug);
    (void)snprintf(instance, sizeof(instance), "req-%" PRIu64, c->id);
    /* Kafka calls an unknown topic retriable, because its clients race with the topic's creation; here it is not. */
    bool is_retriable = row->status == 503 || row->status == 504 || row->status == 307;
    set_json(a, row->status, "application/problem+json",
            json_pack("{s:s, s:s, s:i, s:o, s:s, s:s, s:i, s:b, s:o, s:o}", "type", type, "title",
                    row->title, "status", row->status, "detail", http_json_text(detail), "instance",
                    instance, "code", row->name != NULL ? row->name : errcode_name(errcode),
                    "kafka_code", errcode, "retriable", is_retriable ? 1 : 0, "errors", list,
                    "hint", http_json_text(hint)));
    if (row->status == 503) {
        http_answer_header(a, "Retry-After", "1");
    }
    if (faults != NULL) {
        http_faults_deinit(faults);
    }
}

enum {
    DETAIL_SIZE = 1024
};

void http_problem(struct http_answer *a,
        const struct http_call *c,
        enum http_problem kind,
        struct http_faults *faults,
        const char *hint,
        const char *format,
        ...)
{
    char detail[DETAIL_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    set_problem(a, c, &problem_rows[kind],
            kind == HTTP_PROBLEM_ELSEWHERE   ? ERRCODE_NOT_CONTROLLER
            : kind == HTTP_PROBLEM_PROTECTED ? ERRCODE_POLICY_VIOLATION
                                             : ERRCODE_INVALID_REQUEST,
            faults, hint, detail);
}

void http_problem_of(struct http_answer *a,
        const struct http_call *c,
        int errcode,
        struct http_faults *faults,
        const char *hint,
        const char *format,
        ...)
{
    char detail[DETAIL_SIZE];
    va_list args;
    struct problem_row row = row_of(errcode);

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    set_problem(a, c, &row, errcode, faults, hint, detail);
}

/* --- Faults of a body ------------------------------------------------------------------------------------------------ */

enum {
    FAULTS_MAX = 50
}; /* more of them help nobody */

__attribute__((format(printf, 3, 0))) static void add_fault(
        struct http_faults *f, const char *pointer, const char *format, va_list args)
{
    char detail[DETAIL_SIZE];

    if (f->list == NULL) {
        f->list = json_array();
    }
    if (json_array_size(f->list) < FAULTS_MAX) {
        (void)vsnprintf(detail, sizeof(detail), format, args);
        must(json_array_append_new(
                     f->list, json_pack("{s:o, s:o}", "pointer", http_json_text(pointer), "detail",
                                      http_json_text(detail))) == 0);
    }
}

void http_fault(struct http_faults *f, const char *pointer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_fault(f, pointer, format, args);
    va_end(args);
    f->is_malformed = true;
}

void http_fault_rule(struct http_faults *f, int code, const char *pointer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_fault(f, pointer, format, args);
    va_end(args);
    f->code = f->code == 0 ? code : f->code;
}

void http_faults_deinit(struct http_faults *f)
{
    json_decref(f->list);
    memset(f, 0, sizeof(*f));
}

/* --- Values --------------------------------------------------------------------------------------------------------- */

json_t *http_json_text(const char *text)
{
    json_t *json = text != NULL ? json_string(text) : json_null();

    if (json == NULL) {
        char *copy = mem_strdup(text);
        for (char *at = copy; *at != '\0'; at++) {
            *at = (unsigned char)*at > '~' ? '?' : *at;
        }
        json = json_string(copy);
        mem_free(copy);
        must(json != NULL);
    }
    return json;
}

json_t *http_json_text_or_null(const char *text)
{
    return http_json_text(text != NULL && text[0] != '\0' ? text : NULL);
}

const char *http_time_text(wall_ms at, char text[HTTP_TIME_TEXT_SIZE])
{
    struct tm tm;
    time_t seconds = (time_t)(at / 1000);
    int ms = (int)(at % 1000);

    must(at >= 0 && at < (wall_ms)253402300800000); /* the year 10000 */
    must(gmtime_r(&seconds, &tm) != NULL);
    size_t size = strftime(text, HTTP_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms != 0) {
        (void)snprintf(text + size, HTTP_TIME_TEXT_SIZE - size, ".%03dZ", ms);
    } else {
        (void)snprintf(text + size, HTTP_TIME_TEXT_SIZE - size, "Z");
    }
    return text;
}

/* Times of records come from other machines' clocks; one that no calendar has is null. */
json_t *http_json_time(wall_ms at)
{
    char text[HTTP_TIME_TEXT_SIZE];

    return at > 0 && at < (wall_ms)253402300800000 ? json_string(http_time_text(at, text))
                                                   : json_null();
}

json_t *http_json_uuid(const struct uuid *u)
{
    char text[UUID_TEXT_SIZE];

    return uuid_is_zero(u) ? json_null() : json_string(uuid_format(u, text));
}

const char *http_shown(const char *text, char ret[HTTP_SHOWN_SIZE])
{
    size_t size = strnlen(text, HTTP_SHOWN_SIZE - 4);

    for (size_t i = 0; i < size; i++) {
        ret[i] = text[i];
        if (text[i] < ' ' || text[i] > '~') {
            ret[i] = '?';
        }
    }
    memcpy(ret + size, text[size] == '\0' ? "" : "...", text[size] == '\0' ? 1 : 4);
    return ret;
}

bool http_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    int64_t v = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(v, 10, &v) ||
                __builtin_add_overflow(v, *at - '0', &v)) {
            return false;
        }
    }
    if (v < min || v > max) {
        return false;
    }
    *ret = v;
    return true;
}
