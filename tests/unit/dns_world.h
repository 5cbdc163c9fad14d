/* dns_world.h - a small world to ask DNS questions about: that of the recorded answers in
 * tests/fixtures/dns. Two agents node1 and node2, and nodes registered from outside. */
#ifndef TESTS_UNIT_DNS_WORLD_H
#define TESTS_UNIT_DNS_WORLD_H

#include "dns/answer/view.h"

struct dns_world;

/* `node1_ip` is the address of node1: it differs between the recorded profiles. Aborts
 * when memory is out. */
struct dns_world *dns_world_create(const char *node1_ip);
void dns_world_destroy(struct dns_world *world);

/* Borrowed; lives as long as the world. */
const struct dns_view *dns_world_view(struct dns_world *world);

/* Makes all instances of a service (or, for a node, itself) pass, fail, or vanish. */
void dns_world_set_health(struct dns_world *world, const char *service,
                          enum dns_health health);
/* Gossip suspects the node since then. */
void dns_world_silence_node(struct dns_world *world, const char *node,
                            uint64_t since_wall_ms);
/* Metadata for all instances of a service; borrowed. */
void dns_world_tell(struct dns_world *world, const char *service,
                    const struct dns_meta *meta, size_t count);
void dns_world_forget_node(struct dns_world *world, const char *node);
void dns_world_set_index(struct dns_world *world, uint64_t index);

/* Adds a service with `count` instances at 10.200.x.y, ports from 7000, all on node1. */
void dns_world_add(struct dns_world *world, const char *service, size_t count);

#endif
