/* keeper_entry_uv.c - the kept server in the catalog: a service of this agent with a check. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper_state_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

/* Should the agent hang while others still hear its gossip, the check runs out. */
enum { CHECK_TTL_MS = 30000, REFRESH_EVERY_MS = 5000, META_COUNT = 6, NUMBER_MAX = 24 };

static enum check_status status_of(enum keeper_health health)
{
    switch (health) {
    case KEEPER_PASSING:
        return CHECK_PASSING;
    case KEEPER_WARN:
        return CHECK_WARNING;
    case KEEPER_CRITICAL:
        break;
    }
    return CHECK_CRITICAL;
}

static struct local_now now(void)
{
    return (struct local_now){rc_clock_ms(), rc_clock_wall_ms()};
}

static void tell_check(struct keeper_uv *u)
{
    if (!u->is_listed) {
        return;
    }
    u->listed_ms = rc_clock_ms();
    if (local_update_ttl(u->agent->local, u->check_id, status_of(u->health), u->words,
                         now()) != RC_OK) {
        u->is_listed = false; /* somebody has deregistered it */
        rc_buffer_clear(&u->listed);
    }
}

/* As a text, to see whether it has changed. */
static void write_wish(const struct keeper_wish *wish, struct rc_buffer *out)
{
    for (size_t i = 0; i < wish->tag_count; i++) {
        rc_buffer_format(out, "%s,", wish->tags[i]);
    }
    rc_buffer_format(out, " %llu %s %u %llu", (unsigned long long)wish->term, wish->role,
                     wish->timeline, (unsigned long long)wish->lag_bytes);
}

static int enter(struct keeper_uv *u, const struct keeper_wish *wish)
{
    const struct agent_postgres_config *p = &u->agent->config.postgres;
    char numbers[3][NUMBER_MAX];
    char *tags[KEEPER_TAGS_MAX];

    (void)snprintf(numbers[0], NUMBER_MAX, "%llu", (unsigned long long)wish->term);
    (void)snprintf(numbers[1], NUMBER_MAX, "%u", wish->timeline);
    (void)snprintf(numbers[2], NUMBER_MAX, "%llu", (unsigned long long)wish->lag_bytes);
    for (size_t i = 0; i < wish->tag_count; i++) {
        tags[i] = (char *)wish->tags[i];
    }
    /* The casts: all of it is copied. */
    struct definition_pair meta[] = {
        {(char *)"pg_cluster", p->cluster},      {(char *)"pg_term", numbers[0]},
        {(char *)"pg_role", (char *)wish->role}, {(char *)"pg_timeline", numbers[1]},
        {(char *)"pg_lag_bytes", numbers[2]},
    };
    struct check_definition check = {
        .id = u->check_id,
        .name = (char *)"keeper",
        .service_id = u->entry_id,
        .kind = CHECK_TTL,
        .status = status_of(u->health),
        .status_given = true,
        .ttl_ms = CHECK_TTL_MS,
    };
    const struct service_definition service = {
        .id = u->entry_id,
        .name = p->service,
        .tags = {.count = wish->tag_count, .items = tags},
        .address = p->address != NULL ? p->address : (char *)u->address,
        .port = p->port,
        .meta = {.count = sizeof meta / sizeof meta[0], .items = meta},
        .weight_passing = 1,
        .weight_warning = 1,
        .min_healthy = -1,
        .check_count = 1,
        .checks = &check,
    };
    return local_register_service(u->agent->local, &service, LOCAL_KEEP_CHECKS, now());
}

void keeper_uv_list(struct keeper_uv *u, const struct keeper_wish *wish)
{
    struct rc_buffer text = {0};

    bool is_told = u->is_listed && u->health == wish->health &&
                   rc_text_equals(u->words, wish->words);
    u->health = wish->health;
    (void)rc_text_put(u->words, sizeof u->words, wish->words);
    write_wish(wish, &text);
    if (!u->is_listed ||
        !rc_text_equals(rc_buffer_string(&text), rc_buffer_string(&u->listed))) {
        int err = enter(u, wish);
        u->is_listed = err == RC_OK;
        is_told = false;
        rc_buffer_clear(&u->listed);
        rc_buffer_append(&u->listed, text.bytes, text.size);
        if (err != RC_OK) {
            rc_log(RC_LOG_ERROR, "keeper", "the service cannot be registered: %s",
                   local_error(u->agent->local));
        }
    }
    rc_buffer_fini(&text);
    if (!is_told) {
        tell_check(u);
    }
}

void keeper_uv_refresh_entry(struct keeper_uv *u)
{
    if (u->is_listed && rc_clock_ms() - u->listed_ms >= REFRESH_EVERY_MS) {
        tell_check(u);
    }
}

/* What the last run of this agent has left says who was primary then. */
void keeper_uv_unlist(struct keeper_uv *u)
{
    u->is_listed = false;
    rc_buffer_clear(&u->listed);
    (void)local_deregister_service(u->agent->local, u->entry_id, now());
}
