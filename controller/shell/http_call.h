/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/wtime.h"
#include "common/domain/errcode.h"

#include <jansson.h>

struct uuid;

/* One admin request and its answer as values, so that the resources know no server. Thread: owner. */

struct http_param {
    const char *name;
    const char *value;
};

/* Borrowed from the server's request. */
struct http_call {
    uint64_t id;
    const char *method;
    const char *path;       /* percent-decoded, without query */
    const char *query_text; /* raw; "" = none */
    const struct http_param *params;
    size_t n_params;
    const char *content_type; /* NULL = none given */
    const char *reason;       /* Weir-Reason; NULL = none given */
    const char *if_match;     /* If-Match; NULL = none given */
    struct bytes body;
    const char *peer;
};

/* The value of a query parameter, or NULL. */
const char *http_call_param(const struct http_call *c, const char *name);

struct http_answer_header {
    const char *name; /* a constant */
    char *value;
};

/* Zero-initialised = not answered yet (status 0). */
struct http_answer {
    int status;
    const char *content_type; /* a constant */
    ARRAY(struct http_answer_header) headers;
    struct buf body;
};

void http_answer_deinit(struct http_answer *a);
void http_answer_header(struct http_answer *a, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The value of a header that was set, or NULL. */
const char *http_answer_get(const struct http_answer *a, const char *name);
/* Takes `json` over. */
void http_answer_json(struct http_answer *a, int status, json_t *json);
void http_answer_text(struct http_answer *a, const char *content_type);

/* --- Problems (RFC 9457) -------------------------------------------------------------------------------------------- */

/* What is wrong with the members of a body: `[{"pointer", "detail"}]`. */
struct http_faults {
    json_t *list;      /* NULL = none */
    bool is_malformed; /* at least one is of syntax: 400, else 422 */
    int code;          /* ERRCODE_* of the first one that breaks a rule */
};

void http_fault(struct http_faults *f, const char *pointer, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* A rule is broken, not the syntax. */
void http_fault_rule(struct http_faults *f, int code, const char *pointer, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
void http_faults_deinit(struct http_faults *f);

/* Problems that no errcode names; their `code` is the name, their kafka_code INVALID_REQUEST. */
enum http_problem {
    HTTP_PROBLEM_BAD_QUERY,
    HTTP_PROBLEM_BAD_BODY,
    HTTP_PROBLEM_BAD_HEADER,
    HTTP_PROBLEM_NO_RESOURCE,
    HTTP_PROBLEM_NO_BROKER,
    HTTP_PROBLEM_NO_DECISION,
    HTTP_PROBLEM_NO_OPERATION,
    HTTP_PROBLEM_METHOD,
    HTTP_PROBLEM_TOO_LARGE,
    HTTP_PROBLEM_NOT_JSON,
    HTTP_PROBLEM_NOT_CONFIRMED,
    HTTP_PROBLEM_NO_CONTROLLER,
    HTTP_PROBLEM_TRANSFER,
    HTTP_PROBLEM_AMBIGUOUS,
    HTTP_PROBLEM_PROTECTED, /* kafka_code is POLICY_VIOLATION */
    HTTP_PROBLEM_ELSEWHERE, /* the caller sets Location; code and kafka_code are NOT_CONTROLLER */
};

/* Answers with a problem. `faults` (may be NULL) is emptied. `hint` says what to do next; "" = none. */
void http_problem(struct http_answer *a,
        const struct http_call *c,
        enum http_problem kind,
        struct http_faults *faults,
        const char *hint,
        const char *format,
        ...) __attribute__((format(printf, 6, 7)));
/* The same for an error of the core: status, type and title come from its code. A 503 says Retry-After. */
void http_problem_of(struct http_answer *a,
        const struct http_call *c,
        int errcode,
        struct http_faults *faults,
        const char *hint,
        const char *format,
        ...) __attribute__((format(printf, 6, 7)));
/* HTTP status of an errcode. */
int http_status_of(int errcode);

/* --- Values --------------------------------------------------------------------------------------------------------- */

/* A JSON string of text that others gave: bytes that are no UTF-8 become '?'. NULL becomes null. */
json_t *http_json_text(const char *text);
/* The same, with "" as null. */
json_t *http_json_text_or_null(const char *text);
json_t *http_json_time(
        wall_ms at); /* RFC 3339 UTC; milliseconds only when there are some; null when it is none */
json_t *http_json_uuid(const struct uuid *u); /* zero = null */

enum {
    HTTP_TIME_TEXT_SIZE = 40
};

/* `at` of this millennium or the next seven. */
const char *http_time_text(wall_ms at, char text[HTTP_TIME_TEXT_SIZE]);

/* `text` for a message: cut at 80 bytes, what is not printable ASCII as '?'. */
enum {
    HTTP_SHOWN_SIZE = 84
};

const char *http_shown(const char *text, char ret[HTTP_SHOWN_SIZE]);
/* The whole string as a number from min to max; false otherwise. */
bool http_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret);

/* --- Lists ---------------------------------------------------------------------------------------------------------- */

/* One page of a list. The token is opaque: base64url of the kind's letter and the key of the last item. */
struct http_page {
    char kind;      /* 't' topics, 'x' trash, 'd' decisions, 'p' partitions, 'b' brokers, 'c' controllers */
    size_t size;    /* 1 … 1000 */
    bool has_after; /* items come after `after` */
    char after[256];
    json_t *items;
    char *next; /* the token of the next page; NULL = this is the last */
};

/* false: page_size or page_token is wrong, and `a` says so. */
bool http_page_begin(
        struct http_page *p, char kind, const struct http_call *c, struct http_answer *a);
/* Numeric key of the last item, for lists in the order of a number; -1 = from the start. */
int64_t http_page_after_number(const struct http_page *p);
bool http_page_is_full(const struct http_page *p);
void http_page_add(struct http_page *p, json_t *item);
/* There are more; `last` is the key of the last item added. */
void http_page_more(struct http_page *p, const char *last);
void http_page_more_number(struct http_page *p, int64_t last);
/* Answers 200 and ends the page. */
void http_page_end(struct http_page *p, struct http_answer *a);
