#include "dns/serve/clerk_uv.h"

#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "dns/answer/limit.h"
#include "dns/forward/forward_ares.h"
#include "dns/wire/edns.h"
#include "dns/wire/message.h"

enum { NS_PER_MS = 1000000 };

void dns_clerk_begin(struct dns_clerk *clerk)
{
    clerk->start_ns = rc_clock_ns();
    clerk->now_ms = clerk->start_ns / NS_PER_MS;
    clerk->wall_ms = rc_clock_wall_ms();
    if (clerk->enter != NULL) {
        clerk->enter(clerk->context);
    }
}

void dns_clerk_end(struct dns_clerk *clerk, enum dns_protocol protocol)
{
    if (clerk->leave != NULL) {
        clerk->leave(clerk->context);
    }
    dns_meter_tell(clerk->meter, protocol, rc_clock_ns() - clerk->start_ns);
}

/* An answer of others has come; it is told with the time that it took. */
static void send_later(struct dns_later *later, const struct dns_outcome *outcome,
                       const uint8_t *bytes)
{
    struct dns_meter *meter = later->clerk->meter;
    enum dns_protocol protocol =
        later->client.channel == DNS_CHANNEL_TCP ? DNS_PROTOCOL_TCP : DNS_PROTOCOL_UDP;
    uint64_t asked_ns = later->asked_ns;

    dns_later_answer(later, bytes, outcome->size);
    dns_meter_note(meter, outcome);
    dns_meter_tell(meter, protocol, rc_clock_ns() - asked_ns);
}

static struct dns_later *take_later(struct dns_clerk *clerk,
                                    const struct dns_packet *packet, uint16_t type)
{
    struct dns_later *later =
        dns_later_take(clerk->laters, packet->outlet, packet->client);

    if (later != NULL) {
        later->clerk = clerk;
        later->local = packet->local;
        later->scope = packet->scope;
        later->type = type;
        later->asked_ns = clerk->start_ns;
    }
    return later;
}

/* The agent's loop is packet. DNS_NO: it cannot be. */
static enum dns_choice ask_agent(struct dns_clerk *clerk, const struct dns_packet *packet,
                                 uint16_t type)
{
    if (clerk->desk == NULL || packet->size > DNS_DESK_QUERY_MAX) {
        return DNS_NO;
    }
    struct dns_desk_slip *slip = dns_desk_take(clerk->desk);
    if (slip == NULL) {
        return DNS_NO;
    }
    slip->later = take_later(clerk, packet, type);
    if (slip->later == NULL) {
        dns_desk_put_back(clerk->desk, slip);
        return DNS_NO;
    }
    slip->client = *packet->client;
    slip->query_size = packet->size;
    memcpy(slip->query, packet->query, packet->size);
    dns_desk_ask(clerk->desk, slip);
    clerk->ring(clerk->context);
    return DNS_YES;
}

static void on_forwarded(void *context, const struct dns_outcome *outcome,
                         const uint8_t *bytes)
{
    struct dns_later *later = context;

    send_later(later, outcome, bytes);
}

static enum dns_choice ask_others(struct dns_clerk *clerk,
                                  const struct dns_packet *packet,
                                  const struct dns_outcome *outcome)
{
    struct dns_later *later = take_later(clerk, packet, outcome->type);

    if (later == NULL) {
        return DNS_NO;
    }
    const struct rc_span query = {.at = (const char *)packet->query,
                                  .size = packet->size};
    dns_forwarder_ask(clerk->forwarder, packet->client, outcome, query, on_forwarded,
                      later);
    return DNS_YES;
}

/* Too many wait for others already. */
static void say_busy(const struct dns_client *client, struct dns_outcome *outcome,
                     uint8_t *out, size_t out_max)
{
    struct dns_extras extras = *outcome->extras;
    struct dns_writer writer;
    size_t limit = dns_limit_size(outcome->query, client->channel, out_max);

    extras.error_count = 0;
    dns_extras_add_error(&extras, DNS_EXTENDED_NOT_READY, NULL);
    dns_writer_begin(&writer, outcome->query, &extras, out, limit, DNS_PART_PRESENT);
    outcome->size =
        dns_writer_end(&writer, outcome->query, 0, DNS_RCODE_SERVFAIL, &extras);
    outcome->rcode = DNS_RCODE_SERVFAIL;
}

/* Somebody else has the answer. */
static void pass_on(struct dns_clerk *clerk, const struct dns_packet *packet,
                    struct dns_outcome *outcome, uint8_t *out, size_t out_max)
{
    enum dns_choice is_asked;

    if (outcome->verdict == DNS_VERDICT_FORWARD) {
        *outcome =
            dns_forwarder_look(clerk->forwarder, packet->client, outcome, out, out_max);
        if (outcome->verdict != DNS_VERDICT_FORWARD) {
            return;
        }
        is_asked = ask_others(clerk, packet, outcome);
    } else {
        is_asked = ask_agent(clerk, packet, outcome->type);
    }
    if (is_asked == DNS_YES) {
        outcome->size = 0;
        return;
    }
    rc_metric_add(clerk->meter->overflown, 1);
    outcome->verdict = DNS_VERDICT_ANSWER;
    say_busy(packet->client, outcome, out, out_max);
}

struct dns_outcome dns_clerk_answer(struct dns_clerk *clerk,
                                    const struct dns_packet *packet, uint8_t *out,
                                    size_t out_max)
{
    packet->client->now_ms = clerk->now_ms;
    packet->client->wall_ms = clerk->wall_ms;
    packet->client->may_recurse =
        clerk->forwarder != NULL
            ? dns_forwarder_serves(clerk->forwarder, &packet->client->peer)
            : DNS_NO;
    struct dns_outcome outcome = dns_answer(clerk->answerer, packet->client,
                                            packet->query, packet->size, out, out_max);

    if (outcome.verdict == DNS_VERDICT_FORWARD || outcome.verdict == DNS_VERDICT_AGENT) {
        pass_on(clerk, packet, &outcome, out, out_max);
    }
    if (outcome.verdict <= DNS_VERDICT_ANSWER) {
        dns_meter_note(clerk->meter, &outcome);
    }
    return outcome;
}

void dns_clerk_collect(struct dns_clerk *clerk)
{
    struct dns_desk_slip *slip;

    while (clerk->desk != NULL && (slip = dns_desk_collect(clerk->desk)) != NULL) {
        send_later(slip->later, &slip->outcome, slip->answer);
        dns_desk_put_back(clerk->desk, slip);
    }
}
