/* test_relay.c - a request that leaves for a server, and the reply it brings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/relay.h"
#include "base/err.h"

struct seen {
    struct http_exchange x;
    struct http_api api;
    unsigned calls;
    char method[16];
    char target[256];
    char token[64];
    http_ticket ticket;
};

static void forward(void *context, const struct http_relay *relay, http_ticket ticket)
{
    struct seen *seen = context;

    seen->calls++;
    seen->ticket = ticket;
    (void)strncpy(seen->method, relay->method, sizeof seen->method - 1);
    (void)strncpy(seen->target, relay->target, sizeof seen->target - 1);
    (void)strncpy(seen->token, relay->token, sizeof seen->token - 1);
}

static int set_up(void **state)
{
    struct seen *seen = calloc(1, sizeof *seen);

    if (seen == NULL) {
        return -1;
    }
    seen->api.operations = (struct http_operations){.context = seen, .forward = forward};
    seen->api.facts.node_name = "web1";
    exchange_reset(&seen->x);
    seen->x.method_name = "PUT";
    *state = seen;
    return 0;
}

static int tear_down(void **state)
{
    struct seen *seen = *state;
    exchange_fini(&seen->x);
    free(seen);
    return 0;
}

static void ask(struct seen *seen, const char *target)
{
    assert_int_equal(target_parse(&seen->x.target, target, strlen(target)), RC_OK);
    relay_forward(&seen->api, &seen->x);
}

static void a_target_means_the_same_at_the_server(void **state)
{
    static const char *const targets[] = {
        "/v1/kv/a",
        "/v1/kv/a%20b%3Fc%25d%23e?flags=1&x=%20%26",
        "/v1/kv/\xc3\xa4/%C3%A4?recurse",
        "/v1/kv/%22%3C%3E?",
    };
    struct seen *seen = *state;

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct target again = {.path = NULL};
        ask(seen, targets[i]);
        assert_true(strlen(seen->target) <= strlen(targets[i]));
        assert_int_equal(target_parse(&again, seen->target, strlen(seen->target)), RC_OK);
        assert_string_equal(again.path, seen->x.target.path);
        assert_int_equal(again.parameter_count, seen->x.target.parameter_count);
        for (size_t k = 0; k < again.parameter_count; k++) {
            assert_string_equal(again.parameters[k].value,
                                seen->x.target.parameters[k].value);
        }
        target_fini(&again);
    }
}

static void the_request_waits_for_its_reply_with_its_token(void **state)
{
    struct seen *seen = *state;
    seen->x.request.token = "t0";

    ask(seen, "/v1/kv/a");
    assert_int_equal(seen->calls, 1);
    assert_string_equal(seen->method, "PUT");
    assert_string_equal(seen->token, "t0");
    assert_int_equal(seen->x.outcome, EXCHANGE_PENDING);
    assert_true(seen->x.is_forwarded);
    assert_int_equal(seen->x.ticket, seen->ticket);
}

static void what_came_from_another_agent_goes_no_further(void **state)
{
    struct seen *seen = *state;
    seen->x.node = "web2";

    ask(seen, "/v1/kv/a");
    assert_int_equal(seen->calls, 0);
    assert_int_equal(seen->x.status, 500);
    assert_string_equal(rc_buffer_string(&seen->x.out), "No cluster leader");
}

static void a_reply_arrives_as_it_was_made(void **state)
{
    struct seen *seen = *state;
    struct http_exchange made = {.status = 0};
    struct http_reply_header headers[EXCHANGE_HEADERS_MAX];

    exchange_reset(&made);
    exchange_header_u64(&made, "X-Consul-Index", 7);
    exchange_header(&made, "Connection", "close");
    exchange_header(&made, "X-Consul-KnownLeader", "true");
    exchange_error(&made, 404, "%s", "no such thing");
    const struct http_reply reply = relay_reply(&made, headers);
    exchange_header(&seen->x, "X-Stale", "of a run before");
    relay_take(&seen->x, &reply);

    assert_int_equal(seen->x.status, 404);
    assert_string_equal(rc_buffer_string(&seen->x.out), "no such thing");
    assert_string_equal(exchange_header_value(&seen->x, "X-Consul-Index"), "7");
    assert_string_equal(exchange_header_value(&seen->x, "X-Consul-KnownLeader"), "true");
    assert_string_equal(exchange_header_value(&seen->x, "Content-Type"),
                        "text/plain; charset=utf-8");
    assert_null(exchange_header_value(&seen->x, "Connection"));
    assert_null(exchange_header_value(&seen->x, "X-Stale"));
    exchange_fini(&made);
}

static void a_status_that_is_none_becomes_an_error(void **state)
{
    static const unsigned statuses[] = {0, 100, 199, 600, 65535};
    struct seen *seen = *state;

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const struct http_reply reply = {.status = statuses[i]};
        relay_take(&seen->x, &reply);
        assert_int_equal(seen->x.status, 500);
    }
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_target_means_the_same_at_the_server),
        CLAIM(the_request_waits_for_its_reply_with_its_token),
        CLAIM(what_came_from_another_agent_goes_no_further),
        CLAIM(a_reply_arrives_as_it_was_made),
        CLAIM(a_status_that_is_none_becomes_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
