/* admin_pages.c - see admin_pages.h. */
#include "proxy/admin/admin_pages.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "proxy/admin/admin_balance.h"
#include "proxy/admin/admin_postgres.h"
#include "proxy/admin/admin_traffic.h"

/* --- JSON --- */

/* Why it is in this state, in words; "" when there is nothing to say. */
static void explain(const struct lineup_member *member, uint64_t now_ms, char *space,
                    size_t size)
{
    const struct upstream *u = &member->upstream;
    space[0] = '\0';
    if (u->state == UPSTREAM_EJECTED) {
        uint64_t left_ms =
            u->ejected_until_ms > now_ms ? u->ejected_until_ms - now_ms : 0;
        (void)snprintf(space, size,
                       "ejection %u: it failed too often; a trial in %llu ms",
                       u->ejections, (unsigned long long)left_ms);
    } else if (u->state == UPSTREAM_TRIAL) {
        (void)rc_text_put(space, size, "one request at a time, until two succeed");
    } else if (u->state == UPSTREAM_WARMING) {
        (void)rc_text_put(space, size, "slow start");
    } else if (u->state == UPSTREAM_FAILING) {
        (void)rc_text_put(space, size,
                          member->check == LINEUP_CHECK_FAILS
                              ? "our own check fails"
                              : "its checks in the catalog fail");
    } else if (u->state == UPSTREAM_DRAINING) {
        (void)rc_text_put(
            space, size, u->operator_drains ? "drained by the operator" : "left the set");
    }
}

static void put_outcomes(struct rc_json *json, const struct instance *instance)
{
    rc_json_key(json, "outcomes");
    rc_json_object(json);
    for (unsigned i = 0; i < INSTANCE_OUTCOME_COUNT; i++) {
        rc_json_put_u64(
            json, instance_outcome_name((enum instance_outcome)i),
            atomic_load_explicit(&instance->outcomes[i], memory_order_relaxed));
    }
    rc_json_object_end(json);
}

static void put_instance(struct rc_json *json, const struct admin_pool *pool,
                         const struct lineup_member *member, uint64_t now_ms)
{
    const struct instance *i = member->instance;
    char address[RC_ADDRESS_TEXT_MAX];
    char why[128];
    rc_address_format(&i->address, address);
    explain(member, now_ms, why, sizeof why);
    rc_json_object(json);
    rc_json_put_string(json, "id", i->id);
    rc_json_put_string(json, "address", address);
    rc_json_put_string(json, "state", upstream_state_name(member->upstream.state));
    rc_json_put_string(json, "why", why);
    rc_json_put_u64(json, "since_ms", now_ms - member->upstream.since_ms);
    rc_json_put_string(json, "role", upstream_role_name(member->role));
    rc_json_put_string(json, "role_by_catalog", upstream_role_name(member->claim));
    rc_json_put_string(json, "role_by_probe", upstream_role_name(member->probe));
    rc_json_put_u64(json, "timeline", member->timeline);
    rc_json_put_u64(json, "weight", member->weight);
    rc_json_put_u64(json, "in_flight",
                    atomic_load_explicit(&i->in_flight, memory_order_relaxed));
    rc_json_put_u64(json, "failures_in_a_row",
                    atomic_load_explicit(&i->failures_in_a_row, memory_order_relaxed));
    const char *problem = atomic_load_explicit(&i->tls_problem, memory_order_relaxed);
    rc_json_put_string(json, "tls_problem", problem != NULL ? problem : "");
    admin_balance_instance(json, pool, member);
    put_outcomes(json, i);
    rc_json_put_u64(json, "bytes_to",
                    atomic_load_explicit(&i->bytes_to, memory_order_relaxed));
    rc_json_put_u64(json, "bytes_from",
                    atomic_load_explicit(&i->bytes_from, memory_order_relaxed));
    rc_json_key(json, "traffic");
    rc_json_object(json);
    admin_traffic_meter(json, i->meter, now_ms);
    rc_json_object_end(json);
    rc_json_object_end(json);
}

static void put_sources(struct rc_json *json, const struct lineup *lineup,
                        uint64_t now_ms)
{
    rc_json_key(json, "sources");
    rc_json_object(json);
    for (unsigned i = 0; i < LINEUP_SOURCE_COUNT; i++) {
        struct lineup_source_state state;
        lineup_source_state(lineup, (enum lineup_source)i, &state);
        if (!state.used) {
            continue;
        }
        rc_json_key(json, lineup_source_name((enum lineup_source)i));
        rc_json_object(json);
        rc_json_put_bool(json, "healthy", state.healthy);
        rc_json_put_bool(json, "known", state.known);
        rc_json_put_u64(json, "count", state.count);
        rc_json_put_bool(json, "stale", state.known && !state.healthy);
        rc_json_put_u64(json, "age_ms", state.known ? now_ms - state.good_at_ms : 0);
        rc_json_object_end(json);
    }
    rc_json_object_end(json);
}

static void put_pool(struct rc_json *json, const struct admin_pool *pool,
                     const struct admin_view *view)
{
    uint64_t now_ms = view->now_ms;
    size_t claimants = 0;
    const struct lineup_member *primary = lineup_primary(pool->lineup, &claimants);
    rc_json_object(json);
    rc_json_put_string(json, "name", pool->config->name);
    rc_json_put_string(json, "balance", config_balance_name(pool->config->balance));
    rc_json_put_string(json, "primary", primary != NULL ? primary->instance->id : "");
    rc_json_put_u64(json, "claim_primary", claimants);
    admin_balance_pool(json, pool);
    put_sources(json, pool->lineup, now_ms);
    admin_postgres_json(json, pool, view->now_boot_ms);
    rc_json_key(json, "instances");
    rc_json_array(json);
    for (size_t i = 0; i < lineup_count(pool->lineup); i++) {
        put_instance(json, pool, lineup_at(pool->lineup, i), now_ms);
    }
    rc_json_array_end(json);
    rc_json_object_end(json);
}

void admin_pages_upstreams(const struct admin_view *view, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 4);
    rc_json_object(&json);
    rc_json_put_u64(&json, "generation", view->generation);
    rc_json_put_bool(&json, "draining", view->draining);
    rc_json_key(&json, "connections");
    rc_json_array(&json);
    for (size_t i = 0; i < view->worker_count; i++) {
        rc_json_u64(&json, view->connections[i]);
    }
    rc_json_array_end(&json);
    rc_json_key(&json, "pools");
    rc_json_array(&json);
    for (size_t i = 0; i < view->pool_count; i++) {
        put_pool(&json, &view->pools[i], view);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_buffer_byte(out, '\n');
}

/* --- Prometheus --- */

static void put_sample(struct rc_buffer *out, const char *name, const char *pool,
                       const struct lineup_member *member, uint64_t value)
{
    rc_buffer_format(out, "%s{pool=\"", name);
    admin_postgres_label(out, pool);
    rc_buffer_text(out, "\",instance=\"");
    admin_postgres_label(out, member->instance->id);
    rc_buffer_format(out, "\"} %llu\n", (unsigned long long)value);
}

static uint64_t in_flight(const struct lineup_member *member)
{
    return atomic_load_explicit(&member->instance->in_flight, memory_order_relaxed);
}

static uint64_t is_usable(const struct lineup_member *member)
{
    return upstream_is_usable(member->upstream.state) ? 1 : 0;
}

static uint64_t is_primary(const struct lineup_member *member)
{
    return member->role == UPSTREAM_ROLE_PRIMARY ? 1 : 0;
}

static uint64_t failures(const struct lineup_member *member)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < INSTANCE_OUTCOME_COUNT; i++) {
        if (instance_outcome_is_failure((enum instance_outcome)i)) {
            sum += atomic_load_explicit(&member->instance->outcomes[i],
                                        memory_order_relaxed);
        }
    }
    return sum;
}

static uint64_t bytes_to(const struct lineup_member *member)
{
    return atomic_load_explicit(&member->instance->bytes_to, memory_order_relaxed);
}

static uint64_t bytes_from(const struct lineup_member *member)
{
    return atomic_load_explicit(&member->instance->bytes_from, memory_order_relaxed);
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct lineup_member *member);
} families[] = {
    {"rollcall_proxy_instance_in_flight", "gauge",
     "Requests and sessions running at an instance", in_flight},
    {"rollcall_proxy_instance_usable", "gauge", "1 while it takes new requests",
     is_usable},
    {"rollcall_proxy_instance_primary", "gauge",
     "1 for the PostgreSQL that may be written", is_primary},
    {"rollcall_proxy_instance_failures_total", "counter",
     "Uses of an instance that failed by its fault", failures},
    {"rollcall_proxy_postgres_to_instance_bytes_total", "counter",
     "Bytes of PostgreSQL sessions from clients to an instance", bytes_to},
    {"rollcall_proxy_postgres_from_instance_bytes_total", "counter",
     "Bytes of PostgreSQL sessions from an instance to clients", bytes_from},
};

void admin_pages_metrics(const struct admin_view *view, struct rc_buffer *out)
{
    admin_traffic_metrics(view, out);
    admin_postgres_metrics(view, out);
    admin_balance_metrics(view, out);
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        rc_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", families[f].name,
                         families[f].help, families[f].name, families[f].type);
        for (size_t p = 0; p < view->pool_count; p++) {
            const struct admin_pool *pool = &view->pools[p];
            for (size_t i = 0; i < lineup_count(pool->lineup); i++) {
                const struct lineup_member *member = lineup_at(pool->lineup, i);
                put_sample(out, families[f].name, pool->config->name, member,
                           families[f].value(member));
            }
        }
    }
    uint64_t connections = 0;
    for (size_t i = 0; i < view->worker_count; i++) {
        connections += view->connections[i];
    }
    rc_buffer_format(out,
                     "# HELP rollcall_proxy_connections Client connections\n"
                     "# TYPE rollcall_proxy_connections gauge\n"
                     "rollcall_proxy_connections %llu\n",
                     (unsigned long long)connections);
}

/* --- orders --- */

int admin_pages_order(const char *path, struct admin_order *out)
{
    static const char start[] = "/upstreams/";
    static const struct {
        const char *end;
        enum lineup_order order;
    } orders[] = {{"/drain", LINEUP_DRAIN}, {"/undrain", LINEUP_UNDRAIN}};

    if (!rc_text_starts_with(path, start)) {
        return RC_ENOTFOUND;
    }
    const char *pool = path + sizeof start - 1;
    const char *slash = strchr(pool, '/');
    for (size_t i = 0; slash != NULL && i < sizeof orders / sizeof orders[0]; i++) {
        size_t tail = strlen(orders[i].end);
        size_t rest = strlen(slash);
        if (!rc_text_ends_with(slash, orders[i].end) || rest < tail + 2) {
            continue;
        }
        size_t pool_size = (size_t)(slash - pool);
        size_t id_size = rest - tail - 1;
        if (pool_size >= sizeof out->pool || id_size >= sizeof out->id) {
            return RC_ENOTFOUND;
        }
        memcpy(out->pool, pool, pool_size);
        out->pool[pool_size] = '\0';
        memcpy(out->id, slash + 1, id_size);
        out->id[id_size] = '\0';
        out->order = orders[i].order;
        return RC_OK;
    }
    return RC_ENOTFOUND;
}
