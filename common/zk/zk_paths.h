/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every path that Weir has in ZooKeeper, below the chroot. What stands there: docs/design/20-zookeeper.md. */
#define ZK_PATH_ROOT        "/weir"
#define ZK_PATH_ID          "/weir/id"
#define ZK_PATH_EPOCH       "/weir/epoch"
#define ZK_PATH_CONTROLLER  "/weir/controller"
#define ZK_PATH_CONTROLLERS "/weir/controllers"
#define ZK_PATH_BROKERS     "/weir/brokers"
#define ZK_PATH_META        "/weir/meta"
#define ZK_PATH_META_HEAD   "/weir/meta/head"
#define ZK_PATH_META_LOG    "/weir/meta/log"
#define ZK_PATH_META_SNAP   "/weir/meta/snap"

/* Below ZK_PATH_CONTROLLERS and ZK_PATH_BROKERS: "%d" of the id. Below ZK_PATH_META_LOG: "%016llx" of N. */
