#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/template/template_file.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/unit/temp_folder.h"

static int make(void **state)
{
    return temp_folder_make(state, "out", ".out.rollcall-new");
}

static struct template_file file_of(const struct temp_folder *folder)
{
    return (struct template_file){.path = folder->file, .mode = -1};
}

static void replace(const struct template_file *file, const char *text)
{
    char why[TEMPLATE_FILE_WHY_MAX] = "";

    if (template_file_prepare(file, text, strlen(text), why) != RC_OK ||
        template_file_install(file->path, why) != RC_OK) {
        fail_msg("%s", why);
    }
}

static mode_t mode_of(const char *path)
{
    struct stat there;

    assert_int_equal(stat(path, &there), 0);
    return there.st_mode & 07777;
}

static void
a_new_file_is_for_all_to_read_and_one_that_is_there_keeps_its_mode(void **state)
{
    const struct temp_folder *folder = *state;
    const struct template_file file = file_of(folder);

    replace(&file, "one");
    assert_int_equal(mode_of(folder->file), 0644);
    assert_int_equal(chmod(folder->file, 0600), 0);
    replace(&file, "two");
    assert_int_equal(mode_of(folder->file), 0600);
    assert_true(template_file_is(folder->file, "two", 3));
}

static void a_mode_that_is_told_is_set(void **state)
{
    const struct temp_folder *folder = *state;
    struct template_file file = file_of(folder);

    file.mode = 0640;
    replace(&file, "");
    assert_int_equal(mode_of(folder->file), 0640);
    assert_true(template_file_is(folder->file, "", 0));
}

static void a_file_is_the_same_only_to_the_last_byte(void **state)
{
    const struct temp_folder *folder = *state;
    const struct template_file file = file_of(folder);

    assert_false(template_file_is(folder->file, "", 0));
    replace(&file, "abc");
    assert_true(template_file_is(folder->file, "abc", 3));
    assert_false(template_file_is(folder->file, "abcd", 4));
    assert_false(template_file_is(folder->file, "ab", 2));
    assert_false(template_file_is(folder->file, "abd", 3));
}

static void the_new_text_waits_beside_and_goes_when_it_is_dropped(void **state)
{
    const struct temp_folder *folder = *state;
    const struct template_file file = file_of(folder);
    char why[TEMPLATE_FILE_WHY_MAX];

    replace(&file, "old");
    assert_int_equal(template_file_prepare(&file, "new", 3, why), RC_OK);
    assert_true(template_file_is(folder->other, "new", 3));
    assert_true(template_file_is(folder->file, "old", 3));

    template_file_drop(folder->file);
    assert_int_equal(access(folder->other, F_OK), -1);
}

static void no_link_that_somebody_left_is_written_through(void **state)
{
    const struct temp_folder *folder = *state;
    const struct template_file file = file_of(folder);
    char target[128];

    (void)snprintf(target, sizeof target, "%s/victim", folder->path);
    assert_int_equal(symlink(target, folder->other), 0);
    replace(&file, "text");
    assert_int_equal(access(target, F_OK), -1);
    assert_true(template_file_is(folder->file, "text", 4));
}

static void what_cannot_be_written_is_told_and_leaves_nothing(void **state)
{
    const struct temp_folder *folder = *state;
    struct template_file file = file_of(folder);
    char why[TEMPLATE_FILE_WHY_MAX];

    file.user = "nobody-is-called-so";
    assert_int_equal(template_file_prepare(&file, "x", 1, why), RC_EIO);
    assert_non_null(strstr(why, "no such user or group"));
    file = (struct template_file){.path = "/nowhere/at/all", .mode = -1};
    assert_int_equal(template_file_prepare(&file, "x", 1, why), RC_EIO);
    assert_non_null(strstr(why, "/nowhere/at/.all.rollcall-new: No such file"));
    assert_int_equal(access(folder->other, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, temp_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_for_all_to_read_and_one_that_is_there_keeps_its_mode),
        TEST(a_mode_that_is_told_is_set),
        TEST(a_file_is_the_same_only_to_the_last_byte),
        TEST(the_new_text_waits_beside_and_goes_when_it_is_dropped),
        TEST(no_link_that_somebody_left_is_written_through),
        TEST(what_cannot_be_written_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("template_file", tests, NULL, NULL);
}
