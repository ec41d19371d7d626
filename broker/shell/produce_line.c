/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/produce_line.h"

#include "broker/shell/broker.h"
#include "common/base/mem.h"
#include "common/base/must.h"

struct produce_job {
    STAILQ_ENTRY(produce_job) entry;
    struct io_job io;
    struct loop_task task;
    struct produce_line *line;
    struct produce_work work;
    bool is_long; /* and not checked yet */
    bool is_out;  /* on the pool */
};

/* Lives while a job is in it. */
struct produce_line {
    struct data_loop *dl;
    struct client_conn *conn; /* NULL: gone */
    STAILQ_HEAD(, produce_job) jobs;
};

static void check_on_pool(struct io_job *io)
{
    struct produce_job *j = container_of(io, struct produce_job, io);

    for (size_t i = 0; i < j->work.m.n_partitions; i++) {
        append_check_end(&j->work.parts[i].check, &j->work.arena);
    }
    loop_post(j->line->dl->loop, &j->task);
}

/* Performs from the front up to a job that is, or has to go, on the pool. */
static void advance(struct produce_line *line)
{
    struct produce_job *j;

    while ((j = STAILQ_FIRST(&line->jobs)) != NULL && !j->is_out) {
        if (j->is_long) {
            j->is_out = true;
            io_pool_submit(line->dl->broker->packers, &j->io);
            return;
        }
        STAILQ_REMOVE_HEAD(&line->jobs, entry);
        if (line->conn != NULL) {
            produce_perform(line->conn, &j->work); /* may end the connection */
        } else {
            produce_perform_alone(line->dl, &j->work);
        }
        (void)mem_free(j);
    }
    if (j == NULL) {
        if (line->conn != NULL) {
            line->conn->line = NULL;
        }
        (void)mem_free(line);
    }
}

static void on_checked(struct loop_task *t)
{
    struct produce_job *j = container_of(t, struct produce_job, task);

    must(STAILQ_FIRST(&j->line->jobs) == j);
    j->is_out = j->is_long = false;
    if (j->line->dl->broker->is_over) { /* the pools end: whatever is long stays undone */
        struct produce_job *next = NULL;

        STAILQ_FOREACH(next, &j->line->jobs, entry)
        {
            next->is_long = false;
        }
    }
    advance(j->line);
}

void produce_line_add(struct client_conn *conn, const struct produce_work *work, bool is_long)
{
    struct produce_job *j = mem_new(struct produce_job);
    bool is_first = conn->line == NULL;

    if (is_first) {
        conn->line = mem_new(struct produce_line);
        conn->line->dl = conn->dl;
        conn->line->conn = conn;
        STAILQ_INIT(&conn->line->jobs);
    }
    j->line = conn->line;
    j->work = *work;
    j->is_long = is_long;
    j->io.run = check_on_pool;
    j->task.run = on_checked;
    STAILQ_INSERT_TAIL(&conn->line->jobs, j, entry);
    if (is_first) {
        advance(conn->line);
    }
}

void produce_line_leave(struct client_conn *conn)
{
    if (conn->line != NULL) {
        conn->line->conn = NULL;
        conn->line = NULL;
    }
}
