#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/unit/kv_world.h"

static const char *ask(struct kv_world *world, const char *body, unsigned status)
{
    const struct http_exchange *x = kv_world_ask(world, "PUT", "/v1/txn", body);

    if (x->status != status) {
        fail_msg("%s: %u %s", body, x->status, rc_buffer_string(&x->out));
    }
    return rc_buffer_string(&x->out);
}

static void operations_happen_in_their_order(void **state)
{
    const char *text =
        ask(*state,
            "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/1\",\"Value\":\"b25l\"}},"
            "{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/1\"}}]",
            200);

    assert_true(rc_text_starts_with(
        text, "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"t/1\",\"Flags\":0,"
              "\"Value\":null,\"CreateIndex\":"));
    assert_non_null(strstr(text, "\"Value\":\"b25l\""));
    assert_true(rc_text_ends_with(text, "],\"Errors\":null}"));
}

static void all_that_fails_is_told_and_nothing_happens(void **state)
{
    struct kv_world *world = *state;

    (void)ask(world, "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/1\",\"Value\":\"b25l\"}}]",
              200);
    const char *text = ask(world,
                           "[{\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"t/1\"}},"
                           "{\"KV\":{\"Verb\":\"get\",\"Key\":\"nope\"}}]",
                           409);
    assert_string_equal(
        text,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"key \\\"t/1\\\" exists\"},"
        "{\"OpIndex\":1,\"What\":\"key \\\"nope\\\" doesn't exist\"}],\"Index\":0,"
        "\"LastContact\":0,\"KnownLeader\":true,\"ConsistencyLevel\":\"\","
        "\"NotModified\":false}");
    (void)ask(world,
              "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/2\"}},"
              "{\"KV\":{\"Verb\":\"cas\",\"Key\":\"t/1\",\"Index\":1}}]",
              409);
    kv_world_expect(world, "GET", "/v1/kv/t/2", "", 404, "");
}

static void reads_alone_tell_how_fresh_they_are(void **state)
{
    struct kv_world *world = *state;

    (void)ask(world, "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/1\",\"Value\":\"b25l\"}}]",
              200);
    const char *text = ask(world, "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/1\"}}]", 200);
    assert_true(rc_text_ends_with(
        text, ",\"Errors\":null,\"Index\":0,\"LastContact\":0,\"KnownLeader\":true,"
              "\"ConsistencyLevel\":\"\",\"NotModified\":false}"));
    assert_string_equal(exchange_header_value(&world->x, "X-Consul-Knownleader"), "true");
}

static void an_unknown_session_fails_its_operation(void **state)
{
    const char *text = ask(*state,
                           "[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"t/l\",\"Session\":"
                           "\"00000000-0000-4000-8000-000000000000\"}}]",
                           409);
    assert_non_null(strstr(text, "invalid session"));
}

static void wrong_bodies_are_refused(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *text;
    } cases[] = {
        {"{\"a\":1}", 400,
         "Failed to parse body: json: cannot unmarshal object into Go value of type "
         "api.TxnOps"},
        {"", 400, "Failed to parse body: EOF"},
        {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"?\"}}]", 400,
         "Failed to parse body: illegal base64 data in Value of operation 0"},
        {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"/a\"}}]", 400,
         "Invalid key name: it must not begin with a '/' (operation 0)"},
        {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a/../b\"}}]", 400,
         "Invalid key name: '.' and '..' are no segments of a key (operation 0)"},
        {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"\"}}]", 400,
         "Missing key name (operation 0)"},
        {"[{}]", 400, "Operation 0 is empty"},
        {"[{\"Node\":{\"Verb\":\"set\",\"Node\":{}}}]", 400,
         "Operation 0: Node cannot be changed in a transaction: the catalog's entries of "
         "a node are written by its own agent alone (PUT /v1/agent/service/register "
         "there)"},
        {"[]", 200,
         "{\"Results\":[],\"Errors\":null,\"Index\":0,\"LastContact\":0,\"KnownLeader\":"
         "true,\"ConsistencyLevel\":\"\",\"NotModified\":false}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kv_world *world = *state;
        if (i == sizeof cases / sizeof cases[0] - 1) {
            assert_int_equal(kv_world_ask(world, "PUT", "/v1/txn", cases[i].body)->status,
                             200);
            continue;
        }
        kv_world_expect(world, "PUT", "/v1/txn", cases[i].body, cases[i].status,
                        cases[i].text);
    }
    const char *text = ask(*state, "[{\"KV\":{\"Verb\":\"bogus\",\"Key\":\"a\"}}]", 409);
    assert_non_null(strstr(text, "unknown KV verb \\\"bogus\\\""));
}

static void more_than_64_operations_are_too_many(void **state)
{
    struct rc_buffer body = {0};

    rc_buffer_byte(&body, '[');
    for (int i = 0; i < 65; i++) {
        rc_buffer_format(&body, "%s{\"KV\":{\"Verb\":\"get\",\"Key\":\"a\"}}",
                         i > 0 ? "," : "");
    }
    rc_buffer_byte(&body, ']');
    kv_world_expect(*state, "PUT", "/v1/txn", rc_buffer_string(&body), 413,
                    "Transaction contains too many operations (65 > 64)");
    rc_buffer_fini(&body);
}

static void stale_reads_are_answered_without_a_leader(void **state)
{
    struct kv_world *world = *state;
    const char *body = "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/1\"}}]";

    (void)ask(world, "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/1\",\"Value\":\"b25l\"}}]",
              200);
    engine_memory_lose_leader(world->memory, world->api.now_ms + 60000);
    (void)ask(world, body, 500);
    const struct http_exchange *x = kv_world_ask(world, "PUT", "/v1/txn?stale", body);
    assert_int_equal(x->status, 200);
    assert_non_null(strstr(rc_buffer_string(&x->out), "\"Value\":\"b25l\""));
    assert_non_null(strstr(rc_buffer_string(&x->out), "\"KnownLeader\":false"));
}

int main(void)
{
#define WITH_WORLD(test) \
    cmocka_unit_test_setup_teardown(test, kv_world_set_up, kv_world_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(operations_happen_in_their_order),
        WITH_WORLD(all_that_fails_is_told_and_nothing_happens),
        WITH_WORLD(reads_alone_tell_how_fresh_they_are),
        WITH_WORLD(an_unknown_session_fails_its_operation),
        WITH_WORLD(stale_reads_are_answered_without_a_leader),
        WITH_WORLD(wrong_bodies_are_refused),
        WITH_WORLD(more_than_64_operations_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
