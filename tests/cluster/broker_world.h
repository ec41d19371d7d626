/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/auth/auth.h"
#include "common/base/array.h"
#include "common/domain/image.h"
#include "common/domain/record_batch.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"
#include "tests/lib/check.h"

#include <sys/types.h>

/* One weir-broker process with a real ZooKeeper and a controller that this program plays: Hello, Push, Beat, and the
 * broker's own requests. Each case has a chroot, a folder and a port of its own. Everything fails the case when it does
 * not go as it should. Thread: one. */

struct zk;
struct resolver;

enum {
    BROKER_ID = 7,
    WORLD_REPLICA = 8, /* what a replica's Hello says */
    WORLD_REPLICA_EPOCH = 3,
    ANSWER_MS = 20000
};

struct reply {
    bool is_there;
    int error;
    char detail[512];
    struct bytes body;
    uint8_t *frame;
    struct arena arena;
};

struct world {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    char connect[256];
    char dir[256], log[256];
    uint16_t port, http_port;
    pid_t pid;
    bool is_flag; /* what run_until waits for */
    const char *more;                 /* one more setting of the broker: NULL = a short lease */
    const struct auth_secret *secret; /* hello_as() proves it as a controller; NULL = it does not */

    struct rpc_conn *client, *controller;
    bool client_closed;
    struct uuid cluster_id;
    uint64_t ctl_epoch;
    int64_t broker_epoch;
    struct image *image; /* what the controller has committed */
    uint64_t crc, seq;
    ARRAY(struct buf) batches; /* encoded, index 1 … */
    uint64_t applied;
    int n_ready;
    size_t n_failed;
};

/* Turns the loop until *flag or the time is over; whether *flag. */
bool run_until(struct world *w, bool *flag, int ms);
void pause_loop(struct world *w, int ms);
void reply_free(struct reply *r);
void ask(struct world *w, struct rpc_conn *c, uint32_t api, struct rpc_out *out, struct reply *ret);
/* Asks and waits; `ask` does not wait. reply_free() afterwards. */
void call(
        struct world *w, struct rpc_conn *c, uint32_t api, struct rpc_out *out, struct reply *ret);
/* A connection as w->client; waits until the broker listens. */
struct rpc_conn *dial(struct world *w);
void hello_as(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        struct uuid cluster,
        struct reply *ret);
/* A controller's or a replica's Hello with that `auth`, and its answer. */
void hello_with(struct world *w,
        struct rpc_conn *c,
        enum wire_role role,
        struct uuid cluster,
        uint64_t ctl_epoch,
        struct bytes auth,
        struct reply *ret);
/* A new client connection that has said Hello. */
void connect_client(struct world *w);
/* Appends a batch to the metadata that this controller has. */
void commit(struct world *w, struct meta_record *records, size_t n);
/* Pushes every batch that the broker does not have; push_snapshot() the whole image in one chunk. */
void push(struct world *w);
void push_answered(struct world *w, struct reply *r, bool need);
void push_snapshot(struct world *w);
void beat(struct world *w, uint64_t committed);
/* Greets as controller until the broker knows its incarnation. */
void connect_controller(struct world *w);
struct meta_record about_broker(struct world *w, enum meta_kind kind);
/* Registers the broker in the metadata, waits for its Ready, and unfences it. */
void admit_broker(struct world *w);
struct uuid topic_id(uint8_t n);
struct meta_record partition_record(uint8_t topic, int32_t number, epoch32 epoch);
/* With partitions led by the broker (at most 2); key NULL = no config but that nothing is too old. */
void create_topic(struct world *w,
        uint8_t n,
        const char *name,
        int32_t n_partitions,
        const char *key,
        const char *value);
/* Brokers started from now on count a disk as stalled after so long. Before that it is a minute: the machine's own disk may
 * be slow too. */
void world_stalls_after(int ms);
/* A broker process with that id, log and one more setting (NULL = none). After begin_faults() of tests/lib/faults.h it
 * has the fault shim. */
void start_broker_as(struct world *w, int id, const char *log, const char *more);
void start_broker(struct world *w);
/* A chroot, a folder and ports of its own; `has_parents`: /weir/brokers is there. */
struct world *world_new(bool has_parents);
void create_parents(struct world *w);
/* The exit code, or 128 + signal. */
int stop_broker(struct world *w, int signal_number);
void world_free(struct world *w);
/* Starts the broker and makes it serve topic 1 "orders"; a client. */
void world_serve(struct world *w);
struct world *world_serving(void);
bool file_has(const char *path, const char *text);
void build_batch(struct buf *ret, const char *value, int n, wall_ms time);
struct rpc_out *produce_out(uint8_t topic, int32_t acks, const struct buf *batch);
struct msg_produce_result produce_bytes(
        struct world *w, uint8_t topic, int32_t acks, const struct buf *batch);
struct msg_produce_result produce(
        struct world *w, int32_t acks, const char *value, int n, wall_ms time);
struct rpc_out *fetch_out(
        uint8_t topic, offset64 offset, uint32_t wait, uint32_t min, epoch32 epoch);
/* The only partition of a fetch's answer. */
struct msg_fetch_result fetched(struct reply *r);
/* How many records there are from `offset` on, all of which must have that value. */
int consume(struct world *w, offset64 offset, const char *value);
struct msg_list_offsets_result list_topic(struct world *w, uint8_t topic, int64_t timestamp);
struct msg_list_offsets_result list(struct world *w, int64_t timestamp); /* of topic 1 */
/* Where epoch `asked` of the topic ended, by a client that knows epoch `current`. */
struct msg_offset_for_leader_epoch_result epoch_end(
        struct world *w, uint8_t topic, epoch32 current, epoch32 asked);
/* Bytes on a connection of their own. */
void send_raw(struct world *w, const void *bytes, size_t size);
/* At the end of the program. */
void stop_zookeeper(void);
