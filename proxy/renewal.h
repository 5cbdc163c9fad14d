/* renewal.h - what must be made anew in time: keys of tickets by us, certificates by somebody. */
#ifndef PROXY_RENEWAL_H
#define PROXY_RENEWAL_H

#include <stdint.h>

#include "proxy/upstream/snapshot.h"

/* Zeroed at the start. */
struct renewal {
    uint64_t said_at_ms;
};

/* Warns in the log of every certificate that has ended or soon will; `name` is what messages call
 * the configuration's file. */
void renewal_say(struct renewal *renewal, const char *name,
                 const struct snapshot_config *shared);

/* Now and then: a new key when it is time, and the warnings once a day. */
void renewal_tick(struct renewal *renewal, const char *name,
                  const struct snapshot_config *shared);

#endif
