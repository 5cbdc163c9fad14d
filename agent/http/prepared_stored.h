/* prepared_stored.h - the definition of a prepared query as it stands in the store. */
#ifndef AGENT_HTTP_PREPARED_STORED_H
#define AGENT_HTTP_PREPARED_STORED_H

#include <jansson.h>

#include "agent/http/exchange.h"

/* That of this id, owned by the caller, and its pair; NULL: there is none. */
json_t *prepared_stored(const struct http_api *api, const char *id,
                        struct store_pair *pair);

#endif
