/* tags.h - a member's tags <-> the meta bytes in its alive messages (Serf: ff, then a map). */
#ifndef AGENT_GOSSIP_TAGS_H
#define AGENT_GOSSIP_TAGS_H

#include "agent/gossip/member.h"
#include "base/pack.h"

/* Appends the meta of `tags`. RC_OK, RC_EINVAL (an empty or repeated key), RC_ETOOBIG (more
 * than GOSSIP_TAGS_BYTES_MAX), RC_ENOMEM. */
int tags_write(const struct gossip_tag *tags, size_t count, struct rc_buffer *out);

/* Reads meta into one block that the caller frees with free(): the tags, sorted by key, with
 * their strings behind them. Meta that is no map is the one tag `role`, as in Serf's oldest
 * protocol; a broken map gives no tags. RC_OK (`*out` NULL if there are none), RC_ENOMEM. */
int tags_read(struct rc_pack_bytes meta, struct gossip_tag **out, size_t *count);

#endif
