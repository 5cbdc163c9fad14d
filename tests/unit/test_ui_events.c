#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/event/history.h"
#include "agent/http/routes.h"
#include "base/text.h"

/* GET /v1/internal/ui/events, without tokens and without a network. */

static const char path[] = "/v1/internal/ui/events";

struct world {
    struct http_api api;
    struct http_exchange x;
    struct history *history;
};

static const struct http_exchange *ask(struct world *world, const char *question)
{
    struct http_exchange *x = &world->x;
    char target[256];

    (void)snprintf(target, sizeof target, "%s%s", path, question);
    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), 0);
    x->method = HTTP_GET;
    x->method_name = "GET";
    routes_answer(&world->api, x);
    return x;
}

static unsigned count(struct world *world, const char *question)
{
    const struct http_exchange *x = ask(world, question);
    unsigned found = 0;

    assert_int_equal(x->status, 200);
    for (const char *at = rc_buffer_string(&x->out);
         (at = strstr(at, "{\"Index\":")) != NULL; at++) {
        found++;
    }
    return found;
}

static void add(struct world *world, uint64_t at_ms, enum history_kind kind,
                const char *node, const char *service)
{
    const struct history_event event = {
        .at_ms = at_ms, .kind = kind, .node = node, .service = service};

    history_add(world->history, &event);
}

static int set_up(void **state)
{
    static struct world world;

    world = (struct world){
        .api = {.facts = {.datacenter = "dc1", .node_name = "web1"},
                .now_ms = 1000,
                .wall_ms = 5000},
        .history = history_create(100),
    };
    world.api.history = world.history;
    rc_random_init(&world.api.random, 1);
    add(&world, 1000, HISTORY_JOIN, "web2", NULL);
    add(&world, 2000, HISTORY_REGISTER, "web2", "todomvc");
    add(&world, 3000, HISTORY_CHECK, "web1", "todomvc");
    add(&world, 4000, HISTORY_CHECK, "web1", NULL);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    exchange_fini(&world->x);
    history_destroy(world->history);
    return 0;
}

static void events_are_told_oldest_first_with_all_their_fields(void **state)
{
    struct world *world = *state;
    const struct http_exchange *x = ask(world, "?limit=2&service=todomvc");

    assert_string_equal(
        rc_buffer_string(&x->out),
        "[{\"Index\":102,\"AtMs\":2000,\"Kind\":\"register\",\"Node\":\"web2\",\"Service\":"
        "\"todomvc\",\"ServiceID\":\"\",\"Check\":\"\",\"From\":\"\",\"To\":\"\","
        "\"Text\":\"\"},{\"Index\":103,\"AtMs\":3000,\"Kind\":\"check\",\"Node\":\"web1\","
        "\"Service\":\"todomvc\",\"ServiceID\":\"\",\"Check\":\"\",\"From\":\"\",\"To\":"
        "\"\",\"Text\":\"\"}]");
    assert_string_equal(exchange_header_value(x, "X-Consul-Index"), "104");
}

static void each_filter_narrows_what_is_told(void **state)
{
    static const struct {
        const char *question;
        unsigned want;
    } cases[] = {
        {"", 4},
        {"?service=todomvc", 2},
        {"?service=TODOMVC&kind=check", 1},
        {"?node=web1", 2},
        {"?kind=join", 1},
        {"?kind=failed", 0},
        {"?since=2000", 3},
        {"?since=2001", 2},
        {"?after=103", 1},
        {"?limit=1", 1},
        {"?limit=0", 0},
        {"?since=&node=&kind=", 4},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned got = count(*state, cases[i].question);
        if (got != cases[i].want) {
            fail_msg("%s: got %u, want %u", cases[i].question, got, cases[i].want);
        }
    }
}

static void what_cannot_be_meant_is_refused_in_words(void **state)
{
    static const struct {
        const char *question;
        const char *word;
    } cases[] = {
        {"?since=yesterday", "since \"yesterday\""},
        {"?since=-1", "since"},
        {"?after=x", "after"},
        {"?limit=1.5", "limit"},
        {"?kind=chek", "promotion"},
        {"?index=x", "Invalid index"},
        {"?wait=x", "Invalid wait time"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(*state, cases[i].question);
        if (x->status != 400 ||
            strstr(rc_buffer_string(&x->out), cases[i].word) == NULL) {
            fail_msg("%s: %u %s", cases[i].question, x->status,
                     rc_buffer_string(&x->out));
        }
    }
}

static void who_knows_the_newest_waits_for_one_that_is_asked_for(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, "?index=104")->outcome, EXCHANGE_WAITING);
    assert_int_equal(ask(world, "?index=103")->outcome, EXCHANGE_ANSWERED);
    assert_int_equal(ask(world, "?index=103&kind=join")->outcome, EXCHANGE_WAITING);
    add(world, 4500, HISTORY_JOIN, "web3", NULL);
    assert_int_equal(ask(world, "?index=104&kind=join")->outcome, EXCHANGE_ANSWERED);
    assert_int_equal(ask(world, "?index=104&node=web1")->outcome, EXCHANGE_WAITING);
}

static void an_agent_without_a_history_says_so(void **state)
{
    struct world *world = *state;

    world->api.history = NULL;

    assert_int_equal(ask(world, "")->status, 501);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            events_are_told_oldest_first_with_all_their_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_filter_narrows_what_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_meant_is_refused_in_words, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            who_knows_the_newest_waits_for_one_that_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_agent_without_a_history_says_so, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
