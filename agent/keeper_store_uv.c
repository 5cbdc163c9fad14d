/* keeper_store_uv.c - the keeper's requests of the store: answered here when there is an engine,
 * else by a server. */
#include <string.h>

#include "agent/forward_uv.h"
#include "agent/keeper_state_uv.h"
#include "agent/keeper_uv.h"
#include "agent/store_uv.h"
#include "agent/warden/warden_socket.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { VIEW_WAIT_MS = 1000, VIEW_RETRY_MS = 200 };

/* The keeper's tickets among the agent's own have this bit too. */
#define TICKETS (FORWARDER_OWN | FORWARDER_OWN >> 1)

static const char *token_of(const struct agent *agent)
{
    const char *own = agent->config.postgres.token;
    const char *token = own != NULL ? own : agent->config.acl.agent_token;

    return token != NULL ? token : "";
}

static void on_reply(struct keeper_errand *errand, const struct http_reply *reply);

static void on_served(void *context, const struct http_reply *reply)
{
    on_reply(context, reply);
}

static void start_errand(struct keeper_uv *u, struct keeper_errand *errand,
                         const struct keeper_request_text *text)
{
    const struct http_relay relay = {
        .method = text->method,
        .target = rc_buffer_string(&text->target),
        .body = text->body.bytes,
        .body_size = text->body.size,
        .token = token_of(u->agent),
        .node = u->agent->identity.node_name,
    };

    errand->is_forwarded = agent_store(u->agent) == NULL;
    if (errand->is_forwarded) {
        u->last_ticket = (u->last_ticket + 1) % (TICKETS >> 2);
        errand->ticket = TICKETS + u->last_ticket;
        forwarder_forward(u->agent->forwarder, &relay, errand->ticket);
        return;
    }
    errand->ticket = http_serve(u->agent->http, &relay, on_served, errand);
    if (errand->ticket == 0) { /* no memory: told with the next beat */
        errand->has_failed = true;
        errand->end = KEEPER_FAILED;
    }
}

static void forget(struct keeper_uv *u, struct keeper_errand *errand)
{
    bool is_open = errand->id != 0 && !errand->has_failed;

    errand->id = 0;
    if (!is_open) {
        return;
    }
    if (errand->is_forwarded && u->agent->forwarder != NULL) {
        forwarder_forget(u->agent->forwarder, errand->ticket);
    } else if (!errand->is_forwarded && u->agent->http != NULL) {
        http_serve_end(u->agent->http, errand->ticket);
    }
}

void keeper_uv_forget_all(struct keeper_uv *u)
{
    for (size_t i = 0; i < KEEPER_REQUESTS_MAX; i++) {
        forget(u, &u->errands[i]);
    }
    forget(u, &u->view_errand);
}

/* ---- Answers. */

static void tell_keeper(struct keeper_uv *u, enum keeper_action_kind kind,
                        const struct keeper_answer *answer)
{
    keeper_see_store(u->keeper, warden_clock_ms(), answer);
    if (kind == KEEPER_TXN && answer->end != KEEPER_DONE) {
        keeper_uv_look_anew(u);
    }
    keeper_uv_pump(u);
}

static void on_answer(struct keeper_errand *errand, const struct http_reply *reply)
{
    struct keeper_uv *u = errand->owner;
    struct keeper_answer answer = {.id = errand->id};
    char session[KEEPER_SESSION_MAX];

    keeper_request_read(errand->kind, reply, session, &answer);
    if (answer.end != KEEPER_DONE) {
        rc_log(RC_LOG_DEBUG, "keeper", "the store answers %u: %.*s", reply->status,
               (int)(reply->body_size < 200 ? reply->body_size : 200),
               reply->body_size > 0 ? (const char *)reply->body : "");
    }
    if (answer.end == KEEPER_FAILED || answer.end == KEEPER_UNKNOWN) {
        errand->has_failed = true;
        errand->end = answer.end;
        return;
    }
    errand->id = 0;
    tell_keeper(u, errand->kind, &answer);
    if (errand->kind == KEEPER_OPEN_SESSION) {
        keeper_uv_keep_session(u);
    }
}

void keeper_uv_tell_failures(struct keeper_uv *u)
{
    if (u->view_errand.has_failed) {
        u->view_errand.id = 0;
        u->view_errand.has_failed = false;
    }
    for (size_t i = 0; i < KEEPER_REQUESTS_MAX; i++) {
        struct keeper_errand *errand = &u->errands[i];
        if (errand->id != 0 && errand->has_failed) {
            const struct keeper_answer answer = {
                .id = errand->id, .end = errand->end, .session = ""};
            errand->id = 0;
            tell_keeper(u, errand->kind, &answer);
        }
    }
}

static void on_view(struct keeper_uv *u, const struct http_reply *reply)
{
    u->view_errand.id = 0;
    if (keeper_request_read_view(reply, u->place.cluster, &u->view) != RC_OK) {
        u->view_index = 0;
        u->view_retry_ms = warden_clock_ms() + VIEW_RETRY_MS;
        return;
    }
    u->view.asked_ms = u->view_asked_ms;
    u->view_index = u->view.index;
    keeper_see_view(u->keeper, warden_clock_ms(), &u->view);
    keeper_uv_look(u);
    keeper_uv_pump(u);
}

static void on_reply(struct keeper_errand *errand, const struct http_reply *reply)
{
    if (errand == &errand->owner->view_errand) {
        on_view(errand->owner, reply);
    } else {
        on_answer(errand, reply);
    }
}

bool agent_keeper_replied(struct agent *agent, http_ticket ticket,
                          const struct http_reply *reply)
{
    struct keeper_uv *u = agent->keeper_edge;

    if (ticket == FORWARDER_OWN_TICKET || (ticket & TICKETS) != TICKETS) {
        return false;
    }
    if (u == NULL || u->is_closing) {
        return true;
    }
    if (u->view_errand.id != 0 && u->view_errand.ticket == ticket) {
        on_view(u, reply);
        return true;
    }
    for (size_t i = 0; i < KEEPER_REQUESTS_MAX; i++) {
        if (u->errands[i].id != 0 && !u->errands[i].has_failed &&
            u->errands[i].ticket == ticket) {
            on_answer(&u->errands[i], reply);
            return true;
        }
    }
    return true;
}

/* ---- Questions. */

static struct keeper_errand *find_free(struct keeper_uv *u)
{
    struct keeper_errand *oldest = &u->errands[0];

    for (size_t i = 0; i < KEEPER_REQUESTS_MAX; i++) {
        if (u->errands[i].id == 0) {
            return &u->errands[i];
        }
        oldest = u->errands[i].id < oldest->id ? &u->errands[i] : oldest;
    }
    forget(u, oldest); /* its answer is waited for by nobody any more */
    return oldest;
}

void keeper_uv_ask(struct keeper_uv *u, const struct keeper_action *action)
{
    struct keeper_request_text text = {0};
    struct keeper_errand *errand = find_free(u);

    errand->owner = u;
    errand->id = action->id;
    errand->kind = action->kind;
    errand->ticket = 0;
    errand->has_failed = false;
    if (keeper_request_write(action, u->place.cluster, u->place.node, &text) == RC_OK) {
        start_errand(u, errand, &text);
    } else {
        errand->id = 0;
    }
    keeper_request_fini(&text);
}

void keeper_uv_look(struct keeper_uv *u)
{
    struct keeper_request_text text = {0};

    if (u->view_errand.id != 0 || u->is_closing || u->keeper == NULL ||
        warden_clock_ms() < u->view_retry_ms) {
        return;
    }
    u->view_errand.owner = u;
    u->view_errand.id = 1;
    u->view_errand.has_failed = false;
    u->view_asked_ms = warden_clock_ms();
    if (keeper_request_write_view(u->place.cluster, u->view_index, VIEW_WAIT_MS, &text) ==
        RC_OK) {
        start_errand(u, &u->view_errand, &text);
    } else {
        u->view_errand.has_failed = true;
    }
    keeper_request_fini(&text);
}

void keeper_uv_look_anew(struct keeper_uv *u)
{
    forget(u, &u->view_errand);
    u->view_index = 0;
    keeper_uv_look(u);
}
