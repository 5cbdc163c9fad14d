/* serve_uv.c - a server's half of forwarding: requests of other agents, answered here. */
#include <stdlib.h>
#include <string.h>

#include "agent/forward_state_uv.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/table.h"

/* A request that is being answered. */
struct service {
    struct forwarder *forwarder;
    struct link_uv *connection;
    uint32_t number;
    http_ticket ticket;
};

static struct service *find(const struct link_uv *connection, uint32_t number)
{
    const struct rc_table *services = link_uv_user(connection);

    return services == NULL ? NULL : rc_table_get_bytes(services, &number, sizeof number);
}

static void drop(struct service *service)
{
    (void)rc_table_remove_bytes(link_uv_user(service->connection), &service->number,
                                sizeof service->number);
    free(service);
}

static int send_reply(const struct service *service, const struct http_reply *reply)
{
    struct link_reply out = {
        .status = reply->status,
        .content_type = reply->content_type != NULL ? reply->content_type : "",
        .body = reply->body,
        .body_size = reply->body_size,
    };

    for (size_t i = 0; i < reply->header_count && i < LINK_HEADERS_MAX; i++) {
        out.headers[out.header_count++] =
            (struct link_header){reply->headers[i].name, reply->headers[i].value};
    }
    return link_uv_answer(service->connection, service->number, &out);
}

static void on_served(void *context, const struct http_reply *reply)
{
    struct service *service = context;
    static const char too_big[] = "The answer is too big to be relayed";
    const struct http_reply instead = {
        .status = 500, .body = too_big, .body_size = sizeof too_big - 1};

    if (send_reply(service, reply) != RC_OK && send_reply(service, &instead) != RC_OK) {
        link_uv_refuse(service->connection, service->number);
    }
    service->forwarder->served++;
    drop(service);
}

static struct service *add(struct forwarder *f, struct link_uv *connection,
                           uint32_t number)
{
    struct rc_table *services = link_uv_user(connection);
    struct service *service = calloc(1, sizeof *service);

    if (services == NULL) {
        services = rc_table_create(0); /* the numbers are counted */
        link_uv_set_user(connection, services);
    }
    if (service == NULL || services == NULL ||
        rc_table_put_bytes(services, &number, sizeof number, service, NULL) != RC_OK) {
        free(service);
        return NULL;
    }
    service->forwarder = f;
    service->connection = connection;
    service->number = number;
    return service;
}

static void on_asked(struct forwarder *f, struct link_uv *connection,
                     const struct link_event *event)
{
    const struct link_request *request = event->request;
    const struct http_relay relay = {
        .method = request->method,
        .target = request->target,
        .body = request->body,
        .body_size = request->body_size,
        .token = request->token,
        .node = link_peer_name(link_uv_link(connection)),
        .request_id = request->request_id,
    };
    struct service *service = NULL;

    if (f->http != NULL && f->options.serves(f->options.context)) {
        service = add(f, connection, event->number);
    }
    if (service != NULL) {
        service->ticket = http_serve(f->http, &relay, on_served, service);
        if (service->ticket != 0) {
            return;
        }
        drop(service);
    }
    f->refused++;
    link_uv_refuse(connection, event->number);
}

void serve_on_event(struct forwarder *f, struct link_uv *connection,
                    const struct link_event *event)
{
    struct service *service;

    switch (event->type) {
    case LINK_UP:
        if (forward_is_revoked(f, event->peer)) {
            rc_log(RC_LOG_WARN, "link",
                   "%s proves a key that was revoked: it is not heard", event->name);
            link_uv_end(connection);
            return;
        }
        rc_log(RC_LOG_DEBUG, "link", "%s may ask here", event->name);
        return;
    case LINK_ASKED:
        on_asked(f, connection, event);
        return;
    case LINK_CANCELLED:
        service = find(connection, event->number);
        if (service != NULL) {
            http_serve_end(f->http, service->ticket);
            drop(service);
        }
        return;
    case LINK_REPLIED: /* nothing is asked of those who came */
    case LINK_REFUSED:
    case LINK_LEAVES:
    case LINK_NOTHING:
        return;
    }
}

void serve_forget(struct forwarder *f, struct link_uv *connection)
{
    struct rc_table *services = link_uv_user(connection);
    size_t position = 0;

    if (services == NULL) {
        return;
    }
    struct service *service = rc_table_next(services, &position, NULL);
    while (service != NULL) {
        if (f->http != NULL) {
            http_serve_end(f->http, service->ticket);
        }
        free(service);
        service = rc_table_next(services, &position, NULL);
    }
    rc_table_destroy(services);
    link_uv_set_user(connection, NULL);
}
