/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_link.h"

#include "common/domain/errcode.h"

/* Requests of a broker about its replicas: decoded here, decided by the core. */

void link_on_alter_partition(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct arena a;
    struct msg_alter_partition_request m = {0};

    arena_init(&a, wire_arena_ceiling(r->body.size));
    if (wire_decode_alter_partition_request(r->body, &a, &m) != 0) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "it does not decode", NULL);
    } else {
        l->set->options.on_alter_partition(
                l->set->options.ctx, l->id, &m, link_keep_request(l, conn, r));
    }
    arena_deinit(&a);
}

void link_on_replica_failed(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct arena a;
    struct msg_replica_failed_request m = {0};

    arena_init(&a, wire_arena_ceiling(r->body.size));
    if (wire_decode_replica_failed_request(r->body, &a, &m) != 0) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "it does not decode", NULL);
    } else {
        l->set->options.on_replica_failed(
                l->set->options.ctx, l->id, &m, link_keep_request(l, conn, r));
    }
    arena_deinit(&a);
}
