/* trouble.c - what goes wrong between members, in words that say what to do about it. */
#include "agent/trouble.h"

#include <assert.h>

#include "agent/gossip/gossip.h"
#include "base/err.h"
#include "base/logger.h"

static const char *advice(enum gossip_refusal refusal)
{
    static const char *const words[GOSSIP_REFUSAL_COUNT] = {
        [GOSSIP_REFUSED_MALFORMED] =
            "it does not parse; is something else than gossip sent to this port?",
        [GOSSIP_REFUSED_TYPE] = "a message type we do not know; is it a newer version?",
        [GOSSIP_REFUSED_CRC] = "its checksum is wrong: it was damaged on the way",
        [GOSSIP_REFUSED_KEY] =
            "none of our keys opens it; give both the same -encrypt key",
        [GOSSIP_REFUSED_PLAIN] =
            "it is not encrypted, our pool is; start the sender with our key (-encrypt)",
        [GOSSIP_REFUSED_LABEL] = "it belongs to a pool of another label",
        [GOSSIP_REFUSED_VERSION] =
            "a member whose protocol versions do not fit; it would block joins",
        [GOSSIP_REFUSED_NAME] = "a name that is empty, too long or has a NUL byte",
        [GOSSIP_REFUSED_ADDRESS] =
            "a member without a usable address; see its -advertise",
        [GOSSIP_REFUSED_CONFLICT] =
            "a name that lives at another address; give one of the two another -node",
        [GOSSIP_REFUSED_PING] =
            "a probe for another name at our address; does another member advertise it?",
        [GOSSIP_REFUSED_TOO_BIG] = "it is larger than anything of its kind may be",
        [GOSSIP_REFUSED_TOO_MANY] = "too much at once; it will try again",
        [GOSSIP_REFUSED_STALE] = "an answer that comes too late",
        [GOSSIP_REFUSED_NO_MEMORY] = "there is no memory for it",
    };

    assert(refusal < GOSSIP_REFUSAL_COUNT);
    return words[refusal];
}

void trouble_refused(const struct gossip_action *action)
{
    char address[RC_ADDRESS_TEXT_MAX];
    char ip[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&action->address, address);
    rc_address_format_ip(&action->address, ip);
    rc_log(RC_LOG_WARN, "gossip", "%s from %s is refused (%s; %llu time%s so far): %s",
           action->address.port == 0 ? "a stream" : "a packet",
           action->address.port == 0 ? ip : address, gossip_refusal_name(action->refusal),
           (unsigned long long)action->count, action->count == 1 ? "" : "s",
           advice(action->refusal));
}

void trouble_unseen(const struct gossip *gossip, const struct gossip_action *action)
{
    const struct gossip_member *self = gossip_self(gossip);
    char address[RC_ADDRESS_TEXT_MAX];
    char own[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&action->address, address);
    rc_address_format(&self->said->address, own);
    if (action->err == RC_ECONFLICT) {
        rc_log(
            RC_LOG_ERROR, "gossip",
            "joined through %s, but it knows the name '%s' at another address and does "
            "not count us in. If that one is dead, the name is ours some 30 s after it "
            "was found dead (a real Serf needs `rollcall force-leave -prune %s`); if it "
            "lives, choose another -node",
            address, self->said->name, self->said->name);
    } else {
        rc_log(
            RC_LOG_ERROR, "gossip",
            "joined through %s, but it does not count us in: its pool refuses us. Look "
            "into its log for '%s' (%s): protocol versions, or a filter?",
            address, self->said->name, own);
    }
}

void trouble_tcp_only(const struct gossip *gossip, const struct gossip_action *action)
{
    char address[RC_ADDRESS_TEXT_MAX];
    char own[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&action->address, address);
    rc_address_format(&gossip_self(gossip)->said->address, own);
    rc_log(
        RC_LOG_WARN, "gossip",
        "%s answers at %s by TCP but not by UDP: open UDP between %s and %s, both ways "
        "(firewall, security group, container port map)",
        action->member->said->name, address, own, address);
}
