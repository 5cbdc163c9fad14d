/* test_keyring_file.c - which keys a node starts with, and how they survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/keyring_file.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/unit/temp_folder.h"

static const struct gossip_key old = {.size = 32, .bytes = {1}};
static const struct gossip_key fresh = {.size = 32, .bytes = {2}};
static const struct gossip_key other = {.size = 16, .bytes = {3}};

static int make_folder(void **state)
{
    return temp_folder_make(state, "keyring.json", "keyring.seen");
}

static bool is(const struct gossip_key *a, const struct gossip_key *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Settles with `configured` and expects `first` and `second` (NULL: no more), from `want`. */
static void expect(const struct temp_folder *folder, const struct gossip_key *configured,
                   const struct gossip_key *first, const struct gossip_key *second,
                   enum keyring_source want)
{
    struct keyring_list list;
    enum keyring_source source;

    assert_int_equal(keyring_file_settle(folder->path, configured, &list, &source),
                     RC_OK);
    assert_int_equal(source, want);
    assert_int_equal(list.count, (first != NULL) + (second != NULL));
    assert_true(first == NULL || is(&list.keys[0], first));
    assert_true(second == NULL || is(&list.keys[1], second));
}

static void save(const struct temp_folder *folder, const struct gossip_key *configured,
                 const struct gossip_key *first, const struct gossip_key *second)
{
    struct keyring_list list = {.keys = {*first}, .count = 1};

    if (second != NULL) {
        list.keys[list.count++] = *second;
    }
    assert_int_equal(keyring_file_save(folder->path, configured, &list), RC_OK);
}

static void without_a_file_the_configured_key_is_all(void **state)
{
    expect(*state, NULL, NULL, NULL, KEYRING_FROM_NOTHING);
    expect(*state, &old, &old, NULL, KEYRING_FROM_CONFIG);
    expect(*state, &fresh, &fresh, NULL, KEYRING_FROM_CONFIG);
}

static void what_the_pool_decided_survives(void **state)
{
    save(*state, &old, &fresh, &old);
    expect(*state, &old, &fresh, &old, KEYRING_FROM_FILE_SECOND);
    expect(*state, NULL, &fresh, &old, KEYRING_FROM_FILE);
}

static void a_configuration_that_was_left_behind_is_tried_last(void **state)
{
    save(*state, &old, &fresh, NULL);
    expect(*state, &old, &fresh, &old, KEYRING_FROM_FILE_LACKING);
    expect(*state, &old, &fresh, &old, KEYRING_FROM_FILE_LACKING); /* again and again */
    expect(*state, &fresh, &fresh, NULL, KEYRING_FROM_FILE);
}

static void a_stale_file_does_not_beat_a_fresh_configuration(void **state)
{
    save(*state, &old, &old, NULL);
    expect(*state, &fresh, &fresh, &old, KEYRING_FROM_CHANGED_CONFIG);
    expect(*state, &fresh, &fresh, &old, KEYRING_FROM_FILE); /* and was written so */
}

static void a_configuration_that_the_pool_knows_follows_the_pool(void **state)
{
    save(*state, &other, &fresh, &old);
    expect(*state, &old, &fresh, &old, KEYRING_FROM_FILE_SECOND);
}

static void a_file_of_serf_is_taken_at_its_word(void **state)
{
    const struct temp_folder *folder = *state;
    static const char text[] = "[\n  \"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n]";

    assert_int_equal(rc_file_replace(folder->file, text, strlen(text)), RC_OK);
    expect(folder, &old, &fresh, &old, KEYRING_FROM_FILE_LACKING);
}

static void a_full_file_still_makes_room_for_the_configured_key(void **state)
{
    const struct temp_folder *folder = *state;
    struct keyring_list list = {.count = GOSSIP_KEYS_MAX};
    enum keyring_source source;

    for (size_t i = 0; i < list.count; i++) {
        list.keys[i] = (struct gossip_key){.size = 16, .bytes = {(uint8_t)(40 + i)}};
    }
    assert_int_equal(keyring_file_save(folder->path, &old, &list), RC_OK);
    assert_int_equal(keyring_file_settle(folder->path, &old, &list, &source), RC_OK);
    assert_int_equal(list.count, GOSSIP_KEYS_MAX);
    assert_true(is(&list.keys[GOSSIP_KEYS_MAX - 1], &old));
    assert_int_equal(keyring_file_settle(folder->path, &fresh, &list, &source), RC_OK);
    assert_int_equal(list.count, GOSSIP_KEYS_MAX);
    assert_true(is(&list.keys[0], &fresh));
}

static void a_torn_or_bad_file_is_refused_and_kept_aside(void **state)
{
    static const char *const texts[] = {
        "",
        "[\"AgAAAAAA",
        "[]",
        "{}",
        "[1]",
        "[\"AgAA\"]",
        "[\"!!\"]",
        "[\"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"\"]",
        "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]",
    };
    const struct temp_folder *folder = *state;
    struct keyring_list list;
    enum keyring_source source;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(rc_file_replace(folder->file, texts[i], strlen(texts[i])),
                         RC_OK);
        if (keyring_file_settle(folder->path, &old, &list, &source) != RC_EMALFORMED) {
            fail_msg("'%s' was taken", texts[i]);
        }
        assert_int_equal(list.count, 0);
        assert_int_equal(access(folder->file, F_OK), -1);
        assert_int_equal(access(folder->broken, F_OK), 0);
        expect(folder, &old, &old, NULL, KEYRING_FROM_CONFIG); /* the next start */
    }
}

static void nobody_else_may_read_it(void **state)
{
    const struct temp_folder *folder = *state;
    struct stat found;

    save(folder, &old, &old, NULL);
    assert_int_equal(stat(folder->file, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(stat(folder->other, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    const struct keyring_list list = {.keys = {old}, .count = 1};
    struct keyring_list settled;
    enum keyring_source source;

    (void)state;
    assert_int_equal(keyring_file_save(NULL, &old, &list), RC_OK);
    assert_int_equal(keyring_file_settle(NULL, &old, &settled, &source), RC_OK);
    assert_int_equal(source, KEYRING_FROM_CONFIG);
    assert_int_equal(keyring_file_save("/nowhere", &old, &list), RC_EIO);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, temp_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(without_a_file_the_configured_key_is_all),
        IN_FOLDER(what_the_pool_decided_survives),
        IN_FOLDER(a_configuration_that_was_left_behind_is_tried_last),
        IN_FOLDER(a_stale_file_does_not_beat_a_fresh_configuration),
        IN_FOLDER(a_configuration_that_the_pool_knows_follows_the_pool),
        IN_FOLDER(a_file_of_serf_is_taken_at_its_word),
        IN_FOLDER(a_full_file_still_makes_room_for_the_configured_key),
        IN_FOLDER(a_torn_or_bad_file_is_refused_and_kept_aside),
        IN_FOLDER(nobody_else_may_read_it),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
