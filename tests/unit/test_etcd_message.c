#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_message.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"

static struct rc_pack_bytes text(const char *bytes)
{
    return rc_pack_text(bytes);
}

/* Compares with bytes that are written down, so that reader and writer do not err together. */
static void expect(struct rc_buffer *out, const char *want, size_t size)
{
    assert_int_equal(out->err, RC_OK);
    assert_int_equal(out->size, size);
    assert_memory_equal(out->bytes, want, size);
    rc_buffer_fini(out);
}

#define EXPECT(out, want) expect(out, want, sizeof(want) - 1)

static void transaction_is_written_as_etcd_reads_it(void **state)
{
    (void)state;
    const struct engine_compare compare = {text("a"), ENGINE_MOD_REVISION, ENGINE_EQUAL,
                                           7};
    const struct engine_op then[] = {
        {.verb = ENGINE_PUT, .key = text("a"), .value = text("value"), .lease = 5},
        {.verb = ENGINE_DELETE, .key = text("b")}};
    const struct engine_op otherwise = {.verb = ENGINE_DELETE_PREFIX, .key = text("c")};
    const struct engine_txn txn = {&compare, 1, then, 2, &otherwise, 1};
    struct rc_buffer out = {0};

    etcd_message_txn(&out, text("p/"), &txn);

    EXPECT(&out, "\x0a\x0b\x08\x00\x10\x02\x1a\x03p/a\x30\x07"      /* compare */
                 "\x12\x10\x12\x0e\x0a\x03p/a\x12\x05value\x18\x05" /* put */
                 "\x12\x07\x1a\x05\x0a\x03p/b"                      /* delete */
                 "\x1a\x0c\x1a\x0a\x0a\x03p/c\x12\x03p/d");         /* all below */
}

static void compares_name_what_they_ask(void **state)
{
    static const struct {
        enum engine_target target;
        enum engine_relation relation;
        const char *want;
    } cases[] = {
        {ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL,
         "\x0a\x09\x08\x03\x10\x01\x1a\x01k\x28\x09"},
        {ENGINE_LEASE, ENGINE_GREATER, "\x0a\x09\x08\x01\x10\x04\x1a\x01k\x40\x09"},
        {ENGINE_MOD_REVISION, ENGINE_LESS, "\x0a\x09\x08\x02\x10\x02\x1a\x01k\x30\x09"},
        {ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS,
         "\x0a\x0d\x08\x02\x10\x02\x1a\x01k\x30\x09\x82\x04\x01l"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct engine_compare compare = {text("k"), cases[i].target,
                                               cases[i].relation, 9};
        const struct engine_txn txn = {.compares = &compare, .compare_count = 1};
        struct rc_buffer out = {0};
        etcd_message_txn(&out, text(""), &txn);
        expect(&out, cases[i].want, strlen(cases[i].want));
    }
}

/* The range_end of a page below `prefix`. */
static void read_end(const char *prefix, uint8_t *out, size_t *size)
{
    struct rc_buffer message = {0};
    struct protobuf_field field;

    etcd_message_page(&message, text(prefix), text("x"), 3, 9);
    struct rc_cursor in = rc_cursor_over(message.bytes, message.size);
    while (protobuf_next(&in, &field)) {
        if (field.number == 2) {
            *size = field.bytes.size;
            memcpy(out, field.bytes.at, field.bytes.size);
        }
    }
    rc_buffer_fini(&message);
}

static void end_of_a_prefix_counts_its_last_byte_up(void **state)
{
    static const struct {
        const char *why;
        const char *prefix;
        const char *want;
        size_t size;
    } cases[] = {
        {"plain", "a/", "a0", 2},
        {"highest byte is dropped", "a\xff", "b", 1},
        {"nothing but highest bytes: to the end of all", "\xff\xff", "\0", 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t found[8];
        size_t size = 0;
        read_end(cases[i].prefix, found, &size);
        if (size != cases[i].size || memcmp(found, cases[i].want, size) != 0) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void end_of_a_key_below_may_lie_in_its_prefix(void **state)
{
    const struct engine_op op = {.verb = ENGINE_DELETE_PREFIX, .key = text("\xff")};
    const struct engine_txn txn = {.then = &op, .then_count = 1};
    struct rc_buffer out = {0};
    (void)state;

    etcd_message_txn(&out, text("a"), &txn);

    EXPECT(&out, "\x12\x09\x1a\x07\x0a\x02"
                 "a\xff\x12\x01"
                 "b");
}

static void nested_transactions_stand_side_by_side(void **state)
{
    struct rc_buffer out = {0};
    (void)state;

    etcd_message_nest(&out, text("one"));
    etcd_message_nest(&out, text("three"));

    EXPECT(&out, "\x12\x05\x22\x03one\x12\x07\x22\x05three");
}

static void the_rest_is_written_as_etcd_reads_it(void **state)
{
    struct rc_buffer out = {0};
    (void)state;

    etcd_message_page(&out, text("p/"), text("p/k"), 3, 200);
    EXPECT(&out, "\x0a\x03p/k\x12\x02p0\x18\xc8\x01\x20\x03");
    etcd_message_barrier(&out, text("p/"));
    EXPECT(&out, "\x0a\x02p/\x48\x01");
    etcd_message_watch(&out, text("p/"), 300);
    EXPECT(&out, "\x0a\x0f\x0a\x02p/\x12\x02p0\x18\xac\x02\x20\x01\x40\x01");
    etcd_message_put(&out, text("p/"), "mark");
    EXPECT(&out, "\x0a\x06p/mark");
    etcd_message_number(&out, 10);
    EXPECT(&out, "\x08\x0a");
    etcd_message_login(&out, "us\"er", "pass");
    EXPECT(&out, "\x0a\x05us\"er\x12\x04pass");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_is_written_as_etcd_reads_it),
        cmocka_unit_test(compares_name_what_they_ask),
        cmocka_unit_test(end_of_a_prefix_counts_its_last_byte_up),
        cmocka_unit_test(end_of_a_key_below_may_lie_in_its_prefix),
        cmocka_unit_test(nested_transactions_stand_side_by_side),
        cmocka_unit_test(the_rest_is_written_as_etcd_reads_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
