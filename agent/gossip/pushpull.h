/* pushpull.h - two members tell each other all they know (memberlist's anti-entropy). */
#ifndef AGENT_GOSSIP_PUSHPULL_H
#define AGENT_GOSSIP_PUSHPULL_H

#include "agent/gossip/state.h"

enum pushpull_kind { PUSHPULL_EXCHANGE, PUSHPULL_JOIN };

enum { PUSHPULL_SIZE_MAX = 16 * 1024 * 1024 };

/* How far a state that arrives in pieces has been looked at; start from zero. */
struct pushpull_scan {
    size_t at; /* bytes done */
    bool has_head;
    struct wire_push_pull head;
    uint32_t nodes; /* done */
};

/* Appends our state, with its type byte. */
void pushpull_write(struct gossip *g, enum pushpull_kind kind, struct rc_buffer *out);

/* Looks whether the state in `content` (from its type byte on) is whole; each byte is looked
 * at once over all calls. RC_OK, RC_ETRUNCATED (more is to come), RC_EMALFORMED, RC_ETOOBIG. */
int pushpull_scan(struct pushpull_scan *scan, struct rc_pack_bytes content);

/* Applies a whole state. NEW_EVENTS: what came to pass before it is not for us. */
enum pushpull_news { PUSHPULL_ALL_EVENTS, PUSHPULL_NEW_EVENTS };
void pushpull_merge(struct gossip *g, struct rc_pack_bytes content,
                    enum pushpull_news news);

#endif
