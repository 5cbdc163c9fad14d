#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/random.h"
#include "dns/board/board.h"

enum { NAMES = 300, NODES = 16, THREADS = 3, ROUNDS = 4000, INSTANCES_MAX = 6 };

struct fixture {
    struct dns_board *board;
    struct dns_board_reader *reader;
    const struct dns_view *view;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;

    assert_int_equal(dns_board_create("dc1", 7, &f->board), RC_OK);
    assert_int_equal(dns_board_join(f->board, &f->reader), RC_OK);
    f->view = dns_board_view(f->reader);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    dns_board_destroy(f->board);
    return 0;
}

static struct rc_address ip_of(const char *text)
{
    struct rc_address ip = {.family = RC_ADDRESS_NONE};

    if (text[0] != '\0') {
        assert_int_equal(rc_address_parse_ip(text, 0, &ip), RC_OK);
    }
    return ip;
}

static const struct dns_node *put_node(const struct fixture *f, const char *name,
                                       const char *address, enum dns_board_shown shown,
                                       uint64_t print)
{
    const struct dns_node node = {.name = name, .place = {.ip = ip_of(address)}};
    uint64_t its;

    assert_int_equal(dns_board_put_node(f->board, &node, shown, print), RC_OK);
    const struct dns_node *up = dns_board_find_node(f->board, name, &its);
    assert_non_null(up);
    assert_int_equal(its, print);
    return up;
}

/* One instance at an address of its own ("": at its node's). */
static void put_service(const struct fixture *f, const char *name,
                        const struct dns_node *node, const char *address,
                        enum dns_health health)
{
    const struct dns_instance instance = {.node = node,
                                          .service_id = "one",
                                          .place = {.ip = ip_of(address)},
                                          .health = health};
    const struct dns_service service = {
        .name = name, .instances = &instance, .instance_count = 1};

    assert_int_equal(dns_board_put_service(f->board, &service, 1), RC_OK);
}

static const struct dns_service *service(const struct fixture *f, const char *name)
{
    return f->view->service(f->view->context, rc_span_of(name));
}

static const struct dns_node *node(const struct fixture *f, const char *name)
{
    return f->view->node(f->view->context, rc_span_of(name));
}

static const char *node_at(const struct fixture *f, const char *address)
{
    const struct rc_address ip = ip_of(address);
    const struct dns_node *found = f->view->node_at(f->view->context, &ip);

    return found != NULL ? found->name : "";
}

static const char *service_at(const struct fixture *f, const char *address)
{
    const struct rc_address ip = ip_of(address);
    const char *found = f->view->service_at(f->view->context, &ip);

    return found != NULL ? found : "";
}

static bool is_above(const struct fixture *f, const char *name)
{
    return f->view->node_below(f->view->context, rc_span_of(name));
}

static void what_dotted_names_end_in_is_known_while_one_is_up(void **state)
{
    struct fixture *f = *state;

    (void)put_node(f, "One.Example.Test", "10.0.0.1", DNS_BOARD_SHOWN, 1);
    (void)put_node(f, "two.example.test", "10.0.0.2", DNS_BOARD_SHOWN, 1);
    (void)put_node(f, "three.other", "10.0.0.3", DNS_BOARD_HIDDEN, 1);
    assert_true(is_above(f, "example.test"));
    assert_true(is_above(f, "test"));
    assert_false(is_above(f, "one.example.test"));
    assert_false(is_above(f, "other"));
    (void)put_node(f, "one.example.test", "10.0.0.9", DNS_BOARD_SHOWN, 2);
    dns_board_remove_node(f->board, "two.example.test");
    assert_true(is_above(f, "example.test"));
    (void)put_node(f, "one.example.test", "10.0.0.9", DNS_BOARD_HIDDEN, 3);
    assert_false(is_above(f, "test"));
}

static void what_is_not_up_does_not_exist(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *servers[DNS_NAME_SERVERS_MAX];
    enum dns_certainty certainty = DNS_CERTAIN;

    assert_null(service(f, "web"));
    assert_null(node(f, "web1"));
    assert_string_equal(node_at(f, "10.0.0.1"), "");
    assert_string_equal(service_at(f, "10.0.0.1"), "");
    assert_int_equal(f->view->name_servers(f->view->context, servers), 0);
    assert_int_equal(f->view->index(f->view->context), 0);
    assert_null(f->view->query(f->view->context, rc_span_of("q"), &certainty));
    assert_int_equal(certainty, DNS_ELSEWHERE);
    assert_string_equal(f->view->datacenter, "dc1");
}

static void service_is_copied_whole(void **state)
{
    const struct fixture *f = *state;
    char tag[] = "blue";
    char value[] = "eu";
    const char *tags[] = {tag, "x"};
    const struct dns_meta meta[] = {{"zone", value}};
    const struct dns_node *at = put_node(f, "N1", "10.0.0.1", DNS_BOARD_SHOWN, 1);
    const struct dns_instance instances[] = {
        {.node = at, .service_id = "a", .port = 80, .tags = tags, .tag_count = 2},
        {.node = at,
         .service_id = "b",
         .tags = tags,
         .tag_count = 2,
         .meta = meta,
         .meta_count = 1,
         .place = {.host = "db.example"}},
        {.node = at, .service_id = "Web", .weight = 9, .health = DNS_HEALTH_WARNING},
    };
    const struct dns_service from = {
        .name = "Web", .instances = instances, .instance_count = 3};

    assert_int_equal(dns_board_put_service(f->board, &from, 4), RC_OK);
    tag[0] = value[0] = '?';

    const struct dns_service *up = service(f, "web");
    assert_non_null(up);
    assert_non_null(up->shelf);
    assert_string_equal(up->name, "Web");
    assert_int_equal(up->instance_count, 3);
    assert_string_equal(up->instances[0].service_id, "a");
    assert_int_equal(up->instances[0].port, 80);
    assert_string_equal(up->instances[0].tags[0], "blue");
    assert_string_equal(up->instances[1].tags[1], "x");
    assert_string_equal(up->instances[1].meta[0].value, "eu");
    assert_string_equal(up->instances[1].place.host, "db.example");
    assert_int_equal(up->instances[0].meta_count, 0);
    assert_int_equal(up->instances[2].tag_count, 0);
    assert_int_equal(up->instances[2].weight, 9);
    assert_int_equal(up->instances[2].health, DNS_HEALTH_WARNING);
    assert_string_equal(up->instances[2].service_id, "Web");
    assert_ptr_equal(up->instances[2].node, at);
    assert_string_equal(at->name, "N1");
    assert_null(service(f, "Web")); /* questions come folded */
}

static void replaced_object_stays_while_a_reader_is_inside(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *old = put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1);

    put_service(f, "web", old, "", DNS_HEALTH_PASSING);
    dns_board_settle(f->board, 1);
    dns_board_enter(f->reader);
    const struct dns_service *before = service(f, "web");
    const struct dns_node *fresh = put_node(f, "n1", "10.0.0.2", DNS_BOARD_SHOWN, 2);
    put_service(f, "web", fresh, "", DNS_HEALTH_WARNING);
    dns_board_settle(f->board, 2);

    assert_int_equal(before->instances[0].health, DNS_HEALTH_PASSING);
    assert_int_equal(before->instances[0].node->place.ip.ip[3], 1);
    assert_int_equal(service(f, "web")->instances[0].node->place.ip.ip[3], 2);
    assert_int_equal(dns_board_count(f->board).waiting, 2);
    dns_board_leave(f->reader);
    dns_board_settle(f->board, 3);
    assert_int_equal(dns_board_count(f->board).waiting, 0);
    assert_int_equal(f->view->index(f->view->context), 3);
}

static void node_lives_as_long_as_a_service_that_names_it(void **state)
{
    const struct fixture *f = *state;

    put_service(f, "web", put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1), "",
                DNS_HEALTH_PASSING);
    dns_board_remove_node(f->board, "N1");
    dns_board_settle(f->board, 1);
    assert_null(node(f, "n1"));
    assert_string_equal(service(f, "web")->instances[0].node->name, "n1");
    dns_board_remove_service(f->board, "WEB");
    dns_board_settle(f->board, 2);
    assert_null(service(f, "web"));
}

static void hidden_node_is_there_for_its_instances_only(void **state)
{
    const struct fixture *f = *state;

    put_service(f, "web", put_node(f, "n1", "10.0.0.1", DNS_BOARD_HIDDEN, 1), "",
                DNS_HEALTH_UNUSABLE);
    assert_null(node(f, "n1"));
    assert_string_equal(node_at(f, "10.0.0.1"), "");
    assert_string_equal(service(f, "web")->instances[0].node->name, "n1");
    (void)put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 2);
    assert_non_null(node(f, "n1"));
    assert_string_equal(node_at(f, "10.0.0.1"), "n1");
}

static void address_leads_to_the_first_that_may_be_told(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *n2 = put_node(f, "n2", "10.0.0.1", DNS_BOARD_SHOWN, 1);

    (void)put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1);
    assert_string_equal(node_at(f, "10.0.0.1"), "n1");
    (void)put_node(f, "n1", "10.0.0.1", DNS_BOARD_HIDDEN, 2);
    assert_string_equal(node_at(f, "10.0.0.1"), "n2");

    put_service(f, "b", n2, "10.0.9.9", DNS_HEALTH_PASSING);
    put_service(f, "a", n2, "10.0.9.9", DNS_HEALTH_PASSING);
    assert_string_equal(service_at(f, "10.0.9.9"), "a");
    put_service(f, "a", n2, "10.0.9.9", DNS_HEALTH_UNUSABLE);
    assert_string_equal(service_at(f, "10.0.9.9"), "b");
    put_service(f, "b", n2, "10.0.9.8", DNS_HEALTH_PASSING);
    assert_string_equal(service_at(f, "10.0.9.9"), "");
    assert_string_equal(service_at(f, "10.0.9.8"), "b");
    assert_int_equal(dns_board_count(f->board).addresses, 3);
    dns_board_remove_service(f->board, "a");
    dns_board_remove_service(f->board, "b");
    dns_board_remove_node(f->board, "n2");
    assert_int_equal(dns_board_count(f->board).addresses, 0);
}

static void name_servers_keep_their_nodes(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *nodes[4];
    const struct dns_node *out[DNS_NAME_SERVERS_MAX];

    nodes[0] = put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1);
    nodes[1] = put_node(f, "n2", "10.0.0.2", DNS_BOARD_SHOWN, 1);
    nodes[2] = put_node(f, "n3", "10.0.0.3", DNS_BOARD_SHOWN, 1);
    nodes[3] = nodes[0];
    assert_int_equal(dns_board_set_name_servers(f->board, nodes, 4), RC_OK);
    dns_board_remove_node(f->board, "n3");
    dns_board_settle(f->board, 1);
    assert_int_equal(f->view->name_servers(f->view->context, out), 3);
    assert_string_equal(out[2]->name, "n3");
    assert_int_equal(dns_board_set_name_servers(f->board, nodes, 1), RC_OK);
    dns_board_settle(f->board, 2);
    assert_int_equal(f->view->name_servers(f->view->context, out), 1);
    assert_string_equal(out[0]->name, "n1");
}

static void look_at_everything_leaves_what_was_kept(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *n1 = put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1);

    (void)put_node(f, "n2", "10.0.0.2", DNS_BOARD_SHOWN, 1);
    put_service(f, "a", n1, "", DNS_HEALTH_PASSING);
    put_service(f, "b", n1, "", DNS_HEALTH_PASSING);
    put_service(f, "c", n1, "", DNS_HEALTH_PASSING);
    dns_board_begin_all(f->board);
    assert_true(dns_board_keep_node(f->board, "N1", 1));
    assert_false(dns_board_keep_node(f->board, "n2", 2));
    assert_true(dns_board_keep_service(f->board, "A", 1));
    assert_false(dns_board_keep_service(f->board, "nosuch", 1));
    put_service(f, "b", n1, "", DNS_HEALTH_WARNING);
    dns_board_end_all(f->board);

    assert_non_null(service(f, "a"));
    assert_non_null(service(f, "b"));
    assert_null(service(f, "c"));
    assert_non_null(node(f, "n1"));
    assert_null(node(f, "n2"));
}

static void names_too_long_for_dns_are_refused(void **state)
{
    const struct fixture *f = *state;
    char name[DNS_BOARD_NAME_MAX + 2];
    const struct dns_service long_one = {.name = name};
    const struct dns_node node = {.name = name};

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(dns_board_put_service(f->board, &long_one, 1), RC_ETOOBIG);
    assert_int_equal(dns_board_put_node(f->board, &node, DNS_BOARD_SHOWN, 1), RC_ETOOBIG);
    dns_board_remove_service(f->board, name);
    assert_false(dns_board_keep_node(f->board, name, 1));
}

static void names_that_come_and_go_take_no_room(void **state)
{
    const struct fixture *f = *state;
    const struct dns_node *n1 = put_node(f, "n1", "10.0.0.1", DNS_BOARD_SHOWN, 1);
    char name[32];

    for (int i = 0; i < 20 * NAMES; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        put_service(f, name, n1, "", DNS_HEALTH_PASSING);
        if (i >= NAMES) {
            (void)snprintf(name, sizeof name, "s%d", i - NAMES);
            assert_non_null(service(f, name));
            dns_board_remove_service(f->board, name);
            assert_null(service(f, name));
        }
        dns_board_settle(f->board, (uint64_t)i + 1);
    }
    assert_int_equal(dns_board_count(f->board).services, NAMES);
    assert_int_equal(dns_board_count(f->board).waiting, 0);
}

/* ---- Threads: every object that a reader meets says one thing only. */

struct shared {
    _Atomic int over;
    _Atomic uint64_t wrong;
    _Atomic uint64_t found;
};

struct worker {
    struct shared *shared;
    struct dns_board_reader *reader;
    unsigned number;
    pthread_t thread;
};

static void look_at(struct shared *shared, const struct dns_service *found,
                    const char *name)
{
    uint64_t wrong = strcmp(found->name, name) != 0 ? 1 : 0;

    for (size_t i = 0; i < found->instance_count; i++) {
        const struct dns_instance *instance = &found->instances[i];
        wrong += instance->port != found->instances[0].port ? 1 : 0;
        wrong += instance->node->name[0] != 'n' ? 1 : 0;
        wrong += instance->tag_count != 1 ? 1 : 0;
        wrong += strcmp(instance->tags[0], name) != 0 ? 1 : 0;
    }
    atomic_fetch_add(&shared->wrong, wrong);
    atomic_fetch_add(&shared->found, 1);
}

static void *work(void *context)
{
    struct worker *worker = context;
    const struct dns_view *view = dns_board_view(worker->reader);
    struct rc_random random;
    char name[32];

    rc_random_init(&random, worker->number);
    while (atomic_load(&worker->shared->over) == 0) {
        dns_board_enter(worker->reader);
        for (int i = 0; i < 16; i++) {
            const struct dns_node *servers[DNS_NAME_SERVERS_MAX];
            struct rc_address ip = {.family = RC_ADDRESS_IPV4, .ip = {10, 0, 0, 1}};
            (void)snprintf(name, sizeof name, "s%d",
                           (int)rc_random_below(&random, NAMES));
            const struct dns_service *found =
                view->service(view->context, rc_span_of(name));
            if (found != NULL) {
                look_at(worker->shared, found, name);
            }
            ip.ip[3] = (uint8_t)rc_random_below(&random, NODES);
            const struct dns_node *there = view->node_at(view->context, &ip);
            if (there != NULL && there->place.ip.ip[0] != 10) {
                atomic_fetch_add(&worker->shared->wrong, 1);
            }
            (void)view->service_at(view->context, &ip);
            (void)view->name_servers(view->context, servers);
        }
        dns_board_leave(worker->reader);
    }
    return NULL;
}

static void change_at_random(const struct fixture *f, struct rc_random *random,
                             uint64_t round)
{
    struct dns_instance instances[INSTANCES_MAX];
    char name[32];
    char at[32];
    char ip[32];
    const char *const tags[] = {name};

    (void)snprintf(at, sizeof at, "n%d", (int)rc_random_below(random, NODES));
    (void)snprintf(ip, sizeof ip, "10.0.0.%d", (int)rc_random_below(random, NODES));
    const struct dns_node *there = put_node(
        f, at, ip, rc_random_below(random, 4) == 0 ? DNS_BOARD_HIDDEN : DNS_BOARD_SHOWN,
        round);
    (void)dns_board_set_name_servers(f->board, &there, 1);
    (void)snprintf(name, sizeof name, "s%d", (int)rc_random_below(random, NAMES));
    if (rc_random_below(random, 3) == 0) {
        dns_board_remove_service(f->board, name);
        return;
    }
    const struct dns_service fresh = {.name = name,
                                      .instances = instances,
                                      .instance_count =
                                          1 + rc_random_below(random, INSTANCES_MAX)};
    for (size_t i = 0; i < fresh.instance_count; i++) {
        instances[i] = (struct dns_instance){.node = there,
                                             .service_id = "id",
                                             .place = {.ip = ip_of(ip)},
                                             .port = (uint16_t)round,
                                             .tags = tags,
                                             .tag_count = 1};
    }
    assert_int_equal(dns_board_put_service(f->board, &fresh, round), RC_OK);
}

static void readers_see_whole_objects_while_all_changes(void **state)
{
    const struct fixture *f = *state;
    struct worker workers[THREADS];
    struct shared shared = {.over = 0};
    struct rc_random random;

    rc_random_init(&random, 99);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = &shared, .number = i};
        assert_int_equal(dns_board_join(f->board, &workers[i].reader), RC_OK);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint64_t i = 1; i <= ROUNDS || atomic_load(&shared.found) == 0; i++) {
        change_at_random(f, &random, i);
        if (i % 4 == 0) {
            dns_board_settle(f->board, i);
        }
    }
    atomic_store(&shared.over, 1);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        dns_board_part(f->board, workers[i].reader);
    }
    dns_board_settle(f->board, 1);

    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_int_equal(dns_board_count(f->board).waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_up_does_not_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_dotted_names_end_in_is_known_while_one_is_up,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(service_is_copied_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaced_object_stays_while_a_reader_is_inside,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(node_lives_as_long_as_a_service_that_names_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(hidden_node_is_there_for_its_instances_only,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(address_leads_to_the_first_that_may_be_told,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(name_servers_keep_their_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(look_at_everything_leaves_what_was_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_too_long_for_dns_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_that_come_and_go_take_no_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(readers_see_whole_objects_while_all_changes,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dns_board", tests, NULL, NULL);
}
