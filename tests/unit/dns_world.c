#include "tests/unit/dns_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/answer/ready.h"

enum { NODES_MAX = 16, SERVICES_MAX = 32, INSTANCES_MAX = 6000, TAGS_MAX = 2 };

struct dns_world {
    struct dns_view view;
    struct dns_node nodes[NODES_MAX];
    size_t node_count;
    struct dns_service services[SERVICES_MAX];
    struct dns_shelf shelves[SERVICES_MAX];
    size_t service_count;
    struct dns_instance instances[INSTANCES_MAX];
    size_t instance_count;
    struct dns_picked query; /* "q1" */
    struct dns_instance picked[INSTANCES_MAX];
    uint64_t index;
};

/* One instance of the recorded set-up. */
struct row {
    const char *service;
    const char *node;
    const char *address; /* "": the node's */
    uint16_t port;
    uint16_t weight;
    enum dns_health health;
    const char *tags[TAGS_MAX + 1];
};

static const struct row rows[] = {
    {"web", "node1", "10.0.0.11", 8080, 1, DNS_HEALTH_PASSING, {"v1", "primary"}},
    {"web", "node1", "", 8081, 2, DNS_HEALTH_WARNING, {"v2"}},
    {"web", "node1", "10.0.0.13", 8082, 1, DNS_HEALTH_UNUSABLE, {"v1"}},
    {"six", "node1", "2001:db8::5", 9000, 1, DNS_HEALTH_PASSING, {0}},
    {"dual", "node1", "10.0.0.44", 9010, 1, DNS_HEALTH_PASSING, {0}},
    {"dual", "node1", "2001:db8::44", 9011, 1, DNS_HEALTH_PASSING, {0}},
    {"fq", "node1", "db.example.test", 9001, 1, DNS_HEALTH_PASSING, {0}},
    {"infq", "node1", "web.service.consul", 9002, 1, DNS_HEALTH_PASSING, {0}},
    {"self", "node1", "self.service.rollcall", 9005, 1, DNS_HEALTH_PASSING, {0}},
    {"here", "node1", "there.service.consul", 9006, 1, DNS_HEALTH_PASSING, {0}},
    {"there", "node1", "here.service.rollcall", 9007, 1, DNS_HEALTH_PASSING, {0}},
    {"fork", "node1", "infq.service.rollcall", 9012, 1, DNS_HEALTH_PASSING, {0}},
    {"fork", "node1", "infq.service.consul", 9013, 1, DNS_HEALTH_PASSING, {0}},
    {"down", "node1", "10.0.0.66", 9003, 1, DNS_HEALTH_UNUSABLE, {0}},
    {"noport", "node1", "", 0, 1, DNS_HEALTH_PASSING, {0}},
    {"under_score", "node1", "10.0.0.77", 7000, 1, DNS_HEALTH_PASSING, {"a.b", "UPPER"}},
    {"pgdemo", "node1", "10.0.0.51", 5432, 1, DNS_HEALTH_PASSING, {"master", "primary"}},
    {"pgdemo", "node1", "10.0.0.52", 5432, 1, DNS_HEALTH_PASSING, {"replica"}},
    {"onn2", "node2", "", 9004, 1, DNS_HEALTH_PASSING, {0}},
    {"ext", "ext1", "", 80, 1, DNS_HEALTH_PASSING, {0}},
    {"extfq", "extfq", "", 81, 1, DNS_HEALTH_PASSING, {0}},
    {"onsick", "sick", "", 82, 1, DNS_HEALTH_UNUSABLE, {0}},
    {"twice", "node2", "", 99, 1, DNS_HEALTH_PASSING, {0}},
    {"twice", "node2", "", 99, 1, DNS_HEALTH_PASSING, {0}},
    {"twice", "node2", "", 98, 1, DNS_HEALTH_PASSING, {0}},
    {"twice", "node1", "db.example.test", 99, 1, DNS_HEALTH_PASSING, {0}},
    {"twice", "node1", "DB.example.test", 99, 1, DNS_HEALTH_PASSING, {0}},
    {"v6n", "Dotted.Node", "", 83, 1, DNS_HEALTH_PASSING, {0}},
};

static const struct dns_meta node1_meta[] = {
    {"rack", "r1"}, {"rfc1035-note", "value only"}, {"consul-network-segment", ""}};
static const struct dns_meta node2_meta[] = {{"rack", "r2"},
                                             {"consul-network-segment", ""}};
static const struct dns_meta ext1_meta[] = {{"external", "yes"}};

static struct dns_place place_of(const char *address)
{
    struct dns_place place = {.host = NULL};

    if (address[0] != '\0' && rc_address_parse_ip(address, 0, &place.ip) != RC_OK) {
        memset(&place.ip, 0, sizeof place.ip);
        place.host = address;
    }
    return place;
}

static void add_node(struct dns_world *world, const char *name, const char *address,
                     const struct dns_meta *meta, size_t meta_count)
{
    assert(world->node_count < NODES_MAX);
    world->nodes[world->node_count++] = (struct dns_node){
        .name = name, .place = place_of(address), .meta = meta, .meta_count = meta_count};
}

static struct dns_node *find_node(struct dns_world *world, struct rc_span name)
{
    for (size_t i = 0; i < world->node_count; i++) {
        if (rc_span_equals_nocase(name, world->nodes[i].name)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static struct dns_service *find_service(struct dns_world *world, struct rc_span name)
{
    for (size_t i = 0; i < world->service_count; i++) {
        if (rc_span_equals_nocase(name, world->services[i].name)) {
            return &world->services[i];
        }
    }
    return NULL;
}

/* In the agent a changed service is another service. */
static void renew_services(struct dns_world *world)
{
    for (size_t i = 0; i < world->service_count; i++) {
        dns_shelf_clear(&world->shelves[i]);
    }
}

/* Instances of one service must be added in a row. */
static struct dns_instance *add_instance(struct dns_world *world, const char *service,
                                         const char *node)
{
    struct dns_service *found = find_service(world, rc_span_of(service));

    assert(world->instance_count < INSTANCES_MAX);
    struct dns_instance *instance = &world->instances[world->instance_count++];
    if (found == NULL) {
        assert(world->service_count < SERVICES_MAX);
        found = &world->services[world->service_count];
        found->shelf = &world->shelves[world->service_count++];
        found->name = service;
        found->instances = instance;
    }
    found->instance_count++;
    instance->node = find_node(world, rc_span_of(node));
    assert(instance->node != NULL);
    instance->service_id = service;
    instance->weight = 1;
    return instance;
}

static void add_rows(struct dns_world *world)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct dns_instance *instance = add_instance(world, row->service, row->node);
        instance->place = place_of(row->address);
        instance->port = row->port;
        instance->weight = row->weight;
        instance->health = row->health;
        instance->tags = row->tags;
        while (row->tags[instance->tag_count] != NULL) {
            instance->tag_count++;
        }
    }
}

static void add_many(struct dns_world *world)
{
    for (uint8_t i = 1; i <= 40; i++) {
        struct dns_instance *instance = add_instance(world, "many", "node1");
        const uint8_t ip[] = {10, 0, 1, i};
        (void)rc_address_from_bytes(ip, sizeof ip, 0, &instance->place.ip);
        instance->port = (uint16_t)(6000 + i - 1);
    }
}

void dns_world_add(struct dns_world *world, const char *service, size_t count)
{
    renew_services(world);
    for (size_t i = 0; i < count; i++) {
        struct dns_instance *instance = add_instance(world, service, "node1");
        const uint8_t ip[] = {10, 200, (uint8_t)(i >> 8), (uint8_t)i};
        (void)rc_address_from_bytes(ip, sizeof ip, 0, &instance->place.ip);
        instance->port = (uint16_t)(7000 + i);
    }
}

static void view_begin(void *context)
{
    (void)context; /* nothing here is made for one answer only */
}

static const struct dns_service *view_service(void *context, struct rc_span name)
{
    return find_service(context, name);
}

/* One query there was: service web, not those tagged v2, TTL 17 s; one that sorts; one that
 * picks nobody. */
static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    struct dns_world *world = context;
    const struct dns_service *web = find_service(world, rc_span_of("web"));
    size_t count = 0;

    *certainty = rc_span_equals(name, "onitsway") ? DNS_UNCERTAIN : DNS_CERTAIN;
    if (rc_span_equals(name, "near.many")) {
        const struct dns_service *many = find_service(world, rc_span_of("many"));
        assert(many != NULL);
        world->query = (struct dns_picked){.service = *many, .order = DNS_ORDER_KEPT};
        return &world->query;
    }
    if (rc_span_equals(name, "nobody")) {
        world->query = (struct dns_picked){.service = {.name = "web"}};
        return &world->query;
    }
    if (!rc_span_equals(name, "q1")) {
        return NULL;
    }
    assert(web != NULL);
    for (size_t i = 0; i < web->instance_count; i++) {
        const struct dns_instance *instance = &web->instances[i];
        if (instance->health != DNS_HEALTH_UNUSABLE &&
            (instance->tag_count == 0 || strcmp(instance->tags[0], "v2") != 0)) {
            world->picked[count++] = *instance;
        }
    }
    world->query = (struct dns_picked){
        .service = {.name = "web", .instances = world->picked, .instance_count = count},
        .has_ttl = true,
        .ttl_s = 17};
    return &world->query;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    return find_node(context, name);
}

static bool view_node_below(void *context, struct rc_span name)
{
    struct dns_world *world = context;

    for (size_t i = 0; i < world->node_count; i++) {
        const char *dot = strchr(world->nodes[i].name, '.');
        if (dot != NULL && rc_span_equals_nocase(name, dot + 1)) {
            return true;
        }
    }
    return false;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    struct dns_world *world = context;

    for (size_t i = 0; i < world->node_count; i++) {
        if (rc_address_ip_equals(ip, &world->nodes[i].place.ip)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static const char *view_service_at(void *context, const struct rc_address *ip)
{
    struct dns_world *world = context;

    for (size_t i = 0; i < world->instance_count; i++) {
        if (world->instances[i].health != DNS_HEALTH_UNUSABLE &&
            rc_address_ip_equals(ip, &world->instances[i].place.ip)) {
            return world->instances[i].service_id;
        }
    }
    return NULL;
}

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    const struct dns_world *world = context;

    out[0] = &world->nodes[0];
    return 1;
}

static uint64_t view_index(void *context)
{
    const struct dns_world *world = context;
    return world->index;
}

struct dns_world *dns_world_create(const char *node1_ip)
{
    struct dns_world *world = calloc(1, sizeof *world);

    if (world == NULL) {
        abort();
    }
    add_node(world, "node1", node1_ip, node1_meta, 3);
    add_node(world, "node2", "127.0.0.11", node2_meta, 2);
    add_node(world, "ext1", "192.0.2.10", ext1_meta, 1);
    add_node(world, "extfq", "node.example.test", NULL, 0);
    add_node(world, "sick", "192.0.2.20", NULL, 0);
    add_node(world, "Dotted.Node", "192.0.2.30", NULL, 0);
    add_node(world, "v6node", "2001:db8::99", NULL, 0);
    add_rows(world);
    add_many(world);
    world->index = 1795190723;
    world->view = (struct dns_view){.context = world,
                                    .datacenter = "dc1",
                                    .begin = view_begin,
                                    .service = view_service,
                                    .query = view_query,
                                    .node = view_node,
                                    .node_below = view_node_below,
                                    .node_at = view_node_at,
                                    .service_at = view_service_at,
                                    .name_servers = view_name_servers,
                                    .index = view_index};
    return world;
}

void dns_world_destroy(struct dns_world *world)
{
    renew_services(world);
    free(world);
}

const struct dns_view *dns_world_view(struct dns_world *world)
{
    return &world->view;
}

void dns_world_set_health(struct dns_world *world, const char *service,
                          enum dns_health health)
{
    renew_services(world);
    for (size_t i = 0; i < world->instance_count; i++) {
        if (strcmp(world->instances[i].service_id, service) == 0) {
            world->instances[i].health = health;
        }
    }
}

void dns_world_silence_node(struct dns_world *world, const char *node,
                            uint64_t since_wall_ms)
{
    struct dns_node *found = find_node(world, rc_span_of(node));

    assert(found != NULL);
    found->is_silent = true;
    found->silent_since_wall_ms = since_wall_ms;
}

void dns_world_tell(struct dns_world *world, const char *service,
                    const struct dns_meta *meta, size_t count)
{
    for (size_t i = 0; i < world->instance_count; i++) {
        if (strcmp(world->instances[i].service_id, service) == 0) {
            world->instances[i].meta = meta;
            world->instances[i].meta_count = count;
        }
    }
}

void dns_world_forget_node(struct dns_world *world, const char *node)
{
    struct dns_node *found = find_node(world, rc_span_of(node));

    assert(found != NULL);
    renew_services(world);
    found->name = "(gone)";
    memset(&found->place, 0, sizeof found->place);
}

void dns_world_set_index(struct dns_world *world, uint64_t index)
{
    world->index = index;
}
