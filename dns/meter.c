#include "dns/meter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "dns/message.h"

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
      {DNS_RCODE_NOERROR, "NOERROR"},   {DNS_RCODE_NXDOMAIN, "NXDOMAIN"},
      {DNS_RCODE_REFUSED, "REFUSED"},   {DNS_RCODE_FORMERR, "FORMERR"},
      {DNS_RCODE_SERVFAIL, "SERVFAIL"}, {DNS_RCODE_NOTIMP, "NOTIMP"},
      {DNS_RCODE_BADVERS, "BADVERS"},   {0, "other"},
};

static struct rc_metric *by_protocol(struct rc_metrics *metrics, size_t protocol,
                                     const char *name, const char *help)
{
    char labels[32];

    (void)snprintf(labels, sizeof labels, "proto=\"%s\"", protocols[protocol]);
    return rc_metrics_counter(metrics, name, labels, help);
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

void dns_meter_count(struct dns_meter *meter, enum dns_protocol protocol,
                     const struct dns_outcome *outcome, uint64_t ns)
{
    size_t type = 0;
    size_t rcode = 0;

    if (outcome->size == 0) {
        rc_metric_add(meter->dropped[protocol], 1);
        return;
    }
    while (type < DNS_METER_TYPES - 1 && types[type].number != outcome->type) {
        type++;
    }
    while (rcode < DNS_METER_RCODES - 1 && rcodes[rcode].number != outcome->rcode) {
        rcode++;
    }
    rc_metric_add(query_counter(meter, protocol, type, rcode), 1);
    rc_metric_observe_ns(meter->seconds[protocol], ns);
    if (outcome->truncated == DNS_YES) {
        rc_metric_add(meter->truncated[protocol], 1);
    }
}
