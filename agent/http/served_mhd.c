/* served_mhd.c - requests that came from another agent: exchanges without a connection. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/errand.h"
#include "agent/http/relay.h"
#include "agent/http/routes.h"
#include "agent/http/server_mhd.h"
#include "base/err.h"
#include "base/text.h"

struct served {
    struct http *http;
    struct served *previous; /* of all */
    struct served *next;
    struct served *next_ready;
    bool is_ready;    /* stands in the list of those to run */
    bool is_answered; /* by http_finish() and its like */
    http_ticket ticket;
    int target_err;
    size_t refused_size; /* of a body that is too long; 0: it is not */
    struct http_exchange exchange;
    char *method;
    char *node;
    char *token;
    uint8_t request_id[HTTP_REQUEST_ID_SIZE];
    http_served *done;
    void *context;
};

static void make_ready(struct served *served)
{
    struct http *http = served->http;

    if (served->is_ready) {
        return;
    }
    served->is_ready = true;
    served->next_ready = NULL;
    if (http->last_ready != NULL) {
        http->last_ready->next_ready = served;
    } else {
        http->first_ready = served;
    }
    http->last_ready = served;
    pump_wait(http->pump, 0);
}

static struct served *take_ready(struct http *http)
{
    struct served *served = http->first_ready;

    if (served != NULL) {
        http->first_ready = served->next_ready;
        http->last_ready = http->first_ready != NULL ? http->last_ready : NULL;
        served->is_ready = false;
    }
    return served;
}

static void leave_ready(struct served *served)
{
    struct http *http = served->http;
    struct served **place = &http->first_ready;
    struct served *before = NULL;

    if (!served->is_ready) {
        return;
    }
    for (; *place != served; place = &(*place)->next_ready) {
        before = *place;
    }
    *place = served->next_ready;
    http->last_ready = http->last_ready == served ? before : http->last_ready;
}

/* Nobody finds it any more. */
static void unlist(struct served *served)
{
    struct http *http = served->http;

    errand_forget(&served->exchange);
    waiters_remove(http->waiters, &served->exchange.waiter);
    leave_ready(served);
    (void)rc_table_remove_bytes(http->tickets, &served->ticket, sizeof served->ticket);
    if (served->previous != NULL) {
        served->previous->next = served->next;
    } else {
        http->served = served->next;
    }
    if (served->next != NULL) {
        served->next->previous = served->previous;
    }
}

static void destroy(struct served *served)
{
    answer_return(served->http, &served->exchange);
    exchange_fini(&served->exchange);
    free(served->method);
    free(served->node);
    if (served->token != NULL) {
        explicit_bzero(served->token, strlen(served->token));
    }
    free(served->token);
    free(served);
}

static int copy(struct served *served, const struct http_relay *relay)
{
    struct http_exchange *x = &served->exchange;

    served->method = rc_text_copy(relay->method);
    served->node = rc_text_copy(relay->node);
    served->token = rc_text_copy(relay->token);
    if (relay->body_size > http_body_max(served->http, relay->target)) {
        served->refused_size = relay->body_size;
    } else if (relay->body_size > 0) {
        rc_buffer_append(&x->body, relay->body, relay->body_size);
    }
    served->target_err = target_parse(&x->target, relay->target, strlen(relay->target));
    if (served->method == NULL || served->node == NULL || served->token == NULL ||
        x->body.err != RC_OK || served->target_err == RC_ENOMEM) {
        return RC_ENOMEM;
    }
    x->method_name = served->method;
    x->method = exchange_method(served->method);
    x->node = served->node;
    x->request.token = served->token[0] != '\0' ? served->token : NULL;
    if (relay->request_id != NULL) {
        memcpy(served->request_id, relay->request_id, HTTP_REQUEST_ID_SIZE);
        x->request_id = served->request_id;
    }
    return RC_OK;
}

size_t http_body_max(const struct http *http, const char *target)
{
    struct target parsed = {0};
    int err = target_parse(&parsed, target, strlen(target));
    uint64_t max =
        routes_body_max(err == RC_OK ? parsed.path : NULL, http->limits.body_max_bytes);

    target_fini(&parsed);
    return (size_t)max;
}

http_ticket http_serve(struct http *http, const struct http_relay *relay,
                       http_served *done, void *context)
{
    struct served *served = calloc(1, sizeof *served);

    if (served == NULL) {
        return 0;
    }
    served->http = http;
    served->done = done;
    served->context = context;
    served->ticket = ++http->api.last_ticket;
    exchange_reset(&served->exchange);
    served->exchange.served = served;
    if (copy(served, relay) != RC_OK ||
        rc_table_put_bytes(http->tickets, &served->ticket, sizeof served->ticket, served,
                           NULL) != RC_OK) {
        destroy(served);
        return 0;
    }
    served->next = http->served;
    if (http->served != NULL) {
        http->served->previous = served;
    }
    http->served = served;
    make_ready(served);
    return served->ticket;
}

void http_serve_end(struct http *http, http_ticket ticket)
{
    struct served *served = rc_table_get_bytes(http->tickets, &ticket, sizeof ticket);

    if (served != NULL) {
        unlist(served);
        destroy(served);
    }
}

static void deliver(struct served *served)
{
    struct http_reply_header headers[EXCHANGE_HEADERS_MAX];
    struct http_exchange *x = &served->exchange;

    if (x->out.err != RC_OK) {
        exchange_error(x, 500, "%s", rc_strerror(x->out.err));
    }
    answer_count(served->http, x, 1);
    unlist(served);
    const struct http_reply reply = relay_reply(x, headers);
    served->done(served->context, &reply);
    destroy(served);
}

static void answer(struct served *served)
{
    struct http_exchange *x = &served->exchange;

    answer_borrow(served->http, x);
    if (served->target_err != RC_OK) {
        exchange_error(x, 400, "Bad request: malformed path or query");
    } else if (served->refused_size > 0) {
        routes_refuse_body(x, served->refused_size);
    } else {
        routes_answer(&served->http->api, x);
    }
}

static void step(struct served *served)
{
    struct http *http = served->http;
    struct http_exchange *x = &served->exchange;

    if (!served->is_answered) {
        answer(served);
    }
    switch (x->outcome) {
    case EXCHANGE_ANSWERED:
        deliver(served);
        return;
    case EXCHANGE_WAITING:
        if (waiters_add(http->waiters, &x->waiter) == RC_OK) {
            answer_return(http, x);
            return;
        }
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        deliver(served);
        return;
    case EXCHANGE_PENDING:
        return;
    case EXCHANGE_STREAMING: /* no route at servers streams */
        exchange_error(x, 500, "This cannot be relayed");
        deliver(served);
        return;
    }
}

void served_run(struct http *http)
{
    struct served *served = take_ready(http);

    while (served != NULL) {
        step(served);
        served = take_ready(http);
    }
}

void served_wake(struct served *served)
{
    waiters_remove(served->http->waiters, &served->exchange.waiter);
    make_ready(served);
}

void served_finish(struct served *served)
{
    served->is_answered = true;
    make_ready(served);
}

struct http_exchange *served_with_ticket(struct http *http, http_ticket ticket)
{
    for (struct served *s = http->served; s != NULL; s = s->next) {
        if (s->exchange.ticket == ticket) {
            return &s->exchange;
        }
    }
    return NULL;
}

void served_end_all(struct http *http)
{
    struct served *served = http->served;

    while (served != NULL) {
        struct served *next = served->next;
        unlist(served);
        destroy(served);
        served = next;
    }
}
