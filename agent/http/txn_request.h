/* txn_request.h - the operations of a transaction, as they stand in a request's body.
 *
 * Consul's shapes: a list of objects with one of KV, Session, Node, Service, Check. The last
 * three are refused: each node's own agent is the only one that writes its catalog entries. */
#ifndef AGENT_HTTP_TXN_REQUEST_H
#define AGENT_HTTP_TXN_REQUEST_H

#include <stdbool.h>

#include <jansson.h>

#include "agent/store/store.h"

enum { TXN_TEXT_MAX = 320 };

struct txn_request {
    struct store_op ops[STORE_OPS_MAX];
    size_t count;
    bool only_reads;
    uint8_t *values; /* owned; what stood in base64 */

    /* The first operation with an unknown verb. */
    bool has_unknown;
    size_t unknown_op;

    unsigned status; /* of a refusal */
    char text[TXN_TEXT_MAX];
};

/* RC_OK; RC_EINVAL with `status` and `text`; or RC_ENOMEM. Texts are borrowed from `body`. In
 * all cases ended by txn_request_fini(). */
int txn_request_read(json_t *body, struct txn_request *out);
void txn_request_fini(struct txn_request *request);

#endif
