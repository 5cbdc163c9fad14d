#include "dns/forward/forward_meter.h"

#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

static const char *const fates[DNS_FORWARD_FATE_COUNT] = {
    [DNS_FORWARD_CACHED] = "cached",     [DNS_FORWARD_ASKED] = "asked",
    [DNS_FORWARD_JOINED] = "joined",     [DNS_FORWARD_STALE] = "stale",
    [DNS_FORWARD_FAILED] = "failed",     [DNS_FORWARD_LIMITED] = "limited",
    [DNS_FORWARD_UNROUTED] = "unrouted", [DNS_FORWARD_LOOPED] = "looped",
};

static const char *const results[DNS_UPSTREAM_RESULT_COUNT] = {
    [DNS_UPSTREAM_ANSWERED] = "answered", [DNS_UPSTREAM_DECLINED] = "declined",
    [DNS_UPSTREAM_SILENT] = "silent",     [DNS_UPSTREAM_UNREACHED] = "unreached",
    [DNS_UPSTREAM_GARBLED] = "garbled",
};

const char *dns_upstream_result_name(enum dns_upstream_result result)
{
    return results[result];
}

void dns_forward_meter_init(struct dns_forward_meter *meter, struct rc_metrics *metrics)
{
    char labels[32];

    memset(meter, 0, sizeof *meter);
    meter->metrics = metrics;
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < DNS_FORWARD_FATE_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "result=\"%s\"", fates[i]);
        meter->fates[i] =
            rc_metrics_counter(metrics, "rollcall_dns_forward_questions_total", labels,
                               "Questions about other zones, by what became of them.");
    }
    meter->loops =
        rc_metrics_counter(metrics, "rollcall_dns_forward_loops_total", NULL,
                           "Times that a recursor was found to ask us in turn.");
}

void dns_forward_meter_upstream(struct dns_forward_meter *meter, size_t i,
                                const struct rc_address *server)
{
    struct dns_upstream_meter *upstream = &meter->upstreams[i];
    char text[RC_ADDRESS_TEXT_MAX];
    char labels[128];

    if (meter->metrics == NULL) {
        return;
    }
    rc_address_format(server, text);
    (void)snprintf(labels, sizeof labels, "server=\"%s\"", text);
    upstream->seconds =
        rc_metrics_histogram(meter->metrics, "rollcall_dns_upstream_seconds", labels,
                             "Time that a recursor took to answer.");
    upstream->is_up = rc_metrics_gauge(meter->metrics, "rollcall_dns_upstream_up", labels,
                                       "1 if the recursor answers, else 0.");
    rc_metric_set(upstream->is_up, 1);
    for (size_t r = 0; r < DNS_UPSTREAM_RESULT_COUNT; r++) {
        (void)snprintf(labels, sizeof labels, "server=\"%s\",result=\"%s\"", text,
                       results[r]);
        upstream->results[r] =
            rc_metrics_counter(meter->metrics, "rollcall_dns_upstream_total", labels,
                               "Questions sent to a recursor, by what came of them.");
    }
}
