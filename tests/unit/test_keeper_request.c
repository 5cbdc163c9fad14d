/* test_keeper_request.c - the keeper's wishes as requests of the HTTP API, and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper_request.h"
#include "base/err.h"

static void a_transaction_names_keys_of_its_cluster(void **state)
{
    static const struct keeper_op ops[] = {
        {.verb = KEEPER_OP_LOCK,
         .key = "lease",
         .value = "{}",
         .value_size = 2,
         .session = "s"},
        {.verb = KEEPER_OP_CAS,
         .key = "state",
         .value = "x",
         .value_size = 1,
         .index = 7},
        {.verb = KEEPER_OP_CHECK_NONE, .key = "sync"},
    };
    const struct keeper_action action = {
        .kind = KEEPER_TXN, .ops = ops, .op_count = sizeof ops / sizeof ops[0]};
    struct keeper_request_text text = {0};

    (void)state;
    assert_int_equal(keeper_request_write(&action, "main", "db1", &text), RC_OK);

    assert_string_equal(text.method, "PUT");
    assert_string_equal(rc_buffer_string(&text.target), "/v1/txn");
    assert_string_equal(
        rc_buffer_string(&text.body),
        "[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"rollcall/pg/main/lease\",\"Value\":\"e30=\","
        "\"Session\":\"s\"}},"
        "{\"KV\":{\"Verb\":\"cas\",\"Key\":\"rollcall/pg/main/state\",\"Value\":\"eA==\","
        "\"Index\":7}},"
        "{\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"rollcall/pg/main/sync\","
        "\"Index\":0}}]");
    keeper_request_fini(&text);
}

static void a_session_goes_with_all_that_it_holds_and_hangs_on_no_check(void **state)
{
    const struct keeper_action action = {.kind = KEEPER_OPEN_SESSION, .ttl_ms = 3000};
    struct keeper_request_text text = {0};

    (void)state;
    assert_int_equal(keeper_request_write(&action, "main", "db1", &text), RC_OK);
    assert_string_equal(
        rc_buffer_string(&text.body),
        "{\"Name\":\"pg/main/db1\",\"TTL\":\"3000ms\",\"Behavior\":\"delete\","
        "\"LockDelay\":\"0s\",\"NodeChecks\":[]}");
    keeper_request_fini(&text);
}

static void what_is_not_certain_is_unknown(void **state)
{
    static const struct {
        enum keeper_action_kind kind;
        unsigned status;
        const char *body;
        enum keeper_end want;
    } cases[] = {
        {KEEPER_RENEW, 200, "[]", KEEPER_DONE},
        {KEEPER_RENEW, 404, "Session id 'x' not found", KEEPER_GONE},
        {KEEPER_RENEW, 500, "No cluster leader", KEEPER_UNKNOWN},
        {KEEPER_RENEW, 403, "Permission denied", KEEPER_FAILED},
        {KEEPER_TXN, 200, "{\"Results\":[]}", KEEPER_DONE},
        {KEEPER_TXN, 409, "{\"Errors\":[{\"What\":\"index is stale\"}]}", KEEPER_REFUSED},
        {KEEPER_TXN, 409, "{\"Errors\":[{\"What\":\"invalid session \\\"x\\\"\"}]}",
         KEEPER_GONE},
        {KEEPER_TXN, 504, "", KEEPER_UNKNOWN},
        {KEEPER_OPEN_SESSION, 200, "{}", KEEPER_UNKNOWN},
        {KEEPER_OPEN_SESSION, 200, "{\"ID\":\"abc\"}", KEEPER_DONE},
    };
    char session[KEEPER_SESSION_MAX];
    struct keeper_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_reply reply = {.status = cases[i].status,
                                         .body = cases[i].body,
                                         .body_size = strlen(cases[i].body)};
        keeper_request_read(cases[i].kind, &reply, session, &answer);
        if (answer.end != cases[i].want) {
            fail_msg("%u %s: %d", cases[i].status, cases[i].body, (int)answer.end);
        }
    }
    assert_string_equal(session, "abc");
}

static void the_term_is_that_of_the_lease(void **state)
{
    static const char body[] =
        "{\"Results\":[{\"KV\":{\"Key\":\"rollcall/pg/main/lease\",\"Term\":9,"
        "\"ModifyIndex\":12}},{\"KV\":{\"Key\":\"rollcall/pg/main/state\","
        "\"ModifyIndex\":11}}]}";
    const struct http_reply reply = {
        .status = 200, .body = body, .body_size = sizeof body - 1};
    char session[KEEPER_SESSION_MAX];
    struct keeper_answer answer;

    (void)state;
    keeper_request_read(KEEPER_TXN, &reply, session, &answer);
    assert_int_equal(answer.term, 9);
    assert_int_equal(answer.index, 12);
}

static void a_view_is_all_records_or_none_yet(void **state)
{
    static const char body[] =
        "[{\"Key\":\"rollcall/pg/main/lease\",\"Value\":\"eyJub2RlIjoiZGIxIn0=\","
        "\"Session\":\"s\",\"Term\":4,\"ModifyIndex\":5}]";
    const struct http_reply_header index = {"x-consul-index", "17"};
    struct http_reply reply = {.status = 200,
                               .headers = &index,
                               .header_count = 1,
                               .body = body,
                               .body_size = sizeof body - 1};
    static struct keeper_view view;

    (void)state;
    keeper_view_init(&view, "db1");
    assert_int_equal(keeper_request_read_view(&reply, "main", &view), RC_OK);
    assert_int_equal(view.index, 17);
    assert_true(view.lease_at.exists);
    assert_int_equal(view.lease_at.term, 4);
    assert_string_equal(view.lease.node, "db1");

    reply.status = 404;
    assert_int_equal(keeper_request_read_view(&reply, "main", &view), RC_OK);
    assert_false(view.lease_at.exists);
    reply.status = 500;
    assert_int_equal(keeper_request_read_view(&reply, "main", &view), RC_EIO);
    keeper_view_fini(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_names_keys_of_its_cluster),
        cmocka_unit_test(a_session_goes_with_all_that_it_holds_and_hangs_on_no_check),
        cmocka_unit_test(what_is_not_certain_is_unknown),
        cmocka_unit_test(the_term_is_that_of_the_lease),
        cmocka_unit_test(a_view_is_all_records_or_none_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
