/* forward_state_ares.h - what a forwarder is made of; for forward_*_ares.c only. */
#ifndef DNS_FORWARD_FORWARD_STATE_ARES_H
#define DNS_FORWARD_FORWARD_STATE_ARES_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/random.h"
#include "dns/answer/foreign.h"
#include "dns/forward/forward_ares.h"
#include "dns/forward/forward_cache.h"
#include "dns/forward/forward_channel_ares.h"
#include "dns/forward/forward_flight.h"
#include "dns/forward/forward_meter.h"
#include "dns/forward/forward_routes.h"

struct dns_watch;
struct dns_asker;

enum dns_attempt_kind {
    DNS_ATTEMPT_QUESTION,
    DNS_ATTEMPT_COPY, /* for the server's health; its answer is as good as any */
    DNS_ATTEMPT_PROBE /* does it come back to us? */
};

/* One question to one server; freed when its channel is done with it. */
struct dns_attempt {
    struct dns_forwarder *f;
    struct dns_attempt *newer; /* of those not judged yet */
    struct dns_attempt *older;
    enum dns_attempt_kind kind;
    size_t upstream;
    uint64_t since_ns;
    bool is_judged;
    enum dns_part edns;
    struct dns_forward_key key;
    size_t size;
    uint8_t query[DNS_FORWARD_QUERY_MAX];
};

struct dns_forwarder {
    struct uv_loop_s *loop;
    const struct dns_forward_options *options;
    struct dns_answerer *answerer;
    struct dns_forward_around around;
    struct dns_watch *watch; /* for its timer */
    uint32_t try_ms;
    uint32_t total_ms;
    uint64_t seed;
    struct rc_random random;
    struct dns_routes *routes;
    struct dns_channel_to *channels[DNS_UPSTREAMS_MAX];
    struct dns_forward_cache *cache;
    struct dns_flights *flights;
    struct dns_forward_meter meter;

    struct dns_attempt *newest; /* not judged yet */
    struct dns_attempt *oldest;
    size_t attempt_count; /* all */
    bool is_sending;      /* below dns_channel_send(): nothing is answered from there */
    bool is_held;         /* attempts end, but nothing follows from it now */
    bool has_stuck;       /* some flight has to go on, on the next tick */
    bool is_ticking_fast;

    bool is_leader; /* sends probes for loops */
    uint64_t probe_at_ms;
    uint64_t system_at_ms; /* when to look at the system's file again */
    struct stat system_stat;

    struct dns_asker *askers; /* as many as may wait */
    size_t askers_used;       /* the rest was never used */
    struct dns_waiter *free_askers;

    /* The question of dns_forwarder_look(), for dns_forwarder_ask(). */
    struct dns_forward_key key;
    struct dns_extras extras;
    uint8_t order[DNS_FORWARD_SERVERS_MAX];
    size_t order_count;

    /* While an answer is made again for who waited for a host: what came of that. */
    bool is_final;
    const struct dns_forward_key *final_key;
    const struct dns_kept *final_kept; /* NULL: nothing */

    struct dns_foreign foreign;
    bool is_closing;
    size_t open_parts;
    void (*on_closed)(void *context);
    void *context;
    uint16_t ttl_at[DNS_KEPT_RECORDS_MAX];
    uint8_t host[DNS_MESSAGE_MAX]; /* the answer about a host */
    uint8_t out[DNS_MESSAGE_MAX];
};

/* forward_tries_ares.c: servers are asked. */

/* Opens channels to all servers of `f->routes`. RC_OK, RC_ENOMEM, RC_EIO. */
int dns_tries_open(struct dns_forwarder *f);

/* Closes them; what is under way ends without consequences. */
void dns_tries_close(struct dns_forwarder *f);

/* Asks the server that is next for `flight`, or ends it. */
void dns_tries_next(struct dns_forwarder *f, struct dns_flight *flight);

/* Asks whether questions to the servers come back, if it is time for it. */
void dns_tries_probe(struct dns_forwarder *f, uint64_t now_ms);

/* What is overdue. */
void dns_tries_tick(struct dns_forwarder *f, uint64_t now_ms);

/* forward_ares.c: clients are answered. */

/* The question of `key` is answered: by `kept`, or NULL: nobody could be asked, and why. */
void dns_forwarder_finish(struct dns_forwarder *f, struct dns_flight *flight,
                          const struct dns_kept *kept);

/* Ticks often from now on. */
void dns_forwarder_hurry(struct dns_forwarder *f);

/* A part of the forwarder has closed. */
void dns_forwarder_part_closed(void *context);

/* forward_system_ares.c: the servers of the system's file. */

/* Reads the file, if there is one to be read. Returns how many servers it names. */
size_t dns_system_read(struct dns_forwarder *f,
                       struct rc_address out[DNS_FORWARD_SERVERS_MAX]);

/* Makes the routes anew if the file has changed. */
void dns_system_tick(struct dns_forwarder *f, uint64_t now_ms);

/* Makes `f->routes` and its channels. RC_OK, or what dns_routes_create() says. */
int dns_system_route(struct dns_forwarder *f);

#endif
