/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/clients/mock_broker.h"
#include "tests/unit/clients/mock_log.h"

#include "common/base/arena.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/domain/record_batch.h"
#include "common/net/rpc.h"

#include <pthread.h>
#include <string.h>

struct topic {
    char *name;
    struct uuid id;
    struct mock_log *logs;
    int32_t n;
};

struct act {
    enum wire_api api;
    enum mock_act act;
    int value, times;
};

/* A request that is answered later: held, or a long poll. */
struct parked {
    struct rpc_request *request;
    struct session *session;
    wtime deadline; /* held: WTIME_NEVER */
    bool is_held;
};

struct broker {
    struct mock *mock;
    bool is_mute;
    int id;
    struct listener *listener;
    uint16_t port;
};

struct session {
    TAILQ_ENTRY(session) entry;
    struct broker *broker;
    struct rpc_conn *conn;
};

struct mock {
    pthread_mutex_t lock;
    struct loop *loop;
    char *host;
    char bootstrap[256];
    struct broker brokers[MOCK_BROKERS_MAX];
    int n_brokers;
    TAILQ_HEAD(sessions, session) sessions;
    ARRAY(struct topic *) topics;
    ARRAY(struct act) acts;
    ARRAY(struct parked) parked;
    unsigned n_requests[64];
    struct timer timer;
    struct buf values;
    bool forgets, has_no_ids, is_frozen;
    int64_t next_id;
};

static void serve(struct session *s, struct rpc_request *r);

/* --- Running things on the loop --------------------------------------------------------------- */

struct errand {
    struct loop_task task;
    struct mock *mock;
    void (*run)(struct mock *m, int arg);
    int arg;
    bool is_done;
    pthread_cond_t done;
};

static void on_errand(struct loop_task *task)
{
    struct errand *e = container_of(task, struct errand, task);

    e->run(e->mock, e->arg);
    pthread_mutex_lock(&e->mock->lock);
    e->is_done = true;
    pthread_cond_signal(&e->done);
    pthread_mutex_unlock(&e->mock->lock);
}

static void on_loop(struct mock *m, void (*run)(struct mock *m, int arg), int arg)
{
    struct errand e = {.task.run = on_errand, .mock = m, .run = run, .arg = arg};

    must(pthread_cond_init(&e.done, NULL) == 0);
    loop_post(m->loop, &e.task);
    pthread_mutex_lock(&m->lock);
    while (!e.is_done) {
        pthread_cond_wait(&e.done, &m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    pthread_cond_destroy(&e.done);
}

/* --- The data --------------------------------------------------------------------------------- */

static struct topic *topic_by_name(struct mock *m, const char *name)
{
    ARRAY_FOREACH (t, &m->topics) {
        if (strcmp((*t)->name, name) == 0) {
            return *t;
        }
    }
    return NULL;
}

static struct mock_log *log_of(struct mock *m, const struct uuid *id, int32_t partition)
{
    ARRAY_FOREACH (t, &m->topics) {
        if (uuid_equal(&(*t)->id, id)) {
            return partition < (*t)->n ? &(*t)->logs[partition] : NULL;
        }
    }
    return NULL;
}

static struct mock_log *log_by_name(struct mock *m, const char *name, int32_t partition)
{
    struct topic *t = topic_by_name(m, name);

    must(t != NULL);
    must(partition < t->n);
    return &t->logs[partition];
}

/* --- Requests --------------------------------------------------------------------------------- */

static struct act *act_of(struct mock *m, uint32_t api)
{
    ARRAY_FOREACH (a, &m->acts) {
        if (a->api == api) {
            return a;
        }
    }
    return NULL;
}

static void use_act(struct mock *m, struct act *a)
{
    if (--a->times == 0) {
        array_remove(&m->acts, (size_t)(a - m->acts.items));
    }
}

static void park(struct session *s, struct rpc_request *r, bool is_held, wtime deadline)
{
    struct mock *m = s->broker->mock;

    *array_push(&m->parked) =
            (struct parked){.request = r, .session = s, .is_held = is_held, .deadline = deadline};
    if (!is_held && deadline < m->timer.deadline) {
        timer_set(&m->timer, deadline);
    }
}

static void answer_hello(struct session *s, struct rpc_request *r, struct rpc_out *out)
{
    struct msg_hello_response h = {.cluster_id.bytes = {7, 7, 7},
            .broker = s->broker->id,
            .broker_epoch = 1,
            .version = "mock",
            .max_request_bytes = 100 << 20};

    (void)r;
    wire_encode_hello_response(&h, rpc_out_buf(out));
}

static void metadata_topic(struct arena *a,
        struct mock *m,
        const char *name,
        int error,
        struct msg_metadata_topic *ret)
{
    const struct topic *t = topic_by_name(m, name);

    *ret = (struct msg_metadata_topic){.name = name,
            .error = error != 0  ? error
                     : t == NULL ? ERRCODE_UNKNOWN_TOPIC_OR_PARTITION
                                 : 0};
    if (ret->error != 0) {
        return;
    }
    ret->topic_id = t->id;
    ret->n_partitions = (size_t)t->n;
    ret->partitions = arena_alloc(a, ret->n_partitions * sizeof(*ret->partitions));
    for (int32_t p = 0; p < t->n; p++) {
        ret->partitions[p] = (struct msg_metadata_partition){.leader = t->logs[p].leader,
                .leader_epoch = m->is_frozen ? t->logs[p].told_epoch : t->logs[p].epoch};
        ret->partitions[p].replicas.n = ret->partitions[p].isr.n = 1;
        ret->partitions[p].replicas.at[0] = ret->partitions[p].isr.at[0] = t->logs[p].leader;
    }
}

static void answer_metadata(
        struct session *s, struct rpc_request *r, int error, struct rpc_out *out)
{
    struct mock *m = s->broker->mock;
    struct msg_metadata_broker brokers[MOCK_BROKERS_MAX];
    const char *controllers[] = {"http://127.0.0.1:9180"};
    struct msg_metadata_request q;
    struct arena a;

    arena_init(&a, 0);
    must(wire_decode_metadata_request(r->body, &a, &q) == 0);
    struct msg_metadata_response answer = {.cluster_id.bytes = {7, 7, 7},
            .metadata_index = 1,
            .controllers = controllers,
            .n_controllers = 1,
            .brokers = brokers,
            .n_brokers = (size_t)m->n_brokers,
            .n_topics = q.n_topics};
    for (int i = 0; i < m->n_brokers; i++) {
        brokers[i] = (struct msg_metadata_broker){
                .id = i, .host = m->host, .port = m->brokers[i].port, .rack = ""};
    }
    answer.topics = arena_alloc(&a, (q.n_topics + 1) * sizeof(*answer.topics));
    for (size_t i = 0; i < q.n_topics; i++) {
        metadata_topic(&a, m, q.topics[i], error, &answer.topics[i]);
    }
    wire_encode_metadata_response(&answer, rpc_out_buf(out));
    arena_deinit(&a);
}

static int produce_error(struct session *s, const struct mock_log *log, const struct act *act)
{
    return act != NULL && act->act == MOCK_ERROR ? act->value
           : log == NULL                         ? ERRCODE_UNKNOWN_TOPIC_ID
           : log->leader != s->broker->id        ? ERRCODE_NOT_LEADER_OR_FOLLOWER
                                                 : 0;
}

static bool answer_produce(
        struct session *s, struct rpc_request *r, const struct act *act, struct rpc_out *out)
{
    struct mock *m = s->broker->mock;
    struct msg_produce_request q;
    struct arena a;

    arena_init(&a, 0);
    must(wire_decode_produce_request(r->body, &a, &q) == 0);
    struct msg_produce_response answer = {.n_partitions = q.n_partitions};
    answer.partitions = arena_alloc(&a, (q.n_partitions + 1) * sizeof(*answer.partitions));
    for (size_t i = 0; i < q.n_partitions; i++) {
        const struct msg_produce_partition *p = &q.partitions[i];
        struct mock_log *log = log_of(m, &p->topic_id, p->partition);
        struct msg_produce_result *result = &answer.partitions[i];
        struct batch b;
        *result = (struct msg_produce_result){.topic_id = p->topic_id,
                .partition = p->partition,
                .base_offset = -1,
                .log_append_time = -1,
                .log_start = -1,
                .detail = ""};
        result->error = produce_error(s, log, act);
        if (result->error == 0 &&
                batch_validate_produced(p->records.at, p->records.size, &b) != 0) {
            result->error = ERRCODE_CORRUPT_MESSAGE;
        }
        if (result->error == 0) {
            result->error = mock_producers_check(&log->producers, &b, &result->base_offset);
        }
        if (result->error != 0) {
            result->detail = "as the script says";
            continue;
        }
        if (result->base_offset < 0) {
            result->base_offset = mock_log_append(log, p->records.at, p->records.size, m->forgets);
            mock_producers_note(&log->producers, &b, result->base_offset);
        }
        if (act != NULL && act->act == MOCK_ERROR_AFTER) {
            result->error = act->value;
        }
    }
    wire_encode_produce_response(&answer, rpc_out_buf(out));
    arena_deinit(&a);
    return q.acks != 0;
}

static int fetch_error(
        const struct session *s, const struct mock_log *log, const struct msg_fetch_partition *p)
{
    return log == NULL                    ? ERRCODE_UNKNOWN_TOPIC_ID
           : log->leader != s->broker->id ? ERRCODE_NOT_LEADER_OR_FOLLOWER
                                          : mock_log_epoch_error(log, p->leader_epoch);
}

/* False: nothing to say yet. */
static bool answer_fetch(struct session *s,
        struct rpc_request *r,
        const struct act *act,
        bool is_last_call,
        struct rpc_out *out)
{
    struct mock *m = s->broker->mock;
    struct msg_fetch_request q;
    struct arena a;
    bool has_news = is_last_call;

    arena_init(&a, 0);
    must(wire_decode_fetch_request(r->body, &a, &q) == 0);
    has_news = has_news || q.max_wait_ms == 0;
    for (size_t i = 0; i < q.n_partitions; i++) {
        const struct msg_fetch_partition *p = &q.partitions[i];
        const struct mock_log *log = log_of(m, &p->topic_id, p->partition);
        struct buf records = {0};
        struct msg_fetch_result result = {.topic_id = p->topic_id,
                .partition = p->partition,
                .detail = "",
                .diverging_epoch = -1,
                .diverging_end = -1};
        result.error = act != NULL ? act->value : fetch_error(s, log, p);
        bool is_other = result.error == 0 && mock_log_diverges(log, p, &result);
        if (result.error == 0 && !is_other &&
                (p->fetch_offset < log->start || p->fetch_offset > log->end)) {
            result.error = ERRCODE_OFFSET_OUT_OF_RANGE;
        }
        if (result.error == 0 && !is_other) {
            mock_log_read(log, p->fetch_offset, p->max_bytes, &records);
            result.high_watermark = log->end;
            result.log_start = log->start;
        }
        has_news = has_news || result.error != 0 || is_other || records.size > 0;
        result.records.size = records.size;
        wire_fetch_result_front(rpc_out_buf(out), &result);
        buf_append(rpc_out_buf(out), records.data != NULL ? records.data : (const uint8_t *)"",
                records.size);
        buf_deinit(&records);
    }
    arena_deinit(&a);
    return has_news;
}

static void answer_offsets(
        struct session *s, struct rpc_request *r, const struct act *act, struct rpc_out *out)
{
    struct mock *m = s->broker->mock;
    struct msg_list_offsets_request q;
    struct arena a;

    arena_init(&a, 0);
    must(wire_decode_list_offsets_request(r->body, &a, &q) == 0);
    struct msg_list_offsets_response answer = {.n_partitions = q.n_partitions};
    answer.partitions = arena_alloc(&a, (q.n_partitions + 1) * sizeof(*answer.partitions));
    for (size_t i = 0; i < q.n_partitions; i++) {
        const struct msg_list_offsets_partition *p = &q.partitions[i];
        const struct mock_log *log = log_of(m, &p->topic_id, p->partition);
        struct msg_list_offsets_result *result = &answer.partitions[i];
        *result = (struct msg_list_offsets_result){.topic_id = p->topic_id,
                .partition = p->partition,
                .detail = "",
                .offset = -1,
                .timestamp = -1};
        result->error = act != NULL                    ? act->value
                        : log == NULL                  ? ERRCODE_UNKNOWN_TOPIC_ID
                        : log->leader != s->broker->id ? ERRCODE_NOT_LEADER_OR_FOLLOWER
                                                       : mock_log_epoch_error(log, p->leader_epoch);
        if (result->error == 0) {
            result->offset = p->timestamp == LIST_LATEST ? log->end
                             : p->timestamp == LIST_EARLIEST
                                     ? log->start
                                     : mock_log_find_time(log, p->timestamp, &result->timestamp);
        }
    }
    wire_encode_list_offsets_response(&answer, rpc_out_buf(out));
    arena_deinit(&a);
}

static int answer_init_producer_id(struct session *s, const struct act *act, struct rpc_out *out)
{
    struct mock *m = s->broker->mock;
    struct msg_init_producer_id_response answer = {.producer_id = m->next_id};

    if (act != NULL) {
        return act->value;
    }
    if (m->has_no_ids) {
        return ERRCODE_UNSUPPORTED_VERSION;
    }
    m->next_id++;
    wire_encode_init_producer_id_response(&answer, rpc_out_buf(out));
    return 0;
}

/* Does what the request asks and answers. Under the lock. */
static void perform(
        struct session *s, struct rpc_request *r, const struct act *act, bool is_last_call)
{
    struct rpc_out *out = rpc_out_new();
    wtime wait = WTIME_MS(0);
    bool has_answer = true;
    int error = 0;

    switch (r->header.api) {
    case API_HELLO: answer_hello(s, r, out); break;
    case API_METADATA: answer_metadata(s, r, act != NULL ? act->value : 0, out); break;
    case API_PRODUCE:
        has_answer = answer_produce(s, r, act, out);
        if (!has_answer) {
            rpc_out_free(out);
            rpc_no_answer(s->conn, &r->header);
            rpc_request_free(r);
            return;
        }
        break;
    case API_FETCH:
        if (!answer_fetch(s, r, act, is_last_call, out)) {
            struct msg_fetch_request q;
            struct arena a;
            arena_init(&a, 0);
            must(wire_decode_fetch_request(r->body, &a, &q) == 0);
            wait = WTIME_MS(q.max_wait_ms);
            arena_deinit(&a);
            rpc_out_free(out);
            park(s, r, false, wtime_add(r->received, wait));
            return;
        }
        break;
    case API_LIST_OFFSETS: answer_offsets(s, r, act, out); break;
    case API_INIT_PRODUCER_ID: error = answer_init_producer_id(s, act, out); break;
    default: must_not_reach("an api the mock does not know");
    }
    rpc_answer(s->conn, &r->header, error, error != 0 ? "as the script says" : NULL, out);
    rpc_request_free(r);
}

static void serve_long_polls(struct mock *m, bool only_due)
{
    wtime now = loop_now(m->loop);
    size_t n = m->parked.n;

    for (size_t i = 0; i < n;) {
        struct parked p = m->parked.items[i];
        bool is_due = wtime_due(p.deadline, now);
        if (p.is_held || (only_due && !is_due)) {
            i++;
            continue;
        }
        array_remove(&m->parked, i);
        n--;
        perform(p.session, p.request, NULL, is_due); /* may park it again, behind the others */
    }
    wtime next = WTIME_NEVER;
    ARRAY_FOREACH (p, &m->parked) {
        next = wtime_min(next, p->deadline);
    }
    timer_set(&m->timer, next);
}

static void on_timer(void *ctx)
{
    struct mock *m = ctx;

    pthread_mutex_lock(&m->lock);
    serve_long_polls(m, true);
    pthread_mutex_unlock(&m->lock);
}

/* Under the lock. */
static void serve(struct session *s, struct rpc_request *r)
{
    struct mock *m = s->broker->mock;
    struct act *scripted = act_of(m, r->header.api);
    struct act act = {0};

    m->n_requests[r->header.api]++;
    if (scripted != NULL) {
        act = *scripted;
        use_act(m, scripted);
    }
    switch (act.act) {
    case MOCK_CLOSE_AFTER: {
        struct rpc_out *out = rpc_out_new();
        must(r->header.api == API_PRODUCE);
        (void)answer_produce(s, r, NULL, out);
        rpc_out_free(out);
    }
        __attribute__((fallthrough));
    case MOCK_CLOSE_BEFORE:
        rpc_request_free(r);
        rpc_conn_close_after_flush(s->conn);
        return;
    case MOCK_SILENT:
        rpc_no_answer(s->conn, &r->header);
        rpc_request_free(r);
        return;
    case MOCK_HOLD: park(s, r, true, WTIME_NEVER); return;
    case MOCK_GARBAGE: {
        struct rpc_out *out = rpc_out_new();
        buf_append_str(rpc_out_buf(out), "\xff\xff\xff garbage");
        rpc_answer(s->conn, &r->header, 0, NULL, out);
        rpc_request_free(r);
        return;
    }
    case MOCK_ERROR:
    case MOCK_ERROR_AFTER: perform(s, r, &act, false); break;
    default: perform(s, r, NULL, false); break;
    }
    serve_long_polls(m, false);
}

static void on_request(void *owner, struct rpc_conn *conn, struct rpc_request *r)
{
    struct session *s = owner;

    (void)conn;
    pthread_mutex_lock(&s->broker->mock->lock);
    if (s->broker->is_mute) {
        rpc_no_answer(s->conn, &r->header);
        rpc_request_free(r);
    } else {
        serve(s, r);
    }
    pthread_mutex_unlock(&s->broker->mock->lock);
}

/* --- Connections ------------------------------------------------------------------------------ */

/* Under the lock. */
static void forget_session(struct session *s)
{
    struct mock *m = s->broker->mock;

    for (size_t i = m->parked.n; i > 0; i--) {
        if (m->parked.items[i - 1].session == s) {
            rpc_request_free(m->parked.items[i - 1].request);
            array_remove(&m->parked, i - 1);
        }
    }
    TAILQ_REMOVE(&m->sessions, s, entry);
    mem_free(s);
}

static void on_closed(void *owner, struct rpc_conn *conn, const char *reason)
{
    struct session *s = owner;
    struct mock *m = s->broker->mock;

    (void)conn;
    (void)reason;
    pthread_mutex_lock(&m->lock);
    forget_session(s);
    pthread_mutex_unlock(&m->lock);
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    static const struct rpc_callbacks callbacks = {
            .on_request = on_request, .on_closed = on_closed};
    static const struct rpc_limits limits = {
            .frame_max = 200 << 20, .handshake_timeout = WTIME_NEVER};
    struct broker *b = ctx;
    struct session *s = mem_new(struct session);

    (void)peer;
    s->broker = b;
    s->conn = rpc_conn_accept(b->mock->loop, fd, &limits, &callbacks, s);
    pthread_mutex_lock(&b->mock->lock);
    TAILQ_INSERT_TAIL(&b->mock->sessions, s, entry);
    pthread_mutex_unlock(&b->mock->lock);
}

static void do_start(struct mock *m, int broker)
{
    struct broker *b = &m->brokers[broker];

    must(listener_new(m->loop, m->host, b->port, on_accept, b, &b->listener) == 0);
    b->port = listener_port(b->listener);
}

static void do_stop(struct mock *m, int broker)
{
    struct broker *b = &m->brokers[broker];
    struct session *s = NULL;
    struct session *next = NULL;

    b->listener = listener_free(b->listener);
    pthread_mutex_lock(&m->lock);
    for (s = TAILQ_FIRST(&m->sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (s->broker == b) {
            rpc_conn_close(s->conn);
            forget_session(s);
        }
    }
    pthread_mutex_unlock(&m->lock);
}

void mock_stop(struct mock *m, int broker)
{
    on_loop(m, do_stop, broker);
}

void mock_start(struct mock *m, int broker)
{
    on_loop(m, do_start, broker);
}

/* --- Life ------------------------------------------------------------------------------------- */

struct mock *mock_new(const char *host, int n_brokers)
{
    struct mock *m = mem_new(struct mock);
    struct buf list = {0};

    must(n_brokers <= MOCK_BROKERS_MAX);
    must(pthread_mutex_init(&m->lock, NULL) == 0);
    m->host = mem_strdup(host);
    m->n_brokers = n_brokers;
    m->next_id = 1000;
    m->loop = loop_new("mock");
    TAILQ_INIT(&m->sessions);
    timer_init(&m->timer, m->loop, on_timer, m);
    bool is_v6 = strchr(host, ':') != NULL;
    for (int i = 0; i < n_brokers; i++) {
        m->brokers[i] = (struct broker){.mock = m, .id = i};
        do_start(m, i);
        buf_append_format(&list, "%s%s%s%s:%u", i > 0 ? "," : "", is_v6 ? "[" : "", host,
                is_v6 ? "]" : "", m->brokers[i].port);
    }
    memcpy(m->bootstrap, buf_str(&list), list.size + 1);
    buf_deinit(&list);
    loop_start(m->loop);
    return m;
}

static void do_end(struct mock *m, int arg)
{
    (void)arg;
    for (int i = 0; i < m->n_brokers; i++) {
        if (m->brokers[i].listener != NULL) {
            do_stop(m, i);
        }
    }
    timer_deinit(&m->timer);
}

struct mock *mock_free(struct mock *m)
{
    on_loop(m, do_end, 0);
    loop_stop(m->loop);
    loop_join(m->loop);
    loop_free(m->loop);
    ARRAY_FOREACH (t, &m->topics) {
        for (int32_t p = 0; p < (*t)->n; p++) {
            ARRAY_FOREACH (b, &(*t)->logs[p].batches) {
                buf_deinit(&b->bytes);
            }
            array_deinit(&(*t)->logs[p].batches);
            array_deinit(&(*t)->logs[p].producers.of);
        }
        mem_free((*t)->logs);
        mem_free((*t)->name);
        mem_free(*t);
    }
    array_deinit(&m->topics);
    array_deinit(&m->acts);
    array_deinit(&m->parked);
    buf_deinit(&m->values);
    mem_free(m->host);
    pthread_mutex_destroy(&m->lock);
    return mem_free(m);
}

/* --- What tests say and ask ------------------------------------------------------------------- */

const char *mock_bootstrap(struct mock *m)
{
    return m->bootstrap;
}

uint16_t mock_port(struct mock *m, int broker)
{
    return m->brokers[broker].port;
}

void mock_add_topic(struct mock *m, const char *name, int32_t n_partitions)
{
    pthread_mutex_lock(&m->lock);
    struct topic *t = mem_new(struct topic);
    t->name = mem_strdup(name);
    t->id.bytes[0] = (uint8_t)(m->topics.n + 1);
    t->n = n_partitions;
    t->logs = mem_new_n(struct mock_log, (size_t)n_partitions);
    for (int32_t p = 0; p < n_partitions; p++) {
        t->logs[p].leader = p % m->n_brokers;
        t->logs[p].epoch = 1;
    }
    *array_push(&m->topics) = t;
    pthread_mutex_unlock(&m->lock);
}

void mock_move_leader(struct mock *m, const char *topic, int32_t partition, int broker)
{
    pthread_mutex_lock(&m->lock);
    struct mock_log *log = log_by_name(m, topic, partition);
    log->leader = broker;
    log->epoch++;
    pthread_mutex_unlock(&m->lock);
}

void mock_cut(struct mock *m, const char *topic, int32_t partition, offset64 end)
{
    pthread_mutex_lock(&m->lock);
    mock_log_cut(log_by_name(m, topic, partition), end);
    pthread_mutex_unlock(&m->lock);
}

void mock_mute(struct mock *m, int broker)
{
    pthread_mutex_lock(&m->lock);
    m->brokers[broker].is_mute = true;
    pthread_mutex_unlock(&m->lock);
}

void mock_freeze_epochs(struct mock *m, bool is_frozen)
{
    pthread_mutex_lock(&m->lock);
    m->is_frozen = is_frozen;
    ARRAY_FOREACH (t, &m->topics) {
        for (int32_t p = 0; p < (*t)->n; p++) {
            (*t)->logs[p].told_epoch = (*t)->logs[p].epoch;
        }
    }
    pthread_mutex_unlock(&m->lock);
}

void mock_script(struct mock *m, enum wire_api api, enum mock_act act, int value, int times)
{
    pthread_mutex_lock(&m->lock);
    *array_push(&m->acts) = (struct act){.api = api, .act = act, .value = value, .times = times};
    pthread_mutex_unlock(&m->lock);
}

void mock_unscript(struct mock *m)
{
    pthread_mutex_lock(&m->lock);
    array_clear(&m->acts);
    pthread_mutex_unlock(&m->lock);
}

static void do_release(struct mock *m, int arg)
{
    (void)arg;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->parked.n;) {
        struct parked p = m->parked.items[i];
        if (!p.is_held) {
            i++;
            continue;
        }
        array_remove(&m->parked, i);
        perform(p.session, p.request, NULL, false);
    }
    pthread_mutex_unlock(&m->lock);
}

void mock_release(struct mock *m)
{
    on_loop(m, do_release, 0);
}

unsigned mock_n_requests(struct mock *m, enum wire_api api)
{
    pthread_mutex_lock(&m->lock);
    unsigned n = m->n_requests[api];
    pthread_mutex_unlock(&m->lock);
    return n;
}

unsigned mock_n_held(struct mock *m)
{
    unsigned n = 0;

    pthread_mutex_lock(&m->lock);
    ARRAY_FOREACH (p, &m->parked) {
        n += p->is_held;
    }
    pthread_mutex_unlock(&m->lock);
    return n;
}

static void do_poke(struct mock *m, int arg)
{
    (void)arg;
    pthread_mutex_lock(&m->lock);
    serve_long_polls(m, false);
    pthread_mutex_unlock(&m->lock);
}

void mock_append(
        struct mock *m, const char *topic, int32_t partition, const void *batch, size_t size)
{
    pthread_mutex_lock(&m->lock);
    (void)mock_log_append(log_by_name(m, topic, partition), batch, size, m->forgets);
    pthread_mutex_unlock(&m->lock);
    on_loop(m, do_poke, 0);
}

void mock_set_start(struct mock *m, const char *topic, int32_t partition, offset64 start)
{
    pthread_mutex_lock(&m->lock);
    log_by_name(m, topic, partition)->start = start;
    pthread_mutex_unlock(&m->lock);
}

offset64 mock_end(struct mock *m, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&m->lock);
    offset64 end = log_by_name(m, topic, partition)->end;
    pthread_mutex_unlock(&m->lock);
    return end;
}

unsigned mock_n_batches(struct mock *m, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&m->lock);
    size_t n = log_by_name(m, topic, partition)->batches.n;
    pthread_mutex_unlock(&m->lock);
    return (unsigned)n;
}

const char *mock_values(struct mock *m, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&m->lock);
    struct mock_log *log = log_by_name(m, topic, partition);
    buf_clear(&m->values);
    ARRAY_FOREACH (lb, &log->batches) {
        mock_batch_values(&lb->bytes, &m->values);
    }
    pthread_mutex_unlock(&m->lock);
    return buf_str(&m->values);
}

struct mock_number mock_batch_number(
        struct mock *m, const char *topic, int32_t partition, unsigned i)
{
    struct batch b;

    pthread_mutex_lock(&m->lock);
    struct mock_log *log = log_by_name(m, topic, partition);
    must(i < log->batches.n);
    must(batch_parse(log->batches.items[i].bytes.data, log->batches.items[i].bytes.size, &b) == 0);
    pthread_mutex_unlock(&m->lock);
    return (struct mock_number){b.producer_id, b.producer_epoch, b.base_sequence};
}

void mock_forget_idempotence(struct mock *m)
{
    pthread_mutex_lock(&m->lock);
    m->has_no_ids = true;
    pthread_mutex_unlock(&m->lock);
}

void mock_forget(struct mock *m)
{
    pthread_mutex_lock(&m->lock);
    m->forgets = true;
    pthread_mutex_unlock(&m->lock);
}
