#include "tests/unit/dns_catalogs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

enum { PACKET_MAX = 1400 };

static const char *const names[] = {"pg1", "pg2"};
static const char *const addresses[] = {"10.0.0.51", "10.0.0.52"};

static struct catalog *create(const char *name, const char *address)
{
    const struct catalog_options options = {.node_name = name,
                                            .datacenter = "dc1",
                                            .seed = 1,
                                            .wall_ms = DNS_CATALOGS_WALL_MS};
    struct catalog_node node = {
        .name = name, .id = "", .address = address, .datacenter = "dc1"};
    struct catalog *catalog;

    assert_int_equal(catalog_create(&options, &catalog), RC_OK);
    assert_int_equal(catalog_set_node(catalog, 1, &node, NULL), RC_OK);
    return catalog;
}

void dns_catalogs_member(struct dns_catalogs *f, size_t i, enum catalog_liveness liveness)
{
    const struct catalog_member event = {
        .name = names[i], .address = addresses[i], .liveness = liveness, .peer = true};
    catalog_member_event(f->ours, ++f->now_ms, DNS_CATALOGS_WALL_MS, &event);
}

void dns_catalogs_spread(struct dns_catalogs *f)
{
    uint8_t packet[PACKET_MAX];
    size_t size;

    f->now_ms += 1000;
    for (size_t i = 0; i < 2; i++) {
        catalog_tick(f->theirs[i], f->now_ms);
        while ((size = catalog_fill(f->theirs[i], f->now_ms, packet, PACKET_MAX)) > 0) {
            (void)catalog_receive(f->ours, f->now_ms, names[i], packet, size);
        }
    }
}

void dns_catalogs_turn(struct dns_catalogs *f)
{
    const struct catalog_change *changes = NULL;
    size_t count = catalog_take_changes(f->ours, &changes);

    dns_feed_turn(f->feed, changes, count);
}

static uint64_t serial(void *context)
{
    const struct dns_catalogs *f = context;
    return dns_gate_serial(&f->gate);
}

static bool shows(void *context, enum dns_gate_kind kind, const char *name)
{
    const struct dns_catalogs *f = context;
    return dns_gate_shows(&f->gate, kind, name);
}

int dns_catalogs_set_up(void **state)
{
    static struct dns_catalogs fixture;
    struct dns_catalogs *f = &fixture;
    const struct dns_gate gate = {f, serial, shows};

    memset(f, 0, sizeof *f);
    f->now_ms = 1;
    f->ours = create("web1", "10.0.0.11");
    for (size_t i = 0; i < 2; i++) {
        const struct catalog_member us = {.name = "web1",
                                          .address = "10.0.0.11",
                                          .liveness = CATALOG_ALIVE,
                                          .peer = true};
        f->theirs[i] = create(names[i], addresses[i]);
        catalog_member_event(f->theirs[i], 1, DNS_CATALOGS_WALL_MS, &us);
        dns_catalogs_member(f, i, CATALOG_ALIVE);
    }
    assert_int_equal(dns_board_create("dc1", 1, &f->board), RC_OK);
    assert_int_equal(dns_board_join(f->board, &f->reader), RC_OK);
    assert_int_equal(dns_feed_create(f->ours, f->board, &gate, &f->feed), RC_OK);
    f->view = dns_board_view(f->reader);
    *state = f;
    return 0;
}

int dns_catalogs_tear_down(void **state)
{
    struct dns_catalogs *f = *state;

    dns_feed_destroy(f->feed);
    dns_board_destroy(f->board);
    catalog_destroy(f->ours);
    catalog_destroy(f->theirs[0]);
    catalog_destroy(f->theirs[1]);
    return 0;
}

void dns_catalogs_put(struct dns_catalogs *f, struct catalog *catalog, const char *id,
                      const char *tag, uint64_t term)
{
    const char *const tags[] = {tag};
    const struct catalog_service service = {.id = id,
                                            .name = "Postgres",
                                            .address = "",
                                            .tags = tags,
                                            .tag_count = 1,
                                            .port = 5432,
                                            .weight_passing = 3,
                                            .weight_warning = 1,
                                            .term = term};
    assert_int_equal(catalog_put_service(catalog, ++f->now_ms, &service, NULL), RC_OK);
}

void dns_catalogs_check(struct dns_catalogs *f, struct catalog *catalog,
                        const char *service, enum check_status status)
{
    const struct catalog_check values = {.id = "check",
                                         .name = "check",
                                         .notes = "",
                                         .output = "",
                                         .service_id = service,
                                         .type = "ttl",
                                         .definition = "",
                                         .status = status};
    assert_int_equal(catalog_put_check(catalog, ++f->now_ms, &values, NULL), RC_OK);
}
