/* forward_words_uv.c - how links to servers stand: for the log, agent/self and the metrics. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/forward_state_uv.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/metrics.h"

static const char *protection(const struct forwarder *f)
{
    if (link_settings_is_plain(&f->ring)) {
        return f->settings.allow_plaintext ? "none: anybody may ask and listen"
                                           : "none: on this machine only";
    }
    return f->settings.pin_count > 0 ? "the pool's key, and the server's credential"
                                     : "the pool's key alone";
}

void forwarder_tell(const struct forwarder *f)
{
    bool plain = link_settings_is_plain(&f->ring);

    rc_log(plain && f->settings.allow_plaintext ? RC_LOG_WARN : RC_LOG_INFO, "link",
           "links to servers are protected by: %s", protection(f));
    if (f->settings.allow_plaintext) {
        rc_log(RC_LOG_WARN, "link",
               "link.allow_plaintext is set: %s, tokens and values of the store can be "
               "read and changed on the way",
               plain ? "without a key of the pool (encrypt)"
                     : "by agents that have no key");
    }
    if (!plain && f->settings.pin_count == 0) {
        rc_log(RC_LOG_INFO, "link",
               "any member with the pool's key may pose as a server: "
               "link.server_public_keys would tell who is one");
    }
}

static void put_number(struct rc_json *json, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    rc_json_put_string(json, key, text);
}

void forwarder_describe(const struct forwarder *f, struct rc_json *json)
{
    const struct courier_place *place = courier_current(f->courier);
    struct courier_counts counts = courier_counts(f->courier);
    struct link_host_counts host = link_host_counts(f->host);

    rc_json_object(json);
    put_number(json, "answered", counts.answered);
    rc_json_put_string(json, "credential", f->settings.credential.is_set ? "yes" : "no");
    put_number(json, "failed", counts.failed);
    put_number(json, "forwarded", counts.asked);
    put_number(json, "links", host.up);
    put_number(json, "moved", counts.moved);
    put_number(json, "open", courier_open_count(f->courier));
    put_number(json, "pins", f->settings.pin_count);
    rc_json_put_string(json, "protection", protection(f));
    put_number(json, "served", f->served);
    rc_json_put_string(json, "server", place != NULL ? place->name : "");
    put_number(json, "turned_away", host.crowded + host.strangers + host.late);
    rc_json_object_end(json);
}

static struct rc_metric *counter(const struct forwarder *f, const char *name,
                                 const char *labels, const char *help)
{
    return f->options.metrics == NULL
               ? NULL
               : rc_metrics_counter(f->options.metrics, name, labels, help);
}

static void collect(void *context)
{
    static const char forwarded[] = "rollcall_link_forwarded_total";
    static const char forwarded_help[] =
        "Requests sent to servers, by what came of them.";
    static const char away[] = "rollcall_link_turned_away_total";
    static const char away_help[] = "Connections of other agents that were not taken.";
    struct forwarder *f = context;
    struct courier_counts now = courier_counts(f->courier);
    struct link_host_counts host = link_host_counts(f->host);
    const struct {
        const char *name;
        const char *labels;
        const char *help;
        uint64_t value;
    } rows[] = {
        {forwarded, "result=\"answered\"", forwarded_help, now.answered},
        {forwarded, "result=\"failed\"", forwarded_help, now.failed},
        {"rollcall_link_moved_total", NULL, "Requests asked again because a link broke.",
         now.moved},
        {"rollcall_link_served_total", NULL, "Requests answered for other agents.",
         f->served},
        {away, "reason=\"crowd\"", away_help, host.crowded},
        {away, "reason=\"stranger\"", away_help, host.strangers},
        {away, "reason=\"late\"", away_help, host.late},
        {"rollcall_link_distrusted_total", NULL,
         "Servers that did not prove a pinned credential.", f->distrusted},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rc_metric *metric = counter(f, rows[i].name, rows[i].labels, rows[i].help);
        uint64_t told = rc_metric_count(metric);
        rc_metric_add(metric, rows[i].value - told);
    }
    rc_metric_set(f->links_gauge, (double)host.up);
    rc_metric_set(f->open_gauge, (double)courier_open_count(f->courier));
}

int forward_words_metrics(struct forwarder *f)
{
    if (f->options.metrics == NULL) {
        return RC_OK;
    }
    f->links_gauge = rc_metrics_gauge(f->options.metrics, "rollcall_link_connections",
                                      NULL, "Links to and from other agents.");
    f->open_gauge = rc_metrics_gauge(f->options.metrics, "rollcall_link_open_requests",
                                     NULL, "Forwarded requests without an answer yet.");
    return rc_metrics_on_render(f->options.metrics, collect, f);
}
