#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_json.h"
#include "agent/engine/etcd_scan.h"
#include "base/err.h"

static struct rc_pack_bytes text(const char *bytes)
{
    return rc_pack_text(bytes);
}

static void expect(struct rc_buffer *out, const char *want)
{
    assert_int_equal(out->err, RC_OK);
    assert_string_equal(rc_buffer_string(out), want);
    rc_buffer_fini(out);
}

static void transaction_is_written_as_the_gateway_wants_it(void **state)
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

    etcd_json_txn(&out, text("p/"), &txn);

    expect(&out,
           "{\"compare\":[{\"key\":\"cC9h\",\"target\":\"MOD\",\"result\":\"EQUAL\","
           "\"mod_revision\":\"7\"}],\"success\":[{\"request_put\":{\"key\":\"cC9h\","
           "\"value\":\"dmFsdWU=\",\"lease\":\"5\"}},{\"request_delete_range\":{\"key\":"
           "\"cC9i\"}}],\"failure\":[{\"request_delete_range\":{\"key\":\"cC9j\","
           "\"range_end\":\"cC9k\"}}]}");
}

static void prefix_and_key_make_one_base64_text_whatever_their_lengths(void **state)
{
    static const char letters[] = "abcdefghijklmnop";
    (void)state;

    for (size_t i = 1; i < 8; i++) {
        for (size_t j = 1; j < 8; j++) {
            struct rc_buffer out = {0};
            char key[9] = "";
            char prefix[9] = "";
            memcpy(prefix, letters, i);
            memcpy(key, letters + i, j);
            etcd_json_put(&out, text(prefix), key);
            struct etcd_scan scan = etcd_scan_over(out.bytes, out.size);
            struct rc_span name;
            assert_true(etcd_scan_object(&scan));
            assert_true(etcd_scan_key(&scan, &name));
            struct rc_pack_bytes whole = etcd_scan_bytes(&scan);
            assert_int_equal(whole.size, i + j);
            assert_memory_equal(whole.at, letters, i + j);
            rc_buffer_fini(&out);
        }
    }
}

static void end_of_a_prefix_counts_its_last_byte_up(void **state)
{
    static const struct {
        const char *why;
        const char *prefix;
        const char *want; /* of the page's range_end */
    } cases[] = {
        {"plain", "a/", "YTA="},
        {"highest byte is dropped", "a\xff", "Yg=="},
        {"nothing but highest bytes: to the end of all", "\xff\xff", "AA=="},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer out = {0};
        etcd_json_page(&out, text(cases[i].prefix), text("x"), 3, 9);
        if (strstr(rc_buffer_string(&out), cases[i].want) == NULL) {
            fail_msg("%s: %s", cases[i].why, rc_buffer_string(&out));
        }
        rc_buffer_fini(&out);
    }
}

static void prefix_compare_has_a_range(void **state)
{
    const struct engine_compare compare = {text("b/"), ENGINE_PREFIX_MOD_REVISION,
                                           ENGINE_LESS, 9};
    const struct engine_txn txn = {.compares = &compare, .compare_count = 1};
    struct rc_buffer out = {0};
    (void)state;

    etcd_json_txn(&out, text("a"), &txn);

    expect(&out, "{\"compare\":[{\"key\":\"YWIv\",\"range_end\":\"YWIw\",\"target\":"
                 "\"MOD\",\"result\":\"LESS\",\"mod_revision\":\"9\"}],\"success\":[],"
                 "\"failure\":[]}");
}

static void nested_transactions_stand_side_by_side(void **state)
{
    struct rc_buffer one = {0};
    struct rc_buffer out = {0};
    (void)state;

    rc_buffer_text(&one, "{}");
    etcd_json_nest_begin(&out);
    etcd_json_nest_add(&out, &one);
    etcd_json_nest_add(&out, &one);
    etcd_json_nest_end(&out);

    expect(&out, "{\"success\":[{\"request_txn\":{}},{\"request_txn\":{}}]}");
    rc_buffer_fini(&one);
}

static void login_escapes_what_people_choose(void **state)
{
    struct rc_buffer out = {0};
    (void)state;

    etcd_json_login(&out, "us\"er", "pass\\word");

    expect(&out, "{\"name\":\"us\\\"er\",\"password\":\"pass\\\\word\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_is_written_as_the_gateway_wants_it),
        cmocka_unit_test(prefix_and_key_make_one_base64_text_whatever_their_lengths),
        cmocka_unit_test(end_of_a_prefix_counts_its_last_byte_up),
        cmocka_unit_test(prefix_compare_has_a_range),
        cmocka_unit_test(nested_transactions_stand_side_by_side),
        cmocka_unit_test(login_escapes_what_people_choose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
