/* forward_meter.h - what became of questions about other zones, and how their servers are? */
#ifndef DNS_FORWARD_FORWARD_METER_H
#define DNS_FORWARD_FORWARD_METER_H

#include <stdint.h>

#include "base/address.h"
#include "dns/forward/forward_routes.h"

struct rc_metric;
struct rc_metrics;

enum dns_forward_fate {
    DNS_FORWARD_CACHED,
    DNS_FORWARD_ASKED,
    DNS_FORWARD_JOINED,  /* the same question was under way */
    DNS_FORWARD_STALE,   /* answered from what ran out */
    DNS_FORWARD_FAILED,  /* nobody could be asked */
    DNS_FORWARD_LIMITED, /* too many wait, or of that client */
    DNS_FORWARD_UNROUTED,
    DNS_FORWARD_LOOPED,
    DNS_FORWARD_FATE_COUNT
};

struct dns_upstream_meter {
    struct rc_metric *seconds;
    struct rc_metric *results[DNS_UPSTREAM_RESULT_COUNT];
    struct rc_metric *is_up;
};

struct dns_forward_meter {
    struct rc_metrics *metrics; /* borrowed; NULL counts nothing */
    struct rc_metric *fates[DNS_FORWARD_FATE_COUNT];
    struct rc_metric *loops; /* servers found in a loop */
    struct dns_upstream_meter upstreams[DNS_UPSTREAMS_MAX];
};

void dns_forward_meter_init(struct dns_forward_meter *meter, struct rc_metrics *metrics);

/* Upstream `i` is that server from now on. */
void dns_forward_meter_upstream(struct dns_forward_meter *meter, size_t i,
                                const struct rc_address *server);

/* The word for a result: "answered", "silent", ... */
const char *dns_upstream_result_name(enum dns_upstream_result result);

#endif
