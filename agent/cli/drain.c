#include "agent/cli/drain.h"

#include <stdio.h>

#include "agent/cli/client.h"
#include "base/err.h"
#include "base/text.h"

enum { TTL_MS = 15000, TURN_MS = 20000, LOOK_EVERY_MS = 1000 };

static const char prefix[] = "rollcall/maint";
static const char known_everywhere[] = "3s"; /* what gossip may take, generously */

int drain_begin(struct drain *drain, const struct cli_client_flags *client)
{
    uint64_t end_ms = lock_now_ms() + TURN_MS;

    *drain = (struct drain){.claim = {.client = client,
                                      .session_name = "rollcall maint",
                                      .lock_delay = known_everywhere,
                                      .limit = 1,
                                      .ttl_ms = TTL_MS}};
    (void)rc_text_put(drain->claim.prefix, sizeof drain->claim.prefix, prefix);
    (void)snprintf(drain->claim.key, sizeof drain->claim.key, "%s/.lock", prefix);
    for (;;) {
        int err = lock_try(&drain->claim);
        if (err == RC_OK) {
            drain->is_locked = true;
            return RC_OK;
        }
        if (drain->claim.session[0] == '\0') {
            return RC_OK; /* no store: there is no line to stand in */
        }
        if (err != RC_EAGAIN || lock_now_ms() >= end_ms) {
            (void)lock_give_back(&drain->claim);
            return RC_ETIMEOUT;
        }
        lock_wait(&drain->claim, LOOK_EVERY_MS);
    }
}

/* A session that is ended leaves its lock to nobody for the lock-delay; a lock that is given back
 * is free at once. */
static void end_session(const struct drain *drain)
{
    struct cli_answer answer;
    char path[64];

    (void)snprintf(path, sizeof path, "/v1/session/destroy/%s", drain->claim.session);
    const struct cli_request request = {
        .method = "PUT", .path = path, .timeout_ms = TTL_MS / 4};
    (void)cli_ask(drain->claim.client, &request, &answer); /* or its TTL does it */
    rc_buffer_fini(&answer.body);
}

void drain_end(struct drain *drain, bool took_away)
{
    if (!drain->is_locked) {
        return;
    }
    if (took_away) {
        end_session(drain);
    } else {
        (void)lock_give_back(&drain->claim);
    }
}
