/* keep.h - what an agent remembers of itself over restarts.
 *
 * One small file, node.json in the data folder: the node's id, the incarnation it had
 * reached in gossip, and the catalog's epoch. Whom it knew is in snapshot.h, services and
 * checks are kept by agent/local. Without a data folder (-dev) nothing is kept. */
#ifndef AGENT_KEEP_H
#define AGENT_KEEP_H

#include <stdint.h>

#include "base/buffer.h"

struct keep {
    char node_id[37];     /* UUID text; "" when not known */
    uint32_t incarnation; /* 0: not known */
    struct rc_buffer
        epoch; /* of the catalog, as catalog_export() gave it; may be empty */
};

/* Reads `folder`/node.json into `out`, which starts empty. RC_OK also when there is no file;
 * RC_EMALFORMED when it cannot be understood (it is renamed to node.json.broken and `out` stays
 * empty), RC_EIO when it cannot be read. `folder` may be NULL. */
int keep_load(const char *folder, struct keep *out);

/* Writes the file, atomically. RC_OK, RC_EIO or RC_ENOMEM. `folder` may be NULL. */
int keep_save(const char *folder, const struct keep *keep);

void keep_fini(struct keep *keep);

#endif
