/* test_permits.c - an agent without an engine: it asks who a token is, and remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/http/routes.h"
#include "base/err.h"
#include "tests/unit/acl_world.h"

enum { NOW_MS = 1000000 };

/* A server as the agent sees it. */
struct plain {
    struct http_api api;
    struct http_exchange x;
    unsigned status; /* of its replies; 0: it does not answer */
    const char *body;
    unsigned asked;
    http_ticket ticket; /* the last one */
    unsigned polls;
    http_ticket poll; /* open, for changes; 0: none */
    char poll_target[128];
    char token[64];
};

static const char known[] =
    "{\"AccessorID\":\"eeeeeeee-0000-4000-8000-000000000001\","
    "\"ExpiresMs\":0,\"Bootstrapped\":true,\"Policies\":[{\"Name\":"
    "\"p\",\"Rules\":\"node_prefix \\\"\\\" { policy = \\\"read\\\" "
    "}\"}]}";

static void reply(struct plain *p)
{
    const struct http_reply answer = {
        .status = p->status, .body = p->body, .body_size = strlen(p->body)};
    uint64_t wake = 0;

    assert_true(permits_told(&p->api, p->ticket, &answer, &wake));
    assert_false(permits_told(&p->api, p->ticket, &answer, &wake)); /* once */
}

static void forward(void *context, const struct http_relay *relay, http_ticket ticket)
{
    struct plain *p = context;

    if (strncmp(relay->target, PERMITS_CHANGES_PATH, strlen(PERMITS_CHANGES_PATH)) == 0) {
        p->polls++;
        p->poll = ticket;
        (void)snprintf(p->poll_target, sizeof p->poll_target, "%s", relay->target);
        return;
    }
    assert_string_equal(relay->target, "/v1/internal/acl/subject");
    p->asked++;
    p->ticket = ticket;
    (void)strncpy(p->token, relay->token, sizeof p->token - 1);
    if (p->status != 0) {
        reply(p); /* from inside, as it may */
    }
}

/* What a server says of changes. */
static void tell(struct plain *p, unsigned status, const char *body)
{
    const struct http_reply answer = {
        .status = status, .body = body, .body_size = strlen(body)};
    uint64_t wake = 0;
    http_ticket ticket = p->poll;

    assert_int_not_equal(ticket, 0);
    p->poll = 0;
    assert_true(permits_told(&p->api, ticket, &answer, &wake));
}

static void create(struct plain *p, enum http_acl_down down)
{
    const struct permits_options options = {
        .mode = HTTP_ACL_ENFORCE, .down = down, .datacenter = "dc1", .seed = 1};
    const struct catalog_options catalog = {
        .node_name = "node1", .seed = 1, .now_ms = NOW_MS, .wall_ms = NOW_MS};
    const struct catalog_node node = {.name = "node1",
                                      .id = "11111111-1111-1111-1111-111111111111",
                                      .address = "127.0.0.10",
                                      .datacenter = "dc1"};

    *p = (struct plain){
        .api = {.facts = {.datacenter = "dc1", .node_name = "node1"},
                .operations = {.context = p, .forward = forward},
                .permits = permits_create(&options),
                .now_ms = NOW_MS,
                .wall_ms = NOW_MS},
        .status = 200,
        .body = known,
    };
    assert_non_null(p->api.permits);
    assert_int_equal(catalog_create(&catalog, &p->api.catalog), RC_OK);
    assert_int_equal(catalog_set_node(p->api.catalog, NOW_MS, &node, NULL), RC_OK);
}

static void destroy(struct plain *p)
{
    exchange_fini(&p->x);
    permits_destroy(p->api.permits);
    catalog_destroy(p->api.catalog);
}

static const struct http_exchange *ask(struct plain *p, const char *token)
{
    static const char target[] = "/v1/catalog/nodes";
    struct http_exchange *x = &p->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = HTTP_GET;
    x->method_name = "GET";
    x->client = 1;
    x->request.token = token;
    routes_answer(&p->api, x);
    return x;
}

static void answer_counts_for_half_a_minute(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    assert_non_null(strstr(rc_buffer_string(&ask(&p, "secret")->out), "node1"));
    tell(&p, 200, "{\"Index\":7}");
    p.api.now_ms += 100;
    assert_non_null(strstr(rc_buffer_string(&ask(&p, "secret")->out), "node1"));
    assert_string_equal(p.token, "secret");
    p.asked = 1;
    p.api.now_ms += PERMITS_FRESH_MS - 1;
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_int_equal(p.asked, 1);
    p.status = 403;
    p.body = "ACL not found";
    p.api.now_ms += 1;

    assert_int_equal(ask(&p, "secret")->status, 403);
    assert_int_equal(p.asked, 2);
    destroy(&p);
}

static void a_change_ends_what_was_known_at_once(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_string_equal(p.poll_target, "/v1/internal/acl/changes?wait=60s&index=0");
    tell(&p, 200, "{\"Index\":7}"); /* what was told before may be older */
    assert_string_equal(p.poll_target, "/v1/internal/acl/changes?wait=60s&index=7");
    p.api.now_ms += 100;
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_int_equal(p.asked, 2);
    tell(&p, 200, "{\"Index\":7}"); /* its wait was over */
    p.api.now_ms += 20000;
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_int_equal(p.asked, 2);

    p.status = 403;
    p.body = "ACL not found";
    tell(&p, 200, "{\"Index\":9}");
    assert_int_equal(ask(&p, "secret")->status, 403);
    assert_int_equal(p.asked, 3);
    assert_int_equal(p.polls, 4);
    destroy(&p);
}

static void while_nobody_tells_of_changes_an_answer_counts_for_a_second(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    assert_int_equal(ask(&p, "secret")->status, 200);
    tell(&p, 500, "No cluster leader");
    assert_int_equal(p.poll, 0);
    p.api.now_ms += PERMITS_UNSURE_MS - 1;
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_int_equal(p.asked, 1);
    assert_int_equal(p.polls, 1);
    p.api.now_ms += 1;
    assert_int_equal(ask(&p, "secret")->status, 200);
    assert_int_equal(p.asked, 2);
    assert_int_equal(p.polls, 2);
    destroy(&p);
}

static void an_agent_that_has_no_requests_stops_asking_for_changes(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    (void)ask(&p, "secret");
    p.api.now_ms += 61000;
    tell(&p, 200, "{\"Index\":7}");
    assert_int_equal(p.poll, 0);
    (void)ask(&p, "secret");
    assert_int_not_equal(p.poll, 0);
    destroy(&p);
}

static void request_waits_for_the_answer(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    p.status = 0;
    assert_int_equal(ask(&p, "secret")->outcome, EXCHANGE_WAITING);
    assert_int_equal(p.x.waiter.deadline_ms, NOW_MS + PERMITS_WAIT_MS);
    p.status = 200;
    reply(&p);

    routes_answer(&p.api, &p.x);
    assert_int_equal(p.x.outcome, EXCHANGE_ANSWERED);
    assert_int_equal(p.x.status, 200);
    assert_int_equal(p.x.waiter.deadline_ms, 0); /* its own wait has not begun */
    destroy(&p);
}

static void who_waits_in_vain_is_refused(void **state)
{
    struct plain p;

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    p.status = 0;
    (void)ask(&p, "secret");
    p.x.expired = true;

    routes_answer(&p.api, &p.x);
    assert_int_equal(p.x.outcome, EXCHANGE_ANSWERED);
    assert_int_equal(p.x.status, 403);
    assert_false(p.x.expired);
    destroy(&p);
}

static void known_go_on_without_servers_unless_told_otherwise(void **state)
{
    static const struct {
        enum http_acl_down down;
        unsigned status;
    } cases[] = {{HTTP_ACL_EXTEND_CACHE, 200}, {HTTP_ACL_DOWN_DENY, 403}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct plain p;
        create(&p, cases[i].down);
        assert_int_equal(ask(&p, "secret")->status, 200);
        p.status = 500;
        p.body = "No cluster leader";
        p.api.now_ms += PERMITS_FRESH_MS;
        assert_int_equal(ask(&p, "secret")->status, cases[i].status);
        assert_int_equal(ask(&p, "never heard of")->status, 403);
        assert_string_equal(rc_buffer_string(&ask(&p, NULL)->out), "[]");
        destroy(&p);
    }
}

static void answer_that_is_none_lets_nobody_in(void **state)
{
    static const char *const bodies[] = {
        "", "[]", "{}", "{\"Policies\":{}}",
        "{\"AccessorID\":\"a\",\"Policies\":[{\"Name\":\"p\",\"Rules\":\"nodes {\"}]}"};

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct plain p;
        create(&p, HTTP_ACL_EXTEND_CACHE);
        p.body = bodies[i];
        assert_int_equal(ask(&p, "secret")->status, 403);
        destroy(&p);
    }
}

static void many_tokens_do_not_grow_it(void **state)
{
    struct plain p;
    char token[32];

    (void)state;
    create(&p, HTTP_ACL_EXTEND_CACHE);
    for (int i = 0; i < 2 * PERMITS_REMOTE_MAX; i++) {
        (void)snprintf(token, sizeof token, "token %d", i);
        p.api.now_ms++;
        assert_int_equal(ask(&p, token)->status, 200);
    }
    destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_counts_for_half_a_minute),
        cmocka_unit_test(a_change_ends_what_was_known_at_once),
        cmocka_unit_test(while_nobody_tells_of_changes_an_answer_counts_for_a_second),
        cmocka_unit_test(an_agent_that_has_no_requests_stops_asking_for_changes),
        cmocka_unit_test(request_waits_for_the_answer),
        cmocka_unit_test(who_waits_in_vain_is_refused),
        cmocka_unit_test(known_go_on_without_servers_unless_told_otherwise),
        cmocka_unit_test(answer_that_is_none_lets_nobody_in),
        cmocka_unit_test(many_tokens_do_not_grow_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
