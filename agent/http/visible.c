#include "agent/http/visible.h"

bool visible_node(struct http_api *api, struct http_exchange *x,
                  const struct catalog_node *node)
{
    return permit_shows(api, x, PERMIT_NODE, node->name);
}

bool visible_service(struct http_api *api, struct http_exchange *x,
                     const struct catalog_service *service)
{
    return permit_shows(api, x, PERMIT_SERVICE, service->name) &&
           permit_shows(api, x, PERMIT_NODE, service->node->name);
}

bool visible_name(struct http_api *api, struct http_exchange *x,
                  const struct catalog_name *name)
{
    if (!permit_shows(api, x, PERMIT_SERVICE, name->name)) {
        return false;
    }
    for (size_t i = 0; i < name->instance_count; i++) {
        if (visible_service(api, x, name->instances[i])) {
            return true;
        }
    }
    return false;
}

bool visible_check(struct http_api *api, struct http_exchange *x,
                   const struct catalog_check *check)
{
    bool is_of_node = check->service_id[0] == '\0';

    return permit_shows(api, x, PERMIT_NODE, check->node->name) &&
           (is_of_node || permit_shows(api, x, PERMIT_SERVICE, check->service_name));
}

bool visible_local_check(struct http_api *api, struct http_exchange *x,
                         const struct local_check *check)
{
    struct local_service service;

    if (check->service_id[0] != '\0' &&
        local_find_service(api->local, check->service_id, &service)) {
        return permit_shows(api, x, PERMIT_SERVICE, service.definition->name);
    }
    return permit_shows(api, x, PERMIT_NODE, api->facts.node_name);
}

bool visible_self(struct http_api *api, struct http_exchange *x,
                  enum permit_resource resource, enum permit_access access)
{
    return permit(api, x, resource, api->facts.node_name, access);
}

bool visible_may_write_service(struct http_api *api, struct http_exchange *x,
                               const char *id, const char *name)
{
    struct local_service service;

    if (name != NULL && !permit(api, x, PERMIT_SERVICE, name, PERMIT_WRITE)) {
        return false;
    }
    return !local_find_service(api->local, id, &service) ||
           permit(api, x, PERMIT_SERVICE, service.definition->name, PERMIT_WRITE);
}

bool visible_may_write_check(struct http_api *api, struct http_exchange *x,
                             const char *id)
{
    struct local_check check;

    if (!local_find_check(api->local, id, &check)) {
        return true;
    }
    return check.service_id[0] != '\0'
               ? visible_may_write_service(api, x, check.service_id, NULL)
               : visible_self(api, x, PERMIT_NODE, PERMIT_WRITE);
}

bool visible_may_add_check(struct http_api *api, struct http_exchange *x, const char *id,
                           const char *service_id)
{
    bool may = service_id != NULL ? visible_may_write_service(api, x, service_id, NULL)
                                  : visible_self(api, x, PERMIT_NODE, PERMIT_WRITE);

    return may && visible_may_write_check(api, x, id);
}
