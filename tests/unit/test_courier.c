/* test_courier.c - whom a request is taken to, and what happens when that fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/courier.h"
#include "base/err.h"

enum { START_MS = 100000 };

static const struct courier_place near_place = {
    "near", {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 8300}, 0.001};
static const struct courier_place far_place = {
    "far", {RC_ADDRESS_IPV4, {10, 0, 0, 2}, 8300}, 0.1};

static int set_up(void **state)
{
    *state = courier_create(1);
    return *state == NULL;
}

static int tear_down(void **state)
{
    courier_destroy(*state);
    return 0;
}

static void know(struct courier *c, const struct courier_place *a,
                 const struct courier_place *b)
{
    struct courier_place places[2];
    size_t count = 0;

    if (a != NULL) {
        places[count++] = *a;
    }
    if (b != NULL) {
        places[count++] = *b;
    }
    courier_set_places(c, places, count);
}

static void ask(struct courier *c, uint64_t now_ms, uint64_t ticket, const char *method)
{
    const struct link_request request = {.method = method,
                                         .target = "/v1/kv/x",
                                         .token = "t",
                                         .body = "v",
                                         .body_size = 1};
    assert_int_equal(courier_ask(c, now_ms, &request, ticket), RC_OK);
}

static struct courier_action expect(struct courier *c, uint64_t now_ms,
                                    enum courier_action_type type)
{
    struct courier_action action = {0};
    assert_true(courier_next(c, now_ms, &action));
    assert_int_equal(action.type, type);
    return action;
}

static void expect_nothing(struct courier *c, uint64_t now_ms)
{
    struct courier_action action;
    assert_false(courier_next(c, now_ms, &action));
}

static void send_to(struct courier *c, uint64_t now_ms, const char *name)
{
    assert_string_equal(expect(c, now_ms, COURIER_DIAL).place->name, name);
    courier_up(c, now_ms);
}

static void send_one(struct courier *c, uint64_t now_ms, uint64_t ticket, uint32_t number)
{
    assert_int_equal(expect(c, now_ms, COURIER_SEND).ticket, ticket);
    courier_sent(c, ticket, number);
}

static void expect_failure(struct courier *c, uint64_t now_ms, uint64_t ticket,
                           const char *words)
{
    struct courier_action action = expect(c, now_ms, COURIER_FAIL);
    assert_int_equal(action.ticket, ticket);
    assert_non_null(strstr(action.text, words));
}

static void without_a_server_a_request_fails_at_once(void **state)
{
    struct courier *c = *state;

    ask(c, START_MS, 1, "PUT");
    expect_failure(c, START_MS, 1, "No cluster leader");
    expect_nothing(c, START_MS);
    assert_int_equal(courier_open_count(c), 0);
}

static void the_nearest_server_is_asked(void **state)
{
    struct courier *c = *state;
    know(c, &far_place, &near_place);

    ask(c, START_MS, 1, "PUT");
    send_to(c, START_MS, "near");
    struct courier_action sent = expect(c, START_MS, COURIER_SEND);
    assert_string_equal(sent.request->target, "/v1/kv/x");
    assert_memory_equal(sent.request->body, "v", 1);
    courier_sent(c, 1, 7);
    expect_nothing(c, START_MS);
    assert_int_equal(courier_answered(c, START_MS, 7), 1);
    assert_int_equal(courier_answered(c, START_MS, 7), 0);
    assert_int_equal(courier_counts(c).answered, 1);
}

static void a_link_that_is_up_is_kept_though_a_nearer_server_comes(void **state)
{
    struct courier *c = *state;
    know(c, &far_place, NULL);
    ask(c, START_MS, 1, "PUT");
    send_to(c, START_MS, "far");
    send_one(c, START_MS, 1, 1);

    know(c, &far_place, &near_place);
    ask(c, START_MS, 2, "PUT");
    send_one(c, START_MS, 2, 2);
}

static void when_dialing_fails_everybody_else_is_tried_once(void **state)
{
    struct courier *c = *state;
    know(c, &far_place, &near_place);
    ask(c, START_MS, 1, "PUT");

    assert_string_equal(expect(c, START_MS, COURIER_DIAL).place->name, "near");
    courier_down(c, START_MS + 1);
    assert_string_equal(expect(c, START_MS + 1, COURIER_DIAL).place->name, "far");
    courier_down(c, START_MS + 2);
    expect_failure(c, START_MS + 2, 1, "No cluster leader");
    expect_nothing(c, START_MS + 2);
}

static void each_request_gets_its_one_try_though_the_last_just_failed(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "PUT");
    expect(c, START_MS, COURIER_DIAL);
    courier_down(c, START_MS);
    expect_failure(c, START_MS, 1, "No cluster leader");

    ask(c, START_MS + 10, 2, "PUT");
    expect(c, START_MS + 10, COURIER_DIAL);
    courier_down(c, START_MS + 11);
    expect_failure(c, START_MS + 11, 2, "No cluster leader");
}

static void a_request_whose_answer_was_lost_moves_under_the_same_id(void **state)
{
    struct courier *c = *state;
    struct link_request request = {
        .request_id = {42}, .method = "PUT", .target = "/", .token = ""};
    know(c, &far_place, &near_place);
    assert_int_equal(courier_ask(c, START_MS, &request, 1), RC_OK);
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 1);

    courier_down(c, START_MS + 3000);
    send_to(c, START_MS + 3000, "far");
    struct courier_action again = expect(c, START_MS + 3000, COURIER_SEND);
    assert_int_equal(again.request->request_id[0], 42);
    courier_sent(c, 1, 1);
    assert_int_equal(courier_answered(c, START_MS + 3001, 1), 1);
    assert_int_equal(courier_counts(c).moved, 1);
}

static void the_only_server_is_asked_again_until_patience_ends(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "PUT");
    ask(c, START_MS, 2, "GET");
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 1);
    send_one(c, START_MS, 2, 2);
    uint64_t now_ms = START_MS + 100;
    courier_down(c, now_ms);

    unsigned dials = 0;
    struct courier_action action;
    while (now_ms < START_MS + 100 + COURIER_PATIENCE_MS) {
        while (courier_next(c, now_ms, &action)) {
            assert_int_equal(action.type, COURIER_DIAL);
            dials++;
            courier_down(c, now_ms);
        }
        assert_true(courier_deadline_ms(c) > now_ms);
        now_ms = courier_deadline_ms(c);
    }
    assert_true(dials >= 10);
    expect_failure(c, now_ms, 1, "may have been done");
    expect_failure(c, now_ms, 2, "No cluster leader");
    expect_nothing(c, now_ms);
    assert_int_equal(courier_deadline_ms(c), UINT64_MAX);
}

static void a_server_that_comes_back_gets_it_again(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "PUT");
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 1);
    courier_down(c, START_MS);
    expect_nothing(c, START_MS);
    know(c, NULL, NULL); /* gossip has noticed */
    expect_nothing(c, START_MS + 300);

    know(c, &far_place, NULL); /* and knows of another */
    send_to(c, START_MS + 2000, "far");
    send_one(c, START_MS + 2000, 1, 1);
}

static void a_server_that_refuses_is_left(void **state)
{
    struct courier *c = *state;
    know(c, &far_place, &near_place);
    ask(c, START_MS, 1, "PUT");
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 1);

    courier_refused(c, START_MS, 1);
    expect(c, START_MS, COURIER_CLOSE);
    send_to(c, START_MS, "far");
    send_one(c, START_MS, 1, 1);
    courier_refused(c, START_MS, 1);
    expect_failure(c, START_MS, 1, "No cluster leader");
    expect_nothing(c, START_MS);
}

static void what_is_forgotten_is_taken_back(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "GET");
    ask(c, START_MS, 2, "GET");
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 5);

    courier_forget(c, 1);
    courier_forget(c, 2);
    courier_forget(c, 3);
    assert_int_equal(expect(c, START_MS, COURIER_TAKE_BACK).number, 5);
    expect_nothing(c, START_MS);
    assert_int_equal(courier_answered(c, START_MS, 5), 0);
}

static void a_request_that_is_too_long_fails_alone(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "PUT");
    send_to(c, START_MS, "near");
    expect(c, START_MS, COURIER_SEND);

    courier_sent(c, 1, 0);
    expect_failure(c, START_MS, 1, "too long");
}

static void a_link_that_nobody_uses_is_closed(void **state)
{
    struct courier *c = *state;
    know(c, &near_place, NULL);
    ask(c, START_MS, 1, "GET");
    send_to(c, START_MS, "near");
    send_one(c, START_MS, 1, 1);
    assert_int_equal(courier_answered(c, START_MS, 1), 1);

    assert_int_equal(courier_deadline_ms(c), START_MS + COURIER_IDLE_MS);
    expect(c, START_MS + COURIER_IDLE_MS, COURIER_CLOSE);
    expect_nothing(c, START_MS + COURIER_IDLE_MS);
    assert_null(courier_current(c));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(without_a_server_a_request_fails_at_once),
        CLAIM(the_nearest_server_is_asked),
        CLAIM(a_link_that_is_up_is_kept_though_a_nearer_server_comes),
        CLAIM(when_dialing_fails_everybody_else_is_tried_once),
        CLAIM(each_request_gets_its_one_try_though_the_last_just_failed),
        CLAIM(a_request_whose_answer_was_lost_moves_under_the_same_id),
        CLAIM(the_only_server_is_asked_again_until_patience_ends),
        CLAIM(a_server_that_comes_back_gets_it_again),
        CLAIM(a_server_that_refuses_is_left),
        CLAIM(what_is_forgotten_is_taken_back),
        CLAIM(a_request_that_is_too_long_fails_alone),
        CLAIM(a_link_that_nobody_uses_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
