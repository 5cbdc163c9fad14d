/* chase.h - the addresses of a name, or of the names that it leads to.
 *
 * A service may be registered at a host name. If that is one of our own names, what it
 * leads to goes into the same answer. */
#ifndef DNS_ANSWER_CHASE_H
#define DNS_ANSWER_CHASE_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/answer/pick.h"
#include "dns/answer/reply.h"

/* Which address families an answer wants, or'ed. */
enum { DNS_WANT_A = 1, DNS_WANT_AAAA = 2 };

/* Names whose records are in an additional section already: several targets may lead to one. Those
 * beyond the last place may be told twice. */
enum { DNS_TOLD_MAX = 32 };
struct dns_told {
    size_t count;
    uint64_t
        names[DNS_TOLD_MAX]; /* hashes: who makes two alike loses additional records */
};

struct dns_chase {
    struct rc_random *random; /* borrowed, as are the next two */
    struct dns_pick *pick;    /* working space for services met on the way */
    struct dns_reply *reply;
    struct dns_told *told; /* borrowed; NULL: one name is chased only */
    enum dns_section section;
    unsigned wanted;
    uint32_t
        alias_ttl_s; /* of what led to a host of another zone: its records not longer */
    size_t limit;    /* of addresses; SIZE_MAX: none */
    size_t count;    /* of addresses written */
};

/* Writes an address, if its family is wanted. NO: the message is full. */
enum dns_choice dns_chase_ip(struct dns_chase *chase, size_t owner_at,
                             const struct rc_address *ip, uint32_t ttl_s);

/* All addresses of a picked service, each once. Returns a host name that stands for an
 * instance, if there is no address at all: a name has addresses or an alias, never
 * both. */
const char *dns_chase_pick(struct dns_chase *chase, struct dns_pick *pick,
                           size_t owner_at, uint32_t ttl_s);

/* The addresses of the zone's name servers. */
void dns_chase_name_servers(struct dns_chase *chase, size_t owner_at, uint32_t ttl_s);

/* Writes what the name at `owner_at`, `host` as text, has to offer, following aliases
 * within our zones, each name once. What is behind the name of another zone is written if it is known; if it
 * is not, and answers are about it, the reply is to be FORWARDed. */
void dns_chase_host(struct dns_chase *chase, const char *host, size_t owner_at);

/* CNAME of the question to a host name, and what is behind that. */
void dns_chase_alias(struct dns_chase *chase, const char *host, uint32_t ttl_s);

#endif
