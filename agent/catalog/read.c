/* What readers ask: by position, by name, by tag; and the indexes they wait for. */
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"
#include "base/text.h"

size_t catalog_node_count(const struct catalog *c)
{
    return c->node_count;
}

const struct catalog_node *catalog_node_at(const struct catalog *c, size_t position)
{
    return position < c->node_count ? c->nodes[position] : NULL;
}

const struct catalog_node *catalog_node_find_bytes(const struct catalog *c,
                                                   const void *name, size_t size)
{
    char key[CATALOG_NAME_MAX + 1];

    if (listing_fold(name, size, key) == 0) {
        return NULL;
    }
    const struct node_entry *entry = rc_table_get_bytes(c->by_name, key, size);
    return entry != NULL && entry->listed ? &entry->view : NULL;
}

const struct catalog_node *catalog_node_find(const struct catalog *c, const char *name)
{
    return catalog_node_find_bytes(c, name, strlen(name));
}

const struct catalog_node *catalog_self(const struct catalog *c)
{
    return &c->self->view;
}

size_t catalog_name_count(const struct catalog *c)
{
    return c->name_count;
}

const struct catalog_name *catalog_name_at(const struct catalog *c, size_t position)
{
    return position < c->name_count ? c->names[position] : NULL;
}

const struct catalog_name *catalog_name_find_bytes(const struct catalog *c,
                                                   const void *name, size_t size)
{
    char key[CATALOG_NAME_MAX + 1];

    if (listing_fold(name, size, key) == 0) {
        return NULL;
    }
    const struct name_entry *entry = rc_table_get_bytes(c->names_by_key, key, size);
    return entry == NULL ? NULL : &entry->view;
}

const struct catalog_name *catalog_name_find(const struct catalog *c, const char *name)
{
    return catalog_name_find_bytes(c, name, strlen(name));
}

enum check_status catalog_service_health(const struct catalog_service *service)
{
    return service->status > service->node->status ? service->status
                                                   : service->node->status;
}

bool catalog_service_is_usable(const struct catalog_service *service)
{
    return service->node->liveness < CATALOG_FAILED &&
           catalog_service_health(service) != CHECK_CRITICAL;
}

bool catalog_service_has_tag(const struct catalog *c,
                             const struct catalog_service *service, const char *tag)
{
    bool tagged = false;

    (void)c;
    for (size_t i = 0; i < service->tag_count && !tagged; i++) {
        tagged = rc_text_equals_nocase(service->tags[i], tag);
    }
    return tagged;
}

const char *catalog_liveness_name(enum catalog_liveness liveness)
{
    static const char *const names[CATALOG_LIVENESS_COUNT] = {
        [CATALOG_ALIVE] = "alive",     [CATALOG_SUSPECT] = "suspect",
        [CATALOG_LEAVING] = "leaving", [CATALOG_FAILED] = "failed",
        [CATALOG_LEFT] = "left",
    };

    return (unsigned)liveness < CATALOG_LIVENESS_COUNT ? names[liveness] : "left";
}

static uint64_t index_of_node(const struct catalog *c, const char *name)
{
    const struct catalog_node *node = catalog_node_find(c, name);

    return node == NULL ? c->index_nodes : entry_of_node(node)->index;
}

static uint64_t index_of_name(const struct catalog *c, const char *name)
{
    const struct catalog_name *entry = catalog_name_find(c, name);

    return entry == NULL ? c->index_vanished : entry->index;
}

static uint64_t index_of_state(const struct catalog *c, const char *name)
{
    enum check_status status = CHECK_PASSING;

    return check_status_parse(name, &status) == RC_OK ? c->index_checks[status]
                                                      : c->index_any_check;
}

uint64_t catalog_index(const struct catalog *c, enum catalog_topic topic,
                       const char *name)
{
    switch (topic) {
    case CATALOG_TOPIC_NODES:
        return c->index_nodes;
    case CATALOG_TOPIC_SERVICES:
        return c->index_services;
    case CATALOG_TOPIC_CHECKS:
        return index_of_state(c, name);
    case CATALOG_TOPIC_SERVICE:
        return index_of_name(c, name);
    case CATALOG_TOPIC_NODE:
        return index_of_node(c, name);
    case CATALOG_TOPIC_ALL:
    case CATALOG_TOPIC_COUNT:
        break;
    }
    return c->index;
}

const struct catalog_counters *catalog_counters(const struct catalog *c)
{
    return &c->counters;
}
