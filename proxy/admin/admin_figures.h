/* admin_figures.h - what the proxy tells whoever draws it: rates and times of each route and
 * instance, lately. JSON, bounded, nothing secret. Pure. */
#ifndef PROXY_ADMIN_ADMIN_FIGURES_H
#define PROXY_ADMIN_ADMIN_FIGURES_H

#include "proxy/admin/admin_pages.h"

/* No more routes and no more instances than these; then "Truncated" is true. */
enum { ADMIN_FIGURES_MAX = 400 };

/* Appends {"Version", "UptimeMs", "Draining", "Listeners", "Routes", "Pools", "Truncated"} and a
 * newline. Rates are of the last 5 to 10 s, as are percentiles, in ms. */
void admin_figures_tell(const struct admin_view *view, struct rc_buffer *out);

#endif
