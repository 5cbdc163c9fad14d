/* Whom an agent asks for a proxy's figures, and what it believes of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/gossip.h"
#include "agent/http/proxy_book.h"
#include "base/err.h"
#include "base/json.h"

struct world {
    struct catalog *catalog;
    struct gossip *gossip;
    struct proxy_book book;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct gossip_options gossip = {.name = "web1", .random_seed = 1};
    const struct catalog_options catalog = {
        .node_name = "web1", .seed = 1, .now_ms = 1000, .wall_ms = 1000};
    const struct catalog_tagged_address wan = {"wan", "10.9.0.1", 0};
    const struct catalog_node node = {
        .address = "10.0.0.1", .tagged_addresses = &wan, .tagged_address_count = 1};

    assert_int_equal(rc_address_parse("10.0.0.1:8301", 0, &gossip.address), RC_OK);
    assert_int_equal(catalog_create(&catalog, &world->catalog), RC_OK);
    assert_int_equal(catalog_set_node(world->catalog, 1000, &node, NULL), RC_OK);
    assert_int_equal(gossip_create(&gossip, 1000 * 1000000ULL, &world->gossip), RC_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    proxy_book_fini(&world->book);
    gossip_destroy(world->gossip);
    catalog_destroy(world->catalog);
    free(world);
    return 0;
}

static void put(struct world *world, const char *id, const char *address, uint16_t port)
{
    const struct catalog_service service = {
        .id = id, .name = PROXY_BOOK_SERVICE, .address = address, .port = port};

    assert_int_equal(catalog_put_service(world->catalog, 1000, &service, NULL), RC_OK);
}

static void only_addresses_of_the_node_itself_are_asked(void **state)
{
    static const struct {
        const char *address;
        const char *word; /* of the refusal; NULL: asked */
        uint16_t port;
    } cases[] = {
        {"", NULL, 8801},
        {"10.0.0.1", NULL, 8801},
        {"10.9.0.1", NULL, 8801},
        {"127.0.0.1", NULL, 8801}, /* we are this node */
        {"10.0.0.2", "not its node's", 8801},
        {"169.254.169.254", "no usable one", 80},
        {"fe80::1", "no usable one", 80},
        {"0.0.0.0", "no usable one", 80},
        {"evil.example", "no IP address", 80},
        {"10.0.0.1", "without a port", 0},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(world, "p", cases[i].address, cases[i].port);
        assert_int_equal(proxy_book_list(&world->book, world->catalog, world->gossip),
                         RC_OK);
        const struct proxy_entry *entry = &world->book.entries[0];
        bool fits = cases[i].word == NULL
                        ? entry->is_asked
                        : !entry->is_asked && strstr(entry->error, cases[i].word) != NULL;
        if (!fits) {
            fail_msg("%s: %s", cases[i].address, entry->error);
        }
    }
}

static void another_nodes_loopback_is_not_ours(void **state)
{
    struct world *world = *state;
    const struct catalog_tagged_address lan = {"lan", "127.0.0.1", 0};
    const struct catalog_node node = {.name = "web2",
                                      .address = "127.0.0.1",
                                      .tagged_addresses = &lan,
                                      .tagged_address_count = 1};
    const struct catalog_service service = {
        .node = &node, .address = "127.0.0.1", .port = 8500};
    struct rc_address address;
    const char *why = "";

    assert_int_equal(proxy_book_address(&service, world->gossip, &address, &why),
                     RC_EDENIED);
    assert_non_null(strstr(why, "not its node's"));
}

static void no_more_are_asked_than_the_maximum(void **state)
{
    struct world *world = *state;
    char id[16];
    size_t asked = 0;

    for (unsigned i = 0; i < PROXY_BOOK_MAX + 10; i++) {
        (void)snprintf(id, sizeof id, "p%u", i);
        put(world, id, "", 8801);
    }
    assert_int_equal(proxy_book_list(&world->book, world->catalog, world->gossip), RC_OK);
    for (size_t i = 0; i < world->book.count; i++) {
        asked += world->book.entries[i].is_asked;
    }

    assert_int_equal(world->book.count, PROXY_BOOK_MAX + 10);
    assert_int_equal(asked, PROXY_BOOK_MAX);
}

static const char *take(struct world *world, const char *answer)
{
    struct proxy_entry *entry = &world->book.entries[0];

    proxy_book_take(&world->book, entry, answer, strlen(answer));
    return entry->error;
}

static void an_answer_is_a_proxys_or_none(void **state)
{
    static const struct {
        const char *answer;
        const char *word;
    } cases[] = {
        {"", "not 200"},
        {"HTTP/1.1 404 Not Found\r\n\r\n{}", "not 200"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", "not 200"},
        {"SSH-2.0-OpenSSH_9.2 200\r\n\r\n", "not 200"},
        {"HTTP/1.1 200 OK\r\n\r\n", "no proxy's"},
        {"HTTP/1.1 200 OK\r\n\r\n{\"secret\": 1}", "no proxy's"},
        {"HTTP/1.1 200 OK\r\n\r\n[1]", "no proxy's"},
        {"HTTP/1.1 200 OK\r\n\r\n{\"Version\":1,\"Routes\":[],\"Pools\":[]}",
         "no proxy's"},
    };
    struct world *world = *state;

    put(world, "p", "", 8801);
    assert_int_equal(proxy_book_list(&world->book, world->catalog, world->gossip), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *error = take(world, cases[i].answer);
        if (strstr(error, cases[i].word) == NULL) {
            fail_msg("%s: \"%s\"", cases[i].answer, error);
        }
        assert_null(world->book.entries[0].figures);
    }
}

static void only_known_fields_are_told_again(void **state)
{
    struct world *world = *state;

    put(world, "p", "", 8801);
    assert_int_equal(proxy_book_list(&world->book, world->catalog, world->gossip), RC_OK);
    const char *error =
        take(world, "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n"
                    "{\"Version\":\"1\",\"Secret\":\"s\",\"Routes\":[{\"Route\":\"r\","
                    "\"PerSecond\":2.5,\"P50Ms\":\"x\",\"Secret\":1}],\"Pools\":[7]}");

    assert_string_equal(error, "");
    const char *text = world->book.entries[0].figures;
    assert_non_null(strstr(text, "\"Version\":\"1\""));
    assert_non_null(strstr(text, "\"Route\":\"r\""));
    assert_non_null(strstr(text, "\"PerSecond\":2.5"));
    assert_non_null(strstr(text, "\"P50Ms\":0"));
    assert_null(strstr(text, "Secret"));
}

static void an_answer_that_grows_when_told_again_is_refused(void **state)
{
    struct world *world = *state;
    struct rc_buffer answer = {0};

    put(world, "p", "", 8801);
    assert_int_equal(proxy_book_list(&world->book, world->catalog, world->gossip), RC_OK);
    rc_buffer_text(
        &answer, "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"1\",\"Routes\":[],\"Pools\":[0");
    for (int p = 0; p < 400; p++) {
        rc_buffer_text(&answer, ",{\"Instances\":[0");
        for (int i = 0; i < 100; i++) {
            rc_buffer_text(&answer, ",0");
        }
        rc_buffer_text(&answer, "]}");
    }
    rc_buffer_text(&answer, "]}");
    assert_true(answer.size < PROXY_BOOK_REPLY_MAX);

    assert_non_null(strstr(take(world, rc_buffer_string(&answer)), "no proxy's"));
    rc_buffer_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_addresses_of_the_node_itself_are_asked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_nodes_loopback_is_not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_more_are_asked_than_the_maximum, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_a_proxys_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_known_fields_are_told_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_grows_when_told_again_is_refused,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
