/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/zk/zk.h"
#include "tests/cluster/broker_world.h"
#include "tests/lib/cluster.h"
#include "tests/lib/run.h"
#include "tests/lib/zkserver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Forged greetings change nothing; ZooKeeper's nodes are the digest's. */

#define HUGE_EPOCH (UINT64_C(1) << 63)

static const char right[] = "the cluster's own secret";
static const char wrong[] = "what somebody else made up";

static const char *write_private(const char *name, const char *text)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", test_folder(), name);
    (void)unlink(path);
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(chmod(path, 0600), 0);
    return path;
}

/* A serving broker that demands proof; its controller is proven. */
static struct world *world_with_secret(void)
{
    struct world *w = world_new(true);
    char *more = mem_format("weir.cluster.secret.file=%s", write_private("secret", right));

    w->more = more;
    w->secret = auth_secret_new(right, strlen(right));
    w->ctl_epoch = 5;
    world_serve(w);
    return w;
}

static void world_with_secret_free(struct world *w)
{
    union {
        const void *in;
        void *out;
    } secret = {.in = w->secret}, more = {.in = w->more};

    world_free(w);
    auth_secret_free(secret.out);
    mem_free(more.out);
}

/* The true controller is still the one that is heard, and the broker serves. */
static void check_nothing_changed(struct world *w)
{
    struct rpc_conn *controller = w->controller;

    beat(w, w->applied);
    CHECK(controller == w->controller);
    connect_client(w);
    CHECK_EQ(produce(w, -1, "still here", 1, 1000).error, ERRCODE_NONE);
}

/* A nonce said, the broker's challenge taken: the claim as an honest asker has it. */
static struct auth_claim challenged(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        uint64_t ctl_epoch,
        struct reply *ret,
        struct msg_hello_auth *ret_theirs)
{
    struct auth_claim claim = {.cluster_id = w->cluster_id,
            .asker_role = (uint32_t)role,
            .asker_id = role == ROLE_CONTROLLER ? 1 : role == ROLE_REPLICA ? WORLD_REPLICA : -1,
            .asker_epoch = role == ROLE_CONTROLLER ? ctl_epoch
                           : role == ROLE_REPLICA  ? WORLD_REPLICA_EPOCH
                                                   : 0};
    struct msg_hello_response m;
    struct buf auth = {0};

    auth_nonce(claim.asker_nonce);
    wire_encode_hello_auth(
            &(struct msg_hello_auth){.nonce = {claim.asker_nonce, AUTH_NONCE_SIZE}}, &auth);
    hello_with(w, c, role, w->cluster_id, ctl_epoch,
            (struct bytes){.at = auth.data, .size = auth.size}, ret);
    buf_deinit(&auth);
    CHECK_EQ(ret->error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_hello_response(ret->body, &ret->arena, &m), 0);
    CHECK_EQ(wire_decode_hello_auth(m.auth, &ret->arena, ret_theirs), 0);
    CHECK_EQ(ret_theirs->nonce.size, AUTH_NONCE_SIZE);
    memcpy(claim.answerer_nonce, ret_theirs->nonce.at, AUTH_NONCE_SIZE);
    claim.answerer_id = m.broker;
    claim.answerer_epoch = (uint64_t)m.broker_epoch;
    return claim;
}

/* The second Hello, with that proof; what it is answered. */
static int second_hello(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        uint64_t ctl_epoch,
        const struct auth_claim *claim,
        const uint8_t *proof)
{
    struct buf auth = {0};
    struct reply r;

    wire_encode_hello_auth(&(struct msg_hello_auth){.nonce = {claim->asker_nonce, AUTH_NONCE_SIZE},
                                   .proof = {proof, AUTH_PROOF_SIZE}},
            &auth);
    hello_with(w, c, role, w->cluster_id, ctl_epoch,
            (struct bytes){.at = auth.data, .size = auth.size}, &r);
    buf_deinit(&auth);
    int error = r.error;
    reply_free(&r);
    return error;
}

/* [TRU-3] */
static void forged_hellos_change_nothing(void)
{
    struct world *w = world_with_secret();
    struct auth_secret *other = auth_secret_new(wrong, strlen(wrong));
    struct msg_hello_auth theirs;
    uint8_t proof[AUTH_PROOF_SIZE], reflected[AUTH_PROOF_SIZE];
    struct auth_claim claim;
    struct reply r;

    /* Without a proof, under an epoch that nobody can exceed. */
    hello_with(w, dial(w), ROLE_CONTROLLER, w->cluster_id, HUGE_EPOCH, (struct bytes){0}, &r);
    CHECK_EQ(r.error, ERRCODE_SASL_AUTHENTICATION_FAILED);
    CHECK(strstr(r.detail, "weir.cluster.secret.file") != NULL);
    reply_free(&r);
    check_nothing_changed(w);

    /* With a proof of another secret. */
    struct rpc_conn *c = dial(w);
    claim = challenged(w, c, ROLE_CONTROLLER, HUGE_EPOCH, &r, &theirs);
    auth_prove(other, AUTH_ASKER, &claim, proof);
    reply_free(&r);
    CHECK_EQ(second_hello(w, c, ROLE_CONTROLLER, HUGE_EPOCH, &claim, proof),
            ERRCODE_SASL_AUTHENTICATION_FAILED);
    check_nothing_changed(w);

    /* With the broker's own proof given back. */
    c = dial(w);
    claim = challenged(w, c, ROLE_CONTROLLER, HUGE_EPOCH, &r, &theirs);
    CHECK_EQ(theirs.proof.size, AUTH_PROOF_SIZE);
    memcpy(reflected, theirs.proof.at, sizeof(reflected));
    reply_free(&r);
    CHECK_EQ(second_hello(w, c, ROLE_CONTROLLER, HUGE_EPOCH, &claim, reflected),
            ERRCODE_SASL_AUTHENTICATION_FAILED);
    check_nothing_changed(w);

    /* With a right proof for another epoch than it says. */
    c = dial(w);
    claim = challenged(w, c, ROLE_CONTROLLER, w->ctl_epoch, &r, &theirs);
    auth_prove(w->secret, AUTH_ASKER, &claim, proof);
    reply_free(&r);
    CHECK_EQ(second_hello(w, c, ROLE_CONTROLLER, HUGE_EPOCH, &claim, proof),
            ERRCODE_SASL_AUTHENTICATION_FAILED);
    check_nothing_changed(w);

    /* With a proof that was right on another connection. */
    c = dial(w);
    (void)challenged(w, c, ROLE_CONTROLLER, w->ctl_epoch, &r, &theirs);
    reply_free(&r);
    CHECK_EQ(second_hello(w, c, ROLE_CONTROLLER, w->ctl_epoch, &claim, proof),
            ERRCODE_SASL_AUTHENTICATION_FAILED);
    check_nothing_changed(w);

    /* With a proof before any challenge. */
    CHECK_EQ(second_hello(w, dial(w), ROLE_CONTROLLER, w->ctl_epoch, &claim, proof),
            ERRCODE_SASL_AUTHENTICATION_FAILED);
    check_nothing_changed(w);
    auth_secret_free(other);
    world_with_secret_free(w);
}

/* [BRK-8] */
static void wrong_cluster_and_garbage_change_nothing(void)
{
    struct world *w = world_with_secret();
    struct reply r;

    hello_with(
            w, dial(w), ROLE_CONTROLLER, (struct uuid){{9, 9}}, HUGE_EPOCH, (struct bytes){0}, &r);
    CHECK_EQ(r.error, ERRCODE_INCONSISTENT_CLUSTER_ID);
    reply_free(&r);
    hello_with(w, dial(w), ROLE_CONTROLLER, w->cluster_id, HUGE_EPOCH,
            (struct bytes){.at = (const uint8_t *)"\xff\xff\xff", .size = 3}, &r);
    CHECK_EQ(r.error, ERRCODE_INVALID_REQUEST);
    CHECK_STR(r.detail, "the Hello's auth does not decode");
    reply_free(&r);
    check_nothing_changed(w);
    world_with_secret_free(w);
}

static void replica_proves_itself_before_it_is_answered(void)
{
    struct world *w = world_with_secret();
    struct msg_hello_auth theirs;
    uint8_t proof[AUTH_PROOF_SIZE];
    struct rpc_conn *c = dial(w);
    struct reply r;

    hello_with(w, c, ROLE_REPLICA, w->cluster_id, 0, (struct bytes){0}, &r);
    CHECK_EQ(r.error, ERRCODE_SASL_AUTHENTICATION_FAILED);
    reply_free(&r);
    c = dial(w);
    struct auth_claim claim = challenged(w, c, ROLE_REPLICA, 0, &r, &theirs);
    reply_free(&r);
    auth_prove(w->secret, AUTH_ASKER, &claim, proof);
    CHECK_EQ(second_hello(w, c, ROLE_REPLICA, 0, &claim, proof), ERRCODE_NONE);
    check_nothing_changed(w);
    world_with_secret_free(w);
}

static void broker_without_secret_says_so(void)
{
    struct world *w = world_serving();
    struct reply r;

    hello_with(w, dial(w), ROLE_CONTROLLER, w->cluster_id, w->ctl_epoch + 1,
            (struct bytes){.at = (const uint8_t *)"x", .size = 1}, &r);
    CHECK_EQ(r.error, ERRCODE_SECURITY_DISABLED);
    CHECK(strstr(r.detail, "weir.cluster.secret.file") != NULL);
    reply_free(&r);
    check_nothing_changed(w);
    world_free(w);
}

/* --- Starting ------------------------------------------------------------------------------------ */

static void check_start_refused(struct world *w, const char *more, const char *why)
{
    start_broker_as(w, BROKER_ID, w->log, more);
    CHECK_EQ(run_wait(w->pid, 0, 20000), 1);
    w->pid = 0;
    CHECK(file_has(w->log, why));
}

/* [TRU-1] */
static void beyond_this_machine_no_start_without_a_secret(void)
{
    struct world *w = world_new(true);
    char more[600];

    check_start_refused(w, "listeners=weir://10.1.2.3:9190", "set weir.cluster.secret.file");
    (void)snprintf(more, sizeof(more), "weir.cluster.secret.file=%s", write_private("s", "short"));
    check_start_refused(w, more, "too few bytes");
    (void)snprintf(more, sizeof(more), "weir.cluster.secret.file=%s", write_private("s", right));
    CHECK_EQ(chmod(write_private("s", right), 0644), 0);
    check_start_refused(w, more, "chmod 600");
    (void)snprintf(more, sizeof(more), "zookeeper.digest.file=%s", write_private("d", "nobody"));
    check_start_refused(w, more, "user:password");
    world_free(w);
}

/* --- ZooKeeper ----------------------------------------------------------------------------------- */

struct look {
    bool is_done;
    enum zk_rc rc;
};

static void on_look(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct look *l = ctx;

    l->rc = rc;
    l->is_done = true;
}

static enum zk_rc look_at(struct world *w, const char *path)
{
    struct look l = {0};

    zk_get(w->zk, path, NULL, on_look, &l);
    CHECK(run_until(w, &l.is_done, ANSWER_MS));
    return l.rc;
}

/* [ZK-12] */
static void nodes_of_a_broker_are_its_digests(void)
{
    struct world *w = world_new(true);
    char more[600];
    char path[64];

    (void)snprintf(path, sizeof(path), "/weir/brokers/%d", BROKER_ID);
    start_broker(w);
    CHECK_WITHIN(ANSWER_MS, look_at(w, path) == ZK_OK);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    (void)snprintf(more, sizeof(more), "zookeeper.digest.file=%s", write_private("d", "weir:pw"));
    start_broker_as(w, BROKER_ID, w->log, more);
    CHECK_WITHIN(ANSWER_MS, look_at(w, path) == ZK_NO_AUTH);
    world_free(w);
}

static pid_t start_controller(
        struct world *w, int id, uint16_t port, const char *more, const char *log)
{
    char program[512], set[3][512];
    const char *argv[12];
    int n = 0;

    (void)snprintf(program, sizeof(program), "%s/controller/weir-controller", test_build_root());
    (void)snprintf(set[0], sizeof(set[0]), "controller.id=%d", id);
    (void)snprintf(set[1], sizeof(set[1]), "zookeeper.connect=%s", w->connect);
    (void)snprintf(set[2], sizeof(set[2]), "http.listen=127.0.0.1:%u", port);
    argv[n++] = program;
    for (int i = 0; i < 3; i++) {
        argv[n++] = "--set";
        argv[n++] = set[i];
    }
    if (more != NULL) {
        argv[n++] = "--set";
        argv[n++] = more;
    }
    argv[n] = NULL;
    return run_background(argv, NULL, log);
}

static bool answer_has(int port, const char *path, int status, const char *text)
{
    struct buf body = {0};
    bool has = http_request(port, "GET", path, NULL, false, &body) == status &&
               strstr(buf_str(&body), text) != NULL;

    buf_deinit(&body);
    return has;
}

/* [ZK-12] */
static void controller_closes_what_stood_open_and_strangers_are_told(void)
{
    struct world *w = world_new(false);
    char first[600], second[600], own[600], foreign[600];

    (void)snprintf(first, sizeof(first), "%s/first.log", test_folder());
    (void)snprintf(second, sizeof(second), "%s/second.log", test_folder());
    (void)snprintf(own, sizeof(own), "zookeeper.digest.file=%s", write_private("d", "weir:pw"));
    (void)snprintf(
            foreign, sizeof(foreign), "zookeeper.digest.file=%s", write_private("d2", "weir:no"));
    pid_t pid = start_controller(w, 1, zkserver_free_port(), NULL, first);
    CHECK_WITHIN(ANSWER_MS, file_has(first, "event=controller_active"));
    CHECK_EQ(look_at(w, "/weir/epoch"), ZK_OK);
    CHECK_EQ(run_wait(pid, SIGTERM, 20000), 0);
    pid = start_controller(w, 1, zkserver_free_port(), own, first);
    CHECK_WITHIN(ANSWER_MS, look_at(w, "/weir/epoch") == ZK_NO_AUTH);
    CHECK_WITHIN(ANSWER_MS, look_at(w, "/weir/id") == ZK_NO_AUTH);
    CHECK_WITHIN(ANSWER_MS, look_at(w, "/weir/controller") == ZK_NO_AUTH);
    pid_t stranger = start_controller(w, 2, zkserver_free_port(), foreign, second);
    CHECK_WITHIN(ANSWER_MS, file_has(second, "set zookeeper.digest.file"));
    CHECK(!file_has(second, "event=election_won"));
    start_broker_as(w, BROKER_ID, w->log, foreign);
    CHECK_WITHIN(ANSWER_MS, answer_has(w->http_port, "/readyz", 503, "set zookeeper.digest.file"));
    CHECK(file_has(w->log, "set zookeeper.digest.file"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK_EQ(run_wait(stranger, SIGTERM, 20000), 0);
    CHECK_EQ(run_wait(pid, SIGTERM, 20000), 0);
    world_free(w);
}

/* --- Reached by nobody --------------------------------------------------------------------------- */

/* [TRU-4] The controller's side of a broker that demands what it cannot give. */
static void controller_without_secret_says_which_broker_demands_one(void)
{
    struct world *w = world_new(false);
    uint16_t port = zkserver_free_port();
    char log[600], more[600];

    (void)snprintf(log, sizeof(log), "%s/without.log", test_folder());
    (void)snprintf(
            more, sizeof(more), "weir.cluster.secret.file=%s", write_private("secret", right));
    pid_t pid = start_controller(w, 1, port, NULL, log);
    start_broker_as(w, BROKER_ID, w->log, more);
    CHECK_WITHIN(ANSWER_MS, answer_has(port, "/v1/brokers", 200, "demands proof"));
    CHECK(file_has(log, "set weir.cluster.secret.file"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK_EQ(run_wait(pid, SIGTERM, 20000), 0);
    world_free(w);
}

/* [TRU-6] */
static void broker_that_nobody_greets_says_what_to_check(void)
{
    struct world *w = world_new(true);
    char address[64];

    (void)snprintf(address, sizeof(address), "weir://127.0.0.1:%u", w->port);
    start_broker(w);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=registered"));
    CHECK(answer_has(w->http_port, "/readyz", 503, "\"name\":\"greeted\",\"ok\":true"));
    CHECK_WITHIN(30000, (pause_loop(w, 50), file_has(w->log, "event=controller_missing")));
    CHECK(file_has(w->log, address));
    CHECK(answer_has(w->http_port, "/readyz", 503, "no controller has said a valid Hello"));
    CHECK(answer_has(w->http_port, "/readyz", 503, address));
    CHECK(!file_has(w->log, "event=advertised_address_local")); /* ZooKeeper is here too */
    connect_controller(w);
    CHECK_WITHIN(ANSWER_MS,
            answer_has(w->http_port, "/readyz", 503, "\"name\":\"greeted\",\"ok\":true"));
    world_free(w);
}

/* [TRU-5] A multicast address is nobody's own, and no connection to it leaves the machine. */
static void address_of_this_machine_only_is_warned_of_when_zookeeper_is_elsewhere(void)
{
    struct world *w = world_new(true);
    char more[400], address[64];

    (void)snprintf(more, sizeof(more), "zookeeper.connect=224.0.0.1:2181,%s", w->connect);
    (void)snprintf(address, sizeof(address), "weir://127.0.0.1:%u", w->port);
    start_broker_as(w, BROKER_ID, w->log, more);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=advertised_address_local"));
    CHECK(file_has(w->log, address));
    CHECK(file_has(w->log, "zookeeper=224.0.0.1"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

/* --- The whole ----------------------------------------------------------------------------------- */

/* [TRU-4] */
static void broker_with_another_secret_is_shown_with_the_reason(void)
{
    struct run_result status;
    struct stat st;
    char program[512], conf[600];

    cluster_up_small();
    char *path = node_path("broker-1", "../secret");
    char *digest = node_path("broker-1", "../digest");
    char *config = node_path("broker-1", "broker.conf");
    char *set = mem_format("weir.cluster.secret.file=%s", write_private("other", wrong));
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(stat(digest, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    node_kill("broker-1");
    (void)snprintf(program, sizeof(program), "%s/broker/weir-broker", test_build_root());
    (void)snprintf(conf, sizeof(conf), "%s/other.log", test_folder());
    const char *argv[] = {program, "--config", config, "--set", set, NULL};
    pid_t pid = run_background(argv, NULL, conf);
    CHECK_WITHIN(20000, answer_has(controller_port(1), "/v1/brokers/1", 200,
                                "it does not prove the cluster's secret"));
    WEIR(&status, "status");
    CHECK_EQ(status.code, 10);
    CHECK(strstr(buf_str(&status.out), "it does not prove the cluster's secret") != NULL);
    run_result_deinit(&status);
    WEIR(&status, "broker", "list");
    CHECK(strstr(buf_str(&status.out), "it does not prove the cluster's secret") != NULL);
    run_result_deinit(&status);
    CHECK_EQ(run_wait(pid, SIGTERM, 20000), 0);
    node_start("broker-1");
    node_wait_ready("broker-1");
    mem_free(path);
    mem_free(digest);
    mem_free(config);
    mem_free(set);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(forged_hellos_change_nothing),
        CASE(wrong_cluster_and_garbage_change_nothing),
        CASE(replica_proves_itself_before_it_is_answered),
        CASE(broker_without_secret_says_so),
        CASE(beyond_this_machine_no_start_without_a_secret),
        CASE(nodes_of_a_broker_are_its_digests),
        CASE(controller_closes_what_stood_open_and_strangers_are_told),
        CASE(controller_without_secret_says_which_broker_demands_one),
        CASE(broker_that_nobody_greets_says_what_to_check),
        CASE(address_of_this_machine_only_is_warned_of_when_zookeeper_is_elsewhere),
        CASE(broker_with_another_secret_is_shown_with_the_reason),
        CASE(stop_zookeeper),
};

CHECK_MAIN("trust", cases)
