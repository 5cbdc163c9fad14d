/* client_list_uv.c - what the clients of one worker are doing, for /connections. */
#include "base/text.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/worker/inquiry_uv.h"

static const char *phase_name(enum exchange_phase phase)
{
    switch (phase) {
    case EXCHANGE_QUEUED:
        return "queued";
    case EXCHANGE_CONNECTING:
        return "connecting";
    case EXCHANGE_WAITING:
        return "waiting";
    case EXCHANGE_RELAYING:
        return "relaying";
    case EXCHANGE_TUNNEL:
        return "tunnel";
    case EXCHANGE_FLUSHING:
    case EXCHANGE_OVER:
        return "answering";
    }
    return "";
}

static const char *state_name(const struct client *client)
{
    switch (client->state) {
    case CLIENT_IDLE:
        return client->h2 != NULL ? "streams" : "idle";
    case CLIENT_HEAD:
        return "head";
    case CLIENT_BUSY:
        return client->exchange != NULL ? phase_name(client->exchange->phase) : "busy";
    case CLIENT_LINGER:
        return "lingering";
    case CLIENT_CLOSED:
        return "closed";
    }
    return "";
}

static void put(const struct client *client, struct inquiry_connection *c)
{
    const struct exchange *x = client->exchange;

    c->peer = client->peer;
    c->listener = worker_listener_config(client->listener)->address;
    c->protocol = client->h2 != NULL ? "http/2" : "http/1.1";
    c->state = state_name(client);
    c->age_ms = http_now_ms(client->http) - client->since_ms;
    c->requests = client->served;
    if (x != NULL) {
        c->instance = x->address;
        c->bytes_in = x->bytes_in;
        c->bytes_out = x->bytes_out;
        (void)rc_text_put(c->route, sizeof c->route,
                          x->route != NULL ? x->route->label : "");
    }
}

void client_list_all(struct worker *worker, void *state, struct inquiry *inquiry)
{
    const struct http *http = state;
    const struct client *client = NULL;

    (void)worker;
    LIST_FOREACH(client, &http->clients, link)
    {
        struct inquiry_connection *c = inquiry_add(inquiry);
        if (c != NULL) {
            put(client, c);
        }
    }
}
