#include "dns/answer/meter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "dns/wire/message.h"

static const char *const protocols[DNS_PROTOCOL_COUNT] = {
    [DNS_PROTOCOL_UDP] = "udp",
    [DNS_PROTOCOL_TCP] = "tcp",
};

/* The last row of each table takes all that is not listed. */
static const struct {
    uint16_t number;
    const char *name;
} types[DNS_METER_TYPES] =
    {
        {DNS_TYPE_A, "A"},     {DNS_TYPE_AAAA, "AAAA"}, {DNS_TYPE_SRV, "SRV"},
        {DNS_TYPE_TXT, "TXT"}, {DNS_TYPE_PTR, "PTR"},   {DNS_TYPE_NS, "NS"},
        {DNS_TYPE_SOA, "SOA"}, {DNS_TYPE_ANY, "ANY"},   {DNS_TYPE_CNAME, "CNAME"},
        {0, "other"},
},
  rcodes[DNS_METER_RCODES] = {
      {DNS_RCODE_NOERROR, "NOERROR"},
      {DNS_RCODE_NXDOMAIN, "NXDOMAIN"},
      {DNS_RCODE_REFUSED, "REFUSED"},
      {DNS_RCODE_FORMERR, "FORMERR"},
      {DNS_RCODE_SERVFAIL, "SERVFAIL"},
      {DNS_RCODE_NOTIMP, "NOTIMP"},
      {DNS_RCODE_BADVERS, "BADVERS"},
      {DNS_RCODE_BADCOOKIE, "BADCOOKIE"},
      {0, "other"},
};

static struct rc_metric *by_protocol(struct rc_metrics *metrics, size_t protocol,
                                     const char *name, const char *help)
{
    char labels[32];

    (void)snprintf(labels, sizeof labels, "proto=\"%s\"", protocols[protocol]);
    return rc_metrics_counter(metrics, name, labels, help);
}

/* Over a limit: the words of the series, for what was done and for the class. */
static const char *const limits[DNS_LIMIT_COUNT] = {
    [DNS_LIMIT_SLIPPED] = "slipped",
    [DNS_LIMIT_DROPPED] = "dropped",
};

static const char *const classes[DNS_RATE_CLASS_COUNT] = {
    [DNS_RATE_ANSWERS] = "answers",
    [DNS_RATE_NXDOMAIN] = "nxdomain",
    [DNS_RATE_ERRORS] = "errors",
};

static void init_limited(struct dns_meter *meter, struct rc_metrics *metrics)
{
    char labels[64];

    for (size_t l = DNS_LIMIT_SLIPPED; l < DNS_LIMIT_COUNT; l++) {
        for (size_t c = 0; c < DNS_RATE_CLASS_COUNT; c++) {
            (void)snprintf(labels, sizeof labels, "class=\"%s\",action=\"%s\"",
                           classes[c], limits[l]);
            meter->limited[l][c] = rc_metrics_counter(
                metrics, "rollcall_dns_limited_total", labels,
                "UDP answers not given because a network asks too often.");
        }
    }
}

static struct rc_metric *query_counter(struct dns_meter *meter, size_t protocol,
                                       size_t type, size_t rcode)
{
    struct rc_metric **place = &meter->queries[protocol][type][rcode];

    if (*place == NULL && meter->metrics != NULL) {
        char labels[96];
        (void)snprintf(labels, sizeof labels, "proto=\"%s\",type=\"%s\",rcode=\"%s\"",
                       protocols[protocol], types[type].name, rcodes[rcode].name);
        *place = rc_metrics_counter(meter->metrics, "rollcall_dns_queries_total", labels,
                                    "Queries answered.");
    }
    return *place;
}

void dns_meter_init(struct dns_meter *meter, struct rc_metrics *metrics)
{
    memset(meter, 0, sizeof *meter);
    meter->metrics = metrics;
    if (metrics == NULL) {
        return;
    }
    for (size_t p = 0; p < DNS_PROTOCOL_COUNT; p++) {
        char labels[32];
        (void)snprintf(labels, sizeof labels, "proto=\"%s\"", protocols[p]);
        meter->seconds[p] =
            rc_metrics_histogram(metrics, "rollcall_dns_seconds", labels,
                                 "Time from receiving a query to sending its answer.");
        meter->truncated[p] = by_protocol(metrics, p, "rollcall_dns_truncated_total",
                                          "Answers that were cut to fit.");
        meter->dropped[p] = by_protocol(metrics, p, "rollcall_dns_dropped_total",
                                        "Packets that deserve no answer.");
    }
    meter->unsent = rc_metrics_counter(metrics, "rollcall_dns_unsent_total", NULL,
                                       "UDP answers that the system did not take.");
    meter->connections = rc_metrics_gauge(metrics, "rollcall_dns_tcp_connections", NULL,
                                          "Open TCP connections.");
    meter->refused = rc_metrics_counter(metrics, "rollcall_dns_tcp_refused_total", NULL,
                                        "TCP connections closed for being too many.");
    meter->overflown =
        rc_metrics_counter(metrics, "rollcall_dns_overflow_total", NULL,
                           "Questions refused because too many waited for others.");
    init_limited(meter, metrics);
    (void)query_counter(meter, DNS_PROTOCOL_UDP, 0, 0); /* told before the first query */
}

void dns_meter_note(struct dns_meter *meter, const struct dns_outcome *outcome)
{
    struct dns_meter_batch *batch = &meter->batch;
    size_t type = 0;
    size_t rcode = 0;

    if (outcome->limit != DNS_LIMIT_NONE) {
        batch->limit = outcome->limit;
        batch->limited[outcome->limit][outcome->limit_class]++;
        if (outcome->limit == DNS_LIMIT_DROPPED) {
            return;
        }
    }
    if (outcome->size == 0) {
        batch->dropped++;
        return;
    }
    while (type < DNS_METER_TYPES - 1 && types[type].number != outcome->type) {
        type++;
    }
    while (rcode < DNS_METER_RCODES - 1 && rcodes[rcode].number != outcome->rcode) {
        rcode++;
    }
    if (batch->counts[type][rcode]++ == 0) {
        batch->used[batch->used_count++] = (uint8_t)(type * DNS_METER_RCODES + rcode);
    }
    batch->answered++;
    batch->truncated += outcome->truncated == DNS_YES ? 1 : 0;
}

static void tell_limited(struct dns_meter *meter)
{
    struct dns_meter_batch *batch = &meter->batch;

    for (size_t l = DNS_LIMIT_SLIPPED; l < DNS_LIMIT_COUNT; l++) {
        for (size_t c = 0; c < DNS_RATE_CLASS_COUNT; c++) {
            if (batch->limited[l][c] > 0) {
                rc_metric_add(meter->limited[l][c], batch->limited[l][c]);
            }
        }
    }
    memset(batch->limited, 0, sizeof batch->limited);
    batch->limit = DNS_LIMIT_NONE;
}

void dns_meter_tell(struct dns_meter *meter, enum dns_protocol protocol, uint64_t ns)
{
    struct dns_meter_batch *batch = &meter->batch;

    for (size_t i = 0; i < batch->used_count; i++) {
        size_t type = batch->used[i] / DNS_METER_RCODES;
        size_t rcode = batch->used[i] % DNS_METER_RCODES;
        rc_metric_add(query_counter(meter, protocol, type, rcode),
                      batch->counts[type][rcode]);
        batch->counts[type][rcode] = 0;
    }
    if (batch->answered > 0) {
        rc_metric_observe_many_ns(meter->seconds[protocol], ns, batch->answered);
    }
    if (batch->truncated > 0) {
        rc_metric_add(meter->truncated[protocol], batch->truncated);
    }
    if (batch->dropped > 0) {
        rc_metric_add(meter->dropped[protocol], batch->dropped);
    }
    if (batch->limit != DNS_LIMIT_NONE) {
        tell_limited(meter);
    }
    batch->used_count = 0;
    batch->answered = 0;
    batch->truncated = 0;
    batch->dropped = 0;
}
