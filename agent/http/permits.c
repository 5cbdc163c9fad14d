#include "agent/http/permits.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/permits_state.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/text.h"

/* ---- Life. */

static void count_in(struct permits *permits)
{
    struct rc_metrics *metrics = permits->options.metrics;

    if (metrics != NULL) {
        permits->refusals =
            rc_metrics_counter(metrics, "rollcall_acl_refused_total", NULL,
                               "Requests refused for want of a right.");
        permits->warnings =
            rc_metrics_counter(metrics, "rollcall_acl_would_refuse_total", NULL,
                               "Requests that acl.mode = warn has let pass.");
    }
}

struct permits *permits_create(const struct permits_options *options)
{
    struct permits *permits = calloc(1, sizeof *permits);
    const struct directory_options directory = {
        .datacenter = options->datacenter,
        .fallback = options->fallback == HTTP_ACL_ALLOW ? GRANT_ALLOWS : GRANT_DENIES,
        .seed = options->seed,
    };

    if (permits == NULL) {
        return NULL;
    }
    permits->options = *options;
    permits->is_bootstrapped = true; /* until somebody who knows says otherwise */
    permits->directory = directory_create(&directory);
    permits->guesses = guess_list_create(GUESS_OF_CLIENT);
    permits->relayed = guess_list_create(GUESS_OF_AGENT);
    permits->remotes = rc_table_create(options->seed);
    permits->asked = rc_table_create(options->seed);
    permits->warned = rc_table_create(options->seed);
    bool is_whole = permits->directory != NULL && permits->guesses != NULL &&
                    permits->relayed != NULL && permits->remotes != NULL &&
                    permits->asked != NULL && permits->warned != NULL;
    if (!is_whole || subject_create(DIRECTORY_ANONYMOUS, NULL, 0, directory.fallback,
                                    &permits->nobody) != RC_OK) {
        permits_destroy(permits);
        return NULL;
    }
    count_in(permits);
    return permits;
}

static void free_all(struct rc_table *table)
{
    size_t position = 0;
    void *value;

    while (table != NULL && (value = rc_table_next(table, &position, NULL)) != NULL) {
        free(value);
    }
    rc_table_destroy(table);
}

void permits_destroy(struct permits *permits)
{
    if (permits == NULL) {
        return;
    }
    permits_free_remotes(permits);
    free_all(permits->warned);
    rc_table_destroy(permits->asked);
    directory_destroy(permits->directory);
    guess_list_destroy(permits->guesses);
    guess_list_destroy(permits->relayed);
    subject_drop(permits->nobody);
    explicit_bzero(permits->key, sizeof permits->key);
    free(permits);
}

bool permits_are_used(const struct permits *permits)
{
    return permits != NULL && permits->options.mode != HTTP_ACL_OFF;
}

enum http_acl_default permits_default(const struct permits *permits)
{
    return permits_are_used(permits) ? permits->options.fallback : HTTP_ACL_ALLOW;
}

bool permits_may_reset(struct http_api *api, uint64_t index)
{
    const struct permits_options *options = &api->permits->options;

    return options->may_reset != NULL && options->may_reset(options->context, index);
}

/* ---- For the endpoints of tokens. */

struct directory *permits_directory(struct http_api *api)
{
    permits_read_store(api);
    return api->permits->directory;
}

bool permits_are_bootstrapped(struct http_api *api)
{
    if (api->store != NULL) {
        permits_read_store(api);
    }
    return api->permits->is_bootstrapped;
}

bool permits_hash(struct http_api *api, const char *secret, uint8_t out[SECRET_HASH_SIZE])
{
    permits_read_store(api);
    if (!api->permits->has_key) {
        return false;
    }
    secret_hash(api->permits->key, secret, out);
    return true;
}

/* ---- Whose token it is. */

static bool has_expired(const struct http_api *api, const struct subject *subject)
{
    return subject->expires_ms != 0 && subject->expires_ms <= api->wall_ms;
}

static enum permits_found find_here(struct http_api *api, const char *token,
                                    struct subject **out, uint64_t *wake)
{
    const char *accessor = DIRECTORY_ANONYMOUS;
    uint8_t hash[SECRET_HASH_SIZE];
    struct directory_item item;
    struct subject *subject = NULL;

    permits_read_store(api);
    if (!permits_have_read(api->permits)) { /* when it is loaded all are woken */
        *wake = waiters_store_key(STORE_SETTINGS, rc_pack_text(PERMITS_KEY), api->seed);
        return PERMITS_ASKED;
    }
    if (token[0] != '\0' && strcmp(token, "anonymous") != 0) {
        if (!permits_hash(api, token, hash) ||
            !directory_find_hash(api->permits->directory, hash, &item)) {
            return PERMITS_UNKNOWN;
        }
        accessor = item.id;
    }
    if (directory_subject(api->permits->directory, accessor, &subject) != RC_OK ||
        has_expired(api, subject)) {
        return PERMITS_UNKNOWN;
    }
    *out = subject_keep(subject);
    return PERMITS_FOUND;
}

static enum permits_found find(struct http_api *api, const char *token,
                               struct subject **out, uint64_t *wake)
{
    enum permits_found found = api->store != NULL
                                   ? find_here(api, token, out, wake)
                                   : permits_ask_remote(api, token, out, wake);

    if (found == PERMITS_FOUND && has_expired(api, *out)) {
        subject_drop(*out);
        *out = NULL;
        return PERMITS_UNKNOWN;
    }
    return found;
}

/* Parks `x` until `wake`, remembering the wait that this may interrupt. */
static void wait_for_server(struct http_api *api, struct http_exchange *x, uint64_t wake)
{
    if (!x->token_wait.is_on) {
        x->token_wait.is_on = true;
        x->token_wait.expired = x->expired;
        x->token_wait.deadline_ms = x->waiter.deadline_ms;
        x->waiter.deadline_ms = api->now_ms + PERMITS_WAIT_MS;
        x->expired = false;
    }
    x->waiter.key = wake;
    x->outcome = EXCHANGE_WAITING;
}

static void end_wait(struct http_exchange *x)
{
    if (x->token_wait.is_on) {
        x->token_wait.is_on = false;
        x->expired = x->token_wait.expired;
        x->waiter.deadline_ms = x->token_wait.deadline_ms;
    }
}

static void refuse_unknown(struct http_api *api, struct http_exchange *x)
{
    rc_metric_add(api->permits->refusals, 1);
    query_failed_headers(x);
    exchange_error(x, 403, "ACL not found");
    permits_audit(api, x, PERMITS_REFUSED);
}

/* Somebody with a token that nobody can look up now, or that is not there. */
static bool go_on_without(struct http_api *api, struct http_exchange *x,
                          enum permits_found found, const char *token)
{
    struct permits *permits = api->permits;
    bool has_token = token[0] != '\0';

    if (found == PERMITS_AWAY && api->store != NULL &&
        x->route->place == ROUTE_AT_SERVER) { /* nor can it be told to other agents */
        query_failed_headers(x);
        exchange_error(x, 500,
                       "No cluster leader: nothing of the store is known here yet");
        return false;
    }
    if (found == PERMITS_AWAY && !has_token) {
        x->subject = subject_keep(permits->nobody);
        return true;
    }
    if (permits->options.mode == HTTP_ACL_WARN) {
        x->subject = subject_keep(permits->nobody);
        return true;
    }
    if (found == PERMITS_AWAY && permits->options.down == HTTP_ACL_DOWN_DENY) {
        exchange_error(x, 403, "Permission denied: no server can be asked about tokens");
        permits_audit(api, x, PERMITS_REFUSED);
        return false;
    }
    refuse_unknown(api, x);
    return false;
}

/* The print by which a right token is known again on this machine. */
static uint64_t print_of(const struct permits *permits, const char *token)
{
    uint8_t hash[SECRET_HASH_SIZE];
    uint64_t print = 0;

    secret_hash(permits->options.cache_key, token, hash);
    memcpy(&print, hash, sizeof print);
    return print;
}

/* The print of a token that its client has chosen; 0: there is none. Our own token is nobody's
 * guess. */
static uint64_t print_to_limit(const struct permits *permits, const char *token)
{
    bool is_chosen = token[0] != '\0' && token != permits->options.default_token;
    return is_chosen ? print_of(permits, token) : 0;
}

/* Agents limit their own clients; but one that does not is limited as a whole. */
static struct guess_list *guesses_of(const struct permits *permits,
                                     const struct http_exchange *x)
{
    return x->node != NULL ? permits->relayed : permits->guesses;
}

static uint64_t address_of(const struct http_api *api, const struct http_exchange *x)
{
    return x->node != NULL ? rc_hash(x->node, strlen(x->node), api->seed) : x->client;
}

static bool may_try(struct http_api *api, struct http_exchange *x, uint64_t print)
{
    if (print == 0 || guess_may_try(guesses_of(api->permits, x), address_of(api, x),
                                    print, api->now_ms)) {
        return true;
    }
    exchange_header(x, "Retry-After", "1");
    exchange_error(x, 429, "Too many unknown tokens came from this %s",
                   x->node != NULL ? "agent" : "address");
    permits_audit(api, x, PERMITS_REFUSED);
    return false;
}

static void tried(struct http_api *api, const struct http_exchange *x, uint64_t print,
                  enum permits_found found)
{
    struct guess_list *guesses = guesses_of(api->permits, x);

    if (print != 0 && found == PERMITS_UNKNOWN) {
        guess_was_wrong(guesses, address_of(api, x), api->now_ms);
    } else if (print != 0 && found == PERMITS_FOUND) {
        guess_was_right(guesses, address_of(api, x), print, api->now_ms);
    }
}

void permits_forwarded(struct http_api *api, const struct http_exchange *x,
                       const struct http_reply *reply)
{
    static const char unknown[] = "ACL not found";

    if (!permits_are_used(api->permits) || x->request.token == NULL) {
        return;
    }
    bool is_unknown = reply->status == 403 && reply->body_size == strlen(unknown) &&
                      memcmp(reply->body, unknown, strlen(unknown)) == 0;
    enum permits_found found = is_unknown            ? PERMITS_UNKNOWN
                               : reply->status < 300 ? PERMITS_FOUND
                                                     : PERMITS_AWAY;
    tried(api, x, print_to_limit(api->permits, x->request.token), found);
}

static bool look_up(struct http_api *api, struct http_exchange *x, const char *token)
{
    uint64_t print = print_to_limit(api->permits, token);
    uint64_t wake = 0;
    enum permits_found found = PERMITS_AWAY;

    if (!may_try(api, x, print)) {
        return false;
    }
    bool has_waited = x->token_wait.is_on && x->expired;
    if (!has_waited) {
        found = find(api, token, &x->subject, &wake);
    }
    if (found == PERMITS_ASKED) {
        wait_for_server(api, x, wake);
        return false;
    }
    end_wait(x);
    tried(api, x, print, found);
    return found == PERMITS_FOUND || go_on_without(api, x, found, token);
}

const char *permits_token(const struct http_api *api, struct http_exchange *x)
{
    const struct permits_options *options = &api->permits->options;
    const char *in_query = target_parameter(&x->target, "token");

    if (in_query != NULL && in_query[0] != '\0' && !options->takes_query_token) {
        exchange_error(x, 400,
                       "A token in the query ends up in logs: send it as X-Consul-Token "
                       "or Authorization: Bearer, or set acl.token_in_query = true");
        return NULL;
    }
    if (in_query != NULL && in_query[0] != '\0') {
        return in_query;
    }
    if (x->request.token != NULL && x->request.token[0] != '\0') {
        return x->request.token;
    }
    bool is_ours = x->node == NULL && options->default_token != NULL;
    return is_ours ? options->default_token : "";
}

static bool is_about_tokens(const struct route *route)
{
    return rc_text_starts_with(route->path, "/v1/acl/");
}

bool permits_admit(struct http_api *api, struct http_exchange *x,
                   const struct route *route)
{
    subject_drop(x->subject); /* of a run before a wait: the token may have ended */
    x->subject = NULL;
    x->is_filtered = false;
    x->ends_restore = false;
    if (!permits_are_used(api->permits)) {
        if (is_about_tokens(route)) {
            exchange_error(x, 401, "ACL support disabled");
            return false;
        }
        return true;
    }
    if (route->permission == ROUTE_OPEN) {
        return true;
    }
    const char *token = permits_token(api, x);
    if (token == NULL) {
        return false;
    }
    if (permits_are_blind(api)) {
        return permits_admit_blind(api, x, route);
    }
    if (route->place == ROUTE_AT_SERVER && api->store == NULL) {
        x->request.token = token; /* the server looks it up */
        return may_try(api, x, print_to_limit(api->permits, token));
    }
    return look_up(api, x, token);
}

/* ---- For DNS. */

static struct subject *dns_subject(struct http_api *api)
{
    const struct permits_options *options = &api->permits->options;
    const char *token =
        options->dns_token != NULL ? options->dns_token : options->default_token;
    struct subject *subject = NULL;
    uint64_t wake = 0;

    if (find(api, token != NULL ? token : "", &subject, &wake) == PERMITS_FOUND) {
        return subject;
    }
    return subject_keep(api->permits->nobody);
}

static bool is_enforced(struct http_api *api)
{
    return permits_are_used(api->permits) &&
           api->permits->options.mode == HTTP_ACL_ENFORCE &&
           permits_are_bootstrapped(api);
}

uint64_t permits_dns_serial(struct http_api *api)
{
    if (!is_enforced(api)) {
        return 0;
    }
    struct subject *subject = dns_subject(api);
    uint64_t serial = subject->serial + 1; /* of nobody it is 0 */
    subject_drop(subject);
    return serial;
}

bool permits_dns_shows(struct http_api *api, enum permit_resource resource,
                       const char *name)
{
    if (!is_enforced(api)) {
        return true;
    }
    struct subject *subject = dns_subject(api);
    bool shows = grant_allows(subject->grant, permits_resource(resource), name,
                              RULE_TO_READ, NULL);
    subject_drop(subject);
    return shows;
}
