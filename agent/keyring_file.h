/* keyring_file.h - the keys of the pool as they survive a restart.
 *
 * keyring.json in the data folder: a JSON list of keys in base64, the first one encrypts, as
 * Serf and Consul write it. It is there once the pool has changed its keys; until then the
 * configured key is all there is. keyring.seen beside it is the configured key as it was
 * then. With both, this is who goes first at a start:
 *   1. no file: the configured key alone;
 *   2. the configured key is in the file, or not changed since the file was written: the file,
 *      in its order (the pool has moved on), the configured key last if it is missing;
 *   3. the configured key was changed since, and the file has never heard of it: the
 *      configured key, then those of the file.
 * So the configured key is always tried, and a stale file never beats a fresh configuration. */
#ifndef AGENT_KEYRING_FILE_H
#define AGENT_KEYRING_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/gossip/gossip.h"

struct keyring_list {
    struct gossip_key keys[GOSSIP_KEYS_MAX];
    size_t count;
};

enum keyring_source {
    KEYRING_FROM_NOTHING,        /* neither file nor configured key: not encrypted */
    KEYRING_FROM_CONFIG,         /* case 1 */
    KEYRING_FROM_FILE,           /* case 2; the configured key, if any, is in it */
    KEYRING_FROM_FILE_LACKING,   /* case 2; the configured key was not in it */
    KEYRING_FROM_FILE_SECOND,    /* case 2; the configured key is in it, but not first */
    KEYRING_FROM_CHANGED_CONFIG, /* case 3 */
    KEYRING_SOURCE_COUNT
};

/* Fills `out` by the rule above. `configured` and `folder` may be NULL: no such key, nothing is
 * kept. Case 3 is written back.
 *
 * RC_OK; RC_EMALFORMED when the file is no such list (it is renamed to keyring.json.broken),
 * RC_EIO when it cannot be read, or not be written back. */
int keyring_file_settle(const char *folder, const struct gossip_key *configured,
                        struct keyring_list *out, enum keyring_source *source);

/* Writes `list`, atomically, mode 0600, and what is configured. RC_OK, RC_EIO, RC_ENOMEM.
 * `folder` NULL: nothing to do. */
int keyring_file_save(const char *folder, const struct gossip_key *configured,
                      const struct keyring_list *list);

#endif
