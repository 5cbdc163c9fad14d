#include <string.h>

#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "agent/http/render.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/pattern.h"
#include "base/text.h"

/* Members in full, and Serf's queries: what Consul's API has no place for. */

enum { NS_PER_MS = 1000000, KEY_MAX = 128 };

/* ---- Members. */

/* Estimated from both coordinates; not told while one of them is unknown. */
static void put_rtt(const struct http_api *api, struct rc_json *json,
                    const struct gossip_member *member)
{
    struct gossip_coordinate ours;
    struct gossip_coordinate theirs;
    const char *self = gossip_self(api->gossip)->said->name;

    rc_json_key(json, "RTT");
    if (gossip_coordinate(api->gossip, self, &ours) != RC_OK ||
        gossip_coordinate(api->gossip, member->said->name, &theirs) != RC_OK) {
        rc_json_null(json);
    } else if (member == gossip_self(api->gossip)) {
        rc_json_double(json, 0);
    } else {
        rc_json_double(json, gossip_coordinate_distance(&ours, &theirs));
    }
}

static void put_member(const struct http_api *api, struct rc_json *json,
                       const struct gossip_member *member)
{
    uint64_t since_ms = member->since_ns / NS_PER_MS;

    rc_json_object(json);
    rc_json_key(json, "Member");
    render_member(json, member, api->catalog);
    rc_json_put_string(json, "State", gossip_status_name(member->status));
    rc_json_put_u64(json, "Incarnation", member->incarnation);
    rc_json_put_u64(json, "StatusLTime", member->status_ltime);
    rc_json_put_u64(json, "SinceMs", since_ms < api->now_ms ? api->now_ms - since_ms : 0);
    put_rtt(api, json, member);
    rc_json_put_bool(json, "Suspect", member->status == GOSSIP_SUSPECT);
    rc_json_put_bool(json, "TCPOnly", member->tcp_only);
    rc_json_put_bool(json, "Rollcall", member->said->is_rollcall);
    rc_json_put_bool(json, "Self", member == gossip_self(api->gossip));
    rc_json_object_end(json);
}

void agent_gossip_members(struct http_api *api, struct http_exchange *x)
{
    size_t position = 0;
    const struct gossip_member *member = NULL;

    if (!query_begin(api, x) || request_knows_members(api, x)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while ((member = gossip_next_member(api->gossip, &position)) != NULL) {
        if (permit_shows(api, x, PERMIT_NODE, member->said->name)) {
            put_member(api, &json, member);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

/* ---- Queries. */

/* A query being put together. */
struct question {
    struct gossip_query query;
    const char *nodes[GOSSIP_QUERY_FILTERS_MAX];
    struct gossip_tag tags[GOSSIP_QUERY_FILTERS_MAX];
    char keys[GOSSIP_QUERY_FILTERS_MAX][KEY_MAX];
};

/* All false returns of these have answered with what is wrong. */
static bool read_timeout(struct http_exchange *x, struct gossip_query *query)
{
    const char *text = target_parameter(&x->target, "timeout");
    uint64_t ns = 0;

    if (text == NULL || text[0] == '\0') {
        return true;
    }
    if (rc_text_to_duration_ns(text, &ns) != RC_OK ||
        ns / NS_PER_MS > GOSSIP_QUERY_TIMEOUT_MAX_MS) {
        exchange_error(x, 400, "Invalid timeout: \"%s\" (a duration, at most 1h)", text);
        return false;
    }
    query->timeout_ms = (uint32_t)((ns + NS_PER_MS - 1) / NS_PER_MS);
    return true;
}

static bool read_relay(struct http_exchange *x, struct gossip_query *query)
{
    const char *text = target_parameter(&x->target, "relay");
    uint64_t factor = 0;

    if (text == NULL || text[0] == '\0') {
        return true;
    }
    if (rc_text_to_u64(text, 5, &factor) != RC_OK) {
        exchange_error(x, 400, "Invalid relay factor: must be in range [0, 5]");
        return false;
    }
    query->relay_factor = (uint8_t)factor;
    return true;
}

/* "key=expression". */
static bool read_tag(struct http_exchange *x, struct question *question, const char *text)
{
    struct gossip_query *query = &question->query;
    const char *equals = strchr(text, '=');
    struct rc_pattern *pattern = NULL;
    const char *why = "";
    size_t size = equals != NULL ? (size_t)(equals - text) : 0;

    if (size == 0 || size >= KEY_MAX) {
        exchange_error(x, 400, "Invalid tag filter \"%s\": wants key=expression", text);
        return false;
    }
    int err = rc_pattern_compile(equals + 1, &pattern, &why);
    rc_pattern_destroy(pattern);
    if (err != RC_OK) {
        exchange_error(x, 400, "Invalid tag filter \"%s\": %s", text, why);
        return false;
    }
    memcpy(question->keys[query->tag_count], text, size);
    question->keys[query->tag_count][size] = '\0';
    question->tags[query->tag_count] =
        (struct gossip_tag){question->keys[query->tag_count], equals + 1};
    query->tag_count++;
    return true;
}

static bool read_filters(struct http_exchange *x, struct question *question)
{
    struct gossip_query *query = &question->query;

    for (size_t i = 0; i < x->target.parameter_count; i++) {
        const struct target_parameter *p = &x->target.parameters[i];
        if (query->node_count == GOSSIP_QUERY_FILTERS_MAX ||
            query->tag_count == GOSSIP_QUERY_FILTERS_MAX) {
            exchange_error(x, 400, "Too many filters");
            return false;
        }
        if (strcmp(p->name, "node") == 0 && p->value[0] != '\0') {
            question->nodes[query->node_count++] = p->value;
        } else if (strcmp(p->name, "tag") == 0 && !read_tag(x, question, p->value)) {
            return false;
        }
    }
    query->nodes = question->nodes;
    query->tags = question->tags;
    return true;
}

static bool read_name(struct http_exchange *x, struct gossip_query *query)
{
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing name");
        return false;
    }
    if (rc_text_starts_with(x->argument, "_serf_") &&
        strcmp(x->argument, "_serf_ping") != 0) { /* the rest is Serf's own business */
        exchange_error(x, 400, "Queries cannot contain the '_serf_' prefix");
        return false;
    }
    query->name = x->argument;
    return true;
}

static void ask(struct http_api *api, struct http_exchange *x,
                const struct gossip_query *query)
{
    const struct http_operations *operations = &api->operations;

    x->ticket = ++api->last_ticket; /* the outcome stands first: it may finish at once */
    x->outcome = EXCHANGE_PENDING;
    int err = operations->ask(operations->context, query, x->ticket);
    if (err == RC_OK) {
        return;
    }
    x->ticket = 0;
    if (err == RC_ETOOBIG) {
        exchange_error(x, 500, "query exceeds limit of %d bytes", GOSSIP_QUERY_SIZE_MAX);
    } else if (err == RC_EAGAIN) {
        exchange_error(x, 429, "Too many queries are open");
    } else {
        exchange_error(x, err == RC_EINVAL ? 400 : 500, "%s", rc_strerror(err));
    }
}

void agent_query(struct http_api *api, struct http_exchange *x)
{
    struct question question = {
        .query = {.payload = x->body.bytes,
                  .size = x->body.size,
                  .ack = target_parameter(&x->target, "no-ack") != NULL
                             ? GOSSIP_QUERY_WITHOUT_ACK
                             : GOSSIP_QUERY_WITH_ACK},
    };

    if (!query_begin(api, x) || !read_name(x, &question.query) ||
        !permit(api, x, PERMIT_EVENT, question.query.name, PERMIT_WRITE) ||
        !read_timeout(x, &question.query) || !read_relay(x, &question.query) ||
        !read_filters(x, &question)) {
        return;
    }
    if (api->operations.ask == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    ask(api, x, &question.query);
}
