#include "agent/http/query.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "agent/http/answers.h"
#include "agent/http/exchange.h"
#include "agent/http/filter.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000 * 1000 };

static bool has(const struct http_exchange *x, const char *name)
{
    return target_parameter(&x->target, name) != NULL;
}

/* A parameter that counts only with a value. */
static const char *value_of(const struct http_exchange *x, const char *name)
{
    const char *value = target_parameter(&x->target, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool read_index(struct http_exchange *x)
{
    const char *text = value_of(x, "index");

    if (text == NULL || rc_text_to_u64(text, UINT64_MAX, &x->query.index) == RC_OK) {
        return true;
    }
    exchange_error(x, 400, "Invalid index");
    return false;
}

/* Zero, negative and missing mean the default; Consul's blocking queries end after at most
 * ten minutes. */
static bool read_wait(struct http_exchange *x)
{
    const char *text = value_of(x, "wait");
    uint64_t ns = 0;

    x->query.wait_ms = QUERY_WAIT_DEFAULT_MS;
    if (text == NULL) {
        return true;
    }
    int err = rc_text_to_duration_ns(text[0] == '-' ? text + 1 : text, &ns);
    if (err == RC_EMALFORMED) {
        exchange_error(x, 400, "Invalid wait time");
        return false;
    }
    if (err == RC_ETOOBIG || ns / NS_PER_MS > QUERY_WAIT_MAX_MS) {
        x->query.wait_ms = QUERY_WAIT_MAX_MS;
    } else if (text[0] != '-' && ns > 0) {
        x->query.wait_ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
    }
    if (err == RC_ETOOBIG && text[0] == '-') {
        x->query.wait_ms = QUERY_WAIT_DEFAULT_MS;
    }
    return true;
}

static bool read_consistency(struct http_exchange *x)
{
    const char *max_stale = value_of(x, "max_stale");
    uint64_t ns = 0;

    if (max_stale != NULL && rc_text_to_duration_ns(max_stale, &ns) != RC_OK) {
        exchange_error(x, 400, "Invalid max_stale value \"%s\"", max_stale);
        return false;
    }
    bool stale = has(x, "stale") || max_stale != NULL;
    bool consistent = has(x, "consistent");
    if (stale && consistent) {
        exchange_error(x, 400,
                       "Cannot specify ?stale with ?consistent, "
                       "conflicting semantics.");
        return false;
    }
    x->query.cached = has(x, "cached");
    if (x->query.cached && consistent) {
        exchange_error(x, 400,
                       "Cannot specify ?cached with ?consistent, "
                       "conflicting semantics.");
        return false;
    }
    if (stale) {
        x->query.consistency = QUERY_STALE;
    } else if (consistent) {
        x->query.consistency = QUERY_CONSISTENT;
    }
    return true;
}

/* RFC 9111 section 5.2, the two directives with a number that cached reads know. */
static bool read_cache_control(struct http_exchange *x)
{
    static const char *const numbered[] = {"max-age=", "stale-if-error="};
    const char *at = x->request.cache_control;

    while (at != NULL && *at != '\0') {
        at += strspn(at, " ,\t");
        for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
            size_t size = strlen(numbered[i]);
            struct rc_span start = {at, strnlen(at, size)};
            size_t digits = start.size == size ? strspn(at + size, "0123456789") : 0;
            if (rc_span_equals_nocase(start, numbered[i]) &&
                (digits == 0 || strcspn(at + size, ", \t") != digits)) {
                exchange_error(x, 400, "Invalid Cache-Control header.");
                return false;
            }
        }
        at += strcspn(at, ",");
    }
    return true;
}

bool query_begin(const struct http_api *api, struct http_exchange *x)
{
    const char *datacenter = value_of(x, "dc");

    if (!read_index(x) || !read_wait(x) || !read_consistency(x) ||
        !read_cache_control(x)) {
        return false;
    }
    if (datacenter != NULL && !rc_text_equals_nocase(datacenter, api->facts.datacenter)) {
        exchange_error(x, 500, "No path to datacenter");
        query_failed_headers(x);
        return false;
    }
    x->query.filter = value_of(x, "filter");
    return true;
}

void query_wait_key(struct http_api *api, struct http_exchange *x, uint64_t key)
{
    if (x->waiter.deadline_ms == 0) { /* the first time; woken in vain, it stays */
        uint64_t jitter_ms =
            rc_random_below(&api->random, x->query.wait_ms / QUERY_JITTER_PART + 1);
        x->waiter.deadline_ms = api->now_ms + x->query.wait_ms + jitter_ms;
    }
    x->waiter.key = key;
    x->outcome = EXCHANGE_WAITING;
}

void query_wait(struct http_api *api, struct http_exchange *x, enum catalog_topic topic,
                const char *name)
{
    query_wait_key(api, x, waiters_key(topic, name, api->seed));
}

void query_wait_news(struct http_api *api, struct http_exchange *x, enum http_news news)
{
    query_wait_key(api, x, waiters_news_key(news, api->seed));
}

bool query_must_wait(struct http_api *api, struct http_exchange *x,
                     enum catalog_topic topic, const char *name)
{
    if (x->expired || x->query.index == 0 ||
        catalog_index(api->catalog, topic, name) > x->query.index) {
        return false;
    }
    query_wait(api, x, topic, name);
    return true;
}

bool query_filter(struct http_exchange *x, const struct filter_schema *schema,
                  struct filter **out)
{
    char error[FILTER_ERROR_MAX];

    *out = NULL;
    if (x->query.filter == NULL ||
        filter_parse(x->query.filter, schema, out, error) == RC_OK) {
        return true;
    }
    exchange_error(x, 500, "Failed to create boolean expression evaluator: %s", error);
    query_failed_headers(x);
    return false;
}

void query_consistency_header(struct http_exchange *x)
{
    static const char *const names[QUERY_CONSISTENCY_COUNT] = {
        [QUERY_LEADER] = "leader",
        [QUERY_STALE] = "stale",
        [QUERY_CONSISTENT] = "consistent",
    };

    exchange_header(x, "X-Consul-Effective-Consistency", names[x->query.consistency]);
}

void query_headers(struct http_exchange *x, uint64_t index)
{
    exchange_header_u64(x, "X-Consul-Index", index == 0 ? 1 : index);
    /* Every agent holds the catalog whole, so every answer is as good as a leader's. */
    exchange_header(x, "X-Consul-Knownleader", "true");
    exchange_header(x, "X-Consul-Lastcontact", "0");
    query_consistency_header(x);
    if (x->query.cached) {
        exchange_header(x, "X-Cache", "MISS");
    }
}

bool query_recall(struct http_api *api, struct http_exchange *x)
{
    return answers_recall(api->answers, x,
                          catalog_index(api->catalog, CATALOG_TOPIC_ALL, ""));
}

void query_keep(struct http_api *api, const struct http_exchange *x)
{
    answers_keep(api->answers, x, catalog_index(api->catalog, CATALOG_TOPIC_ALL, ""));
}

void query_failed_headers(struct http_exchange *x)
{
    exchange_header(x, "X-Consul-Index", "1");
    exchange_header(x, "X-Consul-Knownleader", "false");
    exchange_header(x, "X-Consul-Lastcontact", "0");
}

bool query_tags_match(const struct http_api *api, const struct http_exchange *x,
                      const struct catalog_service *service)
{
    for (size_t i = 0; i < x->target.parameter_count; i++) {
        const struct target_parameter *p = &x->target.parameters[i];
        if (strcmp(p->name, "tag") == 0 && p->value[0] != '\0' &&
            !catalog_service_has_tag(api->catalog, service, p->value)) {
            return false;
        }
    }
    return true;
}

/* `wanted` is "key:value"; a bare "key" wants an empty value, as Consul reads it. */
static bool has_pair(const struct catalog_node *node, const char *wanted)
{
    size_t key_size = strcspn(wanted, ":");
    const char *value = wanted[key_size] == ':' ? wanted + key_size + 1 : "";

    for (size_t i = 0; i < node->meta_count; i++) {
        if (strlen(node->meta[i].key) == key_size &&
            strncmp(node->meta[i].key, wanted, key_size) == 0) {
            return strcmp(node->meta[i].value, value) == 0;
        }
    }
    return false;
}

bool query_node_matches(const struct http_exchange *x, const struct catalog_node *node)
{
    for (size_t i = 0; i < x->target.parameter_count; i++) {
        const struct target_parameter *p = &x->target.parameters[i];
        if (strcmp(p->name, "node-meta") == 0 && !has_pair(node, p->value)) {
            return false;
        }
    }
    return true;
}
