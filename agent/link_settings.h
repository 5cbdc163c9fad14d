/* link_settings.h - what the configuration says about links, with its files read. */
#ifndef AGENT_LINK_SETTINGS_H
#define AGENT_LINK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/gossip/gossip.h"
#include "agent/link/credential.h"
#include "agent/link/handshake.h"

struct agent_config;

enum { LINK_PINS_MAX = 16, LINK_SETTINGS_ERROR_MAX = 512 };

struct link_settings {
    bool allow_plaintext;
    struct credential credential; /* of a server; may be not set */
    uint8_t pins[LINK_PINS_MAX][CREDENTIAL_PUBLIC_SIZE];
    size_t pin_count; /* 0: whoever has the pool's key may be asked */
};

/* Reads the settings and the file they name. RC_OK, or RC_EINVAL, RC_EIO with one line in
 * `error`. In any case `out` is to be ended by link_settings_fini(). */
int link_settings_load(const struct agent_config *config, struct link_settings *out,
                       char error[LINK_SETTINGS_ERROR_MAX]);
void link_settings_fini(struct link_settings *settings);

/* Whether a server that has proven this may be sent requests. */
bool link_settings_trusts(const struct link_settings *settings,
                          const struct handshake_peer *peer);

/* The ring that links use: that of the pool; where plain text is allowed, or there is no key
 * at all, also the key of zeros, last. */
void link_settings_ring(const struct link_settings *settings,
                        const struct gossip_key *keys, size_t count,
                        struct handshake_ring *out);

/* Whether the pool has no key, so that nothing is secret. */
bool link_settings_is_plain(const struct handshake_ring *ring);

#endif
