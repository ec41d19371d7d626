/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/shell/acceptor.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/broker_http.h"
#include "broker/shell/broker_setup.h"
#include "broker/shell/canary.h"
#include "broker/shell/cleaner.h"
#include "broker/shell/cold_reads.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/fetcher.h"
#include "broker/shell/keeper.h"
#include "broker/shell/keeper_image.h"
#include "broker/shell/peers.h"
#include "broker/shell/producer_ids.h"
#include "broker/shell/proposals.h"
#include "broker/shell/reach.h"
#include "broker/shell/registration.h"
#include "broker/shell/scrubber.h"
#include "broker/shell/startup.h"
#include "broker/shell/throttles.h"
#include "broker/shell/ticker.h"
#include "broker/shell/trash_keeper.h"
#include "common/auth/auth.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/net/resolve.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/obs/process.h"
#include "common/zk/zk.h"
#include "common/zk/zk_paths.h"

enum {
    SHUTDOWN_MS = 10000,
    INTERRUPT_MS = 2000,
    ERROR_SIZE = BROKER_SETUP_ERROR_SIZE
};

/* --- What parts ask of each other --------------------------------------------------------------------------------- */

int64_t broker_epoch(const struct broker *b)
{
    return b->registration != NULL ? registration_epoch(b->registration) : BROKER_EPOCH_NONE;
}

bool broker_may_lead(const struct broker *b) /* [REP-20] */
{
    const struct image_broker *me = image_broker(b->image, b->id);

    return me != NULL && b->registration != NULL && registration_was(b->registration, me->epoch) &&
           me->state != BROKER_FENCED && ctl_link_trouble(b->ctl)[0] == '\0' &&
           !b->is_elsewhere; /* [RBD-11] */
}

void broker_give_up(struct broker *b, int exit_code)
{
    b->exit_code = exit_code;
    b->is_stopping = true;
    loop_stop(b->control);
}

static void wake(void *ctx, const struct partition_wake *wakes, size_t n)
{
    struct broker *b = ctx;

    data_loops_wake(&b->data, wakes, n);
}

static void wants_flush(void *ctx, struct partition *p)
{
    struct broker *b = ctx;

    keeper_flush_soon(b->keeper, p);
}

static void follows(void *ctx, struct partition *p, broker_id was, broker_id now)
{
    struct broker *b = ctx;

    fetchers_look(b->fetchers, p, was, now);
}

static void propose(void *ctx, struct partition *p, const struct replica_proposal *x)
{
    struct broker *b = ctx;

    proposals_add(b->proposals, p, x);
}

static void report(void *ctx, struct partition *p, const char *reason)
{
    struct broker *b = ctx;

    proposals_report(b->proposals, p, reason);
}

static void submit(void *ctx, struct io_job *job)
{
    struct broker *b = ctx;

    io_pool_submit(b->pool, job);
}

static void after_checkpoint(void *ctx, struct io_job *job)
{
    struct broker *b = ctx;

    keeper_after_checkpoint(b->keeper, job);
}

static void left(void *ctx)
{
    struct broker *b = ctx;

    trash_keeper_retry(b->trash);
}

/* --- ZooKeeper ---------------------------------------------------------------------------------------------------- */

static void on_session(void *ctx)
{
    struct broker *b = ctx;

    if (!b->is_stopping) {
        registration_set_cluster(b->registration, &b->cluster_id);
        registration_begin(b->registration, b->zk);
    }
}

static void on_connection(void *ctx, bool connected)
{
    metric_set(METRIC_ZK_CONNECTED, connected ? 1 : 0);
}

static void on_session_lost(void *ctx)
{
    struct broker *b = ctx;

    registration_lost(b->registration);
}

enum {
    ID_RETRY_MS = 300
};

/* [RBD-11] In a ZooKeeper that lost its data running controllers found another cluster; they do not dial this broker, so
 * it has to see for itself that nobody decides about it any more. */
static void on_id(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct broker *b = ctx;
    struct msg_cluster_id m = {0};
    struct arena a;

    if (b->is_stopping || b->is_over) {
        return;
    }
    if (rc != ZK_OK) { /* a controller is about to write it, or the connection broke */
        timer_set(&b->id_timer, wtime_add(loop_now(b->control), WTIME_MS(ID_RETRY_MS)));
        return;
    }
    arena_init(&a, wire_arena_ceiling(data.size));
    if (wire_decode_cluster_id(data, &a, &m) == 0 && !uuid_is_zero(&m.cluster_id) &&
            !uuid_is_zero(&b->cluster_id) && !uuid_equal(&m.cluster_id, &b->cluster_id)) {
        b->is_elsewhere = true;
        log_error("broker", "cluster_lost",
                KV_STR("reason",
                        "ZooKeeper holds another cluster than this broker's: was it wiped?"),
                KV_STR("then", "nothing is led and nothing deleted until a controller of its own "
                               "cluster dials; see weir meta rebuild"));
        ctl_link_registration_changed(b->ctl);
    }
    arena_deinit(&a);
}

static void look_whose(void *ctx)
{
    struct broker *b = ctx;

    timer_cancel(&b->id_timer);
    if (b->zk != NULL) {
        zk_get(b->zk, ZK_PATH_ID, NULL, on_id, b);
    }
}

static void on_registration_changed(void *ctx, int64_t epoch)
{
    struct broker *b = ctx;

    look_whose(b);

    keeper_registered(b->keeper, epoch);
    fetchers_restart(b->fetchers);
    ctl_link_registration_changed(b->ctl);
}

/* [RBD-9] */
static bool is_former_epoch(void *ctx, int64_t epoch)
{
    const struct broker *b = ctx;
    const struct image_broker *me = image_broker(b->image, b->id);

    for (size_t i = 0; i < b->dirs.n; i++) {
        if (log_dir_prev_epoch(b->dirs.items[i]) == epoch) {
            return true;
        }
    }
    return (me != NULL && me->epoch == epoch) || keeper_image_knows_epoch(b->image_file, epoch);
}

static void on_foreign(void *ctx, const char *sentence)
{
    struct broker *b = ctx;

    log_error("broker", "id_in_use", KV_STR("reason", sentence));
    broker_give_up(b, 1);
}

static void fill_nonce(void *ctx, struct uuid *ret)
{
    struct broker *b = ctx;
    const struct file_io *io = log_dir_io(b->dirs.items[0]);

    if (io->random(io->ctx, ret->bytes, sizeof(ret->bytes)) < 0) {
        *ret = (struct uuid){{0}};
    }
}

/* What the registration says of this machine and its folders. */
struct self {
    struct uuid dirs[BROKER_DIRS_MAX];
    struct endpoint endpoints[BROKER_LISTENERS_MAX];
    struct file_identity identity;
};

static void make_registration(struct broker *b, struct self *self)
{
    const struct file_io *io = log_dir_io(b->dirs.items[0]);
    struct registration_options o = {.fill_nonce = fill_nonce,
            .is_former_epoch = is_former_epoch,
            .on_changed = on_registration_changed,
            .on_foreign = on_foreign,
            .ctx = b};
    struct msg_broker_reg *reg = &o.reg;

    *reg = (struct msg_broker_reg){.cluster_id = b->cluster_id,
            .broker = b->id,
            .dirs = self->dirs,
            .endpoints = self->endpoints,
            .rack = conf_str(b->conf, "broker.rack"),
            .crash_kind = CRASH_CLEAN,
            .prev_epoch = BROKER_EPOCH_NONE,
            .version = WEIR_VERSION,
            .feature_level = META_FEATURE_LEVEL};
    if (io->identity(io->ctx, log_dir_path(b->dirs.items[0]), &self->identity) < 0) {
        self->identity.boot_id[0] = '\0';
    }
    reg->boot_id = self->identity.boot_id;
    for (size_t i = 0; i < b->dirs.n; i++) {
        const struct log_dir *d = b->dirs.items[i];

        self->dirs[reg->n_dirs++] = *log_dir_id(d);
        if (log_dir_crash_kind(d) > reg->crash_kind) {
            reg->crash_kind = log_dir_crash_kind(d);
        }
        /* [CTL-3] The oldest: one of several disks may be an old copy. */
        if (i == 0 || log_dir_prev_epoch(d) < reg->prev_epoch) {
            reg->prev_epoch = log_dir_prev_epoch(d);
        }
    }
    for (size_t i = 0; i < b->n_listeners; i++) {
        self->endpoints[reg->n_endpoints++] = (struct endpoint){.name = b->advertised[i].name,
                .host = b->advertised[i].host,
                .port = b->advertised[i].port};
    }
    b->registration = registration_new(b->control, &o);
}

/* --- Stopping ----------------------------------------------------------------------------------------------------- */

static void on_shutdown_done(void *ctx, bool done)
{
    struct broker *b = ctx;

    log_info("broker", "shutdown_granted", KV_STR("leaderships", done ? "moved" : "not moved"));
    loop_stop(b->control);
}

static void on_shutdown_late(void *ctx)
{
    struct broker *b = ctx;

    if (!b->is_serving) { /* a disk that does not answer: its threads cannot be joined */
        log_error("broker", "recovery_hangs",
                KV_STR("reason", "logs that are being opened did not stop within 2 s"),
                KV_STR("then", "the process ends as if killed; the next start recovers them"));
        _exit(1);
    }
    log_warn("broker", "shutdown_not_granted",
            KV_STR("reason",
                    "the controller did not grant the shutdown within 10 s; stopping without it"));
    loop_stop(b->control);
}

/* A second one: at once, as if killed. The logs are recovered at the next start. */
static void on_second_signal(int signo)
{
    static const char text[] = "weir-broker: stopped at once by a second signal\n";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static void on_stop_signal(void *ctx, int signo)
{
    struct broker *b = ctx;

    if (b->is_stopping) {
        on_second_signal(signo);
    }
    b->is_stopping = true;
    log_info("broker", "stopping", KV_I64("signal", signo));
    process_notify("STOPPING=1");
    if (!b->is_serving) { /* [LOG-16] */
        startup_interrupt(b->startup);
        timer_set(&b->stop_timer, wtime_add(loop_now(b->control), WTIME_MS(INTERRUPT_MS)));
        return;
    }
    if (!ctl_link_shutdown(b->ctl, on_shutdown_done, b)) {
        loop_stop(b->control);
        return;
    }
    timer_set(&b->stop_timer, wtime_add(loop_now(b->control), WTIME_MS(SHUTDOWN_MS)));
}

/* --- Starting ----------------------------------------------------------------------------------------------------- */

static int start_zookeeper(struct broker *b, char *error)
{
    struct zk_options o = {.connect = conf_str(b->conf, "zookeeper.connect"),
            .session_timeout_ms = (int)conf_i64(b->conf, "zookeeper.session.timeout.ms"),
            .on_session = on_session,
            .on_connection = on_connection,
            .on_session_lost = on_session_lost,
            .ctx = b};
    const char *path = conf_str(b->conf, "zookeeper.digest.file");
    char *digest = NULL;
    char text[ERROR_SIZE];

    if (path[0] != '\0' && auth_digest_load(path, &digest, text, sizeof(text)) != 0) {
        (void)snprintf(error, ERROR_SIZE, "zookeeper.digest.file: %.450s", text);
        return 1;
    }
    o.digest = digest;
    int r = zk_new(b->control, b->resolver, &o, &b->zk, error, ERROR_SIZE);
    (void)auth_digest_free(digest);
    return r;
}

/* One life of the process. */
struct run {
    struct broker b;
    struct self self;
    wtime began;
    char error[ERROR_SIZE]; /* why it could not start, or "" */
};

/* [BRK-1] What needs the logs, in this order. 0, or the reason in `error`. */
static int serve(struct run *run)
{
    struct broker *b = &run->b;

    b->pool = io_pool_new((size_t)conf_i64(b->conf, "num.io.threads"));
    b->cold_reads = cold_reads_new(b);
    b->packers = io_pool_new((size_t)conf_i64(b->conf, "num.io.threads"));
    b->trash = trash_keeper_new(b);
    b->keeper = keeper_new(b);
    b->scrubbers = scrubbers_new(b);
    b->image_file = keeper_image_new(b);
    b->canaries = canaries_new(b);
    b->cleaner = cleaner_new(b);
    b->ctl = ctl_link_new(b);
    b->producer_ids = producer_ids_new(b);
    b->ticker = ticker_new(b);
    make_registration(b, &run->self);
    b->reach = reach_new(b);
    if (start_zookeeper(b, run->error) != 0) {
        return 1;
    }
    data_loops_start(&b->data);
    acceptor_begin(b->acceptor);
    b->is_serving = true;
    log_info("broker", "started", KV_STR("version", WEIR_VERSION),
            KV_U64("partitions", b->partitions.n),
            KV_I64("took_ms", (clock_now() - run->began) / 1000));
    process_notify("READY=1");
    return 0;
}

static void on_logs_open(void *ctx, bool is_whole)
{
    struct run *run = ctx;

    if (!is_whole || serve(run) != 0) {
        loop_stop(run->b.control);
    }
}

/* [BRK-1] Everything up to the running control loop, in this order. 0, or the reason in `error`. */
static int start(struct run *run)
{
    struct broker *b = &run->b;
    char *error = run->error;

    if (broker_setup_listeners(b, error) != 0 || broker_setup_secret(b, error) != 0 ||
            broker_setup_dirs(b, error) != 0) {
        return 1;
    }
    b->control = loop_new("control");
    b->peers = peers_new(conf_str(b->conf, "inter.broker.listener.name"));
    b->proposals = proposals_new(b);
    b->resolver = resolver_new();
    b->image = image_new();
    b->configs = broker_configs_new(b);
    b->files = file_cache_new(&file_io_posix, broker_setup_open_files_max(b->conf));
    b->env = (struct partition_env){.self = b->id,
            .files = b->files,
            .wake = wake,
            .wants_flush = wants_flush,
            .follows = follows,
            .propose = propose,
            .report = report,
            .submit = submit,
            .after_checkpoint = after_checkpoint,
            .left = left,
            .ctx = b,
            .lag_max = WTIME_MS(conf_i64(b->conf, "replica.lag.time.max.ms")),
            .lease = WTIME_MS(conf_i64(b->conf, "weir.lease.ms")),
            .pulses = &b->pulses,
            .next_deadline = WTIME_NEVER,
            .producer_expiration_ms = conf_i64(b->conf, "producer.id.expiration.ms")};
    pulses_init(&b->pulses);
    partitions_init(&b->partitions, &b->env, &b->dirs);
    conn_limits_init(&b->conn_limits, conf_i64(b->conf, "max.connections"),
            conf_i64(b->conf, "max.connections.per.ip"));
    /* [BRK-17] Ports are taken before logs are read: a second broker on this machine hears of it at once, and
     * who asks how far the logs are gets an answer. */
    if (acceptor_new(b, &b->acceptor, error, ERROR_SIZE) != 0 ||
            broker_http_new(b, &b->http, error, ERROR_SIZE) != 0) {
        return 1;
    }
    data_loops_init(&b->data, b, broker_setup_n_loops(b->conf));
    b->throttles = throttles_new(conf_i64(b->conf, "weir.reassignment.bytes.per.second"));
    b->fetchers = fetchers_new(b);
    timer_init(&b->stop_timer, b->control, on_shutdown_late, b);
    timer_init(&b->id_timer, b->control, look_whose, b);
    loop_on_signal(b->control, SIGTERM, on_stop_signal, b);
    loop_on_signal(b->control, SIGINT, on_stop_signal, b);
    b->startup = startup_new(b, on_logs_open, run);
    return 0;
}

/* [BRK-15] Takes everything down; `is_running`: the data loops ran, and the folders are left clean. */
static void end(struct broker *b, bool is_running)
{
    int64_t epoch = broker_epoch(b);

    if (b->acceptor != NULL) {
        acceptor_stop(b->acceptor);
    }
    if (is_running) {
        data_loops_stop(&b->data);
    }
    b->is_over = true;
    b->ticker = ticker_free(b->ticker);
    b->canaries = canaries_free(b->canaries);
    b->scrubbers = scrubbers_free(b->scrubbers);
    b->cold_reads = cold_reads_free(b->cold_reads);
    b->packers = io_pool_free(b->packers);
    b->cleaner = cleaner_free(b->cleaner);
    b->pool = io_pool_free(b->pool);
    keeper_end_syncs(b->keeper);
    if (b->keeper != NULL && is_running && b->exit_code == 0) {
        b->exit_code = keeper_finish(b->keeper, epoch, image_position(b->image).index) ? 0 : 1;
        keeper_image_finish(b->image_file);
    }
    b->startup = startup_free(b->startup);
    b->reach = reach_free(b->reach);
    b->ctl = ctl_link_free(b->ctl);
    b->producer_ids = producer_ids_free(b->producer_ids);
    b->acceptor = acceptor_free(b->acceptor);
    b->http = broker_http_free(b->http);
    if (b->control != NULL) {
        timer_deinit(&b->stop_timer);
        timer_deinit(&b->id_timer);
    }
    b->zk = zk_free(b->zk); /* after the clean markers: the ephemeral node goes last */
    b->registration = registration_free(b->registration);
    b->resolver = b->resolver != NULL ? resolver_free(b->resolver) : NULL;
    b->keeper = keeper_free(b->keeper);
    b->trash = trash_keeper_free(b->trash);
    b->image_file = keeper_image_free(b->image_file);
    b->control = b->control != NULL ? loop_free(b->control) : NULL;
    if (b->data.items != NULL) {
        data_loops_deinit(&b->data);
    }
    b->fetchers = fetchers_free(b->fetchers);
    b->throttles = throttles_free(b->throttles);
    b->proposals = proposals_free(b->proposals);
    b->peers = peers_free(b->peers);
    if (b->files != NULL) {
        partitions_deinit(&b->partitions);
        pulses_deinit(&b->pulses);
        conn_limits_deinit(&b->conn_limits);
    }
    b->files = file_cache_free(b->files);
    for (size_t i = 0; i < b->dirs.n; i++) {
        b->dirs.items[i] = log_dir_close(b->dirs.items[i]);
    }
    b->dirs.items = mem_free(b->dirs.items);
    b->configs = broker_configs_free(b->configs);
    b->image = image_free(b->image);
    b->listeners = mem_free(b->listeners);
    b->advertised = mem_free(b->advertised);
    b->secret = auth_secret_free(b->secret);
}

int broker_run(const struct conf *conf)
{
    struct run run = {.b = {.conf = conf, .id = (broker_id)conf_i64(conf, "broker.id")},
            .began = clock_now()};

    if (start(&run) == 0) {
        loop_run(run.b.control);
        (void)signal(SIGTERM, on_second_signal);
        (void)signal(SIGINT, on_second_signal);
    }
    if (run.error[0] != '\0') {
        log_error("broker", "start_refused", KV_STR("reason", run.error));
        run.b.exit_code = 1;
    }
    end(&run.b, run.b.is_serving);
    if (run.error[0] == '\0') {
        log_info("broker", "stopped", KV_I64("exit_code", run.b.exit_code));
    }
    return run.b.exit_code;
}
