#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/postgres/disk_folder.h"
#include "agent/postgres/disk_skip.h"
#include "base/err.h"

enum { PATH_SPACE = 128, FILE_SPACE = 2 * PATH_SPACE };

struct folder {
    char path[PATH_SPACE];
    struct postgres_place place;
    struct disk_job job;
};

static int set_up(void **state)
{
    static struct folder f;
    char wal[PATH_SPACE + 8];

    f = (struct folder){.path = "/tmp/rollcall-skip-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    (void)snprintf(wal, sizeof wal, "%s/pg_wal", f.path);
    assert_int_equal(mkdir(wal, 0700), 0);
    f.place.data_dir = f.path;
    f.place.uid = geteuid();
    f.place.gid = getegid();
    f.job.place = &f.place;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *f = *state;
    return disk_folder_remove(f->path);
}

static void path_of(const struct folder *f, unsigned tli, char out[FILE_SPACE])
{
    (void)snprintf(out, FILE_SPACE, "%s/pg_wal/%08X.history", f->path, tli);
}

static bool has(const struct folder *f, unsigned tli)
{
    char path[FILE_SPACE];

    path_of(f, tli, path);
    return access(path, F_OK) == 0;
}

static void make(const struct folder *f, unsigned tli)
{
    char path[FILE_SPACE];

    path_of(f, tli, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("1\t0/3000000\tno recovery target specified\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void all_timelines_below_the_claimed_one_are_taken(void **state)
{
    struct folder *f = *state;

    make(f, 2);
    f->job.tli = 6;
    assert_int_equal(disk_skip_timelines(&f->job), RC_OK);
    assert_int_equal(disk_skip_timelines(&f->job),
                     RC_OK); /* and again: it is sent often */

    assert_true(has(f, 2) && has(f, 3) && has(f, 4) && has(f, 5));
    assert_false(has(f, 1) || has(f, 6));
}

static void before_a_start_those_that_lead_nowhere_are_gone(void **state)
{
    struct folder *f = *state;

    make(f, 2);
    f->job.tli = 5;
    assert_int_equal(disk_skip_timelines(&f->job), RC_OK);
    assert_int_equal(disk_unskip_timelines(&f->job), RC_OK);

    assert_true(has(f, 2));
    assert_false(has(f, 3) || has(f, 4));
}

static void those_that_a_real_one_follows_stay(void **state)
{
    struct folder *f = *state;

    f->job.tli = 4;
    assert_int_equal(disk_skip_timelines(&f->job), RC_OK);
    make(f, 4);
    assert_int_equal(disk_unskip_timelines(&f->job), RC_OK);

    assert_true(has(f, 2) && has(f, 3) && has(f, 4));
}

static void without_a_folder_the_reason_is_told(void **state)
{
    struct folder *f = *state;

    assert_int_equal(disk_folder_remove(f->path), RC_OK);
    f->job.tli = 3;
    assert_int_equal(disk_unskip_timelines(&f->job), RC_OK);
    assert_int_equal(disk_skip_timelines(&f->job), RC_EIO);
    assert_true(f->job.text[0] == '/');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_timelines_below_the_claimed_one_are_taken,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(before_a_start_those_that_lead_nowhere_are_gone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_a_real_one_follows_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_folder_the_reason_is_told, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
