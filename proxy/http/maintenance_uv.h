/* maintenance_uv.h - pages that are shown while a file is there.
 *
 * Each worker looks at a file at most twice a second, and only when a request needs it; a page
 * stays in memory as long as the file does not change. */
#ifndef PROXY_HTTP_MAINTENANCE_UV_H
#define PROXY_HTTP_MAINTENANCE_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config_route.h"

struct maintenance;

struct maintenance_page {
    const char *content_type; /* static */
    const char *text;         /* borrowed until the next call */
    size_t size;
};

/* NULL when memory is out. */
struct maintenance *maintenance_create(void);
void maintenance_destroy(struct maintenance *maintenance); /* NULL is allowed */

/* True if requests hear the page now. A file that cannot be read, or is larger than
 * CONFIG_PAGE_MAX, still counts as there: a line of our own stands for it. */
bool maintenance_is_on(struct maintenance *maintenance,
                       const struct config_maintenance *config, uint64_t now_ms,
                       struct maintenance_page *out);

#endif
