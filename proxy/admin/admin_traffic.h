/* admin_traffic.h - counts and times of listeners, routes and instances. Pure. */
#ifndef PROXY_ADMIN_ADMIN_TRAFFIC_H
#define PROXY_ADMIN_ADMIN_TRAFFIC_H

#include "base/json.h"
#include "proxy/admin/admin_pages.h"

/* Appends {"at_ms":.., "listeners":[{.., "routes":[..]}]} and a newline: what each does, what it
 * counted, and rate and percentiles of the last seconds. */
void admin_traffic_routes(const struct admin_view *view, struct rc_buffer *out);

/* Appends the families rollcall_proxy_http_*, _refusals_total, _listener_* and
 * _instance_requests_total, _instance_response_seconds. */
void admin_traffic_metrics(const struct admin_view *view, struct rc_buffer *out);

/* Members of an object that is open: counts and "recent" of a meter. */
void admin_traffic_meter(struct rc_json *json, const struct meter *meter,
                         uint64_t now_ms);

#endif
