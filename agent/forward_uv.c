#include "agent/forward_uv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/config_store.h"
#include "agent/forward_state_uv.h"
#include "agent/link/haste.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum {
    COMPLAIN_MS = 10 * 1000,
    TELL_DISTRUST_MS = 60 * 1000,
};

void forwarder_members_changed(struct forwarder *f)
{
    if (f == NULL) {
        return;
    }
    f->places_are_stale = true;
    if (courier_open_count(f->courier) > 0) {
        forward_carry_out(f); /* somebody may wait for a server to come */
    }
}

/* ---- What the courier wants. */

static void finish(struct forwarder *f, http_ticket ticket,
                   const struct http_reply *reply)
{
    if ((ticket & FORWARDER_OWN) != 0) {
        f->options.replied(f->options.context, ticket, reply);
    } else if (f->http != NULL) {
        http_finish_reply(f->http, ticket, reply);
    }
}

static void fail(struct forwarder *f, http_ticket ticket, const char *text)
{
    const struct http_reply reply = {
        .status = 500,
        .content_type = "text/plain; charset=utf-8",
        .body = text,
        .body_size = strlen(text),
    };

    finish(f, ticket, &reply);
}

void forward_end_current(struct forwarder *f)
{
    if (f->current != NULL) {
        link_uv_end(f->current);
        f->current = NULL;
    }
}

static void dial(struct forwarder *f, const struct courier_place *place)
{
    char address[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&place->address, address);
    rc_log(RC_LOG_DEBUG, "link", "calling server %s at %s", place->name, address);
    forward_end_current(f);
    if (link_host_dial(f->host, &place->address, &f->current) != RC_OK) {
        f->current = NULL;
        courier_down(f->courier, forward_now_ms(f));
    }
}

static void send_request(struct forwarder *f, const struct courier_action *action)
{
    uint32_t number = 0;

    int err = link_uv_ask(f->current, action->request, &number);
    courier_sent(f->courier, action->ticket, err == RC_OK ? number : 0);
}

static void carry_out_one(struct forwarder *f, const struct courier_action *action)
{
    switch (action->type) {
    case COURIER_DIAL:
        dial(f, action->place);
        return;
    case COURIER_SEND:
        send_request(f, action);
        return;
    case COURIER_TAKE_BACK:
        link_uv_cancel(f->current, action->number);
        return;
    case COURIER_CLOSE:
        forward_end_current(f);
        return;
    case COURIER_FAIL:
        fail(f, action->ticket, action->text);
        return;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct forwarder *f = timer->data;

    if (f->retire_at_ms != 0 && forward_now_ms(f) >= f->retire_at_ms) {
        forward_retire(f);
    }
    forward_carry_out(f);
}

static void arm(struct forwarder *f)
{
    uint64_t due_ms = courier_deadline_ms(f->courier);

    if (f->retire_at_ms != 0 && f->retire_at_ms < due_ms) {
        due_ms = f->retire_at_ms;
    }
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&f->timer);
        return;
    }
    uint64_t wait_ms = due_ms > forward_now_ms(f) ? due_ms - forward_now_ms(f) : 0;
    (void)uv_timer_start(&f->timer, on_timer, wait_ms, 0); /* fails only when closing */
}

void forward_carry_out(struct forwarder *f)
{
    struct courier_action action;

    if (f->on_closed != NULL) {
        return;
    }
    if (f->places_are_stale && courier_current(f->courier) == NULL) {
        forward_look_for_servers(f);
    }
    while (courier_next(f->courier, forward_now_ms(f), &action)) {
        carry_out_one(f, &action);
    }
    arm(f);
}

/* ---- What the link to the server says. */

static void tell_distrust(struct forwarder *f, const char *name, const char *why)
{
    f->distrusted++;
    if (f->told_distrust_ms != 0 &&
        forward_now_ms(f) - f->told_distrust_ms < TELL_DISTRUST_MS) {
        return;
    }
    f->told_distrust_ms = forward_now_ms(f);
    rc_log(RC_LOG_ERROR, "link", "%s calls itself a server and %s: nothing is sent there",
           name, why);
}

static void on_up(struct forwarder *f, const struct link_event *event)
{
    const struct courier_place *place;
    char address[RC_ADDRESS_TEXT_MAX];

    bool is_revoked = forward_is_revoked(f, event->peer);
    if (is_revoked || !link_settings_trusts(&f->settings, event->peer)) {
        tell_distrust(f, event->name,
                      is_revoked ? "proves a key that was revoked"
                                 : "does not prove one of link.server_public_keys");
        forward_end_current(f);
        courier_down(f->courier, forward_now_ms(f));
        return;
    }
    courier_up(f->courier, forward_now_ms(f));
    place = courier_current(f->courier);
    rc_address_format(&place->address, address);
    rc_log(RC_LOG_INFO, "link", "requests for servers go to %s at %s", place->name,
           address);
}

static void on_replied(struct forwarder *f, const struct link_event *event)
{
    const struct link_reply *from = event->reply;
    struct http_reply_header headers[LINK_HEADERS_MAX];
    struct http_reply reply = {
        .status = from->status,
        .content_type = from->content_type[0] != '\0' ? from->content_type : NULL,
        .headers = headers,
        .header_count = from->header_count,
        .body = from->body,
        .body_size = from->body_size,
    };
    uint64_t ticket = courier_answered(f->courier, forward_now_ms(f), event->number);

    for (size_t i = 0; i < from->header_count; i++) {
        headers[i] =
            (struct http_reply_header){from->headers[i].name, from->headers[i].value};
    }
    if (ticket != 0) {
        finish(f, ticket, &reply);
    }
}

static void on_current_event(struct forwarder *f, const struct link_event *event)
{
    switch (event->type) {
    case LINK_UP:
        on_up(f, event);
        break;
    case LINK_REPLIED:
        on_replied(f, event);
        break;
    case LINK_REFUSED:
        courier_refused(f->courier, forward_now_ms(f), event->number);
        break;
    case LINK_ASKED: /* whom we called does not ask us */
        link_uv_refuse(f->current, event->number);
        break;
    case LINK_LEAVES: /* its end follows */
    case LINK_CANCELLED:
    case LINK_NOTHING:
        return;
    }
    forward_carry_out(f);
}

static void on_event(void *context, struct link_uv *connection,
                     const struct link_event *event)
{
    struct forwarder *f = context;

    if (link_uv_side(connection) == LINK_CAME) {
        serve_on_event(f, connection, event);
    } else if (connection == f->current) {
        on_current_event(f, event);
    }
}

/* Every request may try in vain: once in a while is enough to read. */
static bool may_complain(struct forwarder *f)
{
    if (f->complained_ms != 0 && forward_now_ms(f) - f->complained_ms < COMPLAIN_MS) {
        return false;
    }
    f->complained_ms = forward_now_ms(f);
    return true;
}

static void tell_loss(struct forwarder *f, struct link_uv *connection, int err)
{
    char address[RC_ADDRESS_TEXT_MAX];
    const struct link *link = link_uv_link(connection);

    rc_address_format(link_uv_address(connection), address);
    if (link_is_up(link)) {
        rc_log(RC_LOG_WARN, "link", "lost server %s at %s: %s; %zu requests are open",
               link_peer_name(link), address, rc_strerror(err),
               courier_open_count(f->courier));
    } else if (may_complain(f)) {
        rc_log(RC_LOG_INFO, "link", "no link to the server at %s: %s", address,
               err == RC_ECLOSED ? "it hung up; does it have our key (encrypt)?"
                                 : rc_strerror(err));
    }
}

static void on_lost(void *context, struct link_uv *connection, int err)
{
    struct forwarder *f = context;

    if (link_uv_side(connection) == LINK_CAME) {
        serve_forget(f, connection);
    } else if (connection == f->current) {
        tell_loss(f, connection, err);
        f->current = NULL;
        f->places_are_stale = true; /* distances and addresses may be others now */
        courier_down(f->courier, forward_now_ms(f));
        forward_carry_out(f);
    }
}

/* ---- What the HTTP interface wants. */

void forwarder_set_http(struct forwarder *f, struct http *http)
{
    if (f != NULL) {
        f->http = http;
    }
}

void forwarder_forward(struct forwarder *f, const struct http_relay *relay,
                       http_ticket ticket)
{
    struct link_request request = {
        .method = relay->method,
        .target = relay->target,
        .token = relay->token,
        .body = relay->body,
        .body_size = relay->body_size,
    };

    if (f->places_are_stale && courier_current(f->courier) == NULL) {
        forward_look_for_servers(f);
    }
    if (f->plain_would_do) {
        fail(f, ticket,
             "This request is for a server, and would go there unencrypted: give all "
             "agents the same key (encrypt), or set link.allow_plaintext = true");
        return;
    }
    if (relay->request_id != NULL) {
        memcpy(request.request_id, relay->request_id, sizeof request.request_id);
    } else {
        rc_entropy(request.request_id, sizeof request.request_id);
    }
    uint64_t haste_ms = haste_of(relay->target);
    if (haste_ms != 0) {
        link_host_hurry(f->host, haste_ms);
    }
    if (courier_ask(f->courier, forward_now_ms(f), &request, ticket) != RC_OK) {
        fail(f, ticket, rc_strerror(RC_ENOMEM));
        return;
    }
    forward_carry_out(f);
}

void forwarder_forget(struct forwarder *f, http_ticket ticket)
{
    courier_forget(f->courier, ticket);
    forward_carry_out(f);
}

/* ---- Life. */

static void on_closed_one(struct forwarder *f)
{
    if (--f->open > 0) {
        return;
    }
    void (*on_closed)(void *) = f->on_closed;
    void *context = f->closed_context;
    courier_destroy(f->courier);
    link_settings_fini(&f->settings);
    explicit_bzero(&f->ring, sizeof f->ring);
    free(f);
    on_closed(context);
}

static void on_host_closed(void *context)
{
    on_closed_one(context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed_one(handle->data);
}

static void ignore(void *context)
{
    (void)context;
}

void forwarder_close(struct forwarder *f, void (*on_closed)(void *context), void *context)
{
    if (f == NULL) {
        return;
    }
    f->on_closed = on_closed != NULL ? on_closed : ignore;
    f->closed_context = context;
    f->http = NULL;
    f->open = 1;
    if (f->host != NULL) {
        struct link_uv *connection = link_host_next(f->host, NULL);
        for (; connection != NULL; connection = link_host_next(f->host, connection)) {
            if (link_uv_side(connection) == LINK_CAME) {
                serve_forget(f, connection);
            }
        }
        f->open++;
        link_host_close(f->host, on_host_closed, f);
        f->host = NULL;
    }
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

static bool admits(void *context, const struct rc_address *from)
{
    return forward_may_link(context, from);
}

/* What the route takes, as if its client had come to us. */
static size_t on_body_max(void *context, const char *target)
{
    const struct forwarder *f = context;

    return f->http != NULL ? http_body_max(f->http, target) : LINK_BODY_MAX;
}

/* A keeper whose server has gone must have asked another long before its lease ends. */
static uint64_t silence_of(const struct agent_config *config)
{
    return config->postgres.cluster != NULL ? config->postgres.ttl_ms / 4 : 0;
}

static int start_host(struct forwarder *f, char error[FORWARDER_ERROR_MAX])
{
    const struct link_host_options options = {
        .loop = f->options.loop,
        .name = f->options.node_name,
        .ring = &f->ring,
        .credential = &f->settings.credential,
        .context = f,
        .body_max = on_body_max,
        .silence_ms = silence_of(f->options.config),
        .admits = admits,
        .on_event = on_event,
        .on_lost = on_lost,
    };
    return link_host_start(&options, f->options.listen, error, &f->host);
}

int forwarder_start(const struct forwarder_options *options,
                    char error[FORWARDER_ERROR_MAX], struct forwarder **out)
{
    struct forwarder *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return RC_ENOMEM;
    }
    error[0] = '\0';
    f->options = *options;
    f->places_are_stale = true;
    (void)uv_timer_init(options->loop, &f->timer);
    f->timer.data = f;
    int err = link_settings_load(options->config, &f->settings, error);
    if (err == RC_OK) {
        link_settings_ring(&f->settings, options->keys, options->key_count, &f->ring);
        f->courier = courier_create(rc_entropy_u64());
        err = f->courier == NULL ? RC_ENOMEM : start_host(f, error);
    }
    if (err == RC_OK) {
        err = forward_words_metrics(f);
    }
    f->options.config = NULL;
    f->options.keys = NULL;
    f->options.listen = NULL;
    if (err != RC_OK) {
        forwarder_close(f, NULL, NULL);
        return err;
    }
    *out = f;
    return RC_OK;
}
