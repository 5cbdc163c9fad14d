/* trouble.h - what goes wrong between members, in words that say what to do about it. */
#ifndef AGENT_TROUBLE_H
#define AGENT_TROUBLE_H

struct gossip;
struct gossip_action;

/* GOSSIP_REFUSED, GOSSIP_UNSEEN and GOSSIP_TCP_ONLY go to the log. How often is gossip's
 * business: each is told rarely enough to be read. */
void trouble_refused(const struct gossip_action *action);
void trouble_unseen(const struct gossip *gossip, const struct gossip_action *action);
void trouble_tcp_only(const struct gossip *gossip, const struct gossip_action *action);

#endif
