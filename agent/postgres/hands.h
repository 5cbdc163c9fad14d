/* hands.h - carrying out what the keeper orders of a PostgreSQL server.
 *
 * Orders are done one after the other in the order given; a kill ends what is under way. Nothing
 * blocks the loop: programs of PostgreSQL run as processes, files are written in a thread,
 * questions go through libpq asynchronously. The postmaster itself is the warden's. */
#ifndef AGENT_POSTGRES_HANDS_H
#define AGENT_POSTGRES_HANDS_H

#include "agent/keeper/keeper.h"
#include "agent/postgres/place.h"
#include "agent/warden/warden_wire.h"

struct hands;
struct uv_loop_s;

struct hands_options {
    struct uv_loop_s *loop;
    const struct postgres_place *place; /* borrowed until on_closed */

    /* Sends an order to the warden and gives its number; 0: there is no warden now. */
    uint64_t (*order)(void *context, struct warden_order *order);
    void (*done)(void *context, const struct keeper_done *done);
    void (*progress)(void *context, const char *text);
    void (*probed)(void *context, const struct keeper_probe *probe);
    void *context;
};

/* RC_OK, RC_ENOMEM, or RC_ENOTFOUND: libpq is not installed. */
int hands_start(const struct hands_options *options, struct hands **out);

/* One of the hands' orders; all of it is copied. */
void hands_take(struct hands *hands, const struct keeper_action *action);

/* The tree is being killed: what is under way and what waits fails. */
void hands_kill(struct hands *hands);

/* What the warden says. */
void hands_on_echo(struct hands *hands, const struct warden_echo *echo);

/* From now on so often; UINT64_MAX: not. */
void hands_probe_every(struct hands *hands, uint64_t every_ms);

/* Ends all that is under way; then on_closed is called. */
void hands_close(struct hands *hands, void (*on_closed)(void *context), void *context);

#endif
