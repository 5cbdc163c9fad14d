/* gossip_uv.h - gossip's edge: one UDP and one TCP socket on a libuv loop.
 *
 * Reads, feeds the core, carries out its packets and streams, keeps one timer. All other
 * actions go to the owner. No protocol decision is taken here. */
#ifndef AGENT_GOSSIP_GOSSIP_UV_H
#define AGENT_GOSSIP_GOSSIP_UV_H

#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/gossip.h"

struct uv_loop_s;
struct gossip_uv;

struct gossip_uv_options {
    struct uv_loop_s *loop;
    struct rc_address bind; /* UDP and TCP */
    struct gossip *gossip;  /* borrowed; must outlive the edge */
    void *ctx;
    /* Every action that is not a packet or a stream; borrowed during the call. The core may
     * be asked and told things from here; what that causes is carried out afterwards. */
    void (*on_action)(void *ctx, uint64_t now_ns, const struct gossip_action *action);
    /* After each turn, when no action is left: the place to look after the catalog's own
     * actions (kick, streams). What it causes is carried out at once. NULL is allowed. */
    void (*on_turn)(void *ctx, uint64_t now_ns);
};

/* Binds and starts. `error` (`error_size` bytes) gets a sentence for the operator when it
 * returns RC_EEXISTS (port in use), RC_EDENIED, RC_EIO or RC_ENOMEM. On RC_OK the edge lives
 * until gossip_uv_close(). */
int gossip_uv_start(const struct gossip_uv_options *options, char *error,
                    size_t error_size, struct gossip_uv **out);

/* Carries out what the core wants now; call it after every command given to the core from
 * outside the callbacks above (join, leave, kick ...). */
void gossip_uv_flush(struct gossip_uv *io);

/* Closes everything; `on_closed` is called (and `io` freed) when the loop let go. */
void gossip_uv_close(struct gossip_uv *io, void (*on_closed)(void *ctx));

#endif
