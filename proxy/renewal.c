/* renewal.c - see renewal.h. */
#include "proxy/renewal.h"

#include "base/clock.h"
#include "base/logger.h"
#include "proxy/tls/expiry.h"

void renewal_say(struct renewal *renewal, const char *name,
                 const struct snapshot_config *shared)
{
    struct expiry_walk walk = {0};
    struct rc_buffer text = {0};
    int64_t now_s = (int64_t)(rc_clock_wall_ms() / 1000);
    unsigned line = 0;

    renewal->said_at_ms = rc_clock_ms();
    while (
        expiry_next(&walk, shared->certificates, shared->config, now_s, &text, &line)) {
        rc_log(RC_LOG_WARN, "proxy", "%s:%u: %s", name, line, rc_buffer_string(&text));
        rc_buffer_clear(&text);
    }
    rc_buffer_fini(&text);
}

void renewal_tick(struct renewal *renewal, const char *name,
                  const struct snapshot_config *shared)
{
    uint64_t now_ms = rc_clock_ms();

    tls_tickets_tick(shared->certificates->tickets, now_ms);
    if (now_ms - renewal->said_at_ms > EXPIRY_WARN_EVERY_MS) {
        renewal_say(renewal, name, shared);
    }
}
