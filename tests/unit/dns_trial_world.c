#include "tests/unit/dns_trial_world.h"

#include <string.h>

#include "base/err.h"
#include "base/writer.h"
#include "dns/wire/message.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char label63[] =
    "a23456789012345678901234567890123456789012345678901234567890123";

static const char *const node_names[] = {"node1",   "Node.Two", "bad name..",   "x_y",
                                         "service", label63,    "n_seven.eight"};
static const char *const service_names[] = {
    "web", "db", "a.b", "_x", "primary", "node1", label63, "q", "\303\244", "service"};
static const char *const hosts[] = {"web.service.x",   "node1.node.dc1.x",
                                    "www.example.org", "0a000001.addr.x",
                                    "not..a.host",     "db.service.y.x"};
static const char *const tags[] = {"v1", "Primary", "a.b", "tcp", "_t", "master"};
static const char *const domains[] = {"x", "consul.test", "Roll.Call"};
static const char *const alt_domains[] = {NULL, "z", "y.x", "consul.test", "dc1.x"};
static const char *const datacenters[] = {"dc1", "",   "node",   "d.c",
                                          "_q",  "NS", "service"};

size_t trial_choose(struct trial_bytes *bytes, size_t bound)
{
    if (bytes->left == 0) {
        return 0;
    }
    bytes->left--;
    return *bytes->at++ % bound;
}

static enum dns_choice choose_flag(struct trial_bytes *bytes, size_t one_in)
{
    return trial_choose(bytes, one_in) == 1 ? DNS_YES : DNS_NO;
}

/* Few addresses, so that several instances share one. */
static struct dns_place place_of(struct trial_world *world, struct trial_bytes *bytes)
{
    struct dns_place place = {.host = NULL};
    size_t choice = trial_choose(bytes, 16);

    if (choice < 10) {
        place.ip.family = RC_ADDRESS_IPV4;
        memcpy(place.ip.ip, (const uint8_t[]){10, 0, 0, (uint8_t)(1 + choice / 2)}, 4);
    } else if (choice < 13) {
        place.ip.family = RC_ADDRESS_IPV6;
        memcpy(place.ip.ip, (const uint8_t[]){0x20, 1, (uint8_t)choice}, 3);
    } else if (choice == 13 && world->has_hosts) {
        place.host = hosts[trial_choose(bytes, COUNT(hosts))];
    }
    return place;
}

static void fill_nodes(struct trial_world *world, struct trial_bytes *bytes)
{
    static const struct dns_meta meta[] = {
        {"rack", "r1"}, {"rfc1035-x", "y"}, {"a=b`", "c"}};

    size_t first = trial_choose(bytes, COUNT(node_names));

    world->node_count = 1 + trial_choose(bytes, TRIAL_NODES_MAX);
    for (size_t i = 0; i < world->node_count; i++) {
        struct dns_node *node = &world->nodes[i];
        node->name = node_names[(first + i) % COUNT(node_names)];
        node->place = place_of(world, bytes);
        node->meta = meta;
        node->meta_count = trial_choose(bytes, COUNT(meta) + 1);
        node->is_silent = choose_flag(bytes, 4) == DNS_YES;
    }
}

/* Many at addresses of their own, which cost no bytes. */
static void fill_row(struct trial_world *world, struct dns_instance *instances,
                     size_t count)
{
    memset(instances, 0, count * sizeof *instances);
    for (size_t i = 0; i < count; i++) {
        struct rc_address *ip = &instances[i].place.ip;
        instances[i].node = &world->nodes[0];
        instances[i].service_id = "";
        instances[i].port = (uint16_t)i;
        ip->family = RC_ADDRESS_IPV4;
        memcpy(ip->ip, (const uint8_t[]){10, 1, (uint8_t)(i >> 8), (uint8_t)i}, 4);
    }
}

static void fill_mixed(struct trial_world *world, struct dns_instance *instances,
                       size_t count, struct trial_bytes *bytes)
{
    static const enum dns_health healths[] = {DNS_HEALTH_PASSING, DNS_HEALTH_PASSING,
                                              DNS_HEALTH_WARNING, DNS_HEALTH_UNUSABLE};

    memset(instances, 0, count * sizeof *instances);
    for (size_t i = 0; i < count; i++) {
        size_t first_tag = trial_choose(bytes, COUNT(tags) + 1);
        size_t left = COUNT(tags) - first_tag;
        instances[i].node = &world->nodes[trial_choose(bytes, world->node_count)];
        instances[i].service_id = "";
        instances[i].place = place_of(world, bytes);
        instances[i].health = healths[trial_choose(bytes, COUNT(healths))];
        instances[i].tags = tags + first_tag;
        instances[i].tag_count = left < 2 ? left : 2;
        instances[i].port = (uint16_t)trial_choose(bytes, 3);
    }
}

static void fill_services(struct trial_world *world, struct trial_bytes *bytes)
{
    static const size_t rows[] = {1, 2, 5, 33, 64, 100, 600, 1100};
    size_t name = trial_choose(bytes, COUNT(service_names));

    world->service_count = 1 + trial_choose(bytes, TRIAL_SERVICES_MAX);
    for (size_t i = 0; i < world->service_count; i++) {
        struct dns_service *service = &world->services[i];
        service->name = service_names[(name + i) % COUNT(service_names)];
        service->instances = world->instances[i];
        service->shelf = &world->shelves[i];
        if (trial_choose(bytes, 3) == 0) {
            service->instance_count = rows[trial_choose(bytes, COUNT(rows))];
            fill_row(world, world->instances[i], service->instance_count);
        } else {
            service->instance_count = trial_choose(bytes, 24);
            fill_mixed(world, world->instances[i], service->instance_count, bytes);
        }
    }
}

static void fill_options(struct trial_world *world, struct trial_bytes *bytes)
{
    struct dns_options *options = &world->options;

    dns_options_init(options);
    options->domain = domains[trial_choose(bytes, COUNT(domains))];
    options->alt_domain = alt_domains[trial_choose(bytes, COUNT(alt_domains))];
    options->node_ttl_s = (uint32_t)trial_choose(bytes, 3);
    world->ttls[0] = (struct dns_service_ttl){"*", 5};
    world->ttls[1] = (struct dns_service_ttl){"web", 70000};
    options->service_ttls = world->ttls;
    options->service_ttl_count = trial_choose(bytes, 3);
    options->only_passing = choose_flag(bytes, 2);
    options->enable_truncate = choose_flag(bytes, 8) == DNS_YES ? DNS_NO : DNS_YES;
    options->node_meta_txt = choose_flag(bytes, 8);
    options->empty_service_ok = choose_flag(bytes, 4);
    options->disable_compression = choose_flag(bytes, 16);
    options->consul_compat = choose_flag(bytes, 8);
    options->udp_answer_limit = (uint32_t)(trial_choose(bytes, 3) * 3);
    options->a_record_limit = (uint32_t)(trial_choose(bytes, 3) * 4);
    options->soa.min_ttl_s = (uint32_t)trial_choose(bytes, 3);
}

static void view_begin(void *context)
{
    (void)context;
}

/* The first of that name, as on the board there is but one. */
static const struct dns_service *view_service(void *context, struct rc_span name)
{
    struct trial_world *world = context;

    for (size_t i = 0; i < world->service_count; i++) {
        if (rc_span_equals_nocase(name, world->services[i].name)) {
            return &world->services[i];
        }
    }
    return NULL;
}

static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    struct trial_world *world = context;

    *certainty = (enum dns_certainty)(name.size % 3);
    if (name.size == 0 || name.at[0] != 'q') {
        return NULL;
    }
    world->picked.service = world->services[0];
    world->picked.order = name.size % 2 == 0 ? DNS_ORDER_KEPT : DNS_ORDER_SHUFFLED;
    world->picked.has_ttl = name.size % 4 == 0;
    world->picked.ttl_s = 17;
    return &world->picked;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    struct trial_world *world = context;

    for (size_t i = 0; i < world->node_count; i++) {
        if (rc_span_equals_nocase(name, world->nodes[i].name)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    struct trial_world *world = context;

    return rc_address_ip_equals(ip, &world->nodes[0].place.ip) ? &world->nodes[0] : NULL;
}

static const char *view_service_at(void *context, const struct rc_address *ip)
{
    struct trial_world *world = context;

    return ip->ip[0] == 10 ? world->services[0].name : NULL;
}

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    struct trial_world *world = context;
    size_t count = 0;

    while (count < world->node_count && count < DNS_NAME_SERVERS_MAX) {
        out[count] = &world->nodes[count];
        count++;
    }
    return count;
}

static uint64_t view_index(void *context)
{
    const struct trial_world *world = context;
    return world->index;
}

void trial_world_fill(struct trial_world *world, struct trial_bytes *bytes)
{
    memset(world->nodes, 0, sizeof world->nodes);
    memset(world->services, 0, sizeof world->services);
    memset(world->shelves, 0, sizeof world->shelves);
    fill_options(world, bytes);
    world->index = choose_flag(bytes, 32) == DNS_YES ? 0 : 77;
    const char *datacenter = datacenters[trial_choose(bytes, 2) == 0
                                             ? 0
                                             : trial_choose(bytes, COUNT(datacenters))];
    world->has_hosts = choose_flag(bytes, 4) == DNS_YES;
    fill_nodes(world, bytes);
    fill_services(world, bytes);
    world->view = (struct dns_view){.context = world,
                                    .datacenter = datacenter,
                                    .begin = view_begin,
                                    .service = view_service,
                                    .query = view_query,
                                    .node = view_node,
                                    .node_at = view_node_at,
                                    .service_at = view_service_at,
                                    .name_servers = view_name_servers,
                                    .index = view_index};
}

void trial_world_clear(struct trial_world *world)
{
    for (size_t i = 0; i < world->service_count; i++) {
        dns_shelf_clear(&world->shelves[i]);
    }
}

static void add_label(struct rc_writer *out, const char *text)
{
    size_t size = strlen(text);

    rc_writer_u8(out, (uint8_t)size);
    rc_writer_bytes(out, text, size);
}

/* Each dot ends a label, or one stands in it: which no text can say. */
static void add_text(struct rc_writer *out, const char *text, struct trial_bytes *bytes)
{
    if (trial_choose(bytes, 16) == 1) {
        add_label(out, text);
        return;
    }
    while (*text != '\0') {
        size_t size = strcspn(text, ".");
        if (size > 0) {
            rc_writer_u8(out, (uint8_t)size);
            rc_writer_bytes(out, text, size);
        }
        text += size;
        text += *text == '.' ? 1 : 0;
    }
}

/* What stands left of the kind. */
static void add_subject(struct rc_writer *out, const struct trial_world *world,
                        struct trial_bytes *bytes)
{
    static const char *const others[] = {"absent", "_web._tcp",    "_web._v1",
                                         "x._web", "_db._primary", "0a000001",
                                         "_",      "q1.q"};

    size_t choice = trial_choose(bytes, 8);
    if (choice == 7) {
        add_text(out, others[trial_choose(bytes, COUNT(others))], bytes);
    } else if (choice < 5) {
        size_t tag = trial_choose(bytes, 3 * COUNT(tags));
        if (tag < COUNT(tags)) {
            add_text(out, tags[tag], bytes);
        }
        add_text(out, world->services[trial_choose(bytes, world->service_count)].name,
                 bytes);
    } else {
        add_text(out, world->nodes[trial_choose(bytes, world->node_count)].name, bytes);
    }
}

static void add_name(struct rc_writer *out, const struct trial_world *world,
                     struct trial_bytes *bytes)
{
    static const char *const kinds[] = {"service", "service", "service", "node",
                                        "node",    "addr",    "query",   "connect"};
    static const char *const strangers[] = {"1.0.0.10.in-addr.arpa", "www.example.org",
                                            "ns.x", "", "service.x"};
    const struct dns_options *options = &world->options;
    uint8_t *start = out->at;

    if (trial_choose(bytes, 16) == 1) {
        add_text(out, strangers[trial_choose(bytes, COUNT(strangers))], bytes);
    } else {
        bool is_alt = options->alt_domain != NULL && trial_choose(bytes, 4) == 1;
        if (trial_choose(bytes, 16) != 1) {
            add_subject(out, world, bytes);
            add_label(out, kinds[trial_choose(bytes, COUNT(kinds))]);
        }
        if (trial_choose(bytes, 3) == 1) {
            add_text(out, world->view.datacenter, bytes);
        }
        add_text(out, is_alt ? options->alt_domain : options->domain, bytes);
    }
    rc_writer_u8(out, 0);
    if (trial_choose(bytes, 4) == 1) {
        for (uint8_t *byte = start; byte < out->at; byte++) {
            *byte = *byte >= 'a' && *byte <= 'z' ? (uint8_t)(*byte & ~0x20) : *byte;
        }
    }
}

static void add_opt(struct rc_writer *out, struct trial_bytes *bytes)
{
    static const uint16_t sizes[] = {4096, 0, 512, 513, 700, 1232, 8192, 65535};
    static const uint8_t cookie[] = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0};

    rc_writer_u8(out, 0);
    rc_writer_u16(out, DNS_TYPE_OPT);
    rc_writer_u16(out, sizes[trial_choose(bytes, COUNT(sizes))]);
    rc_writer_u8(out, 0);
    rc_writer_u8(out, trial_choose(bytes, 16) == 1 ? 1 : 0);
    rc_writer_u16(out, trial_choose(bytes, 2) == 1 ? 0xffff : 0);
    if (trial_choose(bytes, 8) == 1) {
        rc_writer_u16(out, sizeof cookie);
        rc_writer_bytes(out, cookie, sizeof cookie);
    } else {
        rc_writer_u16(out, 0);
    }
}

static void add_question(struct rc_writer *out, const struct trial_world *world,
                         struct trial_bytes *bytes)
{
    static const uint16_t common[] = {DNS_TYPE_A, DNS_TYPE_SRV, DNS_TYPE_AAAA};
    static const uint16_t types[] = {DNS_TYPE_ANY, DNS_TYPE_TXT,  DNS_TYPE_SOA,
                                     DNS_TYPE_NS,  DNS_TYPE_PTR,  DNS_TYPE_CNAME,
                                     65280,        DNS_TYPE_AXFR, DNS_TYPE_OPT};
    static const uint16_t flags[] = {DNS_FLAG_RD,
                                     DNS_FLAG_RD,
                                     0,
                                     DNS_FLAG_CD,
                                     DNS_FLAG_RD | 0x0260,
                                     0x2000,
                                     DNS_FLAG_RD | DNS_FLAG_AD};
    bool has_opt = trial_choose(bytes, 3) != 1;

    rc_writer_u16(out, 0xabcd);
    rc_writer_u16(out, flags[trial_choose(bytes, COUNT(flags))]);
    rc_writer_u32(out, 1U << 16);
    rc_writer_u32(out, has_opt ? 1 : 0);
    add_name(out, world, bytes);
    rc_writer_u16(out, trial_choose(bytes, 4) < 3
                           ? common[trial_choose(bytes, COUNT(common))]
                           : types[trial_choose(bytes, COUNT(types))]);
    rc_writer_u16(out, trial_choose(bytes, 32) == 1 ? 3 : DNS_CLASS_IN);
    if (has_opt) {
        add_opt(out, bytes);
    }
    if (trial_choose(bytes, 64) == 1) {
        rc_writer_u8(out, 0);
    }
}

void trial_query_fill(struct trial_query *query, const struct trial_world *world,
                      struct trial_bytes *bytes)
{
    struct rc_writer out = rc_writer_over(query->bytes, sizeof query->bytes);

    query->channel = (enum dns_channel)trial_choose(bytes, 3);
    if (trial_choose(bytes, 32) == 1) {
        size_t size = trial_choose(bytes, 64);
        for (size_t i = 0; i < size; i++) {
            rc_writer_u8(&out, (uint8_t)trial_choose(bytes, 256));
        }
    } else {
        add_question(&out, world, bytes);
    }
    query->size = rc_writer_size(&out);
}
