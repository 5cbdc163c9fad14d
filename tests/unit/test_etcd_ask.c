#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

static struct etcd_stage stage;
static struct etcd_endpoints endpoints;
static struct etcd_asker asker;
static struct rc_buffer answer;

/* What became of the last that was asked. */
static size_t ended;
static int ended_err;
static size_t ended_size;

static void on_done(void *context, const struct etcd_outcome *outcome)
{
    (void)context;
    ended++;
    ended_err = outcome->err;
    ended_size = outcome->message.size;
}

static int make(void **state)
{
    (void)state;
    stage_open(&stage, 3, &endpoints, &asker);
    asker.login = ETCD_LOGIN_WANTED;
    ended = 0;
    ended_err = 1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_asker_close(&asker);
    etcd_endpoints_fini(&endpoints);
    stage_fini(&stage);
    return 0;
}

static int ask(enum etcd_asked what)
{
    struct rc_buffer body = {0};

    rc_buffer_text(&body, "asked");
    return etcd_ask(&asker, what, ETCD_TXN, &body, on_done, NULL);
}

static void expect_end(size_t count, int err)
{
    if (ended != count || ended_err != err) {
        fail_msg("%zu ended, the last with %s", ended, rc_strerror(ended_err));
    }
}

static void answer_of_the_first_member_is_handed_out(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);
    struct etcd_call *call = stage_find(&stage, ETCD_TXN, "http://a:1");
    assert_non_null(call);
    assert_memory_equal(call->body.bytes, "asked", 5);
    assert_int_equal(call->request.time_limit_ms, 1000);
    stage_header(&answer, 5);
    size_t size = answer.size;

    stage_reply(call, &answer);

    expect_end(1, RC_OK);
    assert_int_equal(ended_size, size);
    assert_true(asker.is_led);
}

static void what_was_not_sent_goes_to_each_member_once(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    stage_end(stage_find(&stage, ETCD_TXN, "http://a:1"), ETCD_NOT_SENT);
    stage_end(stage_find(&stage, ETCD_TXN, "http://b:1"), ETCD_NOT_SENT);
    stage_end(stage_find(&stage, ETCD_TXN, "http://c:1"), ETCD_NOT_SENT);

    expect_end(1, RC_EAGAIN);
    assert_int_equal(stage.count, 3);
}

static void lost_write_is_unknown_and_never_sent_again(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    stage_end(stage_find(&stage, ETCD_TXN, NULL), ETCD_LOST);

    expect_end(1, RC_EUNKNOWN);
    assert_int_equal(stage.count, 1);
    assert_false(asker.is_led);
}

static void lost_read_is_asked_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);

    stage_end(stage_find(&stage, ETCD_TXN, "http://a:1"), ETCD_LOST);
    stage_reply(stage_find(&stage, ETCD_TXN, "http://b:1"), NULL);

    expect_end(1, RC_OK);
}

static void member_without_a_leader_is_left_even_by_writes(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    stage_refuse(stage_find(&stage, ETCD_TXN, "http://a:1"), GRPC_UNAVAILABLE,
                 "etcdserver: no leader");
    stage_reply(stage_find(&stage, ETCD_TXN, "http://b:1"), NULL);

    expect_end(1, RC_OK);
}

static void write_that_timed_out_inside_of_etcd_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    stage_refuse(stage_find(&stage, ETCD_TXN, NULL), GRPC_UNAVAILABLE,
                 "etcdserver: request timed out");

    expect_end(1, RC_EUNKNOWN);
}

static void refusal_of_the_request_is_not_tried_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);

    stage_refuse(stage_find(&stage, ETCD_TXN, NULL), GRPC_INVALID_ARGUMENT, "no");

    expect_end(1, RC_EINVAL);
    assert_int_equal(stage.count, 1);
}

static void nobody_is_asked_when_the_time_is_over(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);
    stage.now_ms += 1501;

    stage_end(stage_find(&stage, ETCD_TXN, NULL), ETCD_LOST);

    expect_end(1, RC_EAGAIN);
    assert_int_equal(stage.count, 1);
}

static void want_of_memory_is_said_at_once(void **state)
{
    (void)state;
    stage.refuses = 1;

    assert_int_equal(ask(ETCD_READS), RC_ENOMEM);
    expect_end(0, 1);
}

/* ---- users --------------------------------------------------------------------------- */

static int make_user(void **state)
{
    (void)make(state);
    asker.user = "me";
    asker.password = "secret";
    return 0;
}

static void give_token(const char *token)
{
    stage_header(&answer, 5);
    protobuf_put_bytes(&answer, 2, rc_pack_text(token));
    stage_reply(stage_find(&stage, ETCD_AUTHENTICATE, NULL), &answer);
}

static void requests_wait_for_one_login(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);
    assert_int_equal(ask(ETCD_WRITES), RC_OK);
    assert_int_equal(stage.count, 1);

    give_token("token.1");

    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 2);
    assert_string_equal(stage_find(&stage, ETCD_TXN, NULL)->token, "token.1");
}

static void ended_token_is_replaced_once(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);
    give_token("token.1");

    stage_refuse(stage_find(&stage, ETCD_TXN, NULL), GRPC_UNAUTHENTICATED,
                 "etcdserver: invalid auth token");
    give_token("token.2");
    assert_string_equal(stage_find(&stage, ETCD_TXN, NULL)->token, "token.2");
    expect_end(0, 1);

    stage_refuse(stage_find(&stage, ETCD_TXN, NULL), GRPC_UNAUTHENTICATED,
                 "etcdserver: invalid auth token");
    expect_end(1, RC_EIO);
}

static void wrong_password_fails_all_that_wait(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    stage_refuse(stage_find(&stage, ETCD_AUTHENTICATE, NULL), GRPC_INVALID_ARGUMENT,
                 "etcdserver: authentication failed, invalid user ID or password");

    expect_end(2, RC_EIO);
}

static void cluster_without_users_needs_no_token(void **state)
{
    (void)state;
    assert_int_equal(ask(ETCD_READS), RC_OK);

    stage_refuse(stage_find(&stage, ETCD_AUTHENTICATE, NULL), GRPC_FAILED_PRECONDITION,
                 "etcdserver: authentication is not enabled");

    assert_string_equal(stage_find(&stage, ETCD_TXN, NULL)->token, "");
}

static void closing_ends_all(void **state)
{
    (void)state;
    asker.user = NULL;
    assert_int_equal(ask(ETCD_WRITES), RC_OK);

    etcd_asker_close(&asker);

    expect_end(1, RC_EUNKNOWN);
    assert_true(stage.calls[0].was_canceled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answer_of_the_first_member_is_handed_out, make,
                                        end),
        cmocka_unit_test_setup_teardown(what_was_not_sent_goes_to_each_member_once, make,
                                        end),
        cmocka_unit_test_setup_teardown(lost_write_is_unknown_and_never_sent_again, make,
                                        end),
        cmocka_unit_test_setup_teardown(lost_read_is_asked_elsewhere, make, end),
        cmocka_unit_test_setup_teardown(member_without_a_leader_is_left_even_by_writes,
                                        make, end),
        cmocka_unit_test_setup_teardown(write_that_timed_out_inside_of_etcd_is_unknown,
                                        make, end),
        cmocka_unit_test_setup_teardown(refusal_of_the_request_is_not_tried_elsewhere,
                                        make, end),
        cmocka_unit_test_setup_teardown(nobody_is_asked_when_the_time_is_over, make, end),
        cmocka_unit_test_setup_teardown(want_of_memory_is_said_at_once, make, end),
        cmocka_unit_test_setup_teardown(requests_wait_for_one_login, make_user, end),
        cmocka_unit_test_setup_teardown(ended_token_is_replaced_once, make_user, end),
        cmocka_unit_test_setup_teardown(wrong_password_fails_all_that_wait, make_user,
                                        end),
        cmocka_unit_test_setup_teardown(cluster_without_users_needs_no_token, make_user,
                                        end),
        cmocka_unit_test_setup_teardown(closing_ends_all, make_user, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
