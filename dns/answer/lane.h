/* lane.h - the short way from a common question to its answer.
 *
 * Addresses and SRV of a service by its name, with or without a tag; addresses of a node;
 * and that there is no such name. The answer is the one that answer.c would give: records
 * are made by the same functions, once (ready.h), and whatever is in any way out of the
 * ordinary is left to it. */
#ifndef DNS_ANSWER_LANE_H
#define DNS_ANSWER_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/answer/answer.h"
#include "dns/answer/pick.h"
#include "dns/answer/ready.h"
#include "dns/answer/reply.h"
#include "dns/wire/glance.h"

enum {
    DNS_LANE_ENDINGS_MAX = 8, /* service and node, each with a datacenter or without,
                                 of two domains */
    DNS_LANE_SOA_SIZE = 50    /* with names as short as they always are: 2 + 10 + 38 */
};

/* What stands behind the labels that we look at. */
struct dns_ending {
    enum dns_form form;
    uint16_t size;
    uint16_t zone_at;      /* in `name`: where the zone begins */
    enum dns_part has_soa; /* it is the zone that `soa` is for */
    uint8_t next;          /* another one of the same size, counted from 1; 0: none */
    uint8_t name[DNS_NAME_MAX + DNS_GLANCE_STEP]; /* wire form, lower case */
};

struct dns_lane {
    const struct dns_ground *ground; /* borrowed, as is `pick` */
    struct dns_pick *pick;
    size_t opt_room;          /* kept free for OPT */
    struct dns_extras extras; /* none */
    struct dns_glance glance;
    size_t ending_count;
    struct dns_ending endings[DNS_LANE_ENDINGS_MAX];
    uint8_t by_size[DNS_NAME_MAX + 1]; /* the first ending of a size, counted from 1 */
    uint8_t soa[DNS_LANE_SOA_SIZE];
    struct dns_ready_space space;
};

/* `ground`, `random` and `pick` (working space) are borrowed. */
void dns_lane_init(struct dns_lane *lane, const struct dns_ground *ground,
                   struct rc_random *random, struct dns_pick *pick);

/* YES: answered, as dns_answer() says. NO: not one for here; `out` may be spoilt. */
enum dns_choice dns_lane_answer(struct dns_lane *lane, const struct dns_client *client,
                                struct rc_span query, uint8_t *out, size_t out_max,
                                struct dns_outcome *outcome);

#endif
