/* test_snapshot.c - whom an agent knew, over restarts, and what a torn file loses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/snapshot.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/unit/temp_folder.h"

static int make_folder(void **state)
{
    return temp_folder_make(state, "gossip.snapshot", NULL);
}

static struct snapshot *reopen(const struct temp_folder *folder,
                               enum snapshot_after after)
{
    struct snapshot *s = NULL;

    assert_int_equal(snapshot_open(folder->path, after, 1, &s), RC_OK);
    return s;
}

static struct rc_address address_of(const char *text)
{
    struct rc_address address;

    assert_int_equal(rc_address_parse(text, 0, &address), RC_OK);
    return address;
}

static void put(struct snapshot *s, const char *name, const char *address)
{
    struct rc_address place = address_of(address);
    snapshot_member(s, name, &place);
}

static void write_file(const struct temp_folder *folder, const char *text)
{
    assert_int_equal(rc_file_replace(folder->file, text, strlen(text)), RC_OK);
}

static void expect_file(const struct temp_folder *folder, const char *want)
{
    struct rc_buffer text = {0};

    assert_int_equal(rc_file_read(folder->file, SNAPSHOT_FILE_MAX, &text), RC_OK);
    assert_string_equal(rc_buffer_string(&text), want);
    rc_buffer_fini(&text);
}

static void expect_address(const struct snapshot *s, size_t place, const char *want)
{
    struct rc_address known[16];
    struct rc_address address = address_of(want);

    assert_true(snapshot_addresses(s, known, 16) > place);
    assert_true(rc_address_equals(&known[place], &address));
}

static void it_is_a_log_in_serfs_format(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    const uint64_t clocks[GOSSIP_CLOCK_COUNT] = {8, 3, 1};

    assert_false(snapshot_is_changed(s));
    put(s, "n1", "10.0.0.1:7946");
    put(s, "a b", "[2001:db8::1]:7947");
    put(s, "n1", "10.0.0.1:7946"); /* no news */
    snapshot_clocks(s, clocks);
    assert_true(snapshot_is_changed(s));
    assert_int_equal(snapshot_write(s), RC_OK);
    assert_false(snapshot_is_changed(s));
    snapshot_forget(s, "n1");
    snapshot_forget(s, "nobody");
    assert_int_equal(snapshot_write(s), RC_OK);

    expect_file(folder, "alive: n1 10.0.0.1:7946\nalive: a b [2001:db8::1]:7947\n"
                        "clock: 7\nevent-clock: 2\nnot-alive: n1\n");
    snapshot_close(s);
}

static void what_was_written_is_known_again(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s;
    uint64_t clocks[GOSSIP_CLOCK_COUNT];

    write_file(folder, "# a comment\nalive: n1 10.0.0.1:7946\nalive: a b [::1]:7947\n"
                       "alive: n2 10.0.0.2:7946\ncoordinate: {}\nclock: 7\n"
                       "event-clock: 2\nclock: 9\nalive: n1 10.0.0.9:7946\n"
                       "query-clock: 0\nnot-alive: n2\n");
    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    snapshot_last_clocks(s, clocks);

    assert_int_equal(snapshot_count(s), 2);
    expect_address(s, 0, "10.0.0.9:7946");
    expect_address(s, 1, "[::1]:7947");
    assert_int_equal(clocks[GOSSIP_CLOCK_STATUS], 10);
    assert_int_equal(clocks[GOSSIP_CLOCK_EVENT], 3);
    assert_int_equal(clocks[GOSSIP_CLOCK_QUERY], 1);
    snapshot_close(s);
}

static void a_leave_forgets_unless_we_are_to_rejoin(void **state)
{
    const struct temp_folder *folder = *state;
    const uint64_t clocks[GOSSIP_CLOCK_COUNT] = {8, 3, 2};
    uint64_t last[GOSSIP_CLOCK_COUNT];
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);

    put(s, "n1", "10.0.0.1:7946");
    snapshot_clocks(s, clocks);
    snapshot_leave(s);
    put(s, "n2", "10.0.0.2:7946"); /* what we see on the way out */
    snapshot_forget(s, "n1");
    assert_int_equal(snapshot_write(s), RC_OK);
    snapshot_close(s);

    s = reopen(folder, SNAPSHOT_REJOIN_AFTER_LEAVE);
    assert_int_equal(snapshot_count(s), 1);
    snapshot_last_clocks(s, last);
    assert_int_equal(last[GOSSIP_CLOCK_STATUS], 8);
    snapshot_close(s);

    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    assert_int_equal(snapshot_count(s), 0);
    snapshot_last_clocks(s, last);
    assert_int_equal(last[GOSSIP_CLOCK_STATUS], 0);
    snapshot_close(s);
}

static void what_is_torn_is_lost_and_nothing_else(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        size_t size;
        size_t want;
    } cases[] = {
        {"empty", "", 0, 0},
        {"an unfinished line", "alive: n1 10.0.0.1:7946\nalive: n2 10.0.0.2:79", 44, 1},
        {"not even a word", "al", 2, 0},
        {"zeros in the middle",
         "alive: n1 10.0.0.1:7946\n\0\0\0\0\nalive: n2 10.0.0.2:1\n", 50, 2},
        {"no address", "alive: n1\n", 10, 0},
        {"a name for an address", "alive: n1 here:7946\n", 20, 0},
        {"no port", "alive: n1 10.0.0.1\n", 19, 0},
        {"no name", "alive:  10.0.0.1:7946\n", 22, 0},
        {"a clock that is no number", "clock: x\nalive: n 10.0.0.1:1\n", 29, 1},
        {"a clock near the end of time", "clock: 18446744073709551615\n", 28, 0},
        {"another language", "\xff\xfe\n\x01\x02 \n", 7, 0},
    };
    const struct temp_folder *folder = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rc_file_replace(folder->file, cases[i].text, cases[i].size),
                         RC_OK);
        struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
        uint64_t clocks[GOSSIP_CLOCK_COUNT];
        snapshot_last_clocks(s, clocks);
        if (snapshot_count(s) != cases[i].want || clocks[GOSSIP_CLOCK_STATUS] != 0) {
            fail_msg("%s: %zu", cases[i].why, snapshot_count(s));
        }
        snapshot_close(s);
    }
}

static void nothing_is_glued_to_an_unfinished_line(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s;

    write_file(folder, "alive: n1 10.0.0.1:7946\nalive: n2 10.0.0.2:79");
    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    put(s, "n3", "10.0.0.3:7946");
    assert_int_equal(snapshot_write(s), RC_OK);

    expect_file(folder, "alive: n1 10.0.0.1:7946\nalive: n3 10.0.0.3:7946\n");
    snapshot_close(s);
}

static void a_file_that_has_outgrown_its_contents_is_written_anew(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    struct stat found;

    for (unsigned i = 0; i < 20000; i++) { /* one member that moves all the time */
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.%u.%u:7946", i / 250, i % 250 + 1);
        put(s, "n1", address);
        assert_int_equal(snapshot_write(s), RC_OK);
    }
    assert_int_equal(stat(folder->file, &found), 0);
    assert_true(found.st_size <= 131072);
    snapshot_close(s);
    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    assert_int_equal(snapshot_count(s), 1);
    expect_address(s, 0, "10.0.79.250:7946");
    snapshot_close(s);
}

static void thousands_are_kept_but_not_without_end(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);

    for (unsigned i = 0; i < SNAPSHOT_MEMBERS_MAX + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "node-%u", i);
        put(s, name, "10.0.0.1:7946");
    }
    assert_int_equal(snapshot_write(s), RC_OK);
    snapshot_close(s);
    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    assert_int_equal(snapshot_count(s), SNAPSHOT_MEMBERS_MAX);
    snapshot_close(s);
}

static void names_that_break_lines_are_not_kept(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    struct rc_address portless = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 0};

    put(s, "n1\nleave", "10.0.0.1:7946");
    put(s, "", "10.0.0.1:7946");
    snapshot_member(s, "n1", &portless);
    assert_false(snapshot_is_changed(s));
    snapshot_close(s);
}

static void a_disk_that_is_full_is_tried_again(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);

    put(s, "n1", "10.0.0.1:7946");
    assert_int_equal(mkdir(folder->file, 0700), 0); /* nothing can be written there */
    assert_int_equal(snapshot_write(s), RC_EIO);
    assert_true(snapshot_is_changed(s));
    put(s, "n2", "10.0.0.2:7946");
    assert_int_equal(snapshot_write(s), RC_EIO);
    assert_int_equal(rmdir(folder->file), 0);
    assert_int_equal(snapshot_write(s), RC_OK);

    expect_file(folder, "alive: n1 10.0.0.1:7946\nalive: n2 10.0.0.2:7946\n");
    snapshot_close(s);
}

static void what_is_no_file_is_set_aside(void **state)
{
    const struct temp_folder *folder = *state;
    struct snapshot *s;

    assert_int_equal(mkdir(folder->file, 0700), 0);
    s = reopen(folder, SNAPSHOT_FORGET_AFTER_LEAVE);
    assert_int_equal(snapshot_count(s), 0);
    assert_int_equal(rmdir(folder->broken), 0);
    snapshot_close(s);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    struct snapshot *s = (struct snapshot *)state;
    uint64_t clocks[GOSSIP_CLOCK_COUNT] = {1, 2, 3};

    assert_int_equal(snapshot_open(NULL, SNAPSHOT_FORGET_AFTER_LEAVE, 1, &s), RC_OK);
    assert_null(s);
    put(s, "n1", "10.0.0.1:7946");
    snapshot_clocks(s, clocks);
    snapshot_leave(s);
    assert_int_equal(snapshot_write(s), RC_OK);
    snapshot_last_clocks(s, clocks);
    assert_int_equal(clocks[GOSSIP_CLOCK_QUERY], 0);
    snapshot_close(s);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, temp_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(it_is_a_log_in_serfs_format),
        IN_FOLDER(what_was_written_is_known_again),
        IN_FOLDER(a_leave_forgets_unless_we_are_to_rejoin),
        IN_FOLDER(what_is_torn_is_lost_and_nothing_else),
        IN_FOLDER(nothing_is_glued_to_an_unfinished_line),
        IN_FOLDER(a_file_that_has_outgrown_its_contents_is_written_anew),
        IN_FOLDER(thousands_are_kept_but_not_without_end),
        IN_FOLDER(names_that_break_lines_are_not_kept),
        IN_FOLDER(a_disk_that_is_full_is_tried_again),
        IN_FOLDER(what_is_no_file_is_set_aside),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
