/* What is found in the folder of a store when it is opened. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/engine/sqlite_batch.h"
#include "agent/engine/store_folder.h"
#include "base/err.h"

struct place {
    char path[64];
    char database[96];
    char log[96];
    struct store_folder folder;
    struct database *open;
    char error[ENGINE_ERROR_MAX];
};

static void remove_all(const struct place *place)
{
    char lock[96];

    (void)snprintf(lock, sizeof lock, "%s/store.lock", place->path);
    (void)unlink(place->database);
    (void)unlink(place->log);
    (void)unlink(lock);
    (void)rmdir(place->path);
}

static int open_place(struct place *place)
{
    int err =
        store_folder_open(&place->folder, place->path, place->error, sizeof place->error);
    if (err == RC_OK) {
        err = database_open(&place->folder, &place->open, place->error,
                            sizeof place->error);
    }
    if (err != RC_OK) {
        store_folder_close(&place->folder);
    }
    return err;
}

static void close_place(struct place *place, enum database_closing closing)
{
    database_close(place->open, closing);
    place->open = NULL;
    store_folder_close(&place->folder);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    if (place == NULL) {
        return -1;
    }
    (void)snprintf(place->path, sizeof place->path, "/tmp/test_store_file.%ld",
                   (long)getpid());
    (void)snprintf(place->database, sizeof place->database, "%s/store.db", place->path);
    (void)snprintf(place->log, sizeof place->log, "%s/store.db-wal", place->path);
    remove_all(place);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    database_close(place->open, DATABASE_AS_IS);
    if (place->folder.path[0] != '\0') {
        store_folder_close(&place->folder);
    }
    remove_all(place);
    free(place);
    return 0;
}

/* A store with some keys, closed. */
static void make_store(struct place *place, enum database_closing closing)
{
    struct rc_buffer log = {0};
    static const uint8_t value[1000] = {1};

    assert_int_equal(open_place(place), RC_OK);
    assert_int_equal(database_begin(place->open), RC_OK);
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        struct engine_op op = {ENGINE_PUT, rc_pack_text(key), {value, sizeof value}, 0};
        assert_int_equal(database_put(place->open, &op, 2, &log), RC_OK);
    }
    assert_int_equal(database_commit(place->open), RC_OK);
    rc_buffer_fini(&log);
    close_place(place, closing);
}

static void write_at(const char *path, long at, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "r+e");

    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static uint64_t sum_of(const char *path)
{
    FILE *file = fopen(path, "re");
    uint64_t sum = 14695981039346656037U;

    assert_non_null(file);
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file)) {
        sum = (sum ^ (uint64_t)byte) * 1099511628211U;
    }
    (void)fclose(file);
    return sum;
}

/* It is refused with `want` and these words, and every byte is as it was. */
static void assert_refused(struct place *place, int want, const char *words)
{
    uint64_t before = sum_of(place->database);

    int err = open_place(place);

    if (err != want || strstr(place->error, words) == NULL) {
        fail_msg("%s: %s", rc_strerror(err), place->error);
    }
    assert_true(sum_of(place->database) == before);
}

static void files_are_for_their_owner_only(void **state)
{
    struct place *place = *state;
    struct stat there;

    make_store(place, DATABASE_AS_IS);

    assert_int_equal(stat(place->path, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0700);
    assert_int_equal(stat(place->database, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
    assert_int_equal(stat(place->log, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
}

static void open_modes_are_closed_again(void **state)
{
    struct place *place = *state;
    struct stat there;
    make_store(place, DATABASE_TIDY);
    assert_int_equal(chmod(place->path, 0755), 0);
    assert_int_equal(chmod(place->database, 0644), 0);

    assert_int_equal(open_place(place), RC_OK);

    assert_int_equal(stat(place->path, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0700);
    assert_int_equal(stat(place->database, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
}

static void second_who_opens_it_is_told_who_has_it(void **state)
{
    struct place *place = *state;
    struct store_folder second = {0};
    char error[ENGINE_ERROR_MAX];
    char words[64];
    assert_int_equal(open_place(place), RC_OK);

    int err = store_folder_open(&second, place->path, error, sizeof error);

    (void)snprintf(words, sizeof words, "in use by process %ld", (long)getpid());
    assert_int_equal(err, RC_EEXISTS);
    assert_non_null(strstr(error, words));
}

static void what_a_killed_process_left_in_the_log_is_there(void **state)
{
    struct place *place = *state;
    struct database_key key;
    make_store(place, DATABASE_AS_IS);
    assert_true(store_folder_has_log(&place->folder));

    assert_int_equal(open_place(place), RC_OK);

    assert_int_equal(database_find(place->open, rc_pack_text("k199"), &key), RC_OK);
    assert_true(key.mod_revision == 2);
}

/* One key again and again: the log begins anew once in a while. */
static void log_does_not_grow_without_end(void **state)
{
    struct place *place = *state;
    struct rc_buffer log = {0};
    static const uint8_t value[100000] = {1};
    struct stat there;
    struct engine_op op = {ENGINE_PUT, rc_pack_text("k"), {value, sizeof value}, 0};
    assert_int_equal(open_place(place), RC_OK);

    for (uint64_t i = 0; i < 400; i++) { /* 40 MB */
        assert_int_equal(database_begin(place->open), RC_OK);
        assert_int_equal(database_put(place->open, &op, 2 + i, &log), RC_OK);
        assert_int_equal(database_commit(place->open), RC_OK);
        assert_int_equal(database_tidy(place->open, DATABASE_WHEN_LONG), RC_OK);
        rc_buffer_clear(&log);
    }

    rc_buffer_fini(&log);
    assert_int_equal(stat(place->log, &there), 0);
    assert_in_range(there.st_size, 1 << 20, 12 << 20);
}

static void closed_store_has_no_log(void **state)
{
    struct place *place = *state;

    make_store(place, DATABASE_TIDY);

    assert_false(store_folder_has_log(&place->folder));
}

static void file_that_is_no_database_is_refused_and_kept(void **state)
{
    struct place *place = *state;
    make_store(place, DATABASE_TIDY);
    write_at(place->database, 0, "this is not a database, is it", 29);

    assert_refused(place, RC_EMALFORMED, "restore a snapshot");
}

static void database_of_somebody_else_is_refused_and_kept(void **state)
{
    struct place *place = *state;
    make_store(place, DATABASE_TIDY);
    write_at(place->database, 68, "none", 4); /* the application's number in the header */

    assert_refused(place, RC_EMALFORMED, "not a store of rollcall");
}

static void newer_format_is_refused_and_kept(void **state)
{
    struct place *place = *state;
    make_store(place, DATABASE_TIDY);
    write_at(place->database, 60, "\0\0\0\x09", 4); /* the user's version in the header */

    assert_refused(place, RC_EUNSUPPORTED, "newer rollcall (format 9, known is 1)");
}

/* Damage in the middle of the file is found by the check that follows an unclean end. */
static void damage_is_found_after_an_unclean_end(void **state)
{
    struct place *place = *state;
    char noise[4096];
    make_store(place, DATABASE_TIDY);
    memset(noise, 0xa5, sizeof noise);
    write_at(place->database, 20480, noise, sizeof noise);
    FILE *log = fopen(place->log, "we");
    assert_non_null(log);
    assert_int_equal(fwrite(noise, 1, 64, log), 64); /* the beginning of a frame */
    assert_int_equal(fclose(log), 0);

    assert_refused(place, RC_EMALFORMED, "restore a snapshot");
}

static void log_without_its_database_is_not_thrown_away(void **state)
{
    struct place *place = *state;
    make_store(place, DATABASE_AS_IS);
    uint64_t before = sum_of(place->log);
    assert_int_equal(unlink(place->database), 0);

    int err = open_place(place);

    assert_int_equal(err, RC_EMALFORMED);
    assert_non_null(strstr(place->error, "put the file back"));
    assert_true(sum_of(place->log) == before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_for_their_owner_only, setup, teardown),
        cmocka_unit_test_setup_teardown(open_modes_are_closed_again, setup, teardown),
        cmocka_unit_test_setup_teardown(second_who_opens_it_is_told_who_has_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_in_the_log_is_there,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(closed_store_has_no_log, setup, teardown),
        cmocka_unit_test_setup_teardown(log_does_not_grow_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(file_that_is_no_database_is_refused_and_kept,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(database_of_somebody_else_is_refused_and_kept,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(newer_format_is_refused_and_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damage_is_found_after_an_unclean_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(log_without_its_database_is_not_thrown_away,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
