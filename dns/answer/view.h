/* view.h - what the DNS server may ask of whoever holds the catalog.
 *
 * Read-only. The agent answers from its board (board.h), tests from a
 * few static arrays. Everything returned is borrowed until the next begin(), so an answer
 * may hold several results at once.
 *
 * Names in questions are folded to lower case, because DNS compares without regard to
 * ASCII case (RFC 4343); they hold any bytes but NUL and are not NUL-terminated. */
#ifndef DNS_ANSWER_VIEW_H
#define DNS_ANSWER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"

enum { DNS_NAME_SERVERS_MAX = 3 };

/* How an instance stands, its own checks and those of its node taken together. UNUSABLE
 * is critical, in maintenance, or on a node that is gone. */
enum dns_health {
    DNS_HEALTH_PASSING,
    DNS_HEALTH_WARNING,
    DNS_HEALTH_UNUSABLE,
    DNS_HEALTH_COUNT
};

/* Where something is: an IP address, or else a host name, or neither. */
struct dns_place {
    struct rc_address ip; /* RC_ADDRESS_NONE: see `host`; the port is not used */
    const char *host;     /* NULL unless the address is a host name */
};

struct dns_meta {
    const char *key;
    const char *value;
};

struct dns_shelf;

struct dns_node {
    const char *name;
    struct dns_place place;
    const struct dns_meta *meta;
    size_t meta_count;
    bool
        is_silent; /* it may be gone, or we are cut off: what is known of it may be old */
    uint64_t silent_since_wall_ms;
    struct dns_shelf *shelf; /* for records made ready (ready.h); NULL: there is none */
};

struct dns_instance {
    const struct dns_node *node; /* never NULL */
    const char *service_id;
    struct dns_place place; /* neither address nor host: it is where its node is */
    uint16_t port;          /* 0: none */
    uint16_t weight;        /* the one that goes with `health` */
    enum dns_health health;
    const char *const *tags; /* as they count now: a unique tag only at its holder */
    size_t tag_count;
    const struct dns_meta *meta; /* of the service, as this instance has it */
    size_t meta_count;
};

/* A service name with all its instances, the unusable ones too: "known, but none usable"
 * is a different answer from "unknown". */
struct dns_service {
    const char *name;
    const struct dns_instance *instances;
    size_t instance_count;
    struct dns_shelf *shelf; /* for records made ready (ready.h); NULL: there is none */
};

enum dns_order { DNS_ORDER_SHUFFLED, DNS_ORDER_KEPT };

/* Whether it is certain that there is no such query: definitions may be on their way here, or
 * only another thread knows them. */
enum dns_certainty {
    DNS_CERTAIN,
    DNS_CERTAIN_BELOW, /* there is none, but one whose name ends in a dot and this */
    DNS_UNCERTAIN,
    DNS_ELSEWHERE
};

/* What a prepared query picks now: the instances that it wants, whatever `health` says of them,
 * under the service's name. */
struct dns_picked {
    struct dns_service service;
    enum dns_order order;
    bool has_ttl; /* of its own; else the service's counts */
    uint32_t ttl_s;
};

struct dns_view {
    void *context;          /* handed to each function */
    const char *datacenter; /* our own; outlives the view */

    /* A new answer is begun: what was returned before is no longer used. */
    void (*begin)(void *context);

    /* The service of that name, or NULL if no node runs it. */
    const struct dns_service *(*service)(void *context, struct rc_span name);

    /* The prepared query of that name or id, carried out, or NULL if there is none as far as
     * is known, and how certain that is. */
    const struct dns_picked *(*query)(void *context, struct rc_span name,
                                      enum dns_certainty *certainty);

    /* The node of that name, or NULL if unknown or gone. Its checks do not matter. */
    const struct dns_node *(*node)(void *context, struct rc_span name);

    /* True if a node's name ends in a dot and this name: "web1.example" in "example", which
     * so exists with nothing there. NULL: there are none. */
    bool (*node_below)(void *context, struct rc_span name);

    /* For reverse lookups: a node with that address, or NULL; the name of a service with
     * a usable instance of that address of its own, or NULL. */
    const struct dns_node *(*node_at)(void *context, const struct rc_address *ip);
    const char *(*service_at)(void *context, const struct rc_address *ip);

    /* The nodes that serve the zone: servers that live, or else ourselves. Fills `out`
     * and returns how many, 0 to DNS_NAME_SERVERS_MAX. */
    size_t (*name_servers)(void *context,
                           const struct dns_node *out[DNS_NAME_SERVERS_MAX]);

    /* The catalog's index, which only grows: the serial of the zone. 0 means that
     * nothing is loaded yet, and that no question can be answered. */
    uint64_t (*index)(void *context);
};

#endif
