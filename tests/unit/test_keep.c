/* test_keep.c - what an agent remembers of itself over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/keep.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/unit/temp_folder.h"

static int make_folder(void **state)
{
    return temp_folder_make(state, "node.json", NULL);
}

static void write_file(const struct temp_folder *folder, const char *text)
{
    assert_int_equal(rc_file_replace(folder->file, text, strlen(text)), RC_OK);
}

static void what_was_saved_is_loaded_again(void **state)
{
    const struct temp_folder *folder = *state;
    static const uint8_t epoch[] = {0, 1, 2, 0xff};
    struct keep saved = {.incarnation = 4294967294U};
    struct keep loaded;

    (void)snprintf(saved.node_id, sizeof saved.node_id,
                   "11111111-2222-3333-4444-555555555555");
    rc_buffer_append(&saved.epoch, epoch, sizeof epoch);

    assert_int_equal(keep_save(folder->path, &saved), RC_OK);
    assert_int_equal(keep_load(folder->path, &loaded), RC_OK);

    assert_string_equal(loaded.node_id, saved.node_id);
    assert_int_equal(loaded.incarnation, saved.incarnation);
    assert_int_equal(loaded.epoch.size, sizeof epoch);
    assert_memory_equal(loaded.epoch.bytes, epoch, sizeof epoch);
    keep_fini(&saved);
    keep_fini(&loaded);
}

static void a_first_start_knows_nothing(void **state)
{
    const struct temp_folder *folder = *state;
    struct keep keep;
    memset(&keep, 0xaa, sizeof keep);

    assert_int_equal(keep_load(folder->path, &keep), RC_OK);

    assert_string_equal(keep.node_id, "");
    assert_int_equal(keep.incarnation, 0);
    assert_int_equal(keep.epoch.size, 0);
    keep_fini(&keep);
}

static void an_empty_memory_survives_too(void **state)
{
    const struct temp_folder *folder = *state;
    struct keep keep = {0};

    assert_int_equal(keep_save(folder->path, &keep), RC_OK);
    assert_int_equal(keep_load(folder->path, &keep), RC_OK);

    assert_string_equal(keep.node_id, "");
    assert_int_equal(keep.epoch.size, 0);
    keep_fini(&keep);
}

static void a_damaged_file_is_set_aside_and_told(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"empty", ""},
        {"cut", "{\"node_id\": \"1111"},
        {"not JSON", "hello"},
        {"not an object", "[]"},
        {"a key is missing", "{\"node_id\": \"x\", \"incarnation\": 1}"},
        {"negative incarnation",
         "{\"node_id\": \"x\", \"incarnation\": -1, \"epoch\": \"\"}"},
        {"incarnation beyond 32 bits",
         "{\"node_id\": \"x\", \"incarnation\": 4294967296, "
         "\"epoch\": \"\"}"},
        {"id too long",
         "{\"node_id\": \"11111111-2222-3333-4444-5555555555555\", \"incarnation\": 1, "
         "\"epoch\": \"\"}"},
        {"epoch is not base64",
         "{\"node_id\": \"x\", \"incarnation\": 1, \"epoch\": \"!!!!\"}"},
    };
    const struct temp_folder *folder = *state;
    struct keep keep;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(folder, cases[i].text);

        int err = keep_load(folder->path, &keep);

        if (err != RC_EMALFORMED || keep.node_id[0] != '\0' || keep.epoch.size != 0) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(err));
        }
        assert_int_not_equal(access(folder->file, F_OK), 0);
        assert_int_equal(access(folder->broken, F_OK), 0);
        assert_int_equal(unlink(folder->broken), 0);
        assert_int_equal(keep_load(folder->path, &keep), RC_OK); /* the next start */
        keep_fini(&keep);
    }
}

static void
a_missing_folder_is_no_reason_to_stop_reading_but_nothing_is_saved(void **state)
{
    struct keep keep = {0};
    (void)state;

    assert_int_equal(keep_load("/tmp/rollcall-keep-nowhere/x", &keep), RC_OK);
    assert_int_equal(keep_save("/tmp/rollcall-keep-nowhere/x", &keep), RC_EIO);
    keep_fini(&keep);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    struct keep keep = {.incarnation = 7};
    (void)state;

    assert_int_equal(keep_save(NULL, &keep), RC_OK);
    assert_int_equal(keep_load(NULL, &keep), RC_OK);
    assert_int_equal(keep.incarnation, 0);
    keep_fini(&keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_is_loaded_again, make_folder,
                                        temp_folder_remove),
        cmocka_unit_test_setup_teardown(a_first_start_knows_nothing, make_folder,
                                        temp_folder_remove),
        cmocka_unit_test_setup_teardown(an_empty_memory_survives_too, make_folder,
                                        temp_folder_remove),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_set_aside_and_told, make_folder,
                                        temp_folder_remove),
        cmocka_unit_test(
            a_missing_folder_is_no_reason_to_stop_reading_but_nothing_is_saved),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
