/* route.c - see route.h. */
#include "proxy/route/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { LINEAR_MAX = 8 }; /* exact hosts that are compared one after the other */

struct route_scratch *route_scratch_create(void)
{
    struct route_scratch *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->patterns = pattern_scratch_create();
    if (made->patterns == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

void route_scratch_destroy(struct route_scratch *scratch)
{
    if (scratch != NULL) {
        pattern_scratch_destroy(scratch->patterns);
        free(scratch);
    }
}

/* --- hosts --- */

struct rc_span route_name(struct rc_span host)
{
    size_t size = host.size;
    for (size_t i = host.size; i > 0 && host.at[i - 1] != ']'; i--) {
        if (host.at[i - 1] == ':') {
            size = i - 1;
            break;
        }
    }
    if (size > 1 && host.at[size - 1] == '.') {
        size--;
    }
    return (struct rc_span){host.at, size};
}

static char lower(char byte)
{
    bool upper = byte >= 'A' && byte <= 'Z';
    return (char)(byte + (upper ? 'a' - 'A' : 0));
}

/* How a name stands to a host's, in the order of most_exact_first in config_http.c. */
static int compare_host(struct rc_span name, const struct config_host *host)
{
    if (name.size != host->name_size) {
        return name.size > host->name_size ? -1 : 1;
    }
    for (size_t i = 0; i < name.size; i++) {
        int difference = (unsigned char)lower(name.at[i]) - (unsigned char)host->name[i];
        if (difference != 0) {
            return difference;
        }
    }
    return 0;
}

static const struct config_host *find_exact(const struct config_listener *listener,
                                            struct rc_span name)
{
    size_t low = 0;
    size_t high = listener->exact_hosts;

    if (high <= LINEAR_MAX) {
        while (low < high && compare_host(name, &listener->hosts[low]) != 0) {
            low++;
        }
        return low < high ? &listener->hosts[low] : NULL;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_host(name, &listener->hosts[middle]);
        if (order == 0) {
            return &listener->hosts[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* "*.x" -> ".x" ends the name, and something is before it; "*" -> always. */
static bool is_below(struct rc_span name, const struct config_host *host)
{
    size_t tail = host->name_size - 1;
    if (tail == 0) {
        return true;
    }
    struct rc_span end = {name.at + (name.size > tail ? name.size - tail : 0), tail};
    return name.size > tail && rc_span_equals_nocase(end, host->name + 1);
}

const struct config_host *route_host(const struct config_listener *listener,
                                     struct rc_span name)
{
    const struct config_host *exact = find_exact(listener, name);
    if (exact != NULL) {
        return exact;
    }
    for (size_t i = listener->exact_hosts; i < listener->host_count; i++) {
        if (is_below(name, &listener->hosts[i])) {
            return &listener->hosts[i];
        }
    }
    return NULL;
}

/* --- conditions --- */

static bool value_holds(const struct config_condition *condition, struct rc_span value,
                        struct route_scratch *scratch)
{
    switch (condition->compare) {
    case CONFIG_IS_THERE:
        return true;
    case CONFIG_IS_EQUAL:
        return rc_span_equals(value, condition->value);
    case CONFIG_IS_LIKE:
        break;
    }
    enum pattern_verdict verdict =
        pattern_match(condition->pattern, scratch->patterns, value, NULL);
    scratch->gave_up += verdict == PATTERN_GAVE_UP ? 1 : 0;
    return verdict == PATTERN_YES;
}

/* One of the lines of that name will do. */
static bool header_holds(const struct config_condition *condition,
                         const struct route_request *request,
                         struct route_scratch *scratch)
{
    const struct http1_head *head = &request->request->head;
    for (size_t i = 0; i < head->count; i++) {
        struct rc_span name = http1_text(request->bytes, head->fields[i].name);
        if (rc_span_equals_nocase(name, condition->name) &&
            value_holds(condition, http1_text(request->bytes, head->fields[i].value),
                        scratch)) {
            return true;
        }
    }
    return false;
}

static bool method_holds(const struct config_condition *condition,
                         const struct route_request *request)
{
    struct rc_span method = http1_text(request->bytes, request->request->method_text);
    for (size_t i = 0; i < CONFIG_METHODS_MAX && condition->methods[i] != NULL; i++) {
        if (rc_span_equals(method, condition->methods[i])) {
            return true;
        }
    }
    return false;
}

static bool condition_holds(const struct config_condition *condition,
                            const struct route_request *request,
                            struct route_scratch *scratch)
{
    bool holds = false;
    switch (condition->fact) {
    case CONFIG_WHEN_HEADER:
        holds = header_holds(condition, request, scratch);
        break;
    case CONFIG_WHEN_METHOD:
        holds = method_holds(condition, request);
        break;
    case CONFIG_WHEN_SOURCE:
        holds =
            rc_network_has(condition->networks, condition->network_count, request->peer);
        break;
    }
    return holds != condition->negated;
}

/* The first that does not hold, or NULL. */
static const struct config_condition *first_failing(const struct config_route *route,
                                                    const struct route_request *request,
                                                    struct route_scratch *scratch)
{
    for (size_t i = 0; i < route->condition_count; i++) {
        if (!condition_holds(&route->conditions[i], request, scratch)) {
            return &route->conditions[i];
        }
    }
    return NULL;
}

/* --- paths --- */

/* "/ws" matches "/ws" and "/ws/x", not "/wsx"; "/ws/" and "/" match what begins so. */
static bool prefix_matches(const struct config_route *route, struct rc_span path)
{
    size_t size = route->prefix_size;
    if (size == 1) {
        return true;
    }
    if (path.size < size || memcmp(path.at, route->prefix, size) != 0) {
        return false;
    }
    return path.size == size || route->prefix[size - 1] == '/' || path.at[size] == '/';
}

static enum pattern_verdict path_matches(const struct config_route *route,
                                         struct rc_span path,
                                         struct route_scratch *scratch,
                                         struct pattern_captures *captures)
{
    switch (route->match) {
    case CONFIG_MATCH_PREFIX:
        return prefix_matches(route, path) ? PATTERN_YES : PATTERN_NO;
    case CONFIG_MATCH_EXACT:
        return path.size == route->prefix_size &&
                       memcmp(path.at, route->prefix, path.size) == 0
                   ? PATTERN_YES
                   : PATTERN_NO;
    case CONFIG_MATCH_PATTERN:
        return pattern_match(route->pattern, scratch->patterns, path, captures);
    case CONFIG_MATCH_COUNT:
        break;
    }
    return PATTERN_NO;
}

struct search {
    const struct config_host *host;
    const struct route_request *request;
    struct route_scratch *scratch;
    const struct route_watch *watch;
};

static void tell(const struct search *search, const struct config_route *route,
                 enum route_miss miss, const struct config_condition *condition)
{
    if (search->watch != NULL) {
        search->watch->missed(search->watch->context, route, miss, condition);
    }
}

static const struct config_route *search_path(const struct search *search,
                                              struct rc_span path,
                                              struct pattern_captures *captures)
{
    for (size_t i = 0; i < search->host->route_count; i++) {
        const struct config_route *route = &search->host->routes[i];
        captures->count = 0;
        enum pattern_verdict verdict =
            path_matches(route, path, search->scratch, captures);
        if (verdict != PATTERN_YES) {
            search->scratch->gave_up += verdict == PATTERN_GAVE_UP ? 1 : 0;
            tell(search, route,
                 verdict == PATTERN_NO ? ROUTE_MISS_PATH : ROUTE_MISS_GAVE_UP, NULL);
            continue;
        }
        const struct config_condition *failing =
            route->condition_count == 0
                ? NULL
                : first_failing(route, search->request, search->scratch);
        if (failing == NULL) {
            return route;
        }
        tell(search, route, ROUTE_MISS_CONDITION, failing);
    }
    captures->count = 0;
    return NULL;
}

static enum route_verdict end(struct route_choice *out, enum route_verdict verdict)
{
    out->verdict = verdict;
    return verdict;
}

/* Path and query of the target; "" and "*" mean the root. */
static void split_target(const struct route_request *request, struct route_choice *out)
{
    struct rc_span target = http1_text(request->bytes, request->request->path);
    const char *query = target.size > 0 ? memchr(target.at, '?', target.size) : NULL;
    size_t size = query == NULL ? target.size : (size_t)(query - target.at);

    out->path = (struct rc_span){target.at, size};
    out->query = (struct rc_span){target.at + size, target.size - size};
    if (size == 0) {
        out->path = rc_span_of("/");
    }
}

/* The path has been spelled in an unusual way: both readings must lead to the same route. */
static enum route_verdict find_unusual(const struct search *search,
                                       struct route_choice *out)
{
    struct route_scratch *scratch = search->scratch;
    struct pattern_captures captures;
    struct search silent = *search;
    struct rc_span came = out->path;
    size_t size = 0;

    out->fault = path_form_normal(came.at, came.size, scratch->normal, &size);
    if (out->fault != PATH_SOUND) {
        return end(out, ROUTE_BAD_PATH);
    }
    out->path = (struct rc_span){scratch->normal, size};
    out->respelled = size != came.size || memcmp(came.at, scratch->normal, size) != 0;
    out->route = search_path(search, out->path, &out->captures);
    size = path_form_lax(scratch->normal, size, scratch->lax);
    out->lax = (struct rc_span){scratch->lax, size};
    silent.watch = NULL;
    out->other = search_path(&silent, out->lax, &captures);
    if (out->other != out->route) {
        return end(out, ROUTE_AMBIGUOUS);
    }
    return end(out, out->route != NULL ? ROUTE_FOUND : ROUTE_NO_PATH);
}

enum route_verdict route_find(const struct config_listener *listener,
                              const struct route_request *request,
                              struct route_scratch *scratch,
                              const struct route_watch *watch, struct route_choice *out)
{
    out->fault = PATH_SOUND;
    out->route = NULL;
    out->other = NULL;
    out->respelled = false;
    out->captures.count = 0;
    out->lax = (struct rc_span){NULL, 0};
    out->name = route_name(http1_text(request->bytes, request->request->host));
    split_target(request, out);
    out->host = route_host(listener, out->name);
    if (out->host == NULL) {
        return end(out, ROUTE_NO_HOST);
    }
    struct search search = {out->host, request, scratch, watch};
    if (!path_form_is_plain(out->path.at, out->path.size)) {
        return find_unusual(&search, out);
    }
    out->route = search_path(&search, out->path, &out->captures);
    return end(out, out->route != NULL ? ROUTE_FOUND : ROUTE_NO_PATH);
}

int route_service(const struct route_choice *choice, char *space, size_t size)
{
    size_t tail = choice->host->name_size - 1;
    size_t take = choice->name.size > tail ? choice->name.size - tail : 0;

    assert(choice->route->action == CONFIG_TO_SERVICE);
    if (take == 0 || take >= size) {
        return RC_ENOTFOUND;
    }
    for (size_t i = 0; i < take; i++) {
        char byte = lower(choice->name.at[i]);
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                    byte == '-' || byte == '_';
        if (!good) {
            return RC_ENOTFOUND;
        }
        space[i] = byte;
    }
    space[take] = '\0';
    return RC_OK;
}

const char *route_verdict_text(const struct route_choice *choice)
{
    static const char *const texts[ROUTE_VERDICT_COUNT] = {
        [ROUTE_FOUND] = "a route was found",
        [ROUTE_NO_HOST] = "no site of this name is served here",
        [ROUTE_NO_PATH] = "no route for this path of the site",
        [ROUTE_BAD_PATH] = "",
        [ROUTE_AMBIGUOUS] =
            "the path could be read as another one, which goes elsewhere: spell it plainly",
    };
    assert(choice->verdict < ROUTE_VERDICT_COUNT);
    return choice->verdict == ROUTE_BAD_PATH ? path_form_fault_text(choice->fault)
                                             : texts[choice->verdict];
}
