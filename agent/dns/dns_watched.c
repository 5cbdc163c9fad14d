#include "agent/dns/dns_watched.h"

static void look_at_node(struct dns_watched *watched, const struct dns_node *node)
{
    if (node != NULL && !dns_sight_shows(watched->asker, DNS_SIGHT_NODE, node->name)) {
        watched->saw_hidden = true;
    }
}

static void look_at_service(struct dns_watched *watched,
                            const struct dns_service *service)
{
    if (service == NULL) {
        return;
    }
    if (!dns_sight_shows(watched->asker, DNS_SIGHT_SERVICE, service->name)) {
        watched->saw_hidden = true;
    }
    for (size_t i = 0; i < service->instance_count; i++) {
        look_at_node(watched, service->instances[i].node);
    }
}

static void watched_begin(void *context)
{
    const struct dns_watched *watched = context;
    watched->real->begin(watched->real->context);
}

static const struct dns_service *watched_service(void *context, struct rc_span name)
{
    struct dns_watched *watched = context;
    const struct dns_service *service =
        watched->real->service(watched->real->context, name);

    look_at_service(watched, service);
    return service;
}

static const struct dns_picked *watched_query(void *context, struct rc_span name,
                                              enum dns_certainty *certainty)
{
    struct dns_watched *watched = context;
    const struct dns_picked *picked =
        watched->real->query(watched->real->context, name, certainty);

    look_at_service(watched, picked != NULL ? &picked->service : NULL);
    return picked;
}

static const struct dns_node *watched_node(void *context, struct rc_span name)
{
    struct dns_watched *watched = context;
    const struct dns_node *node = watched->real->node(watched->real->context, name);

    look_at_node(watched, node);
    return node;
}

/* That some node has such an ending names none. */
static bool watched_node_below(void *context, struct rc_span name)
{
    const struct dns_watched *watched = context;
    return watched->real->node_below(watched->real->context, name);
}

static const struct dns_node *watched_node_at(void *context, const struct rc_address *ip)
{
    struct dns_watched *watched = context;
    const struct dns_node *node = watched->real->node_at(watched->real->context, ip);

    look_at_node(watched, node);
    return node;
}

static const char *watched_service_at(void *context, const struct rc_address *ip)
{
    struct dns_watched *watched = context;
    const char *name = watched->real->service_at(watched->real->context, ip);

    if (name != NULL && !dns_sight_shows(watched->asker, DNS_SIGHT_SERVICE, name)) {
        watched->saw_hidden = true;
    }
    return name;
}

static size_t watched_name_servers(void *context,
                                   const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    struct dns_watched *watched = context;
    size_t count = watched->real->name_servers(watched->real->context, out);

    for (size_t i = 0; i < count; i++) {
        look_at_node(watched, out[i]);
    }
    return count;
}

static uint64_t watched_index(void *context)
{
    const struct dns_watched *watched = context;
    return watched->real->index(watched->real->context);
}

/* What is new in a view must be watched too. */
_Static_assert(sizeof(struct dns_view) == 11 * sizeof(void *), "each of it is set below");

void dns_watched_init(struct dns_watched *watched, const struct dns_view *real,
                      const struct dns_sight *asker)
{
    watched->real = real;
    watched->asker = asker;
    watched->saw_hidden = false;
    watched->view.datacenter = real->datacenter;
    watched->view.context = watched;
    watched->view.begin = watched_begin;
    watched->view.service = watched_service;
    watched->view.query = watched_query;
    watched->view.node = watched_node;
    watched->view.node_below = real->node_below != NULL ? watched_node_below : NULL;
    watched->view.node_at = watched_node_at;
    watched->view.service_at = watched_service_at;
    watched->view.name_servers = watched_name_servers;
    watched->view.index = watched_index;
}
