/* dns_trial_world.h - a catalog, settings and questions, made of any bytes. */
#ifndef TESTS_UNIT_DNS_TRIAL_WORLD_H
#define TESTS_UNIT_DNS_TRIAL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"
#include "dns/answer/ready.h"
#include "dns/answer/view.h"

enum {
    TRIAL_NODES_MAX = 6,
    TRIAL_SERVICES_MAX = 5,
    TRIAL_INSTANCES_MAX = 1200,
    TRIAL_QUERY_MAX = 600
};

/* Bytes to choose by; when they run out, the first choice is taken. */
struct trial_bytes {
    const uint8_t *at;
    size_t left;
};

struct trial_world {
    struct dns_view view;
    struct dns_options options;
    struct dns_service_ttl ttls[2];
    struct dns_node nodes[TRIAL_NODES_MAX];
    size_t node_count;
    struct dns_service services[TRIAL_SERVICES_MAX];
    struct dns_shelf shelves[TRIAL_SERVICES_MAX];
    size_t service_count;
    struct dns_instance instances[TRIAL_SERVICES_MAX][TRIAL_INSTANCES_MAX];
    struct dns_picked picked;
    bool has_hosts; /* may have: which one stands for a service is left to chance */
    uint64_t index;
};

struct trial_query {
    size_t size;
    uint8_t bytes[TRIAL_QUERY_MAX];
    enum dns_channel channel;
};

/* A number below `bound`, which is at most 256. */
size_t trial_choose(struct trial_bytes *bytes, size_t bound);

void trial_world_fill(struct trial_world *world, struct trial_bytes *bytes);
void trial_world_clear(struct trial_world *world);

/* A question that has to do with that world, or any packet. */
void trial_query_fill(struct trial_query *query, const struct trial_world *world,
                      struct trial_bytes *bytes);

#endif
