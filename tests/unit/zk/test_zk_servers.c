/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zk/zk_servers.h"
#include "tests/lib/check.h"

static void servers_and_chroot_are_taken_apart(void)
{
    struct zk_servers s = {0};
    char error[256];

    CHECK_EQ(zk_servers_parse("a.example:2182, 10.0.0.1,[::1]:2183,[fe80::1]/weir/one", &s, error,
                     sizeof(error)),
            0);
    CHECK_EQ(s.n, 4);
    CHECK_STR(s.at[0].host, "a.example");
    CHECK_EQ(s.at[0].port, 2182);
    CHECK(!s.at[0].is_numeric);
    CHECK_STR(s.at[1].host, "10.0.0.1");
    CHECK_EQ(s.at[1].port, 2181);
    CHECK(s.at[1].is_numeric);
    CHECK_STR(s.at[2].host, "::1");
    CHECK_EQ(s.at[2].port, 2183);
    CHECK(s.at[2].is_numeric);
    CHECK_EQ(s.at[3].port, 2181);
    CHECK_STR(s.chroot, "/weir/one");
    CHECK_STR(s.text, "a.example:2182, 10.0.0.1,[::1]:2183,[fe80::1]");
    zk_servers_deinit(&s);
}

static void a_lone_slash_is_no_chroot(void)
{
    struct zk_servers s = {0};
    char error[256];

    CHECK_EQ(zk_servers_parse("h:1/", &s, error, sizeof(error)), 0);
    CHECK_STR(s.chroot, "");
    zk_servers_deinit(&s);
}

/* [ZK-34] */
static void a_chroot_has_a_bounded_length(void)
{
    struct zk_servers s = {0};
    char error[512] = "", text[8 + ZK_CHROOT_MAX] = "h:1/";

    memset(text + 4, 'c', ZK_CHROOT_MAX - 1);
    CHECK_EQ(zk_servers_parse(text, &s, error, sizeof(error)), 0);
    CHECK_EQ(strlen(s.chroot), ZK_CHROOT_MAX);
    zk_servers_deinit(&s);
    s = (struct zk_servers){0};
    text[3 + ZK_CHROOT_MAX] = 'c';
    text[4 + ZK_CHROOT_MAX] = '\0';
    CHECK_EQ(zk_servers_parse(text, &s, error, sizeof(error)), ZK_SERVERS_E_FORM);
    CHECK(strstr(error, "it may have 255") != NULL);
}

static void malformed_strings_are_refused_with_a_sentence(void)
{
    static const char *const bad[] = {"", ",", "a:1,,b:2", "a:", "a:0", "a:65536", "a:12x", ":2181",
            "[::1", "[::1]x:1", "[name]:1", "a:1/x/", "a:1//x", "a:1/../x", "a:1/.", "::1:2181",
            "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct zk_servers s = {0};
        char error[256] = "";
        CHECK_EQ(zk_servers_parse(bad[i], &s, error, sizeof(error)), ZK_SERVERS_E_FORM);
        CHECK(error[0] != '\0');
        CHECK_EQ(s.n, 0);
    }
}

static void paths_are_judged_as_zookeeper_does(void)
{
    CHECK(zk_path_is_valid("/a"));
    CHECK(zk_path_is_valid("/a/b.c/..d/0000"));
    CHECK(!zk_path_is_valid("/"));
    CHECK(!zk_path_is_valid("a"));
    CHECK(!zk_path_is_valid("/a/"));
    CHECK(!zk_path_is_valid("/a//b"));
    CHECK(!zk_path_is_valid("/a/./b"));
    CHECK(!zk_path_is_valid("/a/.."));
    CHECK(!zk_path_is_valid("/a\n"));
}

static const struct check_case cases[] = {
        CASE(servers_and_chroot_are_taken_apart),
        CASE(a_lone_slash_is_no_chroot),
        CASE(a_chroot_has_a_bounded_length),
        CASE(malformed_strings_are_refused_with_a_sentence),
        CASE(paths_are_judged_as_zookeeper_does),
};
CHECK_MAIN("zk_servers", cases)
