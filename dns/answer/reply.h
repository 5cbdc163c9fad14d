/* reply.h - the records of our zones, written into an answer.
 *
 * Each function appends one record, or a few that belong together, if they fit. Targets
 * are always named under the primary domain, also when the alternative one was asked. */
#ifndef DNS_ANSWER_REPLY_H
#define DNS_ANSWER_REPLY_H

#include <stdbool.h>

#include "dns/answer/answer.h"
#include "dns/answer/question.h"
#include "dns/answer/view.h"
#include "dns/wire/message.h"

/* Options and view, with the names made of them once. */
struct dns_ground {
    const struct dns_options *options; /* borrowed, as is the view */
    const struct dns_view *view;
    struct dns_zones zones;
    struct dns_name addr_suffix;    /* addr.DC.DOMAIN */
    struct dns_name node_suffix;    /* node.DC.DOMAIN */
    struct dns_name service_suffix; /* service.DC.DOMAIN */
    struct dns_name name_server;    /* ns.DOMAIN */
    struct dns_name mailbox;        /* hostmaster.DOMAIN */
};

struct dns_reply {
    const struct dns_ground *ground;
    const struct dns_query *query;
    struct dns_writer writer;
    const struct dns_client *client;
    enum dns_verdict verdict;
    uint16_t flags; /* AA, TC */
    uint16_t rcode;
    struct dns_extras *extras;         /* of our OPT */
    const struct dns_foreign *foreign; /* NULL: hosts of other zones are not looked up */
    struct dns_name *foreign_name;     /* such a host, to be asked for; size 0: none */
};

/* Whether points where we differ on purpose are to be as in Consul. */
bool dns_reply_is_consuls(const struct dns_reply *reply);

/* RC_OK, or RC_EMALFORMED if a domain or the datacenter is not made of labels. */
int dns_ground_init(struct dns_ground *ground, const struct dns_options *options,
                    const struct dns_view *view);

/* The row of options->service_ttls that counts for a service of this lower-case name; NULL: none
 * does, its TTL is 0. And that TTL. */
const struct dns_service_ttl *dns_ground_service_row(const struct dns_ground *ground,
                                                     struct rc_span service);
uint32_t dns_ground_service_ttl(const struct dns_ground *ground, struct rc_span service);

/* The TTL of what a prepared query picked. */
uint32_t dns_ground_query_ttl(const struct dns_ground *ground,
                              const struct dns_picked *picked);

/* A or AAAA. The owner is a name that is already in the message at `owner_at`. */
enum dns_part dns_reply_address(struct dns_reply *reply, enum dns_section section,
                                size_t owner_at, const struct rc_address *ip,
                                uint32_t ttl_s);

/* CNAME; `*target_at` is where the target's name then stands uncompressed. */
enum dns_part dns_reply_cname(struct dns_reply *reply, enum dns_section section,
                              size_t owner_at, const struct dns_name *target,
                              uint32_t ttl_s, size_t *target_at);

/* SRV of an instance, owned by the question; `*target_at` as above. */
enum dns_part dns_reply_srv(struct dns_reply *reply, const struct dns_instance *instance,
                            uint32_t ttl_s, size_t *target_at);

/* One character string in the form of RFC 1464, cut at its maximum (RFC 1035 section 3.3):
 * KEY=VALUE, where a backquote guards "=" and backquotes of the key; of a key "rfc1035-..."
 * the value alone. Returns its size. */
enum { DNS_TEXT_MAX = 255 };
size_t dns_meta_text(const struct dns_meta *meta, uint8_t space[DNS_TEXT_MAX]);

/* A node's metadata, one TXT for each pair, as far as they fit; the owner is the
 * question, or the node's own name. */
enum dns_owner { DNS_OWNER_QUESTION, DNS_OWNER_NODE };
void dns_reply_meta(struct dns_reply *reply, enum dns_section section,
                    enum dns_owner owner, const struct dns_node *node, uint32_t ttl_s);

/* PTR to a node, or to a service. */
void dns_reply_ptr_node(struct dns_reply *reply, const struct dns_node *node);
void dns_reply_ptr_service(struct dns_reply *reply, const char *service);

/* The zone's SOA, owned by the zone of the question (its label `zone_label`), or, as Consul
 * has it, by the primary domain. */
void dns_reply_soa(struct dns_reply *reply, enum dns_section section, size_t zone_label,
                   uint32_t ttl_s);

/* The zone's NS, with addresses in the additional section. */
void dns_reply_name_servers(struct dns_reply *reply, enum dns_section section,
                            size_t zone_label);

#endif
