/* checking_uv.c - see checking_uv.h. */
#include "proxy/discover/checking_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/random.h"

struct checking {
    struct checking_options options;
    struct config_check check; /* of the running probes */
    struct rc_random random;
    struct health_probe **probes;
    size_t count;
    size_t room;
};

struct checking *checking_create(const struct checking_options *options)
{
    struct checking *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->options = *options;
        rc_random_init(&c->random, options->seed);
    }
    return c;
}

static void close_all(struct checking *c)
{
    for (size_t i = 0; i < c->count; i++) {
        health_probe_close(c->probes[i]);
    }
    c->count = 0;
}

void checking_destroy(struct checking *checking)
{
    if (checking != NULL) {
        close_all(checking);
        free((void *)checking->probes);
        free(checking);
    }
}

static void on_told(void *context, struct instance *instance, enum lineup_check verdict,
                    const char *problem)
{
    struct checking *c = context;
    bool fails = verdict == LINEUP_CHECK_FAILS;
    if (fails || problem != NULL) {
        rc_log(RC_LOG_WARN, "proxy", "pool %s: %s fails its check: %s", c->options.pool,
               instance->id, problem != NULL ? problem : "");
    } else {
        rc_log(RC_LOG_INFO, "proxy", "pool %s: %s passes its check", c->options.pool,
               instance->id);
    }
    if (lineup_set_check(c->options.lineup, instance, verdict, rc_clock_ms())) {
        c->options.changed(c->options.context);
    }
}

static bool is_wanted(const struct lineup_member *member)
{
    return member->upstream.present && member->health != LINEUP_CRITICAL;
}

static bool is_wanted_still(const struct checking *c, const struct health_probe *probe)
{
    for (size_t i = 0; i < lineup_count(c->options.lineup); i++) {
        const struct lineup_member *m = lineup_at(c->options.lineup, i);
        if (m->instance == health_probe_instance(probe)) {
            return is_wanted(m);
        }
    }
    return false;
}

static void drop_unwanted(struct checking *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_wanted_still(c, c->probes[i])) {
            c->probes[kept++] = c->probes[i];
        } else {
            health_probe_close(c->probes[i]);
        }
    }
    c->count = kept;
}

static bool is_probed(const struct checking *c, const struct instance *instance)
{
    for (size_t i = 0; i < c->count; i++) {
        if (health_probe_instance(c->probes[i]) == instance) {
            return true;
        }
    }
    return false;
}

static void add(struct checking *c, struct instance *instance,
                const struct config_pool *config)
{
    if (c->count == c->room) {
        size_t room = c->room + 8;
        struct health_probe **grown =
            realloc((void *)c->probes, room * sizeof(struct health_probe *));
        if (grown == NULL) {
            return; /* tried again at the next change */
        }
        c->probes = grown;
        c->room = room;
    }
    struct health_probe_options options = {.loop = c->options.loop,
                                           .instance = instance,
                                           .check = c->check,
                                           .proxy_send = config->proxy_send,
                                           .seed = rc_random_next(&c->random),
                                           .told = on_told,
                                           .context = c};
    struct health_probe *made = health_probe_start(&options);
    if (made != NULL) {
        c->probes[c->count++] = made;
    }
}

void checking_sync(struct checking *checking, const struct config_pool *config)
{
    if (memcmp(&checking->check, &config->check, sizeof config->check) != 0) {
        close_all(checking);
        checking->check = config->check;
    }
    if (config->check.kind == CONFIG_PROBE_NONE) {
        return; /* nearly always */
    }
    drop_unwanted(checking);
    for (size_t i = 0; i < lineup_count(checking->options.lineup); i++) {
        const struct lineup_member *m = lineup_at(checking->options.lineup, i);
        if (is_wanted(m) && !is_probed(checking, m->instance)) {
            add(checking, m->instance, config);
        }
    }
}
