/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/registration.h"

#include <stdio.h>

#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/zk/zk.h"

enum {
    RETRY_MS = 300,
    SAY_AGAIN_S = 10
};

enum reg_state {
    REG_NO_SESSION,
    REG_CREATING,
    REG_READING,
    REG_REPLACING,
    REG_WAITING,
    REG_REGISTERED
};

struct registration {
    struct registration_options o;
    struct loop *loop;
    struct zk *zk;
    enum reg_state state;
    uint64_t attempt; /* answers to earlier attempts are dropped */
    char path[64];
    struct timer retry;
    int64_t epoch;
    int64_t epochs[REGISTRATION_KEPT]; /* incarnations of this process, a ring */
    size_t n_epochs;
    const char *trouble;
    bool was_nameless; /* it began without an identity; a Hello may give it one before it registers */
    wtime foreign_since; /* when a node that is not ours was first seen; 0 = none */
    wtime said_at;       /* when `trouble` was last logged; 0 = not */
};

/* A call under way. It knows which attempt it belongs to, because a session's end starts another one. */
struct reg_call {
    struct registration *r;
    uint64_t attempt;
};

static void create(struct registration *r);
static void read_back(struct registration *r);

static struct reg_call *call_new(struct registration *r)
{
    struct reg_call *call = mem_new(struct reg_call);

    call->r = r;
    call->attempt = r->attempt;
    return call;
}

/* NULL: the answer is to an attempt that is over. */
static struct registration *call_end(struct reg_call *call)
{
    struct registration *r = call->r;
    bool is_current = call->attempt == r->attempt;

    (void)mem_free(call);
    return is_current ? r : NULL;
}

static void wait_and_retry(struct registration *r, const char *trouble)
{
    wtime now = loop_now(r->loop);

    r->state = REG_WAITING;
    if (r->trouble != trouble || r->said_at == 0 || now - r->said_at >= WTIME_S(SAY_AGAIN_S)) {
        log_warn("registration", "waiting", KV_STR("path", r->path), KV_STR("reason", trouble));
        r->said_at = now;
    }
    r->trouble = trouble;
    timer_set(&r->retry, wtime_add(now, WTIME_MS(RETRY_MS)));
}

static void on_retry(void *ctx)
{
    struct registration *r = ctx;

    timer_cancel(&r->retry);
    r->attempt++;
    create(r);
}

static void registered(struct registration *r, int64_t czxid)
{
    r->state = REG_REGISTERED;
    r->epoch = czxid;
    r->epochs[r->n_epochs++ % REGISTRATION_KEPT] = czxid;
    r->trouble = "";
    r->said_at = r->foreign_since = 0;
    r->was_nameless = false;
    log_info("registration", "registered", KV_I64("broker_epoch", czxid),
            KV_I64("crash_kind", (int64_t)r->o.reg.crash_kind),
            KV_I64("prev_epoch", r->o.reg.prev_epoch));
    r->o.on_changed(r->o.ctx, czxid);
}

/* Whether the node's payload names one of my folders. */
static bool is_predecessor(const struct registration *r, const struct msg_broker_reg *theirs)
{
    for (size_t i = 0; i < theirs->n_dirs; i++) {
        for (size_t k = 0; k < r->o.reg.n_dirs; k++) {
            if (uuid_equal(&theirs->dirs[i], &r->o.reg.dirs[k])) {
                return true;
            }
        }
    }
    return false;
}

/* [BRK-4] A folder gets its lasting id when it joins a cluster. Who died before that is not recognised by it: then the
 * end of a dead one's session is waited for, and only who is still there after it is another machine. */
static bool may_be_nameless_predecessor(struct registration *r)
{
    wtime now = loop_now(r->loop);

    if (!r->was_nameless) {
        return false;
    }
    if (r->foreign_since == 0) {
        r->foreign_since = now;
    }
    return now - r->foreign_since < WTIME_MS(2 * (wtime)zk_session_timeout_ms(r->zk));
}

static struct bytes encode(struct registration *r, struct buf *buf)
{
    r->o.fill_nonce(r->o.ctx, &r->o.reg.nonce);
    wire_encode_broker_reg(&r->o.reg, buf);
    return (struct bytes){.at = buf->data, .size = buf->size};
}

static void on_replaced(void *ctx, enum zk_rc rc, int failed)
{
    struct registration *r = call_end(ctx);

    (void)failed;
    if (r == NULL) {
        return;
    }
    if (rc == ZK_OK) {
        read_back(r);
    } else {
        wait_and_retry(r, "the node of this broker's former run could not be replaced yet");
    }
}

static void replace(struct registration *r, int32_t version, const char *why)
{
    CLEANUP(buf_deinit) struct buf buf = {0};
    struct zk_op ops[2] = {
            {.kind = ZK_OP_DELETE, .path = r->path, .version = version},
            {.kind = ZK_OP_CREATE, .path = r->path, .data = encode(r, &buf), .flags = ZK_EPHEMERAL},
    };

    r->state = REG_REPLACING;
    log_info("registration", "node_replaced", KV_STR("path", r->path), KV_STR("reason", why));
    zk_multi(r->zk, ops, 2, on_replaced, call_new(r));
}

static void foreign(struct registration *r, const struct msg_broker_reg *theirs)
{
    char sentence[512];

    (void)snprintf(sentence, sizeof(sentence),
            "broker.id %d is in use: another broker (%s%s%s) is registered under it, with other "
            "log directories. Give "
            "one of the two another broker.id",
            r->o.reg.broker,
            theirs->n_endpoints > 0 ? theirs->endpoints[0].host : "address unknown",
            theirs->n_endpoints > 0 ? ", version " : "",
            theirs->n_endpoints > 0 ? theirs->version : "");
    r->state = REG_NO_SESSION;
    r->o.on_foreign(r->o.ctx, sentence);
}

/* [RBD-9] A ZooKeeper that lost its data counts anew and may give a number that the image of the cluster still has for an
 * earlier incarnation: the controller would take this one for that. The next number is another one. */
static void on_own(struct registration *r, const struct zk_stat *stat)
{
    if (stat->czxid == r->epoch || stat->czxid == r->o.reg.prev_epoch ||
            r->o.is_former_epoch(r->o.ctx, stat->czxid)) {
        replace(r, stat->version, "an earlier incarnation of this broker had the same epoch");
        return;
    }
    registered(r, stat->czxid);
}

static void on_read(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct registration *r = call_end(ctx);
    struct msg_broker_reg theirs;
    struct arena arena;

    if (r == NULL) {
        return;
    }
    if (rc != ZK_OK) {
        wait_and_retry(r, rc == ZK_NO_NODE   ? "the node went away before it could be read"
                          : rc == ZK_UNKNOWN ? "ZooKeeper does not answer"
                                             : zk_rc_text(rc));
        return;
    }
    if (stat->ephemeral_owner ==
            zk_session_id(r->zk)) { /* [BRK-2] also after an ambiguous create */
        on_own(r, stat);
        return;
    }
    arena_init(&arena, wire_arena_ceiling(data.size));
    if (wire_decode_broker_reg(data, &arena, &theirs) != 0) {
        theirs = (struct msg_broker_reg){0};
    }
    if (is_predecessor(r, &theirs)) { /* [BRK-3] I hold the folder's lock, so its owner is dead. */
        replace(r, stat->version, "a former run of this broker left it; it goes before its session ends");
    } else if (may_be_nameless_predecessor(r)) {
        wait_and_retry(r, "another broker is registered under this id; if it was this one before "
                          "it had an identity, "
                          "its session ends soon");
    } else { /* [BRK-4] */
        foreign(r, &theirs);
    }
    arena_deinit(&arena);
}

static void read_back(struct registration *r)
{
    r->state = REG_READING;
    zk_get(r->zk, r->path, NULL, on_read, call_new(r));
}

static void on_created(void *ctx, enum zk_rc rc)
{
    struct registration *r = call_end(ctx);

    if (r == NULL) {
        return;
    }
    switch (rc) {
    case ZK_OK:
    case ZK_NODE_EXISTS: read_back(r); break;
    case ZK_NO_NODE: /* [BRK-5] Parents are the controller's to make. */
        wait_and_retry(r, "ZooKeeper has no /weir/brokers under this chroot yet: waiting for a "
                          "controller to set the cluster up");
        break;
    case ZK_BAD_VERSION:
    case ZK_NOT_EMPTY:
    case ZK_NO_AUTH:
    case ZK_UNKNOWN:
    case ZK_REFUSED: wait_and_retry(r, zk_rc_text(rc)); break;
    }
}

static void create(struct registration *r)
{
    CLEANUP(buf_deinit) struct buf buf = {0};

    r->state = REG_CREATING;
    zk_create(r->zk, r->path, encode(r, &buf), ZK_EPHEMERAL, on_created, call_new(r));
}

void registration_begin(struct registration *r, struct zk *zk)
{
    r->zk = zk;
    r->attempt++;
    timer_cancel(&r->retry);
    r->trouble = "registering";
    create(r);
}

void registration_lost(struct registration *r)
{
    bool was_registered = r->state == REG_REGISTERED;

    r->attempt++;
    r->state = REG_NO_SESSION;
    timer_cancel(&r->retry);
    r->trouble = "no ZooKeeper session";
    if (was_registered) {
        r->o.reg.prev_epoch = r->epoch;
        log_warn("registration", "lost", KV_I64("broker_epoch", r->epoch),
                KV_STR("reason", "the ZooKeeper session ended; a new incarnation follows"));
    }
}

bool registration_stands(const struct registration *r)
{
    return r->state == REG_REGISTERED;
}

/* [BRK-16] The process lives, so what it was admitted with is not lost. An incarnation that no controller admitted may have
 * told of a loss that nobody heard: the next one tells it again. */
void registration_settled(struct registration *r)
{
    r->o.reg.crash_kind = CRASH_CLEAN;
}

bool registration_was(const struct registration *r, int64_t epoch)
{
    bool is_found = false;

    for (size_t i = 0; i < r->n_epochs && i < REGISTRATION_KEPT; i++) {
        is_found = is_found || r->epochs[i] == epoch;
    }
    return is_found;
}

void registration_set_cluster(struct registration *r, const struct uuid *cluster_id)
{
    r->o.reg.cluster_id = *cluster_id;
}

int64_t registration_epoch(const struct registration *r)
{
    return r->epoch;
}

const char *registration_trouble(const struct registration *r)
{
    return r->trouble;
}

struct registration *registration_new(struct loop *loop, const struct registration_options *options)
{
    struct registration *r = mem_new(struct registration);

    r->o = *options;
    r->loop = loop;
    r->epoch = BROKER_EPOCH_NONE;
    r->was_nameless = uuid_is_zero(&options->reg.cluster_id);
    r->trouble = "no ZooKeeper session";
    (void)snprintf(r->path, sizeof(r->path), "/weir/brokers/%d", options->reg.broker);
    timer_init(&r->retry, loop, on_retry, r);
    return r;
}

struct registration *registration_free(struct registration *r)
{
    if (r == NULL) {
        return NULL;
    }
    timer_deinit(&r->retry);
    return mem_free(r);
}
