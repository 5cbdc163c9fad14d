/* admin_balance.h - what the admin port tells of choosing: each input of health by itself, panic,
 * nearness, and who waits. Pure. */
#ifndef PROXY_ADMIN_ADMIN_BALANCE_H
#define PROXY_ADMIN_ADMIN_BALANCE_H

#include "base/json.h"
#include "proxy/admin/admin_pages.h"

/* Appends members to the object of a pool, or of one of its instances. */
void admin_balance_pool(struct rc_json *json, const struct admin_pool *pool);
void admin_balance_instance(struct rc_json *json, const struct admin_pool *pool,
                            const struct lineup_member *member);

/* Appends the families rollcall_proxy_pool_* and rollcall_proxy_source_*. */
void admin_balance_metrics(const struct admin_view *view, struct rc_buffer *out);

#endif
