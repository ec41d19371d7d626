/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/shell/decision.h"
#include "tests/lib/check.h"

#define WHY(c, a, r, i)                                                                            \
    {                                                                                              \
        .cause = (c), .actor = (a), .reason = (r), .inputs = (i)                                   \
    }

static const struct meta_config_pair pairs[] = {{"a", "1"}, {"b", NULL}};
static const struct partition_state before = {.partition = 3,
        .replicas = {1, {1}},
        .isr = {1, {1}},
        .leader = 1,
        .leader_epoch = 4,
        .unclean_epoch = EPOCH_NONE};

/* One of each kind, and of each cause. */
static const struct {
    struct meta_record r;
    const char *topic;
    const struct partition_state *old;
    const char *text;
} rows[] = {
        {{.kind = META_PARTITION_STATE,
                 .why = WHY(CAUSE_BROKER_REFUSED, "", "", "fenced=1 isr=[1] live=[]"),
                 .partition = {.partition = 3, .replicas = {1, {1}}, .isr = {1, {1}},
                         .leader = BROKER_NONE, .leader_epoch = 5, .partition_epoch = 5, .unclean_epoch = EPOCH_NONE}},
                "orders", &before,
                "orders/3: leader 1 → none, leader epoch 4 → 5, isr [1], because broker 1 was "
                "refused twice (its process is dead); it saw fenced=1 isr=[1] live=[]"},
        {{.kind = META_PARTITION_STATE,
                 .why = WHY(CAUSE_ADMIN, "http 127.0.0.1", "test", "broker 1 has the fewest"),
                 .partition = {.isr = {2, {1, 2}}, .leader = 1, .unclean_epoch = EPOCH_NONE}},
                "orders", NULL,
                "orders/0: leader 1, leader epoch 0, isr [1,2], as created, because http 127.0.0.1 "
                "asked for it (\"test\"); it saw broker 1 has the fewest"},
        {{.kind = META_PARTITION_STATE, .why = WHY(CAUSE_ADMIN, "http ::1", "", "target=[2]"),
                 .partition = {.partition = 3, .replicas = {2, {2, 1}}, .adding = {1, {2}},
                         .removing = {1, {1}}, .isr = {1, {1}}, .leader = 1, .leader_epoch = 4,
                         .partition_epoch = 5, .unclean_epoch = EPOCH_NONE}},
                "orders", &before,
                "orders/3: leader 1, leader epoch 4, isr [1], on its way to replicas [2], because "
                "http ::1 asked for it; it saw target=[2]"},
        {{.kind = META_PARTITION_STATE,
                 .why = WHY(CAUSE_ISR_PROPOSED, "broker 1", "", "proposed=[1,2]"),
                 .partition = {.partition = 3, .replicas = {1, {2}}, .isr = {1, {2}}, .leader = 2,
                         .leader_epoch = 5, .partition_epoch = 6, .unclean_epoch = EPOCH_NONE}},
                "orders", &before,
                "orders/3: leader 1 → 2, leader epoch 4 → 5, isr [1] → [2], replicas [1] → [2], "
                "because broker 1, its leader, proposed the ISR; it saw proposed=[1,2]"},
        {{.kind = META_PARTITION_STATE,
                 .why = WHY(CAUSE_BROKER_READY, "broker 1", "", "ready=1 isr=[1] live=[1]"),
                 .partition = {.partition = 3, .isr = {1, {1}}, .leader = 1, .leader_epoch = 6,
                         .partition_epoch = 6, .unclean_epoch = 6}},
                NULL, NULL,
                "(a topic that is gone)/3: leader 1, leader epoch 6, isr [1], UNCLEAN: the last "
                "records may be lost, because broker 1 said that it is ready; it saw ready=1 "
                "isr=[1] live=[1]"},
        {{.kind = META_NEW_CONTROLLER, .why = WHY(CAUSE_CONTROLLER_ELECTED, "", "", ""),
                 .new_controller = {.ctl_epoch = 7, .controller_id = 2}},
                NULL, NULL, "controller 2 is active in epoch 7, because a controller was elected"},
        {{.kind = META_REGISTER_BROKER, .why = WHY(CAUSE_BROKER_REGISTERED, "", "", "previous=-1"),
                 .register_broker = {.id = 2, .crash_kind = CRASH_PROC}},
                NULL, NULL,
                "broker 2 registered, not serving yet; its process had died, because broker 2 came "
                "with a new registration; it saw previous=-1"},
        {{.kind = META_BROKER_PURGED, .why = WHY(CAUSE_BROKER_REGISTERED, "", "", ""),
                 .broker = {.id = 2}},
                NULL, NULL,
                "broker 2 left every ISR, so it may come back, because broker 2 came with a new "
                "registration"},
        {{.kind = META_FENCE_BROKER, .why = WHY(CAUSE_BROKER_GONE, "", "", "gone"),
                 .broker = {.id = 2}},
                NULL, NULL,
                "broker 2 fenced: it leads nothing, because broker 2 is gone from ZooKeeper; it saw "
                "gone"},
        {{.kind = META_FENCE_BROKER, .why = WHY(CAUSE_BROKER_SILENT, "", "", ""),
                 .broker = {.id = 2}},
                NULL, NULL,
                "broker 2 fenced: it leads nothing, because broker 2 sent no heartbeat for "
                "weir.broker.timeout.ms"},
        {{.kind = META_UNFENCE_BROKER, .why = WHY(CAUSE_BROKER_READY, "broker 2", "", ""),
                 .broker = {.id = 2}},
                NULL, NULL, "broker 2 serves, because broker 2 said that it is ready"},
        {{.kind = META_BROKER_SHUTDOWN, .why = WHY(CAUSE_BROKER_SHUTDOWN, "broker 2", "", ""),
                 .broker = {.id = 2}},
                NULL, NULL, "broker 2 shuts down in order, because broker 2 asked to shut down"},
        {{.kind = META_CREATE_TOPIC, .why = WHY(CAUSE_INTERNAL_TOPIC, "", "", "brokers_up=1"),
                 .create_topic = {.name = "t", .n_partitions = 1, .replication_factor = 1,
                         .configs = pairs, .n_configs = 1}},
                "t", NULL,
                "topic t created: 1 partition, replication factor 1, a=1, because the cluster keeps "
                "its own state in it; it saw brokers_up=1"},
        {{.kind = META_REMOVE_TOPIC, .why = WHY(CAUSE_ADMIN, "", "", "")}, "t", NULL,
                "topic t deleted, because an operator asked for it"},
        {{.kind = META_CONFIG_SET, .why = WHY(CAUSE_ADMIN, "http ::1", "", ""),
                 .config_set = {.scope = CONFIG_BROKER, .broker = 4, .configs = pairs,
                         .n_configs = 2}},
                NULL, NULL,
                "configuration of broker 4: a=1, b back to its default, because http ::1 asked for "
                "it"},
        {{.kind = META_PRODUCER_ID_BLOCK, .why = WHY(CAUSE_ISR_PROPOSED, "", "", ""),
                 .producer_ids = {.broker = 4, .first = 100, .count = 50}},
                NULL, NULL,
                "producer ids 100 to 149 given to broker 4, because its leader proposed the ISR"},
        {{.kind = META_PRODUCER_ID_BLOCK, .why = WHY(CAUSE_PRODUCER_IDS, "broker 4", "", ""),
                 .producer_ids = {.broker = 4, .first = 1000, .count = 1000}},
                NULL, NULL,
                "producer ids 1000 to 1999 given to broker 4, because broker 4 ran out of them"},
        {{.kind = META_PRODUCER_ID_BLOCK, .why = WHY(CAUSE_CONTROLLER_ELECTED, "", "", "rebuilt"),
                 .producer_ids = {.broker = BROKER_NONE, .first = 1000, .count = 1000}},
                NULL, NULL,
                "producer ids 1000 to 1999 are given to nobody: the history that was lost may have "
                "given them, because a controller was elected; it saw rebuilt"},
        {{.kind = META_FEATURE_SET, .why = WHY(CAUSE_REPLICA_FAILED, "", "", "failed=9 x"),
                 .feature = {.name = "metadata.version", .level = 1}},
                NULL, NULL,
                "feature metadata.version at level 1, because broker 9 said that its replica "
                "failed; it saw failed=9 x"},
        {{.kind = META_PURGE_TOPIC, .why = WHY(CAUSE_TRASH_EXPIRED, "", "", "")}, "t", NULL,
                "deleted topic t purged: it cannot be restored any more, because it had been in "
                "the trash for weir.delete.grace.ms"},
        {{.kind = META_FEATURE_SET, .why = WHY(CAUSE_LEADERS_BALANCED, "", "", ""),
                 .feature = {.name = "metadata.version", .level = 1}},
                NULL, NULL,
                "feature metadata.version at level 1, because its first replica is in sync again and "
                "auto.leader.rebalance.enable is true"},
        {{.kind = META_FEATURE_SET, .why = WHY(CAUSE_FURTHEST_LOG, "", "", ""),
                 .feature = {.name = "metadata.version", .level = 1}},
                NULL, NULL,
                "feature metadata.version at level 1, because nobody was in sync, and of all who may "
                "have the last records its log reaches furthest (weir.unclean.election=balanced)"},
        {{.kind = META_FEATURE_SET, .why = WHY(CAUSE_ISR_PROPOSED, "broker 1", "", ""),
                 .feature = {.name = "metadata.version", .level = 1}},
                NULL, NULL,
                "feature metadata.version at level 1, because broker 1, its leader, proposed the "
                "ISR"},
        {{.kind = META_PURGE_TOPIC, .why = WHY(CAUSE_TRASH_FULL, "", "", "")}, NULL, NULL,
                "deleted topic (its name is not known) purged: it cannot be restored any more, "
                "because the trash holds no more topics and it was the oldest"},
        {{.kind = META_RESTORE_TOPIC, .why = WHY(CAUSE_ADMIN, "", "", "topic=t partitions=2"),
                 .restore_topic = {.name = "u"}},
                "u", NULL,
                "deleted topic restored as u, because an operator asked for it; it saw topic=t "
                "partitions=2"},
        {{.kind = META_BROKER_INTENT, .why = WHY(CAUSE_ADMIN, "http ::1", "", ""),
                 .intent = {.id = 2, .intent = BROKER_CORDONED}},
                NULL, NULL,
                "broker 2 is cordoned: it gets no new replicas, because http ::1 asked for it"},
        {{.kind = META_BROKER_INTENT, .why = WHY(CAUSE_ADMIN, "", "disk", ""),
                 .intent = {.id = 2, .intent = BROKER_DRAINING}},
                NULL, NULL,
                "broker 2 is drained: it gets no new replicas and leads nothing that another can "
                "lead, because an operator asked for it (\"disk\")"},
        {{.kind = META_BROKER_INTENT, .why = WHY(CAUSE_ADMIN, "", "", ""),
                 .intent = {.id = 2, .intent = BROKER_DECOMMISSIONING}},
                NULL, NULL,
                "broker 2 is decommissioned: it leads nothing that another can lead, and its "
                "replicas go to other brokers, because an operator asked for it"},
        {{.kind = META_BROKER_INTENT, .why = WHY(CAUSE_ADMIN, "", "", ""), .intent = {.id = 2}},
                NULL, NULL,
                "broker 2 takes part again: it may lead and get new replicas, because an operator "
                "asked for it"},
        {{.kind = META_BROKER_FORGOTTEN, .why = WHY(CAUSE_ADMIN, "", "", ""),
                 .forgotten = {.id = 2}},
                NULL, NULL,
                "broker 2 is not known any more, because an operator asked for it"},
        {{.kind = META_OPERATION, .why = WHY(CAUSE_OPERATION_ENDED, "", "", ""),
                 .operation = {.id = 12, .kind = OPERATION_DECOMMISSION, .state = OPERATION_DONE,
                         .brokers = {1, {4}}, .n_partitions = 5, .detail = "it is empty"}},
                NULL, NULL,
                "operation 12 (decommission of broker [4]) is done, 5 partitions: it is empty, "
                "because nothing of it was left to do"},
        {{.kind = META_OPERATION, .why = WHY(CAUSE_DECOMMISSION, "", "", ""),
                 .operation = {.id = 12, .kind = OPERATION_BALANCE, .state = OPERATION_RUNNING,
                         .n_partitions = 1, .detail = ""}},
                NULL, NULL,
                "operation 12 (balance) runs, 1 partition, because a broker is decommissioned"},
        {{.kind = (enum meta_kind)99, .why = WHY((enum meta_cause)77, "", "", "")}, NULL, NULL,
                "a decision of a newer version, because of cause 77, which is of a newer version"},
};

static void every_kind_and_cause_has_its_sentence(void)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct decision d = {
                .record = &rows[i].r, .topic = rows[i].topic, .old = rows[i].old};
        struct buf text = {0};
        decision_text(&d, &text);
        CHECK_STR(buf_str(&text), rows[i].text);
        buf_deinit(&text);
    }
}

static void a_gap_says_what_is_missing_and_why(void)
{
    const struct decision d = {.is_gap = true, .index = 5, .gap_to = 9, .why = "trimmed"};
    struct buf text = {0};

    decision_text(&d, &text);
    CHECK_STR(buf_str(&text), "the batches 5 to 9 are not in the journal: trimmed");
    buf_deinit(&text);
}

static void names_of_causes_are_read_back(void)
{
    for (int cause = CAUSE_CONTROLLER_ELECTED; cause <= CAUSE_PRODUCER_IDS; cause++) {
        const char *name = decision_cause_name((enum meta_cause)cause);
        CHECK(strcmp(name, "unknown") != 0);
        CHECK_EQ(decision_cause_by_name(name), cause);
    }
    CHECK_EQ(decision_cause_by_name("unknown"), 0);
    CHECK_EQ(decision_cause_by_name(""), 0);
}

static const struct check_case cases[] = {
        CASE(every_kind_and_cause_has_its_sentence),
        CASE(a_gap_says_what_is_missing_and_why),
        CASE(names_of_causes_are_read_back),
};
CHECK_MAIN("decision_text", cases)
