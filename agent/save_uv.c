#include <string.h>

#include "agent/agent_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"

/* What survives a restart: who we are in node.json, whom we know in gossip.snapshot. */

enum { WRITE_AFTER_MS = 500, WRITE_AGAIN_MS = 30000 };

/* ---- Whom we know. */

static void on_write(uv_timer_t *timer);

/* Changes come in bursts: what comes within half a second is written at once. */
static void write_later(struct agent *agent, uint64_t wait_ms)
{
    if (snapshot_is_changed(agent->snapshot) && agent->phase != AGENT_CLOSING &&
        uv_is_active((const uv_handle_t *)&agent->write) == 0) {
        (void)uv_timer_start(&agent->write, on_write, wait_ms, 0);
    }
}

static void write_snapshot(struct agent *agent)
{
    if (snapshot_write(agent->snapshot) != RC_OK) {
        rc_log(RC_LOG_WARN, "agent",
               "%s/gossip.snapshot cannot be written; is the disk full? Trying again",
               agent->config.data_dir);
        write_later(agent, WRITE_AGAIN_MS);
    }
}

static void on_write(uv_timer_t *timer)
{
    write_snapshot(timer->data);
}

void agent_remember(struct agent *agent, const struct gossip_action *action)
{
    const struct gossip_member *member = action->member;

    if (member == gossip_self(agent->gossip)) {
        return;
    }
    switch (action->event) {
    case GOSSIP_EVENT_JOIN:
    case GOSSIP_EVENT_UPDATE:
    case GOSSIP_EVENT_ALIVE:
        snapshot_member(agent->snapshot, member->said->name, &member->said->address);
        break;
    case GOSSIP_EVENT_LEFT:
    case GOSSIP_EVENT_REAP:
        snapshot_forget(agent->snapshot, member->said->name);
        break;
    case GOSSIP_EVENT_SUSPECT:
    case GOSSIP_EVENT_LEAVING:
    case GOSSIP_EVENT_FAILED: /* to be looked for */
    case GOSSIP_MEMBER_EVENT_COUNT:
        break;
    }
    write_later(agent, WRITE_AFTER_MS);
}

void agent_remember_clocks(struct agent *agent)
{
    uint64_t clocks[GOSSIP_CLOCK_COUNT];

    gossip_clocks(agent->gossip, clocks);
    snapshot_clocks(agent->snapshot, clocks);
    write_later(agent, WRITE_AFTER_MS);
}

/* ---- Who we are. */

/* Whether `kept` no longer tells how things are; brings it up to date. */
static bool refresh(struct agent *agent, struct keep *kept)
{
    struct rc_buffer epoch = {0};

    catalog_export(agent->catalog, &epoch);
    uint32_t incarnation = gossip_self(agent->gossip)->incarnation;
    bool changed = kept->incarnation != incarnation || kept->epoch.size != epoch.size ||
                   memcmp(kept->epoch.bytes, epoch.bytes, epoch.size) != 0;
    if (changed) {
        rc_buffer_fini(&kept->epoch);
        kept->epoch = epoch;
        kept->incarnation = incarnation;
    } else {
        rc_buffer_fini(&epoch);
    }
    return changed;
}

void agent_save(struct agent *agent)
{
    struct local_now now = {rc_clock_ms(), rc_clock_wall_ms()};
    if (refresh(agent, &agent->identity.kept) &&
        keep_save(agent->config.data_dir, &agent->identity.kept) != RC_OK) {
        rc_log(RC_LOG_WARN, "agent",
               "%s/node.json cannot be written; is the disk full? Trying again",
               agent->config.data_dir);
        agent->identity.kept.incarnation = 0; /* so that it counts as changed */
    }
    if (agent->leaving_on_purpose) {
        snapshot_leave(agent->snapshot);
    }
    write_snapshot(agent);
    if (local_save_states(agent->local, now) != RC_OK) {
        rc_log(RC_LOG_WARN, "agent", "check states cannot be written: %s",
               local_error(agent->local));
    }
}
