#include "dns/answer/reply.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "dns/answer/pick.h"

enum {
    SRV_PRIORITY = 1, /* the same for all, as Consul has it */
    HEX_SIZE = 2 * 16 + 1
};

bool dns_reply_is_consuls(const struct dns_reply *reply)
{
    return reply->ground->options->consul_compat == DNS_YES;
}

static int make_names(struct dns_ground *ground, const char *datacenter)
{
    const struct dns_name *domain = &ground->zones.domain;
    struct dns_name middle = *domain;
    const struct {
        const char *label;
        const struct dns_name *under;
        struct dns_name *out;
    } names[] = {
        {"addr", &middle, &ground->addr_suffix},
        {"node", &middle, &ground->node_suffix},
        {"service", &middle, &ground->service_suffix},
        {"ns", domain, &ground->name_server},
        {"hostmaster", domain, &ground->mailbox},
    };

    if (datacenter[0] != '\0' && dns_name_under(datacenter, domain, &middle) != RC_OK) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (dns_name_under(names[i].label, names[i].under, names[i].out) != RC_OK) {
            return RC_EMALFORMED;
        }
    }
    return ground->addr_suffix.size + HEX_SIZE <= DNS_NAME_MAX ? RC_OK : RC_EMALFORMED;
}

int dns_ground_init(struct dns_ground *ground, const struct dns_options *options,
                    const struct dns_view *view)
{
    const char *alt_domain = options->alt_domain == NULL ? "" : options->alt_domain;

    ground->options = options;
    ground->view = view;
    ground->zones.datacenter = view->datacenter;
    if (dns_name_from_text(options->domain, &ground->zones.domain) != RC_OK ||
        ground->zones.domain.label_count == 0 ||
        dns_name_from_text(alt_domain, &ground->zones.alt_domain) != RC_OK) {
        return RC_EMALFORMED;
    }
    return make_names(ground, view->datacenter);
}

/* How many characters of the pattern fit the name, or -1 if it does not match. An exact
 * match is worth one more than a prefix of the same length. */
static int match(const char *pattern, struct rc_span name)
{
    size_t size = strlen(pattern);

    if (size > 0 && pattern[size - 1] == '*') {
        struct rc_span prefix = {.at = pattern, .size = size - 1};
        struct rc_span start = {.at = name.at, .size = size - 1};
        if (prefix.size > name.size) {
            return -1;
        }
        for (size_t i = 0; i < prefix.size; i++) {
            char folded[2] = {prefix.at[i], '\0'};
            struct rc_span one = {.at = start.at + i, .size = 1};
            if (!rc_span_equals_nocase(one, folded)) {
                return -1;
            }
        }
        return (int)prefix.size;
    }
    return rc_span_equals_nocase(name, pattern) ? (int)size + 1 : -1;
}

const struct dns_service_ttl *dns_ground_service_row(const struct dns_ground *ground,
                                                     struct rc_span service)
{
    const struct dns_options *options = ground->options;
    const struct dns_service_ttl *found = NULL;
    int best = -1;

    for (size_t i = 0; i < options->service_ttl_count; i++) {
        int worth = match(options->service_ttls[i].pattern, service);
        if (worth > best) {
            best = worth;
            found = &options->service_ttls[i];
        }
    }
    return found;
}

uint32_t dns_ground_service_ttl(const struct dns_ground *ground, struct rc_span service)
{
    const struct dns_service_ttl *row = dns_ground_service_row(ground, service);
    return row != NULL ? row->ttl_s : 0;
}

uint32_t dns_ground_query_ttl(const struct dns_ground *ground,
                              const struct dns_picked *picked)
{
    return picked->has_ttl
               ? picked->ttl_s
               : dns_ground_service_ttl(ground, rc_span_of(picked->service.name));
}

enum dns_part dns_reply_address(struct dns_reply *reply, enum dns_section section,
                                size_t owner_at, const struct rc_address *ip,
                                uint32_t ttl_s)
{
    uint16_t type = ip->family == RC_ADDRESS_IPV4 ? DNS_TYPE_A : DNS_TYPE_AAAA;

    assert(ip->family != RC_ADDRESS_NONE);
    dns_record_open_at(&reply->writer, owner_at, type, ttl_s);
    rc_writer_bytes(&reply->writer.bytes, ip->ip, rc_address_ip_size(ip));
    return dns_record_close(&reply->writer, section);
}

enum dns_part dns_reply_cname(struct dns_reply *reply, enum dns_section section,
                              size_t owner_at, const struct dns_name *target,
                              uint32_t ttl_s, size_t *target_at)
{
    struct dns_writer *writer = &reply->writer;

    dns_record_open_at(writer, owner_at, DNS_TYPE_CNAME, ttl_s);
    *target_at = dns_writer_at(writer);
    dns_record_name(writer, target);
    return dns_record_close(writer, section);
}

/* The name under which an address is always found: its digits. */
static int name_of_ip(const struct dns_ground *ground, const struct rc_address *ip,
                      struct dns_name *out)
{
    char hex[HEX_SIZE];

    if (ip->family == RC_ADDRESS_NONE) {
        return RC_ENOTFOUND;
    }
    rc_text_to_hex(ip->ip, rc_address_ip_size(ip), hex);
    return dns_name_under(hex, &ground->addr_suffix, out);
}

/* NODE.node.DC.DOMAIN; a node whose name is no domain name is named by its address. */
static int name_of_node(const struct dns_ground *ground, const struct dns_node *node,
                        struct dns_name *out)
{
    if (dns_name_under(node->name, &ground->node_suffix, out) == RC_OK) {
        return RC_OK;
    }
    return name_of_ip(ground, &node->place.ip, out);
}

/* Of an instance that is not at an IP address of its own. */
static int name_of_instance(const struct dns_ground *ground,
                            const struct dns_instance *instance, struct dns_name *out)
{
    if (instance->place.host != NULL) {
        return dns_name_from_text(instance->place.host, out);
    }
    return name_of_node(ground, instance->node, out);
}

/* The same as name_of_ip(), straight into the message: most targets are of this kind. */
static void write_name_of_ip(struct dns_reply *reply, const struct rc_address *ip)
{
    const struct dns_name *suffix = &reply->ground->addr_suffix;
    char label[1 + HEX_SIZE];
    size_t size = rc_address_ip_size(ip);

    label[0] = (char)(2 * size);
    rc_text_to_hex(ip->ip, size, label + 1);
    rc_writer_bytes(&reply->writer.bytes, label, 1 + 2 * size);
    rc_writer_bytes(&reply->writer.bytes, suffix->wire, suffix->size);
}

enum dns_part dns_reply_srv(struct dns_reply *reply, const struct dns_instance *instance,
                            uint32_t ttl_s, size_t *target_at)
{
    struct dns_writer *writer = &reply->writer;
    const struct rc_address *ip = &instance->place.ip;
    struct dns_name target;

    *target_at = 0;
    if (ip->family == RC_ADDRESS_NONE &&
        name_of_instance(reply->ground, instance, &target) != RC_OK) {
        return DNS_PART_PRESENT; /* it has no name at all: left out, not cut */
    }
    dns_record_open_at(writer, DNS_QUESTION_AT, DNS_TYPE_SRV, ttl_s);
    rc_writer_u16(&writer->bytes, SRV_PRIORITY);
    rc_writer_u16(&writer->bytes, instance->weight);
    rc_writer_u16(&writer->bytes, instance->port);
    *target_at = dns_writer_at(writer);
    if (ip->family != RC_ADDRESS_NONE) {
        write_name_of_ip(reply, ip);
    } else {
        rc_writer_bytes(&writer->bytes, target.wire, target.size); /* whole: RFC 2782 */
    }
    return dns_record_close(writer, DNS_SECTION_ANSWER);
}

size_t dns_meta_text(const struct dns_meta *meta, uint8_t space[DNS_TEXT_MAX])
{
    size_t size = 0;

    if (!rc_text_starts_with(meta->key, "rfc1035-")) {
        for (const char *c = meta->key; *c != '\0' && size + 2 < DNS_TEXT_MAX; c++) {
            if (*c == '=' || *c == '`') {
                space[size++] = '`';
            }
            space[size++] = (uint8_t)*c;
        }
        space[size++] = '=';
    }
    for (const char *c = meta->value; *c != '\0' && size < DNS_TEXT_MAX; c++) {
        space[size++] = (uint8_t)*c;
    }
    return size;
}

void dns_reply_meta(struct dns_reply *reply, enum dns_section section,
                    enum dns_owner owner, const struct dns_node *node, uint32_t ttl_s)
{
    struct dns_writer *writer = &reply->writer;
    struct dns_name name;
    uint8_t text[DNS_TEXT_MAX];

    if (owner == DNS_OWNER_NODE && name_of_node(reply->ground, node, &name) != RC_OK) {
        return;
    }
    for (size_t i = 0; i < node->meta_count; i++) {
        if (owner == DNS_OWNER_NODE) {
            dns_record_open(writer, &name, DNS_TYPE_TXT, ttl_s);
        } else {
            dns_record_open_at(writer, DNS_QUESTION_AT, DNS_TYPE_TXT, ttl_s);
        }
        size_t size = dns_meta_text(&node->meta[i], text);
        rc_writer_u8(&writer->bytes, (uint8_t)size);
        rc_writer_bytes(&writer->bytes, text, size);
        if (dns_record_close(writer, section) == DNS_PART_MISSING &&
            section == DNS_SECTION_ANSWER) {
            reply->flags |= DNS_FLAG_TC;
        }
    }
}

static void write_ptr(struct dns_reply *reply, const struct dns_name *target)
{
    uint32_t ttl_s = dns_reply_is_consuls(reply) ? 0 : reply->ground->options->node_ttl_s;

    dns_record_open_at(&reply->writer, DNS_QUESTION_AT, DNS_TYPE_PTR, ttl_s);
    dns_record_name(&reply->writer, target);
    (void)dns_record_close(&reply->writer, DNS_SECTION_ANSWER); /* one always fits */
}

void dns_reply_ptr_node(struct dns_reply *reply, const struct dns_node *node)
{
    struct dns_name target;

    if (name_of_node(reply->ground, node, &target) == RC_OK) {
        write_ptr(reply, &target);
    }
}

void dns_reply_ptr_service(struct dns_reply *reply, const char *service)
{
    struct dns_name target;

    if (dns_name_under(service, &reply->ground->service_suffix, &target) == RC_OK) {
        write_ptr(reply, &target);
    }
}

/* Of a record that the zone itself owns. */
static void open_of_zone(struct dns_reply *reply, size_t zone_label, uint16_t type,
                         uint32_t ttl_s)
{
    assert(zone_label < reply->query->name.label_count);
    if (dns_reply_is_consuls(reply)) {
        dns_record_open(&reply->writer, &reply->ground->zones.domain, type, ttl_s);
    } else {
        dns_record_open_at(
            &reply->writer,
            (size_t)DNS_QUESTION_AT + reply->query->name.starts[zone_label], type, ttl_s);
    }
}

/* The catalog's index, which only grows; Consul's is a clock. */
static uint32_t serial(const struct dns_reply *reply)
{
    const struct dns_view *view = reply->ground->view;

    return dns_reply_is_consuls(reply) ? (uint32_t)(reply->client->wall_ms / 1000)
                                       : (uint32_t)view->index(view->context);
}

void dns_reply_soa(struct dns_reply *reply, enum dns_section section, size_t zone_label,
                   uint32_t ttl_s)
{
    const struct dns_ground *ground = reply->ground;
    const struct dns_options *options = ground->options;
    struct dns_writer *writer = &reply->writer;

    /* RFC 2308 section 3: the record itself lives as long as what it denies. */
    open_of_zone(reply, zone_label, DNS_TYPE_SOA, ttl_s);
    dns_record_name(writer, &ground->name_server);
    dns_record_name(writer, &ground->mailbox);
    rc_writer_u32(&writer->bytes, serial(reply));
    rc_writer_u32(&writer->bytes, options->soa.refresh_s);
    rc_writer_u32(&writer->bytes, options->soa.retry_s);
    rc_writer_u32(&writer->bytes, options->soa.expire_s);
    rc_writer_u32(&writer->bytes, options->soa.min_ttl_s);
    (void)dns_record_close(writer, section);
}

void dns_reply_name_servers(struct dns_reply *reply, enum dns_section section,
                            size_t zone_label)
{
    const struct dns_view *view = reply->ground->view;
    uint32_t ttl_s = reply->ground->options->node_ttl_s;
    const struct dns_node *nodes[DNS_NAME_SERVERS_MAX];
    size_t target_at[DNS_NAME_SERVERS_MAX] = {0};
    struct dns_name target = reply->ground->name_server;

    size_t count = view->name_servers(view->context, nodes);
    assert(count <= DNS_NAME_SERVERS_MAX);
    for (size_t i = 0; i < count || i == 0; i++) {
        if (i < count && name_of_node(reply->ground, nodes[i], &target) != RC_OK) {
            target = reply->ground->name_server;
        }
        open_of_zone(reply, zone_label, DNS_TYPE_NS, ttl_s);
        size_t at = dns_writer_at(&reply->writer);
        dns_record_name(&reply->writer, &target);
        enum dns_part written = dns_record_close(&reply->writer, section);
        if (written == DNS_PART_PRESENT) {
            target_at[i] = at;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct rc_address *ip = &nodes[i]->place.ip;
        if (target_at[i] != 0 && ip->family != RC_ADDRESS_NONE) {
            (void)dns_reply_address(reply, DNS_SECTION_ADDITIONAL, target_at[i], ip,
                                    ttl_s);
        }
    }
}
