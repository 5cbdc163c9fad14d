/* serf.h - Serf's layer on memberlist: statuses by intent, Lamport clocks, reaping, user
 * events, queries. One header for the files serf*.c and query*.c. */
#ifndef AGENT_GOSSIP_SERF_H
#define AGENT_GOSSIP_SERF_H

#include "agent/gossip/state.h"

/* Whether a message came by gossip, and is to be spread on, or in another's state. */
enum serf_source { SERF_FROM_PACKET, SERF_FROM_STATE };

int serf_init(struct gossip *g); /* RC_OK or RC_ENOMEM */
void serf_fini(struct gossip *g);

/* Takes over the clocks of our last run; 0: unknown. */
void serf_remember(struct gossip *g, const uint64_t clocks[GOSSIP_CLOCK_COUNT]);

/* A Serf message, from its type byte on. */
void serf_receive(struct gossip *g, struct rc_cursor *in);

/* What SWIM found out. */
void serf_member_joined(struct gossip *g, struct member *member);
void serf_member_gone(struct gossip *g, struct member *member);

/* Brings the member's visible status up to date and tells the owner. */
void serf_publish(struct gossip *g, struct member *member,
                  enum gossip_member_event event);

/* Forgets a member that is gone, and tells. */
void serf_erase(struct gossip *g, struct member *member);

/* Forgets who has been away too long. */
void serf_reap(struct gossip *g);

/* A failed member worth trying, or NULL: the more have failed, the likelier. */
const struct member *serf_reconnect_target(struct gossip *g);

/* No pool counts that far: such a time would wreck the clocks of all who hear of it. */
#define SERF_LTIME_MAX (UINT64_MAX / 2)

/* Lamport's rules: another's time was seen; a time of our own is used up. */
void serf_witness(struct gossip *g, enum gossip_clock clock, uint64_t ltime);
uint64_t serf_use_time(struct gossip *g, enum gossip_clock clock);

/* ---- serf_intent.c: who said that somebody joins or leaves. */

/* We have joined: says so, which also takes back an old leave. */
void serf_announce_join(struct gossip *g);
/* We leave: the id of the intent in its queue. */
uint64_t serf_announce_leave(struct gossip *g);
/* Another is declared left. */
void serf_force_leave(struct gossip *g, struct member *member, enum gossip_prune prune);

/* Somebody joined or leaves, by its own word or by another's. */
void serf_on_join_intent(struct gossip *g, const struct wire_intent *intent,
                         enum serf_source source);
void serf_on_leave_intent(struct gossip *g, const struct wire_intent *intent,
                          enum serf_source source);

/* The newest word about somebody we have not met. */
struct serf_intent {
    uint64_t ltime;
    uint64_t at_ns;
    bool is_leave;
};
/* What was said of a member before we met it; false: nothing. It is forgotten. */
bool serf_take_intent(struct gossip *g, const struct member *member,
                      struct serf_intent *out);
void serf_reap_intents(struct gossip *g);
/* Erases who was to be erased once everybody has heard that it leaves. */
void serf_prune(struct gossip *g);

/* ---- query.c: our own queries. */

/* gossip_query() for our own use too: internal names ("_serf_...") are allowed. Same errors,
 * but RC_EINVAL for those. The answers are actions of the owner. */
int query_ask(struct gossip *g, const struct gossip_query *query, uint32_t *id_out);
/* The same with the answers for ourselves. */
enum query_use { QUERY_OF_OWNER, QUERY_OF_CONFLICT };
int query_ask_for(struct gossip *g, const struct gossip_query *query, enum query_use use,
                  uint32_t *id_out);
void query_on_response(struct gossip *g, const struct wire_response *response);
void query_expired(struct gossip *g, struct query *query);
void query_fini(struct gossip *g);
/* "_serf_" stands before it: between members, not for owners. */
bool query_is_internal(struct rc_pack_bytes name);

/* ---- conflict.c: two members of one name, and one of them is us. */

/* Another address uses our name. */
void conflict_noticed(struct gossip *g, const struct rc_address *other);
/* It is time to ask the pool. */
void conflict_ask(struct gossip *g);
/* One answer, and then the end of them. */
void conflict_on_answer(struct gossip *g, struct rc_pack_bytes payload);
void conflict_decide(struct gossip *g);
/* Answers another's question: where is the member of that name? Appends the answer; false if
 * there is none. */
bool conflict_answer(const struct gossip *g, struct rc_pack_bytes name,
                     struct rc_buffer *out);

/* ---- serf_state.c: the user state of a push/pull. */
void serf_write_state(struct gossip *g, struct rc_buffer *out);
/* NEW: what came to pass before now is not for us. */
enum serf_events { SERF_EVENTS_ALL, SERF_EVENTS_NEW };
void serf_merge_state(struct gossip *g, struct rc_cursor *in, enum serf_events events);

/* ---- serf_event.c: user events. */
void serf_event_fini(struct gossip *g);
void serf_on_event(struct gossip *g, const struct wire_event *event,
                   enum serf_source source);
void serf_write_events(const struct gossip *g, struct rc_buffer *out);
void serf_merge_events(struct gossip *g, struct rc_pack_bytes raw);

/* Not empty, and without a NUL byte. */
bool serf_is_name(struct rc_pack_bytes name);
/* Tells the owner, with a name and bytes that came by the wire. */
void serf_tell(struct gossip *g, struct gossip_action *action, struct rc_pack_bytes name,
               struct rc_pack_bytes payload);
/* Has a message spread: written anew from what we understood of it, never passed on as it
 * came, because odd bytes crash some Go peers. */
void serf_spread(struct gossip *g, enum gossip_queue queue, enum wire_serf_type type,
                 const struct wire_format *format, const void *message);

/* ---- query_answer.c: queries of others. */

/* False: it is faulty, was seen, or is too old. */
bool serf_on_query(struct gossip *g, const struct wire_query *query);
/* Somebody wants our help to answer another. */
void serf_on_relay(struct gossip *g, struct rc_cursor *in);
void query_answer_fini(struct gossip *g);

#endif
