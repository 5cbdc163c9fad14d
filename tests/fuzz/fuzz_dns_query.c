/* Any packet to the DNS server: the first byte says how it came, the rest is the
 * packet. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "dns/answer/answer.h"
#include "dns/answer/cookie.h"
#include "dns/wire/message.h"
#include "dns/wire/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const tags[] = {"primary", "v1"};
static const struct dns_meta meta[] = {{"rack", "r1"}, {"rfc1035-x", "y"}, {"a=b`", "c"}};

static const struct dns_node nodes[] = {
    {.name = "node1",
     .place = {.ip = {.family = RC_ADDRESS_IPV4, .ip = {10, 0, 0, 1}}},
     .meta = meta,
     .meta_count = 3},
    {.name = "bad name..", .place = {.ip = {.family = RC_ADDRESS_IPV6, .ip = {0x20, 1}}}},
    {.name = "named", .place = {.host = "web.service.x"}},
};

static const struct dns_instance instances[] = {
    {.node = &nodes[0], .service_id = "a", .port = 80, .tags = tags, .tag_count = 2},
    {.node = &nodes[1], .service_id = "b", .port = 81, .health = DNS_HEALTH_WARNING},
    {.node = &nodes[0],
     .service_id = "c",
     .place = {.ip = {.family = RC_ADDRESS_IPV4, .ip = {10, 0, 0, 9}}}},
    {.node = &nodes[2], .service_id = "d"},
    {.node = &nodes[0], .service_id = "e", .place = {.host = "web.service.x"}},
    {.node = &nodes[0], .service_id = "f", .place = {.host = "f.service.x"}},
    {.node = &nodes[0], .service_id = "g", .health = DNS_HEALTH_UNUSABLE},
    {.node = &nodes[0], .service_id = "h", .place = {.host = "h.query.x"}},
};

/* By the first letter: w has all instances, the others one of them. */
static const struct dns_service services[] = {
    {.name = "web", .instances = instances, .instance_count = 8},
    {.name = "e", .instances = instances + 4, .instance_count = 1},
    {.name = "f", .instances = instances + 5, .instance_count = 1},
    {.name = "g", .instances = instances + 6, .instance_count = 1},
    {.name = "h", .instances = instances + 7, .instance_count = 1},
};

static void view_begin(void *context)
{
    (void)context;
}

static const struct dns_service *view_service(void *context, struct rc_span name)
{
    (void)context;
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        if (name.size > 0 && name.at[0] == services[i].name[0]) {
            return &services[i];
        }
    }
    return NULL;
}

/* Which order and which TTL depends on the name. */
static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    static struct dns_picked picked;
    const struct dns_service *service = view_service(context, name);

    *certainty = name.size % 5 == 0 ? DNS_UNCERTAIN : DNS_CERTAIN;
    if (service == NULL) {
        return NULL;
    }
    picked.service = *service;
    picked.order = name.size % 2 == 0 ? DNS_ORDER_KEPT : DNS_ORDER_SHUFFLED;
    picked.has_ttl = name.size % 3 == 0;
    picked.ttl_s = 17;
    return &picked;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    (void)context;
    return name.size > 0 && name.at[0] >= 'a' && name.at[0] <= 'c'
               ? &nodes[name.at[0] - 'a']
               : NULL;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    (void)context;
    return ip->ip[0] < 3 ? &nodes[ip->ip[0]] : NULL;
}

static const char *view_service_at(void *context, const struct rc_address *ip)
{
    (void)context;
    return ip->ip[0] == 10 ? "web" : NULL;
}

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    (void)context;
    out[0] = &nodes[0];
    out[1] = &nodes[1];
    out[2] = &nodes[2];
    return 3;
}

static uint64_t view_index(void *context)
{
    (void)context;
    return 7;
}

static const struct dns_view view = {.datacenter = "d",
                                     .begin = view_begin,
                                     .service = view_service,
                                     .query = view_query,
                                     .node = view_node,
                                     .node_at = view_node_at,
                                     .service_at = view_service_at,
                                     .name_servers = view_name_servers,
                                     .index = view_index};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* An answer with a question reads back whole, with nothing behind it. */
static void check(const struct dns_outcome *outcome, const uint8_t *answer, size_t limit)
{
    struct dns_response response;
    struct dns_received record;
    int err;

    require(outcome->size <= limit && outcome->size >= DNS_HEADER_SIZE);
    if (answer[5] == 0) { /* no question: no more than OPT with all that it may carry */
        require(outcome->size <= 200);
        return;
    }
    if (dns_response_open(answer, outcome->size, &response) != RC_OK) {
        require(outcome->rcode != DNS_RCODE_NOERROR ||
                outcome->query->class != DNS_CLASS_IN);
        return;
    }
    while ((err = dns_response_next(&response, &record)) == RC_OK) {
        require(outcome->rcode == DNS_RCODE_NOERROR ||
                record.section != DNS_SECTION_ANSWER);
    }
    require(err == RC_ENOTFOUND && response.cursor.at == response.cursor.end);
}

/* The manners of a server that gives cookies and names itself; with `is_strict` to clients
 * that have asked too often already. */
static void add_manners(struct dns_options *options, const struct dns_client *client,
                        struct dns_cookie_secrets *cookies, int is_strict)
{
    static const uint8_t key[RC_SIPHASH_KEY_SIZE] = "fifteen letters";
    struct dns_rate_options rate;

    dns_cookie_secrets_own(key, cookies);
    options->cookies = cookies;
    options->nsid = "a name";
    options->version = "a version";
    options->identity = "an identity";
    if (!is_strict) {
        return;
    }
    dns_rate_options_init(&rate);
    for (int i = 0; i < DNS_RATE_CLASS_COUNT; i++) {
        rate.per_second[i] = 1;
    }
    require(dns_rate_create(&rate, key, &options->rate) == RC_OK);
    for (int i = 0; i < 3 * DNS_RATE_BURST_S; i++) {
        for (int c = 0; c < DNS_RATE_CLASS_COUNT; c++) {
            (void)dns_rate_judge(options->rate, &client->peer, (enum dns_rate_class)c,
                                 client->now_ms);
        }
    }
}

/* What is malformed, or comes too often, is answered with no more than it was; but for a
 * cookie, whose other half is ours. */
static void check_size(const struct dns_outcome *outcome, size_t query_size)
{
    size_t more = outcome->query != NULL && outcome->query->asked.cookie_size > 0 &&
                          outcome->rcode != DNS_RCODE_FORMERR
                      ? DNS_COOKIE_SIZE - DNS_COOKIE_CLIENT_SIZE
                      : 0;

    if (outcome->rcode == DNS_RCODE_FORMERR || outcome->limit == DNS_LIMIT_SLIPPED) {
        require(outcome->size <= query_size + more);
    }
    require(outcome->limit != DNS_LIMIT_DROPPED || outcome->size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t answer[DNS_MESSAGE_MAX];
    struct dns_cookie_secrets cookies;
    struct dns_options options;
    struct dns_answerer *answerer;

    if (size < 1) {
        return 0;
    }
    dns_options_init(&options);
    options.domain = "x";
    options.alt_domain = "y.x";
    options.node_meta_txt = (bytes[0] & 4) != 0 ? DNS_YES : DNS_NO;
    options.disable_compression = (bytes[0] & 8) != 0 ? DNS_YES : DNS_NO;
    options.empty_service_ok = (bytes[0] & 16) != 0 ? DNS_YES : DNS_NO;
    options.consul_compat = (bytes[0] & 128) != 0 ? DNS_YES : DNS_NO;
    const struct dns_client client = {
        .peer = {.family = RC_ADDRESS_IPV4, .ip = {203, 0, 113, 9}, .port = 53},
        .channel = (enum dns_channel)((bytes[0] & 3) % 3),
        .idle_ms = 10000,
        .now_ms = 5000,
        .wall_ms = UINT64_C(1559731985000)};
    if ((bytes[0] & 32) != 0) {
        add_manners(&options, &client, &cookies, (bytes[0] & 64) != 0);
    }
    require(dns_answerer_create(&options, &view, 1, &answerer) == RC_OK);
    size_t limit = client.channel == DNS_CHANNEL_UDP_REMOTE &&
                           options.consul_compat == DNS_NO /* which fills the client's */
                       ? DNS_UDP_REMOTE_MAX
                       : sizeof answer;
    struct dns_outcome outcome =
        dns_answer(answerer, &client, bytes + 1, size - 1, answer, sizeof answer);
    if (outcome.size > 0) {
        check(&outcome, answer, limit);
    }
    check_size(&outcome, size - 1);
    dns_answerer_destroy(answerer);
    dns_rate_destroy(options.rate);
    return 0;
}
