/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of histories: what is written is JSON and is read again; what is no history is refused. */
#include "clients/check/history_file.h"
#include "clients/check/json_scan.h"
#include "clients/check/judge.h"
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/check/histories.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE(i, process, type, f, value)                                                           \
    "{\"i\":" #i ",\"process\":" #process ",\"t\":5,\"type\":\"" type "\",\"f\":\"" f              \
    "\",\"value\":" value "}"

static int add(struct history *h, const char *line, char *why, size_t size)
{
    return history_add_line(h, line, strlen(line), why, size);
}

/* Lines before the last one are right. */
static void refuse(const char *const *lines, size_t n, const char *words)
{
    struct history h;
    char why[256] = "";

    history_init(&h);
    history_begin_file(&h, "x");
    for (size_t i = 0; i + 1 < n; i++) {
        CHECK_EQ(add(&h, lines[i], why, sizeof(why)), 0);
    }
    CHECK_EQ(add(&h, lines[n - 1], why, sizeof(why)), HISTORY_E_REFUSED);
    if (strstr(why, words) == NULL) {
        check_fail(__FILE__, __LINE__, "%s: %s, not %s", lines[n - 1], why, words);
    }
    history_deinit(&h);
}

#define REFUSE(words, ...)                                                                         \
    refuse((const char *const[]){__VA_ARGS__}, COUNT_OF(((const char *const[]){__VA_ARGS__})),     \
            words)

static void what_is_no_line_is_refused(void)
{
    REFUSE("an object", "");
    REFUSE("an object", "[1]");
    REFUSE("is missing", "{}");
    REFUSE("is missing", "{\"i\":1,\"process\":0,\"t\":1,\"type\":\"ok\",\"f\":\"poll\"}");
    REFUSE("each member once", "{\"i\":1,\"i\":2}");
    REFUSE("behind its object", LINE(1, 0, "ok", "poll", "[]") " x");
    REFUSE("invoke, ok, fail or info", LINE(1, 0, "done", "poll", "[]"));
    REFUSE("whole number", "{\"i\":1.5}");
    REFUSE("whole number", "{\"i\":1234567890123456789}");
    REFUSE("nested", "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    REFUSE("a comma", "{\"i\":1 \"t\":2}");
    REFUSE("no operation", LINE(1, 0, "ok", "write", "[]"));
    REFUSE("missing, doubled", LINE(5, 0, "ok", "poll", "[]"), LINE(5, 0, "ok", "poll", "[]"));
}

static void operations_that_cannot_be_judged_are_refused(void)
{
    REFUSE("C9 and C10", LINE(1, 0, "ok", "txn", "[]"));
    REFUSE("C7, C8 and C12", LINE(1, 0, "ok", "subscribe", "[]"));
    REFUSE("C7, C8 and C12", LINE(1, 0, "ok", "commit", "[]"));
}

static void operations_of_another_form_are_refused(void)
{
    static const char sent[] = LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\",null]");

    REFUSE("another item", LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\"]"));
    REFUSE("the end of a list", LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\",null,1]"));
    REFUSE("<word>-<number>", LINE(1, 0, "invoke", "send", "[\"a\",0,\"v1\",null]"));
    REFUSE("sixteen", LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\",\"12\"]"));
    REFUSE("a partition", LINE(1, 0, "invoke", "send", "[\"a\",-1,\"v-1\",null]"));
    REFUSE("a topic", LINE(1, 0, "invoke", "send", "[\"\",0,\"v-1\",null]"));
    REFUSE("without a value", LINE(1, 0, "invoke", "send", "[\"a\",0,null,null]"));
    REFUSE("sent before, in line 1", sent, LINE(2, 0, "invoke", "send", "[\"a\",1,\"v-1\",null]"));
    REFUSE("never began", LINE(1, 0, "ok", "send", "[\"a\",0,\"v-1\",5]"));
    REFUSE("never began", sent, LINE(2, 1, "ok", "send", "[\"a\",0,\"v-1\",5]"));
    REFUSE("never began", sent, LINE(2, 0, "ok", "send", "[\"a\",1,\"v-1\",5]"));
    REFUSE("ended before", sent, LINE(2, 0, "ok", "send", "[\"a\",0,\"v-1\",5]"),
            LINE(3, 0, "info", "send", "[\"a\",0,\"v-1\"]"));
    REFUSE("the offset of a record", LINE(1, 0, "ok", "poll", "[[\"a\",0,[[null,\"v-1\",null]]]]"));
    REFUSE("0 or more", LINE(1, 0, "ok", "assign", "[[\"a\",0,-3]]"));
    REFUSE("while it is asking", LINE(1, 0, "invoke", "list_offsets", "null"),
            LINE(2, 0, "invoke", "list_offsets", "null"));
    REFUSE("never began", LINE(1, 0, "ok", "list_offsets", "[]"));
    REFUSE("never began", LINE(1, 0, "ok", "final", "[]"));
    REFUSE("not before it", LINE(1, 0, "invoke", "final", "null"),
            LINE(2, 0, "ok", "final", "[[\"a\",0,5,4]]"));
    REFUSE("true or false", LINE(1, 0, "ok", "producer", "{\"idempotent\":1}"));
    REFUSE("a whole number", LINE(1, 0, "ok", "producer", "{\"replicas\":\"1\"}"));
    REFUSE("a text", LINE(1, 0, "ok", "producer", "{\"acks\":1}"));
}

static void judge_these(const char *const *lines, size_t n, struct judge_verdict *v)
{
    struct history h;
    char why[256] = "";

    history_init(&h);
    history_begin_file(&h, "x");
    for (size_t i = 0; i < n; i++) {
        if (add(&h, lines[i], why, sizeof(why)) != 0) {
            check_fail(__FILE__, __LINE__, "%s: %s", why, lines[i]);
        }
    }
    judge_history(&h, v);
    history_deinit(&h);
}

/* A crash ends what the process was doing: it may ask again, and what it read before is no
 * promise. */
static void after_a_crash_it_is_another_client(void)
{
    static const char *const lines[] = {LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\",null]"),
            LINE(2, 0, "ok", "send", "[\"a\",0,\"v-1\",9]"),
            LINE(3, 0, "invoke", "list_offsets", "null"), LINE(4, 0, "info", "crash", "null"),
            LINE(5, 0, "invoke", "list_offsets", "null"),
            LINE(6, 0, "ok", "list_offsets", "[[\"a\",0,3]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 0);
    CHECK(v.results[JUDGE_C14_END_BACK].is_judged);
}

/* A producer that may write twice may. */
static void without_idempotence_a_duplicate_is_told_and_no_violation(void)
{
    static const char *const lines[] = {LINE(1, 0, "ok", "producer", "{\"idempotent\":false}"),
            LINE(2, 0, "invoke", "send", "[\"a\",0,\"v-1\",null]"),
            LINE(3, 0, "ok", "send", "[\"a\",0,\"v-1\",0]"),
            LINE(4, 1, "ok", "poll", "[[\"a\",0,[[0,\"v-1\",null],[1,\"v-1\",null]]]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 0);
    CHECK_EQ(v.n_doubled, 1);
    CHECK(!v.results[JUDGE_C13_CHANGED].is_judged);
}

#define ACKED(i, k, value, offset)                                                                 \
    LINE(i, 0, "invoke", "send", "[\"a\",0,\"" value "\",null]"),                                  \
            LINE(k, 0, "ok", "send", "[\"a\",0,\"" value "\"," #offset "]")

#define PRODUCER(text) LINE(1, 0, "ok", "producer", text)

/* Every way in which what a leader alone has acknowledged may be gone: lost below what was read (4)
 * and in the final read (9), another value at its offset (6), written again elsewhere (5 at 7), two
 * at one offset (8), an end that does not cover it yet. */
static void judge_early(const char *producer, struct judge_verdict *v)
{
    const char *const lines[] = {producer, ACKED(2, 3, "v-4", 4), ACKED(4, 5, "v-5", 5),
            ACKED(6, 7, "v-6", 6), ACKED(8, 9, "v-8", 8), ACKED(10, 11, "w-8", 8),
            LINE(12, 0, "invoke", "list_offsets", "null"),
            LINE(13, 0, "ok", "list_offsets", "[[\"a\",0,6]]"),
            LINE(14, 1, "invoke", "final", "null"), LINE(15, 1, "ok", "assign", "[[\"a\",0,0]]"),
            LINE(16, 1, "ok", "poll",
                    "[[\"a\",0,[[0,\"x-0\",null],[6,\"x-6\",null],[7,\"v-5\",null]]]]"),
            LINE(17, 1, "ok", "final", "[[\"a\",0,0,8]]")};

    judge_these(lines, COUNT_OF(lines), v);
}

/* Replication design 5: C1, C2, C11 and C14 are of acks=all. With one replica nobody else leads. */
static void what_a_leader_acknowledged_alone_is_no_promise_among_replicas(void)
{
    static const char *const no_promise[] = {PRODUCER("{\"acks\":\"1\",\"idempotent\":false}"),
            PRODUCER("{\"acks\":\"1\",\"replicas\":3,\"idempotent\":false}"),
            PRODUCER("{\"replicas\":3,\"idempotent\":false,\"acks\":\"1\"}")};
    static const char *const promise[] = {PRODUCER("{}"),
            PRODUCER("{\"acks\":\"all\",\"replicas\":3}"), PRODUCER("{\"acks\":\"-1\"}"),
            PRODUCER("{\"acks\":\"1\",\"replicas\":1}")};
    struct judge_verdict v;

    for (size_t i = 0; i < COUNT_OF(no_promise); i++) {
        judge_early(no_promise[i], &v);
        CHECK_EQ(judge_n_violated(&v), 0);
        CHECK_EQ(v.n_acked, 5);
        CHECK_EQ(v.n_early_absent, 4);
    }
    for (size_t i = 0; i < COUNT_OF(promise); i++) {
        judge_early(promise[i], &v);
        CHECK_EQ(v.results[JUDGE_C1_LOST].n, 2);
        CHECK_EQ(v.results[JUDGE_C2_UNSEEN].n, 2);
        CHECK_EQ(v.results[JUDGE_C3_INCONSISTENT].n, 1);
        CHECK_EQ(v.results[JUDGE_C11_DISPLACED].n, 1);
        CHECK_EQ(v.results[JUDGE_C14_END_BACK].n, 1);
        CHECK_EQ(v.n_early_absent, 0);
    }
}

/* Ends are promised whoever asks: a consumer that was told one is never told less. */
static void an_end_that_was_listed_never_goes_back(void)
{
    static const char *const lines[] = {PRODUCER("{\"acks\":\"1\",\"replicas\":3}"),
            LINE(2, 0, "invoke", "list_offsets", "null"),
            LINE(3, 0, "ok", "list_offsets", "[[\"a\",0,6]]"), ACKED(4, 5, "v-9", 9),
            LINE(6, 0, "invoke", "list_offsets", "null"),
            LINE(7, 0, "ok", "list_offsets", "[[\"a\",0,5]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(v.results[JUDGE_C14_END_BACK].n, 1);
    CHECK_EQ(v.results[JUDGE_C14_END_BACK].witnesses[0].other_offset, 6);
}

/* Between two assigns a consumer may pass over anything, and behind its last record too. */
static void only_what_a_consumer_passed_is_lost(void)
{
    static const char *const lines[] = {ACKED(1, 2, "v-1", 1), ACKED(3, 4, "v-5", 5),
            ACKED(5, 6, "v-9", 20), LINE(7, 1, "ok", "assign", "[[\"a\",0,0]]"),
            LINE(8, 1, "ok", "poll", "[[\"a\",0,[[0,\"x-0\",null],[1,\"v-1\",null]]]]"),
            LINE(9, 1, "ok", "assign", "[[\"a\",0,10]]"),
            LINE(10, 1, "ok", "poll", "[[\"a\",0,[[12,\"x-1\",null]]]]")};
    static const char *const passed[] = {ACKED(1, 2, "v-1", 11), ACKED(3, 4, "v-5", 12),
            LINE(9, 1, "ok", "assign", "[[\"a\",0,10]]"),
            LINE(10, 1, "ok", "poll", "[[\"a\",0,[[12,\"v-5\",null]]]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 0);
    CHECK_EQ(v.n_acked_absent, 2);
    judge_these(passed, COUNT_OF(passed), &v);
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C1_LOST].n, 1);
    CHECK_EQ(v.results[JUDGE_C1_LOST].witnesses[0].offset, 11);
}

/* Acknowledged after the final read began: nobody can say that it should be in it. Below its start:
 * deleted as too old. */
static void a_final_read_is_of_what_was_before_it(void)
{
    static const char *const lines[] = {ACKED(1, 2, "v-1", 3),
            LINE(3, 0, "invoke", "send", "[\"a\",0,\"v-2\",null]"),
            LINE(4, 1, "invoke", "final", "null"), LINE(5, 0, "ok", "send", "[\"a\",0,\"v-2\",7]"),
            LINE(6, 1, "ok", "assign", "[[\"a\",0,4]]"),
            LINE(7, 1, "ok", "poll", "[[\"a\",0,[[4,\"x-0\",null]]]]"),
            LINE(8, 1, "ok", "final", "[[\"a\",0,4,5]]")};
    static const char *const missing[] = {ACKED(1, 2, "v-1", 4),
            LINE(4, 1, "invoke", "final", "null"), LINE(6, 1, "ok", "assign", "[[\"a\",0,4]]"),
            LINE(8, 1, "ok", "final", "[[\"a\",0,4,4]]")};
    /* The same process had read it earlier: that is not the final read. */
    static const char *const before[] = {ACKED(1, 2, "v-1", 0),
            LINE(3, 1, "ok", "poll", "[[\"a\",0,[[0,\"v-1\",null]]]]"),
            LINE(4, 1, "invoke", "final", "null"), LINE(5, 1, "ok", "final", "[[\"a\",0,0,0]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 0);
    CHECK(v.results[JUDGE_C2_UNSEEN].is_judged);
    judge_these(missing, COUNT_OF(missing), &v);
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C2_UNSEEN].n, 1);
    judge_these(before, COUNT_OF(before), &v);
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C2_UNSEEN].n, 1);
}

/* Two acknowledgements of one offset, and nobody has read there yet. */
static void one_offset_is_promised_once(void)
{
    static const char *const lines[] = {ACKED(1, 2, "v-1", 4), ACKED(3, 4, "v-2", 4),
            LINE(5, 1, "invoke", "final", "null"), LINE(6, 1, "fail", "final", "null"),
            LINE(7, 1, "ok", "poll", "[[\"a\",0,[[0,\"x-0\",null]]]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(v.results[JUDGE_C3_INCONSISTENT].n, 1);
    CHECK(!v.results[JUDGE_C2_UNSEEN].is_judged);
}

static void a_value_in_another_partition_is_displaced(void)
{
    static const char *const lines[] = {
            ACKED(1, 2, "v-1", 4), LINE(3, 1, "ok", "poll", "[[\"a\",1,[[4,\"v-1\",null]]]]")};
    static const char *const unknown[] = {LINE(1, 0, "invoke", "send", "[\"a\",0,\"v-1\",null]"),
            LINE(3, 1, "ok", "poll", "[[\"a\",1,[[4,\"v-1\",null]]]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C11_DISPLACED].n, 1);
    judge_these(unknown, COUNT_OF(unknown), &v); /* acknowledged or not */
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C11_DISPLACED].n, 1);
}

/* A record of a load's topic that no load can have written. */
static void a_record_without_a_value_is_changed_bytes(void)
{
    static const char *const lines[] = {
            LINE(1, 1, "ok", "poll", "[[\"a\",1,[[4,null,\"0123456789abcdef\"]]]]")};
    struct judge_verdict v;

    judge_these(lines, COUNT_OF(lines), &v);
    CHECK_EQ(judge_n_violated(&v), 1);
    CHECK_EQ(v.results[JUDGE_C13_CHANGED].n, 1);
}

static void every_line_that_is_written_is_json(void)
{
    struct made m;
    struct buf lines = {0};
    size_t n = 0;

    made_init(&m, 11, 100);
    made_write(&m, -1, &lines);
    for (const char *at = buf_str(&lines), *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        json_t *o = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
        CHECK(o != NULL);
        CHECK_EQ(json_integer_value(json_object_get(o, "i")), n);
        n++;
        json_decref(o);
    }
    CHECK(n > 300);
    buf_deinit(&lines);
    made_deinit(&m);
}

/* A file with that text. */
static int read_text(struct history *h, const char *text, char *why, size_t size)
{
    char path[] = "/tmp/weir-history-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
    CHECK_EQ(close(fd), 0);
    int r = history_read_file(h, path, why, size);
    CHECK_EQ(unlink(path), 0);
    return r;
}

static void a_history_survives_its_writer(void)
{
    struct history h;
    char why[512] = "";

    history_init(&h);
    CHECK_EQ(read_text(&h,
                     LINE(1, 0, "ok", "poll", "[]") "\n" LINE(2, 0, "ok", "poll", "[]") "\n{\"i\":",
                     why, sizeof(why)),
            0); /* killed in the last line */
    CHECK_EQ(h.n_lines, 2);
    CHECK_EQ(read_text(&h, LINE(1, 0, "ok", "poll", "[]") "\nnonsense\n", why, sizeof(why)),
            HISTORY_E_REFUSED);
    CHECK(strstr(why, ":2: this is no line of a history") != NULL);
    CHECK(history_read_file(&h, "/nowhere/at/all", why, sizeof(why)) < 0);
    CHECK(strstr(why, "/nowhere/at/all") != NULL);
    history_deinit(&h);
}

static const struct check_case cases[] = {
        CASE(what_is_no_line_is_refused),
        CASE(operations_that_cannot_be_judged_are_refused),
        CASE(operations_of_another_form_are_refused),
        CASE(after_a_crash_it_is_another_client),
        CASE(without_idempotence_a_duplicate_is_told_and_no_violation),
        CASE(what_a_leader_acknowledged_alone_is_no_promise_among_replicas),
        CASE(an_end_that_was_listed_never_goes_back),
        CASE(only_what_a_consumer_passed_is_lost),
        CASE(a_final_read_is_of_what_was_before_it),
        CASE(one_offset_is_promised_once),
        CASE(a_value_in_another_partition_is_displaced),
        CASE(a_record_without_a_value_is_changed_bytes),
        CASE(every_line_that_is_written_is_json),
        CASE(a_history_survives_its_writer),
};

CHECK_MAIN("history", cases)
