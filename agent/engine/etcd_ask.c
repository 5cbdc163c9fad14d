/* etcd_ask.c - asking until a member answers. */
#include "agent/engine/etcd_ask.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "base/err.h"
#include "base/text.h"

struct etcd_ask {
    struct etcd_ask *before;
    struct etcd_ask *next;
    struct etcd_asker *asker;
    enum etcd_asked what;
    const char *method; /* static */
    struct rc_buffer body;
    etcd_ask_done *done;
    void *context;
    struct etcd_call *call; /* NULL: waits for the login */
    size_t endpoint;
    uint32_t tried; /* bits of endpoints */
    uint64_t asked_ms;
    bool was_refused_token;
};

static void on_reply(void *context, const struct etcd_reply *reply);

static void finish(struct etcd_ask *ask, const struct etcd_outcome *outcome)
{
    struct etcd_asker *asker = ask->asker;

    if (ask->before == NULL) {
        asker->first = ask->next;
    } else {
        ask->before->next = ask->next;
    }
    if (ask->next != NULL) {
        ask->next->before = ask->before;
    }
    ask->done(ask->context, outcome);
    rc_buffer_fini(&ask->body);
    free(ask);
}

static void fail(struct etcd_ask *ask, int err, const char *text)
{
    if (err == RC_EUNKNOWN && ask->what == ETCD_READS) {
        err = RC_EAGAIN;
    }
    if (err == RC_EAGAIN || err == RC_EUNKNOWN) {
        ask->asker->is_led = false;
    }
    finish(ask, &(struct etcd_outcome){.err = err, .text = text});
}

/* To the next member that was not tried; false when there is none, no time or no memory. */
static bool send(struct etcd_ask *ask)
{
    const struct etcd_asker *asker = ask->asker;
    const struct etcd_edge *edge = asker->edge;
    uint64_t now_ms = edge->now_ms(edge->context);
    size_t i = etcd_endpoints_pick(asker->endpoints, ask->tried, now_ms);
    uint64_t patience_ms =
        (uint64_t)asker->request_ms * 3 / 2; /* one that hung, not two */

    if (i == asker->endpoints->count || now_ms > ask->asked_ms + patience_ms) {
        return false;
    }
    ask->tried |= UINT32_C(1) << i;
    ask->endpoint = i;
    struct etcd_request request = {
        .endpoint = asker->endpoints->items[i].url,
        .method = ask->method,
        .body = ask->body.bytes,
        .body_size = ask->body.size,
        .token = asker->token,
        .time_limit_ms = asker->request_ms,
        .on_reply = on_reply,
        .context = ask,
    };
    ask->call = edge->send(edge->context, &request);
    return ask->call != NULL;
}

static void send_or_fail(struct etcd_ask *ask, int err, const char *text)
{
    if (!send(ask)) {
        fail(ask, err, text);
    }
}

/* ---- logging in ------------------------------------------------------------------- */

/* All that waited go on; those that can go nowhere fail. */
static void resume(struct etcd_asker *asker, int err, const char *text)
{
    struct etcd_ask *next = NULL;

    for (struct etcd_ask *ask = asker->first; ask != NULL; ask = next) {
        next = ask->next;
        if (ask->call != NULL) {
            continue;
        }
        if (err == RC_OK) {
            send_or_fail(ask, RC_EAGAIN, "etcd: no member answers");
        } else {
            fail(ask, err, text);
        }
    }
}

static void on_login(void *context, const struct etcd_reply *reply)
{
    struct etcd_asker *asker = context;
    const struct etcd_edge *edge = asker->edge;

    asker->login_call = NULL;
    asker->login = ETCD_LOGIN_WANTED;
    asker->token[0] = '\0';
    if (reply->end != ETCD_REPLIED) {
        etcd_endpoints_report(asker->endpoints, asker->login_endpoint, ETCD_FAILED,
                              edge->now_ms(edge->context));
        resume(asker, RC_EAGAIN, reply->text);
        return;
    }
    if (reply->status == GRPC_OK &&
        etcd_answer_token(reply->message, asker->token) == RC_OK) {
        asker->login = ETCD_LOGIN_DONE;
        resume(asker, RC_OK, "");
        return;
    }
    const struct etcd_refusal refusal = etcd_answer_refusal(reply->status, reply->text);
    if (refusal.is_without_auth) {
        asker->login = ETCD_LOGIN_DONE; /* with no token, until one is asked for */
        resume(asker, RC_OK, "");
        return;
    }
    resume(asker, refusal.err == RC_EUNKNOWN ? RC_EAGAIN : RC_EIO, reply->text);
}

/* RC_OK: the login is under way. */
static int log_in(struct etcd_asker *asker)
{
    const struct etcd_edge *edge = asker->edge;
    struct rc_buffer body = {0};

    if (asker->login == ETCD_LOGIN_ASKED) {
        return RC_OK;
    }
    asker->login_endpoint =
        etcd_endpoints_pick(asker->endpoints, 0, edge->now_ms(edge->context));
    etcd_message_login(&body, asker->user,
                       asker->password == NULL ? "" : asker->password);
    const struct etcd_request request = {
        .endpoint = asker->endpoints->items[asker->login_endpoint].url,
        .method = ETCD_AUTHENTICATE,
        .body = body.bytes,
        .body_size = body.size,
        .token = "",
        .time_limit_ms = asker->request_ms,
        .on_reply = on_login,
        .context = asker,
    };
    asker->login_call = body.err == RC_OK ? edge->send(edge->context, &request) : NULL;
    rc_buffer_fini(&body);
    if (asker->login_call == NULL) {
        return RC_ENOMEM;
    }
    asker->login = ETCD_LOGIN_ASKED;
    return RC_OK;
}

/* ---- answers ---------------------------------------------------------------------- */

static void on_refusal(struct etcd_ask *ask, const struct etcd_reply *reply)
{
    struct etcd_asker *asker = ask->asker;
    const struct etcd_edge *edge = asker->edge;
    const struct etcd_refusal refusal = etcd_answer_refusal(reply->status, reply->text);

    if (refusal.needs_login && asker->user != NULL && !ask->was_refused_token) {
        ask->was_refused_token = true;
        ask->tried = 0;
        if (log_in(asker) != RC_OK) {
            fail(ask, RC_EAGAIN, reply->text);
        }
        return;
    }
    etcd_endpoints_report(asker->endpoints, ask->endpoint,
                          refusal.is_of_member ? ETCD_FAILED : ETCD_ANSWERED,
                          edge->now_ms(edge->context));
    bool may_try =
        refusal.is_of_member && (refusal.err != RC_EUNKNOWN || ask->what == ETCD_READS);
    if (may_try) {
        send_or_fail(ask, refusal.err, reply->text);
    } else {
        fail(ask, refusal.needs_login ? RC_EIO : refusal.err, reply->text);
    }
}

static void on_reply(void *context, const struct etcd_reply *reply)
{
    struct etcd_ask *ask = context;
    struct etcd_asker *asker = ask->asker;
    const struct etcd_edge *edge = asker->edge;

    ask->call = NULL;
    if (reply->end == ETCD_REPLIED && reply->status == GRPC_OK) {
        etcd_endpoints_report(asker->endpoints, ask->endpoint, ETCD_ANSWERED,
                              edge->now_ms(edge->context));
        asker->is_led = true;
        finish(ask, &(struct etcd_outcome){.text = "", .message = reply->message});
        return;
    }
    if (reply->end == ETCD_REPLIED) {
        on_refusal(ask, reply);
        return;
    }
    etcd_endpoints_report(asker->endpoints, ask->endpoint, ETCD_FAILED,
                          edge->now_ms(edge->context));
    if (reply->end == ETCD_LOST && ask->what == ETCD_WRITES) {
        fail(ask, RC_EUNKNOWN, reply->text);
    } else {
        send_or_fail(ask, RC_EAGAIN, reply->text);
    }
}

/* ---- asking ----------------------------------------------------------------------- */

int etcd_ask(struct etcd_asker *asker, enum etcd_asked what, const char *method,
             struct rc_buffer *body, etcd_ask_done *done, void *context)
{
    struct etcd_ask *ask = body->err == RC_OK ? calloc(1, sizeof *ask) : NULL;

    if (ask == NULL) {
        rc_buffer_fini(body);
        return RC_ENOMEM;
    }
    ask->asker = asker;
    ask->what = what;
    ask->method = method;
    ask->body = *body;
    *body = (struct rc_buffer){.max = body->max};
    ask->done = done;
    ask->context = context;
    ask->asked_ms = asker->edge->now_ms(asker->edge->context);
    bool must_wait = asker->user != NULL && asker->login != ETCD_LOGIN_DONE;
    bool is_under_way = must_wait ? log_in(asker) == RC_OK : send(ask);
    if (!is_under_way) {
        rc_buffer_fini(&ask->body);
        free(ask);
        return RC_ENOMEM;
    }
    ask->next = asker->first;
    if (ask->next != NULL) {
        ask->next->before = ask;
    }
    asker->first = ask;
    return RC_OK;
}

void etcd_asker_close(struct etcd_asker *asker)
{
    const struct etcd_edge *edge = asker->edge;

    if (asker->login_call != NULL) {
        edge->cancel(edge->context, asker->login_call);
        asker->login_call = NULL;
    }
    struct etcd_ask *next = NULL;
    for (struct etcd_ask *ask = asker->first; ask != NULL; ask = next) {
        next = ask->next;
        bool was_sent = ask->call != NULL;
        if (was_sent) {
            edge->cancel(edge->context, ask->call);
        }
        int err = was_sent && ask->what == ETCD_WRITES ? RC_EUNKNOWN : RC_ECLOSED;
        finish(ask, &(struct etcd_outcome){.err = err, .text = "the store is closing"});
    }
}
