#include "agent/join_uv.h"

#include <assert.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/gossip/gossip.h"
#include "agent/gossip/gossip_uv.h"
#include "agent/pool_memory.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum {
    REQUESTS_MAX = 32,
    NAME_MAX_BYTES = 200,
    KNOWN_AT_ONCE = 4,    /* members of the last run tried together; then the next ones */
    LOOK_AGAIN_MS = 60000 /* how often a joined agent looks whether its pool fell apart */
};

struct request;

/* One name of a request on its way to an address. */
struct lookup {
    uv_getaddrinfo_t resolve;
    struct request *request;
    uint16_t port;
};

/* One join: names are resolved, addresses asked, answers counted. */
struct request {
    struct joiner *joiner;
    struct rc_address addresses[JOIN_ADDRESSES_MAX];
    bool answered[JOIN_ADDRESSES_MAX];
    size_t address_count;
    size_t asked;   /* how many of the addresses have been given to gossip */
    size_t lookups; /* still resolving */
    size_t joined;
    bool is_asking; /* answers that come within the question do not end it */
    char error[JOIN_ERROR_MAX];
    join_done done;
    void *context;
};

struct joiner {
    struct join_options options;
    struct pool_memory memory; /* of this run */
    bool has_joined;           /* once: retry_max is about the start only */
    struct rc_address *known;
    size_t known_next; /* of them, to be tried; 0: the list starts anew */
    uv_timer_t timer;
    struct request *requests[REQUESTS_MAX];
    size_t request_count;
    size_t failures; /* of the configured list, in a row */
    size_t denied; /* answers under keys that we do not have, since the list was begun */
    bool closing;
    bool timer_closed;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* Frees the joiner once neither its timer nor a request needs it. */
static void release(struct joiner *joiner)
{
    if (!joiner->timer_closed || joiner->request_count > 0) {
        return;
    }
    void (*on_closed)(void *context) = joiner->on_closed;
    void *context = joiner->closed_context;
    free(joiner->known);
    free(joiner);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void end_request(struct request *request)
{
    struct joiner *joiner = request->joiner;
    for (size_t i = 0; i < joiner->request_count; i++) {
        if (joiner->requests[i] == request) {
            joiner->requests[i] = joiner->requests[--joiner->request_count];
            break;
        }
    }
    if (request->done != NULL) {
        request->done(request->context, request->joined, request->error);
    }
    free(request);
    release(joiner);
}

static bool is_finished(const struct request *request)
{
    if (request->lookups > 0 || request->asked < request->address_count) {
        return false;
    }
    for (size_t i = 0; i < request->address_count; i++) {
        if (!request->answered[i]) {
            return false;
        }
    }
    return true;
}

/* Gives gossip what has been resolved; ends the request when nothing is left to wait for. */
static void advance(struct request *request)
{
    struct joiner *joiner = request->joiner;
    size_t fresh = request->address_count - request->asked;
    if (request->is_asking) {
        return;
    }
    if (fresh > 0 && !joiner->closing) {
        const struct rc_address *first = &request->addresses[request->asked];
        request->asked = request->address_count;
        request->is_asking = true; /* without a way there the answer is here at once */
        if (gossip_join(joiner->options.gossip, rc_clock_ns(), first, fresh) != RC_OK) {
            (void)rc_text_put(request->error, sizeof request->error,
                              "the agent is leaving");
            for (size_t i = 0; i < request->address_count; i++) {
                request->answered[i] = true;
            }
        }
        gossip_uv_flush(joiner->options.edge);
        request->is_asking = false;
    }
    if (is_finished(request)) {
        end_request(request);
    }
}

static void add_address(struct request *request, const struct rc_address *address)
{
    const struct gossip_member *self = gossip_self(request->joiner->options.gossip);
    if (rc_address_equals(address, &self->said->address) ||
        request->address_count == JOIN_ADDRESSES_MAX) {
        return; /* joining ourselves tells nothing */
    }
    for (size_t i = 0; i < request->address_count; i++) {
        if (rc_address_equals(&request->addresses[i], address)) {
            return;
        }
    }
    request->addresses[request->address_count++] = *address;
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *answer)
{
    struct lookup *lookup = resolve->data;
    struct request *request = lookup->request;

    assert(request->lookups > 0);
    request->lookups--;
    if (status != 0 && status != UV_ECANCELED) {
        (void)snprintf(request->error, sizeof request->error, "%s", uv_strerror(status));
    }
    for (const struct addrinfo *at = answer; at != NULL; at = at->ai_next) {
        struct rc_address address;
        if (rc_address_from_sockaddr(at->ai_addr, &address) == RC_OK) {
            address.port = lookup->port;
            add_address(request, &address);
        }
    }
    uv_freeaddrinfo(answer);
    free(lookup);
    advance(request);
}

/* Splits "name:port"; the port is the default one without. */
static int split(const char *text, uint16_t default_port, char name[NAME_MAX_BYTES],
                 uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number = default_port;
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);

    if (size == 0 || size >= NAME_MAX_BYTES) {
        return RC_EINVAL;
    }
    if (colon != NULL && rc_text_to_u64(colon + 1, UINT16_MAX, &number) != RC_OK) {
        return RC_EINVAL;
    }
    memcpy(name, text, size);
    name[size] = '\0';
    *port = (uint16_t)number;
    return RC_OK;
}

static void add_name(struct request *request, const char *text)
{
    struct join_options *options = &request->joiner->options;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct rc_address address;
    char name[NAME_MAX_BYTES];
    uint16_t port = 0;

    if (rc_address_parse(text, options->default_port, &address) == RC_OK) {
        add_address(request, &address);
        return;
    }
    if (split(text, options->default_port, name, &port) != RC_OK) {
        (void)snprintf(request->error, sizeof request->error,
                       "'%s' is not an address or name", text);
        return;
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return;
    }
    lookup->request = request;
    lookup->port = port;
    lookup->resolve.data = lookup;
    int status =
        uv_getaddrinfo(options->loop, &lookup->resolve, on_resolved, name, NULL, &hints);
    if (status == 0) {
        request->lookups++;
        return;
    }
    (void)snprintf(request->error, sizeof request->error, "%s: %s", name,
                   uv_strerror(status));
    free(lookup);
}

static struct request *begin(struct joiner *joiner, join_done done, void *context)
{
    if (joiner->closing || joiner->request_count == REQUESTS_MAX) {
        return NULL;
    }
    struct request *request = calloc(1, sizeof *request);
    if (request != NULL) {
        request->joiner = joiner;
        request->done = done;
        request->context = context;
        joiner->requests[joiner->request_count++] = request;
    }
    return request;
}

int joiner_join(struct joiner *joiner, const char *name, join_done done, void *context)
{
    struct request *request = begin(joiner, done, context);
    if (request == NULL) {
        return RC_EINVAL;
    }
    add_name(request, name);
    advance(request);
    return RC_OK;
}

static const char *why(int err)
{
    switch (err) {
    case RC_ETIMEOUT:
        return "no answer in time";
    case RC_EDENIED:
        return "the encryption keys differ";
    case RC_EUNSUPPORTED:
        return "it does not encrypt, and we do (encrypt, encrypt_verify_incoming)";
    case RC_ECLOSED:
        return "connection refused, or closed without an answer (another encryption key?)";
    default:
        return rc_strerror(err);
    }
}

void joiner_on_result(struct joiner *joiner, const struct gossip_action *action)
{
    char text[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&action->address, text);
    /* From the end: a request that ends here takes the place of a later one. */
    for (size_t i = joiner->request_count; i-- > 0;) {
        struct request *request = joiner->requests[i];
        for (size_t k = 0; k < request->asked; k++) {
            if (request->answered[k] ||
                !rc_address_equals(&request->addresses[k], &action->address)) {
                continue;
            }
            request->answered[k] = true;
            joiner->denied += action->err == RC_EDENIED;
            if (action->err == RC_OK) {
                request->joined++;
            } else {
                (void)snprintf(request->error, sizeof request->error, "%s: %s", text,
                               why(action->err));
            }
        }
        advance(request);
    }
}

static void arm(struct joiner *joiner, uint64_t wait_ms);

/* Often enough to be seen, not so often that it fills the log. */
static bool is_worth_telling(size_t failures)
{
    return failures == 1 || failures % 30 == 0;
}

/* Members are there, but we share no key with them: waiting does not help, so it is said
 * loudly, and what to do. */
static void tell_keys_differ(const struct joiner *joiner)
{
    bool has_keys = gossip_is_encrypted(joiner->options.gossip);

    rc_log(
        RC_LOG_ERROR, "keys",
        "joined nobody: %zu answer%s, none under a key that this node has. %s Give "
        "encrypt the key that the pool uses now, and restart; trying again every %llu ms",
        joiner->denied, joiner->denied == 1 ? "" : "s",
        has_keys ? "Was the key of the pool changed while it was away?"
                 : "The pool is encrypted, this node has no key.",
        (unsigned long long)joiner->options.retry_every_ms);
}

static void on_list_tried(void *context, size_t joined, const char *error)
{
    struct joiner *joiner = context;
    if (joiner->closing) {
        return;
    }
    if (joined > 0) {
        rc_log(RC_LOG_INFO, "agent", "joined through %zu member%s", joined,
               joined == 1 ? "" : "s");
        joiner->failures = 0;
        joiner->known_next = 0;
        joiner->has_joined = true;
        arm(joiner, LOOK_AGAIN_MS);
        return;
    }
    if (joiner->known_next < joiner->options.known_count) {
        arm(joiner, 1);
        return;
    }
    joiner->known_next = 0;
    joiner->failures++;
    if (joiner->failures == joiner->options.retry_max && !joiner->has_joined &&
        joiner->options.name_count + joiner->options.known_count > 0) {
        rc_log(RC_LOG_ERROR, "agent", "nobody to join after %zu attempts (retry_max): %s",
               joiner->failures, error[0] != '\0' ? error : "no address to try");
        if (joiner->options.on_gave_up != NULL) {
            joiner->options.on_gave_up(joiner->options.context);
        }
        return;
    }
    bool is_loud = is_worth_telling(joiner->failures);
    if (joiner->denied > 0 && is_loud) {
        tell_keys_differ(joiner);
    }
    rc_log(is_loud && joiner->denied == 0 ? RC_LOG_WARN : RC_LOG_DEBUG, "agent",
           "nobody to join yet (attempt %zu): %s; trying again every %llu ms",
           joiner->failures, error[0] != '\0' ? error : "no address to try",
           (unsigned long long)joiner->options.retry_every_ms);
    arm(joiner, joiner->options.retry_every_ms);
}

static void try_list(struct joiner *joiner)
{
    struct request *request = begin(joiner, on_list_tried, joiner);
    if (request == NULL) {
        arm(joiner, joiner->options.retry_every_ms);
        return;
    }
    bool is_start = joiner->known_next == 0;
    joiner->denied = is_start ? 0 : joiner->denied;
    for (size_t i = 0; is_start && i < joiner->options.name_count; i++) {
        add_name(request, joiner->options.names[i]);
    }
    for (size_t i = 0; is_start && i < joiner->memory.count; i++) {
        add_address(request, &joiner->memory.others[i]);
    }
    for (size_t i = 0;
         i < KNOWN_AT_ONCE && joiner->known_next < joiner->options.known_count; i++) {
        add_address(request, &joiner->known[joiner->known_next++]);
    }
    advance(request);
}

static bool is_alive_member(const struct gossip *gossip, const struct rc_address *address)
{
    size_t position = 0;
    const struct gossip_member *member;
    while ((member = gossip_next_member(gossip, &position)) != NULL) {
        if (member->status == GOSSIP_ALIVE &&
            rc_address_equals(&member->said->address, address)) {
            return true;
        }
    }
    return false;
}

/* True when most of the pool is lost, when we are alone but were not in our last run, or when
 * somebody on the list is not in it: two halves that started apart, or were apart for longer
 * than gossip remembers, find each other so. */
static bool someone_is_missing(const struct joiner *joiner)
{
    const struct join_options *options = &joiner->options;
    const struct gossip_member *member;
    size_t position = 0;
    size_t alive = 0;
    size_t lost = 0;

    while ((member = gossip_next_member(options->gossip, &position)) != NULL) {
        alive += member->status == GOSSIP_ALIVE;
        lost += member->status == GOSSIP_FAILED;
    }
    if (alive < lost || (alive == 1 && options->known_count > 0)) {
        return true;
    }
    for (size_t i = 0; i < options->name_count; i++) {
        struct rc_address address;
        if (rc_address_parse(options->names[i], options->default_port, &address) !=
            RC_OK) {
            if (alive == 1) {
                return true;
            }
        } else if (!is_alive_member(options->gossip, &address)) {
            return true;
        }
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    struct joiner *joiner = timer->data;
    bool has_shrunk = pool_memory_misses(&joiner->memory, joiner->options.gossip);
    if (has_shrunk || someone_is_missing(joiner)) {
        try_list(joiner);
    } else {
        arm(joiner, LOOK_AGAIN_MS);
    }
}

static void arm(struct joiner *joiner, uint64_t wait_ms)
{
    if (!joiner->closing) {
        (void)uv_timer_start(&joiner->timer, on_timer, wait_ms, 0);
    }
}

int joiner_start(const struct join_options *options, struct joiner **out)
{
    struct joiner *joiner = calloc(1, sizeof *joiner);
    if (joiner == NULL) {
        return RC_ENOMEM;
    }
    joiner->options = *options;
    if (options->known_count > 0) {
        joiner->known = calloc(options->known_count, sizeof *joiner->known);
        if (joiner->known == NULL) {
            free(joiner);
            return RC_ENOMEM;
        }
        memcpy(joiner->known, options->known,
               options->known_count * sizeof *joiner->known);
    }
    (void)uv_timer_init(options->loop, &joiner->timer);
    joiner->timer.data = joiner;
    *out = joiner;
    if (options->name_count + options->known_count > 0) {
        try_list(joiner);
    } else {
        arm(joiner, LOOK_AGAIN_MS); /* others join us; we remember them */
    }
    return RC_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct joiner *joiner = handle->data;
    joiner->timer_closed = true;
    release(joiner);
}

void joiner_close(struct joiner *joiner, void (*on_closed)(void *context), void *context)
{
    joiner->closing = true;
    joiner->on_closed = on_closed;
    joiner->closed_context = context;
    for (size_t i = joiner->request_count; i-- > 0;) {
        struct request *request = joiner->requests[i];
        (void)rc_text_put(request->error, sizeof request->error, "the agent is stopping");
        if (request->lookups == 0) {
            end_request(request);
        } else { /* its lookups end it; what they find is not asked any more */
            request->asked = request->address_count = 0;
        }
    }
    uv_close((uv_handle_t *)&joiner->timer, on_timer_closed);
}
