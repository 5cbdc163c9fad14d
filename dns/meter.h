/* meter.h - how many queries, of which kind, with which answer, and how fast? */
#ifndef DNS_METER_H
#define DNS_METER_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer.h"

struct rc_metric;
struct rc_metrics;

enum dns_protocol { DNS_PROTOCOL_UDP, DNS_PROTOCOL_TCP, DNS_PROTOCOL_COUNT };

enum { DNS_METER_TYPES = 10, DNS_METER_RCODES = 8 };

/* Series appear when first counted, so that a scrape lists only what happens. */
struct dns_meter {
    struct rc_metrics *metrics; /* borrowed; NULL counts nothing */
    struct rc_metric *queries[DNS_PROTOCOL_COUNT][DNS_METER_TYPES][DNS_METER_RCODES];
    struct rc_metric *seconds[DNS_PROTOCOL_COUNT];
    struct rc_metric *truncated[DNS_PROTOCOL_COUNT];
    struct rc_metric *dropped[DNS_PROTOCOL_COUNT];
    struct rc_metric *unsent;      /* answers that the system did not take */
    struct rc_metric *connections; /* now open */
    struct rc_metric *refused;     /* connections over a limit */
};

void dns_meter_init(struct dns_meter *meter, struct rc_metrics *metrics);

/* One query answered (or dropped, if the outcome's size is 0) within `ns`. */
void dns_meter_count(struct dns_meter *meter, enum dns_protocol protocol,
                     const struct dns_outcome *outcome, uint64_t ns);

#endif
