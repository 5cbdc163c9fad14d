#include "dns/forward/forward_ares.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/table.h"
#include "dns/answer/limit.h"
#include "dns/forward/forward_loops.h"
#include "dns/forward/forward_state_ares.h"
#include "dns/resolve/watch_uv.h"

enum {
    TICK_BUSY_MS = 50,   /* while questions are under way */
    TICK_IDLE_MS = 1000, /* for the system's file, and probes */
    ASKER_QUERY_SIZE = 400
};

/* Somebody who waits, with the packet that asked. */
struct dns_asker {
    struct dns_waiter waiter; /* first: one is the other */
    struct dns_client client;
    struct dns_extras extras;
    dns_forward_done done;
    void *context;
    bool is_for_host; /* of another zone, for an answer of our own */
    uint8_t *query;   /* `space`, or allocated if it is long; NULL: there was no memory */
    size_t size;
    uint8_t space[ASKER_QUERY_SIZE];
};

static void count(struct dns_forwarder *f, enum dns_forward_fate fate)
{
    rc_metric_add(f->meter.fates[fate], 1);
}

enum dns_choice dns_forwarder_serves(const struct dns_forwarder *f,
                                     const struct rc_address *client)
{
    return f != NULL ? dns_forward_serves(f->options, client) : DNS_NO;
}

/* What the client's answer is made of: options that others set, but no errors yet. */
static struct dns_forward_frame frame_of(const struct dns_query *query,
                                         const struct dns_client *client,
                                         struct dns_extras *extras, size_t out_max)
{
    extras->error_count = 0;
    return (struct dns_forward_frame){
        .query = query,
        .extras = extras,
        .limit = dns_limit_size(query, client->channel, out_max)};
}

static struct dns_outcome outcome_of(const struct dns_forward_frame *frame,
                                     uint16_t rcode, size_t size)
{
    return (struct dns_outcome){.verdict = DNS_VERDICT_ANSWER,
                                .query = frame->query,
                                .extras = frame->extras,
                                .size = size,
                                .type = frame->query->type,
                                .rcode = rcode,
                                .truncated = DNS_NO};
}

static struct dns_outcome say_error(const struct dns_forward_frame *frame,
                                    struct dns_extras *extras,
                                    enum dns_extended_error error, uint8_t *out)
{
    dns_extras_add_error(extras, error, NULL);
    return outcome_of(frame, DNS_RCODE_SERVFAIL,
                      dns_forward_error_write(DNS_RCODE_SERVFAIL, frame, out));
}

static struct dns_outcome say_kept(const struct dns_forward_frame *frame,
                                   struct dns_extras *extras, const struct dns_kept *kept,
                                   int64_t age_s, uint8_t *out)
{
    enum dns_part is_cut;

    if (kept->failure != DNS_EXTENDED_NONE) {
        dns_extras_add_error(extras, kept->failure, NULL);
    } else if (age_s == DNS_FORWARD_AGE_STALE) {
        dns_extras_add_error(extras, DNS_EXTENDED_STALE, NULL);
    }
    size_t size = dns_kept_write(kept, age_s, frame, out, &is_cut);
    struct dns_outcome outcome = outcome_of(frame, kept->rcode, size);
    outcome.truncated = is_cut == DNS_PART_PRESENT ? DNS_YES : DNS_NO;
    return outcome;
}

/* Our own mark, or too many hops: it went in a circle. */
static bool is_looping(struct dns_forwarder *f, const struct dns_outcome *asked)
{
    struct dns_forward_mark mark = dns_forward_mark_read(asked->query);

    if (asked->foreign == NULL &&
        dns_loops_arrived(f->options->loops, &asked->query->name)) {
        return true;
    }
    if (mark.hops > 0 && mark.instance == f->options->instance) {
        dns_loops_want(f->options->loops);
        return true;
    }
    return mark.hops > DNS_FORWARD_HOPS_MAX;
}

/* The question to be passed on; `name` is copied, since answers are made meanwhile. */
static void read_question(struct dns_forwarder *f, const struct dns_outcome *asked)
{
    const struct dns_query *query = asked->query;
    struct dns_forward_question question = {.name = &query->name, .type = query->type};

    if (asked->foreign != NULL) {
        question.name = asked->foreign;
    } else {
        question.wants_dnssec =
            query->edns == DNS_PART_PRESENT && (query->edns_flags & DNS_EDNS_DO) != 0
                ? DNS_PART_PRESENT
                : DNS_PART_MISSING;
        question.unchecked =
            (query->flags & DNS_FLAG_CD) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    }
    dns_forward_key_make(&question, f->seed, &f->key);
}

struct dns_outcome dns_forwarder_look(struct dns_forwarder *f,
                                      const struct dns_client *client,
                                      const struct dns_outcome *asked, uint8_t *out,
                                      size_t out_max)
{
    struct dns_outcome as_it_is = *asked;
    const struct dns_kept *kept;
    int64_t age_s;

    as_it_is.verdict = DNS_VERDICT_ANSWER;
    if (f == NULL) {
        return as_it_is;
    }
    struct dns_extras *extras = &f->extras;
    *extras = *asked->extras;
    struct dns_forward_frame frame = frame_of(asked->query, client, extras, out_max);
    if (is_looping(f, asked)) {
        count(f, DNS_FORWARD_LOOPED);
        return say_error(&frame, extras, DNS_EXTENDED_UPSTREAM_ERROR, out);
    }
    read_question(f, asked);
    enum dns_freshness fresh =
        dns_forward_cache_find(f->cache, &f->key, client->now_ms, &kept, &age_s);
    if (asked->foreign == NULL &&
        (fresh == DNS_FRESHNESS_FRESH || fresh == DNS_FRESHNESS_FAILING)) {
        count(f, fresh == DNS_FRESHNESS_FRESH ? DNS_FORWARD_CACHED : DNS_FORWARD_STALE);
        return say_kept(&frame, extras, kept, age_s, out);
    }
    const struct dns_name *name =
        asked->foreign != NULL ? asked->foreign : &asked->query->name;
    f->order_count = dns_routes_order(f->routes, name, &f->random, f->order);
    if (f->order_count == 0) {
        count(f, DNS_FORWARD_UNROUTED);
        return dns_routes_has(f->routes, name)
                   ? say_error(&frame, extras, DNS_EXTENDED_UPSTREAM_ERROR, out)
                   : as_it_is;
    }
    if (!dns_flights_has_room(f->flights, &f->key, &client->peer)) {
        count(f, DNS_FORWARD_LIMITED);
        return say_error(&frame, extras, DNS_EXTENDED_NOT_READY, out);
    }
    return *asked;
}

static struct dns_asker *take_asker(struct dns_forwarder *f)
{
    struct dns_waiter *waiter = f->free_askers;

    if (waiter != NULL) {
        f->free_askers = waiter->next;
        return (struct dns_asker *)(void *)waiter;
    }
    assert(f->askers_used < DNS_WAITERS_MAX); /* as many as may wait */
    return &f->askers[f->askers_used++];
}

static void free_asker(struct dns_forwarder *f, struct dns_asker *asker)
{
    if (asker->query != asker->space) {
        free(asker->query);
    }
    asker->waiter.next = f->free_askers;
    f->free_askers = &asker->waiter;
}

static void keep_query(struct dns_asker *asker, struct rc_span query)
{
    asker->query = query.size <= sizeof asker->space ? asker->space : malloc(query.size);
    asker->size = query.size;
    if (asker->query != NULL) {
        memcpy(asker->query, query.at, query.size);
    }
}

static struct dns_flight *begin(struct dns_forwarder *f, const struct dns_query *query)
{
    struct dns_forward_mark mark = dns_forward_mark_read(query);
    struct dns_flight *flight =
        dns_flights_begin(f->flights, &f->key, rc_clock_ms() + f->total_ms);

    assert(flight != NULL); /* dns_forwarder_look() saw that there is room */
    memcpy(flight->order, f->order, sizeof flight->order);
    flight->count = (uint8_t)f->order_count;
    flight->instance = mark.hops > 0 ? mark.instance : f->options->instance;
    flight->hops = (uint8_t)(mark.hops + 1);
    return flight;
}

void dns_forwarder_ask(struct dns_forwarder *f, const struct dns_client *client,
                       const struct dns_outcome *asked, struct rc_span query,
                       dns_forward_done done, void *context)
{
    struct dns_flight *flight = dns_flights_find(f->flights, &f->key);
    bool is_new = flight == NULL;
    struct dns_asker *asker = take_asker(f);

    assert(!f->is_closing);
    asker->waiter.client = client->peer;
    asker->client = *client;
    asker->extras = *asked->extras;
    asker->done = done;
    asker->context = context;
    asker->is_for_host = asked->foreign != NULL;
    keep_query(asker, query);
    if (is_new) {
        flight = begin(f, asked->query);
    }
    int err = dns_flights_join(f->flights, flight, &asker->waiter);
    assert(err == RC_OK); /* dns_forwarder_look() saw that there is room */
    count(f, is_new ? DNS_FORWARD_ASKED : DNS_FORWARD_JOINED);
    if (is_new) {
        f->is_sending = true; /* whatever happens, nobody is answered from here */
        dns_tries_next(f, flight);
        f->is_sending = false;
    }
    dns_forwarder_hurry(f);
}

/* What the flight gave: an answer of now, or of earlier times, or nothing. */
struct result {
    const struct dns_kept *kept;
    int64_t age_s;
};

/* Our own answer, now that it is known what the host has. */
static struct dns_outcome answer_again(struct dns_forwarder *f, struct dns_asker *asker)
{
    const struct dns_forward_around *around = &f->around;

    asker->client.now_ms = rc_clock_ms();
    f->is_final = true;
    if (around->enter != NULL) {
        around->enter(around->context);
    }
    asker->client.is_counted = DNS_YES;
    struct dns_outcome outcome = dns_answer(f->answerer, &asker->client, asker->query,
                                            asker->size, f->out, sizeof f->out);
    if (around->leave != NULL) {
        around->leave(around->context);
    }
    f->is_final = false;
    outcome.verdict = DNS_VERDICT_ANSWER;
    return outcome;
}

static void answer_asker(struct dns_forwarder *f, struct dns_asker *asker,
                         const struct result *result)
{
    struct dns_outcome outcome = {.verdict = DNS_VERDICT_NOTHING};
    struct dns_query query;

    if (asker->query == NULL || f->is_closing ||
        dns_query_read(asker->query, asker->size, &query) != RC_OK) {
        asker->done(asker->context, &outcome, NULL);
        return;
    }
    if (asker->is_for_host) {
        outcome = answer_again(f, asker);
    } else {
        struct dns_forward_frame frame =
            frame_of(&query, &asker->client, &asker->extras, sizeof f->out);
        outcome = say_kept(&frame, &asker->extras, result->kept, result->age_s, f->out);
    }
    asker->done(asker->context, &outcome, f->out);
}

static enum dns_extended_error error_of(const struct dns_flight *flight)
{
    switch ((enum dns_upstream_result)flight->failure) {
    case DNS_UPSTREAM_UNREACHED:
    case DNS_UPSTREAM_GARBLED:
        return DNS_EXTENDED_UPSTREAM_ERROR;
    case DNS_UPSTREAM_ANSWERED:
    case DNS_UPSTREAM_DECLINED:
    case DNS_UPSTREAM_SILENT:
    case DNS_UPSTREAM_RESULT_COUNT:
        break;
    }
    return DNS_EXTENDED_NO_UPSTREAM;
}

/* Nobody could be asked: what ran out is better than nothing (RFC 8767), and a failure is
 * remembered for a moment (RFC 9520). */
static struct result fall_back(struct dns_forwarder *f, const struct dns_flight *flight,
                               struct dns_kept *failure)
{
    struct result result;
    uint64_t now_ms = rc_clock_ms();

    if (dns_forward_cache_find(f->cache, &flight->key, now_ms, &result.kept,
                               &result.age_s) != DNS_FRESHNESS_MISSING) {
        dns_forward_cache_failed(f->cache, &flight->key, now_ms);
        count(f, DNS_FORWARD_STALE);
        return result;
    }
    count(f, DNS_FORWARD_FAILED);
    *failure = (struct dns_kept){.rcode = DNS_RCODE_SERVFAIL,
                                 .failure = error_of(flight),
                                 .ttl_s = DNS_FORWARD_FAILURE_S};
    dns_forward_cache_put(f->cache, &flight->key, failure, now_ms);
    return (struct result){.kept = failure};
}

void dns_forwarder_finish(struct dns_forwarder *f, struct dns_flight *flight,
                          const struct dns_kept *kept)
{
    struct result result = {.kept = kept};
    struct dns_forward_key key = flight->key;
    struct dns_kept failure;

    if (kept == NULL && !f->is_closing) {
        result = fall_back(f, flight, &failure);
    }
    struct dns_waiter *waiter = dns_flights_end(f->flights, flight);
    while (waiter != NULL) {
        struct dns_asker *asker = (struct dns_asker *)(void *)waiter;
        waiter = waiter->next;
        f->final_key = &key;
        f->final_kept = result.kept;
        answer_asker(f, asker, &result);
        free_asker(f, asker);
    }
    f->final_key = NULL;
    f->final_kept = NULL;
}

/* The answer about a host as a message. */
static enum dns_foreign_state tell(struct dns_forwarder *f, const struct dns_name *name,
                                   uint16_t type, const struct dns_kept *kept,
                                   int64_t age_s, struct dns_foreign_answer *out)
{
    uint8_t question[DNS_NAME_MAX + 4];
    struct dns_query query = {.bytes = question, .question = DNS_PART_PRESENT};
    struct rc_writer writer = rc_writer_over(question, sizeof question);
    struct dns_extras extras;
    enum dns_part is_cut;

    if (kept->failure != DNS_EXTENDED_NONE) {
        return DNS_FOREIGN_FAILED;
    }
    rc_writer_bytes(&writer, name->wire, name->size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    query.question_size = rc_writer_size(&writer);
    dns_extras_init(&extras);
    struct dns_forward_frame frame = {
        .query = &query, .extras = &extras, .limit = sizeof f->host};
    out->size = dns_kept_write(kept, age_s, &frame, f->host, &is_cut);
    out->bytes = f->host;
    out->rcode = kept->rcode;
    return DNS_FOREIGN_KNOWN;
}

/* For the answerer. */
static enum dns_foreign_state find_host(void *context, const struct dns_client *client,
                                        const struct dns_name *name, uint16_t type,
                                        struct dns_foreign_answer *out)
{
    struct dns_forwarder *f = context;
    struct dns_forward_question question = {.name = name, .type = type};
    const struct dns_kept *kept;
    int64_t age_s = 0;
    struct dns_forward_key key;

    dns_forward_key_make(&question, f->seed, &key);
    enum dns_freshness fresh =
        dns_forward_cache_find(f->cache, &key, client->now_ms, &kept, &age_s);
    if (fresh == DNS_FRESHNESS_FRESH || fresh == DNS_FRESHNESS_FAILING) {
        return tell(f, name, type, kept, age_s, out);
    }
    if (!f->is_final) {
        return DNS_FOREIGN_UNKNOWN;
    }
    if (f->final_kept != NULL && dns_forward_key_equals(&key, f->final_key)) {
        return tell(f, name, type, f->final_kept, 0, out); /* not to be kept, but true */
    }
    return DNS_FOREIGN_FAILED;
}

void dns_forwarder_hurry(struct dns_forwarder *f)
{
    if (!f->is_ticking_fast) {
        f->is_ticking_fast = true;
        dns_watch_timer(f->watch, TICK_BUSY_MS);
    }
}

static void on_time(void *context)
{
    struct dns_forwarder *f = context;
    uint64_t now_ms = rc_clock_ms();

    if (f->is_closing) {
        return;
    }
    dns_tries_tick(f, now_ms);
    dns_system_tick(f, now_ms);
    dns_tries_probe(f, now_ms);
    f->is_ticking_fast = f->attempt_count > 0 || dns_flights_count(f->flights) > 0;
    dns_watch_timer(f->watch, f->is_ticking_fast ? TICK_BUSY_MS : TICK_IDLE_MS);
}

static void on_ready(void *context, int socket, unsigned events)
{
    (void)context; /* the sockets are the channels' */
    (void)socket;
    (void)events;
}

static void destroy(struct dns_forwarder *f)
{
    dns_routes_destroy(f->routes);
    dns_flights_destroy(f->flights);
    dns_forward_cache_destroy(f->cache);
    free(f->askers);
    free(f);
}

void dns_forwarder_part_closed(void *context)
{
    struct dns_forwarder *f = context;

    assert(f->open_parts > 0);
    if (--f->open_parts > 0 || !f->is_closing) {
        return;
    }
    void (*on_closed)(void *) = f->on_closed;
    void *closed_context = f->context;
    destroy(f);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

static int create(struct uv_loop_s *loop, const struct dns_forward_options *options,
                  struct dns_forwarder **out)
{
    struct dns_forwarder *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return RC_ENOMEM;
    }
    f->loop = loop;
    f->options = options;
    f->try_ms = options->try_ms == 0 ? DNS_FORWARD_TRY_MS : options->try_ms;
    f->total_ms = options->total_ms == 0 ? DNS_FORWARD_TOTAL_MS : options->total_ms;
    f->total_ms = f->total_ms < f->try_ms ? f->try_ms : f->total_ms;
    rc_random_init(&f->random, options->random_seed);
    f->seed = rc_random_next(&f->random);
    f->cache =
        dns_forward_cache_create(DNS_FORWARD_CACHE_ENTRIES, DNS_FORWARD_CACHE_BYTES);
    f->flights = dns_flights_create(f->seed);
    f->askers = calloc(DNS_WAITERS_MAX, sizeof *f->askers);
    f->foreign = (struct dns_foreign){.context = f, .find = find_host};
    if (f->cache == NULL || f->flights == NULL || f->askers == NULL) {
        destroy(f);
        return RC_ENOMEM;
    }
    *out = f;
    return RC_OK;
}

int dns_forwarder_start(struct uv_loop_s *loop, const struct dns_forward_options *options,
                        struct dns_answerer *answerer, struct rc_metrics *metrics,
                        struct dns_forwarder **out)
{
    struct dns_forwarder *f;

    int err = create(loop, options, &f);
    if (err != RC_OK) {
        return err;
    }
    struct dns_watch_owner owner = {.on_ready = on_ready,
                                    .on_time = on_time,
                                    .on_closed = dns_forwarder_part_closed,
                                    .context = f};
    err = dns_watch_start(loop, &owner, &f->watch);
    if (err != RC_OK) {
        destroy(f);
        return err;
    }
    f->open_parts = 1;
    f->answerer = answerer;
    dns_forward_meter_init(&f->meter, metrics);
    err = dns_system_route(f);
    if (err != RC_OK) {
        dns_forwarder_close(f, NULL, NULL);
        return err;
    }
    dns_answerer_set_foreign(answerer, &f->foreign);
    dns_watch_timer(f->watch, 0);
    *out = f;
    return RC_OK;
}

void dns_forwarder_set_around(struct dns_forwarder *f,
                              const struct dns_forward_around *around)
{
    f->around = *around;
}

void dns_forwarder_close(struct dns_forwarder *f, void (*on_closed)(void *context),
                         void *context)
{
    struct dns_flight *flight;

    assert(!f->is_closing);
    f->is_closing = true;
    f->on_closed = on_closed;
    f->context = context;
    dns_answerer_set_foreign(f->answerer, NULL);
    if (f->is_leader) {
        dns_loops_give_up(f->options->loops);
    }
    while ((flight = dns_flights_oldest(f->flights)) != NULL) {
        dns_forwarder_finish(f, flight, NULL);
    }
    dns_tries_close(f);
    dns_watch_close(f->watch);
}
