/* history_uv.c - what the agent's parts tell of themselves, as the history of the pool. */
#include <stdio.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/text.h"

enum {
    SETTLE_AFTER_JOIN_MS = 2000, /* what a join brings comes within that */
    SETTLE_AT_LAST_MS = 30000,   /* whoever comes later has come, joined or not */
    FIRST_SERVICES_MAX = 16,     /* of a node's first record, each told by itself */
    WORDS_MAX = 512
};

void agent_tell_history(struct agent *agent, const struct history_event *event)
{
    struct history_event dated = *event;

    dated.at_ms = rc_clock_wall_ms();
    history_add(agent->history.log, &dated);
    agent->history.has_news = true;
}

void agent_history_turn(struct agent *agent)
{
    if (agent->history.has_news) {
        agent->history.has_news = false;
        http_tell_news(agent->http, HTTP_NEWS_HISTORY);
    }
}

/* ---- The catalog. */

static const char *status_word(enum check_status status)
{
    return check_status_name(status);
}

/* A copy of the first line that is no longer than the space. */
static const char *first_line(const char *text, char space[WORDS_MAX])
{
    size_t size = strcspn(text, "\r\n");

    size = size < WORDS_MAX ? size : WORDS_MAX - 1;
    memcpy(space, text, size);
    space[size] = '\0';
    return space;
}

static void on_flip(struct agent *agent, const struct catalog_happening *h)
{
    char line[WORDS_MAX];
    const struct history_event event = {
        .kind = HISTORY_CHECK,
        .node = h->node->name,
        .service = h->service != NULL ? h->service->name : "",
        .service_id = h->check->service_id,
        .check = h->check->id,
        .from = status_word(h->from),
        .to = status_word(h->check->status),
        .text = first_line(h->check->output, line),
    };

    agent_tell_history(agent, &event);
}

/* A node that comes with thousands of services has come: that is the news. */
static bool is_one_too_many(struct agent *agent, const struct catalog_happening *h)
{
    struct agent_history *history = &agent->history;

    if (!h->is_first) {
        return false;
    }
    if (!rc_text_equals(history->first_node, h->node->name)) {
        (void)rc_text_put(history->first_node, sizeof history->first_node, h->node->name);
        history->first_count = 0;
    }
    return ++history->first_count > FIRST_SERVICES_MAX;
}

static void on_service(struct agent *agent, const struct catalog_happening *h)
{
    bool came = h->kind == CATALOG_SERVICE_CAME;
    char words[WORDS_MAX];
    struct history_event event = {.kind = came ? HISTORY_REGISTER : HISTORY_DEREGISTER,
                                  .node = h->node->name,
                                  .service = h->service->name,
                                  .service_id = h->service->id,
                                  .text = words};

    if (is_one_too_many(agent, h)) {
        return;
    }
    (void)snprintf(words, sizeof words, "%.200s %s %.128s", h->service->id,
                   came ? "was registered on" : "was deregistered from", h->node->name);
    if (h->is_first && agent->history.first_count == FIRST_SERVICES_MAX) {
        (void)snprintf(words, sizeof words,
                       "%.200s was registered on %.128s; what it has besides is not told",
                       h->service->id, h->node->name);
    }
    agent_tell_history(agent, &event);
}

static void on_maintenance(struct agent *agent, const struct catalog_happening *h)
{
    bool begins = h->kind == CATALOG_MAINTENANCE_BEGAN;
    char line[WORDS_MAX];
    const struct history_event event = {
        .kind = HISTORY_MAINTENANCE,
        .node = h->node->name,
        .service = h->service != NULL ? h->service->name : "",
        .service_id = h->check->service_id,
        .check = h->check->id,
        .from = begins ? "off" : "on",
        .to = begins ? "on" : "off",
        .text = first_line(begins ? h->check->notes : "", line),
    };

    agent_tell_history(agent, &event);
}

static void on_primary(struct agent *agent, const struct catalog_happening *h)
{
    char words[WORDS_MAX];
    const struct history_event event = {.kind = HISTORY_PROMOTION,
                                        .node = h->node->name,
                                        .service = h->service->name,
                                        .service_id = h->service->id,
                                        .from = h->was,
                                        .to = h->node->name,
                                        .text = words};

    bool again = rc_text_equals(h->was, h->node->name);
    (void)snprintf(
        words, sizeof words, "%.128s is %sprimary of %.64s in term %llu%s%.128s",
        h->node->name, again ? "again " : "",
        h->group[0] != '\0' ? h->group : h->service->name, (unsigned long long)h->term,
        again || h->was[0] == '\0' ? "" : ", after ", again ? "" : h->was);
    agent_tell_history(agent, &event);
}

static void on_happening(void *context, const struct catalog_happening *happening)
{
    static void (*const tellers[CATALOG_HAPPENING_COUNT])(
        struct agent *, const struct catalog_happening *) = {
        [CATALOG_CHECK_FLIPPED] = on_flip,
        [CATALOG_SERVICE_CAME] = on_service,
        [CATALOG_SERVICE_WENT] = on_service,
        [CATALOG_MAINTENANCE_BEGAN] = on_maintenance,
        [CATALOG_MAINTENANCE_ENDED] = on_maintenance,
        [CATALOG_PRIMARY_CHANGED] = on_primary,
    };

    tellers[happening->kind](context, happening);
}

/* ---- Gossip. */

static void settle_when_due(struct agent *agent, uint64_t now_ms)
{
    if (!agent->history.settled && now_ms >= agent->history.settles_ms) {
        agent->history.settled = true;
        catalog_settle(agent->catalog);
    }
}

void agent_history_joined(struct agent *agent)
{
    uint64_t due_ms = rc_clock_ms() + SETTLE_AFTER_JOIN_MS;

    if (due_ms < agent->history.settles_ms) {
        agent->history.settles_ms = due_ms;
    }
}

/* What there is to be told of a member; HISTORY_KIND_COUNT: nothing. */
static enum history_kind kind_of(const struct gossip_action *action)
{
    switch (action->event) {
    case GOSSIP_EVENT_JOIN:
        return HISTORY_JOIN;
    case GOSSIP_EVENT_LEFT:
        return HISTORY_LEAVE;
    case GOSSIP_EVENT_FAILED:
        return HISTORY_FAILED;
    case GOSSIP_EVENT_REAP: /* who had left is forgotten without a word */
        return action->status == GOSSIP_LEFT ? HISTORY_KIND_COUNT : HISTORY_REAP;
    case GOSSIP_EVENT_UPDATE:
    case GOSSIP_EVENT_SUSPECT:
    case GOSSIP_EVENT_ALIVE:
    case GOSSIP_EVENT_LEAVING:
    case GOSSIP_MEMBER_EVENT_COUNT:
        break;
    }
    return HISTORY_KIND_COUNT;
}

void agent_history_member(struct agent *agent, const struct gossip_action *action)
{
    static const char *const words[HISTORY_KIND_COUNT] = {
        [HISTORY_JOIN] = "joined the pool",
        [HISTORY_LEAVE] = "left the pool",
        [HISTORY_FAILED] = "does not answer any more",
        [HISTORY_REAP] = "did not come back: forgotten",
    };
    char address[RC_ADDRESS_TEXT_MAX];
    char text[WORDS_MAX];
    enum history_kind kind = kind_of(action);

    settle_when_due(agent, rc_clock_ms());
    if (kind == HISTORY_KIND_COUNT || action->member == gossip_self(agent->gossip) ||
        (kind == HISTORY_JOIN && !agent->history.settled)) {
        return;
    }
    rc_address_format_ip(&action->member->said->address, address);
    (void)snprintf(text, sizeof text, "%.128s (%s) %s", action->member->said->name,
                   address, words[kind]);
    const struct history_event event = {
        .kind = kind, .node = action->member->said->name, .text = text};
    agent_tell_history(agent, &event);
}

/* ---- The store. */

void agent_history_leader(struct agent *agent, const char *name, const char *was)
{
    char words[WORDS_MAX];
    const struct history_event event = {
        .kind = HISTORY_LEADER,
        .node = name[0] != '\0' ? name : agent->identity.node_name,
        .from = was,
        .to = name,
        .text = words,
    };

    if (name[0] != '\0') {
        (void)snprintf(words, sizeof words, "%.64s leads the store", name);
    } else {
        (void)snprintf(words, sizeof words,
                       "the store accepts no writes: nobody leads, or nobody answers");
    }
    agent_tell_history(agent, &event);
}

/* ---- Restarts. */

void agent_history_restart(struct agent *agent, const struct healer_news *news)
{
    struct local_check check = {.service_id = ""};
    struct local_service service;
    char words[WORDS_MAX];

    (void)local_find_check(agent->local, news->check_id, &check);
    bool has_service = local_find_service(agent->local, check.service_id, &service);
    const struct history_event event = {
        .kind = HISTORY_RESTART,
        .node = agent->identity.node_name,
        .service = has_service ? service.definition->name : "",
        .service_id = check.service_id,
        .check = news->check_id,
        .to = news->outcome == HEALER_EXHAUSTED ? "exhausted"
              : news->error == NULL             ? "restarted"
                                                : "failed",
        .text = words,
    };

    (void)snprintf(words, sizeof words, "%.128s was %srestarted%s%.240s", news->unit,
                   news->error == NULL ? "" : "not ", news->error == NULL ? "" : ": ",
                   news->error == NULL ? "" : news->error);
    agent_tell_history(agent, &event);
}

/* ---- Opening. */

static void count(void *context)
{
    struct agent *agent = context;
    char label[64];

    for (unsigned i = 0; i < HISTORY_KIND_COUNT; i++) {
        enum history_kind kind = (enum history_kind)i;
        uint64_t now = history_count(agent->history.log, kind);
        (void)snprintf(label, sizeof label, "kind=\"%s\"", history_kind_name(kind));
        rc_metric_add(rc_metrics_counter(agent->metrics, "rollcall_events_total", label,
                                         "Events that the history took, by kind."),
                      now - agent->history.counted[i]);
        agent->history.counted[i] = now;
    }
}

int agent_open_history(struct agent *agent)
{
    agent->history.log = history_create(rc_clock_wall_ms());
    agent->history.settles_ms = rc_clock_ms() + SETTLE_AT_LAST_MS;
    if (agent->history.log == NULL ||
        rc_metrics_on_render(agent->metrics, count, agent) != RC_OK) {
        (void)rc_text_put(agent->error, sizeof agent->error, "no memory for the history");
        return RC_ENOMEM;
    }
    catalog_tell_happenings(agent->catalog, on_happening, agent);
    return RC_OK;
}
