/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/conn_limits.h"
#include "broker/shell/data_loop.h"
#include "broker/shell/io_pool.h"
#include "broker/shell/partitions.h"
#include "broker/shell/pulses.h"
#include "common/domain/image.h"

struct auth_secret;
struct conf;
struct zk;
struct resolver;
struct reach;
struct registration;
struct ctl_link;
struct acceptor;
struct keeper;
struct keeper_image;
struct trash_keeper;
struct canaries;
struct cleaner;
struct broker_http;
struct producer_ids;
struct broker_configs;
struct cold_reads;
struct startup;
struct scrubbers;
struct peers;
struct fetchers;
struct proposals;
struct ticker;
struct throttles;

enum {
    BROKER_LISTENERS_MAX = 8,
    BROKER_DIRS_MAX = 64
};

/* One broker process: what its parts share.
 *
 *   start:  folders locked → identity → listeners bound → control loop and HTTP → logs recovered → data loops →
 *           ZooKeeper session → registered → dialled by a controller → image → ready → unfenced
 *   stop:   SIGTERM → ControlledShutdown (10 s at most) → listeners closed → connections flushed and closed → logs
 *           synced → checkpoints → clean markers → ZooKeeper session closed. A second SIGTERM: exit at once.
 *
 * Everything without a remark belongs to the control loop or never changes while loops run. */
struct broker {
    const struct conf *conf; /* the file; of dynamic keys, `configs` has what is in force */
    broker_id id;
    struct uuid cluster_id;                       /* zero until known */
    struct auth_secret *secret;                   /* of the cluster's daemons; NULL = none */
    struct conf_listener *listeners, *advertised; /* n_listeners each, same order */
    size_t n_listeners;

    struct loop *control;
    struct resolver *resolver;
    struct zk *zk;
    struct io_pool *pool;         /* any thread */
    struct cold_reads *cold_reads; /* any thread */
    struct scrubbers *scrubbers;
    struct io_pool *packers;       /* what takes a core and no disk: unpacking and packing batches */
    struct file_cache *files;     /* any thread */
    struct broker_dirs dirs;      /* fixed */
    struct partition_env env;     /* any thread */
    struct pulses pulses;         /* any thread */
    struct partitions partitions; /* any thread */
    struct data_loops data;
    struct peers *peers;         /* any thread */
    struct fetchers *fetchers;   /* any thread */
    struct throttles *throttles; /* any thread */
    struct proposals *proposals; /* any thread */
    struct ticker *ticker;
    struct conn_limits conn_limits; /* any thread */
    struct image *image;

    struct startup *startup; /* until the logs are open, nothing below but `acceptor` and `http` is there */
    struct acceptor *acceptor;
    struct registration *registration;
    struct reach *reach;
    struct ctl_link *ctl;
    struct keeper *keeper;
    struct keeper_image *image_file;
    struct trash_keeper *trash;
    struct canaries *canaries;
    struct producer_ids *producer_ids;
    struct cleaner *cleaner; /* NULL = log.cleaner.enable is false */
    struct broker_http *http;
    struct broker_configs *configs;

    bool is_current;       /* the image has this process's registration ([TRS-13]) */
    bool is_elsewhere;     /* ZooKeeper holds another cluster than ours ([RBD-11]) */
    struct timer id_timer; /* looks again whose it is */

    bool is_serving; /* the data loops run */
    bool is_stopping;
    bool is_over; /* the loops have ended: what is still posted does nothing */
    struct timer stop_timer;
    wtime stop_deadline;
    int exit_code;
};

/* Runs a broker until it is told to stop. Returns the process's exit code: 0 = orderly stop, 1 = could not start or had
 * to give up (the reason is in the log). Thread: main. */
int broker_run(const struct conf *conf);

/* Ends the process's work in order, with that exit code. Thread: control. */
void broker_give_up(struct broker *b, int exit_code);
/* The broker's own entry in the image is an incarnation of this process and is not fenced. Thread: control. */
bool broker_may_lead(const struct broker *b);
/* Latest incarnation, -1 = never registered. Thread: control. */
int64_t broker_epoch(const struct broker *b);
