/* keeper_request.h - what a keeper asks of the store, as requests of the HTTP API, and the
 * answers. Pure. */
#ifndef AGENT_KEEPER_REQUEST_H
#define AGENT_KEEPER_REQUEST_H

#include <stdint.h>

#include "agent/http/http.h"
#include "agent/keeper/keeper.h"
#include "base/buffer.h"

struct keeper_request_text {
    const char *method; /* static */
    struct rc_buffer target;
    struct rc_buffer body;
};

void keeper_request_fini(struct keeper_request_text *text);

/* KEEPER_OPEN_SESSION, KEEPER_RENEW and KEEPER_TXN. RC_OK or RC_ENOMEM. */
int keeper_request_write(const struct keeper_action *action, const char *cluster,
                         const char *node, struct keeper_request_text *out);

/* What came of it; `session` holds the id of a new one. `out->id` is left alone. */
void keeper_request_read(enum keeper_action_kind kind, const struct http_reply *reply,
                         char session[KEEPER_SESSION_MAX], struct keeper_answer *out);

/* Reads all records; with an index, once they have changed from it, or after `wait_ms`. */
int keeper_request_write_view(const char *cluster, uint64_t index, uint64_t wait_ms,
                              struct keeper_request_text *out);

/* RC_OK with the view filled but for `asked_ms`; RC_EIO: it is no such answer. */
int keeper_request_read_view(const struct http_reply *reply, const char *cluster,
                             struct keeper_view *out);

#endif
