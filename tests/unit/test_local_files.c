/* That nothing kept is lost and nothing damaged is fatal: agent/local/local_store.h. */
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/local/local_store.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

static char folder[PATH_MAX];

static int set_up(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/test_local_files.XXXXXX");
    assert_non_null(mkdtemp(folder));
    return local_files_open(folder, (struct local_store **)state);
}

/* Calls `each` with every path in the three folders. */
static size_t walk(void (*each)(const char *path), const char *end)
{
    static const char *const names[] = {"services", "checks", "states"};
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%.100s/%s", folder, names[i]);
        DIR *entries = opendir(path);
        struct dirent *entry;
        while ((entry = readdir(entries)) != NULL) { // NOLINT(concurrency-mt-unsafe)
            if (entry->d_name[0] == '.' || !rc_text_ends_with(entry->d_name, end)) {
                continue;
            }
            (void)snprintf(path, sizeof path, "%.100s/%s/%.250s", folder, names[i],
                           entry->d_name);
            each(path);
            count++;
        }
        (void)closedir(entries);
    }
    return count;
}

static void erase(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void leave(const char *path)
{
    (void)path;
}

static int tear_down(void **state)
{
    local_files_close(*state);
    (void)walk(erase, "");
    static const char *const names[] = {"/services", "/checks", "/states", ""};
    for (size_t i = 0; i < 4; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%.100s%s", folder, names[i]);
        (void)rmdir(path);
    }
    return 0;
}

static void put(struct local_store *store, const char *id, const char *text)
{
    assert_int_equal(store->put(store, LOCAL_KIND_SERVICE, id, text, strlen(text)),
                     RC_OK);
}

static int gather(void *context, const char *json, size_t size)
{
    rc_buffer_append(context, json, size);
    return rc_text_starts_with(json, "bad") ? RC_EMALFORMED : RC_OK;
}

static int load(struct local_store *store, struct rc_buffer *out)
{
    rc_buffer_clear(out);
    return store->load(store, LOCAL_KIND_SERVICE, gather, out);
}

static void what_was_put_is_loaded_by_the_next_process(void **state)
{
    struct local_store *store = *state;
    struct local_store *next;
    struct rc_buffer seen = {0};

    put(store, "web", "old");
    put(store, "web", "new");
    assert_int_equal(local_files_open(folder, &next), RC_OK);
    assert_int_equal(load(next, &seen), RC_OK);

    assert_string_equal(rc_buffer_string(&seen), "new");
    local_files_close(next);
    rc_buffer_fini(&seen);
}

static void ids_may_hold_anything(void **state)
{
    static const char *const ids[] = {
        "../../etc/passwd", "a/b", "", ".", "a b\n", "\xff"};
    struct local_store *store = *state;
    struct rc_buffer seen = {0};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        put(store, ids[i], "x");
    }

    assert_int_equal(walk(leave, ".json"), sizeof ids / sizeof ids[0]);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(store->remove(store, LOCAL_KIND_SERVICE, ids[i]), RC_OK);
    }
    assert_int_equal(load(store, &seen), RC_OK);
    assert_int_equal(seen.size, 0);
    rc_buffer_fini(&seen);
}

static void removing_what_is_not_there_is_no_error(void **state)
{
    struct local_store *store = *state;

    assert_int_equal(store->remove(store, LOCAL_KIND_CHECK, "nope"), RC_OK);
}

static void damaged_records_are_renamed_and_named(void **state)
{
    struct local_store *store = *state;
    struct rc_buffer seen = {0};

    put(store, "a", "bad");
    put(store, "b", "good");
    assert_int_equal(load(store, &seen), RC_EMALFORMED);
    assert_non_null(strstr(store->error, "set aside"));
    assert_non_null(strstr(rc_buffer_string(&seen), "good"));
    assert_int_equal(walk(leave, ".bad"), 1);

    assert_int_equal(load(store, &seen), RC_OK); /* once only */
    assert_string_equal(rc_buffer_string(&seen), "good");
    rc_buffer_fini(&seen);
}

static void leftovers_of_a_crash_are_not_loaded(void **state)
{
    struct local_store *store = *state;
    struct rc_buffer seen = {0};
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%.100s/services/0123.json.new", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("half a rec", file);
    (void)fclose(file);

    assert_int_equal(load(store, &seen), RC_OK);
    assert_int_equal(seen.size, 0);
    rc_buffer_fini(&seen);
}

static void a_disk_that_takes_no_more_keeps_the_old_record(void **state)
{
    struct local_store *store = *state;
    struct rc_buffer seen = {0};
    struct rlimit before;
    char large[8192];

    put(store, "web", "old");
    memset(large, 'x', sizeof large);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit tight = {1024, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN); /* so that write() fails, as on a full disk */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int err = store->put(store, LOCAL_KIND_SERVICE, "web", large, sizeof large);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    assert_int_equal(err, RC_EIO);
    assert_non_null(strstr(store->error, "too large"));
    assert_int_equal(load(store, &seen), RC_OK);
    assert_string_equal(rc_buffer_string(&seen), "old");
    rc_buffer_fini(&seen);
}

static void a_folder_that_cannot_be_made_is_an_error_at_start(void **state)
{
    struct local_store *store;
    (void)state;

    assert_int_equal(local_files_open("/dev/null/x", &store), RC_EIO);
}

static void a_pipe_among_the_records_is_not_waited_for(void **state)
{
    struct rc_buffer seen = {0};
    char path[PATH_MAX];

    put(*state, "web", "kept");
    (void)snprintf(path, sizeof path, "%.100s/services/pipe.json", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(*state, &seen), RC_OK);

    assert_string_equal(rc_buffer_string(&seen), "kept");
    rc_buffer_fini(&seen);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_loaded_by_the_next_process),
        CASE(ids_may_hold_anything),
        CASE(a_pipe_among_the_records_is_not_waited_for),
        CASE(removing_what_is_not_there_is_no_error),
        CASE(damaged_records_are_renamed_and_named),
        CASE(leftovers_of_a_crash_are_not_loaded),
        CASE(a_disk_that_takes_no_more_keeps_the_old_record),
        CASE(a_folder_that_cannot_be_made_is_an_error_at_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
