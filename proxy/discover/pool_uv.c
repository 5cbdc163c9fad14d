/* pool_uv.c - see pool_uv.h. */
#include "proxy/discover/pool_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"
#include "proxy/discover/checking_uv.h"
#include "proxy/discover/discovery_uv.h"
#include "proxy/discover/nearness_uv.h"
#include "proxy/discover/pgfollow_uv.h"
#include "proxy/discover/role_probe_uv.h"

struct pool {
    struct pool_options options; /* config, pool and resolver: as of the last call */
    char name[CONFIG_NAME_MAX];
    struct lineup *lineup;
    struct discovery *discovery;
    struct pgview *view;           /* of the cluster it follows; NULL = none */
    char cluster[CONFIG_NAME_MAX]; /* whose view it is */
    struct pgfollow *follow;
    struct role_probe **probes; /* one for each present member, when the pool is probed */
    size_t probe_count;
    size_t probe_room;
    struct checking *checking; /* our own checks */
    struct nearness *nearness; /* of the instances' nodes, where it matters */
    struct rc_random random;
    bool complained[LINEUP_SOURCE_COUNT];
    char file_problem[160]; /* the last one that was said */
    size_t claimants;
};

const char *pool_name(const struct pool *pool)
{
    return pool->name;
}

struct lineup *pool_lineup(const struct pool *pool)
{
    return pool->lineup;
}

const struct pgview *pool_view(const struct pool *pool)
{
    return pool->view;
}

/* Says once that a source has failed, and once that it is back. */
static void note_health(struct pool *p, enum lineup_source source,
                        enum lineup_verdict verdict, const char *problem)
{
    bool failed = verdict == LINEUP_FAILED;
    /* A file fails in another way each time somebody tries to mend it. */
    bool other = failed && source == LINEUP_FILE && problem != NULL &&
                 !rc_text_equals(problem, p->file_problem);
    if (source == LINEUP_FILE) {
        (void)rc_text_put(p->file_problem, sizeof p->file_problem,
                          failed && problem != NULL ? problem : "");
    }
    if (failed && (other || !p->complained[source])) {
        rc_log(RC_LOG_WARN, "proxy", "pool %s: %s fails (%s): the last good set stays",
               p->name, lineup_source_name(source),
               problem != NULL ? problem : "no answer");
    } else if (!failed && p->complained[source]) {
        rc_log(RC_LOG_INFO, "proxy", "pool %s: %s answers again", p->name,
               lineup_source_name(source));
    }
    p->complained[source] = failed;
}

static void note_claims(struct pool *p)
{
    size_t claimants = 0;
    (void)lineup_primary(p->lineup, &claimants);
    if (claimants > 1 && p->claimants <= 1) {
        rc_log(RC_LOG_ERROR, "proxy", "pool %s: %zu servers claim to be primary", p->name,
               claimants);
    }
    p->claimants = claimants;
}

/* --- probes --- */

static void after_change(struct pool *p);

static void on_probed(void *context, struct instance *instance, enum upstream_role role,
                      uint32_t timeline, const char *problem)
{
    struct pool *p = context;
    rc_log(role == UPSTREAM_ROLE_UNKNOWN ? RC_LOG_WARN : RC_LOG_INFO, "proxy",
           "pool %s: %s is %s%s%s (timeline %u)", p->name, instance->id,
           upstream_role_name(role), problem != NULL ? ": " : "",
           problem != NULL ? problem : "", timeline);
    if (lineup_set_probe(p->lineup, instance, role, timeline)) {
        after_change(p);
    }
}

static bool is_probed(const struct pool *p, const struct instance *instance)
{
    for (size_t i = 0; i < p->probe_count; i++) {
        if (role_probe_instance(p->probes[i]) == instance) {
            return true;
        }
    }
    return false;
}

static void close_probes(struct pool *p)
{
    for (size_t i = 0; i < p->probe_count; i++) {
        role_probe_close(p->probes[i]);
    }
    p->probe_count = 0;
}

static bool is_present(const struct pool *p, const struct instance *instance)
{
    for (size_t i = 0; i < lineup_count(p->lineup); i++) {
        const struct lineup_member *m = lineup_at(p->lineup, i);
        if (m->instance == instance) {
            return m->upstream.present;
        }
    }
    return false;
}

static void drop_probes_of_absent(struct pool *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->probe_count; i++) {
        if (is_present(p, role_probe_instance(p->probes[i]))) {
            p->probes[kept++] = p->probes[i];
        } else {
            role_probe_close(p->probes[i]);
        }
    }
    p->probe_count = kept;
}

static void add_probe(struct pool *p, struct instance *instance)
{
    if (p->probe_count == p->probe_room) {
        size_t room = p->probe_room + 8;
        struct role_probe **grown =
            realloc((void *)p->probes, room * sizeof(struct role_probe *));
        if (grown == NULL) {
            return; /* tried again at the next change */
        }
        p->probes = grown;
        p->probe_room = room;
    }
    struct role_probe_options options = {.loop = p->options.loop,
                                         .instance = instance,
                                         .pool = p->options.pool,
                                         .told = on_probed,
                                         .context = p};
    struct role_probe *made = role_probe_start(&options);
    if (made != NULL) {
        p->probes[p->probe_count++] = made;
    }
}

/* A probe for every present member, and for nobody else. */
static void sync_probes(struct pool *p)
{
    checking_sync(p->checking, p->options.pool);
    drop_probes_of_absent(p);
    if (p->options.pool->probe_user[0] == '\0') {
        close_probes(p);
        return;
    }
    for (size_t i = 0; i < lineup_count(p->lineup); i++) {
        const struct lineup_member *m = lineup_at(p->lineup, i);
        if (m->upstream.present && !is_probed(p, m->instance)) {
            add_probe(p, m->instance);
        }
    }
}

/* --- discovery --- */

static void after_change(struct pool *p)
{
    nearness_apply(p->nearness);
    sync_probes(p);
    note_claims(p);
    p->options.changed(p->options.context);
}

static void on_found(void *context, enum lineup_source source,
                     enum lineup_verdict verdict, const struct lineup_entry *entries,
                     size_t count, const char *problem)
{
    struct pool *p = context;
    note_health(p, source, verdict, problem);
    if (lineup_apply(p->lineup, source, verdict, entries, count, rc_clock_ms())) {
        rc_log(RC_LOG_INFO, "proxy", "pool %s: %s changed it: %zu instances", p->name,
               lineup_source_name(source), lineup_count(p->lineup));
        after_change(p);
    }
}

/* --- a cluster under keepers --- */

/* What the view says now, into the lineup. True when something changed. */
static bool take_view(struct pool *p)
{
    struct lineup_entry entries[PGVIEW_MEMBERS_MAX + 1];
    const struct pgview *view = p->view;
    bool keep = p->options.pool->view_keep;
    bool lost = view->state != PGVIEW_CURRENT && !keep;
    uint64_t until_ms = keep ? UINT64_MAX : pgview_counts_until_ms(view);

    atomic_store_explicit(&lineup_tally(p->lineup)->counts_until_ms, until_ms,
                          memory_order_relaxed);
    bool changed = lineup_set_lease(p->lineup, view->word.term,
                                    lost ? LINEUP_VIEW_LOST : LINEUP_VIEW_CURRENT);
    size_t count = pgview_entries(view, entries);
    return lineup_apply(p->lineup, LINEUP_AGENT, LINEUP_FULL, entries, count,
                        rc_clock_ms()) ||
           changed;
}

static void on_heard(void *context)
{
    struct pool *p = context;
    const struct pgview_word *word = &p->view->word;
    note_health(p, LINEUP_AGENT, LINEUP_FULL, NULL);
    if (take_view(p)) {
        rc_log(RC_LOG_INFO, "proxy", "pool %s: term %llu, %s%s, %zu members", p->name,
               (unsigned long long)word->term, word->writable ? "primary " : "no primary",
               word->writable ? word->primary : "", word->count);
        after_change(p);
    }
}

static void on_not_heard(void *context, const char *problem)
{
    struct pool *p = context;
    note_health(p, LINEUP_AGENT, LINEUP_FAILED, problem);
    (void)lineup_apply(p->lineup, LINEUP_AGENT, LINEUP_FAILED, NULL, 0, rc_clock_ms());
}

/* Time: the last word may be too old now. */
static bool tick_view(struct pool *p)
{
    if (p->view == NULL || !pgview_tick(p->view, rc_clock_boot_ms())) {
        return false;
    }
    rc_log(RC_LOG_WARN, "proxy", "pool %s: no word about its primary for %u ms: %s",
           p->name, pgview_age_max_ms(p->view),
           p->options.pool->view_keep ? "sessions stay"
                                      : "sessions that may write are cut");
    return take_view(p);
}

static int start_following(struct pool *p)
{
    struct pgfollow_options options = {
        .loop = p->options.loop,
        .config = p->options.config,
        .pool = p->options.pool,
        .seed = rc_random_next(&p->random),
        .heard = on_heard,
        .failed = on_not_heard,
        .context = p,
    };
    if (p->view == NULL) {
        p->view = calloc(1, sizeof *p->view);
        if (p->view == NULL) {
            return RC_ENOMEM;
        }
        pgview_init(p->view, p->options.pool);
    }
    if (!rc_text_equals(p->cluster, p->options.pool->postgres)) {
        pgview_init(p->view, p->options.pool);
        (void)rc_text_put(p->cluster, sizeof p->cluster, p->options.pool->postgres);
    }
    pgview_configure(p->view, p->options.pool);
    (void)take_view(p);
    options.view = p->view;
    p->follow = pgfollow_start(&options);
    return p->follow != NULL ? RC_OK : RC_ENOMEM;
}

/* A pool that follows no cluster any more is one like others. */
static void stop_following(struct pool *p)
{
    pgfollow_close(p->follow);
    p->follow = NULL;
    if (p->options.pool->postgres[0] == '\0') {
        free(p->view);
        p->view = NULL;
        atomic_store_explicit(&lineup_tally(p->lineup)->counts_until_ms, UINT64_MAX,
                              memory_order_relaxed);
    }
}

/* --- life --- */

static int start_discovery(struct pool *p)
{
    if (p->options.pool->postgres[0] != '\0') {
        return start_following(p);
    }
    struct discovery_options options = {
        .loop = p->options.loop,
        .config = p->options.config,
        .pool = p->options.pool,
        .resolver = p->options.resolver,
        .seed = rc_random_next(&p->random),
        .told = on_found,
        .context = p,
    };
    p->discovery = discovery_start(&options);
    return p->discovery != NULL ? RC_OK : RC_ENOMEM;
}

static void on_checked(void *context)
{
    after_change(context);
}

static struct checking *start_checking(struct pool *p)
{
    struct checking_options options = {.loop = p->options.loop,
                                       .pool = p->name,
                                       .lineup = p->lineup,
                                       .seed = rc_random_next(&p->random),
                                       .changed = on_checked,
                                       .context = p};
    return p->lineup != NULL ? checking_create(&options) : NULL;
}

/* Anew after a reload: the agent may be another. */
static int follow_nearness(struct pool *p)
{
    struct nearness_options options = {.loop = p->options.loop,
                                       .config = p->options.config,
                                       .lineup = p->lineup,
                                       .seed = rc_random_next(&p->random),
                                       .changed = p->options.changed,
                                       .context = p->options.context};
    nearness_close(p->nearness);
    p->nearness = NULL;
    if (p->options.pool->near_ms == 0) {
        return RC_OK;
    }
    p->nearness = nearness_start(&options);
    return p->nearness != NULL ? RC_OK : RC_ENOMEM;
}

struct pool *pool_start(const struct pool_options *options)
{
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->options = *options;
    rc_random_init(&p->random, options->seed);
    (void)rc_text_put(p->name, sizeof p->name, options->pool->name);
    p->lineup = lineup_create(options->pool, options->config->dns_hold_empty_ms,
                              rc_random_next(&p->random), rc_clock_ms());
    p->checking = start_checking(p);
    if (p->lineup == NULL || p->checking == NULL || start_discovery(p) != RC_OK ||
        follow_nearness(p) != RC_OK) {
        pool_close(p);
        return NULL;
    }
    sync_probes(p); /* of static members */
    return p;
}

int pool_configure(struct pool *pool, const struct config *config,
                   const struct config_pool *config_pool, struct dns_resolver *resolver)
{
    pool->options.config = config;
    pool->options.pool = config_pool;
    pool->options.resolver = resolver;
    discovery_close(pool->discovery);
    pool->discovery = NULL;
    close_probes(pool); /* user or password may have changed */
    stop_following(pool);
    int err = lineup_configure(pool->lineup, config_pool, config->dns_hold_empty_ms,
                               rc_clock_ms());
    if (err == RC_OK) {
        err = follow_nearness(pool);
    }
    sync_probes(pool);
    return err == RC_OK ? start_discovery(pool) : err;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    discovery_close(pool->discovery);
    pgfollow_close(pool->follow);
    free(pool->view);
    close_probes(pool);
    nearness_close(pool->nearness);
    checking_destroy(pool->checking);
    free((void *)pool->probes);
    lineup_destroy(pool->lineup);
    free(pool);
}

bool pool_tick(struct pool *pool)
{
    bool changed = tick_view(pool);
    changed = lineup_tick(pool->lineup, rc_clock_ms()) || changed;
    if (changed) {
        sync_probes(pool);
    }
    return changed;
}

void pool_refresh(struct pool *pool)
{
    if (pool->discovery != NULL) {
        discovery_refresh(pool->discovery);
    }
}
