#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/catalog/catalog.h"
#include "agent/dns/dns_explain.h"
#include "agent/dns/dns_feed.h"
#include "agent/dns/dns_prepared.h"
#include "agent/dns/dns_way.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/random.h"
#include "base/text.h"

enum { PACKET_MAX = 1400, WALL_MS = 1000000, ROUNDS = 400, PORT_FIRST = 1000 };

/* Node "web1" is ours, "pg1" and "pg2" are others whose records reach us as rumours. */
struct fixture {
    struct catalog *all[3];
    struct dns_board *board;
    struct dns_feed *feed;
    struct dns_prepared *prepared;
    struct prepared_book *book;
    struct dns_options options;
    struct dns_explain_ground ground;
    struct dns_explain_question question;
    const char *hidden; /* from whoever asks, or from DNS; NULL: nothing */
    uint64_t now_ms;
    uint16_t port;
    char error[DNS_EXPLAIN_ERROR_MAX];
    json_t *told; /* owned: the last explanation */
};

static const char *const names[] = {"web1", "pg1", "pg2"};
static const char *const addresses[] = {"10.0.0.11", "10.0.0.51", "10.0.0.52"};

static struct catalog *create(size_t i)
{
    const struct catalog_options options = {
        .node_name = names[i], .datacenter = "dc1", .seed = 1, .wall_ms = WALL_MS};
    const struct catalog_node node = {
        .name = names[i], .id = "", .address = addresses[i], .datacenter = "dc1"};
    struct catalog *catalog;

    assert_int_equal(catalog_create(&options, &catalog), RC_OK);
    assert_int_equal(catalog_set_node(catalog, 1, &node, NULL), RC_OK);
    return catalog;
}

static void member(struct fixture *f, struct catalog *to, size_t i,
                   enum catalog_liveness liveness)
{
    const struct catalog_member event = {
        .name = names[i], .address = addresses[i], .liveness = liveness, .peer = true};
    catalog_member_event(to, ++f->now_ms, WALL_MS, &event);
}

static void spread(struct fixture *f)
{
    uint8_t packet[PACKET_MAX];
    size_t size;

    f->now_ms += 1000;
    for (size_t i = 1; i < 3; i++) {
        catalog_tick(f->all[i], f->now_ms);
        while ((size = catalog_fill(f->all[i], f->now_ms, packet, PACKET_MAX)) > 0) {
            (void)catalog_receive(f->all[0], f->now_ms, names[i], packet, size);
        }
    }
}

static const struct prepared_book *book(void *context, enum dns_certainty *certainty)
{
    const struct fixture *f = context;

    *certainty = DNS_CERTAIN;
    return f->book;
}

static void sort(void *context, const char *near, const struct catalog_service **found,
                 size_t count)
{
    (void)context;
    (void)near;
    (void)found;
    (void)count;
}

static struct dns_board_reader *open_board(struct fixture *f)
{
    const struct dns_prepared_source source = {f, book, sort};
    const struct dns_gate open = {0};
    struct dns_board_reader *reader;

    assert_int_equal(dns_board_create("dc1", 1, &f->board), RC_OK);
    assert_int_equal(dns_board_join(f->board, &reader), RC_OK);
    assert_int_equal(dns_feed_create(f->all[0], f->board, &open, &f->feed), RC_OK);
    assert_int_equal(dns_prepared_create(f->all[0], f->board, &open, &f->prepared),
                     RC_OK);
    dns_prepared_set_source(f->prepared, &source);
    const struct dns_board_queries queries = dns_prepared_queries(f->prepared);
    dns_board_set_queries(reader, &queries);
    return reader;
}

static void turn(struct fixture *f)
{
    const struct catalog_change *changes = NULL;
    size_t count = catalog_take_changes(f->all[0], &changes);

    dns_feed_turn(f->feed, changes, count);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->now_ms = 1;
    f->port = PORT_FIRST;
    for (size_t i = 0; i < 3; i++) {
        f->all[i] = create(i);
    }
    for (size_t i = 1; i < 3; i++) {
        member(f, f->all[0], i, CATALOG_ALIVE);
        member(f, f->all[i], 0, CATALOG_ALIVE);
    }
    f->book = prepared_book_create();
    struct dns_board_reader *reader = open_board(f);
    dns_options_init(&f->options);
    f->ground = (struct dns_explain_ground){.catalog = f->all[0],
                                            .options = &f->options,
                                            .view = dns_board_view(reader),
                                            .book = f->book,
                                            .seed = 1};
    f->question = (struct dns_explain_question){
        .type = "", .channel = DNS_CHANNEL_TCP, .edns_size = 1232};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    json_decref(f->told);
    dns_prepared_destroy(f->prepared);
    dns_feed_destroy(f->feed);
    dns_board_destroy(f->board);
    prepared_book_destroy(f->book);
    for (size_t i = 0; i < 3; i++) {
        catalog_destroy(f->all[i]);
    }
    free(f);
    return 0;
}

static int try_explain(struct fixture *f, const char *name, const char *type)
{
    struct rc_buffer out = {0};
    struct rc_json json = rc_json_over(&out, 0);

    turn(f);
    f->question.name = name;
    f->question.type = type;
    json_decref(f->told);
    f->told = NULL;
    f->ground.seed++;
    int err = dns_explain(&f->ground, &f->question, &json, f->error);
    if (err == RC_OK) {
        f->told = json_loads(rc_buffer_string(&out), 0, NULL);
        assert_non_null(f->told);
    }
    rc_buffer_fini(&out);
    return err;
}

static void explain(struct fixture *f, const char *name, const char *type)
{
    assert_int_equal(try_explain(f, name, type), RC_OK);
}

/* ---- Reading it. */

static const char *text(const json_t *object, const char *key)
{
    const char *found = json_string_value(json_object_get(object, key));
    return found != NULL ? found : "(none)";
}

static const json_t *answer(const struct fixture *f, size_t i)
{
    return json_array_get(json_object_get(f->told, "Answers"), i);
}

static const json_t *instance(const struct fixture *f, const char *id)
{
    const json_t *found;
    size_t i;

    json_array_foreach(json_object_get(f->told, "Instances"), i, found)
    {
        if (rc_text_equals(text(found, "ID"), id)) {
            return found;
        }
    }
    return NULL;
}

static const char *reason(const struct fixture *f, const char *id, size_t i)
{
    const json_t *found = instance(f, id);

    assert_non_null(found);
    return text(json_array_get(json_object_get(found, "Reasons"), i), "Text");
}

static bool says(const struct fixture *f, const char *list, const char *words)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(f->told, list), i, item)
    {
        if (strstr(json_string_value(item), words) != NULL) {
            return true;
        }
    }
    return false;
}

static void assert_has(const struct fixture *f, const char *list, const char *words)
{
    if (!says(f, list, words)) {
        fail_msg("%s lacks \"%s\": %s", list, words, json_dumps(f->told, JSON_INDENT(2)));
    }
}

/* ---- Writing the catalog. */

struct wanted {
    const char *id;
    const char *name;
    const char *tag;
    const char *address;
    const char *term; /* of the PostgreSQL cluster "m"; NULL: no cluster */
};

static void put(struct fixture *f, size_t node, const struct wanted *wanted)
{
    const char *const tags[] = {wanted->tag};
    const struct catalog_pair meta[] = {
        {"pg_cluster", "m"}, {"pg_term", wanted->term != NULL ? wanted->term : ""}};
    const struct catalog_service service = {
        .id = wanted->id,
        .name = wanted->name,
        .address = wanted->address != NULL ? wanted->address : "",
        .tags = tags,
        .tag_count = wanted->tag != NULL ? 1 : 0,
        .meta = meta,
        .meta_count = wanted->term != NULL ? 2 : 0,
        .port = f->port++,
        .weight_passing = 1,
        .weight_warning = 1};

    assert_int_equal(catalog_put_service(f->all[node], ++f->now_ms, &service, NULL),
                     RC_OK);
}

static void put_check(struct fixture *f, size_t node, const char *id, const char *service,
                      enum check_status status, const char *type)
{
    const struct catalog_check check = {.id = id,
                                        .name = id,
                                        .notes = "new disk",
                                        .output = "connection refused\nand more",
                                        .service_id = service,
                                        .type = type,
                                        .definition = "",
                                        .status = status};

    assert_int_equal(catalog_put_check(f->all[node], ++f->now_ms, &check, NULL), RC_OK);
}

static void put_web(struct fixture *f)
{
    put(f, 0, &(struct wanted){.id = "web-1", .name = "web", .tag = "v1"});
    put(f, 0, &(struct wanted){.id = "web-2", .name = "web", .tag = "v2"});
    put(f, 1, &(struct wanted){.id = "web-3", .name = "web", .tag = "v1"});
    spread(f);
}

/* ---- Claims. */

static void short_names_are_completed_and_that_is_said(void **state)
{
    struct fixture *f = *state;
    static const char query[] =
        "{\"Name\":\"by-name\",\"Service\":{\"Service\":\"web\"}}";
    static const struct {
        const char *said;
        const char *name;
    } cases[] = {
        {"web", "web.service.rollcall."},
        {"WEB.service", "WEB.service.rollcall."},
        {"web.service.dc1", "web.service.dc1.rollcall."},
        {"v1.web", "v1.web.service.rollcall."},
        {"_web._tcp", "_web._tcp.service.rollcall."},
        {"pg1", "pg1.node.rollcall."},
        {"by-name", "by-name.query.rollcall."},
        {"nosuch", "nosuch.service.rollcall."},
        {"10.0.0.11", "11.0.0.10.in-addr.arpa."},
        {"2001:db8::1",
         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."},
    };

    put_web(f);
    assert_int_equal(prepared_book_add(f->book, query, sizeof query - 1), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        explain(f, cases[i].said, "A");
        assert_string_equal(text(f->told, "Name"), cases[i].name);
        assert_string_not_equal(text(f->told, "Completed"), "");
    }
}

static void whole_names_stay_as_they_are(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[] = {"web.service.rollcall.", "rollcall.",
                                        "example.com.", "web.", "1.0.0.10.in-addr.arpa."};

    put_web(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        explain(f, cases[i], "A");
        assert_string_equal(text(f->told, "Name"), cases[i]);
        assert_string_equal(text(f->told, "Completed"), "");
    }
    explain(f, "example.com", "A");
    assert_string_equal(text(f->told, "Name"), "example.com.");
}

static void what_is_no_name_is_refused_with_words(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(try_explain(f, "a..b", "A"), RC_EINVAL);
    assert_string_equal(f->error, "not a domain name: a..b");
    assert_int_equal(try_explain(f, "web", "NOPE"), RC_EINVAL);
    assert_non_null(strstr(f->error, "no such type: NOPE; known are A, AAAA, SRV"));
    assert_int_equal(try_explain(f, "web", "type65280"), RC_OK);
    assert_string_equal(text(answer(f, 0), "Type"), "TYPE65280");
}

static void reasons_name_the_check_with_the_first_line_of_its_output(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    put_check(f, 0, "http", "web-2", CHECK_CRITICAL, "http");
    explain(f, "web", "");

    assert_string_equal(reason(f, "web-2", 0),
                        "check \"http\" is critical: connection refused");
    assert_int_equal(json_array_size(json_object_get(instance(f, "web-1"), "Reasons")),
                     0);
    put_check(f, 0, "disk", "", CHECK_CRITICAL, "ttl");
    explain(f, "web", "");
    assert_string_equal(reason(f, "web-1", 0),
                        "the node's check \"disk\" is critical: connection refused");
}

static void reasons_name_maintenance_and_why(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    put_check(f, 0, "_service_maintenance:web-1", "web-1", CHECK_CRITICAL, "maintenance");
    explain(f, "web", "");
    assert_string_equal(reason(f, "web-1", 0), "the service is in maintenance: new disk");
}

static void reasons_name_the_node_that_failed(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    member(f, f->all[0], 1, CATALOG_FAILED);
    explain(f, "web", "");
    assert_string_equal(reason(f, "web-3", 0), "node \"pg1\" has failed");
    member(f, f->all[0], 1, CATALOG_SUSPECT);
    explain(f, "web", "");
    assert_true(json_is_true(json_object_get(instance(f, "web-3"), "Usable")));
    assert_has(f, "Notes", "node \"pg1\" is suspected; it counts");
}

static void reasons_name_the_holder_of_a_unique_tag_and_the_terms(void **state)
{
    struct fixture *f = *state;

    put(f, 0, &(struct wanted){"pg-1", "pg", "primary", NULL, "7"});
    put(f, 1, &(struct wanted){"pg-2", "pg", "primary", NULL, "5"});
    spread(f);
    explain(f, "primary.pg", "");

    assert_string_equal(
        reason(f, "pg-2", 0),
        "tag \"primary\" is held by \"pg-1\" on node \"web1\" with term 7; "
        "this one claims it with term 5");
    assert_int_equal(json_array_size(json_object_get(instance(f, "pg-1"), "Reasons")), 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(f->told, "TTL"), "Seconds")),
        0);
}

static void warnings_are_left_out_by_only_passing(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    put_check(f, 0, "c", "web-1", CHECK_WARNING, "ttl");
    explain(f, "web", "");
    assert_true(json_is_true(json_object_get(instance(f, "web-1"), "Usable")));
    f->options.only_passing = DNS_YES;
    explain(f, "web", "");
    assert_string_equal(reason(f, "web-1", 0),
                        "check \"c\" is warning: connection refused");
    assert_string_equal(reason(f, "web-1", 1),
                        "dns_config.only_passing leaves out warnings");
}

static void ttl_says_where_it_comes_from(void **state)
{
    struct fixture *f = *state;
    static const struct dns_service_ttl ttls[] = {{"*", 3}, {"web*", 5}};
    const json_t *ttl;

    put_web(f);
    f->options.service_ttls = ttls;
    f->options.service_ttl_count = 2;
    f->options.soa.min_ttl_s = 2;
    explain(f, "web", "");
    ttl = json_object_get(f->told, "TTL");
    assert_int_equal(json_integer_value(json_object_get(ttl, "Seconds")), 5);
    assert_string_equal(text(ttl, "From"), "dns_config.service_ttl \"web*\"");
    explain(f, "nosuch", "");
    ttl = json_object_get(f->told, "TTL");
    assert_int_equal(json_integer_value(json_object_get(ttl, "Seconds")), 2);
    assert_non_null(strstr(text(ttl, "From"), "dns_config.soa.min_ttl"));
    f->options.service_ttls = NULL;
    f->options.service_ttl_count = 0;
}

static void misspelt_names_get_the_nearest_ones(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *said;
        const char *meant;
    } cases[] = {
        {"wbe", "web.service.rollcall."},
        {"web.node", "web.service.rollcall."},
        {"pg3.node", "pg1.node.rollcall."},
        {"v3.web", "v1.web.service.rollcall."},
        {"web.rollcall", "web.service.rollcall."},
        {"web.servce.rollcall", "web.service.rollcall."},
        {"web.service.consul", "web.service.rollcall."},
        {"web.service.dc9.rollcall", "web.service.rollcall."},
        {"v1.web.service.consul", "v1.web.service.rollcall."},
        {"v1.wbe", "v1.web.service.rollcall."},
    };

    put_web(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        explain(f, cases[i].said, "A");
        assert_has(f, "Suggestions", cases[i].meant);
    }
    explain(f, "web", "A");
    assert_int_equal(json_array_size(json_object_get(f->told, "Suggestions")), 0);
    explain(f, "v9.wbe", "A"); /* somebody else's, as far as we know */
    assert_int_equal(json_array_size(json_object_get(f->told, "Suggestions")), 0);
    explain(f, "web.service.dc9.rollcall", "A");
    assert_has(f, "Notes", "no datacenter \"dc9\"");
}

static void forwards(void *context, const struct dns_name *name, struct rc_buffer *out)
{
    dns_way_write(context, name, out);
}

static void foreign_names_say_where_they_would_go(void **state)
{
    struct fixture *f = *state;
    struct dns_forward_route routes[] = {{.suffix = ""}, {.suffix = "corp.example"}};
    struct dns_forward_options options = {.routes = routes, .route_count = 2};

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rc_address_parse_ip(i == 0 ? "10.9.9.9" : "10.9.9.8", 53,
                                             &routes[i].servers[0]),
                         RC_OK);
        routes[i].server_count = 1;
    }

    explain(f, "example.com", "");
    assert_has(f, "Notes", "there is no recursor for it");
    assert_string_equal(text(answer(f, 0), "Status"), "REFUSED");
    f->ground.forwards = forwards;
    f->ground.context = &options;
    explain(f, "example.com", "");
    assert_has(f, "Notes", "forwarded to 10.9.9.9:53 (recursors)");
    assert_true(json_is_true(json_object_get(answer(f, 0), "Forwarded")));
    explain(f, "a.b.corp.example", "");
    assert_has(f, "Notes",
               "forwarded to 10.9.9.8:53 (dns_config.forward \"corp.example\")");
    put(f, 0,
        &(struct wanted){.id = "afar", .name = "afar", .address = "h.corp.example"});
    explain(f, "afar", "A");
    assert_has(f, "Notes",
               "the alias leads to another zone: its addresses are asked of 10.9.9.8");
    f->ground.forwards = NULL;
}

static void prepared_queries_say_which_and_why_not(void **state)
{
    struct fixture *f = *state;
    static const char query[] =
        "{\"Name\":\"geo-\",\"Template\":{\"Type\":\"name_prefix_match\"},"
        "\"Service\":{\"Service\":\"${name.suffix}\",\"OnlyPassing\":true,"
        "\"Tags\":[\"v1\",\"!old\"],\"ServiceMeta\":{\"zone\":\"a\"}}}";

    put_web(f);
    assert_int_equal(prepared_book_add(f->book, query, sizeof query - 1), RC_OK);
    explain(f, "geo-web.query", "");
    assert_string_equal(text(json_object_get(f->told, "Query"), "Service"), "web");
    assert_true(
        json_is_true(json_object_get(json_object_get(f->told, "Query"), "Template")));
    assert_string_equal(reason(f, "web-1", 0),
                        "the query wants an instance with metadata zone=a");
    assert_string_equal(reason(f, "web-2", 0), "it has no tag \"v1\"");
    explain(f, "other.query", "");
    assert_has(f, "Notes", "there is no prepared query \"other\"");
}

static bool shows(void *context, enum dns_sight_kind kind, const char *name)
{
    const struct fixture *f = context;

    (void)kind;
    return strcmp(name, f->hidden) != 0;
}

static void whoever_asks_sees_no_more_than_his_token_may(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    f->question.asker = (struct dns_sight){f, shows};
    f->hidden = "pg1";
    explain(f, "web", "");
    assert_int_equal(json_array_size(json_object_get(f->told, "Instances")), 2);
    assert_true(json_is_true(json_object_get(f->told, "Filtered")));
    assert_true(json_is_true(json_object_get(answer(f, 0), "Withheld")));
    assert_null(json_object_get(answer(f, 0), "Answer"));
    f->hidden = "web";
    explain(f, "web", "");
    assert_int_equal(json_array_size(json_object_get(f->told, "Instances")), 0);
    assert_true(json_is_true(json_object_get(answer(f, 0), "Withheld")));
    assert_int_equal(json_array_size(json_object_get(f->told, "Suggestions")), 0);
    f->hidden = "nosuch"; /* not even whether it is there */
    explain(f, "nosuch.service", "");
    assert_true(json_is_true(json_object_get(answer(f, 0), "Withheld")));
}

static void what_dns_itself_may_not_read_is_said(void **state)
{
    struct fixture *f = *state;

    put_web(f);
    f->ground.dns = (struct dns_sight){f, shows};
    f->hidden = "pg1";
    explain(f, "web", "");
    assert_string_equal(reason(f, "web-3", 0),
                        "the token that DNS asks with may not read node \"pg1\"");
}

static void limits_and_sizes_are_told(void **state)
{
    struct fixture *f = *state;
    char address[32];
    char id[32];

    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(address, sizeof address, "10.1.0.%u", i + 1);
        (void)snprintf(id, sizeof id, "many-%u", i);
        put(f, 0, &(struct wanted){.id = id, .name = "many", .address = address});
    }
    f->question.channel = DNS_CHANNEL_UDP_REMOTE;
    f->question.edns_size = 0;
    explain(f, "many", "A");
    const json_t *sizes = json_object_get(answer(f, 0), "Sizes");
    assert_true(json_is_true(json_object_get(json_array_get(sizes, 0), "Truncated")));
    assert_false(json_is_true(json_object_get(json_array_get(sizes, 2), "Truncated")));
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(sizes, 2), "Answers")), 60);

    size_t in = 0;
    const json_t *who;
    size_t i;
    json_array_foreach(json_object_get(answer(f, 0), "Instances"), i, who)
    {
        in += json_is_true(json_object_get(who, "In"));
        if (!json_is_true(json_object_get(who, "In"))) {
            assert_string_equal(text(who, "Why"),
                                "the answer has no room for it this time: ask by TCP");
        }
    }
    assert_int_equal(in, json_array_size(json_object_get(answer(f, 0), "Answer")));
    f->options.a_record_limit = 3;
    explain(f, "many", "A");
    assert_int_equal(json_array_size(json_object_get(answer(f, 0), "Answer")), 3);
    json_array_foreach(json_object_get(answer(f, 0), "Instances"), i, who)
    {
        if (!json_is_true(json_object_get(who, "In"))) {
            assert_string_equal(text(who, "Why"),
                                "dns_config.a_record_limit leaves it out this time");
        }
    }
}

/* ---- The explanation and the answer are one. */

static const char *pick(struct rc_random *random, const char *const *from, size_t count)
{
    return from[rc_random_below(random, count)];
}

static void fill(struct fixture *f, struct rc_random *random)
{
    static const char *const tags[] = {NULL, "v1", "V1", "primary", "v2"};
    static const char *const places[] = {
        NULL,       NULL,          "10.0.0.11", "10.2.0.1",
        "10.2.0.2", "2001:db8::1", "h1.test",   "pg1.node.rollcall"};
    static const char *const terms[] = {NULL, "3", "4", "5"};
    size_t count = 1 + (size_t)rc_random_below(random, 8);
    char id[16];
    char check[16];

    for (size_t i = 0; i < count; i++) {
        size_t node = (size_t)rc_random_below(random, 3);
        (void)snprintf(id, sizeof id, "s%zu", i);
        (void)snprintf(check, sizeof check, "c%zu", i);
        put(f, node,
            &(struct wanted){.id = id,
                             .name = "web",
                             .tag = pick(random, tags, 5),
                             .address = pick(random, places, 8),
                             .term = pick(random, terms, 4)});
        if (rc_random_below(random, 2) == 0) {
            put_check(f, node, check, id,
                      (enum check_status)rc_random_below(random, CHECK_STATUS_COUNT),
                      rc_random_below(random, 3) == 0 ? "maintenance" : "ttl");
        }
    }
    spread(f);
    for (size_t i = 1; i < 3; i++) {
        member(f, f->all[0], i,
               (enum catalog_liveness)rc_random_below(random, CATALOG_LEFT));
    }
}

/* Every port is one instance's alone. */
static bool answers_port(const json_t *srv, json_int_t port)
{
    char wanted[16];
    const json_t *record;
    size_t i;

    (void)snprintf(wanted, sizeof wanted, " %d ", (int)port);
    json_array_foreach(json_object_get(srv, "Answer"), i, record)
    {
        if (strstr(json_string_value(record), wanted) != NULL) {
            return true;
        }
    }
    return false;
}

static void compare(const struct fixture *f, const char *asked)
{
    const json_t *srv = answer(f, 2);
    const json_t *found;
    size_t usable = 0;
    size_t i;

    if (rc_text_equals(text(srv, "Status"), "SERVFAIL")) {
        assert_int_equal(json_array_size(json_object_get(srv, "Answer")), 0);
        return;
    }
    json_array_foreach(json_object_get(f->told, "Instances"), i, found)
    {
        bool is_usable = json_is_true(json_object_get(found, "Usable"));
        bool is_in = json_is_true(
            json_object_get(json_array_get(json_object_get(srv, "Instances"), i), "In"));
        bool is_told =
            answers_port(srv, json_integer_value(json_object_get(found, "Port")));
        usable += is_usable;
        if (is_usable != is_told || is_in != is_told) {
            fail_msg("%s, %s: usable %d, in %d, told %d:\n%s", asked, text(found, "ID"),
                     is_usable, is_in, is_told, json_dumps(f->told, JSON_INDENT(1)));
        }
    }
    assert_int_equal(usable, json_array_size(json_object_get(srv, "Answer")));
}

static void instances_said_to_be_in_are_those_in_the_answer(void **state)
{
    static const char *const asked[] = {"web",      "v1.web",  "primary.web",
                                        "_web._v2", "q.query", "picky.query"};
    static const char query[] = "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}";
    static const char picky[] =
        "{\"Name\":\"picky\",\"Service\":{\"Service\":\"web\",\"OnlyPassing\":true,"
        "\"Tags\":[\"!v2\"],\"IgnoreCheckIDs\":[\"c0\",\"c1\"],\"ServiceMeta\":"
        "{\"pg_cluster\":\"m\"}}}";
    struct rc_random random;

    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
        struct fixture *f = *state;
        rc_random_init(&random, seed);
        fill(f, &random);
        f->options.only_passing = rc_random_below(&random, 2) == 0 ? DNS_YES : DNS_NO;
        assert_int_equal(prepared_book_add(f->book, query, sizeof query - 1), RC_OK);
        assert_int_equal(prepared_book_add(f->book, picky, sizeof picky - 1), RC_OK);
        for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
            explain(f, asked[i], "");
            compare(f, asked[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_names_are_completed_and_that_is_said,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(whole_names_stay_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_name_is_refused_with_words, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            reasons_name_the_check_with_the_first_line_of_its_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reasons_name_maintenance_and_why, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reasons_name_the_node_that_failed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            reasons_name_the_holder_of_a_unique_tag_and_the_terms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warnings_are_left_out_by_only_passing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ttl_says_where_it_comes_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(misspelt_names_get_the_nearest_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(foreign_names_say_where_they_would_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(prepared_queries_say_which_and_why_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whoever_asks_sees_no_more_than_his_token_may,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_dns_itself_may_not_read_is_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(limits_and_sizes_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_said_to_be_in_are_those_in_the_answer,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
