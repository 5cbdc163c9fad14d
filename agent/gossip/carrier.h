/* carrier.h - packets: filling them with what waits, and handing out what came in them. */
#ifndef AGENT_GOSSIP_CARRIER_H
#define AGENT_GOSSIP_CARRIER_H

#include "agent/gossip/state.h"

enum carrier_load {
    CARRIER_ALONE,     /* nothing but the message itself */
    CARRIER_PIGGYBACK, /* and what waits to be spread */
    CARRIER_CHECKED,   /* nothing else, with a CRC if the receiver reads it */
    CARRIER_TICK       /* what waits to be spread, with a CRC if the receiver reads it */
};

struct carrier_to {
    const struct rc_address *address;
    const struct member *member; /* NULL if the address is nobody's we know */
    enum carrier_load load;
};

/* Sends one packet with `messages` (each with its type byte) first. Returns how many
 * messages it carries; 0: nothing to say, no packet. */
size_t carrier_send(struct gossip *g, const struct carrier_to *to,
                    const struct rc_pack_bytes *messages, size_t count);

/* The largest message that fits a packet with nothing else in it, even once we encrypt. */
size_t carrier_message_max(const struct gossip *g);

/* Handles all messages of one packet. */
void carrier_receive(struct gossip *g, const struct rc_address *from,
                     struct rc_pack_bytes packet);

/* A user message: Serf's, or a rumour of the lane. `from` is NULL if it came by stream. */
void carrier_user_message(struct gossip *g, const struct rc_address *from,
                          struct rc_cursor *in);

/* A packet of what waits to be spread to each of up to `max` random members. */
typedef bool carrier_wants(const struct member *member, const struct gossip *g);
void carrier_send_to_some(struct gossip *g, size_t max, carrier_wants *wants);

void carrier_tick(struct gossip *g); /* the gossip tick, */
void carrier_kick(struct gossip *g); /* ... and the kick of the lane: lane_kick.c */

/* Membership has something new to tell; and telling it. */
void carrier_news(struct gossip *g);
void carrier_send_news(struct gossip *g);

#endif
