/* member.h - what is known of one agent in the pool, and how it stands.
 *
 * The statuses are Serf's, with suspect shown on its own: a suspect member still
 * counts as alive until its suspicion runs out (SWIM section 4.2). */
#ifndef AGENT_GOSSIP_MEMBER_H
#define AGENT_GOSSIP_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum gossip_status {
    GOSSIP_ALIVE,
    GOSSIP_SUSPECT, /* did not answer a probe; may still refute */
    GOSSIP_LEAVING, /* said that it will go */
    GOSSIP_LEFT,    /* went on purpose */
    GOSSIP_FAILED,  /* stopped answering */
    GOSSIP_STATUS_COUNT
};

enum {
    GOSSIP_NAME_MAX = 128,      /* bytes in a member's name */
    GOSSIP_TAGS_BYTES_MAX = 512 /* all tags of a member, encoded */
};

struct gossip_tag {
    const char *key;
    const char *value;
};

/* What a member says of itself. */
struct gossip_announced {
    const char *name;
    struct rc_address address;
    const struct gossip_tag *tags; /* sorted by key */
    size_t tag_count;
    uint8_t versions[6]; /* protocol min, max, current; delegate the same */
    bool is_rollcall;    /* carries the tag `rc`: understands the lane */
};

struct gossip_member {
    const struct gossip_announced *said; /* until its next announcement */
    uint64_t status_ltime; /* Lamport time of its last join or leave intent */
    uint64_t since_ns;     /* monotonic: when `status` began */
    uint32_t incarnation;
    uint8_t status; /* enum gossip_status */
    bool tcp_only;  /* answers probes by TCP, but not by UDP: a firewall? */
};

/* "alive", "suspect", "leaving", "left", "failed"; static. */
const char *gossip_status_name(enum gossip_status status);

/* The value of a tag, or NULL. Borrowed from what was announced. */
const char *gossip_member_tag(const struct gossip_member *member, const char *key);
const char *gossip_announced_tag(const struct gossip_announced *said, const char *key);

#endif
