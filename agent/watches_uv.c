#include <stdlib.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "agent/http/routes.h"
#include "agent/unique_uv.h"
#include "agent/watch_keys_uv.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

/* Watches look at what the API would answer, so that a handler gets the same JSON as the
 * command line; only no socket is between. */

/* ---- What they ask. */

/* Without rendering anything: most changes are of something else. */
static uint64_t index_of(void *context, const struct watch_question *question)
{
    const struct agent *agent = context;
    const struct catalog *catalog = agent->catalog;
    bool of_service = question->service != NULL && question->service[0] != '\0';
    bool of_state = question->state != NULL && question->state[0] != '\0';

    switch (question->type) {
    case WATCH_NODES:
        return catalog_index(catalog, CATALOG_TOPIC_NODES, "");
    case WATCH_SERVICES:
        return catalog_index(catalog, CATALOG_TOPIC_SERVICES, "");
    case WATCH_SERVICE:
        return catalog_index(catalog, CATALOG_TOPIC_SERVICE, question->service);
    case WATCH_CHECKS:
        return of_service
                   ? catalog_index(catalog, CATALOG_TOPIC_SERVICE, question->service)
                   : catalog_index(catalog, CATALOG_TOPIC_CHECKS,
                                   of_state ? question->state : "any");
    case WATCH_KEY:
    case WATCH_KEY_PREFIX:
        return watch_keys_index(agent->watch_keys, question);
    case WATCH_EVENT:
    case WATCH_MEMBERS:
    case WATCH_QUERY:
    case WATCH_TYPE_COUNT:
        break;
    }
    return 0;
}

static uint64_t read_now(void *context, const struct watch_question *question,
                         struct rc_buffer *out)
{
    const struct agent *agent = context;
    struct http_exchange x = {.method = HTTP_GET, .method_name = "GET", .argument = ""};
    struct rc_buffer target = {0};
    uint64_t index = 0;

    if (question->type == WATCH_KEY || question->type == WATCH_KEY_PREFIX) {
        index = watch_keys_read(agent->watch_keys, question, out);
        out->err = index == 0 ? RC_EAGAIN : out->err; /* it is looked at again then */
        return index;
    }
    watch_question_target(question, &target);
    agent->watch_api->now_ms = rc_clock_ms();
    agent->watch_api->wall_ms = rc_clock_wall_ms();
    int err = target.err != RC_OK
                  ? target.err
                  : target_parse(&x.target, rc_buffer_string(&target), target.size);
    if (err == RC_OK) {
        routes_answer(agent->watch_api, &x);
        err = x.status == 200 ? x.out.err : RC_EIO;
    }
    const char *text = exchange_header_value(&x, "X-Consul-Index");
    if (text != NULL) {
        (void)rc_text_to_u64(text, UINT64_MAX, &index);
    }
    rc_buffer_append(out, x.out.bytes, x.out.size);
    if (err != RC_OK) {
        rc_log(RC_LOG_WARN, "watch", "%s: %s", rc_buffer_string(&target),
               rc_strerror(err));
        out->err = err;
    }
    rc_buffer_fini(&target);
    exchange_fini(&x);
    return index;
}

/* ---- Queries. */

static void respond(void *context, uint64_t ltime, uint32_t id, const uint8_t *bytes,
                    size_t size)
{
    const struct agent *agent = context;

    int err = gossip_respond(agent->gossip, rc_clock_ns(), ltime, id, bytes, size);
    while (err == RC_ETOOBIG &&
           size > 0) { /* the envelope counts too: see Serf's limit */
        size -= size < 64 ? size : 64;
        err = gossip_respond(agent->gossip, rc_clock_ns(), ltime, id, bytes, size);
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_DEBUG, "watch", "a query is not answered: %s", rc_strerror(err));
    }
}

void agent_on_query(struct agent *agent, const struct gossip_action *action)
{
    const struct watch_query query = {
        .name = action->name,
        .payload = action->bytes,
        .size = action->size,
        .ltime = action->ltime,
        .id = action->id,
        .timeout_ms = action->timeout_ms,
    };

    rc_log(RC_LOG_DEBUG, "gossip", "query %s", action->name);
    watcher_query(agent->watcher, &query);
}

/* ---- Life. */

void agent_tell_watches(struct agent *agent, enum watch_subject subject)
{
    if (subject == WATCH_POOL && agent->watch_api != NULL) {
        agent->watch_api->members_index++;
    }
    if (subject == WATCH_KEYS) {
        agent_look_unique(agent);
    }
    watcher_touch(agent->watcher, subject);
}

/* The keys of watches, and those that say who holds a tag. */
static int follow_keys(struct agent *agent, const struct watch_definition *watches,
                       size_t count)
{
    struct watch_definition *all = calloc(count + UNIQUE_TAGS_MAX, sizeof *all);

    if (all == NULL) {
        return RC_ENOMEM;
    }
    if (count > 0) {
        memcpy(all, watches, count * sizeof *all);
    }
    size_t more = agent_unique_watches(&agent->config, all + count);
    int err = watch_keys_set(agent->watch_keys, all, count + more);
    free(all);
    return err;
}

int agent_set_watches(struct agent *agent, const struct agent_config *config)
{
    struct watch_definition allowed[WATCHES_MAX]; /* borrowing */
    size_t count = 0;

    for (size_t i = 0; i < config->watch_count; i++) {
        if (config->watches[i].is_http || config->enable_script_handlers) {
            allowed[count++] = config->watches[i];
        }
    }
    int err = follow_keys(agent, allowed, count);
    return err == RC_OK ? watcher_set(agent->watcher, allowed, count) : err;
}

int agent_open_watches(struct agent *agent)
{
    const struct watcher_options options = {
        .loop = &agent->loop,
        .node_name = agent->identity.node_name,
        .metrics = agent->metrics,
        .index = index_of,
        .read = read_now,
        .respond = respond,
        .context = agent,
    };

    agent->watch_api = calloc(1, sizeof *agent->watch_api);
    int err =
        agent->watch_api == NULL ? RC_ENOMEM : watch_keys_open(agent, &agent->watch_keys);
    if (err == RC_OK) {
        err = watcher_start(&options, &agent->watcher);
    }
    if (err == RC_OK) {
        *agent->watch_api = (struct http_api){
            .catalog = agent->catalog,
            .gossip = agent->gossip,
            .local = agent->local,
            .events = agent->events,
            .facts = {.datacenter = agent->config.datacenter,
                      .node_name = agent->identity.node_name,
                      .node_id = agent->identity.node_id},
            .members_index = rc_clock_wall_ms() / 1000, /* as the API counts */
        };
        rc_random_init(&agent->watch_api->random, rc_entropy_u64());
        err = agent_set_unique(agent);
    }
    if (err == RC_OK) {
        err = agent_set_watches(agent, &agent->config);
    }
    if (err != RC_OK) {
        (void)rc_text_put(agent->error, sizeof agent->error, "watches cannot start");
    }
    return err;
}
