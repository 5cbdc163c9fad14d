/* admin_balance.c - see admin_balance.h. */
#include "proxy/admin/admin_balance.h"

#include "proxy/admin/admin_postgres.h"

/* --- JSON --- */

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void admin_balance_pool(struct rc_json *json, const struct admin_pool *pool)
{
    const struct pool_counts *counts = lineup_counts(pool->lineup);
    bool shown = pool->shown != NULL;
    rc_json_put_bool(json, "panic", shown && pool->shown->panic);
    rc_json_put_bool(json, "near_first", shown && pool->shown->prefer_near);
    rc_json_put_u64(json, "waiting",
                    atomic_load_explicit(&counts->waiting, memory_order_relaxed));
    rc_json_put_u64(json, "queued", load(&counts->queued));
    rc_json_put_u64(json, "queue_full", load(&counts->queue_full));
    rc_json_put_u64(json, "queue_expired", load(&counts->queue_expired));
}

void admin_balance_instance(struct rc_json *json, const struct admin_pool *pool,
                            const struct lineup_member *member)
{
    const struct snapshot_member *shown =
        pool->shown != NULL ? snapshot_find(pool->shown, member->instance) : NULL;
    int rate = outlier_rate(&member->window);
    rc_json_put_bool(json, "present", member->upstream.present);
    rc_json_put_string(json, "health_by_catalog", lineup_health_name(member->health));
    rc_json_put_string(json, "health_by_check", lineup_check_name(member->check));
    rc_json_put_u64(json, "ejections", member->upstream.ejections);
    if (rate >= 0) {
        rc_json_put_u64(json, "success_percent", (uint64_t)rate);
    }
    if (member->distance_us != DISTANCE_UNKNOWN) {
        rc_json_put_u64(json, "distance_us", member->distance_us);
    }
    rc_json_put_bool(json, "near", shown != NULL && shown->near);
}

/* --- Prometheus --- */

static uint64_t waiting(const struct admin_pool *pool)
{
    return atomic_load_explicit(&lineup_counts(pool->lineup)->waiting,
                                memory_order_relaxed);
}

static uint64_t queued(const struct admin_pool *pool)
{
    return load(&lineup_counts(pool->lineup)->queued);
}

static uint64_t queue_full(const struct admin_pool *pool)
{
    return load(&lineup_counts(pool->lineup)->queue_full);
}

static uint64_t queue_expired(const struct admin_pool *pool)
{
    return load(&lineup_counts(pool->lineup)->queue_expired);
}

static uint64_t panic(const struct admin_pool *pool)
{
    return pool->shown != NULL && pool->shown->panic ? 1 : 0;
}

static uint64_t panics(const struct admin_pool *pool)
{
    return load(&lineup_counts(pool->lineup)->panics);
}

static uint64_t spills(const struct admin_pool *pool)
{
    return load(&lineup_counts(pool->lineup)->spills);
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct admin_pool *pool);
} families[] = {
    {"rollcall_proxy_pool_waiting", "gauge", "Requests that wait for an instance now",
     waiting},
    {"rollcall_proxy_pool_queued_total", "counter",
     "Requests that had to wait for an instance", queued},
    {"rollcall_proxy_pool_queue_full_total", "counter",
     "Requests refused because too many waited", queue_full},
    {"rollcall_proxy_pool_queue_expired_total", "counter", "Requests that waited in vain",
     queue_expired},
    {"rollcall_proxy_pool_panic", "gauge",
     "1 while too few instances pass and all are used", panic},
    {"rollcall_proxy_pool_panic_picks_total", "counter",
     "Choices of an instance that does not pass", panics},
    {"rollcall_proxy_pool_spills_total", "counter",
     "Choices of an instance that is not near while near ones are preferred", spills},
};

static void put_sources(const struct admin_view *view, const char *name,
                        struct rc_buffer *out,
                        uint64_t (*value)(const struct lineup_source_state *, uint64_t))
{
    for (size_t p = 0; p < view->pool_count; p++) {
        for (unsigned i = 0; i < LINEUP_SOURCE_COUNT; i++) {
            struct lineup_source_state state;
            lineup_source_state(view->pools[p].lineup, (enum lineup_source)i, &state);
            if (!state.used || i == LINEUP_STATIC) {
                continue;
            }
            rc_buffer_format(out, "%s{pool=\"", name);
            admin_postgres_label(out, view->pools[p].config->name);
            rc_buffer_format(out, "\",source=\"%s\"} %llu\n",
                             lineup_source_name((enum lineup_source)i),
                             (unsigned long long)value(&state, view->now_ms));
        }
    }
}

static uint64_t is_healthy(const struct lineup_source_state *state, uint64_t now_ms)
{
    (void)now_ms;
    return state->known && state->healthy ? 1 : 0;
}

static uint64_t silent_s(const struct lineup_source_state *state, uint64_t now_ms)
{
    bool stale = state->known && !state->healthy && now_ms > state->good_at_ms;
    return stale ? (now_ms - state->good_at_ms) / 1000 : 0;
}

void admin_balance_metrics(const struct admin_view *view, struct rc_buffer *out)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        rc_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", families[f].name,
                         families[f].help, families[f].name, families[f].type);
        for (size_t p = 0; p < view->pool_count; p++) {
            rc_buffer_format(out, "%s{pool=\"", families[f].name);
            admin_postgres_label(out, view->pools[p].config->name);
            rc_buffer_format(out, "\"} %llu\n",
                             (unsigned long long)families[f].value(&view->pools[p]));
        }
    }
    rc_buffer_text(out, "# HELP rollcall_proxy_source_healthy 1 while a source answers\n"
                        "# TYPE rollcall_proxy_source_healthy gauge\n");
    put_sources(view, "rollcall_proxy_source_healthy", out, is_healthy);
    rc_buffer_text(out, "# HELP rollcall_proxy_source_stale_seconds Age of the last good "
                        "word of a source that does not answer\n"
                        "# TYPE rollcall_proxy_source_stale_seconds gauge\n");
    put_sources(view, "rollcall_proxy_source_stale_seconds", out, silent_s);
}
