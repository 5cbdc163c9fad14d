/* announced.h - what a member has announced of itself: its name, where it is reached, its tags and
 * the versions it speaks.
 *
 * Such a record never changes; who announces something else gets another one. It is counted, so
 * that the gossip objects of one process may have it in common (struct gossip_shared): in a
 * simulated pool each of ten thousand nodes knows the same ten thousand announcements. */
#ifndef AGENT_GOSSIP_ANNOUNCED_H
#define AGENT_GOSSIP_ANNOUNCED_H

#include "agent/gossip/gossip.h"
#include "agent/gossip/wire.h"

enum { ANNOUNCED_NAME_MAX = 255 }; /* others may have longer names than ours may be */

/* As it is heard; all borrowed. */
struct announcement {
    struct rc_pack_bytes name;
    const struct rc_address *address;
    bool is_mapped; /* announces its IPv4 address in 16 bytes */
    struct rc_pack_bytes meta;
    const uint8_t *versions; /* WIRE_VERSIONS_SIZE of them */
};

struct announced {
    struct gossip_announced
        view; /* what readers see; `name` and `tags` are in here or owned */
    struct rc_pack_bytes meta; /* as announced */
    struct gossip_tag *tags;   /* owned; one block */
    uint32_t uses;
    uint32_t size; /* of `bytes` */
    bool is_mapped;
    uint8_t bytes[]; /* all that was announced, name and meta last */
};

/* The record of an announcement, one use of which is the caller's, who ends it by
 * announced_drop(). Equal announcements give the same record if `shared` is not NULL. The name
 * has at most ANNOUNCED_NAME_MAX bytes, the meta GOSSIP_TAGS_BYTES_MAX. RC_OK or RC_ENOMEM. */
int announced_take(struct gossip_shared *shared, const struct announcement *announcement,
                   struct announced **out);
void announced_drop(struct gossip_shared *shared,
                    struct announced *announced); /* NULL: no */

/* Whether the record says just this. */
bool announced_says(const struct announced *announced,
                    const struct announcement *announcement);

#endif
