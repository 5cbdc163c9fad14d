/* forward_state_uv.h - the forwarder from inside: for forward*_uv.c and serve_uv.c. */
#ifndef AGENT_FORWARD_STATE_UV_H
#define AGENT_FORWARD_STATE_UV_H

#include <uv.h>

#include "agent/forward_uv.h"

struct forwarder {
    struct forwarder_options options;
    struct link_settings settings;
    struct handshake_ring ring;
    struct link_host *host;
    struct courier *courier;
    struct link_uv *current; /* being dialed, or up */
    struct http *http;
    uv_timer_t timer;
    uint64_t retire_at_ms; /* when links under removed keys end; 0: there are none */
    bool places_are_stale;
    bool plain_would_do; /* there are servers, but only plain links would reach them */
    uint64_t told_distrust_ms; /* these two: when it was last told; 0: never */
    uint64_t complained_ms;
    uint64_t served;  /* answered for others */
    uint64_t refused; /* asked by others of an agent without an engine */
    uint64_t distrusted;
    struct rc_metric *open_gauge;
    struct rc_metric *links_gauge;
    unsigned open;
    void (*on_closed)(void *context);
    void *closed_context;
};

static inline uint64_t forward_now_ms(const struct forwarder *f)
{
    return uv_now(f->options.loop);
}

/* forward_uv.c: does what the courier wants by now; ends the link to the server, without asking
 * the courier. */
void forward_carry_out(struct forwarder *f);
void forward_end_current(struct forwarder *f);

/* forward_places_uv.c: nothing leaves this machine in plain, unless somebody wrote that it may;
 * tells the courier which servers there are. */
bool forward_may_link(const struct forwarder *f, const struct rc_address *address);
void forward_look_for_servers(struct forwarder *f);

/* forward_keys_uv.c: ends links under keys that are gone; whether the other side has proven a
 * credential that was revoked. */
void forward_retire(struct forwarder *f);
bool forward_is_revoked(const struct forwarder *f, const struct handshake_peer *peer);

/* forward_words_uv.c: makes the metrics. RC_OK or RC_ETOOBIG. */
int forward_words_metrics(struct forwarder *f);

/* serve_uv.c: what a connection that came has to say. */
void serve_on_event(struct forwarder *f, struct link_uv *connection,
                    const struct link_event *event);
/* It ends: nobody waits for what it asked. */
void serve_forget(struct forwarder *f, struct link_uv *connection);

#endif
