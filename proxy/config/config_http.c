/* config_http.c - hosts and routes of `listen http`. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

/* Two that the same requests would choose, and nothing tells apart. */
static bool are_alike(const struct config_route *a, const struct config_route *b)
{
    return a->match == b->match && a->condition_count == 0 && b->condition_count == 0 &&
           rc_text_equals(a->prefix, b->prefix);
}

static int check_twice(struct config_reader *reader, const struct config_word *word,
                       const struct config_host *host, const struct config_route *route)
{
    for (const struct config_route *other = host->routes; other < route; other++) {
        if (are_alike(other, route)) {
            return config_fault(reader, word, "the route \"%s\" stands here twice",
                                route->prefix);
        }
    }
    return RC_OK;
}

static int read_route(struct config_reader *reader, size_t statement,
                      struct config_host *host)
{
    struct config_route *route = &host->routes[host->route_count++];
    *route = config_default_route();
    int err = config_read_match(reader, statement, route);
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (err == RC_OK && !config_has_action(reader, (int)statement)) {
        err = config_fault(reader, word,
                           "this route does nothing: add \"pool NAME\", \"redirect\", "
                           "\"answer\" or \"services\"");
    }
    if (err == RC_OK) {
        err = config_read_route(reader, statement, host->name, route);
    }
    return err != RC_OK ? err : check_twice(reader, word, host, route);
}

/* All `route` statements directly in `parent`. */
static int read_routes(struct config_reader *reader, int parent, struct config_host *host)
{
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        const struct config_statement *s = &reader->words.statements[i];
        if (s->parent != parent ||
            !rc_text_equals(config_word_at(reader, i, 0)->text, "route")) {
            continue;
        }
        int err = read_route(reader, i, host);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* Exact paths, then regular expressions as they stand in the file, then prefixes, the longest
 * first; of the same path, those with conditions first. */
static int first_tried(const void *a, const void *b)
{
    const struct config_route *left = a;
    const struct config_route *right = b;
    if (left->match != right->match) {
        return (int)left->match - (int)right->match;
    }
    if (left->match != CONFIG_MATCH_PATTERN) {
        if (left->prefix_size != right->prefix_size) {
            return left->prefix_size < right->prefix_size ? 1 : -1;
        }
        int order = strcmp(left->prefix, right->prefix);
        if (order != 0) {
            return order;
        }
        if ((left->condition_count == 0) != (right->condition_count == 0)) {
            return left->condition_count == 0 ? 1 : -1;
        }
    }
    return left->place < right->place ? -1 : left->place > right->place ? 1 : 0;
}

/* Exact names before "*.x" (longer first) before "*". */
static int rank(const struct config_host *host)
{
    if (host->name[0] != '*') {
        return 0;
    }
    return host->name[1] != '\0' ? 1 : 2;
}

static int most_exact_first(const void *a, const void *b)
{
    const struct config_host *left = a;
    const struct config_host *right = b;
    if (rank(left) != rank(right)) {
        return rank(left) - rank(right);
    }
    if (left->name_size != right->name_size) {
        return left->name_size < right->name_size ? 1 : -1;
    }
    return strcmp(left->name, right->name);
}

/* The words of a route directly in a host or a listener: its route "/". */
static int read_own_route(struct config_reader *reader, size_t statement,
                          struct config_host *host)
{
    const struct config_word *word = config_word_at(reader, statement, 0);
    if (!config_has_action(reader, (int)statement)) {
        return config_fault(reader, word, "words of a route here, but no \"pool\"");
    }
    struct config_route *route = &host->routes[host->route_count++];
    *route = config_default_route();
    route->line = word->line;
    int err = config_read_route(reader, statement, host->name, route);
    for (size_t i = 0; err == RC_OK && i + 1 < host->route_count; i++) {
        if (are_alike(&host->routes[i], route)) {
            err =
                config_fault(reader, word, "both \"pool\" and \"route /\": one too many");
        }
    }
    return err;
}

/* Routes that say nothing about maintenance do as their host does. */
static void inherit(struct config_host *host, const struct config_maintenance *from)
{
    for (size_t i = 0; i < host->route_count; i++) {
        if (host->routes[i].maintenance.mode == CONFIG_MAINTENANCE_INHERIT) {
            host->routes[i].maintenance = *from;
        }
    }
}

static int read_own_maintenance(struct config_reader *reader, int parent,
                                struct config_maintenance *out)
{
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent == parent &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "maintenance")) {
            if (out->mode != CONFIG_MAINTENANCE_INHERIT) {
                return config_fault(reader, config_word_at(reader, i, 0),
                                    "\"maintenance\" stands here twice");
            }
            err = config_read_maintenance(reader, i, out);
        }
    }
    return err;
}

/* What stands in the block of `statement`, into the host whose name is known. */
static int read_inside(struct config_reader *reader, size_t statement,
                       struct config_listener *listener, struct config_host *host)
{
    struct config_maintenance maintenance = {0};
    size_t routes = config_count(reader, (int)statement, "route");

    host->routes = calloc(routes + 1, sizeof *host->routes);
    listener->host_count++;
    if (host->routes == NULL) {
        return RC_ENOMEM;
    }
    int err = read_routes(reader, (int)statement, host);
    if (err == RC_OK && config_has_route_words(reader, (int)statement)) {
        err = read_own_route(reader, statement, host);
    }
    if (err == RC_OK) {
        err = read_own_maintenance(reader, (int)statement, &maintenance);
    }
    inherit(host, &maintenance);
    return err;
}

static int read_name(struct config_reader *reader, const struct config_word *word,
                     struct config_listener *listener, struct config_host *host)
{
    static const struct config_rule name = {.kind = CONFIG_RULE_TEXT,
                                            .offset = offsetof(struct config_host, name),
                                            .max = CONFIG_NAME_MAX};
    int err = config_read_value(reader, word, &name, host);
    for (char *at = host->name; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    host->name_size = strlen(host->name);
    for (size_t i = 0; err == RC_OK && i < listener->host_count; i++) {
        if (rc_text_equals(listener->hosts[i].name, host->name)) {
            err = config_fault(reader, word, "the host \"%s\" stands here twice",
                               host->name);
        }
    }
    return err;
}

static int read_host(struct config_reader *reader, size_t statement,
                     struct config_listener *listener)
{
    struct config_host *host = &listener->hosts[listener->host_count];
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (config_count(reader, (int)statement, "route") == 0 &&
        !config_has_route_words(reader, (int)statement)) {
        return config_fault(reader, word, "this host has no route");
    }
    err = read_name(reader, word, listener, host);
    if (err == RC_OK) {
        err = config_check_host_words(reader, statement);
    }
    return err != RC_OK ? err : read_inside(reader, statement, listener, host);
}

/* What stands directly in `listen http` is host "*". */
static int read_any_host(struct config_reader *reader, size_t statement,
                         struct config_listener *listener)
{
    for (size_t i = 0; i < listener->host_count; i++) {
        if (rc_text_equals(listener->hosts[i].name, "*")) {
            return config_fault(reader, config_word_at(reader, statement, 0),
                                "both \"host *\" and routes without a host");
        }
    }
    struct config_host *host = &listener->hosts[listener->host_count];
    (void)rc_text_put(host->name, sizeof host->name, "*");
    host->name_size = 1;
    return read_inside(reader, statement, listener, host);
}

/* What is not said of a route is as its pool or its listener has it. */
static void settle(const struct config *config, const struct config_listener *listener,
                   struct config_route *route)
{
    bool sent = route->action == CONFIG_TO_POOL || route->action == CONFIG_TO_SERVICE;
    const struct config_pool *pool = sent ? &config->pools[route->pool] : NULL;
    if (pool != NULL && route->connect_timeout_ms == 0) {
        route->connect_timeout_ms = pool->connect_timeout_ms;
    }
    if (pool != NULL && route->response_timeout_ms == 0) {
        route->response_timeout_ms = pool->response_timeout_ms;
    }
    if (route->body_timeout_ms == 0) {
        route->body_timeout_ms = listener->body_timeout_ms;
    }
    if (route->maintenance.mode == CONFIG_MAINTENANCE_INHERIT) {
        route->maintenance.mode = CONFIG_MAINTENANCE_OFF;
    }
}

static void count_exact(struct config_listener *listener)
{
    listener->exact_hosts = 0;
    while (listener->exact_hosts < listener->host_count &&
           listener->hosts[listener->exact_hosts].name[0] != '*') {
        listener->exact_hosts++;
    }
}

/* The order in which hosts and routes are tried, once for all. */
static void finish(const struct config *config, struct config_listener *listener)
{
    for (size_t i = 0; i < listener->host_count; i++) {
        struct config_host *host = &listener->hosts[i];
        for (size_t k = 0; k < host->route_count; k++) {
            host->routes[k].place = (uint32_t)k;
            settle(config, listener, &host->routes[k]);
        }
        if (host->route_count > 1) {
            qsort(host->routes, host->route_count, sizeof *host->routes, first_tried);
        }
    }
    if (listener->host_count > 1) {
        qsort(listener->hosts, listener->host_count, sizeof *listener->hosts,
              most_exact_first);
    }
    count_exact(listener);
}

static int read_all_hosts(struct config_reader *reader, size_t statement,
                          struct config_listener *listener)
{
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent == (int)statement &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "host")) {
            err = read_host(reader, i, listener);
        }
    }
    return err;
}

int config_read_hosts(struct config_reader *reader, size_t statement,
                      struct config_listener *listener)
{
    size_t hosts = config_count(reader, (int)statement, "host");
    bool any = config_count(reader, (int)statement, "route") > 0 ||
               config_has_route_words(reader, (int)statement);
    struct config_maintenance maintenance = {0};
    if (hosts == 0 && !any) {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "this listener sends nowhere: add \"pool NAME\" or "
                            "\"host NAME { route / { pool NAME } }\"");
    }
    listener->hosts = calloc(hosts + 1, sizeof *listener->hosts);
    if (listener->hosts == NULL) {
        return RC_ENOMEM;
    }
    int err = read_all_hosts(reader, statement, listener);
    if (err == RC_OK && any) {
        err = read_any_host(reader, statement, listener);
    }
    if (err == RC_OK) {
        err = read_own_maintenance(reader, (int)statement, &maintenance);
    }
    for (size_t i = 0; err == RC_OK && i < listener->host_count; i++) {
        inherit(&listener->hosts[i], &maintenance);
    }
    if (err == RC_OK) {
        finish(reader->config, listener);
    }
    return err;
}
