/* probe.h - asking members whether they live, one after the other (SWIM sections 3 and 4.3,
 * Lifeguard's health score and buddy system). */
#ifndef AGENT_GOSSIP_PROBE_H
#define AGENT_GOSSIP_PROBE_H

#include "agent/gossip/state.h"

void probe_start(struct gossip *g);
void probe_fini(struct gossip *g);

/* What the deadlines of these names mean. */
void probe_round(struct gossip *g);
void probe_timeout(struct gossip *g, struct probe_call *call);
void probe_end(struct gossip *g, struct probe_call *call);
void probe_relay_expired(struct gossip *g, struct probe_relay *relay);

void probe_on_ping(struct gossip *g, const struct rc_address *from,
                   const struct wire_ping *ping);
void probe_on_indirect_ping(struct gossip *g, const struct rc_address *from,
                            const struct wire_indirect_ping *ping);
void probe_on_ack(struct gossip *g, const struct wire_ack *ack);
void probe_on_nack(struct gossip *g, uint32_t seq);
void probe_on_tcp_ack(struct gossip *g, uint32_t seq);
/* Its host refuses the fallback ping, or breaks it off. */
void probe_on_tcp_failed(struct gossip *g, uint32_t seq);

/* Writes our ping to `node` into g->message. */
void probe_write_ping(struct gossip *g, uint32_t seq, struct rc_pack_bytes node);

/* An ack that is not for our own round: for somebody who asked us, or for nobody. */
void probe_relay_ack(struct gossip *g, uint32_t seq);

/* Probes a suspect out of turn, now, beside whatever else is running: another suspects it, and
 * the sooner several say so, or it refutes, the better. In a large pool only some do. */
void probe_second_opinion(struct gossip *g, struct member *member);

/* Whether nobody has answered us for so long that our own ears are to blame. */
bool probe_is_deaf(const struct gossip *g);

/* `member` leaves SWIM's list. */
void probe_forget(struct gossip *g, const struct member *member);

/* Ends all that is running without a verdict. */
void probe_abandon(struct gossip *g);

#endif
