/* Which servers are asked about a name, in which order; and servers that lead back to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/forward/forward_loops.h"
#include "dns/forward/forward_routes.h"

static struct rc_address address_of(const char *text)
{
    struct rc_address address;

    assert_int_equal(rc_address_parse(text, 53, &address), RC_OK);
    return address;
}

/* Three routes: corp.example, deep.corp.example, all. */
struct world {
    struct dns_forward_route given[3];
    struct rc_address listen[1];
    struct dns_forward_options options;
    struct dns_routes *routes;
    struct rc_random random;
    struct rc_address self;
};

static void route_to(struct dns_forward_route *route, const char *suffix,
                     const char *const *servers, size_t count)
{
    route->suffix = suffix;
    route->server_count = count;
    for (size_t i = 0; i < count; i++) {
        route->servers[i] = address_of(servers[i]);
    }
}

static int setup(void **state)
{
    static const char *const corp[] = {"10.0.0.1", "10.0.0.2"};
    static const char *const deep[] = {"10.0.0.3"};
    static const char *const all[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3"};
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    route_to(&world->given[0], "corp.example", corp, 2);
    route_to(&world->given[1], "deep.corp.example", deep, 1);
    route_to(&world->given[2], "", all, 3);
    world->listen[0] = address_of("127.0.0.1:8600");
    world->options = (struct dns_forward_options){.routes = world->given,
                                                  .route_count = 3,
                                                  .listen = world->listen,
                                                  .listen_count = 1,
                                                  .instance = 5,
                                                  .loops = dns_loops_create(5)};
    rc_random_init(&world->random, 1);
    assert_int_equal(
        dns_routes_create(&world->options, NULL, 0, &world->self, &world->routes), RC_OK);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    dns_routes_destroy(world->routes);
    dns_loops_destroy(world->options.loops);
    free(world);
    return 0;
}

/* The last numbers of the servers' addresses, in order: "1 2 3". */
static const char *order_for(struct world *world, const char *name)
{
    static char text[64];
    uint8_t order[DNS_FORWARD_SERVERS_MAX];
    struct dns_name wire;

    assert_int_equal(dns_name_from_text(name, &wire), RC_OK);
    size_t count = dns_routes_order(world->routes, &wire, &world->random, order);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct dns_upstream *upstream =
            dns_routes_upstream(world->routes, order[i]);
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%u.%u", i == 0 ? "" : " ",
                       upstream->address.ip[1], upstream->address.ip[3]);
    }
    return text;
}

static size_t upstream_of(struct world *world, const char *text)
{
    struct rc_address address = address_of(text);
    size_t i = 0;

    while (
        !rc_address_equals(&dns_routes_upstream(world->routes, i)->address, &address)) {
        i++;
    }
    return i;
}

static void the_longest_suffix_wins_label_by_label(void **state)
{
    struct world *world = *state;

    assert_string_equal(order_for(world, "a.corp.example"), "0.1 0.2");
    assert_string_equal(order_for(world, "CORP.Example"), "0.1 0.2");
    assert_string_equal(order_for(world, "x.deep.corp.example"), "0.3");
    assert_string_equal(order_for(world, "xdeep.corp.example"), "0.1 0.2");
    assert_string_equal(order_for(world, "acorp.example"), "1.1 1.2 1.3");
    assert_string_equal(order_for(world, "."), "1.1 1.2 1.3");
}

static void without_a_route_there_is_nobody_to_ask(void **state)
{
    struct world *world = *state;
    struct dns_routes *few;
    uint8_t order[DNS_FORWARD_SERVERS_MAX];
    struct dns_name name;

    world->options.route_count = 2;
    assert_int_equal(dns_routes_create(&world->options, NULL, 0, &world->self, &few),
                     RC_OK);
    assert_int_equal(dns_name_from_text("example.test", &name), RC_OK);
    assert_int_equal(dns_routes_order(few, &name, &world->random, order), 0);
    assert_false(dns_routes_has(few, &name));
    dns_routes_destroy(few);
}

static void the_fastest_that_is_healthy_comes_first(void **state)
{
    struct world *world = *state;

    (void)dns_routes_result(world->routes, upstream_of(world, "10.1.0.1"),
                            DNS_UPSTREAM_ANSWERED, 9000, 1);
    (void)dns_routes_result(world->routes, upstream_of(world, "10.1.0.2"),
                            DNS_UPSTREAM_ANSWERED, 5000, 1);
    /* Never asked: first, so that it is known. */
    assert_string_equal(order_for(world, "a.test"), "1.3 1.2 1.1");
    (void)dns_routes_result(world->routes, upstream_of(world, "10.1.0.3"),
                            DNS_UPSTREAM_ANSWERED, 7000, 1);
    assert_string_equal(order_for(world, "a.test"), "1.2 1.3 1.1");
}

static void a_server_is_down_after_two_failures_and_back_after_one_answer(void **state)
{
    struct world *world = *state;
    size_t first = upstream_of(world, "10.1.0.1");

    assert_int_equal(
        dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, 1000),
        DNS_UPSTREAM_AS_BEFORE);
    assert_int_equal(
        dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, 1000),
        DNS_UPSTREAM_WENT_DOWN);
    assert_int_equal(
        dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, 1000),
        DNS_UPSTREAM_AS_BEFORE);
    assert_string_equal(order_for(world, "a.test"), "1.2 1.3 1.1");
    assert_int_equal(
        dns_routes_result(world->routes, first, DNS_UPSTREAM_DECLINED, 10, 2000),
        DNS_UPSTREAM_CAME_BACK);
}

static void a_server_that_is_down_gets_a_copy_later_and_later(void **state)
{
    struct world *world = *state;
    size_t first = upstream_of(world, "10.1.0.1");
    uint8_t order[DNS_FORWARD_SERVERS_MAX];
    struct dns_name name;
    uint64_t now_ms = 100000;

    for (size_t i = 0; i < 3; i++) { /* the others were just asked */
        (void)dns_routes_result(world->routes, upstream_of(world, "10.1.0.1") + i,
                                DNS_UPSTREAM_ANSWERED, 10, now_ms);
    }
    (void)dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, now_ms);
    (void)dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, now_ms);
    assert_int_equal(dns_name_from_text("a.test", &name), RC_OK);
    size_t count = dns_routes_order(world->routes, &name, &world->random, order);
    assert_int_equal(dns_routes_copy_to(world->routes, order, count, now_ms + 999),
                     DNS_UPSTREAM_NONE);
    assert_int_equal(dns_routes_copy_to(world->routes, order, count, now_ms + 1000),
                     first);
    assert_int_equal(dns_routes_copy_to(world->routes, order, count, now_ms + 1000),
                     DNS_UPSTREAM_NONE);
    uint64_t wait_ms = 1000;
    for (int i = 0; i < 10; i++) {
        const struct dns_upstream *upstream = dns_routes_upstream(world->routes, first);
        now_ms = upstream->again_ms;
        (void)dns_routes_result(world->routes, first, DNS_UPSTREAM_SILENT, 0, now_ms);
        wait_ms = upstream->again_ms - now_ms;
    }
    assert_int_equal(wait_ms, DNS_UPSTREAM_AGAIN_MAX_MS);
}

static void strategies_are_kept(void **state)
{
    struct world *world = *state;
    unsigned firsts = 0;

    world->options.strategy = DNS_FORWARD_SEQUENTIAL;
    (void)dns_routes_result(world->routes, upstream_of(world, "10.1.0.1"),
                            DNS_UPSTREAM_ANSWERED, 9000, 1);
    assert_string_equal(order_for(world, "a.test"), "1.1 1.2 1.3");
    world->options.strategy = DNS_FORWARD_RANDOM;
    for (int i = 0; i < 100; i++) {
        firsts |= 1U << (order_for(world, "a.test")[2] - '0');
    }
    assert_int_equal(firsts, 0xe);
}

static void we_do_not_ask_ourselves(void **state)
{
    static const char *const local[] = {"127.0.0.1", "10.5.0.1"};
    static const struct {
        const char *why;
        const char *listen;
        const char *server;
        bool is_self;
    } cases[] = {
        {"the same", "10.5.0.1:53", "10.5.0.1:53", true},
        {"another port", "10.5.0.1:8600", "10.5.0.1:53", false},
        {"any, asked by loopback", "0.0.0.0:53", "127.0.0.53:53", true},
        {"any, asked by an address of ours", "0.0.0.0:53", "10.5.0.1:53", true},
        {"any, another machine", "0.0.0.0:53", "10.5.0.2:53", false},
        {"any of IPv6 takes only IPv6, but who knows", "[::]:53", "10.5.0.1:53", true},
        {"asked as any", "127.0.0.1:53", "0.0.0.0:53", true},
    };
    struct world *world = *state;
    struct rc_address own[2];

    for (size_t i = 0; i < 2; i++) {
        own[i] = address_of(local[i]);
    }
    world->options.local = own;
    world->options.local_count = 2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_address server = address_of(cases[i].server);
        world->listen[0] = address_of(cases[i].listen);
        if (dns_forward_is_self(&world->options, &server) != cases[i].is_self) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void servers_of_the_system_are_added_but_for_ourselves(void **state)
{
    static const char text[] = "# servers\nsearch a.test\nnameserver 10.1.0.9\n"
                               "nameserver\t127.0.0.1 # us\nnameserver x\n"
                               "nameserver 10.1.0.8";
    struct world *world = *state;
    struct rc_address servers[DNS_FORWARD_SERVERS_MAX];
    struct dns_routes *routes;

    assert_int_equal(dns_system_servers(text, sizeof text - 1, servers), 3);
    world->listen[0] = address_of("127.0.0.1:53");
    world->given[2].of_system = DNS_YES;
    assert_int_equal(
        dns_routes_create(&world->options, servers, 3, &world->self, &routes), RC_OK);
    dns_routes_destroy(world->routes);
    world->routes = routes;
    assert_string_equal(order_for(world, "a.test"), "1.1 1.2 1.3 1.9 1.8");
    assert_int_equal(world->self.family, RC_ADDRESS_IPV4);
}

static void a_server_whose_probe_comes_back_is_not_asked_until_one_does_not(void **state)
{
    struct world *world = *state;
    struct dns_loops *loops = world->options.loops;
    struct rc_address server = address_of("10.1.0.2");
    struct dns_name probe;
    struct dns_name other;

    dns_loops_probe(loops, &server, 77, &probe);
    assert_int_equal(dns_loops_settle(loops, &server), DNS_LOOPS_AS_BEFORE);
    dns_loops_probe(loops, &server, 78, &probe);
    assert_true(dns_loops_arrived(loops, &probe));
    assert_int_equal(dns_loops_settle(loops, &server), DNS_LOOPS_BEGAN);
    assert_string_equal(order_for(world, "a.test"), "1.1 1.3");
    assert_true(dns_loops_has(loops, &server));

    dns_loops_probe(loops, &server, 79, &probe);
    assert_int_equal(dns_name_from_text("a.b.rollcall-loop-probe", &other), RC_OK);
    assert_false(dns_loops_arrived(loops, &other));
    assert_int_equal(dns_loops_settle(loops, &server), DNS_LOOPS_ENDED);
    assert_string_equal(order_for(world, "a.test"), "1.1 1.2 1.3");
}

static void probes_of_others_are_not_ours(void **state)
{
    struct world *world = *state;
    struct dns_loops *others = dns_loops_create(6);
    struct rc_address server = address_of("10.1.0.2");
    struct dns_name probe;

    dns_loops_probe(others, &server, 77, &probe);
    assert_false(dns_loops_arrived(world->options.loops, &probe));
    dns_loops_destroy(others);
}

static void one_of_the_workers_leads(void **state)
{
    struct world *world = *state;
    struct dns_loops *loops = world->options.loops;

    assert_true(dns_loops_lead(loops));
    assert_false(dns_loops_lead(loops));
    dns_loops_give_up(loops);
    assert_true(dns_loops_lead(loops));
    assert_false(dns_loops_take_wish(loops));
    dns_loops_want(loops);
    assert_true(dns_loops_take_wish(loops));
    assert_false(dns_loops_take_wish(loops));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_longest_suffix_wins_label_by_label),
        CASE(without_a_route_there_is_nobody_to_ask),
        CASE(the_fastest_that_is_healthy_comes_first),
        CASE(a_server_is_down_after_two_failures_and_back_after_one_answer),
        CASE(a_server_that_is_down_gets_a_copy_later_and_later),
        CASE(strategies_are_kept),
        CASE(we_do_not_ask_ourselves),
        CASE(servers_of_the_system_are_added_but_for_ourselves),
        CASE(a_server_whose_probe_comes_back_is_not_asked_until_one_does_not),
        CASE(probes_of_others_are_not_ours),
        CASE(one_of_the_workers_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
