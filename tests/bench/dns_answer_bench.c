/* What an answer costs, without any socket: ns of CPU a query, for some shapes of questions.
 *
 *     dns_answer_bench [ROUNDS]       best of 9 samples of ROUNDS answers each
 *
 * Printed, not judged: for whoever changes the way from a question to its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/text.h"
#include "dns/answer/answer.h"
#include "dns/answer/ready.h"
#include "dns/wire/message.h"

enum { SERVICES = 1024, INSTANCES_MAX = 100, SAMPLES = 9, QUERY_MAX = 512 };

struct world {
    struct dns_service services[SERVICES];
    struct dns_instance instances[4][INSTANCES_MAX];
    struct dns_shelf shelves[4];
    struct dns_node node;
};

static uint32_t hash_of(struct rc_span name)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ (uint8_t)name.at[i]) * 16777619U;
    }
    return hash;
}

static void view_begin(void *context)
{
    (void)context;
}

static const struct dns_service *view_service(void *context, struct rc_span name)
{
    struct world *world = context;
    struct dns_service *service = &world->services[hash_of(name) % SERVICES];

    return service->name != NULL && rc_span_equals(name, service->name) ? service : NULL;
}

static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    (void)context;
    (void)name;
    *certainty = DNS_CERTAIN;
    return NULL;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    struct world *world = context;

    return rc_span_equals(name, world->node.name) ? &world->node : NULL;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    (void)context;
    (void)ip;
    return NULL;
}

static const char *view_service_at(void *context, const struct rc_address *ip)
{
    (void)context;
    (void)ip;
    return NULL;
}

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    struct world *world = context;

    out[0] = &world->node;
    return 1;
}

static uint64_t view_index(void *context)
{
    (void)context;
    return 7;
}

/* web1, web10, web100 and none: so many instances at addresses of their own. */
static void fill(struct world *world)
{
    static const struct {
        const char *name;
        size_t count;
    } sizes[] = {{"web1", 1}, {"web10", 10}, {"web100", 100}, {"none", 0}};

    world->node = (struct dns_node){
        .name = "node1",
        .place = {.ip = {.family = RC_ADDRESS_IPV4, .ip = {10, 0, 0, 1}}}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct dns_service *service =
            &world->services[hash_of(rc_span_of(sizes[s].name)) % SERVICES];
        struct dns_instance *instances = world->instances[s];
        service->name = sizes[s].name;
        service->instances = instances;
        service->instance_count = sizes[s].count;
        service->shelf = &world->shelves[s];
        for (size_t i = 0; i < sizes[s].count; i++) {
            const uint8_t ip[] = {10, (uint8_t)sizes[s].count, 0, (uint8_t)(i + 1)};
            instances[i].node = &world->node;
            instances[i].service_id = "";
            instances[i].port = 8080;
            instances[i].weight = 1;
            (void)rc_address_from_bytes(ip, sizeof ip, 0, &instances[i].place.ip);
        }
    }
}

static size_t write_query(uint8_t space[QUERY_MAX], const char *text, uint16_t type,
                          uint16_t edns_size)
{
    struct rc_writer writer = rc_writer_over(space, QUERY_MAX);
    struct dns_name name;

    if (dns_name_from_text(text, &name) != RC_OK) {
        abort();
    }
    rc_writer_u16(&writer, 1);
    rc_writer_u16(&writer, DNS_FLAG_RD);
    rc_writer_u32(&writer, 1U << 16);
    rc_writer_u32(&writer, edns_size > 0 ? 1 : 0);
    rc_writer_bytes(&writer, name.wire, name.size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (edns_size > 0) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, edns_size);
        rc_writer_u32(&writer, 0);
        rc_writer_u16(&writer, 0);
    }
    return rc_writer_size(&writer);
}

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static const struct shape {
    const char *why;
    const char *name;
    uint16_t type;
    uint16_t edns_size;
} shapes[] = {
    {"A1", "web1.service.consul", DNS_TYPE_A, 4096},
    {"A1 without EDNS", "web1.service.consul", DNS_TYPE_A, 0},
    {"A10", "web10.service.consul", DNS_TYPE_A, 4096},
    {"A100", "web100.service.consul", DNS_TYPE_A, 4096},
    {"A100 cut at 512", "web100.service.consul", DNS_TYPE_A, 0},
    {"SRV1", "web1.service.consul", DNS_TYPE_SRV, 4096},
    {"SRV10", "web10.service.consul", DNS_TYPE_SRV, 4096},
    {"SRV100", "web100.service.consul", DNS_TYPE_SRV, 8192},
    {"AAAA: no data", "web10.service.consul", DNS_TYPE_AAAA, 4096},
    {"NXDOMAIN", "absent.service.consul", DNS_TYPE_A, 4096},
    {"node", "node1.node.consul", DNS_TYPE_A, 4096},
    {"SOA", "consul", DNS_TYPE_SOA, 4096},
    {"foreign", "www.example.org", DNS_TYPE_A, 4096},
};

static void measure(struct dns_answerer *answerer, const struct shape *shape, long rounds)
{
    static uint8_t out[DNS_MESSAGE_MAX];
    uint8_t query[QUERY_MAX];
    size_t size = write_query(query, shape->name, shape->type, shape->edns_size);
    struct dns_outcome outcome = {.size = 0};
    const struct dns_client client = {.channel = DNS_CHANNEL_UDP_LOCAL};
    double best = 1e18;

    for (int sample = 0; sample < SAMPLES; sample++) {
        double start = now_ns();
        for (long i = 0; i < rounds; i++) {
            query[0] = (uint8_t)i;
            outcome = dns_answer(answerer, &client, query, size, out, DNS_UDP_LOCAL_MAX);
        }
        double spent = (now_ns() - start) / (double)rounds;
        best = spent < best ? spent : best;
    }
    printf("%-20s %8.1f ns  %5zu bytes, rcode %u\n", shape->why, best, outcome.size,
           (unsigned)outcome.rcode);
}

int main(int argc, char **argv)
{
    static struct world world;
    const struct dns_view view = {.context = &world,
                                  .datacenter = "dc1",
                                  .begin = view_begin,
                                  .service = view_service,
                                  .query = view_query,
                                  .node = view_node,
                                  .node_at = view_node_at,
                                  .service_at = view_service_at,
                                  .name_servers = view_name_servers,
                                  .index = view_index};
    struct dns_options options;
    struct dns_answerer *answerer;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;

    fill(&world);
    dns_options_init(&options);
    options.domain = "consul";
    if (dns_answerer_create(&options, &view, 1, &answerer) != RC_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        measure(answerer, &shapes[i], rounds);
    }
    dns_answerer_destroy(answerer);
    return 0;
}
