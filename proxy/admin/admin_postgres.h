/* admin_postgres.h - what the admin port tells of PostgreSQL: the lease, sessions, and waits. Pure. */
#ifndef PROXY_ADMIN_ADMIN_POSTGRES_H
#define PROXY_ADMIN_ADMIN_POSTGRES_H

#include "base/json.h"
#include "proxy/admin/admin_pages.h"

/* Appends "postgres": {..} of a pool; sessions and events stand there whatever the pool is. */
void admin_postgres_json(struct rc_json *json, const struct admin_pool *pool,
                         uint64_t now_boot_ms);

/* Appends the families rollcall_proxy_postgres_*. */
void admin_postgres_metrics(const struct admin_view *view, struct rc_buffer *out);

/* A label's value: backslash, quote and newline escaped. */
void admin_postgres_label(struct rc_buffer *out, const char *value);

#endif
