/* keyring_round.h - one order about keys to the whole pool, and what came of it, node by node.
 *
 * A coordinator's table: it asks every member (Serf's internal queries, so that real Serfs
 * take part), collects the answers, and tells whether the next step of a rotation would lose
 * somebody. It decides nothing: see agent/key_orders.h for who does. */
#ifndef AGENT_GOSSIP_KEYRING_ROUND_H
#define AGENT_GOSSIP_KEYRING_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/gossip.h"
#include "base/buffer.h"
#include "base/table.h"

enum keyring_order {
    KEYRING_LIST,
    KEYRING_INSTALL,
    KEYRING_USE,
    KEYRING_REMOVE,
    KEYRING_ORDER_COUNT
};

enum {
    KEYRING_TEXT_MAX = 45, /* base64 of 32 bytes and a NUL */
    KEYRING_HELD_MAX = 64, /* different keys in one pool; more are not counted */
    KEYRING_MESSAGE_MAX = 128
};

struct keyring_node {
    enum gossip_status status; /* when it was asked */
    bool has_answered;
    bool is_done; /* it did as ordered */
    bool has_primary;
    char message[KEYRING_MESSAGE_MAX]; /* why not, or a remark; may be "" */
    uint64_t holds;                    /* bit i: keys[i]; of a list */
    size_t primary;                    /* place in keys; with has_primary */
};

/* A key that somebody holds. */
struct keyring_held {
    char text[KEYRING_TEXT_MAX];
    size_t nodes;     /* that hold it */
    size_t primaries; /* that encrypt with it */
};

struct keyring_round {
    enum keyring_order order;
    uint32_t id;            /* of the query */
    struct rc_table *nodes; /* struct keyring_node by name: all members that have not
                                   left, as known when asked, then who else answered */
    struct keyring_held keys[KEYRING_HELD_MAX];
    size_t key_count;
    size_t expected; /* members that should be able to answer */
    size_t answered;
    size_t refused; /* answered that they did not */
};

struct keyring_request {
    enum keyring_order order;
    struct gossip_key key; /* not of a list */
    uint8_t relay_factor;  /* 0..5 */
};

/* Asks the pool. Feed GOSSIP_QUERY_RESPONSE actions that carry `(*out)->id` to
 * keyring_round_answer(), until keyring_round_is_complete() or GOSSIP_QUERY_DONE.
 *
 * RC_OK: `*out` is the caller's, for keyring_round_destroy(). RC_EINVAL, RC_ETOOBIG (too many
 * queries are open), RC_ECLOSED (we have left), RC_ENOMEM. */
int keyring_round_start(struct gossip *g, uint64_t now_ns,
                        const struct keyring_request *request,
                        struct keyring_round **out);
/* A list of our own keys only; complete at once. RC_OK or RC_ENOMEM. */
int keyring_round_local(struct gossip *g, struct keyring_round **out);
void keyring_round_destroy(struct keyring_round *round); /* NULL is allowed */

/* The answer of `from`; a second one, and what does not parse, is ignored. */
void keyring_round_answer(struct keyring_round *round, const char *from,
                          const uint8_t *bytes, size_t size);

/* All who should be able to answer have. */
bool keyring_round_is_complete(const struct keyring_round *round);

/* Whether, after this round of a list, `request` may be ordered without losing anybody who
 * is known, members that have failed included:
 *   USE: all hold the key; REMOVE: all encrypt with the first key of `self`.
 * Otherwise `why` gets who stands in the way, "n4 has failed, n5 lacks the key". Removing the
 * first key itself may be ordered: every node refuses that. */
bool keyring_round_allows(const struct keyring_round *round, const char *self,
                          const struct keyring_request *request, struct rc_buffer *why);

#endif
