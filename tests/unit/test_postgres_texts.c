/* test_postgres_texts.c - what is read from PostgreSQL's programs and files, and written for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/postgres/controldata.h"
#include "agent/postgres/fragment.h"
#include "agent/postgres/pulse.h"
#include "agent/postgres/timeline.h"
#include "base/err.h"

/* ---- pg_controldata */

#define CONTROL(state, checkpoint, tli, minimum, min_tli)         \
    "pg_control version number:            1300\n"                \
    "Database system identifier:           7710483417091551272\n" \
    "Database cluster state:               " state "\n"           \
    "Latest checkpoint location:           " checkpoint "\n"      \
    "Latest checkpoint's REDO location:    0/1\n"                 \
    "Latest checkpoint's TimeLineID:       " tli "\n"             \
    "Minimum recovery ending location:     " minimum "\n"         \
    "Min recovery ending loc's timeline:   " min_tli "\n"         \
    "wal_log_hints setting:                off\n"                 \
    "Bytes per WAL segment:                16777216\n"            \
    "Data page checksum version:           1\n"

static void the_control_file_tells_how_a_server_ended(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        bool is_clean;
        bool was_primary;
        uint32_t tli;
        uint64_t lsn;
    } cases[] = {
        {"a primary, stopped: its last record ends 0x78 later",
         CONTROL("shut down", "0/3000028", "2", "0/0", "0"), true, true, 2, 0x30000A0},
        {"a standby, stopped",
         CONTROL("shut down in recovery", "0/3000028", "2", "1/20", "3"), true, false, 3,
         0x100000020},
        {"a primary that crashed", CONTROL("in production", "0/3000028", "2", "0/0", "0"),
         false, true, 2, 0},
        {"a standby that crashed",
         CONTROL("in archive recovery", "0/3000028", "2", "0/4000000", "2"), false, false,
         2, 0x4000000},
    };
    struct controldata got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(controldata_read(cases[i].text, strlen(cases[i].text), &got),
                         RC_OK);
        if (got.is_clean != cases[i].is_clean ||
            got.was_primary != cases[i].was_primary || got.tli != cases[i].tli ||
            got.lsn != cases[i].lsn) {
            fail_msg("%s: %d %d %u %lx", cases[i].why, got.is_clean, got.was_primary,
                     got.tli, (unsigned long)got.lsn);
        }
        assert_string_equal(got.sysid, "7710483417091551272");
        assert_true(got.can_rewind);
    }
}

static void a_copy_that_is_not_consistent_yet_is_known(void **state)
{
    static const char begun[] =
        CONTROL("in archive recovery", "0/3000028", "2", "0/4000000",
                "2") "Backup start location:                0/2000028\n";
    static const char ended[] =
        CONTROL("in archive recovery", "0/3000028", "2", "0/4000000",
                "2") "Backup start location:                0/0\n";
    struct controldata got;

    (void)state;
    assert_int_equal(controldata_read(begun, sizeof begun - 1, &got), RC_OK);
    assert_true(got.is_backup);
    assert_int_equal(controldata_read(ended, sizeof ended - 1, &got), RC_OK);
    assert_false(got.is_backup);
}

static void a_checkpoint_record_may_cross_pages(void **state)
{
    static const struct {
        uint64_t start;
        uint64_t end;
    } cases[] = {
        {0x3000028, 0x30000A0},            /* behind a segment's first header */
        {0x3001FF8, 0x3002000 + 24 + 112}, /* 8 bytes fit, then a page's header */
        {0x3FFFFF8, 0x4000000 + 40 + 112}, /* then a segment's */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(controldata_checkpoint_end(cases[i].start, 16 << 20),
                         cases[i].end);
    }
}

static void what_is_no_control_data_is_refused(void **state)
{
    struct controldata got;

    (void)state;
    assert_int_equal(controldata_read("", 0, &got), RC_EMALFORMED);
    assert_int_equal(controldata_read("a\0b", 3, &got), RC_EMALFORMED);
    assert_int_equal(controldata_read("Database cluster state:", 23, &got),
                     RC_EMALFORMED);
}

/* ---- rollcall.conf */

static const struct postgres_place place = {
    .cluster = "main",
    .listen = "*",
    .port = 5433,
    .socket_dir = "/run/postgresql",
    .hba_file = "",
    .data_dir = "/var/lib/it's",
    .node = "db1",
    .replication_user = "rep",
    .replication_password = "x",
};

static void the_fragment_reads_back_what_it_was_told(void **state)
{
    struct fragment told = {.slot = "rc_db1", .names = "ANY 1 (\"db'2\")"};
    struct fragment back;
    struct rc_buffer text = {0};

    (void)state;
    assert_int_equal(fragment_conninfo(&place, "10.0.0.2", 5432, told.conninfo), RC_OK);
    fragment_write(&told, &place, &text);

    assert_int_equal(fragment_read(rc_buffer_string(&text), &back), RC_OK);
    assert_memory_equal(&told, &back, sizeof told);
    assert_non_null(strstr(rc_buffer_string(&text), "restart_after_crash = off\n"));
    assert_non_null(strstr(rc_buffer_string(&text), "\nport = 5433\n"));
    assert_non_null(strstr(rc_buffer_string(&text), "\ncluster_name = 'main'\n"));
    assert_null(strstr(rc_buffer_string(&text), "hba_file"));
    assert_non_null(strstr(told.conninfo, "passfile='/var/lib/it\\'s/rollcall.pgpass'"));
    rc_buffer_fini(&text);
}

static void a_foreign_fragment_says_nothing(void **state)
{
    struct fragment got;

    (void)state;
    assert_int_equal(fragment_read("port = 5\nprimary_conninfo = broken\n", &got), RC_OK);
    assert_string_equal(got.conninfo, "");
    assert_string_equal(got.names, "");
}

static void what_the_fragment_says_is_left_out_of_a_file_that_is_read_later(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        const char *rest;
        bool is_less;
    } cases[] = {
        {"nothing of ours", "# by hand\nwork_mem = '8MB'\n\n",
         "# by hand\nwork_mem = '8MB'\n\n", false},
        {"as pg_basebackup -R writes it",
         "work_mem = '8MB'\nprimary_conninfo = 'host=old'\nport_of_ours = 1\n",
         "work_mem = '8MB'\nport_of_ours = 1\n", true},
        {"another form, no end of line", "a = 1\n \tPORT 99\nSynchronous_Standby_Names=x",
         "a = 1\n", true},
        {"a comment", "#port = 1\n", "#port = 1\n", false},
        {"empty", "", "", false},
    };
    struct fragment told = {.slot = ""};
    struct rc_buffer fragment = {0};

    (void)state;
    fragment_write(&told, &place, &fragment);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer rest = {0};
        bool is_less =
            fragment_without(cases[i].text, rc_buffer_string(&fragment), &rest);
        if (is_less != cases[i].is_less ||
            strcmp(rc_buffer_string(&rest), cases[i].rest) != 0) {
            fail_msg("%s: '%s'", cases[i].why, rc_buffer_string(&rest));
        }
        rc_buffer_fini(&rest);
    }
    rc_buffer_fini(&fragment);
}

static void the_fragment_is_included_once(void **state)
{
    struct rc_buffer text = {0};

    (void)state;
    rc_buffer_text(&text, "port = 5432\n# include 'rollcall.conf'\n");
    assert_false(fragment_is_included(rc_buffer_string(&text)));

    fragment_include("", &text);
    assert_true(fragment_is_included(rc_buffer_string(&text)));
    assert_non_null(
        strstr(rc_buffer_string(&text), "\ninclude_if_exists 'rollcall.conf'\n"));
    rc_buffer_fini(&text);
}

static void slots_have_names_that_slots_may_have(void **state)
{
    char name[PLACE_SLOT_MAX];

    (void)state;
    place_slot_name("DB-1.example", name);
    assert_string_equal(name, "rc_db_1_example");
    place_slot_name("0123456789012345678901234567890123456789012345678901234567890123456",
                    name);
    assert_int_equal(strlen(name), PLACE_SLOT_MAX - 1);
}

/* ---- Timelines. */

static void a_history_is_a_list_of_forks(void **state)
{
    struct keeper_fork forks[KEEPER_FORKS_MAX];
    size_t count = 0;

    (void)state;
    assert_int_equal(timeline_read("1\t0/3000000\tno recovery target specified\n\n"
                                   "# a comment\n2\t1/A0\tbecause\n",
                                   forks, &count),
                     RC_OK);
    assert_int_equal(count, 2);
    assert_int_equal(forks[0].tli, 1);
    assert_int_equal(forks[0].end_lsn, 0x3000000);
    assert_int_equal(forks[1].tli, 2);
    assert_int_equal(forks[1].end_lsn, 0x1000000A0);

    assert_int_equal(timeline_read("1\n", forks, &count), RC_EMALFORMED);
    assert_int_equal(timeline_read("what\n", forks, &count), RC_EMALFORMED);
}

static void wal_files_are_named_as_postgresql_names_them(void **state)
{
    char name[25];

    (void)state;
    timeline_file_name(2, 0x1AB000028, 16 << 20, name);
    assert_string_equal(name, "0000000200000001000000AB");
}

/* ---- The pulse. */

static void a_standby_answers_for_itself(void **state)
{
    static const struct rows rows = {1,
                                     12,
                                     {"t", "3", "50331648", "50331600", "7", "t",
                                      "streaming", "1.5", "not paused", "ANY 1 (\"b\")",
                                      "2026-11-21 04:53:41", "15.20"}};
    static const struct rows nobody = {
        1, 12, {"t", "3", "50331648", NULL, "7", "f", NULL, NULL, "paused", "", "", ""}};
    static struct keeper_probe probe;

    (void)state;
    assert_int_equal(pulse_read_status(&rows, &probe), RC_OK);
    assert_true(probe.in_recovery && probe.has_receiver && probe.is_streaming);
    assert_false(probe.is_replay_paused);
    assert_int_equal(probe.tli, 3);
    assert_int_equal(probe.lsn, 50331648);
    assert_int_equal(probe.receiver_silence_ms, 1);
    assert_string_equal(probe.names, "ANY 1 (\"b\")");

    assert_int_equal(pulse_read_status(&nobody, &probe), RC_OK);
    assert_false(probe.has_receiver || probe.is_streaming);
    assert_true(probe.is_replay_paused);
    assert_int_equal(probe.replay_lsn, 0);
}

static void receivers_are_told_with_what_they_confirm(void **state)
{
    static const struct rows rows = {
        2,
        7,
        {"a", "t", "t", "30", "20", "10", "12.5", "b", "f", "f", NULL, NULL, NULL, NULL}};
    static const struct rows other = {1, 2, {"a", "b"}};
    static struct keeper_probe probe;

    (void)state;
    assert_int_equal(pulse_read_senders(&rows, &probe), RC_OK);
    assert_int_equal(probe.sender_count, 2);
    assert_true(probe.senders[0].is_counted && probe.senders[0].is_streaming);
    assert_int_equal(probe.senders[0].flush_lsn, 20);
    assert_int_equal(probe.senders[0].lag_ms, 12);
    assert_false(probe.senders[1].is_counted || probe.senders[1].is_streaming);
    assert_int_equal(pulse_read_senders(&other, &probe), RC_EMALFORMED);
    assert_int_equal(pulse_read_status(&other, &probe), RC_EMALFORMED);
}

static void a_full_disk_is_no_lack_of_rights(void **state)
{
    (void)state;
    assert_int_equal(pulse_writing("53100", "could not write"), KEEPER_CANNOT_WRITE);
    assert_int_equal(pulse_writing("58030", "could not read"), KEEPER_CANNOT_WRITE);
    assert_int_equal(pulse_writing("25006", "in recovery"), KEEPER_WRITING_UNKNOWN);
    assert_int_equal(
        pulse_writing("42501", "could not create temporary file: Read-only file system"),
        KEEPER_CANNOT_WRITE);
    assert_int_equal(pulse_writing("42501", "permission denied for function"),
                     KEEPER_WRITING_UNKNOWN);
    assert_int_equal(pulse_writing("53400", "temporary file size exceeds"),
                     KEEPER_WRITING_UNKNOWN);
    assert_int_equal(pulse_writing("", "no answer"), KEEPER_WRITING_UNKNOWN);
}

static void refusing_is_alive_and_silence_is_not(void **state)
{
    static const struct {
        const char *text;
        enum keeper_reach want;
    } cases[] = {
        {"connection to server failed: FATAL:  57P03: the database system is starting up",
         KEEPER_REFUSING},
        {"FATAL:  53300: sorry, too many clients already", KEEPER_REFUSING},
        {"FATAL:  28P01: password authentication failed", KEEPER_DENIED},
        {"FATAL:  42501: permission denied", KEEPER_DENIED},
        {"connection to server on socket \"/x\" failed: No such file or directory",
         KEEPER_NO_SERVER},
        {"connection to server at \"::1\" failed: Connection refused", KEEPER_NO_SERVER},
        {"server closed the connection unexpectedly", KEEPER_SILENT},
        {"", KEEPER_SILENT},
    };
    char code[6];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pulse_find_sqlstate(cases[i].text, code);
        if (pulse_reach(code, cases[i].text) != cases[i].want) {
            fail_msg("%s (%s)", cases[i].text, code);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_control_file_tells_how_a_server_ended),
        cmocka_unit_test(a_copy_that_is_not_consistent_yet_is_known),
        cmocka_unit_test(a_checkpoint_record_may_cross_pages),
        cmocka_unit_test(what_is_no_control_data_is_refused),
        cmocka_unit_test(the_fragment_reads_back_what_it_was_told),
        cmocka_unit_test(a_foreign_fragment_says_nothing),
        cmocka_unit_test(what_the_fragment_says_is_left_out_of_a_file_that_is_read_later),
        cmocka_unit_test(the_fragment_is_included_once),
        cmocka_unit_test(slots_have_names_that_slots_may_have),
        cmocka_unit_test(a_history_is_a_list_of_forks),
        cmocka_unit_test(wal_files_are_named_as_postgresql_names_them),
        cmocka_unit_test(a_standby_answers_for_itself),
        cmocka_unit_test(receivers_are_told_with_what_they_confirm),
        cmocka_unit_test(a_full_disk_is_no_lack_of_rights),
        cmocka_unit_test(refusing_is_alive_and_silence_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
