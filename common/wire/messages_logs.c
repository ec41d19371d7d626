/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/wire/codec.h"

#include "proto/control.pb-c.h"

/* What log directories hold. */

void wire_encode_describe_logs_request(const struct msg_describe_logs_request *m, struct buf *out)
{
    Weir__V1__DescribeLogsRequest pb;

    weir__v1__describe_logs_request__init(&pb);
    pb.with_topics = m->with_topics;
    enc_finish(&pb.base, out);
}

static void from_describe_logs_request(struct dec *d,
        const Weir__V1__DescribeLogsRequest *pb,
        struct msg_describe_logs_request *m)
{
    (void)d;
    m->with_topics = pb->with_topics != 0;
}

DEFINE_DECODE(describe_logs_request,
        Weir__V1__DescribeLogsRequest,
        weir__v1__describe_logs_request__descriptor)

static Weir__V1__TopicBytes **enc_topics(
        struct enc *e, const struct msg_topic_bytes *topics, size_t n)
{
    Weir__V1__TopicBytes **list = enc_list(e, &weir__v1__topic_bytes__descriptor, n);

    for (size_t i = 0; i < n; i++) {
        list[i]->topic_id = enc_uuid(&topics[i].topic_id);
        list[i]->bytes = topics[i].bytes;
        list[i]->partitions = topics[i].partitions;
        list[i]->emptied = topics[i].emptied;
    }
    return list;
}

void wire_encode_describe_logs_response(const struct msg_describe_logs_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DescribeLogsResponse pb;

    weir__v1__describe_logs_response__init(&pb);
    pb.dirs = enc_list(&e, &weir__v1__dir_logs__descriptor, m->n_dirs);
    pb.n_dirs = m->n_dirs;
    for (size_t i = 0; i < m->n_dirs; i++) {
        const struct msg_dir_logs *from = &m->dirs[i];
        Weir__V1__DirLogs *to = pb.dirs[i];
        to->dir_id = enc_uuid(&from->dir_id);
        to->topics = enc_topics(&e, from->topics, from->n_topics);
        to->n_topics = from->n_topics;
        to->topics_total = from->n_all;
        to->bytes = from->bytes;
        to->trash = enc_topics(&e, from->trash, from->n_trash);
        to->n_trash = from->n_trash;
        to->trash_bytes = from->trash_bytes;
    }
    enc_finish(&pb.base, out);
}

static struct msg_topic_bytes *dec_topics(
        struct dec *d, Weir__V1__TopicBytes *const *from, size_t n)
{
    struct msg_topic_bytes *list = dec_list(d, n, sizeof(*list));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = (struct msg_topic_bytes){.topic_id = dec_uuid(d, &from[i]->topic_id),
                .bytes = from[i]->bytes,
                .partitions = from[i]->partitions,
                .emptied = from[i]->emptied};
    }
    return list;
}

static void from_describe_logs_response(struct dec *d,
        const Weir__V1__DescribeLogsResponse *pb,
        struct msg_describe_logs_response *m)
{
    m->dirs = dec_list(d, pb->n_dirs, sizeof(*m->dirs));
    m->n_dirs = pb->n_dirs;
    for (size_t i = 0; m->dirs != NULL && i < pb->n_dirs; i++) {
        const Weir__V1__DirLogs *from = pb->dirs[i];
        m->dirs[i] = (struct msg_dir_logs){.dir_id = dec_uuid(d, &from->dir_id),
                .topics = dec_topics(d, from->topics, from->n_topics),
                .n_topics = from->n_topics,
                .n_all = from->topics_total,
                .bytes = from->bytes,
                .trash = dec_topics(d, from->trash, from->n_trash),
                .n_trash = from->n_trash,
                .trash_bytes = from->trash_bytes};
    }
}

DEFINE_DECODE(describe_logs_response,
        Weir__V1__DescribeLogsResponse,
        weir__v1__describe_logs_response__descriptor)
