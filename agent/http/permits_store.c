/* permits_store.c - what the store says of tokens, read when it has changed. */
#include "agent/http/permits_state.h"

void permits_read_store(struct http_api *api)
{
    (void)api; /* no agent has an engine yet */
}
