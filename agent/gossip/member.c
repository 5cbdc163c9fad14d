/* member.c - words for what is known of a member. */
#include "agent/gossip/member.h"

#include <assert.h>
#include <string.h>

const char *gossip_status_name(enum gossip_status status)
{
    static const char *const names[GOSSIP_STATUS_COUNT] = {
        [GOSSIP_ALIVE] = "alive",     [GOSSIP_SUSPECT] = "suspect",
        [GOSSIP_LEAVING] = "leaving", [GOSSIP_LEFT] = "left",
        [GOSSIP_FAILED] = "failed",
    };

    assert(status < GOSSIP_STATUS_COUNT);
    return names[status];
}

const char *gossip_announced_tag(const struct gossip_announced *said, const char *key)
{
    for (size_t i = 0; i < said->tag_count; i++) {
        if (strcmp(said->tags[i].key, key) == 0) {
            return said->tags[i].value;
        }
    }
    return NULL;
}

const char *gossip_member_tag(const struct gossip_member *member, const char *key)
{
    return gossip_announced_tag(member->said, key);
}
