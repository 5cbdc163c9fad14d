/* admin_postgres.c - see admin_postgres.h. */
#include "proxy/admin/admin_postgres.h"

#include <stdio.h>

/* --- JSON --- */

/* How many of the held were served within so many ms, not cumulated. */
static void put_waits(struct rc_json *json, const struct pgtally *tally)
{
    uint64_t below = 0;
    rc_json_key(json, "waits");
    rc_json_object(json);
    for (unsigned i = 0; i <= PGTALLY_BOUND_COUNT; i++) {
        char name[16] = "more";
        uint64_t within = pgtally_waits_within(tally, i);
        if (i < PGTALLY_BOUND_COUNT) {
            (void)snprintf(name, sizeof name, "%u", pgtally_bound_ms(i));
        }
        rc_json_put_u64(json, name, within - below);
        below = within;
    }
    rc_json_object_end(json);
}

/* What became of sessions and waits, for any pool; nothing where there were none. */
static void put_tally(struct rc_json *json, const struct pgtally *tally)
{
    for (unsigned i = 0; i < PGTALLY_STATE_COUNT; i++) {
        rc_json_put_u64(json, pgtally_state_name((enum pgtally_state)i),
                        pgtally_sessions(tally, (enum pgtally_state)i));
    }
    for (unsigned i = 0; i < PGTALLY_EVENT_COUNT; i++) {
        rc_json_put_u64(json, pgtally_event_name((enum pgtally_event)i),
                        pgtally_events(tally, (enum pgtally_event)i));
    }
    put_waits(json, tally);
    rc_json_put_u64(json, "waited_ms",
                    atomic_load_explicit(&tally->waited_ms, memory_order_relaxed));
    rc_json_put_u64(json, "waited_max_ms",
                    atomic_load_explicit(&tally->waited_max_ms, memory_order_relaxed));
}

static void put_view(struct rc_json *json, const struct pgview *view,
                     uint64_t now_boot_ms)
{
    static const char *const states[] = {
        [PGVIEW_UNKNOWN] = "unknown",
        [PGVIEW_CURRENT] = "current",
        [PGVIEW_LOST] = "lost",
    };
    bool heard = view->state != PGVIEW_UNKNOWN;
    rc_json_put_string(json, "view", states[view->state]);
    rc_json_put_u64(json, "view_age_ms", heard ? now_boot_ms - view->heard_at_ms : 0);
    rc_json_put_u64(json, "view_max_ms", pgview_age_max_ms(view));
    rc_json_put_u64(json, "term", view->word.term);
    rc_json_put_string(json, "holder", view->word.primary);
    rc_json_put_bool(json, "writable", view->word.writable);
    rc_json_put_u64(json, "stale_words", view->stale_words);
}

void admin_postgres_json(struct rc_json *json, const struct admin_pool *pool,
                         uint64_t now_boot_ms)
{
    rc_json_key(json, "postgres");
    rc_json_object(json);
    rc_json_put_string(json, "cluster", pool->config->postgres);
    if (pool->view != NULL) {
        put_view(json, pool->view, now_boot_ms);
    }
    put_tally(json, lineup_tally(pool->lineup));
    rc_json_object_end(json);
}

/* --- Prometheus --- */

void admin_postgres_label(struct rc_buffer *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"') {
            rc_buffer_byte(out, '\\');
        }
        if (*value == '\n') {
            rc_buffer_text(out, "\\n");
        } else {
            rc_buffer_byte(out, (uint8_t)*value);
        }
    }
}

static void put_head(struct rc_buffer *out, const char *name, const char *type,
                     const char *help)
{
    rc_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_pool_sample(struct rc_buffer *out, const char *name,
                            const struct admin_pool *pool, uint64_t value)
{
    rc_buffer_format(out, "%s{pool=\"", name);
    admin_postgres_label(out, pool->config->name);
    rc_buffer_format(out, "\"} %llu\n", (unsigned long long)value);
}

static uint64_t term_of(const struct admin_pool *pool, const struct admin_view *view)
{
    (void)view;
    return pool->view != NULL ? pool->view->word.term : 0;
}

static uint64_t age_of(const struct admin_pool *pool, const struct admin_view *view)
{
    return pool->view != NULL && pool->view->state != PGVIEW_UNKNOWN
               ? view->now_boot_ms - pool->view->heard_at_ms
               : 0;
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct admin_pool *pool, const struct admin_view *view);
} pool_families[] = {
    {"rollcall_proxy_postgres_term", "gauge", "Term of the lease; 0 = unknown", term_of},
    {"rollcall_proxy_postgres_view_age_milliseconds", "gauge",
     "Age of the last word about the primary", age_of},
};

/* One sample of a pool, with another label. */
static void put_named(struct rc_buffer *out, const char *family,
                      const struct admin_pool *pool, const char *label, uint64_t value)
{
    rc_buffer_format(out, "%s{pool=\"", family);
    admin_postgres_label(out, pool->config->name);
    rc_buffer_format(out, "\",%s} %llu\n", label, (unsigned long long)value);
}

static void put_events(const struct admin_view *view, struct rc_buffer *out)
{
    static const char name[] = "rollcall_proxy_postgres_events_total";
    put_head(out, name, "counter", "What became of sessions and waiting clients");
    for (size_t p = 0; p < view->pool_count; p++) {
        const struct pgtally *tally = lineup_tally(view->pools[p].lineup);
        for (unsigned i = 0; i < PGTALLY_EVENT_COUNT; i++) {
            enum pgtally_event event = (enum pgtally_event)i;
            char label[64];
            (void)snprintf(label, sizeof label, "event=\"%s\"",
                           pgtally_event_name(event));
            put_named(out, name, &view->pools[p], label, pgtally_events(tally, event));
        }
    }
}

static void put_sessions(const struct admin_view *view, struct rc_buffer *out)
{
    static const char name[] = "rollcall_proxy_postgres_sessions";
    put_head(out, name, "gauge", "Sessions by where they stand; waiting: clients held");
    for (size_t p = 0; p < view->pool_count; p++) {
        const struct pgtally *tally = lineup_tally(view->pools[p].lineup);
        for (unsigned i = 0; i < PGTALLY_STATE_COUNT; i++) {
            enum pgtally_state state = (enum pgtally_state)i;
            char label[64];
            (void)snprintf(label, sizeof label, "state=\"%s\"",
                           pgtally_state_name(state));
            put_named(out, name, &view->pools[p], label, pgtally_sessions(tally, state));
        }
    }
}

static void put_histogram(const struct admin_pool *pool, struct rc_buffer *out)
{
    const struct pgtally *tally = lineup_tally(pool->lineup);
    uint64_t sum_ms = atomic_load_explicit(&tally->waited_ms, memory_order_relaxed);
    for (unsigned i = 0; i <= PGTALLY_BOUND_COUNT; i++) {
        char label[32] = "le=\"+Inf\"";
        if (i < PGTALLY_BOUND_COUNT) {
            (void)snprintf(label, sizeof label, "le=\"%g\"",
                           pgtally_bound_ms(i) / 1000.0);
        }
        put_named(out, "rollcall_proxy_postgres_wait_seconds_bucket", pool, label,
                  pgtally_waits_within(tally, i));
    }
    rc_buffer_text(out, "rollcall_proxy_postgres_wait_seconds_sum{pool=\"");
    admin_postgres_label(out, pool->config->name);
    rc_buffer_format(out, "\"} %llu.%03u\n", (unsigned long long)(sum_ms / 1000),
                     (unsigned)(sum_ms % 1000));
    put_pool_sample(out, "rollcall_proxy_postgres_wait_seconds_count", pool,
                    pgtally_waits_within(tally, PGTALLY_BOUND_COUNT));
}

void admin_postgres_metrics(const struct admin_view *view, struct rc_buffer *out)
{
    for (size_t f = 0; f < sizeof pool_families / sizeof pool_families[0]; f++) {
        put_head(out, pool_families[f].name, pool_families[f].type,
                 pool_families[f].help);
        for (size_t p = 0; p < view->pool_count; p++) {
            put_pool_sample(out, pool_families[f].name, &view->pools[p],
                            pool_families[f].value(&view->pools[p], view));
        }
    }
    put_sessions(view, out);
    put_events(view, out);
    put_head(out, "rollcall_proxy_postgres_wait_seconds", "histogram",
             "How long clients were held that were served then");
    for (size_t p = 0; p < view->pool_count; p++) {
        put_histogram(&view->pools[p], out);
    }
}
