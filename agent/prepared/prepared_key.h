/* prepared_key.h - under which keys of the store's table of queries a definition stands.
 *
 * One document under its id; another, under "name:" or "template:" and its name, holds the id,
 * so that the engine itself keeps names unique. */
#ifndef AGENT_PREPARED_PREPARED_KEY_H
#define AGENT_PREPARED_PREPARED_KEY_H

#include "agent/prepared/prepared.h"

enum { PREPARED_KEY_MAX = PREPARED_NAME_MAX + 16 };

/* The key that says whose a name is; "" for a query without one. */
void prepared_name_key(const json_t *query, char out[PREPARED_KEY_MAX]);

#endif
