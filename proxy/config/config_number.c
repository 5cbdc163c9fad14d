/* config_number.c - numbers and labels of routes, for whoever counts by them. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { SEED = 1 }; /* the names are the administrator's own */

/* What would need quoting in a metric's label. */
static void make_plain(char *label)
{
    for (; *label != '\0'; label++) {
        unsigned char byte = (unsigned char)*label;
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
            *label = '_';
        }
    }
}

static void describe(const struct config_host *host, struct config_route *route)
{
    if (route->label[0] == '\0') {
        (void)snprintf(route->label, sizeof route->label, "%s %s", host->name,
                       route->prefix);
        make_plain(route->label);
    }
}

/* The same host and prefix may stand in two listeners: the later one carries its number. */
static int make_unique(struct config_route *route, struct rc_table *taken)
{
    if (rc_table_get(taken, route->label) != NULL) {
        size_t size = strlen(route->label);
        (void)snprintf(route->label + size, sizeof route->label - size, " #%u",
                       route->number);
    }
    return rc_table_put(taken, route->label, route, NULL);
}

static int number_listener(struct config *config, struct config_listener *listener,
                           struct rc_table *taken)
{
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < listener->host_count; i++) {
        struct config_host *host = &listener->hosts[i];
        for (size_t k = 0; err == RC_OK && k < host->route_count; k++) {
            host->routes[k].number = (uint32_t)config->route_count++;
            describe(host, &host->routes[k]);
            err = make_unique(&host->routes[k], taken);
        }
    }
    return err;
}

int config_number_routes(struct config *config)
{
    struct rc_table *taken = rc_table_create(SEED);
    int err = taken == NULL ? RC_ENOMEM : RC_OK;
    for (size_t i = 0; err == RC_OK && i < config->listener_count; i++) {
        err = number_listener(config, &config->listeners[i], taken);
    }
    rc_table_destroy(taken);
    return err;
}
