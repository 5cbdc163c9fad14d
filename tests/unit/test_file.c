/* test_file.c - files that are whole, and libraries that are there or named as missing. */
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

#include "base/err.h"
#include "base/file.h"
#include "base/library.h"

static int make_folder(void **state)
{
    char *folder = strdup("/tmp/rollcall-test-file-XXXXXX");

    *state = folder;
    return folder != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    int err = rmdir(*state);

    free(*state);
    return err;
}

static void a_replaced_file_holds_the_new_bytes_only(void **state)
{
    struct rc_buffer text = {0};
    struct stat found;
    char path[64];

    (void)snprintf(path, sizeof path, "%s/x", (const char *)*state);
    assert_int_equal(rc_file_replace(path, "a long first version", 20), RC_OK);
    assert_int_equal(rc_file_replace(path, "second", 6), RC_OK);
    assert_int_equal(rc_file_read(path, 6, &text), RC_OK);
    assert_string_equal(rc_buffer_string(&text), "second");
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    rc_buffer_clear(&text);
    assert_int_equal(rc_file_read(path, 5, &text), RC_ETOOBIG);
    rc_buffer_fini(&text);
    assert_int_equal(unlink(path), 0); /* and nothing else is left beside it: see rmdir */
}

static void what_cannot_be_written_leaves_nothing(void **state)
{
    char path[64];
    struct rc_buffer text = {0};

    (void)snprintf(path, sizeof path, "%s/no/x", (const char *)*state);
    assert_int_equal(rc_file_replace(path, "x", 1), RC_EIO);
    assert_int_equal(rc_file_read(path, 5, &text), RC_ENOTFOUND);
    assert_int_equal(rc_file_read(*state, 5, &text), RC_EIO); /* a folder */
    rc_buffer_fini(&text);
}

static void folders_are_made_with_all_above_them(void **state)
{
    char path[80];
    char above[64];

    (void)snprintf(above, sizeof above, "%s/a", (const char *)*state);
    (void)snprintf(path, sizeof path, "%s/b", above);
    assert_int_equal(rc_file_make_folder(path), RC_OK);
    assert_int_equal(rc_file_make_folder(path), RC_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rc_file_replace(path, "", 0), RC_OK);
    assert_int_equal(rc_file_make_folder(path), RC_EIO); /* a file is in the way */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(above), 0);
}

static void a_library_fills_the_places_of_its_symbols(void **state)
{
    double (*cosine)(double) = NULL;
    void (*missing)(void) = NULL;
    const struct rc_symbol good[] = {{"cos", &cosine}};
    const struct rc_symbol bad[] = {{"no_such_function", &missing}};
    char error[128];
    (void)state;

    assert_int_equal(rc_library_load("libm.so.6", "libc6", good, 1, error, sizeof error),
                     RC_OK);
    assert_true(cosine(0) > 0.99);
    assert_int_equal(rc_library_load("libm.so.6", "libc6", bad, 1, error, sizeof error),
                     RC_ENOTFOUND);
    assert_string_equal(error, "libm.so.6 does not have no_such_function; upgrade the "
                               "package libc6");
    assert_int_equal(
        rc_library_load("libnone.so.1", "none1", bad, 1, error, sizeof error),
        RC_ENOTFOUND);
    assert_string_equal(error, "libnone.so.1 is missing; install the package none1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replaced_file_holds_the_new_bytes_only,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_leaves_nothing,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folders_are_made_with_all_above_them, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_library_fills_the_places_of_its_symbols),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
