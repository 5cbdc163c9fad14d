#include <string.h>

#include "agent/agent_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/pattern.h"

/* User events and queries, between gossip, the API and the watches. */

/* ---- Events. */

static bool next_service(void *context, size_t *position, struct user_event_service *out)
{
    const struct agent *agent = context;
    struct local_service service;

    if (!local_next_service(agent->local, position, &service)) {
        return false;
    }
    *out = (struct user_event_service){service.definition->name, service.tags,
                                       service.tag_count};
    return true;
}

void agent_on_user_event(struct agent *agent, const struct gossip_action *action)
{
    const struct user_event_node node = {agent->identity.node_name, next_service, agent};
    struct user_event_space space;
    struct user_event event;

    user_event_read(action->name, action->ltime, action->bytes, action->size, &space,
                    &event);
    bool is_ours = user_event_is_for(&event, &node);
    rc_log(RC_LOG_DEBUG, "event", "%s (%s, %zu bytes)%s", event.name, event.id,
           event.size, is_ours ? "" : " is for others");
    if (!is_ours) {
        return;
    }
    if (event_log_add(agent->events, &event) != RC_OK) {
        rc_log(RC_LOG_WARN, "event", "%s (%s) is lost: out of memory", event.name,
               event.id);
        return;
    }
    http_tell_news(agent->http, HTTP_NEWS_EVENT);
    agent_tell_watches(agent, WATCH_EVENTS);
}

/* The event comes back to us as GOSSIP_USER_EVENT with the Lamport time that is next. */
int agent_fire(void *context, const struct user_event *event, char id[37])
{
    struct agent *agent = context;
    struct rc_buffer packed = {0};
    uint64_t clocks[3];

    int err = user_event_pack(event, &packed);
    if (err == RC_OK) {
        gossip_clocks(agent->gossip, clocks);
        user_event_id(event->name, clocks[1], packed.bytes, packed.size, id);
        err = gossip_user_event(agent->gossip, rc_clock_ns(), event->name, packed.bytes,
                                packed.size, GOSSIP_EACH);
    }
    rc_buffer_fini(&packed);
    return err;
}

/* ---- Queries that we ask. */

static bool is_among(const struct gossip_query *query, const char *name)
{
    for (size_t i = 0; i < query->node_count; i++) {
        if (strcmp(query->nodes[i], name) == 0) {
            return true;
        }
    }
    return query->node_count == 0;
}

/* The expressions of a query, made ready once for all members. */
struct tag_filters {
    const struct gossip_query *query;
    struct rc_pattern *patterns[GOSSIP_QUERY_FILTERS_MAX]; /* NULL: fits nobody */
};

static bool fits(const struct tag_filters *filters, const struct gossip_member *member)
{
    const struct gossip_query *query = filters->query;
    bool is_there = member->status == GOSSIP_ALIVE || member->status == GOSSIP_SUSPECT;
    bool fitting = is_there && is_among(query, member->said->name);

    for (size_t i = 0; i < query->tag_count && fitting; i++) {
        const char *value = gossip_member_tag(member, query->tags[i].key);
        value = value != NULL ? value : "";
        fitting = filters->patterns[i] != NULL &&
                  rc_pattern_is_in(filters->patterns[i], value, strlen(value));
    }
    return fitting;
}

/* Whom the query is for, as far as we know, so that silence can be told from absence. */
static void expect(const struct agent *agent, const struct gossip_query *query,
                   struct asked *asked)
{
    struct tag_filters filters = {.query = query};
    const struct gossip_member *member = NULL;
    const char *why = NULL;
    size_t position = 0;

    for (size_t i = 0; i < query->tag_count; i++) {
        (void)rc_pattern_compile(query->tags[i].value, &filters.patterns[i], &why);
    }
    while ((member = gossip_next_member(agent->gossip, &position)) != NULL) {
        if (fits(&filters, member)) {
            asked_expect(asked, member->said->name);
        }
    }
    for (size_t i = 0; i < query->tag_count; i++) {
        rc_pattern_destroy(filters.patterns[i]);
    }
}

int agent_ask(void *context, const struct gossip_query *query, http_ticket ticket)
{
    struct agent *agent = context;
    uint32_t id = 0;

    if (asked_is_full(agent->asked)) {
        return RC_EAGAIN;
    }
    int err = gossip_query(agent->gossip, rc_clock_ns(), query, &id);
    if (err != RC_OK) {
        return err;
    }
    struct asked *asked = asked_add(agent->asked, id, ticket, query->name);
    if (asked == NULL) {
        return RC_ENOMEM; /* what comes back finds nobody */
    }
    expect(agent, query, asked);
    return RC_OK;
}

void agent_on_query_news(struct agent *agent, const struct gossip_action *action)
{
    struct asked *asked = asked_find(agent->asked, action->id);
    struct rc_buffer body = {0};

    if (asked == NULL) {
        return;
    }
    if (action->type == GOSSIP_QUERY_ACK) {
        asked_ack(asked, action->name);
    } else if (action->type == GOSSIP_QUERY_RESPONSE) {
        asked_response(asked, action->name, action->bytes, action->size);
    } else {
        asked_render(asked, &body);
        if (agent->http != NULL && body.err == RC_OK) {
            http_finish_json(agent->http, asked_ticket(asked), body.bytes, body.size);
        } else if (agent->http != NULL) {
            http_finish(agent->http, asked_ticket(asked), body.err, NULL);
        }
        rc_buffer_fini(&body);
        asked_remove(agent->asked, asked);
    }
}
