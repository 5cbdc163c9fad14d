#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "dns/forward/forward_loops.h"
#include "dns/forward/forward_state_ares.h"

enum {
    NS_PER_US = 1000,
    US_PER_MS = 1000,
    NS_PER_MS = 1000000,
    PROBE_WISH_MS =
        10000 /* a loop that was noticed is looked for at once, but not often */
};

static const char *text_of(struct dns_forwarder *f, size_t upstream,
                           char space[RC_ADDRESS_TEXT_MAX])
{
    rc_address_format(&dns_routes_upstream(f->routes, upstream)->address, space);
    return space;
}

static void unlist(struct dns_attempt *attempt)
{
    struct dns_forwarder *f = attempt->f;

    assert(!attempt->is_judged);
    attempt->is_judged = true;
    *(attempt->newer != NULL ? &attempt->newer->older : &f->newest) = attempt->older;
    *(attempt->older != NULL ? &attempt->older->newer : &f->oldest) = attempt->newer;
}

/* A server's health has been learnt. */
static void judge(struct dns_attempt *attempt, enum dns_upstream_result result)
{
    struct dns_forwarder *f = attempt->f;
    struct dns_upstream_meter *meter = &f->meter.upstreams[attempt->upstream];
    uint64_t now_ns = rc_clock_ns();
    uint64_t took_ns = now_ns - attempt->since_ns;
    char text[RC_ADDRESS_TEXT_MAX];

    unlist(attempt);
    rc_metric_add(meter->results[result], 1);
    if (result == DNS_UPSTREAM_ANSWERED) {
        rc_metric_observe_ns(meter->seconds, took_ns);
    }
    switch (dns_routes_result(f->routes, attempt->upstream, result, took_ns / NS_PER_US,
                              now_ns / NS_PER_MS)) {
    case DNS_UPSTREAM_AS_BEFORE:
        break;
    case DNS_UPSTREAM_WENT_DOWN:
        rc_metric_set(meter->is_up, 0);
        rc_log(RC_LOG_WARN, "dns",
               "recursor %s is down (%s): it is asked last, until it answers again",
               text_of(f, attempt->upstream, text), dns_upstream_result_name(result));
        break;
    case DNS_UPSTREAM_CAME_BACK:
        rc_metric_set(meter->is_up, 1);
        rc_log(RC_LOG_INFO, "dns", "recursor %s answers again",
               text_of(f, attempt->upstream, text));
        break;
    }
}

/* A probe is over: did it come back to us? */
static void settle(struct dns_forwarder *f, size_t upstream)
{
    const struct rc_address *server = &dns_routes_upstream(f->routes, upstream)->address;
    char text[RC_ADDRESS_TEXT_MAX];

    switch (dns_loops_settle(f->options->loops, server)) {
    case DNS_LOOPS_AS_BEFORE:
        break;
    case DNS_LOOPS_BEGAN:
        rc_metric_add(f->meter.loops, 1);
        rc_log(RC_LOG_WARN, "dns",
               "recursor %s asks us in turn: a loop; it is not used until that is mended",
               text_of(f, upstream, text));
        break;
    case DNS_LOOPS_ENDED:
        rc_log(RC_LOG_INFO, "dns",
               "recursor %s no longer asks us in turn: it is used again",
               text_of(f, upstream, text));
        break;
    }
}

/* What to tell clients if all servers fail: the last failure, but a refusal says most. */
static void go_on(struct dns_forwarder *f, struct dns_flight *flight,
                  enum dns_upstream_result result)
{
    if (flight->failure != DNS_UPSTREAM_DECLINED) {
        flight->failure = (uint8_t)result;
    }
    flight->asked = NULL;
    flight->is_plain = DNS_PART_MISSING;
    flight->position++;
    if (f->is_sending) {
        f->has_stuck = true; /* clients are not answered from here */
        dns_forwarder_hurry(f);
    } else {
        dns_tries_next(f, flight);
    }
}

/* Nothing more will come of an attempt, or nothing in time. */
static void give_up(struct dns_attempt *attempt, enum dns_upstream_result result)
{
    struct dns_forwarder *f = attempt->f;
    struct dns_flight *flight = dns_flights_find(f->flights, &attempt->key);

    if (!attempt->is_judged) {
        judge(attempt, result);
    }
    if (attempt->kind == DNS_ATTEMPT_PROBE) {
        settle(f, attempt->upstream);
    } else if (flight != NULL && flight->asked == attempt) {
        go_on(f, flight, result);
    }
}

/* An old server that does not know EDNS is asked again without. */
static bool is_for_edns(const struct dns_attempt *attempt, const struct dns_kept *kept)
{
    return attempt->edns == DNS_PART_PRESENT && kept->rcode == DNS_RCODE_FORMERR &&
           attempt->kind == DNS_ATTEMPT_QUESTION;
}

static void ask_plainly(struct dns_attempt *attempt)
{
    struct dns_forwarder *f = attempt->f;
    struct dns_flight *flight = dns_flights_find(f->flights, &attempt->key);

    if (!attempt->is_judged) {
        judge(attempt, DNS_UPSTREAM_DECLINED);
    }
    /* c-ares has tried in its own way, and remembers. */
    dns_channel_renew(f->channels[attempt->upstream]);
    if (flight != NULL && flight->asked == attempt) {
        flight->asked = NULL;
        flight->is_plain = DNS_PART_PRESENT;
        dns_tries_next(f, flight);
    }
}

/* An answer, at any time: also one that comes late is as good as another. */
static void answered(struct dns_attempt *attempt, uint8_t *bytes, size_t size)
{
    struct dns_forwarder *f = attempt->f;
    struct dns_kept kept;

    if (dns_kept_read(bytes, size, attempt->query, attempt->size, f->ttl_at, &kept) !=
        RC_OK) {
        give_up(attempt, DNS_UPSTREAM_GARBLED);
    } else if (is_for_edns(attempt, &kept)) {
        ask_plainly(attempt);
    } else if (attempt->kind == DNS_ATTEMPT_PROBE) {
        give_up(attempt,
                kept.rcode == DNS_RCODE_NOERROR || kept.rcode == DNS_RCODE_NXDOMAIN
                    ? DNS_UPSTREAM_ANSWERED
                    : DNS_UPSTREAM_DECLINED);
    } else if (kept.rcode != DNS_RCODE_NOERROR && kept.rcode != DNS_RCODE_NXDOMAIN) {
        give_up(attempt, DNS_UPSTREAM_DECLINED);
    } else {
        if (!attempt->is_judged) {
            judge(attempt, DNS_UPSTREAM_ANSWERED);
        }
        if (attempt->edns == DNS_PART_MISSING) {
            dns_routes_upstream(f->routes, attempt->upstream)->without_edns = DNS_YES;
        }
        dns_forward_cache_put(f->cache, &attempt->key, &kept, rc_clock_ms());
        struct dns_flight *flight = dns_flights_find(f->flights, &attempt->key);
        if (flight != NULL) {
            dns_forwarder_finish(f, flight, &kept);
        }
    }
}

static void on_done(void *context, enum dns_channel_end end, uint8_t *bytes, size_t size)
{
    struct dns_attempt *attempt = context;
    struct dns_forwarder *f = attempt->f;

    assert(f->attempt_count > 0);
    f->attempt_count--;
    if (f->is_held || end == DNS_CHANNEL_END_CLOSED) {
        struct dns_flight *flight = dns_flights_find(f->flights, &attempt->key);
        if (flight != NULL && flight->asked == attempt) {
            flight->asked = NULL;
        }
        if (!attempt->is_judged) {
            unlist(attempt);
        }
    } else if (end == DNS_CHANNEL_END_ANSWERED) {
        answered(attempt, bytes, size);
    } else {
        give_up(attempt, end == DNS_CHANNEL_END_SILENT ? DNS_UPSTREAM_SILENT
                                                       : DNS_UPSTREAM_UNREACHED);
    }
    free(attempt);
}

/* Sends a question to a server. NULL when memory is out. */
static struct dns_attempt *start(struct dns_forwarder *f, enum dns_attempt_kind kind,
                                 size_t upstream, const struct dns_forward_key *key)
{
    struct dns_attempt *attempt = malloc(sizeof *attempt);

    if (attempt == NULL) {
        return NULL;
    }
    attempt->f = f;
    attempt->kind = kind;
    attempt->upstream = upstream;
    attempt->since_ns = rc_clock_ns();
    attempt->is_judged = false;
    attempt->key = *key;
    attempt->edns = dns_routes_upstream(f->routes, upstream)->without_edns == DNS_YES
                        ? DNS_PART_MISSING
                        : DNS_PART_PRESENT;
    attempt->newer = NULL;
    attempt->older = f->newest;
    *(attempt->older != NULL ? &attempt->older->newer : &f->oldest) = attempt;
    f->newest = attempt;
    f->attempt_count++;
    return attempt;
}

/* `attempt` may be gone afterwards. */
static void send_it(struct dns_attempt *attempt)
{
    struct dns_forwarder *f = attempt->f;
    bool was_sending = f->is_sending;

    f->is_sending = true;
    dns_channel_send(f->channels[attempt->upstream], attempt->since_ns / NS_PER_MS,
                     attempt->query, attempt->size, on_done, attempt);
    f->is_sending = was_sending;
}

/* The question of a key, written for an attempt. */
static void write_query(struct dns_attempt *attempt, const struct dns_forward_mark *mark)
{
    struct dns_name name;
    struct dns_forward_question question = {.name = &name};

    dns_forward_key_read(&attempt->key, &name, &question);
    attempt->size = dns_forward_query_write(&question, mark, attempt->edns,
                                            &attempt->f->random, attempt->query);
}

static void ask(struct dns_forwarder *f, struct dns_flight *flight,
                enum dns_attempt_kind kind, size_t upstream)
{
    struct dns_forward_mark mark = {.instance = flight->instance, .hops = flight->hops};
    struct dns_attempt *attempt = start(f, kind, upstream, &flight->key);

    if (attempt == NULL) {
        f->has_stuck = true;
        return;
    }
    if (kind == DNS_ATTEMPT_QUESTION) {
        flight->asked = attempt;
        attempt->edns =
            flight->is_plain == DNS_PART_PRESENT ? DNS_PART_MISSING : attempt->edns;
    }
    write_query(attempt, &mark);
    send_it(attempt);
}

void dns_tries_next(struct dns_forwarder *f, struct dns_flight *flight)
{
    uint64_t now_ms = rc_clock_ms();

    assert(flight->asked == NULL);
    if (flight->position >= flight->count || now_ms >= flight->deadline_ms) {
        dns_forwarder_finish(f, flight, NULL);
        return;
    }
    size_t upstream = flight->order[flight->position];
    if (flight->position == 0) {
        size_t copy = dns_routes_copy_to(f->routes, flight->order, flight->count, now_ms);
        if (copy != DNS_UPSTREAM_NONE) {
            ask(f, flight, DNS_ATTEMPT_COPY, copy);
        }
    }
    ask(f, flight, DNS_ATTEMPT_QUESTION, upstream);
}

void dns_tries_probe(struct dns_forwarder *f, uint64_t now_ms)
{
    struct dns_forward_mark mark = {.instance = f->options->instance, .hops = 1};
    struct dns_forward_question question = {.type = DNS_TYPE_A};
    struct dns_forward_key key;
    struct dns_name name;

    if (!f->is_leader) {
        f->is_leader = dns_loops_lead(f->options->loops);
    }
    bool is_wished = f->is_leader &&
                     now_ms + DNS_LOOPS_EVERY_MS >= f->probe_at_ms + PROBE_WISH_MS &&
                     dns_loops_take_wish(f->options->loops);
    if (!f->is_leader || (now_ms < f->probe_at_ms && !is_wished)) {
        return;
    }
    f->probe_at_ms = now_ms + DNS_LOOPS_EVERY_MS;
    question.name = &name;
    for (size_t i = 0; i < dns_routes_upstream_count(f->routes); i++) {
        const struct rc_address *server = &dns_routes_upstream(f->routes, i)->address;
        dns_loops_probe(f->options->loops, server, rc_random_next(&f->random), &name);
        dns_forward_key_make(&question, f->seed, &key);
        struct dns_attempt *attempt = start(f, DNS_ATTEMPT_PROBE, i, &key);
        if (attempt != NULL) {
            write_query(attempt, &mark);
            send_it(attempt);
        }
    }
}

/* Flights that could not go on from where they were. */
static void free_stuck(struct dns_forwarder *f)
{
    struct dns_flight *flight = dns_flights_oldest(f->flights);

    f->has_stuck = false;
    while (flight != NULL) {
        struct dns_flight *newer = flight->newer;
        if (flight->asked == NULL) {
            dns_tries_next(f, flight);
        }
        flight = newer;
    }
}

void dns_tries_tick(struct dns_forwarder *f, uint64_t now_ms)
{
    struct dns_flight *flight;

    for (size_t i = 0; i < dns_routes_upstream_count(f->routes); i++) {
        dns_channel_tick(f->channels[i]);
    }
    while (f->oldest != NULL && now_ms >= f->oldest->since_ns / NS_PER_MS + f->try_ms) {
        give_up(f->oldest, DNS_UPSTREAM_SILENT);
    }
    while ((flight = dns_flights_oldest(f->flights)) != NULL &&
           now_ms >= flight->deadline_ms) {
        flight->asked = NULL;
        dns_forwarder_finish(f, flight, NULL);
    }
    if (f->has_stuck) {
        free_stuck(f);
    }
}

int dns_tries_open(struct dns_forwarder *f)
{
    for (size_t i = 0; i < dns_routes_upstream_count(f->routes); i++) {
        const struct rc_address *server = &dns_routes_upstream(f->routes, i)->address;
        int err = dns_channel_open(f->loop, server, f->try_ms, &f->channels[i]);
        if (err != RC_OK) {
            return err;
        }
        f->open_parts++;
        dns_forward_meter_upstream(&f->meter, i, server);
    }
    return RC_OK;
}

void dns_tries_close(struct dns_forwarder *f)
{
    bool was_held = f->is_held;

    f->is_held = true;
    for (size_t i = 0; i < DNS_UPSTREAMS_MAX; i++) {
        if (f->channels[i] != NULL) {
            dns_channel_close(f->channels[i], dns_forwarder_part_closed, f);
            f->channels[i] = NULL;
        }
    }
    f->is_held = was_held;
}
