/* suspicion.c - how long a suspect may take to refute. */
#include "agent/gossip/suspicion.h"

#include <math.h>

#include "base/logarithm.h"

enum { NS_PER_MS = 1000000 };

uint64_t suspicion_min_ms(const struct gossip_profile *profile, size_t members)
{
    double scale = members < 1 ? 0.0 : rc_logarithm((double)members) / rc_logarithm(10);
    if (scale < 1.0) {
        scale = 1.0;
    }
    uint64_t thousandths =
        (uint64_t)(scale * 1000.0); /* memberlist keeps three decimals */
    return profile->suspicion_mult * thousandths * profile->probe_every_ms / 1000;
}

void suspicion_init(struct suspicion *suspicion, const struct gossip_profile *profile,
                    size_t members, uint64_t accuser, uint64_t now_ns)
{
    uint32_t wanted = profile->confirmations;

    if (members < (size_t)wanted + 2) {
        wanted = 0; /* too few to confirm */
    }
    suspicion->started_ns = now_ns;
    suspicion->min_ms = suspicion_min_ms(profile, members);
    suspicion->max_ms = profile->suspicion_max_mult * suspicion->min_ms;
    suspicion->wanted =
        wanted < SUSPICION_ACCUSERS_MAX ? wanted : SUSPICION_ACCUSERS_MAX - 1;
    suspicion->count = 0;
    suspicion->accusers[0] = accuser;
}

void suspicion_limit(struct suspicion *suspicion, size_t others)
{
    if (others < suspicion->wanted) {
        suspicion->wanted = (uint32_t)others;
    }
}

uint64_t suspicion_latest_ns(const struct suspicion *suspicion)
{
    return suspicion->started_ns + suspicion->max_ms * NS_PER_MS;
}

bool suspicion_confirm(struct suspicion *suspicion, uint64_t accuser)
{
    if (suspicion->count >= suspicion->wanted) {
        return false;
    }
    for (uint32_t i = 0; i <= suspicion->count; i++) {
        if (suspicion->accusers[i] == accuser) {
            return false;
        }
    }
    suspicion->count++;
    suspicion->accusers[suspicion->count] = accuser;
    return true;
}

uint64_t suspicion_end_ns(const struct suspicion *suspicion)
{
    uint64_t wait_ms = suspicion->min_ms;

    if (suspicion->wanted > suspicion->count) {
        double share =
            rc_logarithm(suspicion->count + 1.0) / rc_logarithm(suspicion->wanted + 1.0);
        double span = (double)(suspicion->max_ms - suspicion->min_ms);
        double raw_ms = floor((double)suspicion->max_ms - span * share);
        wait_ms = (uint64_t)raw_ms > wait_ms ? (uint64_t)raw_ms : wait_ms;
    }
    return suspicion->started_ns + wait_ms * NS_PER_MS;
}
