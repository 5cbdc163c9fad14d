#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_queue.h"
#include "base/err.h"

static struct etcd_queue queue;
static struct etcd_write *taken[ETCD_RIDERS_MAX];

static void ignore(void *context, const struct engine_answer *answer)
{
    (void)context;
    (void)answer;
}

static struct etcd_write *write_of(const char *compared, const char *written,
                                   enum engine_verb verb)
{
    const struct engine_compare compare = {rc_pack_text(compared), ENGINE_MOD_REVISION,
                                           ENGINE_EQUAL, 0};
    const struct engine_op op = {
        .verb = verb, .key = rc_pack_text(written), .value = rc_pack_text("v")};
    const struct engine_txn txn = {
        .compares = &compare, .compare_count = 1, .then = &op, .then_count = 1};
    /* The context is what the test knows it by; never written to.
     * NOLINTNEXTLINE(performance-no-int-to-ptr) */
    void *context = (void *)(uintptr_t)written;
    struct etcd_write *write =
        etcd_write_create(rc_pack_text("p/"), &txn, ignore, context);
    assert_non_null(write);
    assert_int_equal(write->err, RC_OK);
    return write;
}

static void add(const char *compared, const char *written)
{
    etcd_queue_put(&queue, write_of(compared, written, ENGINE_PUT));
}

/* The names of those that go next, in order. */
static const char *next(void)
{
    static char names[1024];
    size_t count = etcd_queue_take(&queue, taken);

    names[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(names);
        (void)snprintf(names + size, sizeof names - size, "%s%s", i > 0 ? " " : "",
                       (const char *)taken[i]->context);
        etcd_write_destroy(taken[i]);
    }
    return names;
}

static void writes_that_do_not_meet_ride_together(void **state)
{
    (void)state;
    add("x", "a");
    add("x", "b"); /* comparing the same key is no meeting */
    add("y", "c");

    assert_string_equal(next(), "a b c");
    assert_string_equal(next(), "");
}

static void writes_that_meet_go_one_after_the_other(void **state)
{
    (void)state;
    add("x", "a");
    add("x", "a");
    add("a", "b"); /* compares what the first writes */
    add("x", "c");
    add("c", "d"); /* compares what another rider writes */

    assert_string_equal(next(), "a c");
    assert_string_equal(next(), "a d");
    assert_string_equal(next(), "b");
}

static void nobody_overtakes_one_he_meets(void **state)
{
    (void)state;
    add("x", "a");
    add("a", "b"); /* must wait for a */
    add("x", "b"); /* must wait for the one before */
    add("x", "c");

    assert_string_equal(next(), "a c");
    assert_string_equal(next(), "b");
    assert_string_equal(next(), "b");
}

static void deleting_a_prefix_goes_alone_and_is_not_overtaken(void **state)
{
    (void)state;
    add("x", "a");
    etcd_queue_put(&queue, write_of("x", "b", ENGINE_DELETE_PREFIX));
    add("x", "c");

    assert_string_equal(next(), "a");
    assert_string_equal(next(), "b");
    assert_string_equal(next(), "c");
}

static void one_that_was_refused_in_company_goes_alone(void **state)
{
    (void)state;
    struct etcd_write *alone = write_of("x", "b", ENGINE_PUT);

    alone->is_alone = true;
    add("x", "a");
    etcd_queue_put_first(&queue, alone);
    add("x", "c");

    assert_string_equal(next(), "b");
    assert_string_equal(next(), "a c");
}

static void riders_have_a_limit(void **state)
{
    (void)state;
    char keys[ETCD_RIDERS_MAX + 10][8];

    for (size_t i = 0; i < ETCD_RIDERS_MAX + 10; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        add("x", keys[i]);
    }

    size_t count = etcd_queue_take(&queue, taken);
    assert_int_equal(count, ETCD_RIDERS_MAX);
    for (size_t i = 0; i < count; i++) {
        etcd_write_destroy(taken[i]);
    }
    assert_int_equal(queue.count, 10);
    (void)next();
    assert_int_equal(queue.count, 0);
}

static void what_makes_no_sense_is_refused_at_the_door(void **state)
{
    (void)state;
    const struct engine_op op = {.verb = ENGINE_PUT, .key = rc_pack_text("")};
    const struct engine_txn txn = {.then = &op, .then_count = 1};

    struct etcd_write *write = etcd_write_create(rc_pack_text("p/"), &txn, ignore, NULL);
    assert_non_null(write);
    assert_int_equal(write->err, RC_EINVAL);
    assert_non_null(write->text);
    etcd_write_destroy(write);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_that_do_not_meet_ride_together),
        cmocka_unit_test(writes_that_meet_go_one_after_the_other),
        cmocka_unit_test(nobody_overtakes_one_he_meets),
        cmocka_unit_test(deleting_a_prefix_goes_alone_and_is_not_overtaken),
        cmocka_unit_test(one_that_was_refused_in_company_goes_alone),
        cmocka_unit_test(riders_have_a_limit),
        cmocka_unit_test(what_makes_no_sense_is_refused_at_the_door),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
