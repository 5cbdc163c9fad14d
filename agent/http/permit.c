/* permit.c - see permit.h. */
#include "agent/http/permit.h"

bool permit(struct http_api *api, struct http_exchange *x, enum permit_resource resource,
            const char *name, enum permit_access access)
{
    (void)api, (void)x, (void)resource, (void)name, (void)access;
    return true;
}

bool permit_shows(struct http_api *api, struct http_exchange *x,
                  enum permit_resource resource, const char *name)
{
    (void)api, (void)x, (void)resource, (void)name;
    return true;
}

bool permit_prefix(struct http_api *api, struct http_exchange *x,
                   enum permit_resource resource, const char *prefix,
                   enum permit_access access)
{
    (void)api, (void)x, (void)resource, (void)prefix, (void)access;
    return true;
}
