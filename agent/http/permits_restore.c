/* permits_restore.c - who may do what while the store is being restored, and a server that starts
 * then cannot know any token: whoever began it may finish it, and look how it stands. */
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/permits_state.h"
#include "base/text.h"

/* What is left: to restore again, and to see how the store stands. */
static http_handler *const left[] = {
    snapshot_put,
    operator_raft_configuration,
    operator_autopilot_health,
    operator_autopilot_state,
};

const char *permits_print(struct http_api *api, struct http_exchange *x,
                          char out[PERMITS_PRINT_SIZE])
{
    uint8_t hash[SECRET_HASH_SIZE];
    const char *token = permits_are_used(api->permits) ? permits_token(api, x) : NULL;

    out[0] = '\0';
    if (token != NULL && token[0] != '\0') {
        secret_digest(token, strlen(token), hash);
        rc_text_to_hex(hash, sizeof hash, out);
    }
    return out;
}

bool permits_are_blind(const struct http_api *api)
{
    return api->store != NULL && store_is_loaded(api->store) &&
           store_is_restoring(api->store) && !permits_have_read(api->permits);
}

/* Prints are hashes of random secrets: that they are compared byte by byte tells nothing. */
static bool began_it(struct http_api *api, struct http_exchange *x)
{
    char print[PERMITS_PRINT_SIZE];
    const char *by = store_restored_by(api->store);

    return by[0] != '\0' ? strcmp(permits_print(api, x, print), by) == 0
                         : x->is_local && x->node == NULL; /* there were no tokens */
}

static bool is_left(const struct route *route)
{
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        if (route->answer == left[i]) {
            return true;
        }
    }
    return false;
}

bool permits_admit_blind(struct http_api *api, struct http_exchange *x,
                         const struct route *route)
{
    if (is_left(route) && began_it(api, x)) {
        x->ends_restore = true;
        return true;
    }
    rc_metric_add(api->permits->refusals, 1);
    query_failed_headers(x);
    exchange_error(
        x, 500,
        "The store is being restored, so nothing is known of tokens here: only "
        "the token that began it (none: whoever is on this machine) may restore "
        "it again, and see how the store stands. If that token is lost, empty "
        "the store and restore the snapshot into it");
    permits_audit(api, x, PERMITS_REFUSED);
    return false;
}
