#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/event/event_log.h"
#include "agent/gossip/gossip.h"
#include "agent/http/routes.h"
#include "base/err.h"
#include "base/text.h"

/* The endpoints of events and queries, with an agent that only notes what it was told. */

static const char some_id[] =
    "81a2fe7d-04b2-f2e0-aa83-940cf67ab8a0"; /* Consul's, recorded */
static const char some_index[] = "3107882255499414080";

struct world {
    struct http_api api;
    struct http_exchange x;
    struct event_log *events;
    int err; /* what the operations return */
    unsigned asked;
    char told[256]; /* what they were told */
};

static int fire(void *context, const struct user_event *event, char id[37])
{
    struct world *world = context;

    (void)snprintf(world->told, sizeof world->told, "%s %.*s node=%s service=%s tag=%s",
                   event->name, (int)event->size,
                   event->payload != NULL ? (const char *)event->payload : "",
                   event->node_filter, event->service_filter, event->tag_filter);
    (void)rc_text_put(id, 37, some_id);
    return world->err;
}

static int ask_pool(void *context, const struct gossip_query *query, http_ticket ticket)
{
    struct world *world = context;
    struct rc_buffer text = {0};

    assert_true(ticket != 0);
    rc_buffer_format(&text, "%s %zu bytes, %u ms, relay %u%s", query->name, query->size,
                     query->timeout_ms, query->relay_factor,
                     query->ack == GOSSIP_QUERY_WITH_ACK ? ", ack" : "");
    for (size_t i = 0; i < query->node_count; i++) {
        rc_buffer_format(&text, ", node %s", query->nodes[i]);
    }
    for (size_t i = 0; i < query->tag_count; i++) {
        rc_buffer_format(&text, ", tag %s=%s", query->tags[i].key, query->tags[i].value);
    }
    (void)rc_text_put(world->told, sizeof world->told, rc_buffer_string(&text));
    rc_buffer_fini(&text);
    world->asked++;
    return world->err;
}

static const struct http_exchange *ask(struct world *world, const char *method,
                                       const char *target, const char *body)
{
    struct http_exchange *x = &world->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = exchange_method(method);
    x->method_name = method;
    rc_buffer_text(&x->body, body);
    routes_answer(&world->api, x);
    return x;
}

static void add(struct world *world, const char *name, const char *id)
{
    struct user_event event = {
        .name = name, .node_filter = "", .service_filter = "", .tag_filter = ""};

    event.ltime = event_log_count(world->events) + 1;
    (void)rc_text_put(event.id, sizeof event.id, id);
    assert_int_equal(event_log_add(world->events, &event), RC_OK);
}

static int set_up(void **state)
{
    static struct world world;

    world = (struct world){
        .api = {.facts = {.datacenter = "dc1", .node_name = "node1"},
                .operations = {.context = &world, .fire = fire, .ask = ask_pool},
                .now_ms = 1000},
        .events = event_log_create(),
    };
    world.api.events = world.events;
    rc_random_init(&world.api.random, 1);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    exchange_fini(&world->x);
    event_log_destroy(world->events);
    return 0;
}

static void a_fired_event_is_told_as_consul_tells_it(void **state)
{
    struct world *world = *state;

    const struct http_exchange *x =
        ask(world, "PUT", "/v1/event/fire/deploy?node=node1&service=web&tag=v1", "1.2.3");

    assert_int_equal(x->status, 200);
    assert_string_equal(world->told, "deploy 1.2.3 node=node1 service=web tag=v1");
    assert_string_equal(rc_buffer_string(&x->out),
                        "{\"ID\":\"81a2fe7d-04b2-f2e0-aa83-940cf67ab8a0\",\"Name\":"
                        "\"deploy\",\"Payload\":\"MS4yLjM=\",\"NodeFilter\":\"node1\","
                        "\"ServiceFilter\":\"web\",\"TagFilter\":\"v1\",\"Version\":1,"
                        "\"LTime\":0}");
}

static void what_cannot_be_fired_is_refused(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, "PUT", "/v1/event/fire/", "")->status, 400);
    assert_int_equal(ask(world, "PUT", "/v1/event/fire/x?tag=a", "")->status, 500);
    assert_int_equal(ask(world, "PUT", "/v1/event/fire/x?node=[", "")->status, 500);
    assert_int_equal(ask(world, "PUT", "/v1/event/fire/x?dc=dc2", "")->status, 500);
    assert_string_equal(world->told, "");
    world->err = RC_ETOOBIG;
    const struct http_exchange *x = ask(world, "PUT", "/v1/event/fire/x", "");
    assert_int_equal(x->status, 500);
    assert_string_equal(
        rc_buffer_string(&x->out),
        "user event exceeds configured limit of 512 bytes before encoding");
}

static void a_list_waits_while_the_last_event_is_known(void **state)
{
    struct world *world = *state;
    char target[96];

    const struct http_exchange *x = ask(world, "GET", "/v1/event/list", "");
    assert_string_equal(rc_buffer_string(&x->out), "[]");
    assert_string_equal(exchange_header_value(x, "X-Consul-Index"), "1");
    assert_int_equal(ask(world, "GET", "/v1/event/list?index=1", "")->outcome,
                     EXCHANGE_WAITING);

    add(world, "deploy", some_id);
    add(world, "other", "00000000-0000-0000-0000-000000000007");
    x = ask(world, "GET", "/v1/event/list?name=deploy&index=1", "");
    assert_string_equal(exchange_header_value(x, "X-Consul-Index"), some_index);
    (void)snprintf(target, sizeof target, "/v1/event/list?name=deploy&index=%s",
                   some_index);
    assert_int_equal(ask(world, "GET", target, "")->outcome, EXCHANGE_WAITING);
    x = ask(world, "GET", "/v1/event/list", "");
    assert_string_equal(exchange_header_value(x, "X-Consul-Index"), "7");
}

static void a_query_is_passed_on_whole(void **state)
{
    struct world *world = *state;

    const struct http_exchange *x =
        ask(world, "PUT",
            "/v1/agent/query/load?timeout=1500ms&relay=2&node=a&node=b&tag=role=^w.*=x",
            "hi");
    assert_int_equal(x->outcome, EXCHANGE_PENDING);
    assert_string_equal(
        world->told,
        "load 2 bytes, 1500 ms, relay 2, ack, node a, node b, tag role=^w.*=x");
    (void)ask(world, "PUT", "/v1/agent/query/load?no-ack", "");
    assert_string_equal(world->told, "load 0 bytes, 0 ms, relay 0");
}

static void a_query_that_makes_no_sense_is_not_asked(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
    } cases[] = {
        {"/v1/agent/query/", 400},
        {"/v1/agent/query/_serf_install-key", 400},
        {"/v1/agent/query/q?timeout=soon", 400},
        {"/v1/agent/query/q?timeout=2h", 400},
        {"/v1/agent/query/q?relay=6", 400},
        {"/v1/agent/query/q?tag=role", 400},
        {"/v1/agent/query/q?tag==x", 400},
        {"/v1/agent/query/q?tag=role=(", 400},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(world, "PUT", cases[i].target, "");
        if (x->status != cases[i].status || x->outcome != EXCHANGE_ANSWERED) {
            fail_msg("%s: %u", cases[i].target, x->status);
        }
    }
    assert_int_equal(world->asked, 0);
}

static void an_error_of_the_pool_is_told(void **state)
{
    static const struct {
        int err;
        unsigned status;
    } cases[] = {
        {RC_ETOOBIG, 500}, {RC_EAGAIN, 429}, {RC_EINVAL, 400}, {RC_ECLOSED, 500}};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world->err = cases[i].err;
        const struct http_exchange *x = ask(world, "PUT", "/v1/agent/query/q", "");
        assert_int_equal(x->status, cases[i].status);
        assert_int_equal(x->outcome, EXCHANGE_ANSWERED);
        assert_int_equal(x->ticket, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fired_event_is_told_as_consul_tells_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_fired_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_list_waits_while_the_last_event_is_known,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_is_passed_on_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_that_makes_no_sense_is_not_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_the_pool_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
