/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"

#include <string.h>

/* An image that can be used; cluster, index, checksum there, controller epoch of its records. */
static struct meta_file usable(uint8_t cluster, uint64_t index, uint64_t crc, uint64_t own_epoch)
{
    return (struct meta_file){.path = mem_format("%d/%d", cluster, (int)index),
            .is_usable = true,
            .own_epoch = own_epoch,
            .head = {.cluster_id = {{cluster}},
                    .index = index,
                    .log_crc64 = crc,
                    .ctl_epoch = own_epoch + 5}};
}

static struct meta_file damaged(void)
{
    return (struct meta_file){.path = mem_strdup("damaged"), .why = "its checksum is wrong"};
}

/* Chooses of `n` files, which are freed; -1 and the sentence in `error`. */
static int choose(struct meta_file *files, size_t n, char *error)
{
    error[0] = '\0';
    int i = meta_choose(files, n, error, 512);

    for (size_t k = 0; k < n; k++) {
        mem_free(files[k].path);
    }
    return i;
}

static void the_greatest_index_is_chosen(void) /* [RBD-4] */
{
    char error[512];
    struct meta_file files[] = {
            usable(1, 812, 5, 4), usable(1, 815, 6, 4), damaged(), usable(1, 790, 7, 3)};

    CHECK_EQ(choose(files, 4, error), 1);
    CHECK_STR(error, "");
}

static void of_equal_ones_that_with_the_last_batch_is_chosen(void) /* [RBD-4] */
{
    static const uint8_t bytes[] = {1};
    char error[512];
    struct meta_file files[] = {usable(1, 815, 6, 4), usable(1, 815, 6, 4), usable(1, 815, 6, 4)};

    files[1].head.last_batch = (struct bytes){bytes, 1};
    CHECK_EQ(choose(files, 3, error), 1);
}

static void the_same_index_with_another_history_is_refused(void) /* [RBD-4] */
{
    char error[512];
    struct meta_file files[] = {usable(1, 815, 6, 4), usable(1, 815, 7, 4)};

    CHECK_EQ(choose(files, 2, error), -1);
    CHECK(strstr(error, "the same index and another history") != NULL);
    CHECK(strstr(error, "1/815 (index 815) and 1/815 (index 815)") != NULL);
}

static void two_clusters_are_refused(void) /* [RBD-4] */
{
    char error[512];
    struct meta_file files[] = {usable(1, 815, 6, 4), damaged(), usable(2, 3, 6, 4)};

    CHECK_EQ(choose(files, 3, error), -1);
    CHECK(strstr(error, "1/815 (index 815) and 2/3 (index 3): they are of two clusters") != NULL);
}

/* ZooKeeper was put back to index 500 once, and another broker went on from there under a later
 * controller. */
static void histories_that_parted_are_refused(void) /* [RBD-4] */
{
    char error[512];
    struct meta_file files[] = {usable(1, 1000, 6, 4), usable(1, 510, 7, 5)};
    struct meta_file other_order[] = {usable(1, 510, 7, 5), usable(1, 1000, 6, 4)};

    CHECK_EQ(choose(files, 2, error), -1);
    CHECK(strstr(error, "their histories parted") != NULL);
    CHECK_EQ(choose(other_order, 2, error), -1);
    CHECK(strstr(error, "their histories parted") != NULL);
}

static void without_a_usable_one_nothing_is_chosen(void) /* [RBD-4] */
{
    char error[512];
    struct meta_file files[] = {damaged(), damaged()};

    CHECK_EQ(choose(files, 2, error), -1);
    CHECK_STR(error, "no image of the metadata can be used");
    CHECK_EQ(meta_choose(NULL, 0, error, sizeof(error)), -1);
    CHECK_STR(error, "there is no image of the metadata at the paths given");
}

static const struct check_case cases[] = {
        CASE(the_greatest_index_is_chosen),
        CASE(of_equal_ones_that_with_the_last_batch_is_chosen),
        CASE(the_same_index_with_another_history_is_refused),
        CASE(two_clusters_are_refused),
        CASE(histories_that_parted_are_refused),
        CASE(without_a_usable_one_nothing_is_chosen),
};

CHECK_MAIN("meta_choose", cases)
