/* key_orders.h - what operators order about the pool's keys, from the order to its answer.
 *
 * Consul's /v1/operator/keyring: list, install, use, remove. An order is a query to the pool;
 * its answer is given when all who should have answered did, or its time is up. Before `use` and
 * `remove` the pool is asked for its keys: if somebody who is known, a member that has failed
 * included, would be lost by the step, it is refused, unless forced. Pure: fed with
 * gossip's actions, answers by a callback. */
#ifndef AGENT_KEY_ORDERS_H
#define AGENT_KEY_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/gossip/keyring_round.h"

struct key_orders;

enum { KEY_ORDERS_MAX = 16 };

/* What an order comes to. */
enum key_outcome {
    KEY_DONE, /* `text`: JSON of a list; else remarks for the operator, one a line, or "" */
    KEY_FAILED,  /* not everywhere: `text` in the form of Consul's multi-error */
    KEY_REFUSED, /* nothing was done, because somebody would be lost: `text` in words */
    KEY_BUSY,    /* too many orders or queries; `text` in words */
    KEY_OUTCOME_COUNT
};

struct key_orders_options {
    struct gossip *gossip;  /* borrowed */
    const char *datacenter; /* borrowed */
    void *context;
    /* Once for each order; `text` is borrowed during the call. May be called from inside
     * key_orders_give(). */
    void (*answer)(void *context, uint64_t ticket, enum key_outcome outcome,
                   const char *text);
};

enum key_scope { KEY_POOL, KEY_LOCAL };    /* LOCAL: a list of our own keys */
enum key_care { KEY_CAREFUL, KEY_FORCED }; /* FORCED: whoever may be lost */

struct key_order {
    struct keyring_request request;
    enum key_scope scope;
    enum key_care care;
    uint64_t ticket; /* comes back with the answer */
};

/* RC_OK or RC_ENOMEM. */
int key_orders_create(const struct key_orders_options *options, struct key_orders **out);
/* Orders under way are dropped without an answer. NULL is allowed. */
void key_orders_destroy(struct key_orders *orders);

/* Takes an order (copied). What it wants sent waits in gossip's actions. */
void key_orders_give(struct key_orders *orders, uint64_t now_ns,
                     const struct key_order *order);

/* GOSSIP_QUERY_RESPONSE and GOSSIP_QUERY_DONE; true if it belonged to an order. */
bool key_orders_on_action(struct key_orders *orders, uint64_t now_ns,
                          const struct gossip_action *action);

#endif
