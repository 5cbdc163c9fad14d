/* test_mirror.c - the ordered map against a list that is looked through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/mirror.h"
#include "base/err.h"
#include "base/random.h"

enum { KEYS = 300, STEPS = 6000 };

struct model {
    char key[8];
    uint64_t revision; /* of the put, or of the removal */
    uint64_t value;
    bool is_there;
};

static struct rc_pack_bytes bytes_of(const void *at, size_t size)
{
    return (struct rc_pack_bytes){.at = at, .size = size};
}

static void put_key(struct mirror *mirror, const char *key, uint64_t revision)
{
    const struct engine_item item = {.key = rc_pack_text(key),
                                     .value = bytes_of(&revision, sizeof revision),
                                     .create_revision = revision,
                                     .mod_revision = revision};

    assert_int_equal(mirror_put(mirror, &item), RC_OK);
}

static void compare_walk(const struct mirror *mirror, const struct model *model,
                         const char *prefix)
{
    struct engine_item item = {.key = {NULL, 0}};
    uint64_t highest = 0;
    size_t count = 0;
    size_t want = 0;
    char last[16] = "";

    while (mirror_next(mirror, rc_pack_text(prefix), item.key, &item)) {
        char key[16];
        (void)snprintf(key, sizeof key, "%.*s", (int)item.key.size,
                       (const char *)item.key.at);
        assert_true(strcmp(key, last) > 0);
        (void)snprintf(last, sizeof last, "%s", key);
        count++;
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (strncmp(model[i].key, prefix, strlen(prefix)) == 0) {
            want += model[i].is_there;
            highest = model[i].revision > highest ? model[i].revision : highest;
        }
    }
    assert_int_equal(count, want);
    assert_int_equal(mirror_prefix_index(mirror, rc_pack_text(prefix)), highest);
}

static void it_is_what_a_list_would_be(void **state)
{
    static struct model model[KEYS];
    static const char *const prefixes[] = {"", "k", "k1", "k12", "k9", "x", "k123", "a"};
    struct mirror *mirror = mirror_create(KEYS);
    struct rc_random random;

    (void)state;
    rc_random_init(&random, 1);
    for (size_t i = 0; i < KEYS; i++) {
        (void)snprintf(model[i].key, sizeof model[i].key, "k%zu", i);
    }
    for (uint64_t step = 1; step <= STEPS; step++) {
        struct model *m = &model[rc_random_below(&random, KEYS)];
        bool removes = rc_random_below(&random, 3) == 0;
        if (removes) {
            mirror_remove(mirror, rc_pack_text(m->key), step);
        } else {
            put_key(mirror, m->key, step);
        }
        m->revision = removes && !m->is_there ? m->revision : step;
        m->is_there = !removes;
        if (step % 50 == 0) {
            compare_walk(mirror, model, prefixes[step / 50 % 8]);
            assert_int_equal(mirror_key_index(mirror, rc_pack_text(m->key)), m->revision);
        }
    }
    mirror_destroy(mirror);
}

static void indexes_do_not_fall_when_tombstones_go(void **state)
{
    struct mirror *mirror = mirror_create(4);
    char key[16];
    uint64_t index = 0;

    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        (void)snprintf(key, sizeof key, "a/%llu", (unsigned long long)i);
        put_key(mirror, key, i * 2);
        mirror_remove(mirror, rc_pack_text(key), i * 2 + 1);
        assert_true(mirror_prefix_index(mirror, rc_pack_text("a/")) > index);
        index = mirror_prefix_index(mirror, rc_pack_text("a/"));
        assert_true(mirror_key_index(mirror, rc_pack_text("a/1")) >= 3);
    }
    assert_int_equal(mirror_count(mirror), 0);
    assert_int_equal(mirror_floor(mirror), 96 * 2 + 1);
    mirror_destroy(mirror);
}

static void keys_are_bytes(void **state)
{
    struct mirror *mirror = mirror_create(0);
    const uint8_t keys[][3] = {{0, 0, 0}, {0, 0, 1}, {0xff, 0xff, 0xff}, {0x7f, 0, 0}};
    struct engine_item item = {.key = {NULL, 0}};
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t size = 0; size <= 3; size++) {
            const struct engine_item put = {.key = bytes_of(keys[i], size)};
            assert_int_equal(mirror_put(mirror, &put), RC_OK);
        }
    }
    while (mirror_next(mirror, bytes_of("", 0), item.key, &item)) {
        count++;
    }
    assert_int_equal(count, 1 + 3 + 3 + 4);
    assert_int_equal(mirror_count(mirror), count);
    mirror_destroy(mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_a_list_would_be),
        cmocka_unit_test(indexes_do_not_fall_when_tombstones_go),
        cmocka_unit_test(keys_are_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
