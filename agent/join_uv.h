/* join_uv.h - finding the others: names to addresses, joins, and trying again.
 *
 * Gossip joins addresses once and tells how it went. This edge resolves names, gathers the
 * results of one request, and repeats the configured list until one member has answered; later
 * again whenever most of the pool looks dead, which heals partitions that outlast gossip's memory. */
#ifndef AGENT_JOIN_UV_H
#define AGENT_JOIN_UV_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct gossip;
struct gossip_action;
struct gossip_uv;
struct joiner;
struct uv_loop_s;

enum { JOIN_ERROR_MAX = 256, JOIN_ADDRESSES_MAX = 64 };

struct join_options {
    struct uv_loop_s *loop;
    struct gossip *gossip;
    struct gossip_uv *edge;
    uint16_t default_port;
    uint64_t retry_every_ms;
    uint64_t retry_max; /* attempts before giving up; 0: never */
    /* Called after the last attempt in vain; NULL: nobody wants to know. */
    void (*on_gave_up)(void *context);
    void *context;
    const char *const
        *names;        /* what to keep trying: addresses or names, ":port" allowed */
    size_t name_count; /* borrowed until closed */
    /* Members of the last run, tried as well: a few at once, in this order, until one
     * answers; copied. */
    const struct rc_address *known;
    size_t known_count;
};

/* How one request ended: `joined` of the asked ones answered; if none, `error` says why. */
typedef void (*join_done)(void *context, size_t joined, const char *error);

/* Starts trying `names` and `known` at once. RC_OK or RC_ENOMEM. */
int joiner_start(const struct join_options *options, struct joiner **out);

/* Joins through one name or address; `done` is called later, once (RC_EINVAL: too many
 * requests are under way, it is not called). */
int joiner_join(struct joiner *joiner, const char *name, join_done done, void *context);

/* Hand every GOSSIP_JOIN_RESULT here. */
void joiner_on_result(struct joiner *joiner, const struct gossip_action *action);

/* Stops trying; requests under way end with an error. Freed, then `on_closed` is called. */
void joiner_close(struct joiner *joiner, void (*on_closed)(void *context), void *context);

#endif
