/* pulse_taker.h - how PostgreSQL stands, again and again: by a kept connection, and now and then by
 * one of its own, to catch a postmaster that no longer makes backends. */
#ifndef AGENT_POSTGRES_PROBER_H
#define AGENT_POSTGRES_PROBER_H

#include "agent/keeper/keeper.h"
#include "agent/postgres/session.h"

struct pulse_taker;

struct pulse_taker_options {
    struct pg_session_options session;
    void (*probed)(void *context, const struct keeper_probe *probe);
    void *context;
};

/* RC_OK, RC_ENOMEM, or RC_ENOTFOUND: libpq is not installed. It does nothing yet. */
int pulse_taker_create(const struct pulse_taker_options *options,
                       struct pulse_taker **out);
void pulse_taker_destroy(struct pulse_taker *p);

/* The next one comes so long after the last one's end; UINT64_MAX: never. */
void pulse_taker_set(struct pulse_taker *p, uint64_t every_ms);

#endif
