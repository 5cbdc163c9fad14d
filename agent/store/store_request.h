/* store_request.h - a request's way through its states, for those that make one. */
#ifndef AGENT_STORE_STORE_REQUEST_H
#define AGENT_STORE_STORE_REQUEST_H

#include "agent/store/store_state.h"

/* Into a list, from none or from the one it is in. */
void request_enlist(struct store_request *request, enum request_state state);
void request_move(struct store_request *request, enum request_state state);

/* Does what can be done now; the request may be answered and freed by it. */
void request_step(struct store_request *request);

/* Goes on with all that are in a list now; what comes back into it waits for the next time. */
void request_step_all(struct store *store, enum request_state state);

/* One barrier for all that wait for the next one, if none is under way. */
void request_start_barrier(struct store *store);

/* Answers with an error. */
void request_fail(struct store_request *request, int err, const char *text);

/* For calls of the engine whose answer matters to nobody; `context` is the store. */
void request_ignore(void *context, const struct engine_answer *answer);

#endif
