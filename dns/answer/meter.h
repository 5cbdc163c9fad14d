/* meter.h - how many queries, of which kind, with which answer, and how fast? */
#ifndef DNS_ANSWER_METER_H
#define DNS_ANSWER_METER_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"

struct rc_metric;
struct rc_metrics;

enum dns_protocol { DNS_PROTOCOL_UDP, DNS_PROTOCOL_TCP, DNS_PROTOCOL_COUNT };

enum { DNS_METER_TYPES = 10, DNS_METER_RCODES = 9 };

/* Series appear when first counted, so that a scrape lists only what happens. A meter belongs
 * to one thread; several add up in the same series. What is noted is told in batches. */
struct dns_meter {
    struct rc_metrics *metrics; /* borrowed; NULL counts nothing */
    struct rc_metric *queries[DNS_PROTOCOL_COUNT][DNS_METER_TYPES][DNS_METER_RCODES];
    struct rc_metric *seconds[DNS_PROTOCOL_COUNT];
    struct rc_metric *truncated[DNS_PROTOCOL_COUNT];
    struct rc_metric *dropped[DNS_PROTOCOL_COUNT];
    struct rc_metric *unsent;      /* answers that the system did not take */
    struct rc_metric *connections; /* now open */
    struct rc_metric *refused;     /* connections over a limit */
    struct rc_metric *overflown;   /* questions that nobody had room for */
    struct rc_metric *limited[DNS_LIMIT_COUNT][DNS_RATE_CLASS_COUNT];
    struct dns_meter_batch {
        uint32_t counts[DNS_METER_TYPES][DNS_METER_RCODES];
        uint8_t used[DNS_METER_TYPES * DNS_METER_RCODES]; /* cells above 0 */
        size_t used_count;
        uint32_t answered;
        uint32_t truncated;
        uint32_t dropped;
        uint32_t limited[DNS_LIMIT_COUNT][DNS_RATE_CLASS_COUNT];
        enum dns_limit limit; /* NONE: nobody was limited */
    } batch;
};

void dns_meter_init(struct dns_meter *meter, struct rc_metrics *metrics);

/* One query of the batch answered, or dropped, if the outcome's size is 0. */
void dns_meter_note(struct dns_meter *meter, const struct dns_outcome *outcome);

/* Tells what was noted, all of one protocol and each within `ns`; the batch is empty then. */
void dns_meter_tell(struct dns_meter *meter, enum dns_protocol protocol, uint64_t ns);

#endif
