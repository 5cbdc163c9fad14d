#include "dns/resolve/resolve_ares.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <ares.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/err.h"
#include "dns/resolve/lookup.h"
#include "dns/resolve/watch_uv.h"
#include "dns/wire/message.h"

enum {
    SEARCHES_MAX = 64,
    DEFAULT_PORT = 53,
    DEFAULT_TIMEOUT_MS = 2000,
    DEFAULT_TRIES = 2,
    LOOK_AGAIN_MS = 1000 /* longest sleep while questions are under way */
};

/* One call of dns_resolve_srv(). */
struct search {
    struct dns_resolver *resolver;
    struct search *next;
    struct dns_lookup *lookup;
    dns_resolve_done done;
    void *context;
    size_t under_way; /* questions that c-ares holds */
};

/* One question that c-ares holds; taken by its callback. */
struct asked {
    struct search *search;
    size_t id;
};

struct dns_resolver {
    ares_channel channel;
    struct dns_watch *watch;
    struct search *searches;
    size_t search_count;
    uint64_t seed;
    bool is_closing;
    void (*on_closed)(void *context);
    void *context;
};

static void on_socket_wanted(void *context, ares_socket_t socket, int readable,
                             int writable)
{
    struct dns_resolver *resolver = context;
    unsigned events =
        (readable != 0 ? DNS_WATCH_READ : 0U) | (writable != 0 ? DNS_WATCH_WRITE : 0U);

    /* If that fails, the question runs into its timeout. */
    (void)dns_watch_socket(resolver->watch, socket, events);
}

static const char *problem_of(int status)
{
    switch (status) {
    case ARES_ETIMEOUT:
        return "no server answered in time";
    case ARES_ECONNREFUSED:
        return "no server could be reached";
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ENOTIMP:
    case ARES_EFORMERR:
        return "the servers cannot answer";
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return "the resolver was closed";
    case ARES_ENOMEM:
        return "out of memory";
    default:
        return "the answer is malformed";
    }
}

static void on_answer(void *context, int status, int timeouts, unsigned char *bytes,
                      int size)
{
    struct asked *asked = context;
    struct search *search = asked->search;
    bool is_answer =
        status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;

    (void)timeouts;
    assert(search->under_way > 0);
    search->under_way--;
    dns_lookup_answer(search->lookup, asked->id, is_answer ? bytes : NULL,
                      is_answer && bytes != NULL ? (size_t)size : 0, problem_of(status));
    free(asked);
}

/* Hands over what the search wants to ask. Answers may arrive from within. */
static void ask(struct search *search)
{
    struct dns_lookup_question question;

    while (dns_lookup_next(search->lookup, &question) == RC_OK) {
        struct asked *asked = malloc(sizeof *asked);
        if (asked == NULL) {
            dns_lookup_answer(search->lookup, question.id, NULL, 0, "out of memory");
            continue;
        }
        asked->search = search;
        asked->id = question.id;
        search->under_way++;
        ares_query(search->resolver->channel, question.name, DNS_CLASS_IN, question.type,
                   on_answer, asked);
    }
}

static void free_search(struct search *search)
{
    dns_lookup_destroy(search->lookup);
    free(search);
}

/* Takes out the first search that has a result, and fills that in; NULL if there is
 * none. */
static struct search *take_finished(struct dns_resolver *resolver,
                                    struct dns_result *result)
{
    for (struct search **place = &resolver->searches; *place != NULL;
         place = &(*place)->next) {
        struct search *search = *place;
        ask(search);
        if (search->under_way == 0 &&
            dns_lookup_result(search->lookup, result) != RC_EAGAIN) {
            *place = search->next;
            resolver->search_count--;
            return search;
        }
    }
    return NULL;
}

/* Tells results, outside of c-ares: a `done` may ask again, or close the resolver. */
static void carry_on(struct dns_resolver *resolver)
{
    struct search *search;
    struct dns_result result;
    struct timeval longest = {.tv_sec = LOOK_AGAIN_MS / 1000};
    struct timeval space;

    while (!resolver->is_closing && (search = take_finished(resolver, &result)) != NULL) {
        search->done(search->context, &result);
        free_search(search);
    }
    if (!resolver->is_closing && resolver->searches != NULL) {
        const struct timeval *wait = ares_timeout(resolver->channel, &longest, &space);
        dns_watch_timer(resolver->watch, (uint64_t)wait->tv_sec * 1000 +
                                             (uint64_t)wait->tv_usec / 1000 + 1);
    }
}

static void on_ready(void *context, int socket, unsigned events)
{
    struct dns_resolver *resolver = context;

    if (resolver->is_closing) {
        return;
    }
    ares_process_fd(resolver->channel,
                    (events & DNS_WATCH_READ) != 0 ? socket : ARES_SOCKET_BAD,
                    (events & DNS_WATCH_WRITE) != 0 ? socket : ARES_SOCKET_BAD);
    carry_on(resolver);
}

static void on_time(void *context)
{
    on_ready(context, ARES_SOCKET_BAD, 0);
}

static void on_watch_closed(void *context)
{
    struct dns_resolver *resolver = context;
    void (*on_closed)(void *) = resolver->on_closed;
    void *closed_context = resolver->context;

    free(resolver);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

static int set_servers(struct dns_resolver *resolver,
                       const struct dns_resolve_options *options)
{
    struct rc_buffer list = {.bytes = NULL};
    char text[RC_ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < options->server_count; i++) {
        struct rc_address address = options->servers[i];
        address.port = address.port == 0 ? DEFAULT_PORT : address.port;
        rc_address_format(&address, text);
        rc_buffer_format(&list, "%s%s", i == 0 ? "" : ",", text);
    }
    int err = list.err;
    if (err == RC_OK && ares_set_servers_ports_csv(
                            resolver->channel, rc_buffer_string(&list)) != ARES_SUCCESS) {
        err = RC_EIO;
    }
    rc_buffer_fini(&list);
    return err;
}

static int open_channel(struct dns_resolver *resolver,
                        const struct dns_resolve_options *options)
{
    struct ares_options ares = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS |
                 (options->transport == DNS_TRANSPORT_TCP ? ARES_FLAG_USEVC : 0),
        .timeout =
            options->timeout_ms == 0 ? DEFAULT_TIMEOUT_MS : (int)options->timeout_ms,
        .tries = options->tries == 0 ? DEFAULT_TRIES : (int)options->tries,
        .ednspsz = DNS_EDNS_SIZE,
        .sock_state_cb = on_socket_wanted,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS;

    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return RC_EIO;
    }
    if (ares_init_options(&resolver->channel, &ares, mask) != ARES_SUCCESS) {
        ares_library_cleanup();
        return RC_EIO;
    }
    int err = set_servers(resolver, options);
    if (err != RC_OK) {
        ares_destroy(resolver->channel);
        ares_library_cleanup();
    }
    return err;
}

int dns_resolver_start(struct uv_loop_s *loop, const struct dns_resolve_options *options,
                       struct dns_resolver **out)
{
    if (options->server_count == 0 || options->server_count > DNS_RESOLVE_SERVERS_MAX ||
        options->timeout_ms > INT32_MAX || options->tries > INT32_MAX) {
        return RC_EINVAL;
    }
    struct dns_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return RC_ENOMEM;
    }
    struct dns_watch_owner owner = {.on_ready = on_ready,
                                    .on_time = on_time,
                                    .on_closed = on_watch_closed,
                                    .context = resolver};
    int err = open_channel(resolver, options);
    if (err == RC_OK) {
        err = dns_watch_start(loop, &owner, &resolver->watch);
        if (err != RC_OK) {
            ares_destroy(resolver->channel);
            ares_library_cleanup();
        }
    }
    if (err != RC_OK) {
        free(resolver);
        return err;
    }
    resolver->seed = rc_clock_ns();
    *out = resolver;
    return RC_OK;
}

static int start_search(struct dns_resolver *resolver, const char *name, uint16_t port,
                        dns_resolve_done done, void *context)
{
    if (resolver->is_closing) {
        return RC_ECLOSED;
    }
    if (resolver->search_count >= SEARCHES_MAX) {
        return RC_EAGAIN;
    }
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL) {
        return RC_ENOMEM;
    }
    int err = port > 0 ? dns_lookup_create_addresses(name, port, resolver->seed,
                                                     &search->lookup)
                       : dns_lookup_create(name, resolver->seed, &search->lookup);
    if (err != RC_OK) {
        free(search);
        return err;
    }
    search->resolver = resolver;
    search->done = done;
    search->context = context;
    search->next = resolver->searches;
    resolver->searches = search;
    resolver->search_count++;
    dns_watch_timer(resolver->watch, 0); /* asked from the loop, never from here */
    return RC_OK;
}

int dns_resolve_srv(struct dns_resolver *resolver, const char *name,
                    dns_resolve_done done, void *context)
{
    return start_search(resolver, name, 0, done, context);
}

int dns_resolve_addresses(struct dns_resolver *resolver, const char *name, uint16_t port,
                          dns_resolve_done done, void *context)
{
    return port > 0 ? start_search(resolver, name, port, done, context) : RC_EINVAL;
}

void dns_resolver_close(struct dns_resolver *resolver, void (*on_closed)(void *context),
                        void *context)
{
    static const struct dns_result closed = {.verdict = DNS_VERDICT_FAILED,
                                             .problem = "the resolver was closed"};

    assert(!resolver->is_closing);
    resolver->is_closing = true;
    resolver->on_closed = on_closed;
    resolver->context = context;
    ares_destroy(resolver->channel); /* answers every question, for the last time */
    ares_library_cleanup();
    while (resolver->searches != NULL) {
        struct search *search = resolver->searches;
        resolver->searches = search->next;
        search->done(search->context, &closed);
        free_search(search);
    }
    dns_watch_close(resolver->watch);
}
